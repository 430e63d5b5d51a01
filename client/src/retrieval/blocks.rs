//! Verified blocks in a folder, one file each, until the object is complete.

use cairn_dag::{Block, BlockSource, Cid, SourceError};
use std::{
	fs, io,
	io::Write,
	path::{Path, PathBuf},
};

/// Blocks of one retrieval.
///
/// A block is hashed again when it is read, so that nothing that happens to the files in between can
/// reach the output.
#[derive(Clone, Debug)]
pub struct BlockFolder {
	folder: PathBuf,
}

impl BlockFolder {
	/// Blocks in `folder`, which is created.
	pub fn open(folder: PathBuf) -> io::Result<Self> {
		fs::create_dir_all(&folder)?;
		Ok(BlockFolder { folder })
	}

	/// The folder.
	pub fn path(&self) -> &Path {
		&self.folder
	}

	/// Two levels, so that no folder grows too large. The last characters of a CID are random.
	fn file(&self, cid: &Cid) -> PathBuf {
		let name = cid.to_string();
		let at = name.len().saturating_sub(3);
		let shard = name.get(at..name.len() - 1).unwrap_or("00");
		self.folder.join(shard).join(&name)
	}

	/// Keeps a block. The caller has verified it.
	pub fn put(&self, block: &Block) -> io::Result<()> {
		let path = self.file(block.cid());
		let shard = path.parent().unwrap_or(&self.folder);
		let mut file = match tempfile::NamedTempFile::new_in(shard) {
			Err(error) if error.kind() == io::ErrorKind::NotFound => {
				fs::create_dir_all(shard)?;
				tempfile::NamedTempFile::new_in(shard)?
			},
			file => file?,
		};
		file.write_all(block.data())?;
		file.persist(path).map_err(|error| error.error)?;
		Ok(())
	}

	/// Deletes all blocks.
	pub fn remove(self) -> io::Result<()> {
		fs::remove_dir_all(self.folder)
	}
}

impl BlockSource for BlockFolder {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		let path = self.file(cid);
		let bytes = match fs::read(&path) {
			Ok(bytes) => bytes,
			Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
			Err(error) => return Err(SourceError::new(error)),
		};
		match Block::new(*cid, bytes) {
			Ok(block) => Ok(Some(block)),
			// Damaged, for instance by a crash while it was written: as good as missing.
			Err(_) => {
				fs::remove_file(&path).map_err(SourceError::new)?;
				Ok(None)
			},
		}
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		self.file(cid).try_exists().map_err(SourceError::new)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_dag::Codec;

	#[test]
	fn keeps_blocks_and_drops_damaged_ones() {
		let folder = tempfile::tempdir().unwrap();
		let blocks = BlockFolder::open(folder.path().join("root")).unwrap();
		let block = Block::encode(Codec::Raw, &b"hello"[..]);
		assert!(blocks.get(block.cid()).unwrap().is_none());
		blocks.put(&block).unwrap();
		blocks.put(&block).unwrap();
		assert_eq!(blocks.get(block.cid()).unwrap().unwrap().data(), b"hello");
		assert!(blocks.has(block.cid()).unwrap());
		fs::write(blocks.file(block.cid()), b"hell").unwrap();
		assert!(blocks.get(block.cid()).unwrap().is_none());
		assert!(!blocks.has(block.cid()).unwrap());
		blocks.remove().unwrap();
		assert!(!folder.path().join("root").exists());
	}
}
