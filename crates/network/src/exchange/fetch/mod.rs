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
mod source;

pub use source::NetworkSource;

use super::{
	service::{Exchange, RangeError, Session, SessionEvent, Stopped},
	walk::{self, RangeWalk},
	wire::Range,
};
use cairn_dag::{codec::CodecError, source::load, unixfs, Block, BlockSource, Cid, Codec};
use futures::{stream::BoxStream, StreamExt};
use libp2p::PeerId;
use std::{collections::VecDeque, time::Instant};
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
	/// Bytes of a file that are fetched as one range. 64 MiB.
	pub range_bytes: u64,
	/// Blocks of a dataset that are fetched as one range. 4,096.
	pub range_leaves: u64,
}

impl Default for Limits {
	fn default() -> Self {
		Self {
			wants: 512,
			pending: 1 << 20,
			nodes: 1 << 20,
			range_bytes: 64 << 20,
			range_leaves: 4096,
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

	/// Fetches what a range needs: in streams of peers that speak the native protocol, as far as they go,
	/// and what is then missing block by block. Stretches that are in the store are not fetched again.
	///
	/// # Errors
	/// [`FetchError`]. What came before is in the store.
	pub async fn range(
		&self,
		range: Range,
		mut providers: Providers<'_>,
		deadline: Instant,
	) -> Result<Fetched, FetchError> {
		let mut fetched = Fetched::default();
		let mut peers: VecDeque<PeerId> = VecDeque::new();
		let mut known = 0;
		let mut rest = Some(range);
		while let Some(range) = rest {
			let (piece, after) = self.cut(range).await?;
			rest = after;
			let mut leads_on = self.is_local(piece).await?;
			let mut done = leads_on.is_some();
			// Each peer has one try per piece, the one that did the last piece first.
			for _ in 0..=peers.len() {
				if done {
					break;
				}
				let peer = match peers.front().copied() {
					Some(peer) => peer,
					None => match tokio::time::timeout_at(deadline.into(), providers.next()).await {
						Ok(Some(peer)) => {
							known += 1;
							peers.push_back(peer);
							peer
						}
						Ok(None) if known == 0 => return Err(FetchError::NoProviders),
						Ok(None) | Err(_) => break,
					},
				};
				match self.exchange.range(peer, piece, deadline).await {
					Ok(came) => {
						fetched.received.blocks += came.blocks;
						fetched.received.bytes += came.bytes;
						leads_on = Some(came.blocks > came.tree_nodes);
						done = true;
					}
					Err(RangeError::Store { reason }) => return Err(FetchError::Store { reason }),
					Err(RangeError::Unusable { reason }) => return Err(FetchError::Unusable { reason }),
					Err(error) => {
						tracing::debug!(%peer, %error, "a range is fetched elsewhere");
						peers.rotate_left(1);
					}
				}
			}
			if !done {
				let session = self.exchange.session(deadline).await?;
				peers.iter().for_each(|peer| session.add_peer(*peer));
				let (came, more) = self.walk(session, piece, &mut providers, &mut known).await?;
				fetched.received.blocks += came.blocks;
				fetched.received.bytes += came.bytes;
				leads_on = Some(more);
			}
			// Behind the last block of a dataset there are no further pieces.
			if matches!(piece, Range::Leaves { .. }) && leads_on == Some(false) {
				rest = None;
			}
		}
		Ok(fetched)
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

	/// Walks a range block by block. Returns also whether there was more than nodes of a tree.
	async fn walk(
		&self,
		session: Session,
		range: Range,
		providers: &mut Providers<'_>,
		known: &mut usize,
	) -> Result<(Amount, bool), FetchError> {
		let peers = session.peers();
		let exchange = self.exchange.clone();
		let mut walking = spawn_blocking(move || {
			let source = NetworkSource::new(session, exchange);
			let ended = walk_through(RangeWalk::new(&source, &range));
			let missing = source.expired();
			(ended, missing, source.received())
		});
		let mut more = true;
		let (ended, missing, received) = loop {
			tokio::select! {
				walked = &mut walking => break walked?,
				provider = providers.next(), if more => match provider {
					Some(peer) => {
						*known += 1;
						peers.add(peer);
					}
					None => more = false,
				},
			}
		};
		match (ended, missing) {
			(Ok(leads_on), _) => Ok((received, leads_on)),
			(Err(_), Some(cid)) => Err(FetchError::expired(&[cid], *known)),
			(Err(walk::RangeError::Unusable { reason }), None) => Err(FetchError::Unusable { reason }),
			(Err(walk::RangeError::TooLong), None) => Err(FetchError::TooLarge {
				limit: "blocks of a range",
			}),
			(Err(error), None) => Err(FetchError::Store {
				reason: error.to_string(),
			}),
		}
	}

	/// A piece from the front of a range, and the rest.
	async fn cut(&self, range: Range) -> Result<(Range, Option<Range>), FetchError> {
		match range {
			Range::Leaves { tree, start, len } => {
				let piece = len.min(self.limits.range_leaves);
				let rest = start
					.checked_add(piece)
					.filter(|_| len > piece)
					.map(|start| Range::Leaves {
						tree,
						start,
						len: len - piece,
					});
				Ok((
					Range::Leaves {
						tree,
						start,
						len: piece,
					},
					rest,
				))
			}
			Range::Bytes { root, start, len } => {
				let piece = len.min(self.limits.range_bytes);
				let mut rest = start
					.checked_add(piece)
					.filter(|_| len > piece)
					.map(|start| Range::Bytes {
						root,
						start,
						len: len - piece,
					});
				// The root says where the file ends, once it is here; without it there is but the first piece.
				let store = self.exchange.store().clone();
				let stat = spawn_blocking(move || unixfs::stat(&*store, &root)).await?;
				match stat {
					Ok(stat) if rest.is_some_and(|rest| is_behind(&rest, stat.size)) => rest = None,
					Ok(_) => {}
					Err(unixfs::ReadError::Missing { .. }) if rest.is_some() => {
						// The root alone, to see.
						let first = Range::Bytes { root, start, len: 1 };
						return Ok((first, Some(range)));
					}
					Err(_) => rest = None,
				}
				Ok((
					Range::Bytes {
						root,
						start,
						len: piece,
					},
					rest,
				))
			}
		}
	}

	/// If the store has all blocks of a range: whether there are more than nodes of a tree.
	async fn is_local(&self, range: Range) -> Result<Option<bool>, FetchError> {
		let store = self.exchange.store().clone();
		let walked = spawn_blocking(move || walk_through(RangeWalk::new(&*store, &range)));
		match walked.await? {
			Ok(leads_on) => Ok(Some(leads_on)),
			Err(walk::RangeError::Missing { .. }) => Ok(None),
			Err(walk::RangeError::Unusable { reason }) => Err(FetchError::Unusable { reason }),
			Err(walk::RangeError::TooLong) => Err(FetchError::TooLarge {
				limit: "blocks of a range",
			}),
			Err(walk::RangeError::Source(error)) => Err(error.into()),
		}
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

/// Walks to the end. Returns whether there was more than nodes of a tree.
fn walk_through<S: BlockSource>(walk: RangeWalk<S>) -> Result<bool, walk::RangeError> {
	let mut leads_on = false;
	for block in walk {
		leads_on |= block?.cid().codec() != Codec::CodexRoot.code();
	}
	Ok(leads_on)
}

fn is_behind(range: &Range, size: u64) -> bool {
	matches!(range, Range::Bytes { start, .. } if *start >= size)
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

impl From<cairn_dag::SinkError> for FetchError {
	fn from(error: cairn_dag::SinkError) -> Self {
		Self::Store {
			reason: error.to_string(),
		}
	}
}
