//! Uploads: data that comes in one request or several, and becomes a dataset at its end.
//!
//! Data that comes in one request goes to a session of the repository, which keeps it invisible until the dataset is
//! whole, through a [`DatasetBuilder`], which cuts it into blocks. Data that comes in several rests in a file between
//! them ([`spool`]), which outlives the process, and goes the same way when all of it is there.
//!
//! One request at a time has an upload in hand ([`Running`]), on a blocking thread. However the request ends
//! (done, refused, its connection gone, its task dropped), dropping the `Running` puts the upload back if it
//! can be resumed, and gives it up if not.

mod spool;
#[cfg(test)]
mod tests;

use super::upload_problem;
use crate::ingest::Disk;
use bytes::Bytes;
use cairn_blockstore::{
	repo::{CommitOptions, FillError, UploadError},
	Dataset, Repo, Ttl, Upload as Session,
};
use cairn_dag::{
	codex::{DatasetBuilder, ImportError, DEFAULT_BLOCK_SIZE},
	SinkError,
};
use cairn_provider_api::{ErrorKind, Problem};
use cid::Cid;
use rand_core::{OsRng, RngCore};
use spool::{Spool, Spools};
use std::{
	collections::HashMap,
	io::Read,
	path::Path,
	sync::{
		atomic::{AtomicU64, Ordering},
		Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
	},
	time::Duration,
};
use tokio::{runtime::Handle, sync::mpsc, time::Instant};

/// Finished uploads whose outcome can still be asked for: by clients that missed the answer.
const MAX_FINISHED: usize = 256;

/// Bytes that are read at once of what rests in a file.
const READ_BYTES: usize = 1 << 20;

/// Bytes of a tree's node.
const NODE_BYTES: u64 = 65;

/// What an upload is to become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
	/// Name of the data, for the manifest.
	pub filename: Option<String>,
	/// Media type of the data, for the manifest.
	pub mimetype: Option<String>,
	/// For how long to keep the dataset; none for the repository's default.
	pub ttl: Option<Ttl>,
	/// Bytes of the data, if they are known beforehand.
	pub length: Option<u64>,
	/// Whether what came is kept when a request breaks off.
	pub resumable: bool,
}

/// How far an upload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
	/// Its name.
	pub id: String,
	/// What it is to become.
	pub terms: Terms,
	/// Bytes that came.
	pub received: u64,
	/// Whether a request is bringing data.
	pub running: bool,
	/// The dataset, once everything came.
	pub dataset: Option<Cid>,
	/// For how long it waits for the next request, or its outcome can be asked for.
	pub waits: Duration,
}

/// All uploads.
pub struct Uploads {
	repo: Repo,
	commits: Arc<RwLock<()>>,
	spools: Spools,
	max_open: usize,
	patience: Duration,
	entries: Mutex<HashMap<String, Entry>>,
}

struct Entry {
	terms: Terms,
	received: Arc<AtomicU64>,
	state: State,
	/// When it is forgotten, unless it is running then.
	until: Instant,
}

enum State {
	/// Waits for a request.
	Resting(Box<Work>),
	/// A request has it.
	Running,
	Finished(Cid),
}

/// What an upload works with.
enum Work {
	/// It comes in one request.
	Direct {
		session: Session,
		builder: DatasetBuilder,
	},
	/// It may come in several.
	Spooled(Spool),
}

impl Work {
	/// Removes what came.
	fn give_up(self) {
		match self {
			// Dropping the session does.
			Work::Direct { .. } => {}
			Work::Spooled(spool) => spool.remove(),
		}
	}
}

/// An upload in the hands of one request.
pub struct Running {
	uploads: Arc<Uploads>,
	id: String,
	terms: Terms,
	received: Arc<AtomicU64>,
	/// None once it is spent: finished, or spoilt by a failure to write to the repository.
	work: Option<Box<Work>>,
}

impl Uploads {
	/// Those that rest in files in `folder`. At most `max_open` are open at a time, and one that nobody goes on with
	/// for `patience` is given up. `commits` is read while a dataset is committed. Blocks the thread.
	///
	/// # Errors
	/// If the folder cannot be created or read.
	pub fn open(
		repo: Repo,
		commits: Arc<RwLock<()>>,
		(folder, disk): (&Path, Disk),
		max_open: usize,
		patience: Duration,
	) -> std::io::Result<Arc<Self>> {
		let spools = Spools::open(folder, disk, repo.clone())?;
		let until = Instant::now() + patience;
		let mut entries = HashMap::new();
		for (id, terms, spool) in spools.restore()? {
			let entry = Entry {
				terms,
				received: Arc::new(AtomicU64::new(spool.len())),
				state: State::Resting(Box::new(Work::Spooled(spool))),
				until,
			};
			entries.insert(id, entry);
		}
		let resting: Vec<String> = entries.keys().cloned().collect();
		let uploads = Arc::new(Uploads {
			repo,
			commits,
			spools,
			max_open,
			patience,
			entries: Mutex::new(entries),
		});
		for id in resting {
			uploads.watch(&id, until);
		}
		Ok(uploads)
	}

	/// Begins an upload, and sets the room for it aside if its length is known. Blocks the thread.
	///
	/// # Errors
	/// [`ErrorKind::Busy`] if too many are open, [`ErrorKind::StorageFull`] if there is no room.
	pub fn begin(self: &Arc<Self>, terms: Terms) -> Result<Running, Problem> {
		let mut random = [0; 16];
		OsRng.fill_bytes(&mut random);
		let id = hex::encode(random);
		let received = Arc::new(AtomicU64::new(0));
		{
			// A place first, so that waiting for the database does not let too many in.
			let mut entries = self.lock();
			let open = entries.values().filter(|entry| entry.is_open()).count();
			if open >= self.max_open {
				return Err(Problem::new(ErrorKind::Busy, "too many uploads are open")
					.hint("finish or delete one: GET /uploads lists them"));
			}
			let entry = Entry {
				terms: terms.clone(),
				received: received.clone(),
				state: State::Running,
				until: Instant::now() + self.patience,
			};
			entries.insert(id.clone(), entry);
		}
		let mut running = Running {
			uploads: self.clone(),
			id,
			terms,
			received,
			work: None,
		};
		let work = if running.terms.resumable {
			Work::Spooled(self.spools.begin(&running.id, &running.terms)?)
		} else {
			let expected = running.terms.length.map_or(0, stored_size);
			let session = self.repo.upload(expected);
			Work::Direct {
				session: session.map_err(|error| upload_problem(&error))?,
				builder: builder()?,
			}
		};
		running.work = Some(Box::new(work));
		Ok(running)
	}

	/// Takes an upload up again.
	///
	/// # Errors
	/// [`ErrorKind::NotFound`] if there is none of that name, [`ErrorKind::UploadRunning`] if another request has
	/// it, [`ErrorKind::WrongState`] if it is finished.
	pub fn resume(self: &Arc<Self>, id: &str) -> Result<Running, Problem> {
		let mut entries = self.lock();
		let entry = entries.get_mut(id).ok_or_else(unknown)?;
		match std::mem::replace(&mut entry.state, State::Running) {
			State::Resting(work) => Ok(Running {
				uploads: self.clone(),
				id: id.to_owned(),
				terms: entry.terms.clone(),
				received: entry.received.clone(),
				work: Some(work),
			}),
			State::Running => Err(Problem::new(
				ErrorKind::UploadRunning,
				"another request is bringing data for this upload",
			)
			.hint("wait until it has ended, and ask for the offset with HEAD")),
			State::Finished(cid) => {
				entry.state = State::Finished(cid);
				Err(Problem::new(ErrorKind::WrongState, "the upload is complete")
					.hint("GET shows the dataset that it became"))
			}
		}
	}

	/// How far an upload is.
	pub fn status(&self, id: &str) -> Option<Status> {
		let entries = self.lock();
		entries.get(id).map(|entry| entry.status(id))
	}

	/// How far all uploads are, those that finished lately included.
	pub fn list(&self) -> Vec<Status> {
		let entries = self.lock();
		let mut list: Vec<_> = entries.iter().map(|(id, entry)| entry.status(id)).collect();
		list.sort_by(|a, b| a.id.cmp(&b.id));
		list
	}

	/// Gives an upload up. One that a request has in hand ends with that request. Returns whether there was one.
	pub fn discard(&self, id: &str) -> bool {
		let removed = self.lock().remove(id);
		let found = removed.is_some();
		give_up(removed.and_then(Entry::into_work));
		found
	}

	fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
		// Every change below is complete when it could panic.
		self.entries.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// Gives an upload up that nobody goes on with, when its time has come.
	fn watch(self: &Arc<Self>, id: &str, until: Instant) {
		let Ok(runtime) = Handle::try_current() else {
			return;
		};
		let (uploads, id): (Weak<Self>, String) = (Arc::downgrade(self), id.to_owned());
		runtime.spawn(async move {
			tokio::time::sleep_until(until).await;
			let Some(uploads) = uploads.upgrade() else { return };
			let due = {
				let mut entries = uploads.lock();
				// Another request may have been there, and watches for itself.
				let due = entries
					.get(&id)
					.is_some_and(|entry| entry.until <= until && !matches!(entry.state, State::Running));
				due.then(|| entries.remove(&id)).flatten()
			};
			give_up(due.and_then(Entry::into_work));
		});
	}
}

impl Entry {
	fn is_open(&self) -> bool {
		!matches!(self.state, State::Finished(_))
	}

	fn into_work(self) -> Option<Box<Work>> {
		match self.state {
			State::Resting(work) => Some(work),
			State::Running | State::Finished(_) => None,
		}
	}

	fn status(&self, id: &str) -> Status {
		Status {
			id: id.to_owned(),
			terms: self.terms.clone(),
			received: self.received.load(Ordering::Relaxed),
			running: matches!(self.state, State::Running),
			dataset: match self.state {
				State::Finished(cid) => Some(cid),
				_ => None,
			},
			waits: self.until.saturating_duration_since(Instant::now()),
		}
	}
}

impl Running {
	/// Its name.
	pub fn id(&self) -> &str {
		&self.id
	}

	/// What it is to become.
	pub fn terms(&self) -> &Terms {
		&self.terms
	}

	/// Bytes that came.
	pub fn received(&self) -> u64 {
		self.received.load(Ordering::Relaxed)
	}

	/// Whether another request can take it up after this one.
	pub fn can_go_on(&self) -> bool {
		self.terms.resumable && self.work.is_some() && !self.is_discarded()
	}

	/// Whether it was given up while this request has it.
	pub fn is_discarded(&self) -> bool {
		!self.uploads.lock().contains_key(&self.id)
	}

	/// Notes the length, which a later request may be the first to know. Blocks the thread for a moment.
	///
	/// # Errors
	/// [`ErrorKind::Malformed`] if it is not the one that was announced before, or less than came;
	/// [`ErrorKind::StorageFull`] if there is no room for so much.
	pub fn announce(&mut self, length: u64) -> Result<(), Problem> {
		if self.terms.length.is_some_and(|known| known != length) || length < self.received() {
			return Err(Problem::new(
				ErrorKind::Malformed,
				"the upload was announced with another length",
			)
			.hint("HEAD shows offset and length"));
		}
		if self.terms.length == Some(length) {
			return Ok(());
		}
		let terms = Terms {
			length: Some(length),
			..self.terms.clone()
		};
		if let Some(Work::Spooled(spool)) = self.work.as_deref_mut() {
			spool.announce(&terms)?;
		}
		self.terms = terms;
		if let Some(entry) = self.uploads.lock().get_mut(&self.id) {
			entry.terms.length = Some(length);
		}
		Ok(())
	}

	/// Writes what comes through the channel, until it is closed. Blocks the thread.
	///
	/// # Errors
	/// What kept it from being written. An upload that can be resumed has what came before.
	pub fn write(&mut self, mut chunks: mpsc::Receiver<Bytes>) -> Result<(), Problem> {
		let mut work = self.work.take().ok_or_else(spoilt)?;
		let received = &self.received;
		match &mut *work {
			Work::Direct { session, builder } => session
				.fill(|sink| -> Result<(), SinkError> {
					while let Some(chunk) = chunks.blocking_recv() {
						builder.write(&chunk, sink)?;
						received.store(builder.size(), Ordering::Relaxed);
					}
					Ok(())
				})
				.map_err(fill_problem)?,
			Work::Spooled(spool) => {
				let written = loop {
					let Some(chunk) = chunks.blocking_recv() else {
						break Ok(());
					};
					match spool.write(&chunk) {
						Ok(()) => received.store(spool.len(), Ordering::Relaxed),
						Err(problem) => break Err(problem),
					}
				};
				// Kept also if the disk is full now, or breaks: the next request learns it.
				let synced = spool.sync();
				self.work = Some(work);
				return written.and(synced);
			}
		}
		self.work = Some(work);
		Ok(())
	}

	/// Makes the dataset of what came and shows it. Blocks the thread.
	///
	/// # Errors
	/// [`ErrorKind::Unprocessable`] if nothing came; what kept the rest from being written. An upload that can be
	/// resumed can be finished once more then.
	pub fn finish(mut self) -> Result<Dataset, Problem> {
		let work = self.work.take().ok_or_else(spoilt)?;
		let committed = match *work {
			Work::Direct { session, builder } => self.commit(session, builder)?,
			Work::Spooled(mut spool) => match self.commit_spooled(&mut spool) {
				Ok(committed) => {
					spool.remove();
					committed
				}
				Err(problem) => {
					spool.take_room_again(self.terms.length);
					self.work = Some(Box::new(Work::Spooled(spool)));
					return Err(problem);
				}
			},
		};
		self.finished(committed.root);
		Ok(committed)
	}

	/// Makes the dataset of what rests in a file.
	fn commit_spooled(&self, spool: &mut Spool) -> Result<Dataset, Problem> {
		let mut session = self
			.uploads
			.repo
			.upload_within(spool.give_room())
			.map_err(|error| upload_problem(&error))?;
		let mut builder = builder()?;
		let mut data = spool.read()?;
		let mut part = vec![0; READ_BYTES];
		session
			.fill(|sink| -> Result<(), SinkError> {
				loop {
					match data.read(&mut part).map_err(SinkError::new)? {
						0 => return Ok(()),
						read => builder.write(&part[..read], sink)?,
					}
					if self.is_discarded() {
						return Ok(());
					}
				}
			})
			.map_err(fill_problem)?;
		self.commit(session, builder)
	}

	fn commit(&self, mut session: Session, builder: DatasetBuilder) -> Result<Dataset, Problem> {
		self.check_wanted()?;
		let terms = &self.terms;
		let dataset = builder
			.finish(&mut session, terms.filename.clone(), terms.mimetype.clone())
			.map_err(build_problem)?;
		let options = CommitOptions {
			ttl: terms.ttl,
			..CommitOptions::default()
		};
		// Building the tree takes a while.
		self.check_wanted()?;
		let _committing = self
			.uploads
			.commits
			.read()
			.unwrap_or_else(PoisonError::into_inner);
		let committed = session.commit(&dataset.cid, &options);
		committed.map_err(|error| upload_problem(&error))
	}

	/// Fails if it was given up while this request has it.
	fn check_wanted(&self) -> Result<(), Problem> {
		match self.is_discarded() {
			true => Err(discarded()),
			false => Ok(()),
		}
	}

	/// Notes the outcome for who asks later.
	fn finished(&self, cid: Cid) {
		let mut entries = self.uploads.lock();
		if !self.terms.resumable {
			entries.remove(&self.id);
			return;
		}
		let until = Instant::now() + self.uploads.patience;
		let Some(entry) = entries.get_mut(&self.id) else {
			return;
		};
		entry.state = State::Finished(cid);
		entry.until = until;
		let finished = |entry: &Entry| !entry.is_open();
		while entries.values().filter(|entry| finished(entry)).count() > MAX_FINISHED {
			let oldest = entries
				.iter()
				.filter(|(_, entry)| finished(entry))
				.min_by_key(|(_, entry)| entry.until)
				.map(|(id, _)| id.clone());
			oldest.and_then(|id| entries.remove(&id));
		}
		drop(entries);
		self.uploads.watch(&self.id, until);
	}
}

impl Drop for Running {
	fn drop(&mut self) {
		let work = self.work.take();
		let mut entries = self.uploads.lock();
		let Some(entry) = entries.get_mut(&self.id) else {
			// Discarded meanwhile, or finished.
			drop(entries);
			return give_up(work);
		};
		if !entry.is_open() {
			return;
		}
		match work {
			Some(work) if self.terms.resumable => {
				let until = Instant::now() + self.uploads.patience;
				entry.until = until;
				entry.state = State::Resting(work);
				drop(entries);
				self.uploads.watch(&self.id, until);
			}
			work => {
				entries.remove(&self.id);
				drop(entries);
				give_up(work);
			}
		}
	}
}

/// Removes what came of an upload, where that keeps nobody waiting.
fn give_up(work: Option<Box<Work>>) {
	let Some(work) = work else { return };
	match Handle::try_current() {
		Ok(runtime) => drop(runtime.spawn_blocking(move || work.give_up())),
		Err(_) => work.give_up(),
	}
}

/// Drops an upload, which writes to the database, where that keeps nobody waiting.
pub(super) fn off_the_executor<T: Send + 'static>(upload: Option<T>) {
	let Some(upload) = upload else { return };
	match Handle::try_current() {
		Ok(runtime) => drop(runtime.spawn_blocking(move || drop(upload))),
		Err(_) => drop(upload),
	}
}

/// Bytes that a dataset of so many bytes takes in the repository at least, unless blocks of it are there already
/// or alike. Less than what it will take, so that what fits exactly is not refused.
fn stored_size(length: u64) -> u64 {
	let blocks = length.div_ceil(DEFAULT_BLOCK_SIZE.into());
	let nodes = blocks.saturating_sub(1);
	blocks
		.saturating_mul(DEFAULT_BLOCK_SIZE.into())
		.saturating_add(nodes.saturating_mul(NODE_BYTES))
}

/// What a request is told whose upload was given up meanwhile.
pub fn discarded() -> Problem {
	Problem::new(ErrorKind::WrongState, "the upload was given up").hint("begin another")
}

fn unknown() -> Problem {
	Problem::new(ErrorKind::NotFound, "there is no such upload")
		.hint("it was given up: begin another with POST /uploads")
}

fn spoilt() -> Problem {
	upload_problem(&UploadError::Failed)
}

fn builder() -> Result<DatasetBuilder, Problem> {
	// The block size is one that it takes.
	DatasetBuilder::new(DEFAULT_BLOCK_SIZE).map_err(build_problem)
}

fn fill_problem(error: FillError<SinkError>) -> Problem {
	match error {
		FillError::Upload(error) => upload_problem(&error),
		// The sink fails where writing has, which the upload tells itself, or where a file cannot be read.
		FillError::Producer(error) => {
			tracing::error!(%error, "an upload failed");
			spoilt()
		}
	}
}

fn build_problem(error: ImportError) -> Problem {
	match error {
		ImportError::Empty => {
			Problem::new(ErrorKind::Unprocessable, "a dataset cannot be empty").hint("send at least one byte")
		}
		ImportError::Sink(error) => match error.into_inner().downcast::<UploadError>() {
			Ok(error) => upload_problem(&error),
			Err(error) => {
				tracing::error!(%error, "a dataset cannot be made");
				Problem::new(ErrorKind::Internal, "the dataset cannot be made")
			}
		},
		error => Problem::new(ErrorKind::Internal, error.to_string()),
	}
}
