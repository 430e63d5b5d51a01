//! Stores of chunks: bytes by CID, and nothing else.
//!
//! A chunk is keyed by the hash in its CID, so CIDs that differ in version or codec alone name the
//! same chunk. The hash is what makes damage visible: [`ChunkStore::get`] hashes what it reads. A hash
//! function that is broken names a chunk only under the codecs for which Cairn accepts it
//! ([`cairn_dag::block::check_address`]); under another the chunk is absent, as it is for readers
//! everywhere else.

mod cache;
mod fs;
mod memory;
mod sqlite;

pub use cache::CachedChunks;
pub use fs::FsChunks;
pub use memory::MemoryChunks;
pub use sqlite::SqliteChunks;

use crate::{Cid, Multihash};
use cairn_dag::{
	block::{self, BlockError},
	Block,
};
use std::{
	io,
	ops::ControlFlow,
	path::{Path, PathBuf},
	sync::Arc,
};

/// Largest chunk in bytes. A store refuses to write more, and takes a larger value that it finds for a
/// damaged one without reading it. Blocks that travel have at most 2 MiB.
pub const MAX_CHUNK_BYTES: usize = 32 << 20;

/// Bytes by CID.
///
/// All implementations pass one suite of tests (`tests/conformance.rs`). Calls may come from many
/// threads at once.
///
/// The store does not order a removal against a concurrent write of the same chunk: afterwards the
/// chunk is there or it is not. Who needs to know locks the chunk around both, as [`Repo`] does.
///
/// [`Repo`]: crate::Repo
pub trait ChunkStore: Send + Sync + 'static {
	/// Reads a chunk and checks its hash; `None` if the store does not have it, or if the CID is one
	/// that no block is accepted under.
	///
	/// # Errors
	/// [`ChunkError::Damaged`] if the stored bytes are not those of the CID; otherwise what keeps the
	/// store from reading.
	fn get(&self, cid: &Cid) -> Result<Option<Block>, ChunkError>;

	/// Whether the store has a chunk for this CID. Does not read the bytes, so a damaged chunk counts.
	///
	/// # Errors
	/// What keeps the store from knowing.
	fn has(&self, cid: &Cid) -> Result<bool, ChunkError>;

	/// Writes chunks; they are on disk when the call returns. A chunk that is already there is
	/// written again, which also replaces a damaged one. Many at once cost far less than one by one.
	///
	/// # Errors
	/// [`ChunkError::TooLarge`], [`ChunkError::UnsupportedHash`] and [`ChunkError::WeakHash`] before
	/// anything is written.
	/// [`ChunkError::Full`] and others may leave some chunks of the call written and others not; none
	/// is half-written.
	fn put_many(&self, blocks: &[Block]) -> Result<(), ChunkError>;

	/// Removes chunks; absent ones are fine. They are gone from the disk when the call returns.
	///
	/// # Errors
	/// What keeps the store from removing one. Others may be removed then.
	fn delete_many(&self, hashes: &[Multihash]) -> Result<(), ChunkError>;

	/// Shows every chunk to `visit`, in no particular order, until it breaks off. Chunks that come or
	/// go meanwhile may be shown or not. A store on disk takes the same memory for any number of them.
	///
	/// # Errors
	/// What keeps the store from listing all of them; those that it can list are shown.
	fn list(&self, visit: &mut dyn FnMut(ListedChunk) -> ControlFlow<()>) -> Result<(), ChunkError>;

	/// Gives some of the space of removed chunks back to the file system, if the store kept it. Returns
	/// whether there is more to give back.
	///
	/// # Errors
	/// What keeps the store from it.
	fn shrink(&self) -> Result<bool, ChunkError> {
		Ok(false)
	}

	/// Name of the implementation, as recorded by a repository: `fs`, `sqlite`, `memory`.
	fn kind(&self) -> &'static str;
}

impl<S: ChunkStore + ?Sized> ChunkStore for Arc<S> {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, ChunkError> {
		(**self).get(cid)
	}
	fn has(&self, cid: &Cid) -> Result<bool, ChunkError> {
		(**self).has(cid)
	}
	fn put_many(&self, blocks: &[Block]) -> Result<(), ChunkError> {
		(**self).put_many(blocks)
	}
	fn delete_many(&self, hashes: &[Multihash]) -> Result<(), ChunkError> {
		(**self).delete_many(hashes)
	}
	fn list(&self, visit: &mut dyn FnMut(ListedChunk) -> ControlFlow<()>) -> Result<(), ChunkError> {
		(**self).list(visit)
	}
	fn shrink(&self) -> Result<bool, ChunkError> {
		(**self).shrink()
	}
	fn kind(&self) -> &'static str {
		(**self).kind()
	}
}

/// A chunk in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedChunk {
	/// Its key.
	pub hash: Multihash,
	/// Bytes it occupies. If they are not as many as were written, the chunk is damaged.
	pub size: u64,
}

/// Why a chunk store could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
	/// The stored bytes are not those of the CID.
	#[error("the stored bytes of block {cid} are damaged")]
	Damaged {
		/// The CID asked for.
		cid: Cid,
	},
	/// The chunk is larger than [`MAX_CHUNK_BYTES`].
	#[error("block {cid} has {size} bytes, more than the {MAX_CHUNK_BYTES} that a store takes")]
	TooLarge {
		/// The CID.
		cid: Cid,
		/// Its bytes.
		size: usize,
	},
	/// The CID's hash function is not one that Cairn computes: damage could not be told.
	#[error("block {cid} is addressed with hash function {code:#x}, which is not supported")]
	UnsupportedHash {
		/// The CID.
		cid: Cid,
		/// Multicodec code of the function.
		code: u64,
	},
	/// The disk is full, or the user's quota on it.
	#[error("the disk that holds {} is full", path.display())]
	Full {
		/// What was being written.
		path: PathBuf,
		/// What the operating system or the database said.
		source: Box<dyn std::error::Error + Send + Sync>,
	},
	/// The CID's hash function is broken and not accepted for its codec: nobody could read the chunk by
	/// this CID.
	#[error("block {cid} is addressed with SHA-1, which is not accepted for its codec")]
	WeakHash {
		/// The CID.
		cid: Cid,
	},
	/// The operating system refused.
	#[error("cannot {action} {}", path.display())]
	Io {
		/// What was tried.
		action: &'static str,
		/// On what.
		path: PathBuf,
		/// Why not.
		source: io::Error,
	},
	/// SQLite refused.
	#[error("the chunk database {} failed", path.display())]
	Sqlite {
		/// The database.
		path: PathBuf,
		/// Why.
		source: Box<rusqlite::Error>,
	},
}

impl ChunkError {
	/// Tells a full disk from other failures.
	fn from_io(action: &'static str, path: &Path, source: io::Error) -> Self {
		let path = path.to_owned();
		match source.kind() {
			io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
				Self::Full {
					path,
					source: source.into(),
				}
			}
			_ => Self::Io { action, path, source },
		}
	}
}

/// Why a chunk store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenChunksError {
	/// Another process, or this one, has it open.
	#[error("the chunk store {} is in use by another process", path.display())]
	InUse {
		/// Its folder or file.
		path: PathBuf,
	},
	/// It has a format that this version does not know.
	#[error("the chunk store {} has format {found}, this program knows format {known}: upgrade it", path.display())]
	Format {
		/// Its folder or file.
		path: PathBuf,
		/// The format it says it has.
		found: String,
		/// The newest format that this version knows.
		known: u32,
	},
	/// There is something else.
	#[error("{} is not a chunk store: it holds something else", path.display())]
	NotAStore {
		/// The folder.
		path: PathBuf,
	},
	/// The operating system refused.
	#[error("cannot {action} {}", path.display())]
	Io {
		/// What was tried.
		action: &'static str,
		/// On what.
		path: PathBuf,
		/// Why not.
		source: io::Error,
	},
	/// SQLite refused.
	#[error("cannot open the chunk database {}", path.display())]
	Sqlite {
		/// The database.
		path: PathBuf,
		/// Why.
		source: Box<rusqlite::Error>,
	},
}

/// Refuses what a store could not give back.
pub(crate) fn check_writable(blocks: &[Block]) -> Result<(), ChunkError> {
	for block in blocks {
		let cid = *block.cid();
		let size = block.data().len();
		if size > MAX_CHUNK_BYTES {
			return Err(ChunkError::TooLarge { cid, size });
		}
		check_address(&cid)?;
	}
	Ok(())
}

/// Whether a chunk can be asked for by this CID. Under others none is found, whatever lies under the hash.
pub(crate) fn is_readable(cid: &Cid) -> bool {
	block::check_address(cid).is_ok()
}

fn check_address(cid: &Cid) -> Result<(), ChunkError> {
	block::check_address(cid).map_err(|error| address_error(cid, error))
}

fn address_error(cid: &Cid, error: BlockError) -> ChunkError {
	match error {
		BlockError::UnsupportedHash { cid, code } => ChunkError::UnsupportedHash { cid, code },
		BlockError::WeakHash { cid } => ChunkError::WeakHash { cid },
		_ => ChunkError::Damaged { cid: *cid },
	}
}

/// Makes a block of what was read, if it is what was written.
fn check_read(cid: &Cid, data: impl Into<bytes::Bytes>) -> Result<Block, ChunkError> {
	Block::new(*cid, data).map_err(|error| address_error(cid, error))
}
