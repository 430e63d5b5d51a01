//! Fetches that come to nothing, of which nothing is left.

use super::{peers::Peer, *};
use cairn_blockstore::{Repo, RepoConfig};
use cairn_dag::{
	codec::dag_pb::{PbLink, PbNode},
	codex::Manifest,
	Codec, HashFunction,
};

/// A configuration that does not wait for long.
fn impatient(config: &mut Config) {
	config.repo.fetch_find_seconds = 2;
	config.repo.fetch_idle_seconds = 3;
}

async fn joined(peer: &Peer, change: impl FnOnce(&mut Config)) -> Node {
	let mut node = Node::with(peer.addresses(), change).await;
	node.join().await;
	node
}

#[tokio::test]
async fn what_nobody_has_is_not_found() {
	let sample = Sample::new(20, 1000);
	let alone = Node::with(&[], |_| {}).await;
	let peer = Peer::with(&[], &[], &[]).await;
	let node = joined(&peer, |_| {}).await;
	for node in [&alone, &node] {
		assert_eq!(soon(node.keep(&sample.cid)).await.problem(), ErrorKind::NotFound);
		for way in ["/network/stream", "/network/manifest"] {
			let answer = soon(node.get(&sample.cid, way)).await;
			assert_eq!(answer.problem(), ErrorKind::NotFound, "{way}");
		}
		node.is_empty().await;
	}
	let fetch = node.ended(&sample.cid).await;
	assert_eq!(fetch["problem"]["kind"], "not_found");
}

#[tokio::test]
async fn peers_that_send_nothing_are_waited_for_no_longer_than_configured() {
	let sample = Sample::new(21, 1_000_000);
	// It says to have the dataset, and has not even the root.
	let peer = Peer::with(&[], &[], &[sample.cid]).await;
	let node = joined(&peer, impatient).await;
	assert_eq!(
		soon(node.keep(&sample.cid)).await.problem(),
		ErrorKind::PeerTimeout
	);
	let answer = soon(node.get(&sample.cid, "/network/stream")).await;
	assert_eq!(answer.problem(), ErrorKind::PeerTimeout);
	let answer = soon(node.get(&sample.cid, "/network/manifest")).await;
	assert_eq!(answer.problem(), ErrorKind::PeerTimeout);
	node.is_empty().await;
}

#[tokio::test]
async fn what_does_not_come_to_its_end_is_dropped() {
	let sample = Sample::new(22, 1_500_000);
	let last = *sample.leaves.last().unwrap();
	let peer = Peer::with(&sample.blocks, &[last], &[sample.cid]).await;
	let node = joined(&peer, impatient).await;
	assert_eq!(soon(node.keep(&sample.cid)).await.status, StatusCode::OK);
	let fetch = node.ended(&sample.cid).await;
	assert_eq!(
		(&fetch["state"], &fetch["problem"]["kind"]),
		(&"failed".into(), &"peer_timeout".into())
	);
	assert_eq!(fetch["receivedBlocks"], sample.blocks.len() - 1);
	node.is_empty().await;
	// A client that is in the middle of it does not take the part for the whole.
	let answer = soon(node.get(&sample.cid, "/network/stream")).await;
	assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"<cut>"[..]));
	node.is_empty().await;
}

#[tokio::test]
async fn who_sends_too_little_is_not_waited_for() {
	// A chain of small blocks, each of which is given when the one before has come.
	let mut blocks = vec![Block::encode(Codec::Raw, &b"the last"[..])];
	for _ in 0..200 {
		let link = PbLink {
			cid: *blocks[blocks.len() - 1].cid(),
			name: None,
			tsize: None,
		};
		let node = PbNode {
			links: vec![link],
			data: None,
		};
		blocks.push(Block::encode(Codec::DagPb, node.encode()));
	}
	let root = *blocks[200].cid();
	let withheld: Vec<Cid> = blocks[..200].iter().map(|block| *block.cid()).collect();
	let peer = Peer::with(&blocks, &withheld, &[root]).await;
	let node = joined(&peer, |config| config.repo.fetch_idle_seconds = 2).await;
	assert_eq!(soon(node.keep(&root)).await.status, StatusCode::OK);
	// Never silent for as long as is waited for, and all the same for longer in all.
	let dripping = async {
		for cid in withheld.iter().rev() {
			tokio::time::sleep(Duration::from_millis(100)).await;
			peer.release_one(cid);
		}
	};
	let fetch = tokio::select! {
		() = dripping => panic!("all of it is taken"),
		fetch = node.ended(&root) => fetch,
	};
	assert_eq!(
		(&fetch["state"], &fetch["problem"]["kind"]),
		(&"failed".into(), &"peer_timeout".into())
	);
	assert!(fetch["receivedBlocks"].as_u64().unwrap() > 1, "{fetch}");
	node.is_empty().await;
}

#[tokio::test]
async fn lies_are_not_stored() {
	let sample = Sample::new(23, 300_000);
	let lie = Block::assume_verified(sample.leaves[2], vec![7; 65536]);
	let blocks: Vec<Block> = sample
		.blocks
		.iter()
		.map(|block| {
			if *block.cid() == sample.leaves[2] {
				&lie
			} else {
				block
			}
			.clone()
		})
		.collect();
	let peer = Peer::of(&blocks, &sample.cid).await;
	let node = joined(&peer, impatient).await;
	assert_eq!(soon(node.keep(&sample.cid)).await.status, StatusCode::OK);
	let fetch = node.ended(&sample.cid).await;
	assert_eq!(
		(&fetch["state"], &fetch["problem"]["kind"]),
		(&"failed".into(), &"peer_timeout".into())
	);
	assert!(node
		.network
		.as_ref()
		.unwrap()
		.host()
		.peers()
		.standing(&peer.host.peer_id())
		.is_some());
	node.is_empty().await;
}

#[tokio::test]
async fn the_quota_holds() {
	let sample = Sample::new(24, 3_000_000);
	let content = bytes(25, 3_000_000);
	let mut blocks = MemoryBlocks::new();
	let file = Importer::new(&mut blocks, ImportOptions::default())
		.reader(&content[..])
		.unwrap()
		.root;
	let all: Vec<Block> = sample.blocks.iter().chain(blocks.iter()).cloned().collect();
	let peer = Peer::with(&all, &[], &[sample.cid, file]).await;
	let node = joined(&peer, |config| config.repo.quota = ByteSize(2 << 20)).await;
	// A manifest says how much room is needed, before any of it came.
	assert_eq!(
		soon(node.keep(&sample.cid)).await.problem(),
		ErrorKind::StorageFull
	);
	let answer = soon(node.get(&sample.cid, "/network/stream")).await;
	assert_eq!(answer.problem(), ErrorKind::StorageFull);
	assert_eq!(node.fetch(&sample.cid).await["receivedBlocks"], 1);
	node.is_empty().await;
	// For others it shows when it is used up.
	assert_eq!(soon(node.keep(&file)).await.status, StatusCode::OK);
	let fetch = node.ended(&file).await;
	assert_eq!(
		(&fetch["state"], &fetch["problem"]["kind"]),
		(&"failed".into(), &"storage_full".into())
	);
	node.is_empty().await;
}

#[tokio::test]
async fn room_is_set_aside_while_a_dataset_comes() {
	let sample = Sample::new(26, 3_000_000);
	let peer = Peer::with(&sample.blocks, &sample.leaves[5..], &[sample.cid]).await;
	let node = joined(&peer, |config| config.repo.quota = ByteSize(4 << 20)).await;
	assert_eq!(soon(node.keep(&sample.cid)).await.status, StatusCode::OK);
	let space = node.settles(|_| true).await;
	assert!(space.used + space.reserved > 3_000_000, "{space:?}");
	let path = format!("{CAIRN}/data");
	let length = [("content-length", "2000000")];
	let refused = local(&node.router, Method::POST, &path, &length, bytes(1, 2_000_000)).await;
	assert_eq!(refused.problem(), ErrorKind::StorageFull);
	assert_eq!(node.give_up(&sample.cid).await, StatusCode::NO_CONTENT);
	node.is_empty().await;
	let stored = local(&node.router, Method::POST, &path, &length, bytes(1, 2_000_000)).await;
	assert_eq!(stored.status, StatusCode::CREATED);
}

#[tokio::test]
async fn so_many_at_a_time_and_no_more() {
	let [one, two] = [Sample::new(27, 100_000), Sample::new(28, 100_000)];
	let all: Vec<Block> = one.blocks.iter().chain(&two.blocks).cloned().collect();
	let peer = Peer::with(&all, &[one.leaves[1]], &[one.cid, two.cid]).await;
	let node = joined(&peer, |config| config.repo.max_fetches = 1).await;
	assert_eq!(soon(node.keep(&one.cid)).await.status, StatusCode::OK);
	assert_eq!(soon(node.keep(&two.cid)).await.problem(), ErrorKind::Busy);
	let answer = soon(node.get(&two.cid, "/network/stream")).await;
	assert_eq!(answer.problem(), ErrorKind::Busy);
	// The same once more is no second one.
	assert_eq!(soon(node.keep(&one.cid)).await.status, StatusCode::OK);
	assert_eq!(node.give_up(&one.cid).await, StatusCode::NO_CONTENT);
	assert_eq!(node.fetch(&one.cid).await["state"], "given_up");
	assert_eq!(soon(node.keep(&two.cid)).await.status, StatusCode::OK);
	assert_eq!(node.ended(&two.cid).await["state"], "complete");
	let stored = two.stored_bytes();
	node.settles(|space| space.used == stored && space.hidden_datasets == 0)
		.await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
	let junk = Block::encode(Codec::CodexManifest, &b"junk"[..]);
	let unknown_cid = Cid::new_v1(0x30_0001, HashFunction::Sha2_256.digest(b"whatever"));
	let unknown = Block::new(unknown_cid, &b"whatever"[..]).unwrap();
	// A manifest that says that blocks are longer than they are.
	let sample = Sample::new(29, 200_000);
	let honest = Manifest::decode(sample.blocks.last().unwrap().data()).unwrap();
	let wrong = Manifest::new(honest.tree, 2 * honest.block_size, 200_000).block();
	// A node that links to what is no CBOR.
	let broken = Block::encode(Codec::DagCbor, vec![0xff]);
	let link = PbLink {
		cid: *broken.cid(),
		name: None,
		tsize: None,
	};
	let node_above = PbNode {
		links: vec![link],
		data: None,
	};
	let above = Block::encode(Codec::DagPb, node_above.encode());
	let mut all = sample.blocks.clone();
	all.extend([&junk, &unknown, &wrong, &broken, &above].map(Clone::clone));
	let roots = [&junk, &unknown, &wrong, &above].map(|block| *block.cid());
	let peer = Peer::with(&all, &[], &roots).await;
	let node = joined(&peer, |_| {}).await;
	assert_eq!(
		soon(node.keep(junk.cid())).await.problem(),
		ErrorKind::Unprocessable
	);
	let answer = soon(node.get(junk.cid(), "/network/manifest")).await;
	assert_eq!(answer.problem(), ErrorKind::Unprocessable);
	for cid in [wrong.cid(), above.cid(), unknown.cid()] {
		// The root may be well-formed, and is known before the rest.
		soon(node.keep(cid)).await;
		let fetch = node.ended(cid).await;
		let kind = if cid == unknown.cid() {
			"not_implemented"
		} else {
			"unprocessable"
		};
		assert_eq!(
			(&fetch["state"], &fetch["problem"]["kind"]),
			(&"failed".into(), &kind.into()),
			"{fetch}"
		);
	}
	node.is_empty().await;
}

#[tokio::test]
async fn a_node_that_stops_ends_its_fetches() {
	let sample = Sample::new(30, 1_500_000);
	let last = *sample.leaves.last().unwrap();
	let peer = Peer::with(&sample.blocks, &[last], &[sample.cid]).await;
	let node = joined(&peer, |_| {}).await;
	assert_eq!(soon(node.keep(&sample.cid)).await.status, StatusCode::OK);
	node.settles(|space| space.used > 0).await;
	node.stop.cancel();
	let fetch = node.ended(&sample.cid).await;
	assert_eq!(
		(&fetch["state"], &fetch["problem"]["kind"]),
		(&"failed".into(), &"busy".into())
	);
	assert_eq!(soon(node.keep(&sample.cid)).await.problem(), ErrorKind::NotFound);
	// What came waits for the next process, and is seen by nobody. Unless it is given up.
	node.settles(|space| {
		(
			space.used > 0,
			space.reserved,
			space.datasets,
			space.hidden_datasets,
		) == (true, 0, 0, 1)
	})
	.await;
	assert_eq!(node.give_up(&sample.cid).await, StatusCode::NO_CONTENT);
	node.is_empty().await;
}

#[tokio::test]
async fn nothing_is_seen_after_a_kill_and_nothing_left_when_it_is_given_up() {
	let sample = Sample::new(31, 1_500_000);
	let last = *sample.leaves.last().unwrap();
	let peer = Peer::with(&sample.blocks, &[last], &[sample.cid]).await;
	let node = joined(&peer, |_| {}).await;
	assert_eq!(soon(node.keep(&sample.cid)).await.status, StatusCode::OK);
	let almost = sample.blocks.len() - 1;
	node.fetch_until(&sample.cid, |fetch| fetch["receivedBlocks"] == almost)
		.await;
	// Until nothing is being written: rows come before files.
	let folder = node.world.dir.path().join("repo");
	let chunks = folder.join("chunks");
	node.settles(|space| space.used >= 1 << 20 && count_chunks(&chunks) == space.blocks)
		.await;

	// What a kill would leave: the files as they are at this moment.
	let left = tempfile::tempdir().unwrap();
	copy(&folder, left.path());
	let config = RepoConfig {
		disk_reserve: 0,
		..RepoConfig::default()
	};
	let (repo, recovery) = Repo::open(left.path(), &config).unwrap();
	assert!(recovery.after_crash);
	assert_eq!(recovery.unfinished_uploads, 0);
	repo.maintain().unwrap();
	assert!(!repo.has(&sample.cid).unwrap());
	assert!(repo.space().unwrap().used >= 1 << 20);
	repo.give_up_unfinished(|_| false).unwrap();
	repo.maintain().unwrap();
	let space = repo.space().unwrap();
	assert_eq!(
		(space.used, space.blocks, space.datasets, space.hidden_datasets),
		(0, 0, 0, 0)
	);
	assert_eq!(count_chunks(&left.path().join("chunks")), 0);
}
