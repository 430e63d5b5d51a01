//! The trickle layout: a node's first children are leaves, then come subtrees that grow.
//!
//! A node of depth `d` holds leaves to the limit, then four subtrees of depth 1, four of depth 2, and
//! so on below `d`; the root goes on without end. What is read first is near the root.
//!
//! Source: the UnixFS specification, and `importer/trickle` of IPFS, whose names these are. A file of
//! one chunk, or of none, still gets a root, as there.

use super::{put_file, Addressing, Subtree};
use crate::source::{BlockSink, SinkError};
use cid::Cid;

/// Subtrees of each depth in a node.
const DEPTH_REPEAT: usize = 4;

/// Grows a trickle tree from leaves that come one at a time. Holds the unfinished nodes from the root
/// down: their number grows with the logarithm of the file.
#[derive(Debug)]
pub(in crate::unixfs) struct Trickle {
	max_links: usize,
	addressing: Addressing,
	/// The root, never closed before the end.
	root: Open,
	/// Those below it.
	below: Vec<Open>,
}

/// A node that may get further children.
#[derive(Debug, Default)]
struct Open {
	/// Subtrees are less deep than this; `None` is the root's.
	depth: Option<usize>,
	leaves: usize,
	subtrees: usize,
	children: Vec<(Cid, u64, u64)>,
}

impl Open {
	/// The depth of the next subtree, or `None` if there is no room for one.
	fn next_subtree(&self) -> Option<usize> {
		let next = self.subtrees / DEPTH_REPEAT + 1;
		self.depth.is_none_or(|depth| next < depth).then_some(next)
	}

	fn add(&mut self, child: Subtree) {
		self.children.push((child.cid, child.size, child.dag_size));
	}
}

impl Trickle {
	pub(super) fn new(max_links: usize, addressing: Addressing) -> Self {
		Self {
			max_links,
			addressing,
			root: Open::default(),
			below: Vec::new(),
		}
	}

	pub(super) fn push<K: BlockSink + ?Sized>(
		&mut self,
		leaf: Subtree,
		sink: &mut K,
	) -> Result<(), SinkError> {
		loop {
			let max_links = self.max_links;
			let last = self.below.last_mut().unwrap_or(&mut self.root);
			if last.leaves < max_links {
				last.leaves += 1;
				last.add(leaf);
				return Ok(());
			}
			match last.next_subtree() {
				Some(depth) => {
					last.subtrees += 1;
					self.below.push(Open {
						depth: Some(depth),
						..Open::default()
					});
				}
				None => self.close(sink)?,
			}
		}
	}

	pub(super) fn finish<K: BlockSink + ?Sized>(mut self, sink: &mut K) -> Result<Subtree, SinkError> {
		while !self.below.is_empty() {
			self.close(sink)?;
		}
		put_file(&self.root.children, self.addressing, sink)
	}

	/// Makes the last unfinished node below the root, and adds it to the one above.
	fn close<K: BlockSink + ?Sized>(&mut self, sink: &mut K) -> Result<(), SinkError> {
		if let Some(last) = self.below.pop() {
			let node = put_file(&last.children, self.addressing, sink)?;
			self.below.last_mut().unwrap_or(&mut self.root).add(node);
		}
		Ok(())
	}
}
