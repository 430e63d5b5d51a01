//! From an accepted deal to a sector that proves itself every period.
//!
//! The pipeline is level-triggered: with every finalized block, and whenever a job ends or data
//! arrives, [`Pipeline::step`] compares what the database says with what the chain says and starts
//! the jobs that are due. A job changes the database before and after it acts, never relies on
//! memory, and may die at any point:
//!
//! 1. it stores what it is about to do, with the last block in which that can take effect;
//! 2. it acts (a transaction, a seal);
//! 3. it stores the outcome.
//!
//! After a kill between 1 and 3, the step finds the intermediate state without its job and asks the
//! chain whether the effect is there. If it is, the state moves on; if it is not and cannot come any
//! more, the state moves back and the job starts again. So nothing is sent twice that could count
//! twice, and no sector number is used twice.
//!
//! | job | does | file |
//! |---|---|---|
//! | publish | deals with data → on chain | [`publish`] |
//! | commit | a sector's data commitment, or its seal | [`commit`] |
//! | pre-commit, prove | sectors → active | [`activate`] |
//! | finish | what only activation needed → removed | [`finish`] |
//! | window | the open deadline's proof | [`window`] |
//! | health | faults, recoveries, expiry | [`health`] |
//! | settle | payments | [`settle`] |
//! | clean | disk | [`clean`] |

mod activate;
mod clean;
mod commit;
mod finish;
mod health;
mod publish;
mod settle;
mod window;

#[cfg(test)]
mod tests;

use crate::{
	chain::{Action, ActionError, ChainError, ChainEvent},
	provider::{Provider, ViewError},
	store::StoreError,
};
use cairn_primitives::{BlockNumber, SectorNumber};
use cairn_provider_api::Hash32;
use std::{
	collections::{HashMap, HashSet},
	future::Future,
	sync::{
		atomic::{AtomicBool, Ordering},
		Arc,
	},
	time::Duration,
};
use tokio::{
	sync::{mpsc, Semaphore},
	task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// Blocks in which a transaction may take effect after it was decided on.
const VALIDITY: BlockNumber = 16;
/// Pause after the chain could not be asked.
const CHAIN_PAUSE: Duration = Duration::from_secs(2);
/// Blocks between two sweeps of the disk.
const CLEAN_EVERY: BlockNumber = 20;
/// Blocks between two notes of the latest block seen.
const NOTE_EVERY: BlockNumber = 10;
/// Finalized blocks that wait for the pipeline. More is pointless: a step looks at the latest state.
const BLOCKS_IN_FLIGHT: usize = 64;

/// Why a job could not do its work. It is tried again with a later block.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
	/// The chain could not be asked.
	#[error(transparent)]
	Chain(#[from] ChainError),
	/// The chain's view could not be read.
	#[error(transparent)]
	View(#[from] ViewError),
	/// The database failed.
	#[error(transparent)]
	Store(#[from] StoreError),
	/// The sector store failed.
	#[error(transparent)]
	Sectors(#[from] cairn_proving::StoreError),
	/// The file system failed.
	#[error(transparent)]
	Io(#[from] std::io::Error),
	/// A blocking task ended without a result: the process is shutting down, or a defect.
	#[error("a task was interrupted: {0}")]
	Interrupted(#[from] JoinError),
}

/// A job of which one runs at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Job {
	Publish,
	Commit(SectorNumber),
	PreCommit,
	Prove,
	Finish,
	Window,
	Health,
	Settle,
	Clean,
}

/// What steps and jobs share.
#[derive(Clone)]
pub(crate) struct Context {
	pub provider: Arc<Provider>,
	/// Places for sealing.
	pub seal_places: Arc<Semaphore>,
	/// Set when the process is to stop: seals break off at the next checkpoint.
	pub stopping: Arc<AtomicBool>,
}

impl std::ops::Deref for Context {
	type Target = Provider;
	fn deref(&self) -> &Provider {
		&self.provider
	}
}

impl Context {
	/// Sends an action and counts its outcome.
	pub async fn act(
		&self,
		action: Action,
		valid_until: BlockNumber,
	) -> Result<Vec<ChainEvent>, ActionError> {
		let name = action.name();
		let outcome = self.chain.act(action, valid_until).await;
		let label = match &outcome {
			Ok(_) => "ok",
			Err(ActionError::Refused { .. }) => "refused",
			Err(ActionError::NotIncluded(_) | ActionError::WorkerUnfunded) => "not_included",
			Err(ActionError::Unknown(_)) => "unknown",
		};
		self.metrics.transactions.with_label_values(&[name, label]).inc();
		match &outcome {
			Ok(_) => tracing::info!(call = name, "transaction finalized"),
			Err(error) => tracing::warn!(call = name, %error, "transaction failed"),
		}
		outcome
	}

	/// Runs `work` on a thread that may block.
	pub async fn blocking<T: Send + 'static>(
		&self,
		work: impl FnOnce(&Provider) -> T + Send + 'static,
	) -> Result<T, JobError> {
		let provider = self.provider.clone();
		Ok(tokio::task::spawn_blocking(move || work(&provider)).await?)
	}
}

/// The pipeline of one provider.
pub struct Pipeline {
	context: Context,
	/// Tasks of jobs; each tells whether it did its work.
	jobs: JoinSet<bool>,
	/// The jobs that run, by their tasks.
	running: HashMap<Id, Job>,
	/// Jobs that failed. They rest until the next block: what keeps them from their work, a full disk for
	/// instance, lasts longer than they take to find out.
	resting: HashSet<Job>,
	last_noted: BlockNumber,
	last_clean: Option<BlockNumber>,
	last_settle: BlockNumber,
	health: health::Schedule,
}

impl Pipeline {
	/// The pipeline of `provider`.
	pub fn new(provider: Arc<Provider>) -> Self {
		let context = Context {
			seal_places: Arc::new(Semaphore::new(provider.config.sealing.workers)),
			stopping: Arc::default(),
			provider,
		};
		let last_settle = context.view().finalized;
		Pipeline {
			context,
			jobs: JoinSet::new(),
			running: HashMap::new(),
			resting: HashSet::new(),
			last_noted: 0,
			last_clean: None,
			last_settle,
			health: health::Schedule::default(),
		}
	}

	/// Runs until `shutdown`, then waits for jobs that can be left in order.
	///
	/// # Errors
	/// If what a kill left behind cannot be brought in order.
	pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), JobError> {
		self.recover().await?;
		let mut blocks = watch_blocks(self.context.provider.clone(), shutdown.clone());
		loop {
			if let Err(error) = self.step().await {
				tracing::warn!(%error, "the pipeline could not look at the chain or the database");
			}
			tokio::select! {
				() = shutdown.cancelled() => break,
				block = blocks.recv() => match block {
					Some((number, events)) => self.block(number, events).await,
					None => break,
				},
				() = self.context.provider.wake.notified() => {},
				Some(done) = self.jobs.join_next_with_id(), if !self.jobs.is_empty() => self.finished(done),
			}
			// Catch up without a step for each block.
			while let Ok((number, events)) = blocks.try_recv() {
				self.block(number, events).await;
			}
			self.reap();
		}
		self.stop().await;
		Ok(())
	}

	/// Lets seals break off and abandons waits for transactions: both are taken up again.
	async fn stop(&mut self) {
		self.context.stopping.store(true, Ordering::SeqCst);
		let waiting = async {
			while self.running.values().any(|job| matches!(job, Job::Commit(_))) {
				match self.jobs.join_next_with_id().await {
					Some(done) => self.finished(done),
					None => break,
				}
			}
		};
		if tokio::time::timeout(Duration::from_secs(30), waiting)
			.await
			.is_err()
		{
			tracing::warn!("a seal did not break off in time; its last layer is made again");
		}
		self.jobs.abort_all();
	}

	/// Brings in order what a kill may have left.
	pub(crate) async fn recover(&mut self) -> Result<(), JobError> {
		let recovered = self
			.context
			.blocking(|provider| provider.uploads.recover())
			.await??;
		for hash in recovered {
			tracing::info!(deal = %Hash32(hash), "the data of a deal was complete before the restart");
		}
		commit::skip_used_numbers(&self.context).await?;
		self.consider_all().await
	}

	/// Looks at every proposal on chain that names this provider.
	async fn consider_all(&self) -> Result<(), JobError> {
		if self.context.config.deals.watch_chain {
			for (hash, _) in self.context.chain.proposals_for(&self.context.owner).await? {
				self.consider(hash).await;
			}
		}
		Ok(())
	}

	/// Takes a proposal made on chain, if its terms fit.
	async fn consider(&self, hash: [u8; 32]) {
		if let Err(problem) = self.context.admit_on_chain(&hash).await {
			tracing::info!(deal = %Hash32(hash), %problem, "a proposal made on chain is not taken");
		}
	}

	/// Notes what a finalized block brought.
	pub(crate) async fn block(&mut self, number: BlockNumber, events: Vec<ChainEvent>) {
		self.context.metrics.finalized_block.set(number.into());
		self.resting.clear();
		let mut payments = Vec::new();
		for event in events {
			match event {
				ChainEvent::DealProposed { proposal_hash, .. } => {
					if self.context.config.deals.watch_chain {
						self.consider(proposal_hash).await;
					}
				}
				ChainEvent::ProposalGone { proposal_hash } => {
					if let Err(error) = publish::withdrawn(&self.context, proposal_hash).await {
						tracing::warn!(%error, "a withdrawn proposal could not be noted");
					}
				}
				ChainEvent::DealPublished {
					deal_id,
					proposal_hash,
				} => {
					tracing::info!(deal = %Hash32(proposal_hash), deal_id, "deal published");
				}
				ChainEvent::Paid { deal_id, amount } => payments.push((deal_id, amount)),
				ChainEvent::Unreadable => {
					tracing::warn!(number, "the node has forgotten what happened in a block");
					if let Err(error) = self.consider_all().await {
						tracing::warn!(%error, "the proposals on chain could not be read");
					}
				}
			}
		}
		if !payments.is_empty() {
			settle::paid(&self.context, &payments).await;
		}
	}

	/// Notes the jobs that have ended.
	pub(crate) fn reap(&mut self) {
		while let Some(done) = self.jobs.try_join_next_with_id() {
			self.finished(done);
		}
	}

	fn finished(&mut self, done: Result<(Id, bool), JoinError>) {
		let (id, succeeded) = match &done {
			Ok((id, succeeded)) => (*id, *succeeded),
			Err(error) => (error.id(), false),
		};
		let job = self.running.remove(&id);
		if !succeeded {
			self.resting.extend(job);
		}
		// It may start again: each job asks the chain before it acts.
		if let Err(error) = done {
			tracing::error!(?job, %error, "a job broke");
		}
	}

	/// Starts a job unless it runs or rests.
	fn start(&mut self, job: Job, work: impl Future<Output = Result<(), JobError>> + Send + 'static) {
		if self.runs(job) || self.resting.contains(&job) {
			return;
		}
		let task = self.jobs.spawn(async move {
			let outcome = work.await;
			if let Err(error) = &outcome {
				tracing::warn!(?job, %error, "a job failed and will be tried again");
			}
			outcome.is_ok()
		});
		self.running.insert(task.id(), job);
	}

	fn runs(&self, job: Job) -> bool {
		self.running.values().any(|running| *running == job)
	}

	/// Compares, and starts what is due.
	pub(crate) async fn step(&mut self) -> Result<(), JobError> {
		let now = self.context.refresh_view().await?.finalized;
		// What cannot go on at one place must not keep the rest from it. The clock runs on proofs: they come
		// first.
		let outcomes = [
			self.step_windows(now).await,
			self.step_publication(now).await,
			self.step_commitments(now).await,
			self.step_activation(now).await,
			self.step_upkeep(now).await,
		];
		let mut failures = outcomes.into_iter().filter_map(Result::err);
		let first = failures.next();
		for error in failures {
			tracing::warn!(%error, "a part of the pipeline could not look at the chain or the database");
		}
		first.map_or(Ok(()), Err)
	}

	async fn step_windows(&mut self, now: BlockNumber) -> Result<(), JobError> {
		let context = self.context.clone();
		if !self.runs(Job::Window) && window::is_due(&context, now).await? {
			self.start(Job::Window, window::run(context, now));
		}
		Ok(())
	}

	async fn step_publication(&mut self, now: BlockNumber) -> Result<(), JobError> {
		let context = self.context.clone();
		publish::reconcile(&context, now, self.runs(Job::Publish)).await?;
		if !self.runs(Job::Publish) && publish::is_due(&context, now).await? {
			self.start(Job::Publish, publish::run(context, now));
		}
		Ok(())
	}

	async fn step_commitments(&mut self, now: BlockNumber) -> Result<(), JobError> {
		let context = self.context.clone();
		commit::pack(&context, now).await?;
		for number in commit::due(&context, now).await? {
			self.start(Job::Commit(number), commit::run(context.clone(), number, now));
		}
		Ok(())
	}

	async fn step_activation(&mut self, now: BlockNumber) -> Result<(), JobError> {
		let context = self.context.clone();
		activate::reconcile(&context, now, self.runs(Job::PreCommit), self.runs(Job::Prove)).await?;
		if !self.runs(Job::PreCommit) && activate::pre_commit_is_due(&context, now).await? {
			self.start(Job::PreCommit, activate::pre_commit(context.clone(), now));
		}
		if !self.runs(Job::Prove) && activate::prove_is_due(&context, now).await? {
			self.start(Job::Prove, activate::prove(context.clone(), now));
		}
		if !self.runs(Job::Finish) && finish::is_due(&context, now).await? {
			self.start(Job::Finish, finish::run(context, now));
		}
		Ok(())
	}

	async fn step_upkeep(&mut self, now: BlockNumber) -> Result<(), JobError> {
		let context = self.context.clone();
		if now >= self.last_noted.saturating_add(NOTE_EVERY) {
			// Faults are declared and money is settled whether or not this can be noted.
			match context.store.run(move |store| store.note_finalized(now)).await {
				Ok(()) => self.last_noted = now,
				Err(error) => tracing::warn!(%error, "the latest block could not be noted"),
			}
		}
		if !self.runs(Job::Health) && self.health.is_due(&context, now).await? {
			self.start(Job::Health, health::run(context.clone(), now));
		}
		let settle_every = context.config.deals.settle_every_blocks;
		if settle_every > 0 && now >= self.last_settle.saturating_add(settle_every) {
			self.last_settle = now;
			self.start(Job::Settle, settle::settle(context.clone(), now));
		}
		if self
			.last_clean
			.is_none_or(|last| now >= last.saturating_add(CLEAN_EVERY))
		{
			self.last_clean = Some(now);
			self.start(Job::Clean, clean::clean(context.clone()));
		}
		Ok(())
	}

	/// Waits until no job runs. For tests.
	#[cfg(test)]
	pub(crate) async fn drain(&mut self) {
		while let Some(done) = self.jobs.join_next_with_id().await {
			self.finished(done);
		}
	}
}

/// Hands finalized blocks to the pipeline, through outages of the node.
fn watch_blocks(
	provider: Arc<Provider>,
	shutdown: CancellationToken,
) -> mpsc::Receiver<(BlockNumber, Vec<ChainEvent>)> {
	let (sender, receiver) = mpsc::channel(BLOCKS_IN_FLIGHT);
	tokio::spawn(async move {
		loop {
			let next = tokio::select! {
				() = shutdown.cancelled() => return,
				next = provider.chain.next_block() => next,
			};
			match next {
				Ok(block) => {
					if sender.send(block).await.is_err() {
						return;
					}
				}
				Err(ChainError::Unavailable(error)) => {
					tracing::warn!(error, "the node is not reachable");
					tokio::time::sleep(CHAIN_PAUSE).await;
				}
				Err(ChainError::Unusable(error)) => {
					tracing::error!(
						error,
						"the node cannot be used; check that it serves this provider's chain and version"
					);
					tokio::time::sleep(10 * CHAIN_PAUSE).await;
				}
			}
		}
	});
	receiver
}
