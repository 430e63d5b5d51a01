//! Invariants, each by name.

use crate::{pallet::*, Config};
use frame_support::{ensure, traits::Get};
use sp_runtime::{traits::BlockNumberProvider, TryRuntimeError};

impl<T: Config> Pallet<T> {
	/// Checks every invariant of this pallet's state.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::check_drips()
	}

	/// No drip lies in the future, and no block had more than its cap.
	fn check_drips() -> Result<(), TryRuntimeError> {
		let (block, drips) = DripsInBlock::<T>::get();
		ensure!(
			drips <= T::MaxPerBlock::get(),
			"more drips in a block than its cap"
		);
		let now = T::BlockNumberProvider::current_block_number();
		ensure!(block <= now, "drips counted in a block to come");
		let mut in_block = 0;
		for (_, last) in LastDrip::<T>::iter() {
			ensure!(last <= now, "a drip in a block to come");
			in_block += u32::from(last == block);
		}
		ensure!(in_block <= drips, "drips of a block are miscounted");
		Ok(())
	}
}
