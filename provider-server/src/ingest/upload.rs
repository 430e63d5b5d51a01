//! One deal's upload: from the first byte to a verified piece.

use super::{
	car::{check_car, index_car, CarFault},
	disk::is_full,
	Disk,
};
use crate::{
	deal::{Deal, DealEvent, DealState, ProposalHash},
	store::{PieceRecord, Store, StoreError},
};
use bytes::Bytes;
use cairn_primitives::{
	deal::{DealPayload, PayloadKind},
	PieceInfo,
};
use cairn_provider_api::{ErrorKind, Hash32, Problem};
use cairn_proving::store::{SectorStore, StoreError as SectorStoreError};
use cid::Cid;
use futures::{Stream, StreamExt};
use std::{
	collections::HashSet,
	fs::{File, OpenOptions},
	io::{self, BufWriter, Write},
	path::{Path, PathBuf},
	pin::pin,
	sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard},
	time::{Duration, Instant},
};
use tokio::sync::{mpsc, OwnedSemaphorePermit, Semaphore};

/// Chunks between the network and the disk. With chunks of at most some hundred KiB this bounds an
/// upload's memory to a few MiB.
const CHUNKS_IN_FLIGHT: usize = 8;
/// Verifications at the same time: each uses every core.
const VERIFICATIONS: usize = 2;
/// What a block takes in the index: 87 bytes of key and value, in pages that are two thirds full.
const INDEX_BYTES_PER_BLOCK: u64 = 128;

/// Limits of uploads.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
	/// Uploads at the same time.
	pub max_concurrent: usize,
	/// Time in which `min_progress` bytes must arrive.
	pub idle_timeout: Duration,
	/// Least bytes in that time.
	pub min_progress: u64,
}

/// What an upload request achieved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
	/// Bytes held.
	pub received: u64,
	/// Bytes expected.
	pub of: u64,
	/// Everything is here and verified.
	pub complete: bool,
}

/// How an upload request begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
	/// At byte 0, discarding what is held: the body is the whole payload.
	Fresh,
	/// At this offset, which must be what is held; the body may end early.
	At(u64),
}

/// All uploads.
#[derive(Clone)]
pub struct Uploads {
	inner: Arc<Inner>,
}

struct Inner {
	folder: PathBuf,
	store: Store,
	sectors: SectorStore,
	disk: Disk,
	limits: Limits,
	slots: Arc<Semaphore>,
	verifications: Arc<Semaphore>,
	running: Mutex<HashSet<ProposalHash>>,
	/// Read from a piece's way into the store until its deal says that it is there; written by who
	/// removes pieces that no deal needs.
	adoption: RwLock<()>,
}

/// Holds a deal's upload and one of the slots. Whatever touches the upload's file shares it, also work on other
/// threads that goes on when the request's connection is gone: else the next request could change bytes between
/// their verification and their way into the store.
struct Guard {
	inner: Arc<Inner>,
	hash: ProposalHash,
	_slot: OwnedSemaphorePermit,
}

impl Drop for Guard {
	fn drop(&mut self) {
		let mut running = self.inner.running.lock().unwrap_or_else(PoisonError::into_inner);
		running.remove(&self.hash);
	}
}

impl Uploads {
	/// Uploads into `folder`, which must be on the same file system as the sector store.
	///
	/// # Errors
	/// If the folder cannot be created.
	pub fn open(
		folder: &Path,
		store: Store,
		sectors: SectorStore,
		disk: Disk,
		limits: Limits,
	) -> io::Result<Self> {
		std::fs::create_dir_all(folder)?;
		Ok(Uploads {
			inner: Arc::new(Inner {
				folder: folder.to_owned(),
				store,
				sectors,
				disk,
				limits,
				slots: Arc::new(Semaphore::new(limits.max_concurrent)),
				verifications: Arc::new(Semaphore::new(VERIFICATIONS)),
				running: Mutex::default(),
				adoption: RwLock::default(),
			}),
		})
	}

	/// The disk that uploads go to.
	pub fn disk(&self) -> &Disk {
		&self.inner.disk
	}

	/// Keeps pieces from entering the store as long as the guard lives; none while one is entering.
	pub fn hold_adoptions(&self) -> Option<RwLockWriteGuard<'_, ()>> {
		match self.inner.adoption.try_write() {
			Ok(guard) => Some(guard),
			Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
			Err(std::sync::TryLockError::WouldBlock) => None,
		}
	}

	fn path(&self, hash: &ProposalHash) -> PathBuf {
		self.inner.folder.join(format!("{}.part", hex::encode(hash)))
	}

	/// Bytes held of a deal's upload.
	pub fn received(&self, hash: &ProposalHash) -> u64 {
		std::fs::metadata(self.path(hash)).map_or(0, |meta| meta.len())
	}

	/// Discards what is held of a deal's upload, unless it is running.
	///
	/// # Errors
	/// A conflict with a running upload, or a failure of the file system.
	pub fn discard(&self, hash: &ProposalHash) -> Result<(), Problem> {
		let _guard = self.begin(hash)?;
		remove(&self.path(hash)).map_err(|error| internal(&error))
	}

	/// Removes unfinished uploads of deals that do not await data.
	///
	/// # Errors
	/// If the folder cannot be read.
	pub fn sweep(&self, awaiting: &HashSet<ProposalHash>) -> io::Result<()> {
		for entry in std::fs::read_dir(&self.inner.folder)? {
			let entry = entry?;
			let name = entry.file_name();
			let hash = name
				.to_str()
				.and_then(|name| name.strip_suffix(".part"))
				.and_then(|stem| stem.parse::<Hash32>().ok());
			let keep = hash.is_some_and(|hash| {
				awaiting.contains(&hash.0)
					|| self
						.inner
						.running
						.lock()
						.unwrap_or_else(PoisonError::into_inner)
						.contains(&hash.0)
			});
			if !keep {
				remove(&entry.path())?;
			}
		}
		Ok(())
	}

	fn begin(&self, hash: &ProposalHash) -> Result<Arc<Guard>, Problem> {
		let slot = self.inner.slots.clone().try_acquire_owned().map_err(|_| {
			Problem::new(ErrorKind::Busy, "too many uploads are running").hint("try again in a moment")
		})?;
		let mut running = self.inner.running.lock().unwrap_or_else(PoisonError::into_inner);
		if !running.insert(*hash) {
			return Err(
				Problem::new(ErrorKind::UploadRunning, "another upload of this deal is running")
					.hint("wait until it ends or breaks off, then ask for the offset with HEAD"),
			);
		}
		Ok(Arc::new(Guard {
			inner: self.inner.clone(),
			hash: *hash,
			_slot: slot,
		}))
	}

	/// Takes a request's body. `len` is its length, if announced.
	///
	/// # Errors
	/// Each with the kind that its cause has in the protocol; [`ErrorKind::OffsetMismatch`] leaves
	/// what is held as it was.
	pub async fn receive<E: std::fmt::Display>(
		&self,
		hash: &ProposalHash,
		deal: &Deal,
		start: Start,
		len: Option<u64>,
		body: impl Stream<Item = Result<Bytes, E>>,
	) -> Result<Progress, Problem> {
		let size = deal.proposal.piece.payload_size;
		let guard = self.begin(hash)?;
		let path = self.path(hash);
		let offset = match start {
			Start::Fresh => 0,
			Start::At(offset) => {
				let held = self.received(hash);
				if offset != held {
					return Err(Problem::new(
						ErrorKind::OffsetMismatch,
						format!("{held} bytes are held, the request starts at {offset}"),
					)
					.hint(format!("go on from {held}")));
				}
				offset
			}
		};
		if let Some(len) = len {
			if offset.saturating_add(len) > size {
				return Err(too_large(size));
			}
			if start == Start::Fresh && len < size {
				return Err(too_small(len, size));
			}
		}
		let file = {
			let (guard, path, disk) = (guard.clone(), path.clone(), self.inner.disk.clone());
			blocking(move || {
				let _held = guard;
				open(&path, offset, size, &disk)
			})
			.await?
		};
		let received = match self.stream(&guard, file, offset, size, body).await {
			Ok(received) => received,
			Err(problem) => {
				// What cannot be part of the payload, or has no room, is not kept.
				if matches!(problem.kind, ErrorKind::TooLarge | ErrorKind::StorageFull) {
					remove(&path).map_err(|error| internal(&error))?;
				}
				return Err(problem);
			}
		};
		if received < size {
			return match start {
				Start::Fresh => Err(too_small(received, size)),
				Start::At(_) => Ok(Progress {
					received,
					of: size,
					complete: false,
				}),
			};
		}
		self.verify(guard, deal).await?;
		Ok(Progress {
			received: size,
			of: size,
			complete: true,
		})
	}

	/// Writes the body behind `offset`; gives the bytes held then.
	async fn stream<E: std::fmt::Display>(
		&self,
		guard: &Arc<Guard>,
		file: File,
		offset: u64,
		size: u64,
		body: impl Stream<Item = Result<Bytes, E>>,
	) -> Result<u64, Problem> {
		let (sender, mut receiver) = mpsc::channel::<Bytes>(CHUNKS_IN_FLIGHT);
		let guard = guard.clone();
		let writer = tokio::task::spawn_blocking(move || -> io::Result<()> {
			let _held = guard;
			let mut file = BufWriter::with_capacity(256 << 10, file);
			while let Some(chunk) = receiver.blocking_recv() {
				file.write_all(&chunk)?;
			}
			file.flush()
		});
		let outcome = self.pump(offset, size, body, &sender).await;
		drop(sender);
		let written = writer.await.map_err(|error| internal(&error))?;
		if let Err(error) = written {
			return Err(if is_full(&error) {
				storage_full()
			} else {
				internal(&error)
			});
		}
		outcome
	}

	/// Moves the body's chunks to the writer, watching size and pace.
	async fn pump<E: std::fmt::Display>(
		&self,
		offset: u64,
		size: u64,
		body: impl Stream<Item = Result<Bytes, E>>,
		sender: &mpsc::Sender<Bytes>,
	) -> Result<u64, Problem> {
		let limits = &self.inner.limits;
		let mut body = pin!(body);
		let mut received = offset;
		let mut window = Instant::now();
		let mut in_window = 0u64;
		loop {
			let too_slow = || {
				Problem::new(ErrorKind::IdleTimeout, "the upload brings too little data")
					.hint("ask for the offset with HEAD and go on from there")
			};
			let next = tokio::time::timeout(limits.idle_timeout, body.next())
				.await
				.map_err(|_| too_slow())?;
			let chunk = match next {
				None => return Ok(received),
				// The client is gone: what arrived is kept.
				Some(Err(error)) => {
					return Err(Problem::new(
						ErrorKind::IdleTimeout,
						format!("the upload broke off: {error}"),
					)
					.hint("ask for the offset with HEAD and go on from there"))
				}
				Some(Ok(chunk)) => chunk,
			};
			received = received.saturating_add(chunk.len() as u64);
			if received > size {
				return Err(too_large(size));
			}
			in_window = in_window.saturating_add(chunk.len() as u64);
			if window.elapsed() >= limits.idle_timeout {
				if in_window < limits.min_progress && received < size {
					return Err(too_slow());
				}
				window = Instant::now();
				in_window = 0;
			}
			// A closed channel means that the writer failed; its error is reported by the caller.
			if sender.send(chunk).await.is_err() {
				return Ok(received);
			}
		}
	}

	/// Verifies a complete upload, moves it into the store, indexes it and notes it in the deal.
	///
	/// # Errors
	/// [`ErrorKind::CommitmentMismatch`], [`ErrorKind::InvalidCar`], [`ErrorKind::RootMissing`]: the
	/// data is discarded.
	async fn verify(&self, guard: Arc<Guard>, deal: &Deal) -> Result<(), Problem> {
		// Waiting for a place here is bounded by the uploads in front.
		let place = self
			.inner
			.verifications
			.clone()
			.acquire_owned()
			.await
			.map_err(|error| internal(&error))?;
		let (inner, path, deal) = (self.inner.clone(), self.path(&guard.hash), deal.clone());
		blocking(move || {
			let _place = place;
			let _entering = inner.adoption.read().unwrap_or_else(PoisonError::into_inner);
			let outcome = inner.adopt(&path, &deal);
			if let Err(problem) = &outcome {
				if !problem.kind.is_transient() {
					remove(&path).map_err(|error| internal(&error))?;
				}
			}
			outcome?;
			crate::fault_injection::reached("upload:adopted");
			inner.note(&guard.hash)
		})
		.await
	}

	/// After a restart: brings deals whose piece is complete in the store, or whose upload is complete
	/// but was not verified, to where they would be without the restart. Blocks for as long as hashing
	/// takes. Gives the deals that moved on.
	///
	/// # Errors
	/// If the database fails.
	pub fn recover(&self) -> Result<Vec<ProposalHash>, StoreError> {
		let mut recovered = Vec::new();
		for (hash, deal) in self.inner.store.open_deals()? {
			if deal.state != DealState::Accepted {
				continue;
			}
			let piece = &deal.proposal.piece;
			let path = self.path(&hash);
			let outcome = if self.inner.sectors.has_piece(piece) {
				self.inner.readopt(&deal)
			} else if self.received(&hash) == piece.payload_size {
				self.inner.adopt(&path, &deal)
			} else {
				continue;
			};
			match outcome.and_then(|()| self.inner.note(&hash)) {
				Ok(()) => recovered.push(hash),
				Err(problem) => {
					tracing::warn!(deal = %Hash32(hash), %problem, "stored data of a deal is not usable; it is awaited anew");
					if !problem.kind.is_transient() {
						// A failure to remove shows again with the next upload.
						let _ = remove(&path);
					}
				}
			}
		}
		Ok(recovered)
	}
}

impl Inner {
	/// Checks the upload's commitment and CAR, side by side, and moves it into the store if both are right. Another
	/// deal may have the same piece there: nothing that a wrong upload does may touch it.
	fn adopt(&self, path: &Path, deal: &Deal) -> Result<(), Problem> {
		let piece = &deal.proposal.piece;
		let file = File::open(path).map_err(|error| internal(&error))?;
		let (blocks, hashed) = std::thread::scope(|scope| {
			let blocks = scope.spawn(|| check_payload(&file, deal));
			let hashed = self.sectors.hash_upload(path, Some(piece));
			(blocks.join(), hashed)
		});
		let hashed = hashed.map_err(|error| piece_problem(error, piece))?;
		let blocks = blocks.map_err(|_| internal(&"checking the CAR failed"))??;
		self.check_room_for_index(blocks)?;
		hashed.adopt().map_err(|error| piece_problem(error, piece))?;
		self.index(deal)
	}

	/// An archive of tiny blocks takes more room in the index than in its file, which admission did not count.
	fn check_room_for_index(&self, blocks: u64) -> Result<(), Problem> {
		let available = self.disk.available().map_err(|error| internal(&error))?;
		if blocks.saturating_mul(INDEX_BYTES_PER_BLOCK) > available {
			return Err(storage_full());
		}
		Ok(())
	}

	/// As [`Self::adopt`] for a piece that is in the store already.
	fn readopt(&self, deal: &Deal) -> Result<(), Problem> {
		let piece = &deal.proposal.piece;
		self.sectors
			.check_piece(piece)
			.map_err(|error| internal(&error))?;
		let file = File::open(self.sectors.piece_path(piece)).map_err(|error| internal(&error))?;
		let blocks = check_payload(&file, deal)?;
		self.check_room_for_index(blocks)?;
		self.index(deal)
	}

	/// Notes the piece and indexes its blocks. The note comes first: should the deal never get on, whoever
	/// cleans up finds the piece, and by it the blocks.
	fn index(&self, deal: &Deal) -> Result<(), Problem> {
		let piece = &deal.proposal.piece;
		let record = PieceRecord {
			info: *piece,
			kind: kind(deal),
		};
		self.store.insert_piece(&record).map_err(database_failed)?;
		if kind(deal) == PayloadKind::Public {
			let file = File::open(self.sectors.piece_path(piece)).map_err(|error| internal(&error))?;
			index_car(&self.store, &file, piece).map_err(|fault| match fault {
				CarFault::Store(error) => database_failed(error),
				fault => car_problem(fault),
			})?;
		}
		Ok(())
	}

	/// Notes the deal's progress.
	fn note(&self, hash: &ProposalHash) -> Result<(), Problem> {
		self.store
			.apply_to_deals(&[(*hash, DealEvent::DataVerified)])
			.map_err(database_failed)
	}
}

fn kind(deal: &Deal) -> PayloadKind {
	let DealPayload::V1 { kind, .. } = &deal.proposal.payload;
	*kind
}

/// Public payloads are CARs with the proposal's root; protected ones are opaque. Gives the number of blocks.
fn check_payload(file: &File, deal: &Deal) -> Result<u64, Problem> {
	if kind(deal) == PayloadKind::Protected {
		return Ok(0);
	}
	let root = Cid::try_from(deal.proposal.payload.root())
		.map_err(|_| Problem::new(ErrorKind::Malformed, "the payload's root is not a binary CID"))?;
	check_car(file, &root).map_err(car_problem)
}

fn piece_problem(error: SectorStoreError, piece: &PieceInfo) -> Problem {
	match error {
		SectorStoreError::PieceMismatch { found, .. } => Problem::new(
			ErrorKind::CommitmentMismatch,
			format!(
				"the data has piece CID {}, the proposal names {}",
				cairn_provider_api::piece_cid::v1(&found.commitment),
				cairn_provider_api::piece_cid::v1(&piece.commitment),
			),
		)
		.hint("upload exactly the bytes that the proposal was made for"),
		SectorStoreError::Io { source, .. } if is_full(&source) => storage_full(),
		SectorStoreError::PieceTooLarge { .. } => too_large(piece.payload_size),
		error => internal(&error),
	}
}

fn car_problem(fault: CarFault) -> Problem {
	match fault {
		CarFault::Invalid(_) => Problem::new(ErrorKind::InvalidCar, fault.to_string())
			.hint("make the CAR with `cairn car create` and check it with `cairn car verify`"),
		CarFault::RootNotListed(_) | CarFault::RootMissing(_) => {
			Problem::new(ErrorKind::RootMissing, fault.to_string())
				.hint("sign the proposal for the CAR's own root")
		}
		CarFault::Io(_) | CarFault::Store(_) => internal(&fault),
	}
}

fn open(path: &Path, offset: u64, size: u64, disk: &Disk) -> Result<File, Problem> {
	use std::io::{Seek, SeekFrom};
	let opened = (|| {
		let mut file = OpenOptions::new()
			.create(true)
			.truncate(false)
			.write(true)
			.open(path)?;
		file.set_len(offset)?;
		disk.reserve(&file, size)?;
		file.seek(SeekFrom::Start(offset))?;
		Ok(file)
	})();
	opened.map_err(|error: io::Error| {
		if !is_full(&error) {
			return internal(&error);
		}
		if offset == 0 {
			// Nothing was held; an empty file that cannot be removed does no harm.
			let _ = remove(path);
		}
		storage_full()
	})
}

fn remove(path: &Path) -> io::Result<()> {
	match std::fs::remove_file(path) {
		Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
		_ => Ok(()),
	}
}

async fn blocking<T: Send + 'static>(
	work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
	tokio::task::spawn_blocking(work)
		.await
		.map_err(|error| internal(&error))?
}

fn internal(error: &dyn std::fmt::Display) -> Problem {
	tracing::error!(%error, "upload failed");
	Problem::new(ErrorKind::Internal, "the server failed to store the data")
		.hint("try again later or choose another provider")
}

fn database_failed(error: StoreError) -> Problem {
	if error.is_full() {
		tracing::error!(%error, "the database has no room");
		return storage_full();
	}
	internal(&error)
}

fn storage_full() -> Problem {
	Problem::new(ErrorKind::StorageFull, "the provider's disk is full")
		.hint("try again later or choose another provider")
}

fn too_large(size: u64) -> Problem {
	Problem::new(
		ErrorKind::TooLarge,
		format!("the proposal names {size} bytes, the upload brings more"),
	)
	.hint("upload exactly the bytes that the proposal was made for")
}

fn too_small(found: u64, size: u64) -> Problem {
	Problem::new(
		ErrorKind::TooSmall,
		format!("the proposal names {size} bytes, the upload has {found}"),
	)
	.hint("upload the whole payload, or send the rest from the offset that HEAD gives")
}

#[cfg(test)]
mod tests;
