//! Directories in many blocks: a hash array mapped trie.
//!
//! An entry lives where the hash of its name leads, one shard per few bits of the hash. A shard is a
//! dag-pb node whose links are named by their slot in hexadecimal, followed by the entry's name; a
//! link with the slot alone leads to a shard below, for the slots that more than one entry shares.
//!
//! Source: the [UnixFS specification](https://specs.ipfs.tech/unixfs/). Reading checks that every
//! entry is where its name's hash leads, so that no two readers can find different entries under one
//! name, and no shard can be listed as often as there are ways to it.

mod build;
mod read;

pub(super) use build::{build, BuildError};
pub(crate) use read::{find, Shards};

use super::node::{DirectoryEntry, Node, NodeError};
use crate::{
	block::Block,
	codec::dag_pb::{PbLink, PbNode},
};
use cid::Cid;

/// Multicodec code of 64 bits of MurmurHash3 x64 128, the only hash in use.
pub(super) const MURMUR3: u64 = 0x22;

/// Slots per shard of what is imported, as IPFS has it.
pub(super) const FANOUT: u64 = 256;

/// Most slots per shard that are read.
const MAX_FANOUT: u64 = 1024;

/// A shard of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
	/// Bits of the hash that choose a slot.
	bits: u32,
	/// The slots in use, in ascending order.
	slots: Vec<(u64, Slot)>,
}

/// What stands in a slot of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
	/// An entry of the directory.
	Entry(DirectoryEntry),
	/// A shard with the entries that share the slot.
	Shard(Cid),
}

impl Shard {
	/// Decodes a shard.
	///
	/// # Errors
	/// [`NodeError`] if the block is not a shard or contradicts itself.
	pub fn decode(block: &Block) -> Result<Self, NodeError> {
		let (node, data) = Node::pb_parts(block)?;
		let fanout = data
			.shard_fanout()
			.ok_or_else(|| not_a_shard("not a shard, or one without a fanout"))?;
		if !(8..=MAX_FANOUT).contains(&fanout) || !fanout.is_power_of_two() {
			return Err(not_a_shard(
				"a shard's fanout is not a power of two from 8 to 1024",
			));
		}
		if data.hash_type != Some(MURMUR3) {
			return Err(not_a_shard("a shard by an unknown hash"));
		}
		let shard = Self {
			bits: fanout.trailing_zeros(),
			slots: slots(node, slot_digits(fanout))?,
		};
		if shard.slots.iter().any(|(index, _)| *index >= fanout) {
			return Err(not_a_shard("a slot beyond the shard's fanout"));
		}
		// Some readers go by the bit field and some by the links.
		if bit_field(shard.slots.iter().map(|(index, _)| *index), fanout) != trimmed(&data.data) {
			return Err(not_a_shard("a shard's bit field is not that of its links"));
		}
		Ok(shard)
	}

	/// The slots in use, in ascending order.
	pub fn slots(&self) -> impl Iterator<Item = (u64, &Slot)> {
		self.slots.iter().map(|(index, slot)| (*index, slot))
	}

	fn slot(&self, index: u64) -> Option<&Slot> {
		let at = self
			.slots
			.binary_search_by_key(&index, |(index, _)| *index)
			.ok()?;
		Some(&self.slots[at].1)
	}
}

fn slots(node: PbNode, digits: usize) -> Result<Vec<(u64, Slot)>, NodeError> {
	let mut slots: Vec<(u64, Slot)> = Vec::with_capacity(node.links.len());
	for PbLink { cid, name, tsize } in node.links {
		let name = name.unwrap_or_default();
		let (slot, name) = name
			.split_at_checked(digits)
			.ok_or_else(|| not_a_shard("a link without a slot"))?;
		let is_upper_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'A'..=b'F');
		let index = u64::from_str_radix(slot, 16)
			.ok()
			.filter(|_| slot.bytes().all(is_upper_hex))
			.ok_or_else(|| not_a_shard("a link whose slot is not a number"))?;
		if slots.last().is_some_and(|(last, _)| *last >= index) {
			return Err(not_a_shard("a shard's links are not sorted by slot"));
		}
		let slot = if name.is_empty() {
			Slot::Shard(cid)
		} else {
			Slot::Entry(DirectoryEntry {
				name: name.to_owned(),
				cid,
				tsize,
			})
		};
		slots.push((index, slot));
	}
	Ok(slots)
}

/// The hash of a name.
fn hash(name: &str) -> u64 {
	// Reading from a slice does not fail. The first half of the 128 bits is the lower one.
	let hash = murmur3::murmur3_x64_128(&mut name.as_bytes(), 0).expect("a slice can be read");
	hash as u64
}

/// The slot of a hash in a shard `level` shards below the root, or `None` if the hash has no bits
/// left.
fn slot_of(hash: u64, bits: u32, level: u32) -> Option<u64> {
	let shift = 64u32.checked_sub(bits * (level + 1))?;
	Some(hash >> shift & ((1 << bits) - 1))
}

/// Digits of a slot in a link's name.
fn slot_digits(fanout: u64) -> usize {
	(fanout.ilog2() as usize).div_ceil(4)
}

/// One bit per slot, as a big-endian number without leading zeros.
fn bit_field(used: impl Iterator<Item = u64>, fanout: u64) -> Vec<u8> {
	let mut field = vec![0; (fanout / 8) as usize];
	let len = field.len();
	for index in used {
		field[len - 1 - (index / 8) as usize] |= 1 << (index % 8);
	}
	trimmed(&Some(field.into()))
}

fn trimmed(field: &Option<bytes::Bytes>) -> Vec<u8> {
	let field = field.as_deref().unwrap_or_default();
	let zeros = field.iter().take_while(|byte| **byte == 0).count();
	field[zeros..].to_vec()
}

fn not_a_shard(reason: &'static str) -> NodeError {
	NodeError::NotUnixFs { reason }
}

#[cfg(test)]
mod tests;
