//! What is missing, and how it is divided.

use super::{
	blocks::BlockStore,
	missing::{ObjectError, Part, Wanted},
	pieces::{Ask, Pieces, Speaks, View},
};
use cairn_dag::{
	links,
	unixfs::{
		import::{ImportOptions, Importer},
		ByteRange,
	},
	BlockSource, Cid, MemoryBlocks,
};
use std::collections::HashSet;

/// A file of 64 leaves of 16 bytes in a tree of three levels with four links per node, and its blocks.
pub(super) fn file() -> (Cid, MemoryBlocks) {
	let mut blocks = MemoryBlocks::new();
	let options = ImportOptions {
		chunk_size: 16,
		max_links: 4,
		..ImportOptions::default()
	};
	let content: Vec<u8> = (0..512u32).flat_map(|i| (i as u16).to_le_bytes()).collect();
	let imported = Importer::new(&mut blocks, options).reader(&content[..]).unwrap();
	(imported.root, blocks)
}

fn below(blocks: &MemoryBlocks, cid: &Cid) -> Vec<Cid> {
	links(&blocks.get(cid).unwrap().unwrap()).unwrap()
}

fn wanted(root: Cid) -> Wanted {
	Wanted {
		root,
		path: String::new(),
		part: Part::Whole,
	}
}

fn bytes(root: Cid, start: u64, end: Option<u64>) -> Wanted {
	Wanted {
		part: Part::Bytes(ByteRange { start, end }),
		..wanted(root)
	}
}

fn kept<'a>(blocks: impl IntoIterator<Item = &'a cairn_dag::Block>) -> (tempfile::TempDir, BlockStore) {
	let folder = tempfile::tempdir().unwrap();
	let kept = BlockStore::open(&folder.path().join("x.car"), &file().0).unwrap();
	for block in blocks {
		kept.put(block).unwrap();
	}
	(folder, kept)
}

/// The requests that one gateway would get for all that is missing.
fn asks(blocks: &BlockStore, wanted: &Wanted, speaks: Speaks) -> Vec<Ask> {
	let mut seen = HashSet::new();
	let mut view = View::new(blocks, wanted, &mut seen);
	let mut pieces = Pieces::everything();
	let mut asks = Vec::new();
	while let Some((ask, _)) = pieces.take_front(&mut view, speaks, None).unwrap() {
		asks.push(ask);
	}
	asks
}

#[test]
fn nothing_is_there() {
	let (root, _) = file();
	let (_folder, blocks) = kept([]);
	assert_eq!(wanted(root).complete(&blocks).unwrap(), None);
	for speaks in [Speaks::Whole, Speaks::Subtrees, Speaks::Ranges] {
		assert_eq!(asks(&blocks, &wanted(root), speaks), [Ask::Target]);
	}
}

#[test]
fn everything_is_there() {
	let (root, all) = file();
	let (_folder, blocks) = kept(all.iter());
	assert_eq!(wanted(root).complete(&blocks).unwrap(), Some(root));
	assert_eq!(asks(&blocks, &wanted(root), Speaks::Ranges), []);
}

#[test]
fn only_what_is_missing_is_asked_for() {
	let (root, mut all) = file();
	let top = below(&all, &root);
	let lower = below(&all, &top[1]);
	let leaves = below(&all, &lower[2]);
	for cid in [&leaves[1], &leaves[2], &top[3]] {
		all.remove(cid);
	}
	let (_folder, blocks) = kept(all.iter());
	assert_eq!(wanted(root).complete(&blocks).unwrap(), None);
	// Neighbours come by one request for a part of their parent.
	assert_eq!(
		asks(&blocks, &wanted(root), Speaks::Ranges),
		[Ask::Bytes(lower[2], 16..48), Ask::Subtree(top[3])]
	);
	assert_eq!(
		asks(&blocks, &wanted(root), Speaks::Subtrees),
		[
			Ask::Subtree(leaves[1]),
			Ask::Subtree(leaves[2]),
			Ask::Subtree(top[3])
		]
	);
	assert_eq!(asks(&blocks, &wanted(root), Speaks::Whole), [Ask::Target]);
	// Bytes that need none of them, one of them, and half of what is below one.
	assert_eq!(bytes(root, 10, Some(100)).complete(&blocks).unwrap(), Some(root));
	let within = 256 + 2 * 64;
	assert_eq!(
		asks(
			&blocks,
			&bytes(root, within + 20, Some(within + 30)),
			Speaks::Ranges
		),
		[Ask::Subtree(leaves[1])]
	);
	assert_eq!(
		asks(&blocks, &bytes(root, 900, None), Speaks::Ranges),
		[Ask::Bytes(top[3], 132..256)]
	);
	assert_eq!(bytes(root, 1024, None).complete(&blocks).unwrap(), Some(root));
	let beyond = bytes(root, 1025, None).complete(&blocks);
	assert!(matches!(beyond, Err(ObjectError::Read(_))), "{beyond:?}");
}

#[test]
fn paths_lead_somewhere() {
	let (root, all) = file();
	let (_folder, blocks) = kept(all.iter());
	let wanted = Wanted {
		path: "a/b".to_owned(),
		..wanted(root)
	};
	assert!(matches!(wanted.complete(&blocks), Err(ObjectError::Path(_))));
}

#[test]
fn work_is_taken_from_the_back() {
	let (root, all) = file();
	let (_folder, blocks) = kept([&all.get(&root).unwrap().unwrap()]);
	let (wanted, mut seen) = (wanted(root), HashSet::new());
	let mut view = View::new(&blocks, &wanted, &mut seen);
	let mut pieces = Pieces::everything();
	let top = below(&all, &root);
	let mut take = |pieces: &mut Pieces, wanted, least| {
		let mut taken = pieces.take_back(&mut view, wanted, least).unwrap();
		let ask = taken.take_front(&mut view, Speaks::Ranges, None).unwrap();
		assert!(taken.is_empty());
		ask.map(|(ask, _)| ask)
	};
	// Cut where blocks end.
	assert_eq!(take(&mut pieces, 100, 64), Some(Ask::Bytes(top[3], 192..256)));
	// Across nodes, as one request.
	assert_eq!(take(&mut pieces, 300, 64), Some(Ask::Bytes(root, 704..960)));
	assert_eq!(pieces.size(), 704);
	// What may not be cut comes whole, but not the last.
	assert_eq!(take(&mut pieces, 16, u64::MAX), Some(Ask::Bytes(top[2], 0..192)));
	assert_eq!(take(&mut pieces, 1, u64::MAX), Some(Ask::Subtree(top[1])));
	assert_eq!(take(&mut pieces, 1, u64::MAX), None);
	assert_eq!((pieces.size(), pieces.is_one()), (256, true));
}

/// 2^40 paths lead to one leaf.
#[test]
fn shared_nodes_are_looked_into_once() {
	use cairn_dag::{
		codec::dag_pb::{PbLink, PbNode},
		Block, Codec,
	};
	let mut blocks = vec![Block::encode(Codec::Raw, &b"leaf"[..])];
	for _ in 0..40 {
		let link = |cid| PbLink {
			cid,
			name: None,
			tsize: Some(u64::MAX),
		};
		let below = *blocks.last().unwrap().cid();
		let node = PbNode {
			links: vec![link(below), link(below)],
			data: None,
		};
		blocks.push(Block::encode(Codec::DagPb, node.encode()));
	}
	let root = *blocks.last().unwrap().cid();
	let (_folder, there) = kept(&blocks);
	assert_eq!(wanted(root).complete(&there).unwrap(), Some(root));
	let (_folder, there) = kept(&blocks[1..]);
	assert_eq!(wanted(root).complete(&there).unwrap(), None);
}

#[test]
fn several_blocks_are_asked_for_one_by_one() {
	let (root, all) = file();
	let top = below(&all, &root);
	let (_folder, blocks) = kept([&all.get(&top[1]).unwrap().unwrap()]);
	let several = Wanted {
		part: Part::Blocks([top[0], top[1], top[3]].into()),
		..wanted(top[0])
	};
	for speaks in [Speaks::Ranges, Speaks::Subtrees, Speaks::Whole] {
		assert_eq!(
			asks(&blocks, &several, speaks),
			[Ask::Block(top[0]), Ask::Block(top[3])]
		);
	}
	// A gateway that lacks one is asked for the others.
	let (mut seen, lacking) = (HashSet::new(), HashSet::from([top[0]]));
	let mut view = View::new(&blocks, &several, &mut seen);
	let mut pieces = Pieces::everything();
	let mut next = || {
		pieces
			.take_front(&mut view, Speaks::Ranges, Some(&lacking))
			.unwrap()
	};
	assert_eq!(next().map(|(ask, _)| ask), Some(Ask::Block(top[3])));
	assert_eq!(next(), None);
	assert!(!pieces.is_empty());
	assert_eq!(several.complete(&blocks).unwrap(), None);
	for cid in [top[0], top[3]] {
		blocks.put(&all.get(&cid).unwrap().unwrap()).unwrap();
	}
	assert_eq!(several.complete(&blocks).unwrap(), Some(top[0]));
}
