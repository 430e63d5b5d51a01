//! What was asked of one peer.

use super::window::{Limits, Window};
use crate::exchange::wire::WantKind;
use cairn_dag::Cid;
use std::{
	collections::{HashMap, VecDeque},
	time::Instant,
};

/// Withdrawn asks remembered: a block that crosses the withdrawal is no offence.
const CROSSING: usize = 4096;

/// Questions whether a peer has a block that may wait for an answer.
const PROBES: usize = 1024;

/// What was asked of a peer.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
	pub at: Instant,
	pub kind: WantKind,
}

/// One peer.
#[derive(Debug)]
pub struct Peer {
	pub window: Window,
	/// What is not answered yet.
	pub asks: HashMap<Cid, Ask>,
	/// How many of them are for blocks.
	pub blocks_asked: usize,
	/// When it answered last.
	pub progress: Option<Instant>,
	/// How often it was lost without delivering anything in between.
	pub lost_times: u32,
	/// Until when it is not asked.
	pub away_until: Option<Instant>,
	/// How often each block may still come although nobody waits for it.
	crossing: HashMap<Cid, u32>,
	/// Their CIDs, the oldest first. May name some that no longer are.
	crossing_order: VecDeque<Cid>,
}

impl Peer {
	pub fn new(limits: Limits) -> Self {
		Self {
			window: Window::new(limits),
			asks: HashMap::new(),
			blocks_asked: 0,
			progress: None,
			lost_times: 0,
			away_until: None,
			crossing: HashMap::new(),
			crossing_order: VecDeque::new(),
		}
	}

	/// Whether it may be asked for one more block.
	pub fn has_room(&self) -> bool {
		self.blocks_asked < self.window.size()
	}

	/// How many more times it may be asked whether it has a block.
	pub fn room_for_questions(&self) -> usize {
		PROBES.saturating_sub(self.asks.len() - self.blocks_asked)
	}

	/// Whether it is not left alone.
	pub fn is_here(&self, now: Instant) -> bool {
		self.away_until.is_none_or(|until| until <= now)
	}

	/// Whether an answer or a block may still come that is no offence.
	pub fn is_waited_for(&self) -> bool {
		!self.asks.is_empty() || !self.crossing.is_empty()
	}

	/// Something is asked, instead of what was asked for the same block before.
	pub fn ask(&mut self, cid: Cid, ask: Ask) {
		self.answered(&cid);
		self.blocks_asked += usize::from(ask.kind == WantKind::Block);
		self.asks.insert(cid, ask);
	}

	/// An answer came: returns what was asked.
	pub fn answered(&mut self, cid: &Cid) -> Option<Ask> {
		let ask = self.asks.remove(cid)?;
		self.blocks_asked -= usize::from(ask.kind == WantKind::Block);
		Some(ask)
	}

	/// A block is wanted no more that was asked for so often without being answered: as many may cross.
	pub fn may_cross(&mut self, cid: Cid, times: u32) {
		if times == 0 {
			return;
		}
		*self.crossing.entry(cid).or_default() += times;
		self.crossing_order.push_back(cid);
		if self.crossing_order.len() > CROSSING {
			if let Some(oldest) = self.crossing_order.pop_front() {
				self.crossing.remove(&oldest);
			}
		}
	}

	/// Whether a block may cross, and one time fewer from now on.
	pub fn crossed(&mut self, cid: &Cid) -> bool {
		let Some(times) = self.crossing.get_mut(cid) else {
			return false;
		};
		*times -= 1;
		if *times == 0 {
			self.crossing.remove(cid);
		}
		true
	}

	/// Whether an answer may cross.
	pub fn may_answer(&self, cid: &Cid) -> bool {
		self.crossing.contains_key(cid)
	}

	/// Nothing is asked any more. Returns what was; as many answers may cross if the connection is there still.
	pub fn take_asks(&mut self, is_connected: bool) -> Vec<Cid> {
		self.blocks_asked = 0;
		self.progress = None;
		self.window.idle();
		let asks: Vec<Cid> = self.asks.drain().map(|(cid, _)| cid).collect();
		if is_connected {
			asks.iter().for_each(|cid| self.may_cross(*cid, 1));
		} else {
			self.crossing.clear();
			self.crossing_order.clear();
		}
		asks
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_dag::{Block, Codec};

	/// Its outbound stream broke, or a better connection came: what is on its way on the old one is no offence.
	#[test]
	fn what_was_asked_may_come_as_long_as_the_connection_is_there() {
		let limits = Limits {
			blocks: 100,
			bytes: 1 << 20,
		};
		let cid = *Block::encode(Codec::Raw, &b"asked"[..]).cid();
		let asked = || {
			let mut peer = Peer::new(limits);
			let ask = Ask {
				at: Instant::now(),
				kind: WantKind::Block,
			};
			peer.ask(cid, ask);
			peer
		};
		let mut unlinked = asked();
		assert_eq!(unlinked.take_asks(true), [cid]);
		assert!(unlinked.may_answer(&cid) && unlinked.crossed(&cid));
		assert!(!unlinked.crossed(&cid), "once");
		let mut gone = asked();
		assert_eq!(gone.take_asks(false), [cid]);
		assert!(!gone.is_waited_for());
	}
}
