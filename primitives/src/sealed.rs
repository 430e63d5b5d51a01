//! Proofs of the sealed tier: openings of the replica's commitments and recomputed labels.
//!
//! Activation, per part of challenges `first..first + count`:
//!
//! | bytes | what |
//! |---|---|
//! | 32 | CommC |
//! | 32 | CommRLast |
//! | per challenge c: | |
//! | 32 | data leaf |
//! | 32 · d | its siblings under CommD |
//! | 32 · d | siblings of the replica leaf under CommRLast |
//! | 32 · d | siblings of c's column under CommC |
//! | 14 × (32 · m + 32 · d) | each parent's column of m labels, then its siblings under CommC |
//!
//! d is the sector's depth, m the type's layers. c's own column and replica leaf are not sent: the
//! verifier recomputes them from the parents' columns. It also derives c, the parents and their
//! places itself. A challenge takes 32 + 14 · 32 · m + 17 · 32 · d bytes: 4,960 + 544 · d at 11
//! layers.
//!
//! Windowed: CommC, CommRLast, then leaf and 32 · d bytes of siblings per challenge, under
//! CommRLast.

use crate::{
	challenge::porep_challenge,
	hash::Sha256,
	hot::{check_openings, is_data_leaf, leads_to, opening_len, openings_len},
	merkle::{root_from_opening, siblings_len},
	proof_type::MAX_LAYERS,
	sdr::{
		column_leaf, comm_r, encode, is_canonical, label, replica_id, Graph, DEGREE, DRG_DEGREE,
		EXPANDER_DEGREE,
	},
	Commitment, ProofError, ProofSpec, SectorNumber, Tier,
};

/// Bytes of CommC and CommRLast at the head of every sealed proof.
pub const ROOTS_LEN: usize = 64;

/// What the chain knows of a sealed sector that is to be activated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActivationInputs {
	/// The provider: [`crate::challenge::prover_id`].
	pub prover_id: [u8; 32],
	/// The sector.
	pub sector: SectorNumber,
	/// Sealing ticket, drawn before the sector was sealed.
	pub ticket: [u8; 32],
	/// Seed of the challenges, drawn after CommR was stored.
	pub seed: [u8; 32],
	/// Commitment to the data.
	pub comm_d: Commitment,
	/// Commitment to the replica.
	pub comm_r: Commitment,
}

impl ActivationInputs {
	/// The replica's identity under `spec`.
	pub fn replica_id<H: Sha256>(&self, spec: &ProofSpec) -> [u8; 32] {
		replica_id::<H>(
			&self.prover_id,
			self.sector,
			&self.ticket,
			&self.comm_d,
			&spec.porep_id(),
		)
	}
}

/// Bytes per challenge of an activation proof: 4,960 + 544 · depth at 11 layers.
pub const fn activation_challenge_len(spec: &ProofSpec) -> usize {
	32 + DEGREE * 32 * spec.layers as usize + (3 + DEGREE) * siblings_len(spec.depth())
}

/// Bytes of an activation part of `count` challenges.
pub const fn activation_part_len(spec: &ProofSpec, count: u16) -> usize {
	ROOTS_LEN + activation_challenge_len(spec) * count as usize
}

/// Most challenges in an activation part of at most `max_bytes`.
pub const fn max_part_challenges(spec: &ProofSpec, max_bytes: usize) -> u16 {
	let count = max_bytes.saturating_sub(ROOTS_LEN) / activation_challenge_len(spec);
	if count > u16::MAX as usize {
		u16::MAX
	} else {
		count as u16
	}
}

/// Bytes of a windowed proof of one sector that opens `count` leaves. Saturates.
pub const fn window_len(spec: &ProofSpec, count: usize) -> usize {
	openings_len(spec.depth(), count).saturating_add(ROOTS_LEN)
}

/// Verifies the part of a sealed sector's activation proof that answers challenges
/// `first..first + count`.
///
/// Follows the constraints of Filecoin's circuit, with binary SHA-256 trees in place of its own and
/// nothing taken from the proof that the chain can derive. Allocates nothing. Which challenges were
/// answered by earlier parts is for the caller to remember.
///
/// # Errors
/// The first flaw met; see [`ProofError`].
pub fn verify_activation_part<H: Sha256>(
	spec: &ProofSpec,
	inputs: &ActivationInputs,
	first: u16,
	count: u16,
	proof: &[u8],
) -> Result<(), ProofError> {
	check_spec(spec)?;
	let end = first.checked_add(count).ok_or(ProofError::ChallengeRange)?;
	if count == 0 || end > spec.activation_challenges {
		return Err(ProofError::ChallengeRange);
	}
	if proof.len() != activation_part_len(spec, count) {
		return Err(ProofError::Length);
	}
	let (roots, challenges) = Roots::read::<H>(&inputs.comm_r, proof)?;
	let graph = Graph::new::<H>(spec.leaves(), &spec.porep_id()).map_err(|_| ProofError::WrongProofType)?;
	let replica_id = inputs.replica_id::<H>(spec);
	for (j, bytes) in (first..end).zip(challenges.chunks_exact(activation_challenge_len(spec))) {
		let node = porep_challenge::<H>(&replica_id, &inputs.seed, j.into(), spec.leaves());
		ChallengeProof::read(spec, bytes)?.verify::<H>(&graph, &replica_id, &inputs.comm_d, &roots, node)?;
	}
	Ok(())
}

/// Verifies a sealed sector's windowed proof: `proof` opens the leaves `indices` of the replica under
/// `comm_r`, in this order.
///
/// # Errors
/// The first flaw met; see [`ProofError`].
pub fn verify_window<H: Sha256>(
	spec: &ProofSpec,
	comm_r: &Commitment,
	indices: &[u64],
	proof: &[u8],
) -> Result<(), ProofError> {
	check_spec(spec)?;
	if proof.len() != window_len(spec, indices.len()) {
		return Err(ProofError::Length);
	}
	let openings = proof.get(ROOTS_LEN..).ok_or(ProofError::Length)?;
	check_openings(
		spec.depth(),
		indices,
		openings,
		is_canonical,
		ProofError::ReplicaLeafNotCanonical,
	)?;
	let (roots, openings) = Roots::read::<H>(comm_r, proof)?;
	for (index, opening) in indices
		.iter()
		.zip(openings.chunks_exact(opening_len(spec.depth())))
	{
		if !leads_to::<H>(roots.comm_r_last, *index, opening) {
			return Err(ProofError::ReplicaPath);
		}
	}
	Ok(())
}

fn check_spec(spec: &ProofSpec) -> Result<(), ProofError> {
	if spec.tier != Tier::Sealed || !spec.is_valid() {
		return Err(ProofError::WrongProofType);
	}
	Ok(())
}

/// The two trees of a replica.
struct Roots<'a> {
	comm_c: &'a Commitment,
	comm_r_last: &'a Commitment,
}

impl<'a> Roots<'a> {
	/// Reads the head of a proof and checks it against CommR. Returns the rest too.
	fn read<H: Sha256>(expected: &Commitment, proof: &'a [u8]) -> Result<(Self, &'a [u8]), ProofError> {
		let (comm_c, rest) = proof.split_first_chunk::<32>().ok_or(ProofError::Length)?;
		let (comm_r_last, rest) = rest.split_first_chunk::<32>().ok_or(ProofError::Length)?;
		if comm_r::<H>(comm_c, comm_r_last) != *expected {
			return Err(ProofError::CommRMismatch);
		}
		Ok((Roots { comm_c, comm_r_last }, rest))
	}
}

/// A parent's labels, one per layer, and the siblings of their column leaf.
#[derive(Clone, Copy, Default)]
struct ParentColumn<'a> {
	labels: &'a [[u8; 32]],
	siblings: &'a [u8],
}

/// One challenge of an activation proof, borrowed from its bytes.
struct ChallengeProof<'a> {
	data_leaf: &'a [u8; 32],
	data_siblings: &'a [u8],
	replica_siblings: &'a [u8],
	column_siblings: &'a [u8],
	parents: [ParentColumn<'a>; DEGREE],
}

impl<'a> ChallengeProof<'a> {
	/// Cuts `bytes`, [`activation_challenge_len`] of them, into their fields.
	fn read(spec: &ProofSpec, bytes: &'a [u8]) -> Result<Self, ProofError> {
		let path = siblings_len(spec.depth());
		let column = usize::from(spec.layers) * 32;
		let mut rest = bytes;
		let mut take = |len: usize| -> Result<&'a [u8], ProofError> {
			let (taken, left) = rest.split_at_checked(len).ok_or(ProofError::Length)?;
			rest = left;
			Ok(taken)
		};
		let data_leaf = take(32)?.first_chunk::<32>().ok_or(ProofError::Length)?;
		let (data_siblings, replica_siblings, column_siblings) = (take(path)?, take(path)?, take(path)?);
		let mut parents = [ParentColumn::default(); DEGREE];
		for parent in &mut parents {
			parent.labels = take(column)?.as_chunks::<32>().0;
			parent.siblings = take(path)?;
		}
		Ok(ChallengeProof {
			data_leaf,
			data_siblings,
			replica_siblings,
			column_siblings,
			parents,
		})
	}

	fn verify<H: Sha256>(
		&self,
		graph: &Graph,
		replica_id: &[u8; 32],
		comm_d: &Commitment,
		roots: &Roots,
		node: u64,
	) -> Result<(), ProofError> {
		if !is_data_leaf(self.data_leaf) {
			return Err(ProofError::DataLeafHighBits);
		}
		if root_from_opening::<H>(self.data_leaf, node, self.data_siblings) != *comm_d {
			return Err(ProofError::DataPath);
		}

		let mut indices = [0u32; DEGREE];
		graph.parents(
			u32::try_from(node).map_err(|_| ProofError::IndexOutOfRange)?,
			&mut indices,
		);
		for (index, parent) in indices.iter().zip(&self.parents) {
			let leaf = column_leaf::<H>(parent.labels);
			if root_from_opening::<H>(&leaf, u64::from(*index), parent.siblings) != *roots.comm_c {
				return Err(ProofError::ParentColumnPath);
			}
		}

		let mut column = [[0u8; 32]; MAX_LAYERS as usize];
		let column = self.recompute_column::<H>(replica_id, node, &mut column);
		if root_from_opening::<H>(&column_leaf::<H>(column), node, self.column_siblings) != *roots.comm_c {
			return Err(ProofError::ColumnPath);
		}

		let key = column.last().ok_or(ProofError::WrongProofType)?;
		// Data and label are below 2^254, so that this cannot fail.
		let replica_leaf = encode(self.data_leaf, key).map_err(|_| ProofError::ReplicaLeafNotCanonical)?;
		if root_from_opening::<H>(&replica_leaf, node, self.replica_siblings) != *roots.comm_r_last {
			return Err(ProofError::ReplicaPath);
		}
		Ok(())
	}

	/// The labels of `node` in every layer, from its parents' columns.
	fn recompute_column<'c, H: Sha256>(
		&self,
		replica_id: &[u8; 32],
		node: u64,
		column: &'c mut [[u8; 32]; MAX_LAYERS as usize],
	) -> &'c [[u8; 32]] {
		let (drg_parents, expander_parents) = self.parents.split_at(DRG_DEGREE);
		// All columns have the type's number of layers, which is within the array.
		let layers = drg_parents[0].labels.len().min(column.len());
		for (layer, own) in column[..layers].iter_mut().enumerate() {
			let mut drg = [[0u8; 32]; DRG_DEGREE];
			for (label, parent) in drg.iter_mut().zip(drg_parents) {
				*label = parent.labels[layer];
			}
			let mut expander = [[0u8; 32]; EXPANDER_DEGREE];
			if let Some(before) = layer.checked_sub(1) {
				for (label, parent) in expander.iter_mut().zip(expander_parents) {
					*label = parent.labels[before];
				}
			}
			*own = label::<H>(replica_id, layer as u32 + 1, node, &drg, &expander);
		}
		&column[..layers]
	}
}

#[cfg(test)]
mod tests;
