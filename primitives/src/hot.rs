//! Proofs of the hot tier: openings of the data commitment.
//!
//! Activation and windowed proofs have one layout. For each challenge, in order:
//!
//! | bytes | what |
//! |---|---|
//! | 32 | leaf |
//! | 32 · d | siblings from the bottom up |
//!
//! d is the sector's depth. Nothing else: a proof of k challenges has exactly 32 · (d + 1) · k bytes.

use crate::{
	hash::Sha256,
	merkle::{root_from_opening, siblings_len},
	Commitment, ProofError, ProofSpec, Tier,
};

/// Bytes of one opening in a tree of `depth`.
pub const fn opening_len(depth: u8) -> usize {
	32 + siblings_len(depth)
}

/// Bytes of a proof that opens `count` leaves of a tree of `depth`. Saturates.
pub const fn openings_len(depth: u8, count: usize) -> usize {
	opening_len(depth).saturating_mul(count)
}

/// Whether `leaf` can be a leaf of Fr32-padded data: below 2²⁵⁴.
pub const fn is_data_leaf(leaf: &[u8; 32]) -> bool {
	leaf[31] & 0xc0 == 0
}

/// Verifies a hot sector's activation part or windowed proof: `proof` opens the leaves `indices` of
/// the sector's `comm_d`, in this order.
///
/// # Errors
/// [`ProofError::WrongProofType`] for a type of the other tier; else as [`verify_openings`].
pub fn verify<H: Sha256>(
	spec: &ProofSpec,
	comm_d: &Commitment,
	indices: &[u64],
	proof: &[u8],
) -> Result<(), ProofError> {
	if spec.tier != Tier::Hot || !spec.is_valid() {
		return Err(ProofError::WrongProofType);
	}
	verify_openings::<H>(comm_d, spec.depth(), indices, proof)
}

/// Verifies that `proof` opens the data leaves `indices` of the tree of `depth` under `root`, in
/// this order. Lengths, indices and leaves are checked before anything is hashed.
///
/// # Errors
/// [`ProofError::ChallengeRange`] if nothing is to be opened, [`ProofError::Length`], [`ProofError::IndexOutOfRange`], [`ProofError::DataLeafHighBits`] or
/// [`ProofError::DataPath`].
pub fn verify_openings<H: Sha256>(
	root: &Commitment,
	depth: u8,
	indices: &[u64],
	proof: &[u8],
) -> Result<(), ProofError> {
	check_openings(depth, indices, proof, is_data_leaf, ProofError::DataLeafHighBits)?;
	for (index, opening) in indices.iter().zip(proof.chunks_exact(opening_len(depth))) {
		if !leads_to::<H>(root, *index, opening) {
			return Err(ProofError::DataPath);
		}
	}
	Ok(())
}

/// Everything about openings that needs no hash: the exact length, indices inside the tree, leaves
/// of the right kind.
pub(crate) fn check_openings(
	depth: u8,
	indices: &[u64],
	proof: &[u8],
	is_leaf: impl Fn(&[u8; 32]) -> bool,
	not_a_leaf: ProofError,
) -> Result<(), ProofError> {
	if indices.is_empty() {
		return Err(ProofError::ChallengeRange);
	}
	if proof.len() != openings_len(depth, indices.len()) {
		return Err(ProofError::Length);
	}
	if indices.iter().any(|index| !is_inside(*index, depth)) {
		return Err(ProofError::IndexOutOfRange);
	}
	for opening in proof.chunks_exact(opening_len(depth)) {
		if !opening.first_chunk::<32>().is_some_and(&is_leaf) {
			return Err(not_a_leaf);
		}
	}
	Ok(())
}

/// Whether `opening`, leaf and siblings, leads to `root` from `index`.
pub(crate) fn leads_to<H: Sha256>(root: &Commitment, index: u64, opening: &[u8]) -> bool {
	opening
		.split_first_chunk::<32>()
		.is_some_and(|(leaf, siblings)| root_from_opening::<H>(leaf, index, siblings) == *root)
}

/// Whether leaf `index` exists in a tree of `depth`.
const fn is_inside(index: u64, depth: u8) -> bool {
	depth >= 64 || index >> depth == 0
}

#[cfg(test)]
mod tests;
