//! Data of deals beside the node's own block store: nothing that takes data out of the one touches the other.

use super::{
	data_api::{local, node, read, settled, CAIRN, CODEX},
	*,
};
use crate::deal::DealState;
use cairn_blockstore::{
	repo::{CommitOptions, FsckOptions},
	Repo, Ttl,
};
use cairn_dag::Block;

fn blocks(offer: &Offer) -> Vec<Block> {
	let blocks = crate::simulation::car(1, 3, 200).1;
	assert_eq!(*blocks[0].cid(), offer.root);
	blocks
}

fn repo(world: &World) -> Repo {
	world.provider().data.as_ref().unwrap().repo.clone()
}

/// Puts the blocks of the deal's object into the block store, as a dataset under the same root.
fn commit(repo: &Repo, offer: &Offer, options: &CommitOptions) {
	let mut upload = repo.upload(0).unwrap();
	for block in blocks(offer) {
		upload.put(block).unwrap();
	}
	upload.commit(&offer.root, options).unwrap();
	assert!(blocks(offer).iter().all(|block| repo.has(block.cid()).unwrap()));
}

async fn delete(router: &Router, root: &Cid) -> StatusCode {
	let path = format!("{CAIRN}/data/{root}");
	local(router, Method::DELETE, &path, &[], Body::empty())
		.await
		.status
}

/// The piece, its index and its file are there, and every block is served from them.
async fn assert_served(world: &World, router: &Router, offer: &Offer) {
	for block in blocks(offer) {
		let answer = get(router, &format!("/ipfs/{}?format=raw", block.cid()), &[]).await;
		assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, block.data()));
	}
	let piece = &offer.proposal.piece;
	let path = format!("/piece/{}", piece_cid::v1(&piece.commitment));
	assert_eq!(get(router, &path, &[]).await.body, offer.car);
	assert!(world.provider().sectors.has_piece(piece));
}

#[tokio::test]
async fn a_live_deals_data_outlives_everything_that_removes_datasets() {
	let (mut world, router) = node().await;
	let offer = offer(1, Tier::Hot);
	world.store(&offer).await;
	let repo = repo(&world);
	let quota = repo.space().unwrap().quota;
	// Before the deal is active, and after.
	for _ in 0..2 {
		assert_eq!(
			delete(&router, &offer.root).await,
			StatusCode::NO_CONTENT,
			"there is no such dataset"
		);
		assert_served(&world, &router, &offer).await;

		commit(&repo, &offer, &CommitOptions::default());
		assert_eq!(delete(&router, &offer.root).await, StatusCode::NO_CONTENT);
		settled(&world, &router).await;
		assert!(!repo.has(&offer.root).unwrap());
		assert_served(&world, &router, &offer).await;

		let evictable = CommitOptions {
			evictable: true,
			..CommitOptions::default()
		};
		commit(&repo, &offer, &evictable);
		drop(repo.reserve(quota).unwrap());
		assert!(!repo.has(&offer.root).unwrap(), "it was evicted");
		assert_served(&world, &router, &offer).await;

		let expiring = CommitOptions {
			ttl: Some(Ttl::Seconds(1.try_into().unwrap())),
			..CommitOptions::default()
		};
		commit(&repo, &offer, &expiring);
		while repo.dataset(&offer.root).unwrap().is_some() {
			// What `store gc` does. The worker may be faster.
			repo.maintain().unwrap();
			tokio::time::sleep(std::time::Duration::from_millis(20)).await;
		}
		assert!(repo.fsck(FsckOptions::default()).unwrap().is_clean());
		assert_served(&world, &router, &offer).await;
		world
			.blocks_until(60, "the deal is active", |world| world.is_active(&offer))
			.await;
	}
	assert_eq!(repo.space().unwrap().used, 0);
	assert_eq!(world.chain.refused(), []);
}

#[tokio::test]
async fn a_dataset_outlives_the_deal_that_has_the_same_blocks() {
	let (mut world, router) = node().await;
	let offer = offer(1, Tier::Hot);
	world.store(&offer).await;
	commit(&repo(&world), &offer, &CommitOptions::default());
	world
		.blocks_until(200, "the deal has ended", |world| {
			matches!(world.deal_state(&offer), DealState::Ended { .. })
		})
		.await;
	let piece = offer.proposal.piece;
	world
		.blocks_until(60, "the piece is removed", |world| {
			world.provider().store.pieces().unwrap().is_empty()
		})
		.await;
	let provider = world.provider();
	assert!(!provider.sectors.has_piece(&piece));
	assert!(provider.sectors.pieces().unwrap().is_empty());
	for block in blocks(&offer) {
		let hash = block.cid().hash().to_bytes();
		assert_eq!(provider.store.block_locations(&hash, 8).unwrap(), []);
		assert_eq!(repo(&world).get(block.cid()).unwrap(), Some(block));
	}
	let path = format!("/piece/{}", piece_cid::v1(&piece.commitment));
	assert_eq!(get(&router, &path, &[]).await.problem(), ErrorKind::NotFound);
	let kept = read(&router, &format!("{CODEX}/data/{}/exists", offer.root), &[]).await;
	assert_eq!(kept.status, StatusCode::OK);
}
