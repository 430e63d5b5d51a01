//! Collecting: what is deleted, expired or has to make room is released step by step.
//!
//! A step takes some blocks of one deleted dataset, locks their chunks, removes the chunks that no
//! other dataset refers to, and then, in one transaction, the dataset's rows of those blocks. It can be
//! cut off anywhere and done again.

use super::{
	metadata::{
		decode_hash, member_key, members_of, BlockRow, DatasetRow, DatasetState, MetadataError, Tables,
		Total, Wraps, BLOCKS, HIDDEN, MEMBERS,
	},
	Repo,
};
use crate::{fault_injection, ChunkError, Multihash};
use redb::ReadableTable;
use std::sync::PoisonError;

/// Blocks of a step of [`Repo::maintain`].
pub(super) const STEP_BLOCKS: usize = 4096;
/// Datasets that one transaction expires. They are collected before others are, so that few
/// datasets are invisible at a time: a reader may have to look at each.
const STEP_DATASETS: usize = 128;

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
	/// Datasets of which nothing is left.
	pub datasets: u64,
	/// Whether nothing is left to collect.
	pub idle: bool,
}

/// What [`Repo::maintain`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
	/// Datasets that expired.
	pub expired: u64,
	/// Datasets of which nothing is left.
	pub datasets: u64,
	/// Blocks that are gone.
	pub freed_blocks: u64,
	/// Their bytes.
	pub freed_bytes: u64,
}

impl Repo {
	/// Lets what is past its time expire and collects all that is deleted, step by step.
	///
	/// # Errors
	/// What kept a step from being done.
	pub fn maintain(&self) -> Result<Maintained, MaintainError> {
		let mut done = Maintained::default();
		loop {
			loop {
				let step = self.collect_step(STEP_BLOCKS)?;
				done.datasets += step.datasets;
				done.freed_blocks += step.freed_blocks;
				done.freed_bytes += step.freed_bytes;
				if step.idle {
					break;
				}
			}
			match self.expire_step()? {
				0 => return Ok(done),
				expired => done.expired += expired,
			}
		}
	}

	/// Makes some datasets invisible whose time is past and that no pin holds. Returns how many; none
	/// if there are no more. Only these are looked at, however many others there are.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn expire_step(&self) -> Result<u64, MetadataError> {
		let now = self.inner.clock.now();
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
			let mut numbers = Vec::new();
			for entry in tables.expiry.range(due)?.take(STEP_DATASETS) {
				numbers.push(entry?.0.value().1);
			}
			for number in &numbers {
				tables.mark_deleting(*number, live_row(tables, *number, "expiry")?)?;
			}
			Ok::<_, MetadataError>(numbers.len() as u64)
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

	/// Releases at most `max_blocks` blocks of one deleted dataset. Waits if others have all of them
	/// locked.
	///
	/// # Errors
	/// What kept it from being done; rows whose chunks are gone are collected again.
	pub fn collect_step(&self, max_blocks: usize) -> Result<CollectStep, MaintainError> {
		self.mark_given_up()?;
		let Some((number, members)) = self.next_members(max_blocks.max(1))? else {
			return Ok(CollectStep {
				idle: true,
				..CollectStep::default()
			});
		};
		if members.is_empty() {
			return Ok(self.forget_dataset(number)?);
		}
		fault_injection::reached("collect:chosen");
		let writing = self.inner.writing.read().unwrap_or_else(PoisonError::into_inner);
		let lock = self.inner.locks.try_remove(members);
		if lock.hashes().is_empty() {
			drop((lock, writing));
			self.inner.locks.wait_for_release();
			return Ok(CollectStep::default());
		}
		fault_injection::reached("collect:locked");
		let unshared = self.unshared(number, lock.hashes())?;
		fault_injection::reached("collect:compared");
		self.inner.chunks.delete_many(&unshared)?;
		fault_injection::reached("collect:removed");
		let order = self.inner.metadata.in_order();
		let (step, used) = self
			.inner
			.metadata
			.write(|tables| release(tables, number, lock.hashes()))?;
		self.inner.ledger.settle(used);
		drop((order, lock));
		fault_injection::reached("collect:released");
		Ok(step)
	}

	/// The first deleted dataset, and hashes of some of its blocks.
	fn next_members(&self, limit: usize) -> Result<Option<(u64, Vec<Multihash>)>, MetadataError> {
		self.inner.metadata.read(|snapshot| {
			let mut deleting = None;
			for entry in snapshot.open_table(HIDDEN)?.iter()? {
				let (number, state) = entry?;
				if DatasetState::decode(state.value())? == DatasetState::Deleting {
					deleting = Some(number.value());
					break;
				}
			}
			let Some(number) = deleting else {
				return Ok(None);
			};
			let (first, last) = members_of(number);
			let members = snapshot.open_table(MEMBERS)?;
			let mut hashes = Vec::new();
			for entry in members.range(first.as_slice()..=last.as_slice())?.take(limit) {
				let (key, _) = entry?;
				hashes.push(decode_hash(&key.value()[8..], "members")?);
			}
			Ok(Some((number, hashes)))
		})
	}

	/// Those blocks that this dataset has and no other. The caller holds their locks, so that this stays
	/// so; since they were chosen, another collector may have released them, and an upload brought them
	/// back.
	fn unshared(&self, number: u64, hashes: &[Multihash]) -> Result<Vec<Multihash>, MetadataError> {
		self.inner.metadata.read(|snapshot| {
			let blocks = snapshot.open_table(BLOCKS)?;
			let members = snapshot.open_table(MEMBERS)?;
			let mut unshared = Vec::new();
			for hash in hashes {
				let key = hash.to_bytes();
				let row = blocks.get(key.as_slice())?;
				let alone = row.is_some_and(|row| BlockRow::decode(row.value()).refs <= 1);
				if alone && members.get(member_key(number, &key).as_slice())?.is_some() {
					unshared.push(*hash);
				}
			}
			Ok(unshared)
		})
	}

	/// Removes the row of a dataset of which nothing else is left.
	fn forget_dataset(&self, number: u64) -> Result<CollectStep, MetadataError> {
		self.inner.metadata.write(|tables| {
			tables.hidden.remove(number)?;
			let forgotten = tables.datasets.remove(number)?.is_some();
			Ok(CollectStep {
				datasets: forgotten.into(),
				..CollectStep::default()
			})
		})
	}
}

/// Removes a dataset's references to blocks whose unshared chunks are gone. Returns also the bytes that
/// are in use then.
fn release(
	tables: &mut Tables<'_>,
	number: u64,
	hashes: &[Multihash],
) -> Result<(CollectStep, u64), MetadataError> {
	let mut step = CollectStep::default();
	let mut bytes = 0;
	for hash in hashes {
		let key = hash.to_bytes();
		let member = member_key(number, &key);
		if tables.members.remove(member.as_slice())?.is_none() {
			// Another collector was faster.
			continue;
		}
		step.released += 1;
		let row = tables
			.blocks
			.get(key.as_slice())?
			.map(|row| BlockRow::decode(row.value()));
		let Some(row) = row else {
			// `fsck` would have mended it; nothing is left to release.
			continue;
		};
		bytes += u64::from(row.size);
		if row.refs <= 1 {
			tables.blocks.remove(key.as_slice())?;
			step.freed_blocks += 1;
			step.freed_bytes += u64::from(row.size);
		} else {
			let row = BlockRow {
				refs: row.refs - 1,
				..row
			};
			tables.blocks.insert(key.as_slice(), row.encode())?;
		}
	}
	tables.subtract(Total::DeletingBytes, bytes)?;
	tables.subtract(Total::UsedBytes, step.freed_bytes)?;
	tables.subtract(Total::Blocks, step.freed_blocks)?;
	Ok((step, tables.total(Total::UsedBytes)?))
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
