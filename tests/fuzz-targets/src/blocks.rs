//! Single blocks and their addresses: CIDs, piece CIDs, dag-pb, UnixFS.

use crate::Seed;
use bytes::Bytes;
use cairn_dag::{
	cid::multihash::Multihash,
	codec::{
		dag_pb::{DagPb, PbLink, PbNode},
		BlockCodec,
	},
	read_cid, unixfs,
	unixfs::{Node, NodeError},
	Block, BlockSink, Cid, Codec, MemoryBlocks,
};
use cairn_primitives::PieceInfo;
use cairn_provider_api::piece_cid::{self, NamedPiece};

/// Reads a CID as bytes and as text, and as the name of a piece.
pub fn cid(data: &[u8]) {
	if let Some((cid, len)) = read_cid(data) {
		assert_eq!(cid.to_bytes(), &data[..len], "a CID has two encodings");
		// Nothing is known of the block, but neither may a wrong one be accepted.
		let rest = Bytes::copy_from_slice(&data[len..]);
		if let Ok(block) = Block::new(cid, rest.clone()) {
			assert_eq!(block.data(), rest);
			let mut changed = rest.to_vec();
			changed.push(0);
			assert!(Block::new(cid, changed).is_err(), "a CID fits two blocks");
		}
		name_of_piece(&cid);
	}
	let Ok(text) = std::str::from_utf8(data) else {
		return;
	};
	if let Ok(cid) = text.parse::<Cid>() {
		assert_eq!(cid.to_string().parse::<Cid>().ok(), Some(cid));
		name_of_piece(&cid);
		assert_eq!(piece_cid::parse(text), piece_cid::from_cid(&cid));
	}
}

fn name_of_piece(cid: &Cid) {
	match piece_cid::from_cid(cid) {
		Ok(NamedPiece::V1(commitment)) => assert_eq!(piece_cid::v1(&commitment), *cid),
		Ok(NamedPiece::V2(piece)) => {
			assert!(piece.is_valid());
			assert_eq!(piece_cid::v2(&piece), Some(*cid), "a piece has two names");
		}
		Err(_) => {}
	}
}

/// Decodes a dag-pb block in each of the three ways that there are.
pub fn dag_pb(data: &[u8]) {
	let bytes = Bytes::copy_from_slice(data);
	let mut links = Vec::new();
	let linked = DagPb::links(data, &mut links);
	let node = match PbNode::decode(&bytes) {
		Ok(node) => node,
		Err(_) => {
			assert!(
				linked.is_err() && DagPb::validate(data).is_err(),
				"malformed, yet accepted"
			);
			return;
		}
	};
	assert!(
		linked.is_ok() && DagPb::validate(data).is_ok(),
		"well-formed, yet refused"
	);
	assert!(links.iter().eq(node.links.iter().map(|link| &link.cid)));
	let encoded = node.encode();
	assert_eq!(encoded.len(), node.encoded_len());
	// The canonical form differs in the places of fields only.
	assert_eq!(encoded.len(), data.len(), "a block has two encodings");
	let again = PbNode::decode(&encoded.clone().into()).expect("an encoded node is decoded");
	let name = |link: &PbLink| link.name.clone().unwrap_or_default().into_bytes();
	let mut sorted = node;
	sorted.links.sort_by_key(name);
	assert_eq!(again, sorted);
	assert_eq!(again.encode(), encoded, "encoding is not stable");
}

/// Decodes a UnixFS block and looks at it as files and folders are looked at.
pub fn unixfs_node(data: &[u8]) {
	let block = Block::encode(Codec::DagPb, data.to_vec());
	let pb = PbNode::decode(block.bytes());
	match Node::decode(&block) {
		Err(NodeError::Codec(_)) => assert!(pb.is_err()),
		Err(_) => assert!(pb.is_ok()),
		Ok(node) => {
			let links = pb.expect("what is UnixFS is dag-pb").links;
			match &node {
				Node::File(file) => {
					assert_eq!(file.children.len(), links.len());
					let below: u64 = file.children.iter().map(|child| child.size).sum();
					assert_eq!(file.size, below + file.data.len() as u64);
				}
				Node::Directory(entries) => assert_eq!(entries.len(), links.len()),
				Node::Symlink(_) => assert!(links.is_empty()),
				Node::ShardedDirectory => {}
			}
		}
	}
	let root = *block.cid();
	let mut blocks = MemoryBlocks::new();
	blocks.put(block).expect("memory takes every block");
	let stat = unixfs::stat(&blocks, &root);
	let listed = unixfs::list(&blocks, &root);
	assert!(stat.is_ok() || listed.is_err());
	for entry in listed.into_iter().flatten() {
		// The first entry of a name counts, and empty or compound names cannot be asked for.
		if let Ok(found) = unixfs::resolve(&blocks, &root, &entry.name) {
			assert_eq!(
				found.blocks.len(),
				entry.name.split('/').filter(|name| !name.is_empty()).count()
			);
		}
	}
}

/// Seeds of [`cid`].
pub(crate) fn cid_seeds() -> Vec<Seed> {
	let raw = Block::encode(Codec::Raw, &b"block"[..]);
	let v0 = Block::encode_v0(&b"\x0a\x02\x08\x01"[..]);
	let identity = Cid::new_v1(0x55, Multihash::wrap(0, b"inline").expect("six bytes fit"));
	let piece = PieceInfo {
		commitment: [7; 32],
		size_log2: 11,
		payload_size: 1900,
	};
	let (v1, v2) = (
		piece_cid::v1(&piece.commitment),
		piece_cid::v2(&piece).expect("possible sizes"),
	);
	vec![
		("v1", [&raw.cid().to_bytes()[..], b"block"].concat()),
		("v0", [&v0.cid().to_bytes()[..], v0.data()].concat()),
		("identity", [&identity.to_bytes()[..], b"inline"].concat()),
		("v1-text", raw.cid().to_string().into_bytes()),
		("v0-text", v0.cid().to_string().into_bytes()),
		("piece-v1", v1.to_bytes()),
		("piece-v1-text", v1.to_string().into_bytes()),
		("piece-v2", v2.to_bytes()),
		("piece-v2-text", v2.to_string().into_bytes()),
	]
}

/// Fields of a UnixFS message: type, content, size, sizes of the children.
pub(crate) fn unixfs_message(
	kind: u8,
	content: Option<&[u8]>,
	size: Option<u64>,
	children: &[u64],
) -> Vec<u8> {
	use cairn_dag::varint::encode;
	let mut message = vec![0x08, kind];
	if let Some(content) = content {
		message.push(0x12);
		encode(content.len() as u64, &mut message);
		message.extend_from_slice(content);
	}
	if let Some(size) = size {
		message.push(0x18);
		encode(size, &mut message);
	}
	for child in children {
		message.push(0x20);
		encode(*child, &mut message);
	}
	message
}

/// Numbers of the UnixFS types.
pub(crate) const DIRECTORY: u8 = 1;
pub(crate) const FILE: u8 = 2;
pub(crate) const SYMLINK: u8 = 4;
pub(crate) const SHARD: u8 = 5;

fn link(name: Option<&str>, tsize: Option<u64>) -> PbLink {
	PbLink {
		cid: *Block::encode(Codec::Raw, &b"child"[..]).cid(),
		name: name.map(str::to_owned),
		tsize,
	}
}

/// Seeds of [`dag_pb`] and [`unixfs_node`].
pub(crate) fn node_seeds() -> Vec<Seed> {
	let node = |links, message: Vec<u8>| {
		let data = Some(message.into());
		PbNode { links, data }.encode()
	};
	let file = vec![link(Some(""), Some(13)), link(None, None)];
	let folder = vec![
		link(Some("a"), Some(5)),
		link(Some("b/c"), Some(5)),
		link(Some(".."), None),
	];
	let bare = PbNode {
		links: vec![link(Some("x"), Some(u64::MAX))],
		data: None,
	};
	let data_first = [&[0x0a, 0x02, 0x08, 0x01][..], &bare.encode()].concat();
	let mut metadata = unixfs_message(FILE, Some(b"x"), Some(1), &[]);
	// Mode 0644, and a time with nanoseconds.
	metadata.extend_from_slice(&[0x38, 0xa4, 0x03, 0x42, 0x07, 0x08, 0x01, 0x15, 1, 0, 0, 0]);
	vec![
		(
			"file",
			node(file, unixfs_message(FILE, Some(b"own"), Some(13), &[5, 5])),
		),
		("leaf", node(vec![], metadata)),
		(
			"directory",
			node(folder, unixfs_message(DIRECTORY, None, None, &[])),
		),
		(
			"symlink",
			node(vec![], unixfs_message(SYMLINK, Some(b"../target"), None, &[])),
		),
		("not-unixfs", bare.encode()),
		("data-first", data_first),
		("empty", vec![]),
	]
}
