//! Declared faults and recoveries.

use crate::{pallet::*, types::*};
use cairn_primitives::SectorNumber;
use frame_support::pallet_prelude::*;

impl<T: Config> Pallet<T> {
	pub(crate) fn declare_faulty(
		who: T::AccountId,
		sectors: BoundedVec<SectorNumber, MaxDeclarations>,
	) -> DispatchResult {
		let now = Self::now();
		Self::declare(who, sectors, |owner, sector, record, partition, bit| {
			ensure!(partition.faulty & bit == 0, Error::<T>::AlreadyFaulty);
			partition.faulty |= bit;
			partition.undrawn |= bit;
			record.fault = Some(Fault {
				since: now,
				missed: None,
			});
			Self::deposit_event(Event::SectorFaulty {
				provider: owner.clone(),
				sector,
				reason: FaultReason::Declared,
			});
			Ok(())
		})
	}

	pub(crate) fn declare_recovered(
		who: T::AccountId,
		sectors: BoundedVec<SectorNumber, MaxDeclarations>,
	) -> DispatchResult {
		Self::declare(who, sectors, |owner, sector, _, partition, bit| {
			ensure!(
				partition.faulty & !partition.recovering & bit != 0,
				Error::<T>::NotFaulty
			);
			partition.recovering |= bit;
			Self::deposit_event(Event::SectorRecovering {
				provider: owner.clone(),
				sector,
			});
			Ok(())
		})
	}

	/// Applies `change` to live sectors whose challenge is not known yet.
	fn declare(
		who: T::AccountId,
		sectors: BoundedVec<SectorNumber, MaxDeclarations>,
		mut change: impl FnMut(
			&T::AccountId,
			SectorNumber,
			&mut SectorRecord,
			&mut Partition,
			u64,
		) -> DispatchResult,
	) -> DispatchResult {
		ensure!(!sectors.is_empty(), Error::<T>::EmptyBatch);
		let (owner, provider) = Self::ensure_provider(&who)?;
		let parameters = Self::parameters()?;
		let calendar = Self::calendar(&parameters, provider.period_offset);
		let now = Self::now();
		let open = calendar.at(now).deadline;
		for sector in sectors {
			let mut record = Sectors::<T>::get(&owner, sector).ok_or(Error::<T>::SectorNotLive)?;
			let location = record.location.ok_or(Error::<T>::SectorNotLive)?;
			ensure!(location.deadline != open, Error::<T>::ChallengeKnown);
			let key = (&owner, location.deadline, location.partition);
			let mut partition = Partitions::<T>::get(key).ok_or(Error::<T>::SectorNotLive)?;
			// The last close may have found the sector faulty or expired. Settling here would let one
			// call pay for the settling of as many partitions as it names sectors.
			let last_close = calendar.last_close(location.deadline, now);
			ensure!(partition.settled_close >= last_close, Error::<T>::Unsettled);
			change(&owner, sector, &mut record, &mut partition, 1 << location.slot)?;
			Partitions::<T>::insert(key, partition);
			Sectors::<T>::insert(&owner, sector, record);
		}
		Ok(())
	}
}
