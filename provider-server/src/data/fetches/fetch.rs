//! One dataset on its way here.

use super::{
	incoming::Incoming,
	staging::{Staging, Writer, BATCH},
	walk::{find, Amount, Walk},
	Cause, FetchError, Limits, Peers,
};
use crate::data::error::read_problem;
use cairn_blockstore::{
	repo::{Unfinished, UploadError},
	Dataset, Repo,
};
use cairn_dag::{
	codec::{codex::CodexManifest, BlockCodec},
	codex::Manifest,
	Block, BlockSource, SourceError,
};
use cairn_network::blocks::BlockStore;
use cairn_provider_api::Problem;
use cid::Cid;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use tokio::{
	runtime::Handle,
	sync::{mpsc, watch, Semaphore},
	task::{spawn_blocking, JoinHandle},
};
use tokio_util::sync::CancellationToken;

/// Blocks that readers wait for and have not been asked for yet; each reader waits for one.
pub(super) const URGENT: usize = 64;
/// Bytes of blocks that are taken together.
const TAKEN: usize = 1 << 20;
/// Bytes of a tree's node.
const NODE_BYTES: u64 = 65;

/// How far a fetch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
	/// What it does.
	pub phase: Phase,
	/// What came from peers.
	pub received: Amount,
	/// What was on this node before.
	pub local: Amount,
	/// Peers that were found.
	pub peers: usize,
}

/// What a fetch does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
	/// Waits for the root.
	Searching,
	/// Knows the root, and takes what is below it.
	Fetching,
	/// Has everything, and makes it a dataset.
	Storing,
	/// The dataset is stored.
	Complete(Dataset),
	/// It ended without.
	Failed(Problem),
	/// It was given up.
	GivenUp,
}

/// A fetch, for those who want what it brings.
pub struct Fetch {
	root: Cid,
	/// Seconds since the Unix epoch.
	began: u64,
	given_up: CancellationToken,
	started: OnceLock<Started>,
	progress: watch::Sender<Progress>,
	urgent: mpsc::Sender<Cid>,
}

/// What is known from the root on.
struct Started {
	root: Block,
	/// What it says of the whole.
	length: Option<u64>,
	staging: Arc<Staging>,
}

/// What a fetch works with.
pub(super) struct Means {
	pub repo: Repo,
	/// Read while a dataset is committed.
	pub commits: Arc<RwLock<()>>,
	pub peers: Arc<Peers>,
	pub limits: Limits,
	/// One for each fetch that runs.
	pub places: Arc<Semaphore>,
	/// Blocks that readers wait for.
	pub urgent: mpsc::Receiver<Cid>,
	/// Why it is fetched.
	pub cause: Cause,
}

impl Fetch {
	/// A fetch that was asked for at a second since the Unix epoch and is to be [run](Self::run), and the other end
	/// of what readers find urgent.
	pub(super) fn new(root: Cid, began: u64) -> (Arc<Self>, mpsc::Receiver<Cid>) {
		let (urgent, asked) = mpsc::channel(URGENT);
		let fetch = Arc::new(Fetch {
			root,
			began,
			given_up: CancellationToken::new(),
			started: OnceLock::new(),
			progress: watch::Sender::new(Progress {
				phase: Phase::Searching,
				received: Amount::default(),
				local: Amount::default(),
				peers: 0,
			}),
			urgent,
		});
		(fetch, asked)
	}

	/// What is fetched.
	pub fn root(&self) -> &Cid {
		&self.root
	}

	/// When it was asked for, in seconds since the Unix epoch.
	pub fn began(&self) -> u64 {
		self.began
	}

	/// How far it is.
	pub fn progress(&self) -> Progress {
		self.progress.borrow().clone()
	}

	/// Bytes that the dataset takes, its tree included, as its manifest says.
	pub fn length(&self) -> Option<u64> {
		self.started.get()?.length
	}

	/// The root, once it came.
	pub fn known_root(&self) -> Option<&Block> {
		Some(&self.started.get()?.root)
	}

	/// The root's block. Waits for it.
	///
	/// # Errors
	/// Why the fetch failed, if it has.
	pub async fn root_block(&self) -> Result<Block, Problem> {
		let mut progress = self.progress.subscribe();
		let phase = progress
			.wait_for(|progress| progress.phase != Phase::Searching)
			.await;
		// The sender is `self`'s.
		let phase = phase.map(|progress| progress.phase.clone()).ok();
		match (phase, self.known_root()) {
			(Some(Phase::Failed(problem)), _) => Err(problem),
			(Some(Phase::GivenUp), _) | (None, _) | (_, None) => Err(FetchError::GivenUp.into()),
			(Some(_), Some(root)) => Ok(root.clone()),
		}
	}

	/// The dataset. Waits until it is stored.
	///
	/// # Errors
	/// Why the fetch failed.
	pub async fn dataset(&self) -> Result<Dataset, Problem> {
		let mut progress = self.progress.subscribe();
		let ended = progress.wait_for(|progress| progress.phase.is_over()).await;
		match ended.map(|progress| progress.phase.clone()) {
			Ok(Phase::Complete(dataset)) => Ok(dataset),
			Ok(Phase::Failed(problem)) => Err(problem),
			_ => Err(FetchError::GivenUp.into()),
		}
	}

	/// Ends the fetch, unless it is making the dataset already.
	pub(super) fn give_up(&self) {
		self.given_up.cancel();
	}

	/// Whether it was told to end.
	pub(super) fn is_given_up(&self) -> bool {
		self.given_up.is_cancelled()
	}

	pub(super) fn set_phase(&self, phase: Phase) {
		self.progress.send_modify(|progress| progress.phase = phase);
	}

	/// Fetches and stores the dataset. Nothing is left of it if this fails, or if the future is dropped, but for what
	/// the next process goes on with if the node is stopping.
	///
	/// # Errors
	/// [`FetchError`].
	pub(super) async fn run(&self, means: Means) -> Result<Dataset, FetchError> {
		let (commits, peers) = (means.commits.clone(), means.peers.clone());
		if means.cause == Cause::Restart {
			if let Some(dataset) = self.stored(&means.repo).await? {
				// The last process was killed between its commit and the end.
				return Ok(dataset);
			}
		}
		let fetching = async {
			let place = means.places.clone().acquire_owned().await;
			let place = place.map_err(|_| FetchError::Stopped)?;
			Ok::<_, FetchError>((place, self.transfer(means).await?))
		};
		let (_place, writer) = tokio::select! {
			biased;
			() = self.given_up.cancelled() => return Err(FetchError::GivenUp),
			() = peers.stopped.cancelled() => return Err(FetchError::Stopped),
			fetched = fetching => fetched?,
		};
		// From here on it is not given up: it would not be known whether the dataset is there.
		self.set_phase(Phase::Storing);
		let root = self.root;
		let stored = spawn_blocking(move || {
			let _committing = commits.read().unwrap_or_else(PoisonError::into_inner);
			writer.commit(&root)
		});
		let dataset = stored.await??;
		// For peers that asked for it meanwhile.
		peers.exchange.announce(vec![root]);
		Ok(dataset)
	}

	/// The dataset, if it is here with all its blocks. One of a single block may have been put without those below.
	async fn stored(&self, repo: &Repo) -> Result<Option<Dataset>, FetchError> {
		let (repo, root) = (repo.clone(), self.root);
		let found = spawn_blocking(move || repo.dataset(&root)).await?;
		Ok(found
			.map_err(UploadError::from)?
			.filter(|dataset| dataset.blocks > 1))
	}

	/// What had come of the dataset before the restart.
	async fn earlier(&self, repo: &Repo) -> Result<Option<Unfinished>, FetchError> {
		let (repo, root) = (repo.clone(), self.root);
		let found = spawn_blocking(move || repo.unfinished(&root)).await?;
		Ok(found.map_err(UploadError::from)?)
	}

	/// Brings all blocks of the dataset to the writer.
	async fn transfer(&self, means: Means) -> Result<Writer, FetchError> {
		let Means {
			repo,
			peers,
			limits,
			mut urgent,
			cause,
			..
		} = means;
		let local = peers.exchange.store().clone();
		let stopping = peers.stopped.clone();
		let earlier = match cause {
			Cause::Request => None,
			Cause::Restart => self.earlier(&repo).await?,
		};
		let mut incoming = Incoming::new(peers, self.root, limits).await?;
		if cause == Cause::Restart {
			incoming = incoming.patient();
		}
		let root = self.fetch_root(&local, &earlier, &mut incoming).await?;
		let (mut walk, writer) = self.start(root.clone(), repo, local, earlier, stopping).await?;
		let mut writing = Writing::Idle(writer);
		let (mut arrived, mut urged) = (vec![root], None);
		loop {
			let stepping = spawn_blocking(move || {
				let step = walk.step(arrived, urged);
				(walk, step)
			});
			let (stepped, step) = stepping.await?;
			walk = stepped;
			let step = step?;
			incoming.want(step.missing);
			self.progress.send_modify(|progress| progress.local += step.local);
			writing = self.write(writing).await?;
			if step.is_complete {
				return writing.ended().await;
			}
			(arrived, urged) = (Vec::new(), None);
			if step.goes_on {
				incoming.was_away();
				continue;
			}
			tokio::select! {
				block = incoming.next() => arrived = self.take(block?, &mut incoming),
				// The sender is `self`'s.
				Some(cid) = urgent.recv() => urged = Some(cid),
			}
		}
	}

	/// The root, from this node or the first peer that sends it.
	async fn fetch_root(
		&self,
		local: &Arc<dyn BlockStore>,
		earlier: &Option<Unfinished>,
		incoming: &mut Incoming,
	) -> Result<Block, FetchError> {
		let (local, earlier, root) = (local.clone(), earlier.clone(), self.root);
		let here = spawn_blocking(move || find(&*local, earlier.as_ref(), &root)).await?;
		if let Some(block) = here {
			self.progress.send_modify(|progress| progress.local.add(&block));
			return Ok(block);
		}
		incoming.want(vec![root]);
		let block = incoming.next().await?;
		Ok(self.take(block, incoming).remove(0))
	}

	/// Looks at the root, and sets aside the room that it asks for.
	async fn start(
		&self,
		root: Block,
		repo: Repo,
		local: Arc<dyn BlockStore>,
		earlier: Option<Unfinished>,
		stopping: CancellationToken,
	) -> Result<(Walk, Writer), FetchError> {
		let begun = spawn_blocking(move || {
			let manifest = manifest(&root)?;
			let length = manifest.as_ref().map(stored_size);
			let there = earlier.as_ref().map_or(0, Unfinished::bytes);
			let upload = repo.upload_of(root.cid(), length.unwrap_or(0).saturating_sub(there))?;
			let (staging, writer) = Staging::new(upload, stopping);
			let walk = Walk::new(root.cid(), manifest.as_ref(), local, earlier, staging.clone());
			let started = Started {
				root,
				length,
				staging,
			};
			Ok::<_, FetchError>((walk, writer, started))
		});
		let (walk, writer, started) = begun.await??;
		// Set once, here.
		let _ = self.started.set(started);
		self.set_phase(Phase::Fetching);
		Ok((walk, writer))
	}

	/// A block that came, and those that came with it.
	fn take(&self, first: Block, incoming: &mut Incoming) -> Vec<Block> {
		let mut received = Amount::default();
		received.add(&first);
		let mut blocks = vec![first];
		while received.bytes < TAKEN as u64 {
			let Some(block) = incoming.try_next() else { break };
			received.add(&block);
			blocks.push(block);
		}
		self.progress.send_modify(|progress| {
			progress.received += received;
			progress.peers = incoming.found();
		});
		blocks
	}

	/// Has a batch written when there is one. Waits for the batch before if it is still being written.
	async fn write(&self, writing: Writing) -> Result<Writing, FetchError> {
		let unwritten = self
			.started
			.get()
			.map_or(0, |started| started.staging.unwritten());
		if unwritten < BATCH {
			return Ok(writing);
		}
		let mut writer = writing.ended().await?;
		Ok(Writing::Running(spawn_blocking(move || {
			writer.write()?;
			Ok(writer)
		})))
	}
}

/// Who writes, or what it does now.
enum Writing {
	Idle(Writer),
	Running(JoinHandle<Result<Writer, UploadError>>),
}

impl Writing {
	async fn ended(self) -> Result<Writer, FetchError> {
		match self {
			Writing::Idle(writer) => Ok(writer),
			Writing::Running(running) => Ok(running.await??),
		}
	}
}

impl Phase {
	/// Whether nothing more happens.
	pub fn is_over(&self) -> bool {
		matches!(self, Phase::Complete(_) | Phase::Failed(_) | Phase::GivenUp)
	}

	/// Its name in the API.
	pub fn name(&self) -> &'static str {
		match self {
			Phase::Searching => "searching",
			Phase::Fetching => "fetching",
			Phase::Storing => "storing",
			Phase::Complete(_) => "complete",
			Phase::Failed(_) => "failed",
			Phase::GivenUp => "given_up",
		}
	}
}

/// What the root says, if it is a manifest.
fn manifest(root: &Block) -> Result<Option<Manifest>, FetchError> {
	let cid = *root.cid();
	if cid.codec() != CodexManifest::CODE {
		return Ok(None);
	}
	let manifest = Manifest::decode(root.data()).map_err(|error| FetchError::Codec { cid, error })?;
	Ok(Some(manifest))
}

/// Bytes that a dataset takes here, if no two of its blocks are alike: its blocks and the nodes over them.
fn stored_size(manifest: &Manifest) -> u64 {
	let blocks = manifest.blocks();
	let nodes = blocks.saturating_sub(1);
	blocks
		.saturating_mul(manifest.block_size.into())
		.saturating_add(nodes.saturating_mul(NODE_BYTES))
}

/// A dataset that is being fetched, for reading: has what came, and waits for what did not.
pub struct Arriving {
	pub(super) fetch: Arc<Fetch>,
	pub(super) repo: Repo,
	pub(super) runtime: Handle,
	/// Ends the wait when the reader is gone.
	pub(super) gone: CancellationToken,
}

impl Arriving {
	/// Waits until the dataset is stored. Blocks the thread.
	///
	/// # Errors
	/// Why it is not.
	pub fn wait_until_stored(&self) -> Result<Dataset, Problem> {
		self.runtime.block_on(async {
			tokio::select! {
				stored = self.fetch.dataset() => stored,
				() = self.gone.cancelled() => Err(FetchError::GivenUp.into()),
			}
		})
	}

	fn look(&self, cid: &Cid) -> Result<Option<Block>, Problem> {
		if let Some(started) = self.fetch.started.get() {
			if let Some(block) = started.staging.get(cid)? {
				return Ok(Some(block));
			}
		}
		self.repo.get(cid).map_err(|error| read_problem(cid, &error))
	}
}

impl BlockSource for Arriving {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		let mut progress = self.fetch.progress.subscribe();
		let mut is_urged = false;
		loop {
			// Before looking: what comes in between is seen the next time.
			let phase = progress.borrow_and_update().phase.clone();
			if let Some(block) = self.look(cid).map_err(SourceError::new)? {
				return Ok(Some(block));
			}
			match phase {
				Phase::Complete(_) => return Ok(None),
				Phase::Failed(problem) => return Err(SourceError::new(problem)),
				Phase::GivenUp => return Err(SourceError::new(FetchError::GivenUp)),
				Phase::Searching | Phase::Fetching | Phase::Storing => {}
			}
			if !is_urged {
				// Where the queue is full the block comes in its turn.
				is_urged = self.fetch.urgent.try_send(*cid).is_ok();
			}
			let is_gone = self.runtime.block_on(async {
				tokio::select! {
					// The sender is the fetch's.
					_ = progress.changed() => false,
					() = self.gone.cancelled() => true,
				}
			});
			if is_gone {
				return Err(SourceError::new(FetchError::GivenUp));
			}
		}
	}

	/// Whether it is here already.
	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		Ok(self.look(cid).map_err(SourceError::new)?.is_some())
	}
}
