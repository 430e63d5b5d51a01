//! Weights of `pallet_proofs`, measured in the runtime's Wasm by `cargo xtask weights`. Do not edit.
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
	/// Storage: `Proofs::ProofTypes` (r:1 w:1)
	/// Proof: `Proofs::ProofTypes` (`max_values`: None, `max_size`: Some(17), added: 2492, mode: `MaxEncodedLen`)
	fn register_proof_type() -> Weight {
		// Measured proof: 217 bytes. Minimum time: 93_189 ns.
		Weight::from_parts(97_094_000, 3482)
			.saturating_add(T::DbWeight::get().reads(1))
			.saturating_add(T::DbWeight::get().writes(1))
	}
	/// Storage: `Proofs::ProofTypes` (r:1 w:1)
	/// Proof: `Proofs::ProofTypes` (`max_values`: None, `max_size`: Some(17), added: 2492, mode: `MaxEncodedLen`)
	fn retire_proof_type() -> Weight {
		// Measured proof: 237 bytes. Minimum time: 89_123 ns.
		Weight::from_parts(93_048_000, 3482)
			.saturating_add(T::DbWeight::get().reads(1))
			.saturating_add(T::DbWeight::get().writes(1))
	}
	/// `n` was measured from 0 to 128.
	fn comm_d(n: u32, ) -> Weight {
		// Measured proof: 0 bytes. Minimum time: 1_952 ns.
		Weight::from_parts(8_854_262, 0)
			// Standard error: 8_648
			.saturating_add(Weight::from_parts(10_280_330, 0).saturating_mul(n.into()))
	}
	/// `d` was measured from 6 to 31.
	fn verify_opening(d: u32, ) -> Weight {
		// Measured proof: 0 bytes. Minimum time: 15_312 ns.
		Weight::from_parts(11_465_513, 0)
			// Standard error: 861
			.saturating_add(Weight::from_parts(850_829, 0).saturating_mul(d.into()))
	}
	/// `d` was measured from 6 to 31.
	/// `m` was measured from 1 to 16.
	fn verify_activation_challenge(d: u32, m: u32, ) -> Weight {
		// Measured proof: 0 bytes. Minimum time: 186_818 ns.
		Weight::from_parts(62_736_812, 0)
			// Standard error: 41_334
			.saturating_add(Weight::from_parts(14_389_982, 0).saturating_mul(d.into()))
			// Standard error: 67_326
			.saturating_add(Weight::from_parts(2_610_265, 0).saturating_mul(m.into()))
	}
}

/// Measured weights, with RocksDB's cost of storage access: for tests.
impl WeightInfo for () {
	/// Storage: `Proofs::ProofTypes` (r:1 w:1)
	/// Proof: `Proofs::ProofTypes` (`max_values`: None, `max_size`: Some(17), added: 2492, mode: `MaxEncodedLen`)
	fn register_proof_type() -> Weight {
		// Measured proof: 217 bytes. Minimum time: 93_189 ns.
		Weight::from_parts(97_094_000, 3482)
			.saturating_add(RocksDbWeight::get().reads(1))
			.saturating_add(RocksDbWeight::get().writes(1))
	}
	/// Storage: `Proofs::ProofTypes` (r:1 w:1)
	/// Proof: `Proofs::ProofTypes` (`max_values`: None, `max_size`: Some(17), added: 2492, mode: `MaxEncodedLen`)
	fn retire_proof_type() -> Weight {
		// Measured proof: 237 bytes. Minimum time: 89_123 ns.
		Weight::from_parts(93_048_000, 3482)
			.saturating_add(RocksDbWeight::get().reads(1))
			.saturating_add(RocksDbWeight::get().writes(1))
	}
	/// `n` was measured from 0 to 128.
	fn comm_d(n: u32, ) -> Weight {
		// Measured proof: 0 bytes. Minimum time: 1_952 ns.
		Weight::from_parts(8_854_262, 0)
			// Standard error: 8_648
			.saturating_add(Weight::from_parts(10_280_330, 0).saturating_mul(n.into()))
	}
	/// `d` was measured from 6 to 31.
	fn verify_opening(d: u32, ) -> Weight {
		// Measured proof: 0 bytes. Minimum time: 15_312 ns.
		Weight::from_parts(11_465_513, 0)
			// Standard error: 861
			.saturating_add(Weight::from_parts(850_829, 0).saturating_mul(d.into()))
	}
	/// `d` was measured from 6 to 31.
	/// `m` was measured from 1 to 16.
	fn verify_activation_challenge(d: u32, m: u32, ) -> Weight {
		// Measured proof: 0 bytes. Minimum time: 186_818 ns.
		Weight::from_parts(62_736_812, 0)
			// Standard error: 41_334
			.saturating_add(Weight::from_parts(14_389_982, 0).saturating_mul(d.into()))
			// Standard error: 67_326
			.saturating_add(Weight::from_parts(2_610_265, 0).saturating_mul(m.into()))
	}
}
