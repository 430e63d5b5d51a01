use super::*;
use crate::{
	challenge::{hot_activation_challenge, live_leaf, prover_id, window_challenge},
	hash::{trunc, NativeSha256 as H},
	merkle::MerkleTree,
	proof_type::BUILTIN,
};
use alloc::{vec, vec::Vec};

const DEPTH: u8 = 6;

fn tree() -> MerkleTree {
	let leaf = |i: u8| trunc(crate::draw::blake2_256(&[&[i]]));
	MerkleTree::build::<H>((0..64).map(leaf).collect()).unwrap()
}

fn prove(tree: &MerkleTree, indices: &[u64]) -> Vec<u8> {
	indices
		.iter()
		.flat_map(|index| tree.opening(*index).unwrap())
		.collect()
}

#[test]
fn openings_are_accepted() {
	let tree = tree();
	for indices in [
		&[0u64][..],
		&[63],
		&[5, 5, 17, 0, 63],
		&(0..64).collect::<Vec<_>>(),
	] {
		let proof = prove(&tree, indices);
		assert_eq!(proof.len(), openings_len(DEPTH, indices.len()));
		assert_eq!(verify_openings::<H>(&tree.root(), DEPTH, indices, &proof), Ok(()));
	}
}

#[test]
fn verify_wants_a_hot_type() {
	let tree = tree();
	let proof = prove(&tree, &[9]);
	let (hot, sealed) = (BUILTIN[0].1, BUILTIN[4].1);
	assert_eq!(verify::<H>(&hot, &tree.root(), &[9], &proof), Ok(()));
	assert_eq!(
		verify::<H>(&sealed, &tree.root(), &[9], &proof),
		Err(ProofError::WrongProofType)
	);
	let broken = ProofSpec {
		sector_size_log2: 70,
		..hot
	};
	assert_eq!(
		verify::<H>(&broken, &tree.root(), &[9], &proof),
		Err(ProofError::WrongProofType)
	);
}

#[test]
fn wrong_side_bit() {
	let tree = tree();
	let proof = prove(&tree, &[20]);
	for bit in 0..DEPTH {
		let index = 20 ^ (1 << bit);
		assert_eq!(
			verify_openings::<H>(&tree.root(), DEPTH, &[index], &proof),
			Err(ProofError::DataPath)
		);
	}
}

#[test]
fn depth_minus_one_and_plus_one() {
	let tree = tree();
	let proof = prove(&tree, &[3]);
	for depth in [DEPTH - 1, DEPTH + 1] {
		assert_eq!(
			verify_openings::<H>(&tree.root(), depth, &[3], &proof),
			Err(ProofError::Length)
		);
	}
	// An inner node passed off as a leaf fits a smaller tree with the same root; only the length, which
	// follows from the state's depth, tells them apart.
	let short = [
		&trunc(crate::hash::inner_node::<H>(
			&tree.leaf(2).unwrap(),
			&tree.leaf(3).unwrap(),
		))[..],
		&proof[64..],
	]
	.concat();
	assert_eq!(
		verify_openings::<H>(&tree.root(), DEPTH - 1, &[1], &short),
		Ok(()),
		"a tree of its own"
	);
	assert_eq!(
		verify_openings::<H>(&tree.root(), DEPTH, &[1], &short),
		Err(ProofError::Length)
	);
}

#[test]
fn exact_length() {
	let tree = tree();
	let proof = prove(&tree, &[3, 4]);
	for wrong in [
		&proof[..proof.len() - 1],
		&proof[..opening_len(DEPTH)],
		&[],
		&[&proof[..], &[0]].concat(),
	] {
		assert_eq!(
			verify_openings::<H>(&tree.root(), DEPTH, &[3, 4], wrong),
			Err(ProofError::Length)
		);
	}
}

#[test]
fn a_proof_of_nothing_is_refused() {
	assert_eq!(
		verify_openings::<H>(&tree().root(), DEPTH, &[], &[]),
		Err(ProofError::ChallengeRange)
	);
}

#[test]
fn index_outside_the_tree() {
	let tree = tree();
	let proof = prove(&tree, &[0]);
	for index in [64, 128, u64::MAX] {
		assert_eq!(
			verify_openings::<H>(&tree.root(), DEPTH, &[index], &proof),
			Err(ProofError::IndexOutOfRange)
		);
	}
}

#[test]
fn data_leaf_with_high_bits() {
	for bit in [0x40, 0x80, 0xc0] {
		// Even if the tree really holds such a leaf.
		let mut leaves = vec![[0; 32]; 64];
		leaves[11][31] |= bit;
		let tree = MerkleTree::build::<H>(leaves).unwrap();
		let proof = prove(&tree, &[10, 11]);
		assert_eq!(
			verify_openings::<H>(&tree.root(), DEPTH, &[10, 11], &proof),
			Err(ProofError::DataLeafHighBits)
		);
	}
}

#[test]
fn every_byte_counts() {
	let tree = tree();
	let proof = prove(&tree, &[42]);
	for i in 0..proof.len() {
		let mut changed = proof.clone();
		changed[i] ^= 1;
		assert_eq!(
			verify_openings::<H>(&tree.root(), DEPTH, &[42], &changed),
			Err(ProofError::DataPath),
			"{i}"
		);
	}
}

#[test]
fn answers_in_another_order() {
	let tree = tree();
	let proof = prove(&tree, &[4, 3]);
	assert_eq!(
		verify_openings::<H>(&tree.root(), DEPTH, &[3, 4], &proof),
		Err(ProofError::DataPath)
	);
}

/// A proof for one (sector, provider, period, deadline) does not fit another one, because its leaves
/// are other leaves.
#[test]
fn proof_of_another_sector_provider_period_or_deadline() {
	let tree = tree();
	let (alice, bob) = (prover_id(&[1; 32]), prover_id(&[2; 32]));
	let beacon = [9; 32];
	let leaves = |beacon: &[u8; 32], who: &[u8; 32], sector, period, deadline| -> Vec<u64> {
		(0..12)
			.map(|j| {
				live_leaf(
					[(0, 64)],
					window_challenge(beacon, who, sector, period, deadline, j),
				)
				.unwrap()
			})
			.collect()
	};
	let own = leaves(&beacon, &alice, 1, 5, 2);
	let proof = prove(&tree, &own);
	assert_eq!(verify_openings::<H>(&tree.root(), DEPTH, &own, &proof), Ok(()));
	for other in [
		leaves(&beacon, &alice, 2, 5, 2),
		leaves(&beacon, &bob, 1, 5, 2),
		leaves(&beacon, &alice, 1, 6, 2),
		leaves(&beacon, &alice, 1, 5, 3),
		leaves(&[8; 32], &alice, 1, 5, 2),
	] {
		assert_eq!(
			verify_openings::<H>(&tree.root(), DEPTH, &other, &proof),
			Err(ProofError::DataPath)
		);
	}
}

#[test]
fn activation_of_another_sector_or_provider() {
	let tree = tree();
	let leaves = |who: u8, sector, seed: u8| -> Vec<u64> {
		(0..12)
			.map(|j| {
				live_leaf(
					[(0, 64)],
					hot_activation_challenge(&[seed; 32], &[who; 32], sector, j),
				)
				.unwrap()
			})
			.collect()
	};
	let proof = prove(&tree, &leaves(1, 1, 1));
	for other in [leaves(2, 1, 1), leaves(1, 2, 1), leaves(1, 1, 2)] {
		assert_eq!(
			verify_openings::<H>(&tree.root(), DEPTH, &other, &proof),
			Err(ProofError::DataPath)
		);
	}
}
