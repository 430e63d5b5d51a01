//! Missed deadlines and lapsed pre-commits, in time and late.

use super::{mock::*, sealing::*};
use crate::{
	types::{Partition, SectorRecord},
	Call, DeadlineCloses, DeadlineHeads, Error, Event, HoldReason, Partitions, PreCommits, Sectors,
	SweepCursor, WeightInfo,
};
use frame_support::{
	dispatch::GetDispatchInfo,
	traits::Hooks,
	weights::{Weight, WeightMeter},
};

/// Several providers with several sectors each, some of which are proven, some declared, some short.
fn scene() -> Store {
	let mut store = Store::default();
	for owner in 1..=3 {
		register(owner);
		let sectors: Vec<_> = (0..6)
			.map(|number| {
				let duration = if number == 5 { 30 } else { 1_000 };
				let content = owner * 100 + u64::from(number);
				Kept::hot(owner, number, &[order(content).lasting(duration)])
			})
			.collect();
		activate(&sectors.iter().collect::<Vec<_>>());
		sectors.into_iter().for_each(|sector| store.add(sector));
	}
	// The first and the third prove, the second does not.
	let end = now() + 25;
	while now() < end {
		let due: Vec<_> = [1, 3].map(|owner| (owner, store.due(owner))).into();
		next_block();
		for (owner, challenge) in due {
			if let Some(challenge) = challenge {
				ok(owner, store.post(owner, &challenge));
			}
		}
	}
	for sector in 0..4 {
		// Some of them are in the open deadline.
		let _ = dispatch(
			3,
			Call::declare_faults {
				sectors: vec![sector].try_into().expect("one"),
			},
		);
		let _ = dispatch(
			2,
			Call::declare_faults_recovered {
				sectors: vec![sector].try_into().expect("one"),
			},
		);
	}
	let lapsing = Kept::hot(1, 50, &[order(999)]);
	ok(1, pre_commit(&[&lapsing]));
	store
}

type Everything = (
	Vec<((u64, u32, u32), Partition)>,
	Vec<(u64, u32, SectorRecord)>,
	Vec<u128>,
);

fn everything() -> Everything {
	let mut partitions: Vec<_> = Partitions::<Test>::iter().collect();
	partitions.sort_by_key(|(key, _)| *key);
	let mut sectors: Vec<_> = Sectors::<Test>::iter().collect();
	sectors.sort_by_key(|(owner, sector, _)| (*owner, *sector));
	let held = (1..=3)
		.map(|owner| held(HoldReason::SectorPledge, owner))
		.collect();
	(partitions, sectors, held)
}

#[test]
fn late_housekeeping_comes_to_the_same() {
	for late in (1..70).step_by(6) {
		let mut ends = vec![];
		for in_time in [true, false] {
			test(|| {
				let _store = scene();
				let end = now() + late;
				if in_time {
					run_to(end);
				} else {
					jump_to(end - 1);
					next_block();
				}
				ends.push(everything());
			});
		}
		let in_time = ends.remove(0);
		assert_eq!(in_time, ends.remove(0), "{late} blocks late");
	}
}

#[test]
fn a_proof_settles_its_partition_first() {
	test(|| {
		let sector = provider_with_sector(1, &[order(1).lasting(1_000)]);
		let (_, close) = run_before_deadline(1, 0);
		// One is missed unnoticed; the next one cannot be proven as if nothing had happened.
		jump_to(close + 16);
		let store = Store::of([sector]);
		let deadline = record(1, 0).location.expect("live").deadline;
		assert!(store.due(1).is_none());
		refused(
			1,
			submit(deadline, &[(0, 0)], vec![]),
			Error::<Test>::NothingToProve,
		);
		next_block();
		assert_eq!(record(1, 0).fault.expect("missed").since, close);
	});
}

#[test]
fn housekeeping_four_periods_late_must_be_helped() {
	test(|| {
		register(1);
		let sectors: Vec<_> = (0..5)
			.map(|number| Kept::hot(1, number, &[order(number.into()).lasting(1_000)]))
			.collect();
		activate(&sectors.iter().collect::<Vec<_>>());
		let location = record(1, 0).location.expect("live");
		let (_, close) = next_deadline(1, 0);
		jump_to(close + 5 * 20 - 4);
		refused(
			1,
			submit(location.deadline, &[(0, 0)], vec![]),
			Error::<Test>::Unsettled,
		);
		let entries = || DeadlineCloses::<Test>::iter().count();
		assert_eq!(entries(), 3);
		let mut calls = 0;
		while SweepCursor::<Test>::get() <= now() {
			ok(7, Call::service { limit: 1 });
			calls += 1;
			assert_eq!(entries(), 3);
		}
		assert!(calls > 1, "{calls}");
		for number in 0..5 {
			let first = record(1, number).proven.first_close();
			assert_eq!(record(1, number).fault.expect("missed").since, first);
		}
	});
}

#[test]
fn service_costs_what_it_does() {
	test(|| {
		register(1);
		for number in 0..4 {
			ok(1, pre_commit(&[&Kept::hot(1, number, &[order(number.into())])]));
		}
		let lapse = now() + parameters().prove_commit_window + 1;
		run_to(lapse - 1);
		jump_to(lapse);
		let call = |limit| RuntimeCall::StorageProvider(Call::service { limit });
		let most = |limit| call(limit).get_dispatch_info().call_weight;
		assert!(most(3).all_gt(most(1)));
		let used = dispatch(9, Call::service { limit: 100 })
			.expect("anyone")
			.actual_weight
			.expect("refund");
		assert!(used.all_lt(most(100)));
		assert_eq!(PreCommits::<Test>::iter().count(), 0);
		assert_eq!(held(HoldReason::PreCommitDeposit, 1), 0);
		// Nothing to do costs next to nothing, and zero steps do nothing.
		let idle = dispatch(9, Call::service { limit: 100 })
			.expect("anyone")
			.actual_weight
			.expect("refund");
		assert!(idle.all_lte(<() as WeightInfo>::service().saturating_add(<() as WeightInfo>::sweep_look())));
		assert!(dispatch(9, Call::service { limit: 0 }).is_ok());
	});
}

#[test]
fn blocks_with_little_room_do_a_little_each() {
	test(|| {
		register(1);
		for number in 0..6 {
			ok(1, pre_commit(&[&Kept::hot(1, number, &[order(number.into())])]));
		}
		let lapse = now() + parameters().prove_commit_window + 1;
		run_to(lapse - 1);
		System::set_block_number(lapse);
		// Room for one pre-commit in `on_idle`, for none in a quarter of it.
		let one = <() as WeightInfo>::expire_pre_commit()
			.saturating_add(<() as WeightInfo>::sweep_look().saturating_mul(2));
		for left in (0..6).rev() {
			end_block(one);
			assert_eq!(PreCommits::<Test>::iter().count(), left);
		}
		end_block(Weight::zero());
		let expired = |event: &Event<Test>| matches!(event, Event::PreCommitExpired { .. });
		assert_eq!(count_events(expired), 6);
	});
}

#[test]
fn the_start_of_a_block_takes_a_quarter_at_most() {
	test(|| {
		register(1);
		for number in 0..30 {
			ok(1, pre_commit(&[&Kept::hot(1, number, &[order(number.into())])]));
		}
		jump_to(now() + parameters().prove_commit_window + 1);
		SweepCursor::<Test>::put(now());
		let step = <() as WeightInfo>::expire_pre_commit().saturating_add(<() as WeightInfo>::sweep_look());
		let mut meter = WeightMeter::with_limit(step.saturating_mul(40));
		StorageProvider::on_poll(now(), &mut meter);
		assert!(meter.consumed().all_lte(step.saturating_mul(10)));
		assert_eq!(PreCommits::<Test>::iter().count(), 20);
	});
}

#[test]
fn partitions_are_settled_one_by_one() {
	test_with(two_deadlines(), || {
		register(1);
		run_to(
			StorageProvider::view_current_deadline(1)
				.expect("registered")
				.close,
		);
		let sectors: Vec<_> = (0..70)
			.map(|number| Kept::hot(1, number, &[order(number.into()).lasting(1_000)]))
			.collect();
		for batch in sectors.chunks(32) {
			ok(1, pre_commit(&batch.iter().collect::<Vec<_>>()));
		}
		run_to(now() + 2);
		for batch in sectors.chunks(32) {
			ok(1, prove(batch.iter().map(|sector| sector.whole()).collect()));
		}
		let deadline = record(1, 0).location.expect("live").deadline;
		let (_, close) = next_deadline(1, 0);
		run_to(close - 1);
		System::set_block_number(close);
		let look = <() as WeightInfo>::sweep_look();
		let room = <() as WeightInfo>::settle_partition(64).saturating_add(look);
		StorageProvider::on_idle(now(), room);
		check();
		// The first is worked off, the calendar's entry names the second.
		assert_eq!(record(1, 0).fault.expect("missed").since, close);
		assert_eq!(record(1, 64).fault, None);
		assert_eq!(DeadlineCloses::<Test>::get((close, 1, deadline)), Some(1));
		assert_eq!(DeadlineHeads::<Test>::get(1, deadline).close, Some(close));
		StorageProvider::on_idle(now(), room);
		check();
		assert_eq!(record(1, 64).fault.expect("missed").since, close);
		assert_eq!(
			DeadlineCloses::<Test>::iter().collect::<Vec<_>>(),
			[((close + 20, 1, deadline), 0)]
		);
		assert_eq!(DeadlineHeads::<Test>::get(1, deadline).close, Some(close + 20));
	});
}

#[test]
fn idle_providers_cost_nothing() {
	let cost = |providers: u64| {
		let mut cost = Weight::zero();
		test(|| {
			(1..=providers).for_each(register);
			run_to(20);
			assert_eq!(DeadlineCloses::<Test>::iter().count(), 0);
			for _ in 0..40 {
				System::set_block_number(now() + 1);
				let mut meter = WeightMeter::new();
				StorageProvider::on_poll(now(), &mut meter);
				cost += meter.consumed() + StorageProvider::on_idle(now(), Weight::MAX);
			}
		});
		cost
	};
	assert_eq!(cost(10), cost(0));
	// Nor does one whose sectors are gone.
	test(|| {
		let sector = provider_with_sector(1, &[order(1).lasting(25)]);
		Store::of([sector]).run_proving(1, now() + 60);
		assert_eq!(DeadlineCloses::<Test>::iter().count(), 0);
	});
}
