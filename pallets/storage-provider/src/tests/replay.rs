//! Replicas and proofs that were made for something else.

use super::{mock::*, sealing::*};
use crate::{Call, Error, PreCommits};
use cairn_primitives::sector::SectorPreCommit;

type ProofsError = pallet_proofs::Error<Test>;

fn batch(sectors: Vec<SectorPreCommit>) -> Call<Test> {
	Call::pre_commit_sectors {
		sectors: sectors.try_into().expect("few"),
	}
}

/// Commits `owner` to `sector`'s replica as `commitment` and answers the challenges from it.
#[track_caller]
fn refused_as(owner: AccountId, sector: &Kept, commitment: SectorPreCommit) {
	let number = commitment.sector;
	ok(owner, batch(vec![commitment]));
	run_to(now() + parameters().pre_commit_delay);
	let seed = StorageProvider::view_activation_challenge(owner, number)
		.expect("drawn")
		.seed;
	let count = spec(sector.proof_type).activation_challenges;
	let proof = part_of(number, 0, count, sector.activation(&seed, 0, count));
	let before = PreCommits::<Test>::get(owner, number);
	assert!(dispatch(owner, prove(vec![proof])).is_err());
	assert_eq!(
		PreCommits::<Test>::get(owner, number),
		before,
		"nothing counts as answered"
	);
}

/// The replica's identity follows from what the chain knows: a replica of another ticket, number or
/// provider is none, whatever the challenges.
#[test]
fn a_replica_serves_one_ticket_number_and_provider() {
	test(|| {
		register(1);
		register(2);
		run_to(20);
		let sector = Kept::sealed(1, 0, &[], 500);
		refused_as(
			1,
			&sector,
			SectorPreCommit {
				ticket_at: sector.ticket_at - parameters().ticket_interval,
				..sector.pre_commit()
			},
		);
		refused_as(
			1,
			&sector,
			SectorPreCommit {
				sector: 1,
				..sector.pre_commit()
			},
		);
		refused_as(2, &sector, sector.pre_commit());
		// Under its own name it is accepted, if that is still free.
		let sector = Kept::sealed(1, 2, &[], 500);
		activate(&[&sector]);
	});
}

/// CommR that hides another replica than the one of this CommD: the data does not open.
#[test]
fn a_replica_serves_one_data_commitment() {
	test(|| {
		register(1);
		run_to(4);
		let orders = [order(1).lasting(100)];
		let with_data = Kept::sealed(1, 0, &orders, 500);
		// Committed to as a sector without deals.
		let empty = Kept::sealed(1, 0, &[], 500);
		refused_as(
			1,
			&with_data,
			SectorPreCommit {
				comm_r: with_data.comm_r(),
				..empty.pre_commit()
			},
		);
	});
}

/// A pre-commit lapses; the same data is committed to again. The old seed's answers do not do, and the
/// old number is gone.
#[test]
fn an_activation_proof_serves_one_pre_commit() {
	test(|| {
		register(1);
		let long = Order {
			start_by: 1_000,
			..order(1)
		};
		let first = Kept::hot(1, 0, &[long]);
		ok(1, pre_commit(&[&first]));
		run_to(now() + 2);
		let proof = first.whole();
		run_to(now() + parameters().prove_commit_window);
		refused(1, prove(vec![proof.clone()]), Error::<Test>::NotPreCommitted);
		refused(1, pre_commit(&[&first]), Error::<Test>::SectorNumberUsed);

		let second = Kept { number: 1, ..first };
		ok(1, pre_commit(&[&second]));
		run_to(now() + 2);
		let mut old = proof;
		old.sector = 1;
		refused(1, prove(vec![old]), ProofsError::WrongDataPath);
		let whole = second.whole();
		ok(1, prove(vec![whole.clone()]));
		refused(1, prove(vec![whole]), Error::<Test>::NotPreCommitted);
	});
}

/// Sealed sectors of one provider in one partition: each opens its own replica, in the order of slots.
#[test]
fn a_windowed_proof_serves_one_replica() {
	test_with(two_deadlines(), || {
		register(1);
		run_to(
			StorageProvider::view_current_deadline(1)
				.expect("registered")
				.close
				.max(4),
		);
		let sectors: Vec<_> = (0..2).map(|number| Kept::sealed(1, number, &[], 800)).collect();
		activate(&sectors.iter().collect::<Vec<_>>());
		assert_eq!(
			record(1, 0).location.expect("live").partition,
			record(1, 1).location.expect("live").partition
		);
		run_before_deadline(1, 0);
		next_block();
		let store = Store::of(sectors);
		let challenge = store.due(1).expect("due");
		let partition = &challenge.partitions[0];
		let parts: Vec<_> = partition
			.sectors
			.iter()
			.map(|sector| store.0[&(1, sector.sector)].open(&sector.leaves))
			.collect();
		let call = |parts: &[&Vec<u8>]| {
			let bytes = parts.iter().flat_map(|part| part.iter().copied()).collect();
			submit(challenge.window.deadline, &[(0, 0)], bytes)
		};
		for wrong in [[1, 0], [0, 0], [1, 1]] {
			refused(
				1,
				call(&wrong.map(|i| &parts[i])),
				ProofsError::ReplicaCommitmentMismatch,
			);
		}
		refused(1, call(&[&parts[0]]), Error::<Test>::WrongProofLength);
		ok(1, call(&[&parts[0], &parts[1]]));
	});
}
