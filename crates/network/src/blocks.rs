//! The local blocks that peers are served from and fetched blocks are kept in.
//!
//! A store is synchronous, like everything that reads local files here, and is called on blocking
//! threads only: whoever calls [`BlockStore`] from asynchronous code does it in
//! [`tokio::task::spawn_blocking`], many blocks at a time.

use cairn_dag::{Block, BlockSink, BlockSource, MemoryBlocks, SinkError, SourceError};
use cid::Cid;
use std::sync::{PoisonError, RwLock};

/// Finds and keeps blocks, from any thread.
///
/// `get` returns verified blocks: bytes that do not match their CID are an error of the store.
pub trait BlockStore: BlockSource + Send + Sync {
	/// Keeps the blocks. Any of them may be there already. When it returns, [`BlockSource::get`] finds
	/// them all.
	///
	/// # Errors
	/// Whatever keeps the store from keeping them; some may then have been kept.
	fn put(&self, blocks: &[Block]) -> Result<(), SinkError>;

	/// Bytes of a block's data, or `None` if it is not here. Peers that ask whether a block is here are answered by
	/// it. The default reads the block; stores that know more cheaply should override it.
	///
	/// # Errors
	/// As [`BlockSource::get`].
	fn size(&self, cid: &Cid) -> Result<Option<u64>, SourceError> {
		Ok(self.get(cid)?.map(|block| block.data().len() as u64))
	}
}

/// A store in memory, unbounded: for tests and for DAGs known to be small.
#[derive(Debug, Default)]
pub struct MemoryStore(RwLock<MemoryBlocks>);

impl MemoryStore {
	/// Without blocks.
	pub fn new() -> Self {
		Self::default()
	}

	/// Number of distinct blocks.
	pub fn len(&self) -> usize {
		self.read(MemoryBlocks::len)
	}

	/// Whether there is none.
	pub fn is_empty(&self) -> bool {
		self.len() == 0
	}

	/// Forgets a block, and returns it if it was there.
	pub fn remove(&self, cid: &Cid) -> Option<Block> {
		self.0.write().unwrap_or_else(PoisonError::into_inner).remove(cid)
	}

	fn read<R>(&self, read: impl FnOnce(&MemoryBlocks) -> R) -> R {
		// A map of whole blocks is in order even if a thread panicked while it held the lock.
		read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
	}
}

impl From<MemoryBlocks> for MemoryStore {
	fn from(blocks: MemoryBlocks) -> Self {
		Self(RwLock::new(blocks))
	}
}

impl BlockSource for MemoryStore {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		self.read(|blocks| blocks.get(cid))
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		self.read(|blocks| blocks.has(cid))
	}
}

impl BlockStore for MemoryStore {
	fn put(&self, blocks: &[Block]) -> Result<(), SinkError> {
		let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
		blocks
			.iter()
			.try_for_each(|block| BlockSink::put(&mut *kept, block.clone()))
	}
}
