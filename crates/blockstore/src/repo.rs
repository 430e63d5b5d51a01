//! The repository: datasets, references, quota and expiry over a chunk store.
//!
//! # What it promises
//!
//! - A block can be read if and only if a live dataset has it. Uploads and deletions become visible as
//!   a whole, in one transaction that does not depend on the number of blocks.
//! - What can be read is whole and on disk, or reads as [`ReadError::Damaged`].
//! - `used` in [`Space`] is never less than what the chunk store holds, and exactly that when nothing
//!   is in motion.
//! - After a crash at any point nothing that was acknowledged is missing, nothing half-uploaded is
//!   visible, and whatever is left over is collected.
//!
//! # On disk
//!
//! ```text
//! LOCK             held (flock) while a process has the repository open
//! metadata.redb    the database: blocks, members, datasets, indexes, pins, records, totals
//! chunks/          the chunks of the backend `fs`: see `chunks/fs.rs`
//! chunks.sqlite    or those of `sqlite`; beside it -wal and -shm, and .lock
//! ```
//!
//! The database is created as `metadata.new` and renamed, and chunks come after it: chunks without a
//! database mean that it was removed, and are left alone ([`OpenError::NoDatabase`]).
//!
//! # How the two layers stay in step
//!
//! A dataset is *uploading*, *live* or *deleting*. The database counts, for each block, the datasets
//! that have it in whatever state, and lists the few datasets that are not live. A block can be read if
//! it has more references than there are invisible datasets that have it (`metadata`'s `visibility`).
//! So neither a commit nor the deletion of a large dataset touches a block's row. A small dataset gives
//! its references back in the transaction that deletes it, so that invisible datasets stay few however
//! many are deleted; blocks that have none left are *garbage* until they are collected (`release`).
//!
//! Chunks are outside the database, so the order of writes matters:
//!
//! - *Upload*: rows first (an uploading dataset is invisible), then chunks, and when all are on disk the
//!   dataset becomes live. Every chunk on disk has a row at any time; a crash leaves an uploading
//!   dataset, which the next start turns into a deleting one. A chunk is written unless its block can
//!   be read already, and its chunk is read and whole.
//! - *Deletion*: the dataset becomes deleting, or its blocks garbage. Later, step by step, chunks
//!   without other references are removed, and after that their rows (`collect`). A crash between the
//!   two leaves rows of blocks that nobody can read, and the step is done again. A chunk that cannot be
//!   removed is garbage that is set aside and tried again.
//! - Between an upload that counts on a chunk and a collector that removes it stand locks on single
//!   chunks (`chunk_locks`).
//!
//! # Threads
//!
//! Calls block for a disk's sync. redb admits one writer at a time. Steps of the collector are bounded,
//! so that uploads wait for a step at most.

mod chunk_locks;
mod collect;
mod dataset;
mod fsck;
mod metadata;
mod open;
mod pins;
mod read;
mod records;
mod release;
mod room;
mod space;
mod upload;
mod worker;

pub use collect::{CollectStep, MaintainError, Maintained};
pub use dataset::{Dataset, DatasetError, Datasets};
pub use fsck::{FsckError, FsckOptions, FsckReport};
pub use metadata::MetadataError;
pub use open::{Backend, OpenError, Recovery, RepoConfig, StartupCheck};
pub use pins::{PinError, PinId};
pub use read::{BlockStat, ReadError};
pub use records::ModifyError;
pub use room::ReserveError;
pub use space::Space;
pub use upload::{CommitOptions, FillError, Unfinished, Upload, UploadError, UploadReader};
pub use worker::Worker;

use crate::{clock::Clock, fault_injection, owner_lock::OwnerLock, quota::Ledger, ChunkStore};
use chunk_locks::ChunkLocks;
use metadata::Metadata;
use std::{
	collections::HashSet,
	num::NonZeroU64,
	sync::{
		atomic::AtomicBool, Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError,
	},
	time::Duration,
};
use worker::Bell;

/// The repository. Clones share it; it is closed with the last of them, and of its uploads.
#[derive(Clone)]
pub struct Repo {
	inner: Arc<Inner>,
}

struct Inner {
	metadata: Metadata,
	/// What blocks are read from and written to.
	chunks: Box<dyn ChunkStore>,
	/// The same without the cache in front.
	disk: Arc<dyn ChunkStore>,
	ledger: Ledger,
	locks: ChunkLocks,
	clock: Arc<dyn Clock>,
	default_ttl: Ttl,
	batch_bytes: usize,
	release_at_once: usize,
	disk_reserve: u64,
	/// Free bytes are asked for here; none if the repository is in memory.
	folder: Option<std::path::PathBuf>,
	/// Held for reading by whatever writes rows and chunks that must agree, for writing by `fsck`.
	writing: RwLock<()>,
	/// Wakes the worker.
	bell: Bell,
	/// Uploads that ended without a commit, and could not be marked so: collectors do it.
	given_up: Mutex<Vec<u64>>,
	/// Uploads of this process that outlive it.
	lasting: Mutex<HashSet<u64>>,
	/// Whether database and chunks agree, as far as is known: there was no crash, or a check since.
	consistent: AtomicBool,
	/// Last, so that it is released last.
	_lock: Option<OwnerLock>,
}

impl Repo {
	/// Held by whatever writes rows and chunks that must agree.
	fn writing(&self) -> RwLockReadGuard<'_, ()> {
		while fault_injection::is_observed() {
			match self.inner.writing.try_read() {
				Ok(guard) => return guard,
				Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
				Err(TryLockError::WouldBlock) => fault_injection::waiting(),
			}
		}
		self.inner.writing.read().unwrap_or_else(PoisonError::into_inner)
	}

	/// Held by `fsck`, which must be alone.
	fn writing_alone(&self) -> RwLockWriteGuard<'_, ()> {
		while fault_injection::is_observed() {
			match self.inner.writing.try_write() {
				Ok(guard) => return guard,
				Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
				Err(TryLockError::WouldBlock) => fault_injection::waiting(),
			}
		}
		self.inner.writing.write().unwrap_or_else(PoisonError::into_inner)
	}
}

impl std::fmt::Debug for Repo {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		f.debug_struct("Repo")
			.field("folder", &self.inner.folder)
			.field("chunks", &self.inner.chunks.kind())
			.finish_non_exhaustive()
	}
}

/// For how long a dataset is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
	/// Until it is deleted.
	Never,
	/// For this many seconds from its commit. Zero cannot be said: peers that took it for "never" or
	/// for "at once" lost data over the difference.
	Seconds(NonZeroU64),
}

impl Ttl {
	/// When a dataset expires that is committed at `now`.
	pub(crate) fn from(self, now: u64) -> Expiry {
		match self {
			Self::Never => Expiry::Never,
			// The last moment stands for "never" in the database.
			Self::Seconds(seconds) => Expiry::At(now.saturating_add(seconds.get()).min(u64::MAX - 1)),
		}
	}
}

impl TryFrom<Duration> for Ttl {
	type Error = ZeroTtl;

	fn try_from(duration: Duration) -> Result<Self, ZeroTtl> {
		NonZeroU64::new(duration.as_secs())
			.map(Self::Seconds)
			.ok_or(ZeroTtl)
	}
}

/// A time to live of less than a second: neither "never" nor "at once" is meant for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time to live is at least a second; say `never` for data that does not expire")]
pub struct ZeroTtl;

/// When a dataset expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expiry {
	/// At this second since the Unix epoch, or soon after.
	At(u64),
	/// It does not.
	Never,
}

impl Expiry {
	fn to_stored(self) -> u64 {
		match self {
			Self::At(second) => second,
			Self::Never => u64::MAX,
		}
	}

	fn from_stored(stored: u64) -> Self {
		match stored {
			u64::MAX => Self::Never,
			second => Self::At(second),
		}
	}
}
