//! What a host is told at its start.

use crate::{address::PeerAddress, discovery::RecordsConfig, Multiaddr};
use libp2p::{swarm::StreamProtocol, PeerId};
use std::{collections::HashSet, time::Duration};

/// Protocol id of Cairn's DHT. It is a network of its own: IPFS's public one is `/ipfs/kad/1.0.0`.
pub const DHT_PROTOCOL: StreamProtocol = StreamProtocol::new("/cairn/kad/1.0.0");
/// What hosts say in identify about the protocols they speak.
pub const PROTOCOL_VERSION: &str = "cairn/1.0.0";
/// Namespace that providers register in at rendezvous points.
pub const RENDEZVOUS_NAMESPACE: &str = "cairn";

/// Configuration of a [`Host`](super::Host).
#[derive(Clone, Debug)]
pub struct HostConfig {
	/// Addresses to listen on. Default: a port that the system chooses, on loopback, for QUIC and for TCP.
	pub listen: Vec<Multiaddr>,
	/// Addresses under which others reach this host, if that is known; else autonat finds out. Default none.
	pub external: Vec<Multiaddr>,
	/// How connections are made.
	pub transport: TransportConfig,
	/// How many connections, and how much may be open on each.
	pub limits: Limits,
	/// The only peers to have connections with, for a private network. Default: anyone.
	pub allowed: Option<HashSet<PeerId>>,
	/// Peers to have no connections with, beside those that are banned for what they did. Default none.
	pub refused: HashSet<PeerId>,
	/// Time after which a connection without streams is closed. Default 1 minute.
	pub idle_timeout: Duration,
	/// Name and version of the program, told to others. Default `cairn/` and this crate's version.
	pub agent: String,
	/// The DHT. Default on; `None` leaves it out.
	pub dht: Option<DhtConfig>,
	/// Reaching and being reached through NATs.
	pub nat: NatConfig,
	/// Finding peers at rendezvous points.
	pub rendezvous: RendezvousConfig,
	/// Commands that may wait for the host; callers beyond wait themselves. Default 256.
	pub command_queue: usize,
	/// Events that a subscriber may be behind before it loses the oldest. Default 1,024.
	pub event_queue: usize,
}

impl Default for HostConfig {
	fn default() -> Self {
		let loopback = ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"];
		Self {
			listen: loopback
				.map(|address| address.parse().expect("a literal of a multiaddress"))
				.into(),
			external: Vec::new(),
			transport: TransportConfig::default(),
			limits: Limits::default(),
			allowed: None,
			refused: HashSet::new(),
			idle_timeout: Duration::from_secs(60),
			agent: concat!("cairn/", env!("CARGO_PKG_VERSION")).into(),
			dht: Some(DhtConfig::default()),
			nat: NatConfig::default(),
			rendezvous: RendezvousConfig::default(),
			command_queue: 256,
			event_queue: 1024,
		}
	}
}

impl HostConfig {
	/// A host that only other hosts in this process reach, as simulations and tests want it. It listens on the
	/// memory port given, which must be free, and says so to others.
	pub fn in_memory(port: u64) -> Self {
		let address = Multiaddr::from(libp2p::multiaddr::Protocol::Memory(port));
		Self {
			listen: vec![address.clone()],
			external: vec![address],
			transport: TransportConfig {
				quic: false,
				tcp: false,
				dns: false,
				memory: true,
				..TransportConfig::default()
			},
			..Self::default()
		}
	}
}

/// How connections are made. Of a peer's addresses QUIC is tried first, TCP a moment later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportConfig {
	/// QUIC version 1. Default on.
	pub quic: bool,
	/// TCP with Noise and yamux. Default on.
	pub tcp: bool,
	/// The memory of this process. Default off.
	pub memory: bool,
	/// Resolve DNS names in addresses, with the system's configuration. Default on.
	pub dns: bool,
	/// Refuse to dial addresses that are not global: a public host then cannot be made to knock on doors of
	/// its own network. Default off, for networks on one machine or one site.
	pub global_only: bool,
	/// Time for a connection to be made, encryption included. Default 20 seconds; QUIC gives up after 10.
	pub timeout: Duration,
	/// QUIC: bytes that a peer may send ahead on one stream. Default 10 MB.
	pub quic_stream_window: u32,
	/// QUIC: bytes that a peer may send ahead on one connection. Default 15 MB: what a link of 1 Gbit/s and
	/// 120 ms holds.
	pub quic_connection_window: u32,
}

impl Default for TransportConfig {
	fn default() -> Self {
		Self {
			quic: true,
			tcp: true,
			memory: false,
			dns: true,
			global_only: false,
			timeout: Duration::from_secs(20),
			quic_stream_window: 10_000_000,
			quic_connection_window: 15_000_000,
		}
	}
}

/// Limits of connections. Those beyond are refused; none that is open is closed for them.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
	/// Incoming connections that are being negotiated. Default 128.
	pub pending_incoming: u32,
	/// Outgoing connections that are being made. Default 128.
	pub pending_outgoing: u32,
	/// Open connections that others made. Default 512.
	pub incoming: u32,
	/// Of these, and of those being negotiated, at most so many from one IPv4 address or one IPv6 network of 64 bits.
	/// Default 64.
	pub incoming_per_address: u32,
	/// As many at most from one IPv4 network of 24 bits or one IPv6 network of 48 bits. Default 128.
	pub incoming_per_network: u32,
	/// Open connections that this host made. Default 256.
	pub outgoing: u32,
	/// Open connections in all. Default 640: others cannot take all of them.
	pub total: u32,
	/// Open connections with one peer. Default 4.
	pub per_peer: u32,
	/// Streams that a peer may have open on one connection. Default 256.
	pub streams: u32,
	/// Share of the machine's memory, 0 to 1, that this process may have taken for a new connection to be
	/// accepted. Default 0.9; `None` is no limit.
	pub memory_share: Option<f64>,
}

impl Default for Limits {
	fn default() -> Self {
		Self {
			pending_incoming: 128,
			pending_outgoing: 128,
			incoming: 512,
			incoming_per_address: 64,
			incoming_per_network: 128,
			outgoing: 256,
			total: 640,
			per_peer: 4,
			streams: 256,
			memory_share: Some(0.9),
		}
	}
}

/// Whether a host answers the DHT's queries or only makes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DhtMode {
	/// Answers once it has an address that others can reach.
	#[default]
	Auto,
	/// Answers.
	Server,
	/// Only asks.
	Client,
}

/// Configuration of the DHT.
#[derive(Clone, Debug)]
pub struct DhtConfig {
	/// Protocol id; hosts with different ones are in different networks. Default [`DHT_PROTOCOL`].
	pub protocol: StreamProtocol,
	/// Whether to answer queries. Default [`DhtMode::Auto`].
	pub mode: DhtMode,
	/// Peers to join the network through; they need not be there later. Default none.
	pub bootstrap: Vec<PeerAddress>,
	/// How often the neighbourhood is looked up anew. Default 5 minutes.
	pub bootstrap_interval: Duration,
	/// Time for one query, which asks some twenty peers. Default 60 seconds.
	pub query_timeout: Duration,
	/// Searches for providers at once; further ones wait. Default 64.
	pub max_finds: usize,
	/// Announcements of own keys at once. Default 16.
	pub max_announcements: usize,
	/// How often an own key is announced anew. Default 12 hours; must be well below the records' lifetime.
	pub announce_interval: Duration,
	/// Limits of the records kept.
	pub records: RecordsConfig,
}

impl Default for DhtConfig {
	fn default() -> Self {
		Self {
			protocol: DHT_PROTOCOL,
			mode: DhtMode::Auto,
			bootstrap: Vec::new(),
			bootstrap_interval: Duration::from_secs(300),
			query_timeout: Duration::from_secs(60),
			max_finds: 64,
			max_announcements: 16,
			announce_interval: Duration::from_secs(12 * 3600),
			records: RecordsConfig::default(),
		}
	}
}

/// Reaching and being reached through network address translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatConfig {
	/// Have others check which of this host's addresses they reach (autonat 2). Default on.
	pub probe: bool,
	/// Check other hosts' addresses for them. Default on.
	pub answer_probes: bool,
	/// Relays to be reached through, for hosts that others cannot reach. Default none.
	pub relays: Vec<PeerAddress>,
	/// Try to make a relayed connection direct (dcutr). Default on.
	pub hole_punching: bool,
	/// Relay others' connections, with circuits of at most 2 minutes and 128 KiB: enough for hole punching.
	/// Default off.
	pub relay_for_others: bool,
}

impl Default for NatConfig {
	fn default() -> Self {
		Self {
			probe: true,
			answer_probes: true,
			relays: Vec::new(),
			hole_punching: true,
			relay_for_others: false,
		}
	}
}

/// Finding peers at rendezvous points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RendezvousConfig {
	/// Points to register at and to ask for others. Default none.
	pub points: Vec<PeerAddress>,
	/// How often to ask, and to register anew. Default 10 minutes.
	pub interval: Duration,
	/// Be a rendezvous point for others. Default off.
	pub serve: bool,
}

impl Default for RendezvousConfig {
	fn default() -> Self {
		Self {
			points: Vec::new(),
			interval: Duration::from_secs(600),
			serve: false,
		}
	}
}
