//! A disk that cannot be written to: errors that say so, nothing lost, and work goes on when it can.

mod fixture;
mod small_disk;

use cairn_blockstore::{
	chunks::OpenChunksError,
	repo::{Backend, CommitOptions, FsckOptions, UploadError},
	ChunkError, ChunkStore, FsChunks, Repo, RepoConfig, SqliteChunks,
};
use fixture::{assert_absent, assert_readable, blocks, store};
use small_disk::{on_a_small_disk, small_disk};
use std::{ffi::OsStr, io, process::Command};

fn mount<const N: usize>(args: [&OsStr; N]) {
	let status = Command::new("mount").args(args).status().unwrap();
	assert!(status.success());
}

/// Has the whole disk written to or not. No file on it may be open for writing.
fn remount(option: &str) {
	let options = format!("remount,{option}");
	mount(["-o".as_ref(), options.as_ref(), small_disk().as_ref()]);
}

#[test]
fn stores_on_a_disk_that_cannot_be_written_to_are_not_opened_and_lose_nothing() {
	on_a_small_disk("stores_on_a_read_only_disk");
}

#[test]
#[ignore = "run on a disk of its own by another test"]
fn stores_on_a_read_only_disk() {
	let stored = blocks(0..5);
	let (fs, sqlite) = (small_disk().join("chunks"), small_disk().join("chunks.sqlite"));
	FsChunks::open(&fs).unwrap().put_many(&stored).unwrap();
	SqliteChunks::open(&sqlite).unwrap().put_many(&stored).unwrap();
	let configs = [Backend::Fs, Backend::Sqlite].map(|backend| RepoConfig {
		backend,
		..fixture::config(1 << 20).1
	});
	let folder = |config: &RepoConfig| small_disk().join(format!("{:?}", config.backend));
	for config in &configs {
		store(&Repo::open(folder(config), config).unwrap().0, &stored);
	}
	remount("ro");
	let opened = FsChunks::open(&fs);
	assert!(matches!(opened, Err(OpenChunksError::Io { .. })), "{opened:?}");
	let opened = SqliteChunks::open(&sqlite);
	assert!(matches!(opened, Err(OpenChunksError::Io { .. })), "{opened:?}");
	for config in &configs {
		assert!(Repo::open(folder(config), config).is_err());
		assert!(Repo::open(small_disk().join("new"), config).is_err());
	}
	remount("rw");
	let stores: [Box<dyn ChunkStore>; 2] = [
		Box::new(FsChunks::open(&fs).unwrap()),
		Box::new(SqliteChunks::open(&sqlite).unwrap()),
	];
	for store in stores {
		for block in &stored {
			assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(block));
		}
	}
	for config in &configs {
		let (repo, recovery) = Repo::open(folder(config), config).unwrap();
		assert!(!recovery.after_crash);
		assert_readable(&repo, &stored);
	}
}

/// As when the kernel remounts a failing disk, with the database on another.
#[test]
fn chunks_that_become_read_only_are_read_and_nothing_else() {
	on_a_small_disk("chunks_become_read_only");
}

#[test]
#[ignore = "run on a disk of its own by another test"]
fn chunks_become_read_only() {
	for at_once in [0, 100] {
		let folder = small_disk().join(format!("repo-{at_once}"));
		let config = RepoConfig {
			release_at_once: at_once,
			read_cache: 0,
			..fixture::config(1 << 20).1
		};
		let (repo, _) = Repo::open(&folder, &config).unwrap();
		let kept = blocks(0..5);
		store(&repo, &kept);
		let deleted = store(&repo, &blocks(5..10));
		let chunks = folder.join("chunks");
		mount(["--bind".as_ref(), chunks.as_ref(), chunks.as_ref()]);
		mount(["-o".as_ref(), "remount,bind,ro".as_ref(), chunks.as_ref()]);

		assert_readable(&repo, &kept);
		let mut upload = repo.upload(0).unwrap();
		for block in blocks(20..25) {
			upload.put(block).unwrap();
		}
		let refused = upload.commit(blocks(20..21)[0].cid(), &CommitOptions::default());
		assert!(
			matches!(&refused, Err(UploadError::Chunks(ChunkError::Io { source, .. }))
				if source.kind() == io::ErrorKind::ReadOnlyFilesystem),
			"{refused:?}"
		);
		assert_absent(&repo, &blocks(20..25));
		assert!(repo.delete(&deleted).unwrap());
		assert_absent(&repo, &blocks(5..10));
		assert!(repo.maintain().unwrap().failed_blocks >= 5);
		assert!(repo.space().unwrap().used >= 1000);

		let status = Command::new("umount").arg(&chunks).status().unwrap();
		assert!(status.success());
		let done = repo.maintain().unwrap();
		assert_eq!(done.failed_blocks, 0);
		assert_eq!(repo.space().unwrap().used, 500);
		store(&repo, &blocks(20..25));
		assert_readable(&repo, &blocks(20..25));
		assert_readable(&repo, &kept);
		let options = FsckOptions {
			verify: true,
			mend: false,
		};
		let report = repo.fsck(options).unwrap();
		assert!(report.is_clean(), "{report:?}");
	}
}
