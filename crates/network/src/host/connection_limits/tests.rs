use super::*;
use futures::StreamExt;
use libp2p::{
	core::{transport::MemoryTransport, upgrade::Version},
	identity::Keypair,
	multiaddr::Protocol,
	noise,
	swarm::{
		self,
		dial_opts::{DialOpts, PeerCondition},
		DialError, SwarmEvent,
	},
	yamux, Swarm, Transport,
};
use std::time::Duration;

fn id(number: usize) -> ConnectionId {
	ConnectionId::new_unchecked(number)
}

fn from(limits: &mut ConnectionLimits, number: usize, remote: &str) -> Result<(), TooMany> {
	limits.called(id(number), &remote.parse().unwrap())
}

fn is_empty(limits: &ConnectionLimits) -> bool {
	let directions = [&limits.incoming, &limits.outgoing];
	directions
		.iter()
		.all(|direction| direction.pending == 0 && direction.open == 0)
		&& limits.connections.is_empty()
		&& limits.peers.0.is_empty()
		&& limits.machines.0.is_empty()
		&& limits.sites.0.is_empty()
}

#[test]
fn machines_and_sites_have_so_many_and_no_more() {
	let mut limits = ConnectionLimits::new(Limits {
		incoming_per_address: 2,
		incoming_per_network: 3,
		..Limits::default()
	});
	from(&mut limits, 1, "/ip4/203.0.113.1/udp/1/quic-v1").unwrap();
	from(&mut limits, 2, "/ip4/203.0.113.1/tcp/2").unwrap();
	let third = from(&mut limits, 3, "/ip4/203.0.113.1/tcp/3");
	assert_eq!(third, Err(TooMany::OfMachine(2)));
	from(&mut limits, 4, "/ip4/203.0.113.2/tcp/3").unwrap();
	let fourth = from(&mut limits, 5, "/ip4/203.0.113.3/tcp/3");
	assert_eq!(fourth, Err(TooMany::OfSite(3)));
	from(&mut limits, 6, "/ip4/203.0.114.3/tcp/3").unwrap();
	for number in 10..20 {
		// Whoever is behind a relay, and this process.
		let peer = PeerId::random();
		from(&mut limits, number, &format!("/p2p/{peer}")).unwrap();
		from(&mut limits, 10 * number, "/memory/1").unwrap();
	}
	// One that was refused was not counted, and its end frees nothing.
	limits.ended(&id(3));
	assert!(from(&mut limits, 7, "/ip4/203.0.113.1/tcp/3").is_err());
	limits.ended(&id(2));
	limits.ended(&id(2));
	from(&mut limits, 8, "/ip4/203.0.113.1/tcp/3").unwrap();
	assert!(from(&mut limits, 9, "/ip4/203.0.113.1/tcp/3").is_err());
	for number in 0..200 {
		limits.ended(&id(number));
	}
	assert!(is_empty(&limits));
}

#[test]
fn each_limit_holds_for_what_it_is_about() {
	let mut limits = ConnectionLimits::new(Limits {
		pending_incoming: 2,
		pending_outgoing: 3,
		incoming: 4,
		outgoing: 5,
		total: 7,
		per_peer: 2,
		..Limits::default()
	});
	let mut next = 0;
	let mut number = || {
		next += 1;
		id(next)
	};
	let nobody: Multiaddr = "/memory/1".parse().unwrap();
	let calling = [number(), number(), number()];
	for connection in calling {
		limits.calling(connection).unwrap();
	}
	assert_eq!(limits.calling(number()), Err(TooMany::PendingOutgoing(3)));
	let called = [number(), number()];
	for connection in called {
		limits.called(connection, &nobody).unwrap();
	}
	assert_eq!(limits.called(number(), &nobody), Err(TooMany::PendingIncoming(2)));
	// Connections that are made or fail are no longer pending. Those with one peer count whoever made them.
	let peer = PeerId::random();
	limits.opened(calling[0], peer).unwrap();
	limits.opened(called[0], peer).unwrap();
	assert_eq!(limits.opened(called[1], peer), Err(TooMany::WithPeer(2)));
	for connection in [calling[1], calling[2], called[1]] {
		limits.ended(&connection);
	}
	let mut open = vec![calling[0], called[0]];
	for _ in 0..3 {
		let connection = number();
		limits.called(connection, &nobody).unwrap();
		limits.opened(connection, PeerId::random()).unwrap();
		open.push(connection);
	}
	let connection = number();
	limits.called(connection, &nobody).unwrap();
	assert_eq!(
		limits.opened(connection, PeerId::random()),
		Err(TooMany::Incoming(4))
	);
	limits.ended(&connection);
	for _ in 0..2 {
		let connection = number();
		limits.calling(connection).unwrap();
		limits.opened(connection, PeerId::random()).unwrap();
		open.push(connection);
	}
	let connection = number();
	limits.calling(connection).unwrap();
	assert_eq!(
		limits.opened(connection, PeerId::random()),
		Err(TooMany::InAll(7))
	);
	// Room that others leave is for this host too, up to its own limit.
	for closed in open.drain(1..4) {
		limits.ended(&closed);
	}
	limits.opened(connection, PeerId::random()).unwrap();
	open.push(connection);
	let connection = number();
	limits.calling(connection).unwrap();
	limits.opened(connection, PeerId::random()).unwrap();
	open.push(connection);
	let connection = number();
	limits.calling(connection).unwrap();
	assert_eq!(
		limits.opened(connection, PeerId::random()),
		Err(TooMany::Outgoing(5))
	);
	open.push(connection);
	for closed in open {
		limits.ended(&closed);
	}
	assert!(is_empty(&limits));
}

fn swarm(limits: Limits) -> Swarm<ConnectionLimits> {
	let key = Keypair::generate_ed25519();
	let transport = MemoryTransport::default()
		.upgrade(Version::V1Lazy)
		.authenticate(noise::Config::new(&key).unwrap())
		.multiplex(yamux::Config::default())
		.boxed();
	// Nobody has streams here: what is open stays so until it is closed.
	let config =
		swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_secs(1_000_000));
	let local = key.public().to_peer_id();
	Swarm::new(transport, ConnectionLimits::new(limits), local, config)
}

/// Serves two swarms until one and the other are as they should be.
async fn until(
	what: &str,
	[one, other]: [&mut Swarm<ConnectionLimits>; 2],
	mut holds: impl FnMut(&ConnectionLimits, &ConnectionLimits) -> bool,
) {
	let serving = async {
		while !holds(one.behaviour(), other.behaviour()) {
			tokio::select! {
				_ = one.select_next_some() => {}
				_ = other.select_next_some() => {}
			}
		}
	};
	let reached = tokio::time::timeout(Duration::from_secs(120), serving).await;
	assert!(reached.is_ok(), "{what} was not reached");
}

#[tokio::test]
async fn nothing_is_kept_of_peers_that_are_gone() {
	let mut server = swarm(Limits {
		per_peer: 1,
		..Limits::default()
	});
	server.listen_on(Protocol::Memory(0).into()).unwrap();
	let door = loop {
		if let SwarmEvent::NewListenAddr { address, .. } = server.select_next_some().await {
			break address;
		}
	};
	let server_id = *server.local_peer_id();
	let dial = |to: PeerId, at: &Multiaddr| {
		let options = DialOpts::peer_id(to).condition(PeerCondition::Always);
		options.addresses(vec![at.clone()]).build()
	};
	for _ in 0..5 {
		let mut client = swarm(Limits::default());
		let client_id = *client.local_peer_id();
		let is_settled = |client: &ConnectionLimits, server: &ConnectionLimits| {
			[client, server].map(|limits| limits.connections.len()) == [1, 1]
				&& client.outgoing.open == 1
				&& server.incoming.open == 1
		};
		client.dial(dial(server_id, &door)).unwrap();
		until("a connection", [&mut client, &mut server], is_settled).await;
		// The server takes no second one. Two more go to where nobody is, and to where somebody else is, and one is
		// not even tried.
		client.dial(dial(server_id, &door)).unwrap();
		client
			.dial(dial(server_id, &Protocol::Memory(u64::MAX).into()))
			.unwrap();
		client.dial(dial(PeerId::random(), &door)).unwrap();
		let untried = DialOpts::peer_id(PeerId::random()).build();
		assert!(matches!(client.dial(untried), Err(DialError::NoAddresses)));
		assert_eq!(client.behaviour().outgoing.pending, 3);
		until("the end of the others", [&mut client, &mut server], is_settled).await;
		assert_eq!(server.behaviour().peers.of(&client_id), 1);
		client.disconnect_peer_id(server_id).unwrap();
		until("its end", [&mut client, &mut server], |client, server| {
			is_empty(client) && is_empty(server)
		})
		.await;
	}
}
