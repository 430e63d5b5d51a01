//! Openings of trees of which only the upper rows are stored.
//!
//! The sub-tree around a leaf is rebuilt from the data, the rest of the path read from the rows.
//! Every opening is checked against the root before it is used. If the check fails, the stored node
//! above the sub-tree tells whether the data or the rows are wrong.

use crate::{
	error::DataFault,
	rows::{RowShape, Rows},
	sha256::{self, Node, NODE},
};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// A leaf and its siblings, from the bottom up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Opening {
	pub leaf: Node,
	pub siblings: Vec<Node>,
}

impl Opening {
	/// Appends leaf and siblings.
	pub fn write_to(&self, proof: &mut Vec<u8>) {
		proof.extend_from_slice(&self.leaf);
		self.write_siblings(proof);
	}

	/// Appends the siblings only.
	pub fn write_siblings(&self, proof: &mut Vec<u8>) {
		proof.extend_from_slice(self.siblings.as_flattened());
	}
}

/// Gives the leaves of a tree, a sub-tree at a time.
pub(crate) trait Leaves: Sync {
	/// Writes the leaves from `first` on to `out` (whole nodes).
	fn read(&self, first: u64, out: &mut [u8]) -> Result<(), DataFault>;
}

/// What failed.
#[derive(Debug)]
pub(crate) enum OpenError {
	/// The leaves' source.
	Data(DataFault),
	/// The stored rows.
	Rows(DataFault),
}

/// A tree of which the rows from `shape.base` up are stored.
pub(crate) struct PartialTree<'a, L> {
	pub leaves: &'a L,
	/// `None` if the tree has no rows but the root.
	pub rows: Option<&'a Rows>,
	pub shape: RowShape,
	pub root: Node,
}

impl<L: Leaves> PartialTree<'_, L> {
	/// Opens `indices` (all inside the tree), in this order.
	pub fn open(&self, indices: &[u64]) -> Result<Vec<Opening>, OpenError> {
		let mut by_subtree: BTreeMap<u64, Vec<(usize, u64)>> = BTreeMap::new();
		for (place, index) in indices.iter().enumerate() {
			by_subtree
				.entry(index >> self.shape.base)
				.or_default()
				.push((place, *index));
		}
		let groups: Vec<_> = by_subtree.into_iter().collect();
		let opened: Result<Vec<Vec<(usize, Opening)>>, OpenError> = groups
			.par_iter()
			.map(|(subtree, members)| self.open_in_subtree(*subtree, members))
			.collect();
		let mut opened: Vec<_> = opened?.into_iter().flatten().collect();
		opened.sort_by_key(|(place, _)| *place);
		Ok(opened.into_iter().map(|(_, opening)| opening).collect())
	}

	fn open_in_subtree(
		&self,
		subtree: u64,
		members: &[(usize, u64)],
	) -> Result<Vec<(usize, Opening)>, OpenError> {
		let width = self.shape.subtree_leaves();
		// All rows of the sub-tree, the leaves first: 2 · width − 1 nodes.
		let mut nodes = vec![0u8; (2 * width - 1) * NODE];
		self.leaves
			.read(subtree * width as u64, &mut nodes[..width * NODE])
			.map_err(OpenError::Data)?;
		let (mut start, mut len) = (0, width);
		let mut row_starts = vec![0];
		while len > 1 {
			let (row, above) = nodes[start * NODE..].split_at_mut(len * NODE);
			sha256::parents_of(row, &mut above[..len / 2 * NODE]);
			start += len;
			len /= 2;
			row_starts.push(start);
		}
		let node_at = |i: usize| -> Node {
			let mut node = [0; NODE];
			node.copy_from_slice(&nodes[i * NODE..(i + 1) * NODE]);
			node
		};
		let upper = match self.rows {
			Some(rows) => rows
				.siblings(subtree)
				.map_err(|e| OpenError::Rows(DataFault::from_io(e)))?,
			None => Vec::new(),
		};
		let computed = node_at(2 * width - 2);
		if root_above(computed, subtree, &upper) != self.root {
			let leaf = members
				.first()
				.map_or(subtree * width as u64, |(_, index)| *index);
			let fault = DataFault::Corrupt { leaf };
			return Err(match self.rows.map(|rows| rows.node(self.shape.base, subtree)) {
				// The stored node is part of the root, so the data below it is wrong.
				Some(Ok(stored)) if root_above(stored, subtree, &upper) == self.root => {
					OpenError::Data(fault)
				}
				Some(_) => OpenError::Rows(fault),
				None => OpenError::Data(fault),
			});
		}
		Ok(members
			.iter()
			.map(|(place, index)| {
				let within = (index - subtree * width as u64) as usize;
				let below = (0..self.shape.base)
					.map(|height| node_at(row_starts[usize::from(height)] + ((within >> height) ^ 1)));
				let siblings = below.chain(upper.iter().copied()).collect();
				(
					*place,
					Opening {
						leaf: node_at(within),
						siblings,
					},
				)
			})
			.collect())
	}
}

/// The root to which `siblings` lead from `node` at `index`.
pub(crate) fn root_above(mut node: Node, mut index: u64, siblings: &[Node]) -> Node {
	for sibling in siblings {
		node = if index & 1 == 0 {
			sha256::node(&node, sibling)
		} else {
			sha256::node(sibling, &node)
		};
		index >>= 1;
	}
	node
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::rows::RowsWriter;
	use cairn_primitives::{hash::NativeSha256, merkle::MerkleTree};
	use std::os::unix::fs::FileExt;

	struct Memory(Vec<Node>);

	impl Leaves for Memory {
		fn read(&self, first: u64, out: &mut [u8]) -> Result<(), DataFault> {
			out.copy_from_slice(&self.0.as_flattened()[first as usize * NODE..][..out.len()]);
			Ok(())
		}
	}

	#[test]
	fn openings_are_those_of_the_whole_tree() {
		let dir = tempfile::tempdir().unwrap();
		let mut leaves = Memory(
			(0..512u32)
				.map(|i| std::array::from_fn(|j| (i >> (j % 2 * 8)) as u8))
				.collect(),
		);
		let whole = MerkleTree::build::<NativeSha256>(leaves.0.clone()).unwrap();
		for base in [0, 1, 4, 9] {
			let shape = RowShape::new(base, 9);
			let mut writer = RowsWriter::new(dir.path()).unwrap();
			for subtree in leaves.0.chunks(shape.subtree_leaves()) {
				writer
					.push(&sha256::root_of(&mut subtree.as_flattened().to_vec()))
					.unwrap();
			}
			let (file, root) = writer.finish(shape, &[0; 32]).unwrap();
			assert_eq!(root, whole.root());
			let rows = Rows::open(file.path(), shape).unwrap();
			let tree = PartialTree {
				leaves: &leaves,
				rows: Some(&rows),
				shape,
				root,
			};
			let indices = [511, 0, 17, 16, 17, 300];
			for (index, opening) in indices.iter().zip(tree.open(&indices).unwrap()) {
				assert_eq!(opening.leaf, whole.leaf(*index).unwrap());
				assert_eq!(opening.siblings.concat(), whole.siblings(*index).unwrap());
			}

			// Wrong data below a sound path.
			leaves.0[17][0] ^= 1;
			let tree = PartialTree {
				leaves: &leaves,
				rows: Some(&rows),
				shape,
				root,
			};
			assert!(matches!(
				tree.open(&[17]),
				Err(OpenError::Data(DataFault::Corrupt { leaf: 17 }))
			));
			leaves.0[17][0] ^= 1;

			// A wrong row above sound data.
			file.as_file().write_all_at(&[0xee; 32 * 4], 0).unwrap();
			let tree = PartialTree {
				leaves: &leaves,
				rows: Some(&rows),
				shape,
				root,
			};
			match base {
				9 => assert!(tree.open(&[17]).is_ok()),
				4 => assert!(matches!(tree.open(&[0, 17, 99]), Err(OpenError::Rows(_)))),
				_ => assert!(matches!(tree.open(&[0]), Err(OpenError::Rows(_)))),
			}
		}
	}
}
