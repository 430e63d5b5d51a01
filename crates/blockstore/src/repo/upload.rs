//! Uploads: sessions whose blocks become visible together, on commit, or never.

mod batch;
mod fill;
mod reader;
mod unfinished;

pub use fill::FillError;
pub use reader::UploadReader;
pub use unfinished::Unfinished;

use super::{
	collect::MaintainError,
	metadata::{self, DatasetRow, DatasetState, MetadataError, Tables, Total, Wraps},
	pins, Dataset, PinId, Repo, ReserveError, Ttl,
};
use crate::{chunks::check_writable, fault_injection, ChunkError, Cid, QuotaExceeded, Reservation};
use cairn_dag::{Block, BlockSink, SinkError};
use redb::ReadableTable;
use std::{
	path::PathBuf,
	sync::{MutexGuard, PoisonError},
};

/// Most blocks of a batch: bounds the transaction when blocks are tiny.
const BATCH_BLOCKS: usize = 4096;

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

impl From<ReserveError> for UploadError {
	fn from(error: ReserveError) -> Self {
		match error {
			ReserveError::Quota(error) => Self::Quota(error),
			ReserveError::Maintain(error) => Self::Maintain(error),
		}
	}
}

impl Wraps for UploadError {
	fn metadata(&self) -> Option<&MetadataError> {
		match self {
			Self::Metadata(error) => Some(error),
			_ => None,
		}
	}
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
/// dropped before, or if the process dies, unless it was [begun to outlive it](Repo::upload_of).
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
	/// Whether it outlives the process.
	lasts: bool,
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
		self.upload_within(self.reserve(expected)?)
	}

	/// Begins an upload in room that was set aside for it before.
	///
	/// # Errors
	/// [`UploadError::Metadata`] if the database fails.
	pub fn upload_within(&self, reservation: Reservation) -> Result<Upload, UploadError> {
		self.begin(reservation, None)
	}

	fn begin(&self, reservation: Reservation, root: Option<Cid>) -> Result<Upload, UploadError> {
		let lasts = root.is_some();
		let number = self
			.inner
			.metadata
			.write(|tables| -> Result<u64, MetadataError> {
				let number = tables.total(Total::NextDataset)?;
				tables.set_total(Total::NextDataset, number + 1)?;
				let row = DatasetRow::uploading(root);
				tables.set_dataset(number, &row)?;
				tables.hidden.insert(number, row.state.encode())?;
				if lasts {
					// Before others see it in the database.
					self.lasting().insert(number);
				}
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
			lasts,
		})
	}
}

impl Upload {
	/// Adds a block, the order does not matter. A block that was added before costs nothing, and one that
	/// the repository has already no space: it is read, and written again only if it is damaged. Blocks inside identity CIDs need no storing and are skipped.
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
				tables.delete_dataset(old_number, old, self.repo.inner.release_at_once)?;
			}
			for pin in &options.pins {
				row.pins += u32::from(pins::insert(tables, root, pin)?);
			}
			tables.set_root(root, number)?;
			tables.hidden.remove(number).map_err(MetadataError::from)?;
			tables.set_dataset(number, &row)?;
			tables.index(number, &row)?;
			tables.add(Total::Datasets, 1)?;
			Ok(Dataset::from_row(*root, &row))
		})?;
		self.state = Session::Closed;
		fault_injection::reached("upload:committed");
		self.repo.inner.bell.ring();
		self.repo.relieve_readers();
		Ok(committed)
	}

	/// Gives the upload up. Dropping it does the same, without reporting a failure.
	///
	/// # Errors
	/// If the database cannot be written. The blocks are invisible all the same, and collected when it
	/// can be.
	pub fn abort(mut self) -> Result<(), MetadataError> {
		self.abandon()
	}

	fn abandon(&mut self) -> Result<(), MetadataError> {
		if self.state == Session::Closed {
			return Ok(());
		}
		self.state = Session::Closed;
		self.repo.give_up(&[self.number])
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
}

fn is_member(tables: &Tables<'_>, number: u64, cid: &Cid) -> Result<bool, MetadataError> {
	if Block::from_identity(cid).is_some() {
		return Ok(true);
	}
	let key = metadata::member_key(number, &cid.hash().to_bytes());
	Ok(tables.members.get(key.as_slice())?.is_some())
}

impl Repo {
	/// Turns uploads into deletions.
	fn give_up(&self, numbers: &[u64]) -> Result<(), MetadataError> {
		self.given_up().extend(numbers);
		let marked = self.mark_given_up();
		self.inner.bell.ring();
		marked
	}

	fn given_up(&self) -> MutexGuard<'_, Vec<u64>> {
		// A list of numbers is whole between any two calls.
		self.inner.given_up.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// Turns uploads that were given up into deletions. Those that a full disk keeps from being turned
	/// are turned the next time.
	pub(super) fn mark_given_up(&self) -> Result<(), MetadataError> {
		let given_up = std::mem::take(&mut *self.given_up());
		if given_up.is_empty() {
			return Ok(());
		}
		let _order = self.inner.metadata.in_order();
		let marked = self.inner.metadata.write(|tables| {
			for number in &given_up {
				match tables.dataset(*number)? {
					Some(row) if row.state == DatasetState::Uploading => {
						tables.delete_dataset(*number, row, self.inner.release_at_once)?;
					}
					// A commit that was reported as failed is on disk, and stands.
					_ => {}
				}
			}
			tables.total(Total::UsedBytes)
		});
		match marked {
			Ok(used) => {
				// A batch that was reported as failed may be on disk, and counts.
				self.inner.ledger.settle(used);
				Ok(())
			}
			Err(error) => {
				self.given_up().extend(given_up);
				Err(error)
			}
		}
	}
}

impl Drop for Upload {
	fn drop(&mut self) {
		if self.lasts {
			self.repo.lasting().remove(&self.number);
		}
		if let Err(error) = self.abandon() {
			tracing::warn!(%error, "an upload could not be given up yet");
		}
	}
}

impl BlockSink for Upload {
	fn put(&mut self, block: Block) -> Result<(), SinkError> {
		Upload::put(self, block).map_err(SinkError::new)
	}
}
