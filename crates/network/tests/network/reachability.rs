//! What a host does when its reachability changes: relays that go and come, rendezvous points over time, the DHT's mode.

use crate::harness::{address, config, connect, dht_config, swarm, until_dht, within, Events, Network};
use cairn_network::{
	address::PeerAddress,
	host::{DhtConfig, DhtMode, Event, Host, HostConfig, NatConfig, RendezvousConfig, RENDEZVOUS_NAMESPACE},
	identity::Identity,
	metrics::Carrier,
	Multiaddr, PeerId, Protocol,
};
use futures::StreamExt;
use libp2p::{
	rendezvous::{client, Namespace},
	swarm::SwarmEvent,
};
use std::{collections::HashSet, time::Duration};

/// Waits for an event, and lets time pass meanwhile: what is tried again is tried by the clock, but only after the host
/// has seen that it failed.
async fn in_time(
	network: &Network,
	events: &mut Events,
	what: &str,
	is_it: impl Fn(&Event) -> bool,
) -> Event {
	within(what, async {
		loop {
			let until = events.until(what, &is_it);
			match tokio::time::timeout(Duration::from_millis(200), until).await {
				Ok(event) => break event,
				Err(_) => network.clock.advance(Duration::from_secs(10)),
			}
		}
	})
	.await
}

fn is_relayed(event: &Event) -> bool {
	matches!(event, Event::Reachable { address } if Carrier::of(address) == Carrier::Relay)
}

#[tokio::test]
async fn a_reservation_is_made_again_when_the_relay_is_back() {
	let mut network = Network::new();
	let name = network.identity();
	let relay_config = HostConfig {
		nat: NatConfig {
			relay_for_others: true,
			..config().nat
		},
		..config()
	};
	let relay_address = PeerAddress::new(name.peer_id(), relay_config.listen.clone());
	let name = name.to_protobuf();
	let start_relay = async |network: &Network| {
		let identity = Identity::from_protobuf(&name).unwrap();
		Host::start(relay_config.clone(), network.parts(identity))
			.await
			.unwrap()
	};
	// The relay is not there yet.
	let hidden = network
		.start(HostConfig {
			listen: Vec::new(),
			external: Vec::new(),
			nat: NatConfig {
				relays: vec![relay_address],
				hole_punching: false,
				..config().nat
			},
			..config()
		})
		.await;
	let mut events = Events::of(&hidden);
	let relay = start_relay(&network).await;
	in_time(&network, &mut events, "the first reservation", is_relayed).await;
	assert!(!address(&hidden).await.addresses.is_empty());

	relay.shutdown().await;
	events
		.until("the loss of it", |event| {
			matches!(event, Event::Unreachable { .. })
		})
		.await;
	assert!(address(&hidden).await.addresses.is_empty());

	let _relay = start_relay(&network).await;
	in_time(&network, &mut events, "another reservation", is_relayed).await;
	let client = network.start(config()).await;
	client.connect(address(&hidden).await).await.unwrap();
}

fn point_config() -> HostConfig {
	HostConfig {
		rendezvous: RendezvousConfig {
			serve: true,
			..RendezvousConfig::default()
		},
		..config()
	}
}

fn meeting_at(point: PeerAddress) -> HostConfig {
	HostConfig {
		rendezvous: RendezvousConfig {
			points: vec![point],
			..RendezvousConfig::default()
		},
		..config()
	}
}

/// Registers a peer that is never to be seen again.
async fn register(network: &mut Network, point: &PeerAddress, number: u64) -> PeerId {
	let mut peer = swarm(network, |key| client::Behaviour::new(key.clone()));
	peer.add_external_address(Protocol::Memory((1 << 40) + number).into());
	peer.dial(point.addresses[0].clone()).unwrap();
	let namespace = Namespace::from_static(RENDEZVOUS_NAMESPACE);
	within("a registration", async {
		loop {
			match peer.select_next_some().await {
				SwarmEvent::ConnectionEstablished { .. } => {
					let registered = peer.behaviour_mut().register(namespace.clone(), point.peer, None);
					registered.unwrap();
				}
				SwarmEvent::Behaviour(client::Event::Registered { .. }) => break,
				SwarmEvent::Behaviour(event) => panic!("{event:?}"),
				_ => {}
			}
		}
	})
	.await;
	*peer.local_peer_id()
}

#[tokio::test]
async fn a_point_with_more_than_a_page_is_asked_for_all() {
	let mut network = Network::new();
	let point = network.start(point_config()).await;
	let point = address(&point).await;
	let mut registered = HashSet::new();
	// One page is 100.
	for number in 0..120 {
		registered.insert(register(&mut network, &point, number).await);
	}
	let host = network.start(meeting_at(point)).await;
	// This test has one thread: what the host does first comes after this.
	let mut events = Events::of(&host);
	let own = host.peer_id();
	while !registered.is_empty() {
		let discovered = in_time(
			&network,
			&mut events,
			"a page",
			|event| matches!(event, Event::Discovered { peer } if peer.peer != own),
		)
		.await;
		let Event::Discovered { peer } = discovered else {
			unreachable!("it was just looked at");
		};
		assert!(
			registered.remove(&peer.peer),
			"a peer is named once, by the cookie"
		);
	}
}

#[tokio::test]
async fn a_registration_is_renewed_and_follows_the_address() {
	let mut network = Network::new();
	let point = network.start(point_config()).await;
	let point = address(&point).await;
	let host = network.start(meeting_at(point.clone())).await;
	let mut events = Events::of(&host);
	let registered = Event::Registered { point: point.peer };
	events.until("a registration", |event| *event == registered).await;
	// Time is due for nothing else.
	network.clock.advance(Duration::from_secs(600));
	events.until("its renewal", |event| *event == registered).await;
	let elsewhere: Multiaddr = Protocol::Memory(1 << 50).into();
	host.add_external(elsewhere.clone()).await.unwrap();
	events
		.until("the new address' registration", |event| *event == registered)
		.await;
	let other = network.start(meeting_at(point)).await;
	let own = host.peer_id();
	let told = Events::of(&other)
		.until(
			"the host",
			|event| matches!(event, Event::Discovered { peer } if peer.peer == own),
		)
		.await;
	let Event::Discovered { peer } = told else {
		unreachable!("it was just looked at");
	};
	assert!(peer.addresses.contains(&elsewhere), "{peer:?}");
}

#[tokio::test]
async fn a_host_answers_the_dht_once_others_reach_it() {
	let mut network = Network::new();
	let server = network.dht_host(&[]).await;
	let hidden = || HostConfig {
		external: Vec::new(),
		dht: Some(DhtConfig {
			mode: DhtMode::Auto,
			..DhtConfig::default()
		}),
		..config()
	};
	let host = network.start(hidden()).await;
	let mut events = Events::of(&server);
	connect(&host, &server).await;
	let name = host.peer_id();
	// The server has heard what it speaks.
	events
		.until(
			"its protocols",
			|event| matches!(event, Event::Identified { peer, .. } if *peer == name),
		)
		.await;
	assert!(!host.dht().borrow().is_server);
	assert_eq!(
		server.dht().borrow().peers,
		0,
		"who only asks is in no routing table"
	);
	host.add_external(address(&host).await.addresses.remove(0))
		.await
		.unwrap();
	until_dht(&host, "answering", |dht| dht.is_server).await;
	until_dht(&server, "knowing it", |dht| dht.peers == 1).await;
	// As a configured address does from the start.
	let known = network
		.start(HostConfig {
			external: config().listen,
			..hidden()
		})
		.await;
	until_dht(&known, "answering", |dht| dht.is_server).await;
}

#[tokio::test]
async fn a_probe_makes_a_host_answer_the_dht() {
	let mut network = Network::new();
	let on_tcp = |mode| HostConfig {
		listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
		external: Vec::new(),
		nat: NatConfig::default(),
		..HostConfig {
			dht: Some(DhtConfig {
				mode,
				..DhtConfig::default()
			}),
			transport: Default::default(),
			..dht_config(&[])
		}
	};
	let prober = network.start(on_tcp(DhtMode::Server)).await;
	let host = network.start(on_tcp(DhtMode::Auto)).await;
	assert!(!host.dht().borrow().is_server);
	connect(&host, &prober).await;
	until_dht(&host, "answering", |dht| dht.is_server).await;
	until_dht(&prober, "knowing it", |dht| dht.peers == 1).await;
}
