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
	kad::{self, store::MemoryStore, GetClosestPeersError, GetClosestPeersOk, QueryResult},
	swarm::{NetworkBehaviour, SwarmEvent},
	Swarm,
};
use std::collections::HashSet;

/// How often the peer says who it is, with another address each time.
const PUSHES: u64 = 24;
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
		let identify =
			identify::Config::new("/test".into(), key.public()).with_push_listen_addr_updates(true);
		Protocols {
			identify: identify::Behaviour::new(identify),
			kad,
		}
	})
}

fn nowhere(number: u64) -> Multiaddr {
	Protocol::Memory(NOWHERE + number).into()
}

/// What the DHT says about where a peer is, asking through one host.
async fn asked(asker: &mut Swarm<Protocols>, through: &PeerAddress, wanted: PeerId) -> HashSet<Multiaddr> {
	let kad = &mut asker.behaviour_mut().kad;
	kad.add_address(&through.peer, through.addresses[0].clone());
	kad.get_closest_peers(wanted);
	loop {
		let SwarmEvent::Behaviour(ProtocolsEvent::Kad(kad::Event::OutboundQueryProgressed {
			result: QueryResult::GetClosestPeers(result),
			..
		})) = asker.select_next_some().await
		else {
			continue;
		};
		let (Ok(GetClosestPeersOk { peers, .. }) | Err(GetClosestPeersError::Timeout { peers, .. })) = result;
		let told = peers.into_iter().filter(|peer| peer.peer_id == wanted);
		return told.flat_map(|peer| peer.addrs).collect();
	}
}

#[tokio::test]
async fn who_always_names_other_addresses_fills_no_routing_table() {
	let mut network = Network::new();
	let host = network.start(dht_config(&[])).await;
	let door = address(&host).await;
	let [mut pusher, mut asker] = [stranger(&mut network), stranger(&mut network)];
	let liar = *pusher.local_peer_id();
	pusher.add_external_address(nowhere(0));
	pusher.dial(door.addresses[0].clone()).unwrap();
	within("identify", async {
		loop {
			let event = pusher.select_next_some().await;
			if matches!(
				event,
				SwarmEvent::Behaviour(ProtocolsEvent::Identify(identify::Event::Received { .. }))
			) {
				break;
			}
		}
	})
	.await;
	for number in 1..=PUSHES {
		pusher.remove_external_address(&nowhere(number - 1));
		pusher.add_external_address(nowhere(number));
		within("a push", async {
			loop {
				if let SwarmEvent::Behaviour(ProtocolsEvent::Identify(identify::Event::Pushed {
					info, ..
				})) = pusher.select_next_some().await
				{
					if info.listen_addrs.contains(&nowhere(number)) {
						break;
					}
				}
			}
		})
		.await;
	}
	tokio::spawn(async move {
		loop {
			pusher.select_next_some().await;
		}
	});
	let told = within("the last address", async {
		loop {
			let told = asked(&mut asker, &door, liar).await;
			if told.contains(&nowhere(PUSHES).with_p2p(liar).unwrap()) {
				break told;
			}
		}
	})
	.await;
	assert!(told.len() <= MAX_ADDRESSES, "{} addresses", told.len());
}
