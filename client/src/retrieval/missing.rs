//! What is wanted of an object, and whether it is there.

use super::{
	blocks::BlockStore,
	pieces::{Pieces, View},
};
use cairn_dag::{
	unixfs::{self, ByteRange, ReadError, ResolveError},
	Cid, CodecError, SourceError,
};
use std::sync::Arc;

/// Why the blocks at hand do not form an object.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
	/// The blocks at hand cannot be read.
	#[error(transparent)]
	Source(#[from] SourceError),
	/// A block is malformed, or of a codec that is not known.
	#[error("block {cid} cannot be read")]
	Codec {
		/// The block.
		cid: Cid,
		/// Why.
		source: CodecError,
	},
	/// A path inside the object leads nowhere.
	#[error("{0}")]
	Path(ResolveError),
	/// The object is not the file or folder it was taken for.
	#[error("{0}")]
	Read(ReadError),
	/// The DAG is too wide.
	#[error("the object has more than {limit} unread links at once")]
	TooWide {
		/// How many are looked after.
		limit: usize,
	},
}

/// What is wanted of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
	/// Root of the object.
	pub root: Cid,
	/// Path inside it; empty for the object itself.
	pub path: String,
	/// What of it.
	pub part: Part,
}

/// What of an object is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
	/// It and everything below it.
	Whole,
	/// What these bytes of a file need.
	Bytes(ByteRange),
	/// The block alone.
	Block,
	/// These blocks alone, wherever they belong, instead of what the path leads to.
	Blocks(Arc<[Cid]>),
}

impl Wanted {
	/// What the path leads to, as far as the blocks at hand tell. `None` if one on the path is missing.
	///
	/// # Errors
	/// If the path leads nowhere.
	pub fn target(&self, blocks: &BlockStore) -> Result<Option<Cid>, ObjectError> {
		match unixfs::resolve(blocks, &self.root, &self.path) {
			Ok(resolved) => Ok(Some(resolved.cid)),
			Err(ResolveError::Read(ReadError::Missing { .. })) => Ok(None),
			Err(ResolveError::Read(ReadError::Source(error))) => Err(error.into()),
			Err(error) => Err(ObjectError::Path(error)),
		}
	}

	/// What the path leads to, if every block that is wanted is there.
	///
	/// # Errors
	/// See [`ObjectError`]: reasons for which no provider can help.
	pub fn complete(&self, blocks: &BlockStore) -> Result<Option<Cid>, ObjectError> {
		let mut seen = Default::default();
		let mut view = View::new(blocks, self, &mut seen);
		match Pieces::everything().trim_front(&mut view)? {
			true => Ok(None),
			// They are wanted instead of what the path leads to.
			false if matches!(self.part, Part::Blocks(_)) => Ok(Some(self.root)),
			false => self.target(blocks),
		}
	}
}
