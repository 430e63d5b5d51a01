//! Protocol parameters and the clock.

use crate::{deadline::Calendar, pallet::*};
use cairn_primitives::{
	challenge, params::ProtocolParameters, BlockNumber, Commitment,
};
use codec::Encode;
use frame_support::pallet_prelude::*;
use sp_runtime::traits::BlockNumberProvider;

impl<T: Config> Pallet<T> {
	/// The current block.
	pub fn now() -> BlockNumber {
		T::BlockNumberProvider::current_block_number()
	}

	/// Parameters in force.
	pub fn parameters() -> Result<ProtocolParameters, Error<T>> {
		Parameters::<T>::get().ok_or(Error::<T>::ParametersMissing)
	}

	/// Identity of a provider in hashes.
	pub fn prover_id(owner: &T::AccountId) -> Commitment {
		owner.using_encoded(challenge::prover_id)
	}

	/// Calendar of a provider with the given offset.
	pub(crate) fn calendar(parameters: &ProtocolParameters, offset: BlockNumber) -> Calendar {
		Calendar::new(parameters, offset)
	}

	/// Checks parameters by themselves and against this pallet's bounds.
	pub(crate) fn check_parameters(parameters: &ProtocolParameters) -> Result<(), &'static str> {
		parameters.validate().map_err(|_| "the parameters contradict each other")?;
		if parameters.deadlines > MAX_DEADLINES {
			return Err("too many deadlines");
		}
		Ok(())
	}

	pub(crate) fn replace_parameters(parameters: ProtocolParameters) -> DispatchResult {
		Self::check_parameters(&parameters).map_err(|_| Error::<T>::InvalidParameters)?;
		let current = Self::parameters()?;
		let same_calendar = current.proving_period == parameters.proving_period &&
			current.deadlines == parameters.deadlines;
		ensure!(
			same_calendar || Providers::<T>::iter_keys().next().is_none(),
			Error::<T>::InvalidParameters
		);
		Parameters::<T>::put(parameters);
		Self::deposit_event(Event::ParametersSet { parameters });
		Ok(())
	}
}

impl<T: Config> cairn_pallet_traits::Parameters for Pallet<T> {
	fn get() -> ProtocolParameters {
		Parameters::<T>::get().unwrap_or(ProtocolParameters::development())
	}
}
