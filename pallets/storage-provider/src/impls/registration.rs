//! Providers: registration, worker, contact, asks.

use crate::{pallet::*, types::*};
use cairn_pallet_traits::ProofVerifier;
use cairn_primitives::{draw, ProofTypeId, PIECE_MIN_SIZE};
use codec::Encode;
use frame_support::{
	pallet_prelude::*,
	traits::{fungible::MutateHold, tokens::Precision},
};

/// Most asks a provider can have: one per registered proof type.
const MAX_ASKS: u32 = 64;

impl<T: Config> Pallet<T> {
	/// Owner of the provider that `who` owns or works for.
	pub fn owner_of(who: &T::AccountId) -> Option<T::AccountId> {
		if Providers::<T>::contains_key(who) {
			Some(who.clone())
		} else {
			Workers::<T>::get(who)
		}
	}

	pub(crate) fn ensure_provider(
		who: &T::AccountId,
	) -> Result<(T::AccountId, ProviderRecord<T::AccountId>), Error<T>> {
		let owner = Self::owner_of(who).ok_or(Error::<T>::NotAProvider)?;
		let record = Providers::<T>::get(&owner).ok_or(Error::<T>::NotAProvider)?;
		Ok((owner, record))
	}

	pub(crate) fn register(
		owner: T::AccountId,
		worker: T::AccountId,
		beneficiary: T::AccountId,
		contact: ProviderContact,
	) -> DispatchResult {
		ensure!(
			!Providers::<T>::contains_key(&owner),
			Error::<T>::AlreadyRegistered
		);
		// Nobody can keep an account from becoming a provider by naming it as a worker.
		if let Some(employer) = Workers::<T>::take(&owner) {
			Providers::<T>::mutate_extant(&employer, |record| record.worker = employer.clone());
			Self::deposit_event(Event::WorkerSet {
				provider: employer.clone(),
				worker: employer,
			});
		}
		Self::ensure_worker_free(&owner, &worker)?;
		let parameters = Self::parameters()?;
		let bond = parameters.registration_bond;
		T::Currency::hold(&HoldReason::RegistrationBond.into(), &owner, bond)
			.map_err(|_| Error::<T>::InsufficientFunds)?;
		let now = Self::now();
		if worker != owner {
			Workers::<T>::insert(&worker, &owner);
		}
		let record = ProviderRecord {
			worker,
			beneficiary,
			contact,
			period_offset: Self::period_offset(&owner, parameters.proving_period),
			registered_at: now,
			live_sectors: 0,
			sectors: 0,
			pre_commits: 0,
			bond,
		};
		Providers::<T>::insert(&owner, record);
		Self::deposit_event(Event::ProviderRegistered { provider: owner });
		Ok(())
	}

	/// Spreads providers' periods. It need not be unpredictable: an owner gains nothing by choosing.
	fn period_offset(owner: &T::AccountId, period: u32) -> u32 {
		let hash = owner.using_encoded(|account| draw::blake2_256(&[b"cairn/period/v1\0", account]));
		u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]) % period.max(1)
	}

	fn ensure_worker_free(owner: &T::AccountId, worker: &T::AccountId) -> DispatchResult {
		if worker != owner {
			ensure!(!Workers::<T>::contains_key(worker), Error::<T>::WorkerTaken);
			ensure!(!Providers::<T>::contains_key(worker), Error::<T>::WorkerTaken);
		}
		Ok(())
	}

	pub(crate) fn update(
		who: T::AccountId,
		contact: Option<ProviderContact>,
		beneficiary: Option<T::AccountId>,
	) -> DispatchResult {
		let (owner, mut record) = Self::ensure_provider(&who)?;
		if let Some(beneficiary) = beneficiary {
			ensure!(who == owner, Error::<T>::NotOwner);
			record.beneficiary = beneficiary;
		}
		if let Some(contact) = contact {
			record.contact = contact;
		}
		Providers::<T>::insert(&owner, record);
		Self::deposit_event(Event::ProviderUpdated { provider: owner });
		Ok(())
	}

	pub(crate) fn replace_worker(owner: T::AccountId, worker: T::AccountId) -> DispatchResult {
		let mut record = Providers::<T>::get(&owner).ok_or(Error::<T>::NotOwner)?;
		if record.worker != worker {
			Self::ensure_worker_free(&owner, &worker)?;
			Workers::<T>::remove(&record.worker);
			if worker != owner {
				Workers::<T>::insert(&worker, &owner);
			}
			record.worker = worker.clone();
			Providers::<T>::insert(&owner, record);
		}
		Self::deposit_event(Event::WorkerSet {
			provider: owner,
			worker,
		});
		Ok(())
	}

	pub(crate) fn leave(owner: T::AccountId) -> DispatchResult {
		let record = Providers::<T>::get(&owner).ok_or(Error::<T>::NotOwner)?;
		ensure!(
			record.sectors == 0 && record.pre_commits == 0,
			Error::<T>::SectorsRemain
		);
		T::Currency::release(
			&HoldReason::RegistrationBond.into(),
			&owner,
			record.bond,
			Precision::BestEffort,
		)?;
		let parameters = Self::parameters()?;
		for deadline in 0..parameters.deadlines {
			// Without sectors there are no partitions; housekeeping may not have come to the last close.
			if let Some(close) = DeadlineHeads::<T>::take(&owner, deadline).close {
				DeadlineCloses::<T>::remove((close, &owner, deadline));
			}
		}
		let _ = Asks::<T>::clear_prefix(&owner, MAX_ASKS, None);
		Workers::<T>::remove(&record.worker);
		Providers::<T>::remove(&owner);
		Self::deposit_event(Event::ProviderDeregistered { provider: owner });
		Ok(())
	}

	pub(crate) fn publish_ask(
		who: T::AccountId,
		proof_type: ProofTypeId,
		ask: Option<Ask>,
	) -> DispatchResult {
		let (owner, _) = Self::ensure_provider(&who)?;
		match ask {
			Some(ask) => {
				let spec = T::Proofs::spec(proof_type).ok_or(Error::<T>::UnknownProofType)?;
				ensure!(
					T::Proofs::accepts_new_sectors(proof_type),
					Error::<T>::UnknownProofType
				);
				let Ask::V1 {
					min_piece_log2,
					max_piece_log2,
					min_duration,
					max_duration,
					..
				} = ask;
				let smallest = PIECE_MIN_SIZE.trailing_zeros() as u8;
				ensure!(
					(smallest..=max_piece_log2).contains(&min_piece_log2)
						&& max_piece_log2 <= spec.sector_size_log2
						&& min_duration <= max_duration,
					Error::<T>::InvalidAsk
				);
				Asks::<T>::insert(&owner, proof_type, ask);
			}
			None => Asks::<T>::remove(&owner, proof_type),
		}
		Self::deposit_event(Event::AskSet {
			provider: owner,
			proof_type,
			ask,
		});
		Ok(())
	}
}
