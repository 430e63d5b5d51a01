//! The chain of beacons and its rings.

use crate::*;
use cairn_pallet_traits::{Beacons, Parameters};
use cairn_primitives::{draw, params::ProtocolParameters};
use frame_support::{assert_ok, derive_impl, parameter_types, traits::ConstU32};
use sp_runtime::BuildStorage;
use std::cell::Cell;

#[frame_support::runtime]
mod runtime {
	#[runtime::runtime]
	#[runtime::derive(RuntimeCall, RuntimeEvent, RuntimeError, RuntimeOrigin, RuntimeTask)]
	pub struct Test;

	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type Randomness = crate;
}

type Block = frame_system::mocking::MockBlockU32<Test>;

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = Block;
}

thread_local! {
	static ACCEPT_WEAK: Cell<bool> = const { Cell::new(false) };
}

pub struct TestParameters;

impl Parameters for TestParameters {
	fn get() -> ProtocolParameters {
		ProtocolParameters {
			ticket_interval: 5,
			accept_weak_beacons: ACCEPT_WEAK.get(),
			..ProtocolParameters::development()
		}
	}
}

parameter_types! {
	pub const RingLength: u32 = 16;
}

impl Config for Test {
	type BlockNumberProvider = System;
	type Parameters = TestParameters;
	type RingLength = RingLength;
	type TicketRingLength = ConstU32<3>;
	type WeightInfo = ();
}

pub fn new_test_ext() -> sp_io::TestExternalities {
	ACCEPT_WEAK.set(false);
	frame_system::GenesisConfig::<Test>::default()
		.build_storage()
		.expect("valid genesis")
		.into()
}

fn run(test: impl FnOnce()) {
	new_test_ext().execute_with(|| {
		test();
		assert_ok!(Randomness::do_try_state());
	});
}

fn advance(block: u32, value: Option<[u8; 32]>, strong: bool) {
	System::set_block_number(block);
	Randomness::advance(value, strong, block);
}

#[test]
fn beacons_are_chained() {
	run(|| {
		advance(1, Some([1; 32]), true);
		advance(2, Some([2; 32]), true);
		let first = draw::next_beacon(&[0; 32], &[1; 32], 1);
		let second = draw::next_beacon(&first, &[2; 32], 2);
		assert_eq!(Randomness::first_in(1, 3).map(|beacon| beacon.value), Some(first));
		assert_eq!(
			Randomness::first_in(2, 3).map(|beacon| beacon.value),
			Some(second)
		);
		assert_eq!(Randomness::first_in(3, 4), None);
	});
}

#[test]
fn weak_beacons_are_skipped_unless_accepted() {
	run(|| {
		advance(1, Some([1; 32]), false);
		advance(2, None, true);
		advance(3, Some([3; 32]), true);
		assert_eq!(Randomness::first_in(1, 4).map(|beacon| beacon.block), Some(3));
		assert_eq!(Randomness::first_in(1, 3), None);
		ACCEPT_WEAK.set(true);
		assert_eq!(Randomness::first_in(1, 4).map(|beacon| beacon.block), Some(1));
	});
}

#[test]
fn the_ring_forgets_and_never_confuses_blocks() {
	run(|| {
		for block in 1..=20 {
			advance(block, Some([block as u8; 32]), true);
		}
		// A later beacon must not take a forgotten one's place, or waiting would redraw it.
		assert_eq!(Randomness::first_in(4, 20), None);
		assert_eq!(Randomness::first_in(5, 6).map(|beacon| beacon.block), Some(5));
		assert_eq!(Ring::<Test>::iter().count(), 16);
		assert_eq!(Strong::<Test>::iter().count(), 16);
	});
}

#[test]
fn tickets_exist_at_their_interval_only() {
	run(|| {
		for block in 1..=20 {
			advance(block, Some([block as u8; 32]), true);
		}
		assert_eq!(Randomness::ticket(20).map(|beacon| beacon.block), Some(20));
		assert_eq!(Randomness::ticket(10).map(|beacon| beacon.block), Some(10));
		assert_eq!(Randomness::ticket(5), None);
		assert_eq!(Randomness::ticket(12), None);
		assert_eq!(Randomness::ticket(25), None);
	});
}

#[test]
fn the_first_strong_beacon_is_found_behind_any_gap() {
	run(|| {
		for block in 1..=40 {
			advance(block, Some([block as u8; 32]), [3, 7, 19, 33].contains(&block));
		}
		let block = |from, until| Randomness::first_in(from, until).map(|beacon| beacon.block);
		assert_eq!(block(25, 41), Some(33));
		assert_eq!(block(33, 34), Some(33));
		assert_eq!(block(25, 33), None);
		assert_eq!(block(34, 41), None);
		assert_eq!(block(41, 50), None);
		assert_eq!(block(24, 41), None, "no longer remembered");
	});
}

/// Against a plain search over a list.
#[test]
fn searches_agree_with_a_list() {
	use rand_chacha::rand_core::{RngCore, SeedableRng};
	let seed = 0x5eed_0002;
	println!("seed {seed:#x}");
	let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
	run(|| {
		let mut strong = vec![];
		for block in 1..200u32 {
			let is_strong = rng.next_u32() % 5 == 0;
			advance(block, Some([block as u8; 32]), is_strong);
			if is_strong {
				strong.push(block);
			}
			for from in block.saturating_sub(20)..block + 2 {
				for until in [from, from + 1, from + 6, block + 1] {
					let remembered = from.max(1) + 16 > block && from <= block;
					let expected = strong.iter().copied().find(|at| (from..until).contains(at));
					assert_eq!(
						Randomness::first_in(from, until).map(|beacon| beacon.block),
						expected.filter(|_| remembered),
						"{from}..{until} at {block}"
					);
				}
			}
		}
	});
}

#[test]
fn there_is_no_beacon_of_genesis() {
	run(|| {
		advance(1, Some([1; 32]), true);
		assert_eq!(Randomness::first_in(0, 2).map(|beacon| beacon.block), Some(1));
		assert_eq!(Randomness::first_in(0, 1), None);
	});
}
