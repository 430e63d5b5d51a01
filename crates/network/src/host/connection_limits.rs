//! Bounds on the connections of a host: in all, with one peer, from one machine, and from one owner's network.
//!
//! Identities cost nothing: a limit per peer alone lets one machine take all the places for incoming connections. And
//! nothing may be kept of a peer that is gone: libp2p's own behaviour for limits keeps an entry for every peer that
//! ever was connected.

use super::config::Limits;
use crate::{
	ip_network::{remote_ip, IpNetwork},
	Multiaddr,
};
use libp2p::{
	core::{transport::PortUse, Endpoint},
	swarm::{
		behaviour::{ConnectionClosed, DialFailure, ListenFailure},
		dummy, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
		THandlerOutEvent, ToSwarm,
	},
	PeerId,
};
use std::{
	collections::HashMap,
	convert::Infallible,
	hash::Hash,
	task::{Context, Poll},
};
use thiserror::Error;

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum TooMany {
	/// So many incoming ones are being negotiated.
	#[error("at most {0} incoming connections are negotiated at once")]
	PendingIncoming(u32),
	/// So many outgoing ones are being made.
	#[error("at most {0} outgoing connections are made at once")]
	PendingOutgoing(u32),
	/// So many that others made are open.
	#[error("at most {0} incoming connections are open at once")]
	Incoming(u32),
	/// So many that this host made are open.
	#[error("at most {0} outgoing connections are open at once")]
	Outgoing(u32),
	/// So many are open.
	#[error("at most {0} connections are open at once")]
	InAll(u32),
	/// So many with its peer are open.
	#[error("at most {0} connections with one peer are open at once")]
	WithPeer(u32),
	/// So many come from its machine.
	#[error("at most {0} connections come from one address")]
	OfMachine(u32),
	/// So many come from its network.
	#[error("at most {0} connections come from one network")]
	OfSite(u32),
}

impl TooMany {
	/// Whether it is for where the connection comes from.
	pub fn is_of_origin(self) -> bool {
		matches!(self, Self::OfMachine(_) | Self::OfSite(_))
	}
}

/// Where an incoming connection comes from.
#[derive(Clone, Copy)]
struct Origin {
	machine: IpNetwork,
	site: IpNetwork,
}

/// Who made a connection.
#[derive(Clone, Copy)]
enum Maker {
	/// This host.
	Host,
	/// The other side. The origin is none if it is relayed, or not over IP.
	Other(Option<Origin>),
}

/// A connection from its first try on.
#[derive(Clone, Copy)]
struct Counted {
	maker: Maker,
	/// Who is at the other end; none while that is being negotiated.
	peer: Option<PeerId>,
}

/// How often there is what; what there is none of is not kept.
struct Tally<K>(HashMap<K, u32>);

impl<K: Eq + Hash> Tally<K> {
	fn of(&self, key: &K) -> u32 {
		self.0.get(key).copied().unwrap_or(0)
	}

	fn add(&mut self, key: K) {
		*self.0.entry(key).or_default() += 1;
	}

	fn remove(&mut self, key: &K) {
		if let Some(count) = self.0.get_mut(key) {
			*count -= 1;
			if *count == 0 {
				self.0.remove(key);
			}
		}
	}
}

/// How many connections there are in one direction.
#[derive(Default)]
struct Direction {
	pending: u32,
	open: u32,
}

/// A behaviour that refuses connections beyond [`Limits`].
///
/// Those from one machine and from one site count from the start of the negotiation on.
pub(super) struct ConnectionLimits {
	limits: Limits,
	connections: HashMap<ConnectionId, Counted>,
	incoming: Direction,
	outgoing: Direction,
	peers: Tally<PeerId>,
	machines: Tally<IpNetwork>,
	sites: Tally<IpNetwork>,
}

impl ConnectionLimits {
	pub fn new(limits: Limits) -> Self {
		Self {
			limits,
			connections: HashMap::new(),
			incoming: Direction::default(),
			outgoing: Direction::default(),
			peers: Tally(HashMap::new()),
			machines: Tally(HashMap::new()),
			sites: Tally(HashMap::new()),
		}
	}

	fn direction(&mut self, maker: Maker) -> &mut Direction {
		match maker {
			Maker::Host => &mut self.outgoing,
			Maker::Other(_) => &mut self.incoming,
		}
	}

	fn calling(&mut self, connection: ConnectionId) -> Result<(), TooMany> {
		check(
			self.outgoing.pending,
			self.limits.pending_outgoing,
			TooMany::PendingOutgoing,
		)?;
		self.begin(connection, Maker::Host);
		Ok(())
	}

	fn called(&mut self, connection: ConnectionId, remote: &Multiaddr) -> Result<(), TooMany> {
		let limits = &self.limits;
		check(
			self.incoming.pending,
			limits.pending_incoming,
			TooMany::PendingIncoming,
		)?;
		let origin = remote_ip(remote).map(|ip| Origin {
			machine: IpNetwork::machine(ip),
			site: IpNetwork::site(ip),
		});
		if let Some(Origin { machine, site }) = origin {
			check(
				self.machines.of(&machine),
				limits.incoming_per_address,
				TooMany::OfMachine,
			)?;
			check(self.sites.of(&site), limits.incoming_per_network, TooMany::OfSite)?;
			self.machines.add(machine);
			self.sites.add(site);
		}
		self.begin(connection, Maker::Other(origin));
		Ok(())
	}

	fn begin(&mut self, connection: ConnectionId, maker: Maker) {
		self.direction(maker).pending += 1;
		self.connections.insert(connection, Counted { maker, peer: None });
	}

	/// A pending connection was made. One that is refused stays pending until the swarm says that it ended.
	fn opened(&mut self, connection: ConnectionId, peer: PeerId) -> Result<(), TooMany> {
		let Some(counted) = self
			.connections
			.get(&connection)
			.copied()
			.filter(|counted| counted.peer.is_none())
		else {
			// The swarm tells of every connection once before it is made.
			return Ok(());
		};
		let limits = &self.limits;
		match counted.maker {
			Maker::Host => check(self.outgoing.open, limits.outgoing, TooMany::Outgoing)?,
			Maker::Other(_) => check(self.incoming.open, limits.incoming, TooMany::Incoming)?,
		}
		check(self.peers.of(&peer), limits.per_peer, TooMany::WithPeer)?;
		check(
			self.incoming.open + self.outgoing.open,
			limits.total,
			TooMany::InAll,
		)?;
		let direction = self.direction(counted.maker);
		direction.pending -= 1;
		direction.open += 1;
		self.peers.add(peer);
		let peer = Some(peer);
		self.connections.insert(connection, Counted { peer, ..counted });
		Ok(())
	}

	/// A connection was closed, or not made. One that was refused before it counted is not known, and frees nothing.
	fn ended(&mut self, connection: &ConnectionId) {
		let Some(Counted { maker, peer }) = self.connections.remove(connection) else {
			return;
		};
		let direction = self.direction(maker);
		match peer {
			Some(peer) => {
				direction.open -= 1;
				self.peers.remove(&peer);
			}
			None => direction.pending -= 1,
		}
		if let Maker::Other(Some(Origin { machine, site })) = maker {
			self.machines.remove(&machine);
			self.sites.remove(&site);
		}
	}
}

/// Whether there is room for one more.
fn check(count: u32, limit: u32, too_many: fn(u32) -> TooMany) -> Result<(), TooMany> {
	match count < limit {
		true => Ok(()),
		false => Err(too_many(limit)),
	}
}

impl NetworkBehaviour for ConnectionLimits {
	type ConnectionHandler = dummy::ConnectionHandler;
	type ToSwarm = Infallible;

	fn handle_pending_inbound_connection(
		&mut self,
		connection: ConnectionId,
		_: &Multiaddr,
		remote: &Multiaddr,
	) -> Result<(), ConnectionDenied> {
		self.called(connection, remote).map_err(ConnectionDenied::new)
	}

	fn handle_established_inbound_connection(
		&mut self,
		connection: ConnectionId,
		peer: PeerId,
		_: &Multiaddr,
		_: &Multiaddr,
	) -> Result<THandler<Self>, ConnectionDenied> {
		self.opened(connection, peer).map_err(ConnectionDenied::new)?;
		Ok(dummy::ConnectionHandler)
	}

	fn handle_pending_outbound_connection(
		&mut self,
		connection: ConnectionId,
		_: Option<PeerId>,
		_: &[Multiaddr],
		_: Endpoint,
	) -> Result<Vec<Multiaddr>, ConnectionDenied> {
		self.calling(connection).map_err(ConnectionDenied::new)?;
		Ok(Vec::new())
	}

	fn handle_established_outbound_connection(
		&mut self,
		connection: ConnectionId,
		peer: PeerId,
		_: &Multiaddr,
		_: Endpoint,
		_: PortUse,
	) -> Result<THandler<Self>, ConnectionDenied> {
		self.opened(connection, peer).map_err(ConnectionDenied::new)?;
		Ok(dummy::ConnectionHandler)
	}

	fn on_swarm_event(&mut self, event: FromSwarm) {
		match event {
			FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
			| FromSwarm::DialFailure(DialFailure { connection_id, .. })
			| FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => self.ended(&connection_id),
			_ => {}
		}
	}

	fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
		match event {}
	}

	fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
		Poll::Pending
	}
}

#[cfg(test)]
mod tests;
