//! The chain of beacons and its rings.

use crate::*;
use cairn_pallet_traits::{Beacons, Parameters};
use cairn_primitives::{draw, params::ProtocolParameters};
use frame_support::{derive_impl, parameter_types, traits::ConstU32};
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

struct TestParameters;
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
}

fn run(test: impl FnOnce()) {
	ACCEPT_WEAK.set(false);
	let storage = frame_system::GenesisConfig::<Test>::default().build_storage().expect("valid genesis");
	sp_io::TestExternalities::from(storage).execute_with(test);
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
		assert_eq!(Randomness::first_in(2, 3).map(|beacon| beacon.value), Some(second));
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
		assert_eq!(Randomness::first_in(1, 4), None);
		assert_eq!(Randomness::first_in(1, 6).map(|beacon| beacon.block), Some(5));
		assert_eq!(Ring::<Test>::iter().count(), 16);
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
