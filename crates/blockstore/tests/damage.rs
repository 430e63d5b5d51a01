//! What was done to the stores' files from outside, and who may open them.

mod fixture;

use cairn_blockstore::{chunks::OpenChunksError, ChunkError, ChunkStore, FsChunks, SqliteChunks};
use cairn_dag::Block;
use fixture::block;
use std::{
	fs::{self, OpenOptions},
	ops::ControlFlow,
	path::{Path, PathBuf},
};

/// The file of a block's chunk.
fn file_of(folder: &Path, block: &Block) -> PathBuf {
	let name = hex::encode(block.cid().hash().to_bytes());
	folder.join(&name[name.len() - 2..]).join(name)
}

fn assert_damaged(store: &dyn ChunkStore, block: &Block) {
	let read = store.get(block.cid());
	assert!(
		matches!(read, Err(ChunkError::Damaged { cid }) if cid == *block.cid()),
		"{read:?}"
	);
}

#[test]
fn a_damaged_file_reads_as_an_error() {
	let folder = fixture::folder();
	let store = FsChunks::open(folder.path()).unwrap();
	let block = block(1, 10_000);
	let path = file_of(folder.path(), &block);
	let damages: [&dyn Fn(); 6] = [
		&|| {
			let mut data = block.data().to_vec();
			data[9_999] ^= 1;
			fs::write(&path, data).unwrap();
		},
		&|| fs::write(&path, &block.data()[..9_999]).unwrap(),
		&|| fs::write(&path, b"").unwrap(),
		&|| fs::write(&path, [block.data(), b"x"].concat()).unwrap(),
		// Larger than memory: must not be read.
		&|| {
			let file = OpenOptions::new().write(true).open(&path).unwrap();
			file.set_len(1 << 40).unwrap();
		},
		&|| {
			fs::remove_file(&path).unwrap();
			fs::create_dir(&path).unwrap();
		},
	];
	for damage in damages {
		store.put_many(std::slice::from_ref(&block)).unwrap();
		assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(&block));
		damage();
		assert_damaged(&store, &block);
	}
	// The last one too is replaced by writing again.
	store.put_many(std::slice::from_ref(&block)).unwrap();
	assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(&block));
}

/// What is neither a file nor a folder is not followed, and nobody waits for it.
#[test]
fn a_link_or_a_pipe_reads_as_damage() {
	let folder = fixture::folder();
	let store = FsChunks::open(folder.path()).unwrap();
	let block = block(1, 100);
	let path = file_of(folder.path(), &block);
	let elsewhere = folder.path().join("elsewhere");
	fs::write(&elsewhere, block.data()).unwrap();
	let replacements: [&dyn Fn(); 2] = [
		&|| std::os::unix::fs::symlink(&elsewhere, &path).unwrap(),
		&|| {
			let mode = rustix::fs::Mode::from_raw_mode(0o600);
			rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
		},
	];
	for replace in replacements {
		replace();
		assert_damaged(&store, &block);
		store.put_many(std::slice::from_ref(&block)).unwrap();
		assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(&block));
		assert_eq!(fs::read(&elsewhere).unwrap(), block.data());
		fs::remove_file(&path).unwrap();
	}
}

#[test]
fn a_folder_that_is_gone_is_made_again() {
	let folder = fixture::folder();
	let blocks: Vec<_> = (0..600).map(|n| block(n, 10)).collect();
	let store = FsChunks::open(folder.path()).unwrap();
	store.put_many(&blocks).unwrap();
	drop(store);
	fs::remove_dir_all(folder.path().join("7f")).unwrap();
	let store = FsChunks::open(folder.path()).unwrap();
	let found = |store: &FsChunks| {
		let found = blocks.iter().filter(|block| store.has(block.cid()).unwrap());
		found.count()
	};
	assert!(found(&store) < blocks.len());
	store.put_many(&blocks).unwrap();
	assert_eq!(found(&store), blocks.len());
}

/// One folder cannot be listed: the chunks of the others are.
#[test]
fn a_listing_shows_what_can_be_listed() {
	let folder = fixture::folder();
	let store = FsChunks::open(folder.path()).unwrap();
	let blocks: Vec<_> = (0..600).map(|n| block(n, 10)).collect();
	store.put_many(&blocks).unwrap();
	let gone = folder.path().join("00");
	let missing = fs::read_dir(&gone).unwrap().count();
	fs::rename(&gone, folder.path().join("aside")).unwrap();
	let mut shown = 0;
	let listed = store.list(&mut |_| {
		shown += 1;
		ControlFlow::Continue(())
	});
	assert!(
		matches!(&listed, Err(ChunkError::Io { path, .. }) if *path == gone),
		"{listed:?}"
	);
	assert_eq!(shown + missing, blocks.len());
}

#[test]
fn a_database_gives_its_space_back() {
	let folder = fixture::folder();
	let path = folder.path().join("chunks.sqlite");
	let store = SqliteChunks::open(&path).unwrap();
	let blocks: Vec<_> = (0..400).map(|n| block(n, 20_000)).collect();
	store.put_many(&blocks).unwrap();
	let hashes: Vec<_> = blocks.iter().map(|block| *block.cid().hash()).collect();
	store.delete_many(&hashes[1..]).unwrap();
	while store.shrink().unwrap() {}
	assert!(fs::metadata(&path).unwrap().len() < 400_000);
	assert_eq!(store.get(blocks[0].cid()).unwrap().as_ref(), Some(&blocks[0]));
}

#[test]
fn a_file_that_is_gone_is_absent() {
	let folder = fixture::folder();
	let store = FsChunks::open(folder.path()).unwrap();
	let block = block(1, 10);
	store.put_many(std::slice::from_ref(&block)).unwrap();
	fs::remove_file(file_of(folder.path(), &block)).unwrap();
	assert_eq!(store.get(block.cid()).unwrap(), None);
	assert!(!store.has(block.cid()).unwrap());
}

#[test]
fn files_of_others_are_left_alone_and_unfinished_ones_removed() {
	let folder = fixture::folder();
	let store = FsChunks::open(folder.path()).unwrap();
	let block = block(1, 10);
	store.put_many(std::slice::from_ref(&block)).unwrap();
	let foreign = folder.path().join("ab").join("notes.txt");
	fs::write(&foreign, "mine").unwrap();
	let unfinished = folder.path().join("incoming").join("x1y2z3");
	fs::write(&unfinished, "half a chu").unwrap();
	drop(store);

	let store = FsChunks::open(folder.path()).unwrap();
	let mut listed = Vec::new();
	store
		.list(&mut |chunk| {
			listed.push(chunk.hash);
			ControlFlow::Continue(())
		})
		.unwrap();
	assert_eq!(listed, [*block.cid().hash()]);
	assert_eq!(fs::read(&foreign).unwrap(), b"mine");
	assert!(!unfinished.exists());
}

#[test]
fn a_file_store_has_one_owner() {
	let folder = fixture::folder();
	let store = FsChunks::open(folder.path()).unwrap();
	let second = FsChunks::open(folder.path());
	assert!(matches!(second, Err(OpenChunksError::InUse { path }) if path == folder.path()));
	drop(store);
	FsChunks::open(folder.path()).unwrap();
}

#[test]
fn a_file_store_of_a_later_format_is_refused() {
	let folder = fixture::folder();
	drop(FsChunks::open(folder.path()).unwrap());
	for found in ["cairn chunks 2", "something else"] {
		fs::write(folder.path().join("FORMAT"), format!("{found}\n")).unwrap();
		let opened = FsChunks::open(folder.path());
		assert!(
			matches!(&opened, Err(OpenChunksError::Format { found: said, known: 1, .. }) if said == found),
			"{opened:?}"
		);
	}
}

#[test]
fn a_folder_with_other_files_is_not_taken_and_an_unfinished_store_is_finished() {
	let folder = fixture::folder();
	fs::write(folder.path().join("photo.jpg"), "").unwrap();
	assert!(matches!(
		FsChunks::open(folder.path()),
		Err(OpenChunksError::NotAStore { .. })
	));
	assert!(!folder.path().join("00").exists());

	// As a crash in the middle of the first start leaves it.
	let folder = fixture::folder();
	drop(FsChunks::open(folder.path()).unwrap());
	fs::remove_file(folder.path().join("FORMAT")).unwrap();
	fs::remove_dir(folder.path().join("7f")).unwrap();
	let store = FsChunks::open(folder.path()).unwrap();
	let blocks: Vec<_> = (0..600).map(|n| block(n, 10)).collect();
	store.put_many(&blocks).unwrap();
}

#[test]
fn a_damaged_row_reads_as_an_error() {
	let folder = fixture::folder();
	let path = folder.path().join("chunks.sqlite");
	let block = block(1, 10_000);
	let damages = [
		"UPDATE chunks SET data = zeroblob(10000)",
		"UPDATE chunks SET data = substr(data, 1, 9999)",
		"UPDATE chunks SET data = 'text'",
		"UPDATE chunks SET data = 17",
		// Larger than a chunk may be.
		"UPDATE chunks SET data = zeroblob(40000000)",
	];
	for damage in damages {
		let store = SqliteChunks::open(&path).unwrap();
		store.put_many(std::slice::from_ref(&block)).unwrap();
		assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(&block));
		drop(store);
		let connection = rusqlite::Connection::open(&path).unwrap();
		assert_eq!(connection.execute(damage, ()).unwrap(), 1);
		drop(connection);
		assert_damaged(&SqliteChunks::open(&path).unwrap(), &block);
	}
}

#[test]
fn a_damaged_database_is_an_error_and_not_a_panic() {
	let folder = fixture::folder();
	let path = folder.path().join("chunks.sqlite");
	let blocks: Vec<_> = (0..200).map(|n| block(n, 20_000)).collect();
	let store = SqliteChunks::open(&path).unwrap();
	store.put_many(&blocks).unwrap();
	drop(store);
	// All pages but the first, which holds the schema.
	let mut bytes = fs::read(&path).unwrap();
	bytes[16384..].fill(0xa5);
	fs::write(&path, bytes).unwrap();
	if let Ok(store) = SqliteChunks::open(&path) {
		for block in &blocks {
			let read = store.get(block.cid());
			assert!(
				matches!(read, Err(ChunkError::Sqlite { .. } | ChunkError::Damaged { .. })),
				"{read:?}"
			);
		}
	}
}

#[test]
fn a_database_has_one_owner_and_one_purpose() {
	let folder = fixture::folder();
	let path = folder.path().join("chunks.sqlite");
	let store = SqliteChunks::open(&path).unwrap();
	assert!(matches!(
		SqliteChunks::open(&path),
		Err(OpenChunksError::InUse { .. })
	));
	drop(store);

	let connection = rusqlite::Connection::open(&path).unwrap();
	connection.execute_batch("PRAGMA user_version = 2").unwrap();
	drop(connection);
	let newer = SqliteChunks::open(&path);
	assert!(
		matches!(&newer, Err(OpenChunksError::Format { found, known: 1, .. }) if found == "2"),
		"{newer:?}"
	);

	let other = folder.path().join("other.sqlite");
	let connection = rusqlite::Connection::open(&other).unwrap();
	connection.execute_batch("CREATE TABLE chunks (a)").unwrap();
	drop(connection);
	assert!(matches!(
		SqliteChunks::open(&other),
		Err(OpenChunksError::NotAStore { .. })
	));

	let text = folder.path().join("text.sqlite");
	fs::write(
		&text,
		"This is not a database, but long enough to be one. ".repeat(100),
	)
	.unwrap();
	assert!(matches!(
		SqliteChunks::open(&text),
		Err(OpenChunksError::NotAStore { .. })
	));
}
