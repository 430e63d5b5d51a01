//! `cairn get` from peers that lie, die, or are not there.

use crate::{
	getting::get,
	nodes::{size_of, LyingStore, Network, StallingStore, NO_CHAIN},
	user::User,
};
use axum::{
	extract::{Path, State},
	response::IntoResponse,
	routing, Router,
};
use cairn_car::CarWriter;
use cairn_dag::{
	walk::{walk, Scope},
	Block, BlockSink, Cid, MemoryBlocks,
};
use serde_json::Value;
use std::{
	fs,
	process::Stdio,
	sync::Arc,
	time::{Duration, Instant},
};

/// Longer than anything here takes on a slow machine; only a failed test waits for it.
const LIMIT: Duration = Duration::from_secs(60);

fn causes(error: &Value) -> String {
	error["causes"].to_string()
}

#[test]
fn a_liar_is_found_out() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks, content) = network.file(500_000);
	let liar = network.node_with(Arc::new(LyingStore), None);
	let root = root.to_string();
	let alone = [
		&get(&root, "file", &[&liar.address])[..],
		&["--idle-timeout", "3"],
	]
	.concat();
	let (code, error) = user.failure(&alone);
	assert_eq!(code, 10, "{error}");
	assert!(causes(&error).contains(&liar.id), "{error}");
	assert!(!user.path("file").exists());

	let honest = network.node(&blocks);
	let report = user.json(&get(&root, "file", &[&liar.address, &honest.address]));
	assert_eq!(fs::read(user.path("file")).unwrap(), content);
	assert_eq!(report["peers"], serde_json::json!([honest.id]));
	assert_eq!(report["fetched_bytes"], size_of(&blocks));
}

#[test]
fn what_came_before_a_peer_died_is_not_fetched_again() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks, content) = network.file(2_000_000);
	let (store, stalled) = StallingStore::new(&blocks, 40);
	let dying = network.node_with(Arc::new(store), None);
	let root = root.to_string();
	let arguments = [
		&get(&root, "file", &[&dying.address])[..],
		&["--idle-timeout", "3"],
	]
	.concat();
	let (code, error) = std::thread::scope(|scope| {
		let failing = scope.spawn(|| user.failure(&arguments));
		stalled
			.recv_timeout(LIMIT)
			.expect("it is asked for more than it has");
		// Others wait in the store too, and go when the channel does.
		drop(stalled);
		network.run(dying.host.shutdown());
		failing.join().unwrap()
	});
	assert_eq!(code, 10, "{error}");
	assert!(!user.path("file").exists());
	let kept = fs::read_dir(user.path(".cache/cairn/get")).unwrap().count();
	assert_eq!(kept, 1);

	let living = network.node(&blocks);
	let report = user.json(&get(&root, "file", &[&living.address]));
	assert_eq!(fs::read(user.path("file")).unwrap(), content);
	let again = report["fetched_bytes"].as_u64().unwrap();
	assert!(again > 0 && again < size_of(&blocks), "{again}");
	assert_eq!(living.sent(), again);
}

#[test]
fn a_command_that_was_killed_is_taken_up() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks, content) = network.file(2_000_000);
	let (store, stalled) = StallingStore::new(&blocks, 40);
	let slow = network.node_with(Arc::new(store), None);
	let root = root.to_string();
	let mut child = user
		.command(&get(&root, "file", &[&slow.address]))
		.stdout(Stdio::null())
		.spawn()
		.unwrap();
	stalled
		.recv_timeout(LIMIT)
		.expect("it is asked for more than it has");
	// What was sent before may still be on its way.
	let file = user.path(&format!(".cache/cairn/get/{root}.car"));
	let begun = Instant::now();
	while fs::metadata(&file).map_or(0, |file| file.len()) < 100_000 {
		assert!(begun.elapsed() < LIMIT, "nothing is kept");
		std::thread::sleep(Duration::from_millis(10));
	}
	child.kill().unwrap();
	child.wait().unwrap();
	drop(stalled);
	assert!(!user.path("file").exists());

	let living = network.node(&blocks);
	let report = user.json(&get(&root, "file", &[&living.address]));
	assert_eq!(fs::read(user.path("file")).unwrap(), content);
	let again = report["fetched_bytes"].as_u64().unwrap();
	assert!(again <= size_of(&blocks) - 80_000, "{again}");
}

#[test]
fn nobody_there_is_said_soon() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, ..) = network.file(1000);
	let root = root.to_string();
	let begun = Instant::now();
	let nobody = network.nobody();
	let (code, error) = user.failure(&get(&root, "file", &[&nobody]));
	assert_eq!((code, &error["message"]), (10, &"no peer was reached".into()));
	let id = nobody.rsplit('/').next().unwrap();
	assert!(causes(&error).contains(id), "{error}");

	let (code, error) = user.failure(&get(&root, "file", &[]));
	assert_eq!(code, 10);
	assert!(
		error["message"].as_str().unwrap().contains("no peer is known"),
		"{error}"
	);

	let empty = network.node(&[]);
	let without = [
		&get(&root, "file", &[&empty.address])[..],
		&["--idle-timeout", "1"],
	]
	.concat();
	let (code, error) = user.failure(&without);
	let message = &error["message"];
	assert_eq!(
		(code, message),
		(10, &"no peer sent a missing block within 1 s".into())
	);
	assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());

	// Without anybody named the chain is asked, which is not there.
	let unnamed = [&NO_CHAIN[..], &["get", &root, "--over", "exchange"]].concat();
	let (code, error) = user.failure(&unnamed);
	assert_eq!(code, 6, "{error}");
}

#[test]
fn without_anybody_known_and_without_a_chain_both_are_said() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, ..) = network.file(1000);
	let root = root.to_string();
	let arguments = [&NO_CHAIN[..], &["get", &root]].concat();
	let (code, error) = user.failure(&arguments);
	assert_eq!(code, 10, "{error}");
	assert!(
		error["message"].as_str().unwrap().contains("nobody is known"),
		"{error}"
	);
	assert!(
		error["hint"].as_str().unwrap().contains("ws://127.0.0.1:1"),
		"{error}"
	);
}

/// A trustless gateway that gives all below any of its blocks.
async fn gateway(Path(cid): Path<String>, State(blocks): State<Arc<MemoryBlocks>>) -> impl IntoResponse {
	let root: Cid = cid.parse().unwrap();
	let mut writer = CarWriter::new(Vec::new(), &[root]).unwrap();
	for block in walk(&*blocks, root, Scope::All) {
		writer.put(&block.unwrap()).unwrap();
	}
	let (car, _) = writer.finish().unwrap();
	([("content-type", "application/vnd.ipld.car")], car)
}

#[test]
fn what_does_not_come_over_exchange_comes_through_a_gateway() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks, content) = network.file(500_000);
	let some: Vec<Block> = blocks
		.iter()
		.filter(|block| *block.cid() == root)
		.chain(blocks.iter().step_by(3))
		.cloned()
		.collect();
	let node = network.node(&some);
	let mut all = MemoryBlocks::new();
	for block in blocks.iter().cloned() {
		BlockSink::put(&mut all, block).unwrap();
	}
	let url = network.run(async {
		let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
		let url = format!("http://{}/", listener.local_addr().unwrap());
		let app = Router::new()
			.route("/ipfs/{cid}", routing::get(gateway))
			.with_state(Arc::new(all));
		tokio::spawn(async move { axum::serve(listener, app).await });
		url
	});
	let root = root.to_string();
	let report = user.json(&[
		"get",
		&root,
		"--output",
		"file",
		"--only",
		"--peer",
		&node.address,
		"--provider-url",
		&url,
		"--idle-timeout",
		"2",
	]);
	assert_eq!(fs::read(user.path("file")).unwrap(), content);
	assert_eq!(report["peers"], serde_json::json!([node.id]));
	assert_eq!(report["providers"], serde_json::json!([url]));
	assert!(report["provider_bytes"][&url].as_u64().unwrap() > 0, "{report}");
	assert_eq!(report["fetched_bytes"], size_of(&blocks));
}
