//! The tables, and the changes to them that more than one operation makes.

use super::{
	rows::{BlockRow, BlockValue, DatasetRow, DatasetState, DatasetValue, Total},
	MetadataError,
};
use crate::{repo::Expiry, Cid};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

/// Blocks, by multihash.
pub(in crate::repo) const BLOCKS: TableDefinition<&[u8], BlockValue> = TableDefinition::new("blocks");
/// What blocks a dataset has: the dataset's number (big-endian) ‖ multihash. In this order a
/// collector goes through `blocks` from left to right, and touches each of its pages once.
pub(in crate::repo) const MEMBERS: TableDefinition<&[u8], ()> = TableDefinition::new("members");
/// Datasets, by number.
pub(in crate::repo) const DATASETS: TableDefinition<u64, DatasetValue> = TableDefinition::new("datasets");
/// Numbers of the live datasets, by root.
pub(in crate::repo) const ROOTS: TableDefinition<&[u8], u64> = TableDefinition::new("roots");
/// Numbers and states of the datasets that are not live and still have members: a handful.
pub(in crate::repo) const HIDDEN: TableDefinition<u64, u8> = TableDefinition::new("hidden");
/// Blocks without references, whose chunks are to be removed: 1 if that failed, multihash.
pub(in crate::repo) const GARBAGE: TableDefinition<(u8, &[u8]), ()> = TableDefinition::new("garbage");
/// (expiry, number) of the live datasets that expire and are not pinned.
pub(in crate::repo) const EXPIRY: TableDefinition<(u64, u64), ()> = TableDefinition::new("expiry");
/// (expiry, number) of the live datasets that may be evicted and are not pinned.
pub(in crate::repo) const EVICTABLE: TableDefinition<(u64, u64), ()> = TableDefinition::new("evictable");
/// Pins: root, name of the pin.
pub(in crate::repo) const PINS: TableDefinition<(&[u8], &[u8; 32]), ()> = TableDefinition::new("pins");
/// Records that callers keep beside the blocks.
pub(in crate::repo) const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");
/// Settings that a repository keeps for life: `chunk_store`, the implementation's name.
pub(in crate::repo) const SETTINGS: TableDefinition<&str, &str> = TableDefinition::new("settings");
/// Counters, by [`Total`].
pub(in crate::repo) const TOTALS: TableDefinition<&str, u64> = TableDefinition::new("totals");

/// Every table, open in one transaction.
pub(in crate::repo) struct Tables<'t> {
	pub(in crate::repo) blocks: Table<'t, &'static [u8], BlockValue>,
	pub(in crate::repo) members: Table<'t, &'static [u8], ()>,
	pub(in crate::repo) datasets: Table<'t, u64, DatasetValue>,
	pub(in crate::repo) roots: Table<'t, &'static [u8], u64>,
	pub(in crate::repo) hidden: Table<'t, u64, u8>,
	pub(in crate::repo) garbage: Table<'t, (u8, &'static [u8]), ()>,
	pub(in crate::repo) expiry: Table<'t, (u64, u64), ()>,
	pub(in crate::repo) evictable: Table<'t, (u64, u64), ()>,
	pub(in crate::repo) pins: Table<'t, (&'static [u8], &'static [u8; 32]), ()>,
	pub(in crate::repo) records: Table<'t, &'static [u8], &'static [u8]>,
	pub(in crate::repo) settings: Table<'t, &'static str, &'static str>,
	pub(in crate::repo) totals: Table<'t, &'static str, u64>,
	/// Whether the transaction changes which datasets are live: see [`Repo::generation`](crate::Repo::generation).
	pub(super) changes_roots: bool,
}

impl<'t> Tables<'t> {
	/// Opens, and creates on the first time, every table.
	pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, MetadataError> {
		Ok(Self {
			blocks: transaction.open_table(BLOCKS)?,
			members: transaction.open_table(MEMBERS)?,
			datasets: transaction.open_table(DATASETS)?,
			roots: transaction.open_table(ROOTS)?,
			hidden: transaction.open_table(HIDDEN)?,
			garbage: transaction.open_table(GARBAGE)?,
			expiry: transaction.open_table(EXPIRY)?,
			evictable: transaction.open_table(EVICTABLE)?,
			pins: transaction.open_table(PINS)?,
			records: transaction.open_table(RECORDS)?,
			settings: transaction.open_table(SETTINGS)?,
			totals: transaction.open_table(TOTALS)?,
			changes_roots: false,
		})
	}

	pub(in crate::repo) fn total(&self, total: Total) -> Result<u64, MetadataError> {
		Ok(self.totals.get(total.key())?.map_or(0, |value| value.value()))
	}

	pub(in crate::repo) fn set_total(&mut self, total: Total, value: u64) -> Result<(), MetadataError> {
		self.totals.insert(total.key(), value)?;
		Ok(())
	}

	/// Adds to a counter.
	pub(in crate::repo) fn add(&mut self, total: Total, value: u64) -> Result<(), MetadataError> {
		match value {
			0 => Ok(()),
			_ => self.set_total(total, self.total(total)?.saturating_add(value)),
		}
	}

	/// Subtracts from a counter. A counter that drifted stops at zero; `fsck` recounts it.
	pub(in crate::repo) fn subtract(&mut self, total: Total, value: u64) -> Result<(), MetadataError> {
		match value {
			0 => Ok(()),
			_ => self.set_total(total, self.total(total)?.saturating_sub(value)),
		}
	}

	pub(in crate::repo) fn dataset(&self, number: u64) -> Result<Option<DatasetRow>, MetadataError> {
		let row = self.datasets.get(number)?;
		row.map(|row| DatasetRow::decode(row.value())).transpose()
	}

	pub(in crate::repo) fn set_dataset(
		&mut self,
		number: u64,
		row: &DatasetRow,
	) -> Result<(), MetadataError> {
		let root = row.root_bytes();
		self.datasets.insert(number, row.encode(&root))?;
		Ok(())
	}

	/// The live dataset of a root, with its number.
	pub(in crate::repo) fn live(&self, root: &Cid) -> Result<Option<(u64, DatasetRow)>, MetadataError> {
		let Some(number) = self
			.roots
			.get(root.to_bytes().as_slice())?
			.map(|number| number.value())
		else {
			return Ok(None);
		};
		match self.dataset(number)? {
			Some(row) => Ok(Some((number, row))),
			None => Err(MetadataError::Damaged { table: "roots" }),
		}
	}

	/// Makes a dataset the live one of a root.
	pub(in crate::repo) fn set_root(&mut self, root: &Cid, number: u64) -> Result<(), MetadataError> {
		self.changes_roots = true;
		self.roots.insert(root.to_bytes().as_slice(), number)?;
		Ok(())
	}

	/// Makes a root lead to no dataset.
	pub(in crate::repo) fn remove_root(&mut self, root: &[u8]) -> Result<(), MetadataError> {
		self.changes_roots = true;
		self.roots.remove(root)?;
		Ok(())
	}

	/// Enters a live dataset into the indexes of what may go, or takes it out if it is pinned.
	pub(in crate::repo) fn index(&mut self, number: u64, row: &DatasetRow) -> Result<(), MetadataError> {
		let key = (row.expiry.to_stored(), number);
		if row.pins == 0 && row.expiry != Expiry::Never {
			self.expiry.insert(key, ())?;
		}
		if row.pins == 0 && row.evictable {
			self.evictable.insert(key, ())?;
		}
		Ok(())
	}

	/// Takes a dataset out of the indexes of what may go.
	pub(in crate::repo) fn unindex(&mut self, number: u64, row: &DatasetRow) -> Result<(), MetadataError> {
		let key = (row.expiry.to_stored(), number);
		self.expiry.remove(key)?;
		self.evictable.remove(key)?;
		Ok(())
	}

	/// Makes a dataset invisible, whatever state it is in. Its blocks are released later. Takes the
	/// same time for any number of blocks.
	pub(in crate::repo) fn mark_deleting(
		&mut self,
		number: u64,
		mut row: DatasetRow,
	) -> Result<(), MetadataError> {
		if row.state == DatasetState::Live {
			self.unindex(number, &row)?;
			if let Some(root) = &row.root {
				let root = root.to_bytes();
				let current = self.roots.get(root.as_slice())?.map(|number| number.value());
				// After a replacement the root leads to the new dataset.
				if current == Some(number) {
					self.remove_root(&root)?;
				}
			}
			self.subtract(Total::Datasets, 1)?;
		}
		if row.state != DatasetState::Deleting {
			self.add(Total::DeletingBytes, row.bytes)?;
		}
		row.state = DatasetState::Deleting;
		self.set_dataset(number, &row)?;
		self.hidden.insert(number, row.state.encode())?;
		Ok(())
	}

	/// Whether a block can be read.
	pub(in crate::repo) fn visibility(&self, hash: &[u8]) -> Result<Visibility, MetadataError> {
		visibility(hash, &self.blocks, &self.hidden, &self.members)
	}
}

/// Whether a block can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::repo) enum Visibility {
	/// No live dataset has it.
	Absent,
	/// A live dataset has it, and its chunk is on disk.
	Present(BlockRow),
	/// A live dataset has it, and its chunk is damaged or missing.
	Lost(BlockRow),
}

/// Looks up whether a block can be read: whether it has more references than there are invisible
/// datasets that have it.
pub(in crate::repo) fn visibility(
	hash: &[u8],
	blocks: &impl ReadableTable<&'static [u8], BlockValue>,
	hidden: &impl ReadableTable<u64, u8>,
	members: &impl ReadableTable<&'static [u8], ()>,
) -> Result<Visibility, MetadataError> {
	let Some(row) = blocks.get(hash)?.map(|row| BlockRow::decode(row.value())) else {
		return Ok(Visibility::Absent);
	};
	let mut visible = u64::from(row.refs);
	if visible <= hidden.len()? {
		for entry in hidden.iter()? {
			let number = entry?.0.value();
			if members.get(member_key(number, hash).as_slice())?.is_some() {
				visible = visible.saturating_sub(1);
			}
			if visible == 0 {
				break;
			}
		}
	}
	Ok(match (visible, row.lost) {
		(0, _) => Visibility::Absent,
		(_, false) => Visibility::Present(row),
		(_, true) => Visibility::Lost(row),
	})
}

/// Key of [`MEMBERS`].
pub(in crate::repo) fn member_key(number: u64, hash: &[u8]) -> Vec<u8> {
	let mut key = Vec::with_capacity(8 + hash.len());
	key.extend_from_slice(&number.to_be_bytes());
	key.extend_from_slice(hash);
	key
}

/// First and last key of [`MEMBERS`] that a dataset may have.
pub(in crate::repo) fn members_of(number: u64) -> (Vec<u8>, Vec<u8>) {
	// A multihash begins with its code, a varint of at most ten bytes whose last is below 0x80: none
	// is as great as eleven times 0xff.
	(member_key(number, &[]), member_key(number, &[0xff; 11]))
}
