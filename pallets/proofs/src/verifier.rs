//! `ProofVerifier` over `cairn_primitives`, with the SHA-256 host function.

use crate::{Config, Error, Pallet, ProofTypes, WeightInfo};
use alloc::vec::Vec;
use cairn_pallet_traits::{ActivationInputs, ProofVerifier, WindowInputs};
use cairn_primitives::{
	challenge, commitment,
	hash::Sha256,
	hot, piece,
	proof_error::ProofError,
	proof_type::{MAX_LAYERS, MAX_SECTOR_SIZE_LOG2, MIN_SECTOR_SIZE_LOG2},
	sealed, Commitment, PieceInfo, ProofSpec, ProofTypeId, Tier,
};
use frame_support::pallet_prelude::*;

/// SHA-256 through the host function.
struct HostSha256;

impl Sha256 for HostSha256 {
	fn digest(data: &[u8]) -> [u8; 32] {
		sp_io::hashing::sha2_256(data)
	}
}

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
				ensure!(
					count > 0 && end <= spec.activation_challenges,
					Error::<T>::WrongChallenges
				);
				// Before any challenge is derived: the weight follows from the proof's length.
				ensure!(
					proof.len() == hot::openings_len(spec.depth(), count.into()),
					Error::<T>::WrongProofLength
				);
				let offsets = piece::layout(inputs.pieces, spec.sector_size_log2)
					.map_err(|_| Error::<T>::PiecesDoNotFit)?;
				let live = offsets
					.into_iter()
					.zip(inputs.pieces.iter().map(PieceInfo::payload_leaves));
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
			}
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
		<T as Config>::WeightInfo::comm_d(pieces)
	}

	fn activation_weight(spec: &ProofSpec, count: u16) -> Weight {
		let per_challenge = match spec.tier {
			Tier::Hot => <T as Config>::WeightInfo::verify_opening(spec.depth().into()),
			Tier::Sealed => <T as Config>::WeightInfo::verify_activation_challenge(
				spec.depth().into(),
				spec.layers.into(),
			),
		};
		per_challenge.saturating_mul(count.into())
	}

	fn window_weight(spec: &ProofSpec, openings: u32) -> Weight {
		<T as Config>::WeightInfo::verify_opening(spec.depth().into()).saturating_mul(openings.into())
	}

	fn weight_per_proof_bytes(bytes: u32) -> Weight {
		// Weight and length of each kind of proof both grow linearly with depth and layers, so that
		// the weight per byte is highest at a corner of what a type may be.
		let depths = [MIN_SECTOR_SIZE_LOG2, MAX_SECTOR_SIZE_LOG2].map(|size| size - 5);
		let mut highest = Weight::zero();
		for depth in depths {
			let opening = <T as Config>::WeightInfo::verify_opening(depth.into());
			highest = highest.max(times(opening, bytes, hot::opening_len(depth)));
			for layers in [1, MAX_LAYERS] {
				let spec = ProofSpec {
					tier: Tier::Sealed,
					version: 1,
					sector_size_log2: depth + 5,
					layers,
					activation_challenges: 1,
				};
				let challenge =
					<T as Config>::WeightInfo::verify_activation_challenge(depth.into(), layers.into());
				let length = sealed::activation_challenge_len(&spec);
				highest = highest.max(times(challenge, bytes, length));
			}
		}
		highest
	}
}

/// Weight of as many parts of `length` bytes as `bytes` begin.
fn times(part: Weight, bytes: u32, length: usize) -> Weight {
	part.saturating_mul(u64::from(bytes).div_ceil(length.max(1) as u64).max(1))
}

impl<T: Config> Pallet<T> {
	/// Registered types, and whether each takes new sectors.
	pub fn view_proof_types() -> Vec<(ProofTypeId, ProofSpec, bool)> {
		let mut types: Vec<_> = ProofTypes::<T>::iter()
			.map(|(id, entry)| (id, entry.spec, entry.accepts_new_sectors))
			.collect();
		types.sort_unstable_by_key(|(id, ..)| *id);
		types
	}
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
