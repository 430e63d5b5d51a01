//! Comparing the database with itself and with the chunk store, and mending what differs.
//!
//! The order of writes and the transactions keep both in step through crashes of the process. What
//! `fsck` finds was done from outside: files that were removed or damaged, a database that was restored
//! from a copy, a disk that lost what it had acknowledged.

mod chunks;
mod database;

use super::{
	metadata::{MetadataError, Total, Wraps},
	Repo,
};
use crate::{fault_injection, Cid};
use std::sync::atomic::Ordering;

/// Datasets that a report names.
const NAMED_DATASETS: usize = 100;

/// What to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FsckOptions {
	/// Read every chunk and check its hash. Without it, a chunk of the right size passes.
	pub verify: bool,
	/// Mend what differs; else it is reported only.
	pub mend: bool,
}

impl Default for FsckOptions {
	/// Mends, without reading every chunk.
	fn default() -> Self {
		Self {
			verify: false,
			mend: true,
		}
	}
}

/// What a check found. Everything but [`lost_blocks`](Self::lost_blocks) is mended if that was asked
/// for; lost blocks are marked, so that they read as damaged and are taken when they come again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsckReport {
	/// Blocks that were checked.
	pub blocks: u64,
	/// Datasets that were checked.
	pub datasets: u64,
	/// Blocks of live datasets whose chunk is missing or damaged.
	pub lost_blocks: u64,
	/// Live datasets that have such blocks, at most 100 of them.
	pub damaged_datasets: Vec<Cid>,
	/// Blocks that were marked as lost, and whose chunk is there and whole.
	pub recovered_blocks: u64,
	/// Chunks that no block refers to. Mending removes them, but not while a repository is opened: a crash
	/// leaves none, so that the database may be an old copy, and a newer one may know them.
	pub stray_chunks: u64,
	/// Their bytes.
	pub stray_bytes: u64,
	/// Blocks with a wrong number of references or a wrong size, without a row, or with a row that
	/// nothing refers to.
	pub wrong_blocks: u64,
	/// References and pins of datasets that do not exist.
	pub orphans: u64,
	/// Rows of datasets with wrong counts, and entries of indexes that are missing or wrong.
	pub wrong_datasets: u64,
	/// Counters over the whole repository that were wrong.
	pub wrong_totals: u64,
	/// Chunks that the store failed to read or to remove; the log says why. Blocks that it failed to read
	/// count as lost too.
	pub failed_chunks: u64,
	/// The store failed to list its chunks: there may be strays that were not seen. The check stays due.
	pub unfinished: bool,
	/// Whether what differs was mended.
	pub mended: bool,
}

impl FsckReport {
	/// Whether nothing differs.
	pub fn is_clean(&self) -> bool {
		let Self {
			blocks: _,
			datasets: _,
			mended: _,
			damaged_datasets: _,
			stray_bytes: _,
			lost_blocks,
			recovered_blocks,
			stray_chunks,
			wrong_blocks,
			orphans,
			wrong_datasets,
			wrong_totals,
			failed_chunks,
			unfinished,
		} = self;
		[
			lost_blocks,
			recovered_blocks,
			stray_chunks,
			wrong_blocks,
			orphans,
			wrong_datasets,
			wrong_totals,
			failed_chunks,
		]
		.iter()
		.all(|found| **found == 0)
			&& !unfinished
	}
}

/// Why a check could not be finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsckError {
	/// The database failed.
	#[error(transparent)]
	Metadata(#[from] MetadataError),
}

impl Wraps for FsckError {
	fn metadata(&self) -> Option<&MetadataError> {
		match self {
			Self::Metadata(error) => Some(error),
		}
	}
}

/// What a mending check does with chunks that no block refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strays {
	/// Removes them.
	Remove,
	/// Counts them.
	Keep,
}

impl Repo {
	/// Checks the repository. Reads go on meanwhile; uploads and collectors wait.
	///
	/// Takes memory for a million blocks at a time, and goes through all references once per million.
	/// What a mending check finishes counts as checked until the next crash. A chunk store that fails here
	/// and there does not end the check: what it cannot read is lost, and the report says so.
	///
	/// # Errors
	/// What keeps it from reading or mending the database.
	pub fn fsck(&self, options: FsckOptions) -> Result<FsckReport, FsckError> {
		self.check(options, Strays::Remove)
	}

	pub(super) fn check(&self, options: FsckOptions, strays: Strays) -> Result<FsckReport, FsckError> {
		let _alone = self.writing_alone();
		let mut report = FsckReport {
			mended: options.mend,
			..FsckReport::default()
		};
		self.check_database(options, &mut report)?;
		fault_injection::reached("fsck:database");
		let resized = self.check_chunks(options, strays, &mut report)?;
		if options.mend {
			if resized {
				self.recount_datasets()?;
			}
			let _order = self.inner.metadata.in_order();
			let used = self
				.inner
				.metadata
				.write(|tables| tables.total(Total::UsedBytes))?;
			self.inner.ledger.settle(used);
			if !report.unfinished {
				self.inner.consistent.store(true, Ordering::SeqCst);
			}
		}
		if !report.is_clean() {
			tracing::warn!(?report, "the block store was not consistent");
		}
		Ok(report)
	}
}
