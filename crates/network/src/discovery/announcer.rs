//! When which of the node's own keys is announced to the DHT.
//!
//! Kademlia's own job announces every key at once, and only an interval after each start. This one announces
//! every key soon after a start, so that others learn of new addresses, then each of them again an interval
//! after its own last announcement; never more than a few at once; and a failed announcement again after a
//! delay that doubles.

use libp2p::kad::RecordKey;
use std::{
	collections::{BTreeSet, HashMap},
	time::Duration,
};

/// Delay before the first repetition of a failed announcement.
const FIRST_DELAY: Duration = Duration::from_secs(10);
/// Longest delay before a repetition.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// Of one key.
struct Schedule {
	/// When it is due, as a time since the Unix epoch. `None` while it is being announced.
	due: Option<Duration>,
	/// Failures in a row.
	failures: u32,
}

/// The schedule of announcements.
pub(crate) struct Announcer {
	interval: Duration,
	max_running: usize,
	running: usize,
	keys: HashMap<RecordKey, Schedule>,
	/// Keys that are not being announced, by when they are due.
	due: BTreeSet<(Duration, Vec<u8>)>,
}

impl Announcer {
	/// Announces each key every `interval`, and at most `max_running` at once.
	pub fn new(interval: Duration, max_running: usize) -> Self {
		Self {
			interval,
			max_running,
			running: 0,
			keys: HashMap::new(),
			due: BTreeSet::new(),
		}
	}

	/// Adds a key that is due from then on. A key that is being announced, or is due earlier, stays as it is.
	pub fn add(&mut self, key: RecordKey, due: Duration) {
		match self.keys.get_mut(&key) {
			Some(Schedule { due: Some(known), .. }) if due < *known => {
				self.due.remove(&(*known, key.to_vec()));
				*known = due;
			}
			Some(_) => return,
			None => {
				let schedule = Schedule {
					due: Some(due),
					failures: 0,
				};
				self.keys.insert(key.clone(), schedule);
			}
		}
		self.due.insert((due, key.to_vec()));
	}

	/// Removes a key. A running announcement of it is still to be reported to [`finish`](Self::finish).
	pub fn remove(&mut self, key: &RecordKey) {
		if let Some(Schedule { due: Some(due), .. }) = self.keys.remove(key) {
			self.due.remove(&(due, key.to_vec()));
		}
	}

	/// Takes the next key to announce now. `None` if none is due or enough are being announced.
	pub fn next(&mut self, now: Duration) -> Option<RecordKey> {
		if self.running >= self.max_running {
			return None;
		}
		if self.due.first().is_none_or(|(due, _)| *due > now) {
			return None;
		}
		let (_, key) = self.due.pop_first()?;
		let key = RecordKey::from(key);
		if let Some(schedule) = self.keys.get_mut(&key) {
			schedule.due = None;
		}
		self.running += 1;
		Some(key)
	}

	/// When the next key is due, unless enough are being announced.
	pub fn next_due(&self) -> Option<Duration> {
		if self.running >= self.max_running {
			return None;
		}
		self.due.first().map(|(due, _)| *due)
	}

	/// An announcement has ended, well or not.
	pub fn finish(&mut self, key: &RecordKey, succeeded: bool, now: Duration) {
		self.running = self.running.saturating_sub(1);
		let Some(schedule) = self.keys.get_mut(key) else {
			return;
		};
		// It can have been removed and added again meanwhile, and is due then.
		if schedule.due.is_some() {
			return;
		}
		let delay = if succeeded {
			schedule.failures = 0;
			self.interval
		} else {
			let factor = 1_u32.checked_shl(schedule.failures).unwrap_or(u32::MAX);
			schedule.failures = schedule.failures.saturating_add(1);
			FIRST_DELAY.saturating_mul(factor).min(LONGEST_DELAY)
		};
		let due = now.saturating_add(delay);
		schedule.due = Some(due);
		self.due.insert((due, key.to_vec()));
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn key(number: u8) -> RecordKey {
		RecordKey::new(&[number])
	}

	const fn seconds(seconds: u64) -> Duration {
		Duration::from_secs(seconds)
	}

	#[test]
	fn keys_are_announced_few_at_once_and_every_interval() {
		let mut announcer = Announcer::new(seconds(100), 2);
		for number in 0..3 {
			announcer.add(key(number), seconds(number.into()));
		}
		assert_eq!(announcer.next(seconds(1)), Some(key(0)));
		assert_eq!(announcer.next_due(), Some(seconds(1)));
		assert_eq!(announcer.next(seconds(1)), Some(key(1)));
		assert_eq!(announcer.next(seconds(50)), None);
		assert_eq!(announcer.next_due(), None);
		announcer.finish(&key(1), true, seconds(50));
		assert_eq!(announcer.next(seconds(50)), Some(key(2)));
		announcer.finish(&key(0), true, seconds(51));
		announcer.finish(&key(2), true, seconds(52));
		assert_eq!(announcer.next_due(), Some(seconds(150)));
		assert_eq!(announcer.next(seconds(149)), None);
		assert_eq!(announcer.next(seconds(150)), Some(key(1)));
	}

	#[test]
	fn failures_are_repeated_after_growing_delays() {
		let mut announcer = Announcer::new(seconds(40_000), 1);
		announcer.add(key(1), seconds(0));
		let mut now = seconds(0);
		let mut delays = Vec::new();
		for _ in 0..11 {
			assert_eq!(announcer.next(now), Some(key(1)));
			announcer.finish(&key(1), false, now);
			let due = announcer.next_due().unwrap();
			delays.push((due - now).as_secs());
			now = due;
		}
		assert_eq!(delays, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
		assert_eq!(announcer.next(now), Some(key(1)));
		announcer.finish(&key(1), true, now);
		assert_eq!(announcer.next_due(), Some(now + seconds(40_000)));
		announcer.add(key(1), now);
		assert_eq!(announcer.next(now), Some(key(1)));
		announcer.finish(&key(1), false, now);
		assert_eq!(announcer.next_due(), Some(now + seconds(10)));
	}

	#[test]
	fn a_key_can_go_and_come_back_while_it_is_announced() {
		let mut announcer = Announcer::new(seconds(100), 1);
		announcer.add(key(1), seconds(0));
		announcer.add(key(2), seconds(5));
		announcer.remove(&key(2));
		assert_eq!(announcer.next(seconds(9)), Some(key(1)));
		announcer.remove(&key(1));
		announcer.finish(&key(1), true, seconds(9));
		assert_eq!(announcer.next(seconds(1000)), None);
		announcer.add(key(1), seconds(0));
		assert_eq!(announcer.next(seconds(9)), Some(key(1)));
		announcer.remove(&key(1));
		announcer.add(key(1), seconds(20));
		announcer.finish(&key(1), true, seconds(9));
		assert_eq!(announcer.next(seconds(20)), Some(key(1)));
		assert_eq!(announcer.next(seconds(1000)), None);
	}
}
