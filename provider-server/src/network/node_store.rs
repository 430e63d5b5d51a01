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
	use crate::simulation::{car, offer, test_config, World};
	use cairn_dag::Codec;
	use cairn_primitives::Tier;

	fn store(world: &World) -> NodeStore {
		let provider = world.provider().clone();
		let data = provider.data.clone();
		NodeStore::new(PieceBlocks::lasting(provider), data)
	}

	/// What the exchange serves of a block: its bytes, and what it says of it without reading it.
	async fn served(world: &World, cid: Cid) -> Option<Block> {
		let store = store(world);
		let looked_up = tokio::task::spawn_blocking(move || {
			let block = store.get(&cid).unwrap();
			assert_eq!(store.has(&cid).unwrap(), block.is_some());
			let size = block.as_ref().map(|block| block.data().len() as u64);
			assert_eq!(store.size(&cid).unwrap(), size);
			block
		});
		looked_up.await.unwrap()
	}

	#[tokio::test]
	async fn a_block_is_served_as_long_as_one_of_two_reasons_keeps_it() {
		let mut config = test_config();
		config.repo.enabled = true;
		let mut world = World::with(config).await;
		let offer = offer(1, Tier::Hot);
		let block = car(1, 3, 200).1[1].clone();
		let cid = *block.cid();
		assert_eq!(served(&world, cid).await, None);
		world.store(&offer).await;
		assert_eq!(served(&world, cid).await.as_ref(), Some(&block));
		let repo = world.provider().data.as_ref().unwrap().repo.clone();
		let put = || {
			let mut upload = repo.upload(0).unwrap();
			upload.put(block.clone()).unwrap();
			upload.commit(&cid, &Default::default()).unwrap();
		};
		put();
		repo.delete(&cid).unwrap();
		repo.maintain().unwrap();
		assert_eq!(served(&world, cid).await.as_ref(), Some(&block), "by the deal");
		put();
		world
			.blocks_until(300, "the deal's piece is gone", |world| {
				world.provider().store.pieces().unwrap().is_empty() && !world.is_active(&offer)
			})
			.await;
		assert_eq!(served(&world, cid).await.as_ref(), Some(&block), "by the dataset");
		repo.delete(&cid).unwrap();
		assert_eq!(served(&world, cid).await, None);
	}

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
