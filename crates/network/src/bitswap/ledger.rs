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

use super::wire::{block_len, presence_len, Outgoing, Presence, Want, WantKind, WantList, MAX_BLOCK};
use crate::{blocks::BlockStore, exchange::fair::FairQueue};
use cairn_dag::{hash::IDENTITY, Block, Cid, SourceError};
use libp2p::PeerId;
use std::{
	cmp::Reverse,
	collections::{BTreeSet, HashMap, HashSet, VecDeque},
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
	waiting: HashMap<Cid, Vec<PeerId>>,
}

/// What one peer wants, and what was sent to it.
#[derive(Debug, Default)]
struct Ledger {
	wants: HashMap<Cid, Entry>,
	/// Wants to be looked up: by priority, then in the order in which they came.
	queue: BTreeSet<(Reverse<i32>, u64, Cid)>,
	/// Wants for blocks that are not here, the oldest first. May name some that no longer are.
	absent: VecDeque<(Cid, u64)>,
	/// Wants that found no room and are answered with "don't have".
	refused: VecDeque<Cid>,
	refusals: usize,
	order: u64,
	jobs: usize,
	sent: u64,
	received: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
	kind: WantKind,
	priority: i32,
	send_dont_have: bool,
	/// Changes whenever the peer sends the want.
	order: u64,
	state: EntryState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryState {
	Queued,
	/// In a job; and whether the block came to the store since it began.
	Looking {
		came: bool,
	},
	/// Not here.
	Absent,
}

/// Wants of one peer to look up.
#[derive(Debug)]
pub struct Job {
	/// Whose.
	pub peer: PeerId,
	wants: Vec<(Cid, WantKind, u64)>,
	refused: Vec<Cid>,
	message_data: usize,
	have_becomes_block: usize,
}

/// What a job found.
#[derive(Debug)]
pub struct Found {
	peer: PeerId,
	blocks: Vec<(Block, u64)>,
	haves: Vec<(Cid, u64)>,
	absent: Vec<(Cid, u64)>,
	/// Not looked up, because the message was full.
	left: Vec<(Cid, u64)>,
	refused: Vec<Cid>,
	/// Why the store could not answer, of those that it could not.
	errors: Vec<SourceError>,
}

impl Job {
	/// Looks the wants up. Blocks the thread.
	pub fn run(self, store: &dyn BlockStore) -> Found {
		let mut found = Found {
			peer: self.peer,
			blocks: Vec::new(),
			haves: Vec::new(),
			absent: Vec::new(),
			left: Vec::new(),
			refused: self.refused,
			errors: Vec::new(),
		};
		let mut data = 0;
		for (cid, kind, order) in self.wants {
			if data >= self.message_data {
				found.left.push((cid, order));
				continue;
			}
			let answer = match kind {
				WantKind::Block => store.get(&cid),
				// Whether it is small shows only when it is read, and small blocks are read fast.
				WantKind::Have => match store.size(&cid) {
					Ok(Some(size)) if size <= self.have_becomes_block as u64 => store.get(&cid),
					Ok(Some(_)) => {
						found.haves.push((cid, order));
						continue;
					}
					Ok(None) => Ok(None),
					Err(error) => Err(error),
				},
			};
			match answer {
				Ok(Some(block)) if block.data().len() <= MAX_BLOCK => {
					data += block_len(block.data().len());
					found.blocks.push((block, order));
				}
				Ok(_) => found.absent.push((cid, order)),
				Err(error) => {
					found.absent.push((cid, order));
					found.errors.push(error);
				}
			}
		}
		found
	}
}

impl Found {
	/// Whose wants were looked up.
	pub fn peer(&self) -> PeerId {
		self.peer
	}
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
			waiting: HashMap::new(),
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
				if let Some(Entry {
					state: EntryState::Looking { came },
					..
				}) = ledger.wants.get_mut(cid)
				{
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

	/// The next wants to look up, of the peer whose turn it is.
	pub fn next_job(&mut self) -> Option<Job> {
		loop {
			let peer = self.turns.next_turn()?;
			let Some(ledger) = self.peers.get_mut(&peer) else {
				continue;
			};
			let mut wants = Vec::new();
			while wants.len() < self.config.job_wants {
				let Some((_, _, cid)) = ledger.queue.pop_first() else {
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
		self.turns.charge(peer, bytes);
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

impl Ledger {
	fn want(&mut self, want: Want, config: &Config, waiting: &mut HashMap<Cid, Vec<PeerId>>, peer: PeerId) {
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
		self.queue.insert((Reverse(want.priority), order, want.cid));
		self.wants.insert(want.cid, entry);
	}

	/// Drops the oldest want for an absent block. Whether there was one.
	fn make_room(&mut self, waiting: &mut HashMap<Cid, Vec<PeerId>>, peer: PeerId) -> bool {
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

	fn remove(&mut self, cid: &Cid, waiting: &mut HashMap<Cid, Vec<PeerId>>, peer: PeerId) {
		let Some(entry) = self.wants.remove(cid) else {
			return;
		};
		match entry.state {
			EntryState::Queued => {
				self.queue.remove(&(Reverse(entry.priority), entry.order, *cid));
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
	fn looked(&mut self, cid: &Cid, order: u64) -> Option<&mut Entry> {
		self.wants
			.get_mut(cid)
			.filter(|entry| entry.order == order && matches!(entry.state, EntryState::Looking { .. }))
	}

	/// A want is to be looked up again.
	fn requeue(&mut self, cid: &Cid) {
		if let Some(entry) = self.wants.get_mut(cid) {
			if entry.state != EntryState::Queued {
				entry.state = EntryState::Queued;
				self.queue.insert((Reverse(entry.priority), entry.order, *cid));
			}
		}
	}
}

fn stop_waiting(waiting: &mut HashMap<Cid, Vec<PeerId>>, cid: &Cid, peer: &PeerId) {
	if let Some(peers) = waiting.get_mut(cid) {
		peers.retain(|other| other != peer);
		if peers.is_empty() {
			waiting.remove(cid);
		}
	}
}
