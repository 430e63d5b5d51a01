//! The blocks of the stored pieces, as the exchange asks for them.

use crate::retrieval::PieceBlocks;
use cairn_dag::{Block, BlockSource, SinkError, SourceError};
use cairn_network::blocks::BlockStore;
use cid::Cid;

/// Why nothing is kept.
#[derive(Debug, thiserror::Error)]
#[error("a provider keeps the blocks of its deals only")]
struct ReadOnly;

/// Serves blocks from the pieces and keeps none.
pub(super) struct PieceStore(PieceBlocks);

impl PieceStore {
	/// Blocks of these pieces.
	pub fn new(blocks: PieceBlocks) -> Self {
		Self(blocks)
	}
}

impl BlockSource for PieceStore {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		self.0.get(cid)
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		Ok(self.size(cid)?.is_some())
	}
}

impl BlockStore for PieceStore {
	fn put(&self, _: &[Block]) -> Result<(), SinkError> {
		Err(SinkError::new(ReadOnly))
	}

	/// From the index: whoever only asks whether a block is here does not have it unsealed.
	fn size(&self, cid: &Cid) -> Result<Option<u64>, SourceError> {
		self.0.size(cid)
	}
}
