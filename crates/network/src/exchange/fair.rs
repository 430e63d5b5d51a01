//! Whose turn it is: surplus round robin, the form of deficit round robin for work whose size shows only
//! when it is done.
//!
//! Source: Adiseshu, Parulkar, Varghese, "A Reliable and Scalable Striping Protocol" (1996), after
//! Shreedhar and Varghese, "Efficient Fair Queuing using Deficit Round Robin" (1995).

use std::{
	collections::{HashMap, VecDeque},
	hash::Hash,
};

/// Gives turns to those that have work, so that each gets the same share of bytes however large its
/// pieces are.
#[derive(Debug)]
pub struct FairQueue<K> {
	/// Those that have work and may have a turn.
	ring: VecDeque<K>,
	/// Bytes that each may still send in its turn; below zero it is passed over until it has made up for it.
	credit: HashMap<K, i64>,
	/// Whose turn it was last: it lasts while there is credit.
	turn: Option<K>,
	quantum: i64,
}

impl<K: Copy + Eq + Hash> FairQueue<K> {
	/// Gives `quantum` bytes per turn to each.
	pub fn new(quantum: u32) -> Self {
		Self {
			ring: VecDeque::new(),
			credit: HashMap::new(),
			turn: None,
			quantum: i64::from(quantum).max(1),
		}
	}

	/// This one has work.
	pub fn activate(&mut self, key: K) {
		if self.ring.contains(&key) {
			return;
		}
		if self.turn == Some(key) {
			if self.credit_of(&key) > 0 {
				self.ring.push_front(key);
				return;
			}
			self.turn = None;
		}
		self.ring.push_back(key);
	}

	/// The one whose turn it is, without it being active any more: [`activate`](Self::activate) it again
	/// if it has more work.
	pub fn next_turn(&mut self) -> Option<K> {
		loop {
			let key = self.ring.pop_front()?;
			if self.turn == Some(key) {
				if self.credit_of(&key) > 0 {
					return Some(key);
				}
				// It was charged after it became active again.
				self.turn = None;
			} else {
				// What is saved while waiting for something else is one turn at most.
				let credit = (self.credit_of(&key) + self.quantum).min(2 * self.quantum);
				self.credit.insert(key, credit);
				if credit > 0 {
					self.turn = Some(key);
					return Some(key);
				}
			}
			self.ring.push_back(key);
		}
	}

	/// This one was sent so many bytes.
	pub fn charge(&mut self, key: K, bytes: usize) {
		let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
		let credit = self.credit.entry(key).or_default();
		*credit = credit.saturating_sub(bytes);
	}

	/// This one has no work: what it saved up is lost, what it owes is not.
	pub fn deactivate(&mut self, key: &K) {
		self.ring.retain(|other| other != key);
		if self.credit_of(key) >= 0 {
			self.credit.remove(key);
		}
	}

	/// This one is gone for good.
	pub fn remove(&mut self, key: &K) {
		self.ring.retain(|other| other != key);
		self.credit.remove(key);
	}

	fn credit_of(&self, key: &K) -> i64 {
		self.credit.get(key).copied().unwrap_or_default()
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use rand_chacha::ChaCha8Rng;
	use rand_core::{RngCore, SeedableRng};

	#[test]
	fn shares_are_equal_whatever_the_sizes() {
		let mut rng = ChaCha8Rng::seed_from_u64(7);
		let mut queue = FairQueue::new(1000);
		let sizes = [10, 500, 4000, 60_000];
		let mut sent = [0usize; 4];
		(0..4).for_each(|key| queue.activate(key));
		for _ in 0..40_000 {
			let key = queue.next_turn().unwrap();
			let bytes = rng.next_u32() as usize % sizes[key] + 1;
			sent[key] += bytes;
			queue.charge(key, bytes);
			queue.activate(key);
		}
		let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
		assert!(most - least <= 3 * 60_000, "{sent:?}");
	}

	#[test]
	fn charging_late_does_not_prolong_a_turn() {
		let mut queue = FairQueue::new(100);
		queue.activate('a');
		queue.activate('b');
		let mut turns = String::new();
		for _ in 0..6 {
			let key = queue.next_turn().unwrap();
			// More work is there before this piece is measured.
			queue.activate(key);
			queue.charge(key, 100);
			turns.push(key);
		}
		assert_eq!(turns, "ababab");
	}

	#[test]
	fn who_owes_waits_and_who_pauses_saves_nothing() {
		let mut queue = FairQueue::new(100);
		queue.activate('a');
		assert_eq!(queue.next_turn(), Some('a'));
		queue.charge('a', 1000);
		queue.activate('a');
		queue.activate('b');
		for _ in 0..8 {
			assert_eq!(queue.next_turn(), Some('b'));
			queue.charge('b', 100);
			queue.activate('b');
		}
		queue.deactivate(&'b');
		// Alone, there is nobody to wait for.
		assert_eq!(queue.next_turn(), Some('a'));
		assert_eq!(queue.next_turn(), None);
	}
}
