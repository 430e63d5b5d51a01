//! Turns at reading and verifying blocks.
//!
//! Each response is made by a thread of its own. A hundred of them that all want the processors at once would keep
//! everything else waiting, the answers to operators and the network's timers too; so no more of them read and hash
//! at a time than keep processors and disk busy, and the others wait here.

use std::{
	sync::{Condvar, LazyLock, Mutex, PoisonError},
	thread,
};

/// Turns per processor: one reads the disk while another hashes.
const PER_PROCESSOR: usize = 2;

static TURNS: LazyLock<Turns> = LazyLock::new(|| {
	let processors = thread::available_parallelism().map_or(1, usize::from);
	Turns::new(processors * PER_PROCESSOR)
});

struct Turns {
	free: Mutex<usize>,
	freed: Condvar,
}

impl Turns {
	fn new(count: usize) -> Self {
		Turns {
			free: Mutex::new(count),
			freed: Condvar::new(),
		}
	}

	fn take(&self) -> Turn<'_> {
		// The number is right also if a thread panicked while it held the lock.
		let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
		let mut free = self
			.freed
			.wait_while(free, |free| *free == 0)
			.unwrap_or_else(PoisonError::into_inner);
		*free -= 1;
		Turn(self)
	}
}

/// A turn, until it is dropped.
pub(super) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
	fn drop(&mut self) {
		*self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
		self.0.freed.notify_one();
	}
}

/// Waits for a turn. Blocks the thread; nothing that takes long but reading and hashing a block belongs in a turn.
pub(super) fn take() -> Turn<'static> {
	TURNS.take()
}

#[cfg(test)]
mod tests {
	use super::*;
	use std::sync::atomic::{AtomicUsize, Ordering};

	#[test]
	fn no_more_at_a_time_than_there_are_turns_and_all_in_the_end() {
		let turns = Turns::new(3);
		let (now, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
		thread::scope(|scope| {
			for _ in 0..20 {
				scope.spawn(|| {
					for _ in 0..50 {
						let _turn = turns.take();
						most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
						thread::yield_now();
						now.fetch_sub(1, Ordering::SeqCst);
						done.fetch_add(1, Ordering::SeqCst);
					}
				});
			}
		});
		assert!(most.into_inner() <= 3);
		assert_eq!((done.into_inner(), *turns.free.lock().unwrap()), (1000, 3));
	}
}
