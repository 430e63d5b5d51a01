//! Packing pieces into sectors, and the sector's Merkle tree above its pieces.
//!
//! A sector's data tree (CommD) consists of the pieces' trees, zero trees where there is no piece,
//! and a few nodes above them. Pieces keep their own rows, so the sector itself stores nothing: what
//! lies above the pieces follows from their commitments.

use cairn_primitives::{
	commitment::ZERO_COMMITMENTS,
	piece::{Layout, LayoutError},
	sector::{MAX_DEALS_PER_HOT_SECTOR, MAX_DEALS_PER_SECTOR},
	Commitment, PieceInfo, ProofSpec, Tier,
};

use crate::{opening::Opening, sha256};

/// Why pieces cannot share a sector.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PackError {
	/// The proof type's parameters are out of bounds.
	#[error("the proof type's parameters are out of bounds")]
	InvalidSpec,
	/// A piece's sizes are impossible.
	#[error("piece {index} has impossible sizes")]
	InvalidPiece {
		/// Its place in the list.
		index: usize,
	},
	/// More pieces than a sector of this tier holds.
	#[error("{count} pieces are more than the {most} of a sector")]
	TooManyPieces {
		/// Pieces given.
		count: usize,
		/// Pieces allowed.
		most: usize,
	},
	/// A hot sector without a piece: there would be nothing to prove.
	#[error("a hot sector needs a piece")]
	Empty,
	/// The pieces do not fit.
	#[error(transparent)]
	Layout(#[from] LayoutError),
}

/// Most pieces that a sector of this tier holds.
pub const fn max_pieces(tier: Tier) -> usize {
	match tier {
		Tier::Hot => MAX_DEALS_PER_HOT_SECTOR as usize,
		Tier::Sealed => MAX_DEALS_PER_SECTOR as usize,
	}
}

/// Whether `pieces` fit a sector in this order.
///
/// # Errors
/// See [`PackError`].
pub fn pieces_fit(spec: &ProofSpec, pieces: &[PieceInfo]) -> Result<(), PackError> {
	SectorLayout::new(*spec, pieces).map(|_| ())
}

/// Chooses from `candidates` what goes into one sector, largest first, so that no alignment gap
/// arises; those that do not fit any more are left out. Returns indices into `candidates` in the
/// order of their offsets.
pub fn pack(spec: &ProofSpec, candidates: &[PieceInfo]) -> Vec<usize> {
	let mut order: Vec<usize> = (0..candidates.len())
		.filter(|i| candidates[*i].is_valid())
		.collect();
	order.sort_by_key(|i| std::cmp::Reverse(candidates[*i].size_log2));
	let mut room = spec.sector_size();
	let mut chosen = Vec::new();
	for i in order {
		let size = candidates[i].padded_size();
		if size <= room && chosen.len() < max_pieces(spec.tier) {
			room -= size;
			chosen.push(i);
		}
	}
	chosen
}

/// A piece at its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlacedPiece {
	/// The piece.
	pub info: PieceInfo,
	/// Its first leaf in the sector.
	pub first_leaf: u64,
}

impl PlacedPiece {
	/// Height of the piece's tree.
	const fn height(&self) -> u8 {
		self.info.size_log2 - 5
	}

	/// First leaf behind the piece.
	const fn end(&self) -> u64 {
		self.first_leaf + self.info.leaves()
	}
}

/// The pieces of a sector at their places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SectorLayout {
	spec: ProofSpec,
	pieces: Vec<PlacedPiece>,
	comm_d: Commitment,
}

impl SectorLayout {
	/// Places `pieces` in this order, each at the next multiple of its own size.
	///
	/// # Errors
	/// See [`PackError`].
	pub fn new(spec: ProofSpec, pieces: &[PieceInfo]) -> Result<Self, PackError> {
		if !spec.is_valid() {
			return Err(PackError::InvalidSpec);
		}
		let most = max_pieces(spec.tier);
		if pieces.len() > most {
			return Err(PackError::TooManyPieces {
				count: pieces.len(),
				most,
			});
		}
		if pieces.is_empty() && spec.tier == Tier::Hot {
			return Err(PackError::Empty);
		}
		let mut layout = Layout::new(spec.sector_size_log2)?;
		let mut placed = Vec::with_capacity(pieces.len());
		for (index, info) in pieces.iter().enumerate() {
			if !info.is_valid() {
				return Err(PackError::InvalidPiece { index });
			}
			placed.push(PlacedPiece {
				info: *info,
				first_leaf: layout.place(info.size_log2)? / 32,
			});
		}
		let mut sector = SectorLayout {
			spec,
			pieces: placed,
			comm_d: [0; 32],
		};
		sector.comm_d = sector.node(spec.depth(), 0);
		Ok(sector)
	}

	/// The proof type.
	pub fn spec(&self) -> ProofSpec {
		self.spec
	}

	/// Root over the sector's data.
	pub fn comm_d(&self) -> Commitment {
		self.comm_d
	}

	/// The pieces by offset.
	pub fn pieces(&self) -> &[PlacedPiece] {
		&self.pieces
	}

	/// First leaf and payload leaves of each piece: what hot challenges are drawn from.
	pub fn payload(&self) -> impl Iterator<Item = (u64, u64)> + Clone + '_ {
		self.pieces
			.iter()
			.map(|piece| (piece.first_leaf, piece.info.payload_leaves()))
	}

	/// Index of the piece that holds `leaf`.
	pub fn piece_at(&self, leaf: u64) -> Option<usize> {
		let index = self.pieces.partition_point(|piece| piece.end() <= leaf);
		self.pieces
			.get(index)
			.filter(|piece| piece.first_leaf <= leaf)
			.map(|_| index)
	}

	/// Completes an opening inside a piece's own tree to one of the sector's.
	pub(crate) fn extend(&self, piece: &PlacedPiece, opening: &mut Opening) {
		let height = piece.height();
		opening
			.siblings
			.extend(self.siblings_from(height, piece.first_leaf >> height));
	}

	/// Opens a leaf that no piece holds.
	pub(crate) fn open_gap(&self, leaf: u64) -> Opening {
		let mut height = 0;
		while height < self.spec.depth() && self.is_empty(height + 1, leaf >> (height + 1)) {
			height += 1;
		}
		let mut siblings = ZERO_COMMITMENTS[..usize::from(height)].to_vec();
		siblings.extend(self.siblings_from(height, leaf >> height));
		Opening {
			leaf: [0; 32],
			siblings,
		}
	}

	/// Siblings from the node at `height` and `index` up to the root.
	fn siblings_from(&self, height: u8, index: u64) -> impl Iterator<Item = Commitment> + '_ {
		(height..self.spec.depth()).map(move |h| self.node(h, (index >> (h - height)) ^ 1))
	}

	/// Whether no piece lies below the node.
	fn is_empty(&self, height: u8, index: u64) -> bool {
		let (start, end) = (index << height, (index + 1) << height);
		let first = self.pieces.partition_point(|piece| piece.end() <= start);
		self.pieces.get(first).is_none_or(|piece| piece.first_leaf >= end)
	}

	/// The node at `height` and `index`, which does not lie inside a piece.
	fn node(&self, height: u8, index: u64) -> Commitment {
		let (start, end) = (index << height, (index + 1) << height);
		let first = self.pieces.partition_point(|piece| piece.end() <= start);
		match self.pieces.get(first) {
			Some(piece) if piece.first_leaf < end => {
				if piece.height() >= height {
					piece.info.commitment
				} else {
					sha256::node(
						&self.node(height - 1, 2 * index),
						&self.node(height - 1, 2 * index + 1),
					)
				}
			}
			_ => ZERO_COMMITMENTS[usize::from(height)],
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_primitives::{commitment, hash::NativeSha256};
	use rand_chacha::{rand_core::RngCore, rand_core::SeedableRng, ChaCha8Rng};

	fn spec(tier: Tier, sector_size_log2: u8) -> ProofSpec {
		let layers = if tier == Tier::Hot { 0 } else { 2 };
		ProofSpec {
			tier,
			version: 1,
			sector_size_log2,
			layers,
			activation_challenges: 2,
		}
	}

	fn piece(size_log2: u8, fill: u8) -> PieceInfo {
		PieceInfo {
			commitment: [fill & 0x3f; 32],
			size_log2,
			payload_size: 100,
		}
	}

	#[test]
	fn comm_d_is_that_of_the_chain() {
		for seed in 0..200 {
			let mut rng = ChaCha8Rng::seed_from_u64(seed);
			let spec = spec(Tier::Sealed, 11 + (rng.next_u32() % 26) as u8);
			let mut pieces = Vec::new();
			for i in 0..rng.next_u32() % 9 {
				let mut more = pieces.clone();
				more.push(piece(7 + (rng.next_u32() % 30) as u8, i as u8));
				if pieces_fit(&spec, &more).is_ok() {
					pieces = more;
				}
			}
			assert_eq!(
				SectorLayout::new(spec, &pieces).unwrap().comm_d(),
				commitment::comm_d::<NativeSha256>(&pieces, spec.sector_size_log2).unwrap(),
				"seed {seed}"
			);
		}
	}

	#[test]
	fn pieces_and_gaps_open() {
		// 2 KiB: pieces at leaves 0..4 and 32..64.
		let layout = SectorLayout::new(spec(Tier::Hot, 11), &[piece(7, 1), piece(10, 2)]).unwrap();
		assert_eq!(layout.piece_at(3), Some(0));
		assert_eq!(layout.piece_at(4), None);
		assert_eq!(layout.piece_at(32), Some(1));
		assert_eq!(layout.piece_at(63), Some(1));
		let layout = SectorLayout::new(spec(Tier::Hot, 11), &[piece(7, 1), piece(9, 2)]).unwrap();
		assert_eq!(layout.piece_at(16), Some(1));
		assert_eq!(layout.piece_at(31), Some(1));
		for leaf in (4..16).chain(32..64) {
			assert_eq!(layout.piece_at(leaf), None);
			let opening = layout.open_gap(leaf);
			assert_eq!(opening.siblings.len(), 6);
			assert_eq!(
				crate::opening::root_above(opening.leaf, leaf, &opening.siblings),
				layout.comm_d(),
				"{leaf}"
			);
		}
		// An opening that ends in the piece's root.
		let second = layout.pieces()[1];
		let mut opening = Opening {
			leaf: [0; 32],
			siblings: Vec::new(),
		};
		layout.extend(&second, &mut opening);
		assert_eq!(
			crate::opening::root_above(second.info.commitment, 1, &opening.siblings),
			layout.comm_d()
		);
		let empty = SectorLayout::new(spec(Tier::Sealed, 11), &[]).unwrap();
		let opening = empty.open_gap(63);
		assert_eq!(
			crate::opening::root_above(opening.leaf, 63, &opening.siblings),
			empty.comm_d()
		);
	}

	#[test]
	fn impossible_sectors_are_refused() {
		let hot = spec(Tier::Hot, 23);
		assert_eq!(pieces_fit(&hot, &[]), Err(PackError::Empty));
		assert_eq!(
			pieces_fit(&hot, &[piece(6, 0)]),
			Err(PackError::InvalidPiece { index: 0 })
		);
		assert_eq!(
			pieces_fit(&hot, &[piece(24, 0)]),
			Err(LayoutError::PieceSize.into())
		);
		assert_eq!(
			pieces_fit(&hot, &[piece(7, 0); 33]),
			Err(PackError::TooManyPieces { count: 33, most: 32 })
		);
		let invalid = ProofSpec { layers: 3, ..hot };
		assert_eq!(pieces_fit(&invalid, &[piece(7, 0)]), Err(PackError::InvalidSpec));
	}

	#[test]
	fn packing_fills_without_gaps() {
		let sizes = [7, 10, 6, 9, 10, 8, 11, 9, 7];
		let candidates: Vec<_> = sizes.iter().map(|size| piece(*size, 0)).collect();
		let spec = spec(Tier::Hot, 11);
		assert_eq!(pack(&spec, &candidates), [6]);
		let chosen = pack(&spec, &candidates[..6]);
		assert_eq!(chosen, [1, 4]);
		let chosen = pack(&spec, &candidates[3..6]);
		assert_eq!(chosen, [1, 0, 2]);
		let pieces: Vec<_> = chosen.iter().map(|i| candidates[3..6][*i]).collect();
		assert_eq!(pieces_fit(&spec, &pieces), Ok(()));
		assert_eq!(pack(&spec, &[]), Vec::<usize>::new());
	}
}
