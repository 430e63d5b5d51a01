//! Reading what an upload has written, before its commit.

use super::Upload;
use crate::{
	repo::{
		metadata::{member_key, DatasetRow, DatasetState, MetadataError, DATASETS, MEMBERS},
		ReadError, Repo,
	},
	Cid,
};
use cairn_dag::Block;

/// Reads the blocks of one upload, which nobody else sees before its commit: for who works with data while
/// it comes in. A block is found once it is written ([`Upload::flush`]); after the commit as long as the
/// dataset is neither replaced nor deleted; and not any more once the upload is given up.
#[derive(Clone, Debug)]
pub struct UploadReader {
	repo: Repo,
	number: u64,
}

impl Upload {
	/// A reader of this upload's blocks. It does not keep the upload open.
	pub fn reader(&self) -> UploadReader {
		UploadReader::new(&self.repo, self.number)
	}
}

impl UploadReader {
	pub(super) fn new(repo: &Repo, number: u64) -> Self {
		Self {
			repo: repo.clone(),
			number,
		}
	}

	/// Whether the block is the upload's, and written or being written.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn has(&self, cid: &Cid) -> Result<bool, MetadataError> {
		let key = member_key(self.number, &cid.hash().to_bytes());
		self.repo.inner.metadata.read(|snapshot| {
			if snapshot.open_table(MEMBERS)?.get(key.as_slice())?.is_none() {
				return Ok(false);
			}
			let datasets = snapshot.open_table(DATASETS)?;
			let Some(row) = datasets.get(self.number)? else {
				return Ok(false);
			};
			Ok(DatasetRow::decode(row.value())?.state != DatasetState::Deleting)
		})
	}

	/// Reads a block; `None` if it is not the upload's, or not written yet.
	///
	/// # Errors
	/// [`ReadError::Chunks`] if what is on the disk is damaged or cannot be read.
	pub fn get(&self, cid: &Cid) -> Result<Option<Block>, ReadError> {
		if !self.has(cid)? {
			return Ok(None);
		}
		// A chunk that is not there is being written, or was collected since the look at the database.
		Ok(self.repo.inner.chunks.get(cid)?)
	}
}
