//! Weights of the calls and of verification.

use frame_support::weights::{
	constants::{RocksDbWeight, WEIGHT_REF_TIME_PER_NANOS},
	Weight,
};

/// Weights this pallet needs.
pub trait WeightInfo {
	/// `register_proof_type`.
	fn register_proof_type() -> Weight;
	/// `retire_proof_type`.
	fn retire_proof_type() -> Weight;
	/// CommD of `n` pieces.
	fn comm_d(n: u32) -> Weight;
	/// One opening of a tree of depth `d`, its challenge included.
	fn verify_opening(d: u32) -> Weight;
	/// One activation challenge of a sealed type of depth `d` and `m` layers.
	fn verify_activation_challenge(d: u32, m: u32) -> Weight;
}

/// Upper bound of one hash of an inner node from Wasm, in nanoseconds, host call included.
const NODE_HASH_NANOS: u64 = 900;
/// Upper bound of recomputing one label (a hash of 1.2 KiB) from Wasm, in nanoseconds.
const LABEL_NANOS: u64 = 3_000;
/// Upper bound of deriving one node's parents in Wasm, in nanoseconds.
const PARENTS_NANOS: u64 = 60_000;
/// Upper bound of deriving one challenge and finding its leaf among 32 pieces, in nanoseconds.
const CHALLENGE_NANOS: u64 = 2_000;

/// Bounds derived from the number of hashes until the benchmarks have run on the reference machine.
impl WeightInfo for () {
	fn register_proof_type() -> Weight {
		Weight::from_parts(20_000_000, 3_600).saturating_add(RocksDbWeight::get().reads_writes(1, 1))
	}
	fn retire_proof_type() -> Weight {
		Self::register_proof_type()
	}
	fn comm_d(n: u32) -> Weight {
		// Joining pieces takes at most one hash per height between neighbours.
		nanos(
			NODE_HASH_NANOS
				.saturating_mul(u64::from(n).saturating_add(1))
				.saturating_mul(32),
		)
	}
	fn verify_opening(d: u32) -> Weight {
		nanos(
			NODE_HASH_NANOS
				.saturating_mul(u64::from(d).saturating_add(2))
				.saturating_add(CHALLENGE_NANOS),
		)
	}
	fn verify_activation_challenge(d: u32, m: u32) -> Weight {
		// 17 paths, and for each of 15 columns a hash as long as half a label's per layer.
		let (d, m) = (u64::from(d), u64::from(m));
		nanos(
			NODE_HASH_NANOS
				.saturating_mul(d.saturating_mul(17).saturating_add(20))
				.saturating_add(LABEL_NANOS.saturating_mul(m).saturating_mul(2))
				.saturating_add(PARENTS_NANOS)
				.saturating_add(CHALLENGE_NANOS),
		)
	}
}

fn nanos(nanos: u64) -> Weight {
	Weight::from_parts(nanos.saturating_mul(WEIGHT_REF_TIME_PER_NANOS), 0)
}
