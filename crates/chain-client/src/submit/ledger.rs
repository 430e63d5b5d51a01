//! The nonces in flight.

use super::{heads, Inner};
use std::{
	collections::BTreeSet,
	sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[derive(Default)]
pub(super) struct Ledger {
	state: Mutex<State>,
}

#[derive(Default)]
struct State {
	in_flight: BTreeSet<u32>,
	/// Whether the task that watches finalized blocks runs.
	watched: bool,
}

impl Ledger {
	fn state(&self) -> MutexGuard<'_, State> {
		// Nothing panics while holding the lock; and if it did, the set would still be whole.
		self.state.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// Asks, for the watching task, whether it may end; it must if so.
	pub fn may_stop_watching(&self) -> bool {
		let mut state = self.state();
		if state.in_flight.is_empty() {
			state.watched = false;
		}
		!state.watched
	}

	/// The watching task ended by itself.
	pub fn watching_failed(&self) {
		self.state().watched = false;
	}
}

/// A nonce in flight. Freed when dropped.
pub(super) struct Slot {
	inner: Arc<Inner>,
	nonce: u32,
}

impl Slot {
	pub fn nonce(&self) -> u32 {
		self.nonce
	}
}

impl Drop for Slot {
	fn drop(&mut self) {
		self.inner.ledger.state().in_flight.remove(&self.nonce);
	}
}

impl Inner {
	/// Takes the lowest nonce from `next` on that is neither in flight nor `occupied`, and sees to it
	/// that finalized blocks are watched.
	pub(super) fn reserve(self: &Arc<Self>, next: u32, occupied: &BTreeSet<u32>) -> Slot {
		let mut state = self.ledger.state();
		let nonce = (next..)
			.find(|nonce| !state.in_flight.contains(nonce) && !occupied.contains(nonce))
			// An account with four thousand million transactions cannot make more.
			.unwrap_or(u32::MAX);
		state.in_flight.insert(nonce);
		if !state.watched {
			state.watched = true;
			tokio::spawn(heads::watch(self.clone()));
		}
		Slot {
			inner: self.clone(),
			nonce,
		}
	}
}
