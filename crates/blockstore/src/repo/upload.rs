//! Uploads: sessions whose blocks become visible together, on commit, or never.

use super::{
	collect::MaintainError,
	metadata::{self, BlockRow, DatasetRow, DatasetState, MetadataError, Tables, Total, Visibility, Wraps},
	pins, Dataset, Expiry, PinId, Repo, Ttl,
};
use crate::{
	chunks::check_writable, fault_injection, ChunkError, Cid, Multihash, QuotaExceeded, Reservation,
};
use cairn_dag::{Block, BlockSink, SinkError};
use redb::ReadableTable;
use std::{
	path::PathBuf,
	sync::{mpsc, PoisonError},
	thread,
};

/// Most blocks of a batch: bounds the transaction when blocks are tiny.
const BATCH_BLOCKS: usize = 4096;
/// Bytes handed over at once between the thread that makes blocks and the one that writes them.
const HANDOVER_BYTES: usize = 1 << 20;

/// Why an upload failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
	/// The quota leaves no room, also after everything was collected that may go.
	#[error(transparent)]
	Quota(#[from] QuotaExceeded),
	/// The disk leaves no room beside the reserve.
	#[error("the disk that holds {} has {available} bytes free, and {reserve} of them stay free", path.display())]
	DiskFull {
		/// The repository's folder.
		path: PathBuf,
		/// Free bytes.
		available: u64,
		/// Bytes that uploads leave free.
		reserve: u64,
	},
	/// Earlier blocks of this upload could not be written.
	#[error("the upload failed earlier and cannot go on")]
	Failed,
	/// The root is not among the uploaded blocks.
	#[error("the root {root} is not among the uploaded blocks")]
	RootMissing {
		/// The root.
		root: Cid,
	},
	/// The chunk store failed.
	#[error(transparent)]
	Chunks(#[from] ChunkError),
	/// The database failed.
	#[error(transparent)]
	Metadata(#[from] MetadataError),
	/// Room could not be made.
	#[error("making room failed")]
	Maintain(#[from] MaintainError),
}

impl Wraps for UploadError {
	fn metadata(&self) -> Option<&MetadataError> {
		match self {
			Self::Metadata(error) => Some(error),
			_ => None,
		}
	}
}

/// Why [`Upload::fill`] failed.
#[derive(Debug, thiserror::Error)]
pub enum FillError<E> {
	/// The blocks could not be stored.
	#[error(transparent)]
	Upload(#[from] UploadError),
	/// The blocks could not be made.
	#[error("{0}")]
	Producer(E),
}

/// How a dataset is to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitOptions {
	/// For how long; none for the repository's default. A dataset that is replaced keeps a later
	/// expiry.
	pub ttl: Option<Ttl>,
	/// Whether it may go before that to make room: for what can be fetched again.
	pub evictable: bool,
	/// Pins that it has from its first moment on.
	pub pins: Vec<PinId>,
}

/// An upload. Its blocks are invisible until [`commit`](Self::commit), and are collected if it is
/// dropped before, or if the process dies.
///
/// Blocks are collected to batches and written when a batch is full, so that memory stays constant.
#[derive(Debug)]
#[must_use = "an upload that is dropped is abandoned"]
pub struct Upload {
	repo: Repo,
	number: u64,
	reservation: Reservation,
	batch: Vec<Block>,
	batch_bytes: usize,
	state: Session,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
	Open,
	/// A batch was not written.
	Failed,
	/// Committed or given up.
	Closed,
}

impl Repo {
	/// Begins an upload. `expected` bytes are set aside for it at once, so that a large upload fails
	/// before its first byte rather than after its last but one; more are taken as they come.
	///
	/// # Errors
	/// [`UploadError::Quota`] if `expected` bytes cannot be set aside.
	pub fn upload(&self, expected: u64) -> Result<Upload, UploadError> {
		let reservation = self.reserve(expected).map_err(|error| match error {
			super::ReserveError::Quota(error) => UploadError::Quota(error),
			super::ReserveError::Maintain(error) => UploadError::Maintain(error),
		})?;
		let number = self
			.inner
			.metadata
			.write(|tables| -> Result<u64, MetadataError> {
				let number = tables.total(Total::NextDataset)?;
				tables.set_total(Total::NextDataset, number + 1)?;
				let row = DatasetRow::uploading();
				tables.set_dataset(number, &row)?;
				tables.hidden.insert(number, row.state.encode())?;
				Ok(number)
			})?;
		fault_injection::reached("upload:begun");
		Ok(Upload {
			repo: self.clone(),
			number,
			reservation,
			batch: Vec::new(),
			batch_bytes: 0,
			state: Session::Open,
		})
	}
}

impl Upload {
	/// Adds a block, the order does not matter. A block that was added before, or that the repository
	/// has already, costs nothing. Blocks inside identity CIDs need no storing and are skipped.
	///
	/// # Errors
	/// [`ChunkError::TooLarge`] and [`ChunkError::UnsupportedHash`] for a block that no store takes;
	/// the upload can go on without it. Those of writing a batch, after which it cannot.
	pub fn put(&mut self, block: Block) -> Result<(), UploadError> {
		self.check_open()?;
		if Block::from_identity(block.cid()).is_some() {
			return Ok(());
		}
		check_writable(std::slice::from_ref(&block))?;
		self.batch_bytes += block.data().len();
		self.batch.push(block);
		if self.batch_bytes >= self.repo.inner.batch_bytes || self.batch.len() >= BATCH_BLOCKS {
			self.flush()?;
		}
		Ok(())
	}

	/// Bytes set aside for what is still to come.
	pub fn reserved(&self) -> u64 {
		self.reservation.left()
	}

	/// Adds blocks that `produce` makes on this thread, while another writes those made before: what
	/// makes blocks mostly hashes, and disks are waited for. At most a few batches are in memory.
	///
	/// # Errors
	/// The upload's, if writing failed, else the producer's.
	pub fn fill<T, E>(
		&mut self,
		produce: impl FnOnce(&mut dyn BlockSink) -> Result<T, E>,
	) -> Result<T, FillError<E>> {
		let (sender, receiver) = mpsc::sync_channel::<Vec<Block>>(2);
		thread::scope(|scope| {
			let writer = scope.spawn(move || -> Result<(), UploadError> {
				for blocks in receiver {
					for block in blocks {
						self.put(block)?;
					}
				}
				Ok(())
			});
			let mut handover = Handover {
				sender,
				blocks: Vec::new(),
				bytes: 0,
			};
			let produced = produce(&mut handover);
			// If the writer is gone, its error says why.
			let _ = handover.send();
			drop(handover);
			match writer.join() {
				Ok(written) => written?,
				Err(panic) => std::panic::resume_unwind(panic),
			}
			produced.map_err(FillError::Producer)
		})
	}

	/// Writes what is left and makes the dataset visible under its root, in one transaction. A dataset
	/// that the root had before is replaced: it keeps its pins, the later of the two expiries, and is
	/// evictable only if both were.
	///
	/// # Errors
	/// [`UploadError::RootMissing`] if the root is not among the blocks; otherwise what kept the rest
	/// from being written. Nothing is visible then.
	pub fn commit(mut self, root: &Cid, options: &CommitOptions) -> Result<Dataset, UploadError> {
		self.check_open()?;
		self.flush()?;
		fault_injection::reached("upload:complete");
		let now = self.repo.inner.clock.now();
		let expiry = options.ttl.unwrap_or(self.repo.inner.default_ttl).from(now);
		let number = self.number;
		let committed = self.repo.inner.metadata.write(|tables| {
			let mut row = self.uploading_row(tables)?;
			if !is_member(tables, number, root)? {
				return Err(UploadError::RootMissing { root: *root });
			}
			row.root = Some(*root);
			row.state = DatasetState::Live;
			row.expiry = expiry;
			row.evictable = options.evictable;
			row.created = now;
			if let Some((old_number, old)) = tables.live(root)? {
				row.pins = old.pins;
				row.expiry = expiry.max(old.expiry);
				row.evictable &= old.evictable;
				row.created = old.created;
				tables.mark_deleting(old_number, old)?;
			}
			for pin in &options.pins {
				row.pins += u32::from(pins::insert(tables, root, pin)?);
			}
			tables
				.roots
				.insert(root.to_bytes().as_slice(), number)
				.map_err(MetadataError::from)?;
			tables.hidden.remove(number).map_err(MetadataError::from)?;
			tables.set_dataset(number, &row)?;
			tables.index(number, &row)?;
			tables.add(Total::Datasets, 1)?;
			Ok(Dataset::from_row(*root, &row))
		})?;
		self.state = Session::Closed;
		fault_injection::reached("upload:committed");
		self.repo.inner.bell.ring();
		Ok(committed)
	}

	/// Gives the upload up. Dropping it does the same, but cannot report a failure: then the blocks
	/// stay until the repository is opened again.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn abort(mut self) -> Result<(), MetadataError> {
		self.abandon()
	}

	fn abandon(&mut self) -> Result<(), MetadataError> {
		if self.state == Session::Closed {
			return Ok(());
		}
		self.state = Session::Closed;
		let number = self.number;
		self.repo
			.inner
			.metadata
			.write(|tables| match tables.dataset(number)? {
				Some(row) => tables.mark_deleting(number, row),
				None => Ok(()),
			})?;
		self.repo.inner.bell.ring();
		Ok(())
	}

	fn check_open(&self) -> Result<(), UploadError> {
		match self.state {
			Session::Open => Ok(()),
			Session::Failed | Session::Closed => Err(UploadError::Failed),
		}
	}

	fn uploading_row(&self, tables: &Tables<'_>) -> Result<DatasetRow, MetadataError> {
		match tables.dataset(self.number)? {
			Some(row) if row.state == DatasetState::Uploading => Ok(row),
			_ => Err(MetadataError::Damaged { table: "datasets" }),
		}
	}

	/// Writes the batch: rows, then chunks.
	fn flush(&mut self) -> Result<(), UploadError> {
		if self.batch.is_empty() {
			return Ok(());
		}
		let batch = std::mem::take(&mut self.batch);
		self.batch_bytes = 0;
		let result = self.write(batch);
		if result.is_err() {
			self.state = Session::Failed;
		}
		result
	}

	fn write(&mut self, mut batch: Vec<Block>) -> Result<(), UploadError> {
		// In the order of the keys, so that neighbours share the database's pages.
		batch.sort_by_cached_key(|block| block.cid().hash().to_bytes());
		batch.dedup_by(|a, b| a.cid().hash() == b.cid().hash());
		loop {
			match self.try_write(&batch) {
				// Without locks: what makes room may have to remove chunks that were locked for this.
				Err(UploadError::Quota(exceeded)) => {
					if !self.repo.make_room(exceeded.needed)? {
						return Err(exceeded.into());
					}
				}
				result => return result,
			}
		}
	}

	fn try_write(&mut self, batch: &[Block]) -> Result<(), UploadError> {
		let repo = self.repo.clone();
		repo.check_disk(batch)?;
		let _writing = repo.inner.writing.read().unwrap_or_else(PoisonError::into_inner);
		let _lock = repo
			.inner
			.locks
			.write(batch.iter().map(|block| *block.cid().hash()).collect());
		fault_injection::reached("upload:locked");
		let rows = repo.inner.metadata.write(|tables| self.add_rows(tables, batch))?;
		self.reservation.spend(rows.new_bytes);
		fault_injection::reached("upload:rows");
		repo.inner.chunks.put_many(&rows.to_write)?;
		fault_injection::reached("upload:written");
		if !rows.healed.is_empty() {
			repo.set_lost(&rows.healed, false)?;
			fault_injection::reached("upload:healed");
		}
		Ok(())
	}

	/// Adds the batch to the dataset, and tells which chunks have to be written.
	fn add_rows(&mut self, tables: &mut Tables<'_>, batch: &[Block]) -> Result<AddedRows, UploadError> {
		let mut dataset = self.uploading_row(tables)?;
		let mut added = AddedRows::default();
		let mut new_blocks = 0;
		for block in batch {
			let hash = *block.cid().hash();
			let key = hash.to_bytes();
			// A batch that failed is not tried again, so a member's chunk is on disk.
			let member = metadata::member_key(self.number, &key);
			let known = tables
				.members
				.get(member.as_slice())
				.map_err(MetadataError::from)?;
			if known.is_some() {
				continue;
			}
			drop(known);
			// Blocks have at most `MAX_CHUNK_BYTES`.
			let size = u32::try_from(block.data().len()).unwrap_or(u32::MAX);
			dataset.blocks += 1;
			dataset.bytes += u64::from(size);
			let row = tables
				.blocks
				.get(key.as_slice())
				.map_err(MetadataError::from)?
				.map(|row| BlockRow::decode(row.value()));
			let row = match row {
				None => {
					added.new_bytes += u64::from(size);
					new_blocks += 1;
					added.to_write.push(block.clone());
					BlockRow {
						size,
						refs: 1,
						lost: false,
					}
				}
				Some(row) => {
					if !matches!(tables.visibility(&key)?, Visibility::Present(_)) {
						added.to_write.push(block.clone());
						if row.lost {
							added.healed.push(hash);
						}
					}
					BlockRow {
						refs: row.refs.saturating_add(1),
						..row
					}
				}
			};
			tables
				.blocks
				.insert(key.as_slice(), row.encode())
				.map_err(MetadataError::from)?;
			tables
				.members
				.insert(member.as_slice(), ())
				.map_err(MetadataError::from)?;
		}
		self.reservation.ensure(added.new_bytes)?;
		tables.add(Total::UsedBytes, added.new_bytes)?;
		tables.add(Total::Blocks, new_blocks)?;
		tables.set_dataset(self.number, &dataset)?;
		Ok(added)
	}
}

/// What adding rows came to.
#[derive(Default)]
struct AddedRows {
	/// Bytes of blocks that had no row.
	new_bytes: u64,
	/// Blocks whose chunks are not certainly on disk.
	to_write: Vec<Block>,
	/// Those of them whose chunks were known to be damaged.
	healed: Vec<Multihash>,
}

fn is_member(tables: &Tables<'_>, number: u64, cid: &Cid) -> Result<bool, MetadataError> {
	if Block::from_identity(cid).is_some() {
		return Ok(true);
	}
	let key = metadata::member_key(number, &cid.hash().to_bytes());
	Ok(tables.members.get(key.as_slice())?.is_some())
}

impl Drop for Upload {
	fn drop(&mut self) {
		if let Err(error) = self.abandon() {
			tracing::warn!(%error, "an upload could not be given up; the next start does it");
		}
	}
}

impl BlockSink for Upload {
	fn put(&mut self, block: Block) -> Result<(), SinkError> {
		Upload::put(self, block).map_err(SinkError::new)
	}
}

/// Collects blocks and hands them to the writer's thread.
struct Handover {
	sender: mpsc::SyncSender<Vec<Block>>,
	blocks: Vec<Block>,
	bytes: usize,
}

impl Handover {
	fn send(&mut self) -> Result<(), SinkError> {
		self.bytes = 0;
		self.sender
			.send(std::mem::take(&mut self.blocks))
			.map_err(|_| SinkError::new(UploadError::Failed))
	}
}

impl BlockSink for Handover {
	fn put(&mut self, block: Block) -> Result<(), SinkError> {
		self.bytes += block.data().len();
		self.blocks.push(block);
		if self.bytes >= HANDOVER_BYTES || self.blocks.len() >= BATCH_BLOCKS {
			self.send()?;
		}
		Ok(())
	}
}

impl Repo {
	/// Refuses a batch that would take the disk's last bytes.
	fn check_disk(&self, batch: &[Block]) -> Result<(), UploadError> {
		let reserve = self.inner.disk_reserve;
		let (Some(folder), true) = (&self.inner.folder, reserve > 0) else {
			return Ok(());
		};
		let needed: u64 = batch.iter().map(|block| block.data().len() as u64).sum();
		let available = match rustix::fs::statvfs(folder) {
			Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
			// A file system that does not tell is used as far as it goes.
			Err(_) => return Ok(()),
		};
		if available < reserve.saturating_add(needed) {
			return Err(UploadError::DiskFull {
				path: folder.clone(),
				available,
				reserve,
			});
		}
		Ok(())
	}
}

impl Ttl {
	/// When a dataset expires that is committed now.
	pub fn expiry(self, repo: &Repo) -> Expiry {
		self.from(repo.inner.clock.now())
	}
}
