//! Composed reads.

use super::{mock::*, sealing::*};
use cairn_primitives::{draw, sector::SectorState};

#[test]
fn providers_come_in_pages() {
	test(|| {
		for who in 1..=7 {
			register(who);
		}
		let mut seen = vec![];
		let mut after = None;
		loop {
			let page = StorageProvider::view_providers(after, 3);
			let Some(last) = page.last() else { break };
			assert!(page.len() <= 3);
			after = Some(last.owner);
			seen.extend(page.iter().map(|provider| provider.owner));
		}
		seen.sort();
		assert_eq!(seen, (1..=7).collect::<Vec<_>>());
		assert_eq!(StorageProvider::view_provider(8), None);
		assert_eq!(
			StorageProvider::view_provider(3)
				.expect("registered")
				.registered_at,
			1
		);
	});
}

#[test]
fn sectors_come_in_ascending_order() {
	test(|| {
		register(1);
		let numbers = [u32::MAX, 0, 2_000, 5, 1_023, 1_024];
		let sectors: Vec<_> = numbers
			.iter()
			.map(|number| Kept::hot(1, *number, &[order((*number).into())]))
			.collect();
		ok(1, pre_commit(&sectors.iter().collect::<Vec<_>>()));
		run_to(now() + 2);
		ok(1, prove(vec![sectors[3].whole()]));
		let page = |after, limit| -> Vec<u32> {
			StorageProvider::view_sectors(1, after, limit)
				.iter()
				.map(|view| view.sector)
				.collect()
		};
		assert_eq!(page(None, 100), [0, 5, 1_023, 1_024, 2_000, u32::MAX]);
		assert_eq!(page(None, 2), [0, 5]);
		assert_eq!(page(Some(5), 2), [1_023, 1_024]);
		assert_eq!(page(Some(2_000), 9), [u32::MAX]);
		assert!(page(Some(u32::MAX), 9).is_empty());
		assert!(page(None, 0).is_empty());
		let states: Vec<_> = StorageProvider::view_sectors(1, None, 2)
			.into_iter()
			.map(|view| view.state)
			.collect();
		assert_eq!(states, [SectorState::PreCommitted, SectorState::Active]);
	});
}

#[test]
fn a_sectors_state_is_told() {
	test(|| {
		let sector = provider_with_sector(1, &[order(1).lasting(100)]);
		let state = || StorageProvider::view_sector(1, 0).map(|view| view.state);
		assert_eq!(state(), Some(SectorState::Active));
		let (_, close) = next_deadline(1, 0);
		run_to(close);
		assert_eq!(state(), Some(SectorState::Faulty));
		ok(
			1,
			crate::Call::declare_faults_recovered {
				sectors: vec![0].try_into().expect("one"),
			},
		);
		assert_eq!(state(), Some(SectorState::Recovering));
		let store = Store::of([sector]);
		store.run_proving(1, close + 20);
		assert_eq!(state(), Some(SectorState::Active));
		store.run_proving(1, close + 120);
		assert_eq!(state(), Some(SectorState::Expired));
	});
}

/// A transaction that is sent now is in the next block at the earliest.
#[test]
fn the_deadline_of_the_next_block_is_told() {
	test(|| {
		let _sector = provider_with_sector(1, &[order(1).lasting(100)]);
		let (open, close) = run_before_deadline(1, 0);
		let view = || StorageProvider::view_deadline_challenge(1).expect("registered");
		assert_eq!((view().window.open, view().drawn), (open, false));
		assert_eq!(
			StorageProvider::view_current_deadline(1)
				.expect("registered")
				.open,
			open
		);
		run_to(open);
		assert_eq!((view().window.open, view().drawn), (open, true));
		run_to(close - 2);
		assert_eq!(view().window.close, close);
		next_block();
		assert_eq!((view().window.open, view().drawn), (close, false));
	});
}

#[test]
fn the_newest_ticket_is_told() {
	test(|| {
		register(1);
		assert_eq!(StorageProvider::view_ticket(1), None);
		run_to(9);
		let ticket = |at| Some((at, draw::ticket(&ScriptedBeacons::value(at), &prover_id(1), at)));
		assert_eq!(StorageProvider::view_ticket(1), ticket(8));
		ScriptedBeacons::leave_out([8, 6]);
		assert_eq!(StorageProvider::view_ticket(1), ticket(4));
	});
}
