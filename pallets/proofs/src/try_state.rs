//! Invariants, each by name.

use crate::{pallet::*, Config};
use frame_support::ensure;
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
	/// Checks every invariant of this pallet's state.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::check_specs()
	}

	/// Verification takes every registered type to be valid: a sector may carry it.
	fn check_specs() -> Result<(), TryRuntimeError> {
		for (_, entry) in ProofTypes::<T>::iter() {
			ensure!(entry.spec.is_valid(), "a registered proof type is out of bounds");
		}
		Ok(())
	}
}
