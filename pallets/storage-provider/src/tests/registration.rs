//! Providers, their workers and their departure.

use super::{mock::*, sealing::*};
use crate::{
	types::ProviderContact, Call, DeadlineCloses, DeadlineHeads, Error, Event, HoldReason, Partitions,
	Providers, Workers,
};
use cairn_pallet_traits::Sectors as _;

#[test]
fn registration_holds_a_bond_that_leaving_returns() {
	test(|| {
		register_with_worker(1, 2);
		assert_eq!(last_event(), Event::ProviderRegistered { provider: 1 });
		assert_eq!(held(HoldReason::RegistrationBond, 1), 10 * UNIT);
		assert_eq!(free(1), ENDOWMENT - 10 * UNIT);
		assert_eq!(StorageProvider::provider_of(&1), Some(1));
		assert_eq!(StorageProvider::provider_of(&2), Some(1));
		assert!(StorageProvider::is_provider(&1) && !StorageProvider::is_provider(&2));
		assert_eq!(StorageProvider::beneficiary(&1), Some(1));
		let record = Providers::<Test>::get(1).expect("registered");
		assert!(record.period_offset < parameters().proving_period);
		refused(
			1,
			Call::register_storage_provider {
				worker: 3,
				beneficiary: 1,
				contact: contact(),
			},
			Error::<Test>::AlreadyRegistered,
		);

		refused(2, Call::deregister {}, Error::<Test>::NotOwner);
		ok(1, Call::deregister {});
		assert_eq!(last_event(), Event::ProviderDeregistered { provider: 1 });
		assert_eq!(free(1), ENDOWMENT);
		assert_eq!(StorageProvider::provider_of(&2), None);
		refused(1, Call::deregister {}, Error::<Test>::NotOwner);
	});
}

#[test]
fn the_bond_must_be_covered() {
	test(|| {
		let register = Call::register_storage_provider {
			worker: 99,
			beneficiary: 99,
			contact: contact(),
		};
		refused(99, register, Error::<Test>::InsufficientFunds);
	});
}

#[test]
fn a_worker_serves_one_provider() {
	test(|| {
		register_with_worker(1, 2);
		register(3);
		let register = |worker| Call::register_storage_provider {
			worker,
			beneficiary: 4,
			contact: contact(),
		};
		refused(4, register(2), Error::<Test>::WorkerTaken);
		refused(4, register(1), Error::<Test>::WorkerTaken);
		refused(3, Call::set_worker { worker: 2 }, Error::<Test>::WorkerTaken);
		refused(3, Call::set_worker { worker: 1 }, Error::<Test>::WorkerTaken);
		refused(2, Call::set_worker { worker: 5 }, Error::<Test>::NotOwner);
		refused(9, Call::set_worker { worker: 5 }, Error::<Test>::NotOwner);

		ok(1, Call::set_worker { worker: 5 });
		assert_eq!(
			last_event(),
			Event::WorkerSet {
				provider: 1,
				worker: 5
			}
		);
		assert_eq!(StorageProvider::owner_of(&2), None);
		assert_eq!(StorageProvider::owner_of(&5), Some(1));
		ok(4, register(2));
		// The owner may do the work itself.
		ok(1, Call::set_worker { worker: 1 });
		assert_eq!(StorageProvider::owner_of(&5), None);
		assert_eq!(StorageProvider::owner_of(&1), Some(1));
		ok(1, Call::set_worker { worker: 1 });
	});
}

#[test]
fn naming_an_account_as_worker_does_not_keep_it_from_registering() {
	test(|| {
		register_with_worker(1, 2);
		register_with_worker(2, 3);
		assert_eq!(StorageProvider::owner_of(&2), Some(2));
		assert_eq!(Providers::<Test>::get(1).expect("registered").worker, 1);
		// The former employer has no more say in it.
		ok(2, Call::deregister {});
		register_with_worker(4, 2);
		ok(1, Call::set_worker { worker: 5 });
		assert_eq!(Workers::<Test>::get(2), Some(4));
		ok(1, Call::deregister {});
		assert_eq!(Workers::<Test>::get(2), Some(4));
	});
}

#[test]
fn owner_and_worker_update_what_is_theirs() {
	test(|| {
		register_with_worker(1, 2);
		let other = ProviderContact::V1 {
			peer_id: Default::default(),
			addresses: Default::default(),
		};
		ok(
			2,
			Call::update_provider {
				contact: Some(other.clone()),
				beneficiary: None,
			},
		);
		assert_eq!(last_event(), Event::ProviderUpdated { provider: 1 });
		assert_eq!(Providers::<Test>::get(1).expect("registered").contact, other);
		refused(
			2,
			Call::update_provider {
				contact: None,
				beneficiary: Some(2),
			},
			Error::<Test>::NotOwner,
		);
		ok(
			1,
			Call::update_provider {
				contact: None,
				beneficiary: Some(7),
			},
		);
		assert_eq!(StorageProvider::beneficiary(&1), Some(7));
		assert_eq!(Providers::<Test>::get(1).expect("registered").contact, other);
		refused(
			9,
			Call::update_provider {
				contact: None,
				beneficiary: None,
			},
			Error::<Test>::NotAProvider,
		);
	});
}

#[test]
fn nobody_leaves_with_sectors() {
	test(|| {
		register(1);
		let sector = Kept::hot(1, 0, &[order(1)]);
		ok(1, pre_commit(&[&sector]));
		refused(1, Call::deregister {}, Error::<Test>::SectorsRemain);
		run_to(now() + 2);
		ok(1, prove(vec![sector.whole()]));
		refused(1, Call::deregister {}, Error::<Test>::SectorsRemain);
		// Expired, but its deal is not settled.
		run_to(now() + 200);
		assert_eq!(record(1, 0).location, None);
		refused(1, Call::deregister {}, Error::<Test>::SectorsRemain);
		StorageProvider::deal_closed(&1, 0);
		ok(1, Call::deregister {});
		assert_eq!(free(1), ENDOWMENT);
		assert_eq!(Partitions::<Test>::iter().count(), 0);
		assert_eq!(DeadlineHeads::<Test>::iter().count(), 0);
		assert_eq!(DeadlineCloses::<Test>::iter().count(), 0);
	});
}

#[test]
fn sector_numbers_stay_used_after_leaving() {
	test(|| {
		register(1);
		let sector = Kept::hot(1, 5, &[order(1)]);
		ok(1, pre_commit(&[&sector]));
		run_to(now() + parameters().prove_commit_window + 1);
		ok(1, Call::deregister {});
		register(1);
		assert!(StorageProvider::is_allocated(&1, 5));
		let again = Kept::hot(1, 5, &[order(2)]);
		refused(1, pre_commit(&[&again]), Error::<Test>::SectorNumberUsed);
	});
}
