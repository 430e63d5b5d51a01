//! Expiry by a clock that is set by hand, and pins against it.

mod fixture;

use cairn_blockstore::{
	repo::{CommitOptions, DatasetError, PinError, ZeroTtl},
	Expiry, PinId, Ttl,
};
use fixture::{assert_absent, assert_readable, block, blocks, repo, seconds, store, upload, START};
use std::time::Duration;

const PIN: PinId = PinId([7; 32]);

#[test]
fn a_dataset_is_there_before_its_time_and_gone_after() {
	let (repo, clock) = repo(1 << 20);
	let blocks = blocks(0..5);
	let dataset = upload(&repo, &blocks, &seconds(100));
	assert_eq!(dataset.expiry, Expiry::At(START + 100));
	clock.advance(99);
	assert_eq!(repo.maintain().unwrap().expired, 0);
	assert_readable(&repo, &blocks);
	clock.advance(1);
	let done = repo.maintain().unwrap();
	assert_eq!(
		(done.expired, done.datasets, done.freed_blocks, done.freed_bytes),
		(1, 1, 5, 500)
	);
	// The manifest, being a block like others, went with them.
	assert_absent(&repo, &blocks);
	assert_eq!(repo.space().unwrap().used, 0);
}

#[test]
fn never_is_never() {
	let (repo, clock) = repo(1 << 20);
	let options = CommitOptions {
		ttl: Some(Ttl::Never),
		..CommitOptions::default()
	};
	assert_eq!(upload(&repo, &blocks(0..2), &options).expiry, Expiry::Never);
	clock.advance(u64::MAX - START);
	assert_eq!(repo.maintain().unwrap().expired, 0);
	assert_readable(&repo, &blocks(0..2));
}

#[test]
fn a_time_to_live_of_nothing_cannot_be_said() {
	assert_eq!(Ttl::try_from(Duration::ZERO), Err(ZeroTtl));
	assert_eq!(Ttl::try_from(Duration::from_millis(999)), Err(ZeroTtl));
	let second = Ttl::Seconds(1.try_into().unwrap());
	assert_eq!(Ttl::try_from(Duration::from_secs(1)), Ok(second));
}

#[test]
fn the_longest_time_to_live_does_not_overflow_into_never_or_now() {
	let (repo, clock) = repo(1 << 20);
	let dataset = upload(&repo, &blocks(0..1), &seconds(u64::MAX));
	assert_eq!(dataset.expiry, Expiry::At(u64::MAX - 1));
	clock.advance(1 << 40);
	assert_eq!(repo.maintain().unwrap().expired, 0);
}

#[test]
fn the_default_counts_when_nothing_is_said() {
	let (_, mut config) = fixture::config(1 << 20);
	config.default_ttl = Ttl::Seconds(60.try_into().unwrap());
	let repo = cairn_blockstore::Repo::in_memory(&config).unwrap();
	let dataset = upload(&repo, &blocks(0..1), &CommitOptions::default());
	assert_eq!(dataset.expiry, Expiry::At(START + 60));
}

#[test]
fn a_shared_block_outlives_the_dataset_that_expires() {
	let (repo, clock) = repo(1 << 20);
	let shared = block(50, 1000);
	let short = [block(1, 10), shared.clone()];
	let long = [block(2, 10), shared.clone()];
	upload(&repo, &short, &seconds(10));
	upload(&repo, &long, &seconds(20));
	clock.advance(10);
	repo.maintain().unwrap();
	assert_absent(&repo, &short[..1]);
	assert_readable(&repo, &long);
	assert_eq!(repo.space().unwrap().used, 1010);
	clock.advance(10);
	repo.maintain().unwrap();
	assert_absent(&repo, &long);
}

#[test]
fn extending_only_ever_keeps_longer() {
	let (repo, clock) = repo(1 << 20);
	let root = upload(&repo, &blocks(0..2), &seconds(100)).root;
	assert_eq!(
		repo.extend(&root, Expiry::At(START + 50)).unwrap().expiry,
		Expiry::At(START + 100)
	);
	assert_eq!(
		repo.extend(&root, Expiry::At(START + 200)).unwrap().expiry,
		Expiry::At(START + 200)
	);
	clock.advance(199);
	repo.maintain().unwrap();
	assert_readable(&repo, &blocks(0..2));
	assert_eq!(repo.extend(&root, Expiry::Never).unwrap().expiry, Expiry::Never);
	assert_eq!(
		repo.extend(&root, Expiry::At(START + 300)).unwrap().expiry,
		Expiry::Never
	);
	clock.advance(1 << 40);
	repo.maintain().unwrap();
	assert_readable(&repo, &blocks(0..2));
}

#[test]
fn what_is_due_can_be_extended_until_it_is_collected() {
	let (repo, clock) = repo(1 << 20);
	let root = upload(&repo, &blocks(0..2), &seconds(10)).root;
	clock.advance(1000);
	repo.extend(&root, Expiry::At(START + 2000)).unwrap();
	assert_eq!(repo.maintain().unwrap().expired, 0);
	assert_readable(&repo, &blocks(0..2));
	clock.advance(1000);
	assert_eq!(repo.expire_step().unwrap(), 1);
	let refused = repo.extend(&root, Expiry::Never);
	assert!(matches!(refused, Err(DatasetError::NotFound { root: gone }) if gone == root));
}

#[test]
fn storing_again_keeps_the_later_expiry() {
	let (repo, _) = repo(1 << 20);
	upload(&repo, &blocks(0..2), &seconds(100));
	assert_eq!(
		upload(&repo, &blocks(0..2), &seconds(10)).expiry,
		Expiry::At(START + 100)
	);
	assert_eq!(
		upload(&repo, &blocks(0..2), &seconds(200)).expiry,
		Expiry::At(START + 200)
	);
	let kept = CommitOptions {
		ttl: Some(Ttl::Never),
		..CommitOptions::default()
	};
	assert_eq!(upload(&repo, &blocks(0..2), &kept).expiry, Expiry::Never);
	assert_eq!(upload(&repo, &blocks(0..2), &seconds(10)).expiry, Expiry::Never);
}

#[test]
fn a_pin_holds_a_dataset_past_its_time_and_releases_it() {
	let (repo, clock) = repo(1 << 20);
	let root = upload(&repo, &blocks(0..2), &seconds(10)).root;
	assert!(repo.pin(&root, &PIN).unwrap());
	assert!(!repo.pin(&root, &PIN).unwrap(), "twice is once");
	let other = PinId([8; 32]);
	assert!(repo.pin(&root, &other).unwrap());
	assert_eq!(repo.pins(&root).unwrap(), [PIN, other]);
	clock.advance(1000);
	assert_eq!(repo.maintain().unwrap().expired, 0);
	let refused = repo.delete(&root);
	assert!(
		matches!(refused, Err(DatasetError::Pinned { pins: 2, .. })),
		"{refused:?}"
	);

	assert!(repo.unpin(&root, &PIN).unwrap());
	assert!(!repo.unpin(&root, &PIN).unwrap());
	assert_eq!(repo.maintain().unwrap().expired, 0);
	assert_readable(&repo, &blocks(0..2));
	assert!(repo.unpin(&root, &other).unwrap());
	assert_readable(&repo, &blocks(0..2));
	assert_eq!(repo.maintain().unwrap().expired, 1);
	assert_absent(&repo, &blocks(0..2));
	assert!(matches!(repo.pin(&root, &PIN), Err(PinError::NotFound { .. })));
	assert!(matches!(repo.unpin(&root, &PIN), Err(PinError::NotFound { .. })));
}

#[test]
fn a_dataset_can_be_pinned_from_its_first_moment_and_stays_so_when_it_is_replaced() {
	let (repo, clock) = repo(1 << 20);
	let options = CommitOptions {
		pins: vec![PIN, PIN],
		..seconds(1)
	};
	let dataset = upload(&repo, &blocks(0..2), &options);
	assert_eq!(dataset.pins, 1);
	clock.advance(10);
	let replaced = upload(&repo, &blocks(0..2), &options);
	assert_eq!((replaced.pins, replaced.created), (1, START));
	repo.maintain().unwrap();
	clock.advance(1000);
	repo.maintain().unwrap();
	assert_readable(&repo, &blocks(0..2));
	assert!(repo.unpin(&dataset.root, &PIN).unwrap());
	assert_eq!(repo.maintain().unwrap().expired, 1);
}

#[test]
fn extending_a_pinned_dataset_counts_when_the_pin_is_gone() {
	let (repo, clock) = repo(1 << 20);
	let root = upload(&repo, &blocks(0..2), &seconds(10)).root;
	repo.pin(&root, &PIN).unwrap();
	repo.extend(&root, Expiry::At(START + 500)).unwrap();
	clock.advance(499);
	repo.unpin(&root, &PIN).unwrap();
	assert_eq!(repo.maintain().unwrap().expired, 0);
	clock.advance(1);
	assert_eq!(repo.maintain().unwrap().expired, 1);
}

#[test]
fn thousands_expire_step_by_step_and_others_stay() {
	let (repo, clock) = repo(1 << 24);
	let kept: Vec<_> = (0..20).map(|n| block(10_000 + n, 10)).collect();
	for block in &kept {
		store(&repo, std::slice::from_ref(block));
	}
	for n in 0..400 {
		upload(&repo, &[block(n, 10)], &seconds(1 + u64::from(n % 3)));
	}
	clock.advance(2);
	let done = repo.maintain().unwrap();
	assert_eq!((done.expired, done.datasets, done.freed_blocks), (267, 267, 267));
	assert_readable(&repo, &kept);
	assert_eq!(repo.space().unwrap().datasets, 20 + 133);
	clock.advance(1);
	assert_eq!(repo.maintain().unwrap().expired, 133);
}

#[test]
fn the_worker_collects_what_is_deleted() {
	let (repo, _) = repo(1 << 20);
	let root = store(&repo, &blocks(0..20));
	let worker = repo.start_worker().unwrap();
	repo.delete(&root).unwrap();
	// Its row goes after its last chunk.
	while repo.space().unwrap().hidden_datasets > 0 {
		std::thread::yield_now();
	}
	drop(worker);
	assert_eq!(repo.space().unwrap().used, 0);
}
