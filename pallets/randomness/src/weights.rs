//! Weight of the beacon.

mod measured;

pub use measured::SubstrateWeight;

use frame_support::weights::Weight;

/// Weights this pallet needs.
pub trait WeightInfo {
	/// Reading the relay chain's values and appending a block's beacon to every ring.
	fn advance() -> Weight;
}
