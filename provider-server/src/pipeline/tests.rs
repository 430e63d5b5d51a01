//! The pipeline against a simulated chain: the whole way, and a kill or a mishap at every step of it.

use crate::{
	deal::{state::FailReason, DealState},
	ingest::Start,
	sector::{Health, SectorState},
	simulation::{chain::Mishap, offer, World},
};
use cairn_primitives::{sector::SectorState as ChainSectorState, Tier};
use cairn_provider_api::{DealProgress, ProposeDeal};

mod keeping;

/// Every action of the way to an active sector and its first windowed proof.
const ACTIONS: [&str; 4] = [
	"publish_storage_deals",
	"pre_commit_sectors",
	"prove_commit_sectors",
	"submit_windowed_post",
];

async fn until_active(world: &mut World, offer: &crate::simulation::Offer) {
	world
		.blocks_until(60, "the deal is active", |world| world.is_active(offer))
		.await;
}

#[tokio::test]
async fn a_hot_deal_goes_all_the_way_to_its_end() {
	let mut world = World::new().await;
	let offer = offer(1, Tier::Hot);
	let proposed = world.propose(&offer).await.unwrap();
	assert_eq!(proposed.progress, DealProgress::Accepted);
	// Nothing is published before the data is here.
	world.blocks(3).await;
	assert_eq!(world.chain.count("publish_storage_deals"), 0);
	world.upload(&offer).await.unwrap();
	until_active(&mut world, &offer).await;
	let sector = world.sector_of(&offer);

	// Two periods of proofs, none missed, and payments in between.
	world.blocks(40).await;
	assert!(world.chain.count("submit_windowed_post") >= 2);
	assert_eq!(world.chain.sector_state(sector), Some(ChainSectorState::Active));
	assert!(world.chain.count("settle_deal_payments") >= 3);
	let piece = offer.proposal.piece;
	assert!(world.provider().sectors.has_piece(&piece));

	world
		.blocks_until(60, "the deal has ended", |world| {
			matches!(world.deal_state(&offer), DealState::Ended { .. })
		})
		.await;
	world
		.blocks_until(60, "the sector is over", |world| {
			world.sector_state(sector) == SectorState::Ended
		})
		.await;
	// Nothing is left on disk.
	world.blocks(25).await;
	assert!(!world.provider().sectors.has_piece(&piece));
	assert!(world.provider().store.pieces().unwrap().is_empty());
	assert!(world.provider().sectors.sectors().unwrap().is_empty());
	assert_eq!(world.chain.refused(), []);
}

#[tokio::test]
async fn a_sealed_deal_goes_all_the_way() {
	let mut world = World::new().await;
	let offer = offer(2, Tier::Sealed);
	world.store(&offer).await;
	until_active(&mut world, &offer).await;
	let sector = world.sector_of(&offer);
	world.blocks(45).await;
	assert!(world.chain.count("submit_windowed_post") >= 2);
	assert_eq!(world.chain.sector_state(sector), Some(ChainSectorState::Active));
	assert_eq!(world.chain.refused(), []);
	assert!(world.provider().store.seal_seconds_per_byte().unwrap().is_some());
}

/// A kill before or after the effect of each transaction: nothing is done twice, nothing is lost.
async fn kill_at(action: &'static str, mishap: Mishap, tier: Tier) {
	let mut world = World::new().await;
	let offer = offer(3, tier);
	world.store(&offer).await;
	world.chain.mishap(action, mishap.clone());
	world
		.blocks_until(80, "the action hangs", |world| world.chain.is_hanging())
		.await;
	world.kill().await;
	world.chain.unhang();
	world.start().await;
	until_active(&mut world, &offer).await;
	let sector = world.sector_of(&offer);
	world.blocks(40).await;
	assert_eq!(
		world.chain.sector_state(sector),
		Some(ChainSectorState::Active),
		"{action} {mishap:?}"
	);
	assert_eq!(
		world.chain.refused(),
		[],
		"{action} {mishap:?}: something was sent twice"
	);
	for once in &ACTIONS[..3] {
		assert_eq!(world.chain.count(once), 1, "{once}");
	}
	assert_eq!(sector, 0, "no sector number was wasted");
}

#[tokio::test]
async fn killed_after_each_effect() {
	for action in ACTIONS {
		kill_at(action, Mishap::HangAfter, Tier::Hot).await;
	}
}

#[tokio::test]
async fn killed_before_each_effect() {
	for action in &ACTIONS[..3] {
		kill_at(action, Mishap::HangBefore, Tier::Hot).await;
	}
}

#[tokio::test]
async fn killed_around_each_effect_of_a_sealed_sector() {
	for action in &ACTIONS[1..3] {
		kill_at(action, Mishap::HangAfter, Tier::Sealed).await;
		kill_at(action, Mishap::HangBefore, Tier::Sealed).await;
	}
}

/// A proof that was lost on the way is sent again within its deadline.
#[tokio::test]
async fn a_lost_windowed_proof_is_sent_again() {
	let mut world = World::new().await;
	let offer = offer(3, Tier::Hot);
	world.store(&offer).await;
	until_active(&mut world, &offer).await;
	let sector = world.sector_of(&offer);
	for mishap in [Mishap::UnknownBefore, Mishap::NotIncluded, Mishap::UnknownAfter] {
		world.chain.mishap("submit_windowed_post", mishap);
		world.blocks(20).await;
		assert_eq!(world.chain.sector_state(sector), Some(ChainSectorState::Active));
	}
	assert_eq!(world.chain.refused(), []);
}

/// The answer to a transaction is lost, without a kill.
#[tokio::test]
async fn unknown_outcomes_are_resolved_by_the_chain() {
	for mishap in [Mishap::UnknownAfter, Mishap::UnknownBefore, Mishap::NotIncluded] {
		let mut world = World::new().await;
		let offer = offer(4, Tier::Hot);
		world.store(&offer).await;
		for action in &ACTIONS[..3] {
			world.chain.mishap(action, mishap.clone());
		}
		world
			.blocks_until(100, "the deal is active", |world| world.is_active(&offer))
			.await;
		assert_eq!(world.chain.refused(), [], "{mishap:?}");
		assert_eq!(world.sector_of(&offer), 0);
	}
}

/// A kill between any two blocks.
#[tokio::test]
async fn killed_after_every_block() {
	let mut world = World::new().await;
	let (hot, sealed) = (offer(5, Tier::Hot), offer(6, Tier::Sealed));
	world.store(&hot).await;
	world.store(&sealed).await;
	for _ in 0..60 {
		world.block().await;
		world.restart().await;
	}
	assert!(world.is_active(&hot) && world.is_active(&sealed));
	assert_eq!(world.chain.refused(), []);
	for action in &ACTIONS[..3] {
		assert!(world.chain.count(action) <= 2, "{action}");
	}
}

#[tokio::test]
async fn deals_share_a_sector() {
	let mut world = World::new().await;
	let offers: Vec<_> = (10..12).map(|seed| offer(seed, Tier::Hot)).collect();
	for offer in &offers {
		world.store(offer).await;
	}
	for offer in &offers {
		until_active(&mut world, offer).await;
	}
	assert_eq!(world.sector_of(&offers[0]), world.sector_of(&offers[1]));
	assert_eq!(world.chain.count("publish_storage_deals"), 1);
	world.blocks(30).await;
	assert_eq!(world.chain.refused(), []);
}

#[tokio::test]
async fn lost_data_is_declared_faulty_and_recovers_when_it_is_back() {
	let mut world = World::new().await;
	let mut offer = offer(7, Tier::Hot);
	offer.proposal.duration = 300;
	offer.proposal.provider_collateral = 30_000_000;
	let offer = offer.signed();
	world.store(&offer).await;
	until_active(&mut world, &offer).await;
	// Just after a proof, so that the loss is noticed before the next challenge.
	world
		.blocks_until(45, "a windowed proof", |world| {
			world.chain.count("submit_windowed_post") > 0
		})
		.await;
	let sector = world.sector_of(&offer);
	let path = world.provider().sectors.piece_path(&offer.proposal.piece);
	let hidden = path.with_extension("hidden");
	std::fs::rename(&path, &hidden).unwrap();
	world
		.blocks_until(45, "the chain has the fault", |world| {
			world.chain.sector_state(sector) == Some(ChainSectorState::Faulty)
		})
		.await;
	assert_eq!(
		world.chain.count("declare_faults"),
		1,
		"declared before its challenge was known"
	);
	world.blocks(22).await;
	assert_eq!(
		world.sector_state(sector),
		SectorState::Active {
			since: since(&world, sector),
			health: Health::Faulty,
			layers_kept: false
		}
	);
	assert_eq!(world.chain.count("declare_faults_recovered"), 0);
	std::fs::rename(&hidden, &path).unwrap();
	world
		.blocks_until(60, "the sector has recovered", |world| {
			world.chain.sector_state(sector) == Some(ChainSectorState::Active)
		})
		.await;
	world.blocks(6).await;
	assert_eq!(
		world.sector_state(sector),
		SectorState::Active {
			since: since(&world, sector),
			health: Health::Proving,
			layers_kept: false
		}
	);
	assert_eq!(world.chain.refused(), []);
}

fn since(world: &World, sector: u32) -> u32 {
	match world.sector_state(sector) {
		SectorState::Active { since, .. } => since,
		other => panic!("{other:?}"),
	}
}

/// One sector of a partition is damaged after the probe: the others are still proven.
#[tokio::test]
async fn an_unreadable_sector_is_skipped_and_the_others_are_proven() {
	let mut world = World::new().await;
	// Each fills a sector of its own.
	let offers: Vec<_> = (20..22).map(full).collect();
	for offer in &offers {
		world.store(offer).await;
	}
	for offer in &offers {
		until_active(&mut world, offer).await;
	}
	let sectors: Vec<_> = offers.iter().map(|offer| world.sector_of(offer)).collect();
	assert_ne!(sectors[0], sectors[1]);
	// Right when the deadline opens.
	world
		.blocks_until(45, "the sectors' deadline opens", |world| {
			world.chain.deadline_after_next_block() == world.chain.deadline_of(sectors[0])
		})
		.await;
	let path = world.provider().sectors.piece_path(&offers[0].proposal.piece);
	let mut bytes = std::fs::read(&path).unwrap();
	bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
	std::fs::write(&path, bytes).unwrap();
	world.blocks(6).await;
	assert_eq!(
		world.chain.sector_state(sectors[0]),
		Some(ChainSectorState::Faulty)
	);
	assert_eq!(
		world.chain.sector_state(sectors[1]),
		Some(ChainSectorState::Active)
	);
	assert_eq!(world.provider().metrics.sectors_skipped.get(), 1);
	world.blocks(20).await;
	assert_eq!(world.chain.refused(), []);
}

/// A deal whose piece fills a 2 KiB sector.
fn full(seed: u8) -> crate::simulation::Offer {
	let (car, blocks) = crate::simulation::car(seed, 3, 600);
	let mut offer = offer(seed, Tier::Hot);
	offer.proposal.piece = cairn_proving::commp::piece_info(&car[..]).unwrap();
	assert_eq!(offer.proposal.piece.size_log2, 11);
	let root = *blocks[0].cid();
	offer.proposal.payload = cairn_primitives::deal::DealPayload::V1 {
		kind: cairn_primitives::deal::PayloadKind::Public,
		root: root.to_bytes().try_into().unwrap(),
	};
	crate::simulation::Offer { car, root, ..offer }.signed()
}

#[tokio::test]
async fn one_bad_deal_does_not_hold_up_the_others() {
	let mut world = World::new().await;
	let (good, bad) = (offer(30, Tier::Hot), offer(31, Tier::Hot));
	world.store(&good).await;
	world.store(&bad).await;
	// The client spends its escrow elsewhere, down to one deal's price.
	let price = good.proposal.total_price().unwrap();
	world.chain.state().escrow.insert(good.proposal.client, price);
	world.blocks(2).await;
	let states = [world.deal_state(&good), world.deal_state(&bad)];
	let published = states
		.iter()
		.filter(|state| !matches!(state, DealState::Received))
		.count();
	assert_eq!(published, 1, "{states:?}");
	let waiting = if states[0] == DealState::Received {
		&good
	} else {
		&bad
	};
	let deal = world.provider().store.deal(&waiting.hash()).unwrap().unwrap();
	assert!(deal.backoff.delayed_by.unwrap().contains("the client's escrow"));
	assert_eq!(
		world.chain.refused(),
		[],
		"no fee is paid for what the chain must refuse"
	);
	// With money it goes on.
	world.chain.state().escrow.insert(good.proposal.client, price);
	until_active(&mut world, waiting).await;
}

#[tokio::test]
async fn deals_lapse_without_data_or_time() {
	let mut world = World::new().await;
	let mut late = offer(40, Tier::Hot);
	late.proposal.start_by = 40;
	let late = late.signed();
	world.propose(&late).await.unwrap();
	world
		.upload_bytes(&late, &late.car[..100], Start::At(0))
		.await
		.unwrap();
	world.blocks(35).await;
	assert_eq!(
		world.deal_state(&late),
		DealState::Failed {
			reason: FailReason::NoData
		}
	);
	world.blocks(25).await;
	assert_eq!(
		world.provider().uploads.received(&late.hash()),
		0,
		"the part is removed"
	);
	assert_eq!(world.chain.actions_taken(), 0);

	// Data that comes too late to be activated is not published: the collateral would be lost.
	let mut tight = offer(41, Tier::Hot);
	tight.proposal.start_by = world.chain.state().now + 30;
	let tight = tight.signed();
	world.propose(&tight).await.unwrap();
	world.blocks(28).await;
	world.upload(&tight).await.unwrap();
	world.block().await;
	assert_eq!(
		world.deal_state(&tight),
		DealState::Failed {
			reason: FailReason::StartByPassed
		}
	);
	assert_eq!(world.chain.count("publish_storage_deals"), 0);
}

#[tokio::test]
async fn deals_of_a_lapsed_pre_commit_go_into_another_sector() {
	let mut world = World::new().await;
	world.chain.state().parameters.prove_commit_window = 12;
	let mut offer = offer(50, Tier::Hot);
	offer.proposal.start_by = 300;
	let offer = offer.signed();
	world.store(&offer).await;
	// The proof never arrives.
	for _ in 0..3 {
		world.chain.mishap("prove_commit_sectors", Mishap::NotIncluded);
	}
	world
		.blocks_until(120, "the deal is active", |world| world.is_active(&offer))
		.await;
	assert!(matches!(world.sector_state(0), SectorState::Failed { .. }));
	assert_eq!(world.sector_of(&offer), 1, "with a new number");
}

#[tokio::test]
async fn refused_pre_commits_burn_no_number_that_the_chain_does_not_know() {
	let mut world = World::new().await;
	let offer = offer(51, Tier::Hot);
	world.store(&offer).await;
	world.chain.mishap(
		"pre_commit_sectors",
		Mishap::Refuse("StorageProvider::InsufficientFunds"),
	);
	world.blocks(8).await;
	until_active(&mut world, &offer).await;
	assert_eq!(world.sector_of(&offer), 0);
}

#[tokio::test]
async fn an_old_ticket_leads_to_another_seal_under_the_same_number() {
	let mut world = World::new().await;
	world.chain.state().parameters.ticket_max_age = 30;
	let offer = offer(52, Tier::Sealed);
	world.store(&offer).await;
	world.chain.mishap(
		"pre_commit_sectors",
		Mishap::Refuse("StorageProvider::InvalidTicket"),
	);
	until_active(&mut world, &offer).await;
	assert_eq!(world.sector_of(&offer), 0);
	assert_eq!(world.chain.refused(), []);
}

#[tokio::test]
async fn a_lost_database_does_not_lead_to_used_numbers() {
	let mut world = World::new().await;
	let first = offer(60, Tier::Hot);
	world.store(&first).await;
	until_active(&mut world, &first).await;
	world.kill().await;
	std::fs::remove_file(world.dir.path().join("provider.redb")).unwrap();
	world.start().await;
	let second = offer(61, Tier::Hot);
	world.store(&second).await;
	until_active(&mut world, &second).await;
	assert_eq!(world.sector_of(&second), 1);
	assert_eq!(world.chain.refused(), []);
}

/// A job that breaks can be started again, whatever else runs.
#[tokio::test]
async fn a_job_that_breaks_does_not_stay_running() {
	let mut world = World::new().await;
	let pipeline = world.pipeline();
	pipeline.start(super::Job::Commit(7), std::future::pending());
	pipeline.start(super::Job::Window, async { panic!("a defect") });
	assert!(pipeline.runs(super::Job::Window));
	while pipeline.runs(super::Job::Window) {
		tokio::task::yield_now().await;
		pipeline.reap();
	}
	assert!(pipeline.runs(super::Job::Commit(7)));
}

#[tokio::test]
async fn proposals_made_on_chain_are_accepted_when_their_data_is_here() {
	let mut world = World::new().await;
	let offer = offer(70, Tier::Hot);
	world.chain.propose(offer.hash(), offer.proposal.clone());
	world.block().await;
	assert_eq!(world.deal_state(&offer), DealState::Accepted);
	assert_eq!(world.chain.actions_taken(), 0);
	world.upload(&offer).await.unwrap();
	until_active(&mut world, &offer).await;
	assert_eq!(world.chain.count("accept_deals"), 1);
	assert_eq!(world.chain.count("publish_storage_deals"), 0);
	assert_eq!(world.chain.refused(), []);
}

#[tokio::test]
async fn proposals_on_chain_are_found_after_a_restart_and_by_request() {
	let mut world = World::new().await;
	let (missed, asked) = (offer(71, Tier::Hot), offer(72, Tier::Hot));
	world.chain.propose(missed.hash(), missed.proposal.clone());
	world.restart().await;
	assert_eq!(world.deal_state(&missed), DealState::Accepted);
	world.chain.propose(asked.hash(), asked.proposal.clone());
	let request = ProposeDeal::OnChain {
		proposal_hash: asked.hash().into(),
	};
	let proposed = world.provider().propose(request).await.unwrap();
	assert_eq!(proposed.progress, DealProgress::Accepted);
	world.chain.withdraw(asked.hash());
	world.block().await;
	assert_eq!(
		world.deal_state(&asked),
		DealState::Failed {
			reason: FailReason::Withdrawn
		}
	);
	// An unfitting one is left alone.
	let mut cheap = offer(73, Tier::Hot);
	cheap.proposal.price_per_block = 0;
	world.chain.propose(cheap.hash(), cheap.proposal.clone());
	world.block().await;
	assert!(world.provider().store.deal(&cheap.hash()).unwrap().is_none());
}

#[tokio::test]
async fn an_outage_of_the_node_delays_and_loses_nothing() {
	let mut world = World::new().await;
	let offer = offer(80, Tier::Hot);
	world.store(&offer).await;
	world.chain.state().unavailable = true;
	assert!(world.pipeline().step().await.is_err());
	assert!(world
		.propose(&crate::simulation::offer(81, Tier::Hot))
		.await
		.is_err());
	world.chain.state().unavailable = false;
	until_active(&mut world, &offer).await;
}

#[tokio::test]
async fn data_that_was_complete_before_a_kill_is_taken_up() {
	let mut world = World::new().await;
	let (whole, part) = (offer(90, Tier::Hot), offer(91, Tier::Hot));
	for offer in [&whole, &part] {
		world.propose(offer).await.unwrap();
	}
	world
		.upload_bytes(&part, &part.car[..300], Start::At(0))
		.await
		.unwrap();
	// Complete on disk, but not verified yet.
	let file = format!("storage/uploads/{}.part", hex::encode(whole.hash()));
	let file = world.dir.path().join(file);
	std::fs::write(&file, &whole.car).unwrap();
	world.restart().await;
	assert_eq!(world.deal_state(&whole), DealState::Received);
	assert_eq!(world.deal_state(&part), DealState::Accepted);
	assert_eq!(world.provider().uploads.received(&part.hash()), 300);
	let progress = world
		.upload_bytes(&part, &part.car[300..], Start::At(300))
		.await
		.unwrap();
	assert!(progress.complete);
	until_active(&mut world, &part).await;

	// Adopted, but not noted.
	let adopted = offer(92, Tier::Hot);
	world.propose(&adopted).await.unwrap();
	let copy = world.dir.path().join("copy");
	std::fs::write(&copy, &adopted.car).unwrap();
	world
		.provider()
		.sectors
		.adopt_piece(&copy, Some(&adopted.proposal.piece))
		.unwrap();
	world.restart().await;
	assert_eq!(world.deal_state(&adopted), DealState::Received);
	until_active(&mut world, &adopted).await;
}

#[tokio::test]
async fn the_second_of_two_equal_hot_pieces_is_refused() {
	let world = World::new().await;
	let first = offer(95, Tier::Hot);
	world.propose(&first).await.unwrap();
	let mut second = first.clone();
	second.proposal.nonce = 1000;
	let problem = world.propose(&second.signed()).await.unwrap_err();
	assert_eq!(problem.kind, cairn_provider_api::ErrorKind::DuplicatePiece);
	// The same proposal again is no second one.
	assert!(world.propose(&first).await.is_ok());
}
