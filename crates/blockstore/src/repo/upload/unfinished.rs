//! Uploads that outlive their process: what they had written is there for who uploads the same again.
//!
//! They are not gone on with. Another upload takes the place of an unfinished one, reads from it what would otherwise
//! have to be had anew, and verifies it thereby. Blocks are counted once, however many uploads have them.

use super::{Upload, UploadError, UploadReader};
use crate::{
	repo::{
		metadata::{DatasetRow, DatasetState, MetadataError, DATASETS, HIDDEN},
		ReadError, Repo,
	},
	Cid,
};
use cairn_dag::Block;
use redb::ReadableTable;
use std::{
	collections::HashSet,
	sync::{MutexGuard, PoisonError},
};

/// What an earlier process had written of an upload that it did not finish.
#[derive(Clone, Debug)]
pub struct Unfinished {
	reader: UploadReader,
	bytes: u64,
}

impl Unfinished {
	/// Bytes of its blocks: what another upload of the same need not reserve.
	pub fn bytes(&self) -> u64 {
		self.bytes
	}

	/// Reads a block; `None` if it was not written.
	///
	/// # Errors
	/// [`ReadError::Chunks`] if what is on the disk is damaged or cannot be read.
	pub fn get(&self, cid: &Cid) -> Result<Option<Block>, ReadError> {
		self.reader.get(cid)
	}
}

impl Repo {
	/// Begins an upload as [`upload`](Self::upload) does, of the dataset of this root. If the process ends before it is
	/// committed or given up, what was written of it stays, until [`give_up_unfinished`](Self::give_up_unfinished).
	///
	/// # Errors
	/// [`UploadError::Quota`] if `expected` bytes cannot be set aside.
	pub fn upload_of(&self, root: &Cid, expected: u64) -> Result<Upload, UploadError> {
		self.begin(self.reserve(expected)?, Some(*root))
	}

	/// What earlier processes had written of the dataset of this root. If several did not finish it, that of which
	/// there is most; the others are given up.
	///
	/// # Errors
	/// If the database cannot be read or written.
	pub fn unfinished(&self, root: &Cid) -> Result<Option<Unfinished>, MetadataError> {
		let mut of_root = self.all_unfinished()?;
		of_root.retain(|(_, row)| row.root == Some(*root));
		of_root.sort_by_key(|(_, row)| row.bytes);
		let Some((number, row)) = of_root.pop() else {
			return Ok(None);
		};
		let others: Vec<u64> = of_root.iter().map(|(number, _)| *number).collect();
		if !others.is_empty() {
			self.give_up(&others)?;
		}
		Ok(Some(Unfinished {
			reader: UploadReader::new(self, number),
			bytes: row.bytes,
		}))
	}

	/// Gives up what earlier processes did not finish, but for the roots that `is_wanted`.
	///
	/// # Errors
	/// If the database cannot be read or written. The blocks are collected when it can be.
	pub fn give_up_unfinished(&self, is_wanted: impl Fn(&Cid) -> bool) -> Result<(), MetadataError> {
		let mut unwanted = self.all_unfinished()?;
		unwanted.retain(|(_, row)| !row.root.as_ref().is_some_and(&is_wanted));
		let numbers: Vec<u64> = unwanted.iter().map(|(number, _)| *number).collect();
		match numbers.is_empty() {
			true => Ok(()),
			false => self.give_up(&numbers),
		}
	}

	/// Uploads that have a root and are none of this process.
	fn all_unfinished(&self) -> Result<Vec<(u64, DatasetRow)>, MetadataError> {
		let mut unfinished = self.inner.metadata.read(|snapshot| {
			let (hidden, datasets) = (snapshot.open_table(HIDDEN)?, snapshot.open_table(DATASETS)?);
			let mut unfinished = Vec::new();
			for entry in hidden.iter()? {
				let number = entry?.0.value();
				let Some(row) = datasets.get(number)? else {
					continue;
				};
				let row = DatasetRow::decode(row.value())?;
				if row.state == DatasetState::Uploading && row.root.is_some() {
					unfinished.push((number, row));
				}
			}
			Ok::<_, MetadataError>(unfinished)
		})?;
		// After the look at the database, which has none of this process that are not among these, but for those that
		// have ended since.
		let own = self.lasting();
		unfinished.retain(|(number, _)| !own.contains(number));
		Ok(unfinished)
	}

	pub(super) fn lasting(&self) -> MutexGuard<'_, HashSet<u64>> {
		// A set of numbers is whole between any two calls.
		self.inner.lasting.lock().unwrap_or_else(PoisonError::into_inner)
	}
}

impl Upload {
	/// Ends the session of an upload that outlives the process, as the end of the process would: what was written stays
	/// for who uploads the same again, and what was not is lost. Any other upload is given up.
	pub fn leave(mut self) {
		if self.lasts {
			self.state = super::Session::Closed;
		}
	}
}
