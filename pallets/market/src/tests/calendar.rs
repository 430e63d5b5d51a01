//! The calendar: idle weight, `service`, spill-over.

use super::mock::*;
use crate::{Calendar, CalendarCursor, Call, Deals, Event, WeightInfo};
use cairn_primitives::deal::DealProposal;
use frame_support::{dispatch::GetDispatchInfo, weights::Weight};

#[test]
fn an_idle_chain_keeps_up() {
	test(|| {
		run_to(20);
		assert_eq!(CalendarCursor::<Test>::get(), 20);
		assert_eq!(Calendar::<Test>::iter().count(), 0);
	});
}

#[test]
fn no_weight_no_work() {
	test(|| {
		published(proposal(1));
		jump_to(START_BY + 1);
		end_block(Weight::zero());
		assert_eq!(CalendarCursor::<Test>::get(), 0);
		assert_eq!(Deals::<Test>::iter().count(), 1);
		// Enough for a few blocks without items, not for the items.
		let advance = <() as WeightInfo>::service_advance();
		end_block(advance.saturating_mul(20));
		let cursor = CalendarCursor::<Test>::get();
		assert!((1..=20).contains(&cursor), "{cursor}");
	});
}

/// Work that does not fit spills over to the next blocks and changes nothing but the moment.
#[test]
fn work_spills_over() {
	test(|| {
		for nonce in 0..20 {
			published(proposal(nonce));
		}
		jump_to(START_BY);
		next_block();
		assert_eq!(CalendarCursor::<Test>::get(), START_BY + 1);
		let item = <() as WeightInfo>::service_item().saturating_mul(4);
		let mut left = 40;
		while left > 0 {
			end_block(item);
			let now = Calendar::<Test>::iter().count();
			assert!(now < left && left - now <= 4, "{now} of {left}");
			left = now;
		}
		assert_eq!(Deals::<Test>::iter().count(), 0);
		assert_eq!(total(&client()), ENDOWMENT + 20 * COLLATERAL);
	});
}

#[test]
fn anyone_services_the_calendar() {
	test(|| {
		published(proposal(1));
		published(DealProposal {
			start_by: START_BY + 1,
			..proposal(2)
		});
		jump_to(START_BY + 2);
		let service = |limit| {
			let result = dispatch(&stranger(), Call::service { limit }).expect("never fails");
			let weight = result.actual_weight.expect("refunded");
			let call = RuntimeCall::Market(Call::service { limit });
			assert!(weight.all_lte(call.get_dispatch_info().call_weight));
			last_event()
		};
		assert_eq!(
			service(0),
			Event::CalendarServiced {
				items: 0,
				next_block: 0
			}
		);
		assert_eq!(
			service(10),
			Event::CalendarServiced {
				items: 0,
				next_block: 10
			}
		);
		// Blocks 10 to 50, then the first deal's two items without the end of their block.
		assert_eq!(
			service(43),
			Event::CalendarServiced {
				items: 2,
				next_block: START_BY + 1
			}
		);
		assert_eq!(Deals::<Test>::iter().count(), 1);
		assert_eq!(
			service(100),
			Event::CalendarServiced {
				items: 2,
				next_block: START_BY + 3
			}
		);
		assert_eq!(
			service(100),
			Event::CalendarServiced {
				items: 0,
				next_block: START_BY + 3
			}
		);
		assert_eq!(Deals::<Test>::iter().count(), 0);
	});
}

/// A limit beyond a block's weight is refused by the block, not tried.
#[test]
fn the_weight_of_service_grows_with_its_limit() {
	let weight = |limit| {
		RuntimeCall::Market(Call::service { limit })
			.get_dispatch_info()
			.call_weight
	};
	assert!(weight(1).all_gt(weight(0)));
	assert!(weight(u32::MAX).ref_time() > 1_000_000_000_000_000);
}

/// A chain that stood still resumes: nothing is lost, the deal ends as if it had not.
#[test]
fn a_late_calendar_catches_up() {
	test(|| {
		published(proposal(1));
		let running = published(proposal(2));
		activate(&[running], SECTOR);
		ScriptedSectors::prove(&provider(), SECTOR, 21);
		jump_to(5000);
		for _ in 0..25 {
			next_block();
		}
		assert_eq!(CalendarCursor::<Test>::get(), 5025);
		assert_eq!(Deals::<Test>::iter().count(), 0);
		assert_eq!(free(&beneficiary()), ENDOWMENT + 20 * PRICE);
	});
}
