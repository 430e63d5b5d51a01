//! Streaming piece commitments (CommP).
//!
//! Payload is cut into stretches that fill sub-trees of 32 KiB after Fr32 padding. Batches of them
//! are padded and hashed on rayon's pool, each within one core's cache; their roots join like the
//! bits of a counter. Memory is one batch, whatever the payload's length.

use crate::{
	rows::{RowShape, RowsWriter},
	sha256::{self, Node, NODE},
};
use cairn_primitives::{
	commitment::ZERO_COMMITMENTS,
	fr32,
	piece::{capacity, size_log2_for_payload},
	PieceInfo,
};
use rayon::prelude::*;
use std::{
	fs::File,
	io::{self, Read, Write},
	path::Path,
};
use tempfile::NamedTempFile;

/// Height of the sub-trees that are hashed in one go, and lowest row that a piece keeps on disk:
/// 1,024 leaves, 32 KiB of padded data. Opening a leaf reads that much; the rows above are 1/512 of
/// the data.
pub(crate) const BASE_HEIGHT: u8 = 10;
/// Padded bytes of such a sub-tree.
pub(crate) const BASE_PADDED: usize = NODE << BASE_HEIGHT;
/// Payload bytes of such a sub-tree.
pub(crate) const BASE_PAYLOAD: usize = BASE_PADDED / 128 * 127;
/// Payload bytes that are hashed in parallel at a time: 4 MiB after padding.
pub(crate) const BATCH: usize = BASE_PAYLOAD * 128;

/// Why a piece commitment cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum CommPError {
	/// The payload exceeds the largest sector or the padded size asked for.
	#[error("the payload of {payload_size} bytes exceeds the piece")]
	TooLarge {
		/// Bytes of payload.
		payload_size: u64,
	},
	/// Reading the payload or writing the copy or the tree's rows failed.
	#[error(transparent)]
	Io(#[from] io::Error),
}

/// Incremental CommP.
pub struct CommPHasher {
	/// Payload that does not fill a batch yet.
	buffer: Vec<u8>,
	payload_size: u64,
	/// Roots of the sub-trees left of what comes; entry i covers 2^i base sub-trees.
	roots: Vec<Option<Node>>,
	rows: Option<RowsWriter>,
	/// First failure to write rows; reported at the end.
	failure: Option<io::Error>,
}

impl Default for CommPHasher {
	fn default() -> Self {
		Self::new()
	}
}

/// A finished hash whose tree's upper rows were written too.
pub(crate) struct HashedPiece {
	pub info: PieceInfo,
	/// Rows from [`BASE_HEIGHT`] up; `None` for pieces that are not higher than that.
	pub rows: Option<NamedTempFile>,
}

impl CommPHasher {
	/// A hasher of nothing yet.
	pub fn new() -> Self {
		CommPHasher {
			buffer: Vec::new(),
			payload_size: 0,
			roots: Vec::new(),
			rows: None,
			failure: None,
		}
	}

	/// A hasher that also writes the tree's upper rows to a temporary file in `incoming`.
	pub(crate) fn with_rows(incoming: &Path) -> io::Result<Self> {
		Ok(CommPHasher {
			rows: Some(RowsWriter::new(incoming)?),
			..Self::new()
		})
	}

	/// Appends payload. Hashes on rayon's pool whenever a batch of 4 MiB is complete, and returns
	/// when that is done.
	pub fn update(&mut self, mut payload: &[u8]) {
		self.payload_size = self.payload_size.saturating_add(payload.len() as u64);
		if !self.buffer.is_empty() {
			let (head, rest) = payload.split_at(payload.len().min(BATCH - self.buffer.len()));
			self.buffer.extend_from_slice(head);
			payload = rest;
			if self.buffer.len() == BATCH {
				let batch = std::mem::take(&mut self.buffer);
				self.hash(&batch);
				self.buffer = batch;
				self.buffer.clear();
			}
		}
		let (batches, rest) = payload.split_at(payload.len() - payload.len() % BATCH);
		for batch in batches.chunks(BATCH) {
			self.hash(batch);
		}
		self.buffer.extend_from_slice(rest);
	}

	/// Bytes of payload so far.
	pub fn payload_size(&self) -> u64 {
		self.payload_size
	}

	/// The piece of the smallest padded size that holds the payload. No payload gives the smallest
	/// zero piece, which no deal accepts.
	///
	/// # Errors
	/// [`CommPError::TooLarge`] beyond the largest sector.
	pub fn finish(self) -> Result<PieceInfo, CommPError> {
		Ok(self.finish_rows(None)?.info)
	}

	/// The piece of 2^`size_log2` padded bytes.
	///
	/// # Errors
	/// [`CommPError::TooLarge`] if the payload does not fit.
	pub fn finish_padded(self, size_log2: u8) -> Result<PieceInfo, CommPError> {
		Ok(self.finish_rows(Some(size_log2))?.info)
	}

	pub(crate) fn finish_rows(mut self, size_log2: Option<u8>) -> Result<HashedPiece, CommPError> {
		let payload_size = self.payload_size;
		let too_large = CommPError::TooLarge { payload_size };
		let size_log2 = match size_log2 {
			Some(size_log2) if payload_size <= capacity(size_log2) => size_log2,
			Some(_) => return Err(too_large),
			None => size_log2_for_payload(payload_size).ok_or(too_large)?,
		};
		let shape = RowShape::new(BASE_HEIGHT, size_log2 - 5);
		let tail = std::mem::take(&mut self.buffer);
		let (whole, rest) = tail.split_at(tail.len() - tail.len() % BASE_PAYLOAD);
		if !whole.is_empty() {
			self.hash(whole);
		}
		if !rest.is_empty() {
			let root = sub_tree(rest, &mut vec![0; shape.subtree_leaves() * NODE]);
			self.push(&root);
		}
		if let Some(error) = self.failure {
			return Err(error.into());
		}
		let commitment = self.root(shape);
		let rows = match self.rows {
			Some(writer) if shape.height > BASE_HEIGHT => {
				let (rows, root) = writer.finish(shape, &ZERO_COMMITMENTS[usize::from(BASE_HEIGHT)])?;
				if root != commitment {
					return Err(
						io::Error::other("rows of the tree read back differ from those written").into(),
					);
				}
				Some(rows)
			}
			_ => None,
		};
		Ok(HashedPiece {
			info: PieceInfo {
				commitment,
				size_log2,
				payload_size,
			},
			rows,
		})
	}

	/// Hashes whole base sub-trees.
	fn hash(&mut self, payload: &[u8]) {
		let mut roots = vec![0u8; payload.len() / BASE_PAYLOAD * NODE];
		payload
			.par_chunks(BASE_PAYLOAD)
			.zip(roots.par_chunks_mut(NODE))
			.with_min_len(4)
			.for_each_init(
				|| vec![0u8; BASE_PADDED],
				|scratch, (payload, root)| root.copy_from_slice(&sub_tree(payload, scratch)),
			);
		self.push(&roots);
	}

	/// Appends roots of base sub-trees.
	fn push(&mut self, roots: &[u8]) {
		if let (Some(rows), None) = (&mut self.rows, &self.failure) {
			self.failure = rows.push(roots).err();
		}
		for root in roots.as_chunks::<NODE>().0 {
			let mut root = *root;
			let mut level = 0;
			loop {
				match self.roots.get_mut(level) {
					None => {
						self.roots.push(Some(root));
						break;
					}
					Some(slot @ None) => {
						*slot = Some(root);
						break;
					}
					Some(slot) => {
						// `take` empties the slot: the two sub-trees become one of the next level.
						if let Some(left) = slot.take() {
							root = sha256::node(&left, &root);
						}
						level += 1;
					}
				}
			}
		}
	}

	/// The root, with zeros behind what was pushed.
	fn root(&self, shape: RowShape) -> Node {
		let mut right: Option<Node> = None;
		for level in 0..shape.height - shape.base {
			let zero = ZERO_COMMITMENTS[usize::from(shape.base + level)];
			let left = self.roots.get(usize::from(level)).copied().flatten();
			right = match (left, right) {
				(Some(left), right) => Some(sha256::node(&left, &right.unwrap_or(zero))),
				(None, Some(right)) => Some(sha256::node(&right, &zero)),
				(None, None) => None,
			};
		}
		let top = usize::from(shape.height - shape.base);
		let whole = self.roots.get(top).copied().flatten();
		whole
			.or(right)
			.unwrap_or(ZERO_COMMITMENTS[usize::from(shape.height)])
	}
}

/// Root over `payload`, padded into `scratch`, which is a sub-tree's size and is overwritten.
fn sub_tree(payload: &[u8], scratch: &mut [u8]) -> Node {
	pad_zero_filled(payload, scratch);
	sha256::root_of(scratch)
}

/// Fr32-pads `payload` into the front of `padded` and clears the rest.
///
/// # Panics
/// If the payload does not fit: callers cut it to size.
pub(crate) fn pad_zero_filled(payload: &[u8], padded: &mut [u8]) {
	let (front, rest) = padded.split_at_mut(payload.len().div_ceil(fr32::GROUP_PAYLOAD) * fr32::GROUP_PADDED);
	fr32::pad(payload, front).expect("the front has exactly the length that the payload needs");
	rest.fill(0);
}

/// CommP of what `reader` gives.
///
/// # Errors
/// See [`CommPError`].
pub fn piece_info(reader: impl Read) -> Result<PieceInfo, CommPError> {
	copy_with_piece_info(reader, io::sink())
}

/// Copies `reader` to `writer` and computes CommP on the way.
///
/// # Errors
/// See [`CommPError`].
pub fn copy_with_piece_info(reader: impl Read, writer: impl Write) -> Result<PieceInfo, CommPError> {
	let mut hasher = CommPHasher::new();
	feed(&mut hasher, reader, writer)?;
	hasher.finish()
}

/// CommP of a file.
///
/// # Errors
/// See [`CommPError`].
pub fn piece_info_of_file(path: &Path) -> Result<PieceInfo, CommPError> {
	piece_info(File::open(path)?)
}

/// Feeds `reader` to `hasher` and `writer`, a batch at a time.
pub(crate) fn feed(
	hasher: &mut CommPHasher,
	mut reader: impl Read,
	mut writer: impl Write,
) -> io::Result<()> {
	let mut batch = vec![0u8; BATCH];
	loop {
		let mut filled = 0;
		while filled < batch.len() {
			match reader.read(&mut batch[filled..]) {
				Ok(0) => break,
				Ok(read) => filled += read,
				Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
				Err(e) => return Err(e),
			}
		}
		if filled == 0 {
			return Ok(());
		}
		writer.write_all(&batch[..filled])?;
		hasher.update(&batch[..filled]);
		if hasher.payload_size() > capacity(cairn_primitives::proof_type::MAX_SECTOR_SIZE_LOG2) {
			// An endless reader must end somewhere; `finish` says why.
			return Ok(());
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_primitives::{commitment::comm_p, hash::NativeSha256};
	use rand_chacha::{rand_core::RngCore, rand_core::SeedableRng, ChaCha8Rng};

	fn reference(payload: &[u8], size_log2: u8) -> PieceInfo {
		let mut padded = vec![0; 1 << size_log2];
		pad_zero_filled(payload, &mut padded);
		PieceInfo {
			commitment: comm_p::<NativeSha256>(&padded).unwrap(),
			size_log2,
			payload_size: payload.len() as u64,
		}
	}

	#[test]
	fn agrees_with_the_definition_at_every_boundary() {
		let seed = 11;
		println!("seed {seed}");
		let mut rng = ChaCha8Rng::seed_from_u64(seed);
		let mut bytes = vec![0; 2 * BATCH + 3 * BASE_PAYLOAD + 5];
		rng.fill_bytes(&mut bytes);
		let mut sizes = vec![
			0,
			1,
			126,
			127,
			128,
			254,
			255,
			1016,
			2032,
			2033,
			65_000,
			bytes.len(),
		];
		for edge in [BASE_PAYLOAD, 2 * BASE_PAYLOAD, 5 * BASE_PAYLOAD, BATCH, 2 * BATCH] {
			sizes.extend([edge - 1, edge, edge + 1]);
		}
		for size in sizes {
			let payload = &bytes[..size];
			let size_log2 = size_log2_for_payload(size as u64).unwrap();
			let expected = reference(payload, size_log2);
			assert_eq!(piece_info(payload).unwrap(), expected, "{size} bytes at once");
			let mut hasher = CommPHasher::new();
			let mut rest = payload;
			while !rest.is_empty() {
				let (head, tail) = rest.split_at((1 + rng.next_u32() as usize % (BATCH / 3)).min(rest.len()));
				hasher.update(head);
				rest = tail;
			}
			assert_eq!(hasher.payload_size(), size as u64);
			assert_eq!(hasher.finish().unwrap(), expected, "{size} bytes in slices");
			let mut hasher = CommPHasher::new();
			hasher.update(payload);
			let padded = hasher.finish_padded(size_log2 + 2).unwrap();
			assert_eq!(
				padded,
				reference(payload, size_log2 + 2),
				"{size} bytes in a larger piece"
			);
		}
	}

	#[test]
	fn rows_end_in_the_commitment() {
		let dir = tempfile::tempdir().unwrap();
		for (payload, rows) in [
			(10usize, false),
			(BASE_PAYLOAD, false),
			(BASE_PAYLOAD + 1, true),
			(BATCH + 77, true),
		] {
			let mut hasher = CommPHasher::with_rows(dir.path()).unwrap();
			hasher.update(&vec![3; payload]);
			let hashed = hasher.finish_rows(None).unwrap();
			assert_eq!(hashed.rows.is_some(), rows, "{payload}");
			assert_eq!(hashed.info, piece_info(&vec![3; payload][..]).unwrap());
		}
	}

	#[test]
	fn a_copy_is_the_payload() {
		let payload: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
		let mut copy = Vec::new();
		let info = copy_with_piece_info(&payload[..], &mut copy).unwrap();
		assert_eq!(copy, payload);
		assert_eq!(info, reference(&payload, 17));
	}

	#[test]
	fn what_does_not_fit_is_refused() {
		let mut hasher = CommPHasher::new();
		hasher.update(&[1; 128]);
		assert!(matches!(
			hasher.finish_padded(7),
			Err(CommPError::TooLarge { payload_size: 128 })
		));
		let mut hasher = CommPHasher::new();
		hasher.payload_size = u64::MAX;
		assert!(matches!(hasher.finish(), Err(CommPError::TooLarge { .. })));
	}
}
