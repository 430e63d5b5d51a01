//! The quota: what counts, what is set aside, and what goes to make room.

mod fixture;

use cairn_blockstore::{
	repo::{CommitOptions, ReserveError, UploadError},
	PinId, QuotaExceeded, Repo, RepoConfig,
};
use fixture::{assert_absent, assert_readable, block, blocks, repo, seconds, store, upload};
use std::sync::Barrier;

fn evictable(seconds: u64) -> CommitOptions {
	CommitOptions {
		evictable: true,
		..fixture::seconds(seconds)
	}
}

fn try_store(repo: &Repo, blocks: &[cairn_dag::Block]) -> Result<(), UploadError> {
	let mut upload = repo.upload(0)?;
	for block in blocks {
		upload.put(block.clone())?;
	}
	upload.commit(blocks[0].cid(), &CommitOptions::default())?;
	Ok(())
}

#[test]
fn an_exact_fit_is_stored_and_a_byte_more_is_not() {
	let (repo, _) = repo(1000);
	store(&repo, &blocks(0..10));
	let refused = try_store(&repo, &[block(10, 1)]);
	assert!(
		matches!(
			refused,
			Err(UploadError::Quota(QuotaExceeded {
				needed: 1,
				available: 0,
				limit: 1000
			}))
		),
		"{refused:?}"
	);
	// What is there already costs nothing.
	store(&repo, &blocks(3..7));
	store(&repo, &[block(0, 0)]);
	assert_readable(&repo, &blocks(0..10));
}

#[test]
fn an_upload_that_does_not_fit_leaves_nothing_behind() {
	let (_, mut config) = fixture::config(1000);
	config.batch_bytes = 300;
	let repo = Repo::in_memory(&config).unwrap();
	let too_many = blocks(0..11);
	let refused = try_store(&repo, &too_many);
	assert!(matches!(refused, Err(UploadError::Quota(_))));
	assert_absent(&repo, &too_many);
	repo.maintain().unwrap();
	let space = repo.space().unwrap();
	assert_eq!((space.used, space.reserved, space.blocks), (0, 0, 0));
	store(&repo, &too_many[1..]);
}

#[test]
fn reservations_count_until_they_are_dropped() {
	let (repo, _) = repo(1000);
	let reservation = repo.reserve(600).unwrap();
	assert_eq!(repo.space().unwrap().available(), 400);
	assert!(matches!(repo.reserve(401), Err(ReserveError::Quota(_))));
	assert!(try_store(&repo, &blocks(0..5)).is_err());
	store(&repo, &blocks(0..4));
	drop(reservation);
	store(&repo, &blocks(4..10));
	assert_eq!(repo.space().unwrap().available(), 0);
}

#[test]
fn an_upload_uses_its_own_reservation_first() {
	let (repo, _) = repo(1000);
	let mut first = repo.upload(700).unwrap();
	assert!(matches!(repo.upload(301), Err(UploadError::Quota(_))));
	let others = repo.upload(300).unwrap();
	for block in blocks(0..5) {
		first.put(block).unwrap();
	}
	first
		.commit(block(0, 100).cid(), &CommitOptions::default())
		.unwrap();
	let space = repo.space().unwrap();
	assert_eq!(
		(space.used, space.reserved),
		(500, 300),
		"what was left over is given back"
	);
	drop(others);
}

/// A hundred uploads race for room for twenty.
#[test]
fn a_race_at_the_limit_never_exceeds_it() {
	let (repo, _) = repo(2000);
	let barrier = Barrier::new(100);
	let stored: usize = std::thread::scope(|scope| {
		let threads: Vec<_> = (0..100)
			.map(|n| {
				let (repo, barrier) = (&repo, &barrier);
				scope.spawn(move || {
					barrier.wait();
					let stored = try_store(repo, &[block(n, 100)]);
					let space = repo.space().unwrap();
					assert!(space.used + space.reserved <= space.quota, "{space:?}");
					assert!(
						matches!(stored, Ok(()) | Err(UploadError::Quota(_))),
						"{stored:?}"
					);
					stored.is_ok()
				})
			})
			.collect();
		threads
			.into_iter()
			.map(|thread| usize::from(thread.join().unwrap()))
			.sum()
	});
	assert_eq!(stored, 20);
	assert_eq!(repo.space().unwrap().used, 2000);
}

#[test]
fn deleted_bytes_make_room_without_waiting_for_the_worker() {
	let (repo, _) = repo(1000);
	let root = store(&repo, &blocks(0..10));
	repo.delete(&root).unwrap();
	assert_eq!(repo.space().unwrap().available(), 0);
	store(&repo, &blocks(10..20));
	assert_readable(&repo, &blocks(10..20));
}

#[test]
fn expired_datasets_go_before_evictable_ones() {
	let (repo, clock) = repo(1000);
	upload(&repo, &blocks(0..5), &seconds(50));
	upload(&repo, &blocks(5..10), &evictable(1000));
	clock.advance(50);
	store(&repo, &blocks(10..15));
	assert_absent(&repo, &blocks(0..5));
	assert_readable(&repo, &blocks(5..15));
}

#[test]
fn what_may_go_goes_in_the_order_of_its_expiry_and_no_further_than_needed() {
	let (repo, _) = repo(1000);
	upload(&repo, &blocks(0..3), &evictable(300));
	upload(&repo, &blocks(3..6), &evictable(100));
	upload(&repo, &blocks(6..9), &seconds(10));
	store(&repo, &blocks(9..12));
	assert_absent(&repo, &blocks(3..6));
	assert_readable(&repo, &blocks(0..3));
	assert_readable(&repo, &blocks(6..12));
	store(&repo, &blocks(12..16));
	assert_absent(&repo, &blocks(0..3));
	// The rest may not go.
	assert!(try_store(&repo, &[block(99, 1)]).is_err());
	assert_readable(&repo, &blocks(6..16));
}

#[test]
fn a_pin_keeps_from_eviction() {
	let (repo, _) = repo(1000);
	let pinned = upload(&repo, &blocks(0..5), &evictable(100)).root;
	upload(&repo, &blocks(5..10), &evictable(200));
	repo.pin(&pinned, &PinId([1; 32])).unwrap();
	store(&repo, &blocks(10..15));
	assert_readable(&repo, &blocks(0..5));
	assert_absent(&repo, &blocks(5..10));
	assert!(try_store(&repo, &blocks(15..20)).is_err());
	repo.unpin(&pinned, &PinId([1; 32])).unwrap();
	store(&repo, &blocks(15..20));
	assert_absent(&repo, &blocks(0..5));
}

#[test]
fn what_can_never_fit_evicts_nothing() {
	let (repo, _) = repo(1000);
	upload(&repo, &blocks(0..5), &evictable(100));
	assert!(matches!(repo.reserve(1001), Err(ReserveError::Quota(_))));
	assert!(matches!(repo.upload(u64::MAX), Err(UploadError::Quota(_))));
	// Not even beside what stays.
	store(&repo, &blocks(5..7));
	assert!(matches!(repo.reserve(801), Err(ReserveError::Quota(_))));
	assert_readable(&repo, &blocks(0..7));
	drop(repo.reserve(800).unwrap());
	assert_absent(&repo, &blocks(0..5));
}

#[test]
fn a_reservation_evicts_and_a_failed_upload_does_not_count() {
	let (repo, _) = repo(1000);
	upload(&repo, &blocks(0..5), &evictable(100));
	let reservation = repo.reserve(1000).unwrap();
	assert_eq!(reservation.left(), 1000);
	assert_absent(&repo, &blocks(0..5));
}

#[test]
fn the_quota_counts_what_was_stored_before_and_reservations_end_with_the_process() {
	let folder = fixture::folder();
	let (_, config) = fixture::config(1000);
	let (repo, _) = Repo::open(folder.path(), &config).unwrap();
	store(&repo, &blocks(0..4));
	let reservation = repo.reserve(600).unwrap();
	// As a crash: nothing is given back.
	std::mem::forget(reservation);
	assert_eq!(repo.space().unwrap().available(), 0);
	drop(repo);
	let (repo, _) = Repo::open(folder.path(), &config).unwrap();
	let space = repo.space().unwrap();
	assert_eq!((space.used, space.reserved, space.available()), (400, 0, 600));
	drop(repo);

	// With a smaller quota what is there stays, and nothing comes in.
	let smaller = RepoConfig { quota: 300, ..config };
	let (repo, _) = Repo::open(folder.path(), &smaller).unwrap();
	assert_readable(&repo, &blocks(0..4));
	assert!(try_store(&repo, &[block(9, 1)]).is_err());
	store(&repo, &blocks(0..2));
}

#[test]
fn the_disk_keeps_its_reserve() {
	let folder = fixture::folder();
	let (_, mut config) = fixture::config(1 << 40);
	config.disk_reserve = u64::MAX / 2;
	let (repo, _) = Repo::open(folder.path(), &config).unwrap();
	let refused = try_store(&repo, &[block(1, 10)]);
	assert!(
		matches!(&refused, Err(UploadError::DiskFull { path, reserve, .. })
			if path == folder.path() && *reserve == u64::MAX / 2),
		"{refused:?}"
	);
	assert_absent(&repo, &[block(1, 10)]);
}

/// What may go shares its blocks with what may not: evicting it would free nothing.
#[test]
fn nothing_is_evicted_in_vain() {
	let (repo, _) = repo(1000);
	upload(&repo, &blocks(0..6), &evictable(100));
	store(&repo, &blocks(1..6));
	assert!(matches!(repo.reserve(501), Err(ReserveError::Quota(_))));
	assert_eq!(repo.space().unwrap().datasets, 2);
	assert_readable(&repo, &blocks(0..6));
	drop(repo.reserve(500).unwrap());
	assert_eq!(repo.space().unwrap().datasets, 1);
	assert_readable(&repo, &blocks(1..6));
}

/// Blocks that several evictable datasets have, and nothing else, go with the last of them.
#[test]
fn datasets_that_share_blocks_are_evicted_together() {
	let (repo, _) = repo(1000);
	upload(&repo, &blocks(0..6), &evictable(100));
	upload(
		&repo,
		&[&blocks(7..8)[..], &blocks(0..6)].concat(),
		&evictable(200),
	);
	store(&repo, &blocks(8..10));
	assert!(matches!(repo.reserve(801), Err(ReserveError::Quota(_))));
	assert_eq!(repo.space().unwrap().datasets, 3);
	drop(repo.reserve(800).unwrap());
	assert_eq!(repo.space().unwrap().datasets, 1);
}
