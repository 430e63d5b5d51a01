//! A bound on the connections that come from one machine, and from one owner's network.
//!
//! Identities cost nothing: a limit per peer alone lets one machine take all the places for incoming connections.

use crate::{
	ip_network::{remote_ip, IpNetwork},
	Multiaddr,
};
use libp2p::{
	core::{transport::PortUse, Endpoint},
	swarm::{
		behaviour::{ConnectionClosed, ListenFailure},
		dummy, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
		THandlerOutEvent, ToSwarm,
	},
	PeerId,
};
use std::{
	collections::HashMap,
	convert::Infallible,
	task::{Context, Poll},
};
use thiserror::Error;

/// Why an incoming connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum TooMany {
	/// Its machine has enough of them.
	#[error("too many connections from this address")]
	OfMachine,
	/// Its network has enough of them.
	#[error("too many connections from this network")]
	OfSite,
}

/// Where an incoming connection comes from.
#[derive(Clone, Copy)]
struct Origin {
	machine: IpNetwork,
	site: IpNetwork,
}

/// A behaviour that refuses incoming connections beyond so many of one machine and of one site; those being
/// negotiated count too. Connections that are relayed or not over IP are not counted.
pub(super) struct PerNetwork {
	per_machine: usize,
	per_site: usize,
	incoming: HashMap<ConnectionId, Origin>,
	machines: HashMap<IpNetwork, usize>,
	sites: HashMap<IpNetwork, usize>,
}

impl PerNetwork {
	pub fn new(per_machine: u32, per_site: u32) -> Self {
		Self {
			per_machine: per_machine as usize,
			per_site: per_site as usize,
			incoming: HashMap::new(),
			machines: HashMap::new(),
			sites: HashMap::new(),
		}
	}

	fn admit(&mut self, connection: ConnectionId, remote: &Multiaddr) -> Result<(), TooMany> {
		let Some(ip) = remote_ip(remote) else {
			return Ok(());
		};
		let origin = Origin {
			machine: IpNetwork::machine(ip),
			site: IpNetwork::site(ip),
		};
		let count = |counts: &HashMap<IpNetwork, usize>, network| counts.get(network).copied().unwrap_or(0);
		if count(&self.machines, &origin.machine) >= self.per_machine {
			return Err(TooMany::OfMachine);
		}
		if count(&self.sites, &origin.site) >= self.per_site {
			return Err(TooMany::OfSite);
		}
		self.incoming.insert(connection, origin);
		*self.machines.entry(origin.machine).or_default() += 1;
		*self.sites.entry(origin.site).or_default() += 1;
		Ok(())
	}

	fn ended(&mut self, connection: &ConnectionId) {
		let Some(origin) = self.incoming.remove(connection) else {
			return;
		};
		for (counts, network) in [
			(&mut self.machines, origin.machine),
			(&mut self.sites, origin.site),
		] {
			if let Some(count) = counts.get_mut(&network) {
				*count -= 1;
				if *count == 0 {
					counts.remove(&network);
				}
			}
		}
	}
}

impl NetworkBehaviour for PerNetwork {
	type ConnectionHandler = dummy::ConnectionHandler;
	type ToSwarm = Infallible;

	fn handle_pending_inbound_connection(
		&mut self,
		connection: ConnectionId,
		_: &Multiaddr,
		remote: &Multiaddr,
	) -> Result<(), ConnectionDenied> {
		self.admit(connection, remote).map_err(ConnectionDenied::new)
	}

	fn handle_established_inbound_connection(
		&mut self,
		_: ConnectionId,
		_: PeerId,
		_: &Multiaddr,
		_: &Multiaddr,
	) -> Result<THandler<Self>, ConnectionDenied> {
		Ok(dummy::ConnectionHandler)
	}

	fn handle_established_outbound_connection(
		&mut self,
		_: ConnectionId,
		_: PeerId,
		_: &Multiaddr,
		_: Endpoint,
		_: PortUse,
	) -> Result<THandler<Self>, ConnectionDenied> {
		Ok(dummy::ConnectionHandler)
	}

	fn on_swarm_event(&mut self, event: FromSwarm) {
		match event {
			FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
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
mod tests {
	use super::*;

	fn from(limits: &mut PerNetwork, id: usize, remote: &str) -> Result<(), TooMany> {
		limits.admit(ConnectionId::new_unchecked(id), &remote.parse().unwrap())
	}

	#[test]
	fn machines_and_sites_have_so_many_and_no_more() {
		let mut limits = PerNetwork::new(2, 3);
		from(&mut limits, 1, "/ip4/203.0.113.1/udp/1/quic-v1").unwrap();
		from(&mut limits, 2, "/ip4/203.0.113.1/tcp/2").unwrap();
		let third = from(&mut limits, 3, "/ip4/203.0.113.1/tcp/3");
		assert_eq!(third, Err(TooMany::OfMachine));
		from(&mut limits, 4, "/ip4/203.0.113.2/tcp/3").unwrap();
		let fourth = from(&mut limits, 5, "/ip4/203.0.113.3/tcp/3");
		assert_eq!(fourth, Err(TooMany::OfSite));
		from(&mut limits, 6, "/ip4/203.0.114.3/tcp/3").unwrap();
		for id in 10..20 {
			// Whoever is behind a relay, and this process.
			let peer = PeerId::random();
			from(&mut limits, id, &format!("/p2p/{peer}")).unwrap();
			from(&mut limits, 10 * id, "/memory/1").unwrap();
		}
		// One that was refused was not counted, and its end frees nothing.
		limits.ended(&ConnectionId::new_unchecked(3));
		assert!(from(&mut limits, 7, "/ip4/203.0.113.1/tcp/3").is_err());
		limits.ended(&ConnectionId::new_unchecked(2));
		limits.ended(&ConnectionId::new_unchecked(2));
		from(&mut limits, 8, "/ip4/203.0.113.1/tcp/3").unwrap();
		assert!(from(&mut limits, 9, "/ip4/203.0.113.1/tcp/3").is_err());
		for id in 0..200 {
			limits.ended(&ConnectionId::new_unchecked(id));
		}
		assert!(limits.machines.is_empty() && limits.sites.is_empty() && limits.incoming.is_empty());
	}
}
