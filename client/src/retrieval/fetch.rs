//! Fetching blocks from one provider after the other until the object is complete.

use super::{
	blocks::BlockStore,
	candidates::{Candidate, Candidates},
	missing::{status, ObjectError, Part, Request, Status, Wanted},
};
use crate::provider::{ProviderClient, ProviderError, IDLE_TIMEOUT};
use bytes::Bytes;
use cairn_car::{CarReader, ReadError};
use cairn_dag::{links, Block, Cid, Codec, CodecError};
use futures::{stream, StreamExt};
use std::{
	collections::HashMap,
	io::{self, Read},
	sync::{
		atomic::{AtomicU64, Ordering},
		Arc,
	},
	time::{Duration, Instant},
};
use tokio_util::io::{StreamReader, SyncIoBridge};
use url::Url;

/// Requests to one provider at the same time.
const CONCURRENT_REQUESTS: usize = 4;
/// Most distinct blocks of one response: bounds memory. 256 GiB of 256 KiB leaves.
const MAX_BLOCKS: usize = 1 << 20;
/// Rounds over all candidates that may fail, as long as each round brings something.
const MAX_ROUNDS: u32 = 8;
/// Time in which a response must bring [`PACE_BYTES`]. A byte now and then would otherwise keep a reader
/// for ever from asking others.
const PACE_WINDOW: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 30 });
const PACE_BYTES: usize = 16 * 1024;

/// Why one provider could not deliver.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
	/// The provider refused or was not reached.
	#[error(transparent)]
	Provider(#[from] ProviderError),
	/// What it sent is no CAR, ends too early, or holds a block that does not match its CID.
	#[error("the archive it sent is damaged")]
	Car(#[source] ReadError),
	/// It went silent in the middle, or delivers next to nothing.
	#[error("it delivers too slowly, or nothing any more")]
	Stalled,
	/// The connection broke in the middle.
	#[error("the transfer broke off")]
	Broken(#[source] io::Error),
	/// It sent a block that does not belong to what was asked for.
	#[error("it sent block {cid}, which was not asked for")]
	Unrequested {
		/// The block.
		cid: Cid,
	},
	/// It sent more than any object needs.
	#[error("it sent more blocks than an object may have")]
	TooMany,
	/// A block is malformed, or of an unknown codec.
	#[error("block {cid} cannot be read")]
	Codec {
		/// The block.
		cid: Cid,
		/// Why.
		source: CodecError,
	},
	/// It answered, but without the blocks that are missing.
	#[error("it does not have the blocks that are missing")]
	NothingNew,
	/// A block cannot be kept: not the provider's fault.
	#[error("cannot keep a block on disk")]
	Disk(#[source] io::Error),
}

impl From<ReadError> for FetchError {
	fn from(error: ReadError) -> Self {
		match error {
			ReadError::Io(error) if error.kind() == io::ErrorKind::TimedOut => FetchError::Stalled,
			ReadError::Io(error) => FetchError::Broken(error),
			error => FetchError::Car(error),
		}
	}
}

/// Why an object was not retrieved.
#[derive(Debug, thiserror::Error)]
pub enum RetrieveError {
	/// No provider delivered all of it.
	#[error("no provider delivered {root}")]
	Exhausted {
		/// The object.
		root: Cid,
		/// Who was asked, and what came of it.
		failures: Vec<(Url, FetchError)>,
	},
	/// The blocks do not form the object that was asked for; no provider can help.
	#[error(transparent)]
	Object(#[from] ObjectError),
	/// Blocks cannot be kept.
	#[error("cannot keep blocks in {}", path.display())]
	Disk {
		/// The file.
		path: std::path::PathBuf,
		/// Why.
		source: io::Error,
	},
}

/// Told what happens during a retrieval.
pub trait Observer: Send + Sync {
	/// A provider is being asked.
	fn asking(&self, candidate: &Candidate);
	/// Bytes of new, verified blocks so far.
	fn received(&self, bytes: u64);
	/// A provider failed; the next one is asked.
	fn failed(&self, candidate: &Candidate, error: &FetchError);
}

/// What a retrieval did.
#[derive(Clone, Debug)]
pub struct Retrieved {
	/// What the path leads to.
	pub target: Cid,
	/// Bytes of blocks that were fetched.
	pub bytes: u64,
	/// Providers that delivered, in order.
	pub from: Vec<Url>,
}

/// Fetches whatever is missing of an object.
///
/// # Errors
/// See [`RetrieveError`]. What was fetched stays, for another try.
pub async fn retrieve(
	http: &reqwest::Client,
	wanted: &Wanted,
	blocks: &BlockStore,
	candidates: &mut Candidates<'_>,
	observer: &dyn Observer,
) -> Result<Retrieved, RetrieveError> {
	let received = Arc::new(AtomicU64::new(0));
	let mut from: Vec<Url> = Vec::new();
	let mut failures: Vec<(Url, FetchError)> = Vec::new();
	let mut again: Vec<Candidate> = Vec::new();
	let (mut rounds, mut at_round_start) = (0, 0);
	let mut current: Option<Candidate> = None;
	loop {
		let requests = match status_of(blocks, wanted).await? {
			Status::Complete(target) => {
				return Ok(Retrieved {
					target,
					bytes: received.load(Ordering::Relaxed),
					from,
				})
			}
			Status::Missing(requests) => requests,
		};
		let candidate = match current.take() {
			Some(candidate) => candidate,
			None => match candidates.next().await {
				Some(candidate) => candidate,
				None => {
					let now = received.load(Ordering::Relaxed);
					rounds += 1;
					if now == at_round_start || rounds >= MAX_ROUNDS || again.is_empty() {
						return Err(RetrieveError::Exhausted {
							root: wanted.root,
							failures,
						});
					}
					at_round_start = now;
					candidates.put_back(std::mem::take(&mut again));
					continue;
				}
			},
		};
		observer.asking(&candidate);
		let provider = ProviderClient::new(http.clone(), candidate.url.clone());
		let before = received.load(Ordering::Relaxed);
		let outcome = ask(&provider, wanted, requests, blocks, &received, observer).await;
		let progressed = received.load(Ordering::Relaxed) > before;
		if progressed && !from.contains(&candidate.url) {
			from.push(candidate.url.clone());
		}
		match outcome {
			Ok(()) if progressed => current = Some(candidate),
			Err(FetchError::Disk(source)) => {
				return Err(RetrieveError::Disk {
					path: blocks.path(),
					source,
				})
			}
			other => {
				let error = other.err().unwrap_or(FetchError::NothingNew);
				observer.failed(&candidate, &error);
				if progressed {
					again.push(candidate.clone());
				}
				failures.push((candidate.url, error));
			}
		}
	}
}

pub(super) async fn status_of(blocks: &BlockStore, wanted: &Wanted) -> Result<Status, RetrieveError> {
	let (folder, asked) = (blocks.clone(), wanted.clone());
	match tokio::task::spawn_blocking(move || status(&folder, &asked)).await {
		Ok(status) => Ok(status?),
		Err(error) => Err(RetrieveError::Disk {
			path: blocks.path(),
			source: io::Error::other(error),
		}),
	}
}

/// Sends the requests to one provider, a few at a time, and stops at the first failure.
async fn ask(
	provider: &ProviderClient,
	wanted: &Wanted,
	requests: Vec<Request>,
	blocks: &BlockStore,
	received: &Arc<AtomicU64>,
	observer: &dyn Observer,
) -> Result<(), FetchError> {
	let mut answers = stream::iter(requests)
		.map(|request| fetch(provider, wanted, request, blocks, received))
		.buffer_unordered(CONCURRENT_REQUESTS);
	let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
	loop {
		tokio::select! {
			answer = answers.next() => match answer {
				Some(Ok(())) => {},
				Some(Err(error)) => {
					observer.received(received.load(Ordering::Relaxed));
					return Err(error);
				},
				None => {
					observer.received(received.load(Ordering::Relaxed));
					return Ok(());
				},
			},
			_ = tick.tick() => observer.received(received.load(Ordering::Relaxed)),
		}
	}
}

async fn fetch(
	provider: &ProviderClient,
	wanted: &Wanted,
	request: Request,
	blocks: &BlockStore,
	received: &Arc<AtomicU64>,
) -> Result<(), FetchError> {
	let root = match &request {
		Request::FromRoot => wanted.root,
		Request::Subtree(cid) => *cid,
	};
	let response = match (&request, wanted.part) {
		(Request::Subtree(cid), _) => provider.car(&cid.to_string(), "all", None).await?,
		(Request::FromRoot, part) => {
			let path = match wanted.path.trim_matches('/') {
				"" => wanted.root.to_string(),
				path => format!("{}/{path}", wanted.root),
			};
			match part {
				Part::Whole => provider.car(&path, "all", None).await?,
				Part::Block => provider.car(&path, "block", None).await?,
				Part::Bytes(range) => {
					let last = range
						.end
						.map_or_else(|| "*".to_owned(), |end| end.saturating_sub(1).to_string());
					let bytes = format!("{}:{last}", range.start);
					provider.car(&path, "entity", Some(&bytes)).await?
				}
			}
		}
	};
	let body = stream::unfold(Some((response, Pace::new())), |state| async move {
		let (mut response, mut pace) = state?;
		let chunk: io::Result<Bytes> = match tokio::time::timeout(IDLE_TIMEOUT, response.chunk()).await {
			Ok(Ok(Some(chunk))) if pace.keeps(chunk.len()) => {
				return Some((Ok(chunk), Some((response, pace))))
			}
			Ok(Ok(None)) => return None,
			Ok(Err(error)) => Err(io::Error::other(error.without_url())),
			Ok(Ok(Some(_))) | Err(_) => Err(io::ErrorKind::TimedOut.into()),
		};
		Some((chunk, None))
	});
	let reader = SyncIoBridge::new(StreamReader::new(Box::pin(body)));
	let (blocks, received) = (blocks.clone(), received.clone());
	tokio::task::spawn_blocking(move || receive(reader, root, &blocks, &received))
		.await
		.unwrap_or_else(|error| Err(FetchError::Disk(io::Error::other(error))))
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

/// Reads a CAR and keeps the blocks that belong to the DAG under `root`; adds the bytes of new ones to
/// `received`. Any other block ends it: a provider could otherwise fill the disk with blocks that are valid
/// but foreign.
///
/// # Errors
/// See [`FetchError`].
pub fn receive(
	reader: impl Read,
	root: Cid,
	blocks: &BlockStore,
	received: &AtomicU64,
) -> Result<(), FetchError> {
	let mut reader = CarReader::new(reader)?;
	// Blocks that the ones received so far link to; true: received.
	let mut known = HashMap::from([(root, false)]);
	let mut duplicates = 0usize;
	while let Some(block) = reader.next_block()? {
		let cid = *block.cid();
		match known.get_mut(&cid) {
			None => return Err(FetchError::Unrequested { cid }),
			Some(true) => {
				duplicates += 1;
				if duplicates > known.len() + 1024 {
					return Err(FetchError::TooMany);
				}
				continue;
			}
			Some(seen) => *seen = true,
		}
		follow(&block, &mut known)?;
		if known.len() > MAX_BLOCKS {
			return Err(FetchError::TooMany);
		}
		if blocks.put(&block).map_err(FetchError::Disk)? {
			received.fetch_add(block.data().len() as u64, Ordering::Relaxed);
		}
	}
	Ok(())
}

/// Notes what a block links to.
fn follow(block: &Block, known: &mut HashMap<Cid, bool>) -> Result<(), FetchError> {
	let mut unread = vec![block.clone()];
	while let Some(block) = unread.pop() {
		let cid = *block.cid();
		if cid.codec() == Codec::Raw.code() {
			continue;
		}
		for child in links(&block).map_err(|source| FetchError::Codec { cid, source })? {
			known.entry(child).or_insert(false);
			// Blocks inside their CIDs are never sent, but what they link to is.
			if let Some(inner) = Block::from_identity(&child) {
				if known.insert(child, true) == Some(false) {
					unread.push(inner);
				}
			}
		}
	}
	Ok(())
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_car::CarWriter;
	use cairn_dag::{
		cid::multihash::Multihash,
		codec::dag_pb::{PbLink, PbNode},
		unixfs::import::{ImportOptions, Importer},
		walk::{walk, Scope},
		BlockSource, MemoryBlocks,
	};

	fn file() -> (Cid, MemoryBlocks) {
		let mut blocks = MemoryBlocks::new();
		let options = ImportOptions {
			chunk_size: 16,
			max_links: 4,
			..ImportOptions::default()
		};
		let content: Vec<u8> = (0..512u32).flat_map(|i| (i as u16).to_le_bytes()).collect();
		let imported = Importer::new(&mut blocks, options).reader(&content[..]).unwrap();
		(imported.root, blocks)
	}

	fn car(root: Cid, blocks: &[Block]) -> Vec<u8> {
		let mut writer = CarWriter::new(Vec::new(), &[root]).unwrap();
		for block in blocks {
			writer.put(block).unwrap();
		}
		writer.finish().unwrap().0
	}

	fn dag(root: Cid, blocks: &MemoryBlocks) -> Vec<Block> {
		walk(blocks, root, Scope::All).collect::<Result<_, _>>().unwrap()
	}

	fn wanted(root: Cid) -> Wanted {
		Wanted {
			root,
			path: String::new(),
			part: Part::Whole,
		}
	}

	fn folder() -> (tempfile::TempDir, BlockStore) {
		let folder = tempfile::tempdir().unwrap();
		let blocks = BlockStore::open(&folder.path().join("x.car"), &file().0).unwrap();
		(folder, blocks)
	}

	#[test]
	fn whole_objects_arrive() {
		let (root, all) = file();
		let sent = dag(root, &all);
		let (_folder, blocks) = folder();
		let received = AtomicU64::new(0);
		receive(&car(root, &sent)[..], root, &blocks, &received).unwrap();
		assert_eq!(status(&blocks, &wanted(root)).unwrap(), Status::Complete(root));
		let bytes: usize = sent.iter().map(|block| block.data().len()).sum();
		assert_eq!(received.load(Ordering::Relaxed), bytes as u64);
	}

	#[test]
	fn a_broken_transfer_keeps_its_verified_blocks() {
		let (root, all) = file();
		let bytes = car(root, &dag(root, &all));
		let (_folder, blocks) = folder();
		let received = AtomicU64::new(0);
		let error = receive(&bytes[..bytes.len() / 2], root, &blocks, &received).unwrap_err();
		assert!(matches!(error, FetchError::Car(_)), "{error}");
		let Status::Missing(requests) = status(&blocks, &wanted(root)).unwrap() else {
			panic!()
		};
		assert!(requests.len() > 1);
		for request in requests {
			let Request::Subtree(cid) = request else { panic!() };
			receive(&car(cid, &dag(cid, &all))[..], cid, &blocks, &received).unwrap();
		}
		assert_eq!(status(&blocks, &wanted(root)).unwrap(), Status::Complete(root));
	}

	#[test]
	fn foreign_blocks_end_the_transfer() {
		let (root, all) = file();
		let foreign = Block::encode(Codec::Raw, &b"unasked"[..]);
		let mut sent = dag(root, &all);
		sent.insert(3, foreign.clone());
		let (_folder, blocks) = folder();
		let error = receive(&car(root, &sent)[..], root, &blocks, &AtomicU64::new(0)).unwrap_err();
		assert!(matches!(error, FetchError::Unrequested { cid } if cid == *foreign.cid()));
		assert!(blocks.get(foreign.cid()).unwrap().is_none());
	}

	#[test]
	fn damaged_blocks_end_the_transfer() {
		let (root, all) = file();
		let mut bytes = car(root, &dag(root, &all));
		let last = bytes.len() - 1;
		bytes[last] ^= 1;
		let (_folder, blocks) = folder();
		let error = receive(&bytes[..], root, &blocks, &AtomicU64::new(0)).unwrap_err();
		assert!(matches!(error, FetchError::Car(_)));
		assert!(matches!(
			status(&blocks, &wanted(root)).unwrap(),
			Status::Missing(_)
		));
	}

	/// Nodes inside CIDs inside CIDs.
	#[test]
	fn blocks_below_nested_identity_cids_belong_to_the_object() {
		let leaf = Block::encode(Codec::Raw, &b"leaf"[..]);
		let over = |cid: Cid| {
			let link = PbLink {
				cid,
				name: None,
				tsize: None,
			};
			let node = PbNode {
				links: vec![link],
				data: None,
			};
			node.encode()
		};
		let inline = |bytes: Vec<u8>| Cid::new_v1(Codec::DagPb.code(), Multihash::wrap(0, &bytes).unwrap());
		let nested = inline(over(inline(over(*leaf.cid()))));
		let root = Block::encode(Codec::DagPb, over(nested));
		let (_folder, blocks) = folder();
		let sent = car(*root.cid(), &[root.clone(), leaf.clone()]);
		receive(&sent[..], *root.cid(), &blocks, &AtomicU64::new(0)).unwrap();
		assert_eq!(
			status(&blocks, &wanted(*root.cid())).unwrap(),
			Status::Complete(*root.cid())
		);
	}

	#[test]
	fn garbage_is_an_error() {
		let (root, _) = file();
		let (_folder, blocks) = folder();
		for garbage in [&b""[..], b"<html>", &[0xff; 64]] {
			assert!(receive(garbage, root, &blocks, &AtomicU64::new(0)).is_err());
		}
	}
}
