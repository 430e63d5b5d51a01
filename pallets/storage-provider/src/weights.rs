//! Weights of the calls.

use frame_support::weights::{constants::RocksDbWeight, Weight};

/// Weights this pallet needs. Verification weights come from the proofs pallet and are added.
pub trait WeightInfo {
	/// `register_storage_provider`.
	fn register_storage_provider() -> Weight;
	/// `update_provider`.
	fn update_provider() -> Weight;
	/// `set_worker`.
	fn set_worker() -> Weight;
	/// `deregister`.
	fn deregister() -> Weight;
	/// `set_ask`.
	fn set_ask() -> Weight;
	/// One sector of `pre_commit_sectors`, without its deals and CommD.
	fn pre_commit_sector() -> Weight;
	/// One part of `prove_commit_sectors`, activation included, without its deals and verification.
	fn prove_commit_sector() -> Weight;
	/// One partition of `submit_windowed_post` with all its sectors, without verification.
	fn windowed_post_partition() -> Weight;
	/// `declare_faults` of `n` sectors.
	fn declare_faults(n: u32) -> Weight;
	/// `declare_faults_recovered` of `n` sectors.
	fn declare_faults_recovered(n: u32) -> Weight;
	/// `service`, without the work it does.
	fn service() -> Weight;
	/// Looking for the next close or lapsed pre-commit.
	fn sweep_look() -> Weight;
	/// Settling a partition of `n` sectors, without beacons.
	fn settle_partition(n: u32) -> Weight;
	/// Forfeiting one lapsed pre-commit, without its deals.
	fn expire_pre_commit() -> Weight;
	/// `set_parameters`.
	fn set_parameters() -> Weight;
}

/// Bounds derived from the storage accesses of each call until the benchmarks have run on the
/// reference machine: (compute in µs, reads, writes, proof size in bytes).
impl WeightInfo for () {
	fn register_storage_provider() -> Weight {
		bound(60, 5, 4, 8_000)
	}
	fn update_provider() -> Weight {
		bound(40, 2, 1, 5_000)
	}
	fn set_worker() -> Weight {
		bound(40, 4, 3, 8_000)
	}
	fn deregister() -> Weight {
		bound(300, 170, 260, 300_000)
	}
	fn set_ask() -> Weight {
		bound(40, 4, 1, 8_000)
	}
	fn pre_commit_sector() -> Weight {
		bound(150, 6, 5, 20_000)
	}
	fn prove_commit_sector() -> Weight {
		bound(200, 110, 8, 60_000)
	}
	fn windowed_post_partition() -> Weight {
		bound(1_600, 70, 66, 400_000)
	}
	fn declare_faults(n: u32) -> Weight {
		bound(40, 3, 1, 5_000).saturating_add(bound(30, 2, 2, 10_000).saturating_mul(n.into()))
	}
	fn declare_faults_recovered(n: u32) -> Weight {
		Self::declare_faults(n)
	}
	fn service() -> Weight {
		bound(20, 1, 1, 1_500)
	}
	fn sweep_look() -> Weight {
		bound(20, 5, 1, 20_000)
	}
	fn settle_partition(n: u32) -> Weight {
		bound(50, 6, 6, 20_000).saturating_add(bound(15, 1, 1, 5_500).saturating_mul(n.into()))
	}
	fn expire_pre_commit() -> Weight {
		bound(80, 5, 5, 20_000)
	}
	fn set_parameters() -> Weight {
		bound(30, 2, 1, 3_000)
	}
}

fn bound(micros: u64, reads: u64, writes: u64, proof_size: u64) -> Weight {
	Weight::from_parts(micros.saturating_mul(1_000_000), proof_size)
		.saturating_add(RocksDbWeight::get().reads_writes(reads, writes))
}
