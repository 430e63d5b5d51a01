//! Proofs of both tiers with forged bytes of any length.
//!
//! The honest proof of a sector whose trees are known is the only one that may be accepted: another one
//! would be a collision of SHA-256. So a target changes the honest proof, and the verdict must follow.

use crate::{
	input::{edited, Input},
	Seed,
};
use cairn_primitives::{
	commitment::ZERO_COMMITMENTS,
	forged,
	hash::NativeSha256,
	hot,
	proof_type::BUILTIN,
	sealed::{self, ActivationInputs},
	Commitment, ProofError, ProofSpec, Tier,
};
use std::sync::OnceLock;

/// A registered type of a tier, or one with parameters that nobody registers.
fn spec(input: &mut Input, tier: Tier) -> ProofSpec {
	let registered: Vec<ProofSpec> = BUILTIN
		.iter()
		.map(|(_, spec)| *spec)
		.filter(|spec| spec.tier == tier)
		.collect();
	match input.below(registered.len() + 1) {
		chosen if chosen < registered.len() => registered[chosen],
		_ => ProofSpec {
			tier: if input.byte() & 1 == 0 {
				Tier::Hot
			} else {
				Tier::Sealed
			},
			version: input.byte(),
			sector_size_log2: input.byte(),
			layers: input.byte(),
			activation_challenges: input.u16(),
		},
	}
}

/// Up to twelve leaves, most of them inside a tree of `depth`.
fn leaves(input: &mut Input, depth: u8) -> Vec<u64> {
	(0..input.below(13))
		.map(|_| {
			let leaf = u64::from(input.u32());
			let inside = leaf & ((1 << depth) - 1);
			if input.byte() == 0xff {
				leaf << 4
			} else {
				inside
			}
		})
		.collect()
}

/// The rest of the input as the proof itself, or as changes of the honest one.
fn proof(input: Input, honest: &[u8]) -> Vec<u8> {
	let mut input = input;
	if input.byte() == 0xff {
		input.rest().to_vec()
	} else {
		edited(honest, input)
	}
}

/// A hot sector of zeros: openings of CommD.
pub fn hot_proof(data: &[u8]) {
	let mut input = Input::new(data);
	let spec = spec(&mut input, Tier::Hot);
	let is_hot = spec.is_valid() && spec.tier == Tier::Hot;
	let depth = if spec.is_valid() { spec.depth() } else { 6 };
	let leaves = leaves(&mut input, depth);
	let honest = forged::zero_openings(depth, leaves.len());
	let proof = proof(input, &honest);
	let comm_d = ZERO_COMMITMENTS[usize::from(depth)];
	let outcome = hot::verify::<NativeSha256>(&spec, &comm_d, &leaves, &proof);
	let inside = leaves.iter().all(|leaf| leaf >> depth == 0);
	let expected = is_hot && !leaves.is_empty() && inside && proof == honest;
	assert_eq!(outcome.is_ok(), expected, "{outcome:?}");
	if !is_hot {
		assert_eq!(outcome, Err(ProofError::WrongProofType));
	} else if !leaves.is_empty() && proof.len() != honest.len() {
		assert_eq!(outcome, Err(ProofError::Length));
	}
}

/// A sealed sector's windowed proof: openings of a replica of zeros.
pub fn window_proof(data: &[u8]) {
	let mut input = Input::new(data);
	let spec = spec(&mut input, Tier::Sealed);
	let is_sealed = spec.is_valid() && spec.tier == Tier::Sealed;
	let known = if spec.is_valid() { spec } else { BUILTIN[4].1 };
	let leaves = leaves(&mut input, known.depth());
	let (comm_r, honest) = forged::sealed_window::<NativeSha256>(&known, leaves.len());
	let proof = proof(input, &honest);
	let outcome = sealed::verify_window::<NativeSha256>(&spec, &comm_r, &leaves, &proof);
	let inside = leaves.iter().all(|leaf| leaf >> known.depth() == 0);
	let expected = is_sealed && !leaves.is_empty() && inside && proof == honest;
	assert_eq!(outcome.is_ok(), expected, "{outcome:?}");
	if !is_sealed {
		assert_eq!(outcome, Err(ProofError::WrongProofType));
	} else if proof.len() != honest.len() {
		assert_eq!(outcome, Err(ProofError::Length));
	}
}

/// The honest activation of one sector: all that the chain knows, and the proof's parts.
struct Activation {
	spec: ProofSpec,
	inputs: ActivationInputs,
	proof: Vec<u8>,
}

impl Activation {
	/// The sector of 2 KiB with two layers and two challenges.
	fn known() -> &'static Activation {
		static KNOWN: OnceLock<Activation> = OnceLock::new();
		KNOWN.get_or_init(|| {
			let spec = BUILTIN[4].1;
			let mut inputs = ActivationInputs {
				prover_id: [1; 32],
				sector: 1,
				ticket: [2; 32],
				seed: [3; 32],
				comm_d: [0; 32],
				comm_r: [0; 32],
			};
			let count = spec.activation_challenges;
			let proof = forged::sealed_activation::<NativeSha256>(&spec, &mut inputs, 0, count);
			Activation { spec, inputs, proof }
		})
	}

	/// Its answers to challenges `first..first + count`; none if it has no such challenges.
	fn part(&self, first: u16, count: u16) -> Option<Vec<u8>> {
		let end = first.checked_add(count)?;
		if count == 0 || end > self.spec.activation_challenges {
			return None;
		}
		let (roots, challenges) = self.proof.split_at(sealed::ROOTS_LEN);
		let len = sealed::activation_challenge_len(&self.spec);
		let part = &challenges[usize::from(first) * len..usize::from(end) * len];
		Some([roots, part].concat())
	}
}

/// A sealed sector's activation in parts.
pub fn activation_proof(data: &[u8]) {
	let mut input = Input::new(data);
	let known = Activation::known();
	if input.byte() == 0xff {
		// Any parameters, any bytes.
		let spec = spec(&mut input, Tier::Sealed);
		let (first, count) = (input.u16(), input.u16());
		let bytes = input.rest();
		let outcome =
			sealed::verify_activation_part::<NativeSha256>(&spec, &known.inputs, first, count, bytes);
		// The number of challenges is not part of a replica's identity.
		let is_known = spec.is_valid() && spec.porep_id() == known.spec.porep_id();
		let in_range = u32::from(first) + u32::from(count) <= u32::from(spec.activation_challenges);
		let is_honest = known.part(first, count).as_deref() == Some(bytes);
		assert_eq!(outcome.is_ok(), is_known && in_range && is_honest, "{outcome:?}");
		return;
	}
	// Small numbers, of which some are in range.
	let (first, count) = (u16::from(input.byte()), u16::from(input.byte()));
	let honest = known.part(first, count);
	let proof = proof(input, honest.as_deref().unwrap_or(&known.proof));
	let outcome =
		sealed::verify_activation_part::<NativeSha256>(&known.spec, &known.inputs, first, count, &proof);
	assert_eq!(outcome.is_ok(), honest.as_ref() == Some(&proof), "{outcome:?}");
	match honest {
		None => assert_eq!(outcome, Err(ProofError::ChallengeRange)),
		Some(honest) if honest.len() != proof.len() => assert_eq!(outcome, Err(ProofError::Length)),
		Some(_) => {}
	}
	let other = ActivationInputs {
		comm_r: Commitment::default(),
		..known.inputs
	};
	let foreign = sealed::verify_activation_part::<NativeSha256>(&known.spec, &other, first, count, &proof);
	assert!(foreign.is_err(), "a proof counts for another replica");
}

/// Seeds of [`hot_proof`] and [`window_proof`], whose inputs have one form.
pub(crate) fn openings_seeds() -> Vec<Seed> {
	let three_leaves = [0, 3, 0, 0, 0, 0, 0, 63, 0, 0, 0, 0, 7, 0, 0, 0, 0];
	let seed = |edits: &[u8]| [&three_leaves[..], edits].concat();
	let unregistered = [34, 0, 1, 12, 0, 5, 0, 1, 9, 0, 0, 0, 0, 0, 0];
	vec![
		("honest", seed(&[0, 0])),
		("one-bit", seed(&[0, 0, 40, 0, 1])),
		("high-bits", seed(&[0, 0, 31, 0, 0x80])),
		("short", seed(&[0, 1])),
		("long", seed(&[0, 0xff])),
		("raw", seed(&[0xff, 1, 2, 3])),
		("none", vec![0, 0, 0, 0]),
		("outside", vec![1, 1, 0, 0, 0, 0x10, 0xff, 0, 0]),
		("unregistered", unregistered.to_vec()),
	]
}

/// Seeds of [`activation_proof`].
pub(crate) fn activation_seeds() -> Vec<Seed> {
	let raw = [
		&[0xff, 0, 0, 0, 1, 0][..],
		&Activation::known().part(0, 1).unwrap_or_default(),
	]
	.concat();
	vec![
		("honest", vec![0, 0, 2, 0, 0]),
		("first-part", vec![0, 0, 1, 0, 0]),
		("second-part", vec![0, 1, 1, 0, 0]),
		("roots", vec![0, 0, 1, 0, 0, 5, 0, 1]),
		("data-leaf", vec![0, 0, 1, 0, 0, 70, 0, 1]),
		("data-path", vec![0, 0, 1, 0, 0, 100, 0, 1]),
		("replica-path", vec![0, 0, 1, 0, 0, 50, 1, 1]),
		("column-path", vec![0, 0, 1, 0, 0, 0, 2, 1]),
		("parent", vec![0, 0, 1, 0, 0, 0, 8, 1]),
		("out-of-range", vec![0, 1, 2, 0, 0]),
		("raw", raw),
	]
}
