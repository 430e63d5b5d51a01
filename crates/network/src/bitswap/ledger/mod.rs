//! The serving side of Bitswap, without any I/O: what each peer wants, and whose turn it is.
//!
//! [`Ledgers::receive`] takes a peer's wants. [`Ledgers::next_job`] gives the next piece of work: some
//! wants of the peer whose turn it is ([`FairQueue`]). Whoever drives it looks the blocks up on a
//! blocking thread ([`Job::run`]), gets the message to send from [`Ledgers::finish`], and says with
//! [`Ledgers::sent`] when it is written. A peer that reads slowly has at most [`JOBS_PER_PEER`] messages
//! under way.
//!
//! A want for a block that is not here stays, and is answered when the block comes
//! ([`Ledgers::announce`]), as boxo does it. A peer may have [`Config::max_wants`]; when there are more,
//! wants for absent blocks make room, the oldest first, and if there are none the new want is refused.

mod job;
mod peer;

pub use job::{Found, Job};

use super::wire::{presence_len, Outgoing, Presence, WantList};
use crate::exchange::fair::FairQueue;
use cairn_dag::{hash::IDENTITY, Cid, SourceError};
use libp2p::PeerId;
use peer::{stop_waiting, EntryState, Ledger};
use std::{
	collections::{BTreeMap, HashMap, HashSet},
	ops::Bound,
};

/// Messages under way to one peer: one is written while the next is looked up.
pub const JOBS_PER_PEER: usize = 2;

/// Limits of the serving side.
#[derive(Clone, Debug)]
pub struct Config {
	/// Wants that a peer may have. 1,024, which is what helia allows; boxo's clients send no more before
	/// some are answered.
	pub max_wants: usize,
	/// Data of blocks that a message holds about. One block more fits always. 512 KiB.
	pub message_data: usize,
	/// Largest block that is sent instead of the answer that it is here. 1,024 bytes, as boxo and helia
	/// do.
	pub have_becomes_block: usize,
	/// Wants that one job looks up. 256.
	pub job_wants: usize,
	/// Refused wants after which a peer floods, until its wants are all answered. 16,384.
	pub max_refused: usize,
}

impl Default for Config {
	fn default() -> Self {
		Self {
			max_wants: 1024,
			message_data: 512 << 10,
			have_becomes_block: 1024,
			job_wants: 256,
			max_refused: 16_384,
		}
	}
}

/// What all peers want.
#[derive(Debug)]
pub struct Ledgers {
	config: Config,
	peers: HashMap<PeerId, Ledger>,
	turns: FairQueue<PeerId>,
	/// Which peers wait for a block that is not here.
	waiting: BTreeMap<Cid, Vec<PeerId>>,
}

/// What came of a peer's wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
	/// They are kept, or refused within reason.
	Accepted,
	/// The peer keeps sending wants that there is no room for.
	Flood,
	/// The peer wants the block of an identity CID, which holds it: it does not know what it does.
	Broken,
}

impl Ledgers {
	/// Without peers.
	pub fn new(config: Config) -> Self {
		let quantum = u32::try_from(config.message_data).unwrap_or(u32::MAX);
		Self {
			config,
			peers: HashMap::new(),
			turns: FairQueue::new(quantum),
			waiting: BTreeMap::new(),
		}
	}

	/// A peer sent wants.
	pub fn receive(&mut self, peer: PeerId, list: WantList) -> Received {
		let identity = |cid: &Cid| cid.hash().code() == IDENTITY;
		if list.wants.iter().any(|want| identity(&want.cid)) || list.cancels.iter().any(identity) {
			return Received::Broken;
		}
		if list.is_empty() && !self.peers.contains_key(&peer) {
			return Received::Accepted;
		}
		let ledger = self.peers.entry(peer).or_default();
		if list.full {
			// Those that the list names again come back below.
			let all: Vec<_> = ledger.wants.keys().copied().collect();
			for cid in all {
				ledger.remove(&cid, &mut self.waiting, peer);
			}
			ledger.refused.clear();
		}
		for cid in &list.cancels {
			ledger.remove(cid, &mut self.waiting, peer);
		}
		if !ledger.refused.is_empty() && !list.cancels.is_empty() {
			let cancels: HashSet<_> = list.cancels.iter().collect();
			ledger.refused.retain(|refused| !cancels.contains(refused));
		}
		for want in list.wants {
			ledger.want(want, &self.config, &mut self.waiting, peer);
		}
		let flood = ledger.refusals > self.config.max_refused;
		if flood {
			ledger.refusals = 0;
		}
		self.schedule(peer);
		if flood {
			Received::Flood
		} else {
			Received::Accepted
		}
	}

	/// Blocks have come to the store: peers that wait for them get them.
	pub fn announce(&mut self, cids: &[Cid]) {
		// A job that runs now may have looked too early.
		for ledger in self.peers.values_mut().filter(|ledger| ledger.jobs > 0) {
			for cid in cids {
				let want = ledger.wants.get_mut(cid);
				if let Some(EntryState::Looking { came }) = want.map(|want| &mut want.state) {
					*came = true;
				}
			}
		}
		for cid in cids {
			for peer in self.waiting.remove(cid).unwrap_or_default() {
				if let Some(ledger) = self.peers.get_mut(&peer) {
					ledger.requeue(cid);
					self.schedule(peer);
				}
			}
		}
	}

	/// Blocks may have come to the store: what is being looked up now is looked up once more if it is not found.
	pub fn look_again(&mut self) {
		for ledger in self.peers.values_mut().filter(|ledger| ledger.jobs > 0) {
			for want in ledger.wants.values_mut() {
				if let EntryState::Looking { came } = &mut want.state {
					*came = true;
				}
			}
		}
	}

	/// Blocks that peers wait for, in the order of their CIDs: those after one, or all.
	pub fn awaited(&self, after: Option<Cid>) -> impl Iterator<Item = &Cid> {
		let from = after.map_or(Bound::Unbounded, Bound::Excluded);
		self.waiting.range((from, Bound::Unbounded)).map(|(cid, _)| cid)
	}

	/// The next wants to look up, of the peer whose turn it is.
	pub fn next_job(&mut self) -> Option<Job> {
		loop {
			let peer = self.turns.next_turn()?;
			let Some(ledger) = self.peers.get_mut(&peer) else {
				continue;
			};
			let mut wants = Vec::new();
			while wants.len() < self.config.job_wants {
				let Some((.., cid)) = ledger.queue.pop_first() else {
					break;
				};
				if let Some(entry) = ledger.wants.get_mut(&cid) {
					entry.state = EntryState::Looking { came: false };
					wants.push((cid, entry.kind, entry.order));
				}
			}
			let refused: Vec<_> = ledger.refused.drain(..).collect();
			if wants.is_empty() && refused.is_empty() {
				self.turns.deactivate(&peer);
				continue;
			}
			ledger.jobs += 1;
			self.schedule(peer);
			return Some(Job {
				peer,
				wants,
				refused,
				message_data: self.config.message_data,
				have_becomes_block: self.config.have_becomes_block,
			});
		}
	}

	/// A job is done: returns what to send, if there is anything, and what the store complained of.
	/// [`sent`](Self::sent) must follow either way.
	pub fn finish(&mut self, found: Found) -> (Outgoing, Vec<SourceError>) {
		let mut message = Outgoing::default();
		let peer = found.peer;
		let Some(ledger) = self.peers.get_mut(&peer) else {
			return (message, found.errors);
		};
		message
			.presences
			.extend(found.refused.into_iter().map(|cid| Presence { cid, have: false }));
		for (cid, order) in found.left {
			// Put back where it was.
			if ledger.looked(&cid, order).is_some() {
				ledger.requeue(&cid);
			}
		}
		for (block, order) in found.blocks {
			if ledger.looked(block.cid(), order).is_some() {
				ledger.wants.remove(block.cid());
				message.blocks.push(block);
			}
		}
		for (cid, order) in found.haves {
			if ledger.looked(&cid, order).is_some() {
				ledger.wants.remove(&cid);
				message.presences.push(Presence { cid, have: true });
			}
		}
		for (cid, order) in found.absent {
			if let Some(entry) = ledger.looked(&cid, order) {
				if entry.state == (EntryState::Looking { came: true }) {
					ledger.requeue(&cid);
					continue;
				}
				entry.state = EntryState::Absent;
				if entry.send_dont_have {
					message.presences.push(Presence { cid, have: false });
				}
				ledger.absent.push_back((cid, order));
				self.waiting.entry(cid).or_default().push(peer);
			}
		}
		if ledger.wants.is_empty() {
			ledger.refusals = 0;
			ledger.absent.clear();
		}
		let bytes = message.data_len()
			+ message
				.presences
				.iter()
				.map(|p| presence_len(&p.cid))
				.sum::<usize>();
		ledger.sent += message.data_len() as u64;
		self.turns.charge(peer, bytes + found.in_vain);
		(message, found.errors)
	}

	/// A message to a peer was written, or there was none to write.
	pub fn sent(&mut self, peer: PeerId) {
		if let Some(ledger) = self.peers.get_mut(&peer) {
			ledger.jobs = ledger.jobs.saturating_sub(1);
			self.schedule(peer);
		}
	}

	/// Bytes of blocks came from a peer.
	pub fn received_data(&mut self, peer: PeerId, bytes: u64) {
		if let Some(ledger) = self.peers.get_mut(&peer) {
			ledger.received += bytes;
		}
	}

	/// A peer is gone, and its wants with it.
	pub fn remove(&mut self, peer: &PeerId) {
		if let Some(ledger) = self.peers.remove(peer) {
			for cid in ledger.wants.keys() {
				stop_waiting(&mut self.waiting, cid, peer);
			}
		}
		self.turns.remove(peer);
	}

	/// Wants that a peer has.
	pub fn wants_of(&self, peer: &PeerId) -> usize {
		self.peers.get(peer).map_or(0, |ledger| ledger.wants.len())
	}

	/// Bytes of blocks sent to a peer and received from it since it came.
	pub fn exchanged(&self, peer: &PeerId) -> (u64, u64) {
		self.peers
			.get(peer)
			.map_or((0, 0), |ledger| (ledger.sent, ledger.received))
	}

	/// Wants of all peers.
	pub fn wants(&self) -> usize {
		self.peers.values().map(|ledger| ledger.wants.len()).sum()
	}

	/// Number of peers that have wants or had some.
	pub fn peers(&self) -> usize {
		self.peers.len()
	}

	/// Gives a peer turns if it has work and may have a job.
	fn schedule(&mut self, peer: PeerId) {
		let Some(ledger) = self.peers.get(&peer) else {
			return;
		};
		let has_work = !ledger.queue.is_empty() || !ledger.refused.is_empty();
		if has_work && ledger.jobs < JOBS_PER_PEER {
			self.turns.activate(peer);
		}
	}
}
