//! What all requests together may remember of the DAGs that they walk through.
//!
//! A walk keeps the links that wait, and the CIDs that it has met: a few hundred bytes for each link of the DAG, which
//! its uploader has chosen. So walks share a number of bytes ([`WalkMemory`]). What a request remembers is measured by
//! the blocks that it reads ([`Metered`]), before their links are followed; where nothing is left, it ends with
//! [`OutOfWalkMemory`].

use cairn_dag::{hash::IDENTITY, Block, BlockSource, Codec, SourceError};
use cairn_provider_api::{ErrorKind, Problem};
use cid::Cid;
use prometheus::IntGauge;
use std::{cell::RefCell, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that a link takes, at most: a place in a set of CIDs and in a queue, at the moments when these grow.
const LINK: u64 = 400;

/// Bytes of a block that every request may hold without being counted.
const FREE_BLOCK: u64 = 1 << 20;

/// Bytes that are taken together. A semaphore counts to 2^61, and takes at most 2^32 at once.
const UNIT: u64 = 4 << 10;

/// No memory is left for walks.
#[derive(Debug, thiserror::Error)]
#[error("the memory for walks through large objects is used up at the moment")]
pub(in crate::http) struct OutOfWalkMemory;

impl From<OutOfWalkMemory> for Problem {
	fn from(error: OutOfWalkMemory) -> Self {
		Problem::new(ErrorKind::Busy, error.to_string()).hint("try again in a moment")
	}
}

/// The bytes that walks share.
#[derive(Clone)]
pub(in crate::http) struct WalkMemory {
	units: Arc<Semaphore>,
	held: IntGauge,
}

impl WalkMemory {
	/// `bytes`, of which `held` says how many are held.
	pub fn new(bytes: u64, held: IntGauge) -> Self {
		let units = usize::try_from(bytes / UNIT).unwrap_or(usize::MAX);
		WalkMemory {
			units: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))),
			held,
		}
	}

	/// Holds `bytes`.
	///
	/// # Errors
	/// If they are not left.
	pub fn hold(&self, bytes: u64) -> Result<Held, OutOfWalkMemory> {
		let mut held = Held {
			memory: self.clone(),
			permit: None,
			units: 0,
		};
		held.grow_to(bytes)?;
		Ok(held)
	}

	/// Holds what a response of `len` bytes in memory takes beyond what every response may.
	///
	/// # Errors
	/// If that is not left.
	pub fn hold_block(&self, len: usize) -> Result<Held, OutOfWalkMemory> {
		self.hold((len as u64).saturating_sub(FREE_BLOCK))
	}
}

/// Bytes that a request holds until this is dropped.
pub(in crate::http) struct Held {
	memory: WalkMemory,
	permit: Option<OwnedSemaphorePermit>,
	units: u64,
}

impl Held {
	/// Holds `bytes` in all, or as many as are held already, if they are more.
	///
	/// # Errors
	/// If they are not left; those that are held stay so.
	pub fn grow_to(&mut self, bytes: u64) -> Result<(), OutOfWalkMemory> {
		let units = bytes.div_ceil(UNIT);
		let Some(more) = units.checked_sub(self.units).filter(|more| *more > 0) else {
			return Ok(());
		};
		let count = u32::try_from(more).map_err(|_| OutOfWalkMemory)?;
		let permit = self
			.memory
			.units
			.clone()
			.try_acquire_many_owned(count)
			.map_err(|_| OutOfWalkMemory)?;
		match &mut self.permit {
			Some(held) => held.merge(permit),
			none => *none = Some(permit),
		}
		self.units = units;
		self.memory.held.add((more * UNIT) as i64);
		Ok(())
	}
}

impl Drop for Held {
	fn drop(&mut self) {
		self.memory.held.sub((self.units * UNIT) as i64);
	}
}

/// What is still remembered of a block after what it links to was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remembered {
	/// Its CID: by walks that yield each block once, and by lists.
	Always,
	/// Its CID if it has links: by readers of files.
	WithLinks,
	/// Nothing: by walks that yield blocks again and again.
	Never,
	/// Nothing, nor what it links to: its links are not followed.
	NotEvenLinks,
}

/// Blocks for one walk, which holds memory by what it reads.
pub(super) struct Metered<S> {
	source: S,
	remembered: Remembered,
	/// Bytes of the block at hand that do not count.
	free: u64,
	state: RefCell<State>,
}

struct State {
	held: Held,
	/// Links that wait, and CIDs that are remembered.
	entries: u64,
}

impl<S> Metered<S> {
	/// Blocks of `source`, for a walk that remembers as `remembered` says.
	///
	/// # Errors
	/// If there is no memory to begin with.
	pub fn new(source: S, remembered: Remembered, memory: &WalkMemory) -> Result<Self, OutOfWalkMemory> {
		Ok(Metered {
			source,
			remembered,
			free: FREE_BLOCK,
			state: RefCell::new(State {
				held: memory.hold(LINK)?,
				entries: 1,
			}),
		})
	}

	/// Where the blocks come from, for what is not remembered.
	pub fn source(&self) -> &S {
		&self.source
	}

	/// For a walk while others of the same request wait: all of its block counts.
	pub fn nested(mut self) -> Self {
		self.free = 0;
		self
	}
}

impl State {
	fn count(&mut self, block: &Block, remembered: Remembered, free: u64) -> Result<(), OutOfWalkMemory> {
		let links = match remembered {
			Remembered::NotEvenLinks => 0,
			_ => links(block),
		};
		let forgotten = match remembered {
			Remembered::Always => 0,
			Remembered::WithLinks => u64::from(links == 0),
			Remembered::Never | Remembered::NotEvenLinks => 1,
		};
		self.entries = (self.entries + links).saturating_sub(forgotten);
		let block = (block.data().len() as u64).saturating_sub(free);
		self.held
			.grow_to(self.entries.saturating_mul(LINK).saturating_add(block))
	}
}

/// Links of a block. Those of a malformed block count as far as they are read: its reader stops there too.
fn links(block: &Block) -> u64 {
	let mut links = 0;
	if let Ok(codec) = Codec::of(block.cid()) {
		let _ = codec.scan(block.data(), &mut |_, link| links += weight(&link));
	}
	links
}

/// Links that a link stands for: one that holds its block holds that block's links, of 8 bytes at least.
fn weight(link: &Cid) -> u64 {
	match link.hash().code() {
		IDENTITY => 1 + u64::from(link.hash().size()) / 8,
		_ => 1,
	}
}

impl<S: BlockSource> BlockSource for Metered<S> {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		let block = self.source.get(cid)?;
		if let Some(block) = &block {
			let mut state = self.state.borrow_mut();
			state
				.count(block, self.remembered, self.free)
				.map_err(SourceError::new)?;
		}
		Ok(block)
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		self.source.has(cid)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_dag::{
		codec::dag_pb::{PbLink, PbNode},
		walk::{walk, Scope},
		BlockSink, MemoryBlocks,
	};

	fn memory(bytes: u64) -> WalkMemory {
		WalkMemory::new(bytes, IntGauge::new("held", "held").unwrap())
	}

	fn left(memory: &WalkMemory) -> u64 {
		memory.units.available_permits() as u64 * UNIT
	}

	#[test]
	fn bytes_are_shared_and_come_back() {
		let memory = memory(10 * UNIT);
		let mut one = memory.hold(UNIT + 1).unwrap();
		assert_eq!((left(&memory), memory.held.get()), (8 * UNIT, 2 * UNIT as i64));
		let other = memory.hold(8 * UNIT).unwrap();
		assert!(memory.hold(1).is_err());
		// What fits into what is held is held already.
		one.grow_to(0).unwrap();
		one.grow_to(2 * UNIT).unwrap();
		assert!(one.grow_to(2 * UNIT + 1).is_err());
		drop(other);
		one.grow_to(u64::MAX).unwrap_err();
		one.grow_to(10 * UNIT).unwrap();
		assert_eq!((left(&memory), memory.held.get()), (0, 10 * UNIT as i64));
		drop(one);
		assert_eq!((left(&memory), memory.held.get()), (10 * UNIT, 0));
	}

	/// A node that links to raw blocks, each `times` times.
	fn wide(leaves: u32, times: usize) -> (MemoryBlocks, Cid) {
		let mut blocks = MemoryBlocks::new();
		let mut links = Vec::new();
		for n in 0..leaves {
			let leaf = Block::encode(Codec::Raw, n.to_le_bytes().to_vec());
			links.extend(
				std::iter::repeat_with(|| PbLink {
					cid: *leaf.cid(),
					name: None,
					tsize: None,
				})
				.take(times),
			);
			blocks.put(leaf).unwrap();
		}
		let root = Block::encode(Codec::DagPb, PbNode { links, data: None }.encode());
		let cid = *root.cid();
		blocks.put(root).unwrap();
		(blocks, cid)
	}

	#[test]
	fn a_walk_holds_what_it_remembers() {
		let (blocks, root) = wide(500, 2);
		let memory = memory(1 << 20);
		for (remembered, at_the_end) in [
			(Remembered::Always, 1001),
			(Remembered::Never, 0),
			(Remembered::WithLinks, 1),
		] {
			let again = remembered != Remembered::Always;
			let source = Metered::new(&blocks, remembered, &memory).unwrap();
			let mut walk = walk(&source, root, Scope::All).duplicates(again);
			assert_eq!(
				walk.by_ref().map(Result::unwrap).count(),
				if again { 1001 } else { 501 }
			);
			assert_eq!(source.state.borrow().entries, at_the_end, "{remembered:?}");
			// Never less than at any moment before.
			assert!(left(&memory) <= (1 << 20) - 1000 * LINK);
			drop(walk);
			drop(source);
			assert_eq!(left(&memory), 1 << 20);
		}
	}

	#[test]
	fn a_walk_ends_where_no_memory_is_left() {
		let (blocks, root) = wide(500, 1);
		let memory = memory(500 * LINK);
		let source = Metered::new(&blocks, Remembered::Always, &memory).unwrap();
		let error = walk(&source, root, Scope::All).next().unwrap().unwrap_err();
		assert!(error.to_string().contains("used up"), "{error}");
		let _others = memory
			.hold(memory.units.available_permits() as u64 * UNIT)
			.unwrap();
		assert!(Metered::new(&blocks, Remembered::Always, &memory).is_err());
	}

	#[test]
	fn large_blocks_count_while_they_are_written() {
		let large = Block::encode(Codec::Raw, vec![0; (FREE_BLOCK + 10 * UNIT) as usize]);
		let mut blocks = MemoryBlocks::new();
		blocks.put(large.clone()).unwrap();
		let memory = memory(1 << 20);
		let source = Metered::new(&blocks, Remembered::Never, &memory).unwrap();
		source.get(large.cid()).unwrap().unwrap();
		assert_eq!(left(&memory), (1 << 20) - 10 * UNIT);
	}

	#[test]
	fn links_that_hold_their_block_stand_for_its_links() {
		let inline = Cid::new_v1(0x71, cid::multihash::Multihash::wrap(IDENTITY, &[0; 64]).unwrap());
		assert_eq!(weight(&inline), 9);
		assert_eq!(weight(&wide(1, 1).1), 1);
	}
}
