//! A disk without a free byte: errors that say so, nothing lost, and work goes on when there is room.
//!
//! The disk is a small tmpfs: see `small_disk`.

mod fixture;
mod small_disk;

use cairn_blockstore::{
	repo::{Backend, CommitOptions, FsckOptions, MetadataError, UploadError},
	ChunkError, ChunkStore, FsChunks, Repo, RepoConfig, SqliteChunks,
};
use cairn_dag::Block;
use fixture::{assert_absent, assert_readable, block, store};
use small_disk::{on_a_small_disk, small_disk};
use std::{
	fs,
	ops::ControlFlow,
	path::{Path, PathBuf},
};

/// Leaves so many bytes free.
fn fill(folder: &Path, free: u64) -> PathBuf {
	let path = folder.join("filler");
	let stat = rustix::fs::statvfs(folder).unwrap();
	let available = stat.f_bavail * stat.f_frsize;
	fs::write(&path, vec![1; available.saturating_sub(free) as usize]).unwrap();
	path
}

fn large_blocks(numbers: std::ops::Range<u32>) -> Vec<Block> {
	numbers.map(|n| block(n, 256 << 10)).collect()
}

fn is_full(error: &UploadError) -> bool {
	matches!(
		error,
		UploadError::DiskFull { .. }
			| UploadError::Chunks(ChunkError::Full { .. })
			| UploadError::Metadata(MetadataError::Full(_))
	)
}

fn try_store(repo: &Repo, blocks: &[Block]) -> Result<(), UploadError> {
	let mut upload = repo.upload(0)?;
	for block in blocks {
		upload.put(block.clone())?;
	}
	upload.commit(blocks[0].cid(), &CommitOptions::default())?;
	Ok(())
}

#[test]
fn chunk_stores_say_that_the_disk_is_full() {
	on_a_small_disk("chunk_stores_on_a_full_disk");
}

#[test]
#[ignore = "run on a disk of its own by another test"]
fn chunk_stores_on_a_full_disk() {
	let folder = small_disk();
	let stores: [Box<dyn ChunkStore>; 2] = [
		Box::new(FsChunks::open(folder.join("chunks")).unwrap()),
		Box::new(SqliteChunks::open(folder.join("chunks.sqlite")).unwrap()),
	];
	for store in stores {
		let kept = large_blocks(0..4);
		store.put_many(&kept).unwrap();
		let filler = fill(&folder, 600 << 10);
		let refused = store.put_many(&large_blocks(10..20));
		assert!(matches!(refused, Err(ChunkError::Full { .. })), "{refused:?}");
		for block in &kept {
			assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(block));
		}
		// Whatever was written is whole.
		store
			.list(&mut |chunk| {
				let cid = cairn_blockstore::Cid::new_v1(0x55, chunk.hash);
				assert!(store.get(&cid).unwrap().is_some());
				ControlFlow::Continue(())
			})
			.unwrap();
		fs::remove_file(filler).unwrap();
		store.put_many(&large_blocks(10..20)).unwrap();
		let hashes: Vec<_> = large_blocks(0..20)
			.iter()
			.map(|block| *block.cid().hash())
			.collect();
		store.delete_many(&hashes).unwrap();
	}
}

/// Once with the disk's reserve, which keeps the database going, and once without.
fn repository_on_a_full_disk(backend: Backend) {
	for reserve in [4 << 20, 0] {
		let folder = small_disk().join(format!("{backend:?}-{reserve}"));
		let config = RepoConfig {
			backend,
			disk_reserve: reserve,
			batch_bytes: 1 << 20,
			read_cache: 0,
			..fixture::config(1 << 30).1
		};
		let (repo, _) = Repo::open(&folder, &config).unwrap();
		let kept = large_blocks(0..8);
		store(&repo, &kept);
		let deleted = store(&repo, &large_blocks(20..24));
		let filler = fill(&small_disk(), 5 << 20);

		let too_many = large_blocks(100..140);
		let refused = try_store(&repo, &too_many).unwrap_err();
		assert!(is_full(&refused), "{refused:?}");
		assert_eq!(
			matches!(refused, UploadError::DiskFull { .. }),
			reserve > 0,
			"{refused:?}"
		);
		assert_readable(&repo, &kept);
		assert_absent(&repo, &too_many);

		// With the reserve, what can go goes although the disk is full. Without, it goes when there is
		// room again, without a restart.
		if reserve == 0 {
			fs::remove_file(&filler).unwrap();
		}
		assert!(repo.delete(&deleted).unwrap());
		repo.maintain().unwrap();
		assert_eq!(repo.space().unwrap().hidden_datasets, 0);
		let _ = fs::remove_file(&filler);
		assert_readable(&repo, &kept);
		assert_absent(&repo, &large_blocks(20..24));
		store(&repo, &large_blocks(100..110));
		assert_readable(&repo, &large_blocks(100..110));
		let options = FsckOptions {
			verify: true,
			mend: false,
		};
		let report = repo.fsck(options).unwrap();
		assert!(report.is_clean(), "{report:?}");
		drop(repo);
		fs::remove_dir_all(folder).unwrap();
	}
}

#[test]
fn a_repository_of_files_survives_a_full_disk() {
	on_a_small_disk("files_on_a_full_disk");
}

#[test]
#[ignore = "run on a disk of its own by another test"]
fn files_on_a_full_disk() {
	repository_on_a_full_disk(Backend::Fs);
}

#[test]
fn a_repository_in_sqlite_survives_a_full_disk() {
	on_a_small_disk("sqlite_on_a_full_disk");
}

#[test]
#[ignore = "run on a disk of its own by another test"]
fn sqlite_on_a_full_disk() {
	repository_on_a_full_disk(Backend::Sqlite);
}

/// The database itself is what finds no room: it is opened again when there is some.
#[test]
fn the_database_survives_a_full_disk() {
	on_a_small_disk("metadata_on_a_full_disk");
}

#[test]
#[ignore = "run on a disk of its own by another test"]
fn metadata_on_a_full_disk() {
	let folder = small_disk().join("repo");
	let (_, config) = fixture::config(1 << 30);
	let (repo, _) = Repo::open(&folder, &config).unwrap();
	let kept = large_blocks(0..4);
	store(&repo, &kept);
	let write = |n: u32| {
		repo.modify_get(&n.to_le_bytes(), |_| {
			Ok::<_, std::convert::Infallible>((Some(vec![n as u8; 100_000]), ()))
		})
	};
	let mut upload = repo.upload(0).unwrap();
	upload.put(block(50, 100)).unwrap();
	let filler = fill(&small_disk(), 300 << 10);
	let refused = (0..100)
		.map(write)
		.find_map(Result::err)
		.expect("the disk is full");
	assert!(
		matches!(
			&refused,
			cairn_blockstore::repo::ModifyError::Metadata(MetadataError::Full(_))
		),
		"{refused:?}"
	);
	assert_readable(&repo, &kept);
	// It cannot be opened again while its file is away, and no other is created in its place.
	let (database, aside) = (folder.join("metadata.redb"), folder.join("aside"));
	fs::rename(&database, &aside).unwrap();
	assert!(write(1000).is_err());
	assert!(repo.get(kept[0].cid()).is_err());
	assert!(!database.exists());
	// Cannot be recorded now, and is made up for.
	assert!(upload.abort().is_err());
	fs::rename(&aside, &database).unwrap();
	fs::remove_file(filler).unwrap();
	repo.maintain().unwrap();
	assert_eq!(repo.space().unwrap().hidden_datasets, 0);
	write(1001).unwrap();
	assert_eq!(
		repo.record(&1001_u32.to_le_bytes()).unwrap(),
		Some(vec![1001_u32 as u8; 100_000])
	);
	assert_eq!(repo.record(&1000_u32.to_le_bytes()).unwrap(), None);
	assert_readable(&repo, &kept);
}
