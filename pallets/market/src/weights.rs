//! Weights of `pallet_market`.
//!
//! NOT YET GENERATED. These numbers are estimates, counted by hand from the storage accesses and
//! signature checks of each call and rounded up: 30 µs of computation per access, 60 µs per signature
//! check, and a trie proof of 2 KiB per key that the state grows with. The benchmarks in
//! `benchmarking.rs` replace them.

use core::marker::PhantomData;
use frame_support::{
	traits::Get,
	weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// Weights of the market's calls, of its calendar and of its part in the storage-provider pallet's
/// calls.
pub trait WeightInfo {
	/// `add_balance`.
	fn add_balance() -> Weight;
	/// `withdraw_balance`.
	fn withdraw_balance() -> Weight;
	/// `publish_storage_deals` with `n` proposals.
	fn publish_storage_deals(n: u32) -> Weight;
	/// `propose_deal`.
	fn propose_deal() -> Weight;
	/// `accept_deals` with `n` hashes.
	fn accept_deals(n: u32) -> Weight;
	/// `cancel_proposal`.
	fn cancel_proposal() -> Weight;
	/// `settle_deal_payments` of `n` deals, each for the last time.
	fn settle_deal_payments(n: u32) -> Weight;
	/// `service` that makes `n` final settlements, in one block of the calendar.
	fn service(n: u32) -> Weight;
	/// One block of the calendar without items.
	fn service_advance() -> Weight;
	/// One item of the calendar: a final settlement, the dearest.
	fn service_item() -> Weight;
	/// `Deals::bind` of `n` deals.
	fn bind(n: u32) -> Weight;
	/// `Deals::unbind` of `n` deals.
	fn unbind(n: u32) -> Weight;
	/// `Deals::activate` of `n` deals.
	fn activate(n: u32) -> Weight;
}

/// Estimate for `reads` and `writes` of distinct keys and `checks` signature checks.
fn estimate(db: RuntimeDbWeight, reads: u64, writes: u64, checks: u64) -> Weight {
	const ACCESS_PS: u64 = 30_000_000;
	const SIGNATURE_CHECK_PS: u64 = 60_000_000;
	const PROOF_PER_KEY: u64 = 2 * 1024;
	let accesses = reads.saturating_add(writes);
	Weight::from_parts(
		ACCESS_PS
			.saturating_mul(accesses)
			.saturating_add(SIGNATURE_CHECK_PS.saturating_mul(checks)),
		PROOF_PER_KEY.saturating_mul(reads),
	)
	.saturating_add(db.reads_writes(reads, writes))
}

macro_rules! estimates {
	($db:expr) => {
		fn add_balance() -> Weight {
			estimate($db, 3, 2, 0)
		}
		fn withdraw_balance() -> Weight {
			estimate($db, 3, 2, 0)
		}
		fn publish_storage_deals(n: u32) -> Weight {
			let n = u64::from(n);
			estimate($db, 8 + 9 * n, 5 + 8 * n, 2 * n)
		}
		fn propose_deal() -> Weight {
			estimate($db, 10, 6, 0)
		}
		fn accept_deals(n: u32) -> Weight {
			let n = u64::from(n);
			estimate($db, 6 + 8 * n, 4 + 8 * n, 0)
		}
		fn cancel_proposal() -> Weight {
			estimate($db, 4, 3, 0)
		}
		fn settle_deal_payments(n: u32) -> Weight {
			let n = u64::from(n);
			estimate($db, 3 + 14 * n, 12 * n, 0)
		}
		fn service(n: u32) -> Weight {
			let n = u64::from(n);
			estimate($db, 4 + 16 * n, 2 + 13 * n, 0)
		}
		fn service_advance() -> Weight {
			estimate($db, 1, 0, 0)
		}
		fn service_item() -> Weight {
			estimate($db, 16, 13, 0)
		}
		fn bind(n: u32) -> Weight {
			let n = u64::from(n);
			estimate($db, n, n, 0)
		}
		fn unbind(n: u32) -> Weight {
			let n = u64::from(n);
			estimate($db, n, n, 0)
		}
		fn activate(n: u32) -> Weight {
			let n = u64::from(n);
			estimate($db, 3 + 3 * n, 3 * n, 0)
		}
	};
}

/// Estimates with the runtime's database weights.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
	estimates!(T::DbWeight::get());
}

impl WeightInfo for () {
	estimates!(RocksDbWeight::get());
}
