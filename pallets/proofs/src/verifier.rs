//! `ProofVerifier` over `cairn_primitives`, with the SHA-256 host function.

use crate::{Config, Error, Pallet, ProofTypes};
use alloc::vec::Vec;
use cairn_pallet_traits::{ActivationInputs, ProofVerifier, WindowInputs};
use cairn_primitives::{
	challenge, commitment,
	hash::Sha256,
	hot, piece,
	proof_error::ProofError,
	sealed, Commitment, PieceInfo, ProofSpec, ProofTypeId, Tier,
};
use frame_support::{pallet_prelude::*, weights::constants::WEIGHT_REF_TIME_PER_NANOS};

/// SHA-256 through the host function.
struct HostSha256;

impl Sha256 for HostSha256 {
	fn digest(data: &[u8]) -> [u8; 32] {
		sp_io::hashing::sha2_256(data)
	}
}

/// Upper bound of one hash of an inner node from Wasm, in nanoseconds, host call included.
const NODE_HASH_NANOS: u64 = 900;
/// Upper bound of recomputing one label (a hash of 1.2 KiB) from Wasm, in nanoseconds.
const LABEL_NANOS: u64 = 3_000;
/// Upper bound of deriving one node's parents in Wasm, in nanoseconds.
const PARENTS_NANOS: u64 = 60_000;

impl<T: Config> ProofVerifier for Pallet<T> {
	fn spec(id: ProofTypeId) -> Option<ProofSpec> {
		ProofTypes::<T>::get(id).map(|entry| entry.spec)
	}

	fn accepts_new_sectors(id: ProofTypeId) -> bool {
		ProofTypes::<T>::get(id).is_some_and(|entry| entry.accepts_new_sectors)
	}

	fn comm_d(pieces: &[PieceInfo], sector_size_log2: u8) -> Result<Commitment, DispatchError> {
		commitment::comm_d::<HostSha256>(pieces, sector_size_log2)
			.map_err(|_| Error::<T>::PiecesDoNotFit.into())
	}

	fn verify_activation(
		spec: &ProofSpec,
		inputs: &ActivationInputs,
		first: u16,
		count: u16,
		proof: &[u8],
	) -> DispatchResult {
		match spec.tier {
			Tier::Hot => {
				let end = first.checked_add(count).ok_or(Error::<T>::WrongChallenges)?;
				ensure!(count > 0 && end <= spec.activation_challenges, Error::<T>::WrongChallenges);
				let offsets = piece::layout(inputs.pieces, spec.sector_size_log2)
					.map_err(|_| Error::<T>::PiecesDoNotFit)?;
				let live = offsets.into_iter().zip(inputs.pieces.iter().map(PieceInfo::payload_leaves));
				let leaves = (first..end)
					.map(|j| {
						let value = challenge::hot_activation_challenge(
							inputs.seed,
							inputs.prover_id,
							inputs.sector,
							j.into(),
						);
						challenge::live_leaf(live.clone(), value).ok_or(Error::<T>::PiecesDoNotFit)
					})
					.collect::<Result<Vec<u64>, _>>()?;
				hot::verify::<HostSha256>(spec, inputs.comm_d, &leaves, proof)
			},
			Tier::Sealed => sealed::verify_activation_part::<HostSha256>(
				spec,
				&sealed::ActivationInputs {
					prover_id: *inputs.prover_id,
					sector: inputs.sector,
					ticket: *inputs.ticket,
					seed: *inputs.seed,
					comm_d: *inputs.comm_d,
					comm_r: *inputs.comm_r,
				},
				first,
				count,
				proof,
			),
		}
		.map_err(refusal::<T>)
	}

	fn window_len(spec: &ProofSpec, openings: u32) -> u64 {
		let count = openings as usize;
		let length = match spec.tier {
			Tier::Hot => hot::openings_len(spec.depth(), count),
			Tier::Sealed => sealed::window_len(spec, count),
		};
		length as u64
	}

	fn verify_window(spec: &ProofSpec, inputs: &WindowInputs, proof: &[u8]) -> DispatchResult {
		match spec.tier {
			Tier::Hot => hot::verify::<HostSha256>(spec, inputs.comm_r, inputs.leaves, proof),
			Tier::Sealed => sealed::verify_window::<HostSha256>(spec, inputs.comm_r, inputs.leaves, proof),
		}
		.map_err(refusal::<T>)
	}

	fn comm_d_weight(pieces: u32) -> Weight {
		// Joining pieces takes at most one hash per height between neighbours.
		nanos(NODE_HASH_NANOS.saturating_mul(u64::from(pieces).saturating_add(1)).saturating_mul(32))
	}

	fn activation_weight(spec: &ProofSpec, count: u16) -> Weight {
		let hashes = u64::from(spec.depth()).saturating_mul(17).saturating_add(20);
		let per_challenge = match spec.tier {
			Tier::Hot => NODE_HASH_NANOS.saturating_mul(u64::from(spec.depth()).saturating_add(2)),
			Tier::Sealed => NODE_HASH_NANOS
				.saturating_mul(hashes)
				.saturating_add(LABEL_NANOS.saturating_mul(spec.layers.into()))
				.saturating_add(PARENTS_NANOS),
		};
		nanos(per_challenge.saturating_mul(count.into()))
	}

	fn window_weight(spec: &ProofSpec, openings: u32) -> Weight {
		nanos(
			NODE_HASH_NANOS
				.saturating_mul(u64::from(spec.depth()).saturating_add(2))
				.saturating_mul(openings.into()),
		)
	}

	fn weight_per_proof_bytes(bytes: u32) -> Weight {
		// Every 32 bytes of a proof are a sibling that costs one hash. A challenge of the sealed tier
		// has at least 17 paths of 6 siblings beside its labels and parents.
		let siblings = u64::from(bytes / 32).saturating_add(1);
		let challenges = siblings / 102 + 1;
		let labels = LABEL_NANOS
			.saturating_mul(cairn_primitives::proof_type::MAX_LAYERS.into())
			.saturating_add(PARENTS_NANOS);
		nanos(
			NODE_HASH_NANOS
				.saturating_mul(siblings)
				.saturating_add(labels.saturating_mul(challenges)),
		)
	}
}

impl<T: Config> Pallet<T> {
	/// Registered types, and whether each takes new sectors.
	pub fn view_proof_types() -> Vec<(ProofTypeId, ProofSpec, bool)> {
		let mut types: Vec<_> =
			ProofTypes::<T>::iter().map(|(id, entry)| (id, entry.spec, entry.accepts_new_sectors)).collect();
		types.sort_unstable_by_key(|(id, ..)| *id);
		types
	}
}

fn nanos(nanos: u64) -> Weight {
	Weight::from_parts(nanos.saturating_mul(WEIGHT_REF_TIME_PER_NANOS), 0)
}

fn refusal<T: Config>(error: ProofError) -> DispatchError {
	match error {
		ProofError::WrongProofType => Error::<T>::WrongProofType,
		ProofError::ChallengeRange => Error::<T>::WrongChallenges,
		ProofError::Length => Error::<T>::WrongProofLength,
		ProofError::IndexOutOfRange => Error::<T>::LeafOutOfRange,
		ProofError::DataLeafHighBits | ProofError::ReplicaLeafNotCanonical => Error::<T>::InvalidLeaf,
		ProofError::CommRMismatch => Error::<T>::ReplicaCommitmentMismatch,
		ProofError::DataPath => Error::<T>::WrongDataPath,
		ProofError::ParentColumnPath | ProofError::ColumnPath => Error::<T>::WrongColumnPath,
		ProofError::ReplicaPath => Error::<T>::WrongReplicaPath,
	}
	.into()
}
