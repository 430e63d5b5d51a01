//! Chunks in memory.

use super::{check_read, check_writable, is_readable, ChunkError, ChunkStore, ListedChunk};
use crate::{Cid, Multihash};
use bytes::Bytes;
use cairn_dag::Block;
use std::{
	collections::HashMap,
	ops::ControlFlow,
	sync::{PoisonError, RwLock},
};

/// Chunks in memory: for tests, and for nodes that keep nothing.
#[derive(Debug, Default)]
pub struct MemoryChunks {
	chunks: RwLock<HashMap<Multihash, Bytes>>,
}

impl MemoryChunks {
	/// Without any chunk.
	pub fn new() -> Self {
		Self::default()
	}
}

impl ChunkStore for MemoryChunks {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, ChunkError> {
		if !is_readable(cid) {
			return Ok(None);
		}
		// Inserting and removing leave the map whole even if they panic, here and below.
		let chunks = self.chunks.read().unwrap_or_else(PoisonError::into_inner);
		let found = chunks.get(cid.hash()).cloned();
		drop(chunks);
		found.map(|data| check_read(cid, data)).transpose()
	}

	fn has(&self, cid: &Cid) -> Result<bool, ChunkError> {
		if !is_readable(cid) {
			return Ok(false);
		}
		let chunks = self.chunks.read().unwrap_or_else(PoisonError::into_inner);
		Ok(chunks.contains_key(cid.hash()))
	}

	fn put_many(&self, blocks: &[Block]) -> Result<(), ChunkError> {
		check_writable(blocks)?;
		let mut chunks = self.chunks.write().unwrap_or_else(PoisonError::into_inner);
		for block in blocks {
			chunks.insert(*block.cid().hash(), block.bytes().clone());
		}
		Ok(())
	}

	fn delete_many(&self, hashes: &[Multihash]) -> Result<(), ChunkError> {
		let mut chunks = self.chunks.write().unwrap_or_else(PoisonError::into_inner);
		for hash in hashes {
			chunks.remove(hash);
		}
		Ok(())
	}

	fn list(&self, visit: &mut dyn FnMut(ListedChunk) -> ControlFlow<()>) -> Result<(), ChunkError> {
		let listed: Vec<ListedChunk> = {
			let chunks = self.chunks.read().unwrap_or_else(PoisonError::into_inner);
			let listed = chunks.iter().map(|(hash, data)| ListedChunk {
				hash: *hash,
				size: data.len() as u64,
			});
			listed.collect()
		};
		// Without the lock: the visitor may use the store.
		for chunk in listed {
			if visit(chunk).is_break() {
				break;
			}
		}
		Ok(())
	}

	fn kind(&self) -> &'static str {
		"memory"
	}
}
