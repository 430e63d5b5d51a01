//! The node's blocks, wherever they are: in stored pieces, or in its own block store.

use super::PieceBlocks;
use crate::data::Data;
use cairn_dag::{Block, BlockSource, SourceError};
use cid::Cid;
use std::sync::Arc;

/// What the node serves to whoever names a block: over HTTP, Bitswap and the native exchange alike.
pub struct NodeBlocks {
	pieces: PieceBlocks,
	data: Option<Arc<Data>>,
}

impl NodeBlocks {
	/// Blocks of these pieces, and of the block store if there is one.
	pub fn new(pieces: PieceBlocks, data: Option<Arc<Data>>) -> Self {
		Self { pieces, data }
	}

	/// Bytes of a block, by the indexes: whoever only asks whether a block is here does not have it read or unsealed.
	///
	/// # Errors
	/// When an index cannot be read.
	pub fn size(&self, cid: &Cid) -> Result<Option<u64>, SourceError> {
		if let Some(size) = self.pieces.size(cid)? {
			return Ok(Some(size));
		}
		let Some(data) = &self.data else {
			return Ok(None);
		};
		let stat = data.repo.stat(cid).map_err(SourceError::new)?;
		Ok(stat.filter(|stat| !stat.damaged).map(|stat| stat.size.into()))
	}

	/// As [`PieceBlocks::passed_over`].
	pub fn passed_over(&self) -> bool {
		self.pieces.passed_over()
	}
}

impl BlockSource for NodeBlocks {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		let in_pieces = self.pieces.get(cid);
		let (Ok(None) | Err(_), Some(data)) = (&in_pieces, &self.data) else {
			return in_pieces;
		};
		// Also after an error: a piece that cannot be read is no reason not to look further.
		match (data.repo.get(cid), in_pieces) {
			(Ok(Some(block)), _) => Ok(Some(block)),
			(Ok(None), in_pieces) => in_pieces,
			(Err(_), Err(error)) => Err(error),
			(Err(error), Ok(_)) => Err(SourceError::new(error)),
		}
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		Ok(self.size(cid)?.is_some())
	}
}

#[cfg(test)]
mod tests;
