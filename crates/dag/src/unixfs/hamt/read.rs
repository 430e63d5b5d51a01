//! Shards to entries.

use super::{hash, not_a_shard, slot_of, Shard, Slot};
use crate::{
	block::Block,
	source::BlockSource,
	unixfs::{
		node::DirectoryEntry,
		read::{require, require_ahead, ReadError},
	},
};
use cid::Cid;

/// The shards of a directory, depth first, each before those below it.
#[derive(Debug)]
pub(crate) struct Shards {
	/// What is still to be read, the next one last. At most a shard's slots per level.
	pending: Vec<PendingShard>,
	/// Bits per slot, known from the root on.
	bits: Option<u32>,
}

#[derive(Debug)]
struct PendingShard {
	cid: Cid,
	level: u32,
	/// The slots on the way here: the first bits of the hashes of all names below.
	prefix: u64,
}

/// A shard's block and the entries in it.
#[derive(Debug)]
pub(crate) struct ShardPart {
	pub(crate) block: Block,
	pub(crate) entries: Vec<DirectoryEntry>,
}

impl Shards {
	pub(crate) fn new(root: Cid) -> Self {
		Self {
			pending: vec![PendingShard {
				cid: root,
				level: 0,
				prefix: 0,
			}],
			bits: None,
		}
	}

	/// The next shard; none after the last and after an error. The source may fetch `ahead` blocks more.
	pub(crate) fn next<S: BlockSource + ?Sized>(
		&mut self,
		source: &S,
		ahead: usize,
	) -> Option<Result<ShardPart, ReadError>> {
		let next = self.pending.pop()?;
		let part = self.read(source, &next, ahead);
		if part.is_err() {
			self.pending.clear();
		}
		Some(part)
	}

	fn read<S: BlockSource + ?Sized>(
		&mut self,
		source: &S,
		part: &PendingShard,
		ahead: usize,
	) -> Result<ShardPart, ReadError> {
		let mut upcoming = self.pending.iter().rev().map(|shard| shard.cid).take(ahead);
		let block = require_ahead(source, &part.cid, &mut upcoming)?;
		let shard = decode(&block, self.bits)?;
		let bits = *self.bits.get_or_insert(shard.bits);
		let refuse = |reason| ReadError::Node {
			cid: part.cid,
			error: not_a_shard(reason),
		};
		if part.level > 0 && shard.slots.is_empty() {
			return Err(refuse("an empty shard below another"));
		}
		let mut entries = Vec::new();
		let first = self.pending.len();
		for (index, slot) in shard.slots {
			let prefix = part.prefix << bits | index;
			match slot {
				Slot::Entry(entry) => {
					if hash(&entry.name) >> (64 - bits * (part.level + 1)) != prefix {
						return Err(refuse("an entry that is not where its name's hash leads"));
					}
					entries.push(entry);
				}
				Slot::Shard(_) if slot_of(0, bits, part.level + 1).is_none() => {
					return Err(refuse("shards beyond the end of the hash"));
				}
				Slot::Shard(cid) => self.pending.push(PendingShard {
					cid,
					level: part.level + 1,
					prefix,
				}),
			}
		}
		self.pending[first..].reverse();
		Ok(ShardPart { block, entries })
	}
}

/// Looks an entry up by name, and appends the shards on the way to `blocks`, the root first.
pub(crate) fn find<S: BlockSource + ?Sized>(
	source: &S,
	root: Block,
	name: &str,
	blocks: &mut Vec<Block>,
) -> Result<Option<DirectoryEntry>, ReadError> {
	let hash = hash(name);
	let mut block = root;
	let mut bits = None;
	for level in 0.. {
		let shard = decode(&block, bits)?;
		bits = Some(shard.bits);
		let slot = slot_of(hash, shard.bits, level).and_then(|index| shard.slot(index).cloned());
		blocks.push(block);
		match slot {
			Some(Slot::Entry(entry)) if entry.name == name => return Ok(Some(entry)),
			Some(Slot::Entry(_)) | None => return Ok(None),
			Some(Slot::Shard(below)) => block = require(source, &below)?,
		}
	}
	Ok(None)
}

/// Decodes a shard, of as many slots as the root's.
fn decode(block: &Block, bits: Option<u32>) -> Result<Shard, ReadError> {
	let refuse = |error| ReadError::Node {
		cid: *block.cid(),
		error,
	};
	let shard = Shard::decode(block).map_err(refuse)?;
	if bits.is_some_and(|bits| bits != shard.bits) {
		return Err(refuse(not_a_shard("shards of different fanout")));
	}
	Ok(shard)
}
