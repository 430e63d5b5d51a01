//! Datasets: looking them up, keeping them longer, deleting them.

use super::{
	metadata::{self, decode_hash, members_of, DatasetRow, MetadataError, Wraps, DATASETS, MEMBERS, ROOTS},
	Expiry, Repo,
};
use crate::{fault_injection, Cid, Multihash};
use redb::ReadTransaction;

/// A dataset: blocks that were committed together under a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
	/// Its name: the CID of the block from which the others are reached.
	pub root: Cid,
	/// When it expires, unless it is pinned then.
	pub expiry: Expiry,
	/// Whether it may go before that to make room.
	pub evictable: bool,
	/// Pins on it.
	pub pins: u32,
	/// Distinct blocks.
	pub blocks: u64,
	/// Their bytes, whether or not other datasets have them too.
	pub bytes: u64,
	/// When it was first committed, in seconds since the Unix epoch.
	pub created: u64,
}

impl Dataset {
	pub(super) fn from_row(root: Cid, row: &DatasetRow) -> Self {
		Self {
			root,
			expiry: row.expiry,
			evictable: row.evictable,
			pins: row.pins,
			blocks: row.blocks,
			bytes: row.bytes,
			created: row.created,
		}
	}
}

/// A page of datasets, in the order of their roots' bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datasets {
	/// The page.
	pub datasets: Vec<Dataset>,
	/// Where the next page begins; none after the last.
	pub next: Option<Cid>,
}

/// Why a dataset could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
	/// There is no such dataset.
	#[error("there is no dataset {root}")]
	NotFound {
		/// Its root.
		root: Cid,
	},
	/// It is pinned.
	#[error("dataset {root} is needed by {pins} live deals and cannot be deleted")]
	Pinned {
		/// Its root.
		root: Cid,
		/// Pins on it.
		pins: u32,
	},
	/// The block belongs to datasets and goes with them.
	#[error("block {cid} is part of {datasets} datasets: delete those")]
	PartOfDataset {
		/// The block.
		cid: Cid,
		/// Datasets that have it, those that are uploaded or deleted just now included.
		datasets: u32,
	},
	/// The database failed.
	#[error(transparent)]
	Metadata(#[from] MetadataError),
}

impl Wraps for DatasetError {
	fn metadata(&self) -> Option<&MetadataError> {
		match self {
			Self::Metadata(error) => Some(error),
			_ => None,
		}
	}
}

impl Repo {
	/// The dataset of a root.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn dataset(&self, root: &Cid) -> Result<Option<Dataset>, MetadataError> {
		self.inner
			.metadata
			.read(|snapshot| Ok(find(snapshot, root)?.map(|(_, row)| Dataset::from_row(*root, &row))))
	}

	/// A number that rises whenever a dataset comes or goes, for whatever reason: what a list of the datasets says
	/// holds as long as the number does that was read before the list. It costs nothing to ask, and begins anew
	/// with the process.
	pub fn generation(&self) -> u64 {
		self.inner.metadata.generation()
	}

	/// At most `limit` datasets, from a root on or from the first.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn datasets(&self, from: Option<&Cid>, limit: usize) -> Result<Datasets, MetadataError> {
		let from = from.map(|root| root.to_bytes()).unwrap_or_default();
		self.inner.metadata.read(|snapshot| {
			let rows = snapshot.open_table(DATASETS)?;
			let mut page = Datasets {
				datasets: Vec::new(),
				next: None,
			};
			for entry in snapshot.open_table(ROOTS)?.range(from.as_slice()..)? {
				let (root, number) = entry?;
				let root =
					Cid::try_from(root.value()).map_err(|_| MetadataError::Damaged { table: "roots" })?;
				if page.datasets.len() == limit {
					page.next = Some(root);
					break;
				}
				let row = rows
					.get(number.value())?
					.ok_or(MetadataError::Damaged { table: "roots" })?;
				page.datasets
					.push(Dataset::from_row(root, &DatasetRow::decode(row.value())?));
			}
			Ok(page)
		})
	}

	/// At most `limit` hashes of a dataset's blocks, after a hash or from the first, in the order of
	/// their bytes. Fewer than `limit` are the last ones.
	///
	/// # Errors
	/// [`DatasetError::NotFound`] if there is no such dataset.
	pub fn blocks_of(
		&self,
		root: &Cid,
		after: Option<&Multihash>,
		limit: usize,
	) -> Result<Vec<Multihash>, DatasetError> {
		self.inner.metadata.read(|snapshot| {
			let (number, _) = find(snapshot, root)?.ok_or(DatasetError::NotFound { root: *root })?;
			let (first, last) = members_of(number);
			let first = match after {
				// The least key that is greater.
				Some(hash) => {
					let mut key = metadata::member_key(number, &hash.to_bytes());
					key.push(0);
					key
				}
				None => first,
			};
			let members = snapshot.open_table(MEMBERS).map_err(MetadataError::from)?;
			let range = members
				.range(first.as_slice()..=last.as_slice())
				.map_err(MetadataError::from)?;
			let mut hashes = Vec::new();
			for entry in range.take(limit) {
				let (key, _) = entry.map_err(MetadataError::from)?;
				hashes.push(decode_hash(&key.value()[8..], "members")?);
			}
			Ok(hashes)
		})
	}

	/// Keeps a dataset until `expiry` at least. One that is kept longer already stays as it is.
	///
	/// # Errors
	/// [`DatasetError::NotFound`] if there is none, also if it has just expired.
	pub fn extend(&self, root: &Cid, expiry: Expiry) -> Result<Dataset, DatasetError> {
		self.inner.metadata.write(|tables| {
			let (number, mut row) = tables.live(root)?.ok_or(DatasetError::NotFound { root: *root })?;
			if expiry > row.expiry {
				tables.unindex(number, &row)?;
				row.expiry = expiry;
				tables.set_dataset(number, &row)?;
				tables.index(number, &row)?;
			}
			Ok(Dataset::from_row(*root, &row))
		})
	}

	/// Deletes a dataset. It and the blocks that no other dataset has are gone for every reader when
	/// the call returns, which takes no longer for more blocks than
	/// [`release_at_once`](super::RepoConfig::release_at_once); their bytes are freed by
	/// [`collect_step`](Self::collect_step) or the [worker](super::Worker). While very many large datasets
	/// wait for that, the call does some of it. Returns whether there was
	/// such a dataset: deleting twice is deleting once.
	///
	/// # Errors
	/// [`DatasetError::Pinned`] while a pin is on it; [`DatasetError::PartOfDataset`] if `root` is no
	/// dataset but a block of one.
	pub fn delete(&self, root: &Cid) -> Result<bool, DatasetError> {
		let deleted = self.inner.metadata.write(|tables| {
			let Some((number, row)) = tables.live(root)? else {
				return match tables.visibility(&root.hash().to_bytes())? {
					metadata::Visibility::Absent => Ok(false),
					metadata::Visibility::Present(block) | metadata::Visibility::Lost(block) => {
						Err(DatasetError::PartOfDataset {
							cid: *root,
							datasets: block.refs,
						})
					}
				};
			};
			if row.pins > 0 {
				return Err(DatasetError::Pinned {
					root: *root,
					pins: row.pins,
				});
			}
			tables.delete_dataset(number, row, self.inner.release_at_once)?;
			Ok(true)
		})?;
		if deleted {
			fault_injection::reached("delete:marked");
			self.inner.bell.ring();
			self.relieve_readers();
		}
		Ok(deleted)
	}
}

fn find(snapshot: &ReadTransaction, root: &Cid) -> Result<Option<(u64, DatasetRow)>, MetadataError> {
	let roots = snapshot.open_table(ROOTS)?;
	let Some(number) = roots
		.get(root.to_bytes().as_slice())?
		.map(|number| number.value())
	else {
		return Ok(None);
	};
	let datasets = snapshot.open_table(DATASETS)?;
	let row = datasets
		.get(number)?
		.ok_or(MetadataError::Damaged { table: "roots" })?;
	Ok(Some((number, DatasetRow::decode(row.value())?)))
}
