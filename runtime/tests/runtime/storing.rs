//! Deals from proposal to final settlement, with real proofs.

use crate::{
	chain::*,
	deals::{self, register, PRICE},
	sectors::{due, Piece, Sector, Store, HOT_2_KIB, HOT_8_MIB},
};
use cairn_pallet_traits::Sectors as _;
use cairn_primitives::{
	deal::DealProposal, params::ProtocolParameters, sector::SectorState, Balance, BlockNumber, DealId,
	PieceInfo, Tier,
};
use cairn_runtime::{AccountId, Market, Runtime, RuntimeEvent, StorageProvider};
use pallet_market::runtime_api::runtime_decl_for_market_api::MarketApi;
use pallet_storage_provider::{
	runtime_api::runtime_decl_for_storage_provider_api::StorageProviderApi, types::Ask,
};
use sp_keyring::Sr25519Keyring as Keyring;

type Deals = pallet_market::Call<Runtime>;
type Providers = pallet_storage_provider::Call<Runtime>;
type MarketEvent = pallet_market::Event<Runtime>;
type ProviderEvent = pallet_storage_provider::Event<Runtime>;

fn client() -> AccountId {
	account(Keyring::Alice)
}

fn owner() -> AccountId {
	account(Keyring::Bob)
}

fn worker() -> AccountId {
	account(Keyring::Charlie)
}

fn beneficiary() -> AccountId {
	account(Keyring::Dave)
}

fn cast() -> [AccountId; 4] {
	[client(), owner(), worker(), beneficiary()]
}

/// A registered provider with an ask and escrow, and a client with escrow.
fn prepare() {
	ok(&owner(), register(Keyring::Charlie, Keyring::Dave));
	let ask = Ask::V1 {
		price_per_gib: UNIT,
		min_piece_log2: 7,
		max_piece_log2: 23,
		min_duration: 20,
		max_duration: 100_000,
		accepting: true,
	};
	ok(
		&worker(),
		Providers::set_ask {
			proof_type: HOT_8_MIB,
			ask: Some(ask),
		},
	);
	ok(&owner(), Deals::add_balance { amount: 10 * UNIT });
	ok(&client(), Deals::add_balance { amount: 10 * UNIT });
}

fn proposal(piece: PieceInfo, duration: BlockNumber, nonce: u64) -> DealProposal<AccountId> {
	deals::proposal(Keyring::Alice, Keyring::Bob, Tier::Hot, piece, duration, nonce)
}

/// Proposes on chain and accepts.
fn agree(proposal: DealProposal<AccountId>) -> DealId {
	ok(
		&client(),
		Deals::propose_deal {
			proposal: proposal.clone(),
		},
	);
	assert_eq!(
		Runtime::proposals_for(owner(), 10),
		[(deals::hash_of(&proposal), proposal.clone())]
	);
	ok(&worker(), deals::accept(&[&proposal]));
	deals::deal_of(&proposal)
}

/// Commits, waits for the seed, proves. Returns the block of activation.
fn activate(sector: &Sector) -> BlockNumber {
	ok(&worker(), sector.pre_commit());
	run_to(now() + ProtocolParameters::development().pre_commit_delay);
	ok(&worker(), sector.prove());
	now()
}

fn settle(deals: &[DealId]) {
	ok(&account(Keyring::Ferdie), deals::settle(deals));
}

fn paid() -> Balance {
	free(&beneficiary()) - 1_000_000 * UNIT
}

/// The end of everything: the owner leaves, escrows are withdrawn, nothing is held from anyone.
fn leave(spent: Balance) {
	ok(&owner(), Providers::deregister {});
	for who in [client(), owner()] {
		let amount = Runtime::escrow(who.clone());
		ok(&who, Deals::withdraw_balance { amount });
	}
	for who in cast() {
		assert_eq!(all_held(&who), 0);
	}
	let endowment = 1_000_000 * UNIT;
	assert_eq!(free(&client()), endowment - spent);
	assert_eq!(free(&beneficiary()), endowment + spent);
	assert_eq!(free(&owner()), endowment);
	assert_eq!(free(&worker()), endowment);
}

#[test]
fn two_deals_in_an_8_mib_sector_from_proposal_to_the_end() {
	test(|| {
		let issued = issuance();
		prepare();
		let pieces = [Piece::random(1, 3_000_000), Piece::random(2, 100_000)];
		let (long, short) = (200, 70);
		let deals = vec![
			agree(proposal(pieces[0].info, long, 1)),
			agree(proposal(pieces[1].info, short, 2)),
		];
		let sector = Sector::pack(&owner(), 5, HOT_8_MIB, &[&pieces[0], &pieces[1]], deals.clone());
		let start = activate(&sector);
		assert!(
			events().contains(&RuntimeEvent::Market(MarketEvent::DealActivated {
				deal: deals[0],
				provider: owner(),
				sector: 5,
				activated_at: start,
				end: start + long,
			}))
		);

		// Settlements midway pay exactly what is proven, to the beneficiary, and only once.
		let store = Store::of([sector]);
		let mut proofs = store.run_proving(&owner(), &worker(), start + 50);
		assert!(proofs >= 2);
		assert_eq!(paid(), 0);
		settle(&deals);
		let proven = StorageProvider::proven(&owner(), 5, start + long)
			.expect("live")
			.blocks;
		assert!(proven > 20 && proven <= 70);
		assert_eq!(paid(), 2 * PRICE * Balance::from(proven));
		let before = paid();
		settle(&[deals[0], deals[1], deals[0]]);
		assert_eq!(paid(), before);

		// The short deal ends by itself; the sector goes on for the long one.
		proofs += store.run_proving(&owner(), &worker(), start + short + 25);
		assert!(Market::view_deal(deals[1]).is_none());
		assert_eq!(paid(), before + PRICE * Balance::from(short - proven));
		assert_eq!(
			held(pallet_market::HoldReason::DealCollateral, &owner()),
			20 * PRICE
		);
		assert_eq!(
			Runtime::sector(owner(), 5).expect("live").state,
			SectorState::Active
		);

		proofs += store.run_proving(&owner(), &worker(), start + long + 45);
		assert!(proofs >= 10, "{proofs}");
		assert!(Market::view_deal(deals[0]).is_none());
		assert_eq!(paid(), PRICE * Balance::from(long + short));
		// The sector expired and, all being settled, is forgotten; its number is not.
		assert_eq!(Runtime::sector(owner(), 5), None);
		assert!(Runtime::is_sector_allocated(owner(), 5));
		assert_eq!(
			held(pallet_storage_provider::HoldReason::SectorPledge, &owner()),
			0
		);
		assert_eq!(Runtime::provider(owner()).expect("registered").live_sectors, 0);

		leave(PRICE * Balance::from(long + short));
		assert_eq!(issuance(), issued);
	});
}

#[test]
fn a_fault_stops_payment_until_the_recovery() {
	test(|| {
		let issued = issuance();
		prepare();
		let piece = Piece::random(3, 1_900);
		let duration = 200;
		let deal = agree(proposal(piece.info, duration, 1));
		let sector = Sector::pack(&owner(), 0, HOT_2_KIB, &[&piece], vec![deal]);
		let start = activate(&sector);
		let period = ProtocolParameters::development().proving_period;
		let first_close = StorageProvider::final_at(&owner(), 0, start + 1).expect("live");
		let store = Store::of([sector]);
		store.run_proving(&owner(), &worker(), first_close + 20);
		settle(&[deal]);
		assert_eq!(paid(), PRICE * Balance::from(first_close + 20 - start));

		// Three deadlines are missed. Nobody is paid for them, then or later.
		let before = paid();
		run_to(first_close + 20 + 3 * period);
		assert_eq!(
			Runtime::sector(owner(), 0).expect("live").state,
			SectorState::Faulty
		);
		settle(&[deal]);
		assert_eq!(paid(), before);
		assert_eq!(due(&owner()), None);

		ok(
			&worker(),
			Providers::declare_faults_recovered {
				sectors: vec![0].try_into().expect("one"),
			},
		);
		store.run_proving(&owner(), &worker(), first_close + 20 + 4 * period);
		assert_eq!(
			Runtime::sector(owner(), 0).expect("live").state,
			SectorState::Active
		);
		settle(&[deal]);
		assert_eq!(paid(), before + PRICE * Balance::from(period));

		store.run_proving(&owner(), &worker(), start + duration + 45);
		assert!(Market::view_deal(deal).is_none());
		let blocks = duration - 3 * period;
		assert_eq!(paid(), PRICE * Balance::from(blocks));
		leave(PRICE * Balance::from(blocks));
		assert_eq!(issuance(), issued);
	});
}

#[test]
fn a_sector_that_is_never_proven_costs_its_deposit_and_the_deals_collateral() {
	test(|| {
		let issued = issuance();
		prepare();
		let piece = Piece::random(4, 1_000);
		let deal = agree(proposal(piece.info, 50, 1));
		let sector = Sector::pack(&owner(), 0, HOT_2_KIB, &[&piece], vec![deal]);
		ok(&worker(), sector.pre_commit());
		let parameters = ProtocolParameters::development();
		let collateral = PRICE * 5;
		let escrow = Runtime::escrow(client());
		let mut forfeited = 0;
		let end = now() + parameters.prove_commit_window + 2;
		while now() < end {
			next_block();
			for event in events() {
				if let RuntimeEvent::StorageProvider(ProviderEvent::PreCommitExpired {
					forfeited: amount,
					..
				}) = event
				{
					forfeited += amount;
				}
			}
		}
		assert_eq!(forfeited, parameters.pre_commit_deposit);
		assert_eq!(issuance(), issued - forfeited);
		// The deal's time to start passed on the way: the client has its price back, and the
		// collateral on top.
		assert!(Market::view_deal(deal).is_none());
		assert_eq!(Runtime::escrow(client()), escrow);
		assert_eq!(
			free(&client()),
			1_000_000 * UNIT - 10 * UNIT + PRICE * 50 + collateral
		);
		ok(&owner(), Providers::deregister {});
		let amount = Runtime::escrow(owner());
		assert_eq!(amount, 10 * UNIT - collateral);
		ok(&owner(), Deals::withdraw_balance { amount });
		assert_eq!(all_held(&owner()), 0);
	});
}
