//! Fetching a range over one stream of its own, so that its blocks wait for nothing but each other.
//!
//! A blocking thread walks the range over what the stream brings, checks that each block is the one that
//! must come next, and puts it in the store.

use super::{
	assembly::{Assembled, Assembly},
	native::{flush, split, write, StreamError},
	Shared,
};
use crate::{
	blocks::BlockStore,
	exchange::{
		framing::{FrameReader, Share},
		walk::{self, RangeWalk},
		wire::{Range, Request, WalkEnd, MAX_FRAME, PROTOCOL},
	},
	metrics::ExchangeProtocol,
	peers::Offence,
	streams::OpenError,
};
use bytes::Bytes;
use cairn_dag::{Block, BlockSource, Cid, SourceError};
use futures::{io::BufReader, AsyncWriteExt};
use libp2p::PeerId;
use std::{
	cell::RefCell,
	collections::{HashMap, HashSet},
	sync::{
		atomic::{AtomicBool, AtomicU64, Ordering},
		Arc,
	},
	time::Instant,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Blocks between the stream and the thread that checks them.
const QUEUE: usize = 8;

/// Blocks are put in the store when there are so many bytes of them.
const BATCH: usize = 4 << 20;

/// What was fetched of a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangeFetched {
	/// Blocks, nodes included.
	pub blocks: u64,
	/// Their bytes.
	pub bytes: u64,
	/// Those of the blocks that are nodes of a dataset's tree.
	pub tree_nodes: u64,
}

/// Why a range was not fetched, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
	/// No stream to the peer.
	#[error("no stream for the range: {0}")]
	Open(#[from] OpenError),
	/// The stream ended before the range did.
	#[error("the stream ended within the range: {reason}")]
	Lost {
		/// What is known of it.
		reason: String,
	},
	/// The peer does not have a block of the range.
	#[error("the peer does not have block {cid}")]
	Missing {
		/// Which.
		cid: Cid,
	},
	/// The peer has too much to do.
	#[error("the peer has too much to do")]
	Busy,
	/// There is no such range: a block is not what it would have to be.
	#[error("the range cannot be walked: {reason}")]
	Unusable {
		/// What is wrong.
		reason: String,
	},
	/// The peer broke the protocol. It was struck for it.
	#[error("the peer sent what it may not: {reason}")]
	Offence {
		/// What it sent.
		reason: String,
	},
	/// The deadline came first.
	#[error("the deadline came before the range's end")]
	Deadline,
	/// The store failed.
	#[error("the store failed: {reason}")]
	Store {
		/// What it says.
		reason: String,
	},
}

/// Watches a range that is fetched, and ends it early.
#[derive(Debug, Default)]
pub(in crate::exchange) struct RangeWatch {
	received: AtomicU64,
	requested: AtomicBool,
	given_up: CancellationToken,
}

impl RangeWatch {
	/// Bytes of blocks that came so far.
	pub fn received(&self) -> u64 {
		self.received.load(Ordering::Relaxed)
	}

	/// Whether something is to come.
	pub fn is_requested(&self) -> bool {
		self.requested.load(Ordering::Relaxed)
	}

	/// Ends the fetch, as if the stream had been lost.
	pub fn give_up(&self) {
		self.given_up.cancel();
	}
}

/// How a range ended.
pub(super) struct Ended {
	pub result: Result<(), RangeError>,
	/// What came, also if not all did.
	pub fetched: RangeFetched,
	/// The blocks that came to the store.
	pub came: Vec<Cid>,
}

/// What the stream brings.
enum Item {
	Block(Cid, Bytes, Share),
	End(WalkEnd),
}

/// Fetches a range.
pub(super) async fn fetch(
	shared: &Arc<Shared>,
	peer: PeerId,
	range: Range,
	deadline: Instant,
	watch: &RangeWatch,
) -> Ended {
	let (items, received) = mpsc::channel(QUEUE);
	let store = shared.store.clone();
	let begun = Instant::now();
	// Ends with the channel, which ends with this future at the latest.
	let checking = tokio::task::spawn_blocking(move || check(range, received, store));
	let streamed = tokio::select! {
		streamed = tokio::time::timeout_at(deadline.into(), stream(shared, peer, range, items, watch)) => streamed,
		() = watch.given_up.cancelled() => Ok(Err(RangeError::Lost {
			reason: "it is given up".to_owned(),
		})),
	};
	let (result, fetched, came) = match checking.await {
		Ok(checked) => checked,
		Err(error) => {
			let reason = error.to_string();
			return Ended {
				result: Err(RangeError::Store { reason }),
				fetched: RangeFetched::default(),
				came: Vec::new(),
			};
		}
	};
	let cairn = ExchangeProtocol::Cairn.name();
	shared
		.metrics
		.blocks
		.with_label_values(&[cairn, "in"])
		.inc_by(fetched.blocks);
	shared
		.metrics
		.block_bytes
		.with_label_values(&[cairn, "in"])
		.inc_by(fetched.bytes);
	if fetched.blocks > 0 {
		shared.peers.delivered(peer, fetched.bytes, begun.elapsed());
	}
	let result = match (result, streamed) {
		// What the check found is the cause of whatever the stream says.
		(Err(error), _) if !matches!(error, RangeError::Lost { .. }) => Err(error),
		(Err(_), Err(_)) => Err(RangeError::Deadline),
		(Err(_), Ok(Err(error))) => Err(error),
		(Err(error), Ok(Ok(()))) => Err(error),
		(Ok(()), _) => Ok(()),
	};
	match &result {
		Err(RangeError::Offence { .. }) => {
			shared.peers.strike(peer, Offence::BadBlock);
		}
		Err(RangeError::Lost { .. } | RangeError::Deadline | RangeError::Open(_)) => {
			shared.peers.failed(peer)
		}
		_ => {}
	}
	Ended {
		result,
		fetched,
		came,
	}
}

/// Requests the range and passes on what comes.
async fn stream(
	shared: &Arc<Shared>,
	peer: PeerId,
	range: Range,
	items: mpsc::Sender<Item>,
	watch: &RangeWatch,
) -> Result<(), RangeError> {
	let lost = |error: StreamError| {
		if let Some(offence) = error.offence() {
			shared.peers.strike(peer, offence);
		}
		RangeError::Lost {
			reason: error.to_string(),
		}
	};
	let stall = shared.config.stall;
	let (stream, _) = shared.control.open(peer, &[PROTOCOL]).await?;
	let (reader, mut writer) = split(stream);
	let mut request = Vec::new();
	Request::Walk { id: 0, range }.encode(&mut request);
	let requested = async {
		write(&mut writer, &request, stall).await?;
		flush(&mut writer, stall).await
	};
	requested.await.map_err(|error| lost(error.into()))?;
	watch.requested.store(true, Ordering::Relaxed);
	let budget = shared.receiving.of_peer(shared.config.receive_peer);
	let mut frames = FrameReader::new(BufReader::with_capacity(4096, reader), MAX_FRAME, budget, stall);
	let mut assembly = Assembly::default();
	loop {
		// A server that has the range but sends nothing of it is as good as gone.
		let next = tokio::select! {
			next = tokio::time::timeout(stall, frames.next()) => next,
			// The thread has ended, and tells why itself.
			() = items.closed() => return Ok(()),
		};
		let next = next.map_err(|_| RangeError::Lost {
			reason: "nothing came for too long".to_owned(),
		})?;
		let Some((frame, share)) = next.map_err(|error| lost(error.into()))? else {
			return Err(RangeError::Lost {
				reason: "the peer closed it".to_owned(),
			});
		};
		let item = match assembly.push(&frame, share).map_err(lost)? {
			Assembled::Pending => continue,
			Assembled::WalkBlock {
				id: 0,
				cid,
				data,
				share,
			} => {
				watch.received.fetch_add(data.len() as u64, Ordering::Relaxed);
				Item::Block(cid, data, share)
			}
			Assembled::WalkEnd { id: 0, end } => {
				// The thread may have ended before, which it then tells itself.
				let _ = items.send(Item::End(end)).await;
				let _ = writer.close().await;
				return Ok(());
			}
			Assembled::Close { reason, text } => {
				return Err(RangeError::Lost {
					reason: format!("{reason:?}: {text}"),
				})
			}
			_ => return Err(lost(StreamError::OutOfPlace)),
		};
		if items.send(item).await.is_err() {
			return Ok(());
		}
	}
}

/// Walks the range over what comes.
fn check(
	range: Range,
	received: mpsc::Receiver<Item>,
	store: Arc<dyn BlockStore>,
) -> (Result<(), RangeError>, RangeFetched, Vec<Cid>) {
	let incoming = Incoming {
		state: RefCell::new(State {
			received,
			seen: HashSet::new(),
			batch: HashMap::new(),
			batched: 0,
			failure: None,
			came: Vec::new(),
		}),
		store,
	};
	let mut fetched = RangeFetched::default();
	let mut result = Ok(());
	for step in RangeWalk::new(&incoming, &range) {
		match step {
			Ok(block) => {
				fetched.blocks += 1;
				fetched.bytes += block.data().len() as u64;
				fetched.tree_nodes += u64::from(block.cid().codec() == cairn_dag::Codec::CodexRoot.code());
			}
			Err(error) => {
				let known = incoming.state.borrow_mut().failure.take();
				result = Err(known.unwrap_or(match error {
					walk::RangeError::Missing { cid } => RangeError::Missing { cid },
					walk::RangeError::TooLong => RangeError::Busy,
					walk::RangeError::Source(error) => RangeError::Store {
						reason: error.to_string(),
					},
					walk::RangeError::Unusable { reason } => RangeError::Unusable { reason },
				}));
			}
		}
	}
	if result.is_ok() {
		result = incoming.expect_end();
	}
	if let Err(error) = incoming.store_batch() {
		result = result.and(Err(error));
	}
	(result, fetched, incoming.state.into_inner().came)
}

/// The blocks that come, as the source of a walk: each that is asked for the first time must be the next.
struct Incoming {
	state: RefCell<State>,
	store: Arc<dyn BlockStore>,
}

struct State {
	received: mpsc::Receiver<Item>,
	seen: HashSet<Cid>,
	/// Blocks that are not in the store yet.
	batch: HashMap<Cid, Block>,
	batched: usize,
	/// Why there is no next block.
	failure: Option<RangeError>,
	came: Vec<Cid>,
}

impl Incoming {
	/// The block that must come next.
	fn receive(&self, cid: &Cid) -> Result<Block, RangeError> {
		let next = self.state.borrow_mut().received.blocking_recv();
		let (found, data, share) = match next {
			Some(Item::Block(found, data, share)) => (found, data, share),
			Some(Item::End(WalkEnd::Missing(missing))) if missing == *cid => {
				return Err(RangeError::Missing { cid: missing })
			}
			Some(Item::End(WalkEnd::Later)) => return Err(RangeError::Busy),
			Some(Item::End(end)) => {
				return Err(RangeError::Offence {
					reason: format!("the end {end:?} where block {cid} must come"),
				})
			}
			None => {
				return Err(RangeError::Lost {
					reason: "it was given up".to_owned(),
				})
			}
		};
		if found != *cid {
			return Err(RangeError::Offence {
				reason: format!("block {found} where {cid} must come"),
			});
		}
		let block = Block::new(found, data).map_err(|error| RangeError::Offence {
			reason: error.to_string(),
		})?;
		drop(share);
		Ok(block)
	}

	/// After the last block.
	fn expect_end(&self) -> Result<(), RangeError> {
		match self.state.borrow_mut().received.blocking_recv() {
			Some(Item::End(WalkEnd::Done)) => Ok(()),
			Some(Item::End(end)) => Err(RangeError::Offence {
				reason: format!("the end {end:?} of a range that is complete"),
			}),
			Some(Item::Block(cid, ..)) => Err(RangeError::Offence {
				reason: format!("block {cid} after the end"),
			}),
			// All blocks are there and verified.
			None => Ok(()),
		}
	}

	fn store_batch(&self) -> Result<(), RangeError> {
		let mut state = self.state.borrow_mut();
		let blocks: Vec<_> = std::mem::take(&mut state.batch).into_values().collect();
		state.batched = 0;
		self.store.put(&blocks).map_err(|error| RangeError::Store {
			reason: error.to_string(),
		})?;
		state.came.extend(blocks.iter().map(|block| *block.cid()));
		Ok(())
	}
}

impl BlockSource for Incoming {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		let (known, seen) = {
			let state = self.state.borrow();
			(state.batch.get(cid).cloned(), state.seen.contains(cid))
		};
		if seen {
			// A walk may come to a block again; not in the batch, it is in the store.
			return known.map_or_else(|| self.store.get(cid), |block| Ok(Some(block)));
		}
		let received = self.receive(cid).and_then(|block| {
			let full = {
				let mut state = self.state.borrow_mut();
				state.seen.insert(*cid);
				state.batched += block.data().len();
				state.batch.insert(*cid, block.clone());
				state.batched >= BATCH
			};
			if full {
				self.store_batch()?;
			}
			Ok(block)
		});
		received.map(Some).map_err(|error| {
			let text = error.to_string();
			self.state.borrow_mut().failure = Some(error);
			SourceError::new(text)
		})
	}
}
