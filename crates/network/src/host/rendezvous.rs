//! Meeting other peers at rendezvous points: registers there and asks who else did, again and again.

use super::{
	config::{RendezvousConfig, RENDEZVOUS_NAMESPACE},
	event::Event,
};
use crate::address::PeerAddress;
use libp2p::{
	rendezvous::{client, Cookie, Namespace},
	PeerId,
};
use std::{collections::HashMap, time::Duration};

/// Registrations asked for at once.
const PAGE: u64 = 100;
/// Time before the next page of registrations: a point that always has more does not keep the host busy.
const NEXT_PAGE: Duration = Duration::from_secs(1);

struct Point {
	address: PeerAddress,
	/// When it is visited next, as a time since the Unix epoch.
	due: Duration,
	/// What the point has told already.
	cookie: Option<Cookie>,
}

/// The rendezvous points of a host.
pub(super) struct Rendezvous {
	interval: Duration,
	points: HashMap<PeerId, Point>,
}

impl Rendezvous {
	pub fn new(config: &RendezvousConfig, now: Duration) -> Self {
		let points = config.points.iter().map(|address| {
			let point = Point {
				address: address.clone(),
				due: now,
				cookie: None,
			};
			(address.peer, point)
		});
		Self {
			interval: config.interval,
			points: points.collect(),
		}
	}

	pub fn is_point(&self, peer: &PeerId) -> bool {
		self.points.contains_key(peer)
	}

	/// When the next point is to be visited.
	pub fn next_due(&self) -> Option<Duration> {
		self.points.values().map(|point| point.due).min()
	}

	/// The points to visit now.
	pub fn take_due(&mut self, now: Duration) -> Vec<PeerAddress> {
		let due = self.points.values_mut().filter(|point| point.due <= now);
		due.map(|point| {
			point.due = now.saturating_add(self.interval);
			point.address.clone()
		})
		.collect()
	}

	/// The host has a new address to register.
	pub fn register_soon(&mut self, now: Duration) {
		for point in self.points.values_mut() {
			point.due = now;
		}
	}

	/// Registers at a point that there is a connection with, and asks it for peers.
	pub fn meet(&mut self, behaviour: &mut client::Behaviour, peer: PeerId, now: Duration) {
		let Some(point) = self.points.get_mut(&peer) else {
			return;
		};
		point.due = now.saturating_add(self.interval);
		let namespace = Namespace::from_static(RENDEZVOUS_NAMESPACE);
		if let Err(error) = behaviour.register(namespace.clone(), peer, None) {
			// Without an address that others reach there is nothing to register; peers can be asked for.
			tracing::debug!(%peer, %error, "not registered at the rendezvous point");
		}
		behaviour.discover(Some(namespace), point.cookie.clone(), Some(PAGE), peer);
	}

	/// What a point's answer comes to: peers that it named, or that it knows this host now.
	pub fn on_event(&mut self, event: client::Event, now: Duration) -> Vec<Event> {
		match event {
			client::Event::Discovered {
				rendezvous_node,
				registrations,
				cookie,
			} => {
				let Some(point) = self.points.get_mut(&rendezvous_node) else {
					return Vec::new();
				};
				point.cookie = Some(cookie);
				if registrations.len() as u64 >= PAGE {
					// There are more.
					point.due = now.saturating_add(NEXT_PAGE);
				}
				let peers = registrations.into_iter().take(PAGE as usize).map(|registration| {
					let record = registration.record;
					let peer = PeerAddress::new(record.peer_id(), record.addresses().iter().cloned());
					Event::Discovered { peer }
				});
				peers.collect()
			}
			client::Event::DiscoverFailed {
				rendezvous_node,
				error,
				..
			} => {
				tracing::debug!(peer = %rendezvous_node, ?error, "the rendezvous point names no peers");
				if let Some(point) = self.points.get_mut(&rendezvous_node) {
					// It may have forgotten what the cookie stands for.
					point.cookie = None;
				}
				Vec::new()
			}
			client::Event::RegisterFailed {
				rendezvous_node,
				error,
				..
			} => {
				tracing::debug!(peer = %rendezvous_node, ?error, "not registered at the rendezvous point");
				Vec::new()
			}
			client::Event::Registered { rendezvous_node, .. } => vec![Event::Registered {
				point: rendezvous_node,
			}],
			client::Event::Expired { .. } => Vec::new(),
		}
	}
}
