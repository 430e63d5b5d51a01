//! What handles ask of the task.

use super::{events::refusal, Task};
use crate::{
	address::PeerAddress,
	host::{
		commands::{Command, ConnectError, ListenError, ProvideError, Reply},
		event::ConnectedPeer,
	},
	Multiaddr,
};
use libp2p::swarm::{
	dial_opts::{DialOpts, PeerCondition},
	DialError,
};

impl Task {
	pub(super) fn on_command(&mut self, command: Command) {
		// Replies that nobody waits for any more are dropped.
		match command {
			Command::Listen { address, reply } => self.listen_on(address, reply),
			Command::AddExternal { address, reply } => {
				self.swarm.add_external_address(address.clone());
				// The swarm tells nobody but its behaviours.
				self.on_reachable(address);
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
			Command::Provided { reply } => {
				let kad = self.swarm.behaviour_mut().kad.as_mut();
				let _ = reply.send(kad.map_or_else(Vec::new, |kad| kad.store_mut().provided_keys()));
			}
			// The loop ends on it.
			Command::Shutdown { .. } => {}
		}
	}

	pub(super) fn listen_on(&mut self, address: Multiaddr, reply: Reply<Result<Multiaddr, ListenError>>) {
		match self.swarm.listen_on(address) {
			Ok(listener) => {
				self.listeners.insert(listener);
				self.listening.insert(listener, reply);
			}
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

	pub(super) fn dial(&mut self, peer: PeerAddress, reply: Option<Reply<Result<(), ConnectError>>>) {
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
}

pub(super) fn connect_error(error: DialError) -> ConnectError {
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
