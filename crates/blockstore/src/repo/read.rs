//! Reading blocks, and noticing damage.

use super::{
	metadata::{visibility, BlockRow, MetadataError, Visibility, Wraps, BLOCKS, HIDDEN, MEMBERS},
	Repo,
};
use crate::{chunks::is_readable, fault_injection, ChunkError, Cid, Multihash};
use cairn_dag::{Block, BlockSource, SourceError};

/// Why a block could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
	/// A dataset has the block, but what is on the disk is damaged or missing. Uploading the block
	/// again, in whatever dataset, mends it.
	#[error("block {cid} is damaged or missing on the disk: fetch it again")]
	Damaged {
		/// The block.
		cid: Cid,
	},
	/// The chunk store failed.
	#[error(transparent)]
	Chunks(#[from] ChunkError),
	/// The database failed.
	#[error(transparent)]
	Metadata(#[from] MetadataError),
}

impl Wraps for ReadError {
	fn metadata(&self) -> Option<&MetadataError> {
		match self {
			Self::Metadata(error) => Some(error),
			_ => None,
		}
	}
}

/// What the repository knows about a block without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockStat {
	/// Its bytes.
	pub size: u32,
	/// Datasets that have it, those that are uploaded or deleted just now included.
	pub datasets: u32,
	/// Whether it was found damaged or missing.
	pub damaged: bool,
}

impl Repo {
	/// Reads a block; `None` if no dataset has it, or if the CID is one that no block is accepted under
	/// (SHA-1 with most codecs). The block inside an identity CID is always there.
	///
	/// # Errors
	/// [`ReadError::Damaged`], and what keeps the repository from reading.
	pub fn get(&self, cid: &Cid) -> Result<Option<Block>, ReadError> {
		if let Some(block) = Block::from_identity(cid) {
			return Ok(Some(block));
		}
		match self.visibility(cid)? {
			Visibility::Absent => return Ok(None),
			Visibility::Lost(_) => return Err(ReadError::Damaged { cid: *cid }),
			Visibility::Present(_) => {}
		}
		fault_injection::reached("read:found");
		match self.inner.chunks.get(cid) {
			Ok(Some(block)) => Ok(Some(block)),
			Ok(None) | Err(ChunkError::Damaged { .. }) => self.get_again(cid),
			Err(error) => Err(error.into()),
		}
	}

	/// Whether [`get`](Self::get) would find the block. A block known to be damaged does not count.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn has(&self, cid: &Cid) -> Result<bool, MetadataError> {
		if Block::from_identity(cid).is_some() {
			return Ok(true);
		}
		Ok(matches!(self.visibility(cid)?, Visibility::Present(_)))
	}

	/// What is known about a block; `None` if no dataset has it.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn stat(&self, cid: &Cid) -> Result<Option<BlockStat>, MetadataError> {
		let stat = |row: BlockRow| BlockStat {
			size: row.size,
			datasets: row.refs,
			damaged: row.lost,
		};
		Ok(match self.visibility(cid)? {
			Visibility::Absent => None,
			Visibility::Present(row) | Visibility::Lost(row) => Some(stat(row)),
		})
	}

	/// Whether a block can be read by this CID: blocks are kept by their hash alone, and may be asked for
	/// under a codec for which the hash is not accepted. That says nothing about what is on the disk.
	fn visibility(&self, cid: &Cid) -> Result<Visibility, MetadataError> {
		match is_readable(cid) {
			true => self.visibility_of(cid.hash()),
			false => Ok(Visibility::Absent),
		}
	}

	/// Whether any CID with this hash can be read.
	pub(super) fn visibility_of(&self, hash: &Multihash) -> Result<Visibility, MetadataError> {
		let key = hash.to_bytes();
		self.inner.metadata.read(|snapshot| {
			visibility(
				&key,
				&snapshot.open_table(BLOCKS)?,
				&snapshot.open_table(HIDDEN)?,
				&snapshot.open_table(MEMBERS)?,
			)
		})
	}

	/// Tells damage from a chunk that was collected between the look at the database and the look at
	/// the chunk, or replaced since: with the chunk locked, collectors and uploads stay away until what was
	/// seen is noted.
	fn get_again(&self, cid: &Cid) -> Result<Option<Block>, ReadError> {
		fault_injection::reached("read:missed");
		let _lock = self.inner.locks.alone(*cid.hash());
		fault_injection::reached("read:locked");
		match self.visibility(cid)? {
			Visibility::Absent => return Ok(None),
			Visibility::Lost(_) => return Err(ReadError::Damaged { cid: *cid }),
			Visibility::Present(_) => {}
		}
		match self.inner.chunks.get(cid) {
			Ok(Some(block)) => Ok(Some(block)),
			Ok(None) | Err(ChunkError::Damaged { .. }) => {
				tracing::error!(%cid, "a stored block is damaged or missing");
				self.set_lost(&[*cid.hash()], true)?;
				Err(ReadError::Damaged { cid: *cid })
			}
			Err(error) => Err(error.into()),
		}
	}

	/// Notes that chunks are damaged or missing, or that they are back. The caller holds their locks.
	pub(super) fn set_lost(&self, hashes: &[Multihash], lost: bool) -> Result<(), MetadataError> {
		self.inner.metadata.write(|tables| {
			for hash in hashes {
				let key = hash.to_bytes();
				if let Some(mut row) = tables.block(&key)? {
					row.lost = lost;
					tables.blocks.insert(key.as_slice(), row.encode())?;
				}
			}
			Ok(())
		})
	}
}

impl BlockSource for Repo {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		Repo::get(self, cid).map_err(SourceError::new)
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		Repo::has(self, cid).map_err(SourceError::new)
	}
}
