//! Locks on single chunks, between who writes them and who removes them.
//!
//! The metadata database orders transactions; chunks lie outside it. What must not happen: an upload
//! sees that a chunk is there and only adds a reference, while a collector that saw the last reference
//! go removes the chunk. So an upload locks its batch's chunks before it looks at the database and
//! until they are written, and a collector locks what it is about to remove in the same way. Writers
//! of one chunk do not exclude each other: they write the same bytes. Nor must a reader take for damaged
//! what an upload has just replaced: it has the chunk alone while it looks again and notes the damage.
//!
//! An upload takes its locks all at once and holds none while it waits; a reader takes one lock, and holds
//! no other; a collector never waits for a lock but leaves busy chunks for later. So there is no deadlock.

use crate::{fault_injection, Multihash};
use std::{
	collections::{hash_map::Entry, HashMap},
	sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// The locks that are held.
#[derive(Debug, Default)]
pub(super) struct ChunkLocks {
	state: Mutex<State>,
	released: Condvar,
}

#[derive(Debug, Default)]
struct State {
	held: HashMap<Multihash, Holder>,
	/// How often locks were released.
	releases: u64,
}

#[derive(Debug)]
enum Holder {
	/// So many writers.
	Writers(usize),
	/// Who removes it, or judges it.
	One,
}

impl ChunkLocks {
	fn lock(&self) -> MutexGuard<'_, State> {
		// No state between two changes of the map is wrong.
		self.state.lock().unwrap_or_else(PoisonError::into_inner)
	}

	fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
		if fault_injection::is_observed() {
			drop(state);
			fault_injection::waiting();
			return self.lock();
		}
		self.released.wait(state).unwrap_or_else(PoisonError::into_inner)
	}

	/// Locks chunks for writing, and waits while anyone has one of them alone. Each hash counts once.
	pub(super) fn write(&self, mut hashes: Vec<Multihash>) -> ChunkLock<'_> {
		hashes.sort_unstable();
		hashes.dedup();
		let mut state = self.lock();
		while hashes
			.iter()
			.any(|hash| matches!(state.held.get(hash), Some(Holder::One)))
		{
			state = self.wait(state);
		}
		for hash in &hashes {
			match state.held.entry(*hash).or_insert(Holder::Writers(0)) {
				Holder::Writers(count) => *count += 1,
				// Looked at above, under the same mutex.
				Holder::One => unreachable!("a chunk that one holds alone was locked for writing"),
			}
		}
		drop(state);
		ChunkLock { locks: self, hashes }
	}

	/// Locks a chunk against everybody else, and waits until nobody has it.
	pub(super) fn alone(&self, hash: Multihash) -> ChunkLock<'_> {
		let mut state = self.lock();
		while state.held.contains_key(&hash) {
			state = self.wait(state);
		}
		state.held.insert(hash, Holder::One);
		drop(state);
		ChunkLock {
			locks: self,
			hashes: vec![hash],
		}
	}

	/// Locks those of the chunks that nobody has locked, for removal.
	pub(super) fn try_remove(&self, hashes: impl IntoIterator<Item = Multihash>) -> ChunkLock<'_> {
		let mut state = self.lock();
		let mut locked = Vec::new();
		for hash in hashes {
			if let Entry::Vacant(entry) = state.held.entry(hash) {
				entry.insert(Holder::One);
				locked.push(hash);
			}
		}
		drop(state);
		ChunkLock {
			locks: self,
			hashes: locked,
		}
	}

	/// Waits until somebody releases a lock. The caller must hold none.
	pub(super) fn wait_for_release(&self) {
		let mut state = self.lock();
		let before = state.releases;
		while state.releases == before && !state.held.is_empty() {
			state = self.wait(state);
		}
	}
}

/// Chunks that are locked until this is dropped.
#[derive(Debug)]
#[must_use = "the chunks are unlocked when it is dropped"]
pub(super) struct ChunkLock<'a> {
	locks: &'a ChunkLocks,
	hashes: Vec<Multihash>,
}

impl ChunkLock<'_> {
	/// The chunks.
	pub(super) fn hashes(&self) -> &[Multihash] {
		&self.hashes
	}
}

impl Drop for ChunkLock<'_> {
	fn drop(&mut self) {
		let mut state = self.locks.lock();
		for hash in &self.hashes {
			if let Entry::Occupied(mut entry) = state.held.entry(*hash) {
				match entry.get_mut() {
					Holder::Writers(count) if *count > 1 => *count -= 1,
					_ => {
						entry.remove();
					}
				}
			}
		}
		state.releases += 1;
		drop(state);
		self.locks.released.notify_all();
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_dag::HashFunction;
	use std::{
		sync::atomic::{AtomicUsize, Ordering},
		thread,
	};

	fn hash(n: u8) -> Multihash {
		HashFunction::Sha2_256.digest(&[n])
	}

	#[test]
	fn writers_share_and_removers_get_what_is_free() {
		let locks = ChunkLocks::default();
		let first = locks.write(vec![hash(1), hash(2), hash(2)]);
		let second = locks.write(vec![hash(2), hash(3)]);
		assert_eq!(first.hashes().len(), 2, "a hash counts once");
		let removal = locks.try_remove([hash(1), hash(3), hash(4)]);
		assert_eq!(removal.hashes(), [hash(4)]);
		drop(first);
		assert_eq!(locks.try_remove([hash(1), hash(2)]).hashes(), [hash(1)]);
		drop(second);
		assert_eq!(locks.try_remove([hash(2), hash(4)]).hashes(), [hash(2)]);
		drop(removal);
		assert!(locks.lock().held.is_empty());
	}

	#[test]
	fn a_writer_waits_for_the_remover() {
		let locks = ChunkLocks::default();
		let removal = locks.try_remove([hash(1)]);
		thread::scope(|scope| {
			let writer = scope.spawn(|| locks.write(vec![hash(0), hash(1)]).hashes().len());
			// Not locked one by one: the writer holds nothing while it waits.
			assert_eq!(locks.try_remove([hash(0)]).hashes(), [hash(0)]);
			drop(removal);
			assert_eq!(writer.join().unwrap(), 2);
		});
		assert!(locks.lock().held.is_empty());
	}

	#[test]
	fn who_is_alone_waits_for_writers_and_keeps_others_out() {
		let locks = ChunkLocks::default();
		let writer = locks.write(vec![hash(1)]);
		thread::scope(|scope| {
			let alone = scope.spawn(|| locks.alone(hash(1)).hashes().len());
			// Another chunk is free.
			drop(locks.alone(hash(2)));
			assert!(locks.try_remove([hash(1)]).hashes().is_empty());
			drop(writer);
			assert_eq!(alone.join().unwrap(), 1);
		});
		let alone = locks.alone(hash(1));
		assert!(locks.try_remove([hash(1)]).hashes().is_empty());
		thread::scope(|scope| {
			let writer = scope.spawn(|| locks.write(vec![hash(0), hash(1)]).hashes().len());
			drop(alone);
			assert_eq!(writer.join().unwrap(), 2);
		});
		assert!(locks.lock().held.is_empty());
	}

	/// Every thread counts itself in on each chunk; whoever removes must find nobody.
	#[test]
	fn a_remover_is_alone() {
		const CHUNKS: u8 = 6;
		const ROUNDS: usize = 3000;
		let locks = ChunkLocks::default();
		let writers: Vec<_> = (0..CHUNKS).map(|_| AtomicUsize::new(0)).collect();
		let removers: Vec<_> = (0..CHUNKS).map(|_| AtomicUsize::new(0)).collect();
		let index = |hash: &Multihash| (0..CHUNKS).position(|n| self::hash(n) == *hash).unwrap();
		thread::scope(|scope| {
			for thread in 0..4 {
				let (locks, writers, removers) = (&locks, &writers, &removers);
				scope.spawn(move || {
					for round in 0..ROUNDS {
						let n = ((round * (thread + 3)) % usize::from(CHUNKS)) as u8;
						let wanted = [hash(n), hash((n + 1) % CHUNKS)];
						if round % 3 == 0 {
							let lock = locks.try_remove(wanted);
							for hash in lock.hashes() {
								let i = index(hash);
								assert_eq!(removers[i].fetch_add(1, Ordering::SeqCst), 0);
								assert_eq!(writers[i].load(Ordering::SeqCst), 0);
								removers[i].fetch_sub(1, Ordering::SeqCst);
							}
						} else {
							let lock = locks.write(wanted.to_vec());
							for hash in lock.hashes() {
								let i = index(hash);
								writers[i].fetch_add(1, Ordering::SeqCst);
								assert_eq!(removers[i].load(Ordering::SeqCst), 0);
								writers[i].fetch_sub(1, Ordering::SeqCst);
							}
						}
					}
				});
			}
		});
		assert!(locks.lock().held.is_empty());
	}
}
