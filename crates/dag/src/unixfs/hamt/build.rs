//! Entries to shards.

use super::{bit_field, hash, slot_digits, slot_of, FANOUT};
use crate::{
	codec::dag_pb::{PbLink, PbNode},
	source::{BlockSink, SinkError},
	unixfs::{
		layout::{Addressing, Subtree},
		node::shard_data,
	},
};

/// Makes the shards of a directory with these entries, whose names differ, and gives them to a sink,
/// each after those below it. Returns the root shard; its DAG size is that of the shards and of all
/// entries.
pub(in crate::unixfs) fn build<K: BlockSink + ?Sized>(
	entries: Vec<PbLink>,
	addressing: Addressing,
	sink: &mut K,
) -> Result<Subtree, BuildError> {
	let mut entries: Vec<(u64, PbLink)> = entries
		.into_iter()
		.map(|entry| (hash(entry.name.as_deref().unwrap_or_default()), entry))
		.collect();
	entries.sort_by_key(|(hash, _)| *hash);
	shard(&entries, 0, addressing, sink)
}

/// The shard of entries whose hashes agree in the slots above `level`. Recursion ends with the hash's
/// bits, after 8 levels.
fn shard<K: BlockSink + ?Sized>(
	entries: &[(u64, PbLink)],
	level: u32,
	addressing: Addressing,
	sink: &mut K,
) -> Result<Subtree, BuildError> {
	let (bits, digits) = (FANOUT.ilog2(), slot_digits(FANOUT));
	if slot_of(0, bits, level).is_none() {
		let name = |at: usize| entries[at].1.name.clone().unwrap_or_default();
		// Reached with two entries or more.
		return Err(BuildError::SameHash {
			names: [name(0), name(1)],
		});
	}
	let slot = |hash: u64| slot_of(hash, bits, level).unwrap_or_default();
	let mut links = Vec::new();
	let mut used = Vec::new();
	let mut below = 0;
	for group in entries.chunk_by(|a, b| slot(a.0) == slot(b.0)) {
		let index = slot(group[0].0);
		let link = match group {
			[(_, entry)] => PbLink {
				name: Some(format!(
					"{index:0digits$X}{}",
					entry.name.as_deref().unwrap_or_default()
				)),
				..entry.clone()
			},
			group => {
				let child = shard(group, level + 1, addressing, sink)?;
				PbLink {
					cid: child.cid,
					name: Some(format!("{index:0digits$X}")),
					tsize: Some(child.dag_size),
				}
			}
		};
		below += link.tsize.unwrap_or_default();
		used.push(index);
		links.push(link);
	}
	let node = PbNode {
		links,
		data: Some(shard_data(bit_field(used.into_iter(), FANOUT))),
	};
	let block = addressing.node(node.encode());
	let shard = Subtree {
		cid: *block.cid(),
		size: 0,
		dag_size: below + block.data().len() as u64,
	};
	sink.put(block)?;
	Ok(shard)
}

/// Why a directory cannot be sharded.
#[derive(Debug)]
pub(in crate::unixfs) enum BuildError {
	/// Two names have one hash.
	SameHash { names: [String; 2] },
	/// The sink failed.
	Sink(SinkError),
}

impl From<SinkError> for BuildError {
	fn from(error: SinkError) -> Self {
		Self::Sink(error)
	}
}
