//! Fetching datasets of the network into the node's own block store.
//!
//! A [`Fetch`] brings one dataset here: it follows the links from the root ([`walk`]), takes what this node has
//! already and asks peers for the rest ([`incoming`]), and stores all of it in an upload of the repository
//! ([`staging`]), whose commit makes it visible as a whole. However a fetch ends before (nobody sends, no room,
//! given up, a kill), the upload is given up with it, and the repository collects what came.
//!
//! All who want a dataset at the same time share one fetch. It goes on as long as anybody wants it: whoever asked
//! for the dataset to be kept ([`Fetches::keep`]), or whoever reads it while it comes in ([`Fetches::read`]).
//!
//! A fetch takes about 60 MB of memory at most, whatever the dataset's size, beside what it remembers of blocks with
//! links (up to 100 MB for 2^21 of them). There are at most as many as the configuration allows.

mod error;
mod fetch;
mod incoming;
mod staging;
mod walk;

pub use error::FetchError;
pub use fetch::{Arriving, Fetch, Phase, Progress};
pub(crate) use walk::links_of;
pub use walk::Amount;

use cairn_blockstore::Repo;
use cairn_dag::{source::load, Block};
use cairn_network::{discovery::Finder, exchange::service::Exchange};
use cairn_provider_api::Problem;
use cid::Cid;
use fetch::Means;
use incoming::Incoming;
use prometheus::IntCounterVec;
use std::{
	collections::HashMap,
	sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak},
	time::Duration,
};
use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking, time::Instant};
use tokio_util::sync::CancellationToken;

/// For how long the outcome of a fetch can be asked for.
const MEMORY: Duration = Duration::from_secs(3600);
/// Outcomes that are remembered.
const MAX_ENDED: usize = 256;
/// Single blocks that are looked for in the network at the same time.
const MAX_BLOCKS: usize = 16;

/// How much, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
	/// Fetches at the same time.
	pub running: usize,
	/// How long to wait for somebody who sends the first block.
	pub find: Duration,
	/// How long to wait for each further one.
	pub idle: Duration,
	/// Bytes that must come within that time, unless many blocks do.
	pub min_progress: u64,
}

/// The node's way to its peers.
pub struct Peers {
	exchange: Exchange,
	finder: Finder,
	/// Fetches by outcome.
	outcomes: IntCounterVec,
	stopped: CancellationToken,
}

/// All fetches.
pub struct Fetches {
	repo: Repo,
	commits: Arc<RwLock<()>>,
	limits: Limits,
	/// The network holds it: it leads to the store that peers are served from, and so back to here.
	peers: Mutex<Weak<Peers>>,
	entries: Mutex<HashMap<Cid, Entry>>,
	blocks: Semaphore,
}

struct Entry {
	fetch: Arc<Fetch>,
	/// Whether somebody asked for the dataset to be stored, who does not wait for it.
	kept: bool,
	/// Who reads it while it comes.
	readers: usize,
	/// When it ended.
	ended: Option<Instant>,
}

/// A fetch as others see it.
pub struct Status {
	/// What is fetched.
	pub root: Cid,
	/// Whether it goes on when nobody reads it.
	pub kept: bool,
	/// Who reads it while it comes.
	pub readers: usize,
	/// The fetch.
	pub fetch: Arc<Fetch>,
}

/// Somebody who reads a dataset while it comes in. When the last one is dropped, the fetch is given up unless the
/// dataset is to be kept.
pub struct Reading {
	fetches: Arc<Fetches>,
	fetch: Arc<Fetch>,
	root: Cid,
	gone: CancellationToken,
}

impl Fetches {
	/// None yet. `commits` is read while a dataset is committed.
	pub fn new(repo: Repo, commits: Arc<RwLock<()>>, limits: Limits) -> Arc<Self> {
		Arc::new(Fetches {
			repo,
			commits,
			limits,
			peers: Mutex::default(),
			entries: Mutex::default(),
			blocks: Semaphore::new(MAX_BLOCKS),
		})
	}

	/// Lets datasets be fetched over an exchange, from peers that a finder finds, as long as what is returned is held
	/// and until `stopped`.
	pub fn connect(
		&self,
		exchange: Exchange,
		finder: Finder,
		outcomes: IntCounterVec,
		stopped: CancellationToken,
	) -> Arc<Peers> {
		let peers = Arc::new(Peers {
			exchange,
			finder,
			outcomes,
			stopped,
		});
		*self.peers.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&peers);
		peers
	}

	/// Fetches a dataset in the background, to be kept. Joins a fetch that is running.
	///
	/// # Errors
	/// [`FetchError::NoNetwork`], [`FetchError::Busy`].
	pub fn keep(self: &Arc<Self>, root: Cid) -> Result<Arc<Fetch>, FetchError> {
		self.enter(root, |entry| {
			entry.kept = true;
			entry.fetch.clone()
		})
	}

	/// Fetches a dataset for somebody who reads it meanwhile. Joins a fetch that is running.
	///
	/// # Errors
	/// As [`Self::keep`].
	pub fn read(self: &Arc<Self>, root: Cid) -> Result<Reading, FetchError> {
		self.enter(root, |entry| {
			entry.readers += 1;
			Reading {
				fetches: self.clone(),
				fetch: entry.fetch.clone(),
				root,
				gone: CancellationToken::new(),
			}
		})
	}

	/// Fetches one block of the network, and keeps nothing.
	///
	/// # Errors
	/// Those of [`FetchError`] that are not about storing.
	pub async fn block(&self, cid: Cid) -> Result<Block, FetchError> {
		let peers = self.peers().ok_or(FetchError::NoNetwork)?;
		let _place = self.blocks.try_acquire().map_err(|_| FetchError::Busy)?;
		let store = peers.exchange.store().clone();
		if let Some(block) = spawn_blocking(move || load(&*store, &cid).ok().flatten()).await? {
			return Ok(block);
		}
		let mut incoming = Incoming::new(peers.clone(), cid, self.limits).await?;
		incoming.want(vec![cid]);
		tokio::select! {
			block = incoming.next() => block,
			() = peers.stopped.cancelled() => Err(FetchError::Stopped),
		}
	}

	/// A fetch that is running or has ended lately.
	pub fn status(&self, root: &Cid) -> Option<Status> {
		let entries = self.lock();
		entries.get(root).map(|entry| entry.status(root))
	}

	/// All fetches that are running or have ended lately, in the order in which they began.
	pub fn list(&self) -> Vec<Status> {
		let entries = self.lock();
		let mut list: Vec<_> = entries.iter().map(|(root, entry)| entry.status(root)).collect();
		list.sort_by_key(|status| (status.fetch.began(), status.root));
		list
	}

	/// Gives a fetch up, and returns when it has ended; forgets one that had ended before. Returns whether there was
	/// one.
	pub async fn give_up(&self, root: &Cid) -> bool {
		let fetch = {
			let mut entries = self.lock();
			match entries.get(root) {
				None => return false,
				Some(entry) if entry.ended.is_some() => {
					entries.remove(root);
					return true;
				}
				Some(entry) => entry.fetch.clone(),
			}
		};
		fetch.give_up();
		// How it ended is in its status.
		let _ = fetch.dataset().await;
		true
	}

	fn peers(&self) -> Option<Arc<Peers>> {
		let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
		peers.upgrade().filter(|peers| !peers.stopped.is_cancelled())
	}

	/// The entries; those that are too old are dropped first.
	fn lock(&self) -> MutexGuard<'_, HashMap<Cid, Entry>> {
		// Every change is complete when it could panic.
		let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
		let now = Instant::now();
		entries.retain(|_, entry| entry.ended.is_none_or(|ended| now.duration_since(ended) < MEMORY));
		entries
	}

	/// Gives a root's entry to `join`, and begins a fetch if none is running.
	fn enter<T>(self: &Arc<Self>, root: Cid, join: impl FnOnce(&mut Entry) -> T) -> Result<T, FetchError> {
		let mut entries = self.lock();
		if let Some(entry) = entries.get_mut(&root).filter(|entry| entry.is_running()) {
			return Ok(join(entry));
		}
		let peers = self.peers().ok_or(FetchError::NoNetwork)?;
		if entries.values().filter(|entry| entry.is_running()).count() >= self.limits.running {
			return Err(FetchError::Busy);
		}
		let (fetch, urgent) = Fetch::new(root);
		let means = Means {
			repo: self.repo.clone(),
			commits: self.commits.clone(),
			peers: peers.clone(),
			limits: self.limits,
			urgent,
		};
		let mut entry = Entry {
			fetch: fetch.clone(),
			kept: false,
			readers: 0,
			ended: None,
		};
		let joined = join(&mut entry);
		entries.insert(root, entry);
		tracing::info!(root = %super::cid_text(&root), "fetching a dataset");
		let running = {
			let fetch = fetch.clone();
			tokio::spawn(async move { fetch.run(means).await })
		};
		let fetches = self.clone();
		tokio::spawn(async move {
			let outcome = running.await.map_err(FetchError::from).flatten();
			let phase = outcome.map_or_else(Phase::from, Phase::Complete);
			peers.outcomes.with_label_values(&[phase.name()]).inc();
			fetches.ended(&root, &fetch, phase);
		});
		Ok(joined)
	}

	/// Notes how a fetch ended, for who asks later.
	fn ended(&self, root: &Cid, fetch: &Arc<Fetch>, phase: Phase) {
		tracing::info!(root = %super::cid_text(root), outcome = phase.name(), "a fetch has ended");
		let mut entries = self.lock();
		// Another may have taken the place of one that was given up.
		if let Some(entry) = entries
			.get_mut(root)
			.filter(|entry| Arc::ptr_eq(&entry.fetch, fetch))
		{
			entry.ended = Some(Instant::now());
		}
		while entries.values().filter(|entry| entry.ended.is_some()).count() > MAX_ENDED {
			let oldest = entries
				.iter()
				.filter(|(_, entry)| entry.ended.is_some())
				.min_by_key(|(_, entry)| entry.ended)
				.map(|(root, _)| *root);
			oldest.and_then(|root| entries.remove(&root));
		}
		drop(entries);
		// Last: whoever waited for it finds the rest as it is now.
		fetch.set_phase(phase);
	}
}

impl Entry {
	fn is_running(&self) -> bool {
		self.ended.is_none() && !self.fetch.is_given_up()
	}

	fn status(&self, root: &Cid) -> Status {
		Status {
			root: *root,
			kept: self.kept,
			readers: self.readers,
			fetch: self.fetch.clone(),
		}
	}
}

impl Reading {
	/// The fetch.
	pub fn fetch(&self) -> &Fetch {
		&self.fetch
	}

	/// The dataset's blocks, as they come, for a blocking thread. They end when this is dropped.
	pub fn blocks(&self) -> Arriving {
		Arriving {
			fetch: self.fetch.clone(),
			repo: self.fetches.repo.clone(),
			runtime: Handle::current(),
			gone: self.gone.clone(),
		}
	}
}

impl Drop for Reading {
	fn drop(&mut self) {
		self.gone.cancel();
		let mut entries = self.fetches.lock();
		let entry = entries.get_mut(&self.root);
		if let Some(entry) = entry.filter(|entry| Arc::ptr_eq(&entry.fetch, &self.fetch)) {
			entry.readers = entry.readers.saturating_sub(1);
			if entry.readers == 0 && !entry.kept {
				entry.fetch.give_up();
			}
		}
	}
}

impl From<FetchError> for Phase {
	fn from(error: FetchError) -> Phase {
		match error {
			FetchError::GivenUp => Phase::GivenUp,
			error => {
				tracing::debug!(
					error = &error as &dyn std::error::Error,
					"a dataset was not fetched"
				);
				Phase::Failed(Problem::from(error))
			}
		}
	}
}
