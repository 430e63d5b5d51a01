//! Torrents.

#![cfg(feature = "bittorrent")]

mod fixtures;

use cairn_dag::{
	codec::{bittorrent::info_of, CodecError},
	walk::{follow, walk, Scope},
	Block, BlockSink, BlockSource, Cid, Codec, HashFunction, MemoryBlocks,
};
use fixtures::{blocks, named_links, BITTORRENT};

/// Torrent files and their info dictionaries.
fn all_torrents() -> Vec<(Block, Block)> {
	let blocks = blocks(BITTORRENT);
	let pairs = blocks.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone()));
	pairs.collect()
}

/// Those of version 1, named by the SHA-1 of their info dictionaries.
fn torrents() -> Vec<(Block, Block)> {
	let sha1 = |(_, info): &(Block, Block)| info.cid().hash().code() == HashFunction::Sha1.code();
	all_torrents().into_iter().filter(sha1).collect()
}

const PIECES: &str = "numbers: 122333";

#[test]
fn info_hashes_and_pieces() {
	let expected = [
		("d2474e86c95b19b8bcfdb92bc12c9d44667cfa36", 23),
		("722fe65b2aa26d14f35b4ad627d20236e481d924", 10),
		("89d97c2261a21b040cf11caa661a3ba7233bb7e6", 1),
		("114ead6243792ba56297edbb9a78dfba84d4fc00", 1),
	];
	let torrents = torrents();
	assert_eq!(torrents.len(), expected.len());
	for ((file, info), (hash, pieces)) in torrents.iter().zip(expected) {
		assert_eq!(hex::encode(info.cid().hash().digest()), hash);
		assert_eq!(info_of(file.data()).unwrap(), info.data());
		let links = named_links(info);
		assert_eq!(links.len(), pieces);
		for (index, (name, cid)) in links.iter().enumerate() {
			assert_eq!(*name, format!("pieces/{index}"));
			assert_eq!((cid.codec(), cid.hash().code()), (0x55, 0x11));
		}
		let of_file = named_links(file);
		let prefixed = links.iter().map(|(name, cid)| (format!("info/{name}"), *cid));
		assert!(of_file.into_iter().eq(prefixed));
	}
}

/// What libtorrent expects of its torrents `v2_only` and `v2_multipiece_file`, of a file of 1 MiB.
#[test]
fn version_2_alone_and_hybrid() {
	let torrents = all_torrents().split_off(torrents().len());
	let expected = [
		(
			"95e04d0c4bad94ab206efa884666fd89777dbe4f7bd9945af1829037a85c6192",
			0,
		),
		(
			"108ac2c3718ce722e6896edc56c4afa98f1d711ecaace7aad74fca418ebd03de",
			16,
		),
	];
	assert_eq!(torrents.len(), expected.len());
	for ((file, info), (hash, pieces)) in torrents.iter().zip(expected) {
		assert_eq!(hex::encode(info.cid().hash().digest()), hash);
		assert_eq!(info_of(file.data()).unwrap(), info.data());
		// Only version 1 has pieces that are blocks.
		assert_eq!(named_links(info).len(), pieces);
		assert_eq!(named_links(file).len(), pieces);
	}
}

/// The content of the torrent `numbers`, which is `1`, `22` and `333`, is its only piece.
#[test]
fn content_is_a_block() {
	let (file, info) = &torrents()[2];
	let content = PIECES.split(": ").nth(1).unwrap().as_bytes();
	let piece = Block::encode_with(Codec::Raw, HashFunction::Sha1, content);
	let mut store = MemoryBlocks::new();
	for block in [file, info, &piece] {
		store.put(block.clone()).unwrap();
	}
	for root in [file, info] {
		let walked: Vec<Cid> = walk(&store, *root.cid(), Scope::All)
			.map(|block| *block.unwrap().cid())
			.collect();
		assert_eq!(walked, [*root.cid(), *piece.cid()]);
	}
	let found = follow(&store, file.cid(), "info/pieces/0").unwrap();
	assert_eq!(store.get(&found.cid).unwrap().unwrap().data(), content);
}

fn refused(codec: Codec, bytes: &[u8]) -> &'static str {
	let mut links = Vec::new();
	match codec.links(bytes, &mut links) {
		Err(CodecError::Malformed { codec: name, reason }) => {
			assert_eq!(name, codec.name());
			assert_eq!(links, []);
			reason
		}
		other => panic!("{other:?} for {}", String::from_utf8_lossy(bytes)),
	}
}

#[test]
fn cut_off_or_trailing() {
	for block in blocks(BITTORRENT) {
		let codec = Codec::of(block.cid()).unwrap();
		for len in 0..block.data().len() {
			refused(codec, &block.data()[..len]);
		}
		for more in ["e", "i0e", "le", "x", "\n"] {
			refused(codec, &[block.data(), more.as_bytes()].concat());
		}
	}
}

/// An info dictionary: 20 letters are a piece.
fn info(text: &str) -> Vec<u8> {
	text.replace('@', "20:aaaaaaaaaaaaaaaaaaaa").into_bytes()
}

#[test]
fn well_formed_infos() {
	for (text, pieces) in [
		("d6:lengthi5e4:name1:x12:piece lengthi5e6:pieces@e", 1),
		("d6:lengthi0e4:name1:x12:piece lengthi5e6:pieces0:e", 0),
		("d6:lengthi6e4:name1:x12:piece lengthi5e6:pieces40:aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbe", 2),
		("d5:filesld6:lengthi2e4:pathl1:aeed6:lengthi3e4:pathl1:b1:ceee4:name1:x12:piece lengthi5e6:pieces@e", 1),
		("d5:extrali-1ee6:lengthi5e4:name1:x12:piece lengthi5e6:pieces@7:privatei1ee", 1),
		// BEP 52 alone, and a hybrid.
		("d9:file treed1:xd0:d6:lengthi5e11:pieces root32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeee12:meta versioni2e4:name1:x12:piece lengthi16384ee", 0),
		("d9:file treed1:xd0:d6:lengthi5eeee6:lengthi5e12:meta versioni2e4:name1:x12:piece lengthi16384e6:pieces@e", 1),
	] {
		let mut links = Vec::new();
		assert_eq!(Codec::TorrentInfo.links(&info(text), &mut links), Ok(()), "{text}");
		assert_eq!(links.len(), pieces, "{text}");
		let file = [b"d4:info", &info(text)[..], b"e"].concat();
		assert_eq!(info_of(&file).unwrap(), info(text));
	}
}

#[test]
fn malformed_infos() {
	let canonical = "not bencode in its canonical form, or nested too deeply";
	let fit = "the number of pieces does not fit the content's length";
	for (text, reason) in [
		("", "no bencode"),
		("i1e", "not a dictionary where one is wanted"),
		("le", "not a dictionary where one is wanted"),
		("4:spam", "not a dictionary where one is wanted"),
		("de", "no name"),
		("d4:namei1ee", "not a string where one is wanted"),
		("d4:name1:xe", "no length of pieces"),
		("d6:lengthi5e4:name1:x12:piece lengthi0e6:pieces@e", "no length of pieces"),
		("d6:lengthi5e4:name1:x12:piece lengthi-5e6:pieces@e", "a number that is negative or too large"),
		("d6:lengthi18446744073709551616e4:name1:x12:piece lengthi5e6:pieces@e", "a number that is negative or too large"),
		("d6:length1:54:name1:x12:piece lengthi5e6:pieces@e", "not a number where one is wanted"),
		("d4:name1:x12:piece lengthi5e6:pieces@e", "no file"),
		("d6:lengthi5e4:name1:x12:piece lengthi5ee", "no pieces"),
		("d4:name1:x12:piece lengthi5ee", "no pieces"),
		("d6:lengthi5e4:name1:x12:piece lengthi4e6:pieces@e", fit),
		("d6:lengthi0e4:name1:x12:piece lengthi4e6:pieces@e", fit),
		("d6:lengthi5e4:name1:x12:piece lengthi5e6:pieces19:aaaaaaaaaaaaaaaaaaae", fit),
		("d6:lengthi18446744073709551615e4:name1:x12:piece lengthi1e6:pieces@e", fit),
		("d5:filesle6:lengthi5e4:name1:x12:piece lengthi5e6:pieces@e", "both one file and several"),
		("d5:filesli1ee4:name1:x12:piece lengthi5e6:pieces@e", "not a dictionary where one is wanted"),
		("d5:filesld4:pathl1:aeee4:name1:x12:piece lengthi5e6:pieces@e", "a file without a length"),
		("d5:filesld6:lengthi5eee4:name1:x12:piece lengthi5e6:pieces@e", "a file without a path"),
		("d5:filesld6:lengthi5e4:pathleee4:name1:x12:piece lengthi5e6:pieces@e", "a file without a path"),
		("d5:filesld6:lengthi5e4:pathli1eeee4:name1:x12:piece lengthi5e6:pieces@e", "not a string where one is wanted"),
		(
			"d5:filesld6:lengthi18446744073709551615e4:pathl1:aeed6:lengthi1e4:pathl1:beee4:name1:x12:piece lengthi5e6:pieces@e",
			"the files' lengths overflow",
		),
		// Unsorted and repeated keys.
		("d4:name1:x6:lengthi5e12:piece lengthi5e6:pieces@e", canonical),
		("d4:name1:x4:name1:ye", canonical),
		("d1:ad1:ci1e1:bi1eee", canonical),
		("d1:alld1:ci1e1:ci1eeeee", canonical),
		// Numbers.
		("d1:ai01ee", canonical),
		("d1:ai-0ee", canonical),
		("d1:ai-01ee", canonical),
		("d1:ai+1ee", canonical),
		("d1:aiee", canonical),
		("d1:ai-ee", canonical),
		("d1:ai1.5ee", canonical),
		("d1:ai 1ee", canonical),
		// Strings.
		("d01:ai1ee", canonical),
		("d1a", canonical),
		("d-1:ai1ee", canonical),
		("d99999999999999999999999:a", canonical),
		("d18446744073709551615:a", canonical),
		// Not dictionaries.
		("di1ei1ee", canonical),
		("d1:ae", canonical),
		("d", canonical),
	] {
		assert_eq!(refused(Codec::TorrentInfo, &info(text)), reason, "{text}");
	}
}

#[test]
fn numbers_of_any_size_and_nesting_to_a_limit() {
	let base = |extra: &str| {
		info(&format!(
			"d5:extra{extra}6:lengthi5e4:name1:x12:piece lengthi5e6:pieces@e"
		))
	};
	let digits = "9".repeat(100_000);
	assert!(Codec::TorrentInfo.validate(&base(&format!("i{digits}e"))).is_ok());
	let nested = |depth: usize| base(&("l".repeat(depth) + &"e".repeat(depth)));
	assert!(Codec::TorrentInfo.validate(&nested(100)).is_ok());
	refused(Codec::TorrentInfo, &nested(200));
	refused(Codec::TorrentInfo, "l".repeat(1_000_000).as_bytes());
	refused(Codec::TorrentInfo, "d1:a".repeat(1_000_000).as_bytes());
}

#[test]
fn torrents_that_are_none() {
	for (text, reason) in [
		("de", "a torrent without info"),
		("d4:infoi1ee", "not a dictionary where one is wanted"),
		("d4:infodee", "no name"),
		("d8:announce0:e", "a torrent without info"),
	] {
		assert_eq!(refused(Codec::TorrentFile, text.as_bytes()), reason, "{text}");
		assert!(info_of(text.as_bytes()).is_err());
	}
}
