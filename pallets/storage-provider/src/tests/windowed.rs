//! Windowed proofs.

use super::{mock::*, sealing::*};
use crate::{Call, Error, Event, Partitions};
use cairn_primitives::{
	challenge::{live_leaf, replica_leaf, window_challenge},
	piece::payload_leaves,
};
use frame_support::dispatch::Pays;

type ProofsError = pallet_proofs::Error<Test>;

/// A provider with one live sector, at the first block of its deadline.
fn open(owner: AccountId) -> (Store, u32, u32) {
	let sector = provider_with_sector(owner, &[order(owner).lasting(1_000)]);
	let (open, close) = run_before_deadline(owner, 0);
	next_block();
	assert_eq!(now(), open);
	(Store::of([sector]), open, close)
}

/// The proof of the open deadline, by what the view says in this block.
fn due(store: &Store, owner: AccountId) -> Call<Test> {
	store.post(owner, &store.due(owner).expect("due"))
}

fn deadline(owner: AccountId) -> u32 {
	record(owner, 0).location.expect("live").deadline
}

#[test]
fn leaves_follow_from_beacon_provider_sector_period_and_deadline() {
	test(|| {
		let (store, open, _) = open(1);
		let sector = &store.0[&(1, 0)];
		let challenge = StorageProvider::view_deadline_challenge(1).expect("registered");
		let live = payload_leaves(sector.pieces[0].payload_size);
		let expected: Vec<u64> = (0..12)
			.map(|j| {
				let beacon = ScriptedBeacons::value(open);
				let window = challenge.window;
				let value = window_challenge(&beacon, &prover_id(1), 0, window.period, window.deadline, j);
				live_leaf([(0, live)], value).expect("payload")
			})
			.collect();
		assert_eq!(challenge.partitions[0].sectors[0].leaves, expected);
		ok(1, submit(deadline(1), &[(0, 0)], sector.open(&expected)));
	});
}

#[test]
fn sealed_sectors_open_any_leaf_of_the_replica() {
	test(|| {
		register(1);
		run_to(4);
		let sector = Kept::sealed(1, 0, &[], 1_000);
		activate(&[&sector]);
		let (open, _) = run_before_deadline(1, 0);
		next_block();
		let window = StorageProvider::view_deadline_challenge(1)
			.expect("registered")
			.window;
		let expected: Vec<u64> = (0..12)
			.map(|j| {
				let beacon = ScriptedBeacons::value(open);
				let value = window_challenge(&beacon, &prover_id(1), 0, window.period, window.deadline, j);
				replica_leaf(value, 64)
			})
			.collect();
		ok(1, submit(window.deadline, &[(0, 0)], sector.open(&expected)));
		let store = Store::of([sector]);
		store.run_proving(1, now() + 60);
		assert!(record(1, 0).fault.is_none());
	});
}

#[test]
fn a_proof_is_accepted_from_the_first_to_the_last_block_of_the_window() {
	for last in [false, true] {
		test(|| {
			let (store, open, close) = open(1);
			let challenge = store.due(1).expect("due");
			if last {
				run_to(close - 1);
			}
			let result = dispatch(1, store.post(1, &challenge)).expect("in time");
			assert_eq!(result.pays_fee, Pays::No);
			assert_eq!(
				last_event(),
				Event::WindowProofAccepted {
					provider: 1,
					deadline: deadline(1),
					period: challenge.window.period,
					partitions: vec![0],
					sectors: 1,
				}
			);
			let start = record(1, 0).proven.start();
			assert_eq!(record(1, 0).proven.total(), close - start);
			run_to(close + 10);
			assert!(record(1, 0).fault.is_none());
			assert_eq!((challenge.window.open, challenge.window.close), (open, close));
		});
	}
}

#[test]
fn before_the_window_and_after_it_the_deadline_is_not_open() {
	test(|| {
		let sector = provider_with_sector(1, &[order(1).lasting(1_000)]);
		let (_, close) = run_before_deadline(1, 0);
		let (store, deadline) = (Store::of([sector]), deadline(1));
		refused(
			1,
			submit(deadline, &[(0, 0)], vec![]),
			Error::<Test>::DeadlineNotOpen,
		);
		next_block();
		let call = due(&store, 1);
		for wrong in (0..5).filter(|wrong| *wrong != deadline) {
			let Call::submit_windowed_post {
				partitions, proof, ..
			} = call.clone()
			else {
				unreachable!()
			};
			let wrong = Call::submit_windowed_post {
				deadline: wrong,
				partitions,
				proof,
			};
			refused(1, wrong, Error::<Test>::DeadlineNotOpen);
		}
		jump_to(close);
		refused(1, call, Error::<Test>::DeadlineNotOpen);
	});
}

#[test]
fn a_partition_is_proven_once_a_period() {
	test(|| {
		let (store, _, close) = open(1);
		let call = due(&store, 1);
		ok(1, call.clone());
		refused(1, call.clone(), Error::<Test>::AlreadyProven);
		next_block();
		refused(1, call.clone(), Error::<Test>::AlreadyProven);
		assert!(
			StorageProvider::view_deadline_challenge(1)
				.expect("registered")
				.partitions[0]
				.proven
		);
		// Nor does last period's proof do for this one.
		run_to(close + 16);
		refused(1, call, ProofsError::WrongDataPath);
		ok(1, due(&store, 1));
	});
}

#[test]
fn worker_and_owner_prove_and_nobody_else() {
	test(|| {
		register_with_worker(1, 2);
		let sector = Kept::hot(1, 0, &[order(1).lasting(1_000)]);
		activate(&[&sector]);
		register(3);
		let (_, close) = run_before_deadline(1, 0);
		next_block();
		let store = Store::of([sector]);
		let call = due(&store, 1);
		refused(4, call.clone(), Error::<Test>::NotAProvider);
		// Another provider has no such deadline open, or no such partition.
		assert!(dispatch(3, call.clone()).is_err());
		ok(2, call);
		run_to(close + 16);
		ok(1, due(&store, 1));
	});
}

#[test]
fn proofs_of_other_providers_and_sectors_are_refused() {
	test(|| {
		let (store, _, _) = open(1);
		register(2);
		// The same data in another sector of the same provider, in the same deadline and slot order.
		let challenge = store.due(1).expect("due");
		let beacon = ScriptedBeacons::value(challenge.window.open);
		let leaves = |prover: AccountId, sector, period, deadline| -> Vec<u64> {
			let live = payload_leaves(store.0[&(1, 0)].pieces[0].payload_size);
			(0..12)
				.map(|j| {
					let value = window_challenge(&beacon, &prover_id(prover), sector, period, deadline, j);
					live_leaf([(0, live)], value).expect("payload")
				})
				.collect()
		};
		let (period, deadline) = (challenge.window.period, challenge.window.deadline);
		let answer = |leaves: &[u64]| submit(deadline, &[(0, 0)], store.0[&(1, 0)].open(leaves));
		for wrong in [
			leaves(2, 0, period, deadline),
			leaves(1, 1, period, deadline),
			leaves(1, 0, period - 1, deadline),
			leaves(1, 0, period + 1, deadline),
			leaves(1, 0, period, (deadline + 1) % 4),
		] {
			refused(1, answer(&wrong), ProofsError::WrongDataPath);
		}
		let mut swapped = leaves(1, 0, period, deadline);
		swapped.rotate_left(1);
		refused(1, answer(&swapped), ProofsError::WrongDataPath);
		ok(1, answer(&leaves(1, 0, period, deadline)));
	});
}

#[test]
fn altered_proofs_are_refused() {
	test(|| {
		let (store, _, _) = open(1);
		let challenge = store.due(1).expect("due");
		let good = store.prove_partition(1, &challenge.partitions[0], 0);
		let call = |bytes: &[u8]| submit(challenge.window.deadline, &[(0, 0)], bytes.to_vec());
		for at in (0..good.len()).step_by(89) {
			let mut bad = good.clone();
			bad[at] ^= 1;
			refused(1, call(&bad), ProofsError::WrongDataPath);
		}
		let mut high_bits = good.clone();
		high_bits[31] |= 0x80;
		refused(1, call(&high_bits), ProofsError::InvalidLeaf);
		for bad in [&good[..good.len() - 1], &good[..0], &good[..good.len() / 2]] {
			refused(1, call(bad), Error::<Test>::WrongProofLength);
		}
		refused(
			1,
			call(&[&good[..], &[0]].concat()),
			Error::<Test>::WrongProofLength,
		);
		refused(
			1,
			call(&[&good[..], &good].concat()),
			Error::<Test>::WrongProofLength,
		);
		ok(1, call(&good));
	});
}

#[test]
fn without_a_beacon_there_is_no_challenge_yet() {
	test(|| {
		let sector = provider_with_sector(1, &[order(1).lasting(1_000)]);
		let (open, _) = run_before_deadline(1, 0);
		ScriptedBeacons::leave_out(open..open + 3);
		let store = Store::of([sector]);
		run_to(open + 2);
		assert!(
			!StorageProvider::view_deadline_challenge(1)
				.expect("registered")
				.drawn
		);
		refused(
			1,
			submit(deadline(1), &[(0, 0)], vec![]),
			Error::<Test>::ChallengeNotDrawn,
		);
		next_block();
		ok(1, due(&store, 1));
	});
}

/// A provider whose one deadline has three partitions, at that deadline's first block.
fn three_partitions() -> (Store, u32) {
	register(1);
	run_to(
		StorageProvider::view_current_deadline(1)
			.expect("registered")
			.close,
	);
	let mut sectors = vec![];
	// 64 and 2 hot ones, and 3 sealed ones.
	for number in 0..66 {
		sectors.push(Kept::hot(1, number, &[order(number.into()).lasting(1_000)]));
	}
	for number in 66..69 {
		sectors.push(Kept::sealed(1, number, &[], 1_500));
	}
	for batch in sectors.chunks(32) {
		ok(1, pre_commit(&batch.iter().collect::<Vec<_>>()));
	}
	run_to(now() + 2);
	for batch in sectors.chunks(32) {
		ok(1, prove(batch.iter().map(|sector| sector.whole()).collect()));
	}
	run_before_deadline(1, 0);
	next_block();
	let deadline = record(1, 0).location.expect("live").deadline;
	for (number, partition) in [(0, 0), (63, 0), (64, 1), (65, 1), (66, 2), (68, 2)] {
		let at = record(1, number).location.expect("live");
		assert_eq!((at.deadline, at.partition), (deadline, partition));
	}
	(Store::of(sectors), deadline)
}

#[test]
fn partitions_are_proven_together_or_one_by_one() {
	test_with(two_deadlines(), || {
		let (store, deadline) = three_partitions();
		let challenge = store.due(1).expect("due");
		let bytes = |index: usize| store.prove_partition(1, &challenge.partitions[index], 0);

		refused(1, submit(deadline, &[], vec![]), Error::<Test>::InvalidPartitions);
		let both = [bytes(0), bytes(1)].concat();
		for wrong in [
			&[(1, 0), (0, 0)][..],
			&[(0, 0), (0, 0)],
			&[(0, 0), (3, 0)],
			&[(0, 0), (u32::MAX, 0)],
		] {
			refused(
				1,
				submit(deadline, wrong, both.clone()),
				Error::<Test>::InvalidPartitions,
			);
		}
		refused(
			1,
			submit(deadline, &[(0, 0)], both.clone()),
			Error::<Test>::WrongProofLength,
		);
		refused(
			1,
			submit(deadline, &[(1, 0), (2, 0)], both.clone()),
			ProofsError::WrongDataPath,
		);

		ok(1, submit(deadline, &[(1, 0)], bytes(1)));
		// With a partition that is proven already, nothing counts.
		refused(
			1,
			submit(deadline, &[(0, 0), (1, 0)], both),
			Error::<Test>::AlreadyProven,
		);
		ok(
			1,
			submit(deadline, &[(0, 0), (2, 0)], [bytes(0), bytes(2)].concat()),
		);
		assert!(matches!(
			last_event(),
			Event::WindowProofAccepted { partitions, sectors: 67, .. } if partitions == [0, 2]
		));
		assert!(store.due(1).is_none());
		let period = parameters().proving_period;
		run_to(now() + period - 1);
		assert_eq!(
			count_events(|event| matches!(event, Event::SectorFaulty { .. })),
			0
		);
		// A whole period later again, all at once.
		run_to(now() + 1);
		ok(1, due(&store, 1));
	});
}

#[test]
fn a_missed_partition_does_not_harm_the_others() {
	test_with(two_deadlines(), || {
		let (store, deadline) = three_partitions();
		let challenge = store.due(1).expect("due");
		let bytes = [0, 2]
			.map(|index| store.prove_partition(1, &challenge.partitions[index], 0))
			.concat();
		ok(1, submit(deadline, &[(0, 0), (2, 0)], bytes));
		run_to(challenge.window.close);
		for number in 0..69 {
			assert_eq!(
				record(1, number).fault.is_some(),
				(64..66).contains(&number),
				"{number}"
			);
		}
		assert_eq!(
			Partitions::<Test>::get((1, deadline, 1)).expect("kept").faulty,
			0b11
		);
	});
}

#[test]
fn skipped_sectors_are_left_out_and_faulty() {
	test_with(two_deadlines(), || {
		let (store, deadline) = three_partitions();
		let challenge = store.due(1).expect("due");
		let skipped = 1 << 5 | 1 << 63;
		let bytes = store.prove_partition(1, &challenge.partitions[0], skipped);
		// A bit for no sector, a wrong length, nothing left.
		refused(
			1,
			submit(deadline, &[(1, 1 << 2)], vec![]),
			Error::<Test>::InvalidSkipped,
		);
		refused(
			1,
			submit(deadline, &[(1, 0b11)], vec![]),
			Error::<Test>::NothingToProve,
		);
		refused(
			1,
			submit(deadline, &[(0, u64::MAX)], vec![]),
			Error::<Test>::NothingToProve,
		);
		refused(
			1,
			submit(deadline, &[(0, 1 << 5)], bytes.clone()),
			Error::<Test>::WrongProofLength,
		);

		ok(1, submit(deadline, &[(0, skipped)], bytes));
		assert_eq!(
			Partitions::<Test>::get((1, deadline, 0)).expect("kept").faulty,
			skipped
		);
		for number in [5, 63] {
			let fault = record(1, number).fault.expect("skipped");
			assert_eq!(fault.since, now());
			assert_eq!(fault.missed.expect("drawn").period, challenge.window.period);
			assert_eq!(record(1, number).proven.total(), 0);
			let event = Event::SectorFaulty {
				provider: 1,
				sector: number,
				reason: crate::types::FaultReason::Skipped,
			};
			assert_eq!(count_events(|seen| *seen == event), 1);
		}
		assert!(record(1, 6).fault.is_none() && record(1, 6).proven.total() > 0);
		// What is faulty cannot be skipped again.
		let (open, _) = next_deadline(1, 0);
		run_to(open);
		refused(
			1,
			submit(deadline, &[(0, 1 << 5)], vec![]),
			Error::<Test>::InvalidSkipped,
		);
	});
}

#[test]
fn ended_pieces_drop_out_of_the_challenge() {
	test(|| {
		register(1);
		let orders = [
			Order {
				length: 1_000,
				duration: 30,
				..order(1)
			},
			Order {
				length: 400,
				duration: 500,
				..order(2)
			},
			Order {
				length: 400,
				start_by: 5,
				duration: 500,
				..order(3)
			},
		];
		let sector = Kept::hot(1, 0, &orders);
		ok(1, pre_commit(&[&sector]));
		run_to(6);
		ok(1, prove(vec![sector.whole()]));
		let offsets = cairn_primitives::piece::layout(&sector.pieces, 11).expect("it fits");
		let of = |index: usize| offsets[index]..offsets[index] + sector.pieces[index].payload_leaves();
		let (first, second) = (of(0), of(1));
		let store = Store::of([sector]);
		let mut seen_first = false;
		while now() < 160 {
			if let Some(challenge) = store.due(1) {
				let leaves = &challenge.partitions[0].sectors[0].leaves;
				// The third never ran. The first counts as long as the interval began before its end.
				let begin = challenge.window.close.saturating_sub(20);
				let first_counts = begin < 6 + 30;
				for leaf in leaves {
					assert!(first.contains(leaf) && first_counts || second.contains(leaf));
					seen_first |= first.contains(leaf);
				}
			}
			store.run_proving(1, now() + 1);
		}
		assert!(seen_first);
		assert!(record(1, 0).fault.is_none());
	});
}

#[test]
fn a_sector_is_first_due_in_the_deadline_after_its_activation() {
	test(|| {
		register(1);
		for number in 0..12 {
			let sector = Kept::hot(1, number, &[order(number.into())]);
			activate(&[&sector]);
			let open = StorageProvider::calendar(
				&parameters(),
				crate::Providers::<Test>::get(1)
					.expect("registered")
					.period_offset,
			)
			.at(now());
			let due = StorageProvider::view_deadline_challenge(1).expect("registered");
			if due.window == open {
				let sectors: Vec<_> = due.partitions.iter().flat_map(|part| &part.sectors).collect();
				assert!(sectors.iter().all(|sector| sector.sector != number));
			}
		}
	});
}
