//! The end of sectors.

use super::{mock::*, sealing::*};
use crate::{
	types::FaultReason, DeadlineCloses, DeadlineHeads, Error, Event, HoldReason, Partitions, Providers,
	Sectors,
};
use cairn_pallet_traits::Sectors as _;
use cairn_primitives::sector::SectorState;

/// First close of the sector's deadline at or after `block`.
fn close_from(owner: AccountId, sector: u32, block: u32) -> u32 {
	record(owner, sector)
		.proven
		.decided_at(block, parameters().proving_period)
}

#[test]
fn a_sector_expires_at_the_first_close_after_its_last_deal() {
	for duration in [20, 30, 37, 40, 41] {
		test(|| {
			let sector = provider_with_sector(1, &[Order { duration, ..order(1) }]);
			let start = now();
			assert_eq!(record(1, 0).expiration, start + duration);
			let close = close_from(1, 0, start + duration);
			assert!(close >= start + duration && close < start + duration + 20 + 20);
			let pledge = record(1, 0).pledge;
			let store = Store::of([sector]);
			store.run_proving(1, close - 1);
			assert!(record(1, 0).location.is_some());
			assert_eq!(held(HoldReason::SectorPledge, 1), pledge);
			next_block();
			let stored = record(1, 0);
			assert_eq!(stored.location, None);
			assert_eq!(stored.pledge, 0);
			assert_eq!(held(HoldReason::SectorPledge, 1), 0);
			assert_eq!(free(1), ENDOWMENT - 10 * UNIT);
			assert_eq!(
				last_event(),
				Event::SectorExpired {
					provider: 1,
					sector: 0
				}
			);
			// All of its life is proven.
			let proven = StorageProvider::proven(&1, 0, start + duration).expect("kept");
			assert_eq!((proven.blocks, proven.is_final), (duration, true));
			// Nothing is left to work off.
			assert_eq!(Partitions::<Test>::iter().count(), 0);
			assert_eq!(DeadlineHeads::<Test>::iter().count(), 0);
			assert_eq!(DeadlineCloses::<Test>::iter().count(), 0);
			assert_eq!(
				StorageProvider::view_sector(1, 0).expect("kept").state,
				SectorState::Expired
			);
		});
	}
}

#[test]
fn the_record_is_kept_until_the_last_deal_is_closed() {
	test(|| {
		let orders = [1, 2, 3].map(|content| Order {
			length: 300,
			duration: 30,
			..order(content)
		});
		let sector = provider_with_sector(1, &orders);
		let store = Store::of([sector]);
		// One is closed while the sector is live.
		StorageProvider::deal_closed(&1, 0);
		assert_eq!(record(1, 0).open_deals, 2);
		store.run_proving(1, now() + 60);
		assert_eq!(record(1, 0).location, None);
		StorageProvider::deal_closed(&1, 0);
		check();
		assert_eq!(Providers::<Test>::get(1).expect("registered").sectors, 1);
		StorageProvider::deal_closed(&1, 0);
		check();
		assert!(Sectors::<Test>::get(1, 0).is_none());
		assert_eq!(Providers::<Test>::get(1).expect("registered").sectors, 0);
		// Once more does no harm.
		StorageProvider::deal_closed(&1, 0);
		check();
	});
}

#[test]
fn a_sector_whose_deals_are_closed_already_is_forgotten_at_its_expiry() {
	test(|| {
		register(1);
		run_to(4);
		let sealed = Kept::sealed(1, 0, &[], 250);
		let hot = Kept::hot(1, 1, &[order(1).lasting(30)]);
		activate(&[&sealed, &hot]);
		StorageProvider::deal_closed(&1, 1);
		assert!(record(1, 1).location.is_some());
		let store = Store::of([sealed, hot]);
		store.run_proving(1, now() + 60);
		assert!(Sectors::<Test>::get(1, 1).is_none());
		store.run_proving(1, close_from(1, 0, 250) - 1);
		assert!(record(1, 0).location.is_some());
		next_block();
		assert!(Sectors::<Test>::get(1, 0).is_none());
		assert_eq!(Providers::<Test>::get(1).expect("registered").live_sectors, 0);
		assert!(StorageProvider::is_allocated(&1, 0));
	});
}

#[test]
fn a_faulty_sector_expires_too() {
	test(|| {
		let _sector = provider_with_sector(1, &[order(1).lasting(30)]);
		let close = close_from(1, 0, now() + 30);
		run_to(close);
		let stored = record(1, 0);
		assert_eq!((stored.location, stored.pledge), (None, 0));
		assert!(stored.fault.is_some());
		let proven = StorageProvider::proven(&1, 0, stored.expiration).expect("kept");
		assert_eq!((proven.blocks, proven.is_final), (0, true));
	});
}

#[test]
fn a_miss_just_before_the_expiry_counts() {
	test(|| {
		let sector = provider_with_sector(1, &[order(1).lasting(50)]);
		let start = now();
		let close = close_from(1, 0, start + 50);
		let store = Store::of([sector]);
		store.run_proving(1, close - 20);
		run_to(close);
		let missed = Event::SectorFaulty {
			provider: 1,
			sector: 0,
			reason: FaultReason::Missed,
		};
		assert_eq!(count_events(|event| *event == missed), 1);
		assert_eq!(
			last_event(),
			Event::SectorExpired {
				provider: 1,
				sector: 0
			}
		);
		let proven = StorageProvider::proven(&1, 0, start + 50).expect("kept");
		assert_eq!((proven.blocks, proven.is_final), (close - 20 - start, true));
	});
}

#[test]
fn the_rest_of_a_partition_goes_on() {
	test(|| {
		register(1);
		let sectors: Vec<_> = [30, 400, 30, 400, 30, 400, 30, 400]
			.into_iter()
			.enumerate()
			.map(|(number, duration)| {
				Kept::hot(
					1,
					number as u32,
					&[Order {
						duration,
						..order(number as u64)
					}],
				)
			})
			.collect();
		activate(&sectors.iter().collect::<Vec<_>>());
		let store = Store::of(sectors);
		store.run_proving(1, now() + 150);
		for number in 0..8 {
			assert_eq!(record(1, number).location.is_some(), number % 2 == 1);
			assert_eq!(record(1, number).fault, None);
		}
		assert_eq!(Providers::<Test>::get(1).expect("registered").live_sectors, 4);
	});
}

#[test]
fn an_expired_sector_cannot_be_proven_however_late_housekeeping_is() {
	test(|| {
		let sector = provider_with_sector(1, &[order(1).lasting(30)]);
		let deadline = record(1, 0).location.expect("live").deadline;
		let close = close_from(1, 0, now() + 30);
		let store = Store::of([sector]);
		store.run_proving(1, close - 1);
		jump_to(close + 16);
		assert!(record(1, 0).location.is_some(), "nobody has noticed yet");
		assert!(store.due(1).is_none());
		refused(
			1,
			submit(deadline, &[(0, 0)], vec![]),
			Error::<Test>::NothingToProve,
		);
		next_block();
		assert_eq!(record(1, 0).location, None);
	});
}
