//! Deletion and collection where there are very many datasets, and where chunks cannot be removed.

mod fixture;

use cairn_blockstore::{
	chunks::ListedChunk, repo::FsckOptions, ChunkError, ChunkStore, Cid, MemoryChunks, Multihash, Repo,
};
use cairn_dag::Block;
use fixture::{assert_absent, assert_readable, block, blocks, seconds, store, upload};
use std::{
	collections::HashSet,
	fs, io,
	ops::ControlFlow,
	path::PathBuf,
	sync::{Arc, Mutex},
};

/// Chunks of which some cannot be removed. As in a database, a call that fails removes none.
#[derive(Default)]
struct Stubborn {
	chunks: MemoryChunks,
	kept: Mutex<HashSet<Multihash>>,
}

impl Stubborn {
	fn keep(&self, blocks: &[Block]) {
		self.kept
			.lock()
			.unwrap()
			.extend(blocks.iter().map(|block| *block.cid().hash()));
	}

	fn give_way(&self) {
		self.kept.lock().unwrap().clear();
	}
}

impl ChunkStore for Stubborn {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, ChunkError> {
		self.chunks.get(cid)
	}
	fn has(&self, cid: &Cid) -> Result<bool, ChunkError> {
		self.chunks.has(cid)
	}
	fn put_many(&self, blocks: &[Block]) -> Result<(), ChunkError> {
		self.chunks.put_many(blocks)
	}
	fn delete_many(&self, hashes: &[Multihash]) -> Result<(), ChunkError> {
		let kept = self.kept.lock().unwrap();
		if hashes.iter().any(|hash| kept.contains(hash)) {
			return Err(ChunkError::Io {
				action: "remove",
				path: PathBuf::from("a chunk"),
				source: io::Error::from_raw_os_error(5),
			});
		}
		self.chunks.delete_many(hashes)
	}
	fn list(&self, visit: &mut dyn FnMut(ListedChunk) -> ControlFlow<()>) -> Result<(), ChunkError> {
		self.chunks.list(visit)
	}
	fn kind(&self) -> &'static str {
		"stubborn"
	}
}

/// A repository in memory that releases datasets of so many blocks at once.
fn repo(at_once: usize) -> (Repo, Arc<Stubborn>, Arc<cairn_blockstore::ManualClock>) {
	let (clock, mut config) = fixture::config(1 << 24);
	config.release_at_once = at_once;
	let chunks = Arc::new(Stubborn::default());
	let repo = Repo::in_memory_with(&config, chunks.clone()).unwrap();
	(repo, chunks, clock)
}

fn assert_clean(repo: &Repo) {
	let options = FsckOptions {
		verify: true,
		mend: false,
	};
	let report = repo.fsck(options).unwrap();
	assert!(report.is_clean(), "{report:?}");
}

#[test]
fn small_datasets_leave_nothing_to_look_at_and_go_together() {
	let (repo, ..) = repo(4);
	let kept = blocks(5000..5004);
	store(&repo, &kept);
	for n in 0..200 {
		store(&repo, &[block(n, 10), kept[0].clone()]);
		assert!(repo.delete(block(n, 10).cid()).unwrap());
	}
	let space = repo.space().unwrap();
	assert_eq!((space.hidden_datasets, space.datasets), (0, 1));
	assert_eq!((space.used, space.pending_delete), (2400, 2000));
	assert_clean(&repo);
	let step = repo.collect_step(200).unwrap();
	assert_eq!((step.freed_blocks, step.freed_bytes), (200, 2000));
	assert!(repo.collect_step(200).unwrap().idle);
	assert_readable(&repo, &kept);
	assert_eq!(repo.space().unwrap().used, 400);
	assert_clean(&repo);
}

#[test]
fn a_step_takes_as_many_datasets_as_fit() {
	let (repo, ..) = repo(0);
	for n in 0..40 {
		store(&repo, &blocks(3 * n..3 * n + 3));
		repo.delete(block(3 * n, 100).cid()).unwrap();
	}
	assert_eq!(repo.space().unwrap().hidden_datasets, 40);
	let step = repo.collect_step(80).unwrap();
	assert_eq!((step.freed_blocks, step.datasets), (80, 26));
	let step = repo.collect_step(80).unwrap();
	assert_eq!((step.freed_blocks, step.datasets), (40, 14));
	assert!(repo.collect_step(80).unwrap().idle);
}

#[test]
fn who_deletes_very_many_large_datasets_helps_to_collect_them() {
	let (repo, ..) = repo(0);
	for n in 0..150 {
		store(&repo, &blocks(n..n + 1));
	}
	for n in 0..150 {
		repo.delete(block(n, 100).cid()).unwrap();
		assert!(repo.space().unwrap().hidden_datasets <= 129);
	}
	// Replacing is deleting too.
	for n in 0..150 {
		store(&repo, &[block(9999, 100), block(n, 100)]);
		assert!(repo.space().unwrap().hidden_datasets <= 129);
	}
}

#[test]
fn garbage_is_taken_up_again_by_an_upload() {
	let (repo, ..) = repo(10);
	let some = blocks(0..4);
	let root = store(&repo, &some);
	repo.delete(&root).unwrap();
	assert_absent(&repo, &some);
	let mut upload = repo.upload(0).unwrap();
	for block in &some[..2] {
		upload.put(block.clone()).unwrap();
	}
	upload.commit(&root, &fixture::seconds(1000)).unwrap();
	assert_readable(&repo, &some[..2]);
	assert_eq!(repo.space().unwrap().pending_delete, 200);
	assert_clean(&repo);
	assert_eq!(repo.maintain().unwrap().freed_blocks, 2);
	assert_readable(&repo, &some[..2]);
	assert_absent(&repo, &some[2..]);
	assert_clean(&repo);
}

#[test]
fn a_chunk_that_cannot_be_removed_keeps_nothing_else_from_going() {
	for at_once in [0, 100] {
		let (repo, chunks, clock) = repo(at_once);
		let stuck = blocks(0..5);
		let other = store(&repo, &blocks(10..20));
		upload(&repo, &blocks(20..30), &seconds(10));
		let root = store(&repo, &stuck);
		chunks.keep(&stuck[1..3]);
		repo.delete(&root).unwrap();
		repo.delete(&other).unwrap();
		clock.advance(10);
		for _ in 0..2 {
			let done = repo.maintain().unwrap();
			assert_eq!(done.failed_blocks, 2);
			let space = repo.space().unwrap();
			assert_eq!((space.used, space.pending_delete), (200, 200));
			assert_eq!((space.datasets, space.hidden_datasets), (0, 0));
			assert_clean(&repo);
		}
		// They count against the quota, which keeps going.
		let room = repo.space().unwrap().available();
		drop(repo.reserve(room).unwrap());
		assert!(repo.reserve(room + 1).is_err());
		// One of them is wanted again.
		store(&repo, &stuck[1..2]);
		assert_readable(&repo, &stuck[1..2]);
		assert_eq!(repo.space().unwrap().pending_delete, 100);
		chunks.give_way();
		let done = repo.maintain().unwrap();
		assert_eq!((done.freed_blocks, done.failed_blocks), (1, 0));
		assert_readable(&repo, &stuck[1..2]);
		assert_eq!(repo.space().unwrap().used, 100);
		assert_clean(&repo);
	}
}

#[test]
fn however_many_chunks_cannot_be_removed_the_others_go() {
	for at_once in [0, 1000] {
		let (repo, chunks, _) = repo(at_once);
		let all = blocks(0..600);
		let root = store(&repo, &all);
		chunks.keep(&all[100..400]);
		repo.delete(&root).unwrap();
		let done = repo.maintain().unwrap();
		assert_eq!((done.freed_blocks, done.failed_blocks), (300, 300));
		assert_eq!(repo.space().unwrap().used, 30_000);
		chunks.give_way();
		assert_eq!(repo.maintain().unwrap().freed_blocks, 300);
		assert_eq!(repo.space().unwrap().used, 0);
		assert_clean(&repo);
	}
}

/// The worker finds nothing but a chunk that it cannot remove, and what is past its time goes all the same.
#[test]
fn what_cannot_be_removed_keeps_nothing_from_expiring() {
	for at_once in [0, 100] {
		let (repo, chunks, clock) = repo(at_once);
		let stuck = blocks(0..1);
		let root = store(&repo, &stuck);
		upload(&repo, &blocks(20..30), &seconds(10));
		let other = store(&repo, &blocks(10..20));
		chunks.keep(&stuck);
		repo.delete(&root).unwrap();
		clock.advance(10);
		let _worker = repo.start_worker().unwrap();
		while repo.has(block(20, 100).cid()).unwrap() {
			std::thread::yield_now();
		}
		// This wakes it.
		repo.delete(&other).unwrap();
		while repo.space().unwrap().used > 100 {
			std::thread::yield_now();
		}
		assert_eq!(repo.space().unwrap().datasets, 0);
	}
}

/// A folder has the name of a chunk: it is moved aside, with what is in it.
#[test]
fn a_folder_in_place_of_a_chunk_is_no_obstacle() {
	let folder = fixture::folder();
	let (_, mut config) = fixture::config(1 << 20);
	config.read_cache = 0;
	let (repo, _) = Repo::open(folder.path(), &config).unwrap();
	let stored = blocks(0..5);
	let root = store(&repo, &stored);
	let chunks = folder.path().join("chunks");
	let obstruct = |block: &Block| {
		let name = hex::encode(block.cid().hash().to_bytes());
		let path = chunks.join(&name[name.len() - 2..]).join(name);
		fs::remove_file(&path).unwrap();
		fs::create_dir(&path).unwrap();
		fs::write(path.join("notes.txt"), "mine").unwrap();
	};
	obstruct(&stored[1]);
	assert!(repo.get(stored[1].cid()).is_err());
	store(&repo, &stored);
	assert_readable(&repo, &stored);
	obstruct(&stored[2]);
	repo.delete(&root).unwrap();
	let done = repo.maintain().unwrap();
	assert_eq!((done.freed_blocks, done.failed_blocks), (5, 0));
	let aside: Vec<_> = fs::read_dir(chunks.join("foreign")).unwrap().collect();
	assert_eq!(aside.len(), 2);
	for place in aside {
		let notes = place.unwrap().path().join("folder").join("notes.txt");
		assert_eq!(fs::read(notes).unwrap(), b"mine");
	}
	assert_clean(&repo);
}
