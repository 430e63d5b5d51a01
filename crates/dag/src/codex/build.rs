//! A dataset of data that comes in pieces.

use super::{
	import::{Dataset, ImportError, MAX_BLOCK_SIZE},
	manifest::Manifest,
	tree::{Digest, TreeBuilder},
};
use crate::{
	block::Block,
	codec::Codec,
	source::{BlockSink, SinkError},
};

/// Grows a dataset from data in pieces of any size: for who gets data rather than reads it. Between two
/// pieces it holds less than a block, and one digest per level of the tree, so that it can wait for the
/// next one for long.
#[derive(Debug)]
pub struct DatasetBuilder {
	block_size: usize,
	/// Less than a block.
	partial: Vec<u8>,
	tree: TreeBuilder,
	/// Bytes in blocks that were made.
	blocked: u64,
}

impl DatasetBuilder {
	/// Without data.
	///
	/// # Errors
	/// [`ImportError::InvalidBlockSize`].
	pub fn new(block_size: u32) -> Result<Self, ImportError> {
		if !(1..=MAX_BLOCK_SIZE).contains(&block_size) {
			return Err(ImportError::InvalidBlockSize);
		}
		Ok(Self {
			block_size: block_size as usize,
			partial: Vec::new(),
			tree: TreeBuilder::new(),
			blocked: 0,
		})
	}

	/// Bytes of data so far.
	pub fn size(&self) -> u64 {
		self.blocked + self.partial.len() as u64
	}

	/// Adds data. The sink gets each block, and each node of the tree, as soon as it is complete.
	///
	/// # Errors
	/// What the sink returns. The builder is of no use then: some of the data may be missing.
	pub fn write<K: BlockSink + ?Sized>(&mut self, mut data: &[u8], sink: &mut K) -> Result<(), SinkError> {
		while !data.is_empty() {
			let room = self.block_size - self.partial.len();
			let (now, later) = data.split_at(room.min(data.len()));
			if self.partial.capacity() == 0 {
				self.partial.reserve_exact(self.block_size);
			}
			self.partial.extend_from_slice(now);
			data = later;
			if self.partial.len() == self.block_size {
				let block = std::mem::take(&mut self.partial);
				self.put_block(block, self.block_size, sink)?;
			}
		}
		Ok(())
	}

	/// Ends the data. The sink gets the last block, padded with zeros, the rest of the tree and the
	/// manifest.
	///
	/// # Errors
	/// [`ImportError::Empty`] if there was no data; what the sink returns.
	pub fn finish<K: BlockSink + ?Sized>(
		mut self,
		sink: &mut K,
		filename: Option<String>,
		mimetype: Option<String>,
	) -> Result<Dataset, ImportError> {
		let filled = self.partial.len();
		if filled > 0 {
			let mut block = std::mem::take(&mut self.partial);
			block.resize(self.block_size, 0);
			self.put_block(block, filled, sink)?;
		}
		let root = self.tree.finish(sink)?.ok_or(ImportError::Empty)?;
		let manifest = Manifest {
			filename,
			mimetype,
			// At most MAX_BLOCK_SIZE, which is a u32.
			..Manifest::new(root, self.block_size as u32, self.blocked)
		};
		let block = manifest.block();
		let cid = *block.cid();
		sink.put(block)?;
		Ok(Dataset { cid, manifest })
	}

	/// Adds a whole block, of which `filled` bytes are data and the rest zeros. Only the last block has
	/// such a rest.
	pub(super) fn put_block<K: BlockSink + ?Sized>(
		&mut self,
		block: Vec<u8>,
		filled: usize,
		sink: &mut K,
	) -> Result<(), SinkError> {
		self.blocked += filled as u64;
		let block = Block::encode(Codec::CodexBlock, block);
		let digest = Digest::try_from(block.cid().hash().digest());
		let digest = digest.expect("Block::encode hashes with SHA-256, which has 32 bytes");
		sink.put(block)?;
		self.tree.push(digest, sink)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::{
		codex::{import, DatasetOptions},
		MemoryBlocks,
	};

	#[test]
	fn pieces_make_the_dataset_of_the_whole() {
		for size in [1, 6, 7, 8, 13, 14, 15, 200] {
			let data: Vec<u8> = (0..size).map(|n| n as u8).collect();
			let options = DatasetOptions {
				block_size: 7,
				filename: Some("name".into()),
				mimetype: None,
			};
			let mut whole = MemoryBlocks::new();
			let expected = import(&data[..], &mut whole, &options).unwrap();
			for piece in [1, 3, 7, 8, 500] {
				let mut blocks = MemoryBlocks::new();
				let mut builder = DatasetBuilder::new(7).unwrap();
				for piece in data.chunks(piece) {
					builder.write(piece, &mut blocks).unwrap();
				}
				assert_eq!(builder.size(), size);
				let made = builder.finish(&mut blocks, Some("name".into()), None).unwrap();
				assert_eq!(made, expected, "{size} bytes by {piece}");
				assert_eq!(blocks.len(), whole.len());
			}
		}
	}

	#[test]
	fn nothing_is_no_dataset() {
		assert!(matches!(
			DatasetBuilder::new(0),
			Err(ImportError::InvalidBlockSize)
		));
		let mut builder = DatasetBuilder::new(7).unwrap();
		builder.write(b"", &mut crate::NullSink).unwrap();
		let outcome = builder.finish(&mut crate::NullSink, None, None);
		assert!(matches!(outcome, Err(ImportError::Empty)));
	}
}
