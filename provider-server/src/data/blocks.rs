//! Single blocks: datasets of one block.

use super::Data;
use cairn_blockstore::{
	repo::{CommitOptions, DatasetError, UploadError},
	Dataset, Expiry, Ttl,
};
use cairn_dag::Block;
use std::{
	sync::PoisonError,
	time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Why a block was not stored.
#[derive(Debug, thiserror::Error)]
pub enum PutBlockError {
	/// It could not be written.
	#[error(transparent)]
	Upload(#[from] UploadError),
	/// The dataset that it is the root of could not be kept longer.
	#[error(transparent)]
	Dataset(#[from] DatasetError),
}

impl Data {
	/// Stores a block as a dataset of its own, which keeps it also when others that have it go. If it is the
	/// root of a dataset already, that one stays, and is kept as long as is asked for. Returns the dataset,
	/// and whether it is new. Blocks the thread.
	///
	/// # Errors
	/// See [`PutBlockError`].
	pub fn put_block(&self, block: Block, ttl: Option<Ttl>) -> Result<(Dataset, bool), PutBlockError> {
		// Committing would replace a dataset of many blocks by one of one.
		let _alone = self.commits.write().unwrap_or_else(PoisonError::into_inner);
		let root = *block.cid();
		if self.repo.dataset(&root).map_err(UploadError::from)?.is_some() {
			match self.repo.extend(&root, ttl.map_or(Expiry::At(0), expiry)) {
				Ok(dataset) => return Ok((dataset, false)),
				// It has expired meanwhile.
				Err(DatasetError::NotFound { .. }) => {}
				Err(error) => return Err(error.into()),
			}
		}
		let mut upload = self.repo.upload(block.data().len() as u64)?;
		upload.put(block)?;
		let options = CommitOptions {
			ttl,
			..CommitOptions::default()
		};
		Ok((upload.commit(&root, &options)?, true))
	}
}

/// When something ends that begins now.
pub fn expiry(ttl: Ttl) -> Expiry {
	match ttl {
		Ttl::Never => Expiry::Never,
		Ttl::Seconds(seconds) => {
			let now = SystemTime::now()
				.duration_since(UNIX_EPOCH)
				.unwrap_or(Duration::ZERO);
			// The last moment stands for `never`.
			Expiry::At(now.as_secs().saturating_add(seconds.get()).min(u64::MAX - 1))
		}
	}
}
