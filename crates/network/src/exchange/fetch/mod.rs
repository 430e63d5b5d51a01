//! Fetching into the local store: one block, a whole DAG or a range, of several peers at once.
//!
//! A [`Fetcher`] asks for what the store lacks, so it resumes by being started again. Every block is
//! verified before it is stored. It fails only at its deadline, when nobody offers anything, or on what
//! cannot succeed: a block whose codec is not known, a store that fails, a DAG beyond its limits.
//!
//! Providers come as a stream of peers, for instance of a [`Finder`](crate::discovery::Finder), and are
//! added as they come. A peer is asked in whichever protocol it speaks.
//!
//! Memory: the wants under way (at most [`Limits::wants`], each up to a block), the links that wait (at
//! most [`Limits::pending`]) and the CIDs of blocks with links ([`Limits::nodes`]).

mod dag;
mod local;
mod plan;
mod range;
mod source;

pub use source::NetworkSource;

use super::{
	service::{Exchange, Session, SessionEvent, Stopped},
	walk,
	wire::Range,
};
use cairn_dag::{codec::CodecError, source::load, Block, Cid};
use futures::{stream::BoxStream, StreamExt};
use libp2p::PeerId;
use std::time::{Duration, Instant};
use tokio::task::{spawn_blocking, JoinError};

/// Limits of a [`Fetcher`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
	/// Blocks wanted at a time. 512.
	pub wants: usize,
	/// Links that wait at a time. 2^20, about 100 MB.
	pub pending: usize,
	/// Blocks with links of one DAG. 2^20.
	pub nodes: usize,
	/// Bytes of a file that are fetched of one peer as one range, at most. 64 MiB.
	pub range_bytes: u64,
	/// Blocks of a dataset that are fetched of one peer as one range, at most. 4,096.
	pub range_leaves: u64,
	/// Peers of which a range is fetched at a time. 8.
	pub range_peers: usize,
	/// How long a peer may send nothing of its part of a range before another gets it. 3 s.
	pub range_patience: Duration,
}

impl Default for Limits {
	fn default() -> Self {
		Self {
			wants: 512,
			pending: 1 << 20,
			nodes: 1 << 20,
			range_bytes: 64 << 20,
			range_leaves: 4096,
			range_peers: 8,
			range_patience: Duration::from_secs(3),
		}
	}
}

/// Fetches into the store of an exchange.
#[derive(Clone)]
pub struct Fetcher {
	exchange: Exchange,
	limits: Limits,
}

/// What a fetch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
	/// Blocks that came from peers, and their bytes.
	pub received: Amount,
	/// Blocks that were in the store before.
	pub local: u64,
}

/// Blocks and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
	/// Number of blocks.
	pub blocks: u64,
	/// Bytes of their data.
	pub bytes: u64,
}

impl Amount {
	fn add(&mut self, block: &Block) {
		self.blocks += 1;
		self.bytes += block.data().len() as u64;
	}
}

/// Peers that may have what is fetched, as they are found.
pub type Providers<'a> = BoxStream<'a, PeerId>;

impl Fetcher {
	/// Fetches into the store of `exchange`.
	pub fn new(exchange: Exchange, limits: Limits) -> Self {
		Self { exchange, limits }
	}

	/// Fetches one block, if the store does not have it.
	///
	/// # Errors
	/// [`FetchError`].
	pub async fn block(
		&self,
		cid: Cid,
		providers: Providers<'_>,
		deadline: Instant,
	) -> Result<Block, FetchError> {
		let store = self.exchange.store().clone();
		if let Some(block) = spawn_blocking(move || load(&*store, &cid)).await?? {
			return Ok(block);
		}
		let mut session = self.exchange.session(deadline).await?;
		let mut providers = Sources::new(providers);
		session.want(vec![cid]);
		let block = match providers.next_event(&mut session).await? {
			SessionEvent::Block { block, .. } => block,
			SessionEvent::Expired(expired) => {
				return Err(FetchError::expired(&expired.missing, providers.found))
			}
		};
		self.put(vec![block.clone()]).await?;
		Ok(block)
	}

	/// Fetches a root and everything below it.
	///
	/// # Errors
	/// [`FetchError`]. What came before is in the store.
	pub async fn dag(
		&self,
		root: Cid,
		providers: Providers<'_>,
		deadline: Instant,
	) -> Result<Fetched, FetchError> {
		dag::fetch(self, root, providers, deadline).await
	}

	/// Fetches what a range needs: in streams of peers that speak the native protocol, of several at once, and
	/// block by block what none of them has. Stretches that are in the store are not fetched again.
	///
	/// Parts of a file that hold no bytes, which no importer makes, are left out when it comes in pieces.
	///
	/// # Errors
	/// [`FetchError`]. What came before is in the store.
	pub async fn range(
		&self,
		range: Range,
		providers: Providers<'_>,
		deadline: Instant,
	) -> Result<Fetched, FetchError> {
		range::fetch(self, range, providers, deadline).await
	}

	/// A source that has what the store has, and fetches what it has not until the deadline; for walks on
	/// blocking threads.
	///
	/// # Errors
	/// [`Stopped`].
	pub async fn source(
		&self,
		providers: impl IntoIterator<Item = PeerId>,
		deadline: Instant,
	) -> Result<NetworkSource, Stopped> {
		let session = self.exchange.session(deadline).await?;
		providers.into_iter().for_each(|peer| session.add_peer(peer));
		Ok(NetworkSource::new(session, self.exchange.clone()))
	}

	/// Stores blocks and tells peers that wait for them.
	async fn put(&self, blocks: Vec<Block>) -> Result<(), FetchError> {
		let store = self.exchange.store().clone();
		let cids = blocks.iter().map(|block| *block.cid()).collect();
		spawn_blocking(move || store.put(&blocks)).await??;
		self.exchange.announce(cids);
		Ok(())
	}
}

/// Providers that are added to a session as they come.
struct Sources<'a> {
	stream: Providers<'a>,
	found: usize,
	ended: bool,
}

impl<'a> Sources<'a> {
	fn new(stream: Providers<'a>) -> Self {
		Self {
			stream,
			found: 0,
			ended: false,
		}
	}

	/// The next event of a session; adds providers meanwhile.
	async fn next_event(&mut self, session: &mut Session) -> Result<SessionEvent, FetchError> {
		loop {
			if self.ended && self.found == 0 {
				return Err(FetchError::NoProviders);
			}
			tokio::select! {
				event = session.next() => return event.ok_or(FetchError::Stopped(Stopped)),
				provider = self.stream.next(), if !self.ended => match provider {
					Some(peer) => {
						self.found += 1;
						session.add_peer(peer);
					}
					None => self.ended = true,
				},
			}
		}
	}
}

/// Why something was not fetched, or not wholly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
	/// The deadline came first.
	#[error("the deadline came while {missing} blocks were missing, one of them {example}; {providers} providers were asked")]
	Deadline {
		/// Blocks that were asked for and did not come.
		missing: usize,
		/// One of them.
		example: Cid,
		/// Providers that were found.
		providers: usize,
	},
	/// Nobody was found who may have it.
	#[error("no providers were found")]
	NoProviders,
	/// A block's links cannot be read.
	#[error("block {cid}: {error}")]
	Codec {
		/// The block.
		cid: Cid,
		/// What is wrong with it.
		error: CodecError,
	},
	/// There is no such range: a block is not what it would have to be.
	#[error("the range cannot be walked: {reason}")]
	Unusable {
		/// What is wrong.
		reason: String,
	},
	/// The DAG is larger than the limits allow.
	#[error("the DAG exceeds the limit of {limit}")]
	TooLarge {
		/// Which limit.
		limit: &'static str,
	},
	/// The store failed.
	#[error("the store failed: {reason}")]
	Store {
		/// What it says.
		reason: String,
	},
	/// The exchange has stopped.
	#[error(transparent)]
	Stopped(#[from] Stopped),
	/// A blocking thread was interrupted: by a panic, or because the runtime shuts down.
	#[error("the fetch was interrupted")]
	Interrupted(#[from] JoinError),
}

impl FetchError {
	fn expired(missing: &[Cid], providers: usize) -> Self {
		Self::Deadline {
			missing: missing.len(),
			example: missing.first().copied().unwrap_or_default(),
			providers,
		}
	}
}

impl From<cairn_dag::SourceError> for FetchError {
	fn from(error: cairn_dag::SourceError) -> Self {
		Self::Store {
			reason: error.to_string(),
		}
	}
}

impl From<walk::RangeError> for FetchError {
	fn from(error: walk::RangeError) -> Self {
		match error {
			walk::RangeError::Unusable { reason } => Self::Unusable { reason },
			walk::RangeError::TooLong => Self::TooLarge {
				limit: "blocks of a range",
			},
			error => Self::Store {
				reason: error.to_string(),
			},
		}
	}
}

impl From<cairn_dag::SinkError> for FetchError {
	fn from(error: cairn_dag::SinkError) -> Self {
		Self::Store {
			reason: error.to_string(),
		}
	}
}
