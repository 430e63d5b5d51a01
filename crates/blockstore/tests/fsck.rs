//! What was done to a repository from outside is found, reported, and mended as far as it can be.

mod fixture;

use cairn_blockstore::{
	repo::{Backend, CommitOptions, FsckOptions, FsckReport, OpenError, ReadError, Recovery, StartupCheck},
	ChunkStore, FsChunks, PinId, Repo, RepoConfig, SqliteChunks,
};
use cairn_dag::Block;
use fixture::{assert_absent, assert_readable, block, blocks, seconds, store, upload};
use redb::{Database, ReadableTable, TableDefinition};
use std::{
	fs,
	path::{Path, PathBuf},
};

const BLOCKS: TableDefinition<&[u8], (u32, u32, u8)> = TableDefinition::new("blocks");
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
	// Whoever skips the check, or fails in it, leaves it to the next.
	drop(closed.open());
	let chunks = closed.folder.path().join("chunks").join("00");
	let aside = closed.folder.path().join("aside");
	fs::rename(&chunks, &aside).unwrap();
	let failed = Repo::open(closed.folder.path(), &config);
	assert!(matches!(failed, Err(OpenError::Check(_))), "{failed:?}");
	fs::rename(&aside, &chunks).unwrap();
	let (repo, recovery) = Repo::open(closed.folder.path(), &config).unwrap();
	assert!(recovery.after_crash);
	assert_eq!(recovery.check.unwrap().lost_blocks, 1);
	drop(repo);
	let (_repo, recovery) = Repo::open(closed.folder.path(), &config).unwrap();
	assert_eq!(recovery, Recovery::default());
}
