//! Where blocks come from and go to.
//!
//! [`BlockSource`] is synchronous on purpose. Its first implementations read local files, and what
//! calls it (walking, exporting, verifying) is bound by hashing and disk: it belongs on a blocking
//! thread either way, and as plain code it borrows, nests and tests without boxing a future per
//! block. A source that fetches from the network hands the wait to its runtime and blocks the thread
//! it was called on (never an executor's thread). An HTTP server runs a walk in `spawn_blocking` and
//! passes blocks to the response through a bounded channel, which also gives it back-pressure.

use crate::block::Block;
use cid::Cid;
use std::{collections::HashMap, sync::Arc};

/// Finds blocks by CID.
pub trait BlockSource {
	/// The block, or `None` if the source does not have it.
	///
	/// # Errors
	/// Whatever keeps the source from knowing, and a block whose bytes do not match its CID.
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError>;

	/// As [`get`](Self::get), from a caller that knows what it will ask for afterwards, in about this order: a source
	/// that has to fetch blocks can fetch several at once. The default does not look at them.
	///
	/// # Errors
	/// As [`get`](Self::get).
	fn get_ahead(
		&self,
		cid: &Cid,
		_next: &mut dyn Iterator<Item = Cid>,
	) -> Result<Option<Block>, SourceError> {
		self.get(cid)
	}

	/// Whether the source has the block. The default fetches it; sources that know more cheaply
	/// should override it.
	///
	/// # Errors
	/// As [`get`](Self::get).
	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		Ok(self.get(cid)?.is_some())
	}
}

/// Takes blocks, in the order in which they are made.
pub trait BlockSink {
	/// Keeps the block. The same block may come more than once.
	///
	/// # Errors
	/// Whatever keeps the sink from keeping it.
	fn put(&mut self, block: Block) -> Result<(), SinkError>;
}

/// Why a source could not answer.
#[derive(Debug, thiserror::Error)]
#[error("reading a block failed: {0}")]
pub struct SourceError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl SourceError {
	/// Wraps the source's own error.
	pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
		Self(error.into())
	}

	/// The source's own error.
	pub fn into_inner(self) -> Box<dyn std::error::Error + Send + Sync> {
		self.0
	}
}

/// Why a sink could not keep a block.
#[derive(Debug, thiserror::Error)]
#[error("writing a block failed: {0}")]
pub struct SinkError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl SinkError {
	/// Wraps the sink's own error.
	pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
		Self(error.into())
	}

	/// The sink's own error.
	pub fn into_inner(self) -> Box<dyn std::error::Error + Send + Sync> {
		self.0
	}
}

/// The block from an identity CID itself, else from the source.
///
/// # Errors
/// As [`BlockSource::get`].
pub fn load<S: BlockSource + ?Sized>(source: &S, cid: &Cid) -> Result<Option<Block>, SourceError> {
	load_ahead(source, cid, &mut std::iter::empty())
}

/// As [`load`], from a caller that knows what it will load afterwards.
///
/// # Errors
/// As [`BlockSource::get`].
pub fn load_ahead<S: BlockSource + ?Sized>(
	source: &S,
	cid: &Cid,
	next: &mut dyn Iterator<Item = Cid>,
) -> Result<Option<Block>, SourceError> {
	match Block::from_identity(cid) {
		Some(block) => Ok(Some(block)),
		None => source.get_ahead(cid, next),
	}
}

impl<S: BlockSource + ?Sized> BlockSource for &S {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		(**self).get(cid)
	}
	fn get_ahead(
		&self,
		cid: &Cid,
		next: &mut dyn Iterator<Item = Cid>,
	) -> Result<Option<Block>, SourceError> {
		(**self).get_ahead(cid, next)
	}
	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		(**self).has(cid)
	}
}

impl<S: BlockSource + ?Sized> BlockSource for Box<S> {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		(**self).get(cid)
	}
	fn get_ahead(
		&self,
		cid: &Cid,
		next: &mut dyn Iterator<Item = Cid>,
	) -> Result<Option<Block>, SourceError> {
		(**self).get_ahead(cid, next)
	}
	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		(**self).has(cid)
	}
}

impl<S: BlockSource + ?Sized> BlockSource for Arc<S> {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		(**self).get(cid)
	}
	fn get_ahead(
		&self,
		cid: &Cid,
		next: &mut dyn Iterator<Item = Cid>,
	) -> Result<Option<Block>, SourceError> {
		(**self).get_ahead(cid, next)
	}
	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		(**self).has(cid)
	}
}

impl<K: BlockSink + ?Sized> BlockSink for &mut K {
	fn put(&mut self, block: Block) -> Result<(), SinkError> {
		(**self).put(block)
	}
}

/// Blocks in memory, unbounded: for tests and for DAGs known to be small.
#[derive(Clone, Debug, Default)]
pub struct MemoryBlocks {
	blocks: HashMap<Cid, Block>,
}

impl MemoryBlocks {
	/// Without any block.
	pub fn new() -> Self {
		Self::default()
	}

	/// Number of distinct blocks.
	pub fn len(&self) -> usize {
		self.blocks.len()
	}

	/// Whether there is none.
	pub fn is_empty(&self) -> bool {
		self.blocks.is_empty()
	}

	/// Forgets a block, and returns it if it was there.
	pub fn remove(&mut self, cid: &Cid) -> Option<Block> {
		self.blocks.remove(cid)
	}

	/// All blocks, in no particular order.
	pub fn iter(&self) -> impl Iterator<Item = &Block> {
		self.blocks.values()
	}
}

impl BlockSource for MemoryBlocks {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		Ok(self.blocks.get(cid).cloned())
	}
	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		Ok(self.blocks.contains_key(cid))
	}
}

impl BlockSink for MemoryBlocks {
	fn put(&mut self, block: Block) -> Result<(), SinkError> {
		self.blocks.insert(*block.cid(), block);
		Ok(())
	}
}

/// Forgets every block: to learn a CID without keeping the data.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullSink;

impl BlockSink for NullSink {
	fn put(&mut self, _: Block) -> Result<(), SinkError> {
		Ok(())
	}
}
