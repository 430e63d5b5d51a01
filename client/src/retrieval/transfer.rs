//! One request to a gateway, and what comes of it.

use super::{
	archive::{receive, Expected},
	blocks::BlockStore,
	fetch::FetchError,
	flow::Flow,
	missing::{Part, Wanted},
	pieces::{Ask, Speaks},
	work::{Job, Work},
};
use crate::provider::{ProviderClient, IDLE_TIMEOUT};
use bytes::Bytes;
use cairn_dag::{Block, Codec};
use futures::{stream, Stream};
use std::{
	io,
	ops::ControlFlow,
	sync::{
		atomic::{AtomicU64, Ordering},
		Arc, Mutex, MutexGuard, PoisonError,
	},
	time::{Duration, Instant},
};
use tokio::sync::Notify;
use tokio_util::io::{StreamReader, SyncIoBridge};

/// Time in which a response must bring [`PACE_BYTES`]. A byte now and then would otherwise keep a reader
/// for ever from asking others.
const PACE_WINDOW: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 30 });
const PACE_BYTES: usize = 16 * 1024;

/// What the transfers of one retrieval share.
pub(super) struct Shared {
	pub wanted: Wanted,
	pub blocks: BlockStore,
	work: Mutex<Work>,
	/// Bytes of new blocks.
	pub received: AtomicU64,
	/// Told when more is known of what the object consists of.
	pub structure: Notify,
}

impl Shared {
	pub fn new(wanted: Wanted, blocks: BlockStore, work: Work) -> Self {
		Shared {
			wanted,
			blocks,
			work: Mutex::new(work),
			received: AtomicU64::new(0),
			structure: Notify::new(),
		}
	}

	/// The division of the work. It reads and hashes blocks: not for an executor's thread.
	pub fn work(&self) -> MutexGuard<'_, Work> {
		// A panic in between leaves pieces that are looked at again when all else is done.
		self.work.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// Begins another division.
	pub fn divide_anew(&self, work: Work) {
		*self.work() = work;
	}
}

/// What came of a job.
pub(super) struct Outcome {
	pub job: Job,
	/// `Ok` also if it was stopped.
	pub result: Result<(), FetchError>,
}

/// Does a job.
pub(super) async fn transfer(provider: ProviderClient, job: Job, shared: Arc<Shared>) -> Outcome {
	let response = tokio::select! {
		response = ask(&provider, &job, &shared.wanted) => response.map(Some),
		() = job.flow.stopped() => Ok(None),
	};
	let result = match response {
		Ok(Some(response)) => take(response, &job, shared).await,
		Ok(None) => Ok(()),
		Err(error) => Err(error),
	};
	Outcome {
		result: match job.flow.is_stopped() && !matches!(result, Err(FetchError::Disk(_))) {
			true => Ok(()),
			false => result,
		},
		job,
	}
}

async fn ask(provider: &ProviderClient, job: &Job, wanted: &Wanted) -> Result<reqwest::Response, FetchError> {
	let bytes = |start: u64, end: Option<u64>| match end {
		Some(end) => format!("{start}:{}", end.saturating_sub(1)),
		None => format!("{start}:*"),
	};
	let (path, scope, bytes) = match &job.ask {
		Ask::Block(cid) => (
			cid.to_string(),
			(job.speaks > Speaks::Whole).then_some("block"),
			None,
		),
		Ask::Subtree(cid) => (cid.to_string(), Some("all"), None),
		Ask::Bytes(cid, range) => (
			cid.to_string(),
			Some("entity"),
			Some(bytes(range.start, Some(range.end))),
		),
		Ask::Target => {
			let path = match wanted.path.trim_matches('/') {
				"" => wanted.root.to_string(),
				path => format!("{}/{path}", wanted.root),
			};
			match &wanted.part {
				_ if job.speaks == Speaks::Whole => (path, None, None),
				Part::Whole => (path, Some("all"), None),
				Part::Block | Part::Blocks(_) => (path, Some("block"), None),
				Part::Bytes(range) => (path, Some("entity"), Some(bytes(range.start, range.end))),
			}
		}
	};
	Ok(provider.car(&path, scope, bytes.as_deref()).await?)
}

/// Keeps the blocks of a response.
async fn take(response: reqwest::Response, job: &Job, shared: Arc<Shared>) -> Result<(), FetchError> {
	let (root, bytes) = match &job.ask {
		Ask::Target => (shared.wanted.root, None),
		Ask::Block(cid) | Ask::Subtree(cid) => (*cid, None),
		Ask::Bytes(cid, bytes) => (*cid, Some(bytes.clone())),
	};
	let expected = Expected { root, bytes };
	let reader = SyncIoBridge::new(StreamReader::new(Box::pin(body(response, job.flow.clone()))));
	let (id, flow) = (job.id, job.flow.clone());
	let receiving = tokio::task::spawn_blocking(move || {
		receive(reader, expected, &shared.blocks, &mut |block, is_new| {
			shared.kept(id, &flow, block, is_new)
		})
	});
	receiving
		.await
		.unwrap_or_else(|error| Err(FetchError::Disk(io::Error::other(error))))
}

impl Shared {
	fn kept(&self, job: u64, flow: &Flow, block: &Block, is_new: bool) -> ControlFlow<()> {
		if is_new {
			let len = block.data().len();
			flow.count_new(len);
			self.received.fetch_add(len as u64, Ordering::Relaxed);
			if block.cid().codec() != Codec::Raw.code() {
				self.structure.notify_one();
			}
		}
		match flow.is_stopped() || (flow.is_contested() && self.work().is_settled(job)) {
			true => ControlFlow::Break(()),
			false => ControlFlow::Continue(()),
		}
	}
}

/// The body of a response, which ends with an error when it stalls or is stopped.
fn body(response: reqwest::Response, flow: Arc<Flow>) -> impl Stream<Item = io::Result<Bytes>> {
	stream::unfold(Some((response, Pace::new())), move |state| {
		let flow = flow.clone();
		async move {
			let (mut response, mut pace) = state?;
			let next = async { tokio::time::timeout(IDLE_TIMEOUT, response.chunk()).await };
			let next = tokio::select! {
				next = next => next,
				() = flow.stopped() => return Some((Err(io::ErrorKind::ConnectionAborted.into()), None)),
			};
			let chunk: io::Result<Bytes> = match next {
				Ok(Ok(Some(chunk))) => {
					flow.count(chunk.len());
					if pace.keeps(chunk.len()) {
						return Some((Ok(chunk), Some((response, pace))));
					}
					Err(io::ErrorKind::TimedOut.into())
				}
				Ok(Ok(None)) => return None,
				Ok(Err(error)) => Err(io::Error::other(error.without_url())),
				Err(_) => Err(io::ErrorKind::TimedOut.into()),
			};
			Some((chunk, None))
		}
	})
}

/// How fast a response comes.
struct Pace {
	window_start: Instant,
	bytes: usize,
}

impl Pace {
	fn new() -> Self {
		Pace {
			window_start: Instant::now(),
			bytes: 0,
		}
	}

	/// Counts bytes that came; false if too few came within the last window.
	fn keeps(&mut self, bytes: usize) -> bool {
		self.bytes = self.bytes.saturating_add(bytes);
		if self.window_start.elapsed() < PACE_WINDOW {
			return true;
		}
		let fast_enough = self.bytes >= PACE_BYTES;
		*self = Pace::new();
		fast_enough
	}
}
