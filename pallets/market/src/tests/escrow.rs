//! Escrow: `add_balance` and `withdraw_balance`.

use super::mock::*;
use crate::{Call, Error, Event, HoldReason};
use frame_support::assert_noop;
use sp_runtime::TokenError;

#[test]
fn escrow_is_held_in_the_account() {
	bare_ext().execute_with(|| {
		ok(&client(), Call::add_balance { amount: 3 * UNIT });
		assert_eq!(
			last_event(),
			Event::BalanceAdded {
				who: client(),
				amount: 3 * UNIT
			}
		);
		ok(&client(), Call::add_balance { amount: 2 * UNIT });
		assert_eq!(escrow(&client()), 5 * UNIT);
		assert_eq!(Market::escrow_of(client()), 5 * UNIT);
		assert_eq!(free(&client()), ENDOWMENT - 5 * UNIT);

		ok(&client(), Call::withdraw_balance { amount: 4 * UNIT });
		assert_eq!(
			last_event(),
			Event::BalanceWithdrawn {
				who: client(),
				amount: 4 * UNIT
			}
		);
		assert_eq!(escrow(&client()), UNIT);
		assert_eq!(free(&client()), ENDOWMENT - UNIT);

		ok(&client(), Call::withdraw_balance { amount: UNIT });
		assert_eq!(total(&client()), ENDOWMENT);
		assert_eq!(Balances::reserved_balance(client()), 0);
	});
}

#[test]
fn amounts_are_checked() {
	bare_ext().execute_with(|| {
		refused(
			&client(),
			Call::add_balance { amount: 0 },
			Error::<Test>::ZeroAmount,
		);
		refused(
			&client(),
			Call::withdraw_balance { amount: 0 },
			Error::<Test>::ZeroAmount,
		);
		refused(
			&client(),
			Call::withdraw_balance { amount: 1 },
			Error::<Test>::EscrowTooLow,
		);
		refused(
			&client(),
			Call::add_balance { amount: u128::MAX },
			TokenError::FundsUnavailable,
		);
		ok(&client(), Call::add_balance { amount: UNIT });
		refused(
			&client(),
			Call::withdraw_balance { amount: UNIT + 1 },
			Error::<Test>::EscrowTooLow,
		);
		refused(
			&nobody(),
			Call::add_balance { amount: 1 },
			TokenError::FundsUnavailable,
		);
		assert_noop!(
			Market::add_balance(RuntimeOrigin::none(), 1),
			sp_runtime::traits::BadOrigin
		);
	});
}

/// Scenario 40: at the existential deposit's edge. The account stays alive, whatever is held.
#[test]
fn escrow_leaves_the_existential_deposit() {
	bare_ext().execute_with(|| {
		refused(
			&client(),
			Call::add_balance { amount: ENDOWMENT },
			TokenError::FundsUnavailable,
		);
		refused(
			&client(),
			Call::add_balance {
				amount: ENDOWMENT - EXISTENTIAL_DEPOSIT + 1,
			},
			TokenError::FundsUnavailable,
		);
		ok(
			&client(),
			Call::add_balance {
				amount: ENDOWMENT - EXISTENTIAL_DEPOSIT,
			},
		);
		assert_eq!(free(&client()), EXISTENTIAL_DEPOSIT);
		// What keeps the account alive cannot be sent away while something is on hold.
		assert!(Balances::transfer_allow_death(RuntimeOrigin::signed(client()), stranger(), 1).is_err());
		ok(&client(), Call::withdraw_balance { amount: 1 });
		assert_eq!(free(&client()), EXISTENTIAL_DEPOSIT + 1);
	});
}

/// Scenario 40: what deals have drawn cannot be withdrawn.
#[test]
fn drawn_money_cannot_be_withdrawn() {
	test(|| {
		published(proposal(1));
		assert_eq!(escrow(&client()), 100 * UNIT - TOTAL);
		assert_eq!(held(HoldReason::DealPayment, &client()), TOTAL);
		refused(
			&client(),
			Call::withdraw_balance { amount: 100 * UNIT },
			Error::<Test>::EscrowTooLow,
		);
		refused(
			&provider(),
			Call::withdraw_balance {
				amount: 100 * UNIT - COLLATERAL + 1,
			},
			Error::<Test>::EscrowTooLow,
		);
		ok(
			&client(),
			Call::withdraw_balance {
				amount: 100 * UNIT - TOTAL,
			},
		);
		ok(
			&provider(),
			Call::withdraw_balance {
				amount: 100 * UNIT - COLLATERAL,
			},
		);
		assert_eq!(held(HoldReason::DealPayment, &client()), TOTAL);
		assert_eq!(held(HoldReason::DealCollateral, &provider()), COLLATERAL);
	});
}
