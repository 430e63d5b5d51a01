//! Networks of many hosts in one process.
//!
//! Hosts talk through memory, have keys drawn from a seed that is printed, and share a clock that stands until a
//! test moves it: expiry, bans and repetitions come when the test says so. Set `CAIRN_TEST_SEED` to the seed of
//! a failed test to have the same keys again. libp2p's own timers run in real time, so tests wait for events
//! and states, each under one generous limit.

use cairn_network::{
	address::PeerAddress,
	clock::{Clock, ManualClock},
	discovery::{RecordDatabase, Router},
	host::{DhtConfig, DhtMode, DhtStatus, Event, Host, HostConfig, HostParts, NatConfig},
	identity::Identity,
	metrics::Metrics,
	peers::{Peers, PeersConfig},
	PeerId,
};
use cid::Cid;
use futures::StreamExt;
use libp2p::{
	core::{transport::MemoryTransport, upgrade::Version},
	identity::Keypair,
	noise,
	swarm::{self, NetworkBehaviour},
	yamux, Swarm, Transport,
};
use multihash_codetable::{Code, MultihashDigest};
use rand_chacha::{rand_core::RngCore, ChaCha8Rng};
use std::{
	future::Future,
	sync::{
		atomic::{AtomicU64, Ordering},
		Arc,
	},
	time::Duration,
};
use tokio::{sync::broadcast::error::RecvError, time::Instant};

/// Longer than anything here takes on a slow machine; only a failed test waits for it.
const LIMIT: Duration = Duration::from_secs(180);

/// Codec of blocks without structure.
const RAW: u64 = 0x55;

/// Hosts with one clock and one source of randomness.
pub struct Network {
	rng: ChaCha8Rng,
	pub clock: ManualClock,
}

impl Network {
	pub fn new() -> Self {
		Self {
			rng: cairn_test_random::rng(),
			clock: ManualClock::new(Duration::from_secs(1_800_000_000)),
		}
	}

	pub fn identity(&mut self) -> Identity {
		let mut secret = [0; 32];
		self.rng.fill_bytes(&mut secret);
		Identity::from_secret(&mut secret).unwrap()
	}

	/// The CID of a random block.
	pub fn cid(&mut self) -> Cid {
		let mut bytes = [0; 32];
		self.rng.fill_bytes(&mut bytes);
		Cid::new_v1(RAW, Code::Sha2_256.digest(&bytes))
	}

	/// What a host with that name is made of; nothing is remembered from before.
	pub fn parts(&self, identity: Identity) -> HostParts {
		let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
		let metrics = Metrics::default();
		HostParts {
			peers: Peers::new(PeersConfig::default(), clock.clone(), metrics.clone()),
			metrics,
			clock,
			..HostParts::new(identity, RecordDatabase::in_memory().unwrap())
		}
	}

	/// A host with a new name.
	pub async fn start(&mut self, config: HostConfig) -> Host {
		let identity = self.identity();
		Host::start(config, self.parts(identity)).await.unwrap()
	}

	/// A host that answers the DHT's queries and joins through the peers given.
	pub async fn dht_host(&mut self, bootstrap: &[PeerAddress]) -> Host {
		self.start(dht_config(bootstrap)).await
	}
}

/// A peer in memory that is no host of this crate, and speaks what it likes.
pub fn swarm<B: NetworkBehaviour>(network: &mut Network, behaviour: impl FnOnce(&Keypair) -> B) -> Swarm<B> {
	let key = Keypair::from_protobuf_encoding(&network.identity().to_protobuf()).unwrap();
	let transport = MemoryTransport::default()
		.upgrade(Version::V1Lazy)
		.authenticate(noise::Config::new(&key).unwrap())
		.multiplex(yamux::Config::default())
		.boxed();
	let local = key.public().to_peer_id();
	let config = swarm::Config::with_tokio_executor();
	Swarm::new(transport, behaviour(&key), local, config)
}

/// A host in memory, on a port that no other host of this process has.
pub fn config() -> HostConfig {
	static NEXT_PORT: AtomicU64 = AtomicU64::new(1);
	HostConfig {
		dht: None,
		// Every host knows its address.
		nat: NatConfig {
			probe: false,
			answer_probes: false,
			..NatConfig::default()
		},
		..HostConfig::in_memory(NEXT_PORT.fetch_add(1, Ordering::Relaxed))
	}
}

/// A host in memory that answers the DHT's queries and joins through the peers given.
pub fn dht_config(bootstrap: &[PeerAddress]) -> HostConfig {
	HostConfig {
		dht: Some(DhtConfig {
			mode: DhtMode::Server,
			bootstrap: bootstrap.to_vec(),
			..DhtConfig::default()
		}),
		..config()
	}
}

/// Waits for what must happen.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
	match tokio::time::timeout(LIMIT, future).await {
		Ok(value) => value,
		Err(_) => panic!("{what} did not happen within {} s", LIMIT.as_secs()),
	}
}

/// Waits until the host sees the DHT so.
pub async fn until_dht(host: &Host, what: &str, holds: impl FnMut(&DhtStatus) -> bool) {
	let mut status = host.dht();
	let reached = within(what, status.wait_for(holds)).await;
	assert!(reached.is_ok(), "the host stopped before {what}");
}

/// Waits until the host has announced that many keys. Lets time pass while it waits: an announcement that failed on
/// a busy machine is repeated by the clock.
pub async fn until_announced(network: &Network, host: &Host, keys: usize) {
	let mut status = host.dht();
	let announcing = async {
		loop {
			let announced = status.wait_for(|dht| dht.announced == keys);
			match tokio::time::timeout(Duration::from_secs(1), announced).await {
				Ok(reached) => break reached.is_ok(),
				Err(_) => network.clock.advance(Duration::from_secs(10)),
			}
		}
	};
	assert!(within("an announcement", announcing).await, "the host stopped");
}

/// Events of a host from the time this was made.
pub struct Events(tokio::sync::broadcast::Receiver<Event>);

impl Events {
	pub fn of(host: &Host) -> Self {
		Self(host.subscribe())
	}

	/// Waits for an event.
	pub async fn until(&mut self, what: &str, mut is_it: impl FnMut(&Event) -> bool) -> Event {
		let waiting = async {
			loop {
				match self.0.recv().await {
					Ok(event) if is_it(&event) => break event,
					Ok(_) | Err(RecvError::Lagged(_)) => {}
					Err(RecvError::Closed) => panic!("the host stopped before {what}"),
				}
			}
		};
		within(what, waiting).await
	}

	/// Waits until the last connection with a peer is closed.
	pub async fn until_disconnected(&mut self, from: PeerId) {
		self.until(
			"a disconnection",
			|event| matches!(event, Event::Disconnected { peer } if *peer == from),
		)
		.await;
	}
}

/// Waits until a host has a connection with a peer.
pub async fn until_connected(host: &Host, wanted: PeerId) {
	let mut events = Events::of(host);
	if !host
		.connected()
		.await
		.unwrap()
		.iter()
		.any(|known| known.peer == wanted)
	{
		events
			.until(
				"a connection",
				|event| matches!(event, Event::Connected { peer, .. } if *peer == wanted),
			)
			.await;
	}
}

/// Waits until a host has no connection with a peer.
pub async fn until_without(host: &Host, peer: PeerId) {
	let mut events = Events::of(host);
	if host
		.connected()
		.await
		.unwrap()
		.iter()
		.any(|known| known.peer == peer)
	{
		events.until_disconnected(peer).await;
	}
}

/// Where others reach a host.
pub async fn address(host: &Host) -> PeerAddress {
	host.address().await.unwrap()
}

/// Connects one host to another.
pub async fn connect(from: &Host, to: &Host) {
	from.connect(address(to).await).await.unwrap();
}

/// A time that a search ends well before.
pub fn deadline() -> Instant {
	Instant::now() + LIMIT
}

/// All that a router finds.
pub async fn find(router: &dyn Router, cid: Cid) -> Vec<PeerAddress> {
	within("the end of a search", router.find(cid, deadline()).collect()).await
}

/// Waits until a router finds this peer, searching again and again.
pub async fn until_found(router: &dyn Router, cid: Cid, wanted: PeerId) -> PeerAddress {
	let searching = async {
		loop {
			let mut found = router.find(cid, deadline());
			while let Some(provider) = found.next().await {
				if provider.peer == wanted {
					return provider;
				}
			}
			tokio::task::yield_now().await;
		}
	};
	within("finding a provider", searching).await
}
