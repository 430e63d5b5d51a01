//! Valid proofs for sectors of any size in milliseconds, for benchmarks and tests of verification.
//!
//! Whoever knows the challenges before committing can commit to a sector that holds nothing but the
//! answers; the protocol draws the seed after CommR is stored for this reason. Here it is a tool:
//! data and labels are zero except where challenged, so that trees are sparse, and the verifier's
//! work is that of an honest proof.

use crate::{
	challenge::porep_challenge,
	commitment::ZERO_COMMITMENTS,
	hash::{inner_node, Sha256},
	sdr::{column_leaf, comm_r, encode, label, Graph, DEGREE, DRG_DEGREE},
	sealed::ActivationInputs,
	Commitment, ProofSpec,
};
use alloc::{collections::BTreeMap, vec, vec::Vec};

/// A tree of `depth` in which most leaves are the same.
struct SparseTree {
	/// Node of each height whose leaves are all the default one.
	defaults: Vec<[u8; 32]>,
	/// Rows from the leaves up: nodes that differ, by index.
	rows: Vec<BTreeMap<u64, [u8; 32]>>,
}

impl SparseTree {
	fn new<H: Sha256>(depth: u8, default: [u8; 32], leaves: BTreeMap<u64, [u8; 32]>) -> Self {
		let (mut defaults, mut rows) = (vec![default], vec![leaves]);
		for height in 0..usize::from(depth) {
			let below: &BTreeMap<u64, [u8; 32]> = &rows[height];
			let default = defaults[height];
			let node = |index: u64| below.get(&index).copied().unwrap_or(default);
			let row = below
				.keys()
				.map(|index| index / 2)
				.map(|index| (index, inner_node::<H>(&node(2 * index), &node(2 * index + 1))))
				.collect();
			rows.push(row);
			defaults.push(inner_node::<H>(&default, &default));
		}
		SparseTree { defaults, rows }
	}

	fn node(&self, height: usize, index: u64) -> [u8; 32] {
		self.rows[height]
			.get(&index)
			.copied()
			.unwrap_or(self.defaults[height])
	}

	fn root(&self) -> Commitment {
		self.node(self.rows.len() - 1, 0)
	}

	fn siblings(&self, index: u64) -> Vec<u8> {
		(0..self.rows.len() - 1)
			.flat_map(|height| self.node(height, (index >> height) ^ 1))
			.collect()
	}
}

/// A sealed sector's whole activation proof of challenges `first..first + count`: sets
/// `inputs.comm_d` and `inputs.comm_r` so that
/// [`crate::sealed::verify_activation_part`] accepts it. Empty if `spec` is not a sealed type's.
pub fn sealed_activation<H: Sha256>(
	spec: &ProofSpec,
	inputs: &mut ActivationInputs,
	first: u16,
	count: u16,
) -> Vec<u8> {
	let Some(zero_data) = ZERO_COMMITMENTS.get(usize::from(spec.depth())) else {
		return Vec::new();
	};
	let Ok(graph) = Graph::new::<H>(spec.leaves(), &spec.porep_id()) else {
		return Vec::new();
	};
	inputs.comm_d = *zero_data;
	let replica_id = inputs.replica_id::<H>(spec);
	let challenged: Vec<u64> = (first..first.saturating_add(count))
		.map(|j| porep_challenge::<H>(&replica_id, &inputs.seed, j.into(), spec.leaves()))
		.collect();

	let mut nodes: BTreeMap<u64, [u32; DEGREE]> = BTreeMap::new();
	for node in &challenged {
		let mut parents = [0; DEGREE];
		// Below the number of leaves, which fits 32 bits.
		graph.parents(*node as u32, &mut parents);
		nodes.insert(*node, parents);
	}
	let mut layers: Vec<BTreeMap<u64, [u8; 32]>> = Vec::new();
	for layer in 1..=u32::from(spec.layers) {
		let mut labels = BTreeMap::new();
		for (node, parents) in &nodes {
			let of = |labels: Option<&BTreeMap<u64, [u8; 32]>>, parent: u32| {
				labels
					.and_then(|labels| labels.get(&parent.into()))
					.copied()
					.unwrap_or_default()
			};
			let drg = core::array::from_fn(|i| of(Some(&labels), parents[i]));
			let expander = core::array::from_fn(|i| of(layers.last(), parents[DRG_DEGREE + i]));
			labels.insert(*node, label::<H>(&replica_id, layer, *node, &drg, &expander));
		}
		layers.push(labels);
	}
	let column = |node: u64| -> Vec<[u8; 32]> {
		layers
			.iter()
			.map(|labels| labels.get(&node).copied().unwrap_or_default())
			.collect()
	};

	let columns = nodes
		.keys()
		.map(|node| (*node, column_leaf::<H>(&column(*node))))
		.collect();
	let zero_column = column_leaf::<H>(&vec![[0; 32]; spec.layers.into()]);
	let column_tree = SparseTree::new::<H>(spec.depth(), zero_column, columns);
	let replica = layers.last().into_iter().flatten().map(|(node, key)| {
		// Labels are canonical.
		(*node, encode(&[0; 32], key).unwrap_or_default())
	});
	let replica_tree = SparseTree::new::<H>(spec.depth(), [0; 32], replica.collect());
	inputs.comm_r = comm_r::<H>(&column_tree.root(), &replica_tree.root());

	let mut proof = [column_tree.root(), replica_tree.root()].concat();
	for node in challenged {
		proof.extend_from_slice(&zero_openings(spec.depth(), 1));
		proof.extend(replica_tree.siblings(node));
		proof.extend(column_tree.siblings(node));
		for parent in nodes.get(&node).into_iter().flatten() {
			proof.extend(column((*parent).into()).concat());
			proof.extend(column_tree.siblings((*parent).into()));
		}
	}
	proof
}

/// `count` openings of any leaves of a tree of zeros ([`ZERO_COMMITMENTS`]): a hot sector's proof.
pub fn zero_openings(depth: u8, count: usize) -> Vec<u8> {
	let mut opening = vec![0u8; 32];
	opening.extend(ZERO_COMMITMENTS.iter().take(depth.into()).flatten());
	opening.repeat(count)
}

/// CommR and the windowed proof of `count` leaves of a replica of zeros.
pub fn sealed_window<H: Sha256>(spec: &ProofSpec, count: usize) -> (Commitment, Vec<u8>) {
	let comm_c = [0; 32];
	let comm_r_last = ZERO_COMMITMENTS
		.get(usize::from(spec.depth()))
		.copied()
		.unwrap_or_default();
	let mut proof = [comm_c, comm_r_last].concat();
	proof.extend(zero_openings(spec.depth(), count));
	(comm_r::<H>(&comm_c, &comm_r_last), proof)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::{hash::NativeSha256 as H, hot, proof_type::BUILTIN, sealed, Tier};

	#[test]
	fn forged_proofs_of_every_builtin_type_are_accepted() {
		for (_, spec) in BUILTIN {
			let indices = [0, spec.leaves() - 1, 5];
			if spec.tier == Tier::Hot {
				let root = ZERO_COMMITMENTS[usize::from(spec.depth())];
				let proof = zero_openings(spec.depth(), 3);
				assert_eq!(hot::verify::<H>(&spec, &root, &indices, &proof), Ok(()));
				continue;
			}
			let mut inputs = ActivationInputs {
				prover_id: [1; 32],
				sector: 1,
				ticket: [2; 32],
				seed: [3; 32],
				comm_d: [0; 32],
				comm_r: [0; 32],
			};
			let count = spec.activation_challenges.min(24);
			let proof = sealed_activation::<H>(&spec, &mut inputs, 0, count);
			assert_eq!(
				sealed::verify_activation_part::<H>(&spec, &inputs, 0, count, &proof),
				Ok(())
			);
			let (root, proof) = sealed_window::<H>(&spec, 3);
			assert_eq!(sealed::verify_window::<H>(&spec, &root, &indices, &proof), Ok(()));
		}
	}
}
