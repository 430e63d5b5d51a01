//! Settlement: the provider is paid for what its sector proved, the client gets the rest back.
//!
//! A settlement looks at what is proven and what is paid, never at who asks or how often. The price
//! of the unpaid blocks stays on hold until it is paid or refunded.

use crate::{
	types::{CalendarItem, Deal, DealState, DueView, SkipReason},
	Config, Deals, Event, HoldReason, Pallet,
};
use cairn_pallet_traits::{Parameters, Sectors};
use cairn_primitives::{Balance, BlockNumber, DealId, SectorNumber};
use frame_support::{defensive, storage::with_storage_layer};
use sp_runtime::DispatchResult;

/// An active deal's progress.
struct Progress {
	sector: SectorNumber,
	paid_blocks: BlockNumber,
	/// Proven blocks, at least `paid_blocks`, at most the duration.
	proven_blocks: BlockNumber,
	is_final: bool,
	/// The sector is gone while the deal was active: it was terminated.
	lost: bool,
}

impl<T: Config> Pallet<T> {
	fn progress(deal: &Deal<T::AccountId>) -> Option<Progress> {
		let DealState::Active {
			sector,
			activated_at,
			paid_blocks,
			..
		} = deal.state
		else {
			return None;
		};
		let end = activated_at.saturating_add(deal.duration);
		let proven = T::Sectors::proven(&deal.provider, sector, end);
		Some(Progress {
			sector,
			paid_blocks,
			proven_blocks: proven
				.map_or(0, |proven| proven.blocks)
				.min(deal.duration)
				.max(paid_blocks),
			is_final: proven.is_none_or(|proven| proven.is_final),
			lost: proven.is_none(),
		})
	}

	/// What a settlement would do now.
	pub(crate) fn due_of(deal: &Deal<T::AccountId>) -> DueView {
		let (due, is_final) = match Self::progress(deal) {
			Some(progress) => (
				deal.price_of(progress.proven_blocks - progress.paid_blocks),
				progress.is_final,
			),
			None => (0, Self::now() > deal.start_by),
		};
		DueView {
			due,
			unpaid: deal.unpaid(),
			is_final,
		}
	}

	/// Settles a deal as far as it goes.
	pub(crate) fn settle(id: DealId) -> Result<(), SkipReason> {
		let deal = Deals::<T>::get(id).ok_or(SkipReason::NotFound)?;
		let Some(progress) = Self::progress(&deal) else {
			if Self::now() <= deal.start_by {
				return Err(SkipReason::NotActive);
			}
			return with_storage_layer(|| Self::end_unstarted(id, &deal)).map_err(|error| {
				defensive!("an unstarted deal's holds cannot be returned", error);
				SkipReason::Unpayable
			});
		};
		let due = deal.price_of(progress.proven_blocks - progress.paid_blocks);
		if due == 0 && !progress.is_final {
			return Err(SkipReason::NothingDue);
		}
		with_storage_layer(|| {
			if progress.is_final {
				Self::settle_finally(id, &deal, &progress, due)
			} else {
				Self::settle_partly(id, deal, &progress, due)
			}
		})
		.map_err(|_| SkipReason::Unpayable)
	}

	fn settle_partly(
		id: DealId,
		mut deal: Deal<T::AccountId>,
		progress: &Progress,
		due: Balance,
	) -> DispatchResult {
		let to = T::Sectors::beneficiary(&deal.provider).unwrap_or_else(|| deal.provider.clone());
		Self::pay(HoldReason::DealPayment, &deal.client, &to, due)?;
		if let DealState::Active { paid_blocks, .. } = &mut deal.state {
			*paid_blocks = progress.proven_blocks;
		}
		Deals::<T>::insert(id, deal);
		Self::deposit_event(Event::PaymentSettled {
			deal: id,
			to,
			amount: due,
			paid_blocks: progress.proven_blocks,
		});
		Ok(())
	}

	fn settle_finally(
		id: DealId,
		deal: &Deal<T::AccountId>,
		progress: &Progress,
		due: Balance,
	) -> DispatchResult {
		let paid_blocks = progress.proven_blocks;
		if due > 0 {
			let to = Self::pay_provider(deal, due)?;
			Self::deposit_event(Event::PaymentSettled {
				deal: id,
				to,
				amount: due,
				paid_blocks,
			});
		}
		let refund = deal.unpaid().saturating_sub(due);
		Self::give_back(HoldReason::DealPayment, &deal.client, refund)?;
		if progress.lost {
			let (compensation, burnt) =
				Self::compensate(&deal.provider, &deal.client, deal.provider_collateral)?;
			Self::deposit_event(Event::DealTerminated {
				deal: id,
				paid_blocks,
				refund,
				compensation,
				burnt,
			});
		} else {
			Self::give_back(
				HoldReason::DealCollateral,
				&deal.provider,
				deal.provider_collateral,
			)?;
			Self::deposit_event(Event::DealEnded {
				deal: id,
				paid_blocks,
				refund,
			});
		}
		Self::remove_deal(id, deal);
		if !progress.lost {
			T::Sectors::deal_closed(&deal.provider, progress.sector);
		}
		Ok(())
	}

	/// Pays the last amount: to the beneficiary, else to the owner's escrow, so that an account which
	/// cannot take it does not keep the deal and the client's refund open.
	fn pay_provider(
		deal: &Deal<T::AccountId>,
		due: Balance,
	) -> Result<T::AccountId, sp_runtime::DispatchError> {
		let reason = HoldReason::DealPayment;
		if let Some(beneficiary) = T::Sectors::beneficiary(&deal.provider) {
			if Self::pay(reason, &deal.client, &beneficiary, due).is_ok() {
				return Ok(beneficiary);
			}
		}
		if Self::pay(reason, &deal.client, &deal.provider, due).is_err() {
			Self::pay_into_escrow(reason, &deal.client, &deal.provider, due)?;
		}
		Ok(deal.provider.clone())
	}

	/// A deal that was not activated in time: everything to the client.
	fn end_unstarted(id: DealId, deal: &Deal<T::AccountId>) -> DispatchResult {
		let refund = deal.unpaid();
		Self::give_back(HoldReason::DealPayment, &deal.client, refund)?;
		let (compensation, burnt) = Self::compensate(&deal.provider, &deal.client, deal.provider_collateral)?;
		Self::remove_deal(id, deal);
		Self::deposit_event(Event::DealNotStarted {
			deal: id,
			refund,
			compensation,
			burnt,
		});
		Ok(())
	}

	/// The calendar's part of a deal: settles it and, if it is not over, plans the next attempt.
	pub(crate) fn settle_scheduled(id: DealId) {
		// What is skipped stays on hold and is tried again below.
		let _ = Self::settle(id);
		Deals::<T>::mutate_extant(id, |deal| {
			let Some(end) = deal.end() else { return };
			let DealState::Active {
				sector, settle_at, ..
			} = &mut deal.state
			else {
				return;
			};
			let now = Self::now();
			let at = T::Sectors::final_at(&deal.provider, *sector, end)
				.filter(|at| *at > now)
				.unwrap_or_else(|| now.saturating_add(T::Parameters::get().proving_period.max(1)));
			*settle_at = Self::schedule(at, CalendarItem::FinalSettlement(id));
		});
	}

	/// Settles each deal, with an event for each one for which there was nothing to do.
	pub(crate) fn settle_each(deals: impl IntoIterator<Item = DealId>) {
		for deal in deals {
			if let Err(reason) = Self::settle(deal) {
				Self::deposit_event(Event::SettlementSkipped { deal, reason });
			}
		}
	}
}
