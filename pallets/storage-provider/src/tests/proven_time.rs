//! What the market reads.

use super::{mock::*, sealing::*};
use crate::Call;
use cairn_pallet_traits::Sectors as _;
#[cfg(feature = "runtime-benchmarks")]
use frame_support::assert_ok;

fn blocks(until: u32) -> (u32, bool) {
	let proven = StorageProvider::proven(&1, 0, until).expect("a record");
	(proven.blocks, proven.is_final)
}

#[test]
fn only_proven_intervals_count() {
	test(|| {
		let sector = provider_with_sector(1, &[order(1).lasting(200)]);
		let start = now();
		let first = record(1, 0).proven.first_close();
		let store = Store::of([sector]);
		assert_eq!(blocks(start + 200), (0, false));
		assert_eq!(StorageProvider::final_at(&1, 0, start + 1), Some(first));
		assert_eq!(StorageProvider::final_at(&1, 0, first + 1), Some(first + 20));

		store.run_proving(1, first);
		assert_eq!(blocks(start + 200), (first - start, false));
		assert_eq!(blocks(start + 1), (1, true));
		assert_eq!(blocks(first), (first - start, true));
		assert_eq!(blocks(first + 1), (first - start, false));

		// The second interval is missed.
		run_to(first + 20);
		assert_eq!(blocks(first + 20), (first - start, true));
		ok(
			1,
			Call::declare_faults_recovered {
				sectors: vec![0].try_into().expect("one"),
			},
		);
		store.run_proving(1, first + 40);
		assert_eq!(blocks(first + 40), (first - start + 20, true));
		assert_eq!(blocks(first + 30), (first - start + 10, true));
		assert_eq!(blocks(first + 20), (first - start, true));
	});
}

#[test]
fn it_is_credited_when_the_proof_is_accepted_and_final_at_the_close() {
	test(|| {
		let sector = provider_with_sector(1, &[order(1).lasting(200)]);
		let start = now();
		let close = record(1, 0).proven.first_close();
		let store = Store::of([sector]);
		run_before_deadline(1, 0);
		next_block();
		let challenge = store.due(1).expect("due");
		ok(1, store.post(1, &challenge));
		assert_eq!(blocks(close), (close - start, false));
		run_to(close);
		assert_eq!(blocks(close), (close - start, true));
	});
}

#[test]
fn there_is_no_time_without_a_sector() {
	test(|| {
		register(1);
		assert_eq!(StorageProvider::proven(&1, 0, 10), None);
		assert_eq!(StorageProvider::final_at(&1, 0, 10), None);
		let sector = Kept::hot(1, 0, &[order(1)]);
		ok(1, pre_commit(&[&sector]));
		assert_eq!(StorageProvider::proven(&1, 0, 10), None);
		assert_eq!(StorageProvider::beneficiary(&2), None);
	});
}

/// What other pallets' benchmarks build upon.
#[cfg(feature = "runtime-benchmarks")]
#[test]
fn a_benchmarks_sector_is_proven_and_forgotten_with_its_last_deal() {
	test(|| {
		let issued = free(30);
		StorageProvider::register_for_benchmark(&30);
		assert!(free(30) > issued && StorageProvider::is_provider(&30));
		StorageProvider::add_proven_sector_for_benchmark(&30, 0, 2, 1, 101);
		System::set_block_number(101);
		let proven = StorageProvider::proven(&30, 0, 101).expect("a record");
		assert_eq!((proven.blocks, proven.is_final), (100, true));
		StorageProvider::deal_closed(&30, 0);
		StorageProvider::deal_closed(&30, 0);
		assert_eq!(StorageProvider::proven(&30, 0, 101), None);
		let funds = free(30) - issued + 10 * UNIT;
		assert_ok!(Balances::force_set_balance(
			RuntimeOrigin::root(),
			30,
			free(30) - funds
		));
	});
}
