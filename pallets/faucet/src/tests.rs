//! Who gets how much how often.

use crate::*;
use frame_support::{
	assert_noop, assert_ok, derive_impl,
	pallet_prelude::{Authorize, InvalidTransaction, TransactionSource},
	parameter_types,
	traits::ConstU32,
};
use sp_runtime::BuildStorage;

#[frame_support::runtime]
mod runtime {
	#[runtime::runtime]
	#[runtime::derive(
		RuntimeCall,
		RuntimeEvent,
		RuntimeError,
		RuntimeOrigin,
		RuntimeFreezeReason,
		RuntimeHoldReason,
		RuntimeTask
	)]
	pub struct Test;

	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type Balances = pallet_balances;
	#[runtime::pallet_index(2)]
	pub type Faucet = crate;
}

type Block = frame_system::mocking::MockBlockU32<Test>;

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = Block;
	type AccountData = pallet_balances::AccountData<u64>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type AccountStore = System;
}

parameter_types! {
	pub const Interval: u32 = 10;
}

impl Config for Test {
	type Currency = Balances;
	type BlockNumberProvider = System;
	type Amount = frame_support::traits::ConstU64<1_000>;
	type Interval = Interval;
	type MaxPerBlock = ConstU32<2>;
	type WeightInfo = ();
}

pub fn new_test_ext() -> sp_io::TestExternalities {
	let storage = frame_system::GenesisConfig::<Test>::default()
		.build_storage()
		.expect("valid genesis");
	let mut externalities = sp_io::TestExternalities::from(storage);
	externalities.execute_with(|| System::set_block_number(1));
	externalities
}

fn run(test: impl FnOnce()) {
	new_test_ext().execute_with(|| {
		test();
		assert_ok!(Faucet::do_try_state());
	});
}

fn authorized() -> RuntimeOrigin {
	frame_system::RawOrigin::Authorized.into()
}

#[test]
fn drips_once_per_interval() {
	run(|| {
		assert_ok!(Faucet::drip(authorized(), 7));
		assert_eq!(Balances::free_balance(7), 1_000);
		assert_noop!(Faucet::drip(RuntimeOrigin::signed(7), 7), Error::<Test>::TooSoon);
		System::set_block_number(11);
		assert_ok!(Faucet::drip(RuntimeOrigin::signed(7), 7));
		assert_eq!(Balances::free_balance(7), 2_000);
	});
}

#[test]
fn a_block_has_a_cap() {
	run(|| {
		assert_ok!(Faucet::drip(authorized(), 1));
		assert_ok!(Faucet::drip(authorized(), 2));
		assert_noop!(Faucet::drip(authorized(), 3), Error::<Test>::BlockExhausted);
		System::set_block_number(2);
		assert_ok!(Faucet::drip(authorized(), 3));
	});
}

#[test]
fn nobody_else_may_call() {
	run(|| {
		assert_noop!(
			Faucet::drip(RuntimeOrigin::none(), 1),
			sp_runtime::DispatchError::BadOrigin
		);
	});
}

#[test]
fn the_pool_refuses_what_the_call_would() {
	run(|| {
		let call = Call::<Test>::drip { who: 1 };
		let (validity, _) = call
			.authorize(TransactionSource::External)
			.expect("authorised")
			.expect("due");
		assert_eq!(validity.provides.len(), 1);
		assert_ok!(Faucet::drip(authorized(), 1));
		let refused = call.authorize(TransactionSource::External).expect("authorised");
		assert_eq!(refused.map(|_| ()), Err(InvalidTransaction::Stale.into()));
	});
}
