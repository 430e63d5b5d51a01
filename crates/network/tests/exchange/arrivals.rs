//! Blocks that come to a store otherwise than by the exchange: whoever waits for them hears of it, and asks once only.

use crate::nodes::{bitswap, blocks, host, native, read_frame, seeded, within, Node, Stranger};
use cairn_dag::{Block, BlockSource, Cid, Codec, SinkError, SourceError};
use cairn_network::{
	bitswap::wire::{self as bitswap_wire, Message, Outgoing, Version, Want, WantList},
	blocks::{BlockStore, MemoryStore},
	exchange::{
		service::Exchange,
		wire::{Answer, Id, Request, Response, WantKind, PROTOCOL},
	},
	host::Host,
};
use futures::AsyncWriteExt;
use libp2p::swarm::Stream;
use std::{
	collections::HashSet,
	sync::{
		mpsc::{Receiver, SyncSender},
		Arc, Mutex,
	},
};

/// Connects a peer to a node; it can open streams then.
async fn connect(stranger: &Stranger, node: &Host) {
	stranger
		.host
		.connect(node.address().await.unwrap())
		.await
		.unwrap();
}

/// Writes a want.
async fn ask(stream: &mut Stream, id: Id, kind: WantKind, blocks: &[Block]) {
	let cids = blocks.iter().map(|block| *block.cid()).collect();
	let mut bytes = Vec::new();
	Request::Want { id, kind, cids }.encode(&mut bytes);
	stream.write_all(&bytes).await.unwrap();
	stream.flush().await.unwrap();
}

/// The next answers, so many at least.
async fn answers(stream: &mut Stream, count: usize) -> Vec<(Id, Answer)> {
	let mut all = Vec::new();
	while all.len() < count {
		let frame = within("an answer", read_frame(stream)).await.unwrap();
		match Response::decode(&frame).unwrap() {
			Response::Answers { id, answers } => {
				all.extend((id..).zip(answers).filter_map(|(id, answer)| Some((id, answer?))));
			}
			other => panic!("{other:?}"),
		}
	}
	all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_blocks_that_are_waited_for_those_are_told_that_came() {
	let mut rng = seeded();
	let node = Node::start(&mut rng, native(), &[]).await;
	let mut waiting = Vec::new();
	for _ in 0..2 {
		let stranger = Stranger::start(&mut rng, []).await;
		connect(&stranger, &node.host).await;
		let wanted = blocks(&mut rng, 1000, 100);
		let mut stream = stranger.open_and_write(node.id(), PROTOCOL, &[]).await;
		ask(&mut stream, 0, WantKind::Have, &wanted).await;
		let told = answers(&mut stream, wanted.len()).await;
		assert!(told.iter().all(|(_, answer)| *answer == Answer::DontHave));
		waiting.push((stranger, stream, wanted));
	}
	let came: Vec<Id> = vec![0, 499, 999];
	let others = blocks(&mut rng, 100, 100);
	node.store.put(&others).unwrap();
	for (_, _, wanted) in &waiting {
		for id in &came {
			node.store.put(&wanted[*id as usize..][..1]).unwrap();
		}
	}
	node.exchange.store_changed().unwrap();
	for (_, stream, wanted) in &mut waiting {
		let mut told = answers(stream, came.len()).await;
		told.sort_unstable_by_key(|(id, _)| *id);
		let haves: Vec<_> = came.iter().map(|id| (*id, Answer::Have)).collect();
		assert_eq!(told, haves);
		// Nothing more is said: the next answer is to what is asked next.
		ask(stream, 5000, WantKind::Have, &wanted[..1]).await;
		assert_eq!(answers(stream, 1).await, [(5000, Answer::Have)]);
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_bitswap_the_block_itself_comes() {
	let mut rng = seeded();
	let node = Node::start(&mut rng, bitswap(), &[]).await;
	let mut stranger = Stranger::start(&mut rng, [bitswap_wire::V1_2]).await;
	connect(&stranger, &node.host).await;
	let all = blocks(&mut rng, 2, 5000);
	let want = |block: &Block| Want {
		cid: *block.cid(),
		priority: 1,
		kind: bitswap_wire::WantKind::Block,
		send_dont_have: true,
	};
	let message = Outgoing {
		wants: WantList {
			wants: all.iter().map(want).collect(),
			..WantList::default()
		},
		..Outgoing::default()
	};
	let bytes = message.encode(Version::V1_2).unwrap();
	let _asking = stranger
		.open_and_write(node.id(), bitswap_wire::V1_2, &bytes)
		.await;
	let mut answering = stranger.accept().await.stream;
	let frame = within("an answer", read_frame(&mut answering)).await.unwrap();
	let told = Message::decode(frame).unwrap().presences;
	assert!(told.len() == 2 && told.iter().all(|presence| !presence.have));

	node.store.put(&all[1..]).unwrap();
	node.exchange.store_changed().unwrap();
	let frame = loop {
		// It may come on another stream.
		match within("the block", read_frame(&mut answering)).await {
			Some(frame) => break frame,
			None => answering = stranger.accept().await.stream,
		}
	};
	let message = Message::decode(frame).unwrap();
	assert!(
		message.presences.is_empty(),
		"of the other nothing new is to be said"
	);
	let sent = message
		.blocks
		.into_iter()
		.map(|payload| payload.into_block().unwrap());
	assert_eq!(sent.collect::<Vec<_>>(), all[1..]);
}

/// Waits before it says how large one of its blocks is, until it is let go.
struct GatedStore {
	blocks: MemoryStore,
	gate: Cid,
	looking: SyncSender<()>,
	go: Mutex<Receiver<()>>,
}

impl BlockSource for GatedStore {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		self.blocks.get(cid)
	}
}

impl BlockStore for GatedStore {
	fn put(&self, blocks: &[Block]) -> Result<(), SinkError> {
		self.blocks.put(blocks)
	}

	fn size(&self, cid: &Cid) -> Result<Option<u64>, SourceError> {
		if *cid == self.gate {
			// Errors mean that the test holds the gate open.
			let _ = self.looking.send(());
			let _ = self.go.lock().unwrap().recv();
		}
		self.blocks.size(cid)
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_while_the_others_are_looked_up_is_not_missed() {
	let mut rng = seeded();
	let mut wanted = blocks(&mut rng, 2, 100);
	wanted.sort_by_key(|block| *block.cid());
	let (looking, looked_at) = std::sync::mpsc::sync_channel(1);
	let (go, gate) = std::sync::mpsc::sync_channel(1);
	let store = Arc::new(GatedStore {
		blocks: MemoryStore::new(),
		gate: *wanted[1].cid(),
		looking,
		go: Mutex::new(gate),
	});
	let (config, parts) = host(&mut rng);
	let (node, exchange) = Exchange::with_host(config, parts, store.clone(), native())
		.await
		.unwrap();
	let stranger = Stranger::start(&mut rng, []).await;
	connect(&stranger, &node).await;
	let mut stream = stranger.open_and_write(node.peer_id(), PROTOCOL, &[]).await;
	// Wants for blocks do not ask how large they are.
	ask(&mut stream, 0, WantKind::Block, &wanted).await;
	let told: HashSet<_> = answers(&mut stream, 2).await.into_iter().collect();
	assert_eq!(told, [0, 1].map(|id| (id, Answer::DontHave)).into());

	exchange.store_changed().unwrap();
	let at_the_gate = tokio::task::spawn_blocking(move || {
		looked_at.recv().unwrap();
		looked_at
	});
	let looked_at = within("the second lookup", at_the_gate).await.unwrap();
	// The first was looked up already.
	store.put(&wanted[..1]).unwrap();
	exchange.store_changed().unwrap();
	// Once this is answered the exchange has heard of it.
	exchange.status().await.unwrap();
	go.send(()).unwrap();
	drop((go, looked_at));
	assert_eq!(answers(&mut stream, 1).await, [(0, Answer::Have)]);
	// Who waits on is told in its turn.
	store.put(&wanted[1..]).unwrap();
	exchange.store_changed().unwrap();
	assert_eq!(answers(&mut stream, 1).await, [(1, Answer::Have)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_hears_of_a_block_that_is_too_large_to_be_sent() {
	let mut rng = seeded();
	let node = Node::start(&mut rng, native(), &[]).await;
	let stranger = Stranger::start(&mut rng, []).await;
	connect(&stranger, &node.host).await;
	let too_large = vec![0; cairn_network::exchange::wire::MAX_BLOCK + 1];
	let wanted = [
		Block::encode(Codec::Raw, too_large),
		Block::encode(Codec::Raw, &b"small"[..]),
	];
	let mut stream = stranger.open_and_write(node.id(), PROTOCOL, &[]).await;
	ask(&mut stream, 0, WantKind::Have, &wanted).await;
	assert_eq!(
		answers(&mut stream, 2).await,
		[0, 1].map(|id| (id, Answer::DontHave))
	);
	node.store.put(&wanted).unwrap();
	node.exchange.store_changed().unwrap();
	assert_eq!(answers(&mut stream, 1).await, [(1, Answer::Have)]);
}
