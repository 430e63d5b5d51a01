//! Committing to sectors.

use super::{mock::*, sealing::*};
use crate::{Call, Error, Event, HoldReason, PreCommitExpiries, PreCommits, Providers};
use cairn_primitives::{sector::SectorPreCommit, ProofTypeId, Tier};
use frame_support::assert_ok;
use sp_runtime::DispatchError;

fn batch(sectors: Vec<SectorPreCommit>) -> Call<Test> {
	Call::pre_commit_sectors {
		sectors: sectors.try_into().expect("few"),
	}
}

#[test]
fn a_pre_commit_binds_deals_and_holds_a_deposit() {
	test(|| {
		register_with_worker(1, 2);
		let orders = [1, 2].map(|content| Order {
			length: 500,
			..order(content)
		});
		let sector = Kept::hot(1, 3, &orders);
		ok(2, pre_commit(&[&sector]));
		assert_eq!(
			last_event(),
			Event::SectorPreCommitted {
				provider: 1,
				sector: 3,
				prove_from: 3,
				prove_by: 201
			}
		);
		assert_eq!(held(HoldReason::PreCommitDeposit, 1), UNIT / 10);
		assert_eq!(free(2), ENDOWMENT);
		for deal in &sector.deals {
			assert_eq!(DealBook::get(deal).expect("published").sector, Some(3));
		}
		let record = PreCommits::<Test>::get(1, 3).expect("stored");
		assert_eq!((record.comm_d, record.comm_r), (sector.comm_d(), sector.comm_d()));
		assert_eq!((record.at, record.prove_by, record.seed), (1, 201, None));
		assert_eq!(record.pieces.len(), 2);
		assert!(PreCommitExpiries::<Test>::contains_key((202, 1, 3)));
		assert_eq!(Providers::<Test>::get(1).expect("registered").pre_commits, 1);
	});
}

#[test]
fn only_providers_commit_and_never_nothing() {
	test(|| {
		register(1);
		let sector = Kept::hot(1, 0, &[order(1)]);
		refused(5, pre_commit(&[&sector]), Error::<Test>::NotAProvider);
		refused(1, batch(vec![]), Error::<Test>::EmptyBatch);
	});
}

#[test]
fn a_number_is_used_once_for_ever() {
	test(|| {
		register(1);
		let (first, second) = (Kept::hot(1, 7, &[order(1)]), Kept::hot(1, 7, &[order(2)]));
		refused(1, pre_commit(&[&first, &second]), Error::<Test>::SectorNumberUsed);
		ok(1, pre_commit(&[&first]));
		refused(1, pre_commit(&[&second]), Error::<Test>::SectorNumberUsed);
		run_to(now() + 2);
		ok(1, prove(vec![first.whole()]));
		refused(1, pre_commit(&[&second]), Error::<Test>::SectorNumberUsed);
		run_to(now() + 200);
		<StorageProvider as cairn_pallet_traits::Sectors<AccountId>>::deal_closed(&1, 7);
		assert!(crate::Sectors::<Test>::get(1, 7).is_none());
		let third = Kept::hot(1, 7, &[order(3)]);
		refused(1, pre_commit(&[&third]), Error::<Test>::SectorNumberUsed);
		// Other numbers of the same and of far chunks are free; so is this one for others.
		register(2);
		for (owner, number) in [(1, 6), (1, 8), (1, 1_031), (1, u32::MAX), (2, 7)] {
			let other = Kept::hot(owner, number, &[order(u64::from(number) + 10)]);
			ok(owner, pre_commit(&[&other]));
		}
	});
}

#[test]
fn commitments_must_follow_from_the_deals() {
	test(|| {
		register(1);
		let sector = Kept::hot(1, 0, &[order(1)]);
		let mut wrong = sector.pre_commit();
		wrong.comm_d[3] ^= 1;
		wrong.comm_r = wrong.comm_d;
		refused(1, batch(vec![wrong]), Error::<Test>::WrongDataCommitment);
		let mut wrong = sector.pre_commit();
		wrong.comm_r[3] ^= 1;
		refused(1, batch(vec![wrong]), Error::<Test>::WrongReplicaCommitment);

		// The order of the deals is that of their pieces.
		let orders = [
			Order {
				length: 100,
				..order(2)
			},
			Order {
				length: 900,
				..order(3)
			},
		];
		let sector = Kept::hot(1, 0, &orders);
		let mut wrong = sector.pre_commit();
		wrong.deals = sector
			.deals
			.iter()
			.rev()
			.copied()
			.collect::<Vec<_>>()
			.try_into()
			.expect("two");
		refused(1, batch(vec![wrong]), Error::<Test>::WrongDataCommitment);
		ok(1, pre_commit(&[&sector]));
	});
}

#[test]
fn a_hot_sector_holds_1_to_32_deals_that_fit() {
	test(|| {
		register(1);
		let empty = Kept::hot(1, 0, &[]);
		refused(1, pre_commit(&[&empty]), Error::<Test>::WrongNumberOfDeals);

		let piece = |content| {
			let sector = Kept::hot(
				1,
				0,
				&[Order {
					length: 100,
					..order(content)
				}],
			);
			(sector.deals[0], sector.pieces[0])
		};
		let (deals, pieces): (Vec<_>, Vec<_>) = (0..33).map(piece).unzip();
		for (count, proof_type, error) in [
			(
				33,
				ProofTypeId(0x0017),
				Some(Error::<Test>::WrongNumberOfDeals.into()),
			),
			(
				17,
				HOT,
				Some(DispatchError::from(pallet_proofs::Error::<Test>::PiecesDoNotFit)),
			),
			(32, ProofTypeId(0x0017), None),
		] {
			let comm_d = pallet_proofs_comm_d(&pieces[..count], spec(proof_type).sector_size_log2);
			let sector = SectorPreCommit {
				sector: 0,
				proof_type,
				comm_r: comm_d,
				comm_d,
				ticket_at: 0,
				expiration: 0,
				deals: deals[..count].to_vec().try_into().expect("few"),
			};
			match error {
				Some(error) => refused(1, batch(vec![sector]), error),
				None => ok(1, batch(vec![sector])),
			}
		}
	});
}

fn pallet_proofs_comm_d(pieces: &[cairn_primitives::PieceInfo], size_log2: u8) -> [u8; 32] {
	use cairn_pallet_traits::ProofVerifier;
	Proofs::comm_d(pieces, size_log2).unwrap_or_default()
}

#[test]
fn a_failing_sector_undoes_the_whole_batch() {
	test(|| {
		register(1);
		let good = Kept::hot(1, 0, &[order(1)]);
		let mut bad = Kept::hot(1, 1, &[order(2)]);
		bad.deals = good.deals.clone();
		refused(
			1,
			pre_commit(&[&good, &bad]),
			DispatchError::Other("the deal is taken"),
		);
		assert_eq!(DealBook::get(good.deals[0]).expect("published").sector, None);
		assert!(!StorageProvider::is_allocated(&1, 0));
		// Another provider's deal.
		let foreign = Kept::hot(2, 1, &[order(3)]);
		refused(
			1,
			pre_commit(&[&good, &foreign]),
			DispatchError::Other("the deal does not fit"),
		);
		// Of the other tier.
		let sealed = Kept::fill(1, 1, Tier::Sealed, &[order(4)]);
		let sealed_deals = Kept {
			proof_type: HOT,
			..sealed
		};
		refused(
			1,
			pre_commit(&[&sealed_deals]),
			DispatchError::Other("the deal does not fit"),
		);
		// Too late to start.
		let late = Kept::hot(
			1,
			1,
			&[Order {
				start_by: now() + 1,
				..order(5)
			}],
		);
		refused(
			1,
			pre_commit(&[&late]),
			DispatchError::Other("the deal does not fit"),
		);
	});
}

#[test]
fn retired_and_unknown_types_take_no_sectors() {
	test(|| {
		register(1);
		let sector = Kept::hot(1, 0, &[order(1)]);
		let unknown = SectorPreCommit {
			proof_type: ProofTypeId(9),
			..sector.pre_commit()
		};
		refused(1, batch(vec![unknown]), Error::<Test>::UnknownProofType);
		ok(1, pre_commit(&[&sector]));
		assert_ok!(Proofs::retire_proof_type(RuntimeOrigin::root(), HOT));
		let another = Kept::hot(1, 1, &[order(2)]);
		refused(1, pre_commit(&[&another]), Error::<Test>::UnknownProofType);
		// What is committed to may still be proven.
		run_to(now() + 2);
		ok(1, prove(vec![sector.whole()]));
	});
}

#[test]
fn tickets_are_blocks_of_the_recent_past() {
	test(|| {
		register(1);
		run_to(701);
		let sector = Kept::sealed(1, 0, &[], 1_500);
		let at = |ticket_at| SectorPreCommit {
			ticket_at,
			..sector.pre_commit()
		};
		for ticket_at in [702, 704, u32::MAX, 699, 100, 0] {
			refused(1, batch(vec![at(ticket_at)]), Error::<Test>::InvalidTicket);
		}
		// 600 blocks old, and a ticket block without beacon.
		refused(1, batch(vec![at(701 - 601)]), Error::<Test>::InvalidTicket);
		ScriptedBeacons::leave_out([690]);
		refused(1, batch(vec![at(690)]), Error::<Test>::InvalidTicket);
		ok(1, batch(vec![at(102)]));
		assert_ne!(PreCommits::<Test>::get(1, 0).expect("stored").ticket, [0; 32]);
	});
}

#[test]
fn a_sealed_sector_outlives_its_deals_within_bounds() {
	test(|| {
		register(1);
		run_to(3);
		let with = |orders: &[Order], expiration| {
			let sector = Kept::sealed(1, 0, orders, expiration);
			sector.pre_commit()
		};
		let prove_by = now() + 200;
		let longest = order(1).lasting(150);
		refused(
			1,
			batch(vec![with(&[longest], prove_by + 149)]),
			Error::<Test>::InvalidExpiration,
		);
		refused(
			1,
			batch(vec![with(&[], prove_by - 1)]),
			Error::<Test>::InvalidExpiration,
		);
		let most = now() + parameters().max_sector_lifetime;
		refused(
			1,
			batch(vec![with(&[], most + 1)]),
			Error::<Test>::InvalidExpiration,
		);
		refused(
			1,
			batch(vec![with(&[], u32::MAX)]),
			Error::<Test>::InvalidExpiration,
		);
		ok(1, batch(vec![with(&[longest], prove_by + 150)]));
		let next = Kept::sealed(1, 1, &[], most);
		ok(1, pre_commit(&[&next]));
	});
}

#[test]
fn the_deposit_must_be_covered() {
	test(|| {
		register(1);
		let sectors: Vec<_> = (0..2)
			.map(|number| Kept::hot(1, number, &[order(number.into())]))
			.collect();
		assert_ok!(Balances::force_set_balance(
			RuntimeOrigin::root(),
			1,
			UNIT / 10 + 1_000_000
		));
		refused(
			1,
			pre_commit(&[&sectors[0], &sectors[1]]),
			Error::<Test>::InsufficientFunds,
		);
		ok(1, pre_commit(&[&sectors[0]]));
		assert_ok!(Balances::force_set_balance(
			RuntimeOrigin::root(),
			1,
			ENDOWMENT - 10 * UNIT - UNIT / 10
		));
	});
}

#[test]
fn a_lapsed_pre_commit_is_forfeited_once_and_its_deals_are_free_again() {
	test(|| {
		register(1);
		register(2);
		let lapsing = Kept::hot(1, 0, &[order(1)]);
		let later = Kept::hot(1, 1, &[order(2)]);
		let other = Kept::hot(2, 0, &[order(3)]);
		ok(1, pre_commit(&[&lapsing]));
		next_block();
		ok(1, pre_commit(&[&later]));
		ok(2, pre_commit(&[&other]));
		run_to(4);
		ok(2, prove(vec![other.whole()]));
		run_to(201);
		assert_eq!(held(HoldReason::PreCommitDeposit, 1), UNIT / 5);
		next_block();
		assert_eq!(held(HoldReason::PreCommitDeposit, 1), UNIT / 10);
		let event = Event::PreCommitExpired {
			provider: 1,
			sector: 0,
			forfeited: UNIT / 10,
		};
		assert_eq!(count_events(|seen| *seen == event), 1);
		assert_eq!(DealBook::get(lapsing.deals[0]).expect("published").sector, None);
		assert!(PreCommits::<Test>::get(1, 0).is_none() && PreCommits::<Test>::get(1, 1).is_some());
		run_to(260);
		assert_eq!(held(HoldReason::PreCommitDeposit, 1), 0);
		assert_eq!(
			count_events(|seen| matches!(seen, Event::PreCommitExpired { .. })),
			2
		);
		assert_eq!(PreCommitExpiries::<Test>::iter().count(), 0);
		assert_eq!(free(1), ENDOWMENT - 10 * UNIT - UNIT / 5);
	});
}
