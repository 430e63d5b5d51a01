//! Money on hold: between reasons, back to its owner, to the other side.
//!
//! What is owed is always on hold already, so these movements fail only where an account cannot take
//! a free balance (no account and less than the existential deposit). Then the receiver's escrow
//! takes it.

use crate::{Config, Error, Event, HoldReason, Pallet};
use cairn_primitives::Balance;
use frame_support::{
	ensure,
	storage::with_storage_layer,
	traits::{
		fungible::{InspectHold, MutateHold, UnbalancedHold},
		tokens::{Fortitude::Force, Precision, Restriction},
	},
};
use sp_runtime::{DispatchError, DispatchResult};

impl<T: Config> Pallet<T> {
	/// The escrow of `who`.
	pub(crate) fn escrow(who: &T::AccountId) -> Balance {
		T::Currency::balance_on_hold(&HoldReason::Escrow.into(), who)
	}

	/// Moves `amount` from the escrow of `who` to another hold, or fails with `too_low`.
	pub(crate) fn draw_escrow(
		who: &T::AccountId,
		amount: Balance,
		to: HoldReason,
		too_low: Error<T>,
	) -> DispatchResult {
		ensure!(Self::escrow(who) >= amount, too_low);
		Self::rehold(HoldReason::Escrow, to, who, amount)
	}

	/// Changes the reason of a hold.
	///
	/// Holds are raised before they are lowered, so that the account never looks as if it had none
	/// (it could be reaped) and the free balance, which may be frozen or below the existential
	/// deposit, is not involved. The currency's events are the same as for a release and a hold.
	pub(crate) fn rehold(
		from: HoldReason,
		to: HoldReason,
		who: &T::AccountId,
		amount: Balance,
	) -> DispatchResult {
		if amount == 0 {
			return Ok(());
		}
		let (from, to) = (from.into(), to.into());
		with_storage_layer(|| {
			T::Currency::increase_balance_on_hold(&to, who, amount, Precision::Exact)?;
			T::Currency::decrease_balance_on_hold(&from, who, amount, Precision::Exact)?;
			T::Currency::done_release(&from, who, amount);
			T::Currency::done_hold(&to, who, amount);
			Ok(())
		})
	}

	/// Returns held money to its owner: as free balance, else to its escrow.
	pub(crate) fn give_back(reason: HoldReason, who: &T::AccountId, amount: Balance) -> DispatchResult {
		if amount == 0 {
			return Ok(());
		}
		let released = with_storage_layer(|| -> Result<Balance, DispatchError> {
			T::Currency::release(&reason.into(), who, amount, Precision::Exact)
		});
		if released.is_ok() {
			return Ok(());
		}
		Self::rehold(reason, HoldReason::Escrow, who, amount)?;
		Self::deposit_event(Event::KeptInEscrow {
			who: who.clone(),
			amount,
		});
		Ok(())
	}

	/// Pays held money to `to` as free balance. Ignores freezes: the money is promised.
	pub(crate) fn pay(
		reason: HoldReason,
		from: &T::AccountId,
		to: &T::AccountId,
		amount: Balance,
	) -> DispatchResult {
		if amount == 0 {
			return Ok(());
		}
		with_storage_layer(|| {
			T::Currency::transfer_on_hold(
				&reason.into(),
				from,
				to,
				amount,
				Precision::Exact,
				Restriction::Free,
				Force,
			)
			.map(|_| ())
		})
	}

	/// Pays held money into the escrow of `to`. Fails only if `to` has no account at all.
	pub(crate) fn pay_into_escrow(
		reason: HoldReason,
		from: &T::AccountId,
		to: &T::AccountId,
		amount: Balance,
	) -> DispatchResult {
		if amount == 0 {
			return Ok(());
		}
		let (reason, escrow) = (reason.into(), HoldReason::Escrow.into());
		with_storage_layer(|| -> DispatchResult {
			T::Currency::increase_balance_on_hold(&escrow, to, amount, Precision::Exact)?;
			T::Currency::decrease_balance_on_hold(&reason, from, amount, Precision::Exact)?;
			Ok(())
		})?;
		Self::deposit_event(Event::KeptInEscrow {
			who: to.clone(),
			amount,
		});
		Ok(())
	}

	/// Takes `amount` of collateral from the provider and gives it to the client. What a client
	/// without an account cannot take burns. Returns what the client got and what burnt.
	pub(crate) fn compensate(
		provider: &T::AccountId,
		client: &T::AccountId,
		amount: Balance,
	) -> Result<(Balance, Balance), DispatchError> {
		let reason = HoldReason::DealCollateral;
		if Self::pay(reason, provider, client, amount).is_ok()
			|| Self::pay_into_escrow(reason, provider, client, amount).is_ok()
		{
			return Ok((amount, 0));
		}
		T::Currency::burn_held(&reason.into(), provider, amount, Precision::Exact, Force)?;
		Ok((0, amount))
	}
}
