//! Blocks from peers: those who may have them are looked for while what they send is taken.

use super::{Amount, FetchError, Limits, Peers};
use cairn_dag::Block;
use cairn_network::{
	exchange::service::{Session, SessionEvent},
	PeerId,
};
use cid::Cid;
use futures::{stream::BoxStream, StreamExt};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep_until, Instant};

/// The exchange asks for a time by which a session ends; what ends a fetch is silence.
const SESSION: Duration = Duration::from_secs(30 * 24 * 3600);

/// Blocks that are progress, however small they are: of a chain one comes in each round trip.
const ENOUGH_BLOCKS: u64 = 32;

/// How many times as long as usual somebody is looked for who sends the first block, after a restart: a node that has
/// just joined knows few others, and may have started together with them.
const PATIENCE: u32 = 20;
/// Time between two searches then, at first.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The blocks of one root.
pub(super) struct Incoming {
	peers: Arc<Peers>,
	limits: Limits,
	root: Cid,
	session: Session,
	search: Search,
	/// Whether nothing could be heard since the last wait: the caller looked for blocks on this node.
	was_away: bool,
	/// Whether to look again when nobody was found.
	is_patient: bool,
	/// Time between two searches.
	pause: Duration,
	/// Peers that were found.
	found: usize,
	/// Blocks that were asked for and did not come yet.
	outstanding: usize,
	/// When the last block came, or the wait for it began.
	since: Instant,
	/// Whether any came.
	came: bool,
	/// What came since the time at which it began to be counted: who sends a block now and then must not hold a
	/// fetch for ever.
	counted: Amount,
	counted_from: Instant,
	/// Since when nothing is asked for, if nothing is.
	idle_from: Instant,
}

enum Search {
	/// Nothing was asked for so far.
	NotBegun,
	Running(BoxStream<'static, PeerId>),
	/// Everybody was found who could be; to be repeated if nothing comes until then.
	Over(Instant),
}

impl Incoming {
	/// Asks nobody yet.
	///
	/// # Errors
	/// [`FetchError::Stopped`].
	pub async fn new(peers: Arc<Peers>, root: Cid, limits: Limits) -> Result<Self, FetchError> {
		let now = Instant::now();
		let session = peers.exchange.session((now + SESSION).into_std()).await;
		Ok(Incoming {
			session: session.map_err(|_| FetchError::Stopped)?,
			peers,
			limits,
			root,
			search: Search::NotBegun,
			was_away: false,
			is_patient: false,
			pause: limits.idle / 3,
			found: 0,
			outstanding: 0,
			since: now,
			came: false,
			counted: Amount::default(),
			counted_from: now,
			idle_from: now,
		})
	}

	/// The same for who asks when the node has just joined the network.
	pub fn patient(mut self) -> Self {
		self.is_patient = true;
		self.limits.find = self.limits.find.saturating_mul(PATIENCE);
		self.pause = self.pause.min(FIRST_PAUSE);
		self
	}

	/// Peers that were found so far.
	pub fn found(&self) -> usize {
		self.found
	}

	/// Asks for blocks that were not asked for before.
	pub fn want(&mut self, cids: Vec<Cid>) {
		if cids.is_empty() {
			return;
		}
		if self.outstanding == 0 {
			let now = Instant::now();
			// Nothing could come while nothing was asked for.
			self.counted_from += now - self.idle_from;
			self.since = now;
		}
		if matches!(self.search, Search::NotBegun) {
			self.search_until(self.since + self.limits.find);
		}
		self.outstanding += cids.len();
		self.session.want(cids);
	}

	/// Says that nothing could be heard for a while, because the caller did not listen. The next wait begins anew.
	pub fn was_away(&mut self) {
		self.was_away = true;
	}

	fn wait_anew(&mut self) {
		self.since = Instant::now();
		self.idle_from = self.since;
		self.count_anew();
		if self.found == 0 && !matches!(self.search, Search::NotBegun) {
			self.search_until(self.since + self.limits.find);
		}
	}

	/// The next block, verified. Dropping the future loses none.
	///
	/// # Errors
	/// [`FetchError::NotFound`] if nobody is found who could send it, [`FetchError::Silent`] if nothing or too little
	/// comes for too long, [`FetchError::Stopped`].
	pub async fn next(&mut self) -> Result<Block, FetchError> {
		if std::mem::take(&mut self.was_away) {
			self.wait_anew();
		}
		loop {
			let not_found = FetchError::NotFound { cid: self.root };
			if self.found == 0 && !self.is_patient && matches!(self.search, Search::Over(_)) {
				return Err(not_found);
			}
			let waited = if self.came {
				self.limits.idle
			} else {
				self.limits.find
			};
			let give_up = self.since + waited;
			let silent = FetchError::Silent {
				cid: self.root,
				peers: self.found,
				waited,
			};
			tokio::select! {
				biased;
				event = self.session.next() => return match event {
					Some(SessionEvent::Block { block, .. }) => Ok(self.note(block)),
					Some(SessionEvent::Expired(_)) | None => Err(FetchError::Stopped),
				},
				news = self.search.next() => match news {
					News::Found(peer) => {
						self.found += 1;
						self.session.add_peer(peer);
					}
					News::Over => {
						self.search = Search::Over(Instant::now() + self.pause);
						self.pause = (2 * self.pause).min(self.limits.idle / 3);
					}
					News::Due => self.search_until(give_up),
				},
				() = sleep_until(give_up), if self.found > 0 => return Err(silent),
				() = sleep_until(give_up), if self.is_patient => return Err(not_found),
				// Last: what has come is counted first.
				() = sleep_until(self.counted_from + waited), if self.came => {
					if self.counted.bytes < self.limits.min_progress && self.counted.blocks < ENOUGH_BLOCKS {
						return Err(silent);
					}
					self.count_anew();
				}
			}
		}
	}

	/// The next block, if there is one now.
	pub fn try_next(&mut self) -> Option<Block> {
		match self.session.try_next() {
			Some(SessionEvent::Block { block, .. }) => Some(self.note(block)),
			_ => None,
		}
	}

	fn note(&mut self, block: Block) -> Block {
		if !self.came {
			self.count_anew();
		}
		self.came = true;
		self.since = Instant::now();
		self.idle_from = self.since;
		self.counted.add(&block);
		self.outstanding = self.outstanding.saturating_sub(1);
		block
	}

	fn count_anew(&mut self) {
		(self.counted, self.counted_from) = (Amount::default(), Instant::now());
	}

	fn search_until(&mut self, deadline: Instant) {
		self.search = Search::Running(self.peers.finder.connect(self.root, deadline));
	}
}

/// What is heard of a search.
enum News {
	Found(PeerId),
	Over,
	/// It is to be repeated.
	Due,
}

impl Search {
	/// What is heard next; waits for ever before it has begun.
	async fn next(&mut self) -> News {
		match self {
			Search::NotBegun => std::future::pending().await,
			Search::Running(stream) => stream.next().await.map_or(News::Over, News::Found),
			Search::Over(due) => {
				sleep_until(*due).await;
				News::Due
			}
		}
	}
}
