//! Fetching between hosts in both protocols.

use crate::nodes::{bitswap, blocks, file, native, providers, seeded, soon, until, within, Node};
use cairn_dag::{Block, BlockSource, Codec};
use cairn_network::{
	blocks::BlockStore,
	exchange::{
		fetch::FetchError,
		service::{Config, SessionEvent},
	},
};
use futures::StreamExt;
use std::{
	collections::HashSet,
	time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dag_is_fetched_in_either_protocol_and_resumed() {
	let mut rng = seeded();
	let (root, all, _) = file(&mut rng, 3 << 20);
	for config in [native(), bitswap()] {
		let seeder = Node::start(&mut rng, config.clone(), &all).await;
		// A third is here already.
		let leecher = Node::start(&mut rng, config, &all[..all.len() / 3]).await;
		leecher.connect(&seeder.host).await;
		let fetcher = leecher.fetcher();
		let fetched = within("the fetch", fetcher.dag(root, providers(&[seeder.id()]), soon()))
			.await
			.unwrap();
		assert!(leecher.has(&all));
		let before = all.len() as u64 / 3;
		assert_eq!(
			(fetched.local, fetched.received.blocks),
			(before, all.len() as u64 - before)
		);
		assert_eq!(fetched.received.bytes, leecher.received());
		// Each block was sent once.
		assert_eq!(seeder.sent(), fetched.received.bytes);
		// Nothing is missing now, so nobody is needed.
		let again = fetcher.dag(root, providers(&[]), soon()).await.unwrap();
		assert_eq!((again.local, again.received.blocks), (all.len() as u64, 0));
		until(&leecher, "the end of all wants", |status| {
			status.wants == 0 && status.asks == 0
		})
		.await;
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_of_different_protocols_share_the_work() {
	let mut rng = seeded();
	let (root, all, _) = file(&mut rng, 8 << 20);
	let one = Node::start(&mut rng, native(), &all).await;
	let other = Node::start(&mut rng, bitswap(), &all).await;
	let leecher = Node::start(&mut rng, Config::default(), &[]).await;
	for node in [&one, &other] {
		leecher.connect(&node.host).await;
	}
	let sources = providers(&[one.id(), other.id()]);
	within("the fetch", leecher.fetcher().dag(root, sources, soon()))
		.await
		.unwrap();
	assert!(leecher.has(&all));
	let size: u64 = all.iter().map(|block| block.data().len() as u64).sum();
	for node in [&one, &other] {
		assert!(node.sent() > size / 20, "{} of {size} bytes", node.sent());
	}
	// Few blocks were asked of both.
	assert!(
		one.sent() + other.sent() < size * 11 / 10,
		"{} of {size} bytes",
		one.sent() + other.sent()
	);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_travel_along_a_line() {
	let mut rng = seeded();
	let all = blocks(&mut rng, 30, 2000);
	let cids: Vec<_> = all.iter().map(|block| *block.cid()).collect();
	for config in [native(), bitswap()] {
		// Each has a sixth, and knows only its neighbours.
		let mut line = Vec::new();
		for part in all.chunks(5) {
			line.push(Node::start(&mut rng, config.clone(), part).await);
		}
		for pair in line.windows(2) {
			pair[0].connect(&pair[1].host).await;
		}
		let ids: Vec<_> = line.iter().map(Node::id).collect();
		let fetches = line.iter().enumerate().map(|(place, node)| {
			let neighbours = [place.wrapping_sub(1), place + 1];
			let neighbours: Vec<_> = neighbours
				.iter()
				.filter_map(|place| ids.get(*place).copied())
				.collect();
			let fetcher = node.fetcher();
			let each = cids.iter().map(move |cid| {
				let (fetcher, neighbours, cid) = (fetcher.clone(), neighbours.clone(), *cid);
				async move { fetcher.block(cid, providers(&neighbours), soon()).await }
			});
			futures::future::try_join_all(each)
		});
		within("the line", futures::future::try_join_all(fetches))
			.await
			.unwrap();
		assert!(line.iter().all(|node| node.has(&all)));
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_joiner_and_a_late_block_are_found() {
	let mut rng = seeded();
	let block = blocks(&mut rng, 1, 5000).remove(0);
	for config in [native(), bitswap()] {
		let empty = Node::start(&mut rng, config.clone(), &[]).await;
		let leecher = Node::start(&mut rng, config.clone(), &[]).await;
		leecher.connect(&empty.host).await;
		// The block comes to a peer that said it does not have it.
		let fetcher = leecher.fetcher();
		let (cid, peer) = (*block.cid(), empty.id());
		let fetch = tokio::spawn(async move { fetcher.block(cid, providers(&[peer]), soon()).await });
		until(&leecher, "the want", |status| status.wants == 1).await;
		until(&leecher, "the refusal", |status| status.asks == 0).await;
		empty.store.put(std::slice::from_ref(&block)).unwrap();
		empty.exchange.announce(vec![cid]);
		assert_eq!(within("the late block", fetch).await.unwrap().unwrap(), block);
		// A provider joins a search under way.
		let second = Node::start(&mut rng, config.clone(), &[]).await;
		let (found, joins) = futures::channel::mpsc::unbounded();
		let fetcher = second.fetcher();
		let fetch = tokio::spawn(async move { fetcher.block(cid, joins.boxed(), soon()).await });
		until(&second, "the want", |status| status.wants == 1).await;
		let late = Node::start(&mut rng, config, std::slice::from_ref(&block)).await;
		second.connect(&late.host).await;
		found.unbounded_send(late.id()).unwrap();
		assert_eq!(
			within("the late joiner's block", fetch).await.unwrap().unwrap(),
			block
		);
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_in_the_middle_is_replaced() {
	let mut rng = seeded();
	let (root, all, _) = file(&mut rng, 6 << 20);
	for config in [native(), bitswap()] {
		let dying = Node::start(&mut rng, config.clone(), &all).await;
		let other = Node::start(&mut rng, config.clone(), &all).await;
		let leecher = Node::start(&mut rng, config, &[]).await;
		leecher.connect(&dying.host).await;
		let (found, joins) = futures::channel::mpsc::unbounded();
		found.unbounded_send(dying.id()).unwrap();
		let fetcher = leecher.fetcher();
		let fetch = tokio::spawn(async move { fetcher.dag(root, joins.boxed(), soon()).await });
		within("some blocks", async {
			while leecher.received() < 1 << 20 {
				tokio::time::sleep(Duration::from_millis(1)).await;
			}
		})
		.await;
		dying.host.shutdown().await;
		leecher.connect(&other.host).await;
		found.unbounded_send(other.id()).unwrap();
		within("the rest", fetch).await.unwrap().unwrap();
		assert!(leecher.has(&all));
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_block_fails_at_the_deadline() {
	let mut rng = seeded();
	let absent = *blocks(&mut rng, 1, 100)[0].cid();
	for config in [native(), bitswap()] {
		let empty = Node::start(&mut rng, config.clone(), &[]).await;
		let leecher = Node::start(&mut rng, config, &[]).await;
		leecher.connect(&empty.host).await;
		let begun = Instant::now();
		let deadline = begun + Duration::from_millis(1500);
		let failed = within(
			"the deadline",
			leecher
				.fetcher()
				.block(absent, providers(&[empty.id()]), deadline),
		)
		.await;
		assert!(Instant::now() >= deadline);
		match failed {
			Err(FetchError::Deadline {
				missing,
				example,
				providers,
			}) => assert_eq!((missing, example, providers), (1, absent, 1)),
			other => panic!("{other:?}"),
		}
		let nobody = leecher.fetcher().block(absent, providers(&[]), soon()).await;
		assert!(matches!(nobody, Err(FetchError::NoProviders)));
		until(&leecher, "the end of all wants", |status| {
			status.sessions == 0 && status.wants == 0
		})
		.await;
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_session_frees_everything() {
	let mut rng = seeded();
	let cids: Vec<_> = blocks(&mut rng, 2000, 100)
		.iter()
		.map(|block| *block.cid())
		.collect();
	for config in [native(), bitswap()] {
		let empty = Node::start(&mut rng, config.clone(), &[]).await;
		let leecher = Node::start(&mut rng, config, &[]).await;
		leecher.connect(&empty.host).await;
		let session = leecher.exchange.session(soon()).await.unwrap();
		session.add_peer(empty.id());
		session.want(cids.clone());
		until(&leecher, "the wants", |status| status.wants == 2000).await;
		drop(session);
		until(&leecher, "the end of the session", |status| {
			(status.sessions, status.wants, status.asks) == (0, 0, 0)
		})
		.await;
		leecher.host.disconnect(empty.id()).await.unwrap();
		until(&leecher, "the peer to be forgotten", |status| {
			status.asked_peers == 0
		})
		.await;
		until(&empty, "the peer's wants to be forgotten", |status| {
			(status.bitswap_peers, status.native_peers, status.jobs) == (0, 0, 0)
		})
		.await;
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_of_every_size_and_kind_come_whole() {
	let mut rng = seeded();
	let mut all = vec![
		Block::encode(Codec::Raw, &b""[..]),
		Block::encode_v0(&b"\x0a\x02\x08\x01"[..]),
		Block::encode_with(Codec::DagCbor, cairn_dag::HashFunction::Blake3, &b"\xa0"[..]),
	];
	// The largest that both protocols carry takes five native frames.
	for size in [1023, 1024, 1025, 1 << 20, cairn_network::bitswap::wire::MAX_BLOCK] {
		all.push(Block::encode(Codec::Raw, vec![size as u8; size]));
	}
	for config in [native(), bitswap()] {
		let seeder = Node::start(&mut rng, config.clone(), &all).await;
		let leecher = Node::start(&mut rng, config, &[]).await;
		leecher.connect(&seeder.host).await;
		let mut session = leecher.exchange.session(soon()).await.unwrap();
		session.add_peer(seeder.id());
		session.want(all.iter().map(|block| *block.cid()).collect());
		let mut missing: HashSet<Block> = all.iter().cloned().collect();
		while !missing.is_empty() {
			match within("a block", session.next()).await {
				Some(SessionEvent::Block { block, from }) => {
					assert_eq!(from, seeder.id());
					assert!(missing.remove(&block));
				}
				other => panic!("{other:?}"),
			}
		}
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_goes_on_over_blocks_that_are_elsewhere() {
	let mut rng = seeded();
	let (root, all, content) = file(&mut rng, 300_000);
	let seeder = Node::start(&mut rng, Config::default(), &all).await;
	let leecher = Node::start(&mut rng, Config::default(), &all[..all.len() / 2]).await;
	leecher.connect(&seeder.host).await;
	let source = leecher.fetcher().source([seeder.id()], soon()).await.unwrap();
	let read = tokio::task::spawn_blocking(move || {
		let blocks = cairn_dag::walk::walk(&source, root, cairn_dag::walk::Scope::All);
		let raw = blocks
			.map(Result::unwrap)
			.filter(|block| block.cid().codec() == 0x55);
		(
			raw.flat_map(|block| block.data().to_vec()).collect::<Vec<u8>>(),
			source.received().blocks,
		)
	});
	let (read, received) = within("the walk", read).await.unwrap();
	assert_eq!(read, content);
	assert_eq!(received, (all.len() - all.len() / 2) as u64);
	assert!(all
		.iter()
		.all(|block| leecher.store.get(block.cid()).unwrap().is_some()));
}
