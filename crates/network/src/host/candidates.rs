//! A bound on the addresses that others claim to see this host under.
//!
//! Every connection's identify names one. The autonat client keeps each of them for ever, to probe it once; a peer
//! that comes again and again with another one each time would fill the memory.

use libp2p::{
	core::{transport::PortUse, Endpoint},
	swarm::{
		behaviour::NewExternalAddrCandidate, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour,
		THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
	},
	Multiaddr, PeerId,
};
use std::{
	collections::HashSet,
	task::{Context, Poll},
};

/// Different addresses that are probed during the life of a host. A host that has seen so many needs its address
/// configured, or a restart, to learn of another one.
pub(super) const MAX_CANDIDATES: usize = 1024;

/// A behaviour that is told of the first [`MAX_CANDIDATES`] candidates for the host's external address only.
pub(super) struct FewCandidates<B> {
	inner: B,
	known: HashSet<Multiaddr>,
}

impl<B> FewCandidates<B> {
	pub fn new(inner: B) -> Self {
		Self {
			inner,
			known: HashSet::new(),
		}
	}

	/// Whether the behaviour is to be told of this candidate.
	fn admits(&mut self, candidate: &Multiaddr) -> bool {
		if self.known.contains(candidate) {
			return true;
		}
		let has_room = self.known.len() < MAX_CANDIDATES;
		if has_room {
			self.known.insert(candidate.clone());
		}
		has_room
	}
}

impl<B: NetworkBehaviour> NetworkBehaviour for FewCandidates<B> {
	type ConnectionHandler = B::ConnectionHandler;
	type ToSwarm = B::ToSwarm;

	fn handle_pending_inbound_connection(
		&mut self,
		connection: ConnectionId,
		local: &Multiaddr,
		remote: &Multiaddr,
	) -> Result<(), ConnectionDenied> {
		self.inner
			.handle_pending_inbound_connection(connection, local, remote)
	}

	fn handle_established_inbound_connection(
		&mut self,
		connection: ConnectionId,
		peer: PeerId,
		local: &Multiaddr,
		remote: &Multiaddr,
	) -> Result<THandler<Self>, ConnectionDenied> {
		self.inner
			.handle_established_inbound_connection(connection, peer, local, remote)
	}

	fn handle_pending_outbound_connection(
		&mut self,
		connection: ConnectionId,
		peer: Option<PeerId>,
		addresses: &[Multiaddr],
		role: Endpoint,
	) -> Result<Vec<Multiaddr>, ConnectionDenied> {
		self.inner
			.handle_pending_outbound_connection(connection, peer, addresses, role)
	}

	fn handle_established_outbound_connection(
		&mut self,
		connection: ConnectionId,
		peer: PeerId,
		address: &Multiaddr,
		role: Endpoint,
		port: PortUse,
	) -> Result<THandler<Self>, ConnectionDenied> {
		self.inner
			.handle_established_outbound_connection(connection, peer, address, role, port)
	}

	fn on_swarm_event(&mut self, event: FromSwarm) {
		if let FromSwarm::NewExternalAddrCandidate(NewExternalAddrCandidate { addr }) = &event {
			if !self.admits(addr) {
				return;
			}
		}
		self.inner.on_swarm_event(event);
	}

	fn on_connection_handler_event(
		&mut self,
		peer: PeerId,
		connection: ConnectionId,
		event: THandlerOutEvent<Self>,
	) {
		self.inner.on_connection_handler_event(peer, connection, event);
	}

	fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
		self.inner.poll(cx)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use libp2p::{
		multiaddr::Protocol,
		swarm::{behaviour::NewListenAddr, dummy},
	};
	use std::convert::Infallible;

	/// Counts what it is told.
	#[derive(Default)]
	struct Listener {
		candidates: usize,
		others: usize,
	}

	impl NetworkBehaviour for Listener {
		type ConnectionHandler = dummy::ConnectionHandler;
		type ToSwarm = Infallible;

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
				FromSwarm::NewExternalAddrCandidate(_) => self.candidates += 1,
				_ => self.others += 1,
			}
		}

		fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, _: THandlerOutEvent<Self>) {}

		fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
			Poll::Pending
		}
	}

	#[test]
	fn only_so_many_different_candidates_are_told() {
		let mut behaviour = FewCandidates::new(Listener::default());
		let tell = |behaviour: &mut FewCandidates<Listener>, port: u64| {
			let addr = Multiaddr::from(Protocol::Memory(port));
			let candidate = NewExternalAddrCandidate { addr: &addr };
			behaviour.on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
		};
		for port in 0..2 * MAX_CANDIDATES as u64 {
			tell(&mut behaviour, port);
		}
		assert_eq!(behaviour.inner.candidates, MAX_CANDIDATES);
		// Those told before count, as they do without the bound; all else passes.
		tell(&mut behaviour, 0);
		assert_eq!(behaviour.inner.candidates, MAX_CANDIDATES + 1);
		let addr = Multiaddr::from(Protocol::Memory(1));
		let listener_id = libp2p::core::transport::ListenerId::next();
		behaviour.on_swarm_event(FromSwarm::NewListenAddr(NewListenAddr {
			listener_id,
			addr: &addr,
		}));
		assert_eq!(behaviour.inner.others, 1);
	}
}
