//! Deadlines whose beacon comes late.

use super::{mock::*, sealing::*};
use crate::Error;

/// A live sector of provider 1, whose next deadline has its first beacon `before` blocks before it
/// closes. Returns the deadline, its first block and its close.
fn late_beacon(before: u32) -> (Store, u32, u32, u32) {
	let sector = provider_with_sector(1, &[order(1).lasting(1_000)]);
	let (open, close) = run_before_deadline(1, 0);
	ScriptedBeacons::leave_out(open..close - before);
	let deadline = record(1, 0).location.expect("live").deadline;
	(Store::of([sector]), deadline, open, close)
}

#[test]
fn the_last_block_but_one_may_draw_the_challenge() {
	test(|| {
		let (store, _, _, close) = late_beacon(2);
		run_to(close - 3);
		assert!(store.due(1).is_none());
		next_block();
		let challenge = store.due(1).expect("drawn");
		next_block();
		assert_eq!(now(), close - 1);
		ok(1, store.post(1, &challenge));
		run_to(close + 1);
		assert!(record(1, 0).fault.is_none());
	});
}

/// Nobody could answer it: the view tells of it when the deadline is over.
#[test]
fn a_beacon_of_the_last_block_makes_nobody_guilty() {
	test(|| {
		let (store, deadline, open, close) = late_beacon(1);
		while now() < close {
			assert!(store.due(1).is_none());
			if (open..close).contains(&now()) {
				refused(
					1,
					submit(deadline, &[(0, 0)], vec![]),
					Error::<Test>::ChallengeNotDrawn,
				);
			}
			next_block();
		}
		assert!(record(1, 0).fault.is_none());
		assert_eq!(record(1, 0).proven.total(), 0, "nor is it paid");
		store.run_proving(1, close + 20);
		assert_eq!(record(1, 0).proven.until(), close + 20);
	});
}
