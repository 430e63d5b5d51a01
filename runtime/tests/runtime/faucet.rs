//! Free funds, by transactions.

use crate::{chain::*, transactions::*};
use cairn_runtime::{AccountId, FaucetAmount, FaucetInterval, Runtime};
use frame_support::assert_ok;
use pallet_faucet::{Call, Error};
use sp_keyring::Sr25519Keyring::Eve;
use sp_runtime::transaction_validity::InvalidTransaction;

fn pauper(i: u8) -> AccountId {
	AccountId::new([i; 32])
}

fn drip(who: &AccountId) -> Call<Runtime> {
	Call::drip { who: who.clone() }
}

#[test]
fn an_empty_account_gets_its_first_funds_without_a_fee() {
	test(|| {
		let who = pauper(1);
		let issued = issuance();
		let validity = validate(general(drip(&who))).expect("authorised");
		assert_eq!(validity.provides.len(), 1);
		assert!(validity.propagate);
		assert_eq!(submit(general(drip(&who))), Ok(Ok(())));
		assert_eq!(free(&who), FaucetAmount::get());
		assert_eq!(issuance(), issued + FaucetAmount::get());
		assert_eq!(fees_of(&who, &events()), 0);

		// The same bytes do nothing until the interval is over: neither in the pool nor in a block.
		assert_eq!(
			validate(general(drip(&who))),
			Err(InvalidTransaction::Stale.into())
		);
		assert_eq!(submit(general(drip(&who))), Err(InvalidTransaction::Stale.into()));
		let again = now() + FaucetInterval::get();
		run_to(again - 1);
		assert_eq!(submit(general(drip(&who))), Err(InvalidTransaction::Stale.into()));
		// The pool judges for the next block.
		assert_ok!(validate(general(drip(&who))));
		next_block();
		assert_eq!(submit(general(drip(&who))), Ok(Ok(())));
		assert_eq!(free(&who), 2 * FaucetAmount::get());
	});
}

#[test]
fn a_signer_pays_for_a_drip_to_anyone() {
	test(|| {
		let (who, eve) = (pauper(1), account(Eve));
		let before = free(&eve);
		send(Eve, drip(&who));
		assert_eq!(free(&who), FaucetAmount::get());
		let fee = fees_of(&eve, &events());
		assert!(fee > 0);
		assert_eq!(free(&eve), before - fee);
		send_failing(Eve, drip(&who), Error::<Runtime>::TooSoon);
	});
}

#[test]
fn a_block_has_sixteen_drips() {
	test(|| {
		for i in 0..16 {
			assert_eq!(submit(general(drip(&pauper(i)))), Ok(Ok(())));
		}
		let late = general(drip(&pauper(16)));
		assert_eq!(
			submit(late.clone()),
			Err(InvalidTransaction::ExhaustsResources.into())
		);
		send_failing(Eve, drip(&pauper(16)), Error::<Runtime>::BlockExhausted);
		// It waits in the pool for the next block.
		assert_ok!(validate(late.clone()));
		next_block();
		assert_eq!(submit(late), Ok(Ok(())));
	});
}
