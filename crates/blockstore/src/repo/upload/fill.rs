//! Filling an upload from a producer: blocks are made on one thread and written on another.

use super::{Upload, UploadError, BATCH_BLOCKS};
use cairn_dag::{Block, BlockSink, SinkError};
use std::{sync::mpsc, thread};

/// Bytes handed over at once between the thread that makes blocks and the one that writes them.
const HANDOVER_BYTES: usize = 1 << 20;

/// Why [`Upload::fill`] failed.
#[derive(Debug, thiserror::Error)]
pub enum FillError<E> {
	/// The blocks could not be stored.
	#[error(transparent)]
	Upload(#[from] UploadError),
	/// The blocks could not be made.
	#[error("{0}")]
	Producer(E),
}

impl Upload {
	/// Adds blocks that `produce` makes on this thread, while another writes those made before: what
	/// makes blocks mostly hashes, and disks are waited for. At most a few batches are in memory.
	///
	/// # Errors
	/// The upload's, if writing failed, else the producer's.
	pub fn fill<T, E>(
		&mut self,
		produce: impl FnOnce(&mut dyn BlockSink) -> Result<T, E>,
	) -> Result<T, FillError<E>> {
		let (sender, receiver) = mpsc::sync_channel::<Vec<Block>>(2);
		thread::scope(|scope| {
			let writer = scope.spawn(move || -> Result<(), UploadError> {
				for blocks in receiver {
					for block in blocks {
						self.put(block)?;
					}
				}
				Ok(())
			});
			let mut handover = Handover {
				sender,
				blocks: Vec::new(),
				bytes: 0,
			};
			let produced = produce(&mut handover);
			// If the writer is gone, its error says why.
			let _ = handover.send();
			drop(handover);
			match writer.join() {
				Ok(written) => written?,
				Err(panic) => std::panic::resume_unwind(panic),
			}
			produced.map_err(FillError::Producer)
		})
	}
}

/// Collects blocks and hands them to the writer's thread.
struct Handover {
	sender: mpsc::SyncSender<Vec<Block>>,
	blocks: Vec<Block>,
	bytes: usize,
}

impl Handover {
	fn send(&mut self) -> Result<(), SinkError> {
		self.bytes = 0;
		self.sender
			.send(std::mem::take(&mut self.blocks))
			.map_err(|_| SinkError::new(UploadError::Failed))
	}
}

impl BlockSink for Handover {
	fn put(&mut self, block: Block) -> Result<(), SinkError> {
		self.bytes += block.data().len();
		self.blocks.push(block);
		if self.bytes >= HANDOVER_BYTES || self.blocks.len() >= BATCH_BLOCKS {
			self.send()?;
		}
		Ok(())
	}
}
