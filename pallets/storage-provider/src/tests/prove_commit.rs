//! Proving pre-committed sectors.

use super::{mock::*, sealing::*};
use crate::{Error, Event, HoldReason, PreCommitExpiries, PreCommits, Providers};
use cairn_primitives::proven_time::ProvenTime;
use frame_support::assert_ok;

type ProofsError = pallet_proofs::Error<Test>;

/// A pre-committed hot sector of provider 1, its seed drawn.
fn ready() -> Kept {
	register(1);
	let sector = Kept::hot(1, 0, &[order(1)]);
	ok(1, pre_commit(&[&sector]));
	run_to(now() + 2);
	sector
}

#[test]
fn a_proven_hot_sector_is_live_and_its_deals_run() {
	test(|| {
		register_with_worker(1, 2);
		let orders = [
			Order {
				length: 500,
				duration: 40,
				..order(1)
			},
			Order {
				length: 500,
				duration: 90,
				..order(2)
			},
		];
		let sector = Kept::hot(1, 0, &orders);
		ok(2, pre_commit(&[&sector]));
		run_to(3);
		ok(2, prove(vec![sector.whole()]));
		let stored = record(1, 0);
		let location = stored.location.expect("live");
		assert_eq!(
			last_event(),
			Event::SectorActivated {
				provider: 1,
				sector: 0,
				deadline: location.deadline,
				partition: 0,
				deals: sector.deals.clone(),
			}
		);
		assert_eq!(stored.expiration, 3 + 90);
		assert_eq!(stored.open_deals, 2);
		assert_eq!(
			stored.pieces.iter().map(|piece| piece.ends).collect::<Vec<_>>(),
			[43, 93]
		);
		assert_eq!(stored.pledge, UNIT.div_ceil(1 << 19));
		assert_eq!(held(HoldReason::SectorPledge, 1), stored.pledge);
		assert_eq!(held(HoldReason::PreCommitDeposit, 1), 0);
		let (_, close) = next_deadline(1, 0);
		assert_eq!(stored.proven, ProvenTime::new(3, close));
		assert_eq!(DealBook::get(sector.deals[1]).expect("active").active_at, Some(3));
		assert!(PreCommits::<Test>::get(1, 0).is_none());
		assert_eq!(PreCommitExpiries::<Test>::iter().count(), 0);
		let provider = Providers::<Test>::get(1).expect("registered");
		assert_eq!(
			(provider.live_sectors, provider.sectors, provider.pre_commits),
			(1, 1, 0)
		);
	});
}

#[test]
fn a_proven_sealed_sector_is_live_with_and_without_deals() {
	test(|| {
		register(1);
		run_to(4);
		let with_deals = Kept::sealed(
			1,
			0,
			&[
				Order {
					length: 700,
					..order(1)
				},
				order(2),
			][..1],
			900,
		);
		let without = Kept::sealed(1, 1, &[], 400);
		activate(&[&with_deals, &without]);
		assert_eq!(record(1, 0).expiration, 900);
		assert_eq!((record(1, 0).open_deals, record(1, 1).open_deals), (1, 0));
		assert!(record(1, 0).pieces.is_empty());
		assert_eq!(record(1, 1).expiration, 400);
		assert_eq!(record(1, 1).comm_d, without.comm_d());
	});
}

#[test]
fn a_proof_may_come_in_parts_in_any_order() {
	test(|| {
		let sector = ready();
		ok(1, prove(vec![sector.part(7, 5)]));
		let accepted = |answered| Event::ActivationPartAccepted {
			provider: 1,
			sector: 0,
			answered,
			of: 12,
		};
		assert_eq!(last_event(), accepted(5));
		let stored = PreCommits::<Test>::get(1, 0).expect("not complete");
		assert_eq!(stored.proven, bitmap(7..12));
		assert_eq!(stored.seed, Some(sector.seed()));
		// The same part, overlapping ones, none, ones that do not exist.
		for (first, count) in [(7, 5), (6, 2), (11, 1), (0, 12)] {
			refused(
				1,
				prove(vec![sector.part(first, count)]),
				Error::<Test>::WrongChallenges,
			);
		}
		for (first, count) in [(0, 0), (12, 1), (11, 2), (u16::MAX, 2)] {
			let part = part_of(0, first, count, sector.activation(&sector.seed(), 0, 1));
			refused(1, prove(vec![part]), Error::<Test>::WrongChallenges);
		}
		// Two parts in one call, one of them twice.
		let (a, b) = (sector.part(0, 3), sector.part(3, 4));
		refused(
			1,
			prove(vec![a.clone(), b.clone(), a.clone()]),
			Error::<Test>::NotPreCommitted,
		);
		refused(
			1,
			prove(vec![a.clone(), a.clone()]),
			Error::<Test>::WrongChallenges,
		);
		ok(1, prove(vec![b, a]));
		assert!(record(1, 0).location.is_some());
	});
}

#[test]
fn sealed_parts_are_bound_to_one_replica() {
	test(|| {
		register(1);
		run_to(4);
		let sector = Kept::sealed(1, 0, &[], 500);
		let other = Kept::sealed(1, 1, &[], 500);
		ok(1, pre_commit(&[&sector, &other]));
		run_to(now() + 2);
		ok(1, prove(vec![sector.part(1, 1)]));
		let foreign = part_of(0, 0, 1, other.activation(&sector.seed(), 0, 1));
		refused(1, prove(vec![foreign]), ProofsError::ReplicaCommitmentMismatch);
		let wrong_seed = part_of(0, 0, 1, sector.activation(&other.seed(), 0, 1));
		assert!(dispatch(1, prove(vec![wrong_seed])).is_err());
		ok(1, prove(vec![sector.part(0, 1), other.whole()]));
		assert!(record(1, 1).location.is_some());
	});
}

#[test]
fn a_failing_proof_undoes_the_whole_batch() {
	test(|| {
		register(1);
		let (good, bad) = (Kept::hot(1, 0, &[order(1)]), Kept::hot(1, 1, &[order(2)]));
		ok(1, pre_commit(&[&good, &bad]));
		run_to(now() + 2);
		let mut forged = bad.activation(&bad.seed(), 0, 12);
		forged[40] ^= 1;
		let proofs = vec![good.whole(), part_of(1, 0, 12, forged)];
		refused(1, prove(proofs), ProofsError::WrongDataPath);
		refused(1, prove(vec![]), Error::<Test>::EmptyBatch);
		ok(1, prove(vec![bad.whole(), good.whole()]));
	});
}

#[test]
fn the_seed_follows_the_pre_commit_by_the_delay() {
	test(|| {
		register(1);
		let sector = Kept::hot(1, 0, &[order(1)]);
		ok(1, pre_commit(&[&sector]));
		refused(1, prove(vec![sector.whole()]), Error::<Test>::SeedNotDrawn);
		next_block();
		refused(1, prove(vec![sector.whole()]), Error::<Test>::SeedNotDrawn);
		assert_eq!(StorageProvider::view_activation_challenge(1, 0), None);
		next_block();
		let challenge = StorageProvider::view_activation_challenge(1, 0).expect("drawn");
		assert_eq!(challenge.seed, sector.seed());
		ok(1, prove(vec![sector.whole()]));
	});
}

#[test]
fn a_gap_moves_the_seed_to_the_next_usable_beacon_and_it_is_drawn_once() {
	test(|| {
		register(1);
		let sector = Kept::hot(1, 0, &[order(1)]);
		ok(1, pre_commit(&[&sector]));
		ScriptedBeacons::leave_out(3..40);
		run_to(39);
		refused(1, prove(vec![sector.whole()]), Error::<Test>::SeedNotDrawn);
		run_to(45);
		let seed = cairn_primitives::draw::seed(&ScriptedBeacons::value(40), &prover_id(1), 0);
		assert_eq!(
			StorageProvider::view_activation_challenge(1, 0)
				.expect("drawn")
				.seed,
			seed
		);
		ok(1, prove(vec![part_of(0, 0, 6, sector.activation(&seed, 0, 6))]));
		// Whatever becomes of the beacon, the seed stays.
		ScriptedBeacons::leave_out([40]);
		ok(1, prove(vec![part_of(0, 6, 6, sector.activation(&seed, 6, 6))]));
	});
}

#[test]
fn the_last_block_to_prove_in_is_prove_by() {
	for late in [false, true] {
		test(|| {
			let long = |content| Order {
				start_by: 300,
				..order(content)
			};
			register(1);
			let (first, second) = (Kept::hot(1, 0, &[long(1)]), Kept::hot(1, 1, &[long(2)]));
			ok(1, pre_commit(&[&first, &second]));
			let proofs = [first.whole(), second.whole()];
			let prove_by = PreCommits::<Test>::get(1, 0).expect("stored").prove_by;
			run_to(prove_by);
			ok(1, prove(vec![proofs[0].clone()]));
			if late {
				// Housekeeping has not come to it; it is over all the same.
				jump_to(prove_by + 1);
				refused(1, prove(vec![proofs[1].clone()]), Error::<Test>::ProveWindowOver);
				next_block();
			} else {
				next_block();
			}
			refused(1, prove(vec![proofs[1].clone()]), Error::<Test>::NotPreCommitted);
			assert_eq!(held(HoldReason::PreCommitDeposit, 1), 0);
		});
	}
}

#[test]
fn proofs_of_others_and_altered_ones_are_refused() {
	test(|| {
		let sector = ready();
		register(2);
		// The same data under the same number, committed to by another provider in the same block.
		let twin = Kept::hot(2, 0, &[order(1)]);
		let own_twin = Kept::hot(1, 1, &[order(1)]);
		assert_eq!(twin.comm_d(), sector.comm_d());
		ok(2, pre_commit(&[&twin]));
		ok(1, pre_commit(&[&own_twin]));
		run_to(now() + 2);
		let theirs = part_of(0, 0, 12, twin.activation(&twin.seed(), 0, 12));
		refused(1, prove(vec![theirs]), ProofsError::WrongDataPath);
		let of_another_sector = part_of(0, 0, 12, own_twin.activation(&own_twin.seed(), 0, 12));
		refused(1, prove(vec![of_another_sector]), ProofsError::WrongDataPath);
		refused(2, prove(vec![own_twin.whole()]), Error::<Test>::NotPreCommitted);
		refused(3, prove(vec![sector.whole()]), Error::<Test>::NotAProvider);

		let good = sector.activation(&sector.seed(), 0, 12);
		for at in (0..good.len()).step_by(97) {
			let mut bad = good.clone();
			bad[at] ^= 1;
			refused(1, prove(vec![part_of(0, 0, 12, bad)]), ProofsError::WrongDataPath);
		}
		for bad in [&good[..good.len() - 1], &[&good[..], &[0]].concat(), &[]] {
			refused(
				1,
				prove(vec![part_of(0, 0, 12, bad.to_vec())]),
				ProofsError::WrongProofLength,
			);
		}
		// Right openings for other challenges.
		let shifted = part_of(0, 1, 11, sector.activation(&sector.seed(), 0, 11));
		refused(1, prove(vec![shifted]), ProofsError::WrongDataPath);
		ok(1, prove(vec![sector.whole()]));
		refused(
			1,
			prove(vec![own_twin.whole(), own_twin.part(0, 1)]),
			Error::<Test>::NotPreCommitted,
		);
	});
}

#[test]
fn deals_that_came_too_late_stay_out() {
	test(|| {
		register(1);
		let early = Order {
			length: 500,
			start_by: 10,
			duration: 300,
			..order(1)
		};
		let orders = [
			early,
			Order {
				length: 500,
				..order(2)
			},
		];
		let sector = Kept::hot(1, 0, &orders);
		let lapsing = Kept::hot(1, 1, &[early]);
		ok(1, pre_commit(&[&sector, &lapsing]));
		run_to(11);
		ok(1, prove(vec![sector.whole()]));
		let stored = record(1, 0);
		assert_eq!(stored.open_deals, 1);
		assert_eq!(
			stored.pieces.iter().map(|piece| piece.ends).collect::<Vec<_>>(),
			[0, 111]
		);
		assert_eq!(stored.expiration, 111);
		assert!(matches!(last_event(), Event::SectorActivated { deals, .. } if deals == sector.deals[1..]));
		refused(1, prove(vec![lapsing.whole()]), Error::<Test>::DealsLapsed);

		// A sealed sector lives without its deals.
		let sealed = Kept::sealed(
			1,
			2,
			&[Order {
				start_by: 20,
				..order(3)
			}],
			600,
		);
		ok(1, pre_commit(&[&sealed]));
		run_to(21);
		ok(1, prove(vec![sealed.whole()]));
		assert_eq!(record(1, 2).open_deals, 0);
	});
}

#[test]
fn the_pledge_must_be_covered() {
	test_with(
		cairn_primitives::params::ProtocolParameters {
			pledge_per_gib: 1_000_000 * UNIT,
			..cairn_primitives::params::ProtocolParameters::development()
		},
		|| {
			// 1.9 UNIT for 2 KiB; the returned deposit counts.
			let sector = ready();
			let pledge = (1_000_000 * UNIT).div_ceil(1 << 19);
			let before = free(1);
			assert_ok!(Balances::force_set_balance(
				RuntimeOrigin::root(),
				1,
				pledge - UNIT / 10
			));
			refused(1, prove(vec![sector.whole()]), Error::<Test>::InsufficientFunds);
			assert_ok!(Balances::force_set_balance(RuntimeOrigin::root(), 1, before));
			ok(1, prove(vec![sector.whole()]));
			assert_eq!(held(HoldReason::SectorPledge, 1), pledge);
		},
	);
}
