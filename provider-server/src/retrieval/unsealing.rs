//! The keys of sealed sectors: computed when a reader needs one, kept for a while, within a bound.
//!
//! A sealed sector is read by its key, which costs about as much as sealing did and takes as much disk as the sector
//! (`cairn_proving`'s `unsealing` says why). One thread computes keys, one at a time. Who needs a key waits for it, all
//! who need the same one for the same computation; who has waited for long is told to come back, and the computation
//! goes on. It survives a kill at any point and resumes when the key is asked for again.
//!
//! Keys stay on the disk. When one more would exceed the bound, or the disk is short, those that nobody reads by are
//! removed, the longest unused first; and each an hour after its last use. A key that is being read by stays, so that
//! one is kept however low the bound.

use crate::{ingest::Disk, metrics::Metrics};
use cairn_primitives::{PieceInfo, SectorNumber};
use cairn_proving::{KeyedSector, SealError, SealStage, SectorStore, StoreError};
use std::{
	collections::{HashMap, VecDeque},
	io,
	ops::ControlFlow,
	sync::{
		atomic::{AtomicBool, Ordering},
		Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
	},
	thread::{self, JoinHandle},
	time::{Duration, Instant},
};

/// Longest that a reader waits for a key: for as long as clients and proxies wait for an answer.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Readers that wait for keys at the same time. Each holds a thread.
const MAX_WAITING: usize = 32;
/// Keys to be computed. More are refused: they could not be had in useful time.
const MAX_QUEUED: usize = 8;
/// How often what is unused is looked for.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// Why a sector cannot be read now.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UnsealError {
	/// Its key is being computed, or waits for its turn.
	#[error("the sector is being unsealed, which takes about as long as sealing it did")]
	Running,
	/// Too many readers wait, or too many sectors.
	#[error("too many sealed sectors are asked for")]
	Busy,
	/// The disk leaves no room for the key.
	#[error("unsealing takes {needed} bytes of disk, and {available} may be used")]
	NoRoom {
		/// Bytes needed.
		needed: u64,
		/// Bytes that may be used.
		available: u64,
	},
	/// It cannot be unsealed.
	#[error("{0}")]
	Seal(#[source] Arc<SealError>),
	/// The disk cannot be asked for its room.
	#[error("the disk cannot be asked for its room: {0}")]
	Disk(#[source] Arc<io::Error>),
	/// The provider is stopping.
	#[error("the provider is stopping")]
	Stopping,
}

impl UnsealError {
	/// Whether asking again later may help.
	pub fn is_transient(&self) -> bool {
		matches!(
			self,
			UnsealError::Running | UnsealError::Busy | UnsealError::NoRoom { .. } | UnsealError::Stopping
		)
	}
}

impl From<SealError> for UnsealError {
	fn from(error: SealError) -> Self {
		match error {
			SealError::Cancelled => UnsealError::Stopping,
			error => UnsealError::Seal(Arc::new(error)),
		}
	}
}

impl From<StoreError> for UnsealError {
	fn from(error: StoreError) -> Self {
		SealError::from(error).into()
	}
}

/// Who asks for a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
	/// A reader, of whom there may be any number.
	Reading,
	/// The provider, to restore a piece that it has lost: other readers do not keep it from that.
	Recovery,
}

/// How much of keys is kept although nobody reads by them, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
	/// Bytes.
	pub max_bytes: u64,
	/// Time after its last use at which a key is removed. Default an hour.
	pub max_idle: Duration,
}

impl Bounds {
	/// With the default of time.
	pub const fn new(max_bytes: u64) -> Self {
		Bounds {
			max_bytes,
			max_idle: Duration::from_secs(3600),
		}
	}
}

/// Hands keys out. Dropped, it stops computing.
pub struct Unsealer {
	shared: Arc<Shared>,
	thread: Option<JoinHandle<()>>,
}

struct Shared {
	sectors: SectorStore,
	disk: Disk,
	bounds: Bounds,
	metrics: Metrics,
	state: Mutex<State>,
	/// Notified when the state changes.
	changed: Condvar,
	stop: AtomicBool,
}

#[derive(Default)]
struct State {
	/// Keys that are wanted, the one that is being computed included.
	jobs: HashMap<SectorNumber, Arc<Job>>,
	queue: VecDeque<SectorNumber>,
	/// Keys on the disk.
	keys: HashMap<SectorNumber, Key>,
	waiting: usize,
}

/// A key to be computed.
#[derive(Default)]
struct Job {
	outcome: OnceLock<Result<Arc<KeyedSector>, UnsealError>>,
}

/// What [`Unsealer::open`] gets for its question.
enum Order {
	/// The sector, open.
	Open(Arc<KeyedSector>),
	/// What to wait for.
	Job(Arc<Job>),
}

/// A key on the disk.
struct Key {
	bytes: u64,
	used: Instant,
	/// `None` until it was found sound by this process.
	open: Option<Arc<KeyedSector>>,
}

impl Key {
	fn is_read_by(&self) -> bool {
		self.open.as_ref().is_some_and(|open| Arc::strong_count(open) > 1)
	}
}

impl State {
	/// The sector if it can be read at once, which counts as a use.
	fn open(&mut self, sector: SectorNumber) -> Option<Arc<KeyedSector>> {
		let key = self.keys.get_mut(&sector)?;
		let open = key.open.clone()?;
		key.used = Instant::now();
		Some(open)
	}
}

impl Unsealer {
	/// Starts the thread. Keys that an earlier process left are kept as if they had just been used.
	///
	/// # Errors
	/// If the store cannot be read, or the system gives no thread.
	pub fn start(
		sectors: SectorStore,
		disk: Disk,
		bounds: Bounds,
		metrics: Metrics,
	) -> Result<Self, UnsealerError> {
		let mut unsealer = Self::without_thread(sectors, disk, bounds, metrics)?;
		let thread = thread::Builder::new().name("unsealing".into()).spawn({
			let shared = unsealer.shared.clone();
			move || shared.work()
		});
		unsealer.thread = Some(thread.map_err(UnsealerError::Thread)?);
		Ok(unsealer)
	}

	/// Takes orders, and does nothing.
	fn without_thread(
		sectors: SectorStore,
		disk: Disk,
		bounds: Bounds,
		metrics: Metrics,
	) -> Result<Self, StoreError> {
		let mut state = State::default();
		for (sector, bytes) in sectors.keys()? {
			let key = Key {
				bytes,
				used: Instant::now(),
				open: None,
			};
			state.keys.insert(sector, key);
		}
		let shared = Arc::new(Shared {
			sectors,
			disk,
			bounds,
			metrics,
			state: Mutex::new(state),
			changed: Condvar::new(),
			stop: AtomicBool::new(false),
		});
		Ok(Unsealer { shared, thread: None })
	}

	/// A sector that holds the piece and can be read at once, and the piece's place in it.
	pub fn at_hand(&self, piece: &PieceInfo) -> Option<(Arc<KeyedSector>, usize)> {
		let mut state = self.shared.lock();
		let (sector, index) = state.keys.iter().find_map(|(sector, key)| {
			let index = key.open.as_ref()?.index_of(piece)?;
			Some((*sector, index))
		})?;
		Some((state.open(sector)?, index))
	}

	/// A sector, open for reading. Blocks while its key is computed, for `patience` at most.
	///
	/// # Errors
	/// See [`UnsealError`].
	pub fn open(
		&self,
		sector: SectorNumber,
		purpose: Purpose,
		patience: Duration,
	) -> Result<Arc<KeyedSector>, UnsealError> {
		let shared = &self.shared;
		if let Some(open) = shared.lock().open(sector) {
			return Ok(open);
		}
		if let Some(open) = shared.sectors.open_unfinished(sector)? {
			return Ok(Arc::new(open));
		}
		let deadline = Instant::now() + patience;
		let job = match shared.order(sector, purpose)? {
			Order::Open(open) => return Ok(open),
			Order::Job(job) => job,
		};
		let mut state = shared.lock();
		state.waiting += 1;
		let outcome = loop {
			if let Some(outcome) = job.outcome.get() {
				break outcome.clone();
			}
			if shared.stop.load(Ordering::SeqCst) {
				break Err(UnsealError::Stopping);
			}
			let left = deadline.saturating_duration_since(Instant::now());
			if left.is_zero() {
				break Err(UnsealError::Running);
			}
			(state, _) = shared
				.changed
				.wait_timeout(state, left)
				.unwrap_or_else(PoisonError::into_inner);
		};
		state.waiting -= 1;
		outcome
	}

	/// Lets go of a sector that is about to be removed.
	pub fn forget(&self, sector: SectorNumber) {
		self.shared.lock().keys.remove(&sector);
	}
}

/// Why there is no [`Unsealer`].
#[derive(Debug, thiserror::Error)]
pub enum UnsealerError {
	/// The sectors cannot be read.
	#[error(transparent)]
	Sectors(#[from] StoreError),
	/// There is no thread to compute keys.
	#[error("cannot start the thread that unseals sectors")]
	Thread(#[source] io::Error),
}

impl Drop for Unsealer {
	fn drop(&mut self) {
		self.shared.stop.store(true, Ordering::SeqCst);
		// Taken so that nobody is between having looked at `stop` and waiting.
		drop(self.shared.lock());
		self.shared.changed.notify_all();
		if let Some(thread) = self.thread.take() {
			// A panic of the thread was printed when it happened.
			let _ = thread.join();
		}
	}
}

impl Shared {
	fn lock(&self) -> MutexGuard<'_, State> {
		// Nothing is left half-changed under the lock.
		self.state.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// Has a key computed, unless it is there by now.
	fn order(&self, sector: SectorNumber, purpose: Purpose) -> Result<Order, UnsealError> {
		let mut state = self.lock();
		if let Some(open) = state.open(sector) {
			return Ok(Order::Open(open));
		}
		let is_reader = purpose == Purpose::Reading;
		if is_reader && state.waiting >= MAX_WAITING {
			return Err(UnsealError::Busy);
		}
		if let Some(job) = state.jobs.get(&sector) {
			return Ok(Order::Job(job.clone()));
		}
		if is_reader && state.queue.len() >= MAX_QUEUED {
			return Err(UnsealError::Busy);
		}
		let job = Arc::<Job>::default();
		state.jobs.insert(sector, job.clone());
		state.queue.push_back(sector);
		self.changed.notify_all();
		Ok(Order::Job(job))
	}

	/// Computes keys and removes unused ones, until told to stop.
	fn work(&self) {
		while !self.stop.load(Ordering::SeqCst) {
			self.remove_unused(0, None);
			let Some(sector) = self.next_job() else { continue };
			let outcome = self.make_key(sector);
			if let Err(error) = &outcome {
				tracing::error!(sector, %error, "a sector cannot be unsealed");
			}
			let bytes = self.key_bytes(sector);
			let mut state = self.lock();
			if let Ok(open) = &outcome {
				let key = Key {
					bytes,
					used: Instant::now(),
					open: Some(open.clone()),
				};
				state.keys.insert(sector, key);
			}
			if let Some(job) = state.jobs.remove(&sector) {
				// It has none: nobody else sets it.
				let _ = job.outcome.set(outcome);
			}
			drop(state);
			self.changed.notify_all();
		}
	}

	/// The next sector whose key is wanted; `None` after a while without one.
	fn next_job(&self) -> Option<SectorNumber> {
		let is_idle = |state: &mut State| state.queue.is_empty() && !self.stop.load(Ordering::SeqCst);
		let (mut state, _) = self
			.changed
			.wait_timeout_while(self.lock(), CHECK_INTERVAL, is_idle)
			.unwrap_or_else(PoisonError::into_inner);
		state.queue.pop_front()
	}

	fn make_key(&self, sector: SectorNumber) -> Result<Arc<KeyedSector>, UnsealError> {
		let size = self.sectors.sector(sector)?.spec.sector_size();
		self.remove_unused(size, Some(sector));
		let needed = self.sectors.key_space(sector)?;
		let available = || {
			let available = self.disk.available();
			available.map_err(|error| UnsealError::Disk(Arc::new(error)))
		};
		while available()? < needed {
			if !self.remove_longest_unused(Some(sector)) {
				let available = available()?;
				return Err(UnsealError::NoRoom { needed, available });
			}
		}
		let mut computes = false;
		let keyed = self.sectors.make_key(sector, &mut |progress| {
			if !computes && matches!(progress.stage, SealStage::Labels { .. }) {
				computes = true;
				tracing::info!(sector, "computing the key of a sealed sector");
				self.metrics.keys_computed.inc();
			}
			match self.stop.load(Ordering::SeqCst) {
				true => ControlFlow::Break(()),
				false => ControlFlow::Continue(()),
			}
		})?;
		Ok(Arc::new(keyed))
	}

	fn key_bytes(&self, sector: SectorNumber) -> u64 {
		// Of a sector that was removed since, there is nothing.
		let keys = self.sectors.keys().unwrap_or_default();
		let found = keys.into_iter().find(|(number, _)| *number == sector);
		found.map_or(0, |(_, bytes)| bytes)
	}

	/// Removes keys that are past their time, and others until `more` bytes fit the bound beside them. What there is of
	/// the key of `but` stays, and does not count.
	fn remove_unused(&self, more: u64, but: Option<SectorNumber>) {
		let now = Instant::now();
		let is_over = |key: &Key| now.saturating_duration_since(key.used) >= self.bounds.max_idle;
		for sector in self.unused(but, is_over) {
			self.remove(sector);
		}
		loop {
			let held: u64 = {
				let state = self.lock();
				let others = state.keys.iter().filter(|(sector, _)| Some(**sector) != but);
				others.map(|(_, key)| key.bytes).sum()
			};
			if held.saturating_add(more) <= self.bounds.max_bytes || !self.remove_longest_unused(but) {
				return;
			}
		}
	}

	/// Removes the key that was not used for the longest time. Whether there was one.
	fn remove_longest_unused(&self, but: Option<SectorNumber>) -> bool {
		let longest = self.unused(but, |_| true).first().copied();
		longest.is_some_and(|sector| self.remove(sector))
	}

	/// Keys that nobody reads by, the longest unused first.
	fn unused(&self, but: Option<SectorNumber>, wanted: impl Fn(&Key) -> bool) -> Vec<SectorNumber> {
		let state = self.lock();
		let mut unused: Vec<_> = state
			.keys
			.iter()
			.filter(|(sector, key)| Some(**sector) != but && !key.is_read_by() && wanted(key))
			.map(|(sector, key)| (key.used, *sector))
			.collect();
		unused.sort_unstable();
		unused.into_iter().map(|(_, sector)| sector).collect()
	}

	/// Removes a key unless somebody reads by it by now. Whether it is gone.
	fn remove(&self, sector: SectorNumber) -> bool {
		let removed = {
			let mut state = self.lock();
			match state.keys.get(&sector) {
				Some(key) if key.is_read_by() => return false,
				_ => state.keys.remove(&sector),
			}
		};
		let Some(key) = removed else { return true };
		match self.sectors.remove_key(sector) {
			Ok(()) => {
				tracing::debug!(sector, bytes = key.bytes, "removed an unused key");
				true
			}
			Err(error) => {
				tracing::warn!(sector, %error, "an unused key could not be removed");
				self.lock().keys.insert(sector, key);
				false
			}
		}
	}
}

#[cfg(test)]
mod tests;
