//! `cairn dag inspect` and `cairn dag walk` of what peers have.

use crate::{
	nodes::{folder, size_of, LyingStore, Network, Node},
	user::User,
};
use cairn_dag::{
	cid::multihash::Multihash,
	codec::dag_pb::{PbLink, PbNode},
	walk::{walk, Budget, Order, Scope},
	Block, BlockSink, Cid, Codec, MemoryBlocks,
};
use serde_json::Value;
use std::{fs, sync::Arc};

/// A folder with files of many blocks, also in a folder below, where one of them is met again.
fn photos(network: &mut Network, user: &User) -> (Cid, Vec<Block>) {
	fs::create_dir_all(user.path("photos/sub/deeper")).unwrap();
	let (one, two) = (network.bytes(700_000), network.bytes(150_001));
	fs::write(user.path("photos/one"), &one).unwrap();
	fs::write(user.path("photos/sub/deeper/two"), &two).unwrap();
	fs::write(user.path("photos/sub/three"), &one).unwrap();
	folder(&user.path("photos"))
}

fn memory(blocks: &[Block]) -> MemoryBlocks {
	let mut memory = MemoryBlocks::new();
	blocks.iter().for_each(|block| memory.put(block.clone()).unwrap());
	memory
}

/// What a walk lists, and its exit code and error.
fn listed(user: &User, object: &str, from: &Node, options: &[&str]) -> (Vec<String>, i32, Option<Value>) {
	let arguments = ["--json", "dag", "walk", object, "--peer", &from.address, "--only"];
	let output = user.run(&[&arguments, options].concat());
	let stdout = String::from_utf8(output.stdout).unwrap();
	let rows = stdout.lines().map(|line| {
		let row: Value = serde_json::from_str(line).unwrap();
		assert_eq!(row["schema"], "cairn.dag-block/1");
		row["cid"].as_str().unwrap().to_owned()
	});
	let stderr = String::from_utf8(output.stderr).unwrap();
	let error = stderr
		.lines()
		.last()
		.map(|line| serde_json::from_str(line).unwrap());
	(rows.collect(), output.status.code().unwrap(), error)
}

#[test]
fn walks_list_what_a_peer_has() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks) = photos(&mut network, &user);
	let all = memory(&blocks);
	let text = root.to_string();
	for (options, scope, order) in [
		(&[][..], Scope::All, Order::DepthFirst),
		(&["--order", "breadth-first"], Scope::All, Order::BreadthFirst),
		(&["--scope", "entity"], Scope::Entity, Order::DepthFirst),
		(&["--scope", "block"], Scope::Block, Order::DepthFirst),
	] {
		let node = network.node(&blocks);
		let expected: Vec<Block> = walk(&all, root, scope).order(order).map(Result::unwrap).collect();
		let cids: Vec<String> = expected.iter().map(|block| block.cid().to_string()).collect();
		let rows = listed(&user, &text, &node, options);
		assert_eq!(rows, (cids, 0, None), "{options:?}");
		// What it lists is fetched once, and nothing else.
		assert_eq!(node.sent(), size_of(&expected), "{options:?}");
	}
	let node = network.node(&blocks);
	let (twice, ..) = listed(&user, &text, &node, &["--duplicates"]);
	assert!(twice.len() > blocks.len());
	assert_eq!(node.sent(), size_of(&blocks));

	// A path fetches the folders on it.
	let node = network.node(&blocks);
	let (two, code, _) = listed(
		&user,
		&format!("/ipfs/{root}/sub/deeper/two"),
		&node,
		&["--scope", "entity"],
	);
	// Ten leaves, two nodes above them, the root.
	assert_eq!((two.len(), code), (13, 0));
	assert!(node.sent() < 155_000, "{}", node.sent());
}

#[test]
fn limits_hold_for_what_is_fetched() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks) = photos(&mut network, &user);
	let all = memory(&blocks);
	for (options, budget) in [
		(
			["--max-blocks", "9"],
			Budget {
				max_blocks: 9,
				..Budget::default()
			},
		),
		(
			["--max-depth", "2"],
			Budget {
				max_depth: 2,
				..Budget::default()
			},
		),
		(
			["--max-bytes", "200000"],
			Budget {
				max_bytes: 200_000,
				..Budget::default()
			},
		),
	] {
		let node = network.node(&blocks);
		let walked = walk(&all, root, Scope::All).budget(budget);
		let expected: Vec<Block> = walked.map_while(Result::ok).collect();
		assert!(expected.len() < blocks.len());
		let cids: Vec<String> = expected.iter().map(|block| block.cid().to_string()).collect();
		let (rows, code, error) = listed(&user, &root.to_string(), &node, &options);
		assert_eq!((rows, code), (cids, 1));
		let error = error.unwrap();
		assert!(
			error["message"].as_str().unwrap().contains("exceeds its budget"),
			"{error}"
		);
		// That the next block is too much is seen when it is there; some small ones beside those that are listed were
		// fetched with them.
		assert!(
			node.sent() <= size_of(&expected) + (20 << 10),
			"{options:?}: {} for {}",
			node.sent(),
			size_of(&expected)
		);
	}
}

#[test]
fn inspecting_follows_paths_of_any_codec() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, mut blocks) = photos(&mut network, &user);
	// {"link": root}
	let cbor = Block::encode(
		Codec::DagCbor,
		[&b"\xa1\x64link\xd8\x2a\x58\x25\x00"[..], &root.to_bytes()].concat(),
	);
	blocks.push(cbor.clone());
	let node = network.node(&blocks);
	let from = ["--peer", &node.address, "--only"];
	let path = format!("{}/link/sub", cbor.cid());
	let report = user.json(&[&["dag", "inspect", &path], &from[..]].concat());
	assert_eq!(report["schema"], "cairn.dag-inspected/1");
	assert_eq!(report["unixfs"]["kind"], "directory");
	let names: Vec<&str> = report["links"]
		.as_array()
		.unwrap()
		.iter()
		.map(|link| link["path"].as_str().unwrap())
		.collect();
	assert_eq!(names, ["deeper", "three"]);
	// What `block stat` says of it, and what is said of it in an archive.
	let cid = report["cid"].as_str().unwrap();
	let mut stat = user.json(&[&["block", "stat", cid], &from[..]].concat());
	stat["schema"] = report["schema"].clone();
	assert_eq!(stat, report);

	let (code, error) = user.failure(&[&["dag", "inspect", &format!("{root}/none")], &from[..]].concat());
	assert_eq!(code, 10);
	assert!(error["message"].as_str().unwrap().contains("`none`"), "{error}");
}

#[test]
fn a_walk_ends_where_it_cannot_go_on() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks) = photos(&mut network, &user);
	// Of a codec that nobody knows.
	let bytes = network.bytes(100);
	let hash: Multihash<64> = *Block::encode(Codec::Raw, bytes.clone()).cid().hash();
	let unknown = Block::new(Cid::new_v1(0x30_0539, hash), bytes).unwrap();
	let link = |name: &str, cid: Cid| PbLink {
		cid,
		name: Some(name.into()),
		tsize: None,
	};
	let links = vec![link("a", *unknown.cid()), link("b", root)];
	let top = Block::encode(Codec::DagPb, PbNode { links, data: None }.encode());
	let node = network.node(&[&blocks[..], &[top.clone(), unknown.clone()]].concat());
	let (rows, code, error) = listed(&user, &top.cid().to_string(), &node, &[]);
	assert_eq!((rows, code), (vec![top.cid().to_string()], 11), "{error:?}");
	let path = format!("{}/a", top.cid());
	let inspected = user.json(&["dag", "inspect", &path, "--peer", &node.address, "--only"]);
	assert_eq!(
		(&inspected["codec"], &inspected["size"]),
		(&"unknown".into(), &100.into())
	);

	// Where a block is missing, what lies before it is listed all the same.
	let all = memory(&blocks);
	let order: Vec<Block> = walk(&all, root, Scope::All).map(Result::unwrap).collect();
	let without: Vec<Block> = [&order[..7], &order[8..]].concat();
	let node = network.node(&without);
	let patience = ["--over", "exchange", "--idle-timeout", "10"];
	let (rows, code, error) = listed(&user, &root.to_string(), &node, &patience);
	let before: Vec<String> = order[..7].iter().map(|block| block.cid().to_string()).collect();
	assert_eq!((rows, code), (before, 10), "{error:?}");

	let liar = network.node_with(Arc::new(LyingStore), None);
	let (rows, code, _) = listed(&user, &root.to_string(), &liar, &patience);
	assert_eq!((rows.len(), code), (0, 10));
}

#[test]
fn what_contradicts_itself_is_a_usage_error() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, ..) = network.file(10);
	let nobody = network.nobody();
	for arguments in [
		&["dag", "walk", "photos.car", "--peer", &nobody][..],
		&["dag", "inspect", "photos.car", "--only"],
		&["dag", "inspect", &root.to_string(), "sub"],
	] {
		assert_eq!(user.failure(arguments).0, 2, "{arguments:?}");
	}
}
