//! Datasets from upload to collection: visibility, sharing, replacement.

mod fixture;

use cairn_blockstore::{
	repo::{CommitOptions, DatasetError, UploadError},
	ChunkError, Cid, Expiry, Multihash, PinId, Repo,
};
use cairn_dag::{Block, BlockSink, Codec};
use fixture::{assert_absent, assert_readable, block, blocks, repo, seconds, store, upload, START};
use std::sync::{
	atomic::{AtomicBool, Ordering},
	Barrier,
};

fn used(repo: &Repo) -> u64 {
	repo.space().unwrap().used
}

#[test]
fn an_upload_is_invisible_until_it_is_committed() {
	let (repo, _) = repo(1 << 20);
	let blocks = blocks(0..10);
	let mut upload = repo.upload(0).unwrap();
	for block in &blocks {
		upload.put(block.clone()).unwrap();
		assert_absent(&repo, &blocks);
	}
	assert_eq!(repo.dataset(blocks[0].cid()).unwrap(), None);
	let dataset = upload.commit(blocks[0].cid(), &CommitOptions::default()).unwrap();
	assert_readable(&repo, &blocks);
	assert_eq!(
		(dataset.blocks, dataset.bytes, dataset.created),
		(10, 1000, START)
	);
	assert_eq!(repo.dataset(blocks[0].cid()).unwrap(), Some(dataset));
	let space = repo.space().unwrap();
	assert_eq!(
		(space.used, space.blocks, space.datasets, space.hidden_datasets),
		(1000, 10, 1, 0)
	);
}

#[test]
fn an_upload_that_is_dropped_leaves_nothing() {
	let (repo, _) = repo(1 << 20);
	let blocks = blocks(0..10);
	let mut upload = repo.upload(500).unwrap();
	for block in &blocks {
		upload.put(block.clone()).unwrap();
	}
	drop(upload);
	assert_absent(&repo, &blocks);
	assert_eq!(repo.space().unwrap().reserved, 0);
	repo.maintain().unwrap();
	let space = repo.space().unwrap();
	assert_eq!(
		(
			space.used,
			space.blocks,
			space.pending_delete,
			space.hidden_datasets
		),
		(0, 0, 0, 0)
	);
}

#[test]
fn an_uploads_reader_sees_what_is_written_and_nobody_else_does() {
	let (repo, _) = repo(1 << 20);
	let blocks = blocks(0..10);
	let [first, later, other] = [&blocks[0], &blocks[1], &blocks[2]];
	let mut upload = repo.upload(0).unwrap();
	let reader = upload.reader();
	upload.put(first.clone()).unwrap();
	assert_eq!(reader.get(first.cid()).unwrap(), None);
	upload.flush().unwrap();
	upload.put(later.clone()).unwrap();
	assert_eq!(reader.get(first.cid()).unwrap().as_ref(), Some(first));
	assert!(reader.has(first.cid()).unwrap());
	assert!(!reader.has(later.cid()).unwrap());
	assert_absent(&repo, &blocks);
	// What others have is not this upload's.
	store(&repo, std::slice::from_ref(other));
	assert_eq!(reader.get(other.cid()).unwrap(), None);

	upload.commit(first.cid(), &CommitOptions::default()).unwrap();
	assert_eq!(reader.get(later.cid()).unwrap().as_ref(), Some(later));
	repo.delete(first.cid()).unwrap();
	assert_eq!(reader.get(later.cid()).unwrap(), None);

	let mut given_up = repo.upload(0).unwrap();
	let reader = given_up.reader();
	given_up.put(first.clone()).unwrap();
	given_up.flush().unwrap();
	assert!(reader.has(first.cid()).unwrap());
	drop(given_up);
	assert_eq!(reader.get(first.cid()).unwrap(), None);
	repo.maintain().unwrap();
	assert_eq!(reader.get(first.cid()).unwrap(), None);
	assert_eq!(used(&repo), other.data().len() as u64);
}

#[test]
fn a_commit_needs_its_root() {
	let (repo, _) = repo(1 << 20);
	let mut upload = repo.upload(0).unwrap();
	upload.put(block(1, 100)).unwrap();
	let root = *block(2, 100).cid();
	let refused = upload.commit(&root, &CommitOptions::default());
	assert!(matches!(refused, Err(UploadError::RootMissing { root: missing }) if missing == root));
	assert_absent(&repo, &[block(1, 100)]);
	repo.maintain().unwrap();
	assert_eq!(used(&repo), 0);
}

#[test]
fn the_block_in_an_identity_cid_is_not_stored() {
	let (repo, _) = repo(0);
	let cid = Cid::new_v1(Codec::Raw.code(), Multihash::wrap(0, b"inline").unwrap());
	let inline = Block::from_identity(&cid).unwrap();
	assert_eq!(repo.get(&cid).unwrap(), Some(inline.clone()));
	assert!(repo.has(&cid).unwrap());
	let dataset = upload(&repo, &[inline], &CommitOptions::default());
	assert_eq!((dataset.blocks, dataset.bytes), (0, 0));
	assert!(repo.delete(&cid).unwrap());
}

#[test]
fn a_block_that_no_store_takes_is_refused_and_the_upload_goes_on() {
	let (repo, _) = repo(1 << 20);
	let md5 = Cid::new_v1(0x55, Multihash::wrap(0xd5, &[7; 16]).unwrap());
	let mut upload = repo.upload(0).unwrap();
	let refused = upload.put(Block::assume_verified(md5, &b"?"[..]));
	assert!(matches!(
		refused,
		Err(UploadError::Chunks(ChunkError::UnsupportedHash {
			code: 0xd5,
			..
		}))
	));
	let good = block(1, 100);
	upload.put(good.clone()).unwrap();
	upload.commit(good.cid(), &CommitOptions::default()).unwrap();
	assert_readable(&repo, &[good]);
}

#[test]
fn an_empty_block_is_stored_and_deleted() {
	let (repo, _) = repo(0);
	let empty = [block(0, 0)];
	store(&repo, &empty);
	assert_readable(&repo, &empty);
	assert!(repo.delete(empty[0].cid()).unwrap());
	assert_absent(&repo, &empty);
}

#[test]
fn a_deletion_is_visible_at_once_and_frees_later() {
	let (repo, _) = repo(1 << 20);
	let blocks = blocks(0..50);
	let root = store(&repo, &blocks);
	assert!(repo.delete(&root).unwrap());
	assert_absent(&repo, &blocks);
	assert_eq!(repo.dataset(&root).unwrap(), None);
	let space = repo.space().unwrap();
	assert_eq!(
		(space.used, space.pending_delete, space.datasets),
		(5000, 5000, 0)
	);

	// In bounded steps.
	let step = repo.collect_step(20).unwrap();
	assert_eq!(
		(step.released, step.freed_blocks, step.freed_bytes, step.idle),
		(20, 20, 2000, false)
	);
	let space = repo.space().unwrap();
	assert_eq!((space.used, space.pending_delete), (3000, 3000));
	assert_absent(&repo, &blocks);
	let done = repo.maintain().unwrap();
	assert_eq!((done.freed_blocks, done.datasets), (30, 1));
	assert_eq!((used(&repo), repo.space().unwrap().pending_delete), (0, 0));
	assert!(repo.collect_step(20).unwrap().idle);
}

#[test]
fn deleting_what_is_not_there_is_fine_and_part_of_a_dataset_is_refused() {
	let (repo, _) = repo(1 << 20);
	let blocks = blocks(0..3);
	assert!(!repo.delete(blocks[0].cid()).unwrap());
	let root = store(&repo, &blocks);
	let refused = repo.delete(blocks[1].cid());
	assert!(matches!(
		refused,
		Err(DatasetError::PartOfDataset { cid, datasets: 1 }) if cid == *blocks[1].cid()
	));
	assert_readable(&repo, &blocks);
	assert!(repo.delete(&root).unwrap());
	assert!(!repo.delete(&root).unwrap());
	assert!(!repo.delete(blocks[1].cid()).unwrap());
}

/// A block lives until the last dataset that has it is gone, in whatever order they go.
#[test]
fn a_shared_block_survives() {
	for first in 0..3 {
		let (repo, _) = repo(1 << 20);
		let shared = block(100, 1000);
		let sets: Vec<Vec<Block>> = (0..3).map(|n| vec![block(n, 10), shared.clone()]).collect();
		for set in &sets {
			store(&repo, set);
		}
		assert_eq!(used(&repo), 1030, "stored once");
		assert_eq!(repo.stat(shared.cid()).unwrap().unwrap().datasets, 3);
		for n in 0..3 {
			assert_readable(&repo, std::slice::from_ref(&shared));
			let set = &sets[(first + n) % 3];
			repo.delete(set[0].cid()).unwrap();
			if n < 2 {
				assert_readable(&repo, std::slice::from_ref(&shared));
				if first == 1 {
					repo.maintain().unwrap();
					assert_eq!(used(&repo), 1000 + 10 * (2 - n as u64));
				}
			}
		}
		assert_absent(&repo, std::slice::from_ref(&shared));
		repo.maintain().unwrap();
		assert_eq!(used(&repo), 0);
	}
}

/// Codex lost blocks when they were stored again after their deletion (its issue 1108).
#[test]
fn a_dataset_can_be_stored_again_at_any_stage_of_its_deletion() {
	for steps in 0..4 {
		let (repo, _) = repo(1 << 20);
		let blocks = blocks(0..3);
		let root = store(&repo, &blocks);
		repo.delete(&root).unwrap();
		for _ in 0..steps {
			repo.collect_step(1).unwrap();
		}
		store(&repo, &blocks);
		assert_readable(&repo, &blocks);
		repo.maintain().unwrap();
		assert_readable(&repo, &blocks);
		assert_eq!(used(&repo), 300);
		repo.delete(&root).unwrap();
		repo.maintain().unwrap();
		assert_absent(&repo, &blocks);
		assert_eq!(used(&repo), 0);
	}
}

#[test]
fn the_same_dataset_uploaded_twice_is_one_dataset() {
	let (repo, _) = repo(1 << 20);
	let blocks = blocks(0..5);
	let root = store(&repo, &blocks);
	store(&repo, &blocks);
	assert_eq!(repo.space().unwrap().datasets, 1);
	assert_readable(&repo, &blocks);
	repo.maintain().unwrap();
	assert_eq!(used(&repo), 500);
	assert_eq!(repo.stat(blocks[2].cid()).unwrap().unwrap().datasets, 1);
	assert!(repo.delete(&root).unwrap());
	assert_absent(&repo, &blocks);
	repo.maintain().unwrap();
	assert_eq!(used(&repo), 0);
}

#[test]
fn a_replacement_may_have_other_blocks() {
	let (repo, _) = repo(1 << 20);
	let old = blocks(0..5);
	let new = [&old[..3], &blocks(10..12)].concat();
	store(&repo, &old);
	store(&repo, &new);
	assert_readable(&repo, &new);
	assert_absent(&repo, &old[3..]);
	repo.maintain().unwrap();
	assert_readable(&repo, &new);
	assert_eq!(used(&repo), 500);
}

#[test]
fn two_uploads_of_the_same_blocks_do_not_count_on_each_other() {
	let (repo, _) = repo(1 << 20);
	let blocks = blocks(0..5);
	let mut first = repo.upload(0).unwrap();
	let mut second = repo.upload(0).unwrap();
	for block in &blocks {
		first.put(block.clone()).unwrap();
		second.put(block.clone()).unwrap();
	}
	drop(first);
	repo.maintain().unwrap();
	second.commit(blocks[1].cid(), &CommitOptions::default()).unwrap();
	repo.maintain().unwrap();
	assert_readable(&repo, &blocks);
	assert_eq!(used(&repo), 500);
}

#[test]
fn roots_with_one_hash_and_different_codecs_are_different_datasets() {
	let (repo, _) = repo(1 << 20);
	let raw = block(1, 100);
	let other = Block::assume_verified(
		Cid::new_v1(Codec::DagPb.code(), *raw.cid().hash()),
		raw.bytes().clone(),
	);
	store(&repo, std::slice::from_ref(&raw));
	store(&repo, std::slice::from_ref(&other));
	assert_eq!((used(&repo), repo.space().unwrap().datasets), (100, 2));
	repo.delete(raw.cid()).unwrap();
	repo.maintain().unwrap();
	assert_readable(&repo, &[other, raw]);
}

#[test]
fn datasets_and_their_blocks_are_listed_by_pages() {
	let (repo, _) = repo(1 << 20);
	let mut roots: Vec<Cid> = (0..25)
		.map(|n| store(&repo, &[block(n, 10), block(1000, 10)]))
		.collect();
	roots.sort_by_key(|root| root.to_bytes());
	let mut listed = Vec::new();
	let mut from = None;
	loop {
		let page = repo.datasets(from.as_ref(), 10).unwrap();
		listed.extend(page.datasets.iter().map(|dataset| dataset.root));
		from = page.next;
		if from.is_none() {
			break;
		}
		assert_eq!(page.datasets.len(), 10);
	}
	assert_eq!(listed, roots);

	let many = blocks(0..25);
	let root = store(&repo, &many);
	let mut expected: Vec<_> = many.iter().map(|block| *block.cid().hash()).collect();
	expected.sort_by_key(|hash| hash.to_bytes());
	let mut found: Vec<Multihash> = Vec::new();
	loop {
		let page = repo.blocks_of(&root, found.last(), 10).unwrap();
		let last = page.len() < 10;
		found.extend(page);
		if last {
			break;
		}
	}
	assert_eq!(found, expected);
	repo.delete(&root).unwrap();
	assert!(matches!(
		repo.blocks_of(&root, None, 10),
		Err(DatasetError::NotFound { .. })
	));
}

#[test]
fn a_batch_that_was_written_is_not_in_memory() {
	let (_, mut config) = fixture::config(1 << 30);
	config.batch_bytes = 1000;
	let repo = Repo::in_memory(&config).unwrap();
	let blocks = blocks(0..35);
	let mut upload = repo.upload(0).unwrap();
	for block in &blocks {
		upload.put(block.clone()).unwrap();
	}
	// Three batches of ten are written, half a batch is not.
	assert_eq!(repo.space().unwrap().blocks, 30);
	upload.commit(blocks[0].cid(), &CommitOptions::default()).unwrap();
	assert_readable(&repo, &blocks);
}

#[test]
fn blocks_are_written_while_others_are_made() {
	let (_, mut config) = fixture::config(1 << 30);
	config.batch_bytes = 4 << 20;
	let repo = Repo::in_memory(&config).unwrap();
	let blocks: Vec<_> = (0..100).map(|n| block(n, 100_000)).collect();
	let mut upload = repo.upload(0).unwrap();
	let made = upload
		.fill(|sink: &mut dyn BlockSink| {
			for block in &blocks {
				sink.put(block.clone())?;
			}
			Ok::<_, cairn_dag::SinkError>(blocks.len())
		})
		.unwrap();
	assert_eq!(made, 100);
	upload.commit(blocks[0].cid(), &CommitOptions::default()).unwrap();
	assert_readable(&repo, &blocks);
}

#[test]
fn what_fails_while_filling_is_told_by_whom() {
	use cairn_blockstore::repo::FillError;
	let (repo, _) = repo(5_000_000);
	let mut upload = repo.upload(0).unwrap();
	let failed = upload.fill(|_| Err::<(), _>("the producer fails"));
	assert!(matches!(failed, Err(FillError::Producer("the producer fails"))));

	// The quota ends in the middle of it.
	let (_, mut config) = fixture::config(5_000_000);
	config.batch_bytes = 100_000;
	let repo = Repo::in_memory(&config).unwrap();
	let mut upload = repo.upload(0).unwrap();
	let failed = upload.fill(|sink| (0..1000).try_for_each(|n| sink.put(block(n, 100_000))));
	assert!(
		matches!(failed, Err(FillError::Upload(UploadError::Quota(_)))),
		"{failed:?}"
	);
	let again = upload.put(block(1, 10));
	assert!(matches!(again, Err(UploadError::Failed)));
}

/// Readers, uploads, deletions and the worker at once: whoever holds a dataset can read it.
#[test]
fn threads_do_not_disturb_each_other() {
	const THREADS: u32 = 6;
	const ROUNDS: u32 = 60;
	let (repo, _) = repo(1 << 24);
	let worker = repo.start_worker().unwrap();
	let shared = blocks(1000..1010);
	let keeper = [&[block(999, 5)], &shared[..5]].concat();
	store(&repo, &keeper);
	let done = AtomicBool::new(false);
	let start = Barrier::new(THREADS as usize + 1);
	std::thread::scope(|scope| {
		let uploaders: Vec<_> = (0..THREADS)
			.map(|thread| {
				let (repo, shared, start) = (&repo, &shared, &start);
				scope.spawn(move || {
					start.wait();
					for round in 0..ROUNDS {
						let own = block(thread * 10_000 + round, 50);
						let set = [std::slice::from_ref(&own), &shared[..]].concat();
						let root = store(repo, &set);
						assert_readable(repo, &set);
						assert!(repo.delete(&root).unwrap());
						assert_absent(repo, &[own]);
					}
				})
			})
			.collect();
		let reader = scope.spawn(|| {
			start.wait();
			while !done.load(Ordering::SeqCst) {
				assert_readable(&repo, &keeper);
				for block in &shared {
					// There or not, but never damaged.
					repo.get(block.cid()).unwrap();
				}
			}
		});
		uploaders.into_iter().for_each(|thread| thread.join().unwrap());
		done.store(true, Ordering::SeqCst);
		reader.join().unwrap();
	});
	drop(worker);
	repo.maintain().unwrap();
	assert_absent(&repo, &shared[5..]);
	assert_readable(&repo, &keeper);
	assert_eq!(used(&repo), 505);
	let report = repo
		.fsck(cairn_blockstore::repo::FsckOptions {
			verify: true,
			mend: false,
		})
		.unwrap();
	assert!(report.is_clean(), "{report:?}");
}

#[test]
fn the_generation_rises_with_every_dataset_that_comes_or_goes_and_with_nothing_else() {
	let (repo, clock) = repo(1500);
	let mut seen = repo.generation();
	let mut rises = |what: &str, expected: bool| {
		let now = repo.generation();
		assert_eq!(now > seen, expected, "{what}: {seen}, then {now}");
		seen = now;
	};
	let mut unfinished = repo.upload(0).unwrap();
	unfinished.put(block(99, 100)).unwrap();
	drop(unfinished);
	repo.maintain().unwrap();
	rises("an upload without a commit", false);
	let kept = store(&repo, &blocks(0..5));
	rises("a commit", true);
	repo.get(&kept).unwrap();
	repo.pin(&kept, &PinId([1; 32])).unwrap();
	repo.unpin(&kept, &PinId([1; 32])).unwrap();
	repo.extend(&kept, Expiry::Never).unwrap();
	repo.maintain().unwrap();
	rises("reading, pinning, extending, collecting", false);
	repo.delete(&kept).unwrap();
	rises("a deletion", true);
	repo.maintain().unwrap();
	repo.delete(&kept).unwrap();
	rises("a deletion of nothing", false);
	upload(&repo, &blocks(5..7), &seconds(10));
	rises("another commit", true);
	clock.advance(10);
	repo.maintain().unwrap();
	rises("an expiry", true);
	let evictable = CommitOptions {
		evictable: true,
		..CommitOptions::default()
	};
	upload(&repo, &blocks(10..20), &evictable);
	rises("a commit that may be evicted", true);
	drop(repo.reserve(1000).unwrap());
	rises("an eviction", true);
}
