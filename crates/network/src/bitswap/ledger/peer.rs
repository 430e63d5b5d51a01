//! The ledger of one peer.

use super::Config;
use crate::bitswap::wire::{Want, WantKind};
use cairn_dag::Cid;
use libp2p::PeerId;
use std::{
	cmp::Reverse,
	collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
};

/// What one peer wants, and what was sent to it.
#[derive(Debug, Default)]
pub struct Ledger {
	pub wants: HashMap<Cid, Entry>,
	/// Wants to be looked up: those for presences first, which take little and which the peer's other wants
	/// depend on, then by priority, then in the order in which they came.
	pub queue: BTreeSet<(bool, Reverse<i32>, u64, Cid)>,
	/// Wants for blocks that are not here, the oldest first. May name some that no longer are.
	pub absent: VecDeque<(Cid, u64)>,
	/// Wants that found no room and are answered with "don't have".
	pub refused: VecDeque<Cid>,
	pub refusals: usize,
	pub order: u64,
	pub jobs: usize,
	pub sent: u64,
	pub received: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct Entry {
	pub kind: WantKind,
	priority: i32,
	pub send_dont_have: bool,
	/// Changes whenever the peer sends the want.
	pub order: u64,
	pub state: EntryState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
	Queued,
	/// In a job; and whether the block came to the store since it began.
	Looking {
		came: bool,
	},
	/// Not here.
	Absent,
}

impl Entry {
	/// Where it stands in the queue.
	fn place(&self, cid: Cid) -> (bool, Reverse<i32>, u64, Cid) {
		let is_for_block = self.kind == WantKind::Block;
		(is_for_block, Reverse(self.priority), self.order, cid)
	}
}

impl Ledger {
	pub fn want(
		&mut self,
		want: Want,
		config: &Config,
		waiting: &mut BTreeMap<Cid, Vec<PeerId>>,
		peer: PeerId,
	) {
		self.order += 1;
		let order = self.order;
		if let Some(known) = self.wants.get(&want.cid) {
			// A want for the block is not taken back by asking whether it is here.
			let kind = match known.kind {
				WantKind::Block => WantKind::Block,
				WantKind::Have => want.kind,
			};
			self.remove(&want.cid, waiting, peer);
			self.insert(Want { kind, ..want }, order);
			return;
		}
		if self.wants.len() >= config.max_wants && !self.make_room(waiting, peer) {
			self.refusals += 1;
			if want.send_dont_have && self.refused.len() < config.max_wants {
				self.refused.push_back(want.cid);
			}
			return;
		}
		self.insert(want, order);
	}

	fn insert(&mut self, want: Want, order: u64) {
		let entry = Entry {
			kind: want.kind,
			priority: want.priority,
			send_dont_have: want.send_dont_have,
			order,
			state: EntryState::Queued,
		};
		self.queue.insert(entry.place(want.cid));
		self.wants.insert(want.cid, entry);
	}

	/// Drops the oldest want for an absent block. Whether there was one.
	fn make_room(&mut self, waiting: &mut BTreeMap<Cid, Vec<PeerId>>, peer: PeerId) -> bool {
		while let Some((cid, order)) = self.absent.pop_front() {
			let still = self
				.wants
				.get(&cid)
				.is_some_and(|entry| entry.order == order && entry.state == EntryState::Absent);
			if still {
				self.remove(&cid, waiting, peer);
				return true;
			}
		}
		false
	}

	pub fn remove(&mut self, cid: &Cid, waiting: &mut BTreeMap<Cid, Vec<PeerId>>, peer: PeerId) {
		let Some(entry) = self.wants.remove(cid) else {
			return;
		};
		match entry.state {
			EntryState::Queued => {
				self.queue.remove(&entry.place(*cid));
			}
			EntryState::Looking { .. } => {}
			EntryState::Absent => {
				stop_waiting(waiting, cid, &peer);
				// Else wants that come and go would pile up behind one that stays.
				if self.absent.len() > 2 * self.wants.len() + 64 {
					let wants = &self.wants;
					self.absent.retain(|(cid, order)| {
						wants
							.get(cid)
							.is_some_and(|entry| entry.order == *order && entry.state == EntryState::Absent)
					});
				}
			}
		}
	}

	/// The want that a job looked up, if the peer did not change it meanwhile.
	pub fn looked(&mut self, cid: &Cid, order: u64) -> Option<&mut Entry> {
		self.wants
			.get_mut(cid)
			.filter(|entry| entry.order == order && matches!(entry.state, EntryState::Looking { .. }))
	}

	/// A want is to be looked up again.
	pub fn requeue(&mut self, cid: &Cid) {
		if let Some(entry) = self.wants.get_mut(cid) {
			if entry.state != EntryState::Queued {
				entry.state = EntryState::Queued;
				self.queue.insert(entry.place(*cid));
			}
		}
	}
}

pub fn stop_waiting(waiting: &mut BTreeMap<Cid, Vec<PeerId>>, cid: &Cid, peer: &PeerId) {
	if let Some(peers) = waiting.get_mut(cid) {
		peers.retain(|other| other != peer);
		if peers.is_empty() {
			waiting.remove(cid);
		}
	}
}
