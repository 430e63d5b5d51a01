//! Weights of `pallet_storage_provider`, measured in the runtime's Wasm by `cargo xtask weights`. Do not edit.
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
	/// Storage: `StorageProvider::Providers` (r:3 w:2)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Workers` (r:2 w:2)
	/// Proof: `StorageProvider::Workers` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	fn register_storage_provider() -> Weight {
		// Measured proof: 1583 bytes. Minimum time: 407_735 ns.
		Weight::from_parts(433_404_000, 12183)
			.saturating_add(T::DbWeight::get().reads(7))
			.saturating_add(T::DbWeight::get().writes(5))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	fn update_provider() -> Weight {
		// Measured proof: 1324 bytes. Minimum time: 123_643 ns.
		Weight::from_parts(130_704_000, 4721)
			.saturating_add(T::DbWeight::get().reads(1))
			.saturating_add(T::DbWeight::get().writes(1))
	}
	/// Storage: `StorageProvider::Providers` (r:2 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Workers` (r:1 w:2)
	/// Proof: `StorageProvider::Workers` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	fn set_worker() -> Weight {
		// Measured proof: 1426 bytes. Minimum time: 145_306 ns.
		Weight::from_parts(150_794_000, 8452)
			.saturating_add(T::DbWeight::get().reads(3))
			.saturating_add(T::DbWeight::get().writes(3))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::DeadlineHeads` (r:96 w:96)
	/// Proof: `StorageProvider::DeadlineHeads` (`max_values`: None, `max_size`: Some(73), added: 2548, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Asks` (r:64 w:64)
	/// Proof: `StorageProvider::Asks` (`max_values`: None, `max_size`: Some(86), added: 2561, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Workers` (r:0 w:1)
	/// Proof: `StorageProvider::Workers` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::DeadlineCloses` (r:0 w:96)
	/// Proof: `StorageProvider::DeadlineCloses` (`max_values`: None, `max_size`: Some(76), added: 2551, mode: `MaxEncodedLen`)
	fn deregister() -> Weight {
		// Measured proof: 7185 bytes. Minimum time: 4_110_569 ns.
		Weight::from_parts(4_260_672_000, 245598)
			.saturating_add(T::DbWeight::get().reads(163))
			.saturating_add(T::DbWeight::get().writes(259))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `Proofs::ProofTypes` (r:1 w:0)
	/// Proof: `Proofs::ProofTypes` (`max_values`: None, `max_size`: Some(17), added: 2492, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Asks` (r:0 w:1)
	/// Proof: `StorageProvider::Asks` (`max_values`: None, `max_size`: Some(86), added: 2561, mode: `MaxEncodedLen`)
	fn set_ask() -> Weight {
		// Measured proof: 1541 bytes. Minimum time: 158_204 ns.
		Weight::from_parts(163_713_000, 4721)
			.saturating_add(T::DbWeight::get().reads(2))
			.saturating_add(T::DbWeight::get().writes(1))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `Proofs::ProofTypes` (r:1 w:0)
	/// Proof: `Proofs::ProofTypes` (`max_values`: None, `max_size`: Some(17), added: 2492, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::AllocatedSectors` (r:1 w:1)
	/// Proof: `StorageProvider::AllocatedSectors` (`max_values`: None, `max_size`: Some(188), added: 2663, mode: `MaxEncodedLen`)
	/// Storage: `Randomness::Tickets` (r:1 w:0)
	/// Proof: `Randomness::Tickets` (`max_values`: None, `max_size`: Some(53), added: 2528, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::PreCommits` (r:0 w:1)
	/// Proof: `StorageProvider::PreCommits` (`max_values`: None, `max_size`: Some(7039), added: 9514, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::PreCommitExpiries` (r:0 w:1)
	/// Proof: `StorageProvider::PreCommitExpiries` (`max_values`: None, `max_size`: Some(72), added: 2547, mode: `MaxEncodedLen`)
	fn pre_commit_sector() -> Weight {
		// Measured proof: 1922 bytes. Minimum time: 486_221 ns.
		Weight::from_parts(507_313_000, 4721)
			.saturating_add(T::DbWeight::get().reads(6))
			.saturating_add(T::DbWeight::get().writes(5))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::PreCommits` (r:1 w:1)
	/// Proof: `StorageProvider::PreCommits` (`max_values`: None, `max_size`: Some(7039), added: 9514, mode: `MaxEncodedLen`)
	/// Storage: `Proofs::ProofTypes` (r:1 w:0)
	/// Proof: `Proofs::ProofTypes` (`max_values`: None, `max_size`: Some(17), added: 2492, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::DeadlineHeads` (r:95 w:1)
	/// Proof: `StorageProvider::DeadlineHeads` (`max_values`: None, `max_size`: Some(73), added: 2548, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Partitions` (r:4 w:1)
	/// Proof: `StorageProvider::Partitions` (`max_values`: None, `max_size`: Some(376), added: 2851, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:0 w:1)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::PreCommitExpiries` (r:0 w:1)
	/// Proof: `StorageProvider::PreCommitExpiries` (`max_values`: None, `max_size`: Some(72), added: 2547, mode: `MaxEncodedLen`)
	fn prove_commit_sector() -> Weight {
		// Measured proof: 11789 bytes. Minimum time: 2_964_530 ns.
		Weight::from_parts(3_173_679_000, 243050)
			.saturating_add(T::DbWeight::get().reads(104))
			.saturating_add(T::DbWeight::get().writes(7))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `Randomness::Ring` (r:1 w:0)
	/// Proof: `Randomness::Ring` (`max_values`: None, `max_size`: Some(53), added: 2528, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Partitions` (r:1 w:1)
	/// Proof: `StorageProvider::Partitions` (`max_values`: None, `max_size`: Some(376), added: 2851, mode: `MaxEncodedLen`)
	/// Storage: `Proofs::ProofTypes` (r:1 w:0)
	/// Proof: `Proofs::ProofTypes` (`max_values`: None, `max_size`: Some(17), added: 2492, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:64 w:64)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	fn windowed_post_partition() -> Weight {
		// Measured proof: 123391 bytes. Minimum time: 5_998_111 ns.
		Weight::from_parts(6_358_405_000, 332190)
			.saturating_add(T::DbWeight::get().reads(69))
			.saturating_add(T::DbWeight::get().writes(65))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:256 w:256)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Partitions` (r:256 w:256)
	/// Proof: `StorageProvider::Partitions` (`max_values`: None, `max_size`: Some(376), added: 2851, mode: `MaxEncodedLen`)
	/// `n` was measured from 1 to 256.
	fn declare_faults(n: u32, ) -> Weight {
		// Measured proof: 1670 bytes + n * 1915. Minimum time: 230_052 ns.
		Weight::from_parts(232_145_000, 4721)
			// Standard error: 619_354
			.saturating_add(Weight::from_parts(110_424_106, 0).saturating_mul(n.into()))
			.saturating_add(T::DbWeight::get().reads(2))
			.saturating_add(T::DbWeight::get().reads((2_u64).saturating_mul(n.into())))
			.saturating_add(T::DbWeight::get().writes((2_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 5175).saturating_mul(n.into()))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:256 w:256)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Partitions` (r:256 w:256)
	/// Proof: `StorageProvider::Partitions` (`max_values`: None, `max_size`: Some(376), added: 2851, mode: `MaxEncodedLen`)
	/// `n` was measured from 1 to 256.
	fn declare_faults_recovered(n: u32, ) -> Weight {
		// Measured proof: 1670 bytes + n * 1960. Minimum time: 228_069 ns.
		Weight::from_parts(230_512_000, 4721)
			// Standard error: 541_061
			.saturating_add(Weight::from_parts(110_434_096, 0).saturating_mul(n.into()))
			.saturating_add(T::DbWeight::get().reads(2))
			.saturating_add(T::DbWeight::get().reads((2_u64).saturating_mul(n.into())))
			.saturating_add(T::DbWeight::get().writes((2_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 5175).saturating_mul(n.into()))
	}
	/// Storage: `StorageProvider::SweepCursor` (r:1 w:0)
	/// Proof: `StorageProvider::SweepCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	fn service() -> Weight {
		// Measured proof: 66 bytes. Minimum time: 48_221 ns.
		Weight::from_parts(51_296_000, 1489)
			.saturating_add(T::DbWeight::get().reads(1))
	}
	/// Storage: `StorageProvider::SweepCursor` (r:1 w:1)
	/// Proof: `StorageProvider::SweepCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::PreCommitExpiries` (r:2 w:0)
	/// Proof: `StorageProvider::PreCommitExpiries` (`max_values`: None, `max_size`: Some(72), added: 2547, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::DeadlineCloses` (r:1 w:0)
	/// Proof: `StorageProvider::DeadlineCloses` (`max_values`: None, `max_size`: Some(76), added: 2551, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::PreCommits` (r:1 w:0)
	/// Proof: `StorageProvider::PreCommits` (`max_values`: None, `max_size`: Some(7039), added: 9514, mode: `MaxEncodedLen`)
	fn sweep_look() -> Weight {
		// Measured proof: 6251 bytes. Minimum time: 157_994 ns.
		Weight::from_parts(164_353_000, 10504)
			.saturating_add(T::DbWeight::get().reads(5))
			.saturating_add(T::DbWeight::get().writes(1))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `Randomness::Ring` (r:1 w:0)
	/// Proof: `Randomness::Ring` (`max_values`: None, `max_size`: Some(53), added: 2528, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:64 w:64)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::DeadlineHeads` (r:1 w:1)
	/// Proof: `StorageProvider::DeadlineHeads` (`max_values`: None, `max_size`: Some(73), added: 2548, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::DeadlineCloses` (r:0 w:1)
	/// Proof: `StorageProvider::DeadlineCloses` (`max_values`: None, `max_size`: Some(76), added: 2551, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Partitions` (r:0 w:1)
	/// Proof: `StorageProvider::Partitions` (`max_values`: None, `max_size`: Some(376), added: 2851, mode: `MaxEncodedLen`)
	/// `n` was measured from 0 to 64.
	fn settle_partition(n: u32, ) -> Weight {
		// Measured proof: 1937 bytes + n * 1845. Minimum time: 109_753 ns.
		Weight::from_parts(138_928_670, 4721)
			// Standard error: 773_001
			.saturating_add(Weight::from_parts(211_425_487, 0).saturating_mul(n.into()))
			.saturating_add(T::DbWeight::get().reads(4))
			.saturating_add(T::DbWeight::get().reads((1_u64).saturating_mul(n.into())))
			.saturating_add(T::DbWeight::get().writes(4))
			.saturating_add(T::DbWeight::get().writes((1_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 5175).saturating_mul(n.into()))
	}
	/// Storage: `StorageProvider::PreCommits` (r:1 w:1)
	/// Proof: `StorageProvider::PreCommits` (`max_values`: None, `max_size`: Some(7039), added: 9514, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	fn expire_pre_commit() -> Weight {
		// Measured proof: 7471 bytes. Minimum time: 210_463 ns.
		Weight::from_parts(220_998_000, 10504)
			.saturating_add(T::DbWeight::get().reads(3))
			.saturating_add(T::DbWeight::get().writes(3))
	}
	/// Storage: `StorageProvider::Parameters` (r:1 w:1)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	fn set_parameters() -> Weight {
		// Measured proof: 145 bytes. Minimum time: 99_247 ns.
		Weight::from_parts(114_019_000, 4721)
			.saturating_add(T::DbWeight::get().reads(2))
			.saturating_add(T::DbWeight::get().writes(1))
	}
}

/// Measured weights, with RocksDB's cost of storage access: for tests.
impl WeightInfo for () {
	/// Storage: `StorageProvider::Providers` (r:3 w:2)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Workers` (r:2 w:2)
	/// Proof: `StorageProvider::Workers` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	fn register_storage_provider() -> Weight {
		// Measured proof: 1583 bytes. Minimum time: 407_735 ns.
		Weight::from_parts(433_404_000, 12183)
			.saturating_add(RocksDbWeight::get().reads(7))
			.saturating_add(RocksDbWeight::get().writes(5))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	fn update_provider() -> Weight {
		// Measured proof: 1324 bytes. Minimum time: 123_643 ns.
		Weight::from_parts(130_704_000, 4721)
			.saturating_add(RocksDbWeight::get().reads(1))
			.saturating_add(RocksDbWeight::get().writes(1))
	}
	/// Storage: `StorageProvider::Providers` (r:2 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Workers` (r:1 w:2)
	/// Proof: `StorageProvider::Workers` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	fn set_worker() -> Weight {
		// Measured proof: 1426 bytes. Minimum time: 145_306 ns.
		Weight::from_parts(150_794_000, 8452)
			.saturating_add(RocksDbWeight::get().reads(3))
			.saturating_add(RocksDbWeight::get().writes(3))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::DeadlineHeads` (r:96 w:96)
	/// Proof: `StorageProvider::DeadlineHeads` (`max_values`: None, `max_size`: Some(73), added: 2548, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Asks` (r:64 w:64)
	/// Proof: `StorageProvider::Asks` (`max_values`: None, `max_size`: Some(86), added: 2561, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Workers` (r:0 w:1)
	/// Proof: `StorageProvider::Workers` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::DeadlineCloses` (r:0 w:96)
	/// Proof: `StorageProvider::DeadlineCloses` (`max_values`: None, `max_size`: Some(76), added: 2551, mode: `MaxEncodedLen`)
	fn deregister() -> Weight {
		// Measured proof: 7185 bytes. Minimum time: 4_110_569 ns.
		Weight::from_parts(4_260_672_000, 245598)
			.saturating_add(RocksDbWeight::get().reads(163))
			.saturating_add(RocksDbWeight::get().writes(259))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `Proofs::ProofTypes` (r:1 w:0)
	/// Proof: `Proofs::ProofTypes` (`max_values`: None, `max_size`: Some(17), added: 2492, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Asks` (r:0 w:1)
	/// Proof: `StorageProvider::Asks` (`max_values`: None, `max_size`: Some(86), added: 2561, mode: `MaxEncodedLen`)
	fn set_ask() -> Weight {
		// Measured proof: 1541 bytes. Minimum time: 158_204 ns.
		Weight::from_parts(163_713_000, 4721)
			.saturating_add(RocksDbWeight::get().reads(2))
			.saturating_add(RocksDbWeight::get().writes(1))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `Proofs::ProofTypes` (r:1 w:0)
	/// Proof: `Proofs::ProofTypes` (`max_values`: None, `max_size`: Some(17), added: 2492, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::AllocatedSectors` (r:1 w:1)
	/// Proof: `StorageProvider::AllocatedSectors` (`max_values`: None, `max_size`: Some(188), added: 2663, mode: `MaxEncodedLen`)
	/// Storage: `Randomness::Tickets` (r:1 w:0)
	/// Proof: `Randomness::Tickets` (`max_values`: None, `max_size`: Some(53), added: 2528, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::PreCommits` (r:0 w:1)
	/// Proof: `StorageProvider::PreCommits` (`max_values`: None, `max_size`: Some(7039), added: 9514, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::PreCommitExpiries` (r:0 w:1)
	/// Proof: `StorageProvider::PreCommitExpiries` (`max_values`: None, `max_size`: Some(72), added: 2547, mode: `MaxEncodedLen`)
	fn pre_commit_sector() -> Weight {
		// Measured proof: 1922 bytes. Minimum time: 486_221 ns.
		Weight::from_parts(507_313_000, 4721)
			.saturating_add(RocksDbWeight::get().reads(6))
			.saturating_add(RocksDbWeight::get().writes(5))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::PreCommits` (r:1 w:1)
	/// Proof: `StorageProvider::PreCommits` (`max_values`: None, `max_size`: Some(7039), added: 9514, mode: `MaxEncodedLen`)
	/// Storage: `Proofs::ProofTypes` (r:1 w:0)
	/// Proof: `Proofs::ProofTypes` (`max_values`: None, `max_size`: Some(17), added: 2492, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::DeadlineHeads` (r:95 w:1)
	/// Proof: `StorageProvider::DeadlineHeads` (`max_values`: None, `max_size`: Some(73), added: 2548, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Partitions` (r:4 w:1)
	/// Proof: `StorageProvider::Partitions` (`max_values`: None, `max_size`: Some(376), added: 2851, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:0 w:1)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::PreCommitExpiries` (r:0 w:1)
	/// Proof: `StorageProvider::PreCommitExpiries` (`max_values`: None, `max_size`: Some(72), added: 2547, mode: `MaxEncodedLen`)
	fn prove_commit_sector() -> Weight {
		// Measured proof: 11789 bytes. Minimum time: 2_964_530 ns.
		Weight::from_parts(3_173_679_000, 243050)
			.saturating_add(RocksDbWeight::get().reads(104))
			.saturating_add(RocksDbWeight::get().writes(7))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `Randomness::Ring` (r:1 w:0)
	/// Proof: `Randomness::Ring` (`max_values`: None, `max_size`: Some(53), added: 2528, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Partitions` (r:1 w:1)
	/// Proof: `StorageProvider::Partitions` (`max_values`: None, `max_size`: Some(376), added: 2851, mode: `MaxEncodedLen`)
	/// Storage: `Proofs::ProofTypes` (r:1 w:0)
	/// Proof: `Proofs::ProofTypes` (`max_values`: None, `max_size`: Some(17), added: 2492, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:64 w:64)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	fn windowed_post_partition() -> Weight {
		// Measured proof: 123391 bytes. Minimum time: 5_998_111 ns.
		Weight::from_parts(6_358_405_000, 332190)
			.saturating_add(RocksDbWeight::get().reads(69))
			.saturating_add(RocksDbWeight::get().writes(65))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:256 w:256)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Partitions` (r:256 w:256)
	/// Proof: `StorageProvider::Partitions` (`max_values`: None, `max_size`: Some(376), added: 2851, mode: `MaxEncodedLen`)
	/// `n` was measured from 1 to 256.
	fn declare_faults(n: u32, ) -> Weight {
		// Measured proof: 1670 bytes + n * 1915. Minimum time: 230_052 ns.
		Weight::from_parts(232_145_000, 4721)
			// Standard error: 619_354
			.saturating_add(Weight::from_parts(110_424_106, 0).saturating_mul(n.into()))
			.saturating_add(RocksDbWeight::get().reads(2))
			.saturating_add(RocksDbWeight::get().reads((2_u64).saturating_mul(n.into())))
			.saturating_add(RocksDbWeight::get().writes((2_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 5175).saturating_mul(n.into()))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:256 w:256)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Partitions` (r:256 w:256)
	/// Proof: `StorageProvider::Partitions` (`max_values`: None, `max_size`: Some(376), added: 2851, mode: `MaxEncodedLen`)
	/// `n` was measured from 1 to 256.
	fn declare_faults_recovered(n: u32, ) -> Weight {
		// Measured proof: 1670 bytes + n * 1960. Minimum time: 228_069 ns.
		Weight::from_parts(230_512_000, 4721)
			// Standard error: 541_061
			.saturating_add(Weight::from_parts(110_434_096, 0).saturating_mul(n.into()))
			.saturating_add(RocksDbWeight::get().reads(2))
			.saturating_add(RocksDbWeight::get().reads((2_u64).saturating_mul(n.into())))
			.saturating_add(RocksDbWeight::get().writes((2_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 5175).saturating_mul(n.into()))
	}
	/// Storage: `StorageProvider::SweepCursor` (r:1 w:0)
	/// Proof: `StorageProvider::SweepCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	fn service() -> Weight {
		// Measured proof: 66 bytes. Minimum time: 48_221 ns.
		Weight::from_parts(51_296_000, 1489)
			.saturating_add(RocksDbWeight::get().reads(1))
	}
	/// Storage: `StorageProvider::SweepCursor` (r:1 w:1)
	/// Proof: `StorageProvider::SweepCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::PreCommitExpiries` (r:2 w:0)
	/// Proof: `StorageProvider::PreCommitExpiries` (`max_values`: None, `max_size`: Some(72), added: 2547, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::DeadlineCloses` (r:1 w:0)
	/// Proof: `StorageProvider::DeadlineCloses` (`max_values`: None, `max_size`: Some(76), added: 2551, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::PreCommits` (r:1 w:0)
	/// Proof: `StorageProvider::PreCommits` (`max_values`: None, `max_size`: Some(7039), added: 9514, mode: `MaxEncodedLen`)
	fn sweep_look() -> Weight {
		// Measured proof: 6251 bytes. Minimum time: 157_994 ns.
		Weight::from_parts(164_353_000, 10504)
			.saturating_add(RocksDbWeight::get().reads(5))
			.saturating_add(RocksDbWeight::get().writes(1))
	}
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Parameters` (r:1 w:0)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `Randomness::Ring` (r:1 w:0)
	/// Proof: `Randomness::Ring` (`max_values`: None, `max_size`: Some(53), added: 2528, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Sectors` (r:64 w:64)
	/// Proof: `StorageProvider::Sectors` (`max_values`: None, `max_size`: Some(2700), added: 5175, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::DeadlineHeads` (r:1 w:1)
	/// Proof: `StorageProvider::DeadlineHeads` (`max_values`: None, `max_size`: Some(73), added: 2548, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::DeadlineCloses` (r:0 w:1)
	/// Proof: `StorageProvider::DeadlineCloses` (`max_values`: None, `max_size`: Some(76), added: 2551, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Partitions` (r:0 w:1)
	/// Proof: `StorageProvider::Partitions` (`max_values`: None, `max_size`: Some(376), added: 2851, mode: `MaxEncodedLen`)
	/// `n` was measured from 0 to 64.
	fn settle_partition(n: u32, ) -> Weight {
		// Measured proof: 1937 bytes + n * 1845. Minimum time: 109_753 ns.
		Weight::from_parts(138_928_670, 4721)
			// Standard error: 773_001
			.saturating_add(Weight::from_parts(211_425_487, 0).saturating_mul(n.into()))
			.saturating_add(RocksDbWeight::get().reads(4))
			.saturating_add(RocksDbWeight::get().reads((1_u64).saturating_mul(n.into())))
			.saturating_add(RocksDbWeight::get().writes(4))
			.saturating_add(RocksDbWeight::get().writes((1_u64).saturating_mul(n.into())))
			.saturating_add(Weight::from_parts(0, 5175).saturating_mul(n.into()))
	}
	/// Storage: `StorageProvider::PreCommits` (r:1 w:1)
	/// Proof: `StorageProvider::PreCommits` (`max_values`: None, `max_size`: Some(7039), added: 9514, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(193), added: 2668, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Providers` (r:1 w:1)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	fn expire_pre_commit() -> Weight {
		// Measured proof: 7471 bytes. Minimum time: 210_463 ns.
		Weight::from_parts(220_998_000, 10504)
			.saturating_add(RocksDbWeight::get().reads(3))
			.saturating_add(RocksDbWeight::get().writes(3))
	}
	/// Storage: `StorageProvider::Parameters` (r:1 w:1)
	/// Proof: `StorageProvider::Parameters` (`max_values`: Some(1), `max_size`: Some(113), added: 608, mode: `MaxEncodedLen`)
	/// Storage: `StorageProvider::Providers` (r:1 w:0)
	/// Proof: `StorageProvider::Providers` (`max_values`: None, `max_size`: Some(1256), added: 3731, mode: `MaxEncodedLen`)
	fn set_parameters() -> Weight {
		// Measured proof: 145 bytes. Minimum time: 99_247 ns.
		Weight::from_parts(114_019_000, 4721)
			.saturating_add(RocksDbWeight::get().reads(2))
			.saturating_add(RocksDbWeight::get().writes(1))
	}
}
