use super::*;
use crate::{
	chain::ProviderContact,
	contact::contact,
	network::Network,
	simulation::{chain::SimulatedChain, offer, test_config, World},
};
use cairn_network::{
	discovery::{DhtRouter, RecordDatabase, Router},
	host::{DhtConfig, DhtMode, HostConfig, HostParts},
	identity::Identity,
	Multiaddr,
};
use cairn_primitives::Tier;
use rand_chacha::{rand_core::SeedableRng, ChaCha8Rng};
use std::net::TcpListener;
use tokio::time::Instant;

/// Time that only what fails takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A peer on loopback that knows nobody.
async fn peer() -> Host {
	let config = HostConfig {
		dht: Some(DhtConfig {
			mode: DhtMode::Server,
			..DhtConfig::default()
		}),
		..HostConfig::default()
	};
	let parts = HostParts::new(Identity::generate(), RecordDatabase::in_memory().unwrap());
	Host::start(config, parts).await.unwrap()
}

fn registration(peer_id: Vec<u8>, addresses: &[Multiaddr]) -> ProviderContact {
	let addresses = addresses.iter().map(|address| address.to_vec()).collect();
	contact(addresses, Some(peer_id)).unwrap()
}

async fn registration_of(host: &Host) -> ProviderContact {
	let own = host.address().await.unwrap();
	registration(own.peer.to_bytes(), &own.addresses)
}

/// An address on this machine where nobody listens, or somebody by chance who is none of these peers.
fn nobody() -> Multiaddr {
	let port = TcpListener::bind("127.0.0.1:0")
		.unwrap()
		.local_addr()
		.unwrap()
		.port();
	format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
}

async fn until_connected(host: &Host, peer: PeerId) {
	let connected = async {
		while !host
			.connected()
			.await
			.unwrap()
			.iter()
			.any(|known| known.peer == peer)
		{
			tokio::time::sleep(Duration::from_millis(20)).await;
		}
	};
	tokio::time::timeout(LIMIT, connected)
		.await
		.expect("no connection");
}

async fn until_peers(host: &Host, count: usize) {
	let mut dht = host.dht();
	let known = dht.wait_for(|status| status.peers >= count);
	tokio::time::timeout(LIMIT, known)
		.await
		.expect("the DHT has too few peers")
		.unwrap();
}

fn pauses(first: u64) -> Pauses {
	Pauses {
		first: Duration::from_millis(first),
		longest: LIMIT,
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_joins_the_dht_through_the_registry_alone() {
	let mut config = test_config();
	config.network.listen = vec!["/ip4/127.0.0.1/tcp/0".into()];
	assert!(config.network.bootstrap.is_empty());
	let world = World::with(config).await;
	let offer = offer(1, Tier::Hot);
	world.store(&offer).await;
	let door = peer().await;
	let contact = registration_of(&door).await;
	world.chain.state().registry.insert([9; 32], contact);
	let shutdown = CancellationToken::new();
	let folder = world.dir.path().join("network");
	let network = Network::start(world.provider().clone(), &folder, shutdown.clone())
		.await
		.unwrap();
	until_connected(&door, network.host.peer_id()).await;
	until_peers(&network.host, 1).await;

	// The object is found by one who knows the registered peer only.
	let reader = peer().await;
	reader.add_dht_peer(door.address().await.unwrap()).await.unwrap();
	let router = DhtRouter::new(reader.clone());
	let found = async {
		loop {
			let found = router.find(offer.root, Instant::now() + LIMIT).next().await;
			if found.is_some_and(|found| found.peer == network.host.peer_id()) {
				return;
			}
		}
	};
	tokio::time::timeout(LIMIT, found).await.expect("nobody is found");
	shutdown.cancel();
	network.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_in_the_registry_does_no_harm() {
	let (host, door, stranger) = (peer().await, peer().await, peer().await);
	let nobody = nobody();
	let silent = std::slice::from_ref(&nobody);
	let door_address = door.address().await.unwrap();
	let chain = Arc::new(SimulatedChain::new());
	{
		let own = registration_of(&host).await;
		let honest = registration_of(&door).await;
		let registered = [
			// No peer at all.
			registration(Vec::new(), &[]),
			registration(vec![0xff; 64], silent),
			registration(
				PeerId::random().to_bytes(),
				&["/ip4/127.0.0.1/tcp/1/http".parse().unwrap()],
			),
			contact(vec![vec![0xff; 128]; 8], Some(PeerId::random().to_bytes())).unwrap(),
			// Nobody there, another one there, no such transport.
			registration(PeerId::random().to_bytes(), silent),
			registration(
				PeerId::random().to_bytes(),
				&stranger.address().await.unwrap().addresses,
			),
			registration(PeerId::random().to_bytes(), &["/memory/7".parse().unwrap()]),
			// The host itself, and somebody who says that he is the honest one.
			own,
			registration(door_address.peer.to_bytes(), silent),
			honest,
		];
		let mut state = chain.state();
		for (number, contact) in registered.into_iter().enumerate() {
			state.registry.insert([number as u8; 32], contact);
		}
		state.ignores_limits = true;
	}
	let registered = RegisteredPeers {
		chain,
		host: host.clone(),
		pauses: pauses(1000),
	};
	assert_eq!(registered.round().await.unwrap(), 1);
	until_peers(&host, 1).await;
	let connected = host.connected().await.unwrap();
	assert_eq!(connected.len(), 1);
	assert_eq!(connected[0].peer, door.peer_id());
	assert_eq!(
		host.dht().borrow().peers,
		1,
		"only who has answered is in the table"
	);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_does_not_answer_is_asked_again() {
	let (host, door) = (peer().await, peer().await);
	let chain = Arc::new(SimulatedChain::new());
	chain.state().unavailable = true;
	let registered = RegisteredPeers {
		chain: chain.clone(),
		host: host.clone(),
		pauses: pauses(10),
	};
	assert!(registered.round().await.is_err());
	let shutdown = CancellationToken::new();
	let running = tokio::spawn(registered.run(shutdown.clone()));
	let contact = registration_of(&door).await;
	{
		let mut state = chain.state();
		state.registry.insert([1; 32], contact);
		state.unavailable = false;
	}
	until_connected(&host, door.peer_id()).await;
	assert!(!running.is_finished());
	shutdown.cancel();
	tokio::time::timeout(LIMIT, running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_are_banned_are_left_out() {
	let (host, door) = (peer().await, peer().await);
	let chain = Arc::new(SimulatedChain::new());
	let contact = registration_of(&door).await;
	chain.state().registry.insert([1; 32], contact);
	host.peers().ban(door.peer_id(), LIMIT);
	let registered = RegisteredPeers {
		chain,
		host,
		pauses: pauses(1000),
	};
	assert_eq!(registered.round().await.unwrap(), 0);
}

#[tokio::test]
async fn samples_are_random_bounded_and_free_of_repetitions() {
	let seed = 5;
	println!("seed {seed}");
	let mut random = ChaCha8Rng::seed_from_u64(seed);
	let mut account = || {
		let mut account = [0; 32];
		rand_chacha::rand_core::RngCore::fill_bytes(&mut random, &mut account);
		account
	};
	let chain = SimulatedChain::new();
	let read = |after, limit| chain.providers(after, limit);
	let owners =
		|sample: &[ProviderView]| -> Vec<AccountId> { sample.iter().map(|view| view.owner).collect() };
	assert!(sample(account(), SAMPLE, read).await.unwrap().is_empty());
	for ignores_limits in [false, true] {
		chain.state().ignores_limits = ignores_limits;
		chain.state().registry.clear();
		for count in [5, 31, 32, 33, 1000_usize] {
			while chain.state().registry.len() < count {
				let contact = registration(Vec::new(), &[]);
				let owner = account();
				chain.state().registry.insert(owner, contact);
			}
			let mut all = HashSet::new();
			for _ in 0..10 {
				let sample = sample(account(), SAMPLE, read).await.unwrap();
				let distinct: HashSet<_> = owners(&sample).into_iter().collect();
				assert_eq!(distinct.len(), sample.len());
				assert_eq!(sample.len(), count.min(SAMPLE as usize));
				all.extend(distinct);
			}
			assert!(
				count <= SAMPLE as usize || all.len() > SAMPLE as usize,
				"always the same ones"
			);
		}
	}
}
