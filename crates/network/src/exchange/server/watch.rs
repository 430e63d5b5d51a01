//! Wants that were answered "don't have": who is told when the block comes.

use super::StreamKey;
use crate::exchange::wire::{Id, WantKind};
use cairn_dag::Cid;
use libp2p::PeerId;
use std::{
	collections::{BTreeMap, HashMap},
	ops::Bound,
};

/// A want of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
	pub id: Id,
	pub kind: WantKind,
	pub cid: Cid,
	/// Whether it was answered "don't have".
	pub told: bool,
}

/// The wants that are being looked up, and those for blocks that are not here.
///
/// A want is here from before it is looked up, so that a block that comes meanwhile is not missed.
#[derive(Debug, Default)]
pub struct Watches {
	wants: BTreeMap<(StreamKey, Id), Watch>,
	by_cid: BTreeMap<Cid, Vec<(StreamKey, Id)>>,
	/// How many of a peer's are not being looked up.
	waiting: HashMap<PeerId, usize>,
}

#[derive(Debug)]
struct Watch {
	wanted: Wanted,
	state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
	/// In a piece of work; and whether the block came since it began.
	Looking { came: bool },
	/// Not here.
	Waiting,
}

/// What becomes of a want whose block was not found.
#[derive(Debug, PartialEq, Eq)]
pub enum Absent {
	/// It was withdrawn meanwhile.
	Withdrawn,
	/// The block came meanwhile: look again.
	Came(Wanted),
	/// Its peer is to be told.
	Tell,
	/// Its peer was told before.
	Told,
}

impl Watches {
	/// A want is about to be looked up.
	pub fn look(&mut self, key: StreamKey, wanted: Wanted) {
		let state = State::Looking { came: false };
		self.wants.insert((key, wanted.id), Watch { wanted, state });
		self.by_cid.entry(wanted.cid).or_default().push((key, wanted.id));
	}

	/// A want is withdrawn, answered for good, or not looked up after all. Whether it was still here.
	pub fn remove(&mut self, key: StreamKey, id: Id) -> bool {
		let Some(watch) = self.wants.remove(&(key, id)) else {
			return false;
		};
		self.forget(key, &watch);
		true
	}

	/// Wants of a stream are withdrawn.
	pub fn withdraw(&mut self, key: StreamKey, first: Id, last: Id) {
		let range = (key, first)..=(key, last);
		let ids: Vec<_> = self.wants.range(range).map(|((_, id), _)| *id).collect();
		for id in ids {
			self.remove(key, id);
		}
	}

	/// A stream is gone.
	pub fn close(&mut self, key: StreamKey) {
		self.withdraw(key, 0, Id::MAX);
	}

	/// The block of a want is not here. The want waits for it, if its peer has fewer than `max` that do.
	pub fn absent(&mut self, key: StreamKey, id: Id, max: usize) -> Absent {
		let Some(watch) = self.wants.get_mut(&(key, id)) else {
			return Absent::Withdrawn;
		};
		let told = std::mem::replace(&mut watch.wanted.told, true);
		if watch.state == (State::Looking { came: true }) {
			let wanted = Wanted { told, ..watch.wanted };
			self.remove(key, id);
			return Absent::Came(wanted);
		}
		let waiting = self.waiting.entry(key.peer).or_default();
		if *waiting < max {
			*waiting += 1;
			watch.state = State::Waiting;
		} else {
			self.remove(key, id);
		}
		if told {
			Absent::Told
		} else {
			Absent::Tell
		}
	}

	/// A block has come to the store: the wants to look up again.
	pub fn came(&mut self, cid: &Cid) -> Vec<(StreamKey, Wanted)> {
		let mut again = Vec::new();
		for (key, id) in self.by_cid.get(cid).cloned().unwrap_or_default() {
			match self.wants.get_mut(&(key, id)) {
				Some(Watch {
					state: State::Looking { came },
					..
				}) => *came = true,
				Some(Watch { wanted, .. }) => {
					again.push((key, *wanted));
					self.remove(key, id);
				}
				None => {}
			}
		}
		again
	}

	/// Blocks of the wants that are here, in the order of their CIDs: those after one, or all.
	pub fn awaited(&self, after: Option<Cid>) -> impl Iterator<Item = &Cid> {
		let from = after.map_or(Bound::Unbounded, Bound::Excluded);
		self.by_cid.range((from, Bound::Unbounded)).map(|(cid, _)| cid)
	}

	/// Wants of a peer that wait for blocks.
	pub fn waiting(&self, peer: &PeerId) -> usize {
		self.waiting.get(peer).copied().unwrap_or_default()
	}

	fn forget(&mut self, key: StreamKey, watch: &Watch) {
		let id = watch.wanted.id;
		if let Some(wants) = self.by_cid.get_mut(&watch.wanted.cid) {
			wants.retain(|other| *other != (key, id));
			if wants.is_empty() {
				self.by_cid.remove(&watch.wanted.cid);
			}
		}
		if watch.state == State::Waiting {
			if let Some(waiting) = self.waiting.get_mut(&key.peer) {
				*waiting -= 1;
				if *waiting == 0 {
					self.waiting.remove(&key.peer);
				}
			}
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_dag::{Block, Codec};

	fn key(number: u64) -> StreamKey {
		StreamKey {
			peer: PeerId::from_bytes(&[0, 1, 7]).unwrap(),
			number,
		}
	}

	fn wanted(id: Id) -> Wanted {
		Wanted {
			id,
			kind: WantKind::Have,
			cid: *Block::encode(Codec::Raw, &b"absent"[..]).cid(),
			told: false,
		}
	}

	#[test]
	fn a_block_that_comes_while_it_is_looked_up_is_not_missed() {
		let (mut watches, want) = (Watches::default(), wanted(3));
		watches.look(key(1), want);
		assert!(watches.came(&want.cid).is_empty(), "it is being looked up");
		assert_eq!(watches.absent(key(1), 3, 10), Absent::Came(want));
		assert!(watches.wants.is_empty() && watches.by_cid.is_empty());
	}

	#[test]
	fn each_is_told_once_and_looked_up_again_when_the_block_comes() {
		let (mut watches, want) = (Watches::default(), wanted(3));
		watches.look(key(1), want);
		assert_eq!(watches.absent(key(1), 3, 10), Absent::Tell);
		let told = Wanted { told: true, ..want };
		assert_eq!(watches.came(&want.cid), [(key(1), told)]);
		assert_eq!(watches.waiting(&key(1).peer), 0);
		// It was deleted again.
		watches.look(key(1), told);
		assert_eq!(watches.absent(key(1), 3, 10), Absent::Told);
		watches.remove(key(1), 3);
		assert!(watches.came(&want.cid).is_empty());
		assert!(watches.wants.is_empty() && watches.by_cid.is_empty() && watches.waiting.is_empty());
	}

	#[test]
	fn what_is_withdrawn_and_what_is_too_much_is_not_kept() {
		let mut watches = Watches::default();
		for id in 0..4 {
			watches.look(key(1), wanted(id));
		}
		watches.look(key(2), wanted(0));
		watches.withdraw(key(1), 1, 1);
		assert_eq!(watches.absent(key(1), 1, 2), Absent::Withdrawn);
		assert_eq!(watches.absent(key(1), 0, 2), Absent::Tell);
		assert_eq!(watches.absent(key(2), 0, 2), Absent::Tell);
		// Its peer is told, and no more when the block comes.
		assert_eq!(watches.absent(key(1), 2, 2), Absent::Tell);
		assert_eq!(watches.waiting(&key(1).peer), 2);
		assert_eq!(watches.came(&wanted(0).cid).len(), 2);
		watches.close(key(1));
		assert!(watches.wants.is_empty() && watches.by_cid.is_empty() && watches.waiting.is_empty());
	}
}
