//! What the market reads.

use crate::pallet::*;
use cairn_pallet_traits::{Parameters, ProvenDeal, Sectors as SectorsTrait};
use cairn_primitives::{BlockNumber, SectorNumber};

impl<T: Config> SectorsTrait<T::AccountId> for Pallet<T> {
	fn provider_of(who: &T::AccountId) -> Option<T::AccountId> {
		Self::owner_of(who)
	}

	fn is_provider(who: &T::AccountId) -> bool {
		Providers::<T>::contains_key(who)
	}

	fn beneficiary(provider: &T::AccountId) -> Option<T::AccountId> {
		Providers::<T>::get(provider).map(|record| record.beneficiary)
	}

	fn proven(provider: &T::AccountId, sector: SectorNumber, until: BlockNumber) -> Option<ProvenDeal> {
		let period = <Self as Parameters>::get().proving_period;
		let proven = Sectors::<T>::get(provider, sector)?.proven;
		Some(ProvenDeal {
			blocks: proven.proven_at(until, period),
			is_final: Self::now() >= proven.decided_at(until, period),
		})
	}

	fn final_at(provider: &T::AccountId, sector: SectorNumber, until: BlockNumber) -> Option<BlockNumber> {
		let period = <Self as Parameters>::get().proving_period;
		Some(
			Sectors::<T>::get(provider, sector)?
				.proven
				.decided_at(until, period),
		)
	}

	fn deal_closed(provider: &T::AccountId, sector: SectorNumber) {
		let Some(mut record) = Sectors::<T>::get(provider, sector) else {
			return;
		};
		record.open_deals = record.open_deals.saturating_sub(1);
		if record.open_deals == 0 && record.location.is_none() {
			Self::forget_sector(provider, sector);
		} else {
			Sectors::<T>::insert(provider, sector, record);
		}
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn register_for_benchmark(who: &T::AccountId) {
		crate::benchmarking::register_provider::<T>(who);
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn add_proven_sector_for_benchmark(
		provider: &T::AccountId,
		sector: SectorNumber,
		deals: u32,
		activated_at: BlockNumber,
		until: BlockNumber,
	) {
		crate::benchmarking::add_proven_sector::<T>(provider, sector, deals, activated_at, until);
	}
}
