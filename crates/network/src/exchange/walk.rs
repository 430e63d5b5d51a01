//! The order of the blocks of a range.
//!
//! Server and requester run the same walk: the server over its store, the requester over what the server
//! sends. So the requester knows from verified blocks which block must come next, and needs no proof
//! beside the blocks; anything else is an offence.
//!
//! - [`Range::Bytes`]: as the trustless gateway's `entity-bytes`, depth first; a root that is not a file
//!   is sent with what it takes to list it.
//! - [`Range::Leaves`]: first the root and then each node's first child, down to the last node above the
//!   leaves, which shows how many levels there are. Then, depth first, the nodes above the range's blocks
//!   and these.
//!
//! No block is sent twice in a walk.

use super::wire::Range;
use cairn_dag::{
	codex::{Subtree, TreeNode},
	walk::{walk, Budget, EntityBytes, Scope, Walk, WalkError},
	Block, BlockSource, Cid, SourceError,
};
use std::collections::HashSet;

/// Blocks that one walk yields at most. Its memory is about 100 bytes for each.
pub const MAX_BLOCKS: u64 = 65_536;

/// Levels of nodes above a dataset's blocks.
const MAX_LEVELS: u32 = 64;

/// The blocks of a range, in order. Ends after its first error.
pub struct RangeWalk<S>(Kind<S>);

enum Kind<S> {
	Bytes(Box<Walk<S>>),
	Leaves(Leaves<S>),
}

impl<S: BlockSource> RangeWalk<S> {
	/// Walks a range over a source.
	pub fn new(source: S, range: &Range) -> Self {
		Self(match *range {
			Range::Bytes { root, start, len } => {
				let last = start.saturating_add(len - 1);
				let end = i64::MAX as u64;
				let bytes = EntityBytes {
					from: start.min(end) as i64,
					to: (last < end).then_some(last as i64),
				};
				let budget = Budget {
					max_depth: 128,
					max_blocks: MAX_BLOCKS,
					max_bytes: u64::MAX,
					max_pending: MAX_BLOCKS as usize,
				};
				let walk = walk(source, root, Scope::Entity)
					.entity_bytes(bytes)
					.budget(budget);
				Kind::Bytes(Box::new(walk))
			}
			Range::Leaves { tree, start, len } => Kind::Leaves(Leaves::new(source, tree, start, len)),
		})
	}
}

impl<S: BlockSource> Iterator for RangeWalk<S> {
	type Item = Result<Block, RangeError>;

	fn next(&mut self) -> Option<Self::Item> {
		match &mut self.0 {
			Kind::Bytes(walk) => walk.next().map(|step| step.map_err(RangeError::from)),
			Kind::Leaves(leaves) => {
				let step = leaves.step();
				if !matches!(step, Ok(Some(_))) {
					leaves.spine = None;
					leaves.pending.clear();
				}
				step.transpose()
			}
		}
	}
}

/// The walk over a dataset's tree.
struct Leaves<S> {
	source: S,
	tree: Cid,
	start: u64,
	end: u64,
	/// The next node on the way to the first leaf, and how many are above it.
	spine: Option<(Cid, u32)>,
	/// What is still to be visited, the next one last.
	pending: Vec<Subtree>,
	sent: HashSet<Cid>,
	/// Subtrees within the range that were visited.
	visited: HashSet<(Cid, u32)>,
}

impl<S: BlockSource> Leaves<S> {
	fn new(source: S, tree: Cid, start: u64, len: u64) -> Self {
		Self {
			source,
			tree,
			start,
			end: start.saturating_add(len),
			spine: Some((tree, 0)),
			pending: Vec::new(),
			sent: HashSet::new(),
			visited: HashSet::new(),
		}
	}

	fn step(&mut self) -> Result<Option<Block>, RangeError> {
		if let Some((cid, above)) = self.spine.take() {
			let (block, node) = self.node(&cid)?;
			let level = above + 1;
			if node.bottom {
				self.pending.push(Subtree {
					cid: self.tree,
					level,
					first: 0,
				});
			} else if level < MAX_LEVELS {
				self.spine = Some((node.children().0, level));
			} else {
				return Err(unusable(&cid, "the tree is too deep"));
			}
			self.charge(&cid)?;
			return Ok(Some(block));
		}
		while let Some(next) = self.pending.pop() {
			if next.first >= self.end || next.end() <= self.start {
				continue;
			}
			let whole = next.first >= self.start && next.end() <= self.end;
			// Else a small tree of nodes with two equal children would keep a server busy for ever.
			if whole && !self.visited.insert((next.cid, next.level)) {
				continue;
			}
			let block = if next.level == 0 {
				self.load(&next.cid)?
			} else {
				self.open(&next)?
			};
			if self.charge(&next.cid)? {
				return Ok(Some(block));
			}
		}
		Ok(None)
	}

	/// Queues a node's children.
	fn open(&mut self, at: &Subtree) -> Result<Block, RangeError> {
		let (block, node) = self.node(&at.cid)?;
		let (left, right) = at
			.children(&node)
			.ok_or_else(|| unusable(&at.cid, "the tree is not of one depth"))?;
		self.pending.extend(right);
		self.pending.push(left);
		Ok(block)
	}

	fn node(&self, cid: &Cid) -> Result<(Block, TreeNode), RangeError> {
		let block = self.load(cid)?;
		let node = TreeNode::decode(block.data()).map_err(|error| unusable(cid, error))?;
		Ok((block, node))
	}

	fn load(&self, cid: &Cid) -> Result<Block, RangeError> {
		self.source.get(cid)?.ok_or(RangeError::Missing { cid: *cid })
	}

	/// Whether the block was not sent yet.
	fn charge(&mut self, cid: &Cid) -> Result<bool, RangeError> {
		let new = self.sent.insert(*cid);
		if self.sent.len() as u64 > MAX_BLOCKS {
			return Err(RangeError::TooLong);
		}
		Ok(new)
	}
}

/// Why a walk over a range stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
	/// The source does not have the next block.
	#[error("block {cid} is missing")]
	Missing {
		/// Which.
		cid: Cid,
	},
	/// A block is not what the walk needs.
	#[error("the range cannot be walked: {reason}")]
	Unusable {
		/// What is wrong with it.
		reason: String,
	},
	/// The range has more than [`MAX_BLOCKS`] blocks.
	#[error("the range has more than {MAX_BLOCKS} blocks")]
	TooLong,
	/// The source failed.
	#[error(transparent)]
	Source(#[from] SourceError),
}

impl From<WalkError> for RangeError {
	fn from(error: WalkError) -> Self {
		match error {
			WalkError::Missing { cid } => Self::Missing { cid },
			WalkError::Source(error) => Self::Source(error),
			WalkError::Budget {
				limit: "number of blocks",
				..
			} => Self::TooLong,
			error => Self::Unusable {
				reason: error.to_string(),
			},
		}
	}
}

fn unusable(cid: &Cid, reason: impl std::fmt::Display) -> RangeError {
	RangeError::Unusable {
		reason: format!("block {cid}: {reason}"),
	}
}
