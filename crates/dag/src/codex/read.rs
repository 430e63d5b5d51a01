//! A dataset's data.

use super::{
	manifest::Manifest,
	tree::{depth, Subtree},
	TreeNode,
};
use crate::{
	block::Block,
	codec::CodecError,
	source::{load, BlockSource, SourceError},
	unixfs::ByteRange,
};
use bytes::Bytes;
use cid::Cid;

/// The data of a dataset within a range, block by block and in order. Each item is shared with its
/// block.
///
/// Goes from the tree's root down, so the source needs the tree's nodes as well as the blocks; every
/// block is verified by being a child of a verified node. Of a protected dataset it reads the data as
/// it was before coding. The iterator ends after the first error.
#[derive(Debug)]
pub struct DatasetChunks<S> {
	source: S,
	range: ByteRange,
	block_size: u64,
	content_size: u64,
	leaves: u64,
	/// What is still to be read, the next one last.
	pending: Vec<Subtree>,
	out_of_range: bool,
}

impl<S: BlockSource> DatasetChunks<S> {
	/// The data of the dataset with this manifest.
	pub fn new(source: S, manifest: &Manifest, range: ByteRange) -> Self {
		let leaves = manifest.blocks();
		let root = Subtree {
			cid: manifest.tree,
			level: depth(leaves),
			first: 0,
		};
		Self {
			source,
			range,
			block_size: u64::from(manifest.block_size),
			content_size: manifest.content_size(),
			leaves,
			pending: if leaves > 0 { vec![root] } else { Vec::new() },
			out_of_range: range.start > manifest.content_size(),
		}
	}

	fn step(&mut self) -> Result<Option<Bytes>, ReadError> {
		if std::mem::take(&mut self.out_of_range) {
			return Err(ReadError::OutOfRange {
				start: self.range.start,
				size: self.content_size,
			});
		}
		while let Some(next) = self.pending.pop() {
			let (start, end) = self.span(&next);
			let wanted = start.max(self.range.start)..end.min(self.range.end.unwrap_or(u64::MAX));
			if wanted.is_empty() {
				continue;
			}
			let block = load(&self.source, &next.cid)?.ok_or(ReadError::Missing { cid: next.cid })?;
			if next.level > 0 {
				self.open(&block, &next)?;
				continue;
			}
			if block.data().len() as u64 != self.block_size {
				return Err(ReadError::Contradiction { cid: next.cid });
			}
			// Both lie in the block, which is in memory.
			let (from, to) = (wanted.start - start, wanted.end - start);
			return Ok(Some(block.bytes().slice(from as usize..to as usize)));
		}
		Ok(None)
	}

	/// The bytes of the data that lie below.
	fn span(&self, part: &Subtree) -> (u64, u64) {
		let byte = |block: u64| block.saturating_mul(self.block_size).min(self.content_size);
		(byte(part.first), byte(part.end()))
	}

	/// Queues the children of a node.
	fn open(&mut self, block: &Block, part: &Subtree) -> Result<(), ReadError> {
		let cid = part.cid;
		let node = TreeNode::decode(block.data()).map_err(|error| ReadError::Codec { cid, error })?;
		let (left, right) = part.children(&node).ok_or(ReadError::Contradiction { cid })?;
		if right.is_some() != (left.end() < self.leaves) {
			return Err(ReadError::Contradiction { cid });
		}
		self.pending.extend(right);
		self.pending.push(left);
		Ok(())
	}
}

impl<S: BlockSource> Iterator for DatasetChunks<S> {
	type Item = Result<Bytes, ReadError>;

	fn next(&mut self) -> Option<Self::Item> {
		let step = self.step();
		if step.is_err() {
			self.pending.clear();
		}
		step.transpose()
	}
}

/// Why a dataset cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
	/// The source does not have a block or a node of the tree.
	#[error("block {cid} is missing")]
	Missing {
		/// Which.
		cid: Cid,
	},
	/// The source failed.
	#[error(transparent)]
	Source(#[from] SourceError),
	/// A node of the tree is malformed.
	#[error("block {cid}: {error}")]
	Codec {
		/// The node.
		cid: Cid,
		/// What is wrong with it.
		error: CodecError,
	},
	/// A block or node does not fit what the manifest says.
	#[error("block {cid} does not fit the dataset's manifest")]
	Contradiction {
		/// Which.
		cid: Cid,
	},
	/// The range starts beyond the data's end.
	#[error("byte {start} lies beyond the dataset's {size} bytes")]
	OutOfRange {
		/// First byte wanted.
		start: u64,
		/// Bytes of the data.
		size: u64,
	},
}
