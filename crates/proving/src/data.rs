//! A sector's padded data, read from the piece files on demand.

use crate::{
	commp::{pad_zero_filled, BASE_HEIGHT},
	error::{DataFault, ProveError, MAX_OPENINGS},
	opening::{Leaves, OpenError, Opening, PartialTree},
	rows::{RowShape, Rows},
	sector::{PlacedPiece, SectorLayout},
	sha256::NODE,
};
use cairn_primitives::{
	fr32::{GROUP_PADDED, GROUP_PAYLOAD},
	PieceInfo,
};
use std::{
	fs::File,
	os::unix::fs::FileExt,
	path::{Path, PathBuf},
};

/// Where pieces live.
#[derive(Clone, Debug)]
pub(crate) struct PieceFolder(pub PathBuf);

impl PieceFolder {
	/// Name of a piece's files without extension. A commitment alone does not name a piece: payloads
	/// that differ in trailing zeros share it, and so do pieces whose leaves are another one's nodes.
	pub fn stem(piece: &PieceInfo) -> String {
		format!(
			"{}-{}-{}",
			hex::encode(piece.commitment),
			piece.size_log2,
			piece.payload_size
		)
	}

	/// Reverses [`Self::stem`].
	pub fn parse(stem: &str) -> Option<PieceInfo> {
		let mut parts = stem.split('-');
		let mut commitment = [0u8; 32];
		hex::decode_to_slice(parts.next()?, &mut commitment).ok()?;
		let piece = PieceInfo {
			commitment,
			size_log2: parts.next()?.parse().ok()?,
			payload_size: parts.next()?.parse().ok()?,
		};
		(parts.next().is_none() && piece.is_valid() && Self::stem(&piece) == stem).then_some(piece)
	}

	/// The raw payload.
	pub fn payload(&self, piece: &PieceInfo) -> PathBuf {
		self.0.join(Self::stem(piece) + ".car")
	}

	/// The tree's upper rows. Pieces of up to 32 KiB have none.
	pub fn rows(&self, piece: &PieceInfo) -> PathBuf {
		self.0.join(Self::stem(piece) + ".rows")
	}

	/// Which rows of the piece's tree are stored.
	pub fn shape(piece: &PieceInfo) -> RowShape {
		RowShape::new(BASE_HEIGHT, piece.size_log2 - 5)
	}

	/// Opens a payload of the right length.
	pub fn open_payload(&self, piece: &PieceInfo) -> Result<File, ProveError> {
		let path = self.payload(piece);
		DataFault::open(&path, piece.payload_size).map_err(|fault| piece_fault(piece, path, fault))
	}

	/// Opens the rows; `None` if the piece has none.
	fn open_rows(&self, piece: &PieceInfo) -> Result<Option<Rows>, ProveError> {
		let shape = Self::shape(piece);
		if shape.base == shape.height {
			return Ok(None);
		}
		let path = self.rows(piece);
		open_rows(&path, shape).map(Some)
	}
}

/// Opens a file of rows.
pub(crate) fn open_rows(path: &Path, shape: RowShape) -> Result<Rows, ProveError> {
	DataFault::open(path, shape.len())
		.and_then(|_| Rows::open(path, shape).map_err(DataFault::from_io))
		.map_err(|fault| ProveError::Rows {
			path: path.to_owned(),
			fault,
		})
}

fn piece_fault(piece: &PieceInfo, path: PathBuf, fault: DataFault) -> ProveError {
	ProveError::Piece {
		commitment: piece.commitment,
		path,
		fault,
	}
}

/// A piece's padded leaves, from its payload.
struct PieceLeaves<'a> {
	payload: &'a File,
	payload_size: u64,
}

impl Leaves for PieceLeaves<'_> {
	fn read(&self, first: u64, out: &mut [u8]) -> Result<(), DataFault> {
		// Trees start at four leaves, so that sub-trees are whole groups of four.
		let from = first / (GROUP_PADDED / NODE) as u64 * GROUP_PAYLOAD as u64;
		let most = out.len() / GROUP_PADDED * GROUP_PAYLOAD;
		let len = self.payload_size.saturating_sub(from).min(most as u64) as usize;
		let mut payload = vec![0u8; len];
		self.payload
			.read_exact_at(&mut payload, from)
			.map_err(DataFault::from_io)?;
		pad_zero_filled(&payload, out);
		Ok(())
	}
}

/// The data of a sector.
#[derive(Clone, Debug)]
pub(crate) struct SectorData {
	pub layout: SectorLayout,
	pub pieces: PieceFolder,
}

impl SectorData {
	/// Opens leaves of CommD, in this order.
	pub fn open(&self, leaves: &[u64]) -> Result<Vec<Opening>, ProveError> {
		check_leaves(leaves, self.layout.spec().leaves())?;
		let mut openings: Vec<Option<Opening>> = vec![None; leaves.len()];
		let mut by_piece: Vec<Vec<usize>> = vec![Vec::new(); self.layout.pieces().len()];
		for (place, leaf) in leaves.iter().enumerate() {
			match self.layout.piece_at(*leaf) {
				Some(piece) => by_piece[piece].push(place),
				None => openings[place] = Some(self.layout.open_gap(*leaf)),
			}
		}
		for (piece, places) in self.layout.pieces().iter().zip(by_piece) {
			if places.is_empty() {
				continue;
			}
			let within: Vec<u64> = places
				.iter()
				.map(|place| leaves[*place] - piece.first_leaf)
				.collect();
			for (place, mut opening) in places.into_iter().zip(self.open_piece(piece, &within)?) {
				self.layout.extend(piece, &mut opening);
				openings[place] = Some(opening);
			}
		}
		// Every place was filled by a piece or a gap.
		Ok(openings.into_iter().flatten().collect())
	}

	fn open_piece(&self, piece: &PlacedPiece, leaves: &[u64]) -> Result<Vec<Opening>, ProveError> {
		let info = &piece.info;
		let payload = self.pieces.open_payload(info)?;
		let rows = self.pieces.open_rows(info)?;
		let tree = PartialTree {
			leaves: &PieceLeaves {
				payload: &payload,
				payload_size: info.payload_size,
			},
			rows: rows.as_ref(),
			shape: PieceFolder::shape(info),
			root: info.commitment,
		};
		tree.open(leaves).map_err(|error| match error {
			OpenError::Data(fault) => piece_fault(info, self.pieces.payload(info), fault),
			OpenError::Rows(fault) => ProveError::Rows {
				path: self.pieces.rows(info),
				fault,
			},
		})
	}

	/// Opens all piece files for reading the sector from end to end.
	pub fn reader(&self) -> Result<SectorReader<'_>, ProveError> {
		let files = self
			.layout
			.pieces()
			.iter()
			.map(|piece| self.pieces.open_payload(&piece.info))
			.collect::<Result<_, _>>()?;
		Ok(SectorReader { data: self, files })
	}
}

/// Refuses no leaves, too many, and those outside the sector.
pub(crate) fn check_leaves(indices: &[u64], leaves: u64) -> Result<(), ProveError> {
	if indices.is_empty() {
		return Err(ProveError::NoLeaves);
	}
	if indices.len() > MAX_OPENINGS {
		return Err(ProveError::TooManyLeaves { count: indices.len() });
	}
	match indices.iter().find(|leaf| **leaf >= leaves) {
		Some(leaf) => Err(ProveError::LeafOutOfRange { leaf: *leaf, leaves }),
		None => Ok(()),
	}
}

/// The padded sector, with all piece files open.
pub(crate) struct SectorReader<'a> {
	data: &'a SectorData,
	files: Vec<File>,
}

impl SectorReader<'_> {
	/// Writes the leaves from `first` (a multiple of four) on to `out` (whole groups of four).
	pub fn read(&self, first: u64, out: &mut [u8]) -> Result<(), ProveError> {
		let end = first + (out.len() / NODE) as u64;
		let pieces = self.data.layout.pieces();
		let from = pieces.partition_point(|piece| piece.first_leaf + piece.info.leaves() <= first);
		let mut at = first;
		for (piece, file) in pieces.iter().zip(&self.files).skip(from) {
			if piece.first_leaf >= end {
				break;
			}
			let start = piece.first_leaf.max(first);
			let stop = (piece.first_leaf + piece.info.leaves()).min(end);
			out[(at - first) as usize * NODE..(start - first) as usize * NODE].fill(0);
			let leaves = PieceLeaves {
				payload: file,
				payload_size: piece.info.payload_size,
			};
			leaves
				.read(
					start - piece.first_leaf,
					&mut out[(start - first) as usize * NODE..(stop - first) as usize * NODE],
				)
				.map_err(|fault| piece_fault(&piece.info, self.data.pieces.payload(&piece.info), fault))?;
			at = stop;
		}
		out[(at - first) as usize * NODE..].fill(0);
		Ok(())
	}
}
