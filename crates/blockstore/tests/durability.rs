//! What is certainly on the disk at every moment, followed through the operations of a chunk store and a
//! repository on files: whatever they acknowledge survives a machine that stops at once.
//!
//! Tests kill processes, and a page that was not synced survives that. So the disk is modelled here: what
//! was written and not synced is gone when the machine stops, and a name that was not synced may be there
//! or not.

// Other builds tell nothing.
#![cfg(any(debug_assertions, feature = "fault-injection"))]

mod fixture;

use cairn_blockstore::{
	fault_injection::{with_observer, DiskOperation, Event},
	ChunkStore, FsChunks, Repo,
};
use fixture::block;
use std::{
	cell::RefCell,
	collections::{BTreeMap, BTreeSet},
	fs,
	path::{Path, PathBuf},
	rc::Rc,
};

/// What is known of one file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct File {
	/// When it was written, in operations.
	written: u64,
	synced: bool,
}

/// The disk, as far as the operations tell.
#[derive(Debug, Default)]
struct Disk {
	now: u64,
	/// Files by the name they have now.
	files: BTreeMap<PathBuf, File>,
	/// Names whose coming or going is not synced.
	unsynced_names: BTreeSet<PathBuf>,
	/// When handles on the file system were opened.
	handles: BTreeMap<u64, u64>,
}

impl Disk {
	fn follow(&mut self, operation: &DiskOperation) {
		self.now += 1;
		match operation {
			DiskOperation::OpenedFileSystem { handle } => {
				self.handles.insert(*handle, self.now);
			}
			DiskOperation::Wrote(path) => {
				let file = File {
					written: self.now,
					synced: false,
				};
				self.files.insert(path.clone(), file);
				self.unsynced_names.insert(path.clone());
			}
			DiskOperation::Synced(path) => {
				if let Some(file) = self.files.get_mut(path) {
					file.synced = true;
				}
				self.unsynced_names.retain(|name| name.parent() != Some(path));
			}
			DiskOperation::SyncedFileSystem { handle } => {
				let opened = self.handles[handle];
				for file in self.files.values_mut() {
					// A handle that was opened after the write may not tell of its failure, nor one
					// through which another was told before.
					file.synced |= file.written > opened;
				}
				self.handles.remove(handle);
				self.handles.insert(*handle, self.now);
				self.unsynced_names.clear();
			}
			DiskOperation::Renamed { from, to } => {
				if let Some(file) = self.files.remove(from) {
					assert!(
						file.synced,
						"{} may be empty under its name after a stop",
						to.display()
					);
					self.files.insert(to.clone(), file);
				}
				self.unsynced_names.extend([from.clone(), to.clone()]);
			}
			DiskOperation::Removed(path) => {
				self.files.remove(path);
				self.unsynced_names.insert(path.clone());
			}
			DiskOperation::CreatedFolder(path) => {
				self.unsynced_names.insert(path.clone());
			}
		}
	}

	/// Every file that has a name has it for certain, with its bytes.
	fn assert_settled(&self, temporary: &str) {
		for (path, file) in &self.files {
			assert!(file.synced, "{} may be lost", path.display());
		}
		for name in &self.unsynced_names {
			// A temporary name may come back: it is removed with the next start.
			assert!(
				name.components().any(|part| part.as_os_str() == temporary),
				"{} may have its name or not",
				name.display()
			);
		}
	}
}

/// Runs `work`, and follows what it does to the disk.
fn followed<T>(disk: &Rc<RefCell<Disk>>, work: impl FnOnce() -> T) -> T {
	let disk = disk.clone();
	with_observer(
		move |event| {
			if let Event::Disk(operation) = event {
				disk.borrow_mut().follow(operation);
			}
		},
		work,
	)
}

fn chunk_files(disk: &Disk, folder: &Path) -> usize {
	let is_chunk = |path: &&PathBuf| {
		let shard = path.parent().and_then(Path::file_name);
		path.starts_with(folder) && shard.is_some_and(|shard| shard.len() == 2)
	};
	disk.files.keys().filter(is_chunk).count()
}

/// One by one and all at once: few files are synced in another way than many.
#[test]
fn chunks_are_on_the_disk_when_writing_and_removing_return() {
	let folder = fixture::folder();
	let chunks = folder.path().join("some").join("chunks");
	let disk = Rc::new(RefCell::new(Disk::default()));
	let store = followed(&disk, || FsChunks::open(&chunks).unwrap());
	disk.borrow().assert_settled("incoming");
	let mut stored = 0;
	for count in [1, 2, 7, 8, 9, 100] {
		let blocks: Vec<_> = (stored..stored + count).map(|n| block(n, 50)).collect();
		followed(&disk, || store.put_many(&blocks).unwrap());
		stored += count;
		disk.borrow().assert_settled("incoming");
		assert_eq!(chunk_files(&disk.borrow(), &chunks), stored as usize);
	}
	// Written again: a whole chunk is never replaced by one that may be lost.
	let again: Vec<_> = (0..20).map(|n| block(n, 50)).collect();
	followed(&disk, || store.put_many(&again).unwrap());
	disk.borrow().assert_settled("incoming");
	for hashes in [&again[..1], &again[1..20]] {
		let hashes: Vec<_> = hashes.iter().map(|block| *block.cid().hash()).collect();
		followed(&disk, || store.delete_many(&hashes).unwrap());
		disk.borrow().assert_settled("incoming");
	}
	assert_eq!(chunk_files(&disk.borrow(), &chunks), stored as usize - 20);
	// A folder that somebody removed is made again, for good.
	drop(store);
	fs::remove_dir_all(chunks.join("7f")).unwrap();
	let store = followed(&disk, || FsChunks::open(&chunks).unwrap());
	disk.borrow().assert_settled("incoming");
	followed(&disk, || store.put_many(&again).unwrap());
	disk.borrow().assert_settled("incoming");
}

/// A chunk that cannot be removed: those that were removed beside it are removed for good.
#[test]
fn what_is_removed_by_a_call_that_fails_is_removed_for_good() {
	let folder = fixture::folder();
	let store = FsChunks::open(folder.path()).unwrap();
	let blocks: Vec<_> = (0..50).map(|n| block(n, 50)).collect();
	let disk = Rc::new(RefCell::new(Disk::default()));
	followed(&disk, || store.put_many(&blocks).unwrap());
	// Files in place of two of its folders.
	let shard = |n: usize| {
		let hash = blocks[n].cid().hash().to_bytes();
		folder.path().join(format!("{:02x}", hash.last().unwrap()))
	};
	let obstructed = [shard(3), shard(20)];
	for shard in &obstructed {
		if !shard.is_file() {
			let name = shard.file_name().unwrap().to_str().unwrap();
			fs::rename(shard, folder.path().join(format!("aside-{name}"))).unwrap();
			fs::write(shard, "").unwrap();
		}
	}
	let hashes: Vec<_> = blocks.iter().map(|block| *block.cid().hash()).collect();
	followed(&disk, || store.delete_many(&hashes).unwrap_err());
	disk.borrow().assert_settled("incoming");
	let left = blocks
		.iter()
		.enumerate()
		.filter(|(n, _)| obstructed.contains(&shard(*n)))
		.count();
	assert_eq!(chunk_files(&disk.borrow(), folder.path()), left);
	// Also those that an earlier call removed and could not sync.
	let gone = Rc::new(RefCell::new(Disk::default()));
	followed(&gone, || {
		gone.borrow_mut().unsynced_names.extend(
			(0..50)
				.filter(|n| !obstructed.contains(&shard(*n)))
				.map(|n| shard(n).join("removed")),
		);
		store.delete_many(&hashes).unwrap_err()
	});
	gone.borrow().assert_settled("incoming");
}

/// Another writer's sync between two writes of this one must not take its errors away.
#[test]
fn a_writer_is_told_of_its_own_failures() {
	let folder = fixture::folder();
	let store = FsChunks::open(folder.path()).unwrap();
	let handles = |n: u32| {
		let disk = Rc::new(RefCell::new(Disk::default()));
		let blocks: Vec<_> = (n..n + 20).map(|n| block(n, 50)).collect();
		followed(&disk, || store.put_many(&blocks).unwrap());
		let disk = disk.borrow();
		disk.assert_settled("incoming");
		assert!(!disk.handles.is_empty(), "many files are synced together");
		disk.handles.keys().copied().collect::<BTreeSet<_>>()
	};
	assert!(
		handles(0).is_disjoint(&handles(100)),
		"two uploads sync through one handle"
	);
}

#[test]
fn a_new_repository_is_on_the_disk_when_it_is_open() {
	let folder = fixture::folder();
	let path = folder.path().join("node").join("repo");
	let (_, config) = fixture::config(1 << 20);
	let disk = Rc::new(RefCell::new(Disk::default()));
	let (repo, _) = followed(&disk, || Repo::open(&path, &config).unwrap());
	disk.borrow().assert_settled("incoming");
	for new in [folder.path().join("node"), path.join("metadata.redb")] {
		assert!(!disk.borrow().unsynced_names.contains(&new));
		assert!(new.exists());
	}
	let blocks = fixture::blocks(0..30);
	followed(&disk, || fixture::store(&repo, &blocks));
	disk.borrow().assert_settled("incoming");
	followed(&disk, || {
		repo.delete(blocks[0].cid()).unwrap();
		repo.maintain().unwrap();
	});
	disk.borrow().assert_settled("incoming");
	assert_eq!(chunk_files(&disk.borrow(), &path), 0);
}
