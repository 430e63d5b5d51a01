//! Datasets that are fetched to be kept.

use super::{
	super::{
		data_api::{upload, CODEX},
		trustless::folder,
	},
	peers::Peer,
	*,
};
use cairn_dag::{walk, BlockSource};
use std::collections::HashSet;

#[tokio::test]
async fn a_dataset_goes_from_node_to_node_and_outlives_its_first() {
	let content = bytes(1, 1_500_000);
	let mut first = Node::with(&[], |_| {}).await;
	let headers = [
		("content-type", "text/plain"),
		("content-disposition", "attachment; filename=\"sample.txt\""),
	];
	let text = upload(&first.router, content.clone(), &headers).await;
	let cid: Cid = text.parse().unwrap();
	first.join().await;

	let second = Node::joined(&first.addresses()).await;
	// As a Codex client does.
	let path = format!("{CODEX}/data/{text}/network");
	let answer = local(&second.router, Method::POST, &path, &[], Body::empty()).await;
	assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
	let item: Value = answer.json();
	assert_eq!(item["cid"], text);
	assert_eq!(item["manifest"]["datasetSize"], content.len());
	assert_eq!(item["manifest"]["filename"], "sample.txt");

	let fetch = second.ended(&cid).await;
	assert_eq!(fetch["state"], "complete", "{fetch}");
	let original = first.data().repo.dataset(&cid).unwrap().unwrap();
	let copy = second.data().repo.dataset(&cid).unwrap().unwrap();
	assert_eq!((copy.blocks, copy.bytes), (original.blocks, original.bytes));
	assert_eq!(fetch["receivedBlocks"], original.blocks);
	assert_eq!(fetch["receivedBytes"], original.bytes);
	assert_eq!(
		(
			&fetch["kept"],
			&fetch["readers"],
			&fetch["localBlocks"],
			&fetch["peers"]
		),
		(&true.into(), &0.into(), &0.into(), &1.into())
	);
	assert_eq!(fetch["manifest"], item["manifest"]);
	assert_eq!(second.get(&cid, "").await.body, content);
	let space = second.settles(|space| space.reserved == 0).await;
	assert_eq!((space.used, space.hidden_datasets), (original.bytes, 0));
	// For as long as what comes without a lifetime is kept.
	let list: Value = read(&second.router, &format!("{CAIRN}/data"), &[]).await.json();
	let kept = &list["content"][0];
	assert_eq!(
		kept["expiresAt"].as_u64().unwrap() - kept["createdAt"].as_u64().unwrap(),
		30 * 24 * 3600
	);
	// Fetching what is here is no fetch.
	assert_eq!(second.keep(&cid).await.status, StatusCode::OK);
	assert_eq!(second.give_up(&cid).await, StatusCode::NO_CONTENT);
	assert_eq!(second.give_up(&cid).await, StatusCode::NOT_FOUND);

	// What was fetched is announced and served like what was uploaded, also when its first node is gone.
	let host = second.network.as_ref().unwrap().host().clone();
	let announced = async {
		while !host.provided().await.unwrap().contains(&cid.hash().to_bytes()) {
			tokio::time::sleep(Duration::from_millis(20)).await;
		}
	};
	soon(announced).await;
	first.stop().await;
	let third = Node::joined(&second.addresses()).await;
	assert_eq!(third.keep(&cid).await.status, StatusCode::OK);
	assert_eq!(third.ended(&cid).await["state"], "complete");
	assert_eq!(third.get(&cid, "").await.body, content);
	let metrics = String::from_utf8(third.world.provider().metrics.encode().unwrap()).unwrap();
	assert!(metrics.contains("cairn_provider_fetches_total{outcome=\"complete\"} 1"));
}

#[tokio::test]
async fn files_folders_and_raw_blocks_are_datasets_too() {
	let content = bytes(2, 100_000);
	let mut blocks = MemoryBlocks::new();
	let file = add_file(&mut blocks, &content);
	let other = add_file(&mut blocks, b"another file");
	let root = folder(&mut blocks, &[("file", file), ("other", other), ("same", file)]);
	let raw = Block::encode(cairn_dag::Codec::Raw, &b"a raw block"[..]);
	let mut all: Vec<Block> = blocks.iter().cloned().collect();
	all.push(raw.clone());
	let peer = Peer::with(&all, &[], &[file, root, *raw.cid()]).await;
	let node = Node::joined(peer.addresses()).await;

	for (cid, expected) in [(file, &content[..]), (*raw.cid(), b"a raw block")] {
		let answer = node.keep(&cid).await;
		assert_eq!(
			answer.json::<Value>(),
			serde_json::json!({"cid": cid.to_string(), "manifest": null})
		);
		assert_eq!(node.ended(&cid).await["state"], "complete");
		assert_eq!(node.get(&cid, "").await.body, expected);
	}
	assert_eq!(node.keep(&root).await.status, StatusCode::OK);
	let fetch = node.ended(&root).await;
	assert_eq!(fetch["state"], "complete", "{fetch}");
	// The file is here already.
	assert!(fetch["localBlocks"].as_u64().unwrap() > 300, "{fetch}");
	assert_eq!(fetch["receivedBlocks"], 2);
	let repo = node.data().repo.clone();
	let below: HashSet<Cid> = walk::walk(&blocks, root, walk::Scope::All)
		.map(|block| *block.unwrap().cid())
		.collect();
	assert_eq!(repo.dataset(&root).unwrap().unwrap().blocks, below.len() as u64);
	// Each dataset holds what belongs to it.
	repo.delete(&file).unwrap();
	for cid in &below {
		assert!(BlockSource::has(&repo, cid).unwrap(), "{cid}");
	}
	repo.delete(&root).unwrap();
	let left = raw.data().len() as u64;
	node.settles(|space| space.used == left && space.hidden_datasets == 0)
		.await;
}

#[tokio::test]
async fn what_is_here_is_not_fetched() {
	let sample = Sample::new(3, 2_000_000);
	let peer = Peer::of(&sample.blocks, &sample.cid).await;
	let node = Node::joined(peer.addresses()).await;
	// The first blocks of data, and nodes over them, are those of another dataset.
	let half = sample.content[..16 * 65536].to_vec();
	let other: Cid = upload(&node.router, half, &[]).await.parse().unwrap();
	assert_eq!(node.keep(&sample.cid).await.status, StatusCode::OK);
	let fetch = node.ended(&sample.cid).await;
	assert_eq!(fetch["state"], "complete", "{fetch}");
	// 16 blocks and the 15 nodes over them.
	assert_eq!(fetch["localBlocks"], 31);
	assert_eq!(fetch["receivedBlocks"], sample.blocks.len() - 31);
	// On a busy machine a block that is late is asked for twice.
	let received = fetch["receivedBytes"].as_u64().unwrap();
	let whole = sample.stored_bytes();
	assert!(
		(received..whole).contains(&peer.sent()),
		"{} of {whole}",
		peer.sent()
	);
	node.data().repo.delete(&other).unwrap();
	let stored = sample.stored_bytes();
	node.settles(|space| space.used == stored).await;
	assert_eq!(node.get(&sample.cid, "").await.body, sample.content);
}

#[tokio::test]
async fn a_manifest_alone_is_completed() {
	let sample = Sample::new(4, 300_000);
	let peer = Peer::of(&sample.blocks, &sample.cid).await;
	let node = Node::joined(peer.addresses()).await;
	let manifest = sample.blocks.last().unwrap();
	let path = format!("{CAIRN}/blocks/{}?ttl=never", cid_text(&sample.cid));
	let put = local(&node.router, Method::PUT, &path, &[], manifest.data().to_vec()).await;
	assert_eq!(put.status, StatusCode::CREATED);
	assert_eq!(node.get(&sample.cid, "").await.problem(), ErrorKind::NotFound);
	assert_eq!(node.keep(&sample.cid).await.status, StatusCode::OK);
	assert_eq!(node.ended(&sample.cid).await["state"], "complete");
	assert_eq!(node.get(&sample.cid, "").await.body, sample.content);
	// It is kept for as long as was asked for before.
	let dataset = node.data().repo.dataset(&sample.cid).unwrap().unwrap();
	assert_eq!(dataset.expiry, cairn_blockstore::Expiry::Never);
	assert_eq!(dataset.blocks, sample.blocks.len() as u64);
}

#[tokio::test]
async fn a_block_of_a_dataset_is_kept_on_its_own() {
	let node = Node::with(&[], |_| {}).await;
	let sample = Sample::new(5, 200_000);
	let cid: Cid = upload(&node.router, sample.content.clone(), &[])
		.await
		.parse()
		.unwrap();
	let leaf = sample.leaves[0];
	assert_eq!(node.keep(&leaf).await.status, StatusCode::OK);
	node.data().repo.delete(&cid).unwrap();
	node.settles(|space| space.blocks == 1 && space.hidden_datasets == 0)
		.await;
	assert_eq!(node.get(&leaf, "").await.body, sample.content[..65536]);
}

#[tokio::test]
async fn a_manifest_is_read_and_not_stored() {
	let sample = Sample::new(6, 300_000);
	let peer = Peer::of(&sample.blocks, &sample.cid).await;
	let node = Node::joined(peer.addresses()).await;
	let answer = node.get(&sample.cid, "/network/manifest").await;
	assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
	assert_eq!(answer.json::<Value>()["manifest"]["datasetSize"], 300_000);
	assert_eq!(peer.sent(), sample.blocks.last().unwrap().data().len() as u64);
	assert!(!node.exists(&sample.cid).await);
	let list: Value = read(&node.router, &format!("{CAIRN}/fetches"), &[]).await.json();
	assert_eq!(list, serde_json::json!({"fetches": []}));
	node.is_empty().await;
}

#[tokio::test]
async fn only_who_may_upload_has_something_fetched() {
	let sample = Sample::new(7, 100_000);
	let peer = Peer::of(&sample.blocks, &sample.cid).await;
	let node = Node::joined(peer.addresses()).await;
	let text = cid_text(&sample.cid);
	let ways = ["network/stream", "network/manifest"];
	for way in ways {
		// Without a connection from this machine.
		let answer = get(&node.router, &format!("{CAIRN}/data/{text}/{way}"), &[]).await;
		assert_eq!(answer.problem(), ErrorKind::Forbidden, "{way}");
	}
	for (method, path) in [
		(Method::POST, format!("data/{text}/network")),
		(Method::GET, "fetches".into()),
		(Method::GET, format!("fetches/{text}")),
		(Method::DELETE, format!("fetches/{text}")),
	] {
		let answer = ask(
			&node.router,
			method,
			&format!("{CAIRN}/{path}"),
			&[],
			Body::empty(),
		)
		.await;
		assert_eq!(answer.problem(), ErrorKind::Forbidden, "{path}");
	}
	assert_eq!(peer.sent(), 0);
	assert_eq!(node.keep(&sample.cid).await.status, StatusCode::OK);
	assert_eq!(node.ended(&sample.cid).await["state"], "complete");
	// What is here is for everybody.
	for way in ways {
		let answer = get(&node.router, &format!("{CAIRN}/data/{text}/{way}"), &[]).await;
		assert_eq!(answer.status, StatusCode::OK, "{way}");
	}
}
