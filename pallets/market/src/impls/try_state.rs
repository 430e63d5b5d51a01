//! Checks of the state's consistency, one per rule.

use crate::{
	types::{CalendarItem, DealState, UsedProposal},
	Calendar, CalendarCursor, Config, Deals, HoldReason, HotPieces, NextDealId, Pallet, Proposals,
	UsedProposals,
};
use alloc::collections::BTreeMap;
use cairn_primitives::{Balance, Tier};
use frame_support::{ensure, traits::fungible::InspectHold};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
	/// Runs every check.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::check_holds()?;
		Self::check_deals()?;
		Self::check_proposals()?;
		Self::check_hot_pieces()?;
		Self::check_calendar()
	}

	/// Holds are exactly what deals and proposals account for, in every account.
	fn check_holds() -> Result<(), TryRuntimeError> {
		let mut payments = BTreeMap::<T::AccountId, Balance>::new();
		let mut collateral = BTreeMap::<T::AccountId, Balance>::new();
		let mut deposits = BTreeMap::<T::AccountId, Balance>::new();
		for (_, deal) in Deals::<T>::iter() {
			let unpaid = deal.unpaid();
			*payments.entry(deal.client).or_default() += unpaid;
			*collateral.entry(deal.provider).or_default() += deal.provider_collateral;
		}
		for (_, pending) in Proposals::<T>::iter() {
			let total = pending
				.proposal
				.total_price()
				.ok_or("a proposal's price overflows")?;
			*payments.entry(pending.proposal.client.clone()).or_default() += total;
			*deposits.entry(pending.proposal.client).or_default() += pending.deposit;
		}
		let accounts = payments
			.keys()
			.chain(collateral.keys())
			.chain(deposits.keys())
			.cloned();
		for who in accounts.chain(frame_system::Account::<T>::iter_keys()) {
			for (reason, owed) in [
				(HoldReason::DealPayment, &payments),
				(HoldReason::DealCollateral, &collateral),
				(HoldReason::ProposalDeposit, &deposits),
			] {
				ensure!(
					T::Currency::balance_on_hold(&reason.into(), &who)
						== owed.get(&who).copied().unwrap_or(0),
					"a hold differs from what deals and proposals account for"
				);
			}
		}
		Ok(())
	}

	/// Deals have lower numbers than the next one, and each has its entry in the calendar.
	fn check_deals() -> Result<(), TryRuntimeError> {
		let next = NextDealId::<T>::get();
		for (id, deal) in Deals::<T>::iter() {
			ensure!(id < next, "a deal has a number that is not given out");
			match deal.state {
				DealState::Published { .. } => {
					ensure!(
						Calendar::<T>::contains_key(Self::expiry(deal.start_by), CalendarItem::StartBy(id)),
						"a published deal is not in the calendar"
					);
					ensure!(
						UsedProposals::<T>::get(deal.proposal_hash).map(|used| used.start_by)
							== Some(deal.start_by)
							|| Self::now() > deal.start_by,
						"a published deal's proposal can be used again"
					);
				}
				DealState::Active {
					activated_at,
					paid_blocks,
					settle_at,
					..
				} => {
					ensure!(
						Calendar::<T>::contains_key(settle_at, CalendarItem::FinalSettlement(id)),
						"an active deal is not in the calendar"
					);
					ensure!(activated_at <= deal.start_by, "a deal was activated too late");
					ensure!(
						paid_blocks <= deal.duration,
						"more blocks are paid for than the deal has"
					);
				}
			}
		}
		Ok(())
	}

	/// Waiting proposals are used up, and used ones have their entry in the calendar.
	fn check_proposals() -> Result<(), TryRuntimeError> {
		for (hash, pending) in Proposals::<T>::iter() {
			ensure!(
				Self::identify(&pending.proposal).1 == hash,
				"a proposal is stored under another hash"
			);
			ensure!(
				UsedProposals::<T>::get(hash).map(|used| used.start_by) == Some(pending.proposal.start_by),
				"a waiting proposal can be used again"
			);
		}
		for (hash, UsedProposal { start_by, .. }) in UsedProposals::<T>::iter() {
			ensure!(
				Calendar::<T>::contains_key(Self::expiry(start_by), CalendarItem::ProposalExpiry(hash)),
				"a used proposal is not in the calendar"
			);
		}
		Ok(())
	}

	/// The index of hot pieces holds exactly the hot deals.
	fn check_hot_pieces() -> Result<(), TryRuntimeError> {
		let hot = Deals::<T>::iter().filter(|(_, deal)| deal.tier == Tier::Hot);
		let mut deals = 0;
		for (id, deal) in hot {
			ensure!(
				HotPieces::<T>::get(&deal.provider, deal.piece.commitment) == Some(id),
				"a hot deal is not in the index of hot pieces"
			);
			deals += 1;
		}
		ensure!(
			HotPieces::<T>::iter().count() == deals,
			"the index of hot pieces names an ended deal"
		);
		Ok(())
	}

	/// Every item of the calendar lies ahead of the cursor and is expected by what it names.
	fn check_calendar() -> Result<(), TryRuntimeError> {
		let cursor = CalendarCursor::<T>::get();
		ensure!(
			cursor <= Self::now().saturating_add(1),
			"the calendar's cursor is ahead of the clock"
		);
		for (at, item, ()) in Calendar::<T>::iter() {
			ensure!(at >= cursor, "the calendar's cursor passed an item");
			let expected = match item {
				CalendarItem::ProposalExpiry(hash) => {
					UsedProposals::<T>::get(hash).map(|used| Self::expiry(used.start_by))
				}
				CalendarItem::StartBy(id) => Deals::<T>::get(id)
					.filter(|deal| matches!(deal.state, DealState::Published { .. }))
					.map(|deal| Self::expiry(deal.start_by)),
				CalendarItem::FinalSettlement(id) => Deals::<T>::get(id).and_then(|deal| match deal.state {
					DealState::Published { .. } => None,
					DealState::Active { settle_at, .. } => Some(settle_at),
				}),
			};
			ensure!(
				expected == Some(at),
				"an item of the calendar names what does not expect it"
			);
		}
		Ok(())
	}
}
