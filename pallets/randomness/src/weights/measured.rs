//! Weights of `pallet_randomness`, measured in the runtime's Wasm by `cargo xtask weights`. Do not edit.
//!
//! 2026-11-26, AMD EPYC, 50 steps, 20 repeats, frame-benchmarking-cli 64.0.0.

#![cfg_attr(rustfmt, rustfmt_skip)]
#![allow(unused_parens)]

use super::WeightInfo;
use core::marker::PhantomData;
use frame_support::{traits::Get, weights::{constants::RocksDbWeight, Weight}};

/// Measured weights, with the runtime's cost of storage access.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
	/// Storage: `Randomness::Latest` (r:1 w:1)
	/// Proof: `Randomness::Latest` (`max_values`: Some(1), `max_size`: Some(41), added: 536, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `Randomness::Strong` (r:0 w:1)
	/// Proof: `Randomness::Strong` (`max_values`: None, `max_size`: Some(52), added: 2527, mode: `MaxEncodedLen`)
	/// Storage: `Randomness::Tickets` (r:0 w:1)
	/// Proof: `Randomness::Tickets` (`max_values`: None, `max_size`: Some(53), added: 2528, mode: `MaxEncodedLen`)
	/// Storage: `Randomness::Ring` (r:0 w:1)
	/// Proof: `Randomness::Ring` (`max_values`: None, `max_size`: Some(53), added: 2528, mode: `MaxEncodedLen`)
	fn advance() -> Weight {
		// Measured proof: 321 bytes. Minimum time: 85_667 ns.
		Weight::from_parts(88_831_000, 1598)
			.saturating_add(T::DbWeight::get().reads(2))
			.saturating_add(T::DbWeight::get().writes(4))
	}
}

/// Measured weights, with RocksDB's cost of storage access: for tests.
impl WeightInfo for () {
	/// Storage: `Randomness::Latest` (r:1 w:1)
	/// Proof: `Randomness::Latest` (`max_values`: Some(1), `max_size`: Some(41), added: 536, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `Randomness::Strong` (r:0 w:1)
	/// Proof: `Randomness::Strong` (`max_values`: None, `max_size`: Some(52), added: 2527, mode: `MaxEncodedLen`)
	/// Storage: `Randomness::Tickets` (r:0 w:1)
	/// Proof: `Randomness::Tickets` (`max_values`: None, `max_size`: Some(53), added: 2528, mode: `MaxEncodedLen`)
	/// Storage: `Randomness::Ring` (r:0 w:1)
	/// Proof: `Randomness::Ring` (`max_values`: None, `max_size`: Some(53), added: 2528, mode: `MaxEncodedLen`)
	fn advance() -> Weight {
		// Measured proof: 321 bytes. Minimum time: 85_667 ns.
		Weight::from_parts(88_831_000, 1598)
			.saturating_add(RocksDbWeight::get().reads(2))
			.saturating_add(RocksDbWeight::get().writes(4))
	}
}
