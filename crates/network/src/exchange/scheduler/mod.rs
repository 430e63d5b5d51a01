//! Which block to ask of whom: the requesting side of both protocols, without any I/O.
//!
//! A [`Session`] is what one caller wants, of which peers, until when. The [`Scheduler`] asks one peer
//! for each block, and meanwhile, of a peer that is not known to have it, a few others whether they do.
//! It asks elsewhere when the answer is no, when there is none in time and when the peer is gone; asks a
//! second peer for the last blocks of a session; and withdraws what it asked once a block is there or
//! nobody wants it any more. Each peer has a [`Window`]. What did not work is tried again after a while,
//! until the session's deadline.
//!
//! Time comes in as arguments, what to send goes out as [`Action`]s. Blocks are verified before they get
//! here.
//!
//! Memory: what is kept is proportional to the wants of the sessions, times the peers of a session (at
//! most [`Config::max_session_peers`]).

mod assign;
mod peer;
mod want;
mod window;

pub use window::{Limits, Window};

use super::wire::{Answer, WantKind};
use cairn_dag::Cid;
use libp2p::PeerId;
use peer::Peer;
use std::{
	cmp::Reverse,
	collections::{BinaryHeap, HashMap, HashSet, VecDeque},
	time::{Duration, Instant},
};
use want::{Knowledge, Want};

/// Names a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

/// Choices of a [`Scheduler`].
#[derive(Clone, Debug)]
pub struct Config {
	/// Bounds of each peer's window. 1,024 blocks, 16 MiB.
	pub window: Limits,
	/// Peers that are asked whether they have a block while another is asked for it. 3.
	pub probes: usize,
	/// Peers of a session; further ones are ignored. 64.
	pub max_session_peers: usize,
	/// Wants of a session from which on a second peer is asked for what takes long. 16.
	pub last_wants: usize,
	/// Least age of an ask before a second peer is asked. 300 ms.
	pub second_ask_after: Duration,
	/// How long after "don't have" the same peer is asked again, doubling up to 64 times as long. 250 ms.
	pub ask_again_after: Duration,
	/// How long a peer that was lost is left alone, doubling up to 64 times as long. 500 ms.
	pub redial_after: Duration,
}

impl Default for Config {
	fn default() -> Self {
		Self {
			window: Limits {
				blocks: 1024,
				bytes: 16 << 20,
			},
			probes: 3,
			max_session_peers: 64,
			last_wants: 16,
			second_ask_after: Duration::from_millis(300),
			ask_again_after: Duration::from_millis(250),
			redial_after: Duration::from_millis(500),
		}
	}
}

impl Config {
	/// How long to wait after the n-th refusal in a row.
	fn wait_after(&self, refusals: u32) -> Duration {
		self.ask_again_after * (1 << refusals.saturating_sub(1).min(6))
	}
}

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
	/// Ask a peer.
	Ask {
		/// Whom.
		peer: PeerId,
		/// For which block.
		cid: Cid,
		/// For the block, or whether it has it.
		kind: WantKind,
		/// More is sooner.
		priority: i32,
	},
	/// Withdraw what was asked of a peer.
	Cancel {
		/// Of whom.
		peer: PeerId,
		/// Which block.
		cid: Cid,
	},
}

/// What a block that came is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
	/// Wanted: hand it to these sessions.
	Wanted {
		/// Who wants it.
		sessions: Vec<SessionId>,
		/// Time since this peer was asked for it, if it was.
		elapsed: Option<Duration>,
	},
	/// Asked for, but it came from elsewhere before, or nobody wants it any more.
	Late,
	/// Never asked of this peer.
	Unrequested,
}

/// What a session still lacks when its deadline has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
	/// Which session. It is closed.
	pub session: SessionId,
	/// Blocks that did not come.
	pub missing: Vec<Cid>,
	/// Peers that the session had.
	pub peers: usize,
}

/// What the clock has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
	/// Sessions whose deadline has come.
	pub expired: Vec<Expired>,
	/// Peers that did not send a block in time, once for each, and whether they had said that they have it.
	pub timed_out: Vec<(PeerId, bool)>,
}

/// What one caller wants.
struct Session {
	deadline: Instant,
	peers: Vec<PeerId>,
	/// Peers that gave a block to this session: they are taken to have the others.
	proven: HashSet<PeerId>,
	wants: HashSet<Cid>,
	/// Wants for which nobody is asked, the next one first. May name some that no longer are.
	ready: VecDeque<Cid>,
}

/// Decides what is asked of whom. See the module.
pub struct Scheduler {
	config: Config,
	sessions: HashMap<SessionId, Session>,
	next_session: u64,
	wants: HashMap<Cid, Want>,
	peers: HashMap<PeerId, Peer>,
	/// When to try a want again for which nobody could be asked.
	retries: BinaryHeap<Reverse<(Instant, Cid)>>,
	actions: Vec<Action>,
	/// When to look next for asks that were not answered.
	next_look: Option<Instant>,
	/// Priority of the next ask: earlier is sooner.
	priority: i32,
}

impl Scheduler {
	/// Without sessions.
	pub fn new(config: Config) -> Self {
		Self {
			config,
			sessions: HashMap::new(),
			next_session: 0,
			wants: HashMap::new(),
			peers: HashMap::new(),
			retries: BinaryHeap::new(),
			actions: Vec::new(),
			next_look: None,
			priority: i32::MAX,
		}
	}

	/// Opens a session, which [`tick`](Self::tick) closes at its deadline.
	pub fn open(&mut self, deadline: Instant) -> SessionId {
		let id = SessionId(self.next_session);
		self.next_session += 1;
		let session = Session {
			deadline,
			peers: Vec::new(),
			proven: HashSet::new(),
			wants: HashSet::new(),
			ready: VecDeque::new(),
		};
		self.sessions.insert(id, session);
		id
	}

	/// Closes a session and withdraws what only it wants.
	pub fn close(&mut self, session: SessionId) {
		if let Some(closed) = self.sessions.remove(&session) {
			for cid in closed.wants {
				self.drop_want(session, &cid);
			}
			self.forget_idle_peers();
		}
	}

	/// Number of open sessions.
	pub fn sessions(&self) -> usize {
		self.sessions.len()
	}

	/// Number of blocks wanted.
	pub fn wants(&self) -> usize {
		self.wants.len()
	}

	/// Number of answers that are waited for, of all peers.
	pub fn asks(&self) -> usize {
		self.peers.values().map(|peer| peer.asks.len()).sum()
	}

	/// Number of answers that are waited for of one peer.
	pub fn asks_of(&self, peer: &PeerId) -> usize {
		self.peers.get(peer).map_or(0, |peer| peer.asks.len())
	}

	/// Number of peers known.
	pub fn peers(&self) -> usize {
		self.peers.len()
	}

	/// Adds a peer to ask. Whether it is new to the session and there was room.
	pub fn add_peer(&mut self, session: SessionId, peer: PeerId) -> bool {
		let Some(session) = self.sessions.get_mut(&session) else {
			return false;
		};
		if session.peers.contains(&peer) || session.peers.len() >= self.config.max_session_peers {
			return false;
		}
		session.peers.push(peer);
		self.peers
			.entry(peer)
			.or_insert_with(|| Peer::new(self.config.window));
		// What waits for a retry has a new chance.
		for cid in &session.wants {
			if let Some(want) = self.wants.get_mut(cid) {
				if want.is_idle() && !want.queued {
					want.queued = true;
					session.ready.push_back(*cid);
				}
			}
		}
		true
	}

	/// Wants a block. Wanting it again changes nothing.
	pub fn want(&mut self, session: SessionId, cid: Cid) {
		let Some(entry) = self.sessions.get_mut(&session) else {
			return;
		};
		if !entry.wants.insert(cid) {
			return;
		}
		let want = self.wants.entry(cid).or_default();
		want.sessions.push(session);
		if want.is_idle() {
			want.queued = true;
			entry.ready.push_back(cid);
		}
	}

	/// Wants a block no more.
	pub fn cancel(&mut self, session: SessionId, cid: &Cid) {
		if let Some(entry) = self.sessions.get_mut(&session) {
			if entry.wants.remove(cid) {
				self.drop_want(session, cid);
			}
		}
	}

	/// A verified block came.
	pub fn block(&mut self, from: PeerId, cid: &Cid, len: usize, now: Instant) -> Receipt {
		let Some(peer) = self.peers.get_mut(&from) else {
			return Receipt::Unrequested;
		};
		let Some(ask) = peer.answered(cid) else {
			// A peer that said "don't have" sends the block when it gets it.
			let known = self.wants.get(cid).is_some_and(|want| want.was_asked(&from));
			return if known {
				self.resolve(from, cid, None)
			} else if peer.crossed(cid) {
				Receipt::Late
			} else {
				Receipt::Unrequested
			};
		};
		peer.lost_times = 0;
		peer.progress = Some(now);
		let elapsed = now.saturating_duration_since(ask.at);
		if ask.kind == WantKind::Block {
			peer.window.delivered(len, elapsed, peer.blocks_asked + 1, now);
		}
		if peer.blocks_asked == 0 {
			peer.window.idle();
		}
		self.resolve(from, cid, Some(elapsed))
	}

	/// Hands out a block, and withdraws what else was asked for it.
	fn resolve(&mut self, from: PeerId, cid: &Cid, elapsed: Option<Duration>) -> Receipt {
		let Some(want) = self.wants.remove(cid) else {
			return Receipt::Late;
		};
		self.withdraw(&want, cid, Some(from));
		for id in &want.sessions {
			if let Some(session) = self.sessions.get_mut(id) {
				session.wants.remove(cid);
				session.proven.insert(from);
			}
		}
		Receipt::Wanted {
			sessions: want.sessions,
			elapsed,
		}
	}

	/// A peer answered without the block. Whether it was asked.
	pub fn answer(&mut self, from: PeerId, cid: &Cid, answer: Answer, now: Instant) -> bool {
		let Some(peer) = self.peers.get_mut(&from) else {
			return false;
		};
		peer.progress = Some(now);
		let Some(want) = self.wants.get_mut(cid) else {
			return peer.answered(cid).is_some() || peer.may_answer(cid);
		};
		let asked = peer.asks.get(cid).map(|ask| ask.kind);
		match answer {
			Answer::Have => {
				// To a want for the block itself it announces the block that follows.
				if asked != Some(WantKind::Block) {
					peer.answered(cid);
					want.learn(from, Knowledge::Has);
				}
			}
			Answer::DontHave => {
				peer.answered(cid);
				let refusals = want.refusals(&from) + 1;
				let wait = self.config.wait_after(refusals);
				want.learn(
					from,
					Knowledge::Lacks {
						refusals,
						until: now + wait,
					},
				);
			}
			Answer::Later => {
				peer.answered(cid);
				peer.window.congested(now);
				let refusals = want.refusals(&from) + 1;
				let wait = self.config.wait_after(refusals) / 2;
				want.learn(
					from,
					Knowledge::Busy {
						refusals,
						until: now + wait,
					},
				);
			}
		}
		let known = asked.is_some() || want.was_asked(&from);
		self.requeue(cid);
		known
	}

	/// A peer is gone, or cannot be reached: what was asked of it is asked elsewhere.
	pub fn lost(&mut self, peer: PeerId, now: Instant) {
		let Some(lost) = self.peers.get_mut(&peer) else {
			return;
		};
		let wait = self.config.redial_after * (1 << lost.lost_times.min(6));
		lost.lost_times += 1;
		lost.away_until = Some(now + wait);
		let asks = lost.take_asks();
		for cid in asks {
			if let Some(want) = self.wants.get_mut(&cid) {
				want.forget(&peer);
				self.requeue(&cid);
			}
		}
		// What it said does not bind the next connection.
		for want in self.wants.values_mut() {
			want.forget(&peer);
		}
		self.forget_idle_peers();
	}

	/// A peer has connected: it may be asked at once.
	pub fn back(&mut self, peer: PeerId) {
		if let Some(back) = self.peers.get_mut(&peer) {
			back.away_until = None;
			self.revive();
		}
	}

	/// A peer is to be asked nothing any more, in no session.
	pub fn ban(&mut self, peer: PeerId, now: Instant) {
		for session in self.sessions.values_mut() {
			session.peers.retain(|other| *other != peer);
			session.proven.remove(&peer);
		}
		self.lost(peer, now);
	}

	/// Looks at the clock: to be called every 50 ms or so while there are sessions.
	pub fn tick(&mut self, now: Instant) -> Ticked {
		let late: Vec<_> = self
			.sessions
			.iter()
			.filter(|(_, session)| session.deadline <= now)
			.map(|(id, session)| Expired {
				session: *id,
				missing: session.wants.iter().copied().collect(),
				peers: session.peers.len(),
			})
			.collect();
		for expired in &late {
			self.close(expired.session);
		}
		let timed_out = self.time_out(now);
		while let Some(Reverse((at, cid))) = self.retries.peek().copied() {
			if at > now {
				break;
			}
			self.retries.pop();
			if let Some(want) = self.wants.get_mut(&cid).filter(|want| want.retry == Some(at)) {
				want.retry = None;
				self.requeue(&cid);
			}
		}
		self.ask_second_peers(now);
		Ticked {
			expired: late,
			timed_out,
		}
	}

	/// Asks what can be asked, and returns all that is to be sent.
	pub fn actions(&mut self, now: Instant) -> Vec<Action> {
		let ids: Vec<_> = self.sessions.keys().copied().collect();
		for id in ids {
			if self
				.sessions
				.get(&id)
				.is_some_and(|session| !session.ready.is_empty())
			{
				self.assign(id, now);
			}
		}
		std::mem::take(&mut self.actions)
	}

	/// Withdraws asks that were not answered in time. Returns the peers, and whether each had said that it
	/// has the block.
	fn time_out(&mut self, now: Instant) -> Vec<(PeerId, bool)> {
		/// All asks are looked at, as many as fit the windows, so not too often.
		const EVERY: Duration = Duration::from_millis(200);
		if self.next_look.is_some_and(|next| now < next) {
			return Vec::new();
		}
		self.next_look = Some(now + EVERY);
		let mut late = Vec::new();
		for (id, peer) in &self.peers {
			let patience = peer.window.patience();
			for (cid, ask) in &peer.asks {
				// A peer that delivers others gets to this one too, but not for ever.
				let progress = peer.progress.map_or(ask.at, |progress| progress.max(ask.at));
				if (progress + patience).min(ask.at + patience * 6) <= now {
					late.push((*id, *cid, ask.kind));
				}
			}
		}
		let mut peers = Vec::with_capacity(late.len());
		for (id, cid, kind) in late {
			if let Some(peer) = self.peers.get_mut(&id) {
				peer.answered(&cid);
				if kind == WantKind::Block {
					peer.window.timed_out(now);
				}
			}
			self.actions.push(Action::Cancel { peer: id, cid });
			let mut promised = false;
			if let Some(want) = self.wants.get_mut(&cid) {
				promised = want.knowledge(&id) == Some(Knowledge::Has);
				let refusals = want.refusals(&id) + 1;
				let until = now + self.config.wait_after(refusals);
				want.learn(id, Knowledge::Busy { refusals, until });
			}
			if kind == WantKind::Block {
				peers.push((id, promised));
			}
			self.requeue(&cid);
		}
		peers
	}

	/// Puts a want in the queues of its sessions if nobody is asked for it.
	fn requeue(&mut self, cid: &Cid) {
		let Some(want) = self.wants.get_mut(cid) else {
			return;
		};
		if !want.is_idle() || want.queued {
			return;
		}
		want.queued = true;
		for id in &want.sessions {
			if let Some(session) = self.sessions.get_mut(id) {
				// What was asked for before is further up in a file than what was not.
				session.ready.push_front(*cid);
			}
		}
	}

	/// Everything that waits for a retry is tried now.
	fn revive(&mut self) {
		for Reverse((_, cid)) in std::mem::take(&mut self.retries) {
			if let Some(want) = self.wants.get_mut(&cid) {
				want.retry = None;
			}
			self.requeue(&cid);
		}
	}

	fn drop_want(&mut self, session: SessionId, cid: &Cid) {
		let Some(want) = self.wants.get_mut(cid) else {
			return;
		};
		want.sessions.retain(|id| *id != session);
		if want.sessions.is_empty() {
			if let Some(want) = self.wants.remove(cid) {
				self.withdraw(&want, cid, None);
			}
		}
	}

	/// Tells all peers that know of a want, except the one that ended it.
	fn withdraw(&mut self, want: &Want, cid: &Cid, except: Option<PeerId>) {
		for (id, asks) in want.told() {
			let Some(peer) = self.peers.get_mut(&id) else {
				continue;
			};
			peer.answered(cid);
			if Some(id) == except {
				// One was answered with this block.
				peer.may_cross(*cid, asks.saturating_sub(1));
			} else {
				peer.may_cross(*cid, asks);
				self.actions.push(Action::Cancel { peer: id, cid: *cid });
			}
		}
	}

	/// Forgets peers that no session has, so that peers are bounded by sessions.
	fn forget_idle_peers(&mut self) {
		let used: HashSet<PeerId> = self
			.sessions
			.values()
			.flat_map(|session| session.peers.iter().copied())
			.collect();
		self.peers
			.retain(|id, peer| used.contains(id) || peer.is_waited_for());
		if self.wants.is_empty() {
			self.retries.clear();
		}
	}
}
