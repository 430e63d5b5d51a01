//! Who is banned, and until when.

use libp2p::PeerId;
use std::{collections::HashMap, time::Duration};

/// A peer's exclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
	/// When it ends, as a time since the Unix epoch.
	pub until: Duration,
	/// How many bans for strikes this peer had in a row, with this one.
	pub count: u32,
	/// Until when a further ban counts as a repetition.
	remembered_until: Duration,
}

/// Bans by peer; at most so many.
pub(super) struct Bans {
	bans: HashMap<PeerId, Ban>,
	max: usize,
}

impl Bans {
	pub fn new(max: usize) -> Self {
		Self {
			bans: HashMap::new(),
			max,
		}
	}

	/// The ban of a peer, if it holds now.
	pub fn get(&self, peer: &PeerId, now: Duration) -> Option<&Ban> {
		self.bans.get(peer).filter(|ban| ban.until > now)
	}

	/// The bans that hold now.
	pub fn all(&self, now: Duration) -> Vec<(PeerId, Ban)> {
		let held = self.bans.iter().filter(|(_, ban)| ban.until > now);
		held.map(|(peer, ban)| (*peer, *ban)).collect()
	}

	/// Bans a peer for twice as long as the last time, and at least for `first`.
	pub fn repeat(&mut self, peer: PeerId, now: Duration, first: Duration, longest: Duration) -> Ban {
		let count = match self.bans.get(&peer) {
			Some(last) if last.remembered_until > now => last.count.saturating_add(1),
			_ => 1,
		};
		let factor = 1_u32.checked_shl(count - 1).unwrap_or(u32::MAX);
		let until = now.saturating_add(first.saturating_mul(factor).min(longest));
		let ban = Ban {
			until,
			count,
			remembered_until: until.saturating_add(longest),
		};
		self.insert(peer, ban, now);
		ban
	}

	/// Bans a peer until then, if it is not banned for longer. Counts as no repetition. Returns the ban that holds.
	pub fn set(&mut self, peer: PeerId, until: Duration, now: Duration) -> Ban {
		let ban = match self.bans.get(&peer) {
			Some(last) => Ban {
				until: last.until.max(until),
				..*last
			},
			None => Ban {
				until,
				count: 0,
				remembered_until: until,
			},
		};
		self.insert(peer, ban, now);
		ban
	}

	/// Ends a ban. Whether it held.
	pub fn remove(&mut self, peer: &PeerId, now: Duration) -> bool {
		self.bans.remove(peer).is_some_and(|ban| ban.until > now)
	}

	fn insert(&mut self, peer: PeerId, ban: Ban, now: Duration) {
		if self.bans.len() >= self.max && !self.bans.contains_key(&peer) {
			self.bans
				.retain(|_, ban| ban.remembered_until.max(ban.until) > now);
			if self.bans.len() >= self.max {
				let first = self.bans.iter().min_by_key(|(_, ban)| ban.until);
				if let Some(first) = first.map(|(peer, _)| *peer) {
					self.bans.remove(&first);
				}
			}
		}
		self.bans.insert(peer, ban);
	}
}
