//! The DHT over many hosts.

use crate::harness::{
	address, deadline, dht_config, find, until_announced, until_connected, until_dht, until_found, Events,
	Network,
};
use cairn_network::{
	address::PeerAddress,
	discovery::{DhtRouter, Finder, RecordDatabase, Router},
	host::{DhtConfig, Event, Host, HostConfig, HostParts, ProvideError},
};
use cid::Cid;
use futures::StreamExt;
use redb::{backends::InMemoryBackend, StorageBackend};
use std::{
	io,
	sync::{
		atomic::{AtomicBool, Ordering},
		Arc,
	},
	time::Duration,
};

const HOUR: Duration = Duration::from_secs(3600);

fn key_of(cid: &Cid) -> Vec<u8> {
	cid.hash().to_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_is_found_after_the_bootstrap_host_died() {
	let mut network = Network::new();
	let boot = network.dht_host(&[]).await;
	let door = [address(&boot).await];
	let mut hosts = Vec::new();
	for _ in 1..20 {
		hosts.push(network.dht_host(&door).await);
	}
	for host in &hosts {
		until_dht(host, "knowing half of the network", |dht| dht.peers >= 10).await;
	}
	boot.shutdown().await;
	assert!(boot.connected().await.is_err());

	let cid = network.cid();
	let provider = &hosts[3];
	DhtRouter::new(provider.clone()).provide(&[cid]).await.unwrap();
	until_announced(&network, provider, 1).await;
	for index in [0, 11, 18] {
		let router = DhtRouter::new(hosts[index].clone());
		let found = until_found(&router, cid, provider.peer_id()).await;
		assert_eq!(found, address(provider).await);
	}
	// And by one who comes only now, through anybody.
	let late = network.dht_host(&[address(&hosts[7]).await]).await;
	let finder = Finder::new(late.clone(), Arc::new(DhtRouter::new(late.clone())));
	until_dht(&late, "joining", |dht| dht.peers > 0).await;
	until_found(&**finder.router(), cid, provider.peer_id()).await;
	let reached: Vec<_> = finder.connect(cid, deadline()).collect().await;
	assert_eq!(reached, [provider.peer_id()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_keys_are_provided_than_the_stock_store_holds() {
	const KEYS: usize = 1100;
	let mut network = Network::new();
	let keeper = network.dht_host(&[]).await;
	let door = [address(&keeper).await];
	let provider = network.dht_host(&door).await;
	let reader = network.dht_host(&door).await;
	let cids: Vec<Cid> = (0..KEYS).map(|_| network.cid()).collect();
	DhtRouter::new(provider.clone()).provide(&cids).await.unwrap();
	until_announced(&network, &provider, KEYS).await;
	until_dht(&keeper, "keeping more than 1,024", |dht| dht.records > 1024).await;
	let router = DhtRouter::new(reader);
	for cid in cids.iter().step_by(97) {
		until_found(&router, *cid, provider.peer_id()).await;
	}
	assert_eq!(provider.metrics().provided_keys.get(), KEYS as i64);
	assert!(find(&router, network.cid()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_end_by_the_clock_unless_they_are_announced_again() {
	let mut network = Network::new();
	let keeper = network.dht_host(&[]).await;
	let door = [address(&keeper).await];
	let [staying, leaving] = [network.dht_host(&door).await, network.dht_host(&door).await];
	let reader = DhtRouter::new(network.dht_host(&door).await);
	let cid = network.cid();
	for host in [&staying, &leaving] {
		DhtRouter::new(host.clone()).provide(&[cid]).await.unwrap();
		until_announced(&network, host, 1).await;
		until_found(&reader, cid, host.peer_id()).await;
	}
	until_dht(&keeper, "both records", |dht| dht.records == 2).await;
	leaving.shutdown().await;

	// The one who stays announces again after 12 hours.
	let mut events = Events::of(&staying);
	network.clock.advance(40 * HOUR);
	events
		.until("a second announcement", |event| {
			matches!(event, Event::Announced { .. })
		})
		.await;
	assert_eq!(keeper.dht().borrow().records, 2);
	network.clock.advance(8 * HOUR);
	until_dht(&keeper, "the end of one record", |dht| dht.records == 1).await;
	let found = find(&reader, cid).await;
	assert_eq!(found, [address(&staying).await]);
}

/// A host on the same disk as before, but under a new address.
async fn start_on(network: &Network, identity: &[u8], folder: &std::path::Path, config: HostConfig) -> Host {
	let identity = cairn_network::identity::Identity::from_protobuf(identity).unwrap();
	let records = RecordDatabase::open(&folder.join("records.redb")).unwrap();
	let parts = HostParts {
		records,
		..network.parts(identity)
	};
	Host::start(config, parts).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_announced_again_after_a_restart() {
	let mut network = Network::new();
	let keeper = network.dht_host(&[]).await;
	let door = [address(&keeper).await];
	let reader = DhtRouter::new(network.dht_host(&door).await);
	let folder = tempfile::tempdir().unwrap();
	let identity = network.identity().to_protobuf();
	let [kept, dropped] = [network.cid(), network.cid()];

	let host = start_on(&network, &identity, folder.path(), dht_config(&door)).await;
	let name = host.peer_id();
	let before = address(&host).await;
	let router = DhtRouter::new(host.clone());
	router.provide(&[kept, dropped]).await.unwrap();
	until_announced(&network, &host, 2).await;
	assert_eq!(until_found(&reader, kept, name).await, before);
	router.unprovide(&[dropped]).await.unwrap();
	assert_eq!(host.dht().borrow().provided, 1);
	host.shutdown().await;
	drop((host, router));

	let host = start_on(&network, &identity, folder.path(), dht_config(&door)).await;
	let after = address(&host).await;
	assert_ne!(before, after);
	assert_eq!(host.dht().borrow().provided, 1);
	until_announced(&network, &host, 1).await;
	let refound = async {
		// The old address can be named until the new record has arrived.
		let is_new =
			|found: &PeerAddress| found.peer == name && found.addresses.contains(&after.addresses[0]);
		while !find(&reader, kept).await.iter().any(is_new) {
			tokio::task::yield_now().await;
		}
	};
	crate::harness::within("the new address", refound).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_host_joins_without_the_bootstrap_host() {
	let mut network = Network::new();
	let boot = network.dht_host(&[]).await;
	let door = [address(&boot).await];
	let provider = network.dht_host(&door).await;
	let cid = network.cid();
	DhtRouter::new(provider.clone()).provide(&[cid]).await.unwrap();
	let folder = tempfile::tempdir().unwrap();
	let identity = network.identity().to_protobuf();
	let host = start_on(&network, &identity, folder.path(), dht_config(&door)).await;
	until_dht(&host, "knowing both others", |dht| dht.peers == 2).await;
	until_connected(&host, provider.peer_id()).await;
	host.shutdown().await;
	boot.shutdown().await;
	drop(host);

	let host = start_on(&network, &identity, folder.path(), dht_config(&[])).await;
	let router = DhtRouter::new(host);
	let found = until_found(&router, cid, provider.peer_id()).await;
	assert_eq!(found, address(&provider).await);
}

#[tokio::test]
async fn a_keeper_remembers_others_records_over_a_restart() {
	let mut network = Network::new();
	let folder = tempfile::tempdir().unwrap();
	let identity = network.identity().to_protobuf();
	let keeper = start_on(&network, &identity, folder.path(), dht_config(&[])).await;
	let provider = network.dht_host(&[address(&keeper).await]).await;
	let cid = network.cid();
	DhtRouter::new(provider.clone()).provide(&[cid]).await.unwrap();
	until_dht(&keeper, "the record", |dht| dht.records == 1).await;
	let known = address(&provider).await;
	provider.shutdown().await;
	keeper.shutdown().await;
	drop(keeper);

	let keeper = start_on(&network, &identity, folder.path(), dht_config(&[])).await;
	assert_eq!(keeper.dht().borrow().records, 1);
	assert_eq!(find(&DhtRouter::new(keeper.clone()), cid).await, [known]);
	network.clock.advance(48 * HOUR);
	until_dht(&keeper, "the end of the record", |dht| dht.records == 0).await;
}

/// A disk that can be full.
#[derive(Debug, Default)]
struct Disk {
	contents: InMemoryBackend,
	is_full: Arc<AtomicBool>,
}

impl Disk {
	fn room(&self) -> io::Result<()> {
		match self.is_full.load(Ordering::Relaxed) {
			true => Err(io::ErrorKind::StorageFull.into()),
			false => Ok(()),
		}
	}
}

impl StorageBackend for Disk {
	fn len(&self) -> io::Result<u64> {
		self.contents.len()
	}

	fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
		self.contents.read(offset, out)
	}

	fn set_len(&self, len: u64) -> io::Result<()> {
		self.room()?;
		self.contents.set_len(len)
	}

	fn sync_data(&self) -> io::Result<()> {
		self.room()?;
		self.contents.sync_data()
	}

	fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
		self.room()?;
		self.contents.write(offset, data)
	}
}

#[tokio::test]
async fn what_cannot_be_written_is_not_provided() {
	let mut network = Network::new();
	let disk = Disk::default();
	let is_full = disk.is_full.clone();
	let database = redb::Database::builder().create_with_backend(disk).unwrap();
	let identity = network.identity();
	let parts = HostParts {
		records: RecordDatabase::shared(Arc::new(database)).unwrap(),
		..network.parts(identity)
	};
	let host = Host::start(dht_config(&[]), parts).await.unwrap();
	let [before, after] = [network.cid(), network.cid()];
	host.provide(vec![key_of(&before)]).await.unwrap();
	is_full.store(true, Ordering::Relaxed);
	let refused = host.provide(vec![key_of(&after)]).await;
	assert!(matches!(refused, Err(ProvideError::Records(_))), "{refused:?}");
	let kept = host.unprovide(vec![key_of(&before)]).await;
	assert!(matches!(kept, Err(ProvideError::Records(_))), "{kept:?}");
	assert_eq!(host.dht().borrow().provided, 1);
	host.shutdown().await;
}

#[tokio::test]
async fn searches_at_once_are_limited_and_end_when_dropped() {
	let mut network = Network::new();
	let mut config = dht_config(&[]);
	config.dht = config.dht.map(|dht| DhtConfig { max_finds: 1, ..dht });
	let host = network.start(config).await;
	let cid = network.cid();
	let first = host.find_providers(&key_of(&cid)).await.unwrap();
	let mut second = Box::pin(host.find_providers(b"another"));
	assert!(futures::poll!(&mut second).is_pending());
	drop(first);
	let found: Vec<PeerAddress> = second.await.unwrap().collect().await;
	assert!(found.is_empty());
}

#[tokio::test]
async fn only_multihashes_are_provided_and_only_in_a_dht() {
	let mut network = Network::new();
	let host = network.dht_host(&[]).await;
	let good = key_of(&network.cid());
	let refused = host.provide(vec![good.clone(), b"no multihash".to_vec()]).await;
	assert!(matches!(refused, Err(ProvideError::NotAMultihash)));
	assert_eq!(host.dht().borrow().provided, 0);
	host.provide(vec![good.clone(), good.clone()]).await.unwrap();
	assert_eq!(host.dht().borrow().provided, 1);
	// Nobody is there to be told.
	assert_eq!(host.dht().borrow().announced, 0);

	let host = network.start(crate::harness::config()).await;
	assert!(matches!(
		host.provide(vec![good.clone()]).await,
		Err(ProvideError::NoDht)
	));
	assert!(host.find_providers(&good).await.is_err());
}
