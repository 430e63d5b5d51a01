//! Benchmark of the beacon.

use crate::*;
use cairn_pallet_traits::Parameters;
use frame_benchmarking::v2::*;
use sp_runtime::traits::BlockNumberProvider;

#[benchmarks]
mod benchmarks {
	use super::*;

	/// At a ticket block, with a strong beacon: every ring is written.
	#[benchmark]
	fn advance() {
		let block = 3 * T::Parameters::get().ticket_interval.max(1);
		T::BlockNumberProvider::set_block_number(block - 1);
		Pallet::<T>::advance(Some([1; 32]), true, 1);
		T::BlockNumberProvider::set_block_number(block);
		#[block]
		{
			Pallet::<T>::advance(Some([2; 32]), true, 2);
		}
		assert_eq!(
			Latest::<T>::get().map(|entry| (entry.block, entry.strong_before)),
			Some((block, 1))
		);
		assert_eq!(Strong::<T>::iter().count(), 2);
	}

	impl_benchmark_test_suite!(Pallet, crate::tests::new_test_ext(), crate::tests::Test);
}
