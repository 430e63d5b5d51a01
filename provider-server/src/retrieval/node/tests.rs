use super::*;
use crate::simulation::{offer, test_config, Offer, World};
use cairn_dag::Codec;
use cairn_primitives::Tier;

/// A world with a stored deal and a block store, which has `block`, and the deal's root too if `twice`.
async fn world(block: &Block, twice: bool) -> (World, Offer, NodeBlocks) {
	let mut config = test_config();
	config.repo.enabled = true;
	let world = World::with(config).await;
	let offer = offer(1, Tier::Hot);
	world.store(&offer).await;
	let provider = world.provider();
	let data = provider.data.clone().unwrap();
	let blocks = NodeBlocks::new(PieceBlocks::new(provider.clone()), provider.data.clone());
	data.put_block(block.clone(), None).unwrap();
	if twice {
		let root = blocks.get(&offer.root).unwrap().unwrap();
		data.put_block(root, None).unwrap();
	}
	(world, offer, blocks)
}

fn block() -> Block {
	Block::encode(Codec::Raw, &b"in the block store"[..])
}

#[tokio::test]
async fn blocks_are_found_in_pieces_and_in_the_block_store() {
	let block = block();
	let (_world, offer, blocks) = world(&block, false).await;
	assert_eq!(blocks.get(block.cid()).unwrap(), Some(block.clone()));
	assert_eq!(blocks.size(block.cid()).unwrap(), Some(18));
	let in_piece = blocks.get(&offer.root).unwrap().unwrap();
	assert_eq!((in_piece.cid(), in_piece.data().len()), (&offer.root, 200));
	assert_eq!(blocks.size(&offer.root).unwrap(), Some(200));
	let absent = *Block::encode(Codec::Raw, &b"nowhere"[..]).cid();
	assert_eq!(blocks.get(&absent).unwrap(), None);
	assert_eq!(blocks.size(&absent).unwrap(), None);
	for (cid, here) in [(block.cid(), true), (&offer.root, true), (&absent, false)] {
		assert_eq!(blocks.has(cid).unwrap(), here, "{cid}");
	}
}

#[tokio::test]
async fn a_piece_that_cannot_be_read_hides_no_block_of_the_block_store() {
	let (world, offer, blocks) = world(&block(), true).await;
	std::fs::remove_file(world.provider().sectors.piece_path(&offer.proposal.piece)).unwrap();
	// Anew: the file of the last piece stays open.
	let provider = world.provider();
	let again = || NodeBlocks::new(PieceBlocks::new(provider.clone()), provider.data.clone());
	assert_eq!(
		again().get(&offer.root).unwrap(),
		blocks.get(&offer.root).unwrap()
	);
	let alone = NodeBlocks::new(PieceBlocks::new(provider.clone()), None);
	assert!(alone.get(&offer.root).is_err(), "its piece is gone");
	let other = cairn_dag::Block::encode(Codec::Raw, crate::simulation::car(1, 3, 200).1[1].data().to_vec());
	assert!(again().get(other.cid()).is_err(), "it was in the piece alone");
}

#[tokio::test]
async fn without_a_block_store_there_are_pieces() {
	let block = block();
	let (world, offer, _) = world(&block, false).await;
	let pieces = PieceBlocks::new(world.provider().clone());
	let blocks = NodeBlocks::new(pieces, None);
	assert!(blocks.has(&offer.root).unwrap());
	assert_eq!(blocks.get(block.cid()).unwrap(), None);
	assert_eq!(blocks.size(block.cid()).unwrap(), None);
}
