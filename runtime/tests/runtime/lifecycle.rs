//! From registration to the last planck by transactions alone, in both tiers.

use crate::{
	chain::*,
	deals::*,
	sectors::{due, pre_commit, prove, Piece, Sector, Store, HOT_2_KIB, SEALED_2_KIB},
	transactions::*,
};
use cairn_primitives::{
	sector::{SectorState, SectorView},
	Balance, BlockNumber, Tier,
};
use cairn_runtime::{AccountId, Runtime, RuntimeEvent};
use pallet_market::{runtime_api::runtime_decl_for_market_api::MarketApi, Call as Deals};
use pallet_storage_provider::{
	runtime_api::runtime_decl_for_storage_provider_api::StorageProviderApi,
	types::{Ask, ProviderContact},
	Call as Providers, Event as ProviderEvent,
};
use sp_keyring::Sr25519Keyring::{self, AliceStash, Bob, Charlie, Dave, Eve, Ferdie};

const ENDOWMENT: Balance = 1_000_000 * UNIT;
const DURATION: BlockNumber = 120;

fn ask() -> Option<Ask> {
	Some(Ask::V1 {
		price_per_gib: UNIT,
		min_piece_log2: 7,
		max_piece_log2: 11,
		min_duration: 20,
		max_duration: 1_000,
		accepting: true,
	})
}

fn sector(number: u32) -> Option<SectorView> {
	Runtime::sector(account(Bob), number)
}

/// Runs blocks to `block`; the worker's transactions prove whatever falls due, free of charge.
fn run_proving(store: &Store, block: BlockNumber) -> u32 {
	let mut proofs = 0;
	while now() < block {
		let due = due(&account(Bob));
		next_block();
		if let Some(challenge) = due {
			let before = free(&account(Charlie));
			send(Charlie, store.post(&account(Bob), &challenge));
			assert_eq!(free(&account(Charlie)), before);
			proofs += 1;
		}
	}
	proofs
}

/// What an account has of its endowment, but for the fees that it paid.
fn gained(who: &AccountId, events: &[RuntimeEvent]) -> i128 {
	assert_eq!(all_held(who), 0);
	(free(who) + fees_of(who, events)) as i128 - ENDOWMENT as i128
}

fn story() {
	let issued = issuance();
	// A provider and its asks.
	send(Bob, register(Charlie, Dave));
	next_block();
	for proof_type in [HOT_2_KIB, SEALED_2_KIB] {
		send(
			Charlie,
			Providers::set_ask {
				proof_type,
				ask: ask(),
			},
		);
	}
	let contact = Some(ProviderContact::V1 {
		peer_id: vec![1; 38].try_into().expect("short"),
		addresses: Default::default(),
	});
	send(
		Charlie,
		Providers::update_provider {
			contact,
			beneficiary: None,
		},
	);
	assert_eq!(Runtime::asks(account(Bob)).len(), 2);

	// Two clients' hot deals by signatures, raw and wrapped, and a sealed one on chain.
	for key in [Bob, Eve, Ferdie] {
		send(key, Deals::add_balance { amount: 10 * UNIT });
	}
	let pieces = [
		Piece::random(1, 700),
		Piece::random(2, 900),
		Piece::random(3, 1_800),
	];
	let hot = [
		proposal(Eve, Bob, Tier::Hot, pieces[0].info, DURATION, 0),
		proposal(Ferdie, Bob, Tier::Hot, pieces[1].info, DURATION / 2, 1),
	];
	let sealed = proposal(Eve, Bob, Tier::Sealed, pieces[2].info, DURATION, 2);
	send(Charlie, publish(hot.clone()));
	send(
		Eve,
		Deals::propose_deal {
			proposal: sealed.clone(),
		},
	);
	next_block();
	send(Charlie, accept(&[&sealed]));
	let deals = hot.iter().chain([&sealed]).map(deal_of).collect::<Vec<_>>();

	// Both sectors, the sealed one proven in parts.
	run_to(now() + 4);
	let owner = account(Bob);
	let sectors = [
		Sector::pack(
			&owner,
			0,
			HOT_2_KIB,
			&[&pieces[0], &pieces[1]],
			deals[..2].to_vec(),
		),
		Sector::seal(
			&owner,
			1,
			SEALED_2_KIB,
			&[&pieces[2]],
			deals[2..].to_vec(),
			now() + 200 + DURATION,
		),
	];
	send(
		Charlie,
		pre_commit(sectors.iter().map(Sector::commitment).collect()),
	);
	while Runtime::activation_challenge(owner.clone(), 0).is_none() {
		next_block();
	}
	send(Charlie, prove(vec![sectors[1].part(1, 1)]));
	next_block();
	send(Charlie, sectors[0].prove());
	send(Charlie, prove(vec![sectors[1].part(0, 1)]));
	let start = now();
	for number in [0, 1] {
		assert_eq!(sector(number).expect("activated").state, SectorState::Active);
	}

	// Settled midway by a stranger, twice, then by the calendar.
	let store = Store::of(sectors);
	let mut proofs = run_proving(&store, start + 60);
	send(AliceStash, settle(&deals));
	let paid = free(&account(Dave)) - ENDOWMENT;
	assert!(paid > 0 && paid < 3 * PRICE * Balance::from(DURATION));
	send(AliceStash, settle(&deals));
	assert_eq!(free(&account(Dave)) - ENDOWMENT, paid);
	proofs += run_proving(&store, start + DURATION + 25);
	assert!(deals.iter().all(|deal| Runtime::deal(*deal).is_none()));
	assert_eq!(sector(0), None);
	// The sealed sector lives on without deals.
	assert_eq!(sector(1).expect("live").state, SectorState::Active);
	proofs += run_proving(&store, start + 200 + DURATION + 25);
	assert_eq!(sector(1), None);
	assert!(proofs > 20, "{proofs}");

	// Everyone takes what is theirs.
	send(Bob, Providers::deregister {});
	for key in [Bob, Eve, Ferdie] {
		let amount = Runtime::escrow(account(key));
		send(key, Deals::withdraw_balance { amount });
	}
	let events = all_events();
	let faults = events
		.iter()
		.filter(|event| {
			matches!(
				event,
				RuntimeEvent::StorageProvider(ProviderEvent::SectorFaulty { .. })
			)
		})
		.count();
	assert_eq!(faults, 0);
	let price = |blocks: BlockNumber| (PRICE * Balance::from(blocks)) as i128;
	for (key, gain) in [
		(Bob, 0),
		(Charlie, 0),
		(Dave, price(5 * DURATION / 2)),
		(Eve, -price(2 * DURATION)),
		(Ferdie, -price(DURATION / 2)),
		(AliceStash, 0),
	] {
		assert_eq!(gained(&account(key), &events), gain, "{key:?}");
	}
	let fees: Balance = Sr25519Keyring::well_known()
		.map(|key| fees_of(&account(key), &events))
		.sum();
	assert!(fees > 0);
	assert_eq!(issuance() + fees, issued);
}

#[test]
fn a_story_by_transactions() {
	test(story);
}

/// With the randomness of a relay chain's authors, as in production.
#[test]
fn a_story_with_strong_beacons() {
	test_with_strong_beacons(story);
}
