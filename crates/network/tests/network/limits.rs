//! Who is let in: limits, bans, private networks.

use crate::harness::{address, config, connect, Events, Network};
use cairn_network::{
	discovery::RecordDatabase,
	host::{ConnectError, Event, Host, HostConfig, HostParts, Limits, NatConfig},
	metrics::Metrics,
	peers::{Offence, Verdict},
	PeerId,
};
use std::{collections::HashSet, time::Duration};

#[tokio::test]
async fn connections_beyond_the_limit_are_refused() {
	let mut network = Network::new();
	let limits = Limits {
		incoming: 2,
		..Limits::default()
	};
	let server = network.start(HostConfig { limits, ..config() }).await;
	let [one, two, three] = [
		network.start(config()).await,
		network.start(config()).await,
		network.start(config()).await,
	];
	let mut seen = Events::of(&server);
	for client in [&one, &two] {
		connect(client, &server).await;
		let peer = client.peer_id();
		seen.until(
			"a connection",
			|event| matches!(event, Event::Connected { peer: connected, .. } if *connected == peer),
		)
		.await;
	}
	// To the dialler the connection is there until the other side closes it.
	let mut events = Events::of(&three);
	if three.connect(address(&server).await).await.is_ok() {
		events.until_disconnected(server.peer_id()).await;
	}
	let refused = &server.metrics().connections_refused;
	assert_eq!(refused.with_label_values(&["limit"]).get(), 1);
	let connected: HashSet<_> = server
		.connected()
		.await
		.unwrap()
		.into_iter()
		.map(|known| known.peer)
		.collect();
	assert_eq!(connected, HashSet::from([one.peer_id(), two.peer_id()]));
	// One leaves, and there is room.
	one.shutdown().await;
	seen.until_disconnected(one.peer_id()).await;
	connect(&three, &server).await;
	let peer = three.peer_id();
	seen.until(
		"the third connection",
		|event| matches!(event, Event::Connected { peer: connected, .. } if *connected == peer),
	)
	.await;
}

#[tokio::test]
async fn one_address_does_not_take_all_the_places() {
	let on_tcp = || HostConfig {
		listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
		dht: None,
		// Dials that check addresses are connections too.
		nat: NatConfig {
			probe: false,
			answer_probes: false,
			..NatConfig::default()
		},
		..HostConfig::default()
	};
	for (limits, who) in [
		(
			Limits {
				incoming_per_address: 2,
				..Limits::default()
			},
			"the address",
		),
		(
			Limits {
				incoming_per_network: 2,
				..Limits::default()
			},
			"the network",
		),
	] {
		println!("a limit of {who}");
		let mut network = Network::new();
		let server = network.start(HostConfig { limits, ..on_tcp() }).await;
		let mut seen = Events::of(&server);
		let mut until_in = async |peer: PeerId| {
			seen.until(
				"a connection",
				|event| matches!(event, Event::Connected { peer: connected, .. } if *connected == peer),
			)
			.await;
		};
		let mut clients = Vec::new();
		for _ in 0..3 {
			clients.push(network.start(on_tcp()).await);
		}
		for client in &clients[..2] {
			connect(client, &server).await;
			until_in(client.peer_id()).await;
		}
		let mut events = Events::of(&clients[2]);
		if clients[2].connect(address(&server).await).await.is_ok() {
			events.until_disconnected(server.peer_id()).await;
		}
		let refused = &server.metrics().connections_refused;
		assert_eq!(refused.with_label_values(&["address"]).get(), 1);
		assert_eq!(server.connected().await.unwrap().len(), 2);
		// The server calls whom it wants, and one who leaves makes room.
		connect(&server, &clients[2]).await;
		until_in(clients[2].peer_id()).await;
		assert!(server.disconnect(clients[2].peer_id()).await.unwrap());
		clients[0].shutdown().await;
		let gone = async {
			while server.connected().await.unwrap().len() > 1 {
				tokio::task::yield_now().await;
			}
		};
		crate::harness::within("two disconnections", gone).await;
		connect(&clients[2], &server).await;
		until_in(clients[2].peer_id()).await;
	}
}

#[tokio::test]
async fn nobody_is_let_in_when_memory_is_short() {
	let mut network = Network::new();
	let limits = Limits {
		memory_share: Some(0.0),
		..Limits::default()
	};
	let server = network.start(HostConfig { limits, ..config() }).await;
	let client = network.start(config()).await;
	let mut events = Events::of(&client);
	if client.connect(address(&server).await).await.is_ok() {
		events.until_disconnected(server.peer_id()).await;
	}
	let refused = &server.metrics().connections_refused;
	assert_eq!(refused.with_label_values(&["memory"]).get(), 1);
	let out = server.connect(address(&client).await).await;
	assert!(matches!(out, Err(ConnectError::Limit(_))), "{out:?}");
}

#[tokio::test]
async fn a_ban_closes_connections_and_refuses_new_ones_until_it_ends() {
	let mut network = Network::new();
	let [victim, liar] = [network.start(config()).await, network.start(config()).await];
	connect(&victim, &liar).await;
	let mut events = Events::of(&victim);
	let mut liars_events = Events::of(&liar);
	let peer = liar.peer_id();
	assert_eq!(victim.peers().strike(peer, Offence::BadBlock), Verdict::Tolerated);
	assert_eq!(victim.peers().strike(peer, Offence::BadBlock), Verdict::Banned);
	events.until_disconnected(peer).await;
	liars_events.until_disconnected(victim.peer_id()).await;
	assert_eq!(victim.metrics().banned.get(), 1);
	assert_eq!(
		victim.connect(address(&liar).await).await,
		Err(ConnectError::Refused)
	);
	if liar.connect(address(&victim).await).await.is_ok() {
		liars_events.until_disconnected(victim.peer_id()).await;
	}
	let refused = &victim.metrics().connections_refused;
	assert!(refused.with_label_values(&["banned"]).get() >= 1);
	assert!(victim.connected().await.unwrap().is_empty());

	network.clock.advance(Duration::from_secs(600));
	// Once this is answered the host has seen the new time.
	victim.connected().await.unwrap();
	connect(&victim, &liar).await;
	assert_eq!(victim.metrics().banned.get(), 0);
	// An operator's pardon ends a ban too.
	victim.peers().ban(peer, Duration::from_secs(1_000_000));
	events.until_disconnected(peer).await;
	assert!(victim.peers().pardon(&peer));
	let readmitted = async {
		while victim.connect(address(&liar).await).await.is_err() {
			tokio::task::yield_now().await;
		}
	};
	crate::harness::within("a connection after the pardon", readmitted).await;
}

#[tokio::test]
async fn whom_the_configuration_refuses_stays_out() {
	let mut network = Network::new();
	let [unwanted, other] = [network.start(config()).await, network.start(config()).await];
	let peer = unwanted.peer_id();
	let refused = HashSet::from([peer]);
	let host = network.start(HostConfig { refused, ..config() }).await;
	assert_eq!(
		host.connect(address(&unwanted).await).await,
		Err(ConnectError::Refused)
	);
	let mut events = Events::of(&unwanted);
	if unwanted.connect(address(&host).await).await.is_ok() {
		events.until_disconnected(host.peer_id()).await;
	}
	let counted = &host.metrics().connections_refused;
	assert!(counted.with_label_values(&["banned"]).get() >= 1);
	// A ban and its end change nothing of that, and it counts for none.
	host.peers().ban(peer, Duration::from_secs(5));
	assert!(host.peers().pardon(&peer));
	connect(&host, &other).await;
	assert_eq!(host.metrics().banned.get(), 0);
	assert_eq!(
		host.connect(address(&unwanted).await).await,
		Err(ConnectError::Refused)
	);
}

#[tokio::test]
async fn strikes_and_bans_are_counted_where_the_host_counts() {
	let mut network = Network::new();
	let registry = prometheus::Registry::new();
	let metrics = Metrics::register(&registry).unwrap();
	let records = RecordDatabase::in_memory().unwrap();
	let parts = HostParts::new(network.identity(), records).counting(metrics.clone());
	let host = Host::start(config(), parts).await.unwrap();
	let liar = network.identity().peer_id();
	while host.peers().strike(liar, Offence::BadBlock) == Verdict::Tolerated {}
	assert_eq!(metrics.strikes.with_label_values(&["bad_block"]).get(), 2);
	assert_eq!(metrics.bans.get(), 1);
}

#[tokio::test]
async fn a_private_network_lets_in_its_own_only() {
	let mut network = Network::new();
	let [friend, stranger] = [network.start(config()).await, network.start(config()).await];
	let allowed = Some(HashSet::from([friend.peer_id()]));
	let private = network.start(HostConfig { allowed, ..config() }).await;
	connect(&friend, &private).await;
	let mut events = Events::of(&stranger);
	if stranger.connect(address(&private).await).await.is_ok() {
		events.until_disconnected(private.peer_id()).await;
	}
	assert_eq!(
		private.connect(address(&stranger).await).await,
		Err(ConnectError::Refused)
	);
	assert_eq!(private.connected().await.unwrap().len(), 1);
	let refused = &private.metrics().connections_refused;
	assert!(refused.with_label_values(&["not_allowed"]).get() >= 1);
}
