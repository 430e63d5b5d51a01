//! Releasing references: what the deletion of a dataset and the collector do to the rows of blocks.
//!
//! A block that loses its last reference keeps its row while its chunk is there, and becomes *garbage*: the
//! collector removes the chunk and then the row. So a small dataset is gone for good in the transaction
//! that deletes it, and only large ones stay behind as invisible datasets.

use super::{
	collect::CollectStep,
	metadata::{decode_hash, member_key, members_of, BlockRow, DatasetRow, MetadataError, Tables, Total},
};
use crate::Multihash;
use redb::ReadableTable;

/// What became of a chunk whose block loses a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
	/// It was not touched.
	Untouched,
	/// It was removed, and nobody can have written it since.
	Removed,
	/// Removing it was tried in vain.
	Failed,
}

/// What one transaction released, for [`Tables::count`].
#[derive(Debug, Default)]
pub(super) struct Released {
	pub(super) step: CollectStep,
	/// Bytes that do not wait to be freed any more: they are freed, or other datasets have them.
	bytes: u64,
}

impl Tables<'_> {
	/// Deletes a dataset, whatever state it is in. One of at most `at_once` blocks is gone then; a larger
	/// one is invisible, in the same time for any number of blocks, and is released later.
	pub(super) fn delete_dataset(
		&mut self,
		number: u64,
		row: DatasetRow,
		at_once: usize,
	) -> Result<(), MetadataError> {
		let is_small = row.blocks <= at_once as u64;
		self.mark_deleting(number, row)?;
		if !is_small {
			return Ok(());
		}
		// Counted, whatever the row says.
		let members = self.members(number, at_once.saturating_add(1))?;
		if members.len() <= at_once {
			let mut released = Released::default();
			for hash in &members {
				self.release(number, hash, Chunk::Untouched, &mut released)?;
			}
			self.forget_dataset(number)?;
			self.count(&released)?;
		}
		Ok(())
	}

	/// Takes what was released out of the totals.
	pub(super) fn count(&mut self, released: &Released) -> Result<(), MetadataError> {
		self.subtract(Total::DeletingBytes, released.bytes)?;
		self.subtract(Total::UsedBytes, released.step.freed_bytes)?;
		self.subtract(Total::Blocks, released.step.freed_blocks)
	}

	/// At most `limit` blocks of a dataset, in the order of their hashes.
	fn members(&self, number: u64, limit: usize) -> Result<Vec<Multihash>, MetadataError> {
		let (first, last) = members_of(number);
		let mut hashes = Vec::new();
		for entry in self
			.members
			.range(first.as_slice()..=last.as_slice())?
			.take(limit)
		{
			let (key, _) = entry?;
			hashes.push(decode_hash(&key.value()[8..], "members")?);
		}
		Ok(hashes)
	}

	/// Removes the row of a dataset if nothing else is left of it. Returns whether it did.
	pub(super) fn forget_dataset(&mut self, number: u64) -> Result<bool, MetadataError> {
		let (first, last) = members_of(number);
		let mut members = self.members.range(first.as_slice()..=last.as_slice())?;
		if members.next().transpose()?.is_some() {
			return Ok(false);
		}
		drop(members);
		self.hidden.remove(number)?;
		Ok(self.datasets.remove(number)?.is_some())
	}

	/// Removes a deleted dataset's reference to a block. Without others the block goes if its chunk is
	/// gone, and else becomes garbage.
	pub(super) fn release(
		&mut self,
		number: u64,
		hash: &Multihash,
		chunk: Chunk,
		released: &mut Released,
	) -> Result<(), MetadataError> {
		let key = hash.to_bytes();
		if self
			.members
			.remove(member_key(number, &key).as_slice())?
			.is_none()
		{
			// Another collector was faster.
			return Ok(());
		}
		released.step.released += 1;
		let Some(mut row) = self.block(&key)? else {
			// `fsck` would have mended it; nothing is left to release.
			return Ok(());
		};
		if row.refs > 1 {
			row.refs -= 1;
			self.blocks.insert(key.as_slice(), row.encode())?;
			released.bytes += u64::from(row.size);
			return Ok(());
		}
		if chunk == Chunk::Removed {
			return self.free(&key, &row, released);
		}
		// Its bytes stay among those to be freed.
		row.refs = 0;
		self.blocks.insert(key.as_slice(), row.encode())?;
		self.garbage.insert((0, key.as_slice()), ())?;
		if chunk == Chunk::Failed {
			self.set_aside(&key, released)?;
		}
		Ok(())
	}

	/// Removes the row of garbage whose chunk was removed; else sets it aside, if that was tried.
	pub(super) fn clear_garbage(
		&mut self,
		hash: &Multihash,
		chunk: Chunk,
		released: &mut Released,
	) -> Result<(), MetadataError> {
		let key = hash.to_bytes();
		match (self.block(&key)?, chunk) {
			(Some(row), Chunk::Removed) if row.refs == 0 => {
				self.remove_garbage(&key)?;
				self.free(&key, &row, released)
			}
			(Some(row), Chunk::Failed) if row.refs == 0 => self.set_aside(&key, released),
			(Some(row), Chunk::Untouched) if row.refs == 0 => Ok(()),
			// It was taken up again, or another collector was faster.
			_ => self.remove_garbage(&key),
		}
	}

	/// Takes garbage up again: a dataset that has the block came.
	pub(super) fn revive(&mut self, key: &[u8], row: &BlockRow) -> Result<(), MetadataError> {
		self.remove_garbage(key)?;
		self.subtract(Total::DeletingBytes, row.size.into())
	}

	pub(super) fn remove_garbage(&mut self, key: &[u8]) -> Result<(), MetadataError> {
		self.garbage.remove((0, key))?;
		self.garbage.remove((1, key))?;
		Ok(())
	}

	/// Keeps garbage from being tried again with every step.
	fn set_aside(&mut self, key: &[u8], released: &mut Released) -> Result<(), MetadataError> {
		released.step.failed_blocks += 1;
		self.garbage.remove((0, key))?;
		self.garbage.insert((1, key), ())?;
		Ok(())
	}

	/// Has all garbage that was set aside tried again.
	pub(super) fn retry_garbage(&mut self, limit: usize) -> Result<usize, MetadataError> {
		let mut keys = Vec::new();
		for entry in self.garbage.range((1, [].as_slice())..)?.take(limit) {
			keys.push(entry?.0.value().1.to_owned());
		}
		for key in &keys {
			self.garbage.remove((1, key.as_slice()))?;
			self.garbage.insert((0, key.as_slice()), ())?;
		}
		Ok(keys.len())
	}

	fn free(&mut self, key: &[u8], row: &BlockRow, released: &mut Released) -> Result<(), MetadataError> {
		self.blocks.remove(key)?;
		released.step.freed_blocks += 1;
		released.step.freed_bytes += u64::from(row.size);
		released.bytes += u64::from(row.size);
		Ok(())
	}

	pub(super) fn block(&self, key: &[u8]) -> Result<Option<BlockRow>, MetadataError> {
		Ok(self.blocks.get(key)?.map(|row| BlockRow::decode(row.value())))
	}
}
