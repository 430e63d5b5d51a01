//! The task that owns the engines.

use super::{
	bitswap::{self, Letter},
	native::{self, Asked, Outbound, StreamError},
	Command, SessionEvent, Shared, Status,
};
use crate::{
	bitswap::{
		ledger::{Found as LedgerFound, Ledgers, Received},
		wire::{want_len, Message, Outgoing, Version, Want, WantKind as BitswapKind, MAX_MESSAGE},
	},
	exchange::{
		framing::{Budget, Share},
		scheduler::{Action, Receipt, Scheduler, SessionId},
		server::{Found as ServerFound, Server, StreamKey},
		wire::{Answer, CloseReason, Id, Request, WantKind, MAX_CIDS, PROTOCOL},
	},
	metrics::ExchangeProtocol,
	peers::{Offence, Verdict},
	streams::{Event, Events, Inbound, Opened},
};
use cairn_dag::{hash::IDENTITY, Block, Cid};
use libp2p::PeerId;
use std::{
	collections::{HashMap, HashSet},
	sync::Arc,
	time::{Duration, Instant},
};
use tokio::sync::{mpsc, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Messages of tasks that may wait for the actor; more make the tasks wait.
const INPUTS: usize = 256;

/// Inputs that are taken before the engines are asked what to do next.
const AT_ONCE: usize = 64;

/// How often the scheduler looks at the clock while there are sessions.
const TICK: Duration = Duration::from_millis(50);

/// Bytes of wants in one Bitswap message.
const WANTS_LEN: usize = 256 << 10;

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

/// How a peer is asked.
enum Link {
	/// It was not, or cannot be at the moment.
	None,
	/// A stream is being opened; what was asked meanwhile.
	Opening { number: u64, asks: Vec<Action> },
	/// On a native stream.
	Native(NativeLink),
	/// In Bitswap.
	Bitswap,
}

struct NativeLink {
	number: u64,
	requests: mpsc::UnboundedSender<Vec<Request>>,
	asked: Asked,
	/// The number of each ask that is not answered.
	ids: HashMap<Cid, Id>,
	next_id: Id,
	/// Not sent yet.
	batch: Vec<Request>,
}

/// Bitswap messages to a peer.
struct BitswapOut {
	number: u64,
	letters: mpsc::UnboundedSender<Letter>,
	/// Wants that are not in a letter yet.
	wants: Vec<Want>,
	cancels: HashSet<Cid>,
	/// Letters with wants that are not written yet. One at a time: what comes meanwhile joins the next.
	writing: bool,
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

	fn act(&mut self, action: Action) {
		let (Action::Ask { peer, .. } | Action::Cancel { peer, .. }) = action;
		if matches!(action, Action::Cancel { .. }) && !self.peers.contains_key(&peer) {
			return;
		}
		let state = self.peer(peer);
		match &mut state.link {
			Link::Opening { asks, .. } => asks.push(action),
			Link::Native(link) => {
				link.act(action);
				self.dirty.insert(peer);
			}
			Link::Bitswap => {
				if let Some(out) = &mut state.bitswap {
					out.act(action);
					self.dirty.insert(peer);
				}
			}
			Link::None if matches!(action, Action::Ask { .. }) => self.open_link(peer, action),
			Link::None => {}
		}
	}

	fn open_link(&mut self, peer: PeerId, ask: Action) {
		let number = self.number();
		let (inputs, shared) = (self.inputs.clone(), self.shared.clone());
		let state = self.peer(peer);
		state.link = Link::Opening {
			number,
			asks: vec![ask],
		};
		let gone = state.gone.clone();
		tokio::spawn(async move {
			let protocols = shared.config.protocols();
			let opened = tokio::select! {
				() = gone.cancelled() => return,
				opened = tokio::time::timeout(shared.config.stall, shared.control.open(peer, &protocols)) => opened,
			};
			let opened = match opened {
				Ok(Ok(opened)) => Some(opened),
				Ok(Err(error)) => {
					tracing::debug!(%peer, %error, "the peer cannot be asked");
					None
				}
				Err(_) => None,
			};
			let _ = inputs.send(Input::Linked { peer, number, opened }).await;
		});
	}

	fn linked(&mut self, peer: PeerId, number: u64, opened: Option<Opened>) {
		let Some(state) = self.peers.get_mut(&peer) else {
			return;
		};
		let asks = match &mut state.link {
			Link::Opening { number: own, asks } if *own == number => std::mem::take(asks),
			_ => return,
		};
		state.link = Link::None;
		let Some(opened) = opened else {
			self.shared.peers.failed(peer);
			self.scheduler.lost(peer, Instant::now());
			// Of a peer without a connection nothing else tells that it is gone.
			if self
				.peers
				.get(&peer)
				.is_some_and(|state| state.bitswap.is_none() && state.native.is_empty())
			{
				self.peers.remove(&peer);
				self.dirty.remove(&peer);
			}
			return;
		};
		if opened.1 == PROTOCOL {
			self.link_native(peer, opened);
		} else {
			self.bitswap_out(peer, Some(opened));
			self.peer(peer).link = Link::Bitswap;
		}
		for ask in asks {
			self.act(ask);
		}
	}

	fn link_native(&mut self, peer: PeerId, (stream, _): Opened) {
		let number = self.number();
		let (inputs, shared) = (self.inputs.clone(), self.shared.clone());
		let (requests, outgoing) = mpsc::unbounded_channel();
		let asked = Asked::default();
		let state = self.peer(peer);
		state.link = Link::Native(NativeLink {
			number,
			requests,
			asked: asked.clone(),
			ids: HashMap::new(),
			next_id: 0,
			batch: Vec::new(),
		});
		let (gone, budget) = (state.gone.clone(), state.budget.clone());
		tokio::spawn(async move {
			let (reader, writer) = native::split(stream);
			let stall = shared.config.stall;
			let reading = native::read_answers(peer, number, reader, asked, budget, inputs.clone(), shared);
			let writing = native::write_requests(writer, outgoing, stall);
			let ended = native::run_halves(reading, writing, gone).await;
			let offence = log_end(&peer, ended);
			let _ = inputs
				.send(Input::LinkLost {
					peer,
					number,
					offence,
				})
				.await;
		});
	}

	/// The writer of Bitswap messages to a peer, which is started if there is none.
	fn bitswap_out(&mut self, peer: PeerId, first: Option<Opened>) -> &mut BitswapOut {
		let number = self.number();
		let (inputs, shared) = (self.inputs.clone(), self.shared.clone());
		let state = self.peer(peer);
		let gone = state.gone.clone();
		state.bitswap.get_or_insert_with(|| {
			let (letters, outgoing) = mpsc::unbounded_channel();
			tokio::spawn(async move {
				let writing = bitswap::write_letters(peer, first, outgoing, inputs.clone(), shared);
				let ended = tokio::select! {
					() = gone.cancelled() => return,
					ended = writing => ended,
				};
				log_end(&peer, ended);
				let _ = inputs.send(Input::BitswapLost { peer, number }).await;
			});
			BitswapOut {
				number,
				letters,
				wants: Vec::new(),
				cancels: HashSet::new(),
				writing: false,
			}
		})
	}

	/// A peer cannot be written to: what it wants cannot be answered, what it was asked will not be.
	fn bitswap_lost(&mut self, peer: PeerId, number: u64) {
		let Some(state) = self.peers.get_mut(&peer) else {
			return;
		};
		if state.bitswap.as_ref().is_none_or(|out| out.number != number) {
			return;
		}
		state.bitswap = None;
		if matches!(state.link, Link::Bitswap) {
			state.link = Link::None;
			self.scheduler.lost(peer, Instant::now());
		}
		self.ledgers.remove(&peer);
		self.shared.peers.failed(peer);
	}

	fn native_answered(&mut self, peer: PeerId, number: u64, id: Id, cid: &Cid) {
		let Some(state) = self.peers.get_mut(&peer) else {
			return;
		};
		if let Link::Native(link) = &mut state.link {
			if link.number == number && link.ids.get(cid) == Some(&id) {
				link.ids.remove(cid);
			}
		}
	}

	/// Sends a peer what it is to be asked.
	fn send_wants(&mut self, peer: PeerId) {
		let Some(state) = self.peers.get_mut(&peer) else {
			return;
		};
		if let Link::Native(link) = &mut state.link {
			let batch = std::mem::take(&mut link.batch);
			if !batch.is_empty() {
				// An error means that the stream has ended, which its task tells.
				let _ = link.requests.send(batch);
			}
			if link.next_id > Id::MAX / 2 {
				// A new stream begins to count anew.
				state.link = Link::None;
				self.scheduler.lost(peer, Instant::now());
				return;
			}
		}
		if let Some(out) = state.bitswap.as_mut().filter(|out| !out.writing) {
			let message = out.next_message();
			if !message.is_empty() {
				out.writing = true;
				let _ = out.letters.send(Letter {
					message,
					answers: false,
					share: None,
				});
			}
		}
	}

	/// Starts reading the store for peers, as much as may be.
	fn start_jobs(&mut self) {
		/// A job reads about this much, and one block more.
		const JOB: usize = 5 << 20;
		while self.jobs < self.shared.config.jobs
			&& self.sending.available_permits() > JOB.min(self.shared.config.send_all / 2)
		{
			self.native_turn = !self.native_turn;
			let started = if self.native_turn {
				self.start_server_job() || self.start_ledger_job()
			} else {
				self.start_ledger_job() || self.start_server_job()
			};
			if !started {
				break;
			}
		}
	}

	fn start_ledger_job(&mut self) -> bool {
		let Some(job) = self.ledgers.next_job() else {
			return false;
		};
		let (inputs, store) = (self.inputs.clone(), self.shared.store.clone());
		self.jobs += 1;
		tokio::task::spawn_blocking(move || {
			let _ = inputs.blocking_send(Input::LedgerFound(job.run(&*store)));
		});
		true
	}

	fn start_server_job(&mut self) -> bool {
		let Some(job) = self.server.next_job() else {
			return false;
		};
		let (inputs, store) = (self.inputs.clone(), self.shared.store.clone());
		self.jobs += 1;
		tokio::task::spawn_blocking(move || {
			let _ = inputs.blocking_send(Input::ServerFound(job.run(&store)));
		});
		true
	}

	/// A share of the memory for sending, or what is left of it.
	fn sending_share(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
		let permits = bytes.min(self.sending.available_permits());
		u32::try_from(permits)
			.ok()
			.and_then(|permits| self.sending.clone().try_acquire_many_owned(permits).ok())
	}

	fn count_sent(&self, protocol: ExchangeProtocol, blocks: usize, bytes: usize) {
		let labels = [protocol.name(), "out"];
		self.shared
			.metrics
			.blocks
			.with_label_values(&labels)
			.inc_by(blocks as u64);
		self.shared
			.metrics
			.block_bytes
			.with_label_values(&labels)
			.inc_by(bytes as u64);
	}

	fn ledger_found(&mut self, found: LedgerFound) {
		self.jobs -= 1;
		let peer = found.peer();
		let (message, errors) = self.ledgers.finish(found);
		log_store_errors(&errors);
		if message.is_empty() || !self.peers.contains_key(&peer) {
			self.ledgers.sent(peer);
			return;
		}
		let bytes = message.data_len();
		self.count_sent(ExchangeProtocol::Bitswap, message.blocks.len(), bytes);
		let share = self.sending_share(bytes);
		let letter = Letter {
			message,
			answers: true,
			share,
		};
		// An error means that the writer has ended, which its task tells.
		let _ = self.bitswap_out(peer, None).letters.send(letter);
	}

	fn server_found(&mut self, found: ServerFound) {
		self.jobs -= 1;
		let key = found.stream();
		let (blocks, bytes) = found.blocks();
		let (frames, errors) = self.server.finish(found);
		log_store_errors(&errors);
		if frames.is_empty() {
			self.server.sent(key);
			return;
		}
		self.count_sent(ExchangeProtocol::Cairn, blocks, bytes);
		let share = self.sending_share(bytes);
		self.answer(key, Outbound::Frames(frames, share));
	}

	fn answer(&self, key: StreamKey, outbound: Outbound) {
		let answers = self
			.peers
			.get(&key.peer)
			.and_then(|peer| peer.native.get(&key.number));
		if let Some(answers) = answers {
			let _ = answers.send(outbound);
		}
	}
}

impl NativeLink {
	fn act(&mut self, action: Action) {
		match action {
			Action::Ask { cid, kind, .. } => {
				if let Some(old) = self.ids.remove(&cid) {
					self.cancel(old);
				}
				let id = self.next_id;
				self.next_id += 1;
				self.ids.insert(cid, id);
				self.asked.ask(id, cid);
				match self.batch.last_mut() {
					Some(Request::Want {
						id: first,
						kind: same,
						cids,
					}) if *same == kind && cids.len() < MAX_CIDS && *first + cids.len() as Id == id => cids.push(cid),
					_ => self.batch.push(Request::Want {
						id,
						kind,
						cids: vec![cid],
					}),
				}
			}
			Action::Cancel { cid, .. } => {
				if let Some(id) = self.ids.remove(&cid) {
					self.cancel(id);
				}
			}
		}
	}

	fn cancel(&mut self, id: Id) {
		self.asked.withdraw(id);
		match self.batch.last_mut() {
			Some(Request::Cancel { id: first, count }) if *first + *count == id => *count += 1,
			_ => self.batch.push(Request::Cancel { id, count: 1 }),
		}
	}
}

impl BitswapOut {
	fn act(&mut self, action: Action) {
		match action {
			Action::Ask {
				cid, kind, priority, ..
			} => {
				// A want that stands in the same message as its withdrawal would be read in either order.
				if self.cancels.remove(&cid) {
					self.wants.retain(|want| want.cid != cid);
				}
				self.wants.push(Want {
					cid,
					priority,
					kind: match kind {
						WantKind::Block => BitswapKind::Block,
						WantKind::Have => BitswapKind::Have,
					},
					send_dont_have: true,
				});
			}
			Action::Cancel { cid, .. } => {
				self.wants.retain(|want| want.cid != cid);
				self.cancels.insert(cid);
			}
		}
	}

	/// The next message with wants.
	fn next_message(&mut self) -> Outgoing {
		let mut message = Outgoing::default();
		let mut len = 0;
		let cancels: Vec<_> = self
			.cancels
			.iter()
			.copied()
			.take(WANTS_LEN / want_len(&Cid::default()))
			.collect();
		for cid in cancels {
			len += want_len(&cid);
			self.cancels.remove(&cid);
			message.wants.cancels.push(cid);
		}
		let fits = self
			.wants
			.iter()
			.take_while(|want| {
				len += want_len(&want.cid);
				len <= WANTS_LEN
			})
			.count();
		message.wants.wants = self.wants.drain(..fits).collect();
		message
	}
}

// The answers of one job with their presences fit a message beside its blocks.
const _: () = assert!(MAX_MESSAGE > 2 * WANTS_LEN);

/// Logs how a stream ended, and says what its peer did wrong.
fn log_end(peer: &PeerId, ended: Result<(), StreamError>) -> Option<Offence> {
	let error = ended.err()?;
	tracing::debug!(%peer, %error, "a stream ended");
	error.offence()
}

fn log_store_errors(errors: &[cairn_dag::SourceError]) {
	for error in errors {
		tracing::warn!(%error, "a block could not be read for a peer");
	}
}
