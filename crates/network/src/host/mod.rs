//! The libp2p host: one task that owns the swarm, and handles that talk to it.
//!
//! [`Host::start`] sets up transports and protocols, binds the listeners and spawns the task. A [`Host`] is a
//! handle; clones are cheap and talk to the same task through a bounded channel, so a busy host slows its
//! callers instead of growing. The task never blocks on the disk: provider records are written on a blocking
//! thread (see [`crate::discovery`]). It ends when [`Host::shutdown`] is called or the last handle is gone,
//! after it has written what is to be written and closed its connections and listeners.
//!
//! Streams of exchange protocols do not pass through the task's channel: [`crate::streams`] opens and accepts
//! them.

mod behaviour;
mod candidates;
mod commands;
mod config;
mod connection_limits;
mod dht;
mod event;
mod metered;
mod rendezvous;
mod reservations;
mod routing;
mod task;
mod transport;

pub use commands::{ConnectError, FindError, HostStopped, ListenError, ProvideError, Providers};
pub use config::{
	DhtConfig, DhtMode, HostConfig, Limits, NatConfig, RendezvousConfig, TransportConfig, DHT_PROTOCOL,
	PROTOCOL_VERSION, RENDEZVOUS_NAMESPACE,
};
pub use event::{ConnectedPeer, DhtStatus, Event};
pub use transport::TransportSetupError;

use crate::{
	address::PeerAddress,
	clock::{Clock, SystemClock},
	discovery::{DatabaseError, RecordDatabase, Records},
	identity::Identity,
	metrics::Metrics,
	peers::{Peers, PeersConfig},
	streams, Multiaddr,
};
use behaviour::Behaviour;
use commands::Command;
use libp2p::{relay, swarm, PeerId, Swarm};
use std::sync::Arc;
use task::Task;
use thiserror::Error;
use tokio::sync::{broadcast, mpsc, oneshot, watch, Semaphore};

/// Why a host did not start.
#[derive(Debug, Error)]
pub enum StartError {
	/// The transports could not be set up.
	#[error(transparent)]
	Transport(#[from] TransportSetupError),
	/// The provider records could not be read.
	#[error(transparent)]
	Records(#[from] DatabaseError),
	/// An address could not be listened on.
	#[error("cannot listen on {address}: {reason}")]
	Listen {
		/// The address.
		address: Multiaddr,
		/// Why not.
		reason: ListenError,
	},
	/// A panic on the thread that reads the provider records.
	#[error("reading the provider records was interrupted")]
	Interrupted,
}

/// What a host is made of besides its configuration.
pub struct HostParts {
	/// The key that names it.
	pub identity: Identity,
	/// Where its provider records are kept.
	pub records: RecordDatabase,
	/// What it knows of other peers, shared with the exchange engines.
	pub peers: Peers,
	/// What it counts.
	pub metrics: Metrics,
	/// The clock that records and bans end by.
	pub clock: Arc<dyn Clock>,
}

impl HostParts {
	/// A host of this name with the operating system's clock, that remembers peers by the default limits and
	/// counts for no registry.
	pub fn new(identity: Identity, records: RecordDatabase) -> Self {
		let metrics = Metrics::default();
		let clock: Arc<dyn Clock> = Arc::new(SystemClock);
		Self {
			identity,
			records,
			peers: Peers::new(PeersConfig::default(), clock.clone(), metrics.clone()),
			metrics,
			clock,
		}
	}

	/// Counts in `metrics`, also what peers are struck for.
	#[must_use]
	pub fn counting(self, metrics: Metrics) -> Self {
		Self {
			peers: Peers::new(PeersConfig::default(), self.clock.clone(), metrics.clone()),
			metrics,
			..self
		}
	}
}

/// A handle of a running host.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
	peer: PeerId,
	commands: mpsc::Sender<Command>,
	events: broadcast::Sender<Event>,
	dht: watch::Receiver<DhtStatus>,
	peers: Peers,
	metrics: Metrics,
	/// One permit for each search for providers that may run. `None` without a DHT.
	finds: Option<Arc<Semaphore>>,
}

impl Host {
	/// Starts a host on the current tokio runtime, and waits until it listens on its addresses.
	///
	/// # Errors
	/// See [`StartError`]. Nothing runs then.
	pub async fn start(config: HostConfig, parts: HostParts) -> Result<Self, StartError> {
		Self::start_with(config, parts, None).await
	}

	/// As [`start`](Self::start), with the streams that an [`Exchange`](crate::exchange::service::Exchange) works
	/// on.
	///
	/// # Errors
	/// See [`StartError`]. Nothing runs then.
	pub async fn start_with(
		config: HostConfig,
		parts: HostParts,
		exchange: Option<streams::Behaviour>,
	) -> Result<Self, StartError> {
		let HostParts {
			identity,
			records: database,
			peers,
			metrics,
			clock,
		} = parts;
		let key = identity.keypair();
		let local = identity.peer_id();
		let records = match &config.dht {
			Some(dht) => {
				let mut records = Records::new(local, dht.records.clone(), clock.clone());
				let database = database.clone();
				let reading = tokio::task::spawn_blocking(move || {
					let neighbours = database.load(&mut records)?;
					Ok::<_, DatabaseError>((records, neighbours))
				});
				Some(reading.await.map_err(|_| StartError::Interrupted)??)
			}
			None => None,
		};
		let (records, neighbours) = records.unzip();
		let (relayed, relay_client) = relay::client::new(local);
		let transport = transport::build(&config.transport, &config.limits, key, relayed, &metrics)?;
		let behaviour = Behaviour::new(&config, key, relay_client, records, exchange);
		let swarm_config = swarm::Config::with_tokio_executor()
			.with_idle_connection_timeout(config.idle_timeout)
			.with_smart_dial();
		let swarm = Swarm::new(transport, behaviour, local, swarm_config);

		let (commands, received) = mpsc::channel(config.command_queue.max(1));
		let (events, _) = broadcast::channel(config.event_queue.max(1));
		let (status, dht) = watch::channel(DhtStatus::default());
		let finds = config
			.dht
			.as_ref()
			.map(|dht| Arc::new(Semaphore::new(dht.max_finds.max(1))));
		let mut task = Task::new(
			swarm,
			&config,
			task::Shared {
				database,
				peers: peers.clone(),
				metrics: metrics.clone(),
				clock,
				events: events.clone(),
				status,
				neighbours: neighbours.unwrap_or_default(),
			},
		);
		task.listen(config.listen).await?;
		tokio::spawn(task.run(received));
		let inner = Inner {
			peer: local,
			commands,
			events,
			dht,
			peers,
			metrics,
			finds,
		};
		Ok(Self(Arc::new(inner)))
	}

	/// The name that others know this host by.
	pub fn peer_id(&self) -> PeerId {
		self.0.peer
	}

	/// Strikes, bans and measurements of other peers.
	pub fn peers(&self) -> &Peers {
		&self.0.peers
	}

	/// What this host and the engines on it count.
	pub fn metrics(&self) -> &Metrics {
		&self.0.metrics
	}

	/// Events from now on. Whoever is more than [`HostConfig::event_queue`] behind loses the oldest, and is told
	/// by [`broadcast::error::RecvError::Lagged`]; [`connected`](Self::connected) shows what holds then.
	pub fn subscribe(&self) -> broadcast::Receiver<Event> {
		self.0.events.subscribe()
	}

	/// The DHT as this host sees it, now and whenever it changes.
	pub fn dht(&self) -> watch::Receiver<DhtStatus> {
		self.0.dht.clone()
	}

	async fn send<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, HostStopped> {
		let (reply, answer) = oneshot::channel();
		let sent = self.0.commands.send(command(reply)).await;
		sent.map_err(|_| HostStopped)?;
		answer.await.map_err(|_| HostStopped)
	}

	/// Listens on one more address, and returns the address that came of it, with the port that was chosen.
	///
	/// # Errors
	/// If it cannot.
	pub async fn listen(&self, address: Multiaddr) -> Result<Multiaddr, ListenError> {
		self.send(|reply| Command::Listen { address, reply }).await?
	}

	/// Tells others that they reach this host under an address.
	///
	/// # Errors
	/// If the host has stopped.
	pub async fn add_external(&self, address: Multiaddr) -> Result<(), HostStopped> {
		self.send(|reply| Command::AddExternal { address, reply }).await
	}

	/// The host and its addresses: those that others reach, and if none is known those that it listens on.
	///
	/// # Errors
	/// If the host has stopped.
	pub async fn address(&self) -> Result<PeerAddress, HostStopped> {
		self.send(|reply| Command::Address { reply }).await
	}

	/// Makes sure that there is a connection with a peer: of its addresses, those given and those that the DHT
	/// knows, QUIC is tried first.
	///
	/// # Errors
	/// If there is none in the end.
	pub async fn connect(&self, peer: PeerAddress) -> Result<(), ConnectError> {
		self.send(|reply| Command::Connect { peer, reply }).await?
	}

	/// Closes all connections with a peer. Whether there were any.
	///
	/// # Errors
	/// If the host has stopped.
	pub async fn disconnect(&self, peer: PeerId) -> Result<bool, HostStopped> {
		self.send(|reply| Command::Disconnect { peer, reply }).await
	}

	/// The peers that there are connections with.
	///
	/// # Errors
	/// If the host has stopped.
	pub async fn connected(&self) -> Result<Vec<ConnectedPeer>, HostStopped> {
		self.send(|reply| Command::Connected { reply }).await
	}

	/// Adds a peer to the DHT's routing table, if there is room.
	///
	/// # Errors
	/// If the host has stopped.
	pub async fn add_dht_peer(&self, peer: PeerAddress) -> Result<(), HostStopped> {
		self.send(|reply| Command::AddDhtPeer { peer, reply }).await
	}

	/// Searches the DHT for providers of what has this multihash, this host excluded. The search ends when
	/// [`Providers`] is dropped. Waits while as many searches run as [`DhtConfig::max_finds`] allows.
	///
	/// # Errors
	/// If the host has stopped or has no DHT.
	pub async fn find_providers(&self, key: &[u8]) -> Result<Providers, FindError> {
		let finds = self.0.finds.as_ref().ok_or(FindError::NoDht)?;
		let permit = finds.clone().acquire_owned().await.map_err(|_| HostStopped)?;
		let (sink, found) = mpsc::channel(commands::FOUND_QUEUE);
		let key = libp2p::kad::RecordKey::new(&key);
		self.send(|reply| Command::Find { key, sink, reply }).await?;
		Ok(Providers::new(found, permit))
	}

	/// Tells the DHT from now on that this host has what these multihashes name, also after a restart. Returns
	/// when that is on the disk; the announcements follow in their time ([`Event::Announced`]).
	///
	/// # Errors
	/// If it cannot be written; nothing is provided then.
	pub async fn provide(&self, keys: Vec<Vec<u8>>) -> Result<(), ProvideError> {
		self.send(|reply| Command::Provide { keys, reply }).await?
	}

	/// Stops telling the DHT that this host has what these multihashes name. What others were told ends with
	/// its lifetime.
	///
	/// # Errors
	/// If it cannot be written; all is provided as before then.
	pub async fn unprovide(&self, keys: Vec<Vec<u8>>) -> Result<(), ProvideError> {
		self.send(|reply| Command::Unprovide { keys, reply }).await?
	}

	/// The multihashes that this host tells the DHT to have; none without a DHT.
	///
	/// # Errors
	/// If the host has stopped.
	pub async fn provided(&self) -> Result<Vec<Vec<u8>>, HostStopped> {
		self.send(|reply| Command::Provided { reply }).await
	}

	/// Writes what is to be written, closes all connections and ends the task. Its addresses are free then: another
	/// host can listen on them. Does nothing if it has ended.
	///
	/// Takes a moment with QUIC, which lets connections drain, and at most a few seconds.
	pub async fn shutdown(&self) {
		// A host that has stopped has nothing left to do.
		let _ = self.send(|reply| Command::Shutdown { reply }).await;
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::peers::Offence;

	#[test]
	fn strikes_are_counted_where_the_host_counts() {
		let metrics = Metrics::default();
		let records = RecordDatabase::in_memory().unwrap();
		let parts = HostParts::new(Identity::generate(), records).counting(metrics.clone());
		parts.peers.strike(PeerId::random(), Offence::Flood);
		assert_eq!(metrics.strikes.with_label_values(&["flood"]).get(), 1);
	}
}
