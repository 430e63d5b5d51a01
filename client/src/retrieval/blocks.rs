//! Verified blocks on disk until the object is complete: a CARv1 that grows.

use cairn_car::{CarReader, CarWriter, ReadAt};
use cairn_dag::{varint, Block, BlockSource, Cid, SourceError};
use std::{
	collections::HashMap,
	fs::{self, File, TryLockError},
	io::{self, Seek, SeekFrom, Write},
	path::{Path, PathBuf},
	sync::{Arc, Mutex, MutexGuard},
};

/// Blocks of one retrieval. Clones share them.
///
/// A block is hashed again when it is read, so that nothing that happens to the file in between can
/// reach the output. The file outlives the process: the next one takes it up, up to the first block that
/// is damaged, as a crash may leave the last one.
#[derive(Clone, Debug)]
pub struct BlockStore {
	inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
	file: File,
	/// Where the file is; none if it vanishes by itself.
	path: Option<PathBuf>,
	index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
	/// Offset and length of each block's data.
	blocks: HashMap<Cid, (u64, usize)>,
	/// Where the next section goes.
	end: u64,
}

impl BlockStore {
	/// The blocks in the file at `path`, which is made if there is none. If another process uses it, an
	/// anonymous file stands in.
	///
	/// # Errors
	/// If the file cannot be made or read.
	pub fn open(path: &Path, root: &Cid) -> io::Result<Self> {
		if let Some(folder) = path.parent() {
			fs::create_dir_all(folder)?;
		}
		let file = File::options()
			.create(true)
			.truncate(false)
			.read(true)
			.write(true)
			.open(path)?;
		let (file, path) = match file.try_lock() {
			Ok(()) => (file, Some(path.to_owned())),
			Err(TryLockError::WouldBlock) => (
				tempfile::tempfile_in(path.parent().unwrap_or(Path::new(".")))?,
				None,
			),
			Err(TryLockError::Error(error)) => return Err(error),
		};
		Self::of(file, path, root)
	}

	/// No blocks, in a file that vanishes by itself.
	///
	/// # Errors
	/// If the file cannot be made.
	pub fn temporary(root: &Cid) -> io::Result<Self> {
		Self::of(tempfile::tempfile()?, None, root)
	}

	fn of(file: File, path: Option<PathBuf>, root: &Cid) -> io::Result<Self> {
		let mut index = scan(&file, root)?;
		if index.end == 0 {
			file.set_len(0)?;
			let mut out = &file;
			out.seek(SeekFrom::Start(0))?;
			CarWriter::new(&mut out, &[*root])
				.and_then(|writer| writer.finish())
				.map_err(io::Error::other)?;
			index.end = file.metadata()?.len();
		}
		file.set_len(index.end)?;
		Ok(BlockStore {
			inner: Arc::new(Inner {
				file,
				path,
				index: Mutex::new(index),
			}),
		})
	}

	/// Where the blocks are, for messages.
	pub fn path(&self) -> PathBuf {
		self.inner
			.path
			.clone()
			.unwrap_or_else(|| PathBuf::from("an anonymous file"))
	}

	fn index(&self) -> MutexGuard<'_, Index> {
		// A panic in between leaves at worst a section that the index does not know.
		self.inner
			.index
			.lock()
			.unwrap_or_else(|poisoned| poisoned.into_inner())
	}

	/// Keeps a block, unless it is there. The caller has verified it. Gives whether it is new.
	///
	/// # Errors
	/// If the disk refuses.
	pub fn put(&self, block: &Block) -> io::Result<bool> {
		let mut index = self.index();
		if index.blocks.contains_key(block.cid()) {
			return Ok(false);
		}
		let cid = block.cid().to_bytes();
		let mut head = Vec::with_capacity(cid.len() + varint::MAX_LEN);
		varint::encode((cid.len() + block.data().len()) as u64, &mut head);
		head.extend_from_slice(&cid);
		let mut out = &self.inner.file;
		out.seek(SeekFrom::Start(index.end))?;
		out.write_all(&head)?;
		out.write_all(block.data())?;
		let data = index.end + head.len() as u64;
		index.blocks.insert(*block.cid(), (data, block.data().len()));
		index.end = data + block.data().len() as u64;
		Ok(true)
	}

	/// Bytes of a block's data, if it is there.
	pub fn size(&self, cid: &Cid) -> Option<u64> {
		self.index().blocks.get(cid).map(|(_, len)| *len as u64)
	}

	/// Deletes the file. Other clones must not be used any more.
	///
	/// # Errors
	/// If the disk refuses.
	pub fn remove(self) -> io::Result<()> {
		match &self.inner.path {
			Some(path) => fs::remove_file(path),
			None => Ok(()),
		}
	}
}

/// Reads what an earlier process left: every section up to the first that is damaged.
fn scan(file: &File, root: &Cid) -> io::Result<Index> {
	let mut index = Index::default();
	let mut input = file;
	input.seek(SeekFrom::Start(0))?;
	let Ok(mut reader) = CarReader::new(input) else {
		return Ok(index);
	};
	if reader.roots() != [*root] {
		return Ok(index);
	}
	index.end = reader.position();
	while let Ok(Some(section)) = reader.next_section() {
		index.end = section.offset + section.len;
		let len = section.block.data().len();
		index
			.blocks
			.insert(*section.block.cid(), (index.end - len as u64, len));
	}
	Ok(index)
}

impl BlockSource for BlockStore {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		let Some((offset, len)) = self.index().blocks.get(cid).copied() else {
			return Ok(None);
		};
		let mut bytes = vec![0; len];
		let read = self.inner.file.read_exact_at(&mut bytes, offset);
		match read.ok().and_then(|()| Block::new(*cid, bytes).ok()) {
			Some(block) => Ok(Some(block)),
			// Damaged since it was written: as good as missing.
			None => {
				self.index().blocks.remove(cid);
				Ok(None)
			}
		}
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		Ok(self.index().blocks.contains_key(cid))
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_dag::Codec;

	fn block(byte: u8) -> Block {
		Block::encode(Codec::Raw, vec![byte; 100])
	}

	#[test]
	fn blocks_outlive_the_process() {
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("get/x.car");
		let root = *block(0).cid();
		let store = BlockStore::open(&path, &root).unwrap();
		assert!(store.put(&block(1)).unwrap());
		assert!(!store.put(&block(1)).unwrap());
		assert!(store.put(&block(2)).unwrap());
		assert_eq!(store.get(block(1).cid()).unwrap().unwrap(), block(1));
		assert!(store.get(&root).unwrap().is_none());
		drop(store);
		let store = BlockStore::open(&path, &root).unwrap();
		assert_eq!(store.get(block(2).cid()).unwrap().unwrap(), block(2));
		store.put(&block(3)).unwrap();
		assert!(store.has(block(3).cid()).unwrap());
		assert_eq!(store.size(block(3).cid()), Some(100));
		assert_eq!(store.size(&root), None);
		drop(store);
		// It is an ordinary archive.
		let reader = CarReader::new(File::open(&path).unwrap()).unwrap();
		assert_eq!(
			reader.map(|block| block.unwrap()).collect::<Vec<_>>(),
			[block(1), block(2), block(3)]
		);
		// That of another object is not mixed in.
		let store = BlockStore::open(&path, block(9).cid()).unwrap();
		assert!(!store.has(block(1).cid()).unwrap());
		store.remove().unwrap();
		assert!(!path.exists());
	}

	#[test]
	fn torn_and_damaged_blocks_are_missing() {
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("x.car");
		let root = *block(0).cid();
		let store = BlockStore::open(&path, &root).unwrap();
		for byte in 1..=3 {
			store.put(&block(byte)).unwrap();
		}
		drop(store);
		let file = File::options().write(true).open(&path).unwrap();
		file.set_len(file.metadata().unwrap().len() - 1).unwrap();
		drop(file);
		let store = BlockStore::open(&path, &root).unwrap();
		assert!(store.has(block(2).cid()).unwrap() && !store.has(block(3).cid()).unwrap());
		store.put(&block(3)).unwrap();
		assert_eq!(store.get(block(3).cid()).unwrap().unwrap(), block(3));

		let mut bytes = fs::read(&path).unwrap();
		let last = bytes.len() - 1;
		bytes[last] ^= 1;
		fs::write(&path, &bytes).unwrap();
		assert!(store.has(block(3).cid()).unwrap());
		assert!(store.get(block(3).cid()).unwrap().is_none());
		assert!(!store.has(block(3).cid()).unwrap());
	}

	#[test]
	fn two_processes_do_not_share_a_file() {
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("x.car");
		let root = *block(0).cid();
		let first = BlockStore::open(&path, &root).unwrap();
		let second = BlockStore::open(&path, &root).unwrap();
		first.put(&block(1)).unwrap();
		second.put(&block(2)).unwrap();
		assert!(!second.has(block(1).cid()).unwrap() && !first.has(block(2).cid()).unwrap());
		second.remove().unwrap();
		assert!(path.exists());
	}

	#[test]
	fn garbage_is_overwritten() {
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("x.car");
		fs::write(&path, vec![0xff; 10_000]).unwrap();
		let store = BlockStore::open(&path, block(0).cid()).unwrap();
		store.put(&block(1)).unwrap();
		drop(store);
		let store = BlockStore::open(&path, block(0).cid()).unwrap();
		assert!(store.has(block(1).cid()).unwrap());
	}
}
