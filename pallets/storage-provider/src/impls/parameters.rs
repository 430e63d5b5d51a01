//! Protocol parameters and the clock.

use crate::{deadline::Calendar, pallet::*};
use cairn_pallet_traits::Beacons;
use cairn_primitives::{
	challenge,
	params::ProtocolParameters,
	proof_type::MAX_SECTOR_SIZE_LOG2,
	sealed,
	sector::{MAX_WINDOW_PROOF, SECTORS_PER_PARTITION},
	BlockNumber, Commitment, ProofSpec, Tier,
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
		parameters
			.validate()
			.map_err(|_| "the parameters contradict each other")?;
		if !(2..=MAX_DEADLINES).contains(&parameters.deadlines) {
			return Err(
				"two deadlines at least, one to put new sectors into while the other is open, and \
				not too many",
			);
		}
		if parameters.pre_commit_delay == 0 {
			return Err("a seed must be drawn after its pre-commit");
		}
		if parameters
			.prove_commit_window
			.saturating_add(parameters.proving_period)
			> T::Beacons::reach()
		{
			return Err("beacons must be remembered for a prove-commit window and a proving period");
		}
		let largest = ProofSpec {
			tier: Tier::Sealed,
			version: 1,
			sector_size_log2: MAX_SECTOR_SIZE_LOG2,
			layers: 1,
			activation_challenges: 1,
		};
		let sector = sealed::window_len(&largest, parameters.window_challenges.into()) as u64;
		if sector.saturating_mul(SECTORS_PER_PARTITION.into()) > MAX_WINDOW_PROOF.into() {
			return Err("a full partition's proof must fit one call");
		}
		Ok(())
	}

	pub(crate) fn replace_parameters(parameters: ProtocolParameters) -> DispatchResult {
		Self::check_parameters(&parameters).map_err(|_| Error::<T>::InvalidParameters)?;
		let current = Self::parameters()?;
		let same_calendar =
			current.proving_period == parameters.proving_period && current.deadlines == parameters.deadlines;
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
