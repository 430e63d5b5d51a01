//! Full sectors, full batches, full blocks and standing clocks.

use crate::{chain::*, deals::*, sectors, sectors::*, transactions::*};
use cairn_primitives::{
	challenge,
	commitment::ZERO_COMMITMENTS,
	deal::DealProposal,
	draw, forged,
	hash::NativeSha256,
	params::ProtocolParameters,
	sealed,
	sector::{ActivationProof, SectorPreCommit, SectorProof, SectorState, MAX_WINDOW_PROOF},
	Balance, BlockNumber, DealId, PieceInfo, SectorNumber, Tier,
};
use cairn_runtime::{AccountId, Runtime, RuntimeBlockWeights, RuntimeCall, RuntimeEvent};
use codec::Encode;
use frame_support::dispatch::{DispatchClass, GetDispatchInfo};
use pallet_market::{
	runtime_api::runtime_decl_for_market_api::MarketApi, types::MAX_SERVICE_STEPS_PER_BLOCK, Call as Deals,
	Event as MarketEvent,
};
use pallet_storage_provider::{
	runtime_api::runtime_decl_for_storage_provider_api::StorageProviderApi, types::SectorRecord,
	Call as Providers, Event as ProviderEvent,
};
use sp_keyring::Sr25519Keyring::{
	self, AliceStash, Bob, BobStash, Charlie, CharlieStash, Dave, Eve, Ferdie, FerdieStash,
};
use std::collections::BTreeMap;

fn add_balance(key: Sr25519Keyring, units: Balance) {
	let amount = units * UNIT;
	ok(&account(key), Deals::add_balance { amount });
}

/// A provider that works for itself, with a live hot sector 0 that holds one deal of Eve's.
fn provider_with_deal(key: Sr25519Keyring, duration: BlockNumber) -> (Sector, DealId) {
	let owner = account(key);
	ok(&owner, register(key, key));
	add_balance(key, 10);
	let piece = Piece::random(7, 2_000);
	let proposal = proposal(Eve, key, Tier::Hot, piece.info, duration, 0);
	ok(&owner, publish([proposal.clone()]));
	let deal = deal_of(&proposal);
	let sector = Sector::pack(&owner, 0, HOT_2_KIB, &[&piece], vec![deal]);
	ok(&owner, sector.pre_commit());
	run_to(now() + ProtocolParameters::development().pre_commit_delay);
	ok(&owner, sector.prove());
	(sector, deal)
}

fn state(key: Sr25519Keyring) -> Option<SectorState> {
	Runtime::sector(account(key), 0).map(|sector| sector.state)
}

/// 128 pieces of four clients in one sealed sector, whose proof is forged: on this chain its
/// challenges can be computed ahead.
#[test]
fn a_sealed_sector_of_128_deals() {
	test(|| {
		let owner = account(Bob);
		ok(&owner, register(BobStash, Bob));
		let clients = [Charlie, Dave, Eve, Ferdie];
		clients
			.into_iter()
			.chain([Bob])
			.for_each(|key| add_balance(key, 50));
		run_to(3);
		let piece = PieceInfo {
			commitment: ZERO_COMMITMENTS[2],
			size_log2: 7,
			payload_size: 127,
		};
		let proposals: Vec<_> = (0..128)
			.map(|i| {
				let client = clients[i as usize % clients.len()];
				proposal(client, Bob, Tier::Sealed, piece, 20 + i as u32, i)
			})
			.collect();
		for batch in proposals.chunks(32) {
			send(BobStash, publish(batch.to_vec()));
		}
		let deals: Vec<_> = proposals.iter().map(deal_of).collect();

		let (ticket_at, ticket) = Runtime::ticket(owner.clone()).expect("a ticket");
		let beacon = beacon_to_come(now() + ProtocolParameters::development().pre_commit_delay);
		let mut inputs = sealed::ActivationInputs {
			prover_id: identity(&owner),
			sector: 9,
			ticket,
			seed: draw::seed(&beacon, &identity(&owner), 9),
			comm_d: [0; 32],
			comm_r: [0; 32],
		};
		let spec = spec(SEALED_8_MIB);
		let count = spec.activation_challenges;
		let bytes = forged::sealed_activation::<NativeSha256>(&spec, &mut inputs, 0, count);
		let sector = SectorPreCommit {
			sector: 9,
			proof_type: SEALED_8_MIB,
			comm_r: inputs.comm_r,
			comm_d: inputs.comm_d,
			ticket_at,
			expiration: now() + 400,
			deals: deals.clone().try_into().expect("as many as fit"),
		};
		send(BobStash, pre_commit(vec![sector]));
		run_to(now() + 2);
		assert_eq!(
			Runtime::activation_challenge(owner.clone(), 9)
				.expect("drawn")
				.seed,
			inputs.seed
		);
		let part = SectorProof {
			sector: 9,
			first_challenge: 0,
			challenges: count,
			proof: ActivationProof::V1(bytes.try_into().expect("short")),
		};
		send(BobStash, prove(vec![part]));
		let start = now();
		let view = Runtime::sector(owner.clone(), 9).expect("live");
		assert_eq!((view.state, view.deals), (SectorState::Active, deals.clone()));
		for (deal, proposal) in deals.iter().zip(&proposals) {
			assert_eq!(
				Runtime::deal(*deal).expect("active").ends,
				Some(start + proposal.duration)
			);
		}

		// The data of a forged sector cannot be proven: every planck goes back.
		run_to(start + 20 + 128 + 25);
		assert!(deals.iter().all(|deal| Runtime::deal(*deal).is_none()));
		let refunds: Balance = all_events()
			.into_iter()
			.map(|event| match event {
				RuntimeEvent::Market(MarketEvent::DealEnded {
					paid_blocks: 0,
					refund,
					..
				}) => refund,
				_ => 0,
			})
			.sum();
		let prices = proposals.iter().filter_map(DealProposal::total_price);
		assert_eq!(refunds, prices.sum());
	});
}

/// Two providers keep the same object; one stops proving. Its deal's price goes back to the client, the
/// other one's is paid.
#[test]
fn of_two_replicas_one_is_lost() {
	test(|| {
		let issued = issuance();
		add_balance(Eve, 10);
		let duration = 150;
		let (first, _) = provider_with_deal(Bob, duration);
		let (second, _) = provider_with_deal(Charlie, duration);
		assert_eq!(first.commitment().comm_d, second.commitment().comm_d);
		let store = Store::of([first, second]);
		let end = now() + duration + 45;
		while now() < end {
			let due: Vec<_> = [Bob, Charlie]
				.into_iter()
				.filter_map(|key| Some((key, due(&account(key))?)))
				.collect();
			next_block();
			for (key, challenge) in due {
				// Charlie's machine burns down after 60 blocks.
				if key == Bob || now() < 60 {
					ok(&account(key), store.post(&account(key), &challenge));
				}
			}
			if now() == 100 {
				assert_eq!(state(Bob), Some(SectorState::Active));
				assert_eq!(state(Charlie), Some(SectorState::Faulty));
			}
		}
		for key in [Bob, Charlie] {
			ok(&account(key), Providers::deregister {});
		}
		for key in [Bob, Charlie, Eve] {
			let amount = Runtime::escrow(account(key));
			ok(&account(key), Deals::withdraw_balance { amount });
			assert_eq!(all_held(&account(key)), 0);
		}
		let endowment = 1_000_000 * UNIT;
		let whole = PRICE * Balance::from(duration);
		assert_eq!(free(&account(Bob)), endowment + whole);
		let part = free(&account(Charlie)) - endowment;
		assert!(part > 0 && part < whole / 2, "{part}");
		assert_eq!(free(&account(Eve)), endowment - whole - part);
		assert_eq!(issuance(), issued);
	});
}

/// Only blocks count: neither the wall clock nor the relay chain makes anybody guilty.
#[test]
fn a_chain_that_stood_still_goes_on() {
	test(|| {
		add_balance(Eve, 10);
		let (sector, deal) = provider_with_deal(Bob, 500);
		let store = Store::of([sector]);
		for _ in 0..4 {
			let end = now() + 30;
			store.run_proving(&account(Bob), &account(Bob), end);
			stand_still(100_000);
		}
		let end = now() + 30;
		store.run_proving(&account(Bob), &account(Bob), end);
		assert_eq!(state(Bob), Some(SectorState::Active));
		let deal = Runtime::deal(deal).expect("runs");
		assert!(deal.proven_blocks + 40 > now(), "{}", deal.proven_blocks);
		let faulty = |event: &RuntimeEvent| {
			matches!(
				event,
				RuntimeEvent::StorageProvider(ProviderEvent::SectorFaulty { .. })
			)
		};
		assert!(!all_events().iter().any(faulty));
	});
}

/// Blocks so full that housekeeping gets no turn for three periods: the verdicts are those of empty
/// blocks, and so is the money.
#[test]
fn full_blocks_change_no_verdict() {
	let run = |full: bool| {
		let mut outcome: (Vec<(AccountId, SectorNumber, SectorRecord)>, Vec<Balance>) = Default::default();
		test(|| {
			add_balance(Eve, 10);
			let providers = [Bob, Charlie, Dave];
			// The third one's ends while blocks are full.
			let durations = [300, 300, 45];
			let sectors: Vec<_> = providers
				.into_iter()
				.zip(durations)
				.map(|(key, duration)| provider_with_deal(key, duration).0)
				.collect();
			let store = Store::of(sectors);
			let end = now() + 3 * ProtocolParameters::development().proving_period;
			while now() < end {
				let due: Vec<_> = [Bob, Dave]
					.into_iter()
					.filter_map(|key| Some((key, sectors::due(&account(key))?)))
					.collect();
				if full {
					next_block_without_housekeeping();
				} else {
					next_block();
				}
				for (key, challenge) in due {
					ok(&account(key), store.post(&account(key), &challenge));
				}
			}
			// Room again.
			run_to(now() + 2);
			outcome.0 = pallet_storage_provider::Sectors::<Runtime>::iter().collect();
			outcome
				.0
				.sort_by_key(|(owner, number, _)| (owner.clone(), *number));
			outcome.1 = Sr25519Keyring::well_known()
				.flat_map(|key| [free(&account(key)), all_held(&account(key))])
				.collect();
			assert_eq!(state(Bob), Some(SectorState::Active));
			assert_eq!(state(Charlie), Some(SectorState::Faulty));
			assert_eq!(state(Dave), None);
		});
		outcome
	};
	assert_eq!(run(true), run(false));
}

/// One account fills a block of the calendar. The chain works it off in bounded steps, and others may
/// settle all the while.
#[test]
fn a_crowded_calendar_is_worked_off_in_steps() {
	test(|| {
		add_balance(Eve, 10);
		let (sector, deal) = provider_with_deal(Bob, 60);
		ok(&account(Ferdie), register(FerdieStash, Ferdie));
		let store = Store::of([sector]);
		let piece = |nonce: u64| PieceInfo {
			commitment: draw::blake2_256(&[&nonce.to_le_bytes()]),
			size_log2: 11,
			payload_size: 2_000,
		};
		let start_by = now() + 30;
		let spam: Vec<_> = (0..640u64)
			.map(|nonce| DealProposal {
				price_per_block: 0,
				provider_collateral: 0,
				start_by,
				..proposal(AliceStash, Ferdie, Tier::Sealed, piece(nonce), 20, nonce)
			})
			.collect();
		for batch in spam.chunks(32) {
			ok(&account(FerdieStash), publish(batch.to_vec()));
		}
		store.run_proving(&account(Bob), &account(Bob), start_by + 1);
		let left = || pallet_market::Calendar::<Runtime>::iter_prefix(start_by + 1).count();
		assert_eq!(left(), 2 * spam.len());
		let mut before = left();
		while left() > 0 {
			ok(&account(CharlieStash), settle(&[deal]));
			next_block();
			assert!(left() < before && before - left() <= MAX_SERVICE_STEPS_PER_BLOCK as usize);
			before = left();
		}
		assert!(now() > start_by + 5);
		let ended = all_events()
			.into_iter()
			.filter(|event| matches!(event, RuntimeEvent::Market(MarketEvent::DealNotStarted { .. })));
		assert_eq!(ended.count(), spam.len());
		store.run_proving(&account(Bob), &account(Bob), now() + 100);
		assert!(Runtime::deal(deal).is_none());
		assert_eq!(
			free(&account(Bob)) + all_held(&account(Bob)),
			1_000_000 * UNIT + 60 * PRICE
		);
	});
}

/// Large batches fit a block, by weight and by length: of most calls the largest. Sectors with the most
/// deals fit in fewer than a call takes.
#[test]
fn full_batches_fit_a_block() {
	test(|| {
		let most = RuntimeBlockWeights::get()
			.get(DispatchClass::Normal)
			.max_extrinsic
			.expect("limited");
		let fits = |name: &str, call: RuntimeCall| {
			let weight = call.get_dispatch_info().call_weight;
			let length = call.encoded_size();
			println!("{name}: {weight:?} of {most:?}, {length} bytes");
			assert!(weight.all_lte(most), "{name}");
			assert!(length < 1 << 20, "{name}");
		};
		let piece = Piece::random(1, 100).info;
		let of = |nonce| DealProposal {
			label: vec![0; 128].try_into().expect("as long as it may be"),
			..proposal(Eve, Bob, Tier::Hot, piece, 20, nonce)
		};
		fits("publish_storage_deals", publish((0..32).map(of)).into());
		let proposals: Vec<_> = (0..32).map(of).collect();
		fits(
			"accept_deals",
			accept(&proposals.iter().collect::<Vec<_>>()).into(),
		);
		fits(
			"settle_deal_payments",
			settle(&(0..128).collect::<Vec<_>>()).into(),
		);

		let sectors = |sectors: u32, deals: u64| {
			let deals: Vec<_> = (0..deals).collect();
			let sector = |number| SectorPreCommit {
				sector: number,
				proof_type: SEALED_8_MIB,
				comm_r: [0; 32],
				comm_d: [0; 32],
				ticket_at: 0,
				expiration: 0,
				deals: deals.clone().try_into().expect("not too many"),
			};
			pre_commit((0..sectors).map(sector).collect())
		};
		fits("pre_commit_sectors, 32 of 32 deals", sectors(32, 32).into());
		fits("pre_commit_sectors, 16 of 128 deals", sectors(16, 128).into());
		let proof = |number, bytes: usize| SectorProof {
			sector: number,
			first_challenge: 0,
			challenges: 12,
			proof: ActivationProof::V1(vec![0; bytes].try_into().expect("as long as it may be")),
		};
		fits(
			"prove_commit_sectors of one long part",
			prove(vec![proof(0, 512 * 1024)]).into(),
		);
		let hot = 12 * 32 * 26;
		fits(
			"prove_commit_sectors of 8 hot sectors of 1 GiB",
			prove((0..8).map(|number| proof(number, hot)).collect()).into(),
		);
		let numbers = || (0..256).collect::<Vec<_>>().try_into().expect("as many as fit");
		fits(
			"declare_faults",
			Providers::declare_faults { sectors: numbers() }.into(),
		);
		fits(
			"declare_faults_recovered",
			Providers::declare_faults_recovered { sectors: numbers() }.into(),
		);
		let partitions = (0..16).map(|partition| (partition, 0)).collect();
		fits(
			"submit_windowed_post",
			window(0, partitions, vec![0; MAX_WINDOW_PROOF as usize]).into(),
		);
	});
}

/// The challenges that the view tells are those that anyone computes from the relay chain's randomness.
#[test]
fn challenges_follow_from_the_relay_chains_authors() {
	test_with_strong_beacons(|| {
		add_balance(Eve, 10);
		let (sector, _) = provider_with_deal(Bob, 200);
		let owner = account(Bob);
		let mut beacons = BTreeMap::new();
		let challenge = loop {
			let next = now() + 1;
			beacons.insert(next, beacon_to_come(next));
			next_block();
			if let Some(challenge) = due(&owner) {
				break challenge;
			}
		};
		let window = challenge.window;
		let live = sector.pieces[0].payload_leaves();
		let leaf = |j| {
			let (beacon, prover) = (&beacons[&window.open], identity(&owner));
			let value = challenge::window_challenge(beacon, &prover, 0, window.period, window.deadline, j);
			challenge::live_leaf([(0, live)], value).expect("payload")
		};
		let leaves: Vec<u64> = (0..12).map(leaf).collect();
		assert_eq!(challenge.partitions[0].sectors[0].leaves, leaves);
	});
}

/// Where no author's randomness reaches the chain nobody is challenged, activated, guilty or paid.
#[test]
fn without_strong_beacons_deadlines_are_void() {
	test_with_strong_beacons(|| {
		add_balance(Eve, 10);
		let (sector, deal) = provider_with_deal(Bob, 200);
		let owner = account(Bob);
		let store = Store::of([sector]);
		store.run_proving(&owner, &owner, now() + 45);
		let proven = Runtime::deal(deal).expect("runs").proven_blocks;
		assert!(proven > 20);

		// Two whole periods without.
		while due(&owner).is_some() {
			store.run_proving(&owner, &owner, now() + 1);
		}
		set_strong_beacons(false);
		let piece = Piece::random(8, 1_000);
		let second = proposal(Eve, Bob, Tier::Hot, piece.info, 100, 1);
		ok(&owner, publish([second.clone()]));
		let waiting = Sector::pack(&owner, 1, HOT_2_KIB, &[&piece], vec![deal_of(&second)]);
		ok(&owner, waiting.pre_commit());
		for _ in 0..40 {
			next_block();
			assert_eq!(due(&owner), None);
			assert_eq!(Runtime::activation_challenge(owner.clone(), 1), None);
		}
		assert_eq!(state(Bob), Some(SectorState::Active));
		assert_eq!(Runtime::deal(deal).expect("runs").proven_blocks, proven);

		// The first strong beacon is the seed.
		set_strong_beacons(true);
		let seed = draw::seed(&beacon_to_come(now() + 1), &identity(&owner), 1);
		store.run_proving(&owner, &owner, now() + 3);
		let challenge = Runtime::activation_challenge(owner.clone(), 1).expect("drawn");
		assert_eq!(challenge.seed, seed);
		ok(&owner, waiting.prove());
		let store = {
			let mut store = store;
			store.add(waiting);
			store
		};
		store.run_proving(&owner, &owner, now() + 45);
		assert_eq!(state(Bob), Some(SectorState::Active));
		let later = Runtime::deal(deal).expect("runs").proven_blocks;
		assert!(later > proven && later < proven + 65, "{proven}, {later}");
	});
}
