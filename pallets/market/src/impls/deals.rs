//! Deals and their sectors: binding at pre-commit, activation when the sector is proven.

use crate::{
	types::{CalendarItem, Deal, DealState},
	Config, Deals, Error, Event, HotPieces, Pallet, WeightInfo,
};
use alloc::vec::Vec;
use cairn_pallet_traits::{CommittedDeal, Deals as DealsOfSectors, Sectors};
use cairn_primitives::{BlockNumber, DealId, SectorNumber, Tier};
use frame_support::{ensure, storage::with_storage_layer, weights::Weight};
use sp_runtime::DispatchError;

impl<T: Config> Pallet<T> {
	/// Forgets a deal whose money is settled.
	pub(crate) fn remove_deal(id: DealId, deal: &Deal<T::AccountId>) {
		Deals::<T>::remove(id);
		if deal.tier == Tier::Hot {
			HotPieces::<T>::remove(&deal.provider, deal.piece.commitment);
		}
		match deal.state {
			DealState::Published { .. } => {
				Self::unschedule(Self::expiry(deal.start_by), CalendarItem::StartBy(id))
			}
			DealState::Active { settle_at, .. } => {
				Self::unschedule(settle_at, CalendarItem::FinalSettlement(id))
			}
		}
	}

	fn bind_one(
		provider: &T::AccountId,
		sector: SectorNumber,
		tier: Tier,
		prove_from: BlockNumber,
		id: DealId,
	) -> Result<CommittedDeal, Error<T>> {
		let mut deal = Deals::<T>::get(id).ok_or(Error::<T>::DealNotFound)?;
		ensure!(deal.provider == *provider, Error::<T>::WrongProvider);
		match deal.state {
			DealState::Published { sector: None } => (),
			// Named twice, or in another sector.
			DealState::Published { sector: Some(_) } => return Err(Error::<T>::DealBound),
			DealState::Active { .. } => return Err(Error::<T>::DealActive),
		}
		ensure!(deal.tier == tier, Error::<T>::WrongTier);
		ensure!(deal.start_by >= prove_from, Error::<T>::StartTooSoon);
		deal.state = DealState::Published { sector: Some(sector) };
		let committed = CommittedDeal {
			piece: deal.piece,
			duration: deal.duration,
		};
		Deals::<T>::insert(id, deal);
		Ok(committed)
	}

	fn activate_one(
		provider: &T::AccountId,
		sector: SectorNumber,
		id: DealId,
		at: BlockNumber,
	) -> Result<bool, Error<T>> {
		let Some(mut deal) = Deals::<T>::get(id) else {
			// It was bound, so it existed: its time to start passed and the calendar ended it.
			return Ok(false);
		};
		ensure!(deal.provider == *provider, Error::<T>::WrongProvider);
		ensure!(
			deal.state == DealState::Published { sector: Some(sector) },
			Error::<T>::DealNotBound
		);
		if at > deal.start_by {
			// The calendar has not come to it yet. It cannot start either way.
			return Ok(false);
		}
		Self::unschedule(Self::expiry(deal.start_by), CalendarItem::StartBy(id));
		let end = at.saturating_add(deal.duration);
		// A sector that is stored only after its deals are activated has no answer yet. Then the
		// calendar asks again at the end.
		let final_at = T::Sectors::final_at(provider, sector, end)
			.unwrap_or(end)
			.max(end);
		let settle_at = Self::schedule(final_at, CalendarItem::FinalSettlement(id));
		deal.state = DealState::Active {
			sector,
			activated_at: at,
			paid_blocks: 0,
			settle_at,
		};
		Deals::<T>::insert(id, deal);
		Self::deposit_event(Event::DealActivated {
			deal: id,
			provider: provider.clone(),
			sector,
			activated_at: at,
			end,
		});
		Ok(true)
	}
}

impl<T: Config> DealsOfSectors<T::AccountId> for Pallet<T> {
	fn bind(
		provider: &T::AccountId,
		sector: SectorNumber,
		tier: Tier,
		prove_from: BlockNumber,
		deals: &[DealId],
	) -> Result<Vec<CommittedDeal>, DispatchError> {
		with_storage_layer(|| {
			deals
				.iter()
				.map(|id| Self::bind_one(provider, sector, tier, prove_from, *id).map_err(Into::into))
				.collect()
		})
	}

	fn unbind(provider: &T::AccountId, deals: &[DealId]) {
		for id in deals {
			Deals::<T>::mutate_extant(id, |deal| {
				if deal.provider == *provider && matches!(deal.state, DealState::Published { .. }) {
					deal.state = DealState::Published { sector: None };
				}
			});
		}
	}

	fn activate(
		provider: &T::AccountId,
		sector: SectorNumber,
		deals: &[DealId],
		at: BlockNumber,
	) -> Result<Vec<bool>, DispatchError> {
		with_storage_layer(|| {
			deals
				.iter()
				.map(|id| Self::activate_one(provider, sector, *id, at).map_err(Into::into))
				.collect()
		})
	}

	fn bind_weight(deals: u32) -> Weight {
		<T as Config>::WeightInfo::bind(deals)
	}

	fn unbind_weight(deals: u32) -> Weight {
		<T as Config>::WeightInfo::unbind(deals)
	}

	fn activate_weight(deals: u32) -> Weight {
		<T as Config>::WeightInfo::activate(deals)
	}
}
