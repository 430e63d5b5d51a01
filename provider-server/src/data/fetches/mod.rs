//! Fetching datasets of the network into the node's own block store.
//!
//! A [`Fetch`] brings one dataset here: it follows the links from the root ([`walk`]), takes what this node has
//! already and asks peers for the rest ([`incoming`]), and stores all of it in an upload of the repository
//! ([`staging`]), whose commit makes it visible as a whole. However a fetch ends before (nobody sends, no room,
//! given up), the upload is given up with it, and the repository collects what came, unless the node's end has ended it.
//!
//! All who want a dataset at the same time share one fetch. It goes on as long as anybody wants it: whoever asked
//! for the dataset to be kept ([`Fetches::keep`]), or whoever reads it while it comes in ([`Fetches::read`]).
//!
//! What is to be kept is fetched also if the process ends before: it is recorded on the disk ([`records`]) from
//! before the answer until the fetch has ended, and the next process goes on with what it finds recorded as soon as it
//! has joined the network ([`Fetches::connect`]). Only a fetch that ends because the node does stays recorded, and so
//! does what had come of the dataset ([`Repo::unfinished`]).
//!
//! A fetch takes about 60 MB of memory at most, whatever the dataset's size, beside what it remembers of blocks with
//! links (up to 100 MB for 2^21 of them). There are at most as many as the configuration allows.

mod error;
mod fetch;
mod incoming;
mod reading;
mod records;
mod staging;
mod walk;

pub use error::FetchError;
pub use fetch::{Arriving, Fetch, Phase, Progress};
pub use reading::Reading;
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
use records::{Record, Records};
use std::{
	collections::HashMap,
	io,
	path::Path,
	sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak},
	time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
	sync::{mpsc, Semaphore},
	task::spawn_blocking,
	time::Instant,
};
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
	/// What is fetched also after a restart. Taken before `entries`, where both are.
	records: Mutex<Records>,
	/// One for each fetch that runs: after a restart there may be more than may run at the same time.
	places: Arc<Semaphore>,
	blocks: Semaphore,
}

struct Entry {
	fetch: Arc<Fetch>,
	/// What an earlier process had not ended, until this one has joined the network: what it begins with.
	waiting: Option<mpsc::Receiver<Cid>>,
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

impl Fetches {
	/// Those that an earlier process recorded in `folder` and did not end; they begin when the node has joined the
	/// network. `commits` is read while a dataset is committed. Blocks the thread.
	///
	/// # Errors
	/// If the folder cannot be created or read.
	pub fn open(
		repo: Repo,
		commits: Arc<RwLock<()>>,
		folder: &Path,
		limits: Limits,
	) -> io::Result<Arc<Self>> {
		let (records, left) = Records::open(folder)?;
		give_up_unfinished(&repo, |root| records.has_others() || records.has(root));
		let entries = left.into_iter().map(|Record { root, began }| {
			let (fetch, urgent) = Fetch::new(root, began);
			let entry = Entry {
				fetch,
				waiting: Some(urgent),
				kept: true,
				readers: 0,
				ended: None,
			};
			(root, entry)
		});
		Ok(Arc::new(Fetches {
			repo,
			commits,
			limits,
			peers: Mutex::default(),
			entries: Mutex::new(entries.collect()),
			records: Mutex::new(records),
			places: Arc::new(Semaphore::new(limits.running)),
			blocks: Semaphore::new(MAX_BLOCKS),
		}))
	}

	/// Lets datasets be fetched over an exchange, from peers that a finder finds, as long as what is returned is held
	/// and until `stopped`. Begins what an earlier process did not end.
	pub fn connect(
		self: &Arc<Self>,
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
		for entry in self.lock().values_mut() {
			if let Some(urgent) = entry.waiting.take() {
				let root = super::cid_text(entry.fetch.root());
				tracing::info!(
					root,
					"a dataset is fetched that was being fetched before the restart"
				);
				self.begin(entry.fetch.clone(), urgent, peers.clone(), Cause::Restart);
			}
		}
		peers
	}

	/// Fetches a dataset in the background, to be kept, also after a restart. Joins a fetch that is running.
	///
	/// # Errors
	/// [`FetchError::NoNetwork`], [`FetchError::Busy`], [`FetchError::Record`].
	pub async fn keep(self: &Arc<Self>, root: Cid) -> Result<Arc<Fetch>, FetchError> {
		let fetch = self.enter(root, |entry| {
			entry.kept = true;
			entry.fetch.clone()
		})?;
		let recorded = {
			let (fetches, fetch) = (self.clone(), fetch.clone());
			// Runs to its end also if the client goes away.
			spawn_blocking(move || fetches.record(&fetch)).await
		};
		recorded.map_err(FetchError::from).flatten()?;
		Ok(fetch)
	}

	/// Fetches a dataset for somebody who reads it meanwhile. Joins a fetch that is running.
	///
	/// # Errors
	/// [`FetchError::NoNetwork`], [`FetchError::Busy`].
	pub fn read(self: &Arc<Self>, root: Cid) -> Result<Reading, FetchError> {
		self.enter(root, |entry| {
			entry.readers += 1;
			Reading::new(self.clone(), entry.fetch.clone())
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
	pub async fn give_up(self: &Arc<Self>, root: &Cid) -> bool {
		let running = {
			let mut entries = self.lock();
			let Some(entry) = entries.get_mut(root) else {
				return false;
			};
			if entry.ended.is_some() {
				entries.remove(root);
				None
			} else {
				Some((entry.fetch.clone(), entry.waiting.take()))
			}
		};
		let Some((fetch, waiting)) = running else {
			// What the node's end has ended would go on after a restart.
			self.forget_later(*root).await;
			return true;
		};
		fetch.give_up();
		if waiting.is_some() {
			// It has no task that would end it. This one does also if the client goes away.
			let (fetches, fetch) = (self.clone(), fetch.clone());
			tokio::spawn(async move { fetches.end(fetch, Phase::GivenUp, After::Forgotten).await });
		}
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
		let peers = self.peers().ok_or(FetchError::NoNetwork)?;
		let mut entries = self.lock();
		if let Some(entry) = entries.get_mut(&root).filter(|entry| entry.is_running()) {
			return Ok(join(entry));
		}
		if entries.values().filter(|entry| entry.is_running()).count() >= self.limits.running {
			return Err(FetchError::Busy);
		}
		let began = SystemTime::now().duration_since(UNIX_EPOCH);
		let (fetch, urgent) = Fetch::new(root, began.map_or(0, |since| since.as_secs()));
		let mut entry = Entry {
			fetch: fetch.clone(),
			waiting: None,
			kept: false,
			readers: 0,
			ended: None,
		};
		let joined = join(&mut entry);
		entries.insert(root, entry);
		tracing::info!(root = %super::cid_text(&root), "fetching a dataset");
		self.begin(fetch, urgent, peers, Cause::Request);
		Ok(joined)
	}

	/// Runs a fetch that has an entry, in tasks of its own.
	fn begin(
		self: &Arc<Self>,
		fetch: Arc<Fetch>,
		urgent: mpsc::Receiver<Cid>,
		peers: Arc<Peers>,
		cause: Cause,
	) {
		let means = Means {
			repo: self.repo.clone(),
			commits: self.commits.clone(),
			peers: peers.clone(),
			limits: self.limits,
			places: self.places.clone(),
			urgent,
			cause,
		};
		let running = {
			let fetch = fetch.clone();
			tokio::spawn(async move { fetch.run(means).await })
		};
		let fetches = self.clone();
		tokio::spawn(async move {
			let outcome = running.await.map_err(FetchError::from).flatten();
			let after = match &outcome {
				Err(error) if error.is_the_nodes_end() => After::Recorded,
				_ => After::Forgotten,
			};
			let phase = outcome.map_or_else(Phase::from, Phase::Complete);
			if let (Cause::Restart, After::Forgotten, Phase::Failed(problem)) = (cause, after, &phase) {
				// Nobody waits for the answer.
				let (root, problem) = (super::cid_text(fetch.root()), &problem.message);
				tracing::warn!(root, problem, "a dataset was not fetched after the restart");
			}
			peers.outcomes.with_label_values(&[phase.name()]).inc();
			fetches.end(fetch, phase, after).await;
		});
	}

	/// Records a fetch, unless it has ended already or is recorded. One that cannot be is not kept. Blocks the thread.
	fn record(&self, fetch: &Arc<Fetch>) -> Result<(), FetchError> {
		let mut records = self.records();
		let is_wanted = self
			.lock()
			.get(fetch.root())
			.is_some_and(|entry| entry.is_of(fetch) && entry.is_kept());
		if !is_wanted || records.has(fetch.root()) {
			return Ok(());
		}
		let record = Record {
			root: *fetch.root(),
			began: fetch.began(),
		};
		records.write(&record).map_err(|error| {
			self.leave(fetch, |entry| entry.kept = false);
			FetchError::Record(error)
		})
	}

	/// The same as [`Self::forget`], on a thread that may block.
	async fn forget_later(self: &Arc<Self>, root: Cid) {
		let fetches = self.clone();
		// Fails only with the runtime: then the next process fetches it once more, which does no harm.
		let _ = spawn_blocking(move || fetches.forget(&root)).await;
	}

	/// Removes the record of a dataset that is not fetched any more. Blocks the thread.
	fn forget(&self, root: &Cid) {
		let mut records = self.records();
		// Another may have been begun since.
		if self.lock().get(root).is_some_and(Entry::is_kept) {
			return;
		}
		match records.remove(root) {
			Ok(()) => give_up_unfinished(&self.repo, |other| other != root),
			// The next process fetches it once more, which does no harm.
			Err(error) => {
				tracing::error!(root = %super::cid_text(root), %error, "the record of a fetch cannot be removed");
			}
		}
	}

	fn records(&self) -> MutexGuard<'_, Records> {
		// What it knows of the disk is noted after each change.
		self.records.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// Notes how a fetch ended, for who asks later.
	async fn end(self: &Arc<Self>, fetch: Arc<Fetch>, phase: Phase, after: After) {
		let root = *fetch.root();
		tracing::info!(root = %super::cid_text(&root), outcome = phase.name(), "a fetch has ended");
		self.note_end(&fetch);
		if after == After::Forgotten {
			self.forget_later(root).await;
		}
		// Last: whoever waited for it finds the rest as it is now.
		fetch.set_phase(phase);
	}

	fn note_end(&self, fetch: &Arc<Fetch>) {
		let mut entries = self.lock();
		// Another may have taken the place of one that was given up.
		if let Some(entry) = entries.get_mut(fetch.root()).filter(|entry| entry.is_of(fetch)) {
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
	}

	/// Notes with `change` that somebody does not want a dataset any more. The fetch is given up if nobody does.
	fn leave(&self, fetch: &Arc<Fetch>, change: impl FnOnce(&mut Entry)) {
		let mut entries = self.lock();
		if let Some(entry) = entries.get_mut(fetch.root()).filter(|entry| entry.is_of(fetch)) {
			change(entry);
			if entry.readers == 0 && !entry.kept {
				entry.fetch.give_up();
			}
		}
	}
}

/// Has what earlier processes fetched of datasets freed, but for those that are wanted. Blocks the thread.
fn give_up_unfinished(repo: &Repo, is_wanted: impl Fn(&Cid) -> bool) {
	if let Err(error) = repo.give_up_unfinished(is_wanted) {
		// The next process tries again.
		tracing::error!(%error, "what was fetched of a dataset that nobody wants cannot be freed");
	}
}

/// Why a fetch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
	/// Somebody asked for it.
	Request,
	/// An earlier process had not ended it.
	Restart,
}

/// What becomes of the record of a fetch that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
	/// It is removed.
	Forgotten,
	/// It stays for the next process.
	Recorded,
}

impl Entry {
	fn is_running(&self) -> bool {
		self.ended.is_none() && !self.fetch.is_given_up()
	}

	/// Whether it is to go on also when nobody reads it, and after a restart.
	fn is_kept(&self) -> bool {
		self.kept && self.is_running()
	}

	/// Whether it is of this fetch, and not of another one of the same dataset.
	fn is_of(&self, fetch: &Arc<Fetch>) -> bool {
		Arc::ptr_eq(&self.fetch, fetch)
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
