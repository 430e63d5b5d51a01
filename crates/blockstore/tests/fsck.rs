//! What was done to a repository from outside is found, reported, and mended as far as it can be.

mod fixture;

use cairn_blockstore::{
	chunks::ListedChunk,
	repo::{Backend, CommitOptions, FsckOptions, FsckReport, OpenError, ReadError, Recovery, StartupCheck},
	ChunkError, ChunkStore, Cid, FsChunks, Multihash, PinId, Repo, RepoConfig, SqliteChunks,
};
use cairn_dag::Block;
use fixture::{assert_absent, assert_readable, block, blocks, seconds, store, upload};
use redb::{Database, ReadableTable, TableDefinition};
use std::{
	collections::HashSet,
	fs, io,
	ops::ControlFlow,
	path::{Path, PathBuf},
	sync::{
		atomic::{AtomicBool, Ordering},
		Arc, Mutex,
	},
};

const BLOCKS: TableDefinition<&[u8], (u32, u32, u8)> = TableDefinition::new("blocks");
const GARBAGE: TableDefinition<(u8, &[u8]), ()> = TableDefinition::new("garbage");
const MEMBERS: TableDefinition<&[u8], ()> = TableDefinition::new("members");
const DATASETS: TableDefinition<u64, (&[u8], u8, u64, u8, u32, u64, u64, u64)> =
	TableDefinition::new("datasets");
const ROOTS: TableDefinition<&[u8], u64> = TableDefinition::new("roots");
const HIDDEN: TableDefinition<u64, u8> = TableDefinition::new("hidden");
const EXPIRY: TableDefinition<(u64, u64), ()> = TableDefinition::new("expiry");
const EVICTABLE: TableDefinition<(u64, u64), ()> = TableDefinition::new("evictable");
const PINS: TableDefinition<(&[u8], &[u8; 32]), ()> = TableDefinition::new("pins");
const TOTALS: TableDefinition<&str, u64> = TableDefinition::new("totals");

/// A repository that is closed: what is done to it is done from outside.
struct Closed {
	folder: tempfile::TempDir,
	config: RepoConfig,
	clock: std::sync::Arc<cairn_blockstore::ManualClock>,
}

impl Closed {
	fn new() -> Self {
		let (clock, mut config) = fixture::config(1 << 30);
		config.startup_check = StartupCheck::Skip;
		Self {
			folder: fixture::folder(),
			config,
			clock,
		}
	}

	fn open(&self) -> Repo {
		Repo::open(self.folder.path(), &self.config).unwrap().0
	}

	fn database(&self) -> Database {
		Database::open(self.folder.path().join("metadata.redb")).unwrap()
	}

	fn tamper(&self, change: impl FnOnce(&redb::WriteTransaction)) {
		let database = self.database();
		let transaction = database.begin_write().unwrap();
		change(&transaction);
		transaction.commit().unwrap();
	}

	/// Checks, mends, and checks that there is nothing left to mend.
	fn mend(&self, verify: bool) -> (Repo, FsckReport) {
		let repo = self.open();
		let dry = repo.fsck(FsckOptions { verify, mend: false }).unwrap();
		let again = repo.fsck(FsckOptions { verify, mend: false }).unwrap();
		assert_eq!(dry, again, "a dry run changes nothing");
		let report = repo.fsck(FsckOptions { verify, mend: true }).unwrap();
		let after = repo
			.fsck(FsckOptions {
				verify: true,
				mend: false,
			})
			.unwrap();
		let rest = FsckReport {
			lost_blocks: 0,
			..after.clone()
		};
		assert!(rest.is_clean(), "{after:?}");
		assert_eq!(after.lost_blocks, report.lost_blocks);
		(repo, report)
	}

	fn chunk_file(&self, block: &Block) -> PathBuf {
		let name = hex::encode(block.cid().hash().to_bytes());
		self.folder
			.path()
			.join("chunks")
			.join(&name[name.len() - 2..])
			.join(name)
	}
}

fn damage(path: &Path) {
	let mut data = fs::read(path).unwrap();
	data[50] ^= 1;
	fs::write(path, data).unwrap();
}

#[test]
fn a_repository_that_was_left_alone_is_clean() {
	let closed = Closed::new();
	let repo = closed.open();
	upload(&repo, &blocks(0..10), &seconds(10));
	store(&repo, &blocks(5..15));
	let deleted = store(&repo, &blocks(20..30));
	let mut uploading = repo.upload(0).unwrap();
	uploading.put(block(50, 100)).unwrap();
	repo.delete(&deleted).unwrap();
	repo.collect_step(3).unwrap();
	let report = repo
		.fsck(FsckOptions {
			verify: true,
			mend: true,
		})
		.unwrap();
	assert!(report.is_clean(), "{report:?}");
	assert_eq!((report.blocks, report.datasets), (22, 4));
	drop(uploading);
	repo.maintain().unwrap();
	assert!(repo
		.fsck(FsckOptions {
			verify: true,
			mend: true
		})
		.unwrap()
		.is_clean());
}

#[test]
fn a_missing_chunk_is_marked_and_comes_back_with_the_next_upload() {
	let closed = Closed::new();
	let repo = closed.open();
	let blocks = blocks(0..5);
	let root = store(&repo, &blocks);
	let other = store(&repo, &[block(9, 100), blocks[2].clone()]);
	drop(repo);
	fs::remove_file(closed.chunk_file(&blocks[2])).unwrap();

	let (repo, report) = closed.mend(false);
	assert_eq!(report.lost_blocks, 1);
	let mut named = report.damaged_datasets.clone();
	named.sort_by_key(|root| root.to_bytes());
	let mut expected = vec![root, other];
	expected.sort_by_key(|root| root.to_bytes());
	assert_eq!(named, expected);
	assert!(!repo.has(blocks[2].cid()).unwrap());
	assert!(repo.stat(blocks[2].cid()).unwrap().unwrap().damaged);
	let read = repo.get(blocks[2].cid());
	assert!(matches!(read, Err(ReadError::Damaged { cid }) if cid == *blocks[2].cid()));
	assert_readable(&repo, &blocks[3..]);

	// In whatever dataset it comes.
	store(&repo, &[block(77, 100), blocks[2].clone()]);
	assert_readable(&repo, &blocks);
	let report = repo
		.fsck(FsckOptions {
			verify: true,
			mend: false,
		})
		.unwrap();
	assert!(report.is_clean(), "{report:?}");
}

#[test]
fn a_damaged_chunk_is_found_by_verifying_or_by_its_size() {
	for (verify, truncate) in [(true, false), (false, true)] {
		let closed = Closed::new();
		let repo = closed.open();
		let blocks = blocks(0..5);
		let root = store(&repo, &blocks);
		drop(repo);
		let path = closed.chunk_file(&blocks[3]);
		match truncate {
			true => fs::write(&path, b"short").unwrap(),
			false => damage(&path),
		}
		let (repo, report) = closed.mend(verify);
		assert_eq!((report.lost_blocks, report.damaged_datasets), (1, vec![root]));
		assert!(matches!(
			repo.get(blocks[3].cid()),
			Err(ReadError::Damaged { .. })
		));
		store(&repo, &blocks);
		assert_readable(&repo, &blocks);
	}
}

#[test]
fn a_reader_notices_damage_by_itself() {
	let closed = Closed::new();
	let repo = closed.open();
	let blocks = blocks(0..5);
	store(&repo, &blocks);
	damage(&closed.chunk_file(&blocks[1]));
	fs::remove_file(closed.chunk_file(&blocks[2])).unwrap();
	for n in [1, 2] {
		assert!(repo.has(blocks[n].cid()).unwrap());
		for _ in 0..2 {
			assert!(matches!(
				repo.get(blocks[n].cid()),
				Err(ReadError::Damaged { .. })
			));
		}
		// So that whoever asks fetches it again.
		assert!(!repo.has(blocks[n].cid()).unwrap());
	}
	assert_eq!(repo.fsck(FsckOptions::default()).unwrap().lost_blocks, 2);
	store(&repo, &blocks);
	assert_readable(&repo, &blocks);
}

#[test]
fn a_chunk_that_came_back_is_recovered() {
	let closed = Closed::new();
	let repo = closed.open();
	let blocks = blocks(0..2);
	store(&repo, &blocks);
	let path = closed.chunk_file(&blocks[1]);
	let away = closed.folder.path().join("away");
	fs::rename(&path, &away).unwrap();
	assert!(repo.get(blocks[1].cid()).is_err());
	fs::rename(&away, &path).unwrap();
	drop(repo);
	let (repo, report) = closed.mend(false);
	assert_eq!((report.recovered_blocks, report.lost_blocks), (1, 0));
	assert_readable(&repo, &blocks);
}

#[test]
fn stray_chunks_are_removed() {
	for backend in [Backend::Fs, Backend::Sqlite] {
		let mut closed = Closed::new();
		closed.config.backend = backend;
		let repo = closed.open();
		store(&repo, &blocks(0..5));
		drop(repo);
		let folder = closed.folder.path();
		let strays = blocks(100..110);
		match backend {
			Backend::Fs => FsChunks::open(folder.join("chunks")).unwrap().put_many(&strays),
			Backend::Sqlite => SqliteChunks::open(folder.join("chunks.sqlite"))
				.unwrap()
				.put_many(&strays),
		}
		.unwrap();
		let (repo, report) = closed.mend(false);
		assert_eq!(
			(report.stray_chunks, report.stray_bytes, report.lost_blocks),
			(10, 1000, 0)
		);
		assert_readable(&repo, &blocks(0..5));
		assert_absent(&repo, &strays);
		assert_eq!(repo.space().unwrap().used, 500);
	}
}

#[test]
fn a_repository_without_its_chunks_or_without_its_database_is_told_so() {
	let closed = Closed::new();
	let repo = closed.open();
	let root = store(&repo, &blocks(0..5));
	drop(repo);
	fs::remove_dir_all(closed.folder.path().join("chunks")).unwrap();
	let (repo, report) = closed.mend(false);
	assert_eq!((report.lost_blocks, report.damaged_datasets), (5, vec![root]));
	store(&repo, &blocks(0..5));
	assert_readable(&repo, &blocks(0..5));
	drop(repo);

	// Not taken for an empty repository full of strays.
	let database = closed.folder.path().join("metadata.redb");
	let aside = closed.folder.path().join("aside");
	fs::rename(&database, &aside).unwrap();
	let opened = Repo::open(closed.folder.path(), &closed.config);
	assert!(
		matches!(&opened, Err(OpenError::NoDatabase { path }) if *path == database),
		"{opened:?}"
	);
	fs::rename(&aside, &database).unwrap();
	assert_readable(&closed.open(), &blocks(0..5));
}

#[test]
fn wrong_counts_are_recounted() {
	let closed = Closed::new();
	let repo = closed.open();
	let shared = blocks(0..5);
	store(&repo, &shared);
	store(&repo, &[&[block(9, 100)], &shared[..]].concat());
	drop(repo);
	closed.tamper(|transaction| {
		let mut table = transaction.open_table(BLOCKS).unwrap();
		let key = |n: usize| shared[n].cid().hash().to_bytes();
		// Too many, too few, none at all, and one that nothing refers to.
		table.insert(key(0).as_slice(), (100, 7, 0)).unwrap();
		table.insert(key(1).as_slice(), (100, 1, 0)).unwrap();
		table.remove(key(2).as_slice()).unwrap();
		let unreferenced = block(50, 10).cid().hash().to_bytes();
		table.insert(unreferenced.as_slice(), (10, 3, 0)).unwrap();
		// A wrong size.
		table.insert(key(3).as_slice(), (40, 2, 0)).unwrap();
		let mut totals = transaction.open_table(TOTALS).unwrap();
		totals.insert("used_bytes", 123_456).unwrap();
		totals.insert("datasets", 9).unwrap();
		totals.insert("deleting_bytes", 1).unwrap();
	});
	let (repo, report) = closed.mend(false);
	assert_eq!(report.wrong_blocks, 5);
	assert_eq!(
		report.recovered_blocks, 1,
		"the block without a row has its chunk"
	);
	assert!(report.wrong_totals >= 3);
	assert_readable(&repo, &shared);
	let space = repo.space().unwrap();
	assert_eq!(
		(space.used, space.blocks, space.datasets, space.pending_delete),
		(600, 6, 2, 0)
	);
	for block in &shared {
		assert_eq!(repo.stat(block.cid()).unwrap().unwrap().datasets, 2);
	}
	// The counts are right: everything goes when it is deleted.
	repo.delete(shared[0].cid()).unwrap();
	repo.delete(block(9, 100).cid()).unwrap();
	repo.maintain().unwrap();
	assert_eq!(repo.space().unwrap().used, 0);
}

#[test]
fn wrong_indexes_are_rebuilt() {
	let closed = Closed::new();
	let repo = closed.open();
	let expiring = upload(&repo, &blocks(0..2), &seconds(10));
	let evictable = CommitOptions {
		evictable: true,
		..seconds(1 << 40)
	};
	let evictable = upload(&repo, &blocks(2..4), &evictable);
	let pinned = upload(&repo, &blocks(4..6), &seconds(10));
	repo.pin(&pinned.root, &PinId([1; 32])).unwrap();
	drop(repo);
	closed.tamper(|transaction| {
		let number_of = |root: &cairn_blockstore::Cid| {
			let roots = transaction.open_table(ROOTS).unwrap();
			let number = roots.get(root.to_bytes().as_slice()).unwrap().unwrap().value();
			number
		};
		let mut expiry = transaction.open_table(EXPIRY).unwrap();
		let pinned_number = number_of(&pinned.root);
		let expiring_number = number_of(&expiring.root);
		let evictable_number = number_of(&evictable.root);
		expiry.remove((fixture::START + 10, expiring_number)).unwrap();
		expiry.insert((5, pinned_number), ()).unwrap();
		expiry.insert((fixture::START + 10, pinned_number), ()).unwrap();
		expiry.insert((1, 4711), ()).unwrap();
		let mut table = transaction.open_table(EVICTABLE).unwrap();
		table
			.remove((fixture::START + (1 << 40), evictable_number))
			.unwrap();
		table.insert((3, 4711), ()).unwrap();
		let mut roots = transaction.open_table(ROOTS).unwrap();
		roots.remove(evictable.root.to_bytes().as_slice()).unwrap();
		roots.insert(b"no cid".as_slice(), 4711).unwrap();
		let mut hidden = transaction.open_table(HIDDEN).unwrap();
		hidden.insert(4711, 2).unwrap();
		let mut pins = transaction.open_table(PINS).unwrap();
		pins.insert((b"no dataset".as_slice(), &[2; 32]), ()).unwrap();
		pins.insert((pinned.root.to_bytes().as_slice(), &[3; 32]), ())
			.unwrap();
		let mut members = transaction.open_table(MEMBERS).unwrap();
		let orphan = [
			&4711_u64.to_be_bytes()[..],
			&block(0, 100).cid().hash().to_bytes(),
		]
		.concat();
		members.insert(orphan.as_slice(), ()).unwrap();
	});
	let (repo, report) = closed.mend(false);
	assert_eq!(report.orphans, 2);
	assert!(report.wrong_datasets >= 8, "{report:?}");
	assert_eq!(repo.dataset(&pinned.root).unwrap().unwrap().pins, 2);
	assert_eq!(repo.dataset(&evictable.root).unwrap().unwrap(), evictable);
	closed.clock.advance(10);
	assert_eq!(repo.maintain().unwrap().expired, 1);
	assert_absent(&repo, &blocks(0..2));
	assert_readable(&repo, &blocks(2..6));
}

#[test]
fn wrong_counts_of_datasets_are_corrected() {
	let closed = Closed::new();
	let repo = closed.open();
	let dataset = upload(&repo, &blocks(0..5), &seconds(10));
	drop(repo);
	closed.tamper(|transaction| {
		let mut table = transaction.open_table(DATASETS).unwrap();
		let row = table.get(0).unwrap().unwrap().value().to_owned_row();
		table
			.insert(0, (row.0.as_slice(), row.1, row.2, row.3, 6, 77, 88, row.4))
			.unwrap();
	});
	let (repo, report) = closed.mend(false);
	assert_eq!(report.wrong_datasets, 2, "its pins, and its blocks and bytes");
	assert_eq!(repo.dataset(&dataset.root).unwrap(), Some(dataset));
}

/// Copies what outlives the transaction's borrow.
trait ToOwnedRow {
	fn to_owned_row(&self) -> (Vec<u8>, u8, u64, u8, u64);
}

impl ToOwnedRow for (&[u8], u8, u64, u8, u32, u64, u64, u64) {
	fn to_owned_row(&self) -> (Vec<u8>, u8, u64, u8, u64) {
		(self.0.to_vec(), self.1, self.2, self.3, self.7)
	}
}

#[test]
fn a_repository_that_was_not_closed_is_checked_when_it_is_opened() {
	let closed = Closed::new();
	let config = RepoConfig {
		startup_check: StartupCheck::AfterCrash,
		..closed.config.clone()
	};
	let (repo, recovery) = Repo::open(closed.folder.path(), &config).unwrap();
	assert_eq!(recovery, Recovery::default());
	store(&repo, &blocks(0..5));
	drop(repo);
	let (repo, recovery) = Repo::open(closed.folder.path(), &config).unwrap();
	assert_eq!(recovery, Recovery::default());
	drop(repo);
	closed.tamper(|transaction| {
		let mut totals = transaction.open_table(TOTALS).unwrap();
		totals.insert("unclean", 1).unwrap();
	});
	fs::remove_file(closed.chunk_file(&block(2, 100))).unwrap();
	// Whoever skips the check leaves it to the next.
	drop(closed.open());
	let (repo, recovery) = Repo::open(closed.folder.path(), &config).unwrap();
	assert!(recovery.after_crash);
	assert_eq!(recovery.check.unwrap().lost_blocks, 1);
	drop(repo);
	let (_repo, recovery) = Repo::open(closed.folder.path(), &config).unwrap();
	assert_eq!(recovery, Recovery::default());
}

fn unclean(closed: &Closed) {
	closed.tamper(|transaction| {
		let mut totals = transaction.open_table(TOTALS).unwrap();
		totals.insert("unclean", 1).unwrap();
	});
}

/// Chunks in files, and what the disk refuses.
struct Failing {
	chunks: FsChunks,
	unreadable: Mutex<HashSet<Multihash>>,
	unlistable: AtomicBool,
}

fn failure() -> ChunkError {
	ChunkError::Io {
		action: "read",
		path: PathBuf::from("a disk"),
		source: io::Error::from_raw_os_error(5),
	}
}

impl ChunkStore for Failing {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, ChunkError> {
		match self.unreadable.lock().unwrap().contains(cid.hash()) {
			true => Err(failure()),
			false => self.chunks.get(cid),
		}
	}
	fn has(&self, cid: &Cid) -> Result<bool, ChunkError> {
		self.chunks.has(cid)
	}
	fn put_many(&self, blocks: &[Block]) -> Result<(), ChunkError> {
		let mut unreadable = self.unreadable.lock().unwrap();
		for block in blocks {
			unreadable.remove(block.cid().hash());
		}
		self.chunks.put_many(blocks)
	}
	fn delete_many(&self, hashes: &[Multihash]) -> Result<(), ChunkError> {
		match hashes
			.iter()
			.any(|hash| self.unreadable.lock().unwrap().contains(hash))
		{
			true => Err(failure()),
			false => self.chunks.delete_many(hashes),
		}
	}
	fn list(&self, visit: &mut dyn FnMut(ListedChunk) -> ControlFlow<()>) -> Result<(), ChunkError> {
		match self.unlistable.load(Ordering::SeqCst) {
			true => Err(failure()),
			false => self.chunks.list(visit),
		}
	}
	fn kind(&self) -> &'static str {
		"fs"
	}
}

impl Closed {
	/// Opens it over chunks of which these cannot be read.
	fn open_failing(&self, unreadable: &[Block]) -> (Repo, Recovery, Arc<Failing>) {
		let chunks = Arc::new(Failing {
			chunks: FsChunks::open(self.folder.path().join("chunks")).unwrap(),
			unreadable: Mutex::new(unreadable.iter().map(|block| *block.cid().hash()).collect()),
			unlistable: AtomicBool::new(false),
		});
		let config = RepoConfig {
			startup_check: StartupCheck::AfterCrash,
			..self.config.clone()
		};
		let (repo, recovery) = Repo::open_with(self.folder.path(), &config, chunks.clone()).unwrap();
		(repo, recovery, chunks)
	}
}

const VERIFY: FsckOptions = FsckOptions {
	verify: true,
	mend: true,
};

#[test]
fn a_chunk_that_cannot_be_read_does_not_end_the_check_and_is_healed_by_an_upload() {
	let closed = Closed::new();
	drop(closed.open());
	let stray = block(99, 100);
	let (repo, _, chunks) = closed.open_failing(&[]);
	let stored = blocks(0..5);
	let root = store(&repo, &stored);
	chunks.put_many(std::slice::from_ref(&stray)).unwrap();
	let refused = [stored[1].clone(), stray];
	let hashes = refused.iter().map(|block| *block.cid().hash());
	chunks.unreadable.lock().unwrap().extend(hashes);
	let report = repo.fsck(VERIFY).unwrap();
	assert_eq!((report.lost_blocks, report.failed_chunks), (1, 2));
	assert_eq!((report.stray_chunks, &report.damaged_datasets), (1, &vec![root]));
	assert!(!report.unfinished && !report.is_clean());
	assert!(!repo.has(stored[1].cid()).unwrap());
	store(&repo, &stored);
	assert_readable(&repo, &stored);
}

#[test]
fn a_chunk_that_nobody_has_read_is_healed_by_an_upload_too() {
	let closed = Closed::new();
	let stored = blocks(0..5);
	store(&closed.open(), &stored);
	let (repo, ..) = closed.open_failing(&stored[1..2]);
	assert!(matches!(repo.get(stored[1].cid()), Err(ReadError::Chunks(_))));
	store(&repo, &stored);
	assert_readable(&repo, &stored);
}

#[test]
fn a_store_that_cannot_be_listed_is_opened_and_its_check_stays_due() {
	let closed = Closed::new();
	let stored = blocks(0..5);
	store(&closed.open(), &stored);
	let (repo, _, chunks) = closed.open_failing(&[]);
	chunks.unlistable.store(true, Ordering::SeqCst);
	fs::remove_file(closed.chunk_file(&stored[1])).unwrap();
	let report = repo.fsck(VERIFY).unwrap();
	assert!(report.unfinished && !report.is_clean());
	assert_eq!((report.lost_blocks, report.failed_chunks), (1, 0));
	assert_readable(&repo, &stored[2..]);
	drop((repo, chunks));
	unclean(&closed);
	// The stray that was not seen is found by the check that is due.
	let stray = block(99, 100);
	let chunks = FsChunks::open(closed.folder.path().join("chunks")).unwrap();
	chunks.put_many(std::slice::from_ref(&stray)).unwrap();
	drop(chunks);
	let failing = |unlistable| {
		let chunks = Failing {
			chunks: FsChunks::open(closed.folder.path().join("chunks")).unwrap(),
			unreadable: Mutex::default(),
			unlistable: AtomicBool::new(unlistable),
		};
		let config = RepoConfig {
			startup_check: StartupCheck::AfterCrash,
			..closed.config.clone()
		};
		Repo::open_with(closed.folder.path(), &config, Arc::new(chunks))
			.unwrap()
			.1
	};
	for _ in 0..2 {
		let check = failing(true).check.unwrap();
		assert!(check.unfinished);
		assert_eq!(check.stray_chunks, 0);
	}
	assert_eq!(failing(false).check.unwrap().stray_chunks, 1);
	assert_eq!(failing(false).check, None);
}

#[test]
fn a_folder_in_place_of_a_chunk_is_a_lost_block_and_healed_by_an_upload() {
	let closed = Closed::new();
	let stored = blocks(0..5);
	store(&closed.open(), &stored);
	let path = closed.chunk_file(&stored[1]);
	fs::remove_file(&path).unwrap();
	fs::create_dir(&path).unwrap();
	// And one that nothing refers to.
	fs::create_dir(closed.chunk_file(&block(99, 100))).unwrap();
	let (repo, report) = closed.mend(false);
	assert_eq!((report.lost_blocks, report.stray_chunks), (1, 1));
	assert_eq!(report.failed_chunks, 0);
	store(&repo, &stored);
	assert_readable(&repo, &stored);
	assert!(repo.fsck(VERIFY).unwrap().is_clean());
}

#[test]
fn damaged_pages_of_the_chunk_database_do_not_keep_a_repository_from_opening() {
	for part in 1..8 {
		let mut closed = Closed::new();
		closed.config.backend = Backend::Sqlite;
		closed.config.startup_check = StartupCheck::AfterCrash;
		closed.config.read_cache = 0;
		let repo = closed.open();
		let stored: Vec<_> = (0..300).map(|n| block(n, 20_000)).collect();
		store(&repo, &stored);
		drop(repo);
		unclean(&closed);
		let path = closed.folder.path().join("chunks.sqlite");
		let mut bytes = fs::read(&path).unwrap();
		let pages = bytes.len() / 16384;
		// Pages 1 and 2 hold the schema and a map of the others.
		for page in (2 + part..pages).step_by(8) {
			bytes[page * 16384..(page + 1) * 16384].fill(0xa5);
		}
		fs::write(&path, bytes).unwrap();
		let Ok((repo, recovery)) = Repo::open(closed.folder.path(), &closed.config) else {
			panic!("it does not open with every eighth page from {part} on damaged");
		};
		assert!(recovery.check.is_some());
		let report = repo.fsck(VERIFY).unwrap();
		assert!(report.lost_blocks > 0, "{report:?}");
		assert!(!report.is_clean());
		let mut lost = 0;
		for block in &stored {
			match repo.get(block.cid()) {
				Ok(found) => assert_eq!(found.as_ref(), Some(block)),
				Err(error) => {
					assert!(matches!(error, ReadError::Damaged { .. }), "{error:?}");
					assert!(!repo.has(block.cid()).unwrap());
					lost += 1;
				}
			}
		}
		assert_eq!(lost, report.lost_blocks);
	}
}

/// A wrong entry is what is wrong, and not the dataset that it does not lead to.
#[test]
fn a_dataset_survives_an_entry_of_its_root_that_leads_elsewhere() {
	for leads_to in [4711, 1, 2] {
		let closed = Closed::new();
		let repo = closed.open();
		let pinned = upload(&repo, &blocks(0..3), &CommitOptions::default());
		repo.pin(&pinned.root, &PinId([1; 32])).unwrap();
		store(&repo, &blocks(3..6));
		let deleted = store(&repo, &blocks(6..9));
		repo.delete(&deleted).unwrap();
		drop(repo);
		closed.tamper(|transaction| {
			let mut roots = transaction.open_table(ROOTS).unwrap();
			roots.insert(pinned.root.to_bytes().as_slice(), leads_to).unwrap();
		});
		let (repo, report) = closed.mend(false);
		assert_eq!(report.wrong_datasets, 1, "{report:?}");
		assert_eq!(report.orphans, 0);
		assert_readable(&repo, &blocks(0..6));
		let dataset = repo.dataset(&pinned.root).unwrap().unwrap();
		assert_eq!((dataset.pins, dataset.blocks), (1, 3));
		repo.maintain().unwrap();
		assert_readable(&repo, &blocks(0..6));
		assert_eq!(repo.space().unwrap().datasets, 2);
	}
}

#[test]
fn of_two_datasets_with_one_root_the_newer_one_stays_with_what_both_were_promised() {
	for leads_to in [0, 1] {
		let closed = Closed::new();
		let repo = closed.open();
		let long = upload(&repo, &blocks(0..3), &seconds(1000));
		repo.pin(&long.root, &PinId([1; 32])).unwrap();
		let short = upload(&repo, &[block(1, 100), block(7, 100)], &seconds(10));
		drop(repo);
		closed.tamper(|transaction| {
			let mut datasets = transaction.open_table(DATASETS).unwrap();
			let row = datasets.get(1).unwrap().unwrap().value().to_owned_row();
			let root = long.root.to_bytes();
			datasets
				.insert(1, (root.as_slice(), row.1, row.2, row.3, 0, 2, 200, row.4))
				.unwrap();
			let mut roots = transaction.open_table(ROOTS).unwrap();
			roots.remove(short.root.to_bytes().as_slice()).unwrap();
			roots.insert(root.as_slice(), leads_to).unwrap();
		});
		let (repo, report) = closed.mend(false);
		assert!(report.wrong_datasets >= 1);
		let kept = repo.dataset(&long.root).unwrap().unwrap();
		assert_eq!((kept.blocks, kept.pins, kept.expiry), (2, 1, long.expiry));
		repo.maintain().unwrap();
		assert_readable(&repo, &[block(1, 100), block(7, 100)]);
		assert_absent(&repo, &[block(0, 100), block(2, 100)]);
		closed.clock.advance(10_000);
		assert_eq!(repo.maintain().unwrap().expired, 0, "it is pinned");
		repo.unpin(&long.root, &PinId([1; 32])).unwrap();
		assert_eq!(repo.maintain().unwrap().expired, 1);
		assert_eq!(repo.space().unwrap().used, 0);
	}
}

/// A database that was restored from an older copy does not know its newest chunks.
#[test]
fn strays_survive_the_check_after_a_crash() {
	let closed = Closed::new();
	store(&closed.open(), &blocks(0..3));
	let database = closed.folder.path().join("metadata.redb");
	let copy = closed.folder.path().join("copy");
	fs::copy(&database, &copy).unwrap();
	store(&closed.open(), &blocks(3..6));
	let newest = closed.folder.path().join("newest");
	fs::rename(&database, &newest).unwrap();
	fs::rename(&copy, &database).unwrap();
	unclean(&closed);
	let config = RepoConfig {
		startup_check: StartupCheck::AfterCrash,
		..closed.config.clone()
	};
	let (repo, recovery) = Repo::open(closed.folder.path(), &config).unwrap();
	let check = recovery.check.unwrap();
	assert_eq!((check.stray_chunks, check.stray_bytes), (3, 300));
	assert_absent(&repo, &blocks(3..6));
	drop(repo);
	fs::rename(&database, &copy).unwrap();
	fs::rename(&newest, &database).unwrap();
	let (repo, _) = Repo::open(closed.folder.path(), &config).unwrap();
	assert_readable(&repo, &blocks(0..6));
	drop(repo);
	// Who asks for it has them removed.
	fs::rename(&copy, &database).unwrap();
	let (repo, report) = closed.mend(false);
	assert_eq!(report.stray_chunks, 3);
	assert!(!closed.chunk_file(&block(3, 100)).exists());
	assert_readable(&repo, &blocks(0..3));
}

#[test]
fn an_invisible_dataset_without_a_row_does_not_keep_a_repository_from_opening() {
	let closed = Closed::new();
	store(&closed.open(), &blocks(0..3));
	closed.tamper(|transaction| {
		let mut hidden = transaction.open_table(HIDDEN).unwrap();
		hidden.insert(4711, 0).unwrap();
		hidden.insert(4712, 2).unwrap();
	});
	let (repo, report) = closed.mend(false);
	assert_eq!(report.wrong_datasets, 2);
	assert_readable(&repo, &blocks(0..3));
	assert_eq!(repo.space().unwrap().hidden_datasets, 0);
}

/// Else the next upload would be given the number, and with it the members, of another dataset.
#[test]
fn the_next_number_is_above_all_others() {
	let closed = Closed::new();
	let repo = closed.open();
	store(&repo, &blocks(0..3));
	store(&repo, &blocks(3..6));
	drop(repo);
	closed.tamper(|transaction| {
		let mut totals = transaction.open_table(TOTALS).unwrap();
		totals.insert("next_dataset", 0).unwrap();
	});
	let (repo, report) = closed.mend(false);
	assert_eq!(report.wrong_totals, 1);
	store(&repo, &blocks(6..9));
	assert_readable(&repo, &blocks(0..9));
	assert_eq!(repo.space().unwrap().datasets, 3);
}

#[test]
fn a_dataset_without_members_is_named_and_counts_none() {
	let closed = Closed::new();
	let root = store(&closed.open(), &blocks(0..3));
	closed.tamper(|transaction| {
		let mut members = transaction.open_table(MEMBERS).unwrap();
		members.retain(|_, _| false).unwrap();
	});
	let repo = closed.open();
	let report = repo.fsck(VERIFY).unwrap();
	assert_eq!((report.wrong_datasets, report.damaged_datasets), (1, vec![root]));
	let dataset = repo.dataset(&root).unwrap().unwrap();
	assert_eq!((dataset.blocks, dataset.bytes), (0, 0));
	assert!(repo.fsck(VERIFY).unwrap().is_clean());
}

#[test]
fn garbage_is_what_has_no_references() {
	let mut closed = Closed::new();
	closed.config.release_at_once = 10;
	let repo = closed.open();
	store(&repo, &blocks(0..3));
	let deleted = store(&repo, &blocks(3..6));
	repo.delete(&deleted).unwrap();
	assert!(repo.fsck(VERIFY).unwrap().is_clean());
	drop(repo);
	closed.tamper(|transaction| {
		let key = |n| block(n, 100).cid().hash().to_bytes();
		let mut garbage = transaction.open_table(GARBAGE).unwrap();
		// One that is none, one that does not exist, and one that is missing.
		garbage.insert((0, key(1).as_slice()), ()).unwrap();
		garbage.insert((1, key(77).as_slice()), ()).unwrap();
		garbage.remove((0, key(3).as_slice())).unwrap();
	});
	let (repo, report) = closed.mend(false);
	assert_eq!(
		(report.orphans, report.wrong_blocks, report.wrong_totals),
		(2, 1, 0)
	);
	assert_eq!(repo.maintain().unwrap().freed_blocks, 3);
	assert_readable(&repo, &blocks(0..3));
	assert_eq!(repo.space().unwrap().used, 300);
}
