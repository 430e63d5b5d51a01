//! Hosts in memory with the exchange on them, and what they exchange.

pub use cairn_test_random::rng as seeded;

use bytes::Bytes;
use cairn_dag::{
	unixfs::import::{ImportOptions, Importer},
	Block, Cid, Codec, MemoryBlocks,
};
use cairn_network::{
	blocks::{BlockStore, MemoryStore},
	discovery::RecordDatabase,
	exchange::{
		fetch::{Fetcher, Limits, Providers},
		service::{Config, Exchange, Status},
	},
	host::{Host, HostConfig, HostParts},
	identity::Identity,
	streams, PeerId,
};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{swarm::Stream, StreamProtocol};
use rand_chacha::ChaCha8Rng;
use rand_core::RngCore;
use std::{
	future::Future,
	sync::{
		atomic::{AtomicU64, Ordering},
		Arc,
	},
	time::{Duration, Instant},
};

/// Longer than anything here takes on a slow machine; only a failed test waits for it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Distinct raw blocks of up to `size` bytes, and at least 8.
pub fn blocks(rng: &mut ChaCha8Rng, count: usize, size: usize) -> Vec<Block> {
	let block = |_| {
		let mut data = vec![0; 8 + rng.next_u32() as usize % (size - 7)];
		rng.fill_bytes(&mut data);
		Block::encode(Codec::Raw, data)
	};
	(0..count).map(block).collect()
}

/// A file of random bytes as a DAG with chunks of 16 KiB. Returns its root, its blocks and its content.
pub fn file(rng: &mut ChaCha8Rng, size: usize) -> (Cid, Vec<Block>, Vec<u8>) {
	let mut content = vec![0; size];
	rng.fill_bytes(&mut content);
	let (root, blocks) = import(&content);
	(root, blocks, content)
}

/// The DAG of a file with chunks of 16 KiB and 16 links per node.
pub fn import(content: &[u8]) -> (Cid, Vec<Block>) {
	let mut sink = MemoryBlocks::new();
	let options = ImportOptions {
		chunk_size: 16 << 10,
		max_links: 16,
		..ImportOptions::default()
	};
	let root = Importer::new(&mut sink, options).reader(content).unwrap().root;
	(root, sink.iter().cloned().collect())
}

/// The name of a node that is not there.
pub fn peer_id(rng: &mut ChaCha8Rng) -> PeerId {
	let mut secret = [0; 32];
	rng.fill_bytes(&mut secret);
	let key = libp2p::identity::Keypair::ed25519_from_bytes(secret).unwrap();
	key.public().to_peer_id()
}

/// A host with the exchange on it.
pub struct Node {
	pub host: Host,
	pub exchange: Exchange,
	pub store: Arc<MemoryStore>,
}

/// What a host in memory is started with.
pub fn host(rng: &mut ChaCha8Rng) -> (HostConfig, HostParts) {
	static NEXT_PORT: AtomicU64 = AtomicU64::new(1);
	let mut secret = [0; 32];
	rng.fill_bytes(&mut secret);
	let identity = Identity::from_secret(&mut secret).unwrap();
	let config = HostConfig {
		dht: None,
		..HostConfig::in_memory(NEXT_PORT.fetch_add(1, Ordering::Relaxed))
	};
	(
		config,
		HostParts::new(identity, RecordDatabase::in_memory().unwrap()),
	)
}

impl Node {
	/// A node with these blocks.
	pub async fn start(rng: &mut ChaCha8Rng, config: Config, blocks: &[Block]) -> Self {
		Self::start_on(rng, |_| {}, config, blocks).await
	}

	/// A node with these blocks, on a host that is configured as wanted.
	pub async fn start_on(
		rng: &mut ChaCha8Rng,
		configure: impl FnOnce(&mut HostConfig),
		config: Config,
		blocks: &[Block],
	) -> Self {
		let store = Arc::new(MemoryStore::new());
		store.put(blocks).unwrap();
		let (mut host, parts) = host(rng);
		configure(&mut host);
		let started = Exchange::with_host(host, parts, store.clone(), config).await;
		let (host, exchange) = started.unwrap();
		Self {
			host,
			exchange,
			store,
		}
	}

	pub fn id(&self) -> PeerId {
		self.host.peer_id()
	}

	pub async fn connect(&self, other: &Host) {
		self.host.connect(other.address().await.unwrap()).await.unwrap();
	}

	pub fn fetcher(&self) -> Fetcher {
		Fetcher::new(self.exchange.clone(), Limits::default())
	}

	pub async fn status(&self) -> Status {
		self.exchange.status().await.unwrap()
	}

	/// Bytes of blocks that went out in any protocol.
	pub fn sent(&self) -> u64 {
		self.counted("out")
	}

	/// Bytes of blocks that came in and were wanted.
	pub fn received(&self) -> u64 {
		self.counted("in")
	}

	fn counted(&self, direction: &str) -> u64 {
		let bytes = &self.host.metrics().block_bytes;
		["cairn", "bitswap"]
			.iter()
			.map(|protocol| bytes.with_label_values(&[*protocol, direction]).get())
			.sum()
	}

	/// Whether it has the blocks.
	pub fn has(&self, blocks: &[Block]) -> bool {
		use cairn_dag::BlockSource;
		blocks.iter().all(|block| self.store.has(block.cid()).unwrap())
	}
}

/// Only the native protocol.
pub fn native() -> Config {
	Config {
		bitswap: false,
		..Config::default()
	}
}

/// Only Bitswap.
pub fn bitswap() -> Config {
	Config {
		native: false,
		..Config::default()
	}
}

/// These peers, now and no more.
pub fn providers(peers: &[PeerId]) -> Providers<'static> {
	futures::stream::iter(peers.to_vec()).boxed()
}

pub fn soon() -> Instant {
	Instant::now() + LIMIT
}

/// Waits for what must happen.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
	match tokio::time::timeout(LIMIT, future).await {
		Ok(value) => value,
		Err(_) => panic!("{what} did not happen within {} s", LIMIT.as_secs()),
	}
}

/// Waits until the exchange of a node is so.
pub async fn until(node: &Node, what: &str, holds: impl Fn(&Status) -> bool) {
	within(what, async {
		while !holds(&node.status().await) {
			tokio::time::sleep(Duration::from_millis(10)).await;
		}
	})
	.await;
}

/// A peer that does what a test wants, stream by stream.
pub struct Stranger {
	pub host: Host,
	pub control: streams::Control,
	pub events: streams::Events,
}

impl Stranger {
	/// Accepts streams of these protocols.
	pub async fn start(rng: &mut ChaCha8Rng, protocols: impl IntoIterator<Item = StreamProtocol>) -> Self {
		let (behaviour, control, events) = streams::Behaviour::new(protocols);
		let (config, parts) = host(rng);
		Self {
			host: Host::start_with(config, parts, Some(behaviour)).await.unwrap(),
			control,
			events,
		}
	}

	pub fn id(&self) -> PeerId {
		self.host.peer_id()
	}

	/// The next stream that is opened to it.
	pub async fn accept(&mut self) -> streams::Inbound {
		loop {
			match within("a stream", self.events.next())
				.await
				.expect("the host runs")
			{
				streams::Event::Inbound(inbound) => return inbound,
				streams::Event::Connected(_)
				| streams::Event::Direct(_)
				| streams::Event::Disconnected(_) => {}
			}
		}
	}

	/// Opens a stream and writes to it.
	pub async fn open_and_write(&self, peer: PeerId, protocol: StreamProtocol, bytes: &[u8]) -> Stream {
		let (mut stream, _) = self.control.open(peer, &[protocol]).await.unwrap();
		stream.write_all(bytes).await.unwrap();
		stream.flush().await.unwrap();
		stream
	}
}

/// Reads a frame of either protocol; `None` at the end of the stream.
pub async fn read_frame(stream: &mut Stream) -> Option<Bytes> {
	let mut len = 0;
	for place in 0.. {
		let mut byte = [0];
		stream.read_exact(&mut byte).await.ok()?;
		len |= usize::from(byte[0] & 0x7f) << (7 * place);
		if byte[0] < 0x80 {
			break;
		}
	}
	let mut frame = vec![0; len];
	stream.read_exact(&mut frame).await.ok()?;
	Some(frame.into())
}
