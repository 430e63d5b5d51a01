//! Binding deals to sectors and activating them (scenarios 32 and 33 of the market's side).

use super::mock::*;
use crate::{types::DealState, Calendar, Deals, Error, Event};
use cairn_pallet_traits::{CommittedDeal, Deals as _};
use cairn_primitives::{deal::DealProposal, DealId, Tier};
use frame_support::{assert_noop, assert_ok};

fn state(deal: DealId) -> DealState {
	Deals::<Test>::get(deal).expect("stored").state
}

#[test]
fn binding_returns_the_pieces_in_order() {
	test(|| {
		let small = DealProposal {
			duration: 30,
			..proposal(1)
		};
		published(small.clone());
		published(proposal(2));
		assert_eq!(
			Market::bind(&provider(), SECTOR, Tier::Sealed, 10, &[1, 0]),
			Ok(vec![
				CommittedDeal {
					piece: proposal(2).piece,
					duration: DURATION
				},
				CommittedDeal {
					piece: small.piece,
					duration: 30
				},
			])
		);
		check();
		assert_eq!(state(0), DealState::Published { sector: Some(SECTOR) });
		assert_eq!(
			Market::bind(&provider(), SECTOR, Tier::Sealed, 10, &[]),
			Ok(vec![])
		);
	});
}

#[test]
fn binding_is_all_or_nothing() {
	test(|| {
		published(proposal(1));
		published(proposal(2));
		published(hot_proposal(3));
		published(DealProposal {
			provider: other_provider(),
			..proposal(4)
		});
		let active = published(proposal(5));
		activate(&[active], 1);
		let bind = |deals: &[DealId]| Market::bind(&provider(), SECTOR, Tier::Sealed, 10, deals);
		assert_noop!(bind(&[0, 9]), Error::<Test>::DealNotFound);
		assert_noop!(bind(&[0, 3]), Error::<Test>::WrongProvider);
		assert_noop!(bind(&[0, 2]), Error::<Test>::WrongTier);
		assert_noop!(bind(&[0, active]), Error::<Test>::DealActive);
		assert_noop!(bind(&[0, 1, 0]), Error::<Test>::DealBound);
		assert_noop!(
			Market::bind(&other_provider(), SECTOR, Tier::Sealed, 10, &[0]),
			Error::<Test>::WrongProvider
		);
		assert_ok!(bind(&[0]));
		// Across sectors, too.
		assert_noop!(
			Market::bind(&provider(), SECTOR + 1, Tier::Sealed, 10, &[1, 0]),
			Error::<Test>::DealBound
		);
		assert_ok!(Market::bind(&provider(), SECTOR, Tier::Hot, 10, &[2]));
	});
}

#[test]
fn binding_needs_time_to_prove() {
	test(|| {
		published(proposal(1));
		assert_noop!(
			Market::bind(&provider(), SECTOR, Tier::Sealed, START_BY + 1, &[0]),
			Error::<Test>::StartTooSoon
		);
		assert_ok!(Market::bind(&provider(), SECTOR, Tier::Sealed, START_BY, &[0]));
	});
}

#[test]
fn a_lapsed_pre_commit_frees_its_deals() {
	test(|| {
		published(proposal(1));
		published(proposal(2));
		assert_ok!(Market::bind(&provider(), SECTOR, Tier::Sealed, 10, &[0]));
		// Of another provider, unknown: ignored.
		Market::unbind(&other_provider(), &[0]);
		assert_eq!(state(0), DealState::Published { sector: Some(SECTOR) });
		Market::unbind(&provider(), &[0, 1, 77]);
		check();
		assert_eq!(state(0), DealState::Published { sector: None });
		assert_ok!(Market::bind(&provider(), SECTOR + 1, Tier::Sealed, 10, &[0, 1]));
		// An active deal is not touched.
		activate_bound(&[0, 1], SECTOR + 1, &[true, true]);
		Market::unbind(&provider(), &[0, 1]);
		assert!(matches!(state(0), DealState::Active { .. }));
	});
}

#[track_caller]
fn activate_bound(deals: &[DealId], sector: u32, running: &[bool]) {
	let now = System::block_number();
	ScriptedSectors::add(&provider(), sector, now, now + 20);
	assert_eq!(
		Market::activate(&provider(), sector, deals, now),
		Ok(running.to_vec())
	);
	check();
}

#[test]
fn activation_starts_the_deals_time() {
	test(|| {
		let deal = published(proposal(1));
		run_to(START_BY);
		assert_eq!(activate(&[deal], SECTOR), START_BY);
		// 150 lies in the interval that ends at 150: 50 + 20, 90, … 150.
		assert_eq!(
			state(deal),
			DealState::Active {
				sector: SECTOR,
				activated_at: START_BY,
				paid_blocks: 0,
				settle_at: 150
			}
		);
		assert_eq!(
			last_event(),
			Event::DealActivated {
				deal,
				provider: provider(),
				sector: SECTOR,
				activated_at: START_BY,
				end: START_BY + DURATION
			}
		);
		// Nothing of the start is left in the calendar but the used proposal.
		assert_eq!(Calendar::<Test>::iter().count(), 2);
	});
}

#[test]
fn activation_needs_the_binding() {
	test(|| {
		published(proposal(1));
		let activate = |provider, sector| Market::activate(&provider, sector, &[0], 5);
		assert_noop!(activate(provider(), SECTOR), Error::<Test>::DealNotBound);
		assert_ok!(Market::bind(&provider(), SECTOR, Tier::Sealed, 10, &[0]));
		assert_noop!(activate(provider(), SECTOR + 1), Error::<Test>::DealNotBound);
		assert_noop!(activate(other_provider(), SECTOR), Error::<Test>::WrongProvider);
		assert_ok!(activate(provider(), SECTOR), vec![true]);
		assert_noop!(activate(provider(), SECTOR), Error::<Test>::DealNotBound);
	});
}

/// The clock decides, not whether the calendar came to it.
#[test]
fn a_deal_does_not_start_after_start_by() {
	for swept in [false, true] {
		test(|| {
			published(proposal(1));
			published(DealProposal {
				start_by: START_BY + 5,
				..proposal(2)
			});
			assert_ok!(Market::bind(&provider(), SECTOR, Tier::Sealed, 10, &[0, 1]));
			if swept {
				run_to(START_BY + 2);
			} else {
				jump_to(START_BY + 2);
			}
			assert_eq!(Deals::<Test>::contains_key(0), !swept);
			activate_bound(&[0, 1], SECTOR, &[false, true]);
			run_to(START_BY + 60);
			assert!(!Deals::<Test>::contains_key(0));
			assert_eq!(Deals::<Test>::iter().count(), 1);
		});
	}
}

/// The sector may be stored only after its deals are activated: the end is then asked for later.
#[test]
fn activation_before_the_sector_is_stored() {
	test(|| {
		published(proposal(1));
		assert_ok!(Market::bind(&provider(), SECTOR, Tier::Sealed, 10, &[0]));
		run_to(3);
		assert_ok!(Market::activate(&provider(), SECTOR, &[0], 3), vec![true]);
		ScriptedSectors::add(&provider(), SECTOR, 3, 18);
		for close in [18, 38, 58, 78, 98, 118] {
			ScriptedSectors::prove(&provider(), SECTOR, close);
		}
		// The deal ends at 103, which is decided at 118.
		run_to(104);
		assert!(matches!(
			state(0),
			DealState::Active {
				settle_at: 118,
				paid_blocks: 100,
				..
			}
		));
		run_to(119);
		assert!(!Deals::<Test>::contains_key(0));
		assert_eq!(free(&beneficiary()), ENDOWMENT + TOTAL);
	});
}
