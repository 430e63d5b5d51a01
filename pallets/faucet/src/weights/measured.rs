//! Weights of `pallet_faucet`, measured in the runtime's Wasm by `cargo xtask weights`. Do not edit.
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
	/// Storage: `Faucet::LastDrip` (r:1 w:1)
	/// Proof: `Faucet::LastDrip` (`max_values`: None, `max_size`: Some(52), added: 2527, mode: `MaxEncodedLen`)
	/// Storage: `Faucet::DripsInBlock` (r:1 w:1)
	/// Proof: `Faucet::DripsInBlock` (`max_values`: Some(1), `max_size`: Some(8), added: 503, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:1 w:1)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	fn drip() -> Weight {
		// Measured proof: 186 bytes. Minimum time: 227_467 ns.
		Weight::from_parts(286_986_000, 3593)
			.saturating_add(T::DbWeight::get().reads(3))
			.saturating_add(T::DbWeight::get().writes(3))
	}
	/// Storage: `Faucet::LastDrip` (r:1 w:0)
	/// Proof: `Faucet::LastDrip` (`max_values`: None, `max_size`: Some(52), added: 2527, mode: `MaxEncodedLen`)
	/// Storage: `Faucet::DripsInBlock` (r:1 w:0)
	/// Proof: `Faucet::DripsInBlock` (`max_values`: Some(1), `max_size`: Some(8), added: 503, mode: `MaxEncodedLen`)
	fn authorize_drip() -> Weight {
		// Measured proof: 186 bytes. Minimum time: 60_259 ns.
		Weight::from_parts(62_763_000, 3517)
			.saturating_add(T::DbWeight::get().reads(2))
	}
}

/// Measured weights, with RocksDB's cost of storage access: for tests.
impl WeightInfo for () {
	/// Storage: `Faucet::LastDrip` (r:1 w:1)
	/// Proof: `Faucet::LastDrip` (`max_values`: None, `max_size`: Some(52), added: 2527, mode: `MaxEncodedLen`)
	/// Storage: `Faucet::DripsInBlock` (r:1 w:1)
	/// Proof: `Faucet::DripsInBlock` (`max_values`: Some(1), `max_size`: Some(8), added: 503, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:1 w:1)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	fn drip() -> Weight {
		// Measured proof: 186 bytes. Minimum time: 227_467 ns.
		Weight::from_parts(286_986_000, 3593)
			.saturating_add(RocksDbWeight::get().reads(3))
			.saturating_add(RocksDbWeight::get().writes(3))
	}
	/// Storage: `Faucet::LastDrip` (r:1 w:0)
	/// Proof: `Faucet::LastDrip` (`max_values`: None, `max_size`: Some(52), added: 2527, mode: `MaxEncodedLen`)
	/// Storage: `Faucet::DripsInBlock` (r:1 w:0)
	/// Proof: `Faucet::DripsInBlock` (`max_values`: Some(1), `max_size`: Some(8), added: 503, mode: `MaxEncodedLen`)
	fn authorize_drip() -> Weight {
		// Measured proof: 186 bytes. Minimum time: 60_259 ns.
		Weight::from_parts(62_763_000, 3517)
			.saturating_add(RocksDbWeight::get().reads(2))
	}
}
