//! What is kept on disk, for how long, and that it can be read as long as it is.

use super::until_active;
use crate::{
	sector::SectorState,
	simulation::{
		chain::{Mishap, SimulatedChain},
		offer, Offer, World,
	},
};
use cairn_primitives::{sector::SectorState as ChainSectorState, Tier};
use std::{collections::BTreeSet, sync::Arc};

#[tokio::test]
async fn without_its_payload_a_sealed_sector_proves_on_and_the_piece_is_unsealed_on_demand() {
	let mut world = World::new().await;
	world.config.storage.keep_unsealed_copy = false;
	world.restart().await;
	let offer = offer(2, Tier::Sealed);
	world.store(&offer).await;
	until_active(&mut world, &offer).await;
	world.blocks(45).await;
	assert!(
		!world.provider().sectors.has_piece(&offer.proposal.piece),
		"the payload is given back"
	);
	assert_eq!(
		world.chain.sector_state(world.sector_of(&offer)),
		Some(ChainSectorState::Active)
	);
	assert_eq!(read(&world, &offer).await, offer.car);
	assert_eq!(world.chain.refused(), []);
}

/// The payload file goes away at every stage from the finished replica on, and the piece can be read all the same:
/// also while the chain has the sector active and the provider does not know it yet.
#[tokio::test]
async fn a_sealed_piece_can_be_read_in_every_state_of_its_sector() {
	let mut world = World::new().await;
	let offer = offer(2, Tier::Sealed);
	world.store(&offer).await;
	world.chain.mishap("prove_commit_sectors", Mishap::HangAfter);
	let mut states = BTreeSet::new();
	for _ in 0..100 {
		let sector = world
			.provider()
			.store
			.deal(&offer.hash())
			.unwrap()
			.unwrap()
			.sector();
		let state = sector.map_or("none", |number| world.sector_state(number).name());
		let on_chain = sector.and_then(|number| world.chain.sector_state(number));
		if !matches!(state, "none" | "packed" | "sealing") {
			world
				.provider()
				.sectors
				.remove_piece(&offer.proposal.piece)
				.unwrap();
		}
		assert_eq!(
			read(&world, &offer).await,
			offer.car,
			"{state}, on chain {on_chain:?}"
		);
		states.insert((state, on_chain.map(|state| format!("{state:?}"))));
		if world.is_active(&offer) {
			break;
		}
		if world.chain.is_hanging() {
			world.kill().await;
			world.chain.unhang();
			world.start().await;
		}
		world.block().await;
	}
	let pre_committed = Some("PreCommitted".to_owned());
	let active = Some("Active".to_owned());
	for both in [
		("none", None),
		("pre_committed", pre_committed),
		("pre_committed", active.clone()),
		("active", active),
	] {
		assert!(states.contains(&both), "{both:?} in {states:?}");
	}
}

async fn read(world: &World, offer: &Offer) -> Vec<u8> {
	let (provider, piece) = (world.provider().clone(), offer.proposal.piece);
	tokio::task::spawn_blocking(move || {
		let mut bytes = vec![0; piece.payload_size as usize];
		let payload = crate::retrieval::open_payload(&provider, &piece).unwrap();
		payload.read_exact_at(&mut bytes, 0).unwrap();
		bytes
	})
	.await
	.unwrap()
}

/// Without a replica the payload file is the last copy, whatever the configuration says.
#[tokio::test]
async fn the_last_copy_of_a_piece_is_not_given_back() {
	let mut world = World::new().await;
	world.config.storage.keep_unsealed_copy = false;
	world.restart().await;
	let mut offer = offer(2, Tier::Sealed);
	offer.proposal.duration = 300;
	offer.proposal.provider_collateral = 30_000_000;
	let offer = offer.signed();
	world.store(&offer).await;
	until_active(&mut world, &offer).await;
	assert!(world.provider().sectors.has_piece(&offer.proposal.piece));
	let path = world.dir.path().join("storage/sectors/0000000000/replica");
	let lost = path.with_extension("lost");
	std::fs::rename(&path, &lost).unwrap();
	world.blocks(45).await;
	assert!(world.provider().sectors.has_piece(&offer.proposal.piece));
	std::fs::rename(&lost, &path).unwrap();
	world.blocks(25).await;
	assert!(!world.provider().sectors.has_piece(&offer.proposal.piece));
}

/// The removal of the layers fails, and the provider is killed before it is tried again.
#[tokio::test]
async fn layers_are_removed_in_the_end() {
	let mut world = World::new().await;
	let offer = offer(2, Tier::Sealed);
	world.store(&offer).await;
	let folder = world.dir.path().join("storage/sectors/0000000000");
	let (manifest, hidden) = (folder.join("sector.json"), folder.join("hidden"));
	world.chain.mishap("prove_commit_sectors", Mishap::HangAfter);
	world
		.blocks_until(60, "the proof is on chain", |world| world.chain.is_hanging())
		.await;
	world.kill().await;
	world.chain.unhang();
	std::fs::rename(&manifest, &hidden).unwrap();
	std::fs::write(&manifest, "{").unwrap();
	world.start().await;
	until_active(&mut world, &offer).await;
	let number = world.sector_of(&offer);
	let layers_kept = |world: &World| match world.sector_state(number) {
		SectorState::Active { layers_kept, .. } => layers_kept,
		other => panic!("{other:?}"),
	};
	assert!(layers_kept(&world) && folder.join("layers").exists());
	let failed = |world: &World| {
		let sector = world.provider().store.sector(number).unwrap().unwrap();
		(sector.backoff.failures, sector.backoff.not_before)
	};
	let (failures, not_before) = failed(&world);
	assert!(
		failures >= 1 && not_before > world.chain.state().now,
		"it is not tried with every block"
	);
	world.restart().await;
	std::fs::rename(&hidden, &manifest).unwrap();
	assert!(layers_kept(&world));
	world
		.blocks_until(20, "the layers are gone", |world| !layers_kept(world))
		.await;
	assert!(!folder.join("layers").exists() && !folder.join("columns.rows").exists());
	assert_eq!(failed(&world).0, 0);
	world.blocks(40).await;
	assert_eq!(world.chain.sector_state(number), Some(ChainSectorState::Active));
}

/// What the database does not know is not nobody's: the sectors that the chain has are kept, and proven.
#[tokio::test]
async fn a_lost_database_does_not_lose_sectors() {
	let mut world = World::new().await;
	world.chain.state().parameters.prove_commit_window = 20;
	let offers = [offer(62, Tier::Hot), offer(63, Tier::Sealed)].map(|mut offer| {
		offer.proposal.duration = 100;
		offer.signed()
	});
	for offer in &offers {
		world.store(offer).await;
		until_active(&mut world, offer).await;
	}
	let sectors = offers.each_ref().map(|offer| world.sector_of(offer));
	world.kill().await;
	std::fs::remove_file(world.dir.path().join("provider.redb")).unwrap();
	world.start().await;
	world.blocks(60).await;
	for sector in sectors {
		assert_eq!(world.chain.sector_state(sector), Some(ChainSectorState::Active));
	}
	assert_eq!(world.chain.refused(), []);
	// Once they are over, they go.
	world
		.blocks_until(300, "the sectors are removed", |world| {
			world.provider().sectors.sectors().unwrap().is_empty()
		})
		.await;
	assert!(world.provider().sectors.pieces().unwrap().is_empty());
}

/// A node that is being synchronised knows none of the sectors.
#[tokio::test]
async fn a_node_that_lags_behind_is_not_believed() {
	let mut world = World::new().await;
	let offer = offer(64, Tier::Hot);
	world.store(&offer).await;
	until_active(&mut world, &offer).await;
	let sector = world.sector_of(&offer);
	world.blocks(20).await;
	let synchronised = world.chain.clone();
	world.kill().await;
	world.chain = Arc::new(SimulatedChain::new());
	world.start().await;
	for _ in 0..10 {
		let (number, events) = world.chain.advance();
		world.pipeline().block(number, events).await;
		let error = world.pipeline().step().await.unwrap_err();
		assert!(error.to_string().contains("was seen before"), "{error}");
		world.pipeline().drain().await;
	}
	assert!(world
		.propose(&crate::simulation::offer(65, Tier::Hot))
		.await
		.is_err());
	assert!(world.is_active(&offer));
	world.kill().await;
	world.chain = synchronised;
	world.start().await;
	world.blocks(22).await;
	assert_eq!(world.chain.sector_state(sector), Some(ChainSectorState::Active));
}
