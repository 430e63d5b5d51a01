//! The task that owns the swarm: its loop, and what it does by the clock. What handles ask is in `requests`, what
//! the swarm says in `events`, what is done at the end in `closing`.

mod closing;
mod events;
mod requests;

use super::{
	behaviour::Behaviour,
	commands::{Command, ConnectError, HostStopped, ListenError, Reply},
	config::HostConfig,
	dht::Dht,
	event::{DhtStatus, Event},
	rendezvous::Rendezvous,
	reservations::Reservations,
	routing, StartError,
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
	core::transport::ListenerId,
	swarm::{ConnectionId, StreamProtocol},
	PeerId, Swarm,
};
use std::{
	collections::{HashMap, HashSet},
	sync::Arc,
	time::Duration,
};
use tokio::sync::{broadcast, mpsc, watch};

/// What the task shares with its handles.
pub(super) struct Shared {
	pub database: RecordDatabase,
	pub peers: Peers,
	pub metrics: Metrics,
	pub clock: Arc<dyn Clock>,
	pub events: broadcast::Sender<Event>,
	pub status: watch::Sender<DhtStatus>,
	/// Peers that the host was connected with before it was restarted.
	pub neighbours: Vec<PeerAddress>,
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
	/// Those that were asked for; relays' are not among them.
	listeners: HashSet<ListenerId>,
	/// Who waits for the first address of a listener.
	listening: HashMap<ListenerId, Reply<Result<Multiaddr, ListenError>>>,
	/// Peers that the swarm was told to refuse.
	blocked: HashSet<PeerId>,
	/// Those of them that it is to refuse for ever.
	refused: HashSet<PeerId>,
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
			neighbours,
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
			listeners: HashSet::new(),
			listening: HashMap::new(),
			blocked: HashSet::new(),
			refused: config.refused.clone(),
			next_pardon: None,
			dht,
			reservations: Reservations::new(&config.nat.relays, now),
			rendezvous: Rendezvous::new(&config.rendezvous, now),
		};
		task.enforce_bans();
		// Entries in the routing table are dialled by the first look around, bootstrap peers at once.
		for peer in &neighbours {
			task.add_dht_peer(peer);
		}
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
		// Those of the time before.
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

	/// Tells a swarm to refuse those who are banned now or by the configuration, and nobody else.
	fn enforce_bans(&mut self) {
		let bans = self.peers.bans();
		self.next_pardon = bans.iter().map(|(_, ban)| ban.until).min();
		self.metrics.banned.set(bans.len() as i64);
		let bans = bans.into_iter().map(|(peer, _)| peer);
		let banned: HashSet<PeerId> = bans.chain(self.refused.iter().copied()).collect();
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
		self.blocked = banned;
	}

	fn emit(&self, event: Event) {
		// Nobody may be listening.
		let _ = self.events.send(event);
	}

	fn add_dht_peer(&mut self, peer: &PeerAddress) {
		if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
			routing::add(kad, peer);
		}
	}

	/// Registers at a rendezvous point and asks it for peers.
	fn meet(&mut self, point: PeerId) {
		if let Some(behaviour) = self.swarm.behaviour_mut().rendezvous.as_mut() {
			self.rendezvous.meet(behaviour, point, self.clock.now());
		}
	}
}
