//! Benchmarks of the calls and of verification, on forged proofs.

use crate::*;
use alloc::{vec, vec::Vec};
use cairn_pallet_traits::{ActivationInputs, ProofVerifier, WindowInputs};
use cairn_primitives::{
	commitment::ZERO_COMMITMENTS, forged, hash::Sha256, piece::PIECE_MIN_SIZE_LOG2, proof_type::MAX_LAYERS,
	sealed, PieceInfo, ProofSpec, ProofTypeId, Tier,
};
use frame_benchmarking::v2::*;
use frame_system::RawOrigin;

struct HostSha256;

impl Sha256 for HostSha256 {
	fn digest(data: &[u8]) -> [u8; 32] {
		sp_io::hashing::sha2_256(data)
	}
}

/// A type of which one challenge activates a sector.
fn spec(tier: Tier, depth: u32, layers: u32) -> ProofSpec {
	ProofSpec {
		tier,
		version: 1,
		sector_size_log2: depth as u8 + 5,
		layers: layers as u8,
		activation_challenges: 1,
	}
}

fn zeros(size_log2: u8) -> PieceInfo {
	PieceInfo {
		commitment: ZERO_COMMITMENTS[usize::from(size_log2) - 5],
		size_log2,
		payload_size: cairn_primitives::piece::capacity(size_log2),
	}
}

#[benchmarks]
mod benchmarks {
	use super::*;

	#[benchmark]
	fn register_proof_type() {
		let id = ProofTypeId(u16::MAX);
		#[extrinsic_call]
		_(RawOrigin::Root, id, spec(Tier::Hot, 20, 0));
		assert!(ProofTypes::<T>::contains_key(id));
	}

	#[benchmark]
	fn retire_proof_type() {
		let id = ProofTypeId(u16::MAX);
		let spec = spec(Tier::Hot, 20, 0);
		ProofTypes::<T>::insert(
			id,
			ProofType {
				spec,
				accepts_new_sectors: true,
			},
		);
		#[extrinsic_call]
		_(RawOrigin::Root, id);
		assert!(!Pallet::<T>::accepts_new_sectors(id));
	}

	/// Small and large pieces in turn, so that each large one has to be aligned.
	#[benchmark]
	fn comm_d(n: Linear<0, 128>) -> Result<(), BenchmarkError> {
		let pieces: Vec<PieceInfo> = (0..n)
			.map(|i| zeros(if i % 2 == 0 { PIECE_MIN_SIZE_LOG2 } else { 28 }))
			.collect();
		let commitment;
		#[block]
		{
			commitment = Pallet::<T>::comm_d(&pieces, 36)?;
		}
		assert_eq!(commitment, ZERO_COMMITMENTS[31]);
		Ok(())
	}

	/// The hot tier's challenge, among pieces, and its opening.
	#[benchmark]
	fn verify_opening(d: Linear<6, 31>) -> Result<(), BenchmarkError> {
		let spec = spec(Tier::Hot, d, 0);
		let pieces = vec![zeros(PIECE_MIN_SIZE_LOG2); 16];
		let root = ZERO_COMMITMENTS[d as usize];
		let inputs = ActivationInputs {
			prover_id: &[1; 32],
			sector: 1,
			ticket: &[0; 32],
			seed: &[2; 32],
			comm_d: &root,
			comm_r: &root,
			pieces: &pieces,
		};
		let proof = forged::zero_openings(d as u8, 1);
		#[block]
		{
			Pallet::<T>::verify_activation(&spec, &inputs, 0, 1, &proof)?;
		}
		Ok(())
	}

	#[benchmark]
	fn verify_activation_challenge(
		d: Linear<6, 31>,
		m: Linear<1, { MAX_LAYERS as u32 }>,
	) -> Result<(), BenchmarkError> {
		let spec = spec(Tier::Sealed, d, m);
		let mut forged = sealed::ActivationInputs {
			prover_id: [1; 32],
			sector: 1,
			ticket: [2; 32],
			seed: [3; 32],
			comm_d: [0; 32],
			comm_r: [0; 32],
		};
		let proof = forged::sealed_activation::<HostSha256>(&spec, &mut forged, 0, 1);
		let inputs = ActivationInputs {
			prover_id: &forged.prover_id,
			sector: forged.sector,
			ticket: &forged.ticket,
			seed: &forged.seed,
			comm_d: &forged.comm_d,
			comm_r: &forged.comm_r,
			pieces: &[],
		};
		#[block]
		{
			Pallet::<T>::verify_activation(&spec, &inputs, 0, 1, &proof)?;
		}
		Ok(())
	}

	/// For the performance tables: 12 openings of each of 64 hot sectors of 1 GiB.
	#[benchmark(extra)]
	fn windowed_proof_of_64_gib() -> Result<(), BenchmarkError> {
		const SECTORS: usize = 64;
		const OPENINGS: usize = 12;
		let spec = spec(Tier::Hot, 25, 0);
		let leaves: Vec<u64> = (0..OPENINGS as u64).map(|j| j * 2_796_203).collect();
		let root = ZERO_COMMITMENTS[25];
		let inputs = WindowInputs {
			comm_r: &root,
			leaves: &leaves,
		};
		let proof = forged::zero_openings(25, SECTORS * OPENINGS);
		#[block]
		{
			for part in proof.chunks(proof.len() / SECTORS) {
				Pallet::<T>::verify_window(&spec, &inputs, part)?;
			}
		}
		Ok(())
	}

	impl_benchmark_test_suite!(Pallet, crate::tests::new_test_ext(), crate::tests::Test);
}
