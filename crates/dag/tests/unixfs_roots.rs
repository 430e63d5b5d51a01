//! Root CIDs equal those of `ipfs-unixfs-importer`, for every entry of a table that `tests/interop`
//! holds, and what was imported is read back.

#![cfg(unix)]

use cairn_dag::{
	unixfs::{
		entries, export,
		hamt::{Shard, Slot},
		import::{DirectorySize, ImportOptions, Importer, Layout},
		node::{Metadata, Mtime, Node},
		resolve, ByteRange, Kind,
	},
	Block, BlockSource, CidVersion, MemoryBlocks,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
	collections::BTreeSet,
	fs,
	path::{Path, PathBuf},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
	profile: String,
	options: Option<Options>,
	file: Option<FileInput>,
	folder: Option<Vec<FolderInput>>,
	many: Option<ManyInput>,
	root: String,
	dag_size: u64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
	chunk_size: Option<usize>,
	max_links: Option<usize>,
	layout: Option<String>,
	raw_leaves: Option<bool>,
	cid_version: Option<u8>,
	directory_size: Option<String>,
	max_directory_size: Option<usize>,
}

#[derive(Deserialize)]
struct FileInput {
	seed: String,
	size: usize,
}

#[derive(Deserialize)]
struct FolderInput {
	path: String,
	seed: Option<String>,
	size: Option<usize>,
	link: Option<String>,
}

#[derive(Deserialize)]
struct ManyInput {
	count: usize,
	prefix: String,
}

fn options(profile: &str, changes: &Options) -> ImportOptions {
	let mut options = match profile {
		"default" => ImportOptions::default(),
		"unixfs-v1-2025" => ImportOptions::unixfs_v1_2025(),
		"unixfs-v0-2015" => ImportOptions::unixfs_v0_2015(),
		other => panic!("unknown profile {other}"),
	};
	options.chunk_size = changes.chunk_size.unwrap_or(options.chunk_size);
	options.max_links = changes.max_links.unwrap_or(options.max_links);
	options.raw_leaves = changes.raw_leaves.unwrap_or(options.raw_leaves);
	options.max_directory_size = changes.max_directory_size.unwrap_or(options.max_directory_size);
	options.layout = match changes.layout.as_deref() {
		Some("trickle") => Layout::Trickle,
		_ => Layout::Balanced,
	};
	match changes.cid_version {
		Some(0) => options.cid_version = CidVersion::V0,
		Some(_) => options.cid_version = CidVersion::V1,
		None => {}
	}
	match changes.directory_size.as_deref() {
		Some("links") => options.directory_size = DirectorySize::Links,
		Some("block") => options.directory_size = DirectorySize::Block,
		_ => {}
	}
	options
}

/// The bytes that the script calls `content`.
fn content(seed: &str, size: usize) -> Vec<u8> {
	let mut out = Vec::with_capacity(size + 32);
	for counter in 0u64.. {
		if out.len() >= size {
			break;
		}
		let digest = Sha256::new()
			.chain_update(seed)
			.chain_update(counter.to_be_bytes());
		out.extend_from_slice(&digest.finalize());
	}
	out.truncate(size);
	out
}

fn make_folder(root: &Path, inputs: &[FolderInput]) {
	for input in inputs {
		let path = root.join(&input.path);
		fs::create_dir_all(path.parent().unwrap()).unwrap();
		match (&input.link, &input.seed) {
			(Some(target), _) => std::os::unix::fs::symlink(target, path).unwrap(),
			(_, Some(seed)) => fs::write(path, content(seed, input.size.unwrap())).unwrap(),
			_ => fs::create_dir_all(path).unwrap(),
		}
	}
}

#[test]
fn of_files() {
	check(|entry| entry.file.is_some());
}

#[test]
fn of_folders() {
	check(|entry| entry.folder.is_some());
}

#[test]
fn of_folders_with_many_files() {
	check(|entry| entry.many.as_ref().is_some_and(|many| many.count <= 1000));
}

#[test]
fn of_folders_with_thousands_of_files() {
	check(|entry| entry.many.as_ref().is_some_and(|many| many.count > 1000));
}

/// Compares the entries of the table that are `wanted`.
fn check(wanted: impl Fn(&Entry) -> bool) {
	let table: Vec<Entry> = serde_json::from_str(include_str!("golden/unixfs.json")).unwrap();
	let mut compared = 0;
	for entry in table.into_iter().filter(wanted) {
		compared += 1;
		let changes = entry.options.unwrap_or_default();
		let options = options(&entry.profile, &changes);
		let mut blocks = MemoryBlocks::new();
		let work = tempfile::tempdir().unwrap();
		let importer = Importer::new(&mut blocks, options.clone());
		let imported = match (&entry.file, &entry.folder, &entry.many) {
			(Some(file), ..) => importer.reader(&content(&file.seed, file.size)[..]),
			(_, Some(folder), _) => {
				make_folder(work.path(), folder);
				importer.path(work.path())
			}
			(.., Some(many)) => {
				for index in 0..many.count {
					let path = work.path().join(format!("{}{index}", many.prefix));
					fs::write(path, index.to_string()).unwrap();
				}
				importer.path(work.path())
			}
			_ => panic!("an entry without input"),
		}
		.unwrap();
		let description = || {
			let input = entry.file.as_ref().map(|file| file.size);
			format!("{} {options:?} {input:?}", entry.profile)
		};
		assert_eq!(imported.root.to_string(), entry.root, "{}", description());
		assert_eq!(imported.dag_size, entry.dag_size, "{}", description());

		if let Some(file) = &entry.file {
			let mut read = Vec::new();
			export::file(&blocks, &imported.root, &mut read, ByteRange::ALL).unwrap();
			assert!(read == content(&file.seed, file.size), "{}", description());
		} else {
			let count = entry.many.as_ref().map_or(0, |many| many.count);
			// Of the folders that take long one is enough.
			if count <= 1000 || entry.profile == "unixfs-v1-2025" {
				let target = tempfile::tempdir().unwrap();
				let copy = target.path().join("copy");
				export::tree(&blocks, &imported.root, &copy, &export::ExportOptions::default()).unwrap();
				let again = Importer::new(&mut MemoryBlocks::new(), options.clone()).path(&copy);
				assert_eq!(again.unwrap(), imported, "{}", description());
			}
			let is_sharded = check_folder(&blocks, &imported.root, work.path());
			assert_eq!(is_sharded, count > 5000 || options.max_directory_size == 0);
		}
	}
	assert!(compared > 5, "{compared}");
}

/// Whether the folder is sharded. Its entries are listed and found either way.
fn check_folder(blocks: &MemoryBlocks, root: &cairn_dag::Cid, path: &Path) -> bool {
	let names: BTreeSet<PathBuf> = fs::read_dir(path)
		.unwrap()
		.map(|entry| entry.unwrap().file_name().into())
		.collect();
	let listed: Vec<_> = entries(blocks, root).unwrap().collect::<Result<_, _>>().unwrap();
	assert_eq!(listed.len(), names.len());
	assert!(listed.iter().all(|entry| names.contains(Path::new(&entry.name))));
	// Looking up decodes a shard per level: a part is enough.
	for entry in listed.iter().step_by(1 + listed.len() / 50) {
		let resolved = resolve(blocks, root, &entry.name).unwrap();
		assert_eq!(resolved.cid, entry.cid);
		assert_eq!(resolved.blocks[0].cid(), root);
		let followed = cairn_dag::walk::follow(blocks, root, &entry.name).unwrap();
		assert_eq!(followed.cid, entry.cid);
		assert_eq!(followed.blocks, resolved.blocks);
		let mut passed = Vec::new();
		let roots = cairn_dag::walk::follow_with(blocks, root, &entry.name, &mut |block| passed.push(block));
		assert_eq!(roots.unwrap(), [*root, entry.cid], "shards are no roots");
		assert_eq!(passed, resolved.blocks);
	}
	let block = blocks.get(root).unwrap().unwrap();
	Node::decode(&block) == Ok(Node::ShardedDirectory)
}

/// A shard of the table looked at closely: 2500 names make shards below shards.
#[test]
fn shards_below_shards() {
	let work = tempfile::tempdir().unwrap();
	for index in 0..2500 {
		fs::write(work.path().join(format!("n{index}")), index.to_string()).unwrap();
	}
	let mut blocks = MemoryBlocks::new();
	let options = ImportOptions {
		max_directory_size: 0,
		..ImportOptions::default()
	};
	let root = Importer::new(&mut blocks, options)
		.path(work.path())
		.unwrap()
		.root;
	let mut pending = vec![(root, 0)];
	let (mut deepest, mut entries) = (0, 0);
	while let Some((cid, depth)) = pending.pop() {
		deepest = deepest.max(depth);
		let shard = Shard::decode(&blocks.get(&cid).unwrap().unwrap()).unwrap();
		for (_, slot) in shard.slots() {
			match slot {
				Slot::Entry(_) => entries += 1,
				Slot::Shard(below) => pending.push((*below, depth + 1)),
			}
		}
	}
	assert_eq!(entries, 2500);
	assert!(deepest >= 2, "{deepest}");
}

#[derive(Deserialize)]
struct GoldenMetadata {
	kind: String,
	mode: Option<u32>,
	mtime: Option<GoldenMtime>,
	cid: String,
	block: String,
}

#[derive(Deserialize)]
struct GoldenMtime {
	seconds: i64,
	nanoseconds: u32,
}

#[test]
fn permissions_and_times_are_read() {
	let golden: Vec<GoldenMetadata> =
		serde_json::from_str(include_str!("golden/unixfs-metadata.json")).unwrap();
	for entry in golden {
		let block = Block::new(entry.cid.parse().unwrap(), hex::decode(&entry.block).unwrap()).unwrap();
		let node = Node::decode(&block).unwrap_or_else(|error| panic!("{error}: {}", entry.block));
		assert_eq!(
			node.kind(),
			match entry.kind.as_str() {
				"file" => Kind::File,
				"folder" => Kind::Directory,
				_ => Kind::Symlink,
			}
		);
		match node {
			Node::File(file) => assert_eq!(&file.data[..], b"content"),
			Node::Symlink(target) => assert_eq!(target, "target"),
			node => assert_eq!(node, Node::Directory(Vec::new())),
		}
		let mtime = entry.mtime.map(|time| Mtime {
			seconds: time.seconds,
			nanoseconds: time.nanoseconds,
		});
		assert_eq!(
			Metadata::decode(&block).unwrap(),
			Metadata {
				mode: entry.mode,
				mtime
			},
			"{}",
			entry.block
		);
	}
}
