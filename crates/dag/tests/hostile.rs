//! Bytes from strangers: whatever they are, reading them ends, with links or with an error.

#![cfg(all(
	feature = "bittorrent",
	feature = "codex",
	feature = "dag-cbor",
	feature = "dag-json",
	feature = "ethereum",
	feature = "git"
))]

mod fixtures;
use cairn_dag::{
	codex::{Manifest, Tree, TreeProof},
	read_cid,
	unixfs::{hamt::Shard, Metadata, Node},
	Block, Cid, Codec,
};
use cairn_test_random::{below, bytes, rng};
use fixtures::{blocks, BITTORRENT, ETHEREUM, GIT};
use rand_core::RngCore;
/// Bytes of each codec that are well-formed.
fn corpus() -> Vec<(Codec, Vec<u8>)> {
	let mut corpus: Vec<(Codec, Vec<u8>)> = [ETHEREUM, GIT, BITTORRENT]
		.into_iter()
		.flat_map(blocks)
		.map(|block| (Codec::of(block.cid()).unwrap(), block.data().to_vec()))
		.collect();
	for golden in [
		include_str!("golden/ipld.json"),
		include_str!("golden/unixfs-metadata.json"),
	] {
		let golden: Vec<serde_json::Value> = serde_json::from_str(golden).unwrap();
		for entry in golden {
			let cid: Cid = entry["cid"].as_str().unwrap().parse().unwrap();
			let block = hex::decode(entry["block"].as_str().unwrap()).unwrap();
			corpus.push((Codec::of(&cid).unwrap(), block));
		}
	}
	let tree = Tree::new(vec![[1; 32], [2; 32], [3; 32]]).unwrap();
	for node in tree.blocks() {
		corpus.push((Codec::CodexRoot, node.data().to_vec()));
	}
	corpus.push((
		Codec::CodexManifest,
		Manifest::new(tree.cid(), 65536, 140_000).encode(),
	));
	corpus.push((Codec::CodexSlotRoot, vec![7; 32]));
	corpus.push((Codec::CodexProvingRoot, vec![7; 32]));
	for (codec, bytes) in &corpus {
		assert_eq!(codec.validate(bytes), Ok(()));
	}
	corpus
}

/// A few changes at random places.
fn mutate(rng: &mut impl RngCore, bytes: &mut Vec<u8>, other: &[u8]) {
	for _ in 0..=below(rng, 4) {
		let at = below(rng, bytes.len() as u64 + 1) as usize;
		match below(rng, 7) {
			0 => bytes.truncate(at),
			1 => bytes.insert(at, rng.next_u32() as u8),
			2 => {
				let until = at + below(rng, (bytes.len() - at) as u64 + 1) as usize;
				bytes.drain(at..until);
			}
			3 => {
				// A piece of another block.
				let from = below(rng, other.len() as u64 + 1) as usize;
				bytes.splice(at..at, other[from..].iter().copied().take(40));
			}
			_ if bytes.is_empty() => {}
			4 => bytes[at.saturating_sub(1)] ^= 1 << below(rng, 8),
			5 => bytes[at.saturating_sub(1)] = [0, 0x7f, 0x80, 0xff][below(rng, 4) as usize],
			_ => bytes[at.saturating_sub(1)] = rng.next_u32() as u8,
		}
	}
}

/// Reads bytes in every way there is.
fn read(codec: Codec, data: &[u8]) {
	let mut links = vec![Cid::default()];
	let listed = codec.links(data, &mut links);
	assert_eq!(listed, codec.validate(data));
	let mut scanned = 0;
	assert_eq!(codec.scan(data, &mut |_, _| scanned += 1), listed);
	match listed {
		Ok(()) => assert_eq!(links.len(), scanned + 1),
		Err(_) => assert_eq!(links.len(), 1),
	}
	assert!(scanned <= data.len());
	let block = Block::encode(codec, data.to_vec());
	let _ = (
		Node::decode(&block),
		Shard::decode(&block),
		Metadata::decode(&block),
	);
	let _ = (
		Manifest::decode(data),
		Tree::decode(data),
		TreeProof::decode(data),
		read_cid(data),
	);
}

#[test]
fn no_bytes_make_it_panic() {
	let mut rng = rng();
	let corpus = corpus();
	for _ in 0..20_000 {
		let (codec, original) = &corpus[below(&mut rng, corpus.len() as u64) as usize];
		let (_, other) = &corpus[below(&mut rng, corpus.len() as u64) as usize];
		let mut data = original.clone();
		mutate(&mut rng, &mut data, other);
		read(*codec, &data);
	}
	// Every codec on bytes of every other, and on noise.
	for codec in Codec::ALL {
		for (_, data) in &corpus {
			read(*codec, data);
		}
		for len in 0..200 {
			read(*codec, &bytes(&mut rng, len));
		}
	}
}
