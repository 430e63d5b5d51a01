//! Pieces: the unit that a deal stores and a sector packs.
//!
//! A piece is a payload of any length, Fr32-padded and filled with zeros to a power of two of at
//! least 128 bytes. Its commitment (CommP) is the Merkle root over the padded bytes. The commitment
//! carries no size, so commitment, padded size and payload size travel together.

use crate::{fr32, proof_type::MAX_SECTOR_SIZE_LOG2};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Root of a SHA-256-trunc254 Merkle tree: CommP, CommD, CommC, CommRLast or CommR.
pub type Commitment = [u8; 32];

/// Smallest padded size of a piece, in bytes.
pub const PIECE_MIN_SIZE: u64 = 128;
/// Binary logarithm of [`PIECE_MIN_SIZE`].
pub const PIECE_MIN_SIZE_LOG2: u8 = 7;

/// A piece: commitment, padded size and payload size.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug,
)]
pub struct PieceInfo {
	/// CommP: Merkle root over the padded piece.
	pub commitment: Commitment,
	/// Binary logarithm of the padded size in bytes.
	pub size_log2: u8,
	/// Bytes of payload, before Fr32 padding.
	pub payload_size: u64,
}

impl PieceInfo {
	/// Padded size in bytes; 0 if `size_log2` is out of range.
	pub const fn padded_size(&self) -> u64 {
		if self.size_log2 > MAX_SECTOR_SIZE_LOG2 {
			0
		} else {
			1 << self.size_log2
		}
	}

	/// 32-byte leaves of the padded piece.
	pub const fn leaves(&self) -> u64 {
		self.padded_size() / 32
	}

	/// Leaves of the padded piece that carry payload, the last one perhaps in part. They are the
	/// piece's first ones.
	pub const fn payload_leaves(&self) -> u64 {
		payload_leaves(self.payload_size)
	}

	/// Whether the sizes are possible: a padded size from 128 bytes to the largest sector, and a
	/// payload that is not empty and fits.
	pub const fn is_valid(&self) -> bool {
		self.size_log2 >= PIECE_MIN_SIZE_LOG2
			&& self.size_log2 <= MAX_SECTOR_SIZE_LOG2
			&& self.payload_size > 0
			&& self.payload_size <= capacity(self.size_log2)
	}
}

/// Payload bytes that fit a piece or sector of 2^`size_log2` padded bytes: 127/128 of them. 0 below
/// the smallest piece and above the largest sector.
pub const fn capacity(size_log2: u8) -> u64 {
	if size_log2 < PIECE_MIN_SIZE_LOG2 || size_log2 > MAX_SECTOR_SIZE_LOG2 {
		0
	} else {
		(1 << (size_log2 - PIECE_MIN_SIZE_LOG2)) * 127
	}
}

/// Binary logarithm of the smallest padded size that holds `payload_size` bytes. `None` if that is
/// more than the largest sector.
pub const fn size_log2_for_payload(payload_size: u64) -> Option<u8> {
	let mut size_log2 = PIECE_MIN_SIZE_LOG2;
	while size_log2 <= MAX_SECTOR_SIZE_LOG2 {
		if payload_size <= capacity(size_log2) {
			return Some(size_log2);
		}
		size_log2 += 1;
	}
	None
}

/// 32-byte leaves that carry `payload_size` bytes after Fr32 padding: one per 254 bits begun.
pub const fn payload_leaves(payload_size: u64) -> u64 {
	fr32::padded_len(payload_size).div_ceil(32)
}

/// Why pieces cannot be laid out in a sector.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LayoutError {
	/// A piece's padded size is below 128 bytes or above the sector's.
	#[error("a piece's padded size does not fit the sector")]
	PieceSize,
	/// The pieces, each aligned to its own size, exceed the sector.
	#[error("the pieces exceed the sector")]
	Overflow,
	/// The sector's size is out of range.
	#[error("the sector's size is out of range")]
	SectorSize,
}

/// Walks pieces through a sector: each at the next offset that is a multiple of its own size.
pub struct Layout {
	sector_size: u64,
	end: u64,
}

impl Layout {
	/// An empty sector of 2^`sector_size_log2` bytes.
	///
	/// # Errors
	/// [`LayoutError::SectorSize`] if it is below the smallest piece or above the largest sector.
	pub const fn new(sector_size_log2: u8) -> Result<Self, LayoutError> {
		if sector_size_log2 < PIECE_MIN_SIZE_LOG2 || sector_size_log2 > MAX_SECTOR_SIZE_LOG2 {
			return Err(LayoutError::SectorSize);
		}
		Ok(Layout {
			sector_size: 1 << sector_size_log2,
			end: 0,
		})
	}

	/// Places a piece of 2^`size_log2` padded bytes and returns its offset in bytes.
	///
	/// # Errors
	/// [`LayoutError::PieceSize`] or [`LayoutError::Overflow`]; the layout is unchanged then.
	pub const fn place(&mut self, size_log2: u8) -> Result<u64, LayoutError> {
		if size_log2 < PIECE_MIN_SIZE_LOG2
			|| size_log2 > MAX_SECTOR_SIZE_LOG2
			|| 1 << size_log2 > self.sector_size
		{
			return Err(LayoutError::PieceSize);
		}
		let size = 1u64 << size_log2;
		let offset = self.end.div_ceil(size) * size;
		if offset + size > self.sector_size {
			return Err(LayoutError::Overflow);
		}
		self.end = offset + size;
		Ok(offset)
	}

	/// First byte after the last piece.
	pub const fn end(&self) -> u64 {
		self.end
	}
}

/// Leaf offset of each piece in a sector of 2^`sector_size_log2` bytes, in the given order, each
/// aligned to its own size.
///
/// # Errors
/// See [`LayoutError`].
pub fn layout(pieces: &[PieceInfo], sector_size_log2: u8) -> Result<Vec<u64>, LayoutError> {
	let mut layout = Layout::new(sector_size_log2)?;
	pieces
		.iter()
		.map(|piece| Ok(layout.place(piece.size_log2)? / 32))
		.collect()
}

#[cfg(test)]
mod tests {
	use super::*;

	fn piece(size_log2: u8) -> PieceInfo {
		PieceInfo {
			commitment: [0; 32],
			size_log2,
			payload_size: 1,
		}
	}

	#[test]
	fn sizes() {
		assert_eq!(capacity(7), 127);
		assert_eq!(capacity(11), 2032);
		assert_eq!(capacity(30), 1_065_353_216);
		assert_eq!(capacity(6), 0);
		assert_eq!(capacity(37), 0);
		assert_eq!(size_log2_for_payload(0), Some(7));
		assert_eq!(size_log2_for_payload(127), Some(7));
		assert_eq!(size_log2_for_payload(128), Some(8));
		assert_eq!(size_log2_for_payload(capacity(36)), Some(36));
		assert_eq!(size_log2_for_payload(capacity(36) + 1), None);
		assert_eq!(size_log2_for_payload(u64::MAX), None);
	}

	#[test]
	fn payload_leaf_counts() {
		for (payload, leaves) in [
			(0, 0),
			(1, 1),
			(31, 1),
			(32, 2),
			(63, 2),
			(64, 3),
			(95, 3),
			(96, 4),
			(127, 4),
			(128, 5),
		] {
			assert_eq!(payload_leaves(payload), leaves, "{payload}");
		}
		assert_eq!(payload_leaves(capacity(36)), 1 << 31);
	}

	#[test]
	fn validity() {
		let mut p = PieceInfo {
			commitment: [0; 32],
			size_log2: 7,
			payload_size: 127,
		};
		assert!(p.is_valid());
		p.payload_size = 128;
		assert!(!p.is_valid());
		p.payload_size = 0;
		assert!(!p.is_valid());
		assert!(!piece(6).is_valid());
		assert!(!piece(37).is_valid());
		assert!(!piece(255).is_valid());
		assert_eq!(piece(255).leaves(), 0);
	}

	#[test]
	fn pieces_are_aligned_to_their_size_in_order() {
		let pieces = [piece(7), piece(9), piece(8), piece(7), piece(7)];
		// Bytes: 0, 512, 1024, 1280, 1408.
		assert_eq!(layout(&pieces, 11), Ok(alloc::vec![0, 16, 32, 40, 44]));
		assert_eq!(layout(&[], 11), Ok(alloc::vec![]));
		assert_eq!(layout(&[piece(11)], 11), Ok(alloc::vec![0]));
	}

	#[test]
	fn impossible_layouts() {
		assert_eq!(layout(&[piece(12)], 11), Err(LayoutError::PieceSize));
		assert_eq!(layout(&[piece(6)], 11), Err(LayoutError::PieceSize));
		assert_eq!(layout(&[piece(255)], 11), Err(LayoutError::PieceSize));
		assert_eq!(layout(&[piece(7), piece(11)], 11), Err(LayoutError::Overflow));
		assert_eq!(
			layout(&[piece(10), piece(7), piece(10)], 11),
			Err(LayoutError::Overflow)
		);
		assert_eq!(layout(&[], 6), Err(LayoutError::SectorSize));
		assert_eq!(layout(&[], 37), Err(LayoutError::SectorSize));
	}
}
