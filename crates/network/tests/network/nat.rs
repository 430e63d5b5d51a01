//! Being found and reached from behind NATs: relays, probes, rendezvous points.

use crate::harness::{address, config, connect, dht_config, Events, Network};
use cairn_network::{
	discovery::{DhtRouter, Router},
	host::{Event, HostConfig, NatConfig, RendezvousConfig},
	metrics::Carrier,
};

#[tokio::test]
async fn a_host_is_reached_through_a_relay() {
	let mut network = Network::new();
	let relay = network
		.start(HostConfig {
			nat: NatConfig {
				relay_for_others: true,
				..NatConfig::default()
			},
			..config()
		})
		.await;
	// It listens nowhere itself.
	let hidden = network
		.start(HostConfig {
			listen: Vec::new(),
			external: Vec::new(),
			nat: NatConfig {
				relays: vec![address(&relay).await],
				hole_punching: false,
				..NatConfig::default()
			},
			..config()
		})
		.await;
	let mut events = Events::of(&hidden);
	let listening = async {
		loop {
			let known = address(&hidden).await;
			if !known.addresses.is_empty() {
				break known;
			}
			events
				.until("a reservation", |event| {
					matches!(event, Event::Listening { .. } | Event::Reachable { .. })
				})
				.await;
		}
	};
	let hidden_address = crate::harness::within("a reservation", listening).await;
	assert!(hidden_address
		.addresses
		.iter()
		.all(|address| Carrier::of(address) == Carrier::Relay));

	let client = network.start(config()).await;
	let mut seen = Events::of(&client);
	client.connect(hidden_address).await.unwrap();
	seen.until("the relayed connection", |event| {
		*event
			== Event::Connected {
				peer: hidden.peer_id(),
				carrier: Carrier::Relay,
				outgoing: true,
			}
	})
	.await;
	events
		.until("the other side of it", |event| {
			*event
				== Event::Connected {
					peer: client.peer_id(),
					carrier: Carrier::Relay,
					outgoing: false,
				}
		})
		.await;
}

#[tokio::test]
async fn a_probe_confirms_an_address_that_others_reach() {
	let mut network = Network::new();
	let on_tcp = || HostConfig {
		listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
		dht: None,
		..HostConfig::default()
	};
	let [prober, host] = [network.start(on_tcp()).await, network.start(on_tcp()).await];
	let mut events = Events::of(&host);
	let bound = address(&host).await.addresses.remove(0);
	connect(&host, &prober).await;
	events
		.until("a confirmed address", |event| {
			*event
				== Event::Reachable {
					address: bound.clone(),
				}
		})
		.await;
}

#[tokio::test]
async fn peers_meet_at_a_rendezvous_point() {
	let mut network = Network::new();
	let point = network
		.start(HostConfig {
			rendezvous: RendezvousConfig {
				serve: true,
				..RendezvousConfig::default()
			},
			..config()
		})
		.await;
	let points = vec![address(&point).await];
	let meeting = || HostConfig {
		rendezvous: RendezvousConfig {
			points: points.clone(),
			..RendezvousConfig::default()
		},
		..dht_config(&[])
	};
	let one = network.start(meeting()).await;
	// This test has one thread: what the host does first comes after this.
	let mut events = Events::of(&one);
	events
		.until("a registration", |event| {
			*event
				== Event::Registered {
					point: point.peer_id(),
				}
		})
		.await;
	let known = address(&one).await;
	let two = network.start(meeting()).await;
	let mut events = Events::of(&two);
	let discovered = events
		.until("the other peer", |event| {
			matches!(event, Event::Discovered { .. })
		})
		.await;
	assert_eq!(discovered, Event::Discovered { peer: known });
	// They are in one DHT now.
	let cid = network.cid();
	DhtRouter::new(one.clone()).provide(&[cid]).await.unwrap();
	crate::harness::until_found(&DhtRouter::new(two), cid, one.peer_id()).await;
}
