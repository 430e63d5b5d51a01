//! The serving side of the native exchange, without any I/O.
//!
//! [`Server::receive`] takes the requests of a stream, [`Server::next_job`] gives the next piece of work
//! for the peer whose turn it is ([`FairQueue`]), [`Job::run`] does it on a blocking thread,
//! [`Server::finish`] returns the frames to write, and [`Server::sent`] says that they are written. A
//! stream has at most [`JOBS_PER_STREAM`] pieces under way, so a peer that reads slowly holds no more.
//!
//! What goes beyond the limits of [`Config`] is answered "later"; a peer that goes far beyond, without
//! waiting for answers, floods.

use super::{
	fair::FairQueue,
	walk::{RangeError, RangeWalk},
	wire::{block_frames, Answer, Id, Range, Request, Response, WalkEnd, WantKind, MAX_ANSWERS, MAX_BLOCK},
};
use crate::blocks::BlockStore;
use bytes::Bytes;
use cairn_dag::{Cid, SourceError};
use libp2p::PeerId;
use std::{
	collections::{BTreeMap, HashMap, VecDeque},
	sync::Arc,
};

/// Pieces of work under way for one stream: one is written while the next is looked up.
pub const JOBS_PER_STREAM: usize = 2;

/// Limits of the serving side.
#[derive(Clone, Debug)]
pub struct Config {
	/// Wants that a peer may have, on all its streams. 4,096.
	pub max_wants: usize,
	/// Walks that a peer may have, on all its streams. 8.
	pub max_walks: usize,
	/// Walks of all peers. 64: each takes up to 7 MB of memory.
	pub max_all_walks: usize,
	/// Streams that a peer may have. 16.
	pub max_streams: usize,
	/// Bytes of blocks that one piece of work reads about. One block more fits always. 512 KiB.
	pub job_data: usize,
	/// Wants that one piece of work looks up. 256.
	pub job_wants: usize,
}

impl Default for Config {
	fn default() -> Self {
		Self {
			max_wants: 4096,
			max_walks: 8,
			max_all_walks: 64,
			max_streams: 16,
			job_data: 512 << 10,
			job_wants: 256,
		}
	}
}

/// Names a stream of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
	/// Who opened it.
	pub peer: PeerId,
	/// Its number, given by whoever drives the server.
	pub number: u64,
}

/// What all peers want.
pub struct Server {
	config: Config,
	peers: HashMap<PeerId, Client>,
	turns: FairQueue<PeerId>,
	walks: usize,
}

/// One peer.
#[derive(Default)]
struct Client {
	streams: BTreeMap<u64, Stream>,
	wants: usize,
	walks: usize,
	/// The stream that had a turn last.
	last: u64,
}

/// One stream of a peer.
#[derive(Default)]
struct Stream {
	last_id: Option<Id>,
	wants: VecDeque<(Id, WantKind, Cid)>,
	/// Wants and walks beyond the limits, to be answered "later".
	later: Vec<Id>,
	later_walks: Vec<Id>,
	walks: VecDeque<Walking>,
	/// The walk that a job works on, and whether it was cancelled since.
	in_job: Option<(Id, bool)>,
	jobs: usize,
	/// Whether the last job was a walk's: wants and walks take turns.
	walked: bool,
}

struct Walking {
	id: Id,
	range: Range,
	/// Where it stands; `None` before its first block.
	walk: Option<Box<RangeWalk<Arc<dyn BlockStore>>>>,
}

impl Stream {
	fn has_work(&self) -> bool {
		let answers = !self.wants.is_empty() || !self.later.is_empty() || !self.later_walks.is_empty();
		self.jobs < JOBS_PER_STREAM && (answers || (!self.walks.is_empty() && self.in_job.is_none()))
	}
}

/// A piece of work.
pub struct Job {
	/// For which stream.
	pub stream: StreamKey,
	wants: Vec<(Id, WantKind, Cid)>,
	later: Vec<Id>,
	later_walks: Vec<Id>,
	walk: Option<Walking>,
	data: usize,
}

/// What a piece of work found.
pub struct Found {
	stream: StreamKey,
	answers: Vec<(Id, Answer)>,
	frames: Frames,
	left: Vec<(Id, WantKind, Cid)>,
	/// The walk it worked on, unless it has ended.
	walk: Option<Walking>,
	walk_ended: bool,
	blocks: usize,
	data: usize,
	errors: Vec<SourceError>,
}

/// Frames to write: what stands before the data of a block, and the data.
pub type Frames = Vec<(Vec<u8>, Bytes)>;

impl Job {
	/// Looks wants up, or goes on with a walk. Blocks the thread.
	pub fn run(self, store: &Arc<dyn BlockStore>) -> Found {
		let mut found = Found {
			stream: self.stream,
			answers: self.later.iter().map(|id| (*id, Answer::Later)).collect(),
			frames: Frames::new(),
			left: Vec::new(),
			walk: None,
			walk_ended: false,
			blocks: 0,
			data: 0,
			errors: Vec::new(),
		};
		for id in self.later_walks {
			found.push(&Response::WalkEnd {
				id,
				end: WalkEnd::Later,
			});
		}
		for (id, kind, cid) in self.wants {
			if found.data >= self.data {
				found.left.push((id, kind, cid));
				continue;
			}
			let answer = match kind {
				WantKind::Have => store
					.has(&cid)
					.map(|has| if has { Answer::Have } else { Answer::DontHave }),
				WantKind::Block => match store.get(&cid) {
					Ok(Some(block)) if block.data().len() <= MAX_BLOCK => {
						found.blocks += 1;
						found.data += block.data().len();
						found.frames.extend(block_frames(id, &block, false));
						continue;
					}
					Ok(_) => Ok(Answer::DontHave),
					Err(error) => Err(error),
				},
			};
			let answer = answer.unwrap_or_else(|error| {
				found.errors.push(error);
				Answer::DontHave
			});
			found.answers.push((id, answer));
		}
		if let Some(walking) = self.walk {
			found.go_on(walking, store, self.data);
		}
		found
	}
}

impl Found {
	/// For which stream.
	pub fn stream(&self) -> StreamKey {
		self.stream
	}

	/// Blocks found, and their bytes.
	pub fn blocks(&self) -> (usize, usize) {
		(self.blocks, self.data)
	}

	fn push(&mut self, response: &Response) {
		let mut frame = Vec::new();
		response.encode(&mut frame);
		self.frames.push((frame, Bytes::new()));
	}

	/// Sends the next blocks of a walk.
	fn go_on(&mut self, mut walking: Walking, store: &Arc<dyn BlockStore>, data: usize) {
		let walk = walking
			.walk
			.get_or_insert_with(|| Box::new(RangeWalk::new(store.clone(), &walking.range)));
		let end = loop {
			if self.data >= data {
				self.walk = Some(walking);
				return;
			}
			match walk.next() {
				Some(Ok(block)) if block.data().len() <= MAX_BLOCK => {
					// A walk over tiny blocks ends its turn, too.
					self.data += block.data().len().max(64);
					self.blocks += 1;
					self.frames.extend(block_frames(walking.id, &block, true));
				}
				Some(Ok(_)) => break WalkEnd::Unusable,
				None => break WalkEnd::Done,
				Some(Err(RangeError::Missing { cid })) => break WalkEnd::Missing(cid),
				Some(Err(RangeError::TooLong)) => break WalkEnd::Later,
				Some(Err(RangeError::Unusable { .. })) => break WalkEnd::Unusable,
				Some(Err(RangeError::Source(error))) => {
					self.errors.push(error);
					break WalkEnd::Later;
				}
			}
		};
		self.walk_ended = true;
		self.push(&Response::WalkEnd { id: walking.id, end });
	}
}

impl Server {
	/// Without streams.
	pub fn new(config: Config) -> Self {
		let quantum = u32::try_from(config.job_data).unwrap_or(u32::MAX);
		Self {
			config,
			peers: HashMap::new(),
			turns: FairQueue::new(quantum),
			walks: 0,
		}
	}

	/// A peer opened a stream. Whether it may have one more.
	pub fn open(&mut self, key: StreamKey) -> bool {
		let client = self.peers.entry(key.peer).or_default();
		if client.streams.len() >= self.config.max_streams {
			return false;
		}
		client.streams.insert(key.number, Stream::default());
		true
	}

	/// A stream is gone, and what was requested on it.
	pub fn close(&mut self, key: StreamKey) {
		let Some(client) = self.peers.get_mut(&key.peer) else {
			return;
		};
		if let Some(stream) = client.streams.remove(&key.number) {
			client.wants -= stream.wants.len();
			let walks = stream.walks.len() + usize::from(stream.in_job.is_some());
			client.walks -= walks;
			self.walks -= walks;
		}
		if client.streams.is_empty() {
			self.peers.remove(&key.peer);
			self.turns.remove(&key.peer);
		}
	}

	/// A request came on a stream.
	///
	/// # Errors
	/// [`Violation`], upon which the stream is to be closed.
	pub fn receive(&mut self, key: StreamKey, request: Request) -> Result<(), Violation> {
		let (max_wants, max_walks, max_all) = (
			self.config.max_wants,
			self.config.max_walks,
			self.config.max_all_walks,
		);
		let Some(client) = self.peers.get_mut(&key.peer) else {
			return Ok(());
		};
		let Some(stream) = client.streams.get_mut(&key.number) else {
			return Ok(());
		};
		let first = match &request {
			Request::Want { id, .. } | Request::Walk { id, .. } => Some(*id),
			Request::Cancel { .. } => None,
		};
		if first.is_some_and(|first| stream.last_id.is_some_and(|last| first <= last)) {
			return Err(Violation::NumberUsed);
		}
		match request {
			Request::Want { id, kind, cids } => {
				stream.last_id = Some(id + (cids.len() as Id - 1));
				for (id, cid) in (id..).zip(cids) {
					if client.wants < max_wants {
						client.wants += 1;
						stream.wants.push_back((id, kind, cid));
					} else {
						stream.later.push(id);
					}
				}
			}
			Request::Walk { id, range } => {
				stream.last_id = Some(id);
				if client.walks < max_walks && self.walks < max_all {
					client.walks += 1;
					self.walks += 1;
					stream.walks.push_back(Walking {
						id,
						range,
						walk: None,
					});
				} else {
					stream.later_walks.push(id);
				}
			}
			Request::Cancel { id, count } => {
				let cancelled = |other: Id| other >= id && other - id < count;
				let before = stream.wants.len();
				stream.wants.retain(|(id, ..)| !cancelled(*id));
				client.wants -= before - stream.wants.len();
				stream.later.retain(|id| !cancelled(*id));
				stream.later_walks.retain(|id| !cancelled(*id));
				let before = stream.walks.len();
				stream.walks.retain(|walk| !cancelled(walk.id));
				client.walks -= before - stream.walks.len();
				self.walks -= before - stream.walks.len();
				if let Some((id, gone)) = &mut stream.in_job {
					*gone |= cancelled(*id);
				}
			}
		}
		if stream.later.len() > max_wants || stream.later_walks.len() > max_wants {
			return Err(Violation::Flood);
		}
		self.schedule(key.peer);
		Ok(())
	}

	/// The next piece of work, of the peer whose turn it is.
	pub fn next_job(&mut self) -> Option<Job> {
		loop {
			let peer = self.turns.next_turn()?;
			let Some(client) = self.peers.get_mut(&peer) else {
				continue;
			};
			// The next stream after the one that had the last turn.
			let later = client.streams.range(client.last + 1..);
			let all = later.chain(client.streams.range(..=client.last));
			let next = all
				.filter(|(_, stream)| stream.has_work())
				.map(|(number, _)| *number)
				.next();
			let Some((number, stream)) =
				next.and_then(|number| client.streams.get_mut(&number).map(|stream| (number, stream)))
			else {
				self.turns.deactivate(&peer);
				continue;
			};
			client.last = number;
			let can_walk = !stream.walks.is_empty() && stream.in_job.is_none();
			let can_answer =
				!stream.wants.is_empty() || !stream.later.is_empty() || !stream.later_walks.is_empty();
			stream.walked = can_walk && !(can_answer && stream.walked);
			let mut job = Job {
				stream: StreamKey { peer, number },
				wants: Vec::new(),
				later: Vec::new(),
				later_walks: Vec::new(),
				walk: None,
				data: self.config.job_data,
			};
			if stream.walked {
				job.walk = stream.walks.pop_front();
				stream.in_job = job.walk.as_ref().map(|walk| (walk.id, false));
			} else {
				let count = stream.wants.len().min(self.config.job_wants);
				job.wants = stream.wants.drain(..count).collect();
				client.wants -= count;
				job.later = std::mem::take(&mut stream.later);
				job.later_walks = std::mem::take(&mut stream.later_walks);
			}
			stream.jobs += 1;
			self.schedule(peer);
			return Some(job);
		}
	}

	/// A piece of work is done: returns the frames to write, and what the store complained of.
	/// [`sent`](Self::sent) must follow, also if there are no frames.
	pub fn finish(&mut self, mut found: Found) -> (Frames, Vec<SourceError>) {
		let key = found.stream;
		let Some(client) = self.peers.get_mut(&key.peer) else {
			return (Frames::new(), found.errors);
		};
		let Some(stream) = client.streams.get_mut(&key.number) else {
			return (Frames::new(), found.errors);
		};
		client.wants += found.left.len();
		for want in found.left.drain(..).rev() {
			stream.wants.push_front(want);
		}
		if found.walk.is_some() || found.walk_ended {
			let cancelled = stream.in_job.take().is_some_and(|(_, cancelled)| cancelled);
			match found.walk.take().filter(|_| !cancelled) {
				// Walks take turns.
				Some(walk) => stream.walks.push_back(walk),
				None => {
					client.walks -= 1;
					self.walks -= 1;
				}
			}
		}
		let mut frames = answer_frames(std::mem::take(&mut found.answers));
		frames.append(&mut found.frames);
		let bytes = frames.iter().map(|(head, data)| head.len() + data.len()).sum();
		self.turns.charge(key.peer, bytes);
		(frames, found.errors)
	}

	/// The frames of a piece of work were written.
	pub fn sent(&mut self, key: StreamKey) {
		let stream = self
			.peers
			.get_mut(&key.peer)
			.and_then(|client| client.streams.get_mut(&key.number));
		if let Some(stream) = stream {
			stream.jobs = stream.jobs.saturating_sub(1);
			self.schedule(key.peer);
		}
	}

	/// Wants and walks of a peer that wait.
	pub fn waiting(&self, peer: &PeerId) -> (usize, usize) {
		self.peers
			.get(peer)
			.map_or((0, 0), |client| (client.wants, client.walks))
	}

	/// Wants of all peers that wait.
	pub fn wants(&self) -> usize {
		self.peers.values().map(|client| client.wants).sum()
	}

	/// Number of peers with streams.
	pub fn peers(&self) -> usize {
		self.peers.len()
	}

	fn schedule(&mut self, peer: PeerId) {
		let client = self.peers.get(&peer);
		if client.is_some_and(|client| client.streams.values().any(Stream::has_work)) {
			self.turns.activate(peer);
		}
	}
}

/// Answers as frames, with as many in a row as possible.
fn answer_frames(mut answers: Vec<(Id, Answer)>) -> Frames {
	/// Numbers left out for which a new frame is begun.
	const GAP: Id = 64;
	answers.sort_unstable_by_key(|(id, _)| *id);
	let mut frames = Frames::new();
	let mut run: Option<(Id, Vec<Option<Answer>>)> = None;
	let mut push = |run: Option<(Id, Vec<Option<Answer>>)>| {
		if let Some((id, answers)) = run {
			let mut frame = Vec::new();
			Response::Answers { id, answers }.encode(&mut frame);
			frames.push((frame, Bytes::new()));
		}
	};
	for (id, answer) in answers {
		match &mut run {
			Some((first, run))
				if id - *first < MAX_ANSWERS as Id && id - *first - (run.len() as Id) < GAP =>
			{
				run.resize((id - *first) as usize, None);
				run.push(Some(answer));
			}
			_ => push(run.replace((id, vec![Some(answer)]))),
		}
	}
	push(run);
	frames
}

/// What a requester may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
	/// A number that is not larger than all before.
	#[error("the number of a request was used before")]
	NumberUsed,
	/// More requests beyond the limits than there are limits, without waiting for answers.
	#[error("too many requests beyond the limits")]
	Flood,
}
