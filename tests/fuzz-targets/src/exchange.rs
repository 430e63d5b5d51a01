//! What peers of the network send: Bitswap's messages, frames of the native exchange.

use crate::Seed;
use bytes::Bytes;
use cairn_dag::{varint, Block, Cid, Codec};
use cairn_network::{
	bitswap::wire::{Message, Outgoing, Presence, Version, Want, WantKind as BitswapWantKind, WantList},
	exchange::wire::{Answer, CloseReason, Range, Request, Response, WalkEnd, WantKind},
};

/// Reads a Bitswap message. What was understood of it, written again, means the same.
pub fn bitswap_message(data: &[u8]) {
	let Ok(message) = Message::decode(Bytes::copy_from_slice(data)) else {
		return;
	};
	let Message {
		wants,
		blocks,
		presences,
		pending_bytes,
	} = message;
	// Those of which the CID cannot be computed are none.
	let blocks: Vec<Block> = blocks
		.into_iter()
		.filter_map(|block| block.into_block().ok())
		.collect();
	for block in &blocks {
		assert!(Block::new(*block.cid(), block.bytes().clone()).is_ok());
	}
	let again = Outgoing {
		wants,
		blocks,
		presences,
		pending_bytes,
	};
	let Some(framed) = again.encode(Version::V1_2) else {
		assert!(again.is_empty(), "a message that cannot be written");
		return;
	};
	let frame = behind_its_length(&framed);
	let read = Message::decode(Bytes::copy_from_slice(frame)).expect("an own message");
	assert_eq!(read.wants, again.wants);
	assert_eq!(read.presences, again.presences);
	let cids = read
		.blocks
		.into_iter()
		.map(|block| block.into_block().map(|block| *block.cid()).ok());
	assert!(cids.eq(again.blocks.iter().map(|block| Some(*block.cid()))));
}

/// Reads a frame as a request and as a response. Each has one encoding.
pub fn exchange_frame(data: &[u8]) {
	let written = |encode: &dyn Fn(&mut Vec<u8>)| {
		let mut framed = Vec::new();
		encode(&mut framed);
		behind_its_length(&framed).to_vec()
	};
	if let Ok(request) = Request::decode(data) {
		let frame = written(&|out| request.encode(out));
		assert_eq!(Request::decode(&frame).as_ref(), Ok(&request));
	}
	if let Ok(response) = Response::decode(&Bytes::copy_from_slice(data)) {
		let frame = Bytes::from(written(&|out| response.encode(out)));
		assert_eq!(Response::decode(&frame).as_ref(), Ok(&response));
	}
}

fn behind_its_length(framed: &[u8]) -> &[u8] {
	let (len, used) = varint::decode(framed).expect("an own frame has a length");
	let frame = &framed[used..];
	assert_eq!(len, frame.len() as u64);
	frame
}

fn block(text: &'static str) -> Block {
	Block::encode(Codec::Raw, text.as_bytes())
}

pub(crate) fn bitswap_seeds() -> Vec<Seed> {
	let cid = |text| *block(text).cid();
	let want = |text, kind| Want {
		cid: cid(text),
		priority: 1,
		kind,
		send_dont_have: true,
	};
	let wants = Outgoing {
		wants: WantList {
			full: true,
			wants: vec![
				want("one", BitswapWantKind::Have),
				want("two", BitswapWantKind::Block),
			],
			cancels: vec![cid("three")],
		},
		..Outgoing::default()
	};
	let answers = Outgoing {
		blocks: vec![block("one"), block("two")],
		presences: vec![
			Presence {
				cid: cid("three"),
				have: true,
			},
			Presence {
				cid: cid("four"),
				have: false,
			},
		],
		pending_bytes: 1000,
		..Outgoing::default()
	};
	let frame = |message: &Outgoing, version| {
		let framed = message.encode(version).unwrap_or_default();
		behind_its_length(&framed).to_vec()
	};
	vec![
		("wants", frame(&wants, Version::V1_2)),
		("answers", frame(&answers, Version::V1_2)),
		("wants_1_0", frame(&wants, Version::V1_0)),
		("answers_1_1", frame(&answers, Version::V1_1)),
	]
}

pub(crate) fn exchange_seeds() -> Vec<Seed> {
	let cid: Cid = *block("one").cid();
	let request = |request: Request| {
		let mut framed = Vec::new();
		request.encode(&mut framed);
		behind_its_length(&framed).to_vec()
	};
	let response = |response: Response| {
		let mut framed = Vec::new();
		response.encode(&mut framed);
		behind_its_length(&framed).to_vec()
	};
	let data = || Bytes::from_static(b"one");
	vec![
		(
			"want",
			request(Request::Want {
				id: 1,
				kind: WantKind::Block,
				cids: vec![cid, *block("two").cid()],
			}),
		),
		("cancel", request(Request::Cancel { id: 1, count: 2 })),
		(
			"walk_bytes",
			request(Request::Walk {
				id: 3,
				range: Range::Bytes {
					root: cid,
					start: 0,
					len: 1 << 20,
				},
			}),
		),
		(
			"walk_leaves",
			request(Request::Walk {
				id: 4,
				range: Range::Leaves {
					tree: cid,
					start: 7,
					len: u64::MAX,
				},
			}),
		),
		(
			"block",
			response(Response::Block {
				id: 1,
				size: 3,
				data: data(),
			}),
		),
		("more", response(Response::More { data: data() })),
		(
			"answers",
			response(Response::Answers {
				id: 1,
				answers: vec![
					Some(Answer::Have),
					None,
					Some(Answer::DontHave),
					Some(Answer::Later),
				],
			}),
		),
		(
			"walk_block",
			response(Response::WalkBlock {
				id: 3,
				cid,
				size: 3,
				data: data(),
			}),
		),
		(
			"walk_end",
			response(Response::WalkEnd {
				id: 3,
				end: WalkEnd::Missing(cid),
			}),
		),
		(
			"close",
			response(Response::Close {
				reason: CloseReason::Malformed,
				text: "no frame".into(),
			}),
		),
	]
}
