//! Frames byte by byte: the examples of `docs/src/exchange.md`.

use super::*;
use bytes::Bytes;
use cairn_dag::{Block, Codec};

fn hello() -> Block {
	Block::encode(Codec::Raw, &b"hello"[..])
}

/// CIDv1, raw, SHA-256 of "hello".
const HELLO: &str = "015512202cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn unframe(framed: &[u8]) -> Bytes {
	let (len, used) = varint::decode(framed).unwrap();
	assert_eq!(len as usize, framed.len() - used);
	Bytes::copy_from_slice(&framed[used..])
}

#[test]
fn golden_requests() {
	let cid = *hello().cid();
	let golden = [
		(
			Request::Want {
				id: 300,
				kind: WantKind::Block,
				cids: vec![cid],
			},
			format!("2901ac020001{HELLO}"),
		),
		(
			Request::Want {
				id: 0,
				kind: WantKind::Have,
				cids: vec![cid, cid],
			},
			format!("4c01000102{HELLO}{HELLO}"),
		),
		(Request::Cancel { id: 300, count: 2 }, "0402ac0202".to_owned()),
		(
			Request::Walk {
				id: 7,
				range: Range::Bytes {
					root: cid,
					start: 0,
					len: 1 << 20,
				},
			},
			format!("2a0307{HELLO}00808040"),
		),
		(
			Request::Walk {
				id: 8,
				range: Range::Leaves {
					tree: cid,
					start: 16,
					len: u64::MAX,
				},
			},
			format!("310408{HELLO}10ffffffffffffffffff01"),
		),
	];
	for (request, bytes) in golden {
		let mut encoded = Vec::new();
		request.encode(&mut encoded);
		assert_eq!(hex::encode(&encoded), bytes, "{request:?}");
		assert_eq!(Request::decode(&unframe(&encoded)), Ok(request));
	}
}

#[test]
fn golden_responses() {
	let cid = *hello().cid();
	let data = Bytes::from_static(b"hello");
	let golden = [
		(
			Response::Block {
				id: 300,
				size: 5,
				data: data.clone(),
			},
			"0910ac020568656c6c6f".to_owned(),
		),
		(
			Response::More {
				data: Bytes::from_static(b"lo"),
			},
			"03116c6f".to_owned(),
		),
		(
			Response::Answers {
				id: 300,
				answers: vec![
					Some(Answer::Have),
					None,
					Some(Answer::DontHave),
					Some(Answer::Later),
					Some(Answer::Have),
				],
			},
			"0612ac0205e101".to_owned(),
		),
		(
			Response::WalkBlock {
				id: 7,
				cid,
				size: 5,
				data,
			},
			format!("2c1307{HELLO}0568656c6c6f"),
		),
		(
			Response::WalkEnd {
				id: 7,
				end: WalkEnd::Done,
			},
			"03140700".to_owned(),
		),
		(
			Response::WalkEnd {
				id: 7,
				end: WalkEnd::Missing(cid),
			},
			format!("27140701{HELLO}"),
		),
		(
			Response::WalkEnd {
				id: 7,
				end: WalkEnd::Later,
			},
			"03140702".to_owned(),
		),
		(
			Response::WalkEnd {
				id: 7,
				end: WalkEnd::Unusable,
			},
			"03140703".to_owned(),
		),
		(
			Response::Close {
				reason: CloseReason::Violation,
				text: "no".to_owned(),
			},
			"041f026e6f".to_owned(),
		),
	];
	for (response, bytes) in golden {
		let mut encoded = Vec::new();
		response.encode(&mut encoded);
		assert_eq!(hex::encode(&encoded), bytes, "{response:?}");
		assert_eq!(Response::decode(&unframe(&encoded)), Ok(response));
	}
}

#[test]
fn large_blocks_take_several_frames() {
	for len in [0, 1, MAX_DATA, MAX_DATA + 1, 3 * MAX_DATA, MAX_BLOCK] {
		let block = Block::encode(Codec::Raw, vec![7; len]);
		for in_walk in [false, true] {
			let mut read = Vec::new();
			for (place, (head, data)) in block_frames(Id::MAX, &block, in_walk).into_iter().enumerate() {
				let frame = unframe(&[&head[..], &data[..]].concat());
				assert!(frame.len() <= MAX_FRAME);
				let (size, data) = match Response::decode(&frame).unwrap() {
					Response::Block { size, data, .. } if place == 0 && !in_walk => (size as usize, data),
					Response::WalkBlock { size, data, cid, .. } if place == 0 && in_walk => {
						assert_eq!(&cid, block.cid());
						(size as usize, data)
					}
					Response::More { data } if place > 0 => (len, data),
					other => panic!("{other:?}"),
				};
				assert_eq!(size, len);
				read.extend_from_slice(&data);
			}
			assert_eq!(read, block.data());
		}
	}
}

#[test]
fn hostile_frames_are_refused() {
	let decode = |bytes: &str| Request::decode(&hex::decode(bytes).unwrap()).unwrap_err();
	let value = |field| FrameError::Value { field };
	assert_eq!(decode(""), FrameError::Truncated);
	assert_eq!(decode("10"), FrameError::Type { kind: 0x10 });
	assert_eq!(decode("0100"), FrameError::Truncated);
	assert_eq!(decode("01000000"), value("number of CIDs"));
	assert_eq!(decode("0100008108"), value("number of CIDs"));
	assert_eq!(decode(&format!("01000201{HELLO}")), value("kind"));
	assert_eq!(decode(&format!("01000002{HELLO}")), value("CID"));
	assert_eq!(
		decode(&format!("01000001{HELLO}00")),
		FrameError::Trailing { len: 1 }
	);
	// Numbers run over.
	assert_eq!(
		decode(&format!("01ffffffff0f0002{HELLO}{HELLO}")),
		value("number")
	);
	assert_eq!(decode("02808080801001"), value("number"));
	assert_eq!(
		decode("0200"),
		FrameError::Integer(varint::VarintError::Truncated)
	);
	assert_eq!(decode("020000"), value("number of wants"));
	assert_eq!(decode(&format!("0300{HELLO}0000")), value("length"));
	let decode = |bytes: &str| Response::decode(&hex::decode(bytes).unwrap().into()).unwrap_err();
	assert_eq!(decode("01"), FrameError::Type { kind: 1 });
	assert_eq!(decode("11"), value("data"));
	// More data than the size says, none of some, and a block that is too large.
	assert_eq!(decode("1000016869"), value("size"));
	assert_eq!(decode("100001"), value("size"));
	assert_eq!(decode("100081808002ff"), value("size"));
	// Answers behind the last.
	assert_eq!(decode("12000104"), value("answers"));
	assert_eq!(decode("1200010100"), FrameError::Trailing { len: 1 });
	assert_eq!(decode("12000501"), FrameError::Truncated);
	assert_eq!(decode("1200810801"), value("number of answers"));
	assert_eq!(decode("140004"), value("end"));
	assert_eq!(
		Request::decode(&vec![0; MAX_FRAME + 1]),
		Err(FrameError::TooLong { len: MAX_FRAME + 1 })
	);
	let long = [vec![0x1f, 1], vec![b'x'; MAX_TEXT + 1]].concat();
	assert_eq!(Response::decode(&long.into()), Err(value("text")));
}
