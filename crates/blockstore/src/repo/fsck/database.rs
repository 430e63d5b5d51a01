//! The database against itself.
//!
//! Datasets are what everything else is derived from: which of them are live, their expiry and their
//! members. Indexes, counts of references and totals are compared with them.

use super::{chunks::name_damaged, FsckError, FsckOptions, FsckReport};
use crate::repo::{
	metadata::{members_of, BlockRow, DatasetRow, DatasetState, MetadataError, Tables, Total},
	Expiry, Repo,
};
use crate::Cid;
use redb::{ReadableTable, ReadableTableMetadata};
use std::collections::HashMap;

/// Blocks that are counted at once.
const COUNTED: u64 = 1 << 20;

impl Repo {
	pub(super) fn check_database(
		&self,
		options: FsckOptions,
		report: &mut FsckReport,
	) -> Result<(), FsckError> {
		let checked = self.inner.metadata.write(|tables| {
			check_datasets(tables, report)?;
			check_indexes(tables, report)?;
			let members = check_members(tables, report)?;
			check_references(tables, report)?;
			check_garbage(tables, report)?;
			check_counts(tables, &members, report)?;
			// An error takes back what was mended.
			match options.mend {
				true => Ok(()),
				false => Err(Unwanted::Reported),
			}
		});
		match checked {
			Ok(()) | Err(Unwanted::Reported) => Ok(()),
			Err(Unwanted::Metadata(error)) => Err(error.into()),
		}
	}
}

impl Repo {
	/// Counts the members of every dataset again.
	pub(super) fn recount_datasets(&self) -> Result<(), MetadataError> {
		self.inner.metadata.write(|tables| {
			let mut report = FsckReport::default();
			let members = check_members(tables, &mut report)?;
			check_counts(tables, &members, &mut report)
		})
	}
}

/// Why the transaction is not committed.
enum Unwanted {
	/// Nothing is to be mended.
	Reported,
	Metadata(MetadataError),
}

impl From<MetadataError> for Unwanted {
	fn from(error: MetadataError) -> Self {
		Self::Metadata(error)
	}
}

impl crate::repo::metadata::Wraps for Unwanted {
	fn metadata(&self) -> Option<&MetadataError> {
		match self {
			Self::Metadata(error) => Some(error),
			Self::Reported => None,
		}
	}
}

/// Every dataset's row leads to the entries it should have in `hidden`, `roots` and the indexes.
fn check_datasets(tables: &mut Tables<'_>, report: &mut FsckReport) -> Result<(), MetadataError> {
	let mut numbers = Vec::new();
	for entry in tables.datasets.iter()? {
		numbers.push(entry?.0.value());
	}
	report.datasets = numbers.len() as u64;
	// A number that is given twice would mix the members of two datasets.
	let next = numbers.last().map_or(0, |last| last.saturating_add(1));
	if tables.total(Total::NextDataset)? < next {
		tables.set_total(Total::NextDataset, next)?;
		report.wrong_totals += 1;
	}
	for number in numbers {
		let Some(mut row) = tables.dataset(number)? else {
			continue;
		};
		let mut wrong = false;
		if let (DatasetState::Live, Some(root)) = (row.state, row.root) {
			let key = root.to_bytes();
			let current = tables.roots.get(key.as_slice())?.map(|number| number.value());
			match current {
				Some(current) if current == number => {}
				current => {
					wrong = true;
					if let Some((other_number, mut other)) = rival(tables, current, &root)? {
						// Two live datasets of one root: the newer one stays, as after a replacement.
						let (old_number, old, new_number, new) = match number > other_number {
							true => (other_number, &other, number, &mut row),
							false => (number, &row, other_number, &mut other),
						};
						tables.unindex(new_number, new)?;
						new.expiry = new.expiry.max(old.expiry);
						new.evictable &= old.evictable;
						new.pins = count_pins(tables, &root)?;
						tables.set_dataset(new_number, new)?;
						tables.index(new_number, new)?;
						tables.set_root(&root, new_number)?;
						tables.hidden.remove(new_number)?;
						tables.mark_deleting(old_number, old.clone())?;
						report.wrong_datasets += 1;
						continue;
					}
					// Datasets are what is true, and entries lead to them.
					tables.set_root(&root, number)?;
				}
			}
			wrong |= tables.hidden.remove(number)?.is_some();
			let pins = count_pins(tables, &root)?;
			if pins != row.pins {
				row.pins = pins;
				tables.unindex(number, &row)?;
				tables.set_dataset(number, &row)?;
				wrong = true;
			}
			let key = (row.expiry.to_stored(), number);
			let missing = (expires(&row) && tables.expiry.get(key)?.is_none())
				|| (evictable(&row) && tables.evictable.get(key)?.is_none());
			if missing {
				tables.index(number, &row)?;
				wrong = true;
			}
		} else if row.state == DatasetState::Live {
			// Live without a root: nobody can name it.
			tables.mark_deleting(number, row)?;
			wrong = true;
		} else if tables.hidden.get(number)?.map(|state| state.value()) != Some(row.state.encode()) {
			tables.hidden.insert(number, row.state.encode())?;
			wrong = true;
		}
		report.wrong_datasets += u64::from(wrong);
	}
	Ok(())
}

/// The other live dataset to which the entry of a root leads.
fn rival(
	tables: &Tables<'_>,
	entry: Option<u64>,
	root: &Cid,
) -> Result<Option<(u64, DatasetRow)>, MetadataError> {
	let Some(number) = entry else {
		return Ok(None);
	};
	let row = tables.dataset(number)?;
	Ok(row
		.filter(|row| row.state == DatasetState::Live && row.root == Some(*root))
		.map(|row| (number, row)))
}

fn expires(row: &DatasetRow) -> bool {
	row.pins == 0 && row.expiry != Expiry::Never
}

fn evictable(row: &DatasetRow) -> bool {
	row.pins == 0 && row.evictable
}

fn count_pins(tables: &Tables<'_>, root: &Cid) -> Result<u32, MetadataError> {
	let root = root.to_bytes();
	let range = (root.as_slice(), &[0; 32])..=(root.as_slice(), &[0xff; 32]);
	Ok(u32::try_from(tables.pins.range(range)?.count()).unwrap_or(u32::MAX))
}

/// Every entry of `hidden`, `roots`, the indexes and the pins is justified by a dataset.
fn check_indexes(tables: &mut Tables<'_>, report: &mut FsckReport) -> Result<(), MetadataError> {
	let mut hidden = Vec::new();
	for entry in tables.hidden.iter()? {
		let number = entry?.0.value();
		if tables.dataset(number)?.is_none() {
			hidden.push(number);
		}
	}
	for number in &hidden {
		tables.hidden.remove(number)?;
	}

	let mut roots = Vec::new();
	for entry in tables.roots.iter()? {
		let (root, number) = entry?;
		let row = tables.dataset(number.value())?;
		let leads_here =
			row.is_some_and(|row| row.state == DatasetState::Live && row.root_bytes() == root.value());
		if !leads_here {
			roots.push(root.value().to_owned());
		}
	}
	for root in &roots {
		tables.remove_root(root)?;
	}

	let mut expiry = Vec::new();
	for entry in tables.expiry.iter()? {
		let key = entry?.0.value();
		if !is_indexed(tables, key, expires)? {
			expiry.push(key);
		}
	}
	for key in &expiry {
		tables.expiry.remove(key)?;
	}

	let mut evictables = Vec::new();
	for entry in tables.evictable.iter()? {
		let key = entry?.0.value();
		if !is_indexed(tables, key, evictable)? {
			evictables.push(key);
		}
	}
	for key in &evictables {
		tables.evictable.remove(key)?;
	}

	let mut pins = Vec::new();
	for entry in tables.pins.iter()? {
		let key = entry?.0;
		let (root, pin) = key.value();
		if tables.roots.get(root)?.is_none() {
			pins.push((root.to_owned(), *pin));
		}
	}
	for (root, pin) in &pins {
		tables.pins.remove((root.as_slice(), pin))?;
	}

	report.wrong_datasets += (hidden.len() + roots.len() + expiry.len() + evictables.len()) as u64;
	report.orphans += pins.len() as u64;
	Ok(())
}

fn is_indexed(
	tables: &Tables<'_>,
	(expiry, number): (u64, u64),
	belongs: impl FnOnce(&DatasetRow) -> bool,
) -> Result<bool, MetadataError> {
	Ok(tables.dataset(number)?.is_some_and(|row| {
		row.state == DatasetState::Live && row.expiry.to_stored() == expiry && belongs(&row)
	}))
}

/// What the members of datasets add up to.
#[derive(Default)]
struct Members {
	/// Bytes of members of datasets that are being deleted.
	deleting_bytes: u64,
}

/// Every member belongs to a dataset, and every live dataset counts its members right. Rows that are
/// missing are made up, as lost blocks of unknown size; the chunks tell the rest.
fn check_members(tables: &mut Tables<'_>, report: &mut FsckReport) -> Result<Members, MetadataError> {
	let mut members = Members::default();
	let mut orphans = Vec::new();
	let mut rowless = Vec::new();
	let mut wrong = Vec::new();
	let mut current: Option<(u64, Option<DatasetRow>, u64, u64)> = None;
	let mut finish = |current: Option<(u64, Option<DatasetRow>, u64, u64)>, members: &mut Members| {
		if let Some((number, Some(mut row), blocks, bytes)) = current {
			match row.state {
				DatasetState::Deleting => members.deleting_bytes += bytes,
				_ if (row.blocks, row.bytes) != (blocks, bytes) => {
					(row.blocks, row.bytes) = (blocks, bytes);
					wrong.push((number, row));
				}
				_ => {}
			}
		}
	};
	for entry in tables.members.iter()? {
		let (key, _) = entry?;
		let Some((number, hash)) = key.value().split_first_chunk::<8>() else {
			orphans.push(key.value().to_owned());
			continue;
		};
		let number = u64::from_be_bytes(*number);
		if current.as_ref().is_none_or(|(current, ..)| *current != number) {
			finish(current.take(), &mut members);
			current = Some((number, tables.dataset(number)?, 0, 0));
		}
		let Some((_, Some(_), blocks, bytes)) = &mut current else {
			orphans.push(key.value().to_owned());
			continue;
		};
		let block = tables.blocks.get(hash)?.map(|row| BlockRow::decode(row.value()));
		*blocks += 1;
		*bytes += block.map_or(0, |block| u64::from(block.size));
		if block.is_none() {
			rowless.push(hash.to_owned());
		}
	}
	finish(current.take(), &mut members);
	// Those without any were not met.
	for entry in tables.datasets.iter()? {
		let (number, row) = entry?;
		let (number, mut row) = (number.value(), DatasetRow::decode(row.value())?);
		if row.state == DatasetState::Deleting || (row.blocks, row.bytes) == (0, 0) {
			continue;
		}
		let (first, last) = members_of(number);
		let mut range = tables.members.range(first.as_slice()..=last.as_slice())?;
		if range.next().transpose()?.is_none() {
			(row.blocks, row.bytes) = (0, 0);
			if row.state == DatasetState::Live {
				name_damaged(report, row.root);
			}
			wrong.push((number, row));
		}
	}
	report.orphans += orphans.len() as u64;
	report.wrong_datasets += wrong.len() as u64;
	for key in &orphans {
		tables.members.remove(key.as_slice())?;
	}
	for (number, row) in &wrong {
		tables.set_dataset(*number, row)?;
	}
	let unknown = BlockRow {
		size: 0,
		refs: 0,
		lost: true,
	};
	for hash in &rowless {
		tables.blocks.insert(hash.as_slice(), unknown.encode())?;
	}
	Ok(members)
}

/// Every block counts the datasets that have it.
fn check_references(tables: &mut Tables<'_>, report: &mut FsckReport) -> Result<(), MetadataError> {
	let parts = tables.blocks.len()?.div_ceil(COUNTED).max(1);
	for part in 0..parts {
		let mut counts: HashMap<u128, u32> = HashMap::new();
		for entry in tables.members.iter()? {
			let (key, _) = entry?;
			let fingerprint = fingerprint(&key.value()[8..]);
			if fingerprint % u128::from(parts) == u128::from(part) {
				*counts.entry(fingerprint).or_default() += 1;
			}
		}
		let mut wrong = Vec::new();
		for entry in tables.blocks.iter()? {
			let (key, value) = entry?;
			let fingerprint = fingerprint(key.value());
			if fingerprint % u128::from(parts) == u128::from(part) {
				let row = BlockRow::decode(value.value());
				let refs = counts.get(&fingerprint).copied().unwrap_or(0);
				if row.refs != refs {
					wrong.push((key.value().to_owned(), BlockRow { refs, ..row }));
				}
			}
		}
		report.wrong_blocks += wrong.len() as u64;
		for (key, row) in wrong {
			match row.refs {
				0 => tables.blocks.remove(key.as_slice())?,
				_ => tables.blocks.insert(key.as_slice(), row.encode())?,
			};
		}
	}
	Ok(())
}

/// Blocks without references, and no others, are garbage.
fn check_garbage(tables: &mut Tables<'_>, report: &mut FsckReport) -> Result<(), MetadataError> {
	let mut wrong = Vec::new();
	for entry in tables.garbage.iter()? {
		let key = entry?.0.value().1.to_owned();
		if tables.block(&key)?.is_none_or(|row| row.refs > 0) {
			wrong.push(key);
		}
	}
	for key in &wrong {
		tables.remove_garbage(key)?;
	}
	report.orphans += wrong.len() as u64;
	let mut missing = Vec::new();
	for entry in tables.blocks.iter()? {
		let (key, value) = entry?;
		let key = key.value();
		let is_garbage = || -> Result<bool, MetadataError> {
			Ok(tables.garbage.get((0, key))?.is_some() || tables.garbage.get((1, key))?.is_some())
		};
		if BlockRow::decode(value.value()).refs == 0 && !is_garbage()? {
			missing.push(key.to_owned());
		}
	}
	for key in &missing {
		tables.garbage.insert((0, key.as_slice()), ())?;
	}
	report.wrong_blocks += missing.len() as u64;
	Ok(())
}

/// The last 16 bytes: digests are long and as good as random, so two blocks do not share them.
fn fingerprint(hash: &[u8]) -> u128 {
	let mut bytes = [0; 16];
	let tail = &hash[hash.len().saturating_sub(16)..];
	bytes[16 - tail.len()..].copy_from_slice(tail);
	u128::from_be_bytes(bytes)
}

/// The totals are what the rows add up to.
fn check_counts(
	tables: &mut Tables<'_>,
	members: &Members,
	report: &mut FsckReport,
) -> Result<(), MetadataError> {
	let (mut blocks, mut used, mut garbage) = (0, 0, 0);
	for entry in tables.blocks.iter()? {
		let row = BlockRow::decode(entry?.1.value());
		blocks += 1;
		used += u64::from(row.size);
		if row.refs == 0 {
			garbage += u64::from(row.size);
		}
	}
	report.blocks = blocks;
	let datasets = tables.roots.len()?;
	for (total, counted) in [
		(Total::Blocks, blocks),
		(Total::UsedBytes, used),
		(Total::Datasets, datasets),
		(Total::DeletingBytes, members.deleting_bytes + garbage),
	] {
		if tables.total(total)? != counted {
			report.wrong_totals += 1;
			tables.set_total(total, counted)?;
		}
	}
	Ok(())
}
