//! The registry, and verification through the trait that other pallets use.

use crate::*;
use cairn_pallet_traits::{ActivationInputs, ProofVerifier, WindowInputs};
use cairn_primitives::{
	commitment::ZERO_COMMITMENTS, forged, hash::NativeSha256, proof_type::BUILTIN, sealed, PieceInfo,
	ProofSpec, ProofTypeId, Tier,
};
use frame_support::{assert_noop, assert_ok, derive_impl, weights::Weight};
use sp_runtime::{BuildStorage, DispatchError};

#[frame_support::runtime]
mod runtime {
	#[runtime::runtime]
	#[runtime::derive(RuntimeCall, RuntimeEvent, RuntimeError, RuntimeOrigin, RuntimeTask)]
	pub struct Test;

	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type Proofs = crate;
}

type Block = frame_system::mocking::MockBlockU32<Test>;

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = Block;
}

impl Config for Test {
	type WeightInfo = ();
}

const HOT: ProofTypeId = ProofTypeId(0x0011);
const SEALED: ProofTypeId = ProofTypeId(0x0117);

pub fn new_test_ext() -> sp_io::TestExternalities {
	let mut storage = frame_system::GenesisConfig::<Test>::default()
		.build_storage()
		.expect("valid genesis");
	GenesisConfig::<Test> {
		retired: vec![0x001d],
		..Default::default()
	}
	.assimilate_storage(&mut storage)
	.expect("valid genesis");
	let mut externalities = sp_io::TestExternalities::from(storage);
	externalities.execute_with(|| System::set_block_number(1));
	externalities
}

fn run(test: impl FnOnce()) {
	new_test_ext().execute_with(|| {
		test();
		assert_ok!(Proofs::do_try_state());
	});
}

#[test]
fn genesis_registers_the_builtin_types() {
	run(|| {
		let types = Proofs::view_proof_types();
		assert_eq!(types.len(), BUILTIN.len());
		for (id, spec) in BUILTIN {
			assert_eq!(Proofs::spec(id), Some(spec));
			assert_eq!(Proofs::accepts_new_sectors(id), id.0 != 0x001d);
		}
		assert!(types.is_sorted_by_key(|(id, ..)| *id));
		assert_eq!(Proofs::spec(ProofTypeId(9)), None);
		assert!(!Proofs::accepts_new_sectors(ProofTypeId(9)));
	});
}

#[test]
fn governance_registers_and_retires() {
	run(|| {
		let (id, spec) = (
			ProofTypeId(7),
			ProofSpec {
				sector_size_log2: 12,
				..BUILTIN[0].1
			},
		);
		assert_noop!(
			Proofs::register_proof_type(RuntimeOrigin::signed(1), id, spec),
			DispatchError::BadOrigin
		);
		assert_noop!(
			Proofs::retire_proof_type(RuntimeOrigin::signed(1), HOT),
			DispatchError::BadOrigin
		);
		let invalid = ProofSpec {
			activation_challenges: 0,
			..spec
		};
		assert_noop!(
			Proofs::register_proof_type(RuntimeOrigin::root(), id, invalid),
			Error::<Test>::InvalidSpec
		);
		assert_ok!(Proofs::register_proof_type(RuntimeOrigin::root(), id, spec));
		assert_noop!(
			Proofs::register_proof_type(RuntimeOrigin::root(), id, spec),
			Error::<Test>::AlreadyRegistered
		);
		assert!(Proofs::accepts_new_sectors(id));
		assert_ok!(Proofs::retire_proof_type(RuntimeOrigin::root(), id));
		assert!(!Proofs::accepts_new_sectors(id));
		assert_eq!(Proofs::spec(id), Some(spec), "its sectors keep their verifier");
		assert_noop!(
			Proofs::retire_proof_type(RuntimeOrigin::root(), ProofTypeId(8)),
			Error::<Test>::UnknownProofType
		);
	});
}

#[test]
fn hot_activations_are_verified() {
	run(|| {
		let spec = Proofs::spec(HOT).expect("built in");
		let piece = PieceInfo {
			commitment: ZERO_COMMITMENTS[4],
			size_log2: 9,
			payload_size: 508,
		};
		let comm_d = Proofs::comm_d(&[piece; 4], 11).expect("they fit");
		assert_eq!(comm_d, ZERO_COMMITMENTS[6]);
		assert_eq!(
			Proofs::comm_d(&[piece; 5], 11),
			Err(Error::<Test>::PiecesDoNotFit.into())
		);
		let pieces = [piece; 4];
		let inputs = ActivationInputs {
			prover_id: &[1; 32],
			sector: 1,
			ticket: &[0; 32],
			seed: &[2; 32],
			comm_d: &comm_d,
			comm_r: &comm_d,
			pieces: &pieces,
		};
		let proof = forged::zero_openings(6, 12);
		let verify = |inputs: &ActivationInputs, first, count, proof: &[u8]| {
			Proofs::verify_activation(&spec, inputs, first, count, proof)
		};
		assert_ok!(verify(&inputs, 0, 12, &proof));
		let part = proof.len() / 12;
		assert_ok!(verify(&inputs, 10, 2, &proof[..2 * part]));
		for (first, count) in [(0, 0), (0, 13), (12, 1), (11, 2), (u16::MAX, 2)] {
			assert_eq!(
				verify(&inputs, first, count, &proof),
				Err(Error::<Test>::WrongChallenges.into())
			);
		}
		for bad in [&proof[..proof.len() - 1], &[&proof[..], &[0]].concat(), &[]] {
			assert_eq!(
				verify(&inputs, 0, 12, bad),
				Err(Error::<Test>::WrongProofLength.into())
			);
		}
		let mut bad = proof.clone();
		bad[40] ^= 1;
		assert_eq!(
			verify(&inputs, 0, 12, &bad),
			Err(Error::<Test>::WrongDataPath.into())
		);
		let mut bad = proof.clone();
		bad[31] = 0x40;
		assert_eq!(
			verify(&inputs, 0, 12, &bad),
			Err(Error::<Test>::InvalidLeaf.into())
		);
		let empty = ActivationInputs {
			pieces: &[],
			..inputs
		};
		assert_eq!(
			verify(&empty, 0, 12, &proof),
			Err(Error::<Test>::PiecesDoNotFit.into())
		);
	});
}

#[test]
fn sealed_activations_and_windows_are_verified() {
	run(|| {
		let spec = Proofs::spec(SEALED).expect("built in");
		let mut forged = sealed::ActivationInputs {
			prover_id: [1; 32],
			sector: 1,
			ticket: [2; 32],
			seed: [3; 32],
			comm_d: [0; 32],
			comm_r: [0; 32],
		};
		let proof = forged::sealed_activation::<NativeSha256>(&spec, &mut forged, 3, 4);
		let inputs = ActivationInputs {
			prover_id: &forged.prover_id,
			sector: forged.sector,
			ticket: &forged.ticket,
			seed: &forged.seed,
			comm_d: &forged.comm_d,
			comm_r: &forged.comm_r,
			pieces: &[],
		};
		assert_ok!(Proofs::verify_activation(&spec, &inputs, 3, 4, &proof));
		let other = ActivationInputs { sector: 2, ..inputs };
		assert!(Proofs::verify_activation(&spec, &other, 3, 4, &proof).is_err());
		let other = ActivationInputs {
			comm_r: &[9; 32],
			..inputs
		};
		assert_eq!(
			Proofs::verify_activation(&spec, &other, 3, 4, &proof),
			Err(Error::<Test>::ReplicaCommitmentMismatch.into())
		);

		let leaves = [0, 5, spec.leaves() - 1];
		let (comm_r, proof) = forged::sealed_window::<NativeSha256>(&spec, 3);
		assert_eq!(proof.len() as u64, Proofs::window_len(&spec, 3));
		let inputs = WindowInputs {
			comm_r: &comm_r,
			leaves: &leaves,
		};
		assert_ok!(Proofs::verify_window(&spec, &inputs, &proof));
		let outside = WindowInputs {
			leaves: &[0, 5, spec.leaves()],
			..inputs
		};
		assert_eq!(
			Proofs::verify_window(&spec, &outside, &proof),
			Err(Error::<Test>::LeafOutOfRange.into())
		);
	});
}

#[test]
fn the_bound_by_bytes_covers_every_proof() {
	run(|| {
		for (_, spec) in BUILTIN {
			for count in [1, 2, 12, 24] {
				let openings = Proofs::window_len(&spec, count) as u32;
				let bound = Proofs::weight_per_proof_bytes(openings);
				assert!(
					Proofs::window_weight(&spec, count).all_lte(bound),
					"{spec:?} {count}"
				);
				if spec.tier == Tier::Sealed {
					let length = sealed::activation_part_len(&spec, count as u16) as u32;
					let bound = Proofs::weight_per_proof_bytes(length);
					assert!(
						Proofs::activation_weight(&spec, count as u16).all_lte(bound),
						"{spec:?} {count}"
					);
				}
			}
		}
		// The longest windowed proof stays well within a block.
		let longest = Proofs::weight_per_proof_bytes(960 * 1024);
		assert!(
			longest.all_lte(Weight::from_parts(500_000_000_000, u64::MAX)),
			"{longest}"
		);
	});
}
