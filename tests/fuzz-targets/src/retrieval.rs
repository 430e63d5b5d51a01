//! An object retrieved from a hostile provider.

use crate::{archive::v1, input::Input, Seed};
use cairn_car::{CarReader, CarWriter};
use cairn_client::retrieval::{
	archive::{self, Expected},
	blocks::BlockStore,
	missing::{Part, Wanted},
};
use cairn_dag::{
	links,
	source::load,
	unixfs::{
		import::{ImportOptions, Importer},
		ByteRange, FileChunks,
	},
	walk::{walk, Scope},
	Block, BlockSource, Cid, Codec, MemoryBlocks,
};
use std::{collections::HashSet, fs::File, ops::ControlFlow, path::Path};

/// Takes an answer for an object, and looks at what was kept of it.
pub fn retrieved_car(data: &[u8]) {
	let mut input = Input::new(data);
	let kind = input.byte();
	let (start, len) = (u64::from(input.u16()), u64::from(input.byte()));
	let path_len = input.below(16);
	let path = String::from_utf8_lossy(input.bytes(path_len)).into_owned();
	let sent = input.rest();
	let reader = CarReader::new(sent).ok();
	let root = reader.and_then(|reader| reader.roots().first().copied());
	// An object that nobody can have sent.
	let root = root.unwrap_or_else(|| *Block::encode(Codec::Raw, &b"absent"[..]).cid());
	let wanted = Wanted {
		root,
		path,
		part: match kind % 4 {
			0 => Part::Whole,
			1 => Part::Bytes(ByteRange {
				start,
				end: Some(start + len),
			}),
			2 => Part::Block,
			_ => Part::Blocks([root].into()),
		},
	};

	let folder = tempfile::tempdir().expect("a temporary folder");
	let file = folder.path().join("object.car");
	let blocks = BlockStore::open(&file, &root).expect("the folder is writable");
	let receive = || {
		let expected = Expected {
			root,
			bytes: match &wanted.part {
				Part::Bytes(range) => range.end.map(|end| range.start..end),
				Part::Whole | Part::Block | Part::Blocks(_) => None,
			},
		};
		let mut new = 0;
		let outcome = archive::receive(sent, expected, &blocks, &mut |block, is_new| {
			new += if is_new { block.data().len() } else { 0 };
			ControlFlow::Continue(())
		});
		(outcome.is_ok(), new)
	};
	let (outcome, received) = receive();
	let kept = kept(&file);
	let bytes: usize = kept.iter().map(|block| block.data().len()).sum();
	assert_eq!(received, bytes);
	let ours = reachable(&blocks, root);
	assert!(
		kept.iter().all(|block| ours.contains(block.cid())),
		"a foreign block was kept"
	);

	// The same once more brings nothing new.
	assert_eq!(receive(), (outcome, 0));

	let now = wanted.complete(&blocks).ok();
	if let Some(Some(target)) = now {
		match wanted.part {
			Part::Whole => walk(&blocks, target, Scope::All)
				.for_each(|block| drop(block.expect("a complete object can be walked"))),
			Part::Bytes(range) => FileChunks::new(&blocks, target, range)
				.for_each(|chunk| drop(chunk.expect("a complete range can be read"))),
			Part::Block | Part::Blocks(_) => {
				let block = load(&blocks, &target).expect("the store can be read");
				assert!(block.is_some(), "a complete block is there");
			}
		}
	}
	drop(blocks);
	let reopened = BlockStore::open(&file, &root).expect("the file is readable");
	assert_eq!(
		wanted.complete(&reopened).ok(),
		now,
		"blocks do not outlive the process"
	);
}

/// Blocks in the store's file.
fn kept(file: &Path) -> Vec<Block> {
	let file = File::open(file).expect("the store has a file");
	let reader = CarReader::new(file).expect("the store is an archive");
	reader.map(|block| block.expect("the store is whole")).collect()
}

/// What is linked to from `root` by the blocks that there are.
fn reachable(blocks: &BlockStore, root: Cid) -> HashSet<Cid> {
	let mut found = HashSet::from([root]);
	let mut pending = vec![root];
	while let Some(cid) = pending.pop() {
		let Some(block) = load(blocks, &cid).expect("the file is readable") else {
			continue;
		};
		let children = links(&block).unwrap_or_default();
		pending.extend(children.into_iter().filter(|child| found.insert(*child)));
	}
	found
}

/// A file of several levels, and its blocks.
fn object() -> (Cid, MemoryBlocks) {
	let content: Vec<u8> = (0..120).collect();
	let mut blocks = MemoryBlocks::new();
	let options = ImportOptions {
		chunk_size: 16,
		max_links: 3,
		..ImportOptions::default()
	};
	let imported = Importer::new(&mut blocks, options).reader(&content[..]);
	(imported.expect("memory can be imported").root, blocks)
}

/// Seeds of [`retrieved_car`].
pub(crate) fn seeds() -> Vec<Seed> {
	let (root, blocks) = object();
	let all: Vec<Block> = walk(&blocks, root, Scope::All)
		.collect::<Result<_, _>>()
		.expect("the object is whole");
	let car = |blocks: &[Block]| {
		let mut writer = CarWriter::new(Vec::new(), &[root]).expect("memory takes every byte");
		for block in blocks {
			writer.put(block).expect("memory takes every byte");
		}
		writer.finish().expect("memory takes every byte").0
	};
	let plain = |archive: &[u8]| [&[0; 5][..], archive].concat();
	let leaf = blocks
		.get(all[all.len() - 1].cid())
		.ok()
		.flatten()
		.expect("it was walked");
	vec![
		("whole", plain(&car(&all))),
		("range", [&[1, 10, 0, 20, 0][..], &car(&all)].concat()),
		("part", plain(&car(&all[..3]))),
		(
			"path",
			[&[0, 0, 0, 0, 3, b'a', b'/', b'b'][..], &car(&all[..2])].concat(),
		),
		("foreign", plain(&car(&[leaf, all[0].clone()]))),
		("another", plain(&v1())),
	]
}
