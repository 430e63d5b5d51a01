//! The task that owns the engines.

mod jobs;
mod links;

use super::{
	bitswap,
	native::{self, Outbound, StreamError},
	Command, SessionEvent, Shared, Status,
};
use crate::{
	bitswap::{
		ledger::{Found as LedgerFound, Ledgers, Received},
		wire::{Message, Version},
	},
	exchange::{
		framing::{Budget, Share},
		scheduler::{Receipt, Scheduler, SessionId},
		server::{Found as ServerFound, Server, StreamKey},
		wire::{Answer, CloseReason, Id, Request, PROTOCOL},
	},
	metrics::ExchangeProtocol,
	peers::{Offence, Verdict},
	streams::{Event, Events, Inbound, Opened},
};
use cairn_dag::{hash::IDENTITY, Block, Cid};
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

/// What tasks tell the actor.
pub(super) enum Input {
	/// A Bitswap message came. Its blocks are hashed and taken out of it; those refused have CIDs that
	/// cannot be trusted.
	BitswapMessage {
		peer: PeerId,
		message: Message,
		blocks: Vec<Block>,
		refused: usize,
		share: Share,
	},
	/// A Bitswap message was written.
	BitswapWritten { peer: PeerId, answers: bool },
	/// No Bitswap messages can be written any more.
	BitswapLost { peer: PeerId, number: u64 },
	/// A stream to ask a peer on is open, or cannot be.
	Linked {
		peer: PeerId,
		number: u64,
		opened: Option<Opened>,
	},
	/// A stream that a peer was asked on is gone.
	LinkLost {
		peer: PeerId,
		number: u64,
		offence: Option<Offence>,
	},
	/// A block that a peer was asked for on a native stream, verified.
	NativeBlock {
		peer: PeerId,
		link: u64,
		id: Id,
		block: Block,
		/// Held until the block is handed over.
		share: Share,
	},
	/// Answers without blocks.
	NativeAnswers {
		peer: PeerId,
		link: u64,
		answers: Vec<(Id, Cid, Answer)>,
	},
	/// A request came.
	NativeRequest {
		key: StreamKey,
		request: Request,
		share: Share,
	},
	/// Answers were written.
	NativeWritten(StreamKey),
	/// A stream that a peer opened is gone.
	NativeClosed {
		key: StreamKey,
		offence: Option<Offence>,
	},
	/// A peer did what it may not.
	Offence(PeerId, Offence),
	/// The store was read.
	LedgerFound(LedgerFound),
	/// The store was read.
	ServerFound(ServerFound),
}

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
	/// Memory for what is read for peers and not written yet.
	sending: Arc<Semaphore>,
}

impl Actor {
	pub fn new(shared: Arc<Shared>) -> Self {
		let (inputs, received) = mpsc::channel(INPUTS);
		let config = &shared.config;
		Self {
			scheduler: Scheduler::new(config.scheduler.clone()),
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
			Command::Announce(cids) => self.ledgers.announce(&cids),
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

	fn accept_bitswap(&mut self, inbound: Inbound) {
		let (peer, inputs, shared) = (inbound.peer, self.inputs.clone(), self.shared.clone());
		let state = self.peer(peer);
		let (gone, budget) = (state.gone.clone(), state.budget.clone());
		tokio::spawn(async move {
			let reading = bitswap::read(inbound, budget, inputs.clone(), shared);
			let read = tokio::select! {
				() = gone.cancelled() => return,
				read = reading => read,
			};
			if let Err(error) = read {
				tracing::debug!(%peer, %error, "a Bitswap stream ended");
				if let Some(offence) = error.offence() {
					let _ = inputs.send(Input::Offence(peer, offence)).await;
				}
			}
		});
	}

	fn accept_native(&mut self, inbound: Inbound) {
		let Inbound {
			peer, stream, permit, ..
		} = inbound;
		let key = StreamKey {
			peer,
			number: self.number(),
		};
		if !self.server.open(key) {
			tracing::debug!(%peer, "too many native streams, one is reset");
			return;
		}
		let (inputs, shared) = (self.inputs.clone(), self.shared.clone());
		let (answers, outbound) = mpsc::unbounded_channel();
		let state = self.peer(peer);
		state.native.insert(key.number, answers);
		let (gone, budget) = (state.gone.clone(), state.budget.clone());
		tokio::spawn(async move {
			let (reader, writer) = native::split(stream);
			let stall = shared.config.stall;
			let reading = native::read_requests(key, reader, budget, inputs.clone(), shared);
			let writing = native::write_answers(key, writer, outbound, inputs.clone(), stall);
			let ended = native::run_halves(reading, writing, gone).await;
			let offence = log_end(&peer, ended);
			drop(permit);
			let _ = inputs.send(Input::NativeClosed { key, offence }).await;
		});
	}

	fn on_input(&mut self, input: Input) {
		match input {
			Input::BitswapMessage {
				peer,
				message,
				blocks,
				refused,
				share,
			} => {
				self.on_bitswap(peer, message, blocks, refused);
				drop(share);
			}
			Input::BitswapWritten { peer, answers } => {
				if answers {
					self.ledgers.sent(peer);
				} else if let Some(out) = self.peers.get_mut(&peer).and_then(|peer| peer.bitswap.as_mut()) {
					out.writing = false;
					self.dirty.insert(peer);
				}
			}
			Input::BitswapLost { peer, number } => self.bitswap_lost(peer, number),
			Input::Linked { peer, number, opened } => self.linked(peer, number, opened),
			Input::LinkLost {
				peer,
				number,
				offence,
			} => {
				if let Some(offence) = offence {
					self.strike(peer, offence);
				}
				let state = self.peers.get_mut(&peer);
				if let Some(state) =
					state.filter(|state| matches!(&state.link, Link::Native(link) if link.number == number))
				{
					state.link = Link::None;
					self.scheduler.lost(peer, Instant::now());
				}
			}
			Input::NativeBlock {
				peer,
				link,
				id,
				block,
				share,
			} => {
				self.native_answered(peer, link, id, block.cid());
				self.on_block(peer, block, ExchangeProtocol::Cairn);
				drop(share);
			}
			Input::NativeAnswers { peer, link, answers } => {
				let now = Instant::now();
				for (id, cid, answer) in answers {
					self.native_answered(peer, link, id, &cid);
					self.scheduler.answer(peer, &cid, answer, now);
				}
			}
			Input::NativeRequest { key, request, share } => {
				drop(share);
				if let Err(violation) = self.server.receive(key, request) {
					self.answer(
						key,
						Outbound::Close(CloseReason::Violation, violation.to_string()),
					);
					self.server.close(key);
					if let Some(offence) = StreamError::from(violation).offence() {
						self.strike(key.peer, offence);
					}
				}
			}
			Input::NativeWritten(key) => self.server.sent(key),
			Input::NativeClosed { key, offence } => {
				self.server.close(key);
				if let Some(peer) = self.peers.get_mut(&key.peer) {
					peer.native.remove(&key.number);
				}
				if let Some(offence) = offence {
					self.strike(key.peer, offence);
				}
			}
			Input::Offence(peer, offence) => self.strike(peer, offence),
			Input::LedgerFound(found) => self.ledger_found(found),
			Input::ServerFound(found) => self.server_found(found),
		}
	}

	fn on_bitswap(&mut self, peer: PeerId, message: Message, blocks: Vec<Block>, refused: usize) {
		if self.shared.peers.is_banned(&peer) {
			return;
		}
		for _ in 0..refused {
			self.strike(peer, Offence::Unrequested);
		}
		let bytes = blocks.iter().map(|block| block.data().len() as u64).sum();
		self.ledgers.received_data(peer, bytes);
		for block in blocks {
			self.on_block(peer, block, ExchangeProtocol::Bitswap);
		}
		let now = Instant::now();
		for presence in message.presences {
			let answer = if presence.have {
				Answer::Have
			} else {
				Answer::DontHave
			};
			self.scheduler.answer(peer, &presence.cid, answer, now);
		}
		// The peer may be banned by now.
		if self.peers.contains_key(&peer) {
			match self.ledgers.receive(peer, message.wants) {
				Received::Accepted => {}
				Received::Flood => self.strike(peer, Offence::Flood),
				Received::Broken => self.strike(peer, Offence::Malformed),
			}
		}
	}

	fn on_block(&mut self, peer: PeerId, block: Block, protocol: ExchangeProtocol) {
		let len = block.data().len();
		match self.scheduler.block(peer, block.cid(), len, Instant::now()) {
			Receipt::Wanted { sessions, elapsed } => {
				let labels = [protocol.name(), "in"];
				self.shared.metrics.blocks.with_label_values(&labels).inc();
				self.shared
					.metrics
					.block_bytes
					.with_label_values(&labels)
					.inc_by(len as u64);
				if let Some(elapsed) = elapsed {
					self.shared.peers.delivered(peer, len as u64, elapsed);
				}
				for session in sessions {
					self.tell(
						session,
						SessionEvent::Block {
							block: block.clone(),
							from: peer,
						},
					);
				}
			}
			Receipt::Late => {}
			// In Bitswap a block's CID is computed from its bytes: a wrong block for what was asked is one that
			// nobody asked for.
			Receipt::Unrequested if self.scheduler.asks_of(&peer) > 0 => self.strike(peer, Offence::BadBlock),
			Receipt::Unrequested => self.strike(peer, Offence::Unrequested),
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
