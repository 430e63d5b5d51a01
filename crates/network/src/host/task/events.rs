//! What the swarm says.

use super::{requests::connect_error, Task};
use crate::{
	address::PeerAddress,
	host::{behaviour::BehaviourEvent, commands::ListenError, connection_limits::TooMany, event::Event},
	ip_network::{remote_ip, IpNetwork},
	metrics::Carrier,
	Multiaddr,
};
use libp2p::{
	allow_block_list, identify, memory_connection_limits, ping,
	swarm::{ConnectionDenied, DialError, ListenError as IncomingError, SwarmEvent},
	PeerId,
};

/// Longest name of a program that is kept, in bytes.
const MAX_AGENT_BYTES: usize = 128;
/// Protocols kept of one peer.
const MAX_PROTOCOLS: usize = 64;

impl Task {
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
				if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
					// Those who call are told apart by where they call from, those whom this host calls by where
					// it found them.
					let origin = remote_ip(endpoint.get_remote_address()).map(IpNetwork::site);
					kad.store_mut().connected(peer, origin);
				}
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
					if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
						kad.store_mut().disconnected(&peer);
					}
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
				self.listeners.remove(&listener_id);
				if let Some(reply) = self.listening.remove(&listener_id) {
					let _ = reply.send(Err(ListenError::Failed(reason)));
				}
				self.reservations.lost(listener_id, self.clock.now());
			}
			SwarmEvent::ExternalAddrConfirmed { address } => self.on_reachable(address),
			SwarmEvent::ExternalAddrExpired { address } => {
				self.emit(Event::Unreachable { address });
			}
			_ => {}
		}
	}

	/// Others reach the host under an address that it did not know of.
	pub(super) fn on_reachable(&mut self, address: Multiaddr) {
		tracing::info!(%address, "reachable");
		self.emit(Event::Reachable { address });
		self.rendezvous.register_soon(self.clock.now());
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
pub(super) fn refusal(cause: &ConnectionDenied) -> Option<&'static str> {
	if let Some(too_many) = cause.downcast_ref::<TooMany>() {
		Some(if too_many.is_of_origin() {
			"address"
		} else {
			"limit"
		})
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
