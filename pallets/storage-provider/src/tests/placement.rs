//! Where sectors are put.

use super::{mock::*, sealing::*};
use crate::{
	types::{DeadlineHead, Location},
	DeadlineCloses, DeadlineHeads, Partitions, Providers,
};
use cairn_primitives::sector::SECTORS_PER_PARTITION;

fn calendar(owner: AccountId) -> crate::deadline::Calendar {
	StorageProvider::calendar(
		&parameters(),
		Providers::<Test>::get(owner).expect("registered").period_offset,
	)
}

fn lives(owner: AccountId) -> Vec<u32> {
	(0..parameters().deadlines)
		.map(|deadline| DeadlineHeads::<Test>::get(owner, deadline).live)
		.collect()
}

#[test]
fn never_into_the_open_deadline_and_otherwise_evenly() {
	// Activations at every offset within a period.
	for start in 1..=20 {
		test(|| {
			run_to(start);
			register(1);
			for number in 0..9 {
				let sector = Kept::hot(1, number, &[order(number.into()).lasting(10_000)]);
				activate(&[&sector]);
				let location = record(1, number).location.expect("live");
				let open = calendar(1).at(now());
				assert_ne!(location.deadline, open.deadline);
				let window = calendar(1).next(location.deadline, now());
				assert!(window.open > now());
				assert_eq!(record(1, number).proven.first_close(), window.close);
			}
			let lives = lives(1);
			assert_eq!(lives.iter().sum::<u32>(), 9);
			let (most, least) = (lives.iter().max(), lives.iter().min());
			assert!(most.expect("four") - least.expect("four") <= 1, "{lives:?}");
		});
	}
}

#[test]
fn of_empty_deadlines_the_next_one_is_taken() {
	test(|| {
		register(1);
		let sectors: Vec<_> = (0..4)
			.map(|number| Kept::hot(1, number, &[order(number.into())]))
			.collect();
		activate(&sectors.iter().collect::<Vec<_>>());
		let open = calendar(1).at(now()).deadline;
		let deadlines: Vec<_> = (0..4)
			.map(|number| record(1, number).location.expect("live").deadline)
			.collect();
		// The fourth goes to the next one again: the only empty one is open.
		assert_eq!(deadlines, [1, 2, 3, 1].map(|ahead| (open + ahead) % 4));
	});
}

#[test]
fn partitions_fill_up_before_another_one_begins() {
	test_with(two_deadlines(), || {
		register(1);
		// While one deadline is open, everything goes to the other one.
		let window = calendar(1).at(now());
		run_to(window.close);
		let deadline = 1 - calendar(1).at(now()).deadline;
		let mut number = 0;
		while number < 70 {
			let batch: Vec<_> = (number..70.min(number + 32))
				.map(|number| Kept::hot(1, number, &[order(number.into())]))
				.collect();
			ok(1, pre_commit(&batch.iter().collect::<Vec<_>>()));
			run_to(now() + 2);
			ok(1, prove(batch.iter().map(|sector| sector.whole()).collect()));
			number += 32;
		}
		let at = |number| record(1, number).location.expect("live");
		for number in 0..70 {
			let (partition, slot) = (number / SECTORS_PER_PARTITION, number % SECTORS_PER_PARTITION);
			assert_eq!(
				at(number),
				Location {
					deadline,
					partition,
					slot
				}
			);
		}
		let (_, close) = next_deadline(1, 0);
		let head = DeadlineHeads::<Test>::get(1, deadline);
		assert_eq!(
			head,
			DeadlineHead {
				partitions: 2,
				live: 70,
				close: Some(close)
			}
		);
		assert_eq!(DeadlineCloses::<Test>::iter().count(), 1);
		assert_eq!(
			Partitions::<Test>::get((1, deadline, 0)).expect("full").live,
			u64::MAX
		);
		assert_eq!(
			Partitions::<Test>::get((1, deadline, 1)).expect("begun").live,
			0b11_1111
		);
	});
}

#[test]
fn each_type_has_partitions_of_its_own() {
	test_with(two_deadlines(), || {
		register(1);
		run_to(calendar(1).at(now()).close);
		let sectors = [
			Kept::hot(1, 0, &[order(0)]),
			Kept::sealed(1, 1, &[], 400),
			Kept::hot(1, 2, &[order(2)]),
			Kept::sealed(1, 3, &[], 400),
		];
		activate(&sectors.iter().collect::<Vec<_>>());
		let at = |number| record(1, number).location.map(|at| (at.partition, at.slot));
		assert_eq!(
			[at(0), at(1), at(2), at(3)],
			[(0, 0), (1, 0), (0, 1), (1, 1)].map(Some)
		);
	});
}

#[test]
fn slots_of_expired_sectors_are_used_again() {
	test_with(two_deadlines(), || {
		register(1);
		// Both go to the deadline that is not open.
		run_to(calendar(1).at(now()).close);
		let short = Kept::hot(1, 0, &[order(0).lasting(30)]);
		let long = Kept::hot(1, 1, &[order(1).lasting(400)]);
		activate(&[&short, &long]);
		let location = record(1, 0).location.expect("live");
		assert_eq!(record(1, 1).location, Some(Location { slot: 1, ..location }));
		let mut store = Store::of([short, long]);
		store.run_proving(1, now() + 50);
		assert_eq!(record(1, 0).location, None);
		assert_eq!(
			Partitions::<Test>::get((1, location.deadline, 0))
				.expect("kept")
				.live,
			0b10
		);

		// The next one in that deadline takes the slot, and is proven and paid as itself.
		while calendar(1).at(now()).deadline == location.deadline
			|| calendar(1).at(now() + 2).deadline == location.deadline
		{
			store.run_proving(1, now() + 1);
		}
		let newcomer = Kept::hot(1, 2, &[order(2).lasting(400)]);
		ok(1, pre_commit(&[&newcomer]));
		run_to(now() + 2);
		ok(1, prove(vec![newcomer.whole()]));
		store.add(newcomer);
		assert_eq!(record(1, 2).location, Some(location));
		let (_, close) = next_deadline(1, 2);
		let activated = now();
		assert_eq!(record(1, 2).proven.total(), 0);
		store.run_proving(1, close);
		assert_eq!(record(1, 2).proven.total(), close - activated);
		assert!(record(1, 2).fault.is_none() && record(1, 1).fault.is_none());
	});
}

#[test]
fn a_partition_that_housekeeping_is_late_with_is_passed_over() {
	test(|| {
		register(1);
		let first = Kept::hot(1, 0, &[order(1)]);
		activate(&[&first]);
		let location = record(1, 0).location.expect("live");
		let (_, close) = next_deadline(1, 0);
		// Three more, so that the next one goes to the same deadline.
		for number in 1..4 {
			activate(&[&Kept::hot(1, number, &[order(number.into())])]);
		}
		let newcomer = Kept::hot(1, 4, &[order(5)]);
		ok(1, pre_commit(&[&newcomer]));
		// The close was missed, and nobody has noticed yet.
		let late = close + 60;
		jump_to(late);
		let mut number = 4;
		ok(1, prove(vec![newcomer.whole()]));
		while record(1, number).location.expect("live").deadline != location.deadline {
			number += 1;
			let sector = Kept::hot(
				1,
				number,
				&[Order {
					start_by: late + 50,
					..order(number.into())
				}],
			);
			ok(1, pre_commit(&[&sector]));
			jump_to(now() + 2);
			ok(1, prove(vec![sector.whole()]));
		}
		let at = record(1, number).location.expect("live");
		assert_eq!(
			(at.deadline, at.partition),
			(location.deadline, location.partition + 1)
		);
		next_block();
		// Housekeeping catches up: what was missed falls on those who missed it.
		assert_eq!(record(1, 0).fault.expect("missed").since, close);
		assert!(record(1, number).fault.is_none());
	});
}
