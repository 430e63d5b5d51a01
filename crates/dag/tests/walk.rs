//! Walks over DAGs.

use cairn_dag::{
	codec::{
		dag_pb::{PbLink, PbNode},
		CodecError,
	},
	unixfs::{
		import::{ImportOptions, Importer},
		resolve, ByteRange, FileChunks, ReadError, ResolveError,
	},
	walk::{follow, walk, Budget, EntityBytes, Order, PathError, Scope, WalkError},
	Block, BlockSink, BlockSource, Cid, Codec, MemoryBlocks, SourceError,
};
use cairn_test_random::{below, bytes, rng};
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
fn several_roots_share_what_they_have_in_common() {
	let sample = sample();
	let (root, a, x, y) = (
		*sample.root.cid(),
		*sample.a.cid(),
		*sample.x.cid(),
		*sample.y.cid(),
	);
	let from = |first, further: &[Cid]| {
		cids(walk(&sample.blocks, first, Scope::All).then_from(further.iter().copied()))
	};
	assert_eq!(from(a, &[root, a]), [a, x, y, root]);
	assert_eq!(from(root, &[a, x, root]), [root, a, x, y]);
	assert_eq!(from(y, &[]), [y]);
	let budget = Budget {
		max_blocks: 3,
		..Budget::default()
	};
	let mut limited = walk(&sample.blocks, a, Scope::All)
		.then_from([root])
		.budget(budget);
	assert!(matches!(
		limited.find(Result::is_err),
		Some(Err(WalkError::Budget { cid, .. })) if cid == root
	));
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

	// JSON, which is not dag-json.
	let raw = Block::encode(Codec::Raw, &b"{}"[..]);
	let json = Block::new(Cid::new_v1(0x0200, *raw.cid().hash()), raw.bytes().clone()).unwrap();
	let blocks = store(&[&json]);
	let result = walk(&blocks, *json.cid(), Scope::All).next().unwrap();
	assert!(matches!(
		result,
		Err(WalkError::Codec {
			error: CodecError::Unsupported { code: 0x0200 },
			..
		})
	));
	// What is not UnixFS is an entity of one block.
	assert_eq!(cids(walk(&blocks, *json.cid(), Scope::Entity)), [*json.cid()]);
	let plain = node(&[("json", *json.cid())], None);
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
	assert!(matches!(result, Err(WalkError::Unixfs(ReadError::Node { .. }))));
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

#[test]
fn breadth_first() {
	let Sample {
		x,
		y,
		a,
		root,
		blocks,
	} = sample();
	let walking = || walk(&blocks, *root.cid(), Scope::All).order(Order::BreadthFirst);
	assert_eq!(cids(walking()), [*root.cid(), *a.cid(), *x.cid(), *y.cid()]);
	assert_eq!(
		cids(walking().duplicates(true)),
		[*root.cid(), *a.cid(), *x.cid(), *x.cid(), *y.cid()]
	);
	assert_eq!(
		cids(
			walk(&blocks, *y.cid(), Scope::All)
				.order(Order::BreadthFirst)
				.then_from([*a.cid()])
		),
		[*y.cid(), *a.cid(), *x.cid()]
	);
}

/// Both orders visit the same blocks of a random graph, breadth first in the order of their distance.
#[test]
fn orders_visit_the_same() {
	let mut rng = rng();
	for _ in 0..20 {
		let mut made: Vec<Block> = Vec::new();
		for index in 0..60u64 {
			let children: Vec<usize> = (0..below(&mut rng, 5).min(index))
				.map(|_| below(&mut rng, index) as usize)
				.collect();
			let name = index.to_string();
			let links: Vec<(&str, Cid)> = children
				.iter()
				.map(|child| (&name[..], *made[*child].cid()))
				.collect();
			made.push(node(&links, None));
		}
		let root = *made.last().unwrap().cid();
		let blocks = store(&made.iter().collect::<Vec<_>>());
		let depth_first = cids(walk(&blocks, root, Scope::All));
		let breadth_first = cids(walk(&blocks, root, Scope::All).order(Order::BreadthFirst));
		let set = |cids: &[Cid]| cids.iter().copied().collect::<HashSet<_>>();
		assert_eq!(set(&depth_first), set(&breadth_first));
		assert_eq!(depth_first.len(), breadth_first.len());
		let mut seen = HashSet::from([root]);
		let mut level = vec![root];
		let mut expected = Vec::new();
		while !level.is_empty() {
			expected.extend(&level);
			let below = level.iter().flat_map(|cid| {
				let block = blocks.get(cid).unwrap().unwrap();
				cairn_dag::links(&block).unwrap()
			});
			level = below.filter(|cid| seen.insert(*cid)).collect();
		}
		assert_eq!(breadth_first, expected);
	}
}

/// Each node links to the one before.
fn chain(len: usize) -> (MemoryBlocks, Cid) {
	let mut blocks = MemoryBlocks::new();
	let mut below = Block::encode(Codec::Raw, &b"end"[..]);
	for _ in 0..len {
		let above = node(&[("next", *below.cid())], None);
		blocks.put(below).unwrap();
		below = above;
	}
	let root = *below.cid();
	blocks.put(below).unwrap();
	(blocks, root)
}

#[test]
fn ten_thousand_levels() {
	let (blocks, root) = chain(10_000);
	for order in [Order::DepthFirst, Order::BreadthFirst] {
		let mut walking = walk(&blocks, root, Scope::All).order(order);
		let yielded = walking.by_ref().take_while(Result::is_ok).count();
		assert_eq!(yielded, 1024);
		assert!(walking.next().is_none());
		let budget = Budget {
			max_depth: 10_000,
			..Budget::default()
		};
		assert_eq!(
			walk(&blocks, root, Scope::All)
				.order(order)
				.budget(budget)
				.count(),
			10_001
		);
		let budget = Budget {
			max_depth: 9_999,
			..budget
		};
		let last = walk(&blocks, root, Scope::All).order(order).budget(budget).last();
		assert!(matches!(
			last,
			Some(Err(WalkError::Budget { limit: "depth", .. }))
		));
	}
	let path = "next/".repeat(1000);
	assert_eq!(follow(&blocks, &root, &path).unwrap().blocks.len(), 1000);
	let path = "next/".repeat(2000);
	assert!(matches!(
		follow(&blocks, &root, &path),
		Err(PathError::TooLong { .. })
	));
}

/// A source that lies: blocks that link to each other in a circle, which no honest hash allows.
#[test]
fn circles_end() {
	let a = *Block::encode(Codec::DagPb, &b"a"[..]).cid();
	let b = *Block::encode(Codec::DagPb, &b"b"[..]).cid();
	let mut blocks = MemoryBlocks::new();
	for (from, to) in [(a, b), (b, a)] {
		let lie = node(&[("next", to)], None);
		blocks
			.put(Block::assume_verified(from, lie.bytes().clone()))
			.unwrap();
	}
	for order in [Order::DepthFirst, Order::BreadthFirst] {
		assert_eq!(cids(walk(&blocks, a, Scope::All).order(order)), [a, b]);
		let last = walk(&blocks, a, Scope::All).order(order).duplicates(true).last();
		assert!(matches!(
			last,
			Some(Err(WalkError::Budget { limit: "depth", .. }))
		));
	}
	assert!(matches!(
		follow(&blocks, &a, &"next/".repeat(5000)),
		Err(PathError::TooLong { .. })
	));
}

#[test]
fn paths_through_any_codec() {
	let Sample {
		x,
		y,
		a,
		root,
		mut blocks,
	} = sample();
	let followed = |path: &str| follow(&blocks, root.cid(), path).map(|found| (found.cid, found.blocks));
	assert_eq!(followed("").unwrap(), (*root.cid(), vec![]));
	assert_eq!(
		followed("//a//y/").unwrap(),
		(*y.cid(), vec![root.clone(), a.clone()])
	);
	assert_eq!(followed("b").unwrap(), (*x.cid(), vec![root.clone()]));
	for (path, left) in [("c", "c"), ("a/../b", "../b"), ("a/y/z/w", "z/w")] {
		let found = followed(path);
		assert!(
			matches!(found, Err(PathError::NotFound { ref rest, .. }) if rest == left),
			"{path}: {found:?}"
		);
	}
	blocks.remove(a.cid());
	assert!(matches!(
		follow(&blocks, root.cid(), "a/x"),
		Err(PathError::Missing { cid }) if cid == *a.cid()
	));
	// The target itself may be anything, also absent.
	assert_eq!(follow(&blocks, root.cid(), "a").unwrap().cid, *a.cid());
}
