//! Walks over DAGs.

mod random;

use cairn_dag::{
	codec::{
		dag_pb::{PbLink, PbNode},
		CodecError,
	},
	unixfs::{
		import::{ImportOptions, Importer},
		resolve, ByteRange, FileChunks, ReadError, ResolveError,
	},
	walk::{walk, Budget, EntityBytes, Scope, WalkError},
	Block, BlockSink, BlockSource, Cid, Codec, MemoryBlocks, SourceError,
};
use random::{below, bytes, rng};
use std::{cell::RefCell, collections::HashSet};

fn node(links: &[(&str, Cid)], data: Option<&'static [u8]>) -> Block {
	let links = links
		.iter()
		.map(|(name, cid)| PbLink {
			cid: *cid,
			name: Some((*name).into()),
			tsize: None,
		})
		.collect();
	Block::encode(
		Codec::DagPb,
		PbNode {
			links,
			data: data.map(Into::into),
		}
		.encode(),
	)
}

fn store(blocks: &[&Block]) -> MemoryBlocks {
	let mut store = MemoryBlocks::new();
	for block in blocks {
		store.put((*block).clone()).unwrap();
	}
	store
}

fn cids(walk: impl Iterator<Item = Result<Block, WalkError>>) -> Vec<Cid> {
	walk.map(|block| *block.unwrap().cid()).collect()
}

/// A folder `root` with `a/x`, `a/y` and `b`, where `b` is `a/x` once more.
struct Sample {
	x: Block,
	y: Block,
	a: Block,
	root: Block,
	blocks: MemoryBlocks,
}

fn sample() -> Sample {
	let x = Block::encode(Codec::Raw, &b"x"[..]);
	let y = Block::encode(Codec::Raw, &b"y"[..]);
	let a = node(&[("x", *x.cid()), ("y", *y.cid())], Some(b"\x08\x01"));
	let root = node(&[("a", *a.cid()), ("b", *x.cid())], Some(b"\x08\x01"));
	let blocks = store(&[&x, &y, &a, &root]);
	Sample {
		x,
		y,
		a,
		root,
		blocks,
	}
}

#[test]
fn depth_first_each_block_once() {
	let Sample {
		x,
		y,
		a,
		root,
		blocks,
	} = sample();
	let all = [*root.cid(), *a.cid(), *x.cid(), *y.cid()];
	assert_eq!(cids(walk(&blocks, *root.cid(), Scope::All)), all);
	let repeated = walk(&blocks, *root.cid(), Scope::All).duplicates(true);
	assert_eq!(cids(repeated), [&all[..], &[*x.cid()]].concat());
	assert_eq!(cids(walk(&blocks, *root.cid(), Scope::Block)), [*root.cid()]);
	assert_eq!(cids(walk(&blocks, *root.cid(), Scope::Entity)), [*root.cid()]);
	assert_eq!(cids(walk(&blocks, *x.cid(), Scope::Entity)), [*x.cid()]);
}

#[test]
fn missing_blocks_and_unknown_codecs_stop_the_walk() {
	let Sample {
		y, root, mut blocks, ..
	} = sample();
	blocks.remove(y.cid());
	let mut walking = walk(&blocks, *root.cid(), Scope::All);
	assert_eq!(walking.by_ref().take(3).filter(Result::is_ok).count(), 3);
	assert!(matches!(walking.next(), Some(Err(WalkError::Missing { cid })) if cid == *y.cid()));
	assert!(walking.next().is_none());

	let raw = Block::encode(Codec::Raw, &b"\xa0"[..]);
	let cbor = Block::new(Cid::new_v1(0x71, *raw.cid().hash()), raw.bytes().clone()).unwrap();
	let blocks = store(&[&cbor]);
	let result = walk(&blocks, *cbor.cid(), Scope::All).next().unwrap();
	assert!(matches!(
		result,
		Err(WalkError::Codec {
			error: CodecError::Unsupported { code: 0x71 },
			..
		})
	));
	// What is not UnixFS is an entity of one block.
	assert_eq!(cids(walk(&blocks, *cbor.cid(), Scope::Entity)), [*cbor.cid()]);
	let plain = node(&[("cbor", *cbor.cid())], None);
	assert_eq!(
		cids(walk(store(&[&plain]), *plain.cid(), Scope::Entity)),
		[*plain.cid()]
	);
	let broken = Block::encode(Codec::DagPb, &b"\xff"[..]);
	for scope in [Scope::All, Scope::Entity] {
		let result = walk(store(&[&broken]), *broken.cid(), scope).next().unwrap();
		assert!(matches!(
			result,
			Err(WalkError::Codec {
				error: CodecError::Malformed { .. },
				..
			})
		));
	}
	let shards = Block::encode(Codec::DagPb, &b"\x0a\x02\x08\x05"[..]);
	let result = walk(store(&[&shards]), *shards.cid(), Scope::Entity)
		.next()
		.unwrap();
	assert!(matches!(
		result,
		Err(WalkError::Unixfs(ReadError::ShardedDirectory { .. }))
	));
}

#[test]
fn blocks_inside_identity_cids_need_no_source() {
	let inline = cairn_dag::cid::multihash::Multihash::wrap(0, b"inline").unwrap();
	let root = node(&[("inline", Cid::new_v1(0x55, inline))], None);
	let blocks: Vec<Block> = walk(store(&[&root]), *root.cid(), Scope::All)
		.map(Result::unwrap)
		.collect();
	assert_eq!(blocks[1].data(), b"inline");
}

#[test]
fn budgets_hold() {
	let exceeded = |budget: Budget, root: &Block, blocks: &MemoryBlocks| {
		let last = walk(blocks, *root.cid(), Scope::All)
			.duplicates(true)
			.budget(budget)
			.last();
		match last.unwrap() {
			Err(WalkError::Budget { limit, .. }) => limit,
			other => panic!("{other:?}"),
		}
	};
	let Sample { root, blocks, .. } = sample();
	let default = Budget::default();
	assert_eq!(
		exceeded(
			Budget {
				max_blocks: 4,
				..default
			},
			&root,
			&blocks
		),
		"number of blocks"
	);
	assert_eq!(
		exceeded(
			Budget {
				max_bytes: 100,
				..default
			},
			&root,
			&blocks
		),
		"bytes"
	);
	assert_eq!(
		exceeded(
			Budget {
				max_depth: 1,
				..default
			},
			&root,
			&blocks
		),
		"depth"
	);
	assert_eq!(
		exceeded(
			Budget {
				max_pending: 2,
				..default
			},
			&root,
			&blocks
		),
		"waiting links"
	);
	let exact = Budget {
		max_blocks: 5,
		max_depth: 2,
		max_pending: 3,
		..default
	};
	assert_eq!(
		walk(&blocks, *root.cid(), Scope::All)
			.duplicates(true)
			.budget(exact)
			.count(),
		5
	);
}

#[test]
fn a_dag_of_exponential_size_is_walked_once_or_stopped() {
	let mut blocks = MemoryBlocks::new();
	let mut top = Block::encode(Codec::Raw, &b"leaf"[..]);
	blocks.put(top.clone()).unwrap();
	for _ in 0..100 {
		top = node(&[("l", *top.cid()), ("r", *top.cid())], None);
		blocks.put(top.clone()).unwrap();
	}
	assert_eq!(cids(walk(&blocks, *top.cid(), Scope::All)).len(), 101);
	let budget = Budget {
		max_blocks: 1000,
		..Budget::default()
	};
	let last = walk(&blocks, *top.cid(), Scope::All)
		.duplicates(true)
		.budget(budget)
		.last()
		.unwrap();
	assert!(matches!(
		last,
		Err(WalkError::Budget {
			limit: "number of blocks",
			..
		})
	));
}

/// Records what is asked for.
struct Recording<'a>(&'a MemoryBlocks, RefCell<HashSet<Cid>>);

impl BlockSource for Recording<'_> {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		self.1.borrow_mut().insert(*cid);
		self.0.get(cid)
	}
}

#[test]
fn byte_ranges_yield_what_is_needed_and_no_more() {
	let mut rng = rng();
	let options = ImportOptions {
		chunk_size: 10,
		max_links: 4,
		..ImportOptions::default()
	};
	let data = bytes(&mut rng, 777);
	let mut blocks = MemoryBlocks::new();
	let root = Importer::new(&mut blocks, options)
		.reader(&data[..])
		.unwrap()
		.root;
	for _ in 0..200 {
		let from = below(&mut rng, 1600) as i64 - 800;
		let to = below(&mut rng, 1600) as i64 - 800;
		let range = EntityBytes {
			from,
			to: (to % 5 != 0).then_some(to),
		};
		let yielded = cids(walk(&blocks, root, Scope::All).entity_bytes(range));
		assert_eq!(yielded[0], root);
		assert_eq!(yielded.iter().collect::<HashSet<_>>().len(), yielded.len());
		let Some(bytes) = range.within(data.len() as u64) else {
			assert_eq!(yielded, [root], "{range}");
			continue;
		};
		// Exactly what reading the range asks for, and enough to read it.
		let recording = Recording(&blocks, RefCell::default());
		let read: Vec<u8> = FileChunks::new(&recording, root, bytes)
			.flat_map(|chunk| chunk.unwrap().to_vec())
			.collect();
		assert_eq!(read, data[bytes.start as usize..bytes.end.unwrap() as usize]);
		assert_eq!(
			recording.1.into_inner(),
			yielded.iter().copied().collect(),
			"{range}"
		);
	}
	// Every block is needed for all bytes, and in depth-first order.
	let all = walk(&blocks, root, Scope::All).entity_bytes("0:*".parse().unwrap());
	assert_eq!(cids(all), cids(walk(&blocks, root, Scope::All)));
	assert_eq!(
		cids(walk(&blocks, root, Scope::Entity)),
		cids(walk(&blocks, root, Scope::All))
	);
}

#[test]
fn byte_ranges_of_repetitive_files() {
	let options = ImportOptions {
		chunk_size: 4,
		max_links: 3,
		..ImportOptions::default()
	};
	let mut blocks = MemoryBlocks::new();
	let root = Importer::new(&mut blocks, options)
		.reader(&[0; 4 * 81 + 2][..])
		.unwrap()
		.root;
	for from in 0..326 {
		for to in [from, from + 1, from + 7, from + 100, 325] {
			let range = EntityBytes { from, to: Some(to) };
			let yielded: Vec<Block> = walk(&blocks, root, Scope::Entity)
				.entity_bytes(range)
				.map(Result::unwrap)
				.collect();
			let partial = store(&yielded.iter().collect::<Vec<_>>());
			assert_eq!(partial.len(), yielded.len());
			let bytes: ByteRange = range.within(326).unwrap();
			let len: usize = FileChunks::new(&partial, root, bytes)
				.map(|chunk| chunk.unwrap().len())
				.sum();
			assert_eq!(len as u64, bytes.end.unwrap() - bytes.start);
		}
	}
}

#[test]
fn byte_ranges_of_folders_are_ignored() {
	let Sample { root, blocks, .. } = sample();
	let range = "5:7".parse().unwrap();
	assert_eq!(
		cids(walk(&blocks, *root.cid(), Scope::All).entity_bytes(range)),
		[*root.cid()]
	);
}

#[test]
fn paths() {
	let Sample {
		x,
		y,
		a,
		root,
		mut blocks,
		..
	} = sample();
	let resolved = |path: &str| resolve(&blocks, root.cid(), path).map(|found| (found.cid, found.blocks));
	assert_eq!(resolved("").unwrap(), (*root.cid(), vec![]));
	assert_eq!(
		resolved("/a/y").unwrap(),
		(*y.cid(), vec![root.clone(), a.clone()])
	);
	assert_eq!(resolved("b/").unwrap(), (*x.cid(), vec![root.clone()]));
	for path in ["c", "a/..", ".", "a/z"] {
		assert!(
			matches!(resolved(path), Err(ResolveError::NotFound { .. })),
			"{path}"
		);
	}
	let through_a_file = resolved("b/c");
	assert!(matches!(
		through_a_file,
		Err(ResolveError::Read(ReadError::NotADirectory { .. }))
	));
	blocks.remove(a.cid());
	let missing = resolve(&blocks, root.cid(), "a/x");
	assert!(matches!(
		missing,
		Err(ResolveError::Read(ReadError::Missing { .. }))
	));
}
