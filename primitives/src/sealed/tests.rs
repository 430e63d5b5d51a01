use super::*;
use crate::{
	challenge::{replica_leaf, window_challenge},
	hash::{trunc, NativeSha256 as H},
	merkle::MerkleTree,
	proof_type::BUILTIN,
	sdr::{
		reference::{
			tests::{data, seal, SPEC},
			Replica,
		},
		MODULUS,
	},
};
use alloc::{vec, vec::Vec};

const D: usize = 6;
const PATH: usize = D * 32;
const COLUMN: usize = 3 * 32;
/// Offsets of the first challenge's fields in a part.
const DATA_LEAF: usize = ROOTS_LEN;
const DATA_PATH: usize = DATA_LEAF + 32;
const REPLICA_PATH: usize = DATA_PATH + PATH;
const COLUMN_PATH: usize = REPLICA_PATH + PATH;
const PARENTS: usize = COLUMN_PATH + PATH;
const PARENT: usize = COLUMN + PATH;

fn sealed() -> Replica {
	seal(SPEC, data(&SPEC))
}

fn verify(replica: &Replica, first: u16, count: u16, proof: &[u8]) -> Result<(), ProofError> {
	verify_activation_part::<H>(&replica.spec, &replica.inputs, first, count, proof)
}

/// A replica whose first challenged node lies far enough from the start to have parents that
/// differ.
fn sealed_with_distinct_parents() -> (Replica, u64, [u32; DEGREE]) {
	let mut replica = sealed();
	loop {
		let node = replica.challenge(0);
		let mut parents = [0; DEGREE];
		replica.graph.parents(node as u32, &mut parents);
		let mut sorted = parents.to_vec();
		sorted.push(node as u32);
		sorted.sort_unstable();
		sorted.dedup();
		if node > 20 && sorted.len() >= 13 && parents[0] != parents[1] && parents[6] != parents[7] {
			return (replica, node, parents);
		}
		replica.inputs.seed[0] += 1;
	}
}

#[test]
fn sizes() {
	for (size_log2, bytes) in [(30, 18_560), (35, 21_280)] {
		let spec = ProofSpec {
			sector_size_log2: size_log2,
			layers: 11,
			..SPEC
		};
		assert_eq!(
			activation_challenge_len(&spec),
			4_960 + 544 * usize::from(spec.depth())
		);
		assert_eq!(activation_challenge_len(&spec), bytes);
		assert_eq!(activation_part_len(&spec, 3), 64 + 3 * bytes);
	}
	assert_eq!(max_part_challenges(&BUILTIN[9].1, 512 * 1024), 24);
	assert_eq!(max_part_challenges(&SPEC, 10), 0);
	assert_eq!(window_len(&SPEC, 12), 64 + 12 * 32 * 7);
	assert_eq!(activation_challenge_len(&SPEC), 32 + 14 * COLUMN + 17 * PATH);
}

#[test]
fn honest_proofs_are_accepted_in_parts_of_any_size() {
	let replica = sealed();
	for first in 0..4 {
		for count in 1..=4 - first {
			let proof = replica.prove_part(first, count);
			assert_eq!(proof.len(), activation_part_len(&SPEC, count));
			assert_eq!(verify(&replica, first, count, &proof), Ok(()));
		}
	}
}

#[test]
fn every_node_can_be_proven() {
	let replica = sealed();
	let head = replica.roots();
	let (roots, _) = Roots::read::<H>(&replica.inputs.comm_r, &head).unwrap();
	for node in 1..SPEC.leaves() {
		let bytes = replica.prove_node(node);
		let proof = ChallengeProof::read(&SPEC, &bytes).unwrap();
		let result = proof.verify::<H>(
			&replica.graph,
			&replica.replica_id,
			&replica.inputs.comm_d,
			&roots,
			node,
		);
		assert_eq!(result, Ok(()), "{node}");
	}
}

#[test]
fn one_and_eleven_layers() {
	for layers in [1, 2, 11, 16] {
		let replica = seal(ProofSpec { layers, ..SPEC }, data(&SPEC));
		assert_eq!(verify(&replica, 0, 4, &replica.prove_part(0, 4)), Ok(()));
	}
}

/// Commitments and a proof of a fixed sector, so that no change of format goes unnoticed.
#[test]
fn golden_vector() {
	let replica = sealed();
	assert_eq!(
		hex::encode(replica.inputs.comm_d),
		"d046994b1404370f6f6262611709323d20d6ef37f852c77e909f1733688ee205"
	);
	assert_eq!(
		hex::encode(replica.replica_id),
		"a0016e70623f4349f371558d6ece761784207474112861155d08f11467170128"
	);
	assert_eq!(
		hex::encode(replica.inputs.comm_r),
		"b5a0202984e47cedf0f3c0e505f5bb701ed10ba11276e9896829f86c905f3126"
	);
	assert_eq!(
		(0..4).map(|j| replica.challenge(j)).collect::<Vec<_>>(),
		[29, 48, 4, 8]
	);
	let proof = replica.prove_part(0, 4);
	assert_eq!(
		hex::encode(<H as Sha256>::digest(&proof)),
		"b98a77d789550f98e9c373e88142c7fd0033f087c3f9e8e04d939f3eb6c864dd"
	);
}

#[test]
fn wrong_type_range_and_length() {
	let replica = sealed();
	let proof = replica.prove_part(0, 2);
	let check = |spec, first, count, proof: &[u8]| {
		verify_activation_part::<H>(&spec, &replica.inputs, first, count, proof)
	};
	assert_eq!(check(BUILTIN[0].1, 0, 2, &proof), Err(ProofError::WrongProofType));
	assert_eq!(
		check(ProofSpec { layers: 17, ..SPEC }, 0, 2, &proof),
		Err(ProofError::WrongProofType)
	);
	assert_eq!(
		check(
			ProofSpec {
				sector_size_log2: 5,
				..SPEC
			},
			0,
			2,
			&proof
		),
		Err(ProofError::WrongProofType)
	);
	assert_eq!(
		check(SPEC, 0, 0, &replica.roots()),
		Err(ProofError::ChallengeRange)
	);
	assert_eq!(check(SPEC, 3, 2, &proof), Err(ProofError::ChallengeRange));
	assert_eq!(check(SPEC, u16::MAX, 2, &proof), Err(ProofError::ChallengeRange));
	assert_eq!(check(SPEC, 0, 1, &proof), Err(ProofError::Length));
	assert_eq!(check(SPEC, 0, 3, &proof), Err(ProofError::Length));
	assert_eq!(
		check(SPEC, 0, 2, &proof[..proof.len() - 1]),
		Err(ProofError::Length)
	);
	assert_eq!(
		check(SPEC, 0, 2, &[&proof[..], &[0]].concat()),
		Err(ProofError::Length)
	);
	assert_eq!(check(SPEC, 0, 2, &[]), Err(ProofError::Length));
}

/// The right answers to other challenges.
#[test]
fn another_part() {
	let replica = sealed();
	assert_ne!(replica.challenge(0), replica.challenge(2));
	assert_eq!(
		verify(&replica, 0, 1, &replica.prove_part(2, 1)),
		Err(ProofError::DataPath)
	);
}

#[test]
fn every_byte_counts() {
	let replica = sealed();
	let proof = replica.prove_part(1, 1);
	for i in 0..proof.len() {
		let mut changed = proof.clone();
		changed[i] ^= 1;
		assert!(verify(&replica, 1, 1, &changed).is_err(), "byte {i}");
	}
}

#[test]
fn data_leaf_with_high_bits() {
	let replica = sealed();
	let mut proof = replica.prove_part(0, 1);
	proof[DATA_LEAF + 31] |= 0x40;
	assert_eq!(verify(&replica, 0, 1, &proof), Err(ProofError::DataLeafHighBits));

	// Even where CommD holds the leaf, so that its path is right.
	let mut leaves = data(&SPEC);
	let node = replica.challenge(0);
	leaves[node as usize][31] |= 0x80;
	let mut cheat = replica.clone();
	cheat.data_tree = MerkleTree::build::<H>(leaves).unwrap();
	let mut proof = replica.prove_part(0, 1);
	proof[DATA_LEAF..REPLICA_PATH].copy_from_slice(&cheat.data_tree.opening(node).unwrap());
	assert_eq!(verify(&replica, 0, 1, &proof), Err(ProofError::DataLeafHighBits));
}

/// The data's leaf, path and replica are those of another sector's data.
#[test]
fn other_data() {
	let replica = sealed();
	let mut other = replica.clone();
	other.data_tree = MerkleTree::build::<H>(vec![[0; 32]; 64]).unwrap();
	other.commit();
	// The stored CommD stays; the proof's CommR is the stored one.
	let inputs = ActivationInputs {
		comm_r: other.inputs.comm_r,
		..replica.inputs
	};
	let proof = other.prove_part(0, 1);
	assert_eq!(
		verify_activation_part::<H>(&SPEC, &inputs, 0, 1, &proof),
		Err(ProofError::DataPath)
	);
}

/// Siblings of the neighbour: the path fits with the side of the lowest or a higher level changed.
#[test]
fn wrong_side_bit() {
	let replica = sealed();
	let node = replica.challenge(0);
	for bit in 0..D {
		let mirrored = node ^ (1 << bit);
		let honest = replica.prove_part(0, 1);
		for (field, tree, error) in [
			(DATA_PATH, &replica.data_tree, ProofError::DataPath),
			(REPLICA_PATH, &replica.replica_tree, ProofError::ReplicaPath),
			(COLUMN_PATH, &replica.column_tree, ProofError::ColumnPath),
		] {
			let mut proof = honest.clone();
			proof[field..field + PATH].copy_from_slice(&tree.siblings(mirrored).unwrap());
			assert_eq!(verify(&replica, 0, 1, &proof), Err(error), "bit {bit}");
		}
	}
	// A parent's opening is taken at the parent's place, not where it would fit.
	let mut parents = [0; DEGREE];
	replica.graph.parents(node as u32, &mut parents);
	let mut proof = replica.prove_part(0, 1);
	proof[PARENTS..PARENTS + PARENT].copy_from_slice(&replica.prove_column(u64::from(parents[0]) ^ 1));
	assert_eq!(verify(&replica, 0, 1, &proof), Err(ProofError::ParentColumnPath));
}

#[test]
fn depth_minus_one_and_plus_one() {
	let replica = sealed();
	let proof = replica.prove_part(0, 1);
	for sector_size_log2 in [12, 13] {
		let spec = ProofSpec {
			sector_size_log2,
			..SPEC
		};
		let result = verify_activation_part::<H>(&spec, &replica.inputs, 0, 1, &proof);
		assert_eq!(result, Err(ProofError::Length));
	}
	// A proof for a tree twice as high whose left half is the sector's: its length does not fit.
	let larger = seal(
		ProofSpec {
			sector_size_log2: 12,
			..SPEC
		},
		[data(&SPEC), data(&SPEC)].concat(),
	);
	assert_eq!(
		verify(&replica, 0, 1, &larger.prove_part(0, 1)),
		Err(ProofError::Length)
	);
	assert_eq!(verify(&larger, 0, 1, &proof), Err(ProofError::Length));
	// The smallest sector is the smallest type.
	let smaller = ProofSpec {
		sector_size_log2: 10,
		..SPEC
	};
	let result = verify_activation_part::<H>(&smaller, &replica.inputs, 0, 1, &proof);
	assert_eq!(result, Err(ProofError::WrongProofType));
}

#[test]
fn swapped_parents() {
	let (replica, _, _) = sealed_with_distinct_parents();
	let honest = replica.prove_part(0, 1);
	assert_eq!(verify(&replica, 0, 1, &honest), Ok(()));
	for (a, b) in [(0, 1), (6, 7), (0, 6)] {
		let mut proof = honest.clone();
		let (at_a, at_b) = (PARENTS + a * PARENT, PARENTS + b * PARENT);
		proof[at_a..at_a + PARENT].copy_from_slice(&honest[at_b..at_b + PARENT]);
		proof[at_b..at_b + PARENT].copy_from_slice(&honest[at_a..at_a + PARENT]);
		assert_eq!(
			verify(&replica, 0, 1, &proof),
			Err(ProofError::ParentColumnPath),
			"{a} {b}"
		);
	}
}

/// A real column of the same sector, but not the parent's.
#[test]
fn foreign_column() {
	let (replica, node, parents) = sealed_with_distinct_parents();
	let honest = replica.prove_part(0, 1);
	for (i, parent) in parents.iter().enumerate() {
		let foreign = (0..SPEC.leaves())
			.find(|n| *n != u64::from(*parent) && *n != node)
			.unwrap();
		let mut proof = honest.clone();
		let at = PARENTS + i * PARENT;
		proof[at..at + PARENT].copy_from_slice(&replica.prove_column(foreign));
		assert_eq!(
			verify(&replica, 0, 1, &proof),
			Err(ProofError::ParentColumnPath),
			"{i}"
		);
	}
}

/// Columns whose labels moved by a layer, in the parents and in what was committed.
#[test]
fn shifted_layer() {
	let replica = sealed();
	// Within a parent's column: the leaf no longer fits.
	let mut proof = replica.prove_part(0, 1);
	proof[PARENTS..PARENTS + COLUMN].rotate_left(32);
	assert_eq!(verify(&replica, 0, 1, &proof), Err(ProofError::ParentColumnPath));
	// Committed that way from the start: the recomputed labels are others.
	let mut cheat = replica.clone();
	cheat.layers.rotate_left(1);
	cheat.commit();
	assert_eq!(
		verify(&cheat, 0, 1, &cheat.prove_part(0, 1)),
		Err(ProofError::ColumnPath)
	);
	// Skipping a layer by repeating the one before.
	let mut cheat = replica;
	cheat.layers[1] = cheat.layers[0].clone();
	cheat.commit();
	assert_eq!(
		verify(&cheat, 0, 1, &cheat.prove_part(0, 1)),
		Err(ProofError::ColumnPath)
	);
}

/// The challenged node's own label is wrong, and everything that depends on it was committed anew.
#[test]
fn own_label_altered_with_its_path_recomputed() {
	let (replica, node, _) = sealed_with_distinct_parents();
	for layer in 0..3 {
		let mut cheat = replica.clone();
		cheat.layers[layer][node as usize][0] ^= 1;
		cheat.commit();
		assert_ne!(cheat.inputs.comm_r, replica.inputs.comm_r);
		assert_eq!(
			verify(&cheat, 0, 1, &cheat.prove_part(0, 1)),
			Err(ProofError::ColumnPath),
			"{layer}"
		);
	}
}

/// The column is honest, the replica leaf is not what data and key make.
#[test]
fn replica_leaf_altered_with_its_path_recomputed() {
	let replica = sealed();
	let node = replica.challenge(0);
	let mut leaves: Vec<_> = (0..64).map(|i| replica.replica_tree.leaf(i).unwrap()).collect();
	leaves[node as usize] = replica.data_tree.leaf(node).unwrap();
	let mut cheat = replica.clone();
	cheat.replica_tree = MerkleTree::build::<H>(leaves).unwrap();
	cheat.inputs.comm_r = comm_r::<H>(&cheat.column_tree.root(), &cheat.replica_tree.root());
	assert_eq!(
		verify(&cheat, 0, 1, &cheat.prove_part(0, 1)),
		Err(ProofError::ReplicaPath)
	);
}

/// The leaf (data + key) + r is the same field element, but not the committed bytes' canonical form.
#[test]
fn leaf_plus_r() {
	let add_r = |leaf: &mut [u8; 32]| {
		let mut carry = 0u128;
		for (bytes, limb) in leaf.as_chunks_mut::<8>().0.iter_mut().zip(MODULUS) {
			carry += u128::from(u64::from_le_bytes(*bytes)) + u128::from(limb);
			*bytes = (carry as u64).to_le_bytes();
			carry >>= 64;
		}
		assert_eq!(carry, 0);
	};
	let replica = sealed();
	let node = replica.challenge(0);
	let mut leaves: Vec<_> = (0..64).map(|i| replica.replica_tree.leaf(i).unwrap()).collect();
	add_r(&mut leaves[node as usize]);
	let mut cheat = replica.clone();
	cheat.replica_tree = MerkleTree::build::<H>(leaves).unwrap();
	cheat.inputs.comm_r = comm_r::<H>(&cheat.column_tree.root(), &cheat.replica_tree.root());
	assert_eq!(
		verify(&cheat, 0, 1, &cheat.prove_part(0, 1)),
		Err(ProofError::ReplicaPath)
	);
	let window = cheat.prove_window(&[node]);
	assert_eq!(
		verify_window::<H>(&SPEC, &cheat.inputs.comm_r, &[node], &window),
		Err(ProofError::ReplicaLeafNotCanonical)
	);
}

/// Roots of two replicas cannot be combined, neither within a proof nor between parts.
#[test]
fn mixed_comm_c() {
	let replica = sealed();
	let mut other = replica.clone();
	other.layers[0][5][0] ^= 1;
	other.commit();
	let mut proof = replica.prove_part(0, 1);
	proof[..32].copy_from_slice(&other.column_tree.root());
	assert_eq!(verify(&replica, 0, 1, &proof), Err(ProofError::CommRMismatch));
	assert_eq!(
		verify(&replica, 0, 1, &other.prove_part(0, 1)),
		Err(ProofError::CommRMismatch)
	);
	let mut proof = replica.prove_window(&[1]);
	proof[..32].copy_from_slice(&other.column_tree.root());
	assert_eq!(
		verify_window::<H>(&SPEC, &replica.inputs.comm_r, &[1], &proof),
		Err(ProofError::CommRMismatch)
	);
	// The two roots in the other order.
	let mut proof = replica.prove_part(0, 1);
	proof[..64].rotate_left(32);
	assert_eq!(verify(&replica, 0, 1, &proof), Err(ProofError::CommRMismatch));
}

/// A replica made for another sector, provider, ticket or type shows nothing for this one.
#[test]
fn proof_of_another_sector_or_provider() {
	let replica = sealed();
	let proof = replica.prove_part(0, 4);
	let good = replica.inputs;
	for inputs in [
		ActivationInputs { sector: 8, ..good },
		ActivationInputs {
			prover_id: [9; 32],
			..good
		},
		ActivationInputs {
			ticket: [9; 32],
			..good
		},
		ActivationInputs {
			seed: [9; 32],
			..good
		},
	] {
		assert!(verify_activation_part::<H>(&SPEC, &inputs, 0, 4, &proof).is_err());
		// Even with answers to the challenges that the other identity draws: the labels are others.
		let mut cheat = replica.clone();
		cheat.inputs = inputs;
		cheat.replica_id = inputs.replica_id::<H>(&SPEC);
		let expected = if inputs.seed == good.seed {
			Err(ProofError::ColumnPath)
		} else {
			Ok(())
		};
		assert_eq!(verify(&cheat, 0, 4, &cheat.prove_part(0, 4)), expected);
	}
	let other_version = ProofSpec { version: 2, ..SPEC };
	assert!(verify_activation_part::<H>(&other_version, &good, 0, 4, &proof).is_err());
}

#[test]
fn window_proofs() {
	let replica = sealed();
	let root = replica.inputs.comm_r;
	let indices = [0, 63, 17, 17];
	let proof = replica.prove_window(&indices);
	assert_eq!(proof.len(), window_len(&SPEC, 4));
	assert_eq!(verify_window::<H>(&SPEC, &root, &indices, &proof), Ok(()));

	for i in 0..proof.len() {
		let mut changed = proof.clone();
		changed[i] ^= 1;
		assert!(
			verify_window::<H>(&SPEC, &root, &indices, &changed).is_err(),
			"byte {i}"
		);
	}
	for wrong in [
		&proof[..proof.len() - 1],
		&proof[..64],
		&proof[..10],
		&[],
		&[&proof[..], &[0]].concat(),
	] {
		assert_eq!(
			verify_window::<H>(&SPEC, &root, &indices, wrong),
			Err(ProofError::Length)
		);
	}
	assert_eq!(
		verify_window::<H>(&SPEC, &root, &[0, 64, 1, 1], &proof),
		Err(ProofError::IndexOutOfRange)
	);
	assert_eq!(
		verify_window::<H>(&SPEC, &root, &[0, 62, 17, 17], &proof),
		Err(ProofError::ReplicaPath)
	);
	assert_eq!(
		verify_window::<H>(&SPEC, &root, &[], &replica.roots()),
		Err(ProofError::ChallengeRange),
		"a proof of nothing"
	);
	assert_eq!(
		verify_window::<H>(&BUILTIN[0].1, &root, &indices, &proof),
		Err(ProofError::WrongProofType)
	);
	let larger = ProofSpec {
		sector_size_log2: 12,
		..SPEC
	};
	assert_eq!(
		verify_window::<H>(&larger, &root, &indices, &proof),
		Err(ProofError::Length)
	);
}

#[test]
fn window_proof_of_another_sector_provider_period_or_deadline() {
	let replica = sealed();
	let leaves = |who: u8, sector, period, deadline| -> Vec<u64> {
		(0..12)
			.map(|j| {
				replica_leaf(
					window_challenge(&[4; 32], &[who; 32], sector, period, deadline, j),
					64,
				)
			})
			.collect()
	};
	let own = leaves(1, 7, 3, 2);
	let proof = replica.prove_window(&own);
	let check = |indices: &[u64], root: &Commitment| verify_window::<H>(&SPEC, root, indices, &proof);
	assert_eq!(check(&own, &replica.inputs.comm_r), Ok(()));
	for other in [
		leaves(2, 7, 3, 2),
		leaves(1, 8, 3, 2),
		leaves(1, 7, 4, 2),
		leaves(1, 7, 3, 1),
	] {
		assert_eq!(
			check(&other, &replica.inputs.comm_r),
			Err(ProofError::ReplicaPath)
		);
	}
	assert_eq!(check(&own, &trunc([8; 32])), Err(ProofError::CommRMismatch));
}

/// Random bytes of the right length neither pass nor panic.
#[test]
fn noise() {
	use rand_chacha::{
		rand_core::{RngCore, SeedableRng},
		ChaCha8Rng,
	};
	let replica = sealed();
	for seed in 0..50 {
		let mut rng = ChaCha8Rng::seed_from_u64(seed);
		let mut proof = replica.prove_part(0, 1);
		let keep = if seed % 2 == 0 { 0 } else { ROOTS_LEN };
		rng.fill_bytes(&mut proof[keep..]);
		assert!(verify(&replica, 0, 1, &proof).is_err(), "seed {seed}");
		let mut window = replica.prove_window(&[1, 2]);
		rng.fill_bytes(&mut window[keep..]);
		assert!(
			verify_window::<H>(&SPEC, &replica.inputs.comm_r, &[1, 2], &window).is_err(),
			"seed {seed}"
		);
	}
}
