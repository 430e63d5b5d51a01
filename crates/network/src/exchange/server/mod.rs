//! The serving side of the native exchange, without any I/O.
//!
//! [`Server::receive`] takes the requests of a stream, [`Server::next_job`] gives the next piece of work
//! for the peer whose turn it is ([`FairQueue`]), [`Job::run`] does it on a blocking thread,
//! [`Server::finish`] returns the frames to write, and [`Server::sent`] says that they are written. A
//! stream has at most [`JOBS_PER_STREAM`] pieces under way, so a peer that reads slowly holds no more.
//!
//! A want for a block that is not here is answered "don't have" and kept: when the block comes
//! ([`Server::announce`]), its peer is told.
//!
//! What goes beyond the limits of [`Config`] is answered "later"; a peer that goes far beyond, without
//! waiting for answers, floods.

mod client;
mod job;
mod watch;

pub use job::{Found, Frames, Job};

use super::{
	fair::FairQueue,
	wire::{Answer, Id, Request, WantKind},
};
use cairn_dag::{Cid, SourceError};
use client::{Client, Stream, Walking};
use job::answer_frames;
use libp2p::PeerId;
use std::collections::HashMap;
use watch::{Absent, Wanted, Watches};

/// Pieces of work under way for one stream: one is written while the next is looked up.
pub const JOBS_PER_STREAM: usize = 2;

/// Cancellations that a stream may have in a row, for each want that may wait: also wants that were answered, or wait to
/// be told of their block, can be cancelled one by one.
const CANCELLATIONS_PER_WANT: usize = 4;

/// Limits of the serving side.
#[derive(Clone, Debug)]
pub struct Config {
	/// Wants that a peer may have, on all its streams. 4,096.
	pub max_wants: usize,
	/// Wants of a peer that are kept because their blocks are not here; the peers of more are not told when
	/// one comes. 1,024.
	pub max_watches: usize,
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
			max_watches: 1024,
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
	watches: Watches,
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
			watches: Watches::default(),
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
		self.watches.close(key);
		let Some(client) = self.peers.get_mut(&key.peer) else {
			return;
		};
		if let Some(stream) = client.streams.remove(&key.number) {
			client.wants -= stream.wants();
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
		stream.cancellations = if first.is_none() {
			stream.cancellations + 1
		} else {
			0
		};
		if stream.cancellations > CANCELLATIONS_PER_WANT * max_wants {
			return Err(Violation::Flood);
		}
		match request {
			Request::Want { id, kind, cids } => {
				stream.last_id = Some(id + (cids.len() as Id - 1));
				for (id, cid) in (id..).zip(cids) {
					if client.wants < max_wants {
						client.wants += 1;
						stream.push(Wanted {
							id,
							kind,
							cid,
							told: false,
						});
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
				client.wants -= stream.withdraw(cancelled);
				stream.later.retain(|id| !cancelled(*id));
				stream.later_walks.retain(|id| !cancelled(*id));
				let before = stream.walks.len();
				stream.walks.retain(|walk| !cancelled(walk.id));
				client.walks -= before - stream.walks.len();
				self.walks -= before - stream.walks.len();
				if let Some((id, gone)) = &mut stream.in_job {
					*gone |= cancelled(*id);
				}
				self.watches.withdraw(key, id, id.saturating_add(count - 1));
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
			let Some((number, stream)) = client.next_stream() else {
				self.turns.deactivate(&peer);
				continue;
			};
			stream.walked = stream.can_walk() && !(stream.can_answer() && stream.walked);
			let key = StreamKey { peer, number };
			let mut job = Job {
				stream: key,
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
				job.wants = stream.take(self.config.job_wants);
				job.later = std::mem::take(&mut stream.later);
				job.later_walks = std::mem::take(&mut stream.later_walks);
			}
			stream.jobs += 1;
			client.wants -= job.wants.len();
			for wanted in &job.wants {
				self.watches.look(key, *wanted);
			}
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
		let mut answers = std::mem::take(&mut found.answers);
		for id in answers.iter().map(|(id, _)| *id).chain(found.sent) {
			self.watches.remove(key, id);
		}
		for id in found.absent {
			match self.watches.absent(key, id, self.config.max_watches) {
				Absent::Tell => answers.push((id, Answer::DontHave)),
				Absent::Came(wanted) => {
					client.wants += 1;
					stream.push(wanted);
				}
				Absent::Told | Absent::Withdrawn => {}
			}
		}
		for wanted in found.left.into_iter().rev() {
			// Else it was withdrawn meanwhile.
			if self.watches.remove(key, wanted.id) {
				client.wants += 1;
				stream.put_back(wanted);
			}
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
		let mut frames = answer_frames(answers);
		frames.append(&mut found.frames);
		let bytes: usize = frames.iter().map(|(head, data)| head.len() + data.len()).sum();
		self.turns.charge(key.peer, bytes.max(found.read));
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

	/// Blocks have come to the store: peers that want them are told.
	pub fn announce(&mut self, cids: &[Cid]) {
		for cid in cids {
			for (key, wanted) in self.watches.came(cid) {
				let client = self.peers.get_mut(&key.peer);
				let Some(client) = client else { continue };
				if let Some(stream) = client.streams.get_mut(&key.number) {
					client.wants += 1;
					// Whether it still wants the block itself is for the peer to say.
					stream.push(Wanted {
						kind: WantKind::Have,
						..wanted
					});
					self.schedule(key.peer);
				}
			}
		}
	}

	/// Blocks that peers wait for, or that are being looked up for them, in the order of their CIDs: those after one, or
	/// all.
	pub fn awaited(&self, after: Option<Cid>) -> impl Iterator<Item = &Cid> {
		self.watches.awaited(after)
	}

	/// Wants and walks of a peer that wait.
	pub fn waiting(&self, peer: &PeerId) -> (usize, usize) {
		self.peers
			.get(peer)
			.map_or((0, 0), |client| (client.wants, client.walks))
	}

	/// Wants of a peer for blocks that are not here.
	pub fn watches(&self, peer: &PeerId) -> usize {
		self.watches.waiting(peer)
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
		if client.is_some_and(Client::has_work) {
			self.turns.activate(peer);
		}
	}
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
