//! Peers that stop without a word: gone without closing anything, silent, or in the middle of a block.

use crate::nodes::{bitswap, blocks, file, native, read_frame, seeded, soon, until, within, Node, Stranger};
use bytes::Bytes;
use cairn_dag::{Block, Cid, Codec};
use cairn_network::{
	address::PeerAddress,
	bitswap::wire::{self as bitswap_wire, Message, Outgoing, Version},
	exchange::{
		service::{Config, RangeError, Session, SessionEvent},
		wire::{Range, Request, Response, PROTOCOL},
	},
};
use futures::{AsyncWriteExt, StreamExt};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use std::{
	collections::HashSet,
	sync::mpsc,
	thread::JoinHandle,
	time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// A node with a runtime of its own, that can be stopped between two steps as a machine is whose plug is pulled: its
/// connections stay open, and nobody is at the other end.
struct Machine {
	/// Dropped to stop it.
	power: Option<oneshot::Sender<()>>,
	/// Dropped at the end: then the runtime ends, and with it the connections.
	remains: Option<mpsc::Sender<()>>,
	thread: Option<JoinHandle<()>>,
}

impl Machine {
	/// A node with these blocks, on a machine of its own. Returns where it is reached too.
	async fn start(rng: &mut ChaCha8Rng, config: Config, blocks: Vec<Block>) -> (Self, PeerAddress) {
		let (power, cut) = oneshot::channel::<()>();
		let (remains, gone) = mpsc::channel::<()>();
		let (ready, address) = oneshot::channel();
		let mut rng = ChaCha8Rng::seed_from_u64(rng.next_u64());
		let thread = std::thread::spawn(move || {
			let runtime = tokio::runtime::Builder::new_current_thread()
				.enable_all()
				.build()
				.unwrap();
			let _node = runtime.block_on(async {
				let node = Node::start(&mut rng, config, &blocks).await;
				ready.send(node.host.address().await.unwrap()).unwrap();
				// It ends with an error, when its other half is dropped.
				let _ = cut.await;
				node
			});
			// The tasks are still there, and none of them is run any more.
			let _ = gone.recv();
		});
		let machine = Self {
			power: Some(power),
			remains: Some(remains),
			thread: Some(thread),
		};
		(machine, within("the machine", address).await.unwrap())
	}

	/// Stops it at once, with all that it has open.
	fn pull_the_plug(&mut self) {
		self.power.take();
	}
}

impl Drop for Machine {
	fn drop(&mut self) {
		self.power.take();
		self.remains.take();
		if let Some(thread) = self.thread.take() {
			let _ = thread.join();
		}
	}
}

/// Waits until each of the blocks has come, in whatever order.
async fn all_come(session: &mut Session, all: &[Block]) {
	let mut missing: HashSet<Cid> = all.iter().map(|block| *block.cid()).collect();
	within("all blocks", async {
		while !missing.is_empty() {
			match session.next().await {
				Some(SessionEvent::Block { block, .. }) => assert!(missing.remove(block.cid())),
				other => panic!("{other:?} while {} are missing", missing.len()),
			}
		}
	})
	.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_vanishes_is_replaced() {
	let mut rng = seeded();
	let (root, all, _) = file(&mut rng, 6 << 20);
	// Without the last of the file's chunks, so that it is never done when it vanishes.
	let mut some = all.clone();
	let last = all
		.iter()
		.rposition(|block| block.cid().codec() == Codec::Raw.code());
	some.remove(last.unwrap());
	for config in [native(), bitswap()] {
		let (mut machine, address) = Machine::start(&mut rng, config.clone(), some.clone()).await;
		let other = Node::start(&mut rng, config.clone(), &all).await;
		let leecher = Node::start(&mut rng, config, &[]).await;
		let vanishing = address.peer;
		leecher.host.connect(address).await.unwrap();
		let (found, joins) = futures::channel::mpsc::unbounded();
		found.unbounded_send(vanishing).unwrap();
		let fetcher = leecher.fetcher();
		let fetch = tokio::spawn(async move { fetcher.dag(root, joins.boxed(), soon()).await });
		within("some blocks", async {
			while leecher.received() < 1 << 20 {
				tokio::time::sleep(Duration::from_millis(1)).await;
			}
		})
		.await;
		machine.pull_the_plug();
		leecher.connect(&other.host).await;
		found.unbounded_send(other.id()).unwrap();
		within("the rest", fetch).await.unwrap().unwrap();
		assert!(leecher.has(&all));
		assert!(other.sent() > 0, "the other one has to help");
		assert!(
			!leecher.host.peers().is_banned(&vanishing),
			"to vanish is no offence"
		);
	}
}

/// Accepts streams, reads what comes, and answers nothing.
async fn say_nothing(mut silent: Stranger) {
	let mut streams = Vec::new();
	loop {
		let mut inbound = silent.accept().await;
		streams.push(tokio::spawn(async move {
			while read_frame(&mut inbound.stream).await.is_some() {}
			// What is open stays open.
			std::future::pending::<()>().await
		}));
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_wants_and_is_silent_is_passed_by() {
	let mut rng = seeded();
	let all = blocks(&mut rng, 200, 5000);
	for config in [native(), bitswap()] {
		let silent = Stranger::start(&mut rng, config.protocols()).await;
		let honest = Node::start(&mut rng, config.clone(), &all).await;
		let leecher = Node::start(&mut rng, config.clone(), &[]).await;
		leecher.connect(&silent.host).await;
		leecher.connect(&honest.host).await;
		let id = silent.id();
		let silence = tokio::spawn(say_nothing(silent));
		let mut session = leecher.exchange.session(soon()).await.unwrap();
		session.add_peer(id);
		session.want(all.iter().map(|block| *block.cid()).collect());
		// It is given time, and then counts as failing.
		within("the end of patience", async {
			let peers = leecher.host.peers();
			while peers.standing(&id).is_none_or(|known| known.failure_rate == 0.0) {
				tokio::time::sleep(Duration::from_millis(10)).await;
			}
		})
		.await;
		session.add_peer(honest.id());
		all_come(&mut session, &all).await;
		assert_eq!(honest.sent(), leecher.received());
		assert!(!leecher.host.peers().is_banned(&id), "silence is no offence");
		silence.abort();
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_walk_is_given_up() {
	let mut rng = seeded();
	let (root, ..) = file(&mut rng, 100_000);
	let silent = Stranger::start(&mut rng, [PROTOCOL]).await;
	let stall = Duration::from_secs(1);
	let leecher = Node::start(&mut rng, Config { stall, ..native() }, &[]).await;
	leecher.connect(&silent.host).await;
	let id = silent.id();
	let silence = tokio::spawn(say_nothing(silent));
	let range = Range::Bytes {
		root,
		start: 0,
		len: 1,
	};
	let begun = Instant::now();
	let given_up = within("giving up", leecher.exchange.range(id, range, soon())).await;
	assert!(matches!(given_up, Err(RangeError::Lost { .. })), "{given_up:?}");
	assert!(begun.elapsed() >= stall);
	silence.abort();
}

/// The blocks asked for by a frame.
fn wanted(frame: Bytes, native: bool) -> Vec<(u32, Cid)> {
	if !native {
		let wants = Message::decode(frame).unwrap().wants.wants;
		return wants.iter().map(|want| (0, want.cid)).collect();
	}
	match Request::decode(&frame).unwrap() {
		Request::Want { id, cids, .. } => (id..).zip(cids).collect(),
		Request::Cancel { .. } | Request::Walk { .. } => Vec::new(),
	}
}

/// Answers the first want with the first half of its block, and stops there with everything open.
async fn stop_in_mid_block(mut stopping: Stranger, all: Vec<Block>, native: bool) {
	let mut inbound = stopping.accept().await;
	let (id, cid) = loop {
		let frame = read_frame(&mut inbound.stream).await.unwrap();
		if let Some(first) = wanted(frame, native).first() {
			break *first;
		}
	};
	let block = all.iter().find(|block| *block.cid() == cid).unwrap();
	let _half = if native {
		let response = Response::Block {
			id,
			size: block.data().len() as u32,
			data: block.bytes().slice(..block.data().len() / 2),
		};
		let mut bytes = Vec::new();
		response.encode(&mut bytes);
		inbound.stream.write_all(&bytes).await.unwrap();
		inbound.stream.flush().await.unwrap();
		None
	} else {
		let answer = Outgoing {
			blocks: vec![block.clone()],
			..Outgoing::default()
		};
		let bytes = answer.encode(Version::V1_2).unwrap();
		let half = &bytes[..bytes.len() / 2];
		Some(
			stopping
				.open_and_write(inbound.peer, bitswap_wire::V1_2, half)
				.await,
		)
	};
	// The requester is not held up by writing.
	while read_frame(&mut inbound.stream).await.is_some() {}
	std::future::pending().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_never_ends_comes_from_elsewhere() {
	let mut rng = seeded();
	let all = blocks(&mut rng, 50, 40_000);
	for config in [native(), bitswap()] {
		let config = Config {
			stall: Duration::from_secs(2),
			..config
		};
		let stopping = Stranger::start(&mut rng, config.protocols()).await;
		let honest = Node::start(&mut rng, config.clone(), &all).await;
		let leecher = Node::start(&mut rng, config.clone(), &[]).await;
		leecher.connect(&stopping.host).await;
		leecher.connect(&honest.host).await;
		let id = stopping.id();
		let stop = tokio::spawn(stop_in_mid_block(stopping, all.clone(), config.native));
		let mut session = leecher.exchange.session(soon()).await.unwrap();
		session.add_peer(id);
		session.want(all.iter().map(|block| *block.cid()).collect());
		until(&leecher, "wants at the peer that stops", |status| status.asks > 0).await;
		session.add_peer(honest.id());
		all_come(&mut session, &all).await;
		assert_eq!(honest.sent(), leecher.received());
		assert!(!leecher.host.peers().is_banned(&id), "to stop is no offence");
		stop.abort();
	}
}
