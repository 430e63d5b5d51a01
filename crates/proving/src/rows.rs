//! Upper rows of a Merkle tree on disk.
//!
//! A tree over gigabytes keeps the rows from a base height up; the sub-trees below are rebuilt from
//! the data when a leaf is opened. The file is the base row, then each row above it, down to the
//! root; a node is 32 bytes. It has no header: its length follows from the tree's height, and every
//! opening made from it is checked against the commitment.

use crate::sha256::{self, Node, NODE};
use rayon::prelude::*;
use std::{
	fs::File,
	io::{self, BufWriter, Write},
	os::unix::fs::FileExt,
	path::Path,
};
use tempfile::NamedTempFile;

/// Which rows of a tree are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RowShape {
	/// Height of the lowest stored row; leaves are at 0.
	pub base: u8,
	/// Height of the root.
	pub height: u8,
}

impl RowShape {
	/// Rows from `base` up of a tree of `height`; just the root if the tree is lower.
	pub const fn new(base: u8, height: u8) -> Self {
		RowShape {
			base: if base < height { base } else { height },
			height,
		}
	}

	/// Leaves below one node of the base row.
	pub const fn subtree_leaves(&self) -> usize {
		1 << self.base
	}

	/// Nodes of the base row.
	pub const fn base_nodes(&self) -> u64 {
		1 << (self.height - self.base)
	}

	/// First byte of the row at `height`.
	const fn offset(&self, height: u8) -> u64 {
		// Rows below it: 2^(H − base) + … + 2^(H − height + 1) nodes.
		((1 << (self.height - self.base + 1)) - (1 << (self.height - height + 1))) * NODE as u64
	}

	/// Bytes of all rows.
	pub const fn len(&self) -> u64 {
		((1 << (self.height - self.base + 1)) - 1) * NODE as u64
	}
}

/// Writes the base row as it comes, then the rows above it, in constant memory.
pub(crate) struct RowsWriter {
	file: BufWriter<NamedTempFile>,
	nodes: u64,
}

/// Bytes of a row that are hashed at a time.
const STRIPE: usize = 1 << 20;

impl RowsWriter {
	pub fn new(incoming: &Path) -> io::Result<Self> {
		Ok(RowsWriter {
			file: BufWriter::with_capacity(1 << 16, NamedTempFile::new_in(incoming)?),
			nodes: 0,
		})
	}

	/// Appends nodes to the base row.
	pub fn push(&mut self, nodes: &[u8]) -> io::Result<()> {
		self.nodes += (nodes.len() / NODE) as u64;
		self.file.write_all(nodes)
	}

	/// Fills the base row with `fill`, hashes the rows above and returns the file and the root.
	pub fn finish(mut self, shape: RowShape, fill: &Node) -> io::Result<(NamedTempFile, Node)> {
		if self.nodes > shape.base_nodes() {
			return Err(io::Error::new(
				io::ErrorKind::InvalidInput,
				"more nodes than the row has",
			));
		}
		for _ in self.nodes..shape.base_nodes() {
			self.file.write_all(fill)?;
		}
		let mut temp = self.file.into_inner().map_err(|e| e.into_error())?;
		let mut row = vec![0u8; STRIPE.min(shape.base_nodes() as usize * NODE)];
		for height in shape.base..shape.height {
			let mut at = shape.offset(height);
			let end = shape.offset(height + 1);
			while at < end {
				let len = ((end - at) as usize).min(STRIPE);
				temp.as_file().read_exact_at(&mut row[..len], at)?;
				if len >= 1 << 16 {
					row[..len].par_chunks_mut(1 << 14).for_each(sha256::reduce);
					for chunk in row[..len].chunks(1 << 14) {
						temp.write_all(&chunk[..chunk.len() / 2])?;
					}
				} else {
					sha256::reduce(&mut row[..len]);
					temp.write_all(&row[..len / 2])?;
				}
				at += len as u64;
			}
		}
		let mut root = [0u8; NODE];
		temp.as_file()
			.read_exact_at(&mut root, shape.offset(shape.height))?;
		Ok((temp, root))
	}
}

/// Stored rows, open for reading.
#[derive(Debug)]
pub(crate) struct Rows {
	file: File,
	shape: RowShape,
}

impl Rows {
	/// Opens rows. A file of another length gives `UnexpectedEof`.
	pub fn open(path: &Path, shape: RowShape) -> io::Result<Self> {
		let file = File::open(path)?;
		if file.metadata()?.len() != shape.len() {
			return Err(io::ErrorKind::UnexpectedEof.into());
		}
		Ok(Rows { file, shape })
	}

	/// The node at `index` of the row at `height`.
	pub fn node(&self, height: u8, index: u64) -> io::Result<Node> {
		let mut node = [0u8; NODE];
		self.file
			.read_exact_at(&mut node, self.shape.offset(height) + index * NODE as u64)?;
		Ok(node)
	}

	/// First leaf below the first base node that differs from the other rows'. Unreadable nodes count
	/// as equal.
	pub fn first_difference(&self, other: &Rows) -> Option<u64> {
		let differs = |index: &u64| match (
			self.node(self.shape.base, *index),
			other.node(self.shape.base, *index),
		) {
			(Ok(own), Ok(theirs)) => own != theirs,
			_ => false,
		};
		(0..self.shape.base_nodes())
			.find(differs)
			.map(|index| index * self.shape.subtree_leaves() as u64)
	}

	/// Siblings on the way from the base node at `index` to the root.
	pub fn siblings(&self, index: u64) -> io::Result<Vec<Node>> {
		(self.shape.base..self.shape.height)
			.map(|height| self.node(height, (index >> (height - self.shape.base)) ^ 1))
			.collect()
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_primitives::{hash::NativeSha256, merkle::MerkleTree};

	#[test]
	fn rows_are_those_of_the_whole_tree() {
		let dir = tempfile::tempdir().unwrap();
		for (base, height, given) in [(0, 0, 1u64), (2, 7, 32), (2, 7, 19), (3, 16, 8192), (9, 6, 1)] {
			let shape = RowShape::new(base, height);
			let fill = [9; 32];
			let mut writer = RowsWriter::new(dir.path()).unwrap();
			let mut nodes: Vec<Node> = Vec::new();
			for i in 0..given {
				let node = std::array::from_fn(|j| (i >> (j % 3 * 8)) as u8);
				writer.push(&node).unwrap();
				nodes.push(node);
			}
			nodes.resize(shape.base_nodes() as usize, fill);
			let tree = MerkleTree::build::<NativeSha256>(nodes).unwrap();
			let (temp, root) = writer.finish(shape, &fill).unwrap();
			assert_eq!(root, tree.root());
			let rows = Rows::open(temp.path(), shape).unwrap();
			for index in [0, 1, 2, 17, shape.base_nodes() - 1] {
				if index >= shape.base_nodes() {
					continue;
				}
				assert_eq!(rows.node(shape.base, index).unwrap(), tree.leaf(index).unwrap());
				assert_eq!(
					rows.siblings(index).unwrap().concat(),
					tree.siblings(index).unwrap()
				);
			}
			temp.as_file().set_len(shape.len() - 1).unwrap();
			assert_eq!(
				Rows::open(temp.path(), shape).unwrap_err().kind(),
				io::ErrorKind::UnexpectedEof
			);
		}
	}

	#[test]
	fn too_many_nodes_are_refused() {
		let dir = tempfile::tempdir().unwrap();
		let mut writer = RowsWriter::new(dir.path()).unwrap();
		writer.push(&[0; 96]).unwrap();
		assert!(writer.finish(RowShape::new(0, 1), &[0; 32]).is_err());
	}
}
