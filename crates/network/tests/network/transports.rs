//! Real sockets on loopback.

use crate::harness::{address, config, connect, Events, Network};
use cairn_network::{
	address::PeerAddress,
	host::{ConnectError, Event, Host, HostConfig, ListenError, StartError, TransportConfig},
	identity::Identity,
	metrics::Carrier,
	Multiaddr,
};

const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
const TCP: &str = "/ip4/127.0.0.1/tcp/0";

fn listening(addresses: &[&str]) -> HostConfig {
	HostConfig {
		listen: addresses.iter().map(|address| address.parse().unwrap()).collect(),
		dht: None,
		..HostConfig::default()
	}
}

/// Connects two hosts and sees that they know each other.
async fn meet(network: &mut Network, config: HostConfig, carrier: Carrier) {
	let server = network.start(config).await;
	let client = network.start(listening(&[])).await;
	let mut seen_by_client = Events::of(&client);
	let mut seen_by_server = Events::of(&server);
	connect(&client, &server).await;
	seen_by_client
		.until("the connection", |event| {
			*event
				== Event::Connected {
					peer: server.peer_id(),
					carrier,
					outgoing: true,
				}
		})
		.await;
	for events in [&mut seen_by_client, &mut seen_by_server] {
		events
			.until(
				"an identification",
				|event| matches!(event, Event::Identified { protocols, .. } if !protocols.is_empty()),
			)
			.await;
	}
	let known = &server.connected().await.unwrap()[0];
	assert_eq!(known.peer, client.peer_id());
	assert_eq!(
		known.agent.as_deref(),
		Some(concat!("cairn/", env!("CARGO_PKG_VERSION")))
	);
	let metrics = server.metrics();
	assert_eq!(metrics.connections.with_label_values(&[carrier.name()]).get(), 1);
	let bytes = |direction| {
		metrics
			.bytes
			.with_label_values(&[carrier.name(), direction])
			.get()
	};
	assert!(bytes("in") > 100 && bytes("out") > 100);
	// The first ping follows a moment later.
	let measured = async {
		while client
			.peers()
			.standing(&server.peer_id())
			.is_none_or(|standing| standing.rtt.is_none())
		{
			tokio::task::yield_now().await;
		}
	};
	crate::harness::within("a ping", measured).await;
	assert!(client.disconnect(server.peer_id()).await.unwrap());
	seen_by_server.until_disconnected(client.peer_id()).await;
	assert!(!client.disconnect(server.peer_id()).await.unwrap());
	assert_eq!(metrics.connections.with_label_values(&[carrier.name()]).get(), 0);
}

#[tokio::test]
async fn hosts_meet_over_quic() {
	meet(&mut Network::new(), listening(&[QUIC]), Carrier::Quic).await;
}

#[tokio::test]
async fn hosts_meet_over_tcp() {
	meet(&mut Network::new(), listening(&[TCP]), Carrier::Tcp).await;
}

#[tokio::test]
async fn tcp_is_the_fallback() {
	let mut network = Network::new();
	let server = network.start(listening(&[TCP])).await;
	let client = network.start(listening(&[])).await;
	let tcp = address(&server).await.addresses.remove(0);
	// Nobody listens on this port: the socket is gone.
	let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
	let port = socket.local_addr().unwrap().port();
	drop(socket);
	let quic: Multiaddr = format!("/ip4/127.0.0.1/udp/{port}/quic-v1").parse().unwrap();
	let mut events = Events::of(&client);
	let peer = PeerAddress::new(server.peer_id(), [quic, tcp]);
	client.connect(peer).await.unwrap();
	events
		.until("the connection", |event| {
			matches!(
				event,
				Event::Connected {
					carrier: Carrier::Tcp,
					..
				}
			)
		})
		.await;
}

#[tokio::test]
async fn somebody_else_at_the_address_is_not_the_peer() {
	let mut network = Network::new();
	let [server, other] = [
		network.start(listening(&[TCP])).await,
		network.start(listening(&[QUIC])).await,
	];
	let wrong = PeerAddress::new(other.peer_id(), address(&server).await.addresses);
	let client = network.start(listening(&[])).await;
	let refused = client.connect(wrong).await;
	assert!(matches!(refused, Err(ConnectError::Unreached(_))), "{refused:?}");
	assert!(!client.peers().may_dial(&other.peer_id()));
	let unknown = PeerAddress::new(other.peer_id(), []);
	assert_eq!(client.connect(unknown).await, Err(ConnectError::NoAddress));
}

#[tokio::test]
async fn what_cannot_be_listened_on_is_said_at_the_start() {
	let mut network = Network::new();
	let identity = network.identity();
	let failed = Host::start(listening(&["/memory/77"]), network.parts(identity)).await;
	assert!(matches!(
		failed,
		Err(StartError::Listen {
			reason: ListenError::Unsupported,
			..
		})
	));
	let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
	let port = taken.local_addr().unwrap().port();
	let host = network.start(listening(&[])).await;
	let failed = host
		.listen(format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap())
		.await;
	assert!(matches!(failed, Err(ListenError::Failed(_))), "{failed:?}");
	let bound = host.listen(TCP.parse().unwrap()).await.unwrap();
	assert_eq!(address(&host).await.addresses, [bound]);
}

#[tokio::test]
async fn a_public_host_does_not_dial_local_addresses() {
	let mut network = Network::new();
	let server = network.start(listening(&[TCP, QUIC])).await;
	let public = HostConfig {
		transport: TransportConfig {
			global_only: true,
			..TransportConfig::default()
		},
		..listening(&[])
	};
	let client = network.start(public).await;
	let mut named = address(&server).await;
	named.extend(named.addresses.clone().into_iter().map(|address| {
		address
			.to_string()
			.replace("/ip4/127.0.0.1/", "/dns4/localhost/")
			.parse()
			.unwrap()
	}));
	let refused = client.connect(named).await;
	assert!(matches!(refused, Err(ConnectError::Unreached(_))), "{refused:?}");
	assert!(server.connected().await.unwrap().is_empty());
	// Another host reaches it by its name.
	let local = network.start(listening(&[])).await;
	let mut by_name = PeerAddress::new(server.peer_id(), []);
	by_name.extend(address(&server).await.addresses.into_iter().map(|address| {
		address
			.to_string()
			.replace("/ip4/127.0.0.1/", "/dns4/localhost/")
			.parse()
			.unwrap()
	}));
	local.connect(by_name).await.unwrap();
}

#[tokio::test]
async fn a_host_that_was_shut_down_can_be_started_again_where_it_was() {
	let mut network = Network::new();
	let name = network.identity().to_protobuf();
	let identity = || Identity::from_protobuf(&name).unwrap();
	let mut host = Host::start(listening(&[QUIC, TCP]), network.parts(identity()))
		.await
		.unwrap();
	let listen = address(&host).await.addresses;
	assert_eq!(listen.len(), 2);
	let there_again = HostConfig {
		listen: listen.clone(),
		..listening(&[])
	};
	for _ in 0..3 {
		let mut clients = Vec::new();
		for at in &listen {
			let client = network.start(listening(&[])).await;
			let mut events = Events::of(&client);
			let door = PeerAddress::new(host.peer_id(), [at.clone()]);
			client.connect(door).await.unwrap();
			events
				.until(
					"the connection",
					|event| matches!(event, Event::Connected { carrier, .. } if *carrier == Carrier::of(at)),
				)
				.await;
			clients.push((client, events));
		}
		host.shutdown().await;
		for (_, events) in &mut clients {
			events.until_disconnected(host.peer_id()).await;
		}
		host = Host::start(there_again.clone(), network.parts(identity()))
			.await
			.unwrap();
	}
}

#[tokio::test]
async fn a_host_that_does_not_start_keeps_no_address() {
	let mut network = Network::new();
	let [free, taken] = [config(), config()].map(|config| config.listen[0].clone());
	let on = |listen: &[&Multiaddr]| HostConfig {
		listen: listen.iter().map(|address| (*address).clone()).collect(),
		..config()
	};
	let _there = network.start(on(&[&taken])).await;
	let identity = network.identity();
	let failed = Host::start(on(&[&free, &taken]), network.parts(identity)).await;
	assert!(matches!(failed, Err(StartError::Listen { address, .. }) if address == taken));
	let second = network.start(on(&[&free])).await;
	second.shutdown().await;
	network.start(on(&[&free])).await;
}
