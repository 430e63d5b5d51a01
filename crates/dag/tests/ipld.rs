//! The IPLD data model: what the JavaScript codecs write is read, with the same links. The values and
//! the script that encodes them are in `tests/interop`.

#![cfg(all(feature = "dag-cbor", feature = "dag-json"))]

mod fixtures;
use cairn_dag::{
	walk::{follow, walk, PathError, Scope},
	Block, BlockSink, Cid, Codec, CodecError, MemoryBlocks,
};
use cairn_test_random::{below, rng};
use fixtures::named_links;
use rand_core::RngCore;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
	cid: String,
	block: String,
	links: Vec<GoldenLink>,
}

#[derive(Deserialize)]
struct GoldenLink {
	path: String,
	cid: String,
}

fn golden() -> Vec<(Block, Vec<(String, Cid)>)> {
	let golden: Vec<Golden> = serde_json::from_str(include_str!("golden/ipld.json")).unwrap();
	golden
		.into_iter()
		.map(|entry| {
			let block = Block::new(entry.cid.parse().unwrap(), hex::decode(entry.block).unwrap());
			let links = entry.links.into_iter();
			let links = links.map(|link| (link.path, link.cid.parse().unwrap()));
			(block.unwrap(), links.collect())
		})
		.collect()
}

#[test]
fn links_are_those_that_javascript_wrote() {
	let mut seen = [0; 3];
	for (block, links) in golden() {
		assert_eq!(
			named_links(&block),
			links,
			"{}",
			String::from_utf8_lossy(block.data())
		);
		seen[match Codec::of(block.cid()).unwrap() {
			Codec::DagCbor => 0,
			Codec::DagJson => 1,
			_ => 2,
		}] += 1;
	}
	assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
}

/// CIDs of dag-cbor that are well known: an empty map, and null.
#[test]
fn well_known_values() {
	for (bytes, cid) in [
		(
			"a0",
			"bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua",
		),
		(
			"f6",
			"bafyreifqwkmiw256ojf2zws6tzjeonw6bpd5vza4i22ccpcq4hjv2ts7cm",
		),
	] {
		let block = Block::encode(Codec::DagCbor, hex::decode(bytes).unwrap());
		assert_eq!(block.cid().to_string(), cid);
		assert_eq!(named_links(&block), []);
	}
}

/// A graph that leads from one codec to another and back.
#[test]
fn graphs_of_mixed_codecs() {
	let mut store = MemoryBlocks::new();
	let mut put = |codec, bytes: Vec<u8>| {
		let block = Block::encode(codec, bytes);
		let cid = *block.cid();
		store.put(block).unwrap();
		cid
	};
	let leaf = put(Codec::Raw, b"leaf".to_vec());
	let cbor_link = |cid: &Cid| {
		let cid = cid.to_bytes();
		[&[0xd8, 0x2a, 0x58, cid.len() as u8 + 1, 0][..], &cid].concat()
	};
	// {"list": [1, link]}
	let cbor = put(
		Codec::DagCbor,
		[&b"\xa1\x64list\x82\x01"[..], &cbor_link(&leaf)].concat(),
	);
	let json = put(
		Codec::DagJson,
		format!(r#"{{ "b": {{"/": "{cbor}"}}, "a": [[{{"/": "{leaf}"}}]] }}"#).into_bytes(),
	);
	// A block that is nothing but a link.
	let only = put(Codec::DagCbor, cbor_link(&json));
	assert_eq!(
		walk(&store, only, Scope::All)
			.map(|block| *block.unwrap().cid())
			.collect::<Vec<_>>(),
		[only, json, cbor, leaf]
	);
	for path in ["b/list/1", "a/0/0"] {
		assert_eq!(follow(&store, &only, path).unwrap().cid, leaf, "{path}");
	}
	for path in ["b/list/0", "b/list/2", "b/list/01", "b", "a/0", "c", "b/list/1/x"] {
		let found = follow(&store, &json, path);
		match path {
			"b" => assert_eq!(found.unwrap().cid, cbor),
			_ => assert!(
				matches!(found, Err(PathError::NotFound { .. })),
				"{path}: {found:?}"
			),
		}
	}
}

/// A value that is written by hand, canonically, nested at random.
fn value(rng: &mut impl RngCore, depth: usize, out: &mut Vec<u8>) {
	let kinds = if depth == 0 { 8 } else { 10 };
	match below(rng, kinds) {
		0 => head(0, rng.next_u64() >> below(rng, 64), out),
		1 => head(1, rng.next_u64() >> below(rng, 64), out),
		2 => {
			let len = below(rng, 40);
			head(2, len, out);
			out.extend(cairn_test_random::bytes(rng, len as usize));
		}
		3 => text(&"\u{e9}".repeat(below(rng, 20) as usize), out),
		4 => out.push([0xf4, 0xf5, 0xf6][below(rng, 3) as usize]),
		5 => {
			out.push(0xfb);
			out.extend((below(rng, 1000) as f64 / 7.0).to_be_bytes());
		}
		6 | 7 => {
			let target = Block::encode(Codec::Raw, rng.next_u32().to_be_bytes().to_vec());
			head(6, 42, out);
			head(2, 37, out);
			out.push(0);
			out.extend(target.cid().to_bytes());
		}
		8 => {
			let len = below(rng, 6);
			head(4, len, out);
			(0..len).for_each(|_| value(rng, depth - 1, out));
		}
		_ => {
			let len = below(rng, 6);
			head(5, len, out);
			for index in 0..len {
				text(&"k".repeat(index as usize), out);
				value(rng, depth - 1, out);
			}
		}
	}
}

fn text(text: &str, out: &mut Vec<u8>) {
	head(3, text.len() as u64, out);
	out.extend(text.bytes());
}

fn head(major: u8, value: u64, out: &mut Vec<u8>) {
	let major = major << 5;
	match value {
		0..=23 => out.push(major | value as u8),
		24..=0xff => out.extend([major | 24, value as u8]),
		0x100..=0xffff => {
			out.push(major | 25);
			out.extend((value as u16).to_be_bytes());
		}
		0x1_0000..=0xffff_ffff => {
			out.push(major | 26);
			out.extend((value as u32).to_be_bytes());
		}
		_ => {
			out.push(major | 27);
			out.extend(value.to_be_bytes());
		}
	}
}

/// Whatever is read is also read by the library that other crates decode with, gives the same links
/// there, and is written back by it to the same bytes.
#[test]
fn agrees_with_the_decoder() {
	let mut rng = rng();
	let mut accepted = 0;
	for _ in 0..3000 {
		let mut bytes = Vec::new();
		value(&mut rng, 4, &mut bytes);
		let canonical = bytes.clone();
		assert!(
			Codec::DagCbor.validate(&canonical).is_ok(),
			"{}",
			hex::encode(&canonical)
		);
		if below(&mut rng, 2) == 0 {
			let at = below(&mut rng, bytes.len() as u64) as usize;
			bytes[at] = rng.next_u32() as u8;
		}
		let mut links = Vec::new();
		if Codec::DagCbor.links(&bytes, &mut links).is_err() {
			continue;
		}
		accepted += 1;
		let decoded: ipld_core::ipld::Ipld = serde_ipld_dagcbor::from_slice(&bytes)
			.unwrap_or_else(|error| panic!("{error}: {}", hex::encode(&bytes)));
		assert_eq!(
			hex::encode(serde_ipld_dagcbor::to_vec(&decoded).unwrap()),
			hex::encode(&bytes)
		);
		let mut expected = Vec::new();
		decoded.references(&mut expected);
		expected.sort();
		links.sort();
		assert_eq!(links, expected);
	}
	assert!(accepted > 1500, "{accepted}");
}

fn refused(codec: Codec, bytes: &[u8]) -> &'static str {
	let mut links = Vec::new();
	match codec.links(bytes, &mut links) {
		Err(CodecError::Malformed { codec: name, reason }) => {
			assert_eq!(name, codec.name());
			assert_eq!(links, []);
			reason
		}
		other => panic!("{other:?} for {}", hex::encode(bytes)),
	}
}

#[test]
fn every_cut_is_refused() {
	for (block, _) in golden() {
		let codec = Codec::of(block.cid()).unwrap();
		if codec == Codec::DagPb {
			continue;
		}
		for len in 0..block.data().len() {
			// A number in JSON is also one without its last digits.
			let digits = block.data()[..len].last().is_some_and(u8::is_ascii_digit);
			if codec == Codec::DagCbor || !digits {
				refused(codec, &block.data()[..len]);
			}
		}
		refused(codec, &[block.data(), b"\xf6"].concat());
	}
}

#[test]
fn deep_nesting() {
	let nested = |open: &[u8], close: &[u8], depth: usize| {
		[open.repeat(depth), b"\x80".to_vec(), close.repeat(depth)].concat()
	};
	assert!(Codec::DagCbor.validate(&nested(b"\x81", b"", 1023)).is_ok());
	assert_eq!(
		refused(Codec::DagCbor, &nested(b"\x81", b"", 1024)),
		"nested too deeply"
	);
	assert_eq!(
		refused(Codec::DagCbor, &nested(b"\x81", b"", 2_000_000)),
		"nested too deeply"
	);
	let json = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
	assert!(Codec::DagJson.validate(json(100).as_bytes()).is_ok());
	refused(Codec::DagJson, json(200).as_bytes());
	refused(Codec::DagJson, "[".repeat(2_000_000).as_bytes());
	refused(Codec::DagJson, "{\"a\":".repeat(2_000_000).as_bytes());
}
