//! Peers on loopback, with ports that the system chooses, and what they have.

use cairn_dag::{
	unixfs::import::{ImportOptions, Importer},
	Block, BlockSource, Cid, MemoryBlocks, SinkError, SourceError,
};
use cairn_network::{
	address::PeerAddress,
	blocks::{BlockStore, MemoryStore},
	discovery::RecordDatabase,
	exchange::service::{Config, Exchange},
	host::{DhtConfig, DhtMode, Host, HostConfig, HostParts},
	identity::Identity,
};
use rand_chacha::{rand_core::RngCore, ChaCha8Rng};
use std::{
	collections::HashSet,
	future::Future,
	net::TcpListener,
	path::Path,
	sync::{
		mpsc::{Receiver, SyncSender},
		Arc, Mutex,
	},
};
use tokio::runtime::Runtime;

/// Where no node of a chain is.
pub const NO_CHAIN: [&str; 2] = ["--node", "ws://127.0.0.1:1"];

/// Peers of one test. They run in the background while the test waits for the program.
pub struct Network {
	runtime: Runtime,
	rng: ChaCha8Rng,
}

/// A peer that serves blocks.
pub struct Node {
	pub host: Host,
	/// Its TCP address, with its id.
	pub address: String,
	pub id: String,
	_exchange: Exchange,
}

impl Network {
	/// With randomness from a seed that is printed; set `CAIRN_TEST_SEED` to have it again.
	pub fn new() -> Self {
		Network {
			runtime: Runtime::new().unwrap(),
			rng: cairn_test_random::rng(),
		}
	}

	pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
		self.runtime.block_on(future)
	}

	pub fn bytes(&mut self, size: usize) -> Vec<u8> {
		let mut bytes = vec![0; size];
		self.rng.fill_bytes(&mut bytes);
		bytes
	}

	/// A peer with these blocks.
	pub fn node(&mut self, blocks: &[Block]) -> Node {
		let store = MemoryStore::new();
		store.put(blocks).unwrap();
		self.node_with(Arc::new(store), None)
	}

	/// A peer with this store, and in the DHT if peers to join it through are given.
	pub fn node_with(&mut self, store: Arc<dyn BlockStore>, bootstrap: Option<Vec<PeerAddress>>) -> Node {
		let identity = Identity::from_secret(&mut self.bytes(32)).unwrap();
		let config = HostConfig {
			dht: bootstrap.map(|bootstrap| DhtConfig {
				mode: DhtMode::Server,
				bootstrap,
				..DhtConfig::default()
			}),
			..HostConfig::default()
		};
		let parts = HostParts::new(identity, RecordDatabase::in_memory().unwrap());
		self.runtime.block_on(async {
			let started = Exchange::with_host(config, parts, store, Config::default()).await;
			let (host, exchange) = started.unwrap();
			let own = host.address().await.unwrap();
			let tcp = own
				.addresses
				.iter()
				.find(|address| address.to_string().contains("/tcp/"));
			Node {
				address: format!("{}/p2p/{}", tcp.unwrap(), own.peer),
				id: own.peer.to_string(),
				host,
				_exchange: exchange,
			}
		})
	}

	/// The address of a peer that is not there.
	pub fn nobody(&mut self) -> String {
		let listener = TcpListener::bind("127.0.0.1:0").unwrap();
		let port = listener.local_addr().unwrap().port();
		let id = Identity::from_secret(&mut self.bytes(32)).unwrap().peer_id();
		format!("/ip4/127.0.0.1/tcp/{port}/p2p/{id}")
	}

	/// A file of random bytes: its root, its blocks and its content.
	pub fn file(&mut self, size: usize) -> (Cid, Vec<Block>, Vec<u8>) {
		let content = self.bytes(size);
		let mut sink = MemoryBlocks::new();
		let root = Importer::new(&mut sink, options())
			.reader(&content[..])
			.unwrap()
			.root;
		(root, sink.iter().cloned().collect(), content)
	}
}

/// The DAG of a folder.
pub fn folder(path: &Path) -> (Cid, Vec<Block>) {
	let mut sink = MemoryBlocks::new();
	let root = Importer::new(&mut sink, options()).path(path).unwrap().root;
	(root, sink.iter().cloned().collect())
}

/// Many blocks of small files, in trees of several levels.
fn options() -> ImportOptions {
	ImportOptions {
		chunk_size: 16 << 10,
		max_links: 8,
		..ImportOptions::default()
	}
}

pub fn size_of(blocks: &[Block]) -> u64 {
	blocks.iter().map(|block| block.data().len() as u64).sum()
}

/// The network's view of a node.
impl Node {
	pub fn peer_address(&self) -> PeerAddress {
		self.address.parse().unwrap()
	}

	/// Bytes of blocks that it sent.
	pub fn sent(&self) -> u64 {
		let bytes = &self.host.metrics().block_bytes;
		["cairn", "bitswap"]
			.iter()
			.map(|protocol| bytes.with_label_values(&[*protocol, "out"]).get())
			.sum()
	}
}

/// Has other bytes under every CID.
pub struct LyingStore;

impl BlockSource for LyingStore {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		Ok(Some(Block::assume_verified(*cid, b"something else".to_vec())))
	}
}

impl BlockStore for LyingStore {
	fn put(&self, _: &[Block]) -> Result<(), SinkError> {
		Ok(())
	}
}

/// Has blocks, of which it reads so many; who asks for more waits until the other end of its channel is gone, and
/// gets nothing.
pub struct StallingStore {
	blocks: MemoryStore,
	budget: usize,
	read: Mutex<HashSet<Cid>>,
	stalled: SyncSender<()>,
}

impl StallingStore {
	/// Also gives the channel that says when it stalls.
	pub fn new(blocks: &[Block], budget: usize) -> (Self, Receiver<()>) {
		let store = MemoryStore::new();
		store.put(blocks).unwrap();
		// Without room: whoever sends waits.
		let (stalled, hear) = std::sync::mpsc::sync_channel(0);
		let store = StallingStore {
			blocks: store,
			budget,
			read: Mutex::default(),
			stalled,
		};
		(store, hear)
	}
}

impl BlockSource for StallingStore {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		let mut read = self.read.lock().unwrap();
		if read.len() < self.budget {
			read.insert(*cid);
		}
		if read.contains(cid) {
			return self.blocks.get(cid);
		}
		drop(read);
		// An error means that nobody listens any more.
		while self.stalled.send(()).is_ok() {}
		Ok(None)
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		self.blocks.has(cid)
	}
}

impl BlockStore for StallingStore {
	fn put(&self, _: &[Block]) -> Result<(), SinkError> {
		Ok(())
	}

	fn size(&self, cid: &Cid) -> Result<Option<u64>, SourceError> {
		self.blocks.size(cid)
	}
}
