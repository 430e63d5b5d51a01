//! A read cache in front of another store.

use super::{is_readable, ChunkError, ChunkStore, ListedChunk};
use crate::{Cid, Multihash};
use bytes::Bytes;
use cairn_dag::Block;
use schnellru::{Limiter, LruMap};
use std::{
	ops::ControlFlow,
	sync::{Mutex, MutexGuard, PoisonError},
};

/// What an entry costs beside its bytes: key, links and the map's slot.
const ENTRY_BYTES: usize = 160;

/// Keeps what was read last in memory, up to a number of bytes, evicting what was not read for
/// longest.
///
/// Only chunks whose hash was checked enter the cache, so a hit is not hashed again. Writes go to the
/// store behind and not into the cache: an import would push out everything that is read.
#[derive(Debug)]
pub struct CachedChunks<S> {
	store: S,
	cache: Mutex<Cache>,
}

struct Cache {
	/// Grows with every removal. What was read before one is not cached after it: the chunk may be
	/// among the removed.
	removals: u64,
	chunks: LruMap<Multihash, Bytes, ByBytes>,
}

impl std::fmt::Debug for Cache {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		f.debug_struct("Cache")
			.field("chunks", &self.chunks.len())
			.field("bytes", &self.chunks.limiter().held)
			.finish()
	}
}

/// Limits an LRU map by the bytes of its values.
struct ByBytes {
	limit: usize,
	held: usize,
}

impl Limiter<Multihash, Bytes> for ByBytes {
	type KeyToInsert<'a> = Multihash;
	type LinkType = u32;

	fn is_over_the_limit(&self, _length: usize) -> bool {
		self.held > self.limit
	}

	fn on_insert(&mut self, _length: usize, key: Multihash, value: Bytes) -> Option<(Multihash, Bytes)> {
		let cost = value.len() + ENTRY_BYTES;
		(cost <= self.limit).then(|| {
			self.held += cost;
			(key, value)
		})
	}

	fn on_replace(
		&mut self,
		_length: usize,
		_old_key: &mut Multihash,
		_new_key: Multihash,
		old_value: &mut Bytes,
		new_value: &mut Bytes,
	) -> bool {
		self.held = self.held - old_value.len() + new_value.len();
		true
	}

	fn on_removed(&mut self, _key: &mut Multihash, value: &mut Bytes) {
		self.held -= value.len() + ENTRY_BYTES;
	}

	fn on_cleared(&mut self) {
		self.held = 0;
	}

	fn on_grow(&mut self, _new_memory_usage: usize) -> bool {
		true
	}
}

impl<S: ChunkStore> CachedChunks<S> {
	/// Caches up to `limit` bytes of what is read from `store`.
	pub fn new(store: S, limit: usize) -> Self {
		Self {
			store,
			cache: Mutex::new(Cache {
				removals: 0,
				chunks: LruMap::new(ByBytes { limit, held: 0 }),
			}),
		}
	}

	fn lock(&self) -> MutexGuard<'_, Cache> {
		// Nothing in the map's own code panics between two of its states.
		self.cache.lock().unwrap_or_else(PoisonError::into_inner)
	}
}

impl<S: ChunkStore> ChunkStore for CachedChunks<S> {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, ChunkError> {
		if !is_readable(cid) {
			return Ok(None);
		}
		let removals = {
			let mut cache = self.lock();
			if let Some(data) = cache.chunks.get(cid.hash()) {
				return Ok(Some(Block::assume_verified(*cid, data.clone())));
			}
			cache.removals
		};
		let found = self.store.get(cid)?;
		if let Some(block) = &found {
			let mut cache = self.lock();
			if cache.removals == removals {
				cache.chunks.insert(*cid.hash(), block.bytes().clone());
			}
		}
		Ok(found)
	}

	fn has(&self, cid: &Cid) -> Result<bool, ChunkError> {
		if !is_readable(cid) {
			return Ok(false);
		}
		if self.lock().chunks.peek(cid.hash()).is_some() {
			return Ok(true);
		}
		self.store.has(cid)
	}

	fn put_many(&self, blocks: &[Block]) -> Result<(), ChunkError> {
		self.store.put_many(blocks)
	}

	fn delete_many(&self, hashes: &[Multihash]) -> Result<(), ChunkError> {
		let result = self.store.delete_many(hashes);
		let mut cache = self.lock();
		cache.removals += 1;
		for hash in hashes {
			cache.chunks.remove(hash);
		}
		result
	}

	fn list(&self, visit: &mut dyn FnMut(ListedChunk) -> ControlFlow<()>) -> Result<(), ChunkError> {
		self.store.list(visit)
	}

	fn shrink(&self) -> Result<bool, ChunkError> {
		self.store.shrink()
	}

	fn kind(&self) -> &'static str {
		self.store.kind()
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::MemoryChunks;
	use cairn_dag::Codec;

	impl<S> CachedChunks<S> {
		/// Bytes that the cache holds, its own cost included.
		fn cached_bytes(&self) -> usize {
			self.cache.lock().unwrap().chunks.limiter().held
		}
	}

	fn block(byte: u8, len: usize) -> Block {
		Block::encode(Codec::Raw, vec![byte; len])
	}

	#[test]
	fn the_bytes_held_stay_below_the_limit_and_the_least_recently_read_goes() {
		let limit = 3 * (1000 + ENTRY_BYTES);
		let cached = CachedChunks::new(MemoryChunks::new(), limit);
		let blocks: Vec<_> = (0..4).map(|n| block(n, 1000)).collect();
		cached.put_many(&blocks).unwrap();
		assert_eq!(cached.cached_bytes(), 0, "writing does not fill the cache");
		for block in &blocks[..3] {
			cached.get(block.cid()).unwrap();
		}
		assert_eq!(cached.cached_bytes(), limit);
		cached.get(blocks[0].cid()).unwrap();
		cached.get(blocks[3].cid()).unwrap();
		assert_eq!(cached.cached_bytes(), limit);
		let held: Vec<_> = blocks
			.iter()
			.map(|block| cached.lock().chunks.peek(block.cid().hash()).is_some())
			.collect();
		assert_eq!(held, [true, false, true, true]);
	}

	#[test]
	fn a_chunk_larger_than_the_cache_is_read_and_not_cached() {
		let cached = CachedChunks::new(MemoryChunks::new(), 500);
		let large = block(1, 1000);
		cached.put_many(std::slice::from_ref(&large)).unwrap();
		assert_eq!(cached.get(large.cid()).unwrap().unwrap(), large);
		assert_eq!(cached.cached_bytes(), 0);
	}

	/// Removes its chunk while it is being read.
	struct RemovedWhileRead {
		chunks: MemoryChunks,
		cache: std::sync::OnceLock<std::sync::Weak<CachedChunks<RemovedWhileRead>>>,
	}

	impl ChunkStore for RemovedWhileRead {
		fn get(&self, cid: &Cid) -> Result<Option<Block>, ChunkError> {
			let found = self.chunks.get(cid)?;
			if let Some(cache) = self.cache.get().and_then(std::sync::Weak::upgrade) {
				cache.delete_many(&[*cid.hash()])?;
			}
			Ok(found)
		}
		fn has(&self, cid: &Cid) -> Result<bool, ChunkError> {
			self.chunks.has(cid)
		}
		fn put_many(&self, blocks: &[Block]) -> Result<(), ChunkError> {
			self.chunks.put_many(blocks)
		}
		fn delete_many(&self, hashes: &[Multihash]) -> Result<(), ChunkError> {
			self.chunks.delete_many(hashes)
		}
		fn list(&self, visit: &mut dyn FnMut(ListedChunk) -> ControlFlow<()>) -> Result<(), ChunkError> {
			self.chunks.list(visit)
		}
		fn kind(&self) -> &'static str {
			"removing"
		}
	}

	#[test]
	fn a_chunk_removed_while_it_is_read_is_not_cached() {
		let cached = std::sync::Arc::new(CachedChunks::new(
			RemovedWhileRead {
				chunks: MemoryChunks::new(),
				cache: std::sync::OnceLock::new(),
			},
			1 << 20,
		));
		let _ = cached.store.cache.set(std::sync::Arc::downgrade(&cached));
		let block = block(7, 10);
		cached.put_many(std::slice::from_ref(&block)).unwrap();
		// The reader began before the removal and may see the chunk; the next one may not.
		assert_eq!(cached.get(block.cid()).unwrap().unwrap(), block);
		assert_eq!(cached.get(block.cid()).unwrap(), None);
		assert_eq!(cached.cached_bytes(), 0);
	}
}
