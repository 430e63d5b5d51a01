//! Fetches in the background outlive the process: told to stop, or killed at any point.

use super::{peers::Peer, *};
use cairn_network::address::PeerAddress;
use std::{fs, path::PathBuf};

/// A dataset whose last block of data is withheld, the peer that has it, and a node that has asked for it and lacks
/// nothing else.
struct Interrupted {
	sample: Sample,
	peer: Peer,
	node: Node,
}

impl Interrupted {
	async fn with(seed: u64) -> Interrupted {
		let sample = Sample::new(seed, 1_500_000);
		let last = *sample.leaves.last().unwrap();
		let peer = Peer::with(&sample.blocks, &[last], &[sample.cid]).await;
		let node = Node::joined(peer.addresses()).await;
		assert_eq!(soon(node.keep(&sample.cid)).await.status, StatusCode::OK);
		let almost = sample.blocks.len() - 1;
		node.fetch_until(&sample.cid, |fetch| fetch["receivedBlocks"] == almost)
			.await;
		Interrupted { sample, peer, node }
	}

	/// The dataset is on this node as if nothing had happened, and nothing else is.
	async fn is_stored_on(&self, node: &Node) {
		let fetch = node.ended(&self.sample.cid).await;
		assert_eq!(fetch["state"], "complete", "{fetch}");
		assert_eq!(node.get(&self.sample.cid, "").await.body, self.sample.content);
		let stored = self.sample.stored_bytes();
		node.settles(|space| {
			(space.used, space.reserved, space.datasets, space.hidden_datasets) == (stored, 0, 1, 0)
		})
		.await;
		assert_eq!(records(node), Vec::<PathBuf>::new());
	}
}

/// Files that say what is to be fetched after a restart.
fn records(node: &Node) -> Vec<PathBuf> {
	records_in(&node.world.dir.path().join("repo"))
}

fn records_in(repo: &Path) -> Vec<PathBuf> {
	let entries = fs::read_dir(repo.join("fetches")).unwrap();
	entries.map(|entry| entry.unwrap().path()).collect()
}

async fn list(node: &Node) -> Vec<Value> {
	let list: Value = read(&node.router, &format!("{CAIRN}/fetches"), &[]).await.json();
	list["fetches"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_fetch_goes_on_after_a_restart() {
	let mut interrupted = Interrupted::with(40).await;
	let cid = interrupted.sample.cid;
	let node = &mut interrupted.node;
	let before = node.fetch(&cid).await;
	node.settles(|space| space.used >= 1 << 20).await;
	assert_eq!(records(node).len(), 1);
	node.restart(|_| {}).await;
	// It waits for the network, and whoever wants it now is told so.
	let fetch = node.fetch(&cid).await;
	assert_eq!(
		(&fetch["state"], &fetch["kept"], &fetch["startedAt"]),
		(&"searching".into(), &true.into(), &before["startedAt"])
	);
	assert_eq!(node.keep(&cid).await.problem(), ErrorKind::NotFound);
	assert_eq!(
		node.get(&cid, "/network/stream").await.problem(),
		ErrorKind::NotFound
	);
	// A second one, before it has joined.
	node.restart(|_| {}).await;
	node.join().await;
	interrupted.peer.release();
	let node = &interrupted.node;
	// Who asks for it joins what goes on.
	assert_eq!(soon(node.keep(&cid)).await.status, StatusCode::OK);
	interrupted.is_stored_on(node).await;
	// What had been written before is not fetched again.
	let fetch = node.fetch(&cid).await;
	let (local, received) = (&fetch["localBlocks"], &fetch["receivedBlocks"]);
	let [local, received] = [local, received].map(|count| count.as_u64().unwrap());
	assert_eq!(local + received, interrupted.sample.blocks.len() as u64);
	assert!(local > received, "{local} blocks were here, {received} came");
	// What has ended stays so.
	interrupted.node.restart(|_| {}).await;
	assert!(list(&interrupted.node).await.is_empty());
}

#[tokio::test]
async fn a_fetch_goes_on_after_a_kill() {
	let interrupted = Interrupted::with(41).await;
	let folder = interrupted.node.world.dir.path().join("repo");
	let chunks = folder.join("chunks");
	// Until nothing is being written: rows come before files.
	interrupted
		.node
		.settles(|space| space.used >= 1 << 20 && count_chunks(&chunks) == space.blocks)
		.await;
	// What a kill leaves: the files as they are at this moment.
	let left = tempfile::tempdir().unwrap();
	copy(&folder, left.path());
	interrupted.peer.release();
	interrupted.is_stored_on(&interrupted.node).await;

	let mut other = Node::with(interrupted.peer.addresses(), |_| {}).await;
	other
		.restart(|base| {
			let repo = base.join("repo");
			fs::remove_dir_all(&repo).unwrap();
			fs::create_dir(&repo).unwrap();
			copy(left.path(), &repo);
		})
		.await;
	other.join().await;
	interrupted.is_stored_on(&other).await;
}

#[tokio::test]
async fn a_kill_before_the_first_block_or_after_the_last_loses_nothing() {
	let interrupted = Interrupted::with(42).await;
	let [record] = &records(&interrupted.node)[..] else {
		panic!("not one record");
	};
	let (name, text) = (record.file_name().unwrap().to_owned(), fs::read(record).unwrap());
	interrupted.peer.release();

	// The record was written, and nothing else.
	let mut node = Node::with(interrupted.peer.addresses(), |_| {}).await;
	let put_record = |base: &Path| fs::write(base.join("repo/fetches").join(&name), &text).unwrap();
	node.restart(put_record).await;
	node.join().await;
	interrupted.is_stored_on(&node).await;

	// The dataset was committed, and its record is still there.
	interrupted.is_stored_on(&interrupted.node).await;
	node.restart(put_record).await;
	node.join().await;
	interrupted.is_stored_on(&node).await;
	let fetch = node.fetch(&interrupted.sample.cid).await;
	assert_eq!(
		(&fetch["receivedBlocks"], &fetch["peers"]),
		(&0.into(), &0.into())
	);

	// The record was being written: nobody was answered.
	node.restart(|base| {
		fs::write(base.join("repo/fetches/.tmp123.tmp"), &text[..20]).unwrap();
	})
	.await;
	assert!(list(&node).await.is_empty());
	assert!(records(&node).is_empty());
}

#[tokio::test]
async fn what_is_no_record_does_not_keep_the_node_from_starting() {
	let mut node = Node::with(&[], |_| {}).await;
	let name = format!("{}.json", "0a".repeat(32));
	node.restart(|base| {
		let text = r#"{"version":1,"cid":"bafkqaaa","began":1}"#;
		fs::write(base.join("repo/fetches").join(&name), text).unwrap();
	})
	.await;
	assert!(list(&node).await.is_empty());
	let [aside] = &records(&node)[..] else {
		panic!("it is gone, or taken for a record");
	};
	assert!(aside.to_str().unwrap().ends_with(&format!("{name}.invalid")));
}

#[tokio::test]
async fn what_was_given_up_does_not_come_back() {
	let mut interrupted = Interrupted::with(43).await;
	let (cid, node) = (interrupted.sample.cid, &mut interrupted.node);
	node.restart(|_| {}).await;
	// Before it has begun again.
	assert_eq!(node.give_up(&cid).await, StatusCode::NO_CONTENT);
	assert_eq!(node.fetch(&cid).await["state"], "given_up");
	assert!(records(node).is_empty());
	node.restart(|_| {}).await;
	node.join().await;
	assert!(list(node).await.is_empty());

	assert_eq!(soon(node.keep(&cid)).await.status, StatusCode::OK);
	assert_eq!(records(node).len(), 1);
	assert_eq!(node.give_up(&cid).await, StatusCode::NO_CONTENT);
	assert!(records(node).is_empty());
	// While the node is stopping, which would have it go on later.
	assert_eq!(soon(node.keep(&cid)).await.status, StatusCode::OK);
	node.stop.cancel();
	assert_eq!(node.ended(&cid).await["state"], "failed");
	assert_eq!(records(node).len(), 1);
	assert_eq!(node.give_up(&cid).await, StatusCode::NO_CONTENT);
	assert!(records(node).is_empty());
	node.restart(|_| {}).await;
	node.join().await;
	assert!(list(node).await.is_empty());
	// What is only read is not fetched after a restart.
	let response = soon(streaming::begin(node, &cid, &[])).await;
	assert_eq!(response.status(), StatusCode::OK);
	assert!(records(node).is_empty());
	drop(response);
	node.is_empty().await;
}

#[tokio::test]
async fn limits_hold_after_a_restart() {
	let [one, two, three] = [44, 45, 46].map(|seed| Sample::new(seed, 200_000));
	let all: Vec<Block> = [&one, &two, &three]
		.iter()
		.flat_map(|sample| sample.blocks.iter().cloned())
		.collect();
	let withheld = [one.leaves[1], two.leaves[1]];
	let peer = Peer::with(&all, &withheld, &[one.cid, two.cid, three.cid]).await;
	let mut node = Node::joined(peer.addresses()).await;
	for sample in [&one, &two] {
		assert_eq!(soon(node.keep(&sample.cid)).await.status, StatusCode::OK);
	}
	node.world.config.repo.max_fetches = 1;
	node.restart(|_| {}).await;
	node.join().await;
	assert_eq!(soon(node.keep(&three.cid)).await.problem(), ErrorKind::Busy);
	let fetching = async {
		loop {
			let states: Vec<Value> = list(&node)
				.await
				.iter()
				.map(|fetch| fetch["state"].clone())
				.collect();
			assert_eq!(states.len(), 2);
			let begun = states.iter().filter(|state| *state == "fetching").count();
			assert!(begun <= 1, "{states:?}");
			if begun == 1 {
				return;
			}
			tokio::time::sleep(Duration::from_millis(5)).await;
		}
	};
	soon(fetching).await;
	peer.release();
	for sample in [&one, &two] {
		let fetch = node.ended(&sample.cid).await;
		assert_eq!(fetch["state"], "complete", "{fetch}");
		assert_eq!(node.get(&sample.cid, "").await.body, sample.content);
	}
	assert!(records(&node).is_empty());
	assert_eq!(soon(node.keep(&three.cid)).await.status, StatusCode::OK);
	assert_eq!(node.ended(&three.cid).await["state"], "complete");
}

#[tokio::test]
async fn others_may_start_later() {
	let mut interrupted = Interrupted::with(47).await;
	let cid = interrupted.sample.cid;
	interrupted.peer.release();
	let node = &mut interrupted.node;
	// It is told of nobody, and remembers nobody.
	node.world.config.network.bootstrap.clear();
	node.restart(|base| fs::remove_dir_all(base.join("network")).unwrap())
		.await;
	node.join().await;
	let own = node.network.as_ref().unwrap().host().address().await.unwrap();
	// The root had come before.
	let fetch = node.fetch(&cid).await;
	assert!(
		["searching", "fetching"].contains(&fetch["state"].as_str().unwrap()),
		"{fetch}"
	);
	assert_eq!(fetch["peers"], 0);
	let connected = interrupted.peer.host.connect(PeerAddress {
		peer: own.peer,
		addresses: own.addresses,
	});
	connected.await.unwrap();
	interrupted.is_stored_on(&interrupted.node).await;
}
