//! Composed reads behind the runtime API.

use crate::{pallet::*, runtime_api::DealView, types::*};
use alloc::vec::Vec;
use cairn_pallet_traits::Sectors as _;
use cairn_primitives::{deal::DealProposal, Balance, DealId};
use frame_support::traits::fungible::InspectHold;
use sp_core::H256;

/// Most entries of one page.
const MAX_PAGE: u32 = 256;

impl<T: Config> Pallet<T> {
	/// See [`crate::runtime_api`].
	pub fn view_deal(id: DealId) -> Option<DealView<T::AccountId>> {
		Deals::<T>::get(id).map(|deal| Self::deal_view(id, deal))
	}

	fn deal_view(id: DealId, deal: Deal<T::AccountId>) -> DealView<T::AccountId> {
		let ends = deal.end();
		let (proven_blocks, due) = match (&deal.state, ends) {
			(
				DealState::Active {
					sector, paid_blocks, ..
				},
				Some(ends),
			) => {
				let proven =
					T::Sectors::proven(&deal.provider, *sector, ends).map_or(0, |proven| proven.blocks);
				(proven, deal.price_of(proven.saturating_sub(*paid_blocks)))
			}
			_ => (0, 0),
		};
		DealView {
			id,
			deal,
			ends,
			proven_blocks,
			due,
		}
	}

	/// Reads deals by ascending number.
	pub fn view_deals_of(
		account: T::AccountId,
		after: Option<DealId>,
		limit: u32,
	) -> Vec<DealView<T::AccountId>> {
		let first = after.map_or(0, |after| after.saturating_add(1));
		(first..NextDealId::<T>::get())
			.filter_map(|id| Some((id, Deals::<T>::get(id)?)))
			.filter(|(_, deal)| deal.client == account || deal.provider == account)
			.take(limit.min(MAX_PAGE) as usize)
			.map(|(id, deal)| Self::deal_view(id, deal))
			.collect()
	}

	/// See [`crate::runtime_api`].
	pub fn view_proposal(hash: H256) -> Option<DealProposal<T::AccountId>> {
		Proposals::<T>::get(hash).map(|pending| pending.proposal)
	}

	/// See [`crate::runtime_api`].
	pub fn view_proposals_for(provider: T::AccountId, limit: u32) -> Vec<(H256, DealProposal<T::AccountId>)> {
		Proposals::<T>::iter()
			.filter(|(_, pending)| pending.proposal.provider == provider)
			.take(limit.min(MAX_PAGE) as usize)
			.map(|(hash, pending)| (hash, pending.proposal))
			.collect()
	}

	/// See [`crate::runtime_api`].
	pub fn view_deal_of_proposal(hash: H256) -> Option<DealId> {
		UsedProposals::<T>::get(hash)?.deal
	}

	/// See [`crate::runtime_api`].
	pub fn view_escrow(account: T::AccountId) -> Balance {
		T::Currency::balance_on_hold(&HoldReason::Escrow.into(), &account)
	}
}
