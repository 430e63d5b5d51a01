//! `cairn block` from peers.

use crate::{nodes::Network, user::User};
use cairn_dag::{links, Block, Codec};
use std::fs;

#[test]
fn blocks_are_fetched_and_described() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks, _) = network.file(300_000);
	let node = network.node(&blocks);
	let top = blocks.iter().find(|block| *block.cid() == root).unwrap();
	let root = root.to_string();
	let from = ["--peer", &node.address, "--only"];

	let output = user.run(&[&["block", "get", &root], &from[..]].concat());
	assert!(output.status.success());
	assert_eq!(output.stdout, top.data());

	let to_file = [&["block", "get", &root, "--output", "block"], &from[..]].concat();
	let report = user.json(&to_file);
	assert_eq!(fs::read(user.path("block")).unwrap(), top.data());
	assert_eq!(
		(&report["schema"], &report["size"]),
		(&"cairn.block-got/1".into(), &top.data().len().into())
	);
	assert_eq!(report["peers"], serde_json::json!([node.id]));
	let (code, _) = user.failure(&to_file);
	assert_eq!(code, 5, "it exists");

	let stat = user.json(&[&["block", "stat", &root], &from[..]].concat());
	assert_eq!(stat["schema"], "cairn.block-stat/1");
	assert_eq!(
		(&stat["codec"], &stat["size"]),
		(&"dag-pb".into(), &top.data().len().into())
	);
	assert_eq!(stat["links"].as_array().unwrap().len(), links(top).unwrap().len());
	assert!(links(top).unwrap().len() > 1);
	// Nothing below it was fetched.
	assert_eq!(node.sent(), 3 * top.data().len() as u64);
}

#[test]
fn any_codec_will_do() {
	let (mut network, user) = (Network::new(), User::new());
	// The CBOR of {"a": 1}, and bytes that are no CBOR.
	let cbor = Block::encode(Codec::DagCbor, vec![0xa1, 0x61, 0x61, 0x01]);
	let broken = Block::encode(Codec::DagCbor, vec![0xff]);
	let node = network.node(&[cbor.clone(), broken.clone()]);
	let stat = |block: &Block| {
		let cid = block.cid().to_string();
		user.json(&["block", "stat", &cid, "--peer", &node.address, "--only"])
	};
	assert_eq!(stat(&cbor)["decoded"], serde_json::json!({"a": 1}));
	assert!(stat(&broken)["note"].is_string());
}

#[test]
fn what_is_not_there_is_an_error() {
	let (mut network, user) = (Network::new(), User::new());
	let block = Block::encode(Codec::Raw, network.bytes(10));
	let node = network.node(&[]);
	let cid = block.cid().to_string();
	let arguments = [
		"block", "get", &cid, "--output", "block", "--over", "exchange", "--only",
	];
	let (code, _) =
		user.failure(&[&arguments[..], &["--peer", &node.address, "--idle-timeout", "1"]].concat());
	assert_eq!(code, 10);
	assert_eq!(
		fs::read_dir(user.home())
			.unwrap()
			.filter(|entry| {
				entry
					.as_ref()
					.unwrap()
					.file_name()
					.to_string_lossy()
					.contains("block")
			})
			.count(),
		0
	);
	let (code, _) = user.failure(&["block", "stat", "hello"]);
	assert_eq!(code, 2);
}
