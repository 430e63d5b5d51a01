//! The plainest possible sealing and proving, in memory, by the definitions: what tests of verification
//! and of the chain run on. A sector of 2 KiB takes a millisecond.

use super::{column_leaf, comm_r, encode, label, Graph, DEGREE, DRG_DEGREE, EXPANDER_DEGREE};
use crate::{
	challenge::porep_challenge, hash::NativeSha256 as H, merkle::MerkleTree, sealed::ActivationInputs,
	ProofSpec,
};
use alloc::vec::Vec;

/// Labels by layer, from the first, and node, by the definition.
pub fn labels(graph: &Graph, layers: u32, replica_id: &[u8; 32]) -> Vec<Vec<[u8; 32]>> {
	let mut all: Vec<Vec<[u8; 32]>> = Vec::new();
	let mut parents = [0; DEGREE];
	for layer in 1..=layers {
		let mut current: Vec<[u8; 32]> = Vec::new();
		for node in 0..graph.leaves() as u32 {
			graph.parents(node, &mut parents);
			let mut drg = [[0; 32]; DRG_DEGREE];
			let mut expander = [[0; 32]; EXPANDER_DEGREE];
			if node > 0 {
				drg = core::array::from_fn(|i| current[parents[i] as usize]);
				if let Some(before) = all.last() {
					expander = core::array::from_fn(|i| before[parents[DRG_DEGREE + i] as usize]);
				}
			}
			current.push(label::<H>(replica_id, layer, node.into(), &drg, &expander));
		}
		all.push(current);
	}
	all
}

/// A sealed sector with everything that proving needs. Its parts are public, so that tests can cheat.
///
/// Methods panic on nodes outside the sector.
#[derive(Clone)]
pub struct Replica {
	/// Proof type, of the sealed tier.
	pub spec: ProofSpec,
	/// Its graph.
	pub graph: Graph,
	/// What the chain knows of the sector. The seed may be set when it is drawn.
	pub inputs: ActivationInputs,
	/// Identity of the replica, by `inputs`.
	pub replica_id: [u8; 32],
	/// Labels by layer, from the first, and node.
	pub layers: Vec<Vec<[u8; 32]>>,
	/// Tree over the data: CommD.
	pub data_tree: MerkleTree,
	/// Tree over the columns: CommC.
	pub column_tree: MerkleTree,
	/// Tree over the replica: CommRLast.
	pub replica_tree: MerkleTree,
}

impl Replica {
	/// Seals `data`, the leaves of a whole sector, for the prover, sector and ticket of `inputs`, whose
	/// commitments are set.
	///
	/// # Panics
	/// If `spec` is not a valid type of the sealed tier or `data` not its leaves, below 2²⁵⁴.
	pub fn seal(spec: ProofSpec, inputs: ActivationInputs, data: MerkleTree) -> Replica {
		let inputs = ActivationInputs {
			comm_d: data.root(),
			..inputs
		};
		let graph = Graph::new::<H>(spec.leaves(), &spec.porep_id()).expect("a valid type's size");
		let replica_id = inputs.replica_id::<H>(&spec);
		let layers = labels(&graph, spec.layers.into(), &replica_id);
		let mut replica = Replica {
			spec,
			graph,
			inputs,
			replica_id,
			layers,
			column_tree: data.clone(),
			replica_tree: data.clone(),
			data_tree: data,
		};
		replica.commit();
		replica
	}

	/// The labels of `node`, from the first layer.
	pub fn column(&self, node: u64) -> Vec<[u8; 32]> {
		self.layers.iter().map(|layer| layer[node as usize]).collect()
	}

	/// Rebuilds the trees and CommR from data and layers, whatever they are.
	///
	/// # Panics
	/// If a data leaf or a label is not below 2²⁵⁴.
	pub fn commit(&mut self) {
		let nodes = 0..self.spec.leaves();
		let columns = nodes
			.clone()
			.map(|node| column_leaf::<H>(&self.column(node)))
			.collect();
		let replica_leaf = |node| {
			let data = self.data_tree.leaf(node).expect("a node of the sector");
			let key = self.layers.last().expect("a sealed type has layers")[node as usize];
			encode(&data, &key).expect("data and labels are canonical")
		};
		let leaves = nodes.map(replica_leaf).collect();
		// A sector has a power of two of leaves.
		self.column_tree = MerkleTree::build::<H>(columns).expect("a power of two");
		self.replica_tree = MerkleTree::build::<H>(leaves).expect("a power of two");
		self.inputs.comm_r = comm_r::<H>(&self.column_tree.root(), &self.replica_tree.root());
	}

	/// Node of activation challenge `j`.
	pub fn challenge(&self, j: u16) -> u64 {
		porep_challenge::<H>(&self.replica_id, &self.inputs.seed, j.into(), self.spec.leaves())
	}

	/// CommC ‖ CommRLast.
	pub fn roots(&self) -> Vec<u8> {
		[self.column_tree.root(), self.replica_tree.root()].concat()
	}

	/// The activation part of challenges `first..first + count`.
	pub fn prove_part(&self, first: u16, count: u16) -> Vec<u8> {
		let mut proof = self.roots();
		for j in first..first + count {
			proof.extend(self.prove_node(self.challenge(j)));
		}
		proof
	}

	/// The openings of one challenged node.
	pub fn prove_node(&self, node: u64) -> Vec<u8> {
		let mut parents = [0; DEGREE];
		self.graph.parents(node as u32, &mut parents);
		let mut proof = self.data_tree.opening(node).expect("a node of the sector");
		proof.extend(self.replica_tree.siblings(node).expect("a node of the sector"));
		proof.extend(self.column_tree.siblings(node).expect("a node of the sector"));
		for parent in parents {
			proof.extend(self.prove_column(parent.into()));
		}
		proof
	}

	/// A column and its siblings.
	pub fn prove_column(&self, node: u64) -> Vec<u8> {
		let mut proof = self.column(node).concat();
		proof.extend(self.column_tree.siblings(node).expect("a node of the sector"));
		proof
	}

	/// The windowed proof that opens `indices`.
	pub fn prove_window(&self, indices: &[u64]) -> Vec<u8> {
		let mut proof = self.roots();
		for index in indices {
			proof.extend(self.replica_tree.opening(*index).expect("a leaf of the sector"));
		}
		proof
	}
}

#[cfg(test)]
pub(crate) mod tests {
	use super::*;
	use crate::Tier;
	use alloc::vec;

	/// A sealed type for tests: 2 KiB, three layers, so that first, middle and last differ.
	pub const SPEC: ProofSpec = ProofSpec {
		tier: Tier::Sealed,
		version: 1,
		sector_size_log2: 11,
		layers: 3,
		activation_challenges: 4,
	};

	/// Payload of a sector: 254-bit leaves that differ.
	pub fn data(spec: &ProofSpec) -> Vec<[u8; 32]> {
		(0..spec.leaves())
			.map(|i| crate::hash::trunc(crate::draw::blake2_256(&[b"data", &i.to_le_bytes()])))
			.collect()
	}

	/// Seals `data` with fixed prover, sector, ticket and seed.
	pub fn seal(spec: ProofSpec, data: Vec<[u8; 32]>) -> Replica {
		let inputs = ActivationInputs {
			prover_id: [1; 32],
			sector: 7,
			ticket: [2; 32],
			seed: [3; 32],
			comm_d: [0; 32],
			comm_r: [0; 32],
		};
		Replica::seal(spec, inputs, MerkleTree::build::<H>(data).unwrap())
	}

	/// Last label of the last layer, published with Filecoin's reference implementation for SDR V1_2:
	/// eleven layers, porep_id 123…, replica_id 9….
	#[test]
	fn labels_are_filecoins() {
		for (leaves, expected) in [
			(
				64,
				[
					0xabb3f38bb70defcf,
					0x777a2e4d7769119f,
					0x3448959d495490bc,
					0x06021188c7a71cb5,
				],
			),
			(
				128,
				[
					0x22ab81cf68c4676d,
					0x7a77a82fc7c9c189,
					0xc6c03d32c1e42d23,
					0x0f777c18cc2c55bdu64,
				],
			),
		] {
			let graph = Graph::new::<H>(leaves, &[123; 32]).unwrap();
			let layers = labels(&graph, 11, &[9; 32]);
			let expected = expected.map(u64::to_le_bytes).concat();
			assert_eq!(
				layers.last().and_then(|layer| layer.last()).unwrap().to_vec(),
				expected,
				"{leaves}"
			);
		}
	}

	#[test]
	fn the_data_comes_back_by_decoding() {
		let replica = seal(SPEC, data(&SPEC));
		let key = replica.layers.last().unwrap();
		let mut decoded = vec![];
		for node in 0..SPEC.leaves() {
			decoded.push(
				crate::sdr::decode(&replica.replica_tree.leaf(node).unwrap(), &key[node as usize]).unwrap(),
			);
		}
		assert_eq!(decoded, data(&SPEC));
	}
}
