//! Weights of the calls and of verification.

mod measured;

pub use measured::SubstrateWeight;

use frame_support::weights::Weight;

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
