//! Fetching from a node that is only reached through a relay, and from one that is then reached directly.

use crate::nodes::{bitswap, blocks, file, native, providers, seeded, soon, within, Node};
use cairn_network::{
	address::PeerAddress,
	blocks::BlockStore,
	exchange::service::Config,
	host::{Event, HostConfig, NatConfig, TransportConfig},
	metrics::Carrier,
	Multiaddr, PeerId,
};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;
use tokio::sync::broadcast::{error::RecvError, Receiver};

/// Hosts on this machine's TCP. They tell nobody where they listen.
fn on_tcp(config: &mut HostConfig) {
	config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
	config.external = Vec::new();
	config.transport = TransportConfig {
		quic: false,
		..TransportConfig::default()
	};
	config.nat = NatConfig {
		probe: false,
		answer_probes: false,
		..NatConfig::default()
	};
}

/// A node that relays for others, and says where it is.
async fn relay(rng: &mut ChaCha8Rng, configure: impl FnOnce(&mut HostConfig)) -> (Node, PeerAddress) {
	let configure = |config: &mut HostConfig| {
		configure(config);
		config.nat.relay_for_others = true;
	};
	let node = Node::start_on(rng, configure, Config::default(), &[]).await;
	let address = node.host.address().await.unwrap();
	for address in &address.addresses {
		node.host.add_external(address.clone()).await.unwrap();
	}
	(node, address)
}

/// Where a node is reached once it has a reservation.
async fn circuit(node: &Node) -> PeerAddress {
	let mut events = node.host.subscribe();
	let reserving = async {
		loop {
			let mut address = node.host.address().await.unwrap();
			address
				.addresses
				.retain(|address| Carrier::of(address) == Carrier::Relay);
			if !address.addresses.is_empty() {
				return address;
			}
			next(&mut events).await;
		}
	};
	within("a reservation", reserving).await
}

async fn next(events: &mut Receiver<Event>) -> Option<Event> {
	match events.recv().await {
		Ok(event) => Some(event),
		Err(RecvError::Lagged(_)) => None,
		Err(RecvError::Closed) => panic!("the host stopped"),
	}
}

async fn until_connected(events: &mut Receiver<Event>, with: PeerId, over: Carrier) {
	let connecting = async {
		loop {
			if let Some(Event::Connected { peer, carrier, .. }) = next(events).await {
				if (peer, carrier) == (with, over) {
					return;
				}
			}
		}
	};
	within("a connection", connecting).await;
}

/// Waits until a node has a direct connection with a peer. Only the first connection with a peer is an event.
async fn until_direct(node: &Node, with: PeerId) {
	let is_direct = |address: &Multiaddr| Carrier::of(address) != Carrier::Relay;
	let upgrading = async {
		loop {
			let connected = node.host.connected().await.unwrap();
			let peer = connected.iter().find(|peer| peer.peer == with);
			if peer.is_some_and(|peer| peer.addresses.iter().any(is_direct)) {
				return;
			}
			tokio::time::sleep(Duration::from_millis(10)).await;
		}
	};
	within("a direct connection", upgrading).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_comes_through_a_relay_within_its_limits() {
	let mut rng = seeded();
	for config in [native(), bitswap()] {
		// A circuit carries 128 KiB.
		let (root, all, _) = file(&mut rng, 64 << 10);
		let (_relay, address) = relay(&mut rng, |_| {}).await;
		// It listens nowhere itself.
		let behind_nat = |host: &mut HostConfig| {
			host.listen = Vec::new();
			host.external = Vec::new();
			host.nat.relays = vec![address];
			host.nat.hole_punching = false;
		};
		let hidden = Node::start_on(&mut rng, behind_nat, config.clone(), &all).await;
		let leecher = Node::start(&mut rng, config, &[]).await;
		let mut events = leecher.host.subscribe();
		leecher.host.connect(circuit(&hidden).await).await.unwrap();
		until_connected(&mut events, hidden.id(), Carrier::Relay).await;
		let sources = providers(&[hidden.id()]);
		let fetched = within("the fetch", leecher.fetcher().dag(root, sources, soon())).await;
		assert_eq!(fetched.unwrap().received.blocks, all.len() as u64);
		assert!(leecher.has(&all));
		let connected = leecher.host.connected().await.unwrap();
		let hidden = connected.iter().find(|peer| peer.peer == hidden.id()).unwrap();
		assert!(hidden
			.addresses
			.iter()
			.all(|address| Carrier::of(address) == Carrier::Relay));
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relayed_connection_becomes_direct_and_carries_more() {
	let mut rng = seeded();
	for config in [native(), bitswap()] {
		// Eight times what the relay carries.
		let (root, all, _) = file(&mut rng, 1 << 20);
		let (_relay, address) = relay(&mut rng, on_tcp).await;
		let behind_nat = |host: &mut HostConfig| {
			on_tcp(host);
			host.nat.relays = vec![address];
		};
		let hidden = Node::start_on(&mut rng, behind_nat, config.clone(), &all).await;
		let leecher = Node::start_on(&mut rng, on_tcp, config, &[]).await;
		let mut events = leecher.host.subscribe();
		let only_circuit = circuit(&hidden).await;
		leecher.host.connect(only_circuit).await.unwrap();
		until_connected(&mut events, hidden.id(), Carrier::Relay).await;
		// A want from before the upgrade is answered after it.
		let fetcher = leecher.fetcher();
		let absent = blocks(&mut rng, 1, 5000).remove(0);
		let (cid, peer) = (*absent.cid(), hidden.id());
		let waiting = tokio::spawn(async move { fetcher.block(cid, providers(&[peer]), soon()).await });
		until_direct(&leecher, hidden.id()).await;
		let sources = providers(&[hidden.id()]);
		let fetched = within("the fetch", leecher.fetcher().dag(root, sources, soon())).await;
		assert_eq!(fetched.unwrap().received.blocks, all.len() as u64);
		hidden.store.put(std::slice::from_ref(&absent)).unwrap();
		hidden.exchange.announce(vec![cid]);
		assert_eq!(within("the block", waiting).await.unwrap().unwrap(), absent);
	}
}
