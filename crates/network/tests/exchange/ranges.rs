//! Ranges of files and datasets.

use crate::nodes::{bitswap, blocks, file, import, native, providers, seeded, soon, within, Node, Stranger};
use cairn_dag::{
	codex::{self, DatasetOptions},
	source::BlockSource,
	unixfs::{ByteRange, FileChunks},
	Block, Cid, MemoryBlocks,
};
use cairn_network::{
	blocks::BlockStore,
	exchange::{
		fetch::{FetchError, Fetcher, Limits},
		service::{Config, RangeError},
		walk::RangeWalk,
		wire::{Range, PROTOCOL},
	},
};
use futures::StreamExt;
use rand_core::RngCore;
use std::time::{Duration, Instant};

/// The bytes of a file that a node can read by itself.
fn read(node: &Node, root: Cid, start: u64, len: u64) -> Vec<u8> {
	let range = ByteRange {
		start,
		end: Some(start + len),
	};
	FileChunks::new(&*node.store, root, range)
		.flat_map(|chunk| chunk.unwrap().to_vec())
		.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_of_a_file_come_in_a_stream_or_block_by_block() {
	let mut rng = seeded();
	let (root, all, content) = file(&mut rng, 1 << 20);
	for config in [native(), bitswap()] {
		let seeder = Node::start(&mut rng, config.clone(), &all).await;
		for (start, len) in [(0, 1), (100_000, 50_000), (1_048_000, 1 << 40), (0, u64::MAX)] {
			let leecher = Node::start(&mut rng, config.clone(), &[]).await;
			leecher.connect(&seeder.host).await;
			let range = Range::Bytes { root, start, len };
			let fetcher = leecher.fetcher();
			let fetched = within(
				"the range",
				fetcher.range(range, providers(&[seeder.id()]), soon()),
			)
			.await
			.unwrap();
			let end = content
				.len()
				.min(usize::try_from(start.saturating_add(len)).unwrap_or(usize::MAX));
			assert_eq!(
				read(&leecher, root, start, len.min(1 << 30)),
				content[start as usize..end]
			);
			if len < 100_000 {
				assert!(fetched.received.blocks < 12, "{fetched:?}");
			}
			let again = fetcher.range(range, providers(&[]), soon()).await.unwrap();
			assert_eq!(again.received.blocks, 0, "it is here");
		}
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_chunks_are_sent_once() {
	let mut rng = seeded();
	let mut content = vec![0; 1 << 20];
	rng.fill_bytes(&mut content[500_000..600_000]);
	let (root, all) = import(&content);
	let seeder = Node::start(&mut rng, native(), &all).await;
	for (start, len) in [(0, 1 << 20), (5, 40_000), (8_000, 600_000), (450_000, 300_000)] {
		let leecher = Node::start(&mut rng, native(), &[]).await;
		leecher.connect(&seeder.host).await;
		let range = Range::Bytes { root, start, len };
		let fetched = within("the range", leecher.exchange.range(seeder.id(), range, soon()))
			.await
			.unwrap();
		assert!(fetched.blocks <= all.len() as u64);
		let end = content.len().min((start + len) as usize);
		assert_eq!(read(&leecher, root, start, len), content[start as usize..end]);
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_of_a_dataset_come_with_the_nodes_that_prove_them() {
	let mut rng = seeded();
	for leaves in [1usize, 2, 3, 5, 37] {
		let mut content = vec![0; leaves * 4096 - 100];
		rng.fill_bytes(&mut content);
		let mut made = MemoryBlocks::new();
		let options = DatasetOptions {
			block_size: 4096,
			..DatasetOptions::default()
		};
		let dataset = codex::import(&content[..], &mut made, &options).unwrap();
		let tree = dataset.manifest.tree;
		let all: Vec<Block> = made.iter().cloned().collect();
		for config in [native(), bitswap()] {
			let seeder = Node::start(&mut rng, config.clone(), &all).await;
			let leecher = Node::start(&mut rng, config, &all[..0]).await;
			leecher.connect(&seeder.host).await;
			let fetcher = Fetcher::new(
				leecher.exchange.clone(),
				Limits {
					range_leaves: 8,
					..Limits::default()
				},
			);
			let middle = Range::Leaves {
				tree,
				start: leaves as u64 / 2,
				len: 3,
			};
			within(
				"the middle",
				fetcher.range(middle, providers(&[seeder.id()]), soon()),
			)
			.await
			.unwrap();
			assert!(RangeWalk::new(&*leecher.store, &middle).all(|step| step.is_ok()));
			let whole = Range::Leaves {
				tree,
				start: 0,
				len: u64::MAX,
			};
			within(
				"the whole",
				fetcher.range(whole, providers(&[seeder.id()]), soon()),
			)
			.await
			.unwrap();
			leecher.store.put(&[dataset.manifest.block()]).unwrap();
			let read: Vec<u8> = codex::DatasetChunks::new(&*leecher.store, &dataset.manifest, ByteRange::ALL)
				.flat_map(|chunk| chunk.unwrap().to_vec())
				.collect();
			assert_eq!(read, content);
		}
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_with_a_hole_is_completed_elsewhere() {
	let mut rng = seeded();
	let (root, all, content) = file(&mut rng, 1 << 20);
	let hole = all.iter().rposition(|block| block.cid().codec() == 0x55).unwrap();
	let partial = Node::start(&mut rng, native(), &all).await;
	partial.store.remove(all[hole].cid()).unwrap();
	let other = Node::start(&mut rng, bitswap(), &all[hole..=hole]).await;
	let leecher = Node::start(&mut rng, Config::default(), &[]).await;
	leecher.connect(&partial.host).await;
	leecher.connect(&other.host).await;
	let range = Range::Bytes {
		root,
		start: 0,
		len: content.len() as u64,
	};
	let missing = leecher.exchange.range(partial.id(), range, soon()).await;
	assert!(
		matches!(missing, Err(RangeError::Missing { cid }) if cid == *all[hole].cid()),
		"{missing:?}"
	);
	assert!(!leecher.store.is_empty(), "what came before the hole is kept");
	let sources = providers(&[partial.id(), other.id()]);
	within("the range", leecher.fetcher().range(range, sources, soon()))
		.await
		.unwrap();
	assert_eq!(read(&leecher, root, 0, content.len() as u64), content);
	assert_eq!(other.sent(), all[hole].data().len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_range_and_what_nobody_has_are_told_apart() {
	let mut rng = seeded();
	let raw = blocks(&mut rng, 1, 100).remove(0);
	let seeder = Node::start(&mut rng, native(), std::slice::from_ref(&raw)).await;
	let leecher = Node::start(&mut rng, native(), &[]).await;
	leecher.connect(&seeder.host).await;
	let no_tree = Range::Leaves {
		tree: *raw.cid(),
		start: 0,
		len: 1,
	};
	let sources = || providers(&[seeder.id()]);
	let failed = within("the answer", leecher.fetcher().range(no_tree, sources(), soon())).await;
	assert!(matches!(failed, Err(FetchError::Unusable { .. })), "{failed:?}");
	let absent = *blocks(&mut rng, 1, 100)[0].cid();
	let nowhere = Range::Bytes {
		root: absent,
		start: 0,
		len: 5,
	};
	let deadline = Instant::now() + Duration::from_millis(1500);
	let failed = within(
		"the deadline",
		leecher.fetcher().range(nowhere, sources(), deadline),
	)
	.await;
	assert!(
		matches!(failed, Err(FetchError::Deadline { missing: 1, example, .. }) if example == absent),
		"{failed:?}"
	);
	assert!(leecher.store.get(&absent).unwrap().is_none());
}

/// Limits under which a small file comes in many pieces.
fn small_pieces() -> Limits {
	Limits {
		range_bytes: 1 << 20,
		..Limits::default()
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_peers_each_send_a_part_of_a_range() {
	let mut rng = seeded();
	let (root, all, content) = file(&mut rng, 16 << 20);
	let seeders = [
		Node::start(&mut rng, native(), &all).await,
		Node::start(&mut rng, native(), &all).await,
	];
	let leecher = Node::start(&mut rng, native(), &[]).await;
	for seeder in &seeders {
		leecher.connect(&seeder.host).await;
	}
	let range = Range::Bytes {
		root,
		start: 0,
		len: u64::MAX,
	};
	let fetcher = Fetcher::new(leecher.exchange.clone(), small_pieces());
	let sources = providers(&seeders.each_ref().map(Node::id));
	let fetched = within("the range", fetcher.range(range, sources, soon()))
		.await
		.unwrap();
	assert_eq!(read(&leecher, root, 0, content.len() as u64), content);
	let size = content.len() as u64;
	for seeder in &seeders {
		assert!(seeder.sent() >= size / 4, "{} of {size} bytes", seeder.sent());
	}
	// Pieces share nodes, and nothing else.
	assert!(fetched.received.bytes < size * 102 / 100, "{fetched:?}");
	assert_eq!(
		seeders.iter().map(Node::sent).sum::<u64>(),
		fetched.received.bytes
	);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_goes_on_when_one_of_its_peers_dies() {
	let mut rng = seeded();
	let (root, all, content) = file(&mut rng, 8 << 20);
	let [dying, other] = [
		Node::start(&mut rng, native(), &all).await,
		Node::start(&mut rng, native(), &all).await,
	];
	let leecher = Node::start(&mut rng, native(), &[]).await;
	leecher.connect(&dying.host).await;
	leecher.connect(&other.host).await;
	let range = Range::Bytes {
		root,
		start: 0,
		len: u64::MAX,
	};
	let fetcher = Fetcher::new(leecher.exchange.clone(), small_pieces());
	let sources = providers(&[dying.id(), other.id()]);
	let fetch = tokio::spawn(async move { fetcher.range(range, sources, soon()).await });
	within("a part of it", async {
		while dying.sent() < 1 << 20 {
			tokio::time::sleep(Duration::from_millis(1)).await;
		}
	})
	.await;
	dying.host.shutdown().await;
	within("the rest", fetch).await.unwrap().unwrap();
	assert_eq!(read(&leecher, root, 0, content.len() as u64), content);
	assert!(dying.sent() < content.len() as u64 && other.sent() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_peer_stalls_within_another_sends() {
	let mut rng = seeded();
	let (root, all, content) = file(&mut rng, 4 << 20);
	let mut stalling = Stranger::start(&mut rng, [PROTOCOL]).await;
	let other = Node::start(&mut rng, native(), &all).await;
	let leecher = Node::start(&mut rng, native(), &[]).await;
	leecher.connect(&stalling.host).await;
	leecher.connect(&other.host).await;
	let range = Range::Bytes {
		root,
		start: 0,
		len: u64::MAX,
	};
	let limits = Limits {
		range_patience: Duration::from_millis(200),
		..small_pieces()
	};
	let fetcher = Fetcher::new(leecher.exchange.clone(), limits);
	let (found, joins) = futures::channel::mpsc::unbounded();
	found.unbounded_send(stalling.id()).unwrap();
	let fetch = tokio::spawn(async move { fetcher.range(range, joins.boxed(), soon()).await });
	// It takes the request, and says nothing for as long as the stream lives.
	let mut silent = vec![stalling.accept().await];
	found.unbounded_send(other.id()).unwrap();
	drop(found);
	let fetch = within("the range", async {
		tokio::pin!(fetch);
		loop {
			tokio::select! {
				fetched = &mut fetch => break fetched,
				inbound = stalling.accept() => silent.push(inbound),
			}
		}
	});
	fetch.await.unwrap().unwrap();
	assert_eq!(read(&leecher, root, 0, content.len() as u64), content);
}
