//! Fetching blocks over block exchange, from several peers at once, until the object is complete.
//!
//! The exchange verifies blocks and shares the work among the peers; what is here decides what to fetch next,
//! from what is on disk, and when to give up: not at a deadline, but when no block has come for a while.

use super::{
	blocks::BlockStore,
	fetch::{complete, RetrieveError},
	missing::{Part, Wanted},
};
use crate::network::{host_parts, NetworkError};
use cairn_dag::{
	source::load,
	unixfs::{resolve, ByteRange, ReadError, ResolveError},
	Block, BlockSource, Cid, SinkError, SourceError,
};
use cairn_network::{
	address::PeerAddress,
	blocks::BlockStore as ExchangeStore,
	discovery::{DhtRouter, Router, Routers, StaticRouter},
	exchange::{
		fetch::{FetchError, Fetcher, Limits, Providers},
		service::{Config, Exchange},
		wire::Range,
	},
	host::{ConnectError, Host},
	PeerId,
};
use futures::{future, StreamExt};
use std::{
	collections::{BTreeMap, BTreeSet},
	future::Future,
	sync::{
		atomic::{AtomicU64, Ordering},
		Arc, Mutex, PoisonError,
	},
	time::{Duration, Instant},
};

/// Connections that are made at the same time.
const CONCURRENT_DIALS: usize = 16;
/// How long one fetch may take before what is missing is computed anew. Long: only silence ends a fetch early.
const ROUND: Duration = Duration::from_secs(3600);
/// How often progress is looked at.
const TICK: Duration = Duration::from_millis(100);

/// How long peers may be silent.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
	/// Before the first block.
	pub first: Duration,
	/// Between blocks.
	pub idle: Duration,
}

/// Why an object was not fetched over block exchange.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
	/// There was nobody to ask.
	#[error("no peer is known who might have {root}")]
	NoPeers {
		/// The object.
		root: Cid,
	},
	/// There is no connection with any of the peers.
	#[error("no peer was reached")]
	Unreached {
		/// What came of it.
		failures: Vec<PeerFailure>,
	},
	/// There are connections, but no missing block came.
	#[error("no peer sent a missing block within {} s", waited.as_secs())]
	Silent {
		/// How long it was waited for.
		waited: Duration,
		/// Peers that failed.
		failures: Vec<PeerFailure>,
	},
	/// The blocks do not form the object that was asked for, or cannot be kept.
	#[error(transparent)]
	Local(#[from] RetrieveError),
	/// The fetch failed for a reason that no peer can change.
	#[error(transparent)]
	Fetch(FetchError),
}

impl ExchangeError {
	/// Whether other peers, or another way to ask, could not help.
	pub fn is_final(&self) -> bool {
		matches!(self, ExchangeError::Local(_) | ExchangeError::Fetch(_))
	}
}

/// A peer that did not deliver, and why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{peer}: {reason}")]
pub struct PeerFailure {
	/// The peer.
	pub peer: PeerId,
	/// Why not.
	pub reason: String,
}

/// The block exchange over the blocks of one retrieval.
pub struct ExchangeClient {
	host: Host,
	fetcher: Fetcher,
	blocks: BlockStore,
	/// What blocks that are asked for alone belong to.
	object: Cid,
	received: Arc<AtomicU64>,
	asks_dht: bool,
	/// Peers there was a connection with.
	reached: Mutex<BTreeSet<PeerId>>,
	/// Why there was none with others.
	unreached: Mutex<BTreeMap<PeerId, ConnectError>>,
}

impl ExchangeClient {
	/// Starts a host, and the exchange over `blocks` on it. With peers to join the DHT through, providers are
	/// also looked for there; of blocks that are asked for alone, those of the `object` that they belong to: it is what
	/// providers announce.
	///
	/// # Errors
	/// See [`NetworkError`].
	pub async fn start(
		blocks: &BlockStore,
		object: Cid,
		bootstrap: Vec<PeerAddress>,
	) -> Result<Self, NetworkError> {
		let asks_dht = !bootstrap.is_empty();
		let received = Arc::new(AtomicU64::new(0));
		let store = Arc::new(CountingStore {
			blocks: blocks.clone(),
			received: received.clone(),
		});
		let (config, parts) = host_parts(bootstrap)?;
		let (host, exchange) = Exchange::with_host(config, parts, store, Config::default()).await?;
		Ok(ExchangeClient {
			host,
			fetcher: Fetcher::new(exchange, Limits::default()),
			blocks: blocks.clone(),
			object,
			received,
			asks_dht,
			reached: Mutex::default(),
			unreached: Mutex::default(),
		})
	}

	/// Bytes of new blocks that came so far.
	pub fn received(&self) -> u64 {
		self.received.load(Ordering::Relaxed)
	}

	/// Peers that delivered something so far.
	pub fn delivered_by(&self) -> Vec<PeerId> {
		let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
		let has_delivered = |peer: &&PeerId| {
			let standing = self.host.peers().standing(peer);
			standing.is_some_and(|standing| standing.throughput.is_some())
		};
		reached.iter().filter(has_delivered).copied().collect()
	}

	/// Fetches whatever is missing of an object, from these peers and those that the DHT names. Tells `progress`
	/// the [bytes received](Self::received). Gives what the path leads to.
	///
	/// # Errors
	/// See [`ExchangeError`]. What was fetched stays, for another try.
	pub async fn retrieve(
		&self,
		wanted: &Wanted,
		peers: &[PeerAddress],
		patience: Patience,
		progress: &(dyn Fn(u64) + Sync),
	) -> Result<Cid, ExchangeError> {
		let at_start = self.received();
		loop {
			let step = match next_step(&self.blocks, wanted).await? {
				Step::Done(target) => return Ok(target),
				step => step,
			};
			if peers.is_empty() && !self.asks_dht {
				return Err(ExchangeError::NoPeers { root: wanted.root });
			}
			let before = self.received();
			let allowed = match before == at_start {
				true => patience.first,
				false => patience.idle,
			};
			let fetched = self.watch(self.take(step, peers), allowed, patience.idle, progress);
			let fetched = fetched.await;
			let progressed = self.received() > before;
			match fetched {
				// What is still missing is computed anew.
				Some(Ok(()) | Err(FetchError::Deadline { .. })) if progressed => {}
				Some(Err(FetchError::NoProviders)) => {
					return Err(ExchangeError::Unreached {
						failures: self.failures(),
					})
				}
				Some(Ok(()) | Err(FetchError::Deadline { .. })) | None => {
					return Err(ExchangeError::Silent {
						waited: if progressed { patience.idle } else { allowed },
						failures: self.failures(),
					})
				}
				Some(Err(error)) => return Err(ExchangeError::Fetch(error)),
			}
		}
	}

	/// Closes the connections.
	pub async fn shutdown(&self) {
		self.host.shutdown().await;
	}

	async fn take(&self, step: Step, peers: &[PeerAddress]) -> Result<(), FetchError> {
		let deadline = Instant::now() + ROUND;
		let providers = |cid| self.providers(cid, peers, deadline);
		match step {
			Step::Done(_) => Ok(()),
			Step::Block(cid) => self.fetcher.block(cid, providers(cid), deadline).await.map(drop),
			Step::Blocks(cids) => {
				let block = |cid| self.fetcher.block(cid, providers(self.object), deadline);
				future::try_join_all(cids.into_iter().map(block)).await.map(drop)
			}
			Step::Dag(root) => self.fetcher.dag(root, providers(root), deadline).await.map(drop),
			Step::Bytes(root, ByteRange { start, end }) => {
				let len = end.unwrap_or(u64::MAX).saturating_sub(start);
				let range = Range::Bytes { root, start, len };
				self.fetcher
					.range(range, providers(root), deadline)
					.await
					.map(drop)
			}
		}
	}

	/// Runs `work` until it is done or nothing has come for too long, upon which it is `None`.
	async fn watch<T>(
		&self,
		work: impl Future<Output = T>,
		first: Duration,
		idle: Duration,
		progress: &(dyn Fn(u64) + Sync),
	) -> Option<T> {
		let mut work = std::pin::pin!(work);
		let mut tick = tokio::time::interval(TICK);
		let mut last = (self.received(), Instant::now());
		let mut allowed = first;
		loop {
			tokio::select! {
				done = &mut work => {
					progress(self.received());
					return Some(done);
				}
				_ = tick.tick() => {
					let now = self.received();
					progress(now);
					if now > last.0 {
						last = (now, Instant::now());
						allowed = idle;
					} else if last.1.elapsed() >= allowed {
						return None;
					}
				}
			}
		}
	}

	/// Those of the peers, and of the providers that the DHT names, that there is a connection with, as soon as
	/// there is.
	fn providers<'a>(&'a self, cid: Cid, peers: &[PeerAddress], deadline: Instant) -> Providers<'a> {
		let mut routers: Vec<Arc<dyn Router>> = vec![Arc::new(StaticRouter::new(peers.to_vec()))];
		if self.asks_dht {
			routers.push(Arc::new(DhtRouter::new(self.host.clone())));
		}
		Routers::new(routers)
			.find(cid, deadline.into())
			.map(|peer| self.connect(peer))
			.buffer_unordered(CONCURRENT_DIALS)
			.filter_map(future::ready)
			.boxed()
	}

	async fn connect(&self, peer: PeerAddress) -> Option<PeerId> {
		let id = peer.peer;
		if !self.host.peers().may_dial(&id) {
			return None;
		}
		let connected = self.host.connect(peer).await;
		let mut unreached = self.unreached.lock().unwrap_or_else(PoisonError::into_inner);
		match connected {
			Ok(()) => {
				unreached.remove(&id);
				self.reached
					.lock()
					.unwrap_or_else(PoisonError::into_inner)
					.insert(id);
				Some(id)
			}
			Err(error) => {
				unreached.insert(id, error);
				None
			}
		}
	}

	/// Peers that were not reached or are banned by now.
	fn failures(&self) -> Vec<PeerFailure> {
		let unreached = self.unreached.lock().unwrap_or_else(PoisonError::into_inner);
		let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
		let banned = reached
			.iter()
			.filter(|peer| self.host.peers().is_banned(peer))
			.map(|peer| PeerFailure {
				peer: *peer,
				reason: "it sent what it may not, such as blocks that do not match their CIDs".to_owned(),
			});
		unreached
			.iter()
			.map(|(peer, error)| PeerFailure {
				peer: *peer,
				reason: error.to_string(),
			})
			.chain(banned)
			.collect()
	}
}

/// What to fetch next.
enum Step {
	/// Nothing: everything is there, and this is what the path leads to.
	Done(Cid),
	/// A block on the path, or the one at its end.
	Block(Cid),
	/// Several blocks.
	Blocks(Vec<Cid>),
	/// Everything below a block.
	Dag(Cid),
	/// Bytes of a file.
	Bytes(Cid, ByteRange),
}

async fn next_step(blocks: &BlockStore, wanted: &Wanted) -> Result<Step, RetrieveError> {
	if let Some(target) = complete(blocks, wanted).await? {
		return Ok(Step::Done(target));
	}
	let (kept, asked) = (blocks.clone(), wanted.clone());
	let step = tokio::task::spawn_blocking(move || {
		if let Part::Blocks(cids) = &asked.part {
			let is_missing = |cid: &Cid| kept.size(cid).is_none() && Block::from_identity(cid).is_none();
			return Step::Blocks(cids.iter().copied().filter(is_missing).collect());
		}
		let target = match resolve(&kept, &asked.root, &asked.path) {
			Ok(resolved) => resolved.cid,
			Err(ResolveError::Read(ReadError::Missing { cid })) => return Step::Block(cid),
			// It could be read a moment ago: a block was damaged meanwhile, and is gone now.
			Err(_) => return Step::Block(asked.root),
		};
		match asked.part {
			Part::Whole => Step::Dag(target),
			Part::Block | Part::Blocks(_) => Step::Block(target),
			// The root tells whether there are such bytes at all.
			Part::Bytes(_) if !matches!(load(&kept, &target), Ok(Some(_))) => Step::Block(target),
			Part::Bytes(range) => Step::Bytes(target, range),
		}
	});
	step.await.map_err(|error| RetrieveError::Disk {
		path: blocks.path(),
		source: std::io::Error::other(error),
	})
}

/// The blocks of a retrieval as the exchange wants them. Counts what is new.
struct CountingStore {
	blocks: BlockStore,
	received: Arc<AtomicU64>,
}

impl BlockSource for CountingStore {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		self.blocks.get(cid)
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		self.blocks.has(cid)
	}
}

impl ExchangeStore for CountingStore {
	fn put(&self, blocks: &[Block]) -> Result<(), SinkError> {
		for block in blocks {
			if self.blocks.put(block).map_err(SinkError::new)? {
				self.received
					.fetch_add(block.data().len() as u64, Ordering::Relaxed);
			}
		}
		Ok(())
	}

	fn size(&self, cid: &Cid) -> Result<Option<u64>, SourceError> {
		Ok(self.blocks.size(cid))
	}
}
