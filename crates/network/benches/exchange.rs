//! Fetching a file from another node over loopback, beside what the sockets and libp2p's streams carry.
//!
//! Both nodes and the test of each block's hash share this machine's processors. Blocks are kept in memory, so
//! that no disk is measured. `CAIRN_BENCH_BYTES` sets the size of the file, 1 GiB by default.

use cairn_dag::{
	unixfs::import::{ImportOptions, Importer},
	Cid, MemoryBlocks,
};
use cairn_network::{
	blocks::MemoryStore,
	discovery::RecordDatabase,
	exchange::{
		fetch::{Fetcher, Limits, Providers},
		service::{Config, Exchange},
		wire::Range,
	},
	host::{Host, HostConfig, HostParts},
	identity::Identity,
	streams,
};
use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt};
use libp2p::{Multiaddr, StreamProtocol};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use std::{
	sync::Arc,
	time::{Duration, Instant},
};
use tokio::{
	io::{AsyncReadExt, AsyncWriteExt},
	net::{TcpListener, TcpStream},
	runtime::Runtime,
};

const PLAIN: StreamProtocol = StreamProtocol::new("/cairn/bench/plain/1");
/// Bytes written at once where there are no blocks.
const PART: usize = 256 << 10;

#[derive(Clone, Copy)]
enum Transport {
	Quic,
	Tcp,
}

impl Transport {
	const ALL: [Self; 2] = [Self::Quic, Self::Tcp];

	fn name(self) -> &'static str {
		match self {
			Self::Quic => "quic",
			Self::Tcp => "tcp",
		}
	}

	/// A host that listens on this transport only, on a port that the system chooses.
	fn host(self, seed: u8) -> (HostConfig, HostParts) {
		let listen = match self {
			Self::Quic => "/ip4/127.0.0.1/udp/0/quic-v1",
			Self::Tcp => "/ip4/127.0.0.1/tcp/0",
		};
		let config = HostConfig {
			listen: vec![listen.parse::<Multiaddr>().unwrap()],
			dht: None,
			..HostConfig::default()
		};
		let identity = Identity::from_secret(&mut [seed; 32]).unwrap();
		(
			config,
			HostParts::new(identity, RecordDatabase::in_memory().unwrap()),
		)
	}
}

fn bytes() -> u64 {
	match std::env::var("CAIRN_BENCH_BYTES") {
		Ok(bytes) => bytes.parse().expect("CAIRN_BENCH_BYTES is a number of bytes"),
		Err(_) => 1 << 30,
	}
}

/// A stream of random bytes from a small pool, so that making them costs little.
struct Content {
	pool: Vec<u8>,
	next: u64,
	left: u64,
}

impl std::io::Read for Content {
	fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
		let at = (self.next % (self.pool.len() as u64 / 2)) as usize;
		let count = buffer.len().min(PART).min(self.left as usize);
		buffer[..count].copy_from_slice(&self.pool[at..][..count]);
		// A step that is no divisor of the pool's length: chunks differ.
		self.next += count as u64 + 1;
		self.left -= count as u64;
		Ok(count)
	}
}

/// A file of `size` bytes, as IPFS imports it with its defaults: blocks of 256 KiB.
fn file(size: u64) -> (Cid, Arc<MemoryStore>) {
	let mut pool = vec![0; 64 << 20];
	ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut pool);
	let content = Content {
		pool,
		next: 0,
		left: size,
	};
	let mut blocks = MemoryBlocks::new();
	let options = ImportOptions {
		chunk_size: PART,
		..ImportOptions::default()
	};
	let root = Importer::new(&mut blocks, options).reader(content).unwrap().root;
	(root, Arc::new(MemoryStore::from(blocks)))
}

/// What the system's TCP carries between two tasks.
async fn plain_tcp(size: u64) {
	let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
	let address = listener.local_addr().unwrap();
	let sender = tokio::spawn(async move {
		let (mut stream, _) = listener.accept().await.unwrap();
		let part = vec![7; PART];
		let mut left = size as usize;
		while left > 0 {
			let now = left.min(PART);
			stream.write_all(&part[..now]).await.unwrap();
			left -= now;
		}
	});
	let mut stream = TcpStream::connect(address).await.unwrap();
	let mut part = vec![0; PART];
	let mut came = 0;
	loop {
		match stream.read(&mut part).await.unwrap() {
			0 => break,
			count => came += count as u64,
		}
	}
	assert_eq!(came, size);
	sender.await.unwrap();
}

/// Two hosts that send each other plain bytes on libp2p's streams.
struct Line {
	hosts: [Host; 2],
	control: streams::Control,
	// Streams are refused when nobody is there to take them.
	_events: streams::Events,
	serving: tokio::task::JoinHandle<()>,
}

impl Line {
	async fn start(transport: Transport, size: u64) -> Self {
		let (config, parts) = transport.host(1);
		let (behaviour, _, mut events) = streams::Behaviour::new([PLAIN]);
		let server = Host::start_with(config, parts, Some(behaviour)).await.unwrap();
		let serving = tokio::spawn(async move {
			while let Some(event) = events.next().await {
				if let streams::Event::Inbound(mut inbound) = event {
					let part = vec![7; PART];
					let mut left = size as usize;
					while left > 0 {
						let now = left.min(PART);
						inbound.stream.write_all(&part[..now]).await.unwrap();
						left -= now;
					}
					inbound.stream.close().await.unwrap();
				}
			}
		});
		let (config, parts) = transport.host(2);
		let (behaviour, control, events) = streams::Behaviour::new([PLAIN]);
		let client = Host::start_with(config, parts, Some(behaviour)).await.unwrap();
		client.connect(server.address().await.unwrap()).await.unwrap();
		Self {
			hosts: [server, client],
			control,
			_events: events,
			serving,
		}
	}

	async fn transfer(&self, size: u64) {
		let (mut stream, _) = self
			.control
			.open(self.hosts[0].peer_id(), &[PLAIN])
			.await
			.unwrap();
		let mut part = vec![0; PART];
		let mut came = 0;
		loop {
			match stream.read(&mut part).await.unwrap() {
				0 => break,
				count => came += count as u64,
			}
		}
		assert_eq!(came, size);
	}
}

impl Drop for Line {
	fn drop(&mut self) {
		self.serving.abort();
	}
}

fn transports(c: &mut Criterion) {
	let runtime = Runtime::new().unwrap();
	let size = bytes();
	let mut group = c.benchmark_group("carry");
	group.sample_size(10).throughput(Throughput::Bytes(size));
	group.bench_function("the system's TCP", |b| {
		b.iter(|| runtime.block_on(plain_tcp(size)))
	});
	for transport in Transport::ALL {
		let line = runtime.block_on(Line::start(transport, size));
		group.bench_function(BenchmarkId::new("a stream of libp2p", transport.name()), |b| {
			b.iter(|| runtime.block_on(line.transfer(size)))
		});
	}
	group.finish();
}

/// Ways to fetch the same file.
#[derive(Clone, Copy)]
enum Way {
	/// The native protocol, as ranges.
	Ranges,
	/// The native protocol, block by block.
	Blocks,
	/// Bitswap.
	Bitswap,
}

impl Way {
	const ALL: [Self; 3] = [Self::Ranges, Self::Blocks, Self::Bitswap];

	fn name(self) -> &'static str {
		match self {
			Self::Ranges => "native, ranges",
			Self::Blocks => "native, blocks",
			Self::Bitswap => "bitswap",
		}
	}

	fn config(self) -> Config {
		Config {
			native: !matches!(self, Self::Bitswap),
			bitswap: matches!(self, Self::Bitswap),
			..Config::default()
		}
	}
}

async fn node(transport: Transport, seed: u8, store: Arc<MemoryStore>, config: Config) -> (Host, Exchange) {
	let (host, parts) = transport.host(seed);
	Exchange::with_host(host, parts, store, config).await.unwrap()
}

/// Fetches the file into an empty store of a new node, which is connected before the time counts.
async fn fetch(way: Way, transport: Transport, seeder: &Host, root: Cid, size: u64) -> Duration {
	let store = Arc::new(MemoryStore::new());
	let (host, exchange) = node(transport, 2, store.clone(), way.config()).await;
	host.connect(seeder.address().await.unwrap()).await.unwrap();
	let providers = || -> Providers<'static> { futures::stream::iter([seeder.peer_id()]).boxed() };
	let fetcher = Fetcher::new(exchange, Limits::default());
	let begun = Instant::now();
	let deadline = begun + Duration::from_secs(600);
	let fetched = match way {
		Way::Ranges => {
			let range = Range::Bytes {
				root,
				start: 0,
				len: size,
			};
			fetcher.range(range, providers(), deadline).await
		}
		Way::Blocks | Way::Bitswap => fetcher.dag(root, providers(), deadline).await,
	};
	let elapsed = begun.elapsed();
	assert!(
		fetched.unwrap().received.bytes >= size,
		"all of it came over the line"
	);
	drop(fetcher);
	host.shutdown().await;
	elapsed
}

fn exchange(c: &mut Criterion) {
	let runtime = Runtime::new().unwrap();
	let size = bytes();
	let (root, store) = file(size);
	let mut group = c.benchmark_group("fetch");
	group.sample_size(10).throughput(Throughput::Bytes(size));
	for way in Way::ALL {
		for transport in Transport::ALL {
			let (seeder, _exchange) = runtime.block_on(node(transport, 1, store.clone(), way.config()));
			group.bench_function(BenchmarkId::new(way.name(), transport.name()), |b| {
				b.iter_custom(|runs| {
					(0..runs)
						.map(|_| runtime.block_on(fetch(way, transport, &seeder, root, size)))
						.sum()
				})
			});
		}
	}
	group.finish();
}

criterion_group!(benches, transports, exchange);
criterion_main!(benches);
