//! From what routers say to connections with providers that are there.

use crate::harness::{address, config, deadline, until_announced, until_dht, until_without, Network};
use cairn_network::{
	discovery::{DhtRouter, Finder, RegistryRouter, Router, Routers, StaticRouter},
	host::{ConnectError, HostStopped},
};
use cid::Cid;
use futures::{FutureExt, StreamExt};
use std::{collections::HashSet, sync::Arc, time::Duration};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_gone_is_skipped() {
	let mut network = Network::new();
	let keeper = network.dht_host(&[]).await;
	let door = [address(&keeper).await];
	let [there, gone] = [network.dht_host(&door).await, network.dht_host(&door).await];
	let reader = network.dht_host(&door).await;
	let router = Arc::new(DhtRouter::new(reader.clone()));
	let cid = network.cid();
	for host in [&there, &gone] {
		DhtRouter::new(host.clone()).provide(&[cid]).await.unwrap();
		until_announced(&network, host, 1).await;
	}
	until_dht(&keeper, "both records", |dht| dht.records == 2).await;
	gone.shutdown().await;
	until_without(&reader, gone.peer_id()).await;

	let finder = Finder::new(reader.clone(), router);
	let reached: Vec<_> = finder.connect(cid, deadline()).collect().await;
	assert_eq!(reached, [there.peer_id()]);
	// It is left alone for a while, and then tried again.
	assert!(!reader.peers().may_dial(&gone.peer_id()));
	assert!(reader.peers().may_dial(&there.peer_id()));
	network.clock.advance(Duration::from_secs(15));
	assert!(reader.peers().may_dial(&gone.peer_id()));
}

#[tokio::test]
async fn static_and_registered_providers_are_reached_without_a_dht() {
	let mut network = Network::new();
	let [fixed, registered, banned] = [
		network.start(config()).await,
		network.start(config()).await,
		network.start(config()).await,
	];
	let reader = network.start(config()).await;
	reader.peers().ban(banned.peer_id(), Duration::from_secs(60));
	let listed = vec![
		address(&registered).await,
		address(&fixed).await,
		address(&banned).await,
		address(&reader).await,
	];
	let registry = RegistryRouter::new(move |_: Cid| {
		let listed = listed.clone();
		async move { Ok(listed) }.boxed()
	});
	let routers: Vec<Arc<dyn Router>> = vec![
		Arc::new(StaticRouter::new(vec![address(&fixed).await])),
		Arc::new(registry),
	];
	let finder = Finder::new(reader.clone(), Arc::new(Routers::new(routers)));
	let reached: HashSet<_> = finder.connect(network.cid(), deadline()).collect().await;
	assert_eq!(reached, HashSet::from([fixed.peer_id(), registered.peer_id()]));
	assert_eq!(reader.connected().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_host_that_was_shut_down_says_so() {
	let mut network = Network::new();
	let [host, other] = [network.dht_host(&[]).await, network.dht_host(&[]).await];
	host.connect(address(&other).await).await.unwrap();
	let mut events = crate::harness::Events::of(&other);
	let target = address(&other).await;
	host.shutdown().await;
	events.until_disconnected(host.peer_id()).await;
	assert_eq!(
		host.connect(target).await,
		Err(ConnectError::Stopped(HostStopped))
	);
	assert_eq!(host.connected().await, Err(HostStopped));
	assert!(host.provide(Vec::new()).await.is_err());
	assert!(host.find_providers(b"x").await.is_err());
	host.shutdown().await;
	// Dropping the last handle ends a host too.
	let alone = network.start(config()).await;
	alone.connect(address(&other).await).await.unwrap();
	let name = alone.peer_id();
	drop(alone);
	events.until_disconnected(name).await;
	until_dht(&other, "a look at the DHT", |_| true).await;
}
