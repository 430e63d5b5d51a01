//! Weights of `pallet_market`, measured in the runtime's Wasm by `cargo xtask weights`. Do not edit.
//!
//! 2026-11-26, AMD EPYC, 10 steps, 10 repeats, frame-benchmarking-cli 64.0.0.

#![cfg_attr(rustfmt, rustfmt_skip)]
#![allow(unused_parens)]

use super::WeightInfo;
use core::marker::PhantomData;
use frame_support::{traits::Get, weights::{constants::RocksDbWeight, Weight}};

/// Measured weights, with the runtime's cost of storage access.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	fn add_balance() -> Weight {
		// Measured proof: 0 bytes. Minimum time: 235_710 ns.
		Weight::from_parts(241_488_000, 3658)
			.saturating_add(T::DbWeight::get().reads(1))
			.saturating_add(T::DbWeight::get().writes(1))
	}
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	fn withdraw_balance() -> Weight {
		// Measured proof: 55 bytes. Minimum time: 209_601 ns.
		Weight::from_parts(215_059_000, 3658)
			.saturating_add(T::DbWeight::get().reads(1))
			.saturating_add(T::DbWeight::get().writes(1))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `System::BlockHash` (r:1 w:0)
	/// Proof: `System::BlockHash` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Market::UsedProposals` (r:32 w:32)
	/// Proof: `Market::UsedProposals` (`max_values`: None, `max_size`: Some(45), added: 2520, mode: `MaxEncodedLen`)
	/// Storage: `Market::CalendarCursor` (r:1 w:0)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:33 w:33)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:33 w:33)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Market::NextDealId` (r:1 w:1)
	/// Proof: `Market::NextDealId` (`max_values`: Some(1), `max_size`: Some(8), added: 503, mode: `MaxEncodedLen`)
	/// Storage: `Market::HotPieces` (r:32 w:32)
	/// Proof: `Market::HotPieces` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// Storage: `Market::Deals` (r:0 w:32)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:0 w:64)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	/// `n` was measured from 1 to 32.
	fn publish_storage_deals(n: u32, ) -> Weight {
		// Measured proof: 627 bytes + n * 155. Minimum time: 804_224 ns.
		Weight::from_parts(815_551_000, 4721)
			// Standard error: 16_958_884
			.saturating_add(Weight::from_parts(647_042_283, 0).saturating_mul(n.into()))
			.saturating_add(T::DbWeight::get().reads(7))
			.saturating_add(T::DbWeight::get().reads((4_u64).saturating_mul(n.into())))
			.saturating_add(T::DbWeight::get().writes(3))
			.saturating_add(T::DbWeight::get().writes((7_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2668).saturating_mul(n.into()))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `System::BlockHash` (r:1 w:0)
	/// Proof: `System::BlockHash` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Market::UsedProposals` (r:1 w:1)
	/// Proof: `Market::UsedProposals` (`max_values`: None, `max_size`: Some(45), added: 2520, mode: `MaxEncodedLen`)
	/// Storage: `Market::CalendarCursor` (r:1 w:0)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `Market::Proposals` (r:0 w:1)
	/// Proof: `Market::Proposals` (`max_values`: None, `max_size`: Some(400), added: 2875, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:0 w:1)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	fn propose_deal() -> Weight {
		// Measured proof: 469 bytes. Minimum time: 542_515 ns.
		Weight::from_parts(557_307_000, 4721)
			.saturating_add(T::DbWeight::get().reads(6))
			.saturating_add(T::DbWeight::get().writes(4))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `Market::Proposals` (r:32 w:32)
	/// Proof: `Market::Proposals` (`max_values`: None, `max_size`: Some(400), added: 2875, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:33 w:33)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:33 w:33)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `Market::NextDealId` (r:1 w:1)
	/// Proof: `Market::NextDealId` (`max_values`: Some(1), `max_size`: Some(8), added: 503, mode: `MaxEncodedLen`)
	/// Storage: `Market::HotPieces` (r:32 w:32)
	/// Proof: `Market::HotPieces` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// Storage: `Market::CalendarCursor` (r:1 w:0)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Market::Deals` (r:0 w:32)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// Storage: `Market::UsedProposals` (r:0 w:32)
	/// Proof: `Market::UsedProposals` (`max_values`: None, `max_size`: Some(45), added: 2520, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:0 w:32)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	/// `n` was measured from 1 to 32.
	fn accept_deals(n: u32, ) -> Weight {
		// Measured proof: 644 bytes + n * 573. Minimum time: 595_804 ns.
		Weight::from_parts(143_861_170, 4721)
			// Standard error: 544_018
			.saturating_add(Weight::from_parts(450_650_781, 0).saturating_mul(n.into()))
			.saturating_add(T::DbWeight::get().reads(5))
			.saturating_add(T::DbWeight::get().reads((4_u64).saturating_mul(n.into())))
			.saturating_add(T::DbWeight::get().writes(3))
			.saturating_add(T::DbWeight::get().writes((7_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2875).saturating_mul(n.into()))
	}
	/// Storage: `Market::Proposals` (r:1 w:1)
	/// Proof: `Market::Proposals` (`max_values`: None, `max_size`: Some(400), added: 2875, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:1 w:1)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	fn cancel_proposal() -> Weight {
		// Measured proof: 875 bytes. Minimum time: 434_274 ns.
		Weight::from_parts(445_010_000, 3865)
			.saturating_add(T::DbWeight::get().reads(3))
			.saturating_add(T::DbWeight::get().writes(3))
	}
	/// Storage: `Market::Deals` (r:128 w:128)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:1 w:1)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:129 w:129)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:129 w:129)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:0 w:128)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	/// Storage: `Market::HotPieces` (r:0 w:128)
	/// Proof: `Market::HotPieces` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// `n` was measured from 1 to 128.
	fn settle_deal_payments(n: u32, ) -> Weight {
		// Measured proof: 3821 bytes + n * 455. Minimum time: 674_040 ns.
		Weight::from_parts(94_140_308, 6165)
			// Standard error: 9_468_098
			.saturating_add(Weight::from_parts(516_824_045, 0).saturating_mul(n.into()))
			.saturating_add(T::DbWeight::get().reads(5))
			.saturating_add(T::DbWeight::get().reads((3_u64).saturating_mul(n.into())))
			.saturating_add(T::DbWeight::get().writes(4))
			.saturating_add(T::DbWeight::get().writes((5_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2754).saturating_mul(n.into()))
	}
	/// Storage: `Market::CalendarCursor` (r:1 w:0)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:128 w:128)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	/// Storage: `Market::Deals` (r:128 w:128)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:1 w:1)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:129 w:129)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:129 w:129)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Market::HotPieces` (r:0 w:128)
	/// Proof: `Market::HotPieces` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// `n` was measured from 0 to 128.
	fn service(n: u32, ) -> Weight {
		// Measured proof: 3825 bytes + n * 484. Minimum time: 85_357 ns.
		Weight::from_parts(85_557_000, 6165)
			// Standard error: 8_356_494
			.saturating_add(Weight::from_parts(615_476_020, 0).saturating_mul(n.into()))
			.saturating_add(T::DbWeight::get().reads(4))
			.saturating_add(T::DbWeight::get().reads((4_u64).saturating_mul(n.into())))
			.saturating_add(T::DbWeight::get().writes(3))
			.saturating_add(T::DbWeight::get().writes((5_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2754).saturating_mul(n.into()))
	}
	/// Storage: `Market::CalendarCursor` (r:1 w:1)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:1 w:0)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	fn service_advance() -> Weight {
		// Measured proof: 146 bytes. Minimum time: 74_441 ns.
		Weight::from_parts(77_335_000, 3526)
			.saturating_add(T::DbWeight::get().reads(2))
			.saturating_add(T::DbWeight::get().writes(1))
	}
	/// Storage: `Market::CalendarCursor` (r:1 w:0)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:1 w:1)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	/// Storage: `Market::Deals` (r:1 w:1)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:1 w:1)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:2 w:2)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:2 w:2)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Market::HotPieces` (r:0 w:1)
	/// Proof: `Market::HotPieces` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	fn service_item() -> Weight {
		// Measured proof: 4422 bytes. Minimum time: 715_221 ns.
		Weight::from_parts(745_736_000, 6326)
			.saturating_add(T::DbWeight::get().reads(10))
			.saturating_add(T::DbWeight::get().writes(9))
	}
	/// Storage: `Market::Deals` (r:128 w:128)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// `n` was measured from 0 to 128.
	fn bind(n: u32, ) -> Weight {
		// Measured proof: 234 bytes + n * 271. Minimum time: 18_798 ns.
		Weight::from_parts(19_469_000, 990)
			// Standard error: 1_121_179
			.saturating_add(Weight::from_parts(35_798_793, 0).saturating_mul(n.into()))
			.saturating_add(T::DbWeight::get().reads((1_u64).saturating_mul(n.into())))
			.saturating_add(T::DbWeight::get().writes((1_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2754).saturating_mul(n.into()))
	}
	/// Storage: `Market::Deals` (r:128 w:128)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// `n` was measured from 0 to 128.
	fn unbind(n: u32, ) -> Weight {
		// Measured proof: 234 bytes + n * 275. Minimum time: 1_623 ns.
		Weight::from_parts(1_652_000, 990)
			// Standard error: 648_375
			.saturating_add(Weight::from_parts(30_305_576, 0).saturating_mul(n.into()))
			.saturating_add(T::DbWeight::get().reads((1_u64).saturating_mul(n.into())))
			.saturating_add(T::DbWeight::get().writes((1_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2754).saturating_mul(n.into()))
	}
	/// Storage: `Market::Deals` (r:128 w:128)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:1 w:0)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `Market::CalendarCursor` (r:1 w:0)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:0 w:256)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	/// `n` was measured from 0 to 128.
	fn activate(n: u32, ) -> Weight {
		// Measured proof: 2312 bytes + n * 275. Minimum time: 18_678 ns.
		Weight::from_parts(19_980_000, 6165)
			// Standard error: 2_748_252
			.saturating_add(Weight::from_parts(100_386_362, 0).saturating_mul(n.into()))
			.saturating_add(T::DbWeight::get().reads(2))
			.saturating_add(T::DbWeight::get().reads((1_u64).saturating_mul(n.into())))
			.saturating_add(T::DbWeight::get().writes((3_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2754).saturating_mul(n.into()))
	}
}

/// Measured weights, with RocksDB's cost of storage access: for tests.
impl WeightInfo for () {
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	fn add_balance() -> Weight {
		// Measured proof: 0 bytes. Minimum time: 235_710 ns.
		Weight::from_parts(241_488_000, 3658)
			.saturating_add(RocksDbWeight::get().reads(1))
			.saturating_add(RocksDbWeight::get().writes(1))
	}
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	fn withdraw_balance() -> Weight {
		// Measured proof: 55 bytes. Minimum time: 209_601 ns.
		Weight::from_parts(215_059_000, 3658)
			.saturating_add(RocksDbWeight::get().reads(1))
			.saturating_add(RocksDbWeight::get().writes(1))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `System::BlockHash` (r:1 w:0)
	/// Proof: `System::BlockHash` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Market::UsedProposals` (r:32 w:32)
	/// Proof: `Market::UsedProposals` (`max_values`: None, `max_size`: Some(45), added: 2520, mode: `MaxEncodedLen`)
	/// Storage: `Market::CalendarCursor` (r:1 w:0)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:33 w:33)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:33 w:33)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Market::NextDealId` (r:1 w:1)
	/// Proof: `Market::NextDealId` (`max_values`: Some(1), `max_size`: Some(8), added: 503, mode: `MaxEncodedLen`)
	/// Storage: `Market::HotPieces` (r:32 w:32)
	/// Proof: `Market::HotPieces` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// Storage: `Market::Deals` (r:0 w:32)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:0 w:64)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	/// `n` was measured from 1 to 32.
	fn publish_storage_deals(n: u32, ) -> Weight {
		// Measured proof: 627 bytes + n * 155. Minimum time: 804_224 ns.
		Weight::from_parts(815_551_000, 4721)
			// Standard error: 16_958_884
			.saturating_add(Weight::from_parts(647_042_283, 0).saturating_mul(n.into()))
			.saturating_add(RocksDbWeight::get().reads(7))
			.saturating_add(RocksDbWeight::get().reads((4_u64).saturating_mul(n.into())))
			.saturating_add(RocksDbWeight::get().writes(3))
			.saturating_add(RocksDbWeight::get().writes((7_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2668).saturating_mul(n.into()))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `System::BlockHash` (r:1 w:0)
	/// Proof: `System::BlockHash` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Market::UsedProposals` (r:1 w:1)
	/// Proof: `Market::UsedProposals` (`max_values`: None, `max_size`: Some(45), added: 2520, mode: `MaxEncodedLen`)
	/// Storage: `Market::CalendarCursor` (r:1 w:0)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `Market::Proposals` (r:0 w:1)
	/// Proof: `Market::Proposals` (`max_values`: None, `max_size`: Some(400), added: 2875, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:0 w:1)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	fn propose_deal() -> Weight {
		// Measured proof: 469 bytes. Minimum time: 542_515 ns.
		Weight::from_parts(557_307_000, 4721)
			.saturating_add(RocksDbWeight::get().reads(6))
			.saturating_add(RocksDbWeight::get().writes(4))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `Market::Proposals` (r:32 w:32)
	/// Proof: `Market::Proposals` (`max_values`: None, `max_size`: Some(400), added: 2875, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:33 w:33)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:33 w:33)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `Market::NextDealId` (r:1 w:1)
	/// Proof: `Market::NextDealId` (`max_values`: Some(1), `max_size`: Some(8), added: 503, mode: `MaxEncodedLen`)
	/// Storage: `Market::HotPieces` (r:32 w:32)
	/// Proof: `Market::HotPieces` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// Storage: `Market::CalendarCursor` (r:1 w:0)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Market::Deals` (r:0 w:32)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// Storage: `Market::UsedProposals` (r:0 w:32)
	/// Proof: `Market::UsedProposals` (`max_values`: None, `max_size`: Some(45), added: 2520, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:0 w:32)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	/// `n` was measured from 1 to 32.
	fn accept_deals(n: u32, ) -> Weight {
		// Measured proof: 644 bytes + n * 573. Minimum time: 595_804 ns.
		Weight::from_parts(143_861_170, 4721)
			// Standard error: 544_018
			.saturating_add(Weight::from_parts(450_650_781, 0).saturating_mul(n.into()))
			.saturating_add(RocksDbWeight::get().reads(5))
			.saturating_add(RocksDbWeight::get().reads((4_u64).saturating_mul(n.into())))
			.saturating_add(RocksDbWeight::get().writes(3))
			.saturating_add(RocksDbWeight::get().writes((7_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2875).saturating_mul(n.into()))
	}
	/// Storage: `Market::Proposals` (r:1 w:1)
	/// Proof: `Market::Proposals` (`max_values`: None, `max_size`: Some(400), added: 2875, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:1 w:1)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	fn cancel_proposal() -> Weight {
		// Measured proof: 875 bytes. Minimum time: 434_274 ns.
		Weight::from_parts(445_010_000, 3865)
			.saturating_add(RocksDbWeight::get().reads(3))
			.saturating_add(RocksDbWeight::get().writes(3))
	}
	/// Storage: `Market::Deals` (r:128 w:128)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:1 w:1)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:129 w:129)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:129 w:129)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:0 w:128)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	/// Storage: `Market::HotPieces` (r:0 w:128)
	/// Proof: `Market::HotPieces` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// `n` was measured from 1 to 128.
	fn settle_deal_payments(n: u32, ) -> Weight {
		// Measured proof: 3821 bytes + n * 455. Minimum time: 674_040 ns.
		Weight::from_parts(94_140_308, 6165)
			// Standard error: 9_468_098
			.saturating_add(Weight::from_parts(516_824_045, 0).saturating_mul(n.into()))
			.saturating_add(RocksDbWeight::get().reads(5))
			.saturating_add(RocksDbWeight::get().reads((3_u64).saturating_mul(n.into())))
			.saturating_add(RocksDbWeight::get().writes(4))
			.saturating_add(RocksDbWeight::get().writes((5_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2754).saturating_mul(n.into()))
	}
	/// Storage: `Market::CalendarCursor` (r:1 w:0)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:128 w:128)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	/// Storage: `Market::Deals` (r:128 w:128)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:1 w:1)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:129 w:129)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:129 w:129)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Market::HotPieces` (r:0 w:128)
	/// Proof: `Market::HotPieces` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// `n` was measured from 0 to 128.
	fn service(n: u32, ) -> Weight {
		// Measured proof: 3825 bytes + n * 484. Minimum time: 85_357 ns.
		Weight::from_parts(85_557_000, 6165)
			// Standard error: 8_356_494
			.saturating_add(Weight::from_parts(615_476_020, 0).saturating_mul(n.into()))
			.saturating_add(RocksDbWeight::get().reads(4))
			.saturating_add(RocksDbWeight::get().reads((4_u64).saturating_mul(n.into())))
			.saturating_add(RocksDbWeight::get().writes(3))
			.saturating_add(RocksDbWeight::get().writes((5_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2754).saturating_mul(n.into()))
	}
	/// Storage: `Market::CalendarCursor` (r:1 w:1)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:1 w:0)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	fn service_advance() -> Weight {
		// Measured proof: 146 bytes. Minimum time: 74_441 ns.
		Weight::from_parts(77_335_000, 3526)
			.saturating_add(RocksDbWeight::get().reads(2))
			.saturating_add(RocksDbWeight::get().writes(1))
	}
	/// Storage: `Market::CalendarCursor` (r:1 w:0)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:1 w:1)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	/// Storage: `Market::Deals` (r:1 w:1)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:1 w:1)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:2 w:2)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:2 w:2)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Market::HotPieces` (r:0 w:1)
	/// Proof: `Market::HotPieces` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	fn service_item() -> Weight {
		// Measured proof: 4422 bytes. Minimum time: 715_221 ns.
		Weight::from_parts(745_736_000, 6326)
			.saturating_add(RocksDbWeight::get().reads(10))
			.saturating_add(RocksDbWeight::get().writes(9))
	}
	/// Storage: `Market::Deals` (r:128 w:128)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// `n` was measured from 0 to 128.
	fn bind(n: u32, ) -> Weight {
		// Measured proof: 234 bytes + n * 271. Minimum time: 18_798 ns.
		Weight::from_parts(19_469_000, 990)
			// Standard error: 1_121_179
			.saturating_add(Weight::from_parts(35_798_793, 0).saturating_mul(n.into()))
			.saturating_add(RocksDbWeight::get().reads((1_u64).saturating_mul(n.into())))
			.saturating_add(RocksDbWeight::get().writes((1_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2754).saturating_mul(n.into()))
	}
	/// Storage: `Market::Deals` (r:128 w:128)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// `n` was measured from 0 to 128.
	fn unbind(n: u32, ) -> Weight {
		// Measured proof: 234 bytes + n * 275. Minimum time: 1_623 ns.
		Weight::from_parts(1_652_000, 990)
			// Standard error: 648_375
			.saturating_add(Weight::from_parts(30_305_576, 0).saturating_mul(n.into()))
			.saturating_add(RocksDbWeight::get().reads((1_u64).saturating_mul(n.into())))
			.saturating_add(RocksDbWeight::get().writes((1_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2754).saturating_mul(n.into()))
	}
	/// Storage: `Market::Deals` (r:128 w:128)
	/// Proof: `Market::Deals` (`max_values`: None, `max_size`: Some(279), added: 2754, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:1 w:0)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `Market::CalendarCursor` (r:1 w:0)
	/// Proof: `Market::CalendarCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Market::Calendar` (r:0 w:256)
	/// Proof: `Market::Calendar` (`max_values`: None, `max_size`: Some(61), added: 2536, mode: `MaxEncodedLen`)
	/// `n` was measured from 0 to 128.
	fn activate(n: u32, ) -> Weight {
		// Measured proof: 2312 bytes + n * 275. Minimum time: 18_678 ns.
		Weight::from_parts(19_980_000, 6165)
			// Standard error: 2_748_252
			.saturating_add(Weight::from_parts(100_386_362, 0).saturating_mul(n.into()))
			.saturating_add(RocksDbWeight::get().reads(2))
			.saturating_add(RocksDbWeight::get().reads((1_u64).saturating_mul(n.into())))
			.saturating_add(RocksDbWeight::get().writes((3_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 2754).saturating_mul(n.into()))
	}
}
