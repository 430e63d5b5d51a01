//! The blocks of a dataset that is being fetched, before anybody else may see them.
//!
//! They go to an upload of the repository, a batch at a time, and wait in memory for their batch. Whoever
//! streams the data meanwhile reads them here.

use super::FetchError;
use crate::data::uploads::off_the_executor;
use cairn_blockstore::{
	repo::{CommitOptions, UploadError, UploadReader},
	Dataset, Multihash, Upload,
};
use cairn_dag::Block;
use cid::Cid;
use std::{
	collections::HashMap,
	sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// Bytes of blocks that are written together. Fewer in tests, so that a little data makes several batches.
pub(super) const BATCH: usize = if cfg!(test) { 512 << 10 } else { 4 << 20 };

/// The blocks that came so far.
pub(super) struct Staging {
	written: UploadReader,
	recent: Mutex<Recent>,
}

/// Blocks that are not certainly on the disk.
#[derive(Default)]
struct Recent {
	blocks: HashMap<Multihash, Block>,
	/// Those of them that the writer has not taken yet.
	unwritten: Vec<Block>,
	unwritten_bytes: usize,
}

/// Writes them, and makes a dataset of them in the end. Dropping it gives the upload up, unless the node is stopping:
/// then what was written stays for the next process.
pub(super) struct Writer {
	/// None once it is committed.
	upload: Option<Upload>,
	staging: Arc<Staging>,
	stopping: CancellationToken,
}

impl Staging {
	/// Blocks for this upload, and who writes them. `stopping` says that the node is.
	pub fn new(upload: Upload, stopping: CancellationToken) -> (Arc<Self>, Writer) {
		let staging = Arc::new(Staging {
			written: upload.reader(),
			recent: Mutex::default(),
		});
		let writer = Writer {
			upload: Some(upload),
			staging: staging.clone(),
			stopping,
		};
		(staging, writer)
	}

	/// Adds a block. Adding it again changes nothing.
	pub fn add(&self, block: Block) {
		let mut recent = self.recent();
		if recent.blocks.insert(*block.cid().hash(), block.clone()).is_none() {
			recent.unwritten_bytes += block.data().len();
			recent.unwritten.push(block);
		}
	}

	/// Whether the block came.
	pub fn has(&self, cid: &Cid) -> Result<bool, FetchError> {
		if self.recent().blocks.contains_key(cid.hash()) {
			return Ok(true);
		}
		self.written.has(cid).map_err(|error| FetchError::Read {
			cid: *cid,
			error: error.into(),
		})
	}

	/// The block, if it came.
	pub fn get(&self, cid: &Cid) -> Result<Option<Block>, FetchError> {
		if let Some(block) = self.recent().blocks.get(cid.hash()) {
			// Verified under this hash, whatever codec it was asked for by.
			return Ok(Some(Block::assume_verified(*cid, block.bytes().clone())));
		}
		self.written
			.get(cid)
			.map_err(|error| FetchError::Read { cid: *cid, error })
	}

	/// Bytes that wait for their batch.
	pub fn unwritten(&self) -> usize {
		self.recent().unwritten_bytes
	}

	fn recent(&self) -> MutexGuard<'_, Recent> {
		// Every change is complete when it could panic.
		self.recent.lock().unwrap_or_else(PoisonError::into_inner)
	}
}

impl Writer {
	/// Writes what waits. Blocks the thread.
	///
	/// # Errors
	/// What kept it from being written; the fetch cannot go on then.
	pub fn write(&mut self) -> Result<(), UploadError> {
		let upload = self.upload.as_mut().ok_or(UploadError::Failed)?;
		let batch = {
			let mut recent = self.staging.recent();
			recent.unwritten_bytes = 0;
			std::mem::take(&mut recent.unwritten)
		};
		for block in &batch {
			upload.put(block.clone())?;
		}
		upload.flush()?;
		// From now on the upload's reader finds them.
		let mut recent = self.staging.recent();
		for block in batch {
			recent.blocks.remove(block.cid().hash());
		}
		Ok(())
	}

	/// Writes the rest and shows the dataset. Blocks the thread.
	///
	/// # Errors
	/// What kept it from being written; nothing is visible then.
	pub fn commit(mut self, root: &Cid) -> Result<Dataset, UploadError> {
		self.write()?;
		let upload = self.upload.take().ok_or(UploadError::Failed)?;
		upload.commit(root, &CommitOptions::default())
	}
}

impl Drop for Writer {
	fn drop(&mut self) {
		match self.upload.take() {
			Some(upload) if self.stopping.is_cancelled() => upload.leave(),
			upload => off_the_executor(upload),
		}
	}
}
