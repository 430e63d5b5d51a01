//! Blocks of every codec, and the datasets of Codex.

use crate::{input::Input, Seed};
use cairn_dag::{
	codec::Segment,
	codex::{depth, Manifest, ProofError, Tree, TreeNode, TreeProof},
	walk::follow,
	Block, BlockSink, Cid, Codec, MemoryBlocks,
};
use ipld_core::ipld::Ipld;

/// Reads a block by the codec that the first byte chooses.
pub fn block_codec(data: &[u8]) {
	let mut input = Input::new(data);
	let codec = Codec::ALL[input.below(Codec::ALL.len())];
	let bytes = input.rest();
	let mut found: Vec<(Vec<Segment>, Cid)> = Vec::new();
	let scanned = codec.scan(bytes, &mut |way, cid| found.push((way.to_vec(), cid)));
	let mut links = vec![Cid::default()];
	assert_eq!(codec.links(bytes, &mut links), scanned);
	assert_eq!(codec.validate(bytes), scanned);
	if scanned.is_err() {
		assert_eq!(links.len(), 1, "links of a block that is refused");
		return;
	}
	assert!(links[1..].iter().eq(found.iter().map(|(_, cid)| cid)));
	if codec == Codec::DagCbor {
		dag_cbor(bytes, &links[1..]);
	}
	followed(codec, bytes, &found);
}

/// What is accepted as dag-cbor is also decoded by the library, which writes it the same.
fn dag_cbor(bytes: &[u8], links: &[Cid]) {
	let value: Ipld = match serde_ipld_dagcbor::from_slice(bytes) {
		Ok(value) => value,
		// The library nests less deeply, and takes no integers of 65 bits.
		Err(_) => return,
	};
	let written = serde_ipld_dagcbor::to_vec(&value).expect("what was decoded is encoded");
	assert_eq!(written, bytes, "a value has two encodings");
	let mut others = Vec::new();
	value.references(&mut others);
	assert!(links.iter().eq(&others), "readers see different links");
}

/// The way to a link leads to it.
fn followed(codec: Codec, bytes: &[u8], found: &[(Vec<Segment>, Cid)]) {
	// Sharded folders are followed by name, not by link.
	if codec == Codec::DagPb {
		return;
	}
	let block = Block::encode(codec, bytes.to_vec());
	let root = *block.cid();
	let mut blocks = MemoryBlocks::new();
	blocks.put(block).expect("memory takes every block");
	for (way, _) in found.iter().take(16) {
		let path: Vec<String> = way.iter().map(Segment::to_string).collect();
		if path
			.iter()
			.any(|segment| segment.is_empty() || segment.contains('/'))
		{
			continue;
		}
		let leads = |other: &[Segment]| {
			other.len() <= path.len() && other.iter().zip(&path).all(|(step, text)| step.is(text))
		};
		let (first, cid) = found
			.iter()
			.find(|(other, _)| leads(other))
			.expect("a way leads to itself");
		// Another link may lie on the way; its block is not there.
		if first.len() == path.len() {
			let followed = follow(&blocks, &root, &path.join("/"));
			assert_eq!(followed.map(|followed| followed.cid).ok(), Some(*cid), "{path:?}");
		}
	}
}

/// Reads what a peer says of a dataset: manifest, node, whole tree, and the proof of a block.
pub fn codex_dataset(data: &[u8]) {
	if let Ok(manifest) = Manifest::decode(data) {
		let again = Manifest::decode(&manifest.encode());
		assert_eq!(again.as_ref(), Ok(&manifest), "a manifest changes");
		assert!(manifest.content_size() <= manifest.blocks().saturating_mul(manifest.block_size.into()));
		assert!(depth(manifest.blocks()) <= 64);
	}
	if let Ok(node) = TreeNode::decode(data) {
		assert_eq!(node.encode()[..], *data, "a node has two encodings");
		assert_eq!(node.children().1.is_some(), node.right.is_some());
	}
	if let Ok(tree) = Tree::decode(data) {
		assert_eq!(Tree::decode(&tree.encode()).as_ref(), Ok(&tree));
		let leaves = tree.leaves().len() as u64;
		let proof = tree.proof(leaves - 1).expect("a leaf has a proof");
		let leaf = tree.leaf(leaves - 1).expect("it is a leaf");
		assert_eq!(proof.verify(&leaf, &tree.cid(), leaves - 1, leaves), Ok(()));
	}
	if let Ok(proof) = TreeProof::decode(data) {
		assert_eq!(
			TreeProof::decode(&proof.encode()).as_ref(),
			Ok(&proof),
			"a proof changes"
		);
	}
	forged(Input::new(data));
}

/// Of all proofs for a place in a known tree, the honest one alone is accepted.
fn forged(input: Input) {
	let mut input = input;
	let leaves = 1 + input.below(9) as u64;
	let tree = Tree::new((0..leaves).map(|leaf| [leaf as u8; 32]).collect()).expect("there are leaves");
	let index = u64::from(input.byte()) % leaves;
	let honest = tree.proof(index).expect("it is a leaf");
	let mut proof = honest.clone();
	while !input.is_empty() {
		let (choice, at, change) = (input.byte(), usize::from(input.byte()), input.byte());
		match choice % 5 {
			0 => proof.index ^= u64::from(change),
			1 => proof.leaves ^= u64::from(change),
			2 => proof.path.truncate(at),
			3 => proof.path.push([change; 32]),
			_ => {
				let level = at % proof.path.len().max(1);
				if let Some(digest) = proof.path.get_mut(level) {
					digest[at / 8] ^= change;
				}
			}
		}
	}
	let leaf = tree.leaf(index).expect("it is a leaf");
	let outcome = proof.verify(&leaf, &tree.cid(), index, leaves);
	assert_eq!(outcome.is_ok(), proof == honest, "{outcome:?}");
	// Whatever the proof says of itself, the block has one place. How many others there are it need not show:
	// the number of leaves comes from the manifest.
	let claimed = proof.verify(&leaf, &tree.cid(), proof.index, proof.leaves);
	let same_place = proof.index == honest.index && proof.path == honest.path;
	assert!(claimed.is_err() || same_place, "{proof:?}");
	assert!(claimed.is_ok() || proof != honest, "{claimed:?}");
	let swapped = proof.verify(&tree.cid(), &leaf, index, leaves);
	assert!(swapped.is_err());
	assert!(proof == honest || !matches!(outcome, Err(ProofError::WrongKind { .. })));
}

/// Seeds of [`block_codec`].
pub(crate) fn codec_seeds() -> Vec<Seed> {
	let seed = |codec: Codec, bytes: &[u8]| {
		let at = Codec::ALL.iter().position(|other| *other == codec);
		let at = at.expect("every codec is listed") as u8;
		[&[at], bytes].concat()
	};
	let target = *Block::encode(Codec::Raw, &b"target"[..]).cid();
	let list = vec![
		Ipld::Link(target),
		Ipld::Bytes(vec![1, 2]),
		Ipld::Float(0.5),
		Ipld::Null,
	];
	let map = [
		("list", Ipld::List(list)),
		("n", Ipld::Integer(-5)),
		("link", Ipld::Link(target)),
	];
	let value = Ipld::Map(map.map(|(key, value)| (key.to_owned(), value)).into());
	let cbor = serde_ipld_dagcbor::to_vec(&value).expect("the value has an encoding");
	let json = format!(r#"{{"a":[{{"/":"{target}"}},{{"/":{{"bytes":"AQI"}}}},-1.5e3],"b":{{"c":null}}}}"#);
	let tree = [b"tree 32\x00100644 file\0".as_slice(), &[7; 20]].concat();
	let commit = "tree 1111111111111111111111111111111111111111\nparent 2222222222222222222222222222222222222222\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nmessage\n";
	let commit = format!("commit {}\0{commit}", commit.len());
	let info = b"d6:lengthi5e4:name1:f12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
	let torrent = [b"d8:announce3:url4:info".as_slice(), info, b"e"].concat();
	let manifest = Manifest::new(tree_of(3).cid(), 65_536, 150_000);
	vec![
		("dag-cbor", seed(Codec::DagCbor, &cbor)),
		("dag-json", seed(Codec::DagJson, json.as_bytes())),
		("git-tree", seed(Codec::GitRaw, &tree)),
		("git-commit", seed(Codec::GitRaw, commit.as_bytes())),
		("torrent-info", seed(Codec::TorrentInfo, info)),
		("torrent-file", seed(Codec::TorrentFile, &torrent)),
		// An account: nonce, balance, root of the storage, hash of the code.
		(
			"eth-account",
			seed(
				Codec::EthAccount,
				&[&[0xf8, 0x44, 1, 0x80, 0xa0][..], &[3; 32], &[0xa0], &[4; 32]].concat(),
			),
		),
		// A leaf of a trie: its key's rest, and a value that is a list.
		(
			"eth-trie",
			seed(Codec::EthStorageTrie, &[0xc4, 0x20, 0x82, 0x81, 0x80]),
		),
		("eth-list", seed(Codec::EthBlockList, &[0xc0])),
		("codex-manifest", seed(Codec::CodexManifest, &manifest.encode())),
		(
			"codex-root",
			seed(Codec::CodexRoot, &[&[5; 64][..], &[1]].concat()),
		),
	]
}

fn tree_of(leaves: u8) -> Tree {
	Tree::new((0..leaves).map(|leaf| [leaf; 32]).collect()).expect("there are leaves")
}

/// Seeds of [`codex_dataset`].
pub(crate) fn codex_seeds() -> Vec<Seed> {
	let tree = tree_of(5);
	let mut manifest = Manifest::new(tree.cid(), 65_536, 300_000);
	manifest.filename = Some("file".to_owned());
	let node = TreeNode {
		left: [1; 32],
		right: None,
		bottom: true,
	};
	vec![
		("manifest", manifest.encode()),
		("tree", tree.encode()),
		("node", node.encode().to_vec()),
		("proof", tree.proof(3).expect("it is a leaf").encode()),
		("honest", vec![6, 2]),
		("another-index", vec![6, 2, 0, 0, 1]),
		("another-size", vec![6, 2, 1, 0, 3]),
		("longer", vec![6, 2, 3, 0, 0]),
	]
}
