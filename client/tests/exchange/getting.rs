//! `cairn get` from peers that are as they should be.

use crate::{
	nodes::{folder, size_of, Network, NO_CHAIN},
	user::{fields, User},
};
use cairn_dag::{Block, Cid};
use std::fs;

/// The arguments of a `get` over block exchange that asks these peers only.
pub fn get<'a>(root: &'a str, output: &'a str, peers: &[&'a str]) -> Vec<&'a str> {
	let mut arguments = vec!["get", root, "--output", output, "--over", "exchange", "--only"];
	arguments.extend(peers.iter().flat_map(|peer| ["--peer", *peer]));
	arguments
}

#[test]
fn a_file_comes_from_a_peer() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks, content) = network.file(1_000_000);
	let node = network.node(&blocks);
	let root = root.to_string();
	let report = user.json(&get(&root, "file", &[&node.address]));
	assert_eq!(fs::read(user.path("file")).unwrap(), content);
	assert_eq!(report["schema"], "cairn.get/1");
	assert_eq!(
		fields(&report),
		[
			"bytes",
			"cid",
			"directories",
			"fetched_bytes",
			"files",
			"output",
			"path",
			"peers",
			"provider_bytes",
			"providers",
			"root",
			"schema",
			"symlinks"
		]
	);
	assert_eq!(report["peers"], serde_json::json!([node.id]));
	assert_eq!(report["providers"], serde_json::json!([]));
	assert_eq!(report["bytes"], content.len());
	assert_eq!(report["fetched_bytes"], size_of(&blocks));
	assert_eq!(node.sent(), size_of(&blocks));
	// Nothing is left over.
	assert_eq!(fs::read_dir(user.path(".cache/cairn/get")).unwrap().count(), 0);
}

#[test]
fn folders_and_what_is_in_them_come_from_a_peer() {
	let (mut network, user) = (Network::new(), User::new());
	fs::create_dir_all(user.path("photos/sub/deeper")).unwrap();
	let (one, two) = (network.bytes(100_000), network.bytes(50_001));
	fs::write(user.path("photos/one"), &one).unwrap();
	fs::write(user.path("photos/sub/deeper/two"), &two).unwrap();
	fs::write(user.path("photos/sub/empty"), "").unwrap();
	let (root, blocks) = folder(&user.path("photos"));
	let node = network.node(&blocks);
	let report = user.json(&get(&root.to_string(), "copy", &[&node.address]));
	assert_eq!((&report["files"], &report["directories"]), (&3.into(), &3.into()));
	assert_eq!(fs::read(user.path("copy/one")).unwrap(), one);
	assert_eq!(fs::read(user.path("copy/sub/deeper/two")).unwrap(), two);
	assert_eq!(fs::read(user.path("copy/sub/empty")).unwrap(), b"");

	let inside = format!("{root}/sub/deeper/two");
	let report = user.json(&get(&inside, "part", &[&node.address]));
	assert_eq!(fs::read(user.path("part")).unwrap(), two);
	assert!(report["fetched_bytes"].as_u64().unwrap() < 60_000, "{report}");

	let (code, error) = user.failure(&get(&format!("{root}/sub/none"), "none", &[&node.address]));
	assert_eq!(code, 10);
	assert!(
		error["message"].as_str().unwrap().contains("no entry `none`"),
		"{error}"
	);
}

#[test]
fn ranges_fetch_what_they_need() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks, content) = network.file(2_000_000);
	let node = network.node(&blocks);
	let root = root.to_string();
	for (range, bytes) in [
		("0-0", &content[..1]),
		("700000-800000", &content[700_000..=800_000]),
		("1999990-", &content[1_999_990..]),
	] {
		let arguments = [
			&get(&root, "part", &[&node.address])[..],
			&["--range", range, "--force"],
		]
		.concat();
		let report = user.json(&arguments);
		assert_eq!(fs::read(user.path("part")).unwrap(), bytes, "{range}");
		assert!(
			report["fetched_bytes"].as_u64().unwrap() < 250_000,
			"{range}: {report}"
		);
		assert_eq!(report["peers"], serde_json::json!([node.id]));
	}
	let behind = [
		&get(&root, "behind", &[&node.address])[..],
		&["--range", "3000000-"],
	]
	.concat();
	let (code, error) = user.failure(&behind);
	assert_eq!(code, 11, "{error}");
}

#[test]
fn two_peers_with_half_of_the_blocks_each_are_enough() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks, content) = network.file(1_000_000);
	let half = |parity| -> Vec<Block> { blocks.iter().skip(parity).step_by(2).cloned().collect() };
	let nodes = [network.node(&half(0)), network.node(&half(1))];
	let peers = [nodes[0].address.as_str(), nodes[1].address.as_str()];
	let root = root.to_string();
	let report = user.json(&get(&root, "file", &peers));
	assert_eq!(fs::read(user.path("file")).unwrap(), content);
	let mut ids = [nodes[0].id.as_str(), nodes[1].id.as_str()];
	ids.sort_unstable();
	let mut from: Vec<&str> = report["peers"]
		.as_array()
		.unwrap()
		.iter()
		.map(|peer| peer.as_str().unwrap())
		.collect();
	from.sort_unstable();
	assert_eq!(from, ids);
	// A range whose blocks no single peer has.
	let arguments = [&get(&root, "part", &peers)[..], &["--range", "100000-299999"]].concat();
	user.json(&arguments);
	assert_eq!(fs::read(user.path("part")).unwrap(), content[100_000..300_000]);
}

#[test]
fn standard_output_has_the_content_alone() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks, content) = network.file(100_000);
	let node = network.node(&blocks);
	let output = user.run(&get(&root.to_string(), "-", &[&node.address]));
	assert!(output.status.success());
	assert!(output.stdout == content);
}

#[test]
fn the_default_asks_named_peers_and_needs_no_chain_for_it() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks, content) = network.file(100_000);
	let node = network.node(&blocks);
	let root: Cid = root;
	let arguments = [
		"get",
		&root.to_string(),
		"--output",
		"file",
		"--peer",
		&node.address,
	];
	let report = user.json(&[&NO_CHAIN[..], &arguments].concat());
	assert_eq!(fs::read(user.path("file")).unwrap(), content);
	assert_eq!(report["peers"], serde_json::json!([node.id]));
}
