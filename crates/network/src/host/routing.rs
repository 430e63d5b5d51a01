//! A bound on the addresses that the DHT's routing table keeps of one peer.
//!
//! Kademlia only ever appends to them, copies the list into an event with each new one, tells it to whoever asks, and
//! dials all of it. A peer may say who it is as often as it likes, with other addresses each time.

use crate::{
	address::{PeerAddress, MAX_ADDRESSES},
	discovery::Records,
};
use libp2p::{kad, Multiaddr, PeerId};

/// Adds a peer with its addresses, if there is room in the routing table. Of a peer that is there already, those that
/// it has now are kept, and of the others the newest up to the limit.
pub(super) fn add(kad: &mut kad::Behaviour<Records>, peer: &PeerAddress) {
	let Some(bucket) = kad.kbucket(peer.peer) else {
		// The host itself.
		return;
	};
	let is_there = bucket.iter().any(|entry| entry.node.key.preimage() == &peer.peer);
	if !is_there && bucket.has_pending() {
		// It is this peer that waits for a place in the bucket, and Kademlia does not show with which addresses; or
		// it is another one, and there is no room.
		return;
	}
	for address in &peer.addresses {
		kad.add_address(&peer.peer, address.clone());
	}
	let known = addresses(kad, &peer.peer);
	let excess = known.len().saturating_sub(MAX_ADDRESSES);
	let is_current = |address: &Multiaddr| {
		let mut address = address.clone();
		address.pop();
		peer.addresses.contains(&address)
	};
	for address in known.iter().filter(|address| !is_current(address)).take(excess) {
		kad.remove_address(&peer.peer, address);
	}
}

/// The addresses of a peer in the routing table, the oldest first, each ending with its peer id. None if it is not
/// there.
fn addresses(kad: &mut kad::Behaviour<Records>, peer: &PeerId) -> Vec<Multiaddr> {
	let bucket = kad.kbucket(*peer);
	let entry = bucket
		.iter()
		.flat_map(|bucket| bucket.iter())
		.find(|entry| entry.node.key.preimage() == peer);
	entry.map_or_else(Vec::new, |entry| entry.node.value.iter().cloned().collect())
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::{clock::SystemClock, discovery::RecordsConfig};
	use libp2p::multiaddr::Protocol;
	use std::sync::Arc;

	fn kademlia() -> kad::Behaviour<Records> {
		let local = PeerId::random();
		let records = Records::new(local, RecordsConfig::default(), Arc::new(SystemClock));
		let config = kad::Config::new(crate::host::DHT_PROTOCOL);
		kad::Behaviour::with_config(local, records, config)
	}

	fn at(ports: impl IntoIterator<Item = u64>) -> Vec<Multiaddr> {
		ports
			.into_iter()
			.map(|port| Multiaddr::from(Protocol::Memory(port)))
			.collect()
	}

	fn named(peer: PeerId, ports: impl IntoIterator<Item = u64>) -> Vec<Multiaddr> {
		let addresses = at(ports).into_iter();
		addresses
			.map(|address| address.with(Protocol::P2p(peer)))
			.collect()
	}

	#[test]
	fn a_peer_that_always_names_others_keeps_the_newest() {
		let mut kad = kademlia();
		let peer = PeerId::random();
		let limit = MAX_ADDRESSES as u64;
		for port in 0..1000 {
			add(&mut kad, &PeerAddress::new(peer, at([port])));
			assert!(addresses(&mut kad, &peer).len() <= MAX_ADDRESSES, "after {port}");
		}
		assert_eq!(addresses(&mut kad, &peer), named(peer, 1000 - limit..1000));
		// All at once too, and what it keeps on naming stays, however old.
		let oldest = 1000 - limit;
		add(
			&mut kad,
			&PeerAddress::new(peer, at([oldest].into_iter().chain(2000..2000 + limit - 1))),
		);
		let expected = [named(peer, [oldest]), named(peer, 2000..2000 + limit - 1)].concat();
		assert_eq!(addresses(&mut kad, &peer), expected);
		add(&mut kad, &PeerAddress::new(peer, at(3000..3000 + limit)));
		assert_eq!(addresses(&mut kad, &peer), named(peer, 3000..3000 + limit));
	}

	#[test]
	fn fewer_addresses_than_the_limit_all_stay() {
		let mut kad = kademlia();
		let peer = PeerId::random();
		add(&mut kad, &PeerAddress::new(peer, at([1, 2])));
		add(&mut kad, &PeerAddress::new(peer, at([3, 2])));
		assert_eq!(addresses(&mut kad, &peer), named(peer, [1, 2, 3]));
		let local = *kad.store_mut().local();
		add(&mut kad, &PeerAddress::new(local, at([4])));
		assert!(addresses(&mut kad, &local).is_empty());
	}
}
