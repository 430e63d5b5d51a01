//! Proofs that a block has its place in a dataset.

use super::tree::{depth, Digest, NodeMessage, TreeNode, ZERO};
use crate::{
	codec::{
		codex::{CodexBlock, CodexRoot},
		BlockCodec,
	},
	hash::HashFunction,
};
use bytes::Bytes;
use cid::Cid;
use prost::Message;

/// The neighbours of a leaf and of every node above it.
///
/// A proof carries its own index and number of leaves, and an attacker writes them: so
/// [`verify`](Self::verify) wants those that are known from elsewhere, the request and the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeProof {
	/// Position of the leaf, counted from 0.
	pub index: u64,
	/// Leaves of the tree.
	pub leaves: u64,
	/// The neighbour on each level, the leaf's first; zeros where there is none.
	pub path: Vec<Digest>,
}

/// Longest proof that is read: 64 levels and some more.
const MAX_PROOF_LEN: usize = 4096;

impl TreeProof {
	/// Checks that `block` is number `index` of the `leaves` blocks of the dataset with this `tree`.
	///
	/// # Errors
	/// [`ProofError`] says what is wrong.
	pub fn verify(&self, block: &Cid, tree: &Cid, index: u64, leaves: u64) -> Result<(), ProofError> {
		if self.index != index || index >= leaves {
			return Err(ProofError::WrongIndex {
				expected: index,
				found: self.index,
			});
		}
		if self.leaves != leaves {
			return Err(ProofError::WrongLeaves {
				expected: leaves,
				found: self.leaves,
			});
		}
		if self.path.len() != depth(leaves) as usize {
			return Err(ProofError::WrongDepth {
				expected: depth(leaves) as usize,
				found: self.path.len(),
			});
		}
		let leaf = digest(block, CodexBlock::CODE)?;
		let root = digest(tree, CodexRoot::CODE)?;
		if self.root_over(leaf) == Some(root) {
			Ok(())
		} else {
			Err(ProofError::WrongRoot)
		}
	}

	/// The root that the path leads to from a leaf, or `None` if there is a neighbour where there can
	/// be none.
	fn root_over(&self, leaf: Digest) -> Option<Digest> {
		let (mut at, mut width, mut digest) = (self.index, self.leaves, leaf);
		for (level, neighbour) in self.path.iter().enumerate() {
			let (left, right) = if at % 2 == 1 {
				(*neighbour, Some(digest))
			} else if at + 1 < width {
				(digest, Some(*neighbour))
			} else if *neighbour == ZERO {
				(digest, None)
			} else {
				return None;
			};
			let node = TreeNode {
				left,
				right,
				bottom: level == 0,
			};
			digest = node.digest();
			at /= 2;
			width = width.div_ceil(2);
		}
		Some(digest)
	}

	/// The proof as Codex sends it: a protobuf message.
	pub fn encode(&self) -> Vec<u8> {
		let path = self.path.iter().map(|digest| NodeMessage {
			digest: Some(Bytes::copy_from_slice(digest)),
		});
		ProofMessage {
			hash: Some(HashFunction::Sha2_256.code()),
			index: Some(self.index),
			leaves: Some(self.leaves),
			path: path.collect(),
		}
		.encode_to_vec()
	}

	/// Reads a proof that was sent. It proves nothing before [`verify`](Self::verify).
	///
	/// # Errors
	/// [`InvalidProof`].
	pub fn decode(data: &[u8]) -> Result<Self, InvalidProof> {
		if data.len() > MAX_PROOF_LEN {
			return Err(InvalidProof);
		}
		let message = ProofMessage::decode(Bytes::copy_from_slice(data)).map_err(|_| InvalidProof)?;
		if message.hash != Some(HashFunction::Sha2_256.code()) {
			return Err(InvalidProof);
		}
		let path = message.path.into_iter().map(|node| {
			let digest = node.digest.as_deref().unwrap_or_default();
			Digest::try_from(digest).map_err(|_| InvalidProof)
		});
		Ok(Self {
			index: message.index.unwrap_or_default(),
			leaves: message.leaves.unwrap_or_default(),
			path: path.collect::<Result<_, _>>()?,
		})
	}
}

fn digest(cid: &Cid, codec: u64) -> Result<Digest, ProofError> {
	let hash = cid.hash();
	let sha256 = hash.code() == HashFunction::Sha2_256.code();
	hash.digest()
		.try_into()
		.ok()
		.filter(|_| sha256 && cid.codec() == codec)
		.ok_or(ProofError::WrongKind { cid: *cid })
}

/// Why a proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
	/// It is for another index.
	#[error("the proof is for block {found}, not {expected}")]
	WrongIndex {
		/// The index asked for.
		expected: u64,
		/// The proof's.
		found: u64,
	},
	/// It is for a tree of another size.
	#[error("the proof is for a tree of {found} leaves, not {expected}")]
	WrongLeaves {
		/// Blocks of the dataset.
		expected: u64,
		/// Leaves by the proof.
		found: u64,
	},
	/// Its path is too short or too long for the tree.
	#[error("the proof has {found} levels, the tree has {expected}")]
	WrongDepth {
		/// Levels of the tree.
		expected: usize,
		/// Levels of the proof.
		found: usize,
	},
	/// The CID is not that of a block or tree of a dataset with SHA-256.
	#[error("{cid} is not a block or tree that a proof can be about")]
	WrongKind {
		/// Which.
		cid: Cid,
	},
	/// The path does not lead from the block to the root.
	#[error("the proof does not lead to the dataset's tree")]
	WrongRoot,
}

/// Bytes that are not a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a dataset proof")]
pub struct InvalidProof;

#[derive(Clone, PartialEq, Message)]
struct ProofMessage {
	#[prost(uint64, optional, tag = "1")]
	hash: Option<u64>,
	#[prost(uint64, optional, tag = "2")]
	index: Option<u64>,
	#[prost(uint64, optional, tag = "3")]
	leaves: Option<u64>,
	#[prost(message, repeated, tag = "4")]
	path: Vec<NodeMessage>,
}
