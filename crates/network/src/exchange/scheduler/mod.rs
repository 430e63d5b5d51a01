//! Which block to ask of whom: the requesting side of both protocols, without any I/O.
//!
//! A session is what one caller wants, of which peers, until when. The [`Scheduler`] asks one peer
//! for each block. It asks elsewhere when the answer is no, when there is none in time and when the peer
//! is gone; asks a second peer for the last blocks of a session; and withdraws what it asked once a block
//! is there or nobody wants it any more. Each peer has a [`Window`]. What did not work is tried again
//! after a while, until the session's deadline.
//!
//! # Swarms
//!
//! When several nodes fetch one dataset at once, those that have all of it should send each block about
//! once, and the others pass it on. For that:
//! - Peers that do not have everything are asked beforehand which wants they have ([`WantKind::Have`]), and
//!   a peer that has not says so when it gets one: both protocols let "have" follow "don't have".
//! - Of two peers that have a block, the one that once lacked something is asked rather than the one that
//!   has had everything so far, unless it would take several times as long
//!   ([`Config::source_weight`]).
//! - What only the latter have is divided: each block belongs to one of the nodes by a hash of both names
//!   (rendezvous hashing), on which all nodes agree without a word. A node asks for its own blocks first,
//!   and leaves another's to it for a while ([`Config::defer_for`]) if that one has lately got blocks that
//!   this node lacks. So a node that goes away or fetches nothing delays nobody for long.
//!
//! Time comes in as arguments, what to send goes out as [`Action`]s. Blocks are verified before they get
//! here. The same calls have the same actions.
//!
//! Memory: what is kept is proportional to the wants of the sessions, times the peers of a session (at
//! most [`Config::max_session_peers`]).

mod assign;
mod outcome;
mod peer;
mod session;
mod want;
mod window;

pub use window::{Limits, Window};

use super::wire::WantKind;
use cairn_dag::Cid;
use libp2p::PeerId;
use peer::Peer;
use session::{Member, Session};
use std::{
	cmp::Reverse,
	collections::{BTreeMap, BinaryHeap, HashMap},
	time::{Duration, Instant},
};
use want::Want;

/// Names a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

/// Choices of a [`Scheduler`].
#[derive(Clone, Debug)]
pub struct Config {
	/// Bounds of each peer's window. 1,024 blocks, 16 MiB.
	pub window: Limits,
	/// Peers of which nothing is known yet that are asked at a time what they have. 3.
	pub probes: usize,
	/// Peers of a session; further ones are ignored. 64.
	pub max_session_peers: usize,
	/// How many times as long a peer that once lacked something may take, to be asked before one that has
	/// had everything. 4.
	pub source_weight: f64,
	/// How long a block is left to another peer of a swarm, if the peer to get it from takes no longer to
	/// deliver. 500 ms.
	pub defer_for: Duration,
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
			source_weight: 8.0,
			defer_for: Duration::from_millis(500),
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

/// Decides what is asked of whom. See the module.
pub struct Scheduler {
	config: Config,
	/// This node's place among those that share blocks out.
	place: u64,
	sessions: BTreeMap<SessionId, Session>,
	next_session: u64,
	wants: HashMap<Cid, Want>,
	peers: HashMap<PeerId, Peer>,
	/// When to try a want again for which nobody could be asked.
	retries: BinaryHeap<Reverse<(Instant, Cid)>>,
	actions: Vec<Action>,
	/// When to look next for asks that were not answered.
	next_look: Option<Instant>,
	/// Whether a peer may be asked for more than before.
	freed: bool,
	/// Priority of the next ask: earlier is sooner.
	priority: i32,
}

impl Scheduler {
	/// Without sessions, for the node of this name.
	pub fn new(local: &PeerId, config: Config) -> Self {
		Self {
			config,
			place: session::place_of(local),
			sessions: BTreeMap::new(),
			next_session: 0,
			wants: HashMap::new(),
			peers: HashMap::new(),
			retries: BinaryHeap::new(),
			actions: Vec::new(),
			next_look: None,
			freed: false,
			priority: i32::MAX,
		}
	}

	/// Opens a session, which [`tick`](Self::tick) closes at its deadline.
	pub fn open(&mut self, deadline: Instant) -> SessionId {
		let id = SessionId(self.next_session);
		self.next_session += 1;
		self.sessions.insert(id, Session::new(deadline));
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
		if session.member(&peer).is_some() || session.members.len() >= self.config.max_session_peers {
			return false;
		}
		session.add(Member::new(peer));
		self.peers
			.entry(peer)
			.or_insert_with(|| Peer::new(self.config.window));
		// What waits for a retry has a new chance.
		session.stirred = true;
		for cid in &session.wants {
			if let Some(want) = self.wants.get_mut(cid) {
				if want.is_idle() && !want.stands_in_a_queue() {
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
		if !entry.want(cid) {
			return;
		}
		let want = self.wants.entry(cid).or_default();
		want.sessions.push(session);
		if want.is_idle() {
			want.queued = true;
			entry.push_back(cid);
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

	/// Looks at the clock: to be called every 50 ms or so while there are sessions.
	pub fn tick(&mut self, now: Instant) -> Ticked {
		let late: Vec<_> = self
			.sessions
			.iter()
			.filter(|(_, session)| session.deadline <= now)
			.map(|(id, session)| Expired {
				session: *id,
				missing: session.wants.iter().copied().collect(),
				peers: session.members.len(),
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
		// Peers that were away may not be any more.
		self.freed = true;
		Ticked {
			expired: late,
			timed_out,
		}
	}

	/// Asks what can be asked, and returns all that is to be sent.
	pub fn actions(&mut self, now: Instant) -> Vec<Action> {
		let ids: Vec<_> = self.sessions.keys().copied().collect();
		for id in ids {
			if let Some(session) = self.sessions.get_mut(&id) {
				session.stirred |= self.freed;
			}
			self.assign(id, now);
			self.inquire(id, now);
		}
		self.freed = false;
		std::mem::take(&mut self.actions)
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
			self.freed = true;
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
		let sessions = &self.sessions;
		self.peers.retain(|id, peer| {
			peer.is_waited_for() || sessions.values().any(|session| session.member(id).is_some())
		});
		if self.wants.is_empty() {
			self.retries.clear();
		}
	}
}
