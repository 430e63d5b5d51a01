//! The gateway over the node's own block store.

use super::{
	data_api::{local, node, upload, CAIRN},
	trustless::{add, folder},
	*,
};
use crate::data::cid_text;
use cairn_car::CarReader;
use cairn_dag::{Block, BlockSource, Codec};

async fn put(router: &Router, block: &Block) {
	let path = format!("{CAIRN}/blocks/{}", cid_text(block.cid()));
	let answer = local(router, Method::PUT, &path, &[], block.data().to_vec()).await;
	assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
}

#[tokio::test]
async fn blocks_that_were_put_are_served() {
	let (_world, router) = node().await;
	let block = Block::encode(Codec::Raw, &b"content"[..]);
	let path = format!("/ipfs/{}", block.cid());
	assert_eq!(get(&router, &path, &[]).await.problem(), ErrorKind::NotFound);
	put(&router, &block).await;
	for form in ["", "?format=raw"] {
		let answer = get(&router, &format!("{path}{form}"), &[]).await;
		assert_eq!(
			(answer.status, &answer.body[..]),
			(StatusCode::OK, &b"content"[..])
		);
	}
	let cached = [("cache-control", "only-if-cached")];
	assert_eq!(get(&router, &path, &cached).await.status, StatusCode::OK);
	// What is deleted is gone from here too.
	let data = format!("{CAIRN}/data/{}", block.cid());
	let answer = local(&router, Method::DELETE, &data, &[], Body::empty()).await;
	assert_eq!(answer.status, StatusCode::NO_CONTENT);
	assert_eq!(get(&router, &path, &[]).await.problem(), ErrorKind::NotFound);
}

#[tokio::test]
async fn datasets_are_served_block_by_block() {
	let (_world, router) = node().await;
	let cid = upload(&router, b"some file contents".to_vec(), &[]).await;
	let manifest = get(&router, &format!("/ipfs/{cid}?format=raw"), &[]).await;
	assert_eq!(manifest.status, StatusCode::OK);
	assert!(Block::new(cid.parse().unwrap(), manifest.body).is_ok());
}

#[tokio::test]
async fn a_dag_may_lie_in_a_piece_and_in_the_block_store() {
	let mut config = test_config();
	config.repo.enabled = true;
	let mut memory = MemoryBlocks::new();
	let file = add(&mut memory, 0x55, b"content");
	let mut elsewhere = MemoryBlocks::new();
	let other = add(&mut elsewhere, 0x55, b"other");
	let root = folder(&mut memory, &[("file", file), ("other", other)]);
	let (_world, router, _) = with_dag(config, &memory, root).await;
	let path = format!("/ipfs/{root}/other");
	assert_eq!(get(&router, &path, &[]).await.problem(), ErrorKind::NotFound);
	put(&router, &elsewhere.get(&other).unwrap().unwrap()).await;
	assert_eq!(get(&router, &path, &[]).await.body, "other");
	let car = get(&router, &format!("/ipfs/{root}?format=car"), &[]).await;
	let mut reader = CarReader::new(&car.body[..]).unwrap();
	let mut cids = Vec::new();
	while let Some(block) = reader.next_block().unwrap() {
		cids.push(*block.cid());
	}
	assert_eq!(cids, [root, file, other]);
}
