//! `propose_deal`, `accept_deals` and `cancel_proposal`.

use super::mock::*;
use crate::{types::PendingProposal, Call, Error, Event, HoldReason, Proposals, UsedProposals};
use cairn_primitives::{deal::DealProposal, params::ProtocolParameters};
use frame_support::traits::fungible::MutateHold;
use sp_runtime::TokenError;

fn deposit() -> u128 {
	parameters().proposal_deposit
}

fn propose(proposal: &DealProposal<AccountId>) {
	ok(
		&proposal.client,
		Call::propose_deal {
			proposal: proposal.clone(),
		},
	);
}

fn cancel(proposal: &DealProposal<AccountId>) -> Call<Test> {
	Call::cancel_proposal {
		proposal_hash: hash_of(proposal),
	}
}

#[test]
fn a_proposal_holds_its_price_and_a_deposit() {
	test(|| {
		let proposal = proposal(1);
		propose(&proposal);
		assert_eq!(
			last_event(),
			Event::DealProposed {
				proposal_hash: hash_of(&proposal),
				proposal: proposal.clone()
			}
		);
		assert_eq!(escrow(&client()), 100 * UNIT - TOTAL);
		assert_eq!(held(HoldReason::DealPayment, &client()), TOTAL);
		assert_eq!(held(HoldReason::ProposalDeposit, &client()), deposit());
		assert_eq!(free(&client()), ENDOWMENT - 100 * UNIT - deposit());
		assert_eq!(
			Market::proposal(hash_of(&proposal)),
			Some(PendingProposal {
				proposal: proposal.clone(),
				deposit: deposit()
			})
		);
	});
}

#[test]
fn acceptance_makes_a_deal() {
	test(|| {
		let (first, second) = (
			proposal(1),
			DealProposal {
				client: other_client(),
				..proposal(2)
			},
		);
		propose(&first);
		propose(&second);
		// The client spends the rest of its escrow: acceptance does not depend on it.
		ok(
			&client(),
			Call::withdraw_balance {
				amount: escrow(&client()),
			},
		);
		ok(&worker(), accept(&[&first, &second]));
		assert_eq!(
			last_event(),
			Event::DealPublished {
				deal: 1,
				proposal_hash: hash_of(&second),
				client: other_client(),
				provider: provider()
			}
		);
		assert_eq!(held(HoldReason::ProposalDeposit, &client()), 0);
		assert_eq!(held(HoldReason::DealPayment, &client()), TOTAL);
		assert_eq!(held(HoldReason::DealCollateral, &provider()), 2 * COLLATERAL);
		assert_eq!(Proposals::<Test>::iter().count(), 0);
		refused(&provider(), accept(&[&first]), Error::<Test>::ProposalNotFound);
		refused(&client(), cancel(&first), Error::<Test>::ProposalNotFound);
		// The bytes are used up for both ways.
		refused(&provider(), publish([first]), Error::<Test>::ProposalUsed);
	});
}

#[test]
fn proposing_is_checked() {
	test(|| {
		let call = |proposal| Call::propose_deal { proposal };
		refused(&stranger(), call(proposal(1)), Error::<Test>::NotClient);
		refused(&provider(), call(proposal(1)), Error::<Test>::NotClient);
		let unregistered = DealProposal {
			provider: worker(),
			..proposal(1)
		};
		refused(
			&client(),
			call(unregistered),
			Error::<Test>::ProviderNotRegistered,
		);
		refused(
			&client(),
			call(DealProposal {
				start_by: 1,
				..proposal(1)
			}),
			Error::<Test>::StartPassed,
		);
		refused(
			&client(),
			call(DealProposal {
				price_per_block: 10 * UNIT,
				provider_collateral: 1000 * UNIT,
				..proposal(1)
			}),
			Error::<Test>::ClientEscrowTooLow,
		);
		propose(&proposal(1));
		refused(&client(), call(proposal(1)), Error::<Test>::ProposalUsed);
		set_parameters(ProtocolParameters {
			proposal_deposit: ENDOWMENT,
			..parameters()
		});
		refused(&client(), call(proposal(2)), TokenError::FundsUnavailable);
	});
}

#[test]
fn accepting_is_checked() {
	test(|| {
		let (first, second) = (proposal(1), proposal(2));
		propose(&first);
		propose(&second);
		refused(&stranger(), accept(&[&first]), Error::<Test>::NotProvider);
		refused(&client(), accept(&[&first]), Error::<Test>::NotProvider);
		refused(&other_provider(), accept(&[&first]), Error::<Test>::WrongProvider);
		refused(&provider(), accept(&[]), Error::<Test>::EmptyBatch);
		refused(
			&provider(),
			accept(&[&first, &first]),
			Error::<Test>::ProposalNotFound,
		);
		refused(
			&provider(),
			accept(&[&first, &proposal(9)]),
			Error::<Test>::ProposalNotFound,
		);
		ok(
			&provider(),
			Call::withdraw_balance {
				amount: 100 * UNIT - 2 * COLLATERAL + 1,
			},
		);
		refused(
			&provider(),
			accept(&[&first, &second]),
			Error::<Test>::ProviderEscrowTooLow,
		);
		ok(&provider(), accept(&[&first]));
		jump_to(START_BY);
		ok(&provider(), Call::add_balance { amount: UNIT });
		refused(&provider(), accept(&[&second]), Error::<Test>::StartPassed);
	});
}

#[test]
fn hot_pieces_are_checked_at_acceptance() {
	test(|| {
		let same_piece = DealProposal {
			piece: hot_proposal(1).piece,
			..hot_proposal(2)
		};
		propose(&hot_proposal(1));
		propose(&same_piece);
		ok(&provider(), accept(&[&hot_proposal(1)]));
		refused(&provider(), accept(&[&same_piece]), Error::<Test>::HotPieceStored);
	});
}

#[test]
fn a_client_cancels_before_acceptance() {
	test(|| {
		let proposal = proposal(1);
		propose(&proposal);
		for who in [stranger(), provider(), worker()] {
			refused(&who, cancel(&proposal), Error::<Test>::NotClient);
		}
		ok(&client(), cancel(&proposal));
		assert_eq!(
			last_event(),
			Event::ProposalCancelled {
				proposal_hash: hash_of(&proposal),
				client: client(),
				refund: TOTAL
			}
		);
		assert_eq!(escrow(&client()), 100 * UNIT);
		assert_eq!(free(&client()), ENDOWMENT - 100 * UNIT);
		assert_eq!(Balances::reserved_balance(client()), 100 * UNIT);
		refused(&client(), cancel(&proposal), Error::<Test>::ProposalNotFound);
		refused(&provider(), accept(&[&proposal]), Error::<Test>::ProposalNotFound);
		// Cancelling also revokes a signature over the same bytes.
		refused(
			&provider(),
			publish([proposal.clone()]),
			Error::<Test>::ProposalUsed,
		);
		refused(
			&client(),
			Call::propose_deal { proposal },
			Error::<Test>::ProposalUsed,
		);
	});
}

#[test]
fn a_proposal_expires_by_itself() {
	test(|| {
		propose(&proposal(1));
		run_to(START_BY + 1);
		assert_eq!(Proposals::<Test>::iter().count(), 1);
		next_block();
		assert_eq!(
			last_event(),
			Event::ProposalExpired {
				proposal_hash: hash_of(&proposal(1)),
				client: client(),
				refund: TOTAL
			}
		);
		assert_eq!(Proposals::<Test>::iter().count(), 0);
		assert_eq!(UsedProposals::<Test>::iter().count(), 0);
		assert_eq!(escrow(&client()), 100 * UNIT);
		assert_eq!(held(HoldReason::ProposalDeposit, &client()), 0);
	});
}

/// Anyone may end an expired proposal if the calendar is late. Before, only its client.
#[test]
fn anyone_cancels_after_start_by() {
	test(|| {
		propose(&proposal(1));
		jump_to(START_BY);
		refused(&stranger(), cancel(&proposal(1)), Error::<Test>::NotClient);
		jump_to(START_BY + 1);
		ok(&stranger(), cancel(&proposal(1)));
		assert_eq!(escrow(&client()), 100 * UNIT);
		run_to(START_BY + 70);
		assert_eq!(UsedProposals::<Test>::iter().count(), 0);
	});
}

/// The deposit that was taken is returned, whatever the parameters say by then.
#[test]
fn the_deposit_taken_is_returned() {
	test(|| {
		propose(&proposal(1));
		set_parameters(ProtocolParameters {
			proposal_deposit: 0,
			..parameters()
		});
		propose(&proposal(2));
		set_parameters(ProtocolParameters {
			proposal_deposit: 5 * UNIT,
			..parameters()
		});
		ok(&client(), cancel(&proposal(1)));
		ok(&provider(), accept(&[&proposal(2)]));
		assert_eq!(held(HoldReason::ProposalDeposit, &client()), 0);
		assert_eq!(free(&client()), ENDOWMENT - 100 * UNIT);
	});
}

/// Holds of other pallets and frozen balances do not disturb the market's.
#[test]
fn foreign_holds_and_freezes_do_not_interfere() {
	test(|| {
		propose(&proposal(1));
		<Balances as frame_support::traits::LockableCurrency<_>>::set_lock(
			*b"vesting ",
			&client(),
			ENDOWMENT,
			frame_support::traits::WithdrawReasons::all(),
		);
		ok(&provider(), accept(&[&proposal(1)]));
		let deal = 0;
		activate(&[deal], SECTOR);
		ScriptedSectors::prove(&provider(), SECTOR, 21);
		ok(&stranger(), settle(&[deal]));
		assert_eq!(free(&beneficiary()), ENDOWMENT + 20 * PRICE);
		let other = pallet_balances::Holds::<Test>::get(client()).len();
		assert_eq!(other, 2);
		assert!(Balances::release(
			&HoldReason::ProposalDeposit.into(),
			&client(),
			1,
			frame_support::traits::tokens::Precision::Exact
		)
		.is_err());
	});
}
