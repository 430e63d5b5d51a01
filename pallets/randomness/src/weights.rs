//! Weight of the beacon.

use frame_support::weights::{constants::RocksDbWeight, Weight};

/// Weights this pallet needs.
pub trait WeightInfo {
	/// Reading the relay chain's values and appending a block's beacon to every ring.
	fn advance() -> Weight;
}

/// A bound derived from the storage accesses until the benchmark has run on the reference machine.
/// The relay chain's proof is part of every block and weighed by the parachain system.
impl WeightInfo for () {
	fn advance() -> Weight {
		Weight::from_parts(60_000_000, 12_000).saturating_add(RocksDbWeight::get().reads_writes(2, 4))
	}
}
