//! The node's blocks as the exchange asks for them: those of stored pieces, then those of its own block store.

use crate::{data::Data, retrieval::PieceBlocks};
use cairn_dag::{Block, BlockSource, SinkError, SourceError};
use cairn_network::blocks::BlockStore;
use cid::Cid;
use std::sync::Arc;

/// Why nothing is kept.
#[derive(Debug, thiserror::Error)]
#[error("blocks come into a provider by deals and through its data API only")]
struct ReadOnly;

/// Serves blocks, and keeps none.
pub(super) struct NodeStore {
	pieces: PieceBlocks,
	data: Option<Arc<Data>>,
}

impl NodeStore {
	/// Blocks of these pieces, and of the block store if there is one.
	pub fn new(pieces: PieceBlocks, data: Option<Arc<Data>>) -> Self {
		Self { pieces, data }
	}
}

impl BlockSource for NodeStore {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		let in_pieces = self.pieces.get(cid);
		let (Ok(None) | Err(_), Some(data)) = (&in_pieces, &self.data) else {
			return in_pieces;
		};
		// Also after an error: a piece that cannot be read is no reason not to look further.
		match data.repo.get(cid).map_err(SourceError::new)? {
			Some(block) => Ok(Some(block)),
			None => in_pieces,
		}
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		Ok(self.size(cid)?.is_some())
	}
}

impl BlockStore for NodeStore {
	fn put(&self, _: &[Block]) -> Result<(), SinkError> {
		Err(SinkError::new(ReadOnly))
	}

	/// From the indexes: whoever only asks whether a block is here does not have it read or unsealed.
	fn size(&self, cid: &Cid) -> Result<Option<u64>, SourceError> {
		if let Some(size) = self.pieces.size(cid)? {
			return Ok(Some(size));
		}
		let Some(data) = &self.data else {
			return Ok(None);
		};
		let stat = data.repo.stat(cid).map_err(SourceError::new)?;
		Ok(stat.filter(|stat| !stat.damaged).map(|stat| stat.size.into()))
	}
}
