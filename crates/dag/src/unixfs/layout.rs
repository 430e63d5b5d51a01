//! How the leaves of a file become a tree.
//!
//! Balanced: all leaves at one depth, every node but the last of its level full. Trickle: see
//! [`trickle`].

mod trickle;

use super::{import::Layout, node::encode_file};
use crate::{
	block::Block,
	codec::Codec,
	hash::HashFunction,
	source::{BlockSink, SinkError},
};
use cid::{Cid, Version};
use trickle::Trickle;

/// How dag-pb nodes are addressed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addressing {
	pub(super) version: Version,
	pub(super) hash: HashFunction,
}

impl Addressing {
	pub(super) fn node(self, data: Vec<u8>) -> Block {
		match self.version {
			Version::V0 => Block::encode_v0(data),
			Version::V1 => Block::encode_with(Codec::DagPb, self.hash, data),
		}
	}
}

/// A finished subtree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subtree {
	pub(super) cid: Cid,
	/// Content bytes.
	pub(super) size: u64,
	/// Bytes of all its blocks, repeated ones counted each time.
	pub(super) dag_size: u64,
}

/// A file's tree that grows from leaves that come one at a time.
#[derive(Debug)]
pub(super) enum FileTree {
	Balanced(Balanced),
	Trickle(Trickle),
}

impl FileTree {
	pub(super) fn new(layout: Layout, max_links: usize, addressing: Addressing) -> Self {
		match layout {
			Layout::Balanced => Self::Balanced(Balanced::new(max_links, addressing)),
			Layout::Trickle => Self::Trickle(Trickle::new(max_links, addressing)),
		}
	}

	/// Adds the next leaf.
	pub(super) fn push<K: BlockSink + ?Sized>(
		&mut self,
		leaf: Subtree,
		sink: &mut K,
	) -> Result<(), SinkError> {
		match self {
			Self::Balanced(tree) => tree.push_at(0, leaf, sink),
			Self::Trickle(tree) => tree.push(leaf, sink),
		}
	}

	/// Finishes the tree; returns its root, or `None` if there was no leaf and the layout makes none
	/// of nothing.
	pub(super) fn finish<K: BlockSink + ?Sized>(self, sink: &mut K) -> Result<Option<Subtree>, SinkError> {
		match self {
			Self::Balanced(tree) => tree.finish(sink),
			Self::Trickle(tree) => tree.finish(sink).map(Some),
		}
	}
}

/// Makes the node over `children`, which are (CID, content bytes, DAG bytes).
fn put_file<K: BlockSink + ?Sized>(
	children: &[(Cid, u64, u64)],
	addressing: Addressing,
	sink: &mut K,
) -> Result<Subtree, SinkError> {
	let block = addressing.node(encode_file(children));
	let below: u64 = children.iter().map(|(_, _, dag_size)| dag_size).sum();
	let node = Subtree {
		cid: *block.cid(),
		size: children.iter().map(|(_, size, _)| size).sum(),
		dag_size: below + block.data().len() as u64,
	};
	sink.put(block)?;
	Ok(node)
}

/// Grows a balanced tree from leaves that come one at a time. Holds at most one unfinished node per
/// level, so memory grows with the logarithm of the file.
#[derive(Debug)]
pub(super) struct Balanced {
	max_links: usize,
	addressing: Addressing,
	/// Children of the unfinished node of each level, the leaves' parents first.
	levels: Vec<Vec<(Cid, u64, u64)>>,
}

impl Balanced {
	pub(super) fn new(max_links: usize, addressing: Addressing) -> Self {
		Self {
			max_links,
			addressing,
			levels: Vec::new(),
		}
	}

	/// Finishes the tree; returns its root, or `None` if there was no leaf.
	pub(super) fn finish<K: BlockSink + ?Sized>(
		mut self,
		sink: &mut K,
	) -> Result<Option<Subtree>, SinkError> {
		let mut level = 0;
		while level < self.levels.len() {
			if level + 1 == self.levels.len() {
				if let [(cid, size, dag_size)] = self.levels[level][..] {
					return Ok(Some(Subtree { cid, size, dag_size }));
				}
			}
			let node = self.close(level, sink)?;
			self.push_at(level + 1, node, sink)?;
			level += 1;
		}
		Ok(None)
	}

	/// Nodes are closed only when a further child needs room, so that a tree which exactly fills its
	/// root does not get another level.
	fn push_at<K: BlockSink + ?Sized>(
		&mut self,
		level: usize,
		child: Subtree,
		sink: &mut K,
	) -> Result<(), SinkError> {
		if self.levels.len() == level {
			self.levels.push(Vec::new());
		}
		if self.levels[level].len() == self.max_links {
			let node = self.close(level, sink)?;
			self.push_at(level + 1, node, sink)?;
		}
		self.levels[level].push((child.cid, child.size, child.dag_size));
		Ok(())
	}

	fn close<K: BlockSink + ?Sized>(&mut self, level: usize, sink: &mut K) -> Result<Subtree, SinkError> {
		let children = std::mem::take(&mut self.levels[level]);
		put_file(&children, self.addressing, sink)
	}
}
