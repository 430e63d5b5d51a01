//! Uploads, good and bad.

use crate::{
	deal::DealState,
	ingest::Start,
	simulation::{car, offer, Offer, World},
};
use bytes::Bytes;
use cairn_primitives::{
	deal::{DealPayload, PayloadKind},
	Tier,
};
use cairn_provider_api::ErrorKind;
use std::time::Duration;

async fn proposed(seed: u8) -> (World, Offer) {
	let world = World::new().await;
	let offer = offer(seed, Tier::Hot);
	world.propose(&offer).await.unwrap();
	(world, offer)
}

fn kind<T: std::fmt::Debug>(outcome: Result<T, cairn_provider_api::Problem>) -> ErrorKind {
	outcome.unwrap_err().kind
}

/// Files below the uploads folder.
fn parts(world: &World) -> usize {
	std::fs::read_dir(world.dir.path().join("storage/uploads"))
		.unwrap()
		.count()
}

#[tokio::test]
async fn a_whole_upload_is_verified_stored_and_indexed() {
	let (world, offer) = proposed(1).await;
	let progress = world.upload(&offer).await.unwrap();
	assert!(progress.complete);
	assert_eq!(world.deal_state(&offer), DealState::Received);
	let provider = world.provider();
	assert!(provider.sectors.has_piece(&offer.proposal.piece));
	let places = provider
		.store
		.block_locations(&offer.root.hash().to_bytes(), 10)
		.unwrap();
	assert_eq!(places.len(), 1);
	assert_eq!(parts(&world), 0);
}

#[tokio::test]
async fn a_broken_upload_is_resumed_where_it_broke() {
	let (world, offer) = proposed(2).await;
	let half = offer.car.len() / 2;
	let progress = world
		.upload_bytes(&offer, &offer.car[..half], Start::At(0))
		.await
		.unwrap();
	assert!(!progress.complete);
	assert_eq!(world.provider().uploads.received(&offer.hash()), half as u64);
	let wrong = world
		.upload_bytes(&offer, &offer.car[half + 1..], Start::At(half as u64 + 1))
		.await;
	assert_eq!(kind(wrong), ErrorKind::OffsetMismatch);
	assert_eq!(world.provider().uploads.received(&offer.hash()), half as u64);
	let progress = world
		.upload_bytes(&offer, &offer.car[half..], Start::At(half as u64))
		.await
		.unwrap();
	assert!(progress.complete);
}

#[tokio::test]
async fn a_fresh_upload_replaces_a_part() {
	let (world, offer) = proposed(3).await;
	world
		.upload_bytes(&offer, &[0xff; 100], Start::At(0))
		.await
		.unwrap();
	assert!(world.upload(&offer).await.unwrap().complete);
}

#[tokio::test]
async fn larger_smaller_and_other_data_is_refused_and_not_kept() {
	let (world, offer) = proposed(4).await;
	let mut larger = offer.car.clone();
	larger.push(0);
	assert_eq!(
		kind(world.upload_bytes(&offer, &larger, Start::Fresh).await),
		ErrorKind::TooLarge
	);
	assert_eq!(parts(&world), 0);
	let smaller = &offer.car[..offer.car.len() - 1];
	assert_eq!(
		kind(world.upload_bytes(&offer, smaller, Start::Fresh).await),
		ErrorKind::TooSmall
	);
	let mut other = offer.car.clone();
	*other.last_mut().unwrap() ^= 1;
	assert_eq!(
		kind(world.upload_bytes(&offer, &other, Start::Fresh).await),
		ErrorKind::CommitmentMismatch
	);
	assert_eq!(parts(&world), 0);
	assert!(world.provider().sectors.pieces().unwrap().is_empty());
	assert_eq!(
		world.deal_state(&offer),
		DealState::Accepted,
		"the right data is still welcome"
	);
	assert!(world.upload(&offer).await.unwrap().complete);
}

/// Bytes whose commitment is right, but which are no CAR, or one without the root.
#[tokio::test]
async fn cars_that_do_not_hold_what_the_deal_says_are_refused() {
	let world = World::new().await;
	let garbage = vec![0xc3; 700];
	let mut lying = offer(5, Tier::Hot);
	lying.proposal.piece = cairn_proving::commp::piece_info(&garbage[..]).unwrap();
	lying.car = garbage;
	let lying = lying.signed();
	world.propose(&lying).await.unwrap();
	assert_eq!(kind(world.upload(&lying).await), ErrorKind::InvalidCar);

	let mut rootless = offer(6, Tier::Hot);
	let (_, others) = car(99, 1, 10);
	rootless.proposal.payload = DealPayload::V1 {
		kind: PayloadKind::Public,
		root: others[0].cid().to_bytes().try_into().unwrap(),
	};
	let rootless = rootless.signed();
	world.propose(&rootless).await.unwrap();
	assert_eq!(kind(world.upload(&rootless).await), ErrorKind::RootMissing);
	assert!(world.provider().sectors.pieces().unwrap().is_empty());
	assert_eq!(parts(&world), 0);
}

/// A client that hangs up while its upload is being verified, and at once begins another one with other bytes, must
/// not get those bytes into the store under the verified name.
#[tokio::test]
// Who waits for the lock does so on a thread of its own.
#[allow(clippy::await_holding_lock)]
async fn an_upload_cannot_change_while_it_is_verified() {
	let (world, offer) = proposed(20).await;
	let provider = world.provider().clone();
	let deal = provider.store.deal(&offer.hash()).unwrap().unwrap();
	// Verification starts, and waits for this.
	let cleaning = provider.uploads.hold_adoptions().unwrap();
	let request = {
		let (provider, hash, car) = (provider.clone(), offer.hash(), offer.car.clone());
		tokio::spawn(async move {
			let whole = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(car))]);
			provider
				.uploads
				.receive(&hash, &deal, Start::Fresh, None, whole)
				.await
		})
	};
	let verifications = &provider.uploads.inner.verifications;
	while verifications.available_permits() == super::VERIFICATIONS {
		tokio::task::yield_now().await;
	}
	request.abort();
	assert!(request.await.unwrap_err().is_cancelled());
	let other = vec![0xff; offer.car.len()];
	// Were it let in, it would wait for its own verification.
	let second = tokio::time::timeout(
		Duration::from_secs(10),
		world.upload_bytes(&offer, &other, Start::Fresh),
	);
	assert_eq!(
		kind(second.await.expect("it is refused")),
		ErrorKind::UploadRunning
	);
	assert_eq!(
		kind(provider.uploads.discard(&offer.hash())),
		ErrorKind::UploadRunning
	);
	provider.uploads.sweep(&Default::default()).unwrap();
	drop(cleaning);
	while world.deal_state(&offer) == DealState::Accepted {
		tokio::task::yield_now().await;
	}
	assert_eq!(world.deal_state(&offer), DealState::Received);
	provider.sectors.check_piece(&offer.proposal.piece).unwrap();
}

/// A second deal about the same piece, with a root that is not in it.
#[tokio::test]
async fn a_wrong_upload_leaves_the_piece_of_another_deal_alone() {
	let world = World::new().await;
	let right = offer(21, Tier::Sealed);
	world.store(&right).await;
	let mut wrong = right.clone();
	wrong.proposal.nonce = 1000;
	wrong.proposal.payload = DealPayload::V1 {
		kind: PayloadKind::Public,
		root: car(99, 1, 10).1[0].cid().to_bytes().try_into().unwrap(),
	};
	let wrong = wrong.signed();
	world.propose(&wrong).await.unwrap();
	assert_eq!(kind(world.upload(&wrong).await), ErrorKind::RootMissing);
	world
		.provider()
		.sectors
		.check_piece(&right.proposal.piece)
		.unwrap();
	assert_eq!(world.deal_state(&right), DealState::Received);
}

#[tokio::test]
async fn an_index_that_does_not_fit_the_disk_is_not_begun() {
	let world = World::new().await;
	let uploads = &world.provider().uploads;
	uploads.inner.check_room_for_index(1).unwrap();
	assert_eq!(
		kind(uploads.inner.check_room_for_index(u64::MAX)),
		ErrorKind::StorageFull
	);
}

#[tokio::test]
async fn protected_payloads_need_not_be_cars() {
	let world = World::new().await;
	let opaque = vec![0xc3; 700];
	let mut offer = offer(7, Tier::Hot);
	offer.proposal.piece = cairn_proving::commp::piece_info(&opaque[..]).unwrap();
	let DealPayload::V1 { kind, .. } = &mut offer.proposal.payload;
	*kind = PayloadKind::Protected;
	offer.car = opaque;
	let offer = offer.signed();
	world.store(&offer).await;
	assert_eq!(world.deal_state(&offer), DealState::Received);
}

#[tokio::test]
async fn slow_and_stalled_uploads_are_cut_off_and_keep_what_arrived() {
	let (world, offer) = proposed(8).await;
	let provider = world.provider();
	let deal = provider.store.deal(&offer.hash()).unwrap().unwrap();
	let first = Bytes::copy_from_slice(&offer.car[..50]);
	let stalled = futures::StreamExt::chain(
		futures::stream::iter([Ok::<_, std::io::Error>(first)]),
		futures::stream::pending(),
	);
	let outcome = provider
		.uploads
		.receive(&offer.hash(), &deal, Start::At(0), None, stalled)
		.await;
	assert_eq!(kind(outcome), ErrorKind::IdleTimeout);
	assert_eq!(provider.uploads.received(&offer.hash()), 50);

	// A byte now and then is no progress.
	let car = offer.car.clone();
	let dripping = futures::stream::unfold(50usize, move |at| {
		let byte = Bytes::copy_from_slice(&car[at..=at]);
		async move {
			tokio::time::sleep(Duration::from_millis(300)).await;
			Some((Ok::<_, std::io::Error>(byte), at + 1))
		}
	});
	let outcome = provider
		.uploads
		.receive(&offer.hash(), &deal, Start::At(50), None, dripping)
		.await;
	assert_eq!(kind(outcome), ErrorKind::IdleTimeout);
	assert!(provider.uploads.received(&offer.hash()) < 70);
}

#[tokio::test]
async fn one_upload_a_deal_and_a_limit_for_all() {
	let mut config = crate::config::Config::default();
	config.storage.keep_free = cairn_units::ByteSize(0);
	config.uploads.max_concurrent = 2;
	config.uploads.idle_timeout_seconds = 2;
	let world = World::with(config).await;
	let offers: Vec<_> = (10..13).map(|seed| offer(seed, Tier::Hot)).collect();
	for offer in &offers {
		world.propose(offer).await.unwrap();
	}
	let provider = world.provider().clone();
	let start = |offer: &Offer| {
		let (provider, hash) = (provider.clone(), offer.hash());
		let deal = provider.store.deal(&hash).unwrap().unwrap();
		tokio::spawn(async move {
			let endless = futures::stream::pending::<Result<Bytes, std::io::Error>>();
			provider
				.uploads
				.receive(&hash, &deal, Start::At(0), None, endless)
				.await
		})
	};
	let first = start(&offers[0]);
	tokio::time::sleep(Duration::from_millis(100)).await;
	assert_eq!(kind(start(&offers[0]).await.unwrap()), ErrorKind::UploadRunning);
	let second = start(&offers[1]);
	tokio::time::sleep(Duration::from_millis(100)).await;
	assert_eq!(kind(start(&offers[2]).await.unwrap()), ErrorKind::Busy);
	for running in [first, second] {
		assert_eq!(kind(running.await.unwrap()), ErrorKind::IdleTimeout);
	}
	assert!(world.upload(&offers[2]).await.unwrap().complete);
}

#[tokio::test]
async fn a_full_disk_is_said_so_and_leaves_nothing() {
	let (mut world, offer) = proposed(14).await;
	world.config.storage.keep_free = cairn_units::ByteSize(u64::MAX);
	world.restart().await;
	assert_eq!(kind(world.upload(&offer).await), ErrorKind::StorageFull);
	assert_eq!(parts(&world), 0);
	let another = crate::simulation::offer(15, Tier::Hot);
	assert_eq!(kind(world.propose(&another).await), ErrorKind::StorageFull);
}
