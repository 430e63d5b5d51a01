//! Binary Merkle trees over 32-byte leaves: openings and a tree in memory.
//!
//! A leaf's place is bound by its path: bit i of the index picks the side at height i. An opening
//! is the siblings from the bottom up, `32 · depth` bytes; the depth comes from the verifier's
//! state, never from the proof.

use crate::hash::{inner_node, Sha256};
use alloc::vec::Vec;

/// Bytes of the siblings in an opening of a tree of `depth`.
pub const fn siblings_len(depth: u8) -> usize {
	depth as usize * 32
}

/// The root to which `siblings` (32 bytes each, from the bottom up) lead from `leaf` at `index`.
///
/// The caller checks that there are exactly as many siblings as the tree is high and that
/// `index < 2^depth`; an incomplete last sibling is ignored.
pub fn root_from_opening<H: Sha256>(leaf: &[u8; 32], index: u64, siblings: &[u8]) -> [u8; 32] {
	let mut node = *leaf;
	let mut index = index;
	for sibling in siblings.as_chunks::<32>().0 {
		node = if index & 1 == 0 {
			inner_node::<H>(&node, sibling)
		} else {
			inner_node::<H>(sibling, &node)
		};
		index >>= 1;
	}
	node
}

/// Why a tree or an opening cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TreeError {
	/// The number of leaves is not a power of two.
	#[error("the number of leaves is not a power of two")]
	LeafCount,
	/// The leaf lies outside the tree.
	#[error("the leaf lies outside the tree")]
	IndexOutOfRange,
}

/// A whole tree in memory: 64 bytes per leaf. For small trees and tests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MerkleTree {
	/// Rows from the leaves to the root; row i holds 2^(depth − i) nodes.
	rows: Vec<Vec<[u8; 32]>>,
}

impl MerkleTree {
	/// Hashes the tree over `leaves`, at least one and a power of two of them.
	///
	/// # Errors
	/// [`TreeError::LeafCount`].
	pub fn build<H: Sha256>(leaves: Vec<[u8; 32]>) -> Result<Self, TreeError> {
		if !leaves.len().is_power_of_two() {
			return Err(TreeError::LeafCount);
		}
		let mut rows = Vec::with_capacity(leaves.len().ilog2() as usize + 1);
		let mut row = leaves;
		while row.len() > 1 {
			let next = row
				.as_chunks::<2>()
				.0
				.iter()
				.map(|[left, right]| inner_node::<H>(left, right))
				.collect();
			rows.push(core::mem::replace(&mut row, next));
		}
		rows.push(row);
		Ok(MerkleTree { rows })
	}

	/// The tree over `bytes`, 32 per leaf.
	///
	/// # Errors
	/// [`TreeError::LeafCount`] if `bytes` is not a power of two of whole leaves.
	pub fn from_bytes<H: Sha256>(bytes: &[u8]) -> Result<Self, TreeError> {
		let (leaves, rest) = bytes.as_chunks::<32>();
		if !rest.is_empty() {
			return Err(TreeError::LeafCount);
		}
		Self::build::<H>(leaves.to_vec())
	}

	/// The root.
	pub fn root(&self) -> [u8; 32] {
		self.rows[self.rows.len() - 1][0]
	}

	/// Height: siblings in an opening.
	pub fn depth(&self) -> u8 {
		(self.rows.len() - 1) as u8
	}

	/// The leaf at `index`.
	///
	/// # Errors
	/// [`TreeError::IndexOutOfRange`].
	pub fn leaf(&self, index: u64) -> Result<[u8; 32], TreeError> {
		let index = usize::try_from(index).map_err(|_| TreeError::IndexOutOfRange)?;
		self.rows[0].get(index).copied().ok_or(TreeError::IndexOutOfRange)
	}

	/// The siblings from the leaf at `index` up, `32 · depth` bytes.
	///
	/// # Errors
	/// [`TreeError::IndexOutOfRange`].
	pub fn siblings(&self, index: u64) -> Result<Vec<u8>, TreeError> {
		self.leaf(index)?;
		let mut index = index as usize;
		let mut siblings = Vec::with_capacity(siblings_len(self.depth()));
		for row in &self.rows[..self.rows.len() - 1] {
			siblings.extend_from_slice(&row[index ^ 1]);
			index >>= 1;
		}
		Ok(siblings)
	}

	/// The opening of the leaf at `index`: leaf and siblings, `32 · (depth + 1)` bytes.
	///
	/// # Errors
	/// [`TreeError::IndexOutOfRange`].
	pub fn opening(&self, index: u64) -> Result<Vec<u8>, TreeError> {
		let mut opening = self.leaf(index)?.to_vec();
		opening.extend(self.siblings(index)?);
		Ok(opening)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::hash::NativeSha256;

	fn leaves(n: u8) -> Vec<[u8; 32]> {
		(0..n).map(|i| [i; 32]).collect()
	}

	#[test]
	fn every_opening_leads_to_the_root() {
		for n in [1, 2, 4, 64] {
			let tree = MerkleTree::build::<NativeSha256>(leaves(n)).unwrap();
			assert_eq!(1 << tree.depth(), n);
			for i in 0..n as u64 {
				let siblings = tree.siblings(i).unwrap();
				assert_eq!(siblings.len(), siblings_len(tree.depth()));
				assert_eq!(
					root_from_opening::<NativeSha256>(&[i as u8; 32], i, &siblings),
					tree.root()
				);
			}
		}
	}

	#[test]
	fn a_path_binds_its_index() {
		let tree = MerkleTree::build::<NativeSha256>(leaves(16)).unwrap();
		let siblings = tree.siblings(5).unwrap();
		for i in (0..16).filter(|i| *i != 5) {
			assert_ne!(
				root_from_opening::<NativeSha256>(&[5; 32], i, &siblings),
				tree.root()
			);
		}
	}

	#[test]
	fn known_root() {
		let tree = MerkleTree::from_bytes::<NativeSha256>(&[0; 2048]).unwrap();
		assert_eq!(
			hex::encode(tree.root()),
			"fc7e928296e516faade986b28f92d44a4f24b935485223376a799027bc18f833"
		);
	}

	#[test]
	fn refusals() {
		assert_eq!(
			MerkleTree::build::<NativeSha256>(leaves(0)),
			Err(TreeError::LeafCount)
		);
		assert_eq!(
			MerkleTree::build::<NativeSha256>(leaves(3)),
			Err(TreeError::LeafCount)
		);
		assert_eq!(
			MerkleTree::from_bytes::<NativeSha256>(&[0; 33]),
			Err(TreeError::LeafCount)
		);
		let tree = MerkleTree::build::<NativeSha256>(leaves(4)).unwrap();
		assert_eq!(tree.opening(4), Err(TreeError::IndexOutOfRange));
		assert_eq!(tree.opening(u64::MAX), Err(TreeError::IndexOutOfRange));
	}
}
