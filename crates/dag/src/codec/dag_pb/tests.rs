use super::*;
use crate::{block::Block, codec::Codec};

fn decode(hex: &str) -> Result<PbNode, CodecError> {
	PbNode::decode(&Bytes::from(hex::decode(hex).unwrap()))
}

fn cid(text: &str) -> Cid {
	text.parse().unwrap()
}

/// Blocks and CIDs of `goCarV2Bytes` in ipld/js-car's test fixtures, which go-car wrote.
#[test]
fn published_blocks_round_trip() {
	let bytes =
		"122d0a221220d9c0d5376d26f1931f7ad52d7acc00fc1090d2edb0808bf61eeb0a152826f6261204f09f8da418a401";
	let node = decode(bytes).unwrap();
	assert_eq!(
		node,
		PbNode {
			links: vec![PbLink {
				cid: cid("QmczfirA7VEH7YVvKPTPoU69XM3qY4DC39nnTsWd4K3SkM"),
				name: Some("\u{1f364}".into()),
				tsize: Some(164),
			}],
			data: None,
		}
	);
	assert_eq!(hex::encode(node.encode()), bytes);
	assert_eq!(node.encoded_len(), bytes.len() / 2);
	let block = Block::encode_v0(hex::decode(bytes).unwrap());
	assert_eq!(
		block.cid().to_string(),
		"QmfEoLyB5NndqeKieExd1rtJzTduQUPEV8TwAYcUiy3H5Z"
	);
	assert_eq!(
		crate::links(&block).unwrap(),
		[cid("QmczfirA7VEH7YVvKPTPoU69XM3qY4DC39nnTsWd4K3SkM")]
	);
}

#[test]
fn empty_and_data_only_nodes() {
	assert_eq!(decode("").unwrap(), PbNode::default());
	assert_eq!(
		decode("0a00").unwrap(),
		PbNode {
			links: vec![],
			data: Some(Bytes::new())
		}
	);
	assert_eq!(decode("0a03010203").unwrap().data.unwrap(), &[1, 2, 3][..]);
	assert_eq!(PbNode::default().encode(), Vec::<u8>::new());
}

#[test]
fn encoding_sorts_by_name_bytes_and_keeps_equal_names_in_order() {
	let target = |text: &str| *Block::encode(Codec::Raw, text.as_bytes().to_vec()).cid();
	let link = |name: Option<&str>, to: &str| PbLink {
		cid: target(to),
		name: name.map(str::to_owned),
		tsize: Some(1),
	};
	let node = PbNode {
		links: vec![
			link(Some("b"), "1"),
			link(Some("a\u{e9}"), "2"),
			link(None, "3"),
			link(Some("b"), "0"),
		],
		data: None,
	};
	let decoded = PbNode::decode(&node.encode().into()).unwrap();
	let order: Vec<_> = decoded.links.iter().map(|l| (l.name.clone(), l.cid)).collect();
	assert_eq!(
		order,
		[
			(None, target("3")),
			(Some("a\u{e9}".into()), target("2")),
			(Some("b".into()), target("1")),
			(Some("b".into()), target("0")),
		]
	);
}

/// The negative and non-canonical fixtures of ipld/codec-fixtures.
#[test]
fn codec_fixtures() {
	for bytes in [
		"1200",
		"12000a050001020304",
		"12020a00",
		"12021200",
		"120b1209736f6d65206e616d65",
		"12021800",
		"120318f207",
		"12240a221220cf92fdefcdc34cac009c8b05eb662be0618db9de55ecd42785e9ec6712f8df650a0408021806\
		 12240a221220cf92fdefcdc34cac009c8b05eb662be0618db9de55ecd42785e9ec6712f8df65",
	] {
		assert!(
			matches!(decode(bytes), Err(CodecError::Malformed { .. })),
			"{bytes}"
		);
	}
	let data_first =
		"0a02080112330a24015512205891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\
	                  120968656c6c6f2e7478741806";
	let canonical = "12330a24015512205891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\
	                 120968656c6c6f2e74787418060a020801";
	let encoded = decode(data_first).unwrap().encode();
	assert_eq!(hex::encode(&encoded), canonical);
	assert_eq!(
		Block::encode(Codec::DagPb, encoded).cid().to_string(),
		"bafybeigdcg7pksx2zk5336vrfsktjodlr4rbfz37qr3koc5xboxe5ekv24"
	);
}

/// The malformed vectors of the specification's implementations, among others.
#[test]
fn strictness() {
	// A link to an identity CID: 11 bytes.
	let hash = "0a09015500050001020304";
	assert_eq!(decode(&format!("120b{hash}")).unwrap().links.len(), 1);
	let refused = [
		("0a0100 0a0100", "repeated data"),
		("120b{h} 0a00 120b{h}", "data between links"),
		("1a00", "unknown field"),
		("08 01", "data with the wrong wire type"),
		("1200", "link without CID"),
		("1217 {h} 1200 {h} 00", "CID after name"),
		("1216 {h} {h}", "two CIDs"),
		("120f {h} 1200 1200", "two names"),
		("120f {h} 1801 1200", "name after size"),
		("120f {h} 1801 1802", "two sizes"),
		("120d {h} 2000", "unknown field of a link"),
		("120e {h} 1201ff", "name that is not UTF-8"),
		("120d {h} 1880", "size cut off"),
		("12 0c 0a0a 01550005000102030405", "bytes after the CID"),
		("0a", "no length"),
		("0a05 01", "data cut off"),
		("0affffffffffffffffff7f", "length overflow"),
		("0a8000", "length not minimal"),
		("120b 0a09 0155", "link cut off"),
	];
	for (bytes, what) in refused {
		let bytes = bytes.replace("{h}", hash).replace(' ', "");
		assert!(
			matches!(decode(&bytes), Err(CodecError::Malformed { .. })),
			"{what}: {bytes}"
		);
	}
	// Data before links is not canonical but exists.
	assert!(decode(&format!("0a0101120b{hash}")).is_ok());
}

#[test]
fn no_truncation_or_flip_panics_and_links_agree_with_decode() {
	let links = (0..4u8)
		.map(|i| PbLink {
			cid: *Block::encode(Codec::Raw, vec![i]).cid(),
			name: Some(format!("name {i}")),
			tsize: Some(1 << (i * 8)),
		})
		.collect();
	let whole = PbNode {
		links,
		data: Some(Bytes::from_static(b"\x08\x01")),
	}
	.encode();
	for cut in 0..whole.len() {
		let _ = PbNode::decode(&Bytes::copy_from_slice(&whole[..cut]));
	}
	for at in 0..whole.len() {
		for bit in 0..8 {
			let mut bytes = whole.clone();
			bytes[at] ^= 1 << bit;
			let bytes = Bytes::from(bytes);
			let decoded = PbNode::decode(&bytes);
			let mut cids = Vec::new();
			let listed = DagPb::links(&bytes, &mut cids);
			assert_eq!(decoded.is_ok(), listed.is_ok());
			assert_eq!(decoded.is_ok(), DagPb::validate(&bytes).is_ok());
			if let Ok(node) = decoded {
				assert_eq!(node.links.iter().map(|l| l.cid).collect::<Vec<_>>(), cids);
			}
		}
	}
}
