//! `publish_storage_deals`: terms, batches, money, replay (scenarios 32, 33 and 35).

use super::mock::*;
use crate::{types::DealState, Call, Deals, Error, Event, HoldReason, HotPieces, NextDealId, UsedProposals};
use cairn_primitives::{deal::DealProposal, params::ProtocolParameters};

#[test]
fn publication_binds_both_sides() {
	test(|| {
		let first = proposal(1);
		let second = DealProposal {
			client: other_client(),
			..proposal(2)
		};
		ok(&worker(), publish([first.clone(), second.clone()]));
		assert_eq!(
			events(),
			[
				Event::DealPublished {
					deal: 0,
					proposal_hash: hash_of(&first),
					client: client(),
					provider: provider()
				},
				Event::DealPublished {
					deal: 1,
					proposal_hash: hash_of(&second),
					client: other_client(),
					provider: provider()
				},
			]
		);
		for who in [client(), other_client()] {
			assert_eq!(escrow(&who), 100 * UNIT - TOTAL);
			assert_eq!(held(HoldReason::DealPayment, &who), TOTAL);
			assert_eq!(free(&who), ENDOWMENT - 100 * UNIT);
		}
		assert_eq!(held(HoldReason::DealCollateral, &provider()), 2 * COLLATERAL);
		assert_eq!(escrow(&provider()), 100 * UNIT - 2 * COLLATERAL);
		let deal = Market::deal(0).expect("published");
		assert_eq!(deal.state, DealState::Published { sector: None });
		assert_eq!(deal.piece, first.piece);
		assert_eq!(deal.payload, first.payload);
		assert_eq!(deal.proposal_hash, hash_of(&first));
		assert!(Market::is_used(hash_of(&first)));
	});
}

#[test]
fn only_the_named_provider_publishes() {
	test(|| {
		refused(&stranger(), publish([proposal(1)]), Error::<Test>::NotProvider);
		refused(&client(), publish([proposal(1)]), Error::<Test>::NotProvider);
		refused(&beneficiary(), publish([proposal(1)]), Error::<Test>::NotProvider);
		refused(
			&other_provider(),
			publish([proposal(1)]),
			Error::<Test>::WrongProvider,
		);
		refused(&provider(), publish([]), Error::<Test>::EmptyBatch);
		ScriptedSectors::deregister(&provider());
		refused(&provider(), publish([proposal(1)]), Error::<Test>::NotProvider);
	});
}

/// Each term at its bounds, and one step beyond.
#[test]
fn terms_are_checked() {
	type Change = fn(&mut DealProposal<AccountId>);
	let parameters = ProtocolParameters {
		max_deal_duration: 1000,
		max_start_delay: 500,
		..parameters()
	};
	let accepted: [Change; 15] = [
		|p| (p.piece.size_log2, p.piece.payload_size) = (7, 127),
		|p| (p.piece.size_log2, p.piece.payload_size) = (7, 1),
		|p| (p.piece.size_log2, p.piece.payload_size) = (36, (1 << 36) / 128 * 127),
		|p| p.piece.payload_size = 2032,
		|p| p.start_by = 2,
		|p| p.start_by = 501,
		|p| p.duration = 20,
		|p| (p.duration, p.provider_collateral) = (1000, COLLATERAL * 10),
		|p| p.price_per_block = 0,
		|p| (p.price_per_block, p.provider_collateral) = (0, 0),
		|p| (p.price_per_block, p.duration, p.provider_collateral) = (1, 20, 2),
		|p| (p.price_per_block, p.duration, p.provider_collateral) = (1, 21, 3),
		|p| p.provider_collateral = COLLATERAL * 2,
		|p| p.label = vec![b'l'; 128].try_into().expect("fits"),
		|p| {
			p.payload = cairn_primitives::deal::DealPayload::V1 {
				kind: cairn_primitives::deal::PayloadKind::Protected,
				root: vec![1; 64].try_into().expect("fits"),
			}
		},
	];
	let refusals: [(Change, Error<Test>); 17] = [
		(|p| p.piece.size_log2 = 6, Error::PieceSizeOutOfRange),
		(|p| p.piece.size_log2 = 37, Error::PieceSizeOutOfRange),
		(|p| p.piece.size_log2 = 255, Error::PieceSizeOutOfRange),
		(|p| p.piece.payload_size = 0, Error::PayloadSizeOutOfRange),
		(|p| p.piece.payload_size = 2033, Error::PayloadSizeOutOfRange),
		(|p| p.piece.payload_size = u64::MAX, Error::PayloadSizeOutOfRange),
		(|p| p.start_by = 0, Error::StartPassed),
		(|p| p.start_by = 1, Error::StartPassed),
		(|p| p.start_by = 502, Error::StartTooFar),
		(|p| p.start_by = u32::MAX, Error::StartTooFar),
		(|p| p.duration = 19, Error::DurationOutOfRange),
		(|p| p.duration = 0, Error::DurationOutOfRange),
		(|p| p.duration = 1001, Error::DurationOutOfRange),
		(|p| p.price_per_block = u128::MAX, Error::PriceOverflow),
		(
			|p| p.provider_collateral = COLLATERAL - 1,
			Error::CollateralTooLow,
		),
		(|p| p.provider_collateral = 0, Error::CollateralTooLow),
		(
			|p| (p.price_per_block, p.provider_collateral) = (u128::MAX / 100, u128::MAX),
			Error::ClientEscrowTooLow,
		),
	];
	for change in accepted {
		test(|| {
			set_parameters(parameters);
			let mut proposal = proposal(1);
			change(&mut proposal);
			published(proposal);
		});
	}
	test(|| {
		set_parameters(parameters);
		for (change, error) in refusals {
			let mut proposal = proposal(1);
			change(&mut proposal);
			refused(&provider(), publish([proposal.clone()]), error);
		}
		// A parameter beyond the total price makes the floor overflow.
		set_parameters(ProtocolParameters {
			min_collateral_ppm: u32::MAX,
			..parameters
		});
		let huge = DealProposal {
			price_per_block: u128::MAX / 100,
			..proposal(1)
		};
		refused(&provider(), publish([huge]), Error::<Test>::PriceOverflow);
	});
}

#[test]
fn collateral_floor_is_exact() {
	for (total, ppm, floor) in [
		(0, 100_000, 0),
		(1, 100_000, 1),
		(10, 100_000, 1),
		(11, 100_000, 2),
		(1_000_000, 1, 1),
		(999_999, 1, 1),
		(1_000_001, 1, 2),
		(123_456_789, 0, 0),
		(123_456_789, 1_000_000, 123_456_789),
		(u128::MAX, 1_000_000, u128::MAX),
	] {
		assert_eq!(Market::min_collateral(total, ppm), Some(floor), "{total} {ppm}");
	}
	assert_eq!(Market::min_collateral(u128::MAX, 1_000_001), None);
	assert_eq!(Market::min_collateral(u128::MAX, u32::MAX), None);
}

#[test]
fn escrows_must_cover_the_deals() {
	test(|| {
		ok(
			&client(),
			Call::withdraw_balance {
				amount: 100 * UNIT - 2 * TOTAL + 1,
			},
		);
		refused(
			&provider(),
			publish([proposal(1), proposal(2)]),
			Error::<Test>::ClientEscrowTooLow,
		);
		// All or nothing: the first one alone is affordable.
		assert_eq!(NextDealId::<Test>::get(), 0);
		ok(&client(), Call::add_balance { amount: 1 });
		ok(
			&provider(),
			Call::withdraw_balance {
				amount: 100 * UNIT - 2 * COLLATERAL + 1,
			},
		);
		refused(
			&provider(),
			publish([proposal(1), proposal(2)]),
			Error::<Test>::ProviderEscrowTooLow,
		);
		ok(&provider(), Call::add_balance { amount: 1 });
		ok(&provider(), publish([proposal(1), proposal(2)]));
		assert_eq!((escrow(&client()), escrow(&provider())), (0, 0));
		assert_eq!(NextDealId::<Test>::get(), 2);
	});
}

/// Free balance is never drawn: a client risks what it put into escrow.
#[test]
fn free_balance_is_not_drawn() {
	test(|| {
		ok(&client(), Call::withdraw_balance { amount: 100 * UNIT });
		refused(
			&provider(),
			publish([proposal(1)]),
			Error::<Test>::ClientEscrowTooLow,
		);
	});
}

/// Scenarios 32 and 33: a proposal is valid once, whatever happened to it.
#[test]
fn a_proposal_is_valid_once() {
	test(|| {
		refused(
			&provider(),
			publish([proposal(1), proposal(1)]),
			Error::<Test>::ProposalUsed,
		);
		let deal = published(proposal(1));
		refused(&provider(), publish([proposal(1)]), Error::<Test>::ProposalUsed);
		refused(
			&provider(),
			publish([proposal(2), proposal(1)]),
			Error::<Test>::ProposalUsed,
		);
		refused(
			&client(),
			Call::propose_deal {
				proposal: proposal(1),
			},
			Error::<Test>::ProposalUsed,
		);

		// After activation.
		run_to(5);
		activate(&[deal], SECTOR);
		refused(&provider(), publish([proposal(1)]), Error::<Test>::ProposalUsed);
		run_to(START_BY - 1);
		refused(&provider(), publish([proposal(1)]), Error::<Test>::ProposalUsed);
		// From `start_by` on the clock rejects it; the record goes one block later.
		run_to(START_BY);
		refused(&provider(), publish([proposal(1)]), Error::<Test>::StartPassed);
		assert_eq!(UsedProposals::<Test>::iter().count(), 1);
		run_to(START_BY + 2);
		assert_eq!(UsedProposals::<Test>::iter().count(), 0);
		refused(&provider(), publish([proposal(1)]), Error::<Test>::StartPassed);
		// The same terms with another nonce or time are another proposal.
		published(DealProposal {
			start_by: START_BY + 20,
			..proposal(1)
		});
	});
}

#[test]
fn a_hot_piece_is_stored_once_per_provider() {
	test(|| {
		let deal = published(hot_proposal(1));
		let same_piece = DealProposal {
			piece: hot_proposal(1).piece,
			..hot_proposal(2)
		};
		assert_eq!(
			Market::hot_deal(provider(), same_piece.piece.commitment),
			Some(deal)
		);
		refused(
			&provider(),
			publish([same_piece.clone()]),
			Error::<Test>::HotPieceStored,
		);
		let pair = [3, 4].map(|nonce| DealProposal {
			piece: hot_proposal(9).piece,
			..hot_proposal(nonce)
		});
		refused(&provider(), publish(pair), Error::<Test>::HotPieceStored);
		// Another provider, another piece and the sealed tier are free to.
		published(DealProposal {
			provider: other_provider(),
			..same_piece.clone()
		});
		published(hot_proposal(5));
		published(DealProposal {
			piece: hot_proposal(1).piece,
			..proposal(6)
		});
		published(DealProposal {
			piece: hot_proposal(1).piece,
			..proposal(7)
		});
		// It is free again when the deal is over.
		run_to(START_BY + 2);
		assert_eq!(HotPieces::<Test>::iter().count(), 0);
		published(DealProposal {
			start_by: START_BY + 20,
			..same_piece
		});
	});
}

/// Scenario 35: nothing that one account fills keeps another out.
#[test]
fn spam_of_one_account_leaves_others_alone() {
	test(|| {
		let cheap = |nonce| DealProposal {
			client: other_client(),
			price_per_block: 0,
			provider_collateral: 0,
			..proposal(nonce)
		};
		for batch in 0..8 {
			ok(
				&provider(),
				publish((0..32).map(|i| cheap(1000 + batch * 32 + i))),
			);
		}
		let deal = published(DealProposal {
			provider: other_provider(),
			..proposal(1)
		});
		assert_eq!(deal, 256);
		// All of it leaves at one block, in bounded steps.
		jump_to(START_BY + 1);
		let mut blocks = 0;
		while crate::CalendarCursor::<Test>::get() <= START_BY + 1 {
			next_block();
			blocks += 1;
		}
		assert!(blocks > 1, "one block did it all");
		assert_eq!(Deals::<Test>::iter().count(), 0);
		assert_eq!(UsedProposals::<Test>::iter().count(), 0);
	});
}

#[test]
fn a_client_may_be_the_provider() {
	test(|| {
		let deal = published(DealProposal {
			client: provider(),
			..proposal(1)
		});
		assert_eq!(held(HoldReason::DealPayment, &provider()), TOTAL);
		assert_eq!(held(HoldReason::DealCollateral, &provider()), COLLATERAL);
		activate(&[deal], SECTOR);
		for close in (21..=121).step_by(20) {
			ScriptedSectors::prove(&provider(), SECTOR, close);
		}
		run_to(130);
		assert_eq!(Deals::<Test>::iter().count(), 0);
		assert_eq!(free(&beneficiary()), ENDOWMENT + TOTAL);
		assert_eq!(total(&provider()), ENDOWMENT - TOTAL);
	});
}
