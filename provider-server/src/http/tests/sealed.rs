//! Pieces of which only the sealed copy is left.

use super::*;
use crate::{
	retrieval::{restore_payload, PieceBlocks},
	sector::SectorState,
};
use cairn_dag::{Block, BlockSource};
use cairn_units::ByteSize;
use std::{collections::BTreeSet, fs};

/// Bytes of a group, as it is decoded.
const GROUP: u64 = 128;

/// A world with one active sealed deal, whose payload file and layers are gone.
async fn sealed_only() -> (World, Router, Offer) {
	let mut config = test_config();
	config.storage.keep_unsealed_copy = false;
	let mut world = World::with(config).await;
	// Sectors end soon after their deals.
	world.chain.state().parameters.prove_commit_window = 20;
	let offer = offer(2, Tier::Sealed);
	world.store(&offer).await;
	world
		.blocks_until(60, "the deal is active", |world| world.is_active(&offer))
		.await;
	let sector = world.sector_of(&offer);
	let piece = offer.proposal.piece;
	world
		.blocks_until(60, "the replica alone is left", |world| {
			let layers_gone = matches!(
				world.sector_state(sector),
				SectorState::Active {
					layers_kept: false,
					..
				}
			);
			layers_gone && !world.provider().sectors.has_piece(&piece)
		})
		.await;
	let router = router(world.provider().clone()).unwrap();
	(world, router, offer)
}

fn piece_path(offer: &Offer) -> String {
	format!("/piece/{}", piece_cid::v1(&offer.proposal.piece.commitment))
}

fn blocks(offer: &Offer) -> Vec<Block> {
	let blocks = crate::simulation::car(2, 3, 200).1;
	assert_eq!(*blocks[0].cid(), offer.root);
	blocks
}

fn names(folder: std::path::PathBuf) -> BTreeSet<String> {
	let entries = fs::read_dir(folder).unwrap();
	entries
		.map(|entry| entry.unwrap().file_name().into_string().unwrap())
		.collect()
}

/// Padded bytes decoded so far by the key of the offer's sector.
fn decoded(world: &World, offer: &Offer) -> u64 {
	let at_hand = world.provider().unsealer.at_hand(&offer.proposal.piece);
	at_hand.unwrap().0.decoded()
}

/// Padded bytes of the groups in which a range of the payload lies.
fn groups(start: u64, end: u64) -> u64 {
	(end.div_ceil(127) - start / 127) * GROUP
}

#[tokio::test]
async fn what_is_asked_for_is_decoded_and_nothing_is_written() {
	let (world, router, offer) = sealed_only().await;
	let metrics = world.provider().metrics.clone();
	let path = piece_path(&offer);
	let part = get(&router, &path, &[("range", "bytes=130-149")]).await;
	assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
	assert_eq!(part.body, offer.car[130..150]);
	assert_eq!(metrics.keys_computed.get(), 1);
	assert_eq!(metrics.bytes_unsealed.get(), 20);
	assert_eq!(
		decoded(&world, &offer),
		GROUP,
		"one group of the sector's sixteen"
	);

	// A block by its CID, over the gateway and as the exchange reads it.
	let block = blocks(&offer)[1].clone();
	let place = world
		.provider()
		.store
		.block_locations(&block.cid().hash().to_bytes(), 1)
		.unwrap()[0];
	let one = groups(place.offset, place.offset + u64::from(place.len));
	let before = decoded(&world, &offer);
	let answer = get(&router, &format!("/ipfs/{}?format=raw", block.cid()), &[]).await;
	assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, block.data()));
	assert_eq!(decoded(&world, &offer) - before, one);
	let lasting = PieceBlocks::lasting(world.provider().clone());
	let cid = *block.cid();
	let read = tokio::task::spawn_blocking(move || lasting.get(&cid))
		.await
		.unwrap();
	assert_eq!(read.unwrap().unwrap(), block);
	assert_eq!(decoded(&world, &offer) - before, 2 * one);

	let car = get(&router, &format!("/ipfs/{}?format=car", offer.root), &[]).await;
	assert_eq!(car.status, StatusCode::OK);
	let whole = get(&router, &path, &[]).await;
	assert_eq!(whole.body, offer.car);

	assert_eq!(metrics.keys_computed.get(), 1);
	let storage = world.dir.path().join("storage");
	assert!(names(storage.join("pieces")).is_empty());
	assert!(names(storage.join("incoming")).is_empty());
	let sector = format!("sectors/{:010}", world.sector_of(&offer));
	let expected = ["replica", "replica.rows", "sector.json", "unsealing"];
	assert_eq!(names(storage.join(sector)), expected.map(str::to_owned).into());
}

#[tokio::test]
async fn readers_at_the_same_time_share_one_computation() {
	let (world, router, offer) = sealed_only().await;
	let path = piece_path(&offer);
	let readers = (0..6).map(|n| {
		let (router, path) = (router.clone(), path.clone());
		tokio::spawn(async move {
			let range = format!("bytes={}-{}", n * 100, n * 100 + 9);
			get(&router, &path, &[("range", &range)]).await
		})
	});
	for (n, answer) in futures::future::join_all(readers).await.into_iter().enumerate() {
		assert_eq!(answer.unwrap().body, offer.car[n * 100..n * 100 + 10]);
	}
	assert_eq!(world.provider().metrics.keys_computed.get(), 1);
}

#[tokio::test]
async fn a_key_outlives_a_restart_and_goes_with_its_sector() {
	let (mut world, router, offer) = sealed_only().await;
	let path = piece_path(&offer);
	assert_eq!(get(&router, &path, &[]).await.body, offer.car);
	drop(router);
	world.restart().await;
	let router = super::router(world.provider().clone()).unwrap();
	assert_eq!(get(&router, &path, &[]).await.body, offer.car);
	assert_eq!(
		world.provider().metrics.keys_computed.get(),
		0,
		"it is on the disk"
	);
	world
		.blocks_until(200, "the sector is removed", |world| {
			world.provider().sectors.sectors().unwrap().is_empty()
		})
		.await;
	assert_eq!(world.provider().sectors.keys().unwrap(), []);
	assert!(world.provider().unsealer.at_hand(&offer.proposal.piece).is_none());
	assert_eq!(get(&router, &path, &[]).await.problem(), ErrorKind::NotFound);
}

#[tokio::test]
async fn only_what_is_at_hand_is_read_without_unsealing() {
	let (world, router, offer) = sealed_only().await;
	let block = format!("/ipfs/{}?format=raw", offer.root);
	let cached = [("cache-control", "only-if-cached")];
	assert_eq!(
		get(&router, &block, &cached).await.status,
		StatusCode::PRECONDITION_FAILED
	);
	assert_eq!(world.provider().metrics.keys_computed.get(), 0);
	assert_eq!(get(&router, &block, &[]).await.status, StatusCode::OK);
	assert_eq!(get(&router, &block, &cached).await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_room_for_a_key_readers_are_told_to_come_back() {
	let (mut world, router, offer) = sealed_only().await;
	drop(router);
	world.config.storage.keep_free = ByteSize(u64::MAX);
	world.restart().await;
	let router = super::router(world.provider().clone()).unwrap();
	let block = format!("/ipfs/{}?format=raw", offer.root);
	for path in [piece_path(&offer), block] {
		let answer = get(&router, &path, &[]).await;
		assert_eq!(answer.problem(), ErrorKind::Busy, "{path}");
		assert!(!answer.header("retry-after").is_empty());
	}
	assert_eq!(world.provider().sectors.keys().unwrap(), []);
}

#[tokio::test]
async fn a_damaged_replica_serves_nothing_false() {
	let (world, router, offer) = sealed_only().await;
	let sector = world.sector_of(&offer);
	let replica = world
		.dir
		.path()
		.join(format!("storage/sectors/{sector:010}/replica"));
	let mut bytes = fs::read(&replica).unwrap();
	bytes[300] ^= 1;
	fs::write(&replica, bytes).unwrap();
	let answer = get(&router, &piece_path(&offer), &[]).await;
	assert_eq!(answer.body, "<cut>");
	let block = get(&router, &format!("/ipfs/{}?format=raw", offer.root), &[]).await;
	assert_eq!(block.problem(), ErrorKind::Internal);
}

/// What the hot tier does with a piece that it has lost and that is sealed as well.
#[tokio::test]
async fn a_whole_piece_is_restored_from_a_replica() {
	let (world, _router, offer) = sealed_only().await;
	let (provider, piece) = (world.provider().clone(), offer.proposal.piece);
	let restored = tokio::task::spawn_blocking(move || {
		restore_payload(&provider, &piece).unwrap();
		// The second time there is nothing to do.
		restore_payload(&provider, &piece).unwrap();
		provider.sectors.check_piece(&piece).unwrap();
		fs::read(provider.sectors.piece_path(&piece)).unwrap()
	});
	assert_eq!(restored.await.unwrap(), offer.car);
}
