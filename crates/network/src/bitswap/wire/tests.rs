//! Messages byte by byte. The golden ones were made by hand from the schema, and helia reads them as they are
//! meant.

use super::*;
use bytes::Bytes;
use cairn_dag::{block::BlockError, varint, Block, Codec, HashFunction};

fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
	Message::decode(Bytes::copy_from_slice(bytes))
}

/// Takes the length off, which must be right.
fn unframe(framed: &[u8]) -> &[u8] {
	let (len, used) = varint::decode(framed).unwrap();
	assert_eq!(len as usize, framed.len() - used);
	&framed[used..]
}

fn hello() -> Block {
	Block::encode(Codec::Raw, &b"hello"[..])
}

/// CIDv1, raw, SHA-256 of "hello".
const HELLO: &str = "015512202cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[test]
fn golden_wants() {
	let cid = *hello().cid();
	let message = Outgoing {
		wants: WantList {
			full: true,
			wants: vec![Want {
				cid,
				priority: 1,
				kind: WantKind::Have,
				send_dont_have: true,
			}],
			cancels: vec![],
		},
		..Outgoing::default()
	};
	let framed = message.encode(Version::V1_2).unwrap();
	// Length; wantlist; entry; CID; priority 1; want type 1; send don't have; full.
	let expected = format!("320a300a2c0a24{HELLO}1001200128011001");
	assert_eq!(hex::encode(&framed), expected);
	let read = decode(unframe(&framed)).unwrap();
	assert_eq!(read.wants, message.wants);
	assert!(read.blocks.is_empty() && read.presences.is_empty());
}

#[test]
fn golden_answer() {
	let block = hello();
	let absent = *Block::encode(Codec::Raw, &b"absent"[..]).cid();
	let message = Outgoing {
		blocks: vec![block.clone()],
		presences: vec![Presence {
			cid: absent,
			have: false,
		}],
		pending_bytes: 300,
		..Outgoing::default()
	};
	let framed = message.encode(Version::V1_2).unwrap();
	let expected = format!(
		"{}0a00{}{}{}",
		// Length; an empty list of wants, as boxo sends it.
		"3e",
		// Payload: prefix 1, 0x55, 0x12, 32, and the data.
		format_args!("1a0d0a04015512201205{}", hex::encode("hello")),
		// Presence: CID, type 1.
		format_args!("22280a24{}1001", hex::encode(absent.to_bytes())),
		// Pending bytes.
		"28ac02",
	);
	assert_eq!(hex::encode(&framed), expected);
	let read = decode(unframe(&framed)).unwrap();
	assert_eq!(read.pending_bytes, 300);
	assert_eq!(read.presences, message.presences);
	let blocks: Vec<_> = read
		.blocks
		.into_iter()
		.map(|payload| payload.into_block().unwrap())
		.collect();
	assert_eq!(blocks, [block]);
}

#[test]
fn reads_what_helia_writes() {
	// From `BitswapMessage.encode` of @helia/bitswap 4.0.19, which writes out some defaults.
	let wants = format!(
		"0a600a2e0a24{HELLO}10011800200028010a2c0a24{HELLO}1005180120011000",
		HELLO = HELLO
	);
	let read = decode(&hex::decode(wants).unwrap()).unwrap();
	let cid = *hello().cid();
	let expected = WantList {
		full: false,
		wants: vec![Want {
			cid,
			priority: 1,
			kind: WantKind::Block,
			send_dont_have: true,
		}],
		cancels: vec![cid],
	};
	assert_eq!(read.wants, expected);
	let answer = format!(
		"0a0210011a0d0a0401551220120568656c6c6f22260a24{HELLO}22280a24{HELLO}10012807",
		HELLO = HELLO
	);
	let read = decode(&hex::decode(answer).unwrap()).unwrap();
	assert!(read.wants.full && read.wants.wants.is_empty());
	assert_eq!(read.blocks[0].clone().into_block().unwrap(), hello());
	let presences = [true, false].map(|have| Presence { cid, have });
	assert_eq!((read.presences, read.pending_bytes), (presences.to_vec(), 7));
}

#[test]
fn cids_of_version_0_have_a_prefix_of_their_own() {
	let block = Block::encode_v0(&b"\x0a\x02\x08\x01"[..]);
	let message = Outgoing {
		blocks: vec![block.clone()],
		..Outgoing::default()
	};
	let framed = message.encode(Version::V1_2).unwrap();
	assert!(
		hex::encode(&framed).contains("0a0400701220"),
		"version 0, dag-pb, SHA-256, 32 bytes"
	);
	let read = decode(unframe(&framed)).unwrap();
	assert_eq!(read.blocks[0].clone().into_block().unwrap(), block);
	// In Bitswap 1.0 blocks have no prefix.
	let framed = message.encode(Version::V1_0).unwrap();
	assert_eq!(hex::encode(&framed), "080a0012040a020801");
	let read = decode(unframe(&framed)).unwrap();
	assert_eq!(read.blocks[0].clone().into_block().unwrap(), block);
}

#[test]
fn old_versions_are_told_what_they_understand() {
	let cid = *hello().cid();
	let want = |kind| Want {
		cid,
		priority: 3,
		kind,
		send_dont_have: false,
	};
	let have = Outgoing {
		wants: WantList {
			wants: vec![want(WantKind::Have)],
			..WantList::default()
		},
		presences: vec![Presence { cid, have: true }],
		..Outgoing::default()
	};
	assert_eq!(have.encode(Version::V1_1), None);
	assert_eq!(have.encode(Version::V1_0), None);
	let block = Outgoing {
		wants: WantList {
			wants: vec![want(WantKind::Block)],
			..WantList::default()
		},
		..Outgoing::default()
	};
	for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
		let read = decode(unframe(&block.encode(version).unwrap())).unwrap();
		assert_eq!(read.wants, block.wants);
	}
	// A raw block would be taken for one of CIDv0.
	let raw = Outgoing {
		blocks: vec![hello()],
		..Outgoing::default()
	};
	assert_eq!(raw.encode(Version::V1_0), None);
	for (name, version) in [
		(V1_2, Version::V1_2),
		(V1_1, Version::V1_1),
		(V1_0, Version::V1_0),
	] {
		assert_eq!(Version::of(&name), Some(version));
	}
	assert_eq!(Version::of(&StreamProtocol::new("/ipfs/bitswap/2.0.0")), None);
}

#[test]
fn every_hash_function_makes_its_block() {
	for hash in [
		HashFunction::Sha2_256,
		HashFunction::Sha2_512,
		HashFunction::Keccak256,
		HashFunction::Blake3,
		HashFunction::Blake2b256,
	] {
		let block = Block::encode_with(Codec::DagCbor, hash, &b"\xa0"[..]);
		let message = Outgoing {
			blocks: vec![block.clone()],
			..Outgoing::default()
		};
		let read = decode(unframe(&message.encode(Version::V1_1).unwrap())).unwrap();
		assert_eq!(read.blocks[0].clone().into_block().unwrap(), block);
	}
	// SHA-1 is not trusted for dag-cbor, and MD5 not computed.
	let payload = |prefix: &str| {
		let block = format!("0a{:02x}{prefix}1201a0", prefix.len() / 2);
		hex::decode(format!("1a{:02x}{block}", block.len() / 2)).unwrap()
	};
	let read = decode(&payload("01711114")).unwrap();
	assert!(matches!(
		read.blocks[0].clone().into_block(),
		Err(BlockError::WeakHash { .. })
	));
	assert!(decode(&payload("0155d50110")).unwrap().blocks.is_empty());
	// A digest that is cut short is not either.
	assert!(decode(&payload("01551210")).unwrap().blocks.is_empty());
	for wrong in [
		"02551220",
		"0055122001",
		"00551220",
		"015512",
		"01550000",
		"",
		"0100",
	] {
		assert_eq!(decode(&payload(wrong)), Err(DecodeError::Prefix), "{wrong}");
	}
}

#[test]
fn hostile_messages_are_refused_before_they_cost_memory() {
	// Two bytes for each of two million empty entries.
	let entries = [0x0a, 0x00].repeat(MAX_MESSAGE / 2 - 8);
	let mut list = vec![0x0a];
	varint::encode(entries.len() as u64, &mut list);
	list.extend(entries);
	assert_eq!(decode(&list), Err(DecodeError::TooManyParts));
	for field in [0x12, 0x1a, 0x22, 0x0a] {
		assert_eq!(
			decode(&[field, 0].repeat(MAX_PARTS + 1)),
			Err(DecodeError::TooManyParts),
			"{field:#x}"
		);
	}
	assert_eq!(
		decode(&vec![0; MAX_MESSAGE + 1]),
		Err(DecodeError::TooLong { len: MAX_MESSAGE + 1 })
	);
	assert_eq!(decode(&[0x0a, 0x05, 0x0a]), Err(DecodeError::Truncated));
	assert_eq!(
		decode(&[0x0a, 0x04, 0x0a, 0x02, 0x0a, 0x00]),
		Err(DecodeError::Cid)
	);
	assert_eq!(decode(&[0x22, 0x02, 0x0a, 0x00]), Err(DecodeError::Cid));
	assert!(matches!(decode(&[0x0b]), Err(DecodeError::Protobuf(_))));
	// A CID with bytes behind it.
	let long = hex::decode(format!("22290a25{HELLO}00", HELLO = HELLO)).unwrap();
	assert!(decode(&long).is_err());
	assert_eq!(decode(&[]), Ok(Message::default()));
	// Unknown fields are skipped, unknown kinds of wants are wants for blocks.
	let odd = hex::decode(format!("0a280a260a24{HELLO}f80601")).unwrap();
	assert_eq!(decode(&odd).unwrap().wants.wants.len(), 1);
	let odd = hex::decode(format!("0a2a0a280a24{HELLO}2007")).unwrap();
	assert_eq!(decode(&odd).unwrap().wants.wants[0].kind, WantKind::Block);
}

#[test]
fn sizes_are_not_underestimated() {
	for len in [0, 1, 127, 128, 16_384, MAX_BLOCK] {
		let block = Block::encode(Codec::Raw, vec![7; len]);
		let empty = Outgoing {
			pending_bytes: u32::MAX,
			..Outgoing::default()
		};
		let message = Outgoing {
			blocks: vec![block],
			..empty
		};
		let encoded = message.encode(Version::V1_2).unwrap();
		// The length in front, the empty list and the pending bytes take sixteen at most.
		assert!(encoded.len() <= block_len(len) + 16, "{len}");
		assert!(unframe(&encoded).len() <= MAX_MESSAGE, "the largest block fits");
	}
}

#[test]
fn large_blocks_are_shared_and_read_as_if_they_were_copied() {
	for sizes in [&[0usize, 1, 16_383][..], &[16_384, 5, 200_000], &[300_000]] {
		let blocks = sizes.iter().map(|size| Block::encode(Codec::Raw, vec![7; *size]));
		let message = Outgoing {
			blocks: blocks.collect(),
			presences: vec![Presence {
				cid: *hello().cid(),
				have: true,
			}],
			..Outgoing::default()
		};
		let parts = message.encode_in_parts(Version::V1_2).unwrap();
		for block in message.blocks.iter().filter(|block| block.data().len() >= 16_384) {
			let is_it = |part: &Bytes| part.as_ptr() == block.data().as_ptr();
			assert!(
				parts.iter().any(is_it),
				"{} bytes were copied",
				block.data().len()
			);
		}
		let whole = message.encode(Version::V1_2).unwrap();
		assert_eq!(parts.concat(), whole);
		let read = decode(unframe(&whole)).unwrap();
		assert_eq!(read.presences, message.presences);
		let blocks = read.blocks.into_iter().map(|block| block.into_block().unwrap());
		assert_eq!(blocks.collect::<Vec<_>>(), message.blocks);
	}
}
