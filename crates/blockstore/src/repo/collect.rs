//! Collecting: what is deleted, expired or has to make room is released step by step.
//!
//! A step takes some garbage and some blocks of deleted datasets, locks their chunks, removes the chunks
//! that no other dataset refers to, and then, in one transaction, the rows. It can be cut off anywhere and
//! done again. A step that did nothing but fail to remove chunks says so, and the worker waits a while.

use super::{
	metadata::{
		decode_hash, member_key, members_of, BlockRow, DatasetRow, DatasetState, MetadataError, Tables,
		Total, Wraps, BLOCKS, GARBAGE, HIDDEN, MEMBERS,
	},
	release::{Chunk, Released},
	Repo,
};
use crate::{fault_injection, ChunkError, Multihash};
use redb::{ReadableTable, ReadableTableMetadata};
use std::collections::HashSet;

/// Blocks of a step of [`Repo::maintain`].
pub(super) const STEP_BLOCKS: usize = 4096;
/// Datasets that one transaction expires. They are collected before others are, so that few
/// datasets are invisible at a time: a reader may have to look at each.
const STEP_DATASETS: usize = 128;
/// Invisible datasets from which on who makes more of them collects as well.
const HIDDEN_DATASETS: u64 = 128;
/// Chunks that a step fails to remove before it ends. Each costs some calls to tell it from the others.
const STEP_FAILURES: usize = 64;

/// Why collecting failed. What was not collected is collected later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaintainError {
	/// The chunk store failed.
	#[error(transparent)]
	Chunks(#[from] ChunkError),
	/// The database failed.
	#[error(transparent)]
	Metadata(#[from] MetadataError),
}

impl Wraps for MaintainError {
	fn metadata(&self) -> Option<&MetadataError> {
		match self {
			Self::Metadata(error) => Some(error),
			Self::Chunks(_) => None,
		}
	}
}

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectStep {
	/// References that were released.
	pub released: u64,
	/// Blocks that had no other and are gone.
	pub freed_blocks: u64,
	/// Their bytes.
	pub freed_bytes: u64,
	/// Large datasets of which nothing is left. Small ones went when they were deleted.
	pub datasets: u64,
	/// Blocks whose chunk could not be removed; the log says why. They are tried again later.
	pub failed_blocks: u64,
	/// Whether nothing is left to collect.
	pub idle: bool,
}

/// What [`Repo::maintain`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
	/// Datasets that expired.
	pub expired: u64,
	/// Large datasets of which nothing is left. Small ones went when they were deleted.
	pub datasets: u64,
	/// Blocks that are gone.
	pub freed_blocks: u64,
	/// Their bytes.
	pub freed_bytes: u64,
	/// Blocks whose chunk could not be removed; the log says why. They are tried again later.
	pub failed_blocks: u64,
}

impl Repo {
	/// Lets what is past its time expire and collects all that is deleted, step by step.
	///
	/// # Errors
	/// What kept a step from being done.
	pub fn maintain(&self) -> Result<Maintained, MaintainError> {
		let mut done = Maintained::default();
		self.retry_failed()?;
		loop {
			loop {
				let step = self.collect_step(STEP_BLOCKS)?;
				done.datasets += step.datasets;
				done.freed_blocks += step.freed_blocks;
				done.freed_bytes += step.freed_bytes;
				done.failed_blocks += step.failed_blocks;
				if step.idle {
					break;
				}
			}
			match self.expire_step()? {
				0 => break,
				expired => done.expired += expired,
			}
		}
		while self.shrink_step()? {}
		Ok(done)
	}

	/// Gives space back that the chunk store kept. Returns whether there is more.
	pub(super) fn shrink_step(&self) -> Result<bool, MaintainError> {
		Ok(self.inner.disk.shrink()?)
	}

	/// Makes some datasets invisible whose time is past and that no pin holds. Returns how many; none
	/// if there are no more. Only these are looked at, however many others there are.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn expire_step(&self) -> Result<u64, MetadataError> {
		let now = self.inner.clock.now();
		let at_once = self.inner.release_at_once;
		let due = (0, 0)..=(now.min(u64::MAX - 1), u64::MAX);
		let any = self.inner.metadata.read(|snapshot| {
			let expiry = snapshot.open_table(super::metadata::EXPIRY)?;
			let any = expiry.range(due.clone())?.next().transpose()?.is_some();
			Ok::<_, MetadataError>(any)
		})?;
		if !any {
			return Ok(0);
		}
		// Looked at again in the transaction: one that was extended or pinned meanwhile stays.
		let expired = self.inner.metadata.write(|tables| {
			let mut due_rows = Vec::new();
			let mut blocks = 0;
			for entry in tables.expiry.range(due)?.take(STEP_DATASETS) {
				let number = entry?.0.value().1;
				let row = live_row(tables, number, "expiry")?;
				// Large ones are released later.
				blocks += match row.blocks {
					blocks if blocks <= at_once as u64 => blocks,
					_ => 0,
				};
				due_rows.push((number, row));
				if blocks >= STEP_BLOCKS as u64 {
					break;
				}
			}
			let expired = due_rows.len() as u64;
			for (number, row) in due_rows {
				tables.delete_dataset(number, row, at_once)?;
			}
			Ok::<_, MetadataError>(expired)
		})?;
		fault_injection::reached("expire:marked");
		Ok(expired)
	}

	/// When the next dataset expires, if any does.
	pub(super) fn next_expiry(&self) -> Result<Option<u64>, MetadataError> {
		self.inner.metadata.read(|snapshot| {
			let expiry = snapshot.open_table(super::metadata::EXPIRY)?;
			let first = expiry.first()?;
			Ok(first.map(|(key, _)| key.value().0))
		})
	}

	/// Removes what is deleted: at most `max_blocks` blocks, of as many datasets as that takes. Waits if
	/// others have all of them locked. Chunks that cannot be removed are set aside, and keep nothing else
	/// from going.
	///
	/// # Errors
	/// What kept it from being done; rows whose chunks are gone are collected again.
	pub fn collect_step(&self, max_blocks: usize) -> Result<CollectStep, MaintainError> {
		self.collect(max_blocks, true)
	}

	/// Does a step of the collector's work if more large datasets wait to be released than readers should
	/// have to look at. So there are never many more of them than the blocks they still have, by
	/// [`STEP_BLOCKS`]. What made them invisible has happened, whether this succeeds or not.
	pub(super) fn relieve_readers(&self) {
		let hidden =
			|snapshot: &redb::ReadTransaction| Ok::<_, MetadataError>(snapshot.open_table(HIDDEN)?.len()?);
		let relieved = match self.inner.metadata.read(hidden) {
			Ok(hidden) if hidden > HIDDEN_DATASETS => self.collect(STEP_BLOCKS, false).map(|_| ()),
			Ok(_) => Ok(()),
			Err(error) => Err(error.into()),
		};
		if let Err(error) = relieved {
			tracing::warn!(%error, "collecting failed, and is left to the worker");
		}
	}

	fn collect(&self, max_blocks: usize, wait: bool) -> Result<CollectStep, MaintainError> {
		self.mark_given_up()?;
		let work = self.next_work(max_blocks.max(1))?;
		if work.is_empty() {
			return Ok(CollectStep {
				idle: true,
				..CollectStep::default()
			});
		}
		fault_injection::reached("collect:chosen");
		let writing = self.writing();
		let lock = self.inner.locks.try_remove(work.hashes());
		if lock.hashes().is_empty() && work.hashes().next().is_some() {
			drop((lock, writing));
			if wait {
				self.inner.locks.wait_for_release();
			}
			return Ok(CollectStep::default());
		}
		fault_injection::reached("collect:locked");
		let locked: HashSet<Multihash> = lock.hashes().iter().copied().collect();
		let unshared = self.unshared(&work, &locked)?;
		fault_injection::reached("collect:compared");
		let removal = self.remove_chunks(&unshared)?;
		fault_injection::reached("collect:removed");
		let order = self.inner.metadata.in_order();
		let (step, used) = self
			.inner
			.metadata
			.write(|tables| finish(tables, &work, &locked, &removal))?;
		self.inner.ledger.settle(used);
		drop((order, lock));
		fault_injection::reached("collect:released");
		Ok(step)
	}

	/// Garbage first, then blocks of deleted datasets from the oldest on.
	fn next_work(&self, limit: usize) -> Result<Work, MetadataError> {
		self.inner.metadata.read(|snapshot| {
			let mut work = Work::default();
			let garbage = snapshot.open_table(GARBAGE)?;
			for entry in garbage.range((0, [].as_slice())..(1, [].as_slice()))?.take(limit) {
				work.garbage.push(decode_hash(entry?.0.value().1, "garbage")?);
			}
			let mut left = limit - work.garbage.len();
			let members = snapshot.open_table(MEMBERS)?;
			for entry in snapshot.open_table(HIDDEN)?.iter()? {
				let (number, state) = entry?;
				if left == 0 || work.datasets.len() == STEP_BLOCKS {
					break;
				}
				if DatasetState::decode(state.value())? != DatasetState::Deleting {
					continue;
				}
				let (first, last) = members_of(number.value());
				let mut hashes = Vec::new();
				for entry in members.range(first.as_slice()..=last.as_slice())?.take(left) {
					let (key, _) = entry?;
					hashes.push(decode_hash(&key.value()[8..], "members")?);
				}
				left -= hashes.len();
				work.datasets.push((number.value(), hashes));
			}
			Ok(work)
		})
	}

	/// Those blocks that nothing has but what is being collected, one reference at most. Their locks are
	/// held, so that this stays so; since they were chosen, another collector may have released them, and
	/// an upload brought them back.
	fn unshared(&self, work: &Work, locked: &HashSet<Multihash>) -> Result<Vec<Multihash>, MetadataError> {
		self.inner.metadata.read(|snapshot| {
			let blocks = snapshot.open_table(BLOCKS)?;
			let members = snapshot.open_table(MEMBERS)?;
			let refs = |key: &[u8]| -> Result<Option<u32>, MetadataError> {
				let row = blocks.get(key)?;
				Ok(row.map(|row| BlockRow::decode(row.value()).refs))
			};
			let mut unshared = Vec::new();
			for hash in work.garbage.iter().filter(|hash| locked.contains(hash)) {
				if refs(&hash.to_bytes())? == Some(0) {
					unshared.push(*hash);
				}
			}
			for (number, hashes) in &work.datasets {
				for hash in hashes.iter().filter(|hash| locked.contains(hash)) {
					let key = hash.to_bytes();
					let alone = refs(&key)?.is_some_and(|refs| refs <= 1);
					if alone && members.get(member_key(*number, &key).as_slice())?.is_some() {
						unshared.push(*hash);
					}
				}
			}
			Ok(unshared)
		})
	}

	/// Removes chunks, and finds out which of them cannot be.
	fn remove_chunks(&self, hashes: &[Multihash]) -> Result<Removal, ChunkError> {
		let mut removal = Removal::default();
		let mut parts = vec![hashes];
		while let Some(part) = parts.pop() {
			if removal.failed.len() == STEP_FAILURES {
				// What was not tried becomes garbage, and is tried by the next step.
				break;
			}
			match self.inner.chunks.delete_many(part) {
				Ok(()) => removal.removed.extend(part),
				// That is no matter of single chunks.
				Err(error @ ChunkError::Full { .. }) => return Err(error),
				Err(error) => match part {
					[hash] => {
						tracing::warn!(
							hash = hex::encode(hash.to_bytes()),
							error = &error as &dyn std::error::Error,
							"a chunk cannot be removed, and is left for later"
						);
						removal.failed.insert(*hash);
					}
					part => {
						let (first, second) = part.split_at(part.len() / 2);
						parts.extend([second, first]);
					}
				},
			}
		}
		Ok(removal)
	}

	/// Has chunks tried again that could not be removed.
	pub(super) fn retry_failed(&self) -> Result<(), MetadataError> {
		let failed = |snapshot: &redb::ReadTransaction| {
			let garbage = snapshot.open_table(GARBAGE)?;
			let any = garbage.range((1, [].as_slice())..)?.next().transpose()?.is_some();
			Ok::<_, MetadataError>(any)
		};
		while self.inner.metadata.read(failed)? {
			self.inner
				.metadata
				.write(|tables| tables.retry_garbage(STEP_BLOCKS))?;
		}
		Ok(())
	}
}

/// What a step is to remove.
#[derive(Debug, Default)]
struct Work {
	/// Blocks without references.
	garbage: Vec<Multihash>,
	/// Deleted datasets, and blocks of each. One without any has nothing left but its row.
	datasets: Vec<(u64, Vec<Multihash>)>,
}

impl Work {
	fn is_empty(&self) -> bool {
		self.garbage.is_empty() && self.datasets.is_empty()
	}

	/// A block of two datasets comes twice.
	fn hashes(&self) -> impl Iterator<Item = Multihash> + '_ {
		let members = self.datasets.iter().flat_map(|(_, hashes)| hashes);
		self.garbage.iter().chain(members).copied()
	}
}

/// What became of the chunks that were to be removed.
#[derive(Debug, Default)]
struct Removal {
	removed: HashSet<Multihash>,
	failed: HashSet<Multihash>,
}

impl Removal {
	fn outcome(&self, hash: &Multihash) -> Chunk {
		if self.removed.contains(hash) {
			Chunk::Removed
		} else if self.failed.contains(hash) {
			Chunk::Failed
		} else {
			Chunk::Untouched
		}
	}
}

/// Removes the rows and references of what was removed. Returns also the bytes that are in use then.
fn finish(
	tables: &mut Tables<'_>,
	work: &Work,
	locked: &HashSet<Multihash>,
	removal: &Removal,
) -> Result<(CollectStep, u64), MetadataError> {
	let mut released = Released::default();
	for hash in work.garbage.iter().filter(|hash| locked.contains(hash)) {
		tables.clear_garbage(hash, removal.outcome(hash), &mut released)?;
	}
	for (number, hashes) in &work.datasets {
		for hash in hashes.iter().filter(|hash| locked.contains(hash)) {
			tables.release(*number, hash, removal.outcome(hash), &mut released)?;
		}
		released.step.datasets += u64::from(tables.forget_dataset(*number)?);
	}
	tables.count(&released)?;
	Ok((released.step, tables.total(Total::UsedBytes)?))
}

/// The row of a dataset that an index names.
pub(super) fn live_row(
	tables: &Tables<'_>,
	number: u64,
	index: &'static str,
) -> Result<DatasetRow, MetadataError> {
	match tables.dataset(number)? {
		Some(row) if row.state == DatasetState::Live => Ok(row),
		_ => Err(MetadataError::Damaged { table: index }),
	}
}
