//! Weights of the call.

use frame_support::weights::{constants::RocksDbWeight, Weight};

/// Weights this pallet needs.
pub trait WeightInfo {
	/// `drip`.
	fn drip() -> Weight;
	/// Deciding whether a `drip` without signature may enter a block.
	fn authorize_drip() -> Weight;
}

/// Bounds derived from the storage accesses until the benchmarks have run on the reference machine.
impl WeightInfo for () {
	fn drip() -> Weight {
		Weight::from_parts(60_000_000, 8_000).saturating_add(RocksDbWeight::get().reads_writes(3, 3))
	}
	fn authorize_drip() -> Weight {
		Weight::from_parts(20_000_000, 4_500).saturating_add(RocksDbWeight::get().reads(2))
	}
}
