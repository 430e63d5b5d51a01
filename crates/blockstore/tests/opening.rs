//! Who may open a repository, and which.

mod fixture;

use cairn_blockstore::{
	repo::{Backend, CommitOptions, OpenError},
	MemoryChunks, Repo, RepoConfig,
};
use fixture::{assert_absent, assert_readable, blocks, store};
use redb::{Database, ReadableDatabase, TableDefinition};
use std::{fs, process::Command, sync::Arc};

const TOTALS: TableDefinition<&str, u64> = TableDefinition::new("totals");
/// Tells the child which repository to open.
const FOLDER: &str = "CAIRN_TEST_FOLDER";

#[test]
fn both_backends_keep_what_was_committed() {
	for backend in [Backend::Fs, Backend::Sqlite] {
		let folder = fixture::folder();
		let config = RepoConfig {
			backend,
			..fixture::config(1 << 20).1
		};
		let (repo, _) = Repo::open(folder.path(), &config).unwrap();
		store(&repo, &blocks(0..5));
		let deleted = store(&repo, &blocks(5..10));
		repo.delete(&deleted).unwrap();
		let mut uploading = repo.upload(0).unwrap();
		for block in blocks(10..15) {
			uploading.put(block).unwrap();
		}
		drop(uploading);
		drop(repo);
		let (repo, recovery) = Repo::open(folder.path(), &config).unwrap();
		assert!(!recovery.after_crash);
		assert_readable(&repo, &blocks(0..5));
		assert_absent(&repo, &blocks(5..15));
		repo.maintain().unwrap();
		assert_eq!(repo.space().unwrap().used, 500);
	}
}

#[test]
fn a_repository_has_one_owner_in_a_process() {
	let folder = fixture::folder();
	let (_, config) = fixture::config(1 << 20);
	let (repo, _) = Repo::open(folder.path(), &config).unwrap();
	let second = Repo::open(folder.path(), &config);
	assert!(
		matches!(&second, Err(OpenError::InUse { path }) if path == folder.path()),
		"{second:?}"
	);
	// An upload holds it open.
	let upload = repo.upload(0).unwrap();
	drop(repo);
	assert!(Repo::open(folder.path(), &config).is_err());
	drop(upload);
	Repo::open(folder.path(), &config).unwrap();
}

#[test]
fn a_repository_has_one_owner_among_processes() {
	let folder = fixture::folder();
	let (_, config) = fixture::config(1 << 20);
	let (repo, _) = Repo::open(folder.path(), &config).unwrap();
	store(&repo, &blocks(0..2));
	let child = || {
		let output = Command::new(std::env::current_exe().unwrap())
			.args(["--exact", "open_in_a_child", "--ignored", "--nocapture"])
			.env(FOLDER, folder.path())
			.output()
			.unwrap();
		assert!(output.status.success(), "{output:?}");
		String::from_utf8(output.stdout).unwrap()
	};
	assert!(child().contains("<in use>"));
	assert_readable(&repo, &blocks(0..2));
	drop(repo);
	assert!(child().contains("<opened>"));
}

#[test]
#[ignore = "run in a process of its own by another test"]
fn open_in_a_child() {
	let folder = std::env::var_os(FOLDER).unwrap();
	let (_, config) = fixture::config(1 << 20);
	match Repo::open(folder, &config) {
		Ok(_) => println!("<opened>"),
		Err(OpenError::InUse { .. }) => println!("<in use>"),
		Err(error) => panic!("{error:?}"),
	}
}

#[test]
fn a_later_format_and_another_backend_are_refused() {
	let folder = fixture::folder();
	let (_, config) = fixture::config(1 << 20);
	drop(Repo::open(folder.path(), &config).unwrap());
	let sqlite = RepoConfig {
		backend: Backend::Sqlite,
		..config.clone()
	};
	let refused = Repo::open(folder.path(), &sqlite);
	assert!(
		matches!(&refused, Err(OpenError::OtherBackend { found, expected: "sqlite", .. }) if found == "fs"),
		"{refused:?}"
	);
	let refused = Repo::open_with(folder.path(), &config, Arc::new(MemoryChunks::new()));
	assert!(matches!(
		refused,
		Err(OpenError::OtherBackend {
			expected: "memory",
			..
		})
	));

	let database = Database::open(folder.path().join("metadata.redb")).unwrap();
	let transaction = database.begin_write().unwrap();
	transaction
		.open_table(TOTALS)
		.unwrap()
		.insert("format", 3)
		.unwrap();
	transaction.commit().unwrap();
	drop(database);
	assert!(matches!(
		Repo::open(folder.path(), &config),
		Err(OpenError::Newer { found: 3, .. })
	));
}

#[test]
fn a_repository_of_version_1_is_taken_over() {
	const GARBAGE: TableDefinition<(u8, &[u8]), ()> = TableDefinition::new("garbage");
	let folder = fixture::folder();
	let (_, config) = fixture::config(1 << 20);
	let (repo, _) = Repo::open(folder.path(), &config).unwrap();
	store(&repo, &blocks(0..5));
	let deleted = store(&repo, &blocks(5..10));
	repo.delete(&deleted).unwrap();
	drop(repo);
	let database = Database::open(folder.path().join("metadata.redb")).unwrap();
	let transaction = database.begin_write().unwrap();
	assert!(transaction.delete_table(GARBAGE).unwrap());
	transaction
		.open_table(TOTALS)
		.unwrap()
		.insert("format", 1)
		.unwrap();
	transaction.commit().unwrap();
	drop(database);
	let config = RepoConfig {
		release_at_once: 10,
		..config
	};
	let (repo, _) = Repo::open(folder.path(), &config).unwrap();
	assert_readable(&repo, &blocks(0..5));
	repo.delete(blocks(0..1)[0].cid()).unwrap();
	assert_eq!(repo.maintain().unwrap().freed_blocks, 10);
	assert_eq!(repo.space().unwrap().used, 0);
	drop(repo);
	let database = Database::open(folder.path().join("metadata.redb")).unwrap();
	let totals = database.begin_read().unwrap().open_table(TOTALS).unwrap();
	assert_eq!(totals.get("format").unwrap().unwrap().value(), 2);
}

#[test]
fn a_file_that_is_no_database_is_an_error() {
	let folder = fixture::folder();
	let (_, config) = fixture::config(1 << 20);
	fs::write(folder.path().join("metadata.redb"), vec![7; 10_000]).unwrap();
	assert!(matches!(
		Repo::open(folder.path(), &config),
		Err(OpenError::Database { .. })
	));
	let file = folder.path().join("file");
	fs::write(&file, "").unwrap();
	assert!(matches!(Repo::open(&file, &config), Err(OpenError::Io { .. })));
}

#[test]
fn reading_goes_through_the_cache_and_the_cache_forgets_what_is_collected() {
	for read_cache in [0, 1 << 20] {
		let folder = fixture::folder();
		let config = RepoConfig {
			read_cache,
			..fixture::config(1 << 20).1
		};
		let (repo, _) = Repo::open(folder.path(), &config).unwrap();
		let blocks = blocks(0..3);
		let root = store(&repo, &blocks);
		assert_readable(&repo, &blocks);
		fs::remove_dir_all(folder.path().join("chunks")).unwrap();
		match read_cache {
			0 => assert!(repo.get(&root).is_err()),
			_ => assert_readable(&repo, &blocks),
		}
	}
}

#[test]
fn a_commit_is_the_only_thing_that_makes_a_dataset() {
	let folder = fixture::folder();
	let (_, config) = fixture::config(1 << 20);
	let (repo, _) = Repo::open(folder.path(), &config).unwrap();
	let blocks = blocks(0..3);
	let mut upload = repo.upload(0).unwrap();
	for block in &blocks {
		upload.put(block.clone()).unwrap();
	}
	upload.abort().unwrap();
	assert_absent(&repo, &blocks);
	let mut upload = repo.upload(0).unwrap();
	upload.put(blocks[0].clone()).unwrap();
	upload.commit(blocks[0].cid(), &CommitOptions::default()).unwrap();
	assert_readable(&repo, &blocks[..1]);
}
