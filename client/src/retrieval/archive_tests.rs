//! What is kept of the archives that gateways send.

use super::{
	archive::{receive, Expected},
	blocks::BlockStore,
	fetch::FetchError,
	missing::{Part, Wanted},
	pieces_tests::file,
};
use cairn_car::{CarWriter, ReadError};
use cairn_dag::{
	cid::multihash::Multihash,
	codec::dag_pb::{PbLink, PbNode},
	unixfs::import::{ImportOptions, Importer},
	walk::{walk, Scope, Walk},
	Block, BlockSource, Cid, Codec, MemoryBlocks,
};
use std::ops::{ControlFlow, Range};

fn car(root: Cid, blocks: &[Block]) -> Vec<u8> {
	let mut writer = CarWriter::new(Vec::new(), &[root]).unwrap();
	for block in blocks {
		writer.put(block).unwrap();
	}
	writer.finish().unwrap().0
}

fn all_of(walking: Walk<&MemoryBlocks>) -> Vec<Block> {
	walking.collect::<Result<_, _>>().unwrap()
}

fn dag(root: Cid, blocks: &MemoryBlocks) -> Vec<Block> {
	all_of(walk(blocks, root, Scope::All))
}

fn bytes(root: Cid, blocks: &MemoryBlocks, bytes: Range<u64>) -> Vec<Block> {
	let asked = format!("{}:{}", bytes.start, bytes.end - 1).parse().unwrap();
	all_of(walk(blocks, root, Scope::Entity).entity_bytes(asked))
}

struct Kept {
	_folder: tempfile::TempDir,
	blocks: BlockStore,
	/// Bytes of new blocks.
	new: usize,
}

impl Kept {
	fn new() -> Self {
		let folder = tempfile::tempdir().unwrap();
		Kept {
			blocks: BlockStore::open(&folder.path().join("x.car"), &file().0).unwrap(),
			_folder: folder,
			new: 0,
		}
	}

	fn take(&mut self, car: &[u8], root: Cid, bytes: Option<Range<u64>>) -> Result<(), FetchError> {
		receive(
			car,
			Expected { root, bytes },
			&self.blocks,
			&mut |block, is_new| {
				self.new += if is_new { block.data().len() } else { 0 };
				ControlFlow::Continue(())
			},
		)
	}

	fn is_complete(&self, root: Cid) -> bool {
		let wanted = Wanted {
			root,
			path: String::new(),
			part: Part::Whole,
		};
		wanted.complete(&self.blocks).unwrap() == Some(root)
	}
}

#[test]
fn whole_objects_arrive() {
	let (root, all) = file();
	let sent = dag(root, &all);
	let mut kept = Kept::new();
	kept.take(&car(root, &sent), root, None).unwrap();
	assert!(kept.is_complete(root));
	assert_eq!(
		kept.new,
		sent.iter().map(|block| block.data().len()).sum::<usize>()
	);
	// Again: nothing is new.
	let before = kept.new;
	kept.take(&car(root, &sent), root, None).unwrap();
	assert_eq!(kept.new, before);
}

#[test]
fn parts_of_files_arrive() {
	let (root, all) = file();
	let mut kept = Kept::new();
	for part in [0..100, 100..512, 500..1024] {
		kept.take(&car(root, &bytes(root, &all, part.clone())), root, Some(part))
			.unwrap();
	}
	assert!(kept.is_complete(root));
}

#[test]
fn more_than_the_part_that_is_asked_for_is_noticed() {
	let (root, all) = file();
	let mut kept = Kept::new();
	let error = kept.take(&car(root, &dag(root, &all)), root, Some(512..1024));
	assert!(matches!(error, Err(FetchError::IgnoresRange)), "{error:?}");
	assert!(kept.new > 0, "what was sent until then belongs to the object");
	// A block that belongs to nothing.
	let foreign = Block::encode(Codec::Raw, &b"unasked"[..]);
	let mut sent = bytes(root, &all, 512..1024);
	sent.push(foreign);
	let error = kept.take(&car(root, &sent), root, Some(512..1024));
	assert!(matches!(error, Err(FetchError::Unrequested { .. })), "{error:?}");
}

/// Equal parts of a file are one block, whose place is in the part that is asked for and outside of it.
#[test]
fn equal_parts_may_lie_on_both_sides() {
	let mut all = MemoryBlocks::new();
	let options = ImportOptions {
		chunk_size: 16,
		max_links: 4,
		..ImportOptions::default()
	};
	let root = Importer::new(&mut all, options)
		.reader(&[7; 1024][..])
		.unwrap()
		.root;
	let mut kept = Kept::new();
	let part = 200..300;
	kept.take(&car(root, &bytes(root, &all, part.clone())), root, Some(part))
		.unwrap();
	assert!(kept.is_complete(root));
}

#[test]
fn reading_ends_when_nothing_more_is_needed() {
	let (root, all) = file();
	let kept = Kept::new();
	let mut seen = 0;
	let expected = Expected { root, bytes: None };
	let sent = car(root, &dag(root, &all));
	receive(&sent[..], expected, &kept.blocks, &mut |_, _| {
		seen += 1;
		match seen {
			5 => ControlFlow::Break(()),
			_ => ControlFlow::Continue(()),
		}
	})
	.unwrap();
	assert_eq!(seen, 5);
}

#[test]
fn a_broken_transfer_keeps_its_verified_blocks() {
	let (root, all) = file();
	let sent = car(root, &dag(root, &all));
	let mut kept = Kept::new();
	let error = kept.take(&sent[..sent.len() / 2], root, None).unwrap_err();
	assert!(
		matches!(error, FetchError::Car(ReadError::Truncated { .. })),
		"{error}"
	);
	assert!(kept.new > 400 && !kept.is_complete(root));
}

#[test]
fn foreign_blocks_end_the_transfer() {
	let (root, all) = file();
	let foreign = Block::encode(Codec::Raw, &b"unasked"[..]);
	let mut sent = dag(root, &all);
	sent.insert(3, foreign.clone());
	let mut kept = Kept::new();
	let error = kept.take(&car(root, &sent), root, None).unwrap_err();
	assert!(matches!(error, FetchError::Unrequested { cid } if cid == *foreign.cid()));
	assert!(kept.blocks.get(foreign.cid()).unwrap().is_none());
}

#[test]
fn damaged_blocks_end_the_transfer() {
	let (root, all) = file();
	let mut sent = car(root, &dag(root, &all));
	let last = sent.len() - 1;
	sent[last] ^= 1;
	let mut kept = Kept::new();
	let error = kept.take(&sent, root, None).unwrap_err();
	assert!(
		matches!(error, FetchError::Car(ReadError::Block { .. })),
		"{error}"
	);
	assert!(!kept.is_complete(root));
}

/// Nodes inside CIDs inside CIDs.
#[test]
fn blocks_below_nested_identity_cids_belong_to_the_object() {
	let leaf = Block::encode(Codec::Raw, &b"leaf"[..]);
	let over = |cid: Cid| {
		let link = PbLink {
			cid,
			name: None,
			tsize: None,
		};
		let node = PbNode {
			links: vec![link],
			data: None,
		};
		node.encode()
	};
	let inline = |bytes: Vec<u8>| Cid::new_v1(Codec::DagPb.code(), Multihash::wrap(0, &bytes).unwrap());
	let nested = inline(over(inline(over(*leaf.cid()))));
	let root = Block::encode(Codec::DagPb, over(nested));
	let mut kept = Kept::new();
	let sent = car(*root.cid(), &[root.clone(), leaf.clone()]);
	kept.take(&sent, *root.cid(), None).unwrap();
	assert!(kept.is_complete(*root.cid()));
}

#[test]
fn garbage_is_an_error() {
	let (root, _) = file();
	for garbage in [&b""[..], b"<html>", &[0xff; 64]] {
		assert!(Kept::new().take(garbage, root, None).is_err());
	}
}
