//! Weights of the call.

mod measured;

pub use measured::SubstrateWeight;

use frame_support::weights::Weight;

/// Weights this pallet needs.
pub trait WeightInfo {
	/// `drip`.
	fn drip() -> Weight;
	/// Deciding whether a `drip` without signature may enter a block.
	fn authorize_drip() -> Weight;
}
