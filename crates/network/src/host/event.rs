//! What a host tells those who listen.

use crate::{address::PeerAddress, metrics::Carrier, Multiaddr};
use libp2p::{multihash::Multihash, swarm::StreamProtocol, PeerId};
use std::time::Duration;

/// Something happened. Events come in order; see [`Host::subscribe`](super::Host::subscribe).
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
	/// The first connection with a peer is open.
	Connected {
		/// The peer.
		peer: PeerId,
		/// How it is carried.
		carrier: Carrier,
		/// Whether this host made it.
		outgoing: bool,
	},
	/// The last connection with a peer is closed.
	Disconnected {
		/// The peer.
		peer: PeerId,
	},
	/// A peer said who it is; again whenever that changes.
	Identified {
		/// The peer.
		peer: PeerId,
		/// The protocols it speaks.
		protocols: Vec<StreamProtocol>,
	},
	/// The host can be reached under this address of its own.
	Listening {
		/// The address.
		address: Multiaddr,
	},
	/// Others can reach the host under this address.
	Reachable {
		/// The address.
		address: Multiaddr,
	},
	/// Others cannot reach the host under this address any more.
	Unreachable {
		/// The address.
		address: Multiaddr,
	},
	/// A rendezvous point knows this host now, and names it to others.
	Registered {
		/// The point.
		point: PeerId,
	},
	/// A rendezvous point named a peer.
	Discovered {
		/// The peer and its addresses.
		peer: PeerAddress,
	},
	/// The DHT's nodes near an own key were told that this host provides it.
	Announced {
		/// The multihash of the content's CID.
		key: Multihash<64>,
	},
}

/// The DHT as this host sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DhtStatus {
	/// Peers in the routing table.
	pub peers: usize,
	/// Whether this host answers queries.
	pub is_server: bool,
	/// Keys that this host provides.
	pub provided: usize,
	/// How many of them were announced since the host's start.
	pub announced: usize,
	/// Provider records kept for others.
	pub records: usize,
}

/// A peer that the host has a connection with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectedPeer {
	/// The peer.
	pub peer: PeerId,
	/// The remote address of each connection.
	pub addresses: Vec<Multiaddr>,
	/// Name and version of its program, as it says. `None` until it has.
	pub agent: Option<String>,
	/// The protocols it speaks, as it says.
	pub protocols: Vec<StreamProtocol>,
	/// Round-trip time. `None` before the first measurement.
	pub rtt: Option<Duration>,
}
