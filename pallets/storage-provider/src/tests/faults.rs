//! Faults and recoveries.

use super::{mock::*, sealing::*};
use crate::{
	types::{Fault, FaultReason, MissedChallenge},
	Call, Error, Event,
};
use cairn_primitives::{
	challenge::{live_leaf, window_challenge},
	SectorNumber,
};

type ProofsError = pallet_proofs::Error<Test>;

fn declare(sectors: &[SectorNumber]) -> Call<Test> {
	Call::declare_faults {
		sectors: sectors.to_vec().try_into().expect("few"),
	}
}

fn recover(sectors: &[SectorNumber]) -> Call<Test> {
	Call::declare_faults_recovered {
		sectors: sectors.to_vec().try_into().expect("few"),
	}
}

fn long_lived(owner: AccountId) -> Store {
	Store::of([provider_with_sector(owner, &[order(owner).lasting(2_000)])])
}

fn faulty(sector: SectorNumber, reason: FaultReason) -> usize {
	count_events(|event| {
		*event
			== Event::SectorFaulty {
				provider: 1,
				sector,
				reason,
			}
	})
}

#[test]
fn a_missed_proof_makes_a_sector_faulty_exactly_at_the_close() {
	test(|| {
		let _store = long_lived(1);
		let (open, close) = run_before_deadline(1, 0);
		let period = StorageProvider::view_current_deadline(1)
			.expect("registered")
			.period;
		run_to(close - 1);
		assert_eq!(record(1, 0).fault, None);
		assert_eq!(partition_of(1, 0).0.faulty, 0);
		next_block();
		let missed = MissedChallenge {
			period,
			beacon: ScriptedBeacons::value(open),
		};
		let fault = Some(Fault {
			since: close,
			missed: Some(missed),
		});
		assert_eq!(record(1, 0).fault, fault);
		assert_eq!(partition_of(1, 0).0.faulty, 1);
		assert_eq!(
			last_event(),
			Event::SectorFaulty {
				provider: 1,
				sector: 0,
				reason: FaultReason::Missed
			}
		);
		// Later ones change nothing: the first miss is remembered, the event came once.
		run_to(close + 45);
		assert_eq!(record(1, 0).fault, fault);
		assert_eq!(faulty(0, FaultReason::Missed), 1);
		assert_eq!(record(1, 0).proven.total(), 0);
	});
}

#[test]
fn a_faulty_sector_need_not_be_proven() {
	test(|| {
		let store = long_lived(1);
		let (_, close) = run_before_deadline(1, 0);
		run_to(close);
		run_before_deadline(1, 0);
		next_block();
		assert!(store.due(1).is_none());
		let deadline = record(1, 0).location.expect("live").deadline;
		refused(
			1,
			submit(deadline, &[(0, 0)], vec![]),
			Error::<Test>::NothingToProve,
		);
	});
}

#[test]
fn a_recovery_answers_the_missed_challenge_and_fresh_ones() {
	test(|| {
		let store = long_lived(1);
		let sector = &store.0[&(1, 0)];
		let (missed_open, close) = run_before_deadline(1, 0);
		let missed_period = StorageProvider::view_current_deadline(1)
			.expect("registered")
			.period;
		run_to(close + 3);
		ok(1, recover(&[0]));
		assert_eq!(
			last_event(),
			Event::SectorRecovering {
				provider: 1,
				sector: 0
			}
		);
		refused(1, recover(&[0]), Error::<Test>::NotFaulty);
		refused(1, declare(&[0]), Error::<Test>::AlreadyFaulty);

		let (open, close) = run_before_deadline(1, 0);
		next_block();
		let window = StorageProvider::view_current_deadline(1).expect("registered");
		let leaves = |beacon_of, period| -> Vec<u64> {
			let beacon = ScriptedBeacons::value(beacon_of);
			let live = sector.pieces[0].payload_leaves();
			(0..12)
				.map(|j| {
					let value = window_challenge(&beacon, &prover_id(1), 0, period, window.deadline, j);
					live_leaf([(0, live)], value).expect("payload")
				})
				.collect()
		};
		let (owed, fresh) = (leaves(missed_open, missed_period), leaves(open, window.period));
		let call = |leaves: &[&[u64]]| submit(window.deadline, &[(0, 0)], sector.open(&leaves.concat()));
		// Skipping defeats nothing: a proof of fresh challenges only is refused.
		refused(1, call(&[&fresh]), Error::<Test>::WrongProofLength);
		refused(1, call(&[&fresh, &fresh]), ProofsError::WrongDataPath);
		refused(1, call(&[&owed, &owed]), ProofsError::WrongDataPath);
		refused(1, call(&[&fresh, &owed]), ProofsError::WrongDataPath);
		let view = StorageProvider::view_deadline_challenge(1).expect("registered");
		assert_eq!(
			view.partitions[0].sectors[0].leaves,
			[owed.clone(), fresh.clone()].concat()
		);
		ok(1, call(&[&owed, &fresh]));

		assert_eq!(record(1, 0).fault, None);
		let (partition, _) = partition_of(1, 0);
		assert_eq!((partition.faulty, partition.recovering), (0, 0));
		assert_eq!(
			count_events(|event| *event
				== Event::SectorRecovered {
					provider: 1,
					sector: 0
				}),
			1
		);
		// The interval that ended in a miss is never paid, this one is.
		assert_eq!(record(1, 0).proven.total(), 20);
		store.run_proving(1, close + 20);
		assert_eq!(record(1, 0).proven.total(), 40);
	});
}

#[test]
fn a_declared_fault_misses_its_first_challenge_at_the_next_close() {
	test(|| {
		let store = long_lived(1);
		let (open, close) = run_before_deadline(1, 0);
		ok(1, declare(&[0]));
		let since = now();
		assert_eq!(record(1, 0).fault, Some(Fault { since, missed: None }));
		assert_eq!(faulty(0, FaultReason::Declared), 1);
		let (partition, bit) = partition_of(1, 0);
		assert_eq!((partition.faulty, partition.undrawn), (bit, bit));
		assert!(store.due(1).is_none());
		run_to(close);
		let missed = record(1, 0).fault.expect("declared").missed.expect("drawn");
		assert_eq!(missed.beacon, ScriptedBeacons::value(open));
		assert_eq!(record(1, 0).fault.expect("declared").since, since);
		assert_eq!(partition_of(1, 0).0.undrawn, 0);
		assert_eq!(faulty(0, FaultReason::Missed), 0);
		// From now on it owes that challenge.
		ok(1, recover(&[0]));
		run_before_deadline(1, 0);
		next_block();
		let challenge = store.due(1).expect("due");
		assert_eq!(challenge.partitions[0].sectors[0].leaves.len(), 24);
		ok(1, store.post(1, &challenge));
		assert_eq!(record(1, 0).fault, None);
	});
}

#[test]
fn a_declaration_taken_back_before_its_challenge_costs_nothing() {
	test(|| {
		let store = long_lived(1);
		let (_, close) = run_before_deadline(1, 0);
		ok(1, declare(&[0]));
		ok(1, recover(&[0]));
		next_block();
		let challenge = store.due(1).expect("due");
		assert_eq!(challenge.partitions[0].sectors[0].leaves.len(), 12);
		ok(1, store.post(1, &challenge));
		assert_eq!(record(1, 0).fault, None);
		assert_eq!(record(1, 0).proven.total(), close - record(1, 0).proven.start());
	});
}

#[test]
fn a_recovery_that_is_missed_remembers_the_first_miss() {
	test(|| {
		let store = long_lived(1);
		let (_, close) = run_before_deadline(1, 0);
		run_to(close);
		let fault = record(1, 0).fault;
		ok(1, recover(&[0]));
		run_to(close + 20);
		let (partition, bit) = partition_of(1, 0);
		assert_eq!((partition.faulty, partition.recovering), (bit, 0));
		assert_eq!(record(1, 0).fault, fault);
		assert_eq!(faulty(0, FaultReason::Missed), 1);
		// It takes another declaration.
		run_to(close + 36);
		assert!(store.due(1).is_none());
		run_to(close + 40);
		ok(1, recover(&[0]));
		run_before_deadline(1, 0);
		next_block();
		let challenge = store.due(1).expect("due");
		ok(1, store.post(1, &challenge));
		assert_eq!(record(1, 0).fault, None);
	});
}

#[test]
fn a_recovery_that_is_skipped_stays_faulty() {
	test(|| {
		register(1);
		let sectors: Vec<_> = (0..8)
			.map(|number| Kept::hot(1, number, &[order(number.into()).lasting(900)]))
			.collect();
		activate(&sectors.iter().collect::<Vec<_>>());
		let store = Store::of(sectors);
		// Two in one deadline.
		let deadline = record(1, 0).location.expect("live").deadline;
		let pair: Vec<u32> = (0..8)
			.filter(|number| record(1, *number).location.expect("live").deadline == deadline)
			.collect();
		assert!(pair.len() >= 2);
		run_to(now() + 25);
		let fault = record(1, pair[0]).fault.expect("missed");
		while now() < next_deadline(1, pair[0]).0 - 1 {
			next_block();
		}
		ok(1, recover(&pair));
		next_block();
		let challenge = store.due(1).expect("due");
		let skipped = 1 << record(1, pair[0]).location.expect("live").slot;
		let partition = &challenge.partitions[0];
		let bytes = store.prove_partition(1, partition, skipped);
		ok(1, submit(deadline, &[(partition.partition, skipped)], bytes));
		assert_eq!(record(1, pair[0]).fault, Some(fault));
		assert_eq!(record(1, pair[1]).fault, None);
		let (partition, bit) = partition_of(1, pair[0]);
		assert_eq!((partition.faulty & bit, partition.recovering), (bit, 0));
	});
}

#[test]
fn declarations_come_before_the_challenge_is_known() {
	test(|| {
		let _store = long_lived(1);
		let (open, close) = run_before_deadline(1, 0);
		next_block();
		for block in open..close {
			run_to(block);
			refused(1, declare(&[0]), Error::<Test>::ChallengeKnown);
			refused(1, recover(&[0]), Error::<Test>::ChallengeKnown);
		}
		next_block();
		refused(1, declare(&[0]), Error::<Test>::AlreadyFaulty);
		ok(1, recover(&[0]));
	});
}

#[test]
fn declarations_name_live_sectors_once() {
	test(|| {
		let store = long_lived(1);
		register_with_worker(2, 3);
		// The deadline after the sector's own is open.
		let (_, close) = next_deadline(1, 0);
		store.run_proving(1, close);
		refused(1, declare(&[]), Error::<Test>::EmptyBatch);
		refused(1, recover(&[]), Error::<Test>::EmptyBatch);
		refused(1, declare(&[1]), Error::<Test>::SectorNotLive);
		refused(2, declare(&[0]), Error::<Test>::SectorNotLive);
		refused(3, declare(&[0]), Error::<Test>::SectorNotLive);
		refused(4, declare(&[0]), Error::<Test>::NotAProvider);
		refused(1, declare(&[0, 0]), Error::<Test>::AlreadyFaulty);
		refused(1, recover(&[0]), Error::<Test>::NotFaulty);
		ok(1, declare(&[0]));
		refused(1, recover(&[0, 0]), Error::<Test>::NotFaulty);
		ok(1, recover(&[0]));
	});
}

#[test]
fn an_expired_sector_cannot_be_declared() {
	test(|| {
		let sector = provider_with_sector(1, &[order(1).lasting(30)]);
		Store::of([sector]).run_proving(1, now() + 60);
		assert_eq!(record(1, 0).location, None);
		refused(1, declare(&[0]), Error::<Test>::SectorNotLive);
		refused(1, recover(&[0]), Error::<Test>::SectorNotLive);
	});
}

#[test]
fn a_deadline_without_a_beacon_is_void() {
	test(|| {
		let store = long_lived(1);
		let (open, close) = run_before_deadline(1, 0);
		ScriptedBeacons::leave_out(open..close);
		run_to(close);
		assert_eq!(record(1, 0).fault, None);
		assert_eq!(record(1, 0).proven.total(), 0, "nor is it paid");
		// A beacon at the close comes too late to matter. The next deadline is as usual.
		store.run_proving(1, close + 20);
		assert_eq!(record(1, 0).proven.total(), 20);

		// A declared fault goes on without owing anything, a recovery stays declared.
		let (open, close) = run_before_deadline(1, 0);
		ScriptedBeacons::leave_out(open..close);
		ok(1, declare(&[0]));
		ok(1, recover(&[0]));
		run_to(close + 1);
		let (partition, bit) = partition_of(1, 0);
		assert_eq!(
			(partition.faulty, partition.undrawn, partition.recovering),
			(bit, bit, bit)
		);
		assert_eq!(record(1, 0).fault.expect("declared").missed, None);
		store.run_proving(1, close + 20);
		assert_eq!(record(1, 0).fault, None);
	});
}

#[test]
fn declarations_wait_for_late_housekeeping() {
	test(|| {
		let store = long_lived(1);
		let (_, close) = run_before_deadline(1, 0);
		jump_to(close + 2);
		refused(1, declare(&[0]), Error::<Test>::Unsettled);
		refused(1, recover(&[0]), Error::<Test>::Unsettled);
		ok(9, Call::service { limit: 1 });
		refused(1, declare(&[0]), Error::<Test>::AlreadyFaulty);
		ok(1, recover(&[0]));
		store.run_proving(1, close + 20);
		assert_eq!(record(1, 0).fault, None);
	});
}

/// Whoever lost part of one piece must not have the challenge fall elsewhere by waiting for another
/// piece's end.
#[test]
fn an_owed_challenge_keeps_its_leaves_when_another_piece_ends() {
	test(|| {
		register(1);
		let orders = [
			Order {
				length: 900,
				duration: 60,
				..order(1)
			},
			Order {
				length: 900,
				duration: 900,
				..order(2)
			},
		];
		let sector = Kept::hot(1, 0, &orders);
		activate(&[&sector]);
		let (missed_open, close) = run_before_deadline(1, 0);
		let missed_period = StorageProvider::view_current_deadline(1)
			.expect("registered")
			.period;
		run_to(close + 80);
		ok(1, recover(&[0]));
		run_before_deadline(1, 0);
		next_block();
		let window = StorageProvider::view_current_deadline(1).expect("registered");
		let count = sector.pieces[0].payload_leaves();
		let (both, second) = ([(0, count), (32, count)], [(32, count)]);
		let beacon = ScriptedBeacons::value(missed_open);
		let expected: Vec<u64> = (0..12)
			.map(|j| {
				let value = window_challenge(&beacon, &prover_id(1), 0, missed_period, window.deadline, j);
				let then = live_leaf(both, value).expect("payload");
				if then >= 32 {
					then
				} else {
					live_leaf(second, value).expect("payload")
				}
			})
			.collect();
		let store = Store::of([sector]);
		let challenge = store.due(1).expect("due");
		let leaves = &challenge.partitions[0].sectors[0].leaves;
		assert_eq!(leaves[..12], expected);
		assert!(leaves.iter().all(|leaf| (32..32 + count).contains(leaf)));
		ok(1, store.post(1, &challenge));
		assert_eq!(record(1, 0).fault, None);
	});
}

#[test]
fn a_sealed_sector_recovers_too() {
	test(|| {
		register(1);
		run_to(4);
		let sector = Kept::sealed(1, 0, &[], 2_000);
		activate(&[&sector]);
		let store = Store::of([sector]);
		let (_, close) = run_before_deadline(1, 0);
		run_to(close);
		ok(1, recover(&[0]));
		store.run_proving(1, close + 20);
		assert_eq!(record(1, 0).fault, None);
		assert_eq!(record(1, 0).proven.total(), 20);
	});
}
