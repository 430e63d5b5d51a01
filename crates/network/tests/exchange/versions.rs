//! Peers that speak old versions of Bitswap.

use crate::nodes::{bitswap, providers, read_frame, seeded, soon, within, Node, Stranger};
use cairn_dag::{Block, Codec};
use cairn_network::bitswap::wire::{Message, Outgoing, Version, Want, WantKind, WantList, V1_0, V1_1, V1_2};
use futures::AsyncWriteExt;

fn blocks() -> [Block; 2] {
	[
		Block::encode_v0(&b"\x0a\x02\x08\x01"[..]),
		Block::encode(Codec::Raw, &b"raw"[..]),
	]
}

fn wants(blocks: &[Block], kind: WantKind) -> Outgoing {
	let wants = blocks.iter().map(|block| Want {
		cid: *block.cid(),
		priority: 1,
		kind,
		send_dont_have: false,
	});
	Outgoing {
		wants: WantList {
			full: true,
			wants: wants.collect(),
			cancels: vec![],
		},
		..Outgoing::default()
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_clients_are_served_in_their_version() {
	let mut rng = seeded();
	let all = blocks();
	let node = Node::start(&mut rng, bitswap(), &all).await;
	for (protocol, version, count) in [
		(V1_2, Version::V1_2, 2),
		(V1_1, Version::V1_1, 2),
		(V1_0, Version::V1_0, 1),
	] {
		let mut client = Stranger::start(&mut rng, [protocol.clone()]).await;
		client
			.host
			.connect(node.host.address().await.unwrap())
			.await
			.unwrap();
		let bytes = wants(&all[..count], WantKind::Block).encode(version).unwrap();
		let mut stream = client.open_and_write(node.id(), protocol.clone(), &bytes).await;
		stream.close().await.unwrap();
		let mut inbound = client.accept().await;
		assert_eq!(inbound.protocol, protocol);
		let mut came = Vec::new();
		while came.len() < count {
			let frame = within("a message", read_frame(&mut inbound.stream))
				.await
				.unwrap();
			let message = Message::decode(frame).unwrap();
			came.extend(
				message
					.blocks
					.into_iter()
					.map(|payload| payload.into_block().unwrap()),
			);
		}
		came.sort_by_key(|block| *block.cid());
		assert_eq!(came, all[..count], "{version:?}");
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_servers_are_asked_for_blocks_only() {
	let mut rng = seeded();
	let block = blocks()[0].clone();
	for (protocol, version) in [(V1_1, Version::V1_1), (V1_0, Version::V1_0)] {
		let mut server = Stranger::start(&mut rng, [protocol.clone()]).await;
		let node = Node::start(&mut rng, bitswap(), &[]).await;
		node.connect(&server.host).await;
		let fetcher = node.fetcher();
		let (cid, peer) = (*block.cid(), server.id());
		let fetch = tokio::spawn(async move { fetcher.block(cid, providers(&[peer]), soon()).await });
		let mut inbound = server.accept().await;
		assert_eq!(inbound.protocol, protocol);
		let frame = within("the want", read_frame(&mut inbound.stream)).await.unwrap();
		let message = Message::decode(frame).unwrap();
		assert_eq!(message.wants.wants.len(), 1);
		assert_eq!(
			(message.wants.wants[0].cid, message.wants.wants[0].kind),
			(cid, WantKind::Block)
		);
		let answer = Outgoing {
			blocks: vec![block.clone()],
			..Outgoing::default()
		};
		let bytes = answer.encode(version).unwrap();
		let _stream = server.open_and_write(node.id(), protocol, &bytes).await;
		assert_eq!(within("the block", fetch).await.unwrap().unwrap(), block);
	}
}
