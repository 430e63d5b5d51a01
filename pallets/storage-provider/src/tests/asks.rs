//! Prices and bounds.

use super::{mock::*, sealing::*};
use crate::{types::Ask, Asks, Call, Error, Event};
use cairn_primitives::ProofTypeId;
use frame_support::assert_ok;

fn ask() -> Ask {
	Ask::V1 {
		price_per_gib: 5,
		min_piece_log2: 7,
		max_piece_log2: 11,
		min_duration: 20,
		max_duration: 1_000,
		accepting: true,
	}
}

fn set(ask: Option<Ask>) -> Call<Test> {
	Call::set_ask { proof_type: HOT, ask }
}

#[test]
fn owner_and_worker_set_and_withdraw_asks() {
	test(|| {
		register_with_worker(1, 2);
		ok(2, set(Some(ask())));
		assert_eq!(
			last_event(),
			Event::AskSet {
				provider: 1,
				proof_type: HOT,
				ask: Some(ask())
			}
		);
		ok(
			1,
			Call::set_ask {
				proof_type: SEALED,
				ask: Some(ask()),
			},
		);
		let mut asks = StorageProvider::view_asks(1);
		asks.sort_by_key(|(id, _)| *id);
		assert_eq!(asks, [(HOT, ask()), (SEALED, ask())]);
		ok(1, set(None));
		assert_eq!(StorageProvider::view_asks(1), [(SEALED, ask())]);
		refused(3, set(None), Error::<Test>::NotAProvider);
		ok(1, Call::deregister {});
		assert_eq!(Asks::<Test>::iter().count(), 0);
	});
}

#[test]
fn empty_bounds_are_refused() {
	test(|| {
		register(1);
		let Ask::V1 {
			price_per_gib,
			min_piece_log2,
			max_piece_log2,
			min_duration,
			max_duration,
			accepting,
		} = ask();
		for (min_piece_log2, max_piece_log2, min_duration, max_duration) in [
			(6, max_piece_log2, min_duration, max_duration),
			(12, max_piece_log2, min_duration, max_duration),
			(min_piece_log2, 12, min_duration, max_duration),
			(9, 8, min_duration, max_duration),
			(min_piece_log2, max_piece_log2, 1_001, max_duration),
		] {
			let ask = Ask::V1 {
				price_per_gib,
				min_piece_log2,
				max_piece_log2,
				min_duration,
				max_duration,
				accepting,
			};
			refused(1, set(Some(ask)), Error::<Test>::InvalidAsk);
		}
	});
}

#[test]
fn only_types_that_take_sectors_can_be_offered() {
	test(|| {
		register(1);
		let unknown = Call::set_ask {
			proof_type: ProofTypeId(9),
			ask: Some(ask()),
		};
		refused(1, unknown, Error::<Test>::UnknownProofType);
		assert_ok!(Proofs::retire_proof_type(RuntimeOrigin::root(), HOT));
		refused(1, set(Some(ask())), Error::<Test>::UnknownProofType);
		ok(1, set(None));
	});
}
