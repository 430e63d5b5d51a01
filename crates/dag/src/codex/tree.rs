//! The tree over a dataset's blocks.
//!
//! Leaves are the digests of the blocks. A node is SHA-256 of its children and of a key that says
//! whether they are leaves (bit 0) and whether the second is missing, then 32 zeros stand in its
//! place (bit 1). A single leaf still gets a node. So no two trees of different shape have one root.
//!
//! Source: `codex/merkletree` of nim-codex.

use super::proof::TreeProof;
use crate::{
	block::Block,
	codec::{
		codex::{CodexBlock, CodexRoot},
		BlockCodec, Codec, CodecError,
	},
	hash::HashFunction,
	source::{BlockSink, SinkError},
};
use bytes::Bytes;
use cid::Cid;
use prost::Message;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

const KEY_BOTTOM: u8 = 1;
const KEY_ODD: u8 = 2;
const NODE_LEN: usize = 65;
/// Stands for a child that is missing.
pub(super) const ZERO: Digest = [0; 32];

/// Levels of nodes above `leaves` leaves.
pub fn depth(leaves: u64) -> u32 {
	match leaves {
		0 => 0,
		1 => 1,
		_ => 64 - (leaves - 1).leading_zeros(),
	}
}

/// A node: the digests of its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeNode {
	/// The first child.
	pub left: Digest,
	/// The second child; only the last node of a layer can be without.
	pub right: Option<Digest>,
	/// Whether the children are leaves, the digests of blocks.
	pub bottom: bool,
}

impl TreeNode {
	/// What is hashed: both children and the key.
	pub fn encode(&self) -> [u8; NODE_LEN] {
		let mut out = [0; NODE_LEN];
		out[..32].copy_from_slice(&self.left);
		out[32..64].copy_from_slice(&self.right.unwrap_or(ZERO));
		out[64] = if self.bottom { KEY_BOTTOM } else { 0 } | if self.right.is_none() { KEY_ODD } else { 0 };
		out
	}

	/// Reads what is hashed.
	///
	/// # Errors
	/// [`CodecError::Malformed`].
	pub fn decode(data: &[u8]) -> Result<Self, CodecError> {
		let malformed = |reason| CodecError::Malformed {
			codec: CodexRoot::NAME,
			reason,
		};
		let data: &[u8; NODE_LEN] = data.try_into().map_err(|_| malformed("a node has 65 bytes"))?;
		let key = data[64];
		if key > KEY_BOTTOM | KEY_ODD {
			return Err(malformed("unknown key"));
		}
		let mut node = Self {
			left: ZERO,
			right: None,
			bottom: key & KEY_BOTTOM != 0,
		};
		node.left.copy_from_slice(&data[..32]);
		let mut right = ZERO;
		right.copy_from_slice(&data[32..64]);
		if key & KEY_ODD == 0 {
			node.right = Some(right);
		} else if right != ZERO {
			return Err(malformed("a second child where there is none"));
		}
		Ok(node)
	}

	/// The node's own digest.
	pub fn digest(&self) -> Digest {
		sha256(&self.encode())
	}

	/// The node as a block under its digest.
	pub fn block(&self) -> Block {
		Block::encode(Codec::CodexRoot, self.encode().to_vec())
	}

	/// The CIDs of the children: of blocks or of further nodes.
	pub fn children(&self) -> (Cid, Option<Cid>) {
		let cid = |digest: &Digest| {
			if self.bottom {
				leaf_cid(digest)
			} else {
				root_cid(digest)
			}
		};
		(cid(&self.left), self.right.as_ref().map(cid))
	}
}

/// A part of a dataset's tree: a node with everything below it, or a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subtree {
	/// The node or the block.
	pub cid: Cid,
	/// Levels of nodes from here down to the blocks; a block has 0.
	pub level: u32,
	/// Index of the first block below.
	pub first: u64,
}

impl Subtree {
	/// The index behind the last block that has room below: the last parts of a tree may have fewer.
	pub fn end(&self) -> u64 {
		let room = 1u64.checked_shl(self.level).unwrap_or(u64::MAX);
		self.first.saturating_add(room)
	}

	/// The parts below the node, which must be this part's. `None` if it does not belong on this level.
	pub fn children(&self, node: &TreeNode) -> Option<(Self, Option<Self>)> {
		let level = self.level.checked_sub(1)?;
		if node.bottom != (level == 0) {
			return None;
		}
		let (left, right) = node.children();
		let left = Self {
			cid: left,
			level,
			first: self.first,
		};
		let right = right.map(|cid| Self {
			cid,
			level,
			first: left.end(),
		});
		Some((left, right))
	}
}

/// Grows a tree from leaves that come one at a time, and gives its nodes to a sink. Holds one digest
/// per level.
#[derive(Clone, Debug, Default)]
pub struct TreeBuilder {
	/// Per level, the leaves' first: a node that waits for its neighbour.
	waiting: Vec<Option<Digest>>,
	leaves: u64,
}

impl TreeBuilder {
	/// Without leaves.
	pub fn new() -> Self {
		Self::default()
	}

	/// Leaves so far.
	pub fn leaves(&self) -> u64 {
		self.leaves
	}

	/// Adds a leaf: the digest of the next block.
	///
	/// # Errors
	/// What the sink returns.
	pub fn push<K: BlockSink + ?Sized>(&mut self, leaf: Digest, sink: &mut K) -> Result<(), SinkError> {
		self.leaves += 1;
		self.push_at(0, leaf, sink)
	}

	/// Finishes the tree; returns the CID of its root, or `None` if there was no leaf.
	///
	/// # Errors
	/// What the sink returns.
	pub fn finish<K: BlockSink + ?Sized>(mut self, sink: &mut K) -> Result<Option<Cid>, SinkError> {
		let mut level = 0;
		while level < self.waiting.len() {
			let is_last = level + 1 == self.waiting.len();
			match self.waiting[level].take() {
				Some(root) if is_last && level > 0 => return Ok(Some(root_cid(&root))),
				Some(left) => self.put_node(level, left, None, sink)?,
				None => {}
			}
			level += 1;
		}
		Ok(None)
	}

	fn push_at<K: BlockSink + ?Sized>(
		&mut self,
		level: usize,
		digest: Digest,
		sink: &mut K,
	) -> Result<(), SinkError> {
		if self.waiting.len() == level {
			self.waiting.push(None);
		}
		match self.waiting[level].take() {
			None => {
				self.waiting[level] = Some(digest);
				Ok(())
			}
			Some(left) => self.put_node(level, left, Some(digest), sink),
		}
	}

	/// Makes the node over one or two of a level.
	fn put_node<K: BlockSink + ?Sized>(
		&mut self,
		level: usize,
		left: Digest,
		right: Option<Digest>,
		sink: &mut K,
	) -> Result<(), SinkError> {
		let node = TreeNode {
			left,
			right,
			bottom: level == 0,
		};
		sink.put(node.block())?;
		self.push_at(level + 1, node.digest(), sink)
	}
}

/// A whole tree: 64 bytes of memory per leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
	/// The leaves, then each layer above, the root alone in the last.
	layers: Vec<Vec<Digest>>,
}

impl Tree {
	/// The tree over these digests of blocks.
	///
	/// # Errors
	/// [`EmptyTree`] if there are none.
	pub fn new(leaves: Vec<Digest>) -> Result<Self, EmptyTree> {
		if leaves.is_empty() {
			return Err(EmptyTree);
		}
		let mut layers = vec![leaves];
		while layers.len() == 1 || layers[layers.len() - 1].len() > 1 {
			let bottom = layers.len() == 1;
			let above = nodes(&layers[layers.len() - 1], bottom).map(|node| node.digest());
			layers.push(above.collect());
		}
		Ok(Self { layers })
	}

	/// The root's digest.
	pub fn root(&self) -> Digest {
		// The last layer is never without nodes.
		self.layers[self.layers.len() - 1][0]
	}

	/// The root's CID.
	pub fn cid(&self) -> Cid {
		root_cid(&self.root())
	}

	/// Digests of the blocks.
	pub fn leaves(&self) -> &[Digest] {
		&self.layers[0]
	}

	/// The CID of a dataset's block, or `None` beyond the last.
	pub fn leaf(&self, index: u64) -> Option<Cid> {
		let index = usize::try_from(index).ok()?;
		self.layers[0].get(index).map(leaf_cid)
	}

	/// The nodes as blocks, those over leaves first and the root last.
	pub fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
		let layers = self.layers.iter().enumerate();
		layers
			.take(self.layers.len() - 1)
			.flat_map(|(level, layer)| nodes(layer, level == 0))
			.map(|node| node.block())
	}

	/// The proof that the block with this index is the dataset's, or `None` beyond the last.
	pub fn proof(&self, index: u64) -> Option<TreeProof> {
		let leaves = self.layers[0].len() as u64;
		let mut at = usize::try_from(index).ok().filter(|_| index < leaves)?;
		let mut path = Vec::with_capacity(self.layers.len() - 1);
		for layer in &self.layers[..self.layers.len() - 1] {
			path.push(layer.get(at ^ 1).copied().unwrap_or(ZERO));
			at /= 2;
		}
		Some(TreeProof { index, leaves, path })
	}

	/// The tree as Codex stores it: a protobuf message.
	pub fn encode(&self) -> Vec<u8> {
		let nodes = self.layers.iter().flatten().map(|digest| NodeMessage {
			digest: Some(Bytes::copy_from_slice(digest)),
		});
		TreeMessage {
			hash: Some(HashFunction::Sha2_256.code()),
			leaves: Some(self.layers[0].len() as u64),
			nodes: nodes.collect(),
		}
		.encode_to_vec()
	}

	/// Reads a stored tree, and checks every node of it.
	///
	/// # Errors
	/// [`InvalidTree`].
	pub fn decode(data: &[u8]) -> Result<Self, InvalidTree> {
		if data.len() > MAX_TREE_LEN {
			return Err(InvalidTree);
		}
		let message = TreeMessage::decode(Bytes::copy_from_slice(data)).map_err(|_| InvalidTree)?;
		let leaves = message.leaves.unwrap_or_default();
		let leaves = usize::try_from(leaves).map_err(|_| InvalidTree)?;
		if message.hash != Some(HashFunction::Sha2_256.code()) || leaves > message.nodes.len() {
			return Err(InvalidTree);
		}
		let digests = message.nodes.into_iter().map(|node| {
			let digest = node.digest.as_deref().unwrap_or_default();
			Digest::try_from(digest).map_err(|_| InvalidTree)
		});
		let digests = digests.collect::<Result<Vec<_>, _>>()?;
		let tree = Self::new(digests[..leaves].to_vec()).map_err(|_| InvalidTree)?;
		if tree.layers.iter().flatten().eq(&digests) {
			Ok(tree)
		} else {
			Err(InvalidTree)
		}
	}
}

/// Largest stored tree that is read; Codex's limit.
const MAX_TREE_LEN: usize = 100 * 1024 * 1024;

/// The nodes over a layer.
fn nodes(layer: &[Digest], bottom: bool) -> impl Iterator<Item = TreeNode> + '_ {
	layer.chunks(2).map(move |pair| TreeNode {
		left: pair[0],
		right: pair.get(1).copied(),
		bottom,
	})
}

fn sha256(data: &[u8]) -> Digest {
	let hash = HashFunction::Sha2_256.digest(data);
	hash.digest().try_into().expect("SHA-256 has 32 bytes")
}

/// The CID of a dataset's block.
pub(super) fn leaf_cid(digest: &Digest) -> Cid {
	sha256_cid(CodexBlock::CODE, digest)
}

/// The CID of a tree's node.
pub(super) fn root_cid(digest: &Digest) -> Cid {
	sha256_cid(CodexRoot::CODE, digest)
}

fn sha256_cid(codec: u64, digest: &Digest) -> Cid {
	let hash = HashFunction::Sha2_256.wrap(digest);
	Cid::new_v1(codec, hash.expect("SHA-256 has 32 bytes"))
}

/// A tree needs a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tree without leaves")]
pub struct EmptyTree;

/// Bytes that are not a stored tree, or one whose nodes are not those of its leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stored dataset tree, or one that contradicts itself")]
pub struct InvalidTree;

#[derive(Clone, PartialEq, Message)]
struct TreeMessage {
	#[prost(uint64, optional, tag = "1")]
	hash: Option<u64>,
	#[prost(uint64, optional, tag = "2")]
	leaves: Option<u64>,
	#[prost(message, repeated, tag = "3")]
	nodes: Vec<NodeMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeMessage {
	#[prost(bytes = "bytes", optional, tag = "1")]
	pub(super) digest: Option<Bytes>,
}
