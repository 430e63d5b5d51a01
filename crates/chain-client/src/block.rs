//! Blocks and hashes.

use cairn_primitives::BlockNumber;
use std::fmt;

/// A 32-byte hash: of a block, an extrinsic or a proposal.
pub type Hash = [u8; 32];

/// A block.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockRef {
	/// Its number.
	pub number: BlockNumber,
	/// Its hash.
	pub hash: self::Hash,
}

impl fmt::Debug for BlockRef {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "BlockRef({self})")
	}
}

impl fmt::Display for BlockRef {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "#{} (0x{})", self.number, hex::encode(&self.hash[..4]))
	}
}
