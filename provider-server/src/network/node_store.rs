//! The node's blocks as the exchange asks for them.

use crate::{
	data::Data,
	retrieval::{NodeBlocks, PieceBlocks},
};
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
	blocks: NodeBlocks,
}

impl NodeStore {
	/// Blocks of these pieces, and of the block store if there is one.
	pub fn new(pieces: PieceBlocks, data: Option<Arc<Data>>) -> Self {
		Self {
			blocks: NodeBlocks::new(pieces, data),
		}
	}
}

impl BlockSource for NodeStore {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		self.blocks.get(cid)
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		self.blocks.has(cid)
	}
}

impl BlockStore for NodeStore {
	fn put(&self, _: &[Block]) -> Result<(), SinkError> {
		Err(SinkError::new(ReadOnly))
	}

	fn size(&self, cid: &Cid) -> Result<Option<u64>, SourceError> {
		self.blocks.size(cid)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::simulation::{offer, World};
	use cairn_dag::Codec;
	use cairn_primitives::Tier;

	#[tokio::test]
	async fn peers_read_and_keep_nothing() {
		let world = World::new().await;
		let offer = offer(1, Tier::Hot);
		world.store(&offer).await;
		let provider = world.provider();
		let store = NodeStore::new(PieceBlocks::new(provider.clone()), provider.data.clone());
		assert_eq!(store.size(&offer.root).unwrap(), Some(200));
		let root = store.get(&offer.root).unwrap().unwrap();
		assert_eq!(root.data().len(), 200);
		let strange = Block::encode(Codec::Raw, &b"strange"[..]);
		assert!(store.put(std::slice::from_ref(&strange)).is_err());
		assert!(!store.has(strange.cid()).unwrap());
	}
}
