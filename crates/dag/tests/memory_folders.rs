//! Folders take memory for the entries of those that are open, however many files there are below, and nothing for
//! entries on the way back to disk. A file of its own, because it counts what the whole process allocates.

#[path = "../../../tests/fuzz-targets/tests/memory/mod.rs"]
mod memory;

use cairn_dag::{
	unixfs::{
		entries,
		export::{self, ExportOptions},
		import::{ImportOptions, Importer},
	},
	Cid, MemoryBlocks, NullSink,
};
use memory::peak_of;
use std::{fs, path::Path};

/// More than any of it takes beside the entries of folders: a chunk of 256 KiB twice, and nodes.
const FIXED: usize = 512 << 10;
/// What an entry of an open folder may take while it is imported: a link with a CID of 96 bytes and its name, as long
/// as the folder is read; then its bytes in the folder's block, in a vector that doubles, or once more as it is sorted
/// into a shard.
const PER_ENTRY: usize = 300;
/// Entries of a folder that is made to be wide; the wider one has four times as many.
const WIDE: usize = 600;

fn options(max_directory_size: usize) -> ImportOptions {
	ImportOptions {
		max_directory_size,
		..ImportOptions::default()
	}
}

/// `folders` folders of 100 files of a KiB each, no two of which are the same.
fn nested(path: &Path, folders: usize) {
	for folder in 0..folders {
		let folder_path = path.join(format!("folder-{folder}"));
		fs::create_dir_all(&folder_path).unwrap();
		for file in 0..100 {
			let content = format!("{folder} {file}").repeat(1024).into_bytes();
			fs::write(folder_path.join(format!("file-{file}")), &content[..1024]).unwrap();
		}
	}
}

/// One folder of so many empty files.
fn wide(path: &Path, files: usize) {
	for file in 0..files {
		fs::write(path.join(format!("entry-{file:06}")), "").unwrap();
	}
}

fn import(path: &Path, options: &ImportOptions) -> usize {
	peak_of(|| {
		Importer::new(&mut NullSink, options.clone()).path(path).unwrap();
	})
}

fn blocks_of(path: &Path, options: &ImportOptions) -> (Cid, MemoryBlocks) {
	let mut blocks = MemoryBlocks::new();
	let imported = Importer::new(&mut blocks, options.clone()).path(path).unwrap();
	// Bytes take some memory when they are shared for the first time: the source's, and not the export's.
	blocks.iter().for_each(|block| drop(block.clone()));
	(imported.root, blocks)
}

fn export((root, blocks): &(Cid, MemoryBlocks), files: usize) -> usize {
	let folder = tempfile::tempdir().unwrap();
	let destination = folder.path().join("copy");
	peak_of(|| {
		let exported = export::tree(blocks, root, &destination, &ExportOptions::default()).unwrap();
		assert_eq!(exported.files, files as u64);
	})
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn memory_does_not_grow_with_what_is_in_folders() {
	many_files();
	wide_folders();
}

fn many_files() {
	let folder = tempfile::tempdir().unwrap();
	let options = ImportOptions::default();
	let [small, large] = [4, 16].map(|folders| {
		let path = folder.path().join(folders.to_string());
		nested(&path, folders);
		(
			import(&path, &options),
			export(&blocks_of(&path, &options), 100 * folders),
		)
	});
	println!("import and export of 400 files: {small:?} bytes, of 1,600: {large:?}");
	// The root has twelve entries more.
	assert!(large.0 <= small.0 + 12 * PER_ENTRY, "{small:?} {large:?}");
	assert!(large.1 <= small.1 + 12 * PER_ENTRY, "{small:?} {large:?}");
	assert!(large.0.max(large.1) <= FIXED, "{large:?}");
}

fn wide_folders() {
	let folder = tempfile::tempdir().unwrap();
	let plain = options(1 << 20);
	let sharded = options(1000);
	let [small, large] = [WIDE, 4 * WIDE].map(|files| {
		let path = folder.path().join(files.to_string());
		fs::create_dir(&path).unwrap();
		wide(&path, files);
		for options in [&plain, &sharded] {
			let peak = import(&path, options);
			println!("import of a folder of {files} entries: {peak} bytes");
			assert!(peak <= FIXED + files * PER_ENTRY, "{files}: {peak}");
		}
		let (root, blocks) = blocks_of(&path, &sharded);
		let listing = peak_of(|| {
			let listed = entries(&blocks, &root).unwrap().map(Result::unwrap);
			assert_eq!(listed.count(), files);
		});
		(listing, export(&(root, blocks), files))
	});
	println!(
		"listing and export of {WIDE} entries in shards: {small:?} bytes, of four times as many: {large:?}"
	);
	// A shard has at most 256 entries: one per level is open, and there is at most a level more.
	let level = 256 * PER_ENTRY;
	assert!(large.0 <= small.0 + level, "{small:?} {large:?}");
	assert!(large.1 <= small.1 + level, "{small:?} {large:?}");
	assert!(large.0.max(large.1) <= FIXED, "{large:?}");
}
