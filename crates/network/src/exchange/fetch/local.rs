//! How much of a range the store has.

use super::FetchError;
use crate::{
	blocks::BlockStore,
	exchange::{
		walk::{self, RangeWalk},
		wire::Range,
	},
};
use cairn_dag::{
	unixfs::{ByteRange, FileChunks, ReadError},
	Cid, Codec,
};

/// What the store has of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
	/// Everything; and whether there is something, and not only what proves that there is nothing.
	All { some: bool },
	/// The first bytes of the file or blocks of the dataset, so many at least, but not this block.
	First { len: u64, missing: Cid },
}

impl Local {
	/// Looks a range up. Blocks the thread; reads what is there.
	pub fn of(store: &dyn BlockStore, range: &Range) -> Result<Self, FetchError> {
		match *range {
			Range::Bytes { root, start, len } => {
				let range_of_file = ByteRange {
					start,
					end: start.checked_add(len),
				};
				let mut found = 0;
				for chunk in FileChunks::new(store, root, range_of_file) {
					match chunk {
						Ok(chunk) => found += chunk.len() as u64,
						Err(ReadError::Missing { cid }) => {
							return Ok(Self::First {
								len: found,
								missing: cid,
							})
						}
						Err(ReadError::Source(error)) => return Err(error.into()),
						// No file, or one with a part that is not as long as it should be: what a walk needs of it.
						Err(_) => return Self::walk(store, range),
					}
				}
				Ok(Self::All { some: true })
			}
			Range::Leaves { .. } => Self::walk(store, range),
		}
	}

	/// Repeated blocks count once, so there may be more.
	fn walk(store: &dyn BlockStore, range: &Range) -> Result<Self, FetchError> {
		let mut leaves = 0;
		for block in RangeWalk::new(store, range) {
			match block {
				Ok(block) => leaves += u64::from(block.cid().codec() != Codec::CodexRoot.code()),
				Err(walk::RangeError::Missing { cid }) => {
					let len = match range {
						Range::Bytes { .. } => 0,
						Range::Leaves { .. } => leaves,
					};
					return Ok(Self::First { len, missing: cid });
				}
				Err(error) => return Err(error.into()),
			}
		}
		Ok(Self::All { some: leaves > 0 })
	}
}
