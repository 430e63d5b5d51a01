//! Reading the archive that a gateway sends, block by block, into what is kept.

use super::{blocks::BlockStore, fetch::FetchError, pieces::children};
use cairn_car::CarReader;
use cairn_dag::{links, unixfs::Node, Block, Cid, Codec};
use std::{
	collections::{HashMap, HashSet},
	io::Read,
	ops::{ControlFlow, Range},
};

/// Most distinct blocks of one response: bounds memory. 256 GiB of 256 KiB leaves.
const MAX_BLOCKS: usize = 1 << 20;

/// What an archive may hold.
#[derive(Clone, Debug)]
pub struct Expected {
	/// The block that all others lie below.
	pub root: Cid,
	/// Only what these bytes of it need, if it is a file.
	pub bytes: Option<Range<u64>>,
}

/// Blocks that may come, and those that came.
struct Known {
	blocks: HashMap<Cid, State>,
	/// Blocks of the file, but not of the part that was asked for.
	outside: HashSet<Cid>,
}

#[derive(Clone)]
enum State {
	/// May come, and these bytes of it are wanted, or all of them.
	Due(Option<Range<u64>>),
	Came,
}

/// Reads a CAR and keeps the blocks that belong to what is expected. `kept` is told of each, and whether it is
/// new, and can end the reading. Any other block ends it: a provider could otherwise fill the disk with blocks
/// that are valid but foreign.
///
/// # Errors
/// See [`FetchError`].
pub fn receive(
	reader: impl Read,
	expected: Expected,
	blocks: &BlockStore,
	kept: &mut dyn FnMut(&Block, bool) -> ControlFlow<()>,
) -> Result<(), FetchError> {
	let mut reader = CarReader::new(reader)?;
	let mut known = Known {
		blocks: HashMap::from([(expected.root, State::Due(expected.bytes))]),
		outside: HashSet::new(),
	};
	let mut duplicates = 0usize;
	while let Some(block) = reader.next_block()? {
		let cid = *block.cid();
		let wanted = match known.blocks.get_mut(&cid) {
			None if known.outside.contains(&cid) => {
				// It belongs to the object, after all.
				if kept(&block, blocks.put(&block).map_err(FetchError::Disk)?).is_break() {
					return Ok(());
				}
				return Err(FetchError::IgnoresRange);
			}
			None => return Err(FetchError::Unrequested { cid }),
			Some(State::Came) => {
				duplicates += 1;
				if duplicates > known.blocks.len() + 1024 {
					return Err(FetchError::TooMany);
				}
				continue;
			}
			Some(state) => match std::mem::replace(state, State::Came) {
				State::Due(bytes) => bytes,
				State::Came => None,
			},
		};
		let is_new = blocks.put(&block).map_err(FetchError::Disk)?;
		// What the last block links to need not be known: its codec may not be.
		if kept(&block, is_new).is_break() {
			return Ok(());
		}
		known.follow(&block, wanted)?;
		if known.blocks.len() + known.outside.len() > MAX_BLOCKS {
			return Err(FetchError::TooMany);
		}
	}
	Ok(())
}

impl Known {
	/// Notes what a block links to, as far as these bytes of it need it.
	fn follow(&mut self, block: &Block, bytes: Option<Range<u64>>) -> Result<(), FetchError> {
		let mut unread = vec![(block.clone(), bytes)];
		while let Some((block, bytes)) = unread.pop() {
			for (child, wanted) in self.linked(&block, bytes)? {
				// Blocks inside their CIDs are never sent, but what they link to is.
				let Some(inner) = Block::from_identity(&child) else {
					self.expect(child, wanted);
					continue;
				};
				if !matches!(self.blocks.insert(child, State::Came), Some(State::Came)) {
					unread.push((inner, wanted));
				}
			}
		}
		Ok(())
	}

	/// The children that are needed, each with its part of the bytes.
	fn linked(
		&mut self,
		block: &Block,
		bytes: Option<Range<u64>>,
	) -> Result<Vec<(Cid, Option<Range<u64>>)>, FetchError> {
		let cid = *block.cid();
		if cid.codec() == Codec::Raw.code() {
			return Ok(Vec::new());
		}
		if let (Some(bytes), Ok(Node::File(file))) = (&bytes, Node::decode(block)) {
			let mut needed = Vec::new();
			for (child, begin, size) in children(&file) {
				let from = bytes.start.saturating_sub(begin).min(size);
				let to = bytes.end.saturating_sub(begin).min(size);
				if (from, to) == (0, size) {
					needed.push((child, None));
				} else if from < to {
					needed.push((child, Some(from..to)));
				} else {
					self.outside.insert(child);
				}
			}
			return Ok(needed);
		}
		let children = links(block).map_err(|source| FetchError::Codec { cid, source })?;
		Ok(children.into_iter().map(|child| (child, None)).collect())
	}

	fn expect(&mut self, cid: Cid, wanted: Option<Range<u64>>) {
		let state = self
			.blocks
			.entry(cid)
			.or_insert_with(|| State::Due(wanted.clone()));
		if let State::Due(due) = state {
			*due = match (due.take(), wanted) {
				(Some(one), Some(other)) => Some(one.start.min(other.start)..one.end.max(other.end)),
				_ => None,
			};
		}
	}
}
