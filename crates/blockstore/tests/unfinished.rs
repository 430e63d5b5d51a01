//! Uploads that outlive their process.

mod fixture;

use cairn_blockstore::{
	repo::{Backend, CommitOptions, FsckOptions, UploadError},
	Cid, Repo, RepoConfig, Upload,
};
use cairn_dag::Block;
use fixture::{assert_absent, assert_readable, blocks, store};
use std::{fs, path::Path, process::Command};

/// Tells the child which repository to open.
const FOLDER: &str = "CAIRN_TEST_FOLDER";

fn open(folder: &Path) -> Repo {
	let (_, config) = fixture::config(2000);
	Repo::open(folder, &config).unwrap().0
}

fn write(repo: &Repo, root: &Cid, blocks: &[Block]) -> Upload {
	let mut upload = repo.upload_of(root, 0).unwrap();
	for block in blocks {
		upload.put(block.clone()).unwrap();
	}
	upload.flush().unwrap();
	upload
}

/// Uploads blocks, those that an earlier upload had written from there, and returns how many those were.
fn upload_rest(repo: &Repo, blocks: &[Block]) -> usize {
	let root = blocks[0].cid();
	let unfinished = repo.unfinished(root).unwrap().unwrap();
	let size: u64 = blocks.iter().map(|block| block.data().len() as u64).sum();
	let mut upload = repo.upload_of(root, size - unfinished.bytes()).unwrap();
	let mut found = 0;
	for block in blocks {
		let earlier = unfinished.get(block.cid()).unwrap();
		found += usize::from(earlier.is_some());
		upload.put(earlier.unwrap_or_else(|| block.clone())).unwrap();
	}
	upload.commit(root, &CommitOptions::default()).unwrap();
	found
}

/// The repository has these blocks, each counted once, and nothing else.
fn assert_only(repo: &Repo, blocks: &[Block]) {
	repo.maintain().unwrap();
	assert_readable(repo, blocks);
	let space = repo.space().unwrap();
	let size: u64 = blocks.iter().map(|block| block.data().len() as u64).sum();
	assert_eq!(
		(
			space.used,
			space.reserved,
			space.hidden_datasets,
			space.pending_delete
		),
		(size, 0, 0, 0)
	);
	let check = FsckOptions {
		verify: true,
		mend: true,
	};
	assert!(repo.fsck(check).unwrap().is_clean());
}

#[test]
fn what_was_written_is_there_for_the_next_process() {
	for backend in [Backend::Fs, Backend::Sqlite] {
		let folder = fixture::folder();
		let config = RepoConfig {
			backend,
			..fixture::config(2000).1
		};
		let open = || Repo::open(folder.path(), &config).unwrap();
		let all = blocks(0..20);
		let root = all[0].cid();
		let (repo, _) = open();
		write(&repo, root, &all[..15]).leave();
		drop(repo);
		let (repo, recovery) = open();
		assert_eq!(recovery.unfinished_uploads, 0);
		// Nobody else sees it, nothing collects it, and it counts.
		repo.maintain().unwrap();
		assert_absent(&repo, &all);
		assert_eq!(repo.space().unwrap().used, 1500);
		assert_eq!(repo.dataset(root).unwrap(), None);
		assert!(repo.unfinished(all[1].cid()).unwrap().is_none());
		// The quota has room for the rest, and not for all of it once more.
		assert!(matches!(repo.upload_of(root, 2000), Err(UploadError::Quota(_))));
		assert_eq!(upload_rest(&repo, &all), 15);
		repo.give_up_unfinished(|_| false).unwrap();
		assert_only(&repo, &all);
		assert!(repo.unfinished(root).unwrap().is_none());
		drop(repo);
		assert_only(&open().0, &all);
	}
}

#[test]
fn what_nobody_wants_is_collected() {
	let folder = fixture::folder();
	let (mine, others, plain) = (blocks(0..5), blocks(5..10), blocks(10..15));
	let repo = open(folder.path());
	write(&repo, mine[0].cid(), &mine).leave();
	write(&repo, others[0].cid(), &others).leave();
	// Neither of these was begun to outlive the process, or is to.
	let mut upload = repo.upload(0).unwrap();
	upload.put(plain[0].clone()).unwrap();
	upload.flush().unwrap();
	upload.leave();
	drop(write(&repo, plain[1].cid(), &plain));
	repo.maintain().unwrap();
	assert_eq!(repo.space().unwrap().used, 1000);
	drop(repo);

	let repo = open(folder.path());
	// One of this process is not touched.
	let running = write(&repo, plain[0].cid(), &plain);
	repo.give_up_unfinished(|root| root == mine[0].cid()).unwrap();
	repo.maintain().unwrap();
	assert_eq!(repo.space().unwrap().used, 1000);
	assert!(repo.unfinished(others[0].cid()).unwrap().is_none());
	assert!(repo.unfinished(plain[0].cid()).unwrap().is_none());
	assert_eq!(repo.unfinished(mine[0].cid()).unwrap().unwrap().bytes(), 500);
	running.commit(plain[0].cid(), &CommitOptions::default()).unwrap();
	repo.give_up_unfinished(|_| false).unwrap();
	assert_only(&repo, &plain);
}

#[test]
fn of_several_that_with_most_stays() {
	let folder = fixture::folder();
	let all = blocks(0..10);
	let root = all[0].cid();
	let repo = open(folder.path());
	for count in [3, 8, 5] {
		write(&repo, root, &all[..count]).leave();
	}
	let unfinished = repo.unfinished(root).unwrap().unwrap();
	assert_eq!(unfinished.bytes(), 800);
	repo.maintain().unwrap();
	assert_eq!(repo.space().unwrap().hidden_datasets, 1);
	for block in &all[..8] {
		assert_eq!(unfinished.get(block.cid()).unwrap().as_ref(), Some(block));
	}
	assert_eq!(upload_rest(&repo, &all), 8);
	repo.give_up_unfinished(|_| false).unwrap();
	// What read from it finds nothing any more, and does no harm.
	repo.maintain().unwrap();
	assert_eq!(unfinished.get(all[1].cid()).unwrap(), None);
	assert_only(&repo, &all);
}

#[test]
fn a_kill_leaves_what_was_written() {
	let folder = fixture::folder();
	let all = blocks(0..20);
	let output = Command::new(std::env::current_exe().unwrap())
		.args(["--exact", "write_and_die", "--ignored", "--nocapture"])
		.env(FOLDER, folder.path())
		.output()
		.unwrap();
	assert!(!output.status.success(), "{output:?}");
	// Rows come before chunks: a kill in between leaves a row without one.
	let chunks = files(&folder.path().join("chunks"));
	assert_eq!(chunks.len(), 17);
	let lost = hex::encode(all[3].cid().hash().to_bytes());
	let lost = chunks.iter().find(|path| path.ends_with(&lost)).unwrap();
	fs::remove_file(lost).unwrap();

	let repo = open(folder.path());
	assert_readable(&repo, &all[..2]);
	assert_absent(&repo, &all[2..]);
	assert_eq!(upload_rest(&repo, &all), 16);
	repo.give_up_unfinished(|_| false).unwrap();
	assert_only(&repo, &all);
}

/// Files of a chunk store that have the name of a chunk.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
	let entries = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
	entries(folder)
		.filter(|path| path.is_dir())
		.flat_map(|path| entries(&path))
		.collect()
}

#[test]
#[ignore = "a process of another test"]
fn write_and_die() {
	let Some(folder) = std::env::var_os(FOLDER) else {
		return;
	};
	let all = blocks(0..20);
	let repo = open(folder.as_ref());
	// A dataset that is there shares two of them.
	store(&repo, &all[..2]);
	let _upload = write(&repo, all[0].cid(), &all[..17]);
	std::process::abort();
}
