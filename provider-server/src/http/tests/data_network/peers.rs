//! Peers that are no nodes of this kind: they have what the test gives them, and behave as it says.

use cairn_dag::{Block, BlockSource, Cid, SinkError, SourceError};
use cairn_network::{
	blocks::BlockStore,
	discovery::RecordDatabase,
	exchange::service::{Config, Exchange},
	host::{DhtConfig, DhtMode, Host, HostConfig, HostParts},
	identity::Identity,
};
use std::{
	collections::{HashMap, HashSet},
	sync::{Arc, Mutex},
};

/// A peer that serves blocks and answers the DHT's queries.
pub struct Peer {
	store: Arc<Store>,
	pub host: Host,
	exchange: Exchange,
	addresses: Vec<String>,
}

/// What a peer has.
#[derive(Default)]
struct Store {
	blocks: HashMap<Cid, Block>,
	/// What it says not to have until it is told to give it.
	withheld: Mutex<HashSet<Cid>>,
	/// Bytes of blocks that it was read.
	read: Mutex<u64>,
}

impl Peer {
	/// A peer that has these blocks but withholds some, and announces some roots.
	pub async fn with(blocks: &[Block], withheld: &[Cid], roots: &[Cid]) -> Peer {
		let store = Arc::new(Store {
			blocks: blocks.iter().map(|block| (*block.cid(), block.clone())).collect(),
			withheld: Mutex::new(withheld.iter().copied().collect()),
			read: Mutex::default(),
		});
		let config = HostConfig {
			dht: Some(DhtConfig {
				mode: DhtMode::Server,
				..DhtConfig::default()
			}),
			..HostConfig::default()
		};
		let parts = HostParts::new(Identity::generate(), RecordDatabase::in_memory().unwrap());
		let started = Exchange::with_host(config, parts, store.clone(), Config::default()).await;
		let (host, exchange) = started.unwrap();
		let keys = roots.iter().map(|root| root.hash().to_bytes()).collect();
		host.provide(keys).await.unwrap();
		let own = host.address().await.unwrap();
		let addresses = own.addresses.iter();
		Peer {
			addresses: addresses
				.map(|address| format!("{address}/p2p/{}", own.peer))
				.collect(),
			store,
			host,
			exchange,
		}
	}

	/// A peer that has these blocks, and announces the root.
	pub async fn of(blocks: &[Block], root: &Cid) -> Peer {
		Peer::with(blocks, &[], &[*root]).await
	}

	pub fn addresses(&self) -> &[String] {
		&self.addresses
	}

	/// Gives what it withheld.
	pub fn release(&self) {
		let withheld = std::mem::take(&mut *self.store.withheld.lock().unwrap());
		self.exchange.announce(withheld.into_iter().collect());
	}

	/// Gives one of the blocks that it withheld.
	pub fn release_one(&self, cid: &Cid) {
		self.store.withheld.lock().unwrap().remove(cid);
		self.exchange.announce(vec![*cid]);
	}

	/// Bytes of blocks that were read to be sent.
	pub fn sent(&self) -> u64 {
		*self.store.read.lock().unwrap()
	}
}

impl BlockSource for Store {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		if !self.has(cid)? {
			return Ok(None);
		}
		let block = self.blocks.get(cid).cloned();
		*self.read.lock().unwrap() += block.iter().map(|block| block.data().len() as u64).sum::<u64>();
		Ok(block)
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		Ok(self.blocks.contains_key(cid) && !self.withheld.lock().unwrap().contains(cid))
	}
}

impl BlockStore for Store {
	fn put(&self, _: &[Block]) -> Result<(), SinkError> {
		unreachable!("a peer of a test fetches nothing")
	}

	fn size(&self, cid: &Cid) -> Result<Option<u64>, SourceError> {
		let has = self.has(cid)?;
		Ok(self
			.blocks
			.get(cid)
			.filter(|_| has)
			.map(|block| block.data().len() as u64))
	}
}
