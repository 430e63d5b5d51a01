//! What a DAG lacks.

use cairn_dag::{
	codec::links,
	hash::IDENTITY,
	source::load,
	walk::{Budget, WalkError},
	BlockSource,
};
use cid::Cid;
use std::collections::HashSet;

/// What lies below some roots, and what of it is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
	/// Blocks found, without those that are only identity CIDs.
	pub present: u64,
	/// Blocks that are linked to, or roots, and not found. What lies below them nobody knows.
	pub missing: u64,
	/// The first of them.
	pub missing_cids: Vec<Cid>,
	/// Blocks whose links cannot be read: their codec is not built in, or they are malformed.
	pub opaque: u64,
}

/// Most CIDs of [`Completeness::missing_cids`].
pub const MAX_MISSING_CIDS: usize = 1000;

/// Follows all links from the roots and, unlike a walk, goes on where a block is missing.
///
/// Memory: the CIDs met and the links that wait, within the budget.
///
/// # Errors
/// [`WalkError::Source`] and [`WalkError::Budget`].
pub fn completeness<S: BlockSource + ?Sized>(
	source: &S,
	roots: &[Cid],
	budget: &Budget,
) -> Result<Completeness, WalkError> {
	let mut found = Completeness::default();
	let mut seen: HashSet<Cid> = HashSet::new();
	let mut pending: Vec<(Cid, usize)> = roots.iter().rev().map(|root| (*root, 0)).collect();
	let mut bytes = 0u64;
	while let Some((cid, depth)) = pending.pop() {
		if !seen.insert(cid) {
			continue;
		}
		let exceeded = |limit| WalkError::Budget { cid, limit };
		if seen.len() as u64 > budget.max_blocks {
			return Err(exceeded("number of blocks"));
		}
		let Some(block) = load(source, &cid)? else {
			found.missing += 1;
			if found.missing_cids.len() < MAX_MISSING_CIDS {
				found.missing_cids.push(cid);
			}
			continue;
		};
		bytes = bytes.saturating_add(block.data().len() as u64);
		if bytes > budget.max_bytes {
			return Err(exceeded("bytes"));
		}
		found.present += u64::from(cid.hash().code() != IDENTITY);
		let Ok(links) = links(&block) else {
			found.opaque += 1;
			continue;
		};
		if !links.is_empty() && depth >= budget.max_depth {
			return Err(exceeded("depth"));
		}
		if pending.len() + links.len() > budget.max_pending {
			return Err(exceeded("waiting links"));
		}
		pending.extend(links.into_iter().rev().map(|link| (link, depth + 1)));
	}
	Ok(found)
}
