//! Being reached through relays: keeps a reservation at each relay that the configuration names.

use super::behaviour::Behaviour;
use crate::address::PeerAddress;
use libp2p::{core::transport::ListenerId, multiaddr::Protocol, Multiaddr, Swarm};
use std::time::Duration;

/// Time between a lost reservation and the next try.
const RETRY: Duration = Duration::from_secs(30);

enum State {
	/// To be made, as soon as the clock shows this time since the Unix epoch.
	Due(Duration),
	/// Made or being made.
	Kept(ListenerId),
}

/// The reservations of a host.
pub(super) struct Reservations(Vec<(Multiaddr, State)>);

impl Reservations {
	pub fn new(relays: &[PeerAddress], now: Duration) -> Self {
		let circuits = relays.iter().flat_map(|relay| {
			relay.addresses.iter().map(|address| {
				address
					.clone()
					.with(Protocol::P2p(relay.peer))
					.with(Protocol::P2pCircuit)
			})
		});
		Self(circuits.map(|circuit| (circuit, State::Due(now))).collect())
	}

	/// When the next reservation is to be made.
	pub fn next_due(&self) -> Option<Duration> {
		let due = self.0.iter().filter_map(|(_, state)| match state {
			State::Due(due) => Some(*due),
			State::Kept(_) => None,
		});
		due.min()
	}

	/// Makes the reservations that are to be made.
	pub fn do_what_is_due(&mut self, swarm: &mut Swarm<Behaviour>, now: Duration) {
		for (circuit, state) in &mut self.0 {
			if !matches!(state, State::Due(due) if *due <= now) {
				continue;
			}
			*state = match swarm.listen_on(circuit.clone()) {
				Ok(listener) => State::Kept(listener),
				Err(error) => {
					tracing::warn!(%circuit, %error, "no reservation at the relay");
					State::Due(now.saturating_add(RETRY))
				}
			};
		}
	}

	/// A listener was closed; if it was that of a reservation, it is made again after a while.
	pub fn lost(&mut self, listener: ListenerId, now: Duration) {
		for (_, state) in &mut self.0 {
			if matches!(state, State::Kept(kept) if *kept == listener) {
				*state = State::Due(now.saturating_add(RETRY));
			}
		}
	}
}
