//! Benchmarks of the call.

use crate::*;
use frame_benchmarking::{account, v2::*};
use frame_support::{
	pallet_prelude::{Authorize, TransactionSource},
	traits::{fungible::Inspect, Get},
};
use frame_system::RawOrigin;
use sp_runtime::traits::{BlockNumberProvider, One};

/// Moves the clock to where an account that had its last drip at block 1 may have another one.
fn after_an_interval<T: Config>(who: &T::AccountId) {
	LastDrip::<T>::insert(who, frame_system::pallet_prelude::BlockNumberFor::<T>::one());
	let now = T::Interval::get() + frame_system::pallet_prelude::BlockNumberFor::<T>::one();
	T::BlockNumberProvider::set_block_number(now);
	DripsInBlock::<T>::put((now, T::MaxPerBlock::get().saturating_sub(1)));
}

#[benchmarks]
mod benchmarks {
	use super::*;

	/// To a new account: it is created.
	#[benchmark]
	fn drip() {
		let who: T::AccountId = account("recipient", 0, 0);
		after_an_interval::<T>(&who);
		#[extrinsic_call]
		_(RawOrigin::Authorized, who.clone());
		assert_eq!(T::Currency::balance(&who), T::Amount::get());
	}

	#[benchmark]
	fn authorize_drip() -> Result<(), BenchmarkError> {
		let who: T::AccountId = account("recipient", 0, 0);
		after_an_interval::<T>(&who);
		let call = Call::<T>::drip { who };
		let decision;
		#[block]
		{
			decision = call.authorize(TransactionSource::External);
		}
		assert!(matches!(decision, Some(Ok(_))));
		Ok(())
	}

	impl_benchmark_test_suite!(Pallet, crate::tests::new_test_ext(), crate::tests::Test);
}
