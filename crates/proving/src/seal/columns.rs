//! The tree over columns (CommC): one leaf per node, hashing its labels in all layers.

use super::{at, Part, SealError};
use crate::{
	durable,
	error::DataFault,
	opening::Leaves,
	rows::{RowShape, RowsWriter},
	sha256::{self, Node, NODE},
};
use cairn_primitives::{proof_type::MAX_LAYERS, sdr::COLUMN_TAG, Commitment, ProofSpec};
use rayon::prelude::*;
use std::{fs::File, os::unix::fs::FileExt, path::Path};

/// Lowest stored row of the column tree. Opening a column hashes 64 of them. The rows, 1/16 of a
/// layer, live until activation is proven.
const BASE_HEIGHT: u8 = 6;
/// Columns that are hashed in parallel at a time.
const STRIPE: u64 = 1 << 15;

/// Which rows are stored.
pub(crate) const fn shape(spec: &ProofSpec) -> RowShape {
	RowShape::new(BASE_HEIGHT, spec.depth())
}

/// Most blocks of a column's padded preimage: tag and labels, then padding.
const MAX_BLOCKS: usize = (NODE * (1 + MAX_LAYERS as usize) + 9).div_ceil(64);

/// A column's preimage with the tag and the padding in place.
struct Preimage {
	blocks: [[u8; 64]; MAX_BLOCKS],
	used: usize,
}

impl Preimage {
	fn new(layers: usize) -> Self {
		let len = NODE * (1 + layers);
		let used = (len + 9).div_ceil(64);
		let mut blocks = [[0u8; 64]; MAX_BLOCKS];
		let bytes = &mut blocks.as_flattened_mut()[..used * 64];
		bytes[..NODE].copy_from_slice(&COLUMN_TAG);
		bytes[len] = 0x80;
		bytes[used * 64 - 8..].copy_from_slice(&(len as u64 * 8).to_be_bytes());
		Preimage { blocks, used }
	}

	fn set(&mut self, layer: usize, label: &[u8]) {
		self.blocks.as_flattened_mut()[NODE * (1 + layer)..][..NODE].copy_from_slice(label);
	}

	fn blocks(&self) -> &[[u8; 64]] {
		&self.blocks[..self.used]
	}
}

/// Hashes columns into leaves. `layers` hold the labels of as many nodes as `leaves` has room for.
pub(crate) fn column_leaves(layers: &[&[u8]], leaves: &mut [u8]) {
	let (mut a, mut b) = (Preimage::new(layers.len()), Preimage::new(layers.len()));
	for (pair, out) in leaves.chunks_mut(2 * NODE).enumerate() {
		let first = pair * 2 * NODE;
		for (i, layer) in layers.iter().enumerate() {
			a.set(i, &layer[first..first + NODE]);
			if out.len() > NODE {
				b.set(i, &layer[first + NODE..first + 2 * NODE]);
			}
		}
		let digests = sha256::digest_two(a.blocks(), b.blocks());
		out.copy_from_slice(&digests.as_flattened()[..out.len()]);
	}
}

/// Hashes all columns, stores the upper rows and returns CommC. `layers` are whole layers, from the
/// first.
pub(crate) fn commit(
	spec: &ProofSpec,
	layers: &[impl AsRef<[u8]> + Sync],
	incoming: &Path,
	target: &Path,
	part: &mut Part,
) -> Result<Commitment, SealError> {
	let shape = shape(spec);
	let width = shape.subtree_leaves();
	let mut writer = RowsWriter::new(incoming).map_err(at(target))?;
	let stripe = STRIPE.min(spec.leaves());
	let mut roots = vec![0u8; stripe as usize / width * NODE];
	for first in (0..spec.leaves()).step_by(stripe as usize) {
		part.report(first, spec.leaves())?;
		roots
			.par_chunks_mut(NODE)
			.enumerate()
			.with_min_len(8)
			.for_each_init(
				|| vec![0u8; width * NODE],
				|leaves, (i, root)| {
					let from = (first as usize + i * width) * NODE;
					let columns: [&[u8]; MAX_LAYERS as usize] = std::array::from_fn(|layer| {
						layers
							.get(layer)
							.map_or(&[][..], |layer| &layer.as_ref()[from..from + width * NODE])
					});
					column_leaves(&columns[..layers.len()], leaves);
					root.copy_from_slice(&sha256::root_of(leaves));
				},
			);
		writer.push(&roots).map_err(at(target))?;
	}
	let (temp, comm_c) = writer.finish(shape, &[0; NODE]).map_err(at(target))?;
	durable::persist(temp, target).map_err(at(target))?;
	part.report(1, 1)?;
	Ok(comm_c)
}

/// Layer files, open for proving.
pub(crate) struct LayerFiles {
	pub files: Vec<File>,
}

impl LayerFiles {
	/// The labels of one node in every layer.
	pub fn column(&self, node: u64) -> Result<Vec<Node>, DataFault> {
		self.files
			.iter()
			.map(|file| {
				let mut label = [0u8; NODE];
				file.read_exact_at(&mut label, node * NODE as u64)
					.map_err(DataFault::from_io)?;
				Ok(label)
			})
			.collect()
	}
}

impl Leaves for LayerFiles {
	fn read(&self, first: u64, out: &mut [u8]) -> Result<(), DataFault> {
		let labels = self
			.files
			.iter()
			.map(|file| {
				let mut labels = vec![0u8; out.len()];
				file.read_exact_at(&mut labels, first * NODE as u64)
					.map_err(DataFault::from_io)?;
				Ok(labels)
			})
			.collect::<Result<Vec<_>, DataFault>>()?;
		let layers: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
		column_leaves(&layers, out);
		Ok(())
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_primitives::{hash::NativeSha256, sdr};

	#[test]
	fn leaves_are_those_of_the_definition() {
		for layers in 1..=usize::from(MAX_LAYERS) {
			for nodes in [1usize, 2, 5] {
				let labels: Vec<Vec<u8>> = (0..layers)
					.map(|l| (0..nodes * NODE).map(|i| (i * 31 + l * 7) as u8).collect())
					.collect();
				let views: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
				let mut leaves = vec![0; nodes * NODE];
				column_leaves(&views, &mut leaves);
				for node in 0..nodes {
					let column: Vec<Node> = labels
						.iter()
						.map(|l| l[node * NODE..][..NODE].try_into().unwrap())
						.collect();
					assert_eq!(
						leaves[node * NODE..][..NODE],
						sdr::column_leaf::<NativeSha256>(&column),
						"{layers} layers, node {node}"
					);
				}
			}
		}
	}
}
