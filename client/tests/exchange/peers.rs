//! `cairn peer` against peers, and content found through the DHT.

use crate::{
	getting::get,
	nodes::{Network, Node},
	user::{fields, User},
};
use cairn_dag::{Block, Cid};
use cairn_network::{blocks::BlockStore, blocks::MemoryStore, host::Event};
use std::{fs, sync::Arc, time::Duration};

/// Longer than anything here takes on a slow machine; only a failed test waits for it.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn peers_say_who_they_are() {
	let (mut network, user) = (Network::new(), User::new());
	let node = network.node(&[]);
	let report = user.json(&["peer", "id", &node.address]);
	assert_eq!(
		fields(&report),
		["addresses", "agent", "peer_id", "protocols", "rtt", "schema"]
	);
	assert_eq!(
		(&report["schema"], &report["peer_id"]),
		(&"cairn.peer/1".into(), &node.id.as_str().into())
	);
	assert!(
		report["agent"].as_str().unwrap().starts_with("cairn/"),
		"{report}"
	);
	assert!(report["rtt"].as_f64().unwrap() > 0.0);
	let protocols = report["protocols"].as_array().unwrap();
	for protocol in ["/ipfs/bitswap/1.2.0", "/ipfs/ping/1.0.0"] {
		assert!(protocols.contains(&protocol.into()), "{report}");
	}
	let (ip, _) = node.address.split_once("/p2p/").unwrap();
	assert!(
		report["addresses"][0].as_str().unwrap().starts_with(ip),
		"{report}"
	);
}

#[test]
fn pings_are_answered() {
	let (mut network, user) = (Network::new(), User::new());
	let node = network.node(&[]);
	let arguments = [
		"--json",
		"peer",
		"ping",
		&node.address,
		"--count",
		"5",
		"--interval",
		"1",
	];
	let output = user.run(&arguments);
	assert!(
		output.status.success(),
		"{}",
		String::from_utf8_lossy(&output.stderr)
	);
	let text = String::from_utf8(output.stdout).unwrap();
	let pongs: Vec<serde_json::Value> = text
		.lines()
		.map(|line| serde_json::from_str(line).unwrap())
		.collect();
	assert_eq!(pongs.len(), 5);
	for (index, pong) in pongs.iter().enumerate() {
		assert_eq!(
			(&pong["schema"], &pong["sequence"]),
			(&"cairn.peer-pong/1".into(), &(index + 1).into())
		);
		assert!(pong["rtt"].as_f64().unwrap() > 0.0);
	}
}

#[test]
fn peers_that_are_not_there_or_are_others_are_errors() {
	let (mut network, user) = (Network::new(), User::new());
	let nobody = network.nobody();
	for command in ["id", "ping"] {
		let (code, error) = user.failure(&["peer", command, &nobody]);
		assert_eq!(code, 9, "{error}");
		assert!(error["message"].as_str().unwrap().contains(&nobody), "{error}");
	}
	// Somebody else answers there.
	let node = network.node(&[]);
	let (address, _) = node.address.split_once("/p2p/").unwrap();
	let other = format!("{address}/p2p/{}", nobody.rsplit('/').next().unwrap());
	let (code, _) = user.failure(&["peer", "id", &other]);
	assert_eq!(code, 9);
	let (code, _) = user.failure(&["peer", "id", "/ip4/127.0.0.1/tcp/1"]);
	assert_eq!(code, 2);
	let (code, _) = user.failure(&["peer", "id"]);
	assert_eq!(code, 2);
	let cid = Cid::default().to_string();
	let (code, error) = user.failure(&["peer", "find", &cid, "--bootstrap", &nobody]);
	assert_eq!(code, 9, "{error}");
}

/// A member of the DHT, and a peer that provides the root of blocks.
fn providing(network: &mut Network, root: &Cid, blocks: &[Block]) -> (Node, Node) {
	let member = network.node_with(Arc::new(MemoryStore::new()), Some(Vec::new()));
	let store = MemoryStore::new();
	store.put(blocks).unwrap();
	let provider = network.node_with(Arc::new(store), Some(vec![member.peer_address()]));
	network.run(async {
		let mut events = provider.host.subscribe();
		provider.host.provide(vec![root.hash().to_bytes()]).await.unwrap();
		tokio::time::timeout(LIMIT, async {
			while !matches!(events.recv().await.unwrap(), Event::Announced { .. }) {}
		})
		.await
		.expect("the root is announced");
	});
	(member, provider)
}

#[test]
fn providers_are_found_in_the_dht_and_fetched_from() {
	let (mut network, user) = (Network::new(), User::new());
	let (root, blocks, content) = network.file(200_000);
	let (member, provider) = providing(&mut network, &root, &blocks);
	let root = root.to_string();
	let report = user.json(&["peer", "find", &root, "--bootstrap", &member.address]);
	assert_eq!(report["schema"], "cairn.peer-found/1");
	let found = report["providers"].as_array().unwrap();
	assert_eq!(found.len(), 1, "{report}");
	assert_eq!(found[0]["peer_id"], provider.id.as_str());
	let addresses = found[0]["addresses"].as_array().unwrap();
	assert!(addresses.contains(&provider.address.as_str().into()), "{report}");

	let arguments = [&get(&root, "file", &[])[..], &["--bootstrap", &member.address]].concat();
	let report = user.json(&arguments);
	assert_eq!(fs::read(user.path("file")).unwrap(), content);
	assert_eq!(report["peers"], serde_json::json!([provider.id]));

	let unknown = Block::encode(cairn_dag::Codec::Raw, network.bytes(8))
		.cid()
		.to_string();
	let (code, error) = user.failure(&["peer", "find", &unknown, "--bootstrap", &member.address]);
	assert_eq!(code, 10, "{error}");
}
