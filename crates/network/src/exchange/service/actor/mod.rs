//! The task that owns the engines.

mod accept;
mod arrivals;
mod inputs;
mod jobs;
mod links;

pub(super) use inputs::Input;

use super::{
	native::{Outbound, StreamError},
	Command, SessionEvent, Shared, Status,
};
use crate::{
	bitswap::{ledger::Ledgers, wire::Version},
	exchange::{
		framing::Budget,
		scheduler::{Scheduler, SessionId},
		server::{Server, StreamKey},
		wire::PROTOCOL,
	},
	metrics::ExchangeProtocol,
	peers::{Offence, Verdict},
	streams::{Event, Events},
};
use arrivals::Pass;
use cairn_dag::hash::IDENTITY;
use libp2p::PeerId;
use links::{BitswapOut, Link};
use std::{
	collections::{HashMap, HashSet},
	sync::Arc,
	time::{Duration, Instant},
};
use tokio::sync::{mpsc, Semaphore};
use tokio_util::sync::CancellationToken;

/// Messages of tasks that may wait for the actor; more make the tasks wait.
const INPUTS: usize = 256;

/// Inputs that are taken before the engines are asked what to do next.
const AT_ONCE: usize = 64;

/// How often the scheduler looks at the clock while there are sessions.
const TICK: Duration = Duration::from_millis(50);

/// One peer.
struct Peer {
	/// Ends all its tasks.
	gone: CancellationToken,
	/// Memory for what is being received of it.
	budget: Budget,
	link: Link,
	bitswap: Option<BitswapOut>,
	/// Where answers on its native streams go.
	native: HashMap<u64, mpsc::UnboundedSender<Outbound>>,
}

pub(super) struct Actor {
	shared: Arc<Shared>,
	scheduler: Scheduler,
	ledgers: Ledgers,
	server: Server,
	sessions: HashMap<SessionId, mpsc::UnboundedSender<SessionEvent>>,
	peers: HashMap<PeerId, Peer>,
	/// Peers with wants that are not in a letter or batch yet.
	dirty: HashSet<PeerId>,
	inputs: mpsc::Sender<Input>,
	received: mpsc::Receiver<Input>,
	/// Numbers streams.
	next_number: u64,
	jobs: usize,
	/// Which server has the next job.
	native_turn: bool,
	/// Over the blocks that peers wait for.
	pass: Pass,
	/// Memory for what is read for peers and not written yet.
	sending: Arc<Semaphore>,
}

impl Actor {
	pub fn new(local: &PeerId, shared: Arc<Shared>) -> Self {
		let (inputs, received) = mpsc::channel(INPUTS);
		let config = &shared.config;
		Self {
			scheduler: Scheduler::new(local, config.scheduler.clone()),
			ledgers: Ledgers::new(config.ledger.clone()),
			server: Server::new(config.server.clone()),
			sessions: HashMap::new(),
			peers: HashMap::new(),
			dirty: HashSet::new(),
			inputs,
			received,
			next_number: 0,
			jobs: 0,
			native_turn: false,
			pass: Pass::None,
			sending: Arc::new(Semaphore::new(config.send_all)),
			shared,
		}
	}

	/// Works until the last handle is dropped or the host has stopped.
	pub async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>, mut events: Events) {
		let mut next_tick = tokio::time::Instant::now() + TICK;
		loop {
			tokio::select! {
				command = commands.recv() => match command {
					Some(command) => self.on_command(command),
					None => break,
				},
				event = events.next() => match event {
					Some(event) => self.on_event(event),
					None => break,
				},
				Some(input) = self.received.recv() => self.on_input(input),
				() = tokio::time::sleep_until(next_tick) => {
					self.on_tick();
					let rest = if self.scheduler.sessions() > 0 { TICK } else { TICK * 10 };
					next_tick = tokio::time::Instant::now() + rest;
				}
			}
			for _ in 0..AT_ONCE {
				let Ok(command) = commands.try_recv() else { break };
				self.on_command(command);
			}
			for _ in 0..AT_ONCE {
				let Ok(input) = self.received.try_recv() else {
					break;
				};
				self.on_input(input);
			}
			if self.scheduler.sessions() > 0 {
				next_tick = next_tick.min(tokio::time::Instant::now() + TICK);
			}
			self.pump();
		}
		for (_, peer) in self.peers.drain() {
			peer.gone.cancel();
		}
	}

	fn on_command(&mut self, command: Command) {
		match command {
			Command::Open {
				deadline,
				events,
				reply,
			} => {
				let id = self.scheduler.open(deadline);
				self.sessions.insert(id, events);
				if reply.send(id).is_err() {
					self.close(id);
				}
			}
			Command::AddPeer(session, peer) => {
				if !self.shared.peers.is_banned(&peer) {
					self.scheduler.add_peer(session, peer);
				}
			}
			Command::Want(session, cids) => {
				// A stock node takes whoever asks it for the block of an identity CID for broken.
				for cid in cids.into_iter().filter(|cid| cid.hash().code() != IDENTITY) {
					self.scheduler.want(session, cid);
				}
			}
			Command::Cancel(session, cid) => self.scheduler.cancel(session, &cid),
			Command::Close(session) => self.close(session),
			Command::Announce(cids) => {
				self.ledgers.announce(&cids);
				self.server.announce(&cids);
			}
			Command::StoreChanged => self.store_changed(),
			Command::Status(reply) => {
				let _ = reply.send(Status {
					sessions: self.scheduler.sessions(),
					wants: self.scheduler.wants(),
					asks: self.scheduler.asks(),
					asked_peers: self.scheduler.peers(),
					bitswap_peers: self.ledgers.peers(),
					native_peers: self.server.peers(),
					jobs: self.jobs,
				});
			}
		}
	}

	fn close(&mut self, session: SessionId) {
		self.sessions.remove(&session);
		self.scheduler.close(session);
	}

	fn tell(&self, session: SessionId, event: SessionEvent) {
		if let Some(events) = self.sessions.get(&session) {
			// An error means that the session was dropped, which its own message says, too.
			let _ = events.send(event);
		}
	}

	fn on_event(&mut self, event: Event) {
		match event {
			Event::Connected(peer) => self.scheduler.back(peer),
			Event::Direct(peer) => self.relink(peer),
			Event::Disconnected(peer) => self.forget(peer),
			Event::Inbound(inbound) => {
				if self.shared.peers.is_banned(&inbound.peer) {
					return;
				}
				if inbound.protocol == PROTOCOL {
					self.accept_native(inbound);
				} else if Version::of(&inbound.protocol).is_some() {
					self.accept_bitswap(inbound);
				}
			}
		}
	}

	fn on_tick(&mut self) {
		self.measure();
		let ticked = self.scheduler.tick(Instant::now());
		for expired in ticked.expired {
			let session = expired.session;
			self.tell(session, SessionEvent::Expired(expired));
			self.sessions.remove(&session);
		}
		for (peer, promised) in ticked.timed_out {
			self.shared.peers.failed(peer);
			if promised {
				self.strike(peer, Offence::BrokenPromise);
			}
		}
	}

	fn strike(&mut self, peer: PeerId, offence: Offence) {
		if self.shared.peers.strike(peer, offence) == Verdict::Banned {
			self.scheduler.ban(peer, Instant::now());
			self.forget(peer);
		}
	}

	/// Ends everything with a peer.
	fn forget(&mut self, peer: PeerId) {
		if let Some(state) = self.peers.remove(&peer) {
			state.gone.cancel();
			for number in state.native.keys() {
				self.server.close(StreamKey {
					peer,
					number: *number,
				});
			}
		}
		self.dirty.remove(&peer);
		self.ledgers.remove(&peer);
		self.scheduler.lost(peer, Instant::now());
	}

	fn peer(&mut self, peer: PeerId) -> &mut Peer {
		let shared = &self.shared;
		self.peers.entry(peer).or_insert_with(|| Peer {
			gone: CancellationToken::new(),
			budget: shared.receiving.of_peer(shared.config.receive_peer),
			link: Link::None,
			bitswap: None,
			native: HashMap::new(),
		})
	}

	fn number(&mut self) -> u64 {
		self.next_number += 1;
		self.next_number
	}

	/// Does what the engines want done.
	fn pump(&mut self) {
		for action in self.scheduler.actions(Instant::now()) {
			self.act(action);
		}
		for peer in std::mem::take(&mut self.dirty) {
			self.send_wants(peer);
		}
		self.start_jobs();
	}

	/// Counts what is wanted of others and of this node.
	fn measure(&self) {
		let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
		let (mut native, mut bitswap) = (0, 0);
		for (id, peer) in &self.peers {
			match peer.link {
				Link::Native(_) => native += self.scheduler.asks_of(id),
				Link::Bitswap => bitswap += self.scheduler.asks_of(id),
				Link::None | Link::Opening { .. } => {}
			}
		}
		let metrics = &self.shared.metrics;
		for (protocol, wants, peer_wants) in [
			(ExchangeProtocol::Cairn, native, self.server.wants()),
			(ExchangeProtocol::Bitswap, bitswap, self.ledgers.wants()),
		] {
			metrics
				.wants
				.with_label_values(&[protocol.name()])
				.set(gauge(wants));
			metrics
				.peer_wants
				.with_label_values(&[protocol.name()])
				.set(gauge(peer_wants));
		}
	}
}

/// Logs how a stream ended, and says what its peer did wrong.
fn log_end(peer: &PeerId, ended: Result<(), StreamError>) -> Option<Offence> {
	let error = ended.err()?;
	tracing::debug!(%peer, %error, "a stream ended");
	error.offence()
}
