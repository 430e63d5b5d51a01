//! Protocol parameters.

use super::{mock::*, sealing::*};
use crate::{Call, Error, Event};
use cairn_primitives::params::ProtocolParameters;
use frame_support::{assert_noop, assert_ok};
use sp_runtime::{traits::Dispatchable, DispatchError};

fn set(parameters: ProtocolParameters) -> RuntimeCall {
	RuntimeCall::StorageProvider(Call::set_parameters { parameters })
}

#[test]
fn root_replaces_parameters() {
	test(|| {
		let parameters = ProtocolParameters {
			registration_bond: 5 * UNIT,
			..parameters()
		};
		assert_noop!(
			set(parameters)
				.dispatch(RuntimeOrigin::signed(1))
				.map_err(|error| error.error),
			DispatchError::BadOrigin
		);
		assert_ok!(set(parameters).dispatch(RuntimeOrigin::root()));
		assert_eq!(last_event(), Event::ParametersSet { parameters });
		assert_eq!(StorageProvider::parameters().expect("set"), parameters);
		assert_eq!(
			<StorageProvider as cairn_pallet_traits::Parameters>::get(),
			parameters
		);
	});
}

#[test]
fn contradictions_are_refused() {
	test(|| {
		let good = parameters();
		for bad in [
			ProtocolParameters {
				proving_period: 21,
				..good
			},
			ProtocolParameters { deadlines: 1, ..good },
			ProtocolParameters {
				deadlines: 100,
				proving_period: 400,
				..good
			},
			ProtocolParameters {
				pre_commit_delay: 0,
				..good
			},
			ProtocolParameters {
				prove_commit_window: 2,
				..good
			},
			// Longer than beacons are remembered.
			ProtocolParameters {
				prove_commit_window: 100_000,
				..good
			},
			// A full partition of the largest sectors would not fit a call.
			ProtocolParameters {
				window_challenges: 15,
				..good
			},
		] {
			assert_noop!(
				set(bad)
					.dispatch(RuntimeOrigin::root())
					.map_err(|error| error.error),
				Error::<Test>::InvalidParameters
			);
		}
	});
}

#[test]
fn the_calendar_is_fixed_while_there_are_providers() {
	test(|| {
		register(1);
		let longer = ProtocolParameters {
			proving_period: 40,
			..parameters()
		};
		let finer = ProtocolParameters {
			deadlines: 5,
			..parameters()
		};
		for changed in [longer, finer] {
			assert_noop!(
				set(changed)
					.dispatch(RuntimeOrigin::root())
					.map_err(|error| error.error),
				Error::<Test>::InvalidParameters
			);
		}
		let other = ProtocolParameters {
			window_challenges: 5,
			pledge_per_gib: 3 * UNIT,
			..parameters()
		};
		assert_ok!(set(other).dispatch(RuntimeOrigin::root()));
		ok(1, Call::deregister {});
		assert_ok!(set(longer).dispatch(RuntimeOrigin::root()));
	});
}

/// What was held is what is returned, whatever the parameters say meanwhile.
#[test]
fn changed_amounts_do_not_touch_what_is_held() {
	test(|| {
		let sector = provider_with_sector(1, &[order(1).lasting(40)]);
		let waiting = Kept::hot(1, 1, &[order(2)]);
		ok(1, pre_commit(&[&waiting]));
		let dearer = ProtocolParameters {
			registration_bond: 77 * UNIT,
			pre_commit_deposit: 7 * UNIT,
			pledge_per_gib: 700_000 * UNIT,
			window_challenges: 3,
			..parameters()
		};
		assert_ok!(set(dearer).dispatch(RuntimeOrigin::root()));
		check();
		run_to(now() + 2);
		ok(1, prove(vec![waiting.whole()]));
		assert_eq!(record(1, 1).pledge, (700_000 * UNIT).div_ceil(1 << 19));
		let store = Store::of([sector, waiting]);
		store.run_proving(1, now() + 200);
		for sector in [0, 1] {
			assert_eq!(record(1, sector).fault, None);
			<StorageProvider as cairn_pallet_traits::Sectors<AccountId>>::deal_closed(&1, sector);
		}
		ok(1, Call::deregister {});
		assert_eq!(free(1), ENDOWMENT);
	});
}
