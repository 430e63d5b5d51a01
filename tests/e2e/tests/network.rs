//! Providers as peers of the network: found by what they store, and asked for it block by block.

use anyhow::{anyhow, ensure, Context, Result};
use cairn_dag::{
	unixfs::{export, ByteRange},
	Cid,
};
use cairn_e2e::{files, on_network, Network, PATIENCE};
use cairn_network::{
	blocks::MemoryStore,
	discovery::{DhtRouter, Finder, RecordDatabase, Router},
	exchange::{
		fetch::{FetchError, Fetcher, Limits},
		service::{Config, Exchange},
	},
	host::{DhtConfig, Host, HostConfig, HostParts},
	identity::Identity,
	PeerId,
};
use futures::{stream, StreamExt};
use std::{
	fs,
	sync::Arc,
	time::{Duration, Instant},
};

/// Blocks that the deal lasts: the shortest that the development chain takes.
const DURATION: u32 = 30;
/// Time for a search or a fetch, on a busy machine. Only what fails waits for it.
const LIMIT: Duration = Duration::from_secs(60);
/// Time after which nobody is expected to answer any more.
const SILENCE: Duration = Duration::from_secs(3);

/// A reader that speaks some of the protocols, and knows nothing but a peer to join the DHT through.
struct Reader {
	host: Host,
	fetcher: Fetcher,
	store: Arc<MemoryStore>,
}

impl Reader {
	async fn start(bootstrap: &str, config: Config) -> Result<Self> {
		let parts = HostParts::new(Identity::generate(), RecordDatabase::in_memory()?);
		let host = HostConfig {
			dht: Some(DhtConfig {
				bootstrap: vec![bootstrap.parse()?],
				..DhtConfig::default()
			}),
			..HostConfig::default()
		};
		let store = Arc::new(MemoryStore::new());
		let (host, exchange) = Exchange::with_host(host, parts, store.clone(), config).await?;
		Ok(Self {
			host,
			fetcher: Fetcher::new(exchange, Limits::default()),
			store,
		})
	}

	/// Who the DHT says has an object, from within `limit`.
	async fn find(&self, root: Cid, limit: Duration) -> Vec<PeerId> {
		let deadline = tokio::time::Instant::now() + limit;
		let found = DhtRouter::new(self.host.clone()).find(root, deadline);
		found.map(|provider| provider.peer).collect().await
	}
}

#[test]
fn an_object_is_found_and_fetched_by_its_root_until_its_deal_ends() -> Result<()> {
	on_network("network", |network| {
		let provider = network.provider("bob", "//Bob", "hot-8MiB")?;
		let user = network.user("user")?;
		let file = files::write(network.folder().join("file"), 3_000_000, 1)?;
		let first = user.block()?;
		let (put, deal) = user.put_with(&provider, &file, "hot", DURATION)?;
		let root: Cid = put.root.parse()?;
		let content = fs::read(&file)?;

		let addresses = provider.peer_addresses()?;
		let runtime = tokio::runtime::Runtime::new()?;
		let native = Config {
			bitswap: false,
			..Config::default()
		};
		let bitswap = Config {
			native: false,
			..Config::default()
		};
		let mut found = Vec::new();
		for (address, config) in addresses.iter().zip([native, bitswap]) {
			runtime.block_on(async {
				let reader = Reader::start(address, config).await?;
				// Announced within a few blocks of the data's arrival.
				for _ in 0..PATIENCE {
					found = reader.find(root, LIMIT).await;
					if !found.is_empty() {
						break;
					}
					tokio::task::block_in_place(|| network.pass(1))?;
				}
				let router = Arc::new(DhtRouter::new(reader.host.clone()));
				let finder = Finder::new(reader.host.clone(), router);
				let providers = finder.connect(root, tokio::time::Instant::now() + LIMIT);
				reader
					.fetcher
					.dag(root, providers, Instant::now() + LIMIT)
					.await?;
				let mut read = Vec::new();
				export::file(&*reader.store, &root, &mut read, ByteRange::ALL)?;
				ensure!(read == content, "other bytes over {address}");
				Ok(())
			})?;
		}
		let [peer] = <[PeerId; 1]>::try_from(found).map_err(|found| anyhow!("found are {found:?}"))?;
		ensure!(
			addresses[0].ends_with(&peer.to_string()),
			"{peer} is not the provider"
		);

		let id = deal.id.to_string();
		user.client
			.wait_for("deal-ended", &["--deal", &id], first, DURATION + PATIENCE)?;
		runtime.block_on(nobody_has(network, &addresses[0], root, peer))
	})
}

/// Waits until an object is neither announced nor served.
async fn nobody_has(network: &Network, bootstrap: &str, root: Cid, peer: PeerId) -> Result<()> {
	let reader = Reader::start(bootstrap, Config::default()).await?;
	let mut last = String::new();
	for _ in 0..PATIENCE {
		let found = reader.find(root, SILENCE).await;
		let fetched = reader
			.fetcher
			.block(root, stream::iter([peer]).boxed(), Instant::now() + SILENCE)
			.await;
		match fetched {
			Err(FetchError::Deadline { .. }) if found.is_empty() => return Ok(()),
			Err(FetchError::Deadline { .. }) => last = format!("found are {found:?}"),
			Err(error) => return Err(error.into()),
			Ok(_) => {
				last = "the root is served".into();
				reader.store.remove(&root).context("a block that is not kept")?;
			}
		}
		tokio::task::block_in_place(|| network.pass(1))?;
	}
	Err(anyhow!("long after its deal's end {last}"))
}
