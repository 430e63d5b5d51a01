//! Fetching blocks from several gateways at once until the object is complete.
//!
//! How the work is divided is in [`work`](super::work), what a single request brings in
//! [`transfer`](super::transfer), and what becomes of a gateway that fails in [`gateway`](super::gateway). What
//! is here lets gateways join, gives each that is idle something to do, and knows when to give up.

use super::{
	blocks::BlockStore,
	candidates::{Candidate, Candidates, Reason},
	gateway::{Gateway, State, Verdict},
	missing::{ObjectError, Wanted},
	pieces::{Ask, Speaks},
	transfer::{transfer, Outcome, Shared},
	work::{Division, Job, Work},
};
use crate::provider::ProviderError;
use cairn_car::ReadError;
use cairn_dag::{Cid, CodecError};
use futures::{future::BoxFuture, stream::FuturesUnordered, FutureExt, StreamExt};
use std::{
	collections::HashSet,
	io,
	sync::{atomic::Ordering, Arc},
	time::{Duration, Instant},
};
use url::Url;

/// Gateways that are asked at the same time.
const MAX_GATEWAYS: usize = 8;
/// Longest that is waited for gateways that rest before others are looked for.
const SHORT_REST: Duration = Duration::from_secs(2);
/// How often progress is told and idle gateways look for work.
const TICK: Duration = Duration::from_millis(100);
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
	/// It sent a block of the file that is not in the part that was asked for.
	#[error("it sends more of a file than the part that is asked for")]
	IgnoresRange,
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
		/// Providers that delivered some of it.
		from: Vec<Delivered>,
		/// Providers that lied.
		liars: Vec<Url>,
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
	/// These providers are at work now.
	fn asking(&self, candidates: &[&Candidate]);
	/// Bytes of new, verified blocks so far.
	fn received(&self, bytes: u64);
	/// A provider failed; others go on.
	fn failed(&self, candidate: &Candidate, error: &FetchError);
}

/// What a retrieval did.
#[derive(Clone, Debug)]
pub struct Retrieved {
	/// What the path leads to.
	pub target: Cid,
	/// Bytes of blocks that were fetched.
	pub bytes: u64,
	/// Providers that delivered, in the order in which they were first asked.
	pub from: Vec<Delivered>,
	/// Providers that lied.
	pub liars: Vec<Url>,
}

/// What came from one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
	/// The provider.
	pub url: Url,
	/// Bytes of blocks that no other had brought before.
	pub bytes: u64,
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
	division: Division,
	observer: &dyn Observer,
) -> Result<Retrieved, RetrieveError> {
	let anew = || Work::new(blocks.clone(), wanted.clone(), division);
	let mut retrieval = Retrieval {
		http,
		candidates,
		observer,
		shared: Arc::new(Shared::new(wanted.clone(), blocks.clone(), anew())),
		gateways: Vec::new(),
		running: FuturesUnordered::new(),
		asking: HashSet::new(),
		failures: Vec::new(),
	};
	loop {
		if let Some(target) = complete(blocks, wanted).await? {
			return Ok(retrieval.result(target));
		}
		let before = retrieval.received();
		let ended = retrieval.run().await;
		retrieval.wind_up().await;
		ended?;
		// Only a block that was damaged on the disk meanwhile, or an object that contradicts itself, needs this.
		if complete(blocks, wanted).await?.is_none() && retrieval.received() == before {
			return Err(retrieval.exhausted());
		}
		retrieval.shared.divide_anew(anew());
	}
}

/// What the path leads to, if everything is there.
pub(super) async fn complete(blocks: &BlockStore, wanted: &Wanted) -> Result<Option<Cid>, RetrieveError> {
	let (kept, asked) = (blocks.clone(), wanted.clone());
	match tokio::task::spawn_blocking(move || asked.complete(&kept)).await {
		Ok(complete) => Ok(complete?),
		Err(error) => Err(panicked(blocks, error)),
	}
}

fn panicked(blocks: &BlockStore, error: tokio::task::JoinError) -> RetrieveError {
	RetrieveError::Disk {
		path: blocks.path(),
		source: io::Error::other(error),
	}
}

/// Runs something that reads blocks.
async fn on_work<T: Send + 'static>(
	shared: Arc<Shared>,
	run: impl FnOnce(&mut Work) -> Result<T, ObjectError> + Send + 'static,
) -> Result<T, RetrieveError> {
	let blocks = shared.blocks.clone();
	match tokio::task::spawn_blocking(move || run(&mut shared.work())).await {
		Ok(done) => Ok(done?),
		Err(error) => Err(panicked(&blocks, error)),
	}
}

struct Retrieval<'a, 'c> {
	http: &'a reqwest::Client,
	candidates: &'a mut Candidates<'c>,
	observer: &'a dyn Observer,
	shared: Arc<Shared>,
	/// All that were asked, in the order in which they joined.
	gateways: Vec<Gateway>,
	running: FuturesUnordered<BoxFuture<'static, Outcome>>,
	/// Gateways that the observer was told of last.
	asking: HashSet<usize>,
	failures: Vec<(Url, FetchError)>,
}

impl Drop for Retrieval<'_, '_> {
	/// Who reads a response does so on a thread of its own, and would go on.
	fn drop(&mut self) {
		self.shared.work().stop_all();
	}
}

impl Retrieval<'_, '_> {
	fn received(&self) -> u64 {
		self.shared.received.load(Ordering::Relaxed)
	}

	/// Until nothing is missing.
	async fn run(&mut self) -> Result<(), RetrieveError> {
		let mut tick = tokio::time::interval(TICK);
		loop {
			self.join_known().await;
			self.hand_out().await?;
			let is_missing = |work: &mut Work| Ok(work.is_anything_owed()? || work.is_anything_waiting()?);
			if !on_work(self.shared.clone(), is_missing).await? {
				return Ok(());
			}
			if self.running.is_empty() {
				self.find_somebody().await?;
				continue;
			}
			let shared = self.shared.clone();
			tokio::select! {
				Some(outcome) = self.running.next() => self.conclude(outcome).await?,
				_ = tick.tick() => {}
				() = shared.structure.notified() => {}
			}
			self.observer.received(self.received());
		}
	}

	/// Ends what still runs.
	async fn wind_up(&mut self) {
		self.shared.work().stop_all();
		while let Some(outcome) = self.running.next().await {
			let gateway = &mut self.gateways[outcome.job.gateway];
			gateway.running -= 1;
			gateway.learn(&outcome.job.flow);
		}
		self.observer.received(self.received());
	}

	/// Lets those join that are known to have the object.
	async fn join_known(&mut self) {
		while self
			.gateways
			.iter_mut()
			.filter_map(|gateway| gateway.is_ready().then_some(()))
			.count() < MAX_GATEWAYS
		{
			match self
				.candidates
				.next_known(|candidate| candidate.reason != Reason::Other)
			{
				Some(candidate) => self.join(candidate),
				None => return,
			}
		}
	}

	fn join(&mut self, candidate: Candidate) {
		self.gateways.push(Gateway::new(self.http.clone(), candidate));
	}

	/// Gives all that are idle something to do, as far as there is.
	async fn hand_out(&mut self) -> Result<(), RetrieveError> {
		// One that gives objects as a whole only is asked when no other may have what waits.
		let mut better = Vec::new();
		for (index, gateway) in self.gateways.iter_mut().enumerate() {
			if gateway.is_ready() && gateway.speaks > Speaks::Whole {
				better.push((index, gateway.running > 0));
			}
		}
		let look = move |work: &mut Work| {
			for (gateway, is_busy) in better {
				if is_busy || work.is_anything_for(gateway)? {
					return Ok(true);
				}
			}
			Ok(false)
		};
		// Nobody else needs the answer, which takes a look at the blocks.
		let is_any_whole = self
			.gateways
			.iter()
			.any(|gateway| gateway.speaks == Speaks::Whole);
		let is_any_better = is_any_whole && on_work(self.shared.clone(), look).await?;
		let mut idle: Vec<usize> = (0..self.gateways.len()).collect();
		while !idle.is_empty() {
			let mut busy = Vec::new();
			let offers: Vec<_> = idle
				.iter()
				.filter_map(|index| self.gateways[*index].offer(*index))
				.filter(|offer| offer.speaks > Speaks::Whole || !is_any_better)
				.collect();
			if offers.is_empty() {
				break;
			}
			let begin = move |work: &mut Work| {
				let jobs = offers.iter().filter_map(|offer| work.next_job(offer).transpose());
				jobs.collect::<Result<Vec<Job>, _>>()
			};
			let jobs = on_work(self.shared.clone(), begin).await?;
			for job in jobs {
				busy.push(job.gateway);
				self.begin(job);
			}
			// Each in turn, so that the first does not take all.
			idle = busy;
		}
		let asking: HashSet<usize> = (0..self.gateways.len())
			.filter(|index| self.gateways[*index].running > 0)
			.collect();
		if asking != self.asking && !asking.is_empty() {
			let mut sorted: Vec<usize> = asking.iter().copied().collect();
			sorted.sort_unstable();
			let candidates: Vec<&Candidate> = sorted
				.iter()
				.map(|index| &self.gateways[*index].candidate)
				.collect();
			self.observer.asking(&candidates);
			self.asking = asking;
		}
		Ok(())
	}

	fn begin(&mut self, job: Job) {
		let gateway = &mut self.gateways[job.gateway];
		gateway.running += 1;
		let transfer = transfer(gateway.provider.clone(), job, self.shared.clone());
		self.running.push(transfer.boxed());
	}

	/// When nobody is at work and something is missing: waits for who rests, or asks who was not asked yet.
	async fn find_somebody(&mut self) -> Result<(), RetrieveError> {
		let rest = |gateway: &Gateway| match gateway.state {
			State::Resting(until) => Some(until),
			_ => None,
		};
		let first = self.gateways.iter().filter_map(rest).min();
		if let Some(until) = first.filter(|until| *until <= Instant::now() + SHORT_REST) {
			tokio::time::sleep_until(until.into()).await;
			return Ok(());
		}
		if let Some(candidate) = self.candidates.next().await {
			self.join(candidate);
			return Ok(());
		}
		if let Some(until) = first {
			tokio::time::sleep_until(until.into()).await;
			return Ok(());
		}
		// Those that delivered something are tried again, as long as somebody else brought something since; those that
		// do not have some blocks are asked for the others.
		let received = self.received();
		let mut asked = Vec::new();
		for (index, gateway) in self.gateways.iter().enumerate() {
			match gateway.state {
				State::Aside(at) if at < received && gateway.delivered > 0 => asked.push((index, true)),
				State::Aside(_) if gateway.lacks_blocks => asked.push((index, false)),
				_ => {}
			}
		}
		let choose = move |work: &mut Work| {
			let mut again = Vec::new();
			for (gateway, is_certain) in asked {
				if is_certain || work.is_anything_for(gateway)? {
					again.push(gateway);
				}
			}
			Ok(again)
		};
		let again = on_work(self.shared.clone(), choose).await?;
		for gateway in &again {
			self.gateways[*gateway].state = State::Ready;
		}
		match again.is_empty() {
			false => Ok(()),
			true => Err(self.exhausted()),
		}
	}

	async fn conclude(&mut self, outcome: Outcome) -> Result<(), RetrieveError> {
		let Outcome { job, result } = outcome;
		let id = job.id;
		let ended = on_work(self.shared.clone(), move |work| work.finish(id)).await?;
		let received = self.received();
		let gateway = &mut self.gateways[job.gateway];
		gateway.running -= 1;
		gateway.learn(&job.flow);
		if let Err(FetchError::Disk(source)) = result {
			return Err(RetrieveError::Disk {
				path: self.shared.blocks.path(),
				source,
			});
		}
		let failed = match gateway.judge(&job, result, ended, received) {
			Verdict::Fine => return Ok(()),
			Verdict::Otherwise(error) => {
				self.note(job.gateway, error);
				return Ok(());
			}
			Verdict::Lacks(error) => {
				if let Ask::Block(cid) = job.ask {
					self.shared.work().lacks(job.gateway, cid);
				}
				match gateway.is_ready() {
					true => {
						self.note(job.gateway, error);
						return Ok(());
					}
					false => error,
				}
			}
			Verdict::Failed(error) => error,
		};
		self.observer.failed(&gateway.candidate, &failed);
		if gateway.state == State::Banned {
			self.shared.work().stop(job.gateway);
		}
		self.note(job.gateway, failed);
		Ok(())
	}

	/// Remembers the last failure of each gateway.
	fn note(&mut self, gateway: usize, error: FetchError) {
		let url = &self.gateways[gateway].candidate.url;
		self.failures.retain(|(failed, _)| failed != url);
		self.failures.push((url.clone(), error));
	}

	fn exhausted(&mut self) -> RetrieveError {
		RetrieveError::Exhausted {
			root: self.shared.wanted.root,
			failures: std::mem::take(&mut self.failures),
			from: self.delivered(),
			liars: self.liars(),
		}
	}

	fn result(&self, target: Cid) -> Retrieved {
		Retrieved {
			target,
			bytes: self.received(),
			from: self.delivered(),
			liars: self.liars(),
		}
	}

	fn delivered(&self) -> Vec<Delivered> {
		let delivered = |gateway: &Gateway| {
			(gateway.delivered > 0).then(|| Delivered {
				url: gateway.candidate.url.clone(),
				bytes: gateway.delivered,
			})
		};
		self.gateways.iter().filter_map(delivered).collect()
	}

	fn liars(&self) -> Vec<Url> {
		let lied = self
			.gateways
			.iter()
			.filter(|gateway| gateway.state == State::Banned);
		lied.map(|gateway| gateway.candidate.url.clone()).collect()
	}
}
