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

#[cfg(test)]
mod tests {
	use super::*;
	use crate::simulation::{car, offer, test_config, World};
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
}
