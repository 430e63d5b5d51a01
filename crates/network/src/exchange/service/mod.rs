//! Both protocols at work on a host's streams.
//!
//! One task ([`actor`]) owns the engines: the [scheduler](super::scheduler) of what this node wants, the
//! [ledgers](crate::bitswap::ledger) of Bitswap and the [server](super::server) of the native exchange. It
//! never waits for a peer or the disk. Around it:
//! - a task per stream reads frames, checks blocks (large ones on a blocking thread) and passes them on
//!   through one bounded queue: when the engines are busy, streams are read no further;
//! - a task per stream or peer writes what it is given, at most two answers at a time, so a slow peer
//!   holds little;
//! - a few blocking threads read the store for peers.
//!
//! Which protocol a peer is asked in is settled when the first stream to it is opened: native if it
//! speaks it, else the newest Bitswap. Streams that make no progress for [`Config::stall`] are given up.
//!
//! Everything ends when the last [`Exchange`] is dropped.

mod actor;
mod asked;
mod assembly;
mod bitswap;
mod native;
mod range;

pub(super) use range::RangeWatch;
pub use range::{RangeError, RangeFetched};

use super::{
	framing::Budget,
	scheduler::{self, Expired, SessionId},
	server,
	wire::{Range, PROTOCOL},
};
use crate::{
	bitswap::{ledger, wire::Version},
	blocks::BlockStore,
	host::{Host, HostConfig, HostParts, StartError},
	metrics::Metrics,
	peers::Peers,
	streams,
};
use cairn_dag::{Block, Cid};
use libp2p::{PeerId, StreamProtocol};
use std::{
	sync::Arc,
	time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// Choices of the exchange.
#[derive(Clone, Debug)]
pub struct Config {
	/// Whether to speak the native protocol. Default true.
	pub native: bool,
	/// Whether to speak Bitswap. Default true.
	pub bitswap: bool,
	/// The requesting side.
	pub scheduler: scheduler::Config,
	/// The serving side of Bitswap.
	pub ledger: ledger::Config,
	/// The serving side of the native protocol.
	pub server: server::Config,
	/// Memory for what is being received, of all peers together. 128 MiB.
	pub receive_all: usize,
	/// Memory for what is being received of one peer. 12 MiB: three of the largest messages.
	pub receive_peer: usize,
	/// Memory for what is read from the store and not yet written to peers, about. 128 MiB.
	pub send_all: usize,
	/// Reads of the store for peers at a time. 8.
	pub jobs: usize,
	/// How long a stream may make no progress while it has something to read or write. 20 s.
	pub stall: Duration,
	/// How long an unused stream for Bitswap messages is kept. 3 s: helia drops those that rest for 10 s.
	pub rest: Duration,
}

impl Default for Config {
	fn default() -> Self {
		Self {
			native: true,
			bitswap: true,
			scheduler: scheduler::Config::default(),
			ledger: ledger::Config::default(),
			server: server::Config::default(),
			receive_all: 128 << 20,
			receive_peer: 12 << 20,
			send_all: 128 << 20,
			jobs: 8,
			stall: Duration::from_secs(20),
			rest: Duration::from_secs(3),
		}
	}
}

impl Config {
	/// The protocols to accept streams of, for [`streams::Behaviour::new`]; also the order in which they
	/// are offered.
	pub fn protocols(&self) -> Vec<StreamProtocol> {
		let native = self.native.then_some(PROTOCOL);
		let bitswap = self.bitswap.then(Version::protocols).into_iter().flatten();
		native.into_iter().chain(bitswap).collect()
	}
}

/// A handle of the exchange at work.
#[derive(Clone)]
pub struct Exchange {
	commands: mpsc::UnboundedSender<Command>,
	shared: Arc<Shared>,
}

/// What tasks have in common.
struct Shared {
	config: Config,
	control: streams::Control,
	peers: Peers,
	metrics: Metrics,
	store: Arc<dyn BlockStore>,
	receiving: Budget,
}

/// What the handles ask of the task. Unbounded, because each is sent by someone who then waits, except
/// those that make the task do less.
enum Command {
	Open {
		deadline: Instant,
		events: mpsc::UnboundedSender<SessionEvent>,
		reply: oneshot::Sender<SessionId>,
	},
	AddPeer(SessionId, PeerId),
	Want(SessionId, Vec<Cid>),
	Cancel(SessionId, Cid),
	Close(SessionId),
	Announce(Vec<Cid>),
	StoreChanged,
	Status(oneshot::Sender<Status>),
}

/// What a session is told.
#[derive(Debug)]
pub enum SessionEvent {
	/// A block that it wants, verified.
	Block {
		/// The block.
		block: Block,
		/// Who sent it.
		from: PeerId,
	},
	/// Its deadline has come.
	Expired(Expired),
}

/// What the exchange holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
	/// Open sessions.
	pub sessions: usize,
	/// Blocks wanted of others.
	pub wants: usize,
	/// Answers waited for, of all peers.
	pub asks: usize,
	/// Peers that sessions have.
	pub asked_peers: usize,
	/// Peers that have or had Bitswap wants here since they connected.
	pub bitswap_peers: usize,
	/// Peers with native streams here.
	pub native_peers: usize,
	/// Pieces of work under way for peers.
	pub jobs: usize,
}

impl Exchange {
	/// Starts a host, and the exchange on its streams; they share what they know of peers and what they count.
	///
	/// # Errors
	/// As [`Host::start`]. Nothing runs then.
	pub async fn with_host(
		host: HostConfig,
		parts: HostParts,
		store: Arc<dyn BlockStore>,
		config: Config,
	) -> Result<(Host, Self), StartError> {
		let (behaviour, control, events) = streams::Behaviour::new(config.protocols());
		let host = Host::start_with(host, parts, Some(behaviour)).await?;
		let (peers, metrics) = (host.peers().clone(), host.metrics().clone());
		let local = host.peer_id();
		let exchange = Self::start(local, (control, events), store, peers, metrics, config);
		Ok((host, exchange))
	}

	/// Starts the exchange on the streams of the host `local`, on the current tokio runtime.
	pub fn start(
		local: PeerId,
		streams: (streams::Control, streams::Events),
		store: Arc<dyn BlockStore>,
		peers: Peers,
		metrics: Metrics,
		config: Config,
	) -> Self {
		let (control, events) = streams;
		let shared = Arc::new(Shared {
			receiving: Budget::new(config.receive_all),
			config,
			control,
			peers,
			metrics,
			store,
		});
		let (commands, received) = mpsc::unbounded_channel();
		tokio::spawn(actor::Actor::new(&local, shared.clone()).run(received, events));
		Self { commands, shared }
	}

	/// Opens a session: blocks wanted until a deadline, of peers that are added to it.
	///
	/// # Errors
	/// [`Stopped`].
	pub async fn session(&self, deadline: Instant) -> Result<Session, Stopped> {
		let (events, received) = mpsc::unbounded_channel();
		let (reply, opened) = oneshot::channel();
		self.send(Command::Open {
			deadline,
			events,
			reply,
		})?;
		Ok(Session {
			id: opened.await.map_err(|_| Stopped)?,
			exchange: self.clone(),
			events: received,
		})
	}

	/// Fetches a range of one peer that speaks the native protocol into the store: all its blocks, also
	/// those that are in the store already. Stops when it is dropped.
	///
	/// # Errors
	/// [`RangeError`]. What came before is in the store.
	pub async fn range(
		&self,
		peer: PeerId,
		range: Range,
		deadline: Instant,
	) -> Result<RangeFetched, RangeError> {
		let watch = RangeWatch::default();
		let (result, fetched) = self.range_in_part(peer, range, deadline, &watch).await;
		result.map(|()| fetched)
	}

	/// As [`range`](Self::range), under watch. Says also what came of a range that was not fetched to its end.
	pub(super) async fn range_in_part(
		&self,
		peer: PeerId,
		range: Range,
		deadline: Instant,
		watch: &RangeWatch,
	) -> (Result<(), RangeError>, RangeFetched) {
		let ended = range::fetch(&self.shared, peer, range, deadline, watch).await;
		self.announce(ended.came);
		(ended.result, ended.fetched)
	}

	/// Says that these blocks have come to the store, for peers that wait for them. Who cannot name them, or has very
	/// many, says [`store_changed`](Self::store_changed) instead.
	pub fn announce(&self, cids: Vec<Cid>) {
		// An error means that the exchange has stopped, and no peer waits any more.
		let _ = self.send(Command::Announce(cids));
	}

	/// Says that blocks may have come to the store, without naming them: those that peers wait for are looked up, and
	/// whoever waits for one that is here now is told. It is for blocks that come otherwise than by the exchange, and
	/// takes a lookup for each block that is waited for, however many came. Said again before that is done, it is done
	/// once more.
	///
	/// # Errors
	/// [`Stopped`].
	pub fn store_changed(&self) -> Result<(), Stopped> {
		self.send(Command::StoreChanged)
	}

	/// What the exchange holds now.
	///
	/// # Errors
	/// [`Stopped`].
	pub async fn status(&self) -> Result<Status, Stopped> {
		let (reply, status) = oneshot::channel();
		self.send(Command::Status(reply))?;
		status.await.map_err(|_| Stopped)
	}

	/// The store that peers are served from.
	pub fn store(&self) -> &Arc<dyn BlockStore> {
		&self.shared.store
	}

	/// Strikes and bans of peers.
	pub fn peers(&self) -> &Peers {
		&self.shared.peers
	}

	fn send(&self, command: Command) -> Result<(), Stopped> {
		self.commands.send(command).map_err(|_| Stopped)
	}
}

/// Blocks wanted of some peers, until a deadline. Dropping it withdraws what is still wanted.
///
/// Holds the blocks that came until they are taken with [`next`](Self::next): as many as are wanted at a
/// time, so whoever wants few at a time has few in memory.
pub struct Session {
	id: SessionId,
	exchange: Exchange,
	events: mpsc::UnboundedReceiver<SessionEvent>,
}

impl Session {
	/// Adds a peer to ask. Banned ones, and more than the session may have, are ignored.
	pub fn add_peer(&self, peer: PeerId) {
		self.peers().add(peer);
	}

	/// A handle that adds peers while the session is used elsewhere.
	pub fn peers(&self) -> SessionPeers {
		SessionPeers {
			id: self.id,
			exchange: self.exchange.clone(),
		}
	}

	/// Wants blocks. Those wanted already are not wanted twice, and identity CIDs, which hold their blocks,
	/// are ignored.
	pub fn want(&self, cids: Vec<Cid>) {
		let _ = self.exchange.send(Command::Want(self.id, cids));
	}

	/// Wants a block no more.
	pub fn cancel(&self, cid: Cid) {
		let _ = self.exchange.send(Command::Cancel(self.id, cid));
	}

	/// The next block, or the end of the session; `None` after that, or if the exchange has stopped.
	pub async fn next(&mut self) -> Option<SessionEvent> {
		self.events.recv().await
	}

	/// The next block if there is one now.
	pub fn try_next(&mut self) -> Option<SessionEvent> {
		self.events.try_recv().ok()
	}

	/// As [`next`](Self::next), for blocking threads.
	pub fn blocking_next(&mut self) -> Option<SessionEvent> {
		self.events.blocking_recv()
	}
}

impl Drop for Session {
	fn drop(&mut self) {
		let _ = self.exchange.send(Command::Close(self.id));
	}
}

/// Adds peers to a [`Session`].
#[derive(Clone)]
pub struct SessionPeers {
	id: SessionId,
	exchange: Exchange,
}

impl SessionPeers {
	/// As [`Session::add_peer`].
	pub fn add(&self, peer: PeerId) {
		let _ = self.exchange.send(Command::AddPeer(self.id, peer));
	}
}

/// The exchange has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the block exchange has stopped")]
pub struct Stopped;
