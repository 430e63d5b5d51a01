//! Settlement: what is paid, to whom, when, and that nothing is lost or paid twice (scenarios 40 and
//! 41).

use super::mock::*;
use crate::{
	types::{DealState, DueView, SkipReason},
	Deals, Event, HoldReason,
};
use cairn_primitives::{deal::DealProposal, DealId};

fn prove(closes: &[u32]) {
	for close in closes {
		ScriptedSectors::prove(&provider(), SECTOR, *close);
	}
}

fn skipped(deal: DealId, reason: SkipReason) -> Event<Test> {
	Event::SettlementSkipped { deal, reason }
}

/// An active deal: blocks 1 to 101, closes at 21, 41, 61, 81, 101.
fn active_deal(proposal: DealProposal<AccountId>) -> DealId {
	let deal = published(proposal);
	activate(&[deal], SECTOR);
	deal
}

#[test]
fn payment_follows_the_proofs() {
	test(|| {
		let deal = active_deal(proposal(1));
		ok(&stranger(), settle(&[deal]));
		assert_eq!(last_event(), skipped(deal, SkipReason::NothingDue));
		prove(&[21]);
		assert_eq!(
			Market::due(deal),
			Some(DueView {
				due: 20 * PRICE,
				unpaid: TOTAL,
				is_final: false
			})
		);
		ok(&stranger(), settle(&[deal]));
		assert_eq!(
			last_event(),
			Event::PaymentSettled {
				deal,
				to: beneficiary(),
				amount: 20 * PRICE,
				paid_blocks: 20
			}
		);
		assert_eq!(free(&beneficiary()), ENDOWMENT + 20 * PRICE);
		assert_eq!(held(HoldReason::DealPayment, &client()), 80 * PRICE);
		// 41 is missed.
		prove(&[61]);
		ok(&stranger(), settle(&[deal]));
		assert_eq!(free(&beneficiary()), ENDOWMENT + 40 * PRICE);
		assert_eq!(
			Market::due(deal),
			Some(DueView {
				due: 0,
				unpaid: 60 * PRICE,
				is_final: false
			})
		);
	});
}

#[test]
fn a_deal_ends_by_itself() {
	test(|| {
		let deal = active_deal(proposal(1));
		prove(&[21, 41, 81, 101]);
		run_to(102);
		assert_eq!(
			events()[events().len() - 2..],
			[
				Event::PaymentSettled {
					deal,
					to: beneficiary(),
					amount: 80 * PRICE,
					paid_blocks: 80
				},
				Event::DealEnded {
					deal,
					paid_blocks: 80,
					refund: 20 * PRICE
				},
			]
		);
		assert_eq!(Deals::<Test>::iter().count(), 0);
		assert_eq!(free(&beneficiary()), ENDOWMENT + 80 * PRICE);
		assert_eq!(total(&client()), ENDOWMENT - 80 * PRICE);
		assert_eq!(escrow(&client()), 100 * UNIT - TOTAL);
		assert_eq!(total(&provider()), ENDOWMENT);
		assert_eq!(held(HoldReason::DealCollateral, &provider()), 0);
		assert_eq!(ScriptedSectors::closed(), [(provider(), SECTOR)]);
		ok(&stranger(), settle(&[deal]));
		assert_eq!(last_event(), skipped(deal, SkipReason::NotFound));
	});
}

/// A deal whose last interval is undecided stays open for it.
#[test]
fn the_last_interval_counts() {
	test(|| {
		let deal = active_deal(DealProposal {
			duration: 90,
			..proposal(1)
		});
		prove(&[21, 41, 61, 81]);
		run_to(95);
		// Past the end (91), before the close (101).
		ok(&stranger(), settle(&[deal]));
		assert!(matches!(
			Market::deal(deal).expect("open").state,
			DealState::Active {
				paid_blocks: 80,
				settle_at: 101,
				..
			}
		));
		prove(&[101]);
		ok(&stranger(), settle(&[deal]));
		// All is paid; the interval is decided at its close.
		assert_eq!(free(&beneficiary()), ENDOWMENT + 90 * PRICE);
		assert!(Market::deal(deal).is_some());
		run_to(101);
		ok(&stranger(), settle(&[deal]));
		assert_eq!(
			last_event(),
			Event::DealEnded {
				deal,
				paid_blocks: 90,
				refund: 0
			}
		);
		// The calendar has nothing left to do for it.
		run_to(110);
		assert_eq!(ScriptedSectors::closed().len(), 1);
	});
}

/// The same end, whoever triggers it and however late.
#[test]
fn late_settlement_is_the_same() {
	let outcome = |late: bool| {
		let mut result = None;
		test(|| {
			let deal = active_deal(proposal(1));
			prove(&[21, 61, 81]);
			if late {
				jump_to(500);
				ok(&stranger(), settle(&[deal]));
			}
			run_to(501);
			assert_eq!(Deals::<Test>::iter().count(), 0);
			let balances = [client(), provider(), beneficiary()].map(|who| (free(&who), escrow(&who)));
			result = Some((balances, ScriptedSectors::closed()));
		});
		result
	};
	assert_eq!(outcome(true), outcome(false));
}

#[test]
fn nothing_proven_nothing_paid() {
	test(|| {
		active_deal(proposal(1));
		run_to(102);
		assert_eq!(
			last_event(),
			Event::DealEnded {
				deal: 0,
				paid_blocks: 0,
				refund: TOTAL
			}
		);
		assert_eq!(total(&client()), ENDOWMENT);
		assert_eq!(free(&beneficiary()), ENDOWMENT);
	});
}

/// Scenario 40: the same deal twice in one call, by a stranger, mixed with others, 128 of them.
#[test]
fn a_mixed_batch_is_idempotent() {
	test(|| {
		let waiting = published(proposal(1));
		let running = active_deal(proposal(2));
		prove(&[21]);
		let mut batch = vec![running, running, waiting, 99, u64::MAX];
		batch.resize(128, running);
		System::reset_events();
		ok(&stranger(), settle(&batch));
		let mut expected = vec![
			Event::PaymentSettled {
				deal: running,
				to: beneficiary(),
				amount: 20 * PRICE,
				paid_blocks: 20,
			},
			skipped(running, SkipReason::NothingDue),
			skipped(waiting, SkipReason::NotActive),
			skipped(99, SkipReason::NotFound),
			skipped(u64::MAX, SkipReason::NotFound),
		];
		expected.resize(128, skipped(running, SkipReason::NothingDue));
		assert_eq!(events(), expected);
		assert_eq!(free(&beneficiary()), ENDOWMENT + 20 * PRICE);
		ok(&stranger(), settle(&[]));
	});
}

/// Scenario 41: a deal that never starts costs the provider its collateral, to the client, once.
#[test]
fn an_unstarted_deal_goes_to_the_client() {
	for by_hand in [false, true] {
		test(|| {
			let deal = published(proposal(1));
			jump_to(START_BY);
			ok(&stranger(), settle(&[deal]));
			assert_eq!(last_event(), skipped(deal, SkipReason::NotActive));
			jump_to(START_BY + 1);
			if by_hand {
				ok(&stranger(), settle(&[deal]));
			}
			run_to(START_BY + 2);
			assert!(events().contains(&Event::DealNotStarted {
				deal,
				refund: TOTAL,
				compensation: COLLATERAL,
				burnt: 0
			}));
			assert_eq!(total(&client()), ENDOWMENT + COLLATERAL);
			assert_eq!(total(&provider()), ENDOWMENT - COLLATERAL);
			assert_eq!(escrow(&client()), 100 * UNIT - TOTAL);
			assert!(ScriptedSectors::closed().is_empty());
		});
	}
}

/// Scenario 41: a terminated sector. What was proven is paid, the rest and the collateral are the
/// client's.
#[test]
fn a_lost_sector_compensates_the_client() {
	test(|| {
		let deal = active_deal(proposal(1));
		prove(&[21, 41]);
		ok(&stranger(), settle(&[deal]));
		ScriptedSectors::remove(&provider(), SECTOR);
		ok(&stranger(), settle(&[deal]));
		assert_eq!(
			last_event(),
			Event::DealTerminated {
				deal,
				paid_blocks: 40,
				refund: 60 * PRICE,
				compensation: COLLATERAL,
				burnt: 0
			}
		);
		assert_eq!(total(&client()), ENDOWMENT - 40 * PRICE + COLLATERAL);
		assert_eq!(total(&provider()), ENDOWMENT - COLLATERAL);
		assert_eq!(free(&beneficiary()), ENDOWMENT + 40 * PRICE);
		ok(&stranger(), settle(&[deal]));
		assert_eq!(last_event(), skipped(deal, SkipReason::NotFound));
	});
}

/// Scenario 40: a beneficiary without an account takes nothing below the existential deposit. The
/// due stays on hold until it is enough.
#[test]
fn dues_below_the_existential_deposit_wait() {
	test(|| {
		ScriptedSectors::register(&provider(), &worker(), &nobody());
		let price_per_block = EXISTENTIAL_DEPOSIT / 30;
		let deal = active_deal(DealProposal {
			price_per_block,
			..proposal(1)
		});
		prove(&[21]);
		ok(&stranger(), settle(&[deal]));
		assert_eq!(last_event(), skipped(deal, SkipReason::Unpayable));
		assert_eq!(held(HoldReason::DealPayment, &client()), 100 * price_per_block);
		assert_eq!(free(&nobody()), 0);
		prove(&[41]);
		ok(&stranger(), settle(&[deal]));
		assert_eq!(
			last_event(),
			Event::PaymentSettled {
				deal,
				to: nobody(),
				amount: 40 * price_per_block,
				paid_blocks: 40
			}
		);
		prove(&[61]);
		ok(&stranger(), settle(&[deal]));
		assert_eq!(free(&nobody()), 60 * price_per_block);
	});
}

/// At the end such a due goes to the provider's owner instead, so that nobody's money stays locked.
#[test]
fn a_last_due_goes_to_the_owner() {
	test(|| {
		ScriptedSectors::register(&provider(), &worker(), &nobody());
		let price_per_block = EXISTENTIAL_DEPOSIT / 1000;
		let deal = active_deal(DealProposal {
			price_per_block,
			..proposal(1)
		});
		prove(&[21, 41]);
		run_to(102);
		assert!(events().contains(&Event::PaymentSettled {
			deal,
			to: provider(),
			amount: 40 * price_per_block,
			paid_blocks: 40
		}));
		assert_eq!(total(&provider()), ENDOWMENT + 40 * price_per_block);
		assert_eq!(total(&client()), ENDOWMENT - 40 * price_per_block);
		assert_eq!(Deals::<Test>::iter().count(), 0);
	});
}

/// An account kept alive by another pallet can hold everything and have no free balance. What it
/// cannot take as such goes to its escrow.
#[test]
fn accounts_without_free_balance_are_paid_into_escrow() {
	test(|| {
		let price_per_block = EXISTENTIAL_DEPOSIT / 1000;
		let terms = DealProposal {
			price_per_block,
			provider_collateral: EXISTENTIAL_DEPOSIT / 2,
			..proposal(1)
		};
		active_deal(terms);
		ScriptedSectors::register(&provider(), &worker(), &nobody());
		for who in [client(), provider()] {
			System::inc_providers(&who);
			ok(&who, crate::Call::add_balance { amount: free(&who) });
			assert_eq!(free(&who), 0);
		}
		prove(&[21]);
		run_to(102);
		assert_eq!(Deals::<Test>::iter().count(), 0);
		let kept: Vec<_> = events()
			.into_iter()
			.filter_map(|event| match event {
				Event::KeptInEscrow { who, amount } => Some((who, amount)),
				_ => None,
			})
			.collect();
		assert_eq!(
			kept,
			[
				(provider(), 20 * price_per_block),
				(client(), 80 * price_per_block),
				(provider(), EXISTENTIAL_DEPOSIT / 2),
			]
		);
		assert_eq!(escrow(&client()), ENDOWMENT - 20 * price_per_block);
		assert_eq!(escrow(&provider()), ENDOWMENT + 20 * price_per_block);
		for who in [client(), provider()] {
			ok(&who, crate::Call::withdraw_balance { amount: escrow(&who) });
		}
	});
}

/// A client without an account signs for nothing. Its compensation burns, conserving the rest.
#[test]
fn compensation_of_nobody_burns() {
	use crate::types::ClientDealProposal;
	use sp_core::{sr25519, Pair};
	test(|| {
		let pair = sr25519::Pair::from_seed(&[0x42; 32]);
		let terms = DealProposal {
			client: AccountId::from(pair.public()),
			price_per_block: 0,
			provider_collateral: EXISTENTIAL_DEPOSIT - 1,
			..proposal(1)
		};
		let client_signature = pair.sign(&signing_bytes(&terms)).into();
		ok(
			&provider(),
			publish_signed(vec![ClientDealProposal {
				proposal: terms,
				client_signature,
			}]),
		);
		run_to(START_BY + 2);
		assert_eq!(
			last_event(),
			Event::DealNotStarted {
				deal: 0,
				refund: 0,
				compensation: 0,
				burnt: EXISTENTIAL_DEPOSIT - 1
			}
		);
		assert_eq!(total(&provider()), ENDOWMENT - EXISTENTIAL_DEPOSIT + 1);
	});
}

/// The beneficiary may be the client.
#[test]
fn a_client_that_earns_its_own_payment() {
	test(|| {
		ScriptedSectors::register(&provider(), &worker(), &client());
		let deal = active_deal(proposal(1));
		prove(&[21]);
		ok(&stranger(), settle(&[deal]));
		assert_eq!(total(&client()), ENDOWMENT);
		assert_eq!(held(HoldReason::DealPayment, &client()), 80 * PRICE);
		run_to(102);
		assert_eq!(total(&client()), ENDOWMENT);
	});
}

/// Free deals settle like others.
#[test]
fn a_price_of_zero() {
	test(|| {
		let deal = active_deal(DealProposal {
			price_per_block: 0,
			provider_collateral: 0,
			..proposal(1)
		});
		prove(&[21]);
		ok(&stranger(), settle(&[deal]));
		assert_eq!(last_event(), skipped(deal, SkipReason::NothingDue));
		run_to(102);
		assert_eq!(
			last_event(),
			Event::DealEnded {
				deal,
				paid_blocks: 20,
				refund: 0
			}
		);
		assert_eq!(ScriptedSectors::closed().len(), 1);
	});
}

/// A provider that vanished with the deal open: its owner's account still exists.
#[test]
fn settlement_survives_deregistration() {
	test(|| {
		active_deal(proposal(1));
		prove(&[21]);
		ScriptedSectors::deregister(&provider());
		run_to(102);
		assert_eq!(total(&provider()), ENDOWMENT + 20 * PRICE);
		assert_eq!(Deals::<Test>::iter().count(), 0);
	});
}
