//! The task that owns the swarm.

use super::{
	behaviour::{Behaviour, BehaviourEvent},
	commands::{Command, ConnectError, HostStopped, ListenError, ProvideError, Reply},
	config::HostConfig,
	dht::Dht,
	event::{ConnectedPeer, DhtStatus, Event},
	rendezvous::Rendezvous,
	reservations::Reservations,
	StartError,
};
use crate::{
	address::PeerAddress,
	clock::Clock,
	discovery::RecordDatabase,
	metrics::{Carrier, Metrics},
	peers::Peers,
	Multiaddr,
};
use futures::{future, StreamExt};
use libp2p::{
	allow_block_list, connection_limits,
	core::transport::ListenerId,
	identify, memory_connection_limits, ping,
	swarm::{
		dial_opts::{DialOpts, PeerCondition},
		ConnectionDenied, ConnectionId, DialError, ListenError as IncomingError, StreamProtocol, SwarmEvent,
	},
	PeerId, Swarm,
};
use std::{
	collections::{HashMap, HashSet},
	sync::Arc,
	time::Duration,
};
use tokio::sync::{broadcast, mpsc, watch};

/// Longest name of a program that is kept, in bytes.
const MAX_AGENT_BYTES: usize = 128;
/// Protocols kept of one peer.
const MAX_PROTOCOLS: usize = 64;

/// What the task shares with its handles.
pub(super) struct Shared {
	pub database: RecordDatabase,
	pub peers: Peers,
	pub metrics: Metrics,
	pub clock: Arc<dyn Clock>,
	pub events: broadcast::Sender<Event>,
	pub status: watch::Sender<DhtStatus>,
}

/// What is known of a peer while there are connections with it.
#[derive(Default)]
struct Connected {
	connections: HashMap<ConnectionId, (Carrier, Multiaddr)>,
	agent: Option<String>,
	protocols: Vec<StreamProtocol>,
	rtt: Option<Duration>,
}

pub(super) struct Task {
	swarm: Swarm<Behaviour>,
	peers: Peers,
	metrics: Metrics,
	clock: Arc<dyn Clock>,
	events: broadcast::Sender<Event>,
	connected: HashMap<PeerId, Connected>,
	/// Who waits for a connection with a peer that is being dialled.
	connecting: HashMap<PeerId, Vec<Reply<Result<(), ConnectError>>>>,
	/// Who waits for the first address of a listener.
	listening: HashMap<ListenerId, Reply<Result<Multiaddr, ListenError>>>,
	/// Peers that the swarm was told to refuse.
	blocked: HashSet<PeerId>,
	/// When the first of their bans ends.
	next_pardon: Option<Duration>,
	dht: Option<Dht>,
	reservations: Reservations,
	rendezvous: Rendezvous,
}

impl Task {
	pub fn new(mut swarm: Swarm<Behaviour>, config: &HostConfig, shared: Shared) -> Self {
		for address in &config.external {
			swarm.add_external_address(address.clone());
		}
		let Shared {
			database,
			peers,
			metrics,
			clock,
			events,
			status,
		} = shared;
		let dht = swarm.behaviour_mut().kad.as_mut().zip(config.dht.as_ref());
		let dht =
			dht.map(|(kad, config)| Dht::new(kad, config, database, clock.clone(), metrics.clone(), status));
		let now = clock.now();
		let mut task = Self {
			swarm,
			peers,
			metrics,
			clock,
			events,
			connected: HashMap::new(),
			connecting: HashMap::new(),
			listening: HashMap::new(),
			blocked: HashSet::new(),
			next_pardon: None,
			dht,
			reservations: Reservations::new(&config.nat.relays, now),
			rendezvous: Rendezvous::new(&config.rendezvous, now),
		};
		for peer in config.dht.iter().flat_map(|dht| &dht.bootstrap) {
			task.add_dht_peer(peer);
			task.dial(peer.clone(), None);
		}
		task
	}

	/// Listens on each of the addresses, and serves the swarm until all of them are bound.
	pub async fn listen(&mut self, addresses: Vec<Multiaddr>) -> Result<(), StartError> {
		for address in addresses {
			let (reply, mut answer) = tokio::sync::oneshot::channel();
			self.listen_on(address.clone(), reply);
			let answer = loop {
				tokio::select! {
					biased;
					answer = &mut answer => break answer.unwrap_or(Err(ListenError::Stopped(HostStopped))),
					event = self.swarm.select_next_some() => self.on_swarm_event(event),
				}
			};
			answer.map_err(|reason| StartError::Listen { address, reason })?;
		}
		Ok(())
	}

	/// Serves commands and the swarm until there is nobody left to serve.
	pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
		let mut bans = self.peers.changes();
		self.enforce_bans();
		let done = loop {
			self.do_what_is_due();
			let wake = match self.next_due() {
				Some(due) => self.clock.sleep_until(due),
				None => Box::pin(future::pending()),
			};
			let written = async {
				match &mut self.dht {
					Some(dht) => dht.written().await,
					None => future::pending().await,
				}
			};
			tokio::select! {
				event = self.swarm.select_next_some() => self.on_swarm_event(event),
				command = commands.recv() => match command {
					Some(Command::Shutdown { reply }) => break Some(reply),
					Some(command) => self.on_command(command),
					None => break None,
				},
				result = written => {
					if let (Some(dht), Some(kad)) = (&mut self.dht, self.swarm.behaviour_mut().kad.as_mut()) {
						dht.on_written(kad, result);
					}
				}
				changed = bans.changed() => {
					if changed.is_ok() {
						self.enforce_bans();
					}
				}
				() = wake => {}
			}
		};
		self.finish().await;
		if let Some(done) = done {
			// Whoever asked for it may not wait for it.
			let _ = done.send(());
		}
	}

	/// Writes what is to be written, and closes all connections.
	async fn finish(mut self) {
		if let (Some(dht), Some(kad)) = (&mut self.dht, self.swarm.behaviour_mut().kad.as_mut()) {
			dht.finish(kad).await;
		}
		let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
		for peer in peers {
			// The peer is connected.
			let _ = self.swarm.disconnect_peer_id(peer);
		}
		let closing = async {
			while self.swarm.network_info().num_peers() > 0 {
				self.swarm.next().await;
			}
		};
		// A peer that does not answer a farewell is not waited for.
		if tokio::time::timeout(Duration::from_secs(1), closing)
			.await
			.is_err()
		{
			tracing::debug!("some connections were not closed in time");
		}
	}

	fn next_due(&self) -> Option<Duration> {
		[
			self.next_pardon,
			self.dht.as_ref().and_then(Dht::next_due),
			self.reservations.next_due(),
			self.rendezvous.next_due(),
		]
		.into_iter()
		.flatten()
		.min()
	}

	fn do_what_is_due(&mut self) {
		let now = self.clock.now();
		if self.next_pardon.is_some_and(|pardon| pardon <= now) {
			self.enforce_bans();
		}
		if let (Some(dht), Some(kad)) = (&mut self.dht, self.swarm.behaviour_mut().kad.as_mut()) {
			dht.do_what_is_due(kad);
		}
		self.reservations.do_what_is_due(&mut self.swarm, now);
		for point in self.rendezvous.take_due(now) {
			if self.swarm.is_connected(&point.peer) {
				self.meet(point.peer);
			} else {
				self.dial(point, None);
			}
		}
	}

	/// Tells a swarm to refuse those who are banned now, and nobody else.
	fn enforce_bans(&mut self) {
		let bans = self.peers.bans();
		self.next_pardon = bans.iter().map(|(_, ban)| ban.until).min();
		let banned: HashSet<PeerId> = bans.into_iter().map(|(peer, _)| peer).collect();
		let behaviour = self.swarm.behaviour_mut();
		for peer in self.blocked.difference(&banned) {
			behaviour.blocked.unblock_peer(*peer);
		}
		for peer in banned.difference(&self.blocked) {
			behaviour.blocked.block_peer(*peer);
			if let Some(kad) = behaviour.kad.as_mut() {
				kad.remove_peer(peer);
			}
		}
		self.metrics.banned.set(banned.len() as i64);
		self.blocked = banned;
	}

	fn emit(&self, event: Event) {
		// Nobody may be listening.
		let _ = self.events.send(event);
	}

	fn on_command(&mut self, command: Command) {
		// Replies that nobody waits for any more are dropped.
		match command {
			Command::Listen { address, reply } => self.listen_on(address, reply),
			Command::AddExternal { address, reply } => {
				self.swarm.add_external_address(address);
				let _ = reply.send(());
			}
			Command::Address { reply } => {
				let _ = reply.send(self.address());
			}
			Command::Connect { peer, reply } => self.dial(peer, Some(reply)),
			Command::Disconnect { peer, reply } => {
				let _ = reply.send(self.swarm.disconnect_peer_id(peer).is_ok());
			}
			Command::Connected { reply } => {
				let _ = reply.send(self.connected_peers());
			}
			Command::AddDhtPeer { peer, reply } => {
				self.add_dht_peer(&peer);
				let _ = reply.send(());
			}
			Command::Find { key, sink, reply } => {
				if let (Some(dht), Some(kad)) = (&mut self.dht, self.swarm.behaviour_mut().kad.as_mut()) {
					dht.find(kad, key, sink);
				}
				let _ = reply.send(());
			}
			Command::Provide { keys, reply } => match &mut self.dht {
				Some(dht) => dht.provide(keys, reply),
				None => drop(reply.send(Err(ProvideError::NoDht))),
			},
			Command::Unprovide { keys, reply } => match &mut self.dht {
				Some(dht) => dht.unprovide(keys, reply),
				None => drop(reply.send(Err(ProvideError::NoDht))),
			},
			// The loop ends on it.
			Command::Shutdown { .. } => {}
		}
	}

	fn listen_on(&mut self, address: Multiaddr, reply: Reply<Result<Multiaddr, ListenError>>) {
		match self.swarm.listen_on(address) {
			Ok(listener) => drop(self.listening.insert(listener, reply)),
			Err(libp2p::TransportError::MultiaddrNotSupported(_)) => {
				let _ = reply.send(Err(ListenError::Unsupported));
			}
			Err(libp2p::TransportError::Other(error)) => {
				let _ = reply.send(Err(ListenError::Failed(error.to_string())));
			}
		}
	}

	fn address(&self) -> PeerAddress {
		let mut address = PeerAddress::new(
			*self.swarm.local_peer_id(),
			self.swarm.external_addresses().cloned(),
		);
		if address.addresses.is_empty() {
			address.extend(self.swarm.listeners().cloned());
		}
		address
	}

	fn connected_peers(&self) -> Vec<ConnectedPeer> {
		let peers = self.connected.iter().map(|(peer, known)| ConnectedPeer {
			peer: *peer,
			addresses: known
				.connections
				.values()
				.map(|(_, address)| address.clone())
				.collect(),
			agent: known.agent.clone(),
			protocols: known.protocols.clone(),
			rtt: known.rtt,
		});
		peers.collect()
	}

	fn add_dht_peer(&mut self, peer: &PeerAddress) {
		if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
			for address in &peer.addresses {
				kad.add_address(&peer.peer, address.clone());
			}
		}
	}

	fn dial(&mut self, peer: PeerAddress, reply: Option<Reply<Result<(), ConnectError>>>) {
		let PeerAddress { peer, addresses } = peer;
		let answer = |reply: Option<Reply<_>>, result| {
			if let Some(reply) = reply {
				let _ = reply.send(result);
			}
		};
		if self.blocked.contains(&peer) {
			return answer(reply, Err(ConnectError::Refused));
		}
		if self.swarm.is_connected(&peer) {
			return answer(reply, Ok(()));
		}
		let options = DialOpts::peer_id(peer)
			// A dial that runs already may have fewer addresses.
			.condition(match addresses.is_empty() {
				true => PeerCondition::DisconnectedAndNotDialing,
				false => PeerCondition::Disconnected,
			})
			.addresses(addresses)
			.extend_addresses_through_behaviour()
			.build();
		match self.swarm.dial(options) {
			Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => {
				if let Some(reply) = reply {
					let waiting = self.connecting.entry(peer).or_default();
					waiting.retain(|reply| !reply.is_closed());
					waiting.push(reply);
				}
			}
			Err(error) => answer(reply, Err(connect_error(error))),
		}
	}

	/// Registers at a rendezvous point and asks it for peers.
	fn meet(&mut self, point: PeerId) {
		if let Some(behaviour) = self.swarm.behaviour_mut().rendezvous.as_mut() {
			self.rendezvous.meet(behaviour, point, self.clock.now());
		}
	}

	pub(super) fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
		match event {
			SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
			SwarmEvent::ConnectionEstablished {
				peer_id: peer,
				connection_id,
				endpoint,
				..
			} => {
				let carrier = Carrier::of_endpoint(&endpoint);
				let outgoing = endpoint.is_dialer();
				let direction = if outgoing { "out" } else { "in" };
				self.metrics
					.connections_made
					.with_label_values(&[carrier.name(), direction])
					.inc();
				self.metrics
					.connections
					.with_label_values(&[carrier.name()])
					.inc();
				let known = self.connected.entry(peer).or_default();
				let is_first = known.connections.is_empty();
				known
					.connections
					.insert(connection_id, (carrier, endpoint.get_remote_address().clone()));
				if outgoing {
					self.peers.dial_succeeded(peer);
				}
				for reply in self.connecting.remove(&peer).into_iter().flatten() {
					let _ = reply.send(Ok(()));
				}
				if is_first {
					self.emit(Event::Connected {
						peer,
						carrier,
						outgoing,
					});
				}
			}
			SwarmEvent::ConnectionClosed {
				peer_id: peer,
				connection_id,
				cause,
				..
			} => {
				tracing::debug!(%peer, cause = cause.map(tracing::field::display), "connection closed");
				let Some(known) = self.connected.get_mut(&peer) else {
					return;
				};
				if let Some((carrier, _)) = known.connections.remove(&connection_id) {
					self.metrics
						.connections
						.with_label_values(&[carrier.name()])
						.dec();
				}
				if known.connections.is_empty() {
					self.connected.remove(&peer);
					self.emit(Event::Disconnected { peer });
				}
			}
			SwarmEvent::IncomingConnectionError { error, .. } => {
				tracing::debug!(%error, "incoming connection failed");
				if let IncomingError::Denied { cause } = &error {
					self.count_refusal(cause);
				}
			}
			SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
				self.on_dial_failed(peer_id, error);
			}
			SwarmEvent::NewListenAddr { listener_id, address } => {
				tracing::info!(%address, "listening");
				if let Some(reply) = self.listening.remove(&listener_id) {
					let _ = reply.send(Ok(address.clone()));
				}
				self.emit(Event::Listening { address });
			}
			SwarmEvent::ListenerClosed {
				listener_id, reason, ..
			} => {
				let reason = match reason {
					Ok(()) => "the listener was closed".to_owned(),
					Err(error) => error.to_string(),
				};
				tracing::warn!(reason, "no longer listening");
				if let Some(reply) = self.listening.remove(&listener_id) {
					let _ = reply.send(Err(ListenError::Failed(reason)));
				}
				self.reservations.lost(listener_id, self.clock.now());
			}
			SwarmEvent::ExternalAddrConfirmed { address } => {
				tracing::info!(%address, "reachable");
				self.emit(Event::Reachable { address });
				self.rendezvous.register_soon(self.clock.now());
			}
			SwarmEvent::ExternalAddrExpired { address } => {
				self.emit(Event::Unreachable { address });
			}
			_ => {}
		}
	}

	fn on_dial_failed(&mut self, peer: Option<PeerId>, error: DialError) {
		tracing::debug!(peer = peer.map(tracing::field::display), %error, "dial failed");
		match &error {
			DialError::Denied { cause } => self.count_refusal(cause),
			DialError::DialPeerConditionFalse(_) => return,
			_ => self.metrics.dials_failed.inc(),
		}
		let Some(peer) = peer else {
			return;
		};
		if self.swarm.is_connected(&peer) {
			return;
		}
		if matches!(error, DialError::Transport(_) | DialError::WrongPeerId { .. }) {
			self.peers.dial_failed(peer);
		}
		// Another dial of the same peer can still run; who waits is told of the first failure all the same.
		let waiting = self.connecting.remove(&peer).unwrap_or_default();
		let error = connect_error(error);
		for reply in waiting {
			let _ = reply.send(Err(error.clone()));
		}
	}

	fn count_refusal(&self, cause: &ConnectionDenied) {
		if let Some(reason) = refusal(cause) {
			self.metrics
				.connections_refused
				.with_label_values(&[reason])
				.inc();
		}
	}

	fn on_behaviour_event(&mut self, event: BehaviourEvent) {
		match event {
			BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
				self.on_identified(peer_id, info);
			}
			BehaviourEvent::Ping(ping::Event {
				peer,
				connection,
				result,
			}) => match result {
				Ok(rtt) => {
					self.peers.round_trip(peer, rtt);
					if let Some(known) = self.connected.get_mut(&peer) {
						known.rtt = Some(rtt);
					}
				}
				Err(ping::Failure::Unsupported) => {}
				Err(error) => {
					tracing::debug!(%peer, %error, "no answer to a ping");
					self.swarm.close_connection(connection);
				}
			},
			BehaviourEvent::Kad(event) => {
				if let (Some(dht), Some(kad)) = (&mut self.dht, self.swarm.behaviour_mut().kad.as_mut()) {
					if let Some(event) = dht.on_event(kad, event) {
						self.emit(event);
					}
				}
			}
			BehaviourEvent::Rendezvous(event) => {
				for event in self.rendezvous.on_event(event, self.clock.now()) {
					if let Event::Discovered { peer } = &event {
						if peer.peer == *self.swarm.local_peer_id() {
							continue;
						}
						self.add_dht_peer(peer);
					}
					self.emit(event);
				}
			}
			BehaviourEvent::RelayClient(event) => tracing::debug!(?event, "relay"),
			BehaviourEvent::Dcutr(event) => {
				tracing::debug!(peer = %event.remote_peer_id, ok = event.result.is_ok(), "hole punching");
			}
			_ => {}
		}
	}

	fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
		let mut protocols = info.protocols;
		protocols.truncate(MAX_PROTOCOLS);
		if let Some(dht) = &self.dht {
			if protocols.contains(dht.protocol()) {
				self.add_dht_peer(&PeerAddress::new(peer, info.listen_addrs));
			}
		}
		let is_new = match self.connected.get_mut(&peer) {
			Some(known) => {
				let mut agent = info.agent_version;
				agent.truncate(agent.floor_char_boundary(MAX_AGENT_BYTES));
				let is_new = known.agent.is_none() || known.protocols != protocols;
				known.agent = Some(agent);
				known.protocols.clone_from(&protocols);
				is_new
			}
			None => false,
		};
		if is_new {
			self.emit(Event::Identified { peer, protocols });
		}
		if self.rendezvous.is_point(&peer) {
			self.meet(peer);
		}
	}
}

/// The reason why a behaviour refused a connection; a label of metrics.
fn refusal(cause: &ConnectionDenied) -> Option<&'static str> {
	if cause.downcast_ref::<connection_limits::Exceeded>().is_some() {
		Some("limit")
	} else if cause
		.downcast_ref::<memory_connection_limits::MemoryUsageLimitExceeded>()
		.is_some()
	{
		Some("memory")
	} else if cause.downcast_ref::<allow_block_list::Blocked>().is_some() {
		Some("banned")
	} else if cause.downcast_ref::<allow_block_list::NotAllowed>().is_some() {
		Some("not_allowed")
	} else {
		None
	}
}

fn connect_error(error: DialError) -> ConnectError {
	match error {
		DialError::NoAddresses => ConnectError::NoAddress,
		DialError::Denied { cause } => match refusal(&cause) {
			Some("banned" | "not_allowed") => ConnectError::Refused,
			Some(_) => ConnectError::Limit(
				std::error::Error::source(&cause).map_or_else(|| cause.to_string(), ToString::to_string),
			),
			None => ConnectError::Unreached(cause.to_string()),
		},
		error => ConnectError::Unreached(error.to_string()),
	}
}
