//! Peers that lie, flood, stall and break the protocols.

use crate::nodes::{
	bitswap, blocks, file, native, providers, read_frame, seeded, soon, until, within, Node, Stranger,
};
use bytes::Bytes;
use cairn_dag::{Block, Codec};
use cairn_network::{
	bitswap::wire::{self as bitswap_wire, Message, Outgoing, Version, Want, WantKind, WantList},
	exchange::{
		service::{Config, RangeError},
		wire::{Answer, CloseReason, Range, Request, Response, WalkEnd, PROTOCOL},
	},
	peers::Offence,
	PeerId,
};
use futures::AsyncWriteExt;
use std::time::Duration;

/// Waits until a node has banned a peer.
async fn until_banned(node: &Node, peer: PeerId) {
	within("the ban", async {
		while !node.host.peers().is_banned(&peer) {
			tokio::time::sleep(Duration::from_millis(5)).await;
		}
	})
	.await;
}

/// Answers every want with a block of other bytes.
async fn lie_in_bitswap(mut liar: Stranger) {
	loop {
		let mut inbound = liar.accept().await;
		let control = liar.control.clone();
		tokio::spawn(async move {
			while let Some(frame) = read_frame(&mut inbound.stream).await {
				let wants = Message::decode(frame).unwrap().wants.wants;
				let lies = wants
					.iter()
					.map(|want| Block::encode(Codec::Raw, [b"not ", &want.cid.to_bytes()[..]].concat()));
				let answer = Outgoing {
					blocks: lies.collect(),
					..Outgoing::default()
				};
				let Some(bytes) = answer.encode(Version::V1_2) else {
					continue;
				};
				// The connection ends with the ban.
				let Ok((mut stream, _)) = control.open(inbound.peer, &[bitswap_wire::V1_2]).await else {
					return;
				};
				let _ = stream.write_all(&bytes).await;
				let _ = stream.close().await;
			}
		});
	}
}

/// Answers every want with other bytes, and a walk with its root and then something else.
async fn lie_natively(mut liar: Stranger) {
	loop {
		let mut inbound = liar.accept().await;
		tokio::spawn(async move {
			while let Some(frame) = read_frame(&mut inbound.stream).await {
				let mut bytes = Vec::new();
				match Request::decode(&frame).unwrap() {
					Request::Want { id, cids, .. } => {
						for id in id..id + cids.len() as u32 {
							let data = Bytes::from_static(b"not the block");
							let size = data.len() as u32;
							Response::Block { id, size, data }.encode(&mut bytes);
						}
					}
					Request::Walk { id, .. } => {
						let lie = Block::encode(Codec::Raw, &b"not the root"[..]);
						let response = Response::WalkBlock {
							id,
							cid: *lie.cid(),
							size: lie.data().len() as u32,
							data: lie.bytes().clone(),
						};
						response.encode(&mut bytes);
					}
					Request::Cancel { .. } => {}
				}
				if inbound.stream.write_all(&bytes).await.is_err() || inbound.stream.flush().await.is_err() {
					return;
				}
			}
		});
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_is_banned_and_the_rest_completes() {
	let mut rng = seeded();
	let (root, all, _) = file(&mut rng, 1 << 20);
	for config in [native(), bitswap()] {
		let liar = Stranger::start(&mut rng, config.protocols()).await;
		let honest = Node::start(&mut rng, config.clone(), &all).await;
		let leecher = Node::start(&mut rng, config.clone(), &[]).await;
		leecher.connect(&liar.host).await;
		leecher.connect(&honest.host).await;
		let id = liar.id();
		let lying = if config.native {
			tokio::spawn(lie_natively(liar))
		} else {
			tokio::spawn(lie_in_bitswap(liar))
		};
		// With the liar alone nothing comes, and it is banned.
		let (found, joins) = futures::channel::mpsc::unbounded();
		found.unbounded_send(id).unwrap();
		let fetcher = leecher.fetcher();
		let fetch = tokio::spawn(async move { fetcher.dag(root, Box::pin(joins), soon()).await });
		until_banned(&leecher, id).await;
		found.unbounded_send(honest.id()).unwrap();
		within("the rest", fetch).await.unwrap().unwrap();
		assert!(leecher.has(&all));
		assert_eq!(leecher.store.len(), all.len(), "nothing else was stored");
		lying.abort();
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lie_in_a_range_is_an_offence() {
	let mut rng = seeded();
	let (root, ..) = file(&mut rng, 100_000);
	let liar = Stranger::start(&mut rng, [PROTOCOL]).await;
	let leecher = Node::start(&mut rng, native(), &[]).await;
	leecher.connect(&liar.host).await;
	let id = liar.id();
	let lying = tokio::spawn(lie_natively(liar));
	let range = Range::Bytes {
		root,
		start: 0,
		len: 1,
	};
	let failed = within("the lie", leecher.exchange.range(id, range, soon())).await;
	assert!(matches!(failed, Err(RangeError::Offence { .. })), "{failed:?}");
	assert!(leecher.store.is_empty());
	let standing = leecher.host.peers().standing(&id).unwrap();
	// At the time of the last strike.
	let strikes = standing.strikes(Duration::ZERO, Duration::from_secs(1));
	assert_eq!(strikes, Offence::BadBlock.strikes());
	lying.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_wants_is_bounded_and_ends_in_a_ban() {
	let mut rng = seeded();
	let (root, all, _) = file(&mut rng, 500_000);
	let node = Node::start(&mut rng, Config::default(), &all).await;
	let flooder = Stranger::start(&mut rng, Version::protocols()).await;
	flooder
		.host
		.connect(node.host.address().await.unwrap())
		.await
		.unwrap();
	let (mut stream, _) = flooder
		.control
		.open(node.id(), &[bitswap_wire::V1_2])
		.await
		.unwrap();
	let flood = tokio::spawn(async move {
		for round in 0..1000u32 {
			let wants = (0..1000u32).map(|place| Want {
				cid: *Block::encode(Codec::Raw, (round * 1000 + place).to_be_bytes().to_vec()).cid(),
				priority: 1,
				kind: WantKind::Block,
				send_dont_have: false,
			});
			let message = Outgoing {
				wants: WantList {
					wants: wants.collect(),
					..WantList::default()
				},
				..Outgoing::default()
			};
			let bytes = message.encode(Version::V1_2).unwrap();
			if stream.write_all(&bytes).await.is_err() {
				return;
			}
		}
	});
	let leecher = Node::start(&mut rng, Config::default(), &[]).await;
	leecher.connect(&node.host).await;
	within(
		"the other peer's fetch",
		leecher.fetcher().dag(root, providers(&[node.id()]), soon()),
	)
	.await
	.unwrap();
	until_banned(&node, flooder.id()).await;
	until(&node, "the flooder to be forgotten", |status| {
		status.bitswap_peers == 0
	})
	.await;
	flood.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_holds_little_and_is_given_up() {
	let mut rng = seeded();
	let large: Vec<_> = (0..40u8)
		.map(|number| Block::encode(Codec::Raw, vec![number; 1 << 20]))
		.collect();
	let (root, small, _) = file(&mut rng, 500_000);
	let config = Config {
		stall: Duration::from_secs(2),
		..Config::default()
	};
	let all = [&large[..], &small[..]].concat();
	let node = Node::start(&mut rng, config, &all).await;
	let mut slow = Stranger::start(&mut rng, [bitswap_wire::V1_2, PROTOCOL]).await;
	slow.host
		.connect(node.host.address().await.unwrap())
		.await
		.unwrap();
	let wants = large.iter().map(|block| Want {
		cid: *block.cid(),
		priority: 1,
		kind: WantKind::Block,
		send_dont_have: true,
	});
	let message = Outgoing {
		wants: WantList {
			wants: wants.collect(),
			..WantList::default()
		},
		..Outgoing::default()
	};
	let bytes = message.encode(Version::V1_2).unwrap();
	let _sending = slow.open_and_write(node.id(), bitswap_wire::V1_2, &bytes).await;
	let mut request = Vec::new();
	let cids = large.iter().map(|block| *block.cid()).collect();
	let kind = cairn_network::exchange::wire::WantKind::Block;
	Request::Want { id: 0, kind, cids }.encode(&mut request);
	let _unread = slow.open_and_write(node.id(), PROTOCOL, &request).await;
	let _also_unread = slow.accept().await;
	// Others are served meanwhile.
	let leecher = Node::start(&mut rng, Config::default(), &[]).await;
	leecher.connect(&node.host).await;
	within(
		"the other peer's fetch",
		leecher.fetcher().dag(root, providers(&[node.id()]), soon()),
	)
	.await
	.unwrap();
	// Two messages in each protocol, of a block more than half a mebibyte.
	let held = node.sent() - leecher.received();
	assert!(held <= 8 << 20, "{held} bytes were read for a peer that does not");
	leecher.host.shutdown().await;
	until(&node, "the slow peer to be given up", |status| {
		(status.bitswap_peers, status.native_peers, status.jobs) == (0, 0, 0)
	})
	.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_messages_are_offences_in_every_protocol() {
	let mut rng = seeded();
	let too_long = [0xff, 0xff, 0xff, 0x7f];
	let garbage = [0x03, 0xff, 0xff, 0xff];
	for protocol in [PROTOCOL, bitswap_wire::V1_2, bitswap_wire::V1_0] {
		let node = Node::start(&mut rng, Config::default(), &[]).await;
		for bytes in [&too_long[..], &garbage[..]] {
			let peer = Stranger::start(&mut rng, []).await;
			peer.host
				.connect(node.host.address().await.unwrap())
				.await
				.unwrap();
			let _one = peer.open_and_write(node.id(), protocol.clone(), bytes).await;
			let _two = peer.open_and_write(node.id(), protocol.clone(), bytes).await;
			until_banned(&node, peer.id()).await;
		}
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_used_twice_closes_the_stream_with_a_reason() {
	let mut rng = seeded();
	let block = blocks(&mut rng, 1, 100).remove(0);
	let node = Node::start(&mut rng, native(), std::slice::from_ref(&block)).await;
	let peer = Stranger::start(&mut rng, []).await;
	peer.host
		.connect(node.host.address().await.unwrap())
		.await
		.unwrap();
	let want = |id, cid| {
		let mut bytes = Vec::new();
		let kind = cairn_network::exchange::wire::WantKind::Block;
		Request::Want {
			id,
			kind,
			cids: vec![cid],
		}
		.encode(&mut bytes);
		bytes
	};
	let absent = *blocks(&mut rng, 1, 100)[0].cid();
	let mut stream = peer
		.open_and_write(node.id(), PROTOCOL, &want(5, *block.cid()))
		.await;
	let mut answer =
		async || Response::decode(&within("an answer", read_frame(&mut stream)).await.unwrap()).unwrap();
	assert!(matches!(answer().await, Response::Block { id: 5, data, .. } if data == block.data()));
	stream.write_all(&want(6, absent)).await.unwrap();
	stream.flush().await.unwrap();
	let mut answer =
		async || Response::decode(&within("an answer", read_frame(&mut stream)).await.unwrap()).unwrap();
	let refusal = Response::Answers {
		id: 6,
		answers: vec![Some(Answer::DontHave)],
	};
	assert_eq!(answer().await, refusal);
	let mut walk = Vec::new();
	let range = Range::Bytes {
		root: absent,
		start: 0,
		len: 1,
	};
	Request::Walk { id: 7, range }.encode(&mut walk);
	stream.write_all(&walk).await.unwrap();
	stream.flush().await.unwrap();
	let mut answer =
		async || Response::decode(&within("an answer", read_frame(&mut stream)).await.unwrap()).unwrap();
	let end = Response::WalkEnd {
		id: 7,
		end: WalkEnd::Missing(absent),
	};
	assert_eq!(answer().await, end);
	stream.write_all(&want(7, absent)).await.unwrap();
	stream.flush().await.unwrap();
	let mut answer =
		async || Response::decode(&within("an answer", read_frame(&mut stream)).await.unwrap()).unwrap();
	let closed = answer().await;
	assert!(
		matches!(
			closed,
			Response::Close {
				reason: CloseReason::Violation,
				..
			}
		),
		"{closed:?}"
	);
	assert!(within("the end", read_frame(&mut stream)).await.is_none());
}
