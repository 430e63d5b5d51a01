//! Peers that are no hosts of this crate, and say what they like.

use crate::harness::{address, dht_config, swarm, within, Network};
use cairn_network::{
	address::{PeerAddress, MAX_ADDRESSES},
	host::DHT_PROTOCOL,
	Multiaddr, PeerId, Protocol,
};
use futures::StreamExt;
use libp2p::{
	identify,
	kad::{self, store::MemoryStore},
	swarm::{DialError, NetworkBehaviour, SwarmEvent},
	Swarm,
};
use std::collections::HashSet;

/// How often the peer says who it is, with other addresses each time.
const PUSHES: u64 = 4;
/// How many addresses.
const AT_ONCE: u64 = 8;
/// Where nobody listens.
const NOWHERE: u64 = 1 << 40;

#[derive(NetworkBehaviour)]
struct Protocols {
	identify: identify::Behaviour,
	kad: kad::Behaviour<MemoryStore>,
}

fn stranger(network: &mut Network) -> Swarm<Protocols> {
	swarm(network, |key| {
		let local = key.public().to_peer_id();
		let config = kad::Config::new(DHT_PROTOCOL);
		let mut kad = kad::Behaviour::with_config(local, MemoryStore::new(local), config);
		kad.set_mode(Some(kad::Mode::Server));
		let identify = identify::Config::new("/test".into(), key.public());
		Protocols {
			identify: identify::Behaviour::new(identify),
			kad,
		}
	})
}

/// The addresses that are named in one push.
fn nowhere(push: u64) -> impl Iterator<Item = Multiaddr> {
	(0..AT_ONCE).map(move |number| Protocol::Memory(NOWHERE + push * AT_ONCE + number).into())
}

/// The addresses of a peer that the DHT tells, asking through one host: those that the asker dials the peer at, while
/// the peer itself is served. None if it tells of no such peer.
async fn asked(
	asker: &mut Swarm<Protocols>,
	through: &PeerAddress,
	wanted: &mut Swarm<Protocols>,
) -> HashSet<Multiaddr> {
	let peer = *wanted.local_peer_id();
	let kad = &mut asker.behaviour_mut().kad;
	kad.add_address(&through.peer, through.addresses[0].clone());
	kad.get_closest_peers(peer);
	loop {
		let event = tokio::select! {
			event = asker.select_next_some() => event,
			_ = wanted.select_next_some() => continue,
		};
		match event {
			SwarmEvent::OutgoingConnectionError {
				peer_id: Some(dialled),
				error: DialError::Transport(tried),
				..
			} if dialled == peer => return tried.into_iter().map(|(address, _)| address).collect(),
			SwarmEvent::Behaviour(ProtocolsEvent::Kad(kad::Event::OutboundQueryProgressed {
				step, ..
			})) if step.last => return HashSet::new(),
			_ => {}
		}
	}
}

#[tokio::test]
async fn who_always_names_other_addresses_fills_no_routing_table() {
	let mut network = Network::new();
	let host = network.start(dht_config(&[])).await;
	let door = address(&host).await;
	let [mut pusher, mut asker] = [stranger(&mut network), stranger(&mut network)];
	let liar: PeerId = *pusher.local_peer_id();
	pusher.dial(door.addresses[0].clone()).unwrap();
	within("identify", async {
		loop {
			let event = pusher.select_next_some().await;
			if matches!(
				event,
				SwarmEvent::Behaviour(ProtocolsEvent::Identify(identify::Event::Sent { .. }))
			) {
				break;
			}
		}
	})
	.await;
	let mut most = 0;
	for push in 0..PUSHES {
		let old: Vec<_> = pusher.external_addresses().cloned().collect();
		for address in old {
			pusher.remove_external_address(&address);
		}
		for address in nowhere(push) {
			pusher.add_external_address(address);
		}
		let newest: HashSet<_> = nowhere(push)
			.map(|address| address.with_p2p(liar).unwrap())
			.collect();
		let told = within("the newest addresses", async {
			loop {
				// libp2p tells of new listeners by itself, and of new external addresses when it is told to.
				pusher.behaviour_mut().identify.push([door.peer]);
				let told = asked(&mut asker, &door, &mut pusher).await;
				if told.is_superset(&newest) {
					break told;
				}
			}
		})
		.await;
		most = most.max(told.len());
		assert!(told.len() <= MAX_ADDRESSES, "{} addresses", told.len());
	}
	// It was the bound that held, not that others were forgotten.
	assert_eq!(most, MAX_ADDRESSES);
}
