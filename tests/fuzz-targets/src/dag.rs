//! Graphs of blocks from a hostile source: walks, contents, paths, export to disk.

use crate::{
	blocks::{unixfs_message, DIRECTORY, FILE, SHARD, SYMLINK},
	input::Input,
	Seed,
};
use cairn_car::{verify, CarWriter, VerifyOptions};
use cairn_dag::{
	cid::multihash::Multihash,
	codec::dag_pb::{PbLink, PbNode},
	hash::IDENTITY,
	unixfs::{
		self,
		export::{tree, ExportOptions, SymlinkPolicy},
		ByteRange, FileChunks,
	},
	walk::{walk, Budget, EntityBytes, Scope, Walk},
	Block, BlockSink, BlockSource, Cid, Codec, MemoryBlocks,
};
use std::{
	collections::{BTreeMap, HashSet},
	fs,
	path::Path,
};

/// Most nodes of a graph. With five links each, that is far more paths than any reader can go.
const MAX_NODES: usize = 40;
/// Content that is read of a file at most.
const MAX_CONTENT: usize = 64 << 10;

/// Few enough that the targets end soon, and many enough for most graphs.
const BUDGET: Budget = Budget {
	max_depth: 64,
	max_blocks: 2048,
	max_bytes: 1 << 20,
	max_pending: 1024,
};

/// Blocks, and the one that everything starts from.
struct Graph {
	blocks: MemoryBlocks,
	root: Cid,
}

/// A node that others can link to.
#[derive(Clone, Copy)]
struct Built {
	cid: Cid,
	/// Content bytes, as an honest parent would claim.
	size: u64,
}

/// Builds nodes, each over some of those before it. The last one is the root.
fn build(input: &mut Input) -> Graph {
	let mut blocks = MemoryBlocks::new();
	let mut built: Vec<Built> = Vec::new();
	while built.is_empty() || (!input.is_empty() && built.len() < MAX_NODES) {
		let node = node(input, &built, &mut blocks);
		built.push(node);
	}
	let root = built[built.len() - 1].cid;
	Graph { blocks, root }
}

fn node(input: &mut Input, built: &[Built], blocks: &mut MemoryBlocks) -> Built {
	let mut keep = |block: Block, size| {
		let cid = *block.cid();
		blocks.put(block).expect("memory takes every block");
		Built { cid, size }
	};
	let pick = |input: &mut Input| (!built.is_empty()).then(|| built[input.below(built.len())]);
	match input.below(9) {
		0 | 1 => {
			let len = input.below(40);
			let content = input.bytes(len).to_vec();
			let size = content.len() as u64;
			keep(Block::encode(Codec::Raw, content), size)
		}
		2 | 3 => {
			let own = input.below(4);
			let own = input.bytes(own);
			let children: Vec<Built> = (0..input.below(6)).filter_map(|_| pick(input)).collect();
			let mut sizes: Vec<u64> = children.iter().map(|child| child.size).collect();
			// One claim may be wrong.
			let lie = input.byte();
			if lie != 0 && !sizes.is_empty() {
				let at = usize::from(lie) % sizes.len();
				sizes[at] = input.u64();
			}
			let size = sizes
				.iter()
				.fold(own.len() as u64, |sum, size| sum.saturating_add(*size));
			let links = children.iter().map(|child| link(child.cid, None)).collect();
			let message = unixfs_message(FILE, Some(own), Some(size), &sizes);
			keep(dag_pb(links, message), size)
		}
		4 => {
			let mut links = Vec::new();
			for _ in 0..input.below(6) {
				let len = input.below(12);
				let name = String::from_utf8_lossy(input.bytes(len)).into_owned();
				links.extend(pick(input).map(|child| link(child.cid, Some(name))));
			}
			keep(dag_pb(links, unixfs_message(DIRECTORY, None, None, &[])), 0)
		}
		5 => {
			let len = input.below(16);
			let target = input.bytes(len);
			keep(
				dag_pb(vec![], unixfs_message(SYMLINK, Some(target), None, &[])),
				0,
			)
		}
		6 => {
			let len = input.below(64);
			let codec = if input.byte() & 1 == 0 {
				Codec::DagPb.code()
			} else {
				0x71
			};
			let block = Block::encode(Codec::DagPb, input.bytes(len).to_vec());
			let cid = Cid::new_v1(codec, *block.cid().hash());
			keep(Block::assume_verified(cid, block.bytes().clone()), 0)
		}
		7 => {
			let len = input.below(40);
			let content = input.bytes(len);
			let size = content.len() as u64;
			let hash = if input.byte() & 1 == 0 {
				Multihash::wrap(IDENTITY, content).expect("at most 40 bytes")
			} else {
				// A block that nobody has.
				*Block::encode(Codec::Raw, content.to_vec()).cid().hash()
			};
			let cid = Cid::new_v1(Codec::Raw.code(), hash);
			Built { cid, size }
		}
		_ => {
			let (fanout, level) = ([8, 256, 16][input.below(3)], input.below(3) as u32);
			let mut slots = BTreeMap::new();
			for _ in 0..input.below(6) {
				let len = input.below(12);
				let name = format!("{}.", String::from_utf8_lossy(input.bytes(len)));
				if let Some(child) = pick(input) {
					slots.insert(slot(&name, fanout, level), (name, child.cid));
				}
			}
			let below = input.byte();
			if let Some(shard) = pick(input).filter(|_| below != 0) {
				slots.insert(u64::from(below) % fanout, (String::new(), shard.cid));
			}
			keep(shard(&slots, fanout), 0)
		}
	}
}

/// Where a name belongs in a shard `level` shards below the root.
fn slot(name: &str, fanout: u64, level: u32) -> u64 {
	let hash = murmur3::murmur3_x64_128(&mut name.as_bytes(), 0).expect("a slice can be read") as u64;
	(hash >> (64 - fanout.ilog2() * (level + 1))) % fanout
}

/// A shard of a folder: its entries by slot, and under an empty name further shards.
fn shard(slots: &BTreeMap<u64, (String, Cid)>, fanout: u64) -> Block {
	let mut used = vec![0; (fanout / 8) as usize];
	let last = used.len() - 1;
	for slot in slots.keys() {
		used[last - (slot / 8) as usize] |= 1 << (slot % 8);
	}
	let digits = fanout.ilog2().div_ceil(4) as usize;
	let links = slots
		.iter()
		.map(|(slot, (name, cid))| link(*cid, Some(format!("{slot:0digits$X}{name}"))))
		.collect();
	let mut message = unixfs_message(SHARD, Some(&used), None, &[]);
	// Hash function and fanout.
	message.extend_from_slice(&[0x28, 0x22, 0x30]);
	cairn_dag::varint::encode(fanout, &mut message);
	dag_pb(links, message)
}

fn link(cid: Cid, name: Option<String>) -> PbLink {
	PbLink {
		cid,
		name,
		tsize: None,
	}
}

fn dag_pb(links: Vec<PbLink>, message: Vec<u8>) -> Block {
	let data = Some(message.into());
	Block::encode(Codec::DagPb, PbNode { links, data }.encode())
}

/// Walks a graph in every scope and reads what it holds.
pub fn dag_walk(data: &[u8]) {
	let mut input = Input::new(data);
	let range = EntityBytes {
		from: i64::from(input.u16() as i16),
		to: Some(i64::from(input.u16() as i16)).filter(|to| *to != 0),
	};
	let graph = build(&mut input);
	for scope in [Scope::Block, Scope::Entity, Scope::All] {
		for duplicates in [false, true] {
			let walking = walk(&graph.blocks, graph.root, scope).duplicates(duplicates);
			walked(&graph, walking, duplicates);
		}
	}
	archived(&graph);
	listed(&graph);
	if let Some(content) = content(&graph.blocks, &graph.root, ByteRange::ALL) {
		let stat = unixfs::stat(&graph.blocks, &graph.root).expect("what is read can be looked at");
		assert_eq!(
			stat.size,
			content.len() as u64,
			"a file is longer or shorter than it claims"
		);
		ranged(&graph, &content, range);
	}
}

/// Exhausts a walk; its blocks, if it ended without an error.
fn walked(graph: &Graph, walking: Walk<&MemoryBlocks>, duplicates: bool) -> Option<Vec<Block>> {
	let mut blocks: Vec<Block> = Vec::new();
	let mut bytes = 0;
	let mut seen = HashSet::new();
	for block in walking.budget(BUDGET) {
		let Ok(block) = block else { return None };
		if blocks.is_empty() {
			assert_eq!(*block.cid(), graph.root, "a walk starts elsewhere");
		}
		assert!(seen.insert(*block.cid()) || duplicates, "a block comes twice");
		bytes += block.data().len() as u64;
		blocks.push(block);
		assert!(blocks.len() as u64 <= BUDGET.max_blocks && bytes <= BUDGET.max_bytes);
	}
	Some(blocks)
}

/// A DAG that can be walked can be archived, and the archive is found complete.
fn archived(graph: &Graph) {
	let walking = walk(&graph.blocks, graph.root, Scope::All);
	let Some(blocks) = walked(graph, walking, false) else {
		return;
	};
	let mut writer = CarWriter::new(Vec::new(), &[graph.root]).expect("memory takes every byte");
	for block in &blocks {
		writer.put(block).expect("memory takes every byte");
	}
	let (archive, _) = writer.finish().expect("memory takes every byte");
	let checks = VerifyOptions {
		dag: true,
		..VerifyOptions::default()
	};
	if let Err(error) = verify(&archive, &checks) {
		panic!("a whole DAG is not found in its archive: {error}");
	}
}

/// What a folder lists can be found in it.
fn listed(graph: &Graph) {
	let Ok(entries) = unixfs::list(&graph.blocks, &graph.root) else {
		return;
	};
	for entry in &entries {
		if entry.name.is_empty() || entry.name.contains('/') {
			continue;
		}
		let first = entries.iter().find(|other| other.name == entry.name);
		let found = unixfs::resolve(&graph.blocks, &graph.root, &entry.name);
		assert_eq!(
			found.ok().map(|found| found.cid),
			first.map(|first| first.cid),
			"an entry is not found"
		);
	}
}

/// Content of a file, unless there is too much of it or an error in it.
fn content<S: BlockSource>(source: S, cid: &Cid, range: ByteRange) -> Option<Vec<u8>> {
	let mut content = Vec::new();
	for chunk in FileChunks::new(source, *cid, range) {
		content.extend_from_slice(&chunk.ok()?);
		if content.len() > MAX_CONTENT {
			return None;
		}
	}
	Some(content)
}

/// A range of a file is that part of the whole, and the blocks that its walk yields suffice to read it.
fn ranged(graph: &Graph, whole: &[u8], asked: EntityBytes) {
	let Some(range) = asked.within(whole.len() as u64) else {
		return;
	};
	let end = range.end.expect("ranges within a size have an end");
	let part = &whole[range.start as usize..end as usize];
	assert_eq!(content(&graph.blocks, &graph.root, range).as_deref(), Some(part));

	let walking = walk(&graph.blocks, graph.root, Scope::All).entity_bytes(asked);
	let Some(needed) = walked(graph, walking, false) else {
		return;
	};
	let mut alone = MemoryBlocks::new();
	for block in needed {
		alone.put(block).expect("memory takes every block");
	}
	assert_eq!(
		content(&alone, &graph.root, range).as_deref(),
		Some(part),
		"a range lacks blocks"
	);
}

/// Writes a graph to disk: nothing is left of what fails, and nothing leads out of what succeeds.
pub fn dag_export(data: &[u8]) {
	let mut input = Input::new(data);
	let symlinks = match input.below(3) {
		0 => SymlinkPolicy::Inside,
		1 => SymlinkPolicy::Skip,
		_ => SymlinkPolicy::Refuse,
	};
	let graph = build(&mut input);
	let options = ExportOptions {
		symlinks,
		overwrite: false,
		max_entries: 64,
		max_bytes: MAX_CONTENT as u64,
		max_depth: 8,
	};
	let folder = tempfile::tempdir().expect("a temporary folder");
	let destination = folder.path().join("exported");
	let exported = tree(&graph.blocks, &graph.root, &destination, &options);
	let names: Vec<_> = fs::read_dir(folder.path())
		.expect("the folder is readable")
		.map(|entry| entry.expect("the entry is readable").file_name())
		.collect();
	match exported {
		Ok(exported) => {
			assert!(exported.files + exported.directories + exported.symlinks <= options.max_entries);
			assert!(exported.bytes <= options.max_bytes);
			assert!(names.iter().all(|name| name == "exported"), "{names:?}");
			if destination.symlink_metadata().is_ok() {
				stays_inside(folder.path(), &destination);
			}
		}
		Err(_) => assert!(names.is_empty(), "a failed export leaves {names:?}"),
	}
}

/// Whether no symbolic link below `path`, where it leads anywhere, leads out of `folder`.
fn stays_inside(folder: &Path, path: &Path) {
	let kind = path.symlink_metadata().expect("it exists").file_type();
	if kind.is_symlink() {
		if let Ok(target) = path.canonicalize() {
			let folder = folder.canonicalize().expect("it exists");
			assert!(target.starts_with(folder), "a link leads to {}", target.display());
		}
	} else if kind.is_dir() {
		for entry in fs::read_dir(path).expect("the folder is readable") {
			stays_inside(folder, &entry.expect("the entry is readable").path());
		}
	}
}

/// A raw leaf, as [`node`] reads it.
fn leaf(content: &[u8]) -> Vec<u8> {
	[&[0, content.len() as u8], content].concat()
}

/// A file over the nodes built `children`th.
fn file(own: &[u8], children: &[u8]) -> Vec<u8> {
	[
		&[2, own.len() as u8],
		own,
		&[children.len() as u8],
		children,
		&[0],
	]
	.concat()
}

fn directory(entries: &[(&str, u8)]) -> Vec<u8> {
	let mut bytes = vec![4, entries.len() as u8];
	for (name, child) in entries {
		bytes.push(name.len() as u8);
		bytes.extend_from_slice(name.as_bytes());
		bytes.push(*child);
	}
	bytes
}

/// A shard of 8 slots, as [`node`] reads it.
fn sharded(level: u8, entries: &[(&str, u8)], below: [u8; 2]) -> Vec<u8> {
	let mut bytes = directory(entries);
	bytes.splice(..1, [8, 0, level]);
	bytes.extend_from_slice(&below);
	bytes
}

fn symlink(target: &str) -> Vec<u8> {
	[&[5, target.len() as u8], target.as_bytes()].concat()
}

/// Graphs as their nodes.
fn graphs() -> Vec<(&'static str, Vec<Vec<u8>>)> {
	let doubled = |first: Vec<u8>| {
		let levels = (0..MAX_NODES as u8 - 1).map(|below| file(b"", &[below, below]));
		std::iter::once(first).chain(levels).collect::<Vec<_>>()
	};
	vec![
		(
			"file",
			vec![
				leaf(b"one"),
				leaf(b"two, longer"),
				file(b"own", &[0, 1, 0]),
				file(b"", &[2, 1]),
			],
		),
		("folder", {
			let inner = directory(&[("x", 0), ("up", 1)]);
			vec![
				leaf(b"content"),
				symlink("../y"),
				inner,
				directory(&[("d", 2), ("y", 0)]),
			]
		}),
		(
			"outside",
			vec![
				symlink("../../etc"),
				directory(&[("l", 0)]),
				directory(&[("d", 1), ("..", 0)]),
			],
		),
		(
			"missing",
			vec![
				vec![7, 3, b'a', b'b', b'c', 1],
				vec![7, 2, b'd', b'e', 0],
				file(b"", &[0, 1]),
			],
		),
		("shards", {
			// The slot of a name, which is hashed with a dot behind it, in the root and below.
			let at = |name: &str, level| slot(&format!("{name}."), 8, level) as u8;
			let name = ["a", "b", "c", "d", "e", "f"]
				.into_iter()
				.find(|name| at(name, 0) != 0 && at(name, 0) != at("x", 0))
				.expect("names have different hashes");
			let below = sharded(1, &[(name, 0)], [0, 0]);
			vec![leaf(b"content"), below, sharded(0, &[("x", 0)], [at(name, 0), 1])]
		}),
		(
			"malformed",
			vec![
				vec![6, 4, 0, 0x0a, 2, 8, 1],
				vec![6, 1, 1, 0xa0],
				directory(&[("a", 0), ("b", 1)]),
			],
		),
		// Two to the power of the levels: paths to content, and paths to nothing at all.
		("many-paths", doubled(leaf(b"x"))),
		("many-paths-to-nothing", doubled(leaf(b""))),
	]
}

/// Seeds of [`dag_walk`]: the range 2 to 9 first.
pub(crate) fn walk_seeds() -> Vec<Seed> {
	let seed = |(name, nodes): (_, Vec<Vec<u8>>)| (name, [&[2, 0, 9, 0][..], &nodes.concat()].concat());
	graphs().into_iter().map(seed).collect()
}

/// Seeds of [`dag_export`].
pub(crate) fn export_seeds() -> Vec<Seed> {
	let seed = |(name, nodes): (_, Vec<Vec<u8>>)| (name, [&[0][..], &nodes.concat()].concat());
	graphs().into_iter().map(seed).collect()
}
