//! What is known of one wanted block.

use super::SessionId;
use crate::exchange::wire::WantKind;
use libp2p::PeerId;
use std::time::Instant;

/// What a peer said of a block, or did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
	/// It has it.
	Has,
	/// It does not; worth asking again after a while.
	Lacks { refusals: u32, until: Instant },
	/// It has too much to do, or did not answer in time.
	Busy { refusals: u32, until: Instant },
}

/// One wanted block.
#[derive(Debug, Default)]
pub struct Want {
	/// Who wants it.
	pub sessions: Vec<SessionId>,
	/// Whether it stands in its sessions' queues of what is asked for next.
	pub queued: bool,
	/// Whether it stands in a session's queue of what is left to others.
	pub aside: bool,
	/// Since when it is left to others, if it ever was.
	pub deferred: Option<Instant>,
	/// When it is tried again, if nobody could be asked.
	pub retry: Option<Instant>,
	/// Peers that are asked for the block, at most two.
	asked: Vec<PeerId>,
	/// Peers that were told of the want since they were connected, and what they said.
	told: Vec<Told>,
}

/// A peer that was told of a want.
#[derive(Debug)]
struct Told {
	peer: PeerId,
	/// What it said last.
	known: Option<Knowledge>,
	/// How often it was asked: it may send the block as often.
	asks: u32,
}

impl Want {
	/// Whether nobody is asked for the block.
	pub fn is_idle(&self) -> bool {
		self.asked.is_empty()
	}

	/// Whether it stands in a queue.
	pub fn stands_in_a_queue(&self) -> bool {
		self.queued || self.aside
	}

	/// The only peer that is asked for the block.
	pub fn only_asked(&self) -> Option<PeerId> {
		match self.asked[..] {
			[only] => Some(only),
			_ => None,
		}
	}

	/// A peer was asked.
	pub fn asked(&mut self, peer: PeerId, kind: WantKind) {
		if kind == WantKind::Block {
			self.asked.push(peer);
		}
		match self.told.iter_mut().find(|told| told.peer == peer) {
			Some(told) => told.asks += 1,
			None => self.told.push(Told {
				peer,
				known: None,
				asks: 1,
			}),
		}
	}

	/// A peer answered, or failed to.
	pub fn learn(&mut self, peer: PeerId, knowledge: Knowledge) {
		self.asked.retain(|asked| *asked != peer);
		match self.told.iter_mut().find(|told| told.peer == peer) {
			Some(told) => told.known = Some(knowledge),
			None => self.told.push(Told {
				peer,
				known: Some(knowledge),
				asks: 0,
			}),
		}
	}

	/// What a peer said, if it said anything.
	pub fn knowledge(&self, peer: &PeerId) -> Option<Knowledge> {
		let found = self.told.iter().find(|told| told.peer == *peer);
		found.and_then(|told| told.known)
	}

	/// How often a peer refused in a row.
	pub fn refusals(&self, peer: &PeerId) -> u32 {
		match self.knowledge(peer) {
			Some(Knowledge::Lacks { refusals, .. } | Knowledge::Busy { refusals, .. }) => refusals,
			_ => 0,
		}
	}

	/// Whether a peer was told of the want.
	pub fn was_asked(&self, peer: &PeerId) -> bool {
		self.told.iter().any(|told| told.peer == *peer)
	}

	/// A peer is gone, and with it what it was asked.
	pub fn forget(&mut self, peer: &PeerId) {
		self.asked.retain(|asked| asked != peer);
		self.told.retain(|told| told.peer != *peer);
	}

	/// Peers that know of the want, and how often each was asked.
	pub fn told(&self) -> impl Iterator<Item = (PeerId, u32)> + '_ {
		self.told.iter().map(|told| (told.peer, told.asks))
	}
}
