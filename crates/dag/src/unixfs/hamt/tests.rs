use super::*;
use crate::{
	block::Block,
	codec::Codec,
	hash::HashFunction,
	source::{BlockSink, BlockSource, MemoryBlocks},
	unixfs::{
		entries,
		layout::{Addressing, Subtree},
		list, resolve, ReadError, ResolveError,
	},
};
use cid::Version;

const ADDRESSING: Addressing = Addressing {
	version: Version::V1,
	hash: HashFunction::Sha2_256,
};

fn entry(name: &str) -> PbLink {
	PbLink {
		cid: *Block::encode(Codec::Raw, name.as_bytes().to_vec()).cid(),
		name: Some(name.to_owned()),
		tsize: Some(name.len() as u64),
	}
}

fn built(names: &[&str]) -> (MemoryBlocks, Subtree) {
	let mut blocks = MemoryBlocks::new();
	let links = names.iter().map(|name| entry(name)).collect();
	let root = build(links, ADDRESSING, &mut blocks).unwrap();
	(blocks, root)
}

/// A shard with these links, of 256 slots unless the data says otherwise.
fn shard(links: &[(&str, Cid)], data: Option<&str>) -> Block {
	let slots = links
		.iter()
		.map(|(name, _)| u64::from_str_radix(name.get(..2).unwrap_or("0"), 16).unwrap_or(0));
	let default = crate::unixfs::node::shard_data(bit_field(slots, 256));
	let node = PbNode {
		links: links
			.iter()
			.map(|(name, cid)| PbLink {
				cid: *cid,
				name: Some((*name).to_owned()),
				tsize: None,
			})
			.collect(),
		data: Some(data.map_or(default, |hex| hex::decode(hex).unwrap().into())),
	};
	Block::encode(Codec::DagPb, node.encode())
}

fn leaf() -> Cid {
	*Block::encode(Codec::Raw, &b"leaf"[..]).cid()
}

/// The reference implementation's verification values for seed 0, and slots as IPFS takes them: the
/// first byte of the first half, big-endian.
#[test]
fn hashes() {
	for (name, expected) in [
		("", 0),
		("hello", 0xcbd8_a7b3_41bd_9b02),
		("hello, world", 0x342f_ac62_3a5e_bc8e),
		(
			"The quick brown fox jumps over the lazy dog.",
			0xcd99_481f_9ee9_02c9,
		),
	] {
		assert_eq!(hash(name), expected, "{name}");
	}
	assert_eq!(slot_of(0x0123_4567_89ab_cdef, 8, 0), Some(0x01));
	assert_eq!(slot_of(0x0123_4567_89ab_cdef, 8, 7), Some(0xef));
	assert_eq!(slot_of(0x0123_4567_89ab_cdef, 8, 8), None);
	assert_eq!(slot_of(0xf000_0000_0000_0000, 3, 0), Some(7));
	assert_eq!(slot_of(0x0000_0000_0000_0002, 3, 20), Some(1));
	assert_eq!(slot_of(u64::MAX, 3, 21), None);
}

#[test]
fn few_entries() {
	for names in [&[][..], &["a"], &["a", "b"], &["a", "\u{1f41f}", "with space"]] {
		let (blocks, root) = built(names);
		let mut sorted: Vec<&str> = names.to_vec();
		sorted.sort_unstable();
		let listed = list(&blocks, &root.cid).unwrap();
		assert_eq!(
			listed.iter().map(|entry| &entry.name[..]).collect::<Vec<_>>(),
			sorted
		);
		for name in names {
			let found = resolve(&blocks, &root.cid, name).unwrap();
			assert_eq!(found.cid, entry(name).cid);
			assert_eq!(found.blocks.len(), 1);
		}
		let absent = resolve(&blocks, &root.cid, "absent");
		assert!(matches!(absent, Err(ResolveError::NotFound { .. })));
	}
}

/// Two names whose hashes begin with the same 24 bits, found by trying.
#[test]
fn entries_that_share_slots() {
	let mut seen = std::collections::HashMap::new();
	let (a, b) = (0u32..)
		.find_map(|index| {
			let name = format!("name {index}");
			let first = hash(&name) >> 40;
			seen.insert(first, name.clone()).map(|other| (other, name))
		})
		.unwrap();
	let (blocks, root) = built(&[&a, &b]);
	// Three shards in a row, and one with both.
	assert_eq!(blocks.len(), 4);
	for name in [&a, &b] {
		let found = resolve(&blocks, &root.cid, name).unwrap();
		assert_eq!(found.cid, entry(name).cid);
		assert_eq!(found.blocks.len(), 4);
	}
	let total: u64 = blocks.iter().map(|block| block.data().len() as u64).sum();
	assert_eq!(root.dag_size, total + (a.len() + b.len()) as u64);
	// A shard of the way missing: the rest is found.
	let mut partial = blocks.clone();
	let way = resolve(&blocks, &root.cid, &a).unwrap().blocks;
	partial.remove(way[2].cid());
	assert!(matches!(
		resolve(&partial, &root.cid, &a),
		Err(ResolveError::Read(ReadError::Missing { cid })) if cid == *way[2].cid()
	));
	assert!(entries(&partial, &root.cid).unwrap().any(|entry| entry.is_err()));
}

#[test]
fn equal_hashes_cannot_be_sharded() {
	let twice = vec![entry("a"), entry("a")];
	let result = build(twice, ADDRESSING, &mut MemoryBlocks::new());
	assert!(matches!(result, Err(BuildError::SameHash { .. })));
}

#[test]
fn malformed_shards() {
	let refused = |block: &Block| match Shard::decode(block) {
		Err(NodeError::NotUnixFs { reason }) => reason,
		other => panic!("{other:?}"),
	};
	assert!(Shard::decode(&shard(&[("00a", leaf()), ("FF", leaf())], None)).is_ok());
	for (links, reason) in [
		(&[("0", leaf())][..], "a link without a slot"),
		(&[("", leaf())], "a link without a slot"),
		(&[("0g", leaf())], "a link whose slot is not a number"),
		(&[("0a", leaf())], "a link whose slot is not a number"),
		(&[("+1", leaf())], "a link whose slot is not a number"),
		(
			&[("00a", leaf()), ("00b", leaf())],
			"a shard's links are not sorted by slot",
		),
	] {
		let data = "080512010128223080 02".replace(' ', "");
		assert_eq!(refused(&shard(links, Some(&data))), reason, "{links:?}");
	}
	let with_data = |data: &str| shard(&[("01a", leaf())], Some(&data.replace(' ', "")));
	// Type, bit field, hash, fanout.
	assert!(Shard::decode(&with_data("0805 120102 2822 308002")).is_ok());
	assert!(Shard::decode(&with_data("0805 12020002 2822 308002")).is_ok());
	for (data, reason) in [
		("0801 120102 2822 308002", "not a shard, or one without a fanout"),
		("0805 120102 2822", "not a shard, or one without a fanout"),
		("0805 120102 2812 308002", "a shard by an unknown hash"),
		("0805 120102 308002", "a shard by an unknown hash"),
		(
			"0805 120102 2822 3000",
			"a shard's fanout is not a power of two from 8 to 1024",
		),
		(
			"0805 120102 2822 3004",
			"a shard's fanout is not a power of two from 8 to 1024",
		),
		(
			"0805 120102 2822 30ff01",
			"a shard's fanout is not a power of two from 8 to 1024",
		),
		(
			"0805 120102 2822 308010",
			"a shard's fanout is not a power of two from 8 to 1024",
		),
		(
			"0805 120102 2822 3080808080808080808001",
			"a shard's fanout is not a power of two from 8 to 1024",
		),
		(
			"0805 120103 2822 308002",
			"a shard's bit field is not that of its links",
		),
		("0805 2822 308002", "a shard's bit field is not that of its links"),
		(
			"0805 120104 2822 308002",
			"a shard's bit field is not that of its links",
		),
	] {
		assert_eq!(refused(&with_data(data)), reason, "{data}");
	}
	// With 8 slots a slot is one digit, and 9 is none of them.
	let nine = shard(&[("9a", leaf())], Some("08051202020028223008"));
	assert_eq!(refused(&nine), "a slot beyond the shard's fanout");
	assert!(Shard::decode(&Block::encode(Codec::Raw, &b""[..])).is_err());
}

/// Shards that are well-formed and together are not a directory.
#[test]
fn lying_shards() {
	let mut blocks = MemoryBlocks::new();
	let mut put = |block: Block| {
		let cid = *block.cid();
		blocks.put(block).unwrap();
		cid
	};
	let slot = |name: &str, level| format!("{:02X}", slot_of(hash(name), 8, level).unwrap());
	// An entry in a slot that its name's hash does not lead to.
	let wrong_slot = if slot("a", 0) == "00" { "01" } else { "00" };
	let misplaced = put(shard(&[(&format!("{wrong_slot}a"), leaf())], None));
	// The same one level down, where the first level is right.
	let below = put(shard(&[(&format!("{}a", slot("a", 1)), leaf())], None));
	let right = put(shard(&[(&slot("a", 0), below)], None));
	let twice = put(shard(&[(wrong_slot, below)], None));
	// Nothing at all, again and again: 256 to the power of the depth, if it were listed.
	let mut bomb = put(shard(&[], None));
	let all: Vec<String> = (0..256).map(|index| format!("{index:02X}")).collect();
	let mut bombs = Vec::new();
	for _ in 0..10 {
		let links: Vec<(&str, Cid)> = all.iter().map(|slot| (&slot[..], bomb)).collect();
		bomb = put(shard(&links, None));
		bombs.push(bomb);
	}
	// Another fanout below.
	let narrow = put(shard(&[("0a", leaf())], Some("080512010128223008")));
	let mixed = put(shard(&[("00", narrow)], None));
	let listed = |cid: &Cid| {
		let entries: Vec<_> = entries(&blocks, cid).unwrap().collect();
		let count = entries.len();
		entries.into_iter().collect::<Result<Vec<_>, _>>().map(|_| count)
	};
	assert_eq!(listed(&right).unwrap(), 1);
	assert_eq!(resolve(&blocks, &right, "a").unwrap().cid, leaf());
	for wrong in [misplaced, twice, mixed].iter().chain(&bombs) {
		assert!(matches!(listed(wrong), Err(ReadError::Node { .. })), "{wrong}");
	}
	// Looking up goes by the hash, and so finds nothing there.
	assert!(matches!(
		resolve(&blocks, &misplaced, "a"),
		Err(ResolveError::NotFound { .. })
	));
	assert!(matches!(
		resolve(&blocks, bombs.last().unwrap(), "a"),
		Err(ResolveError::NotFound { .. })
	));
	let walked = crate::walk::walk(&blocks, *bombs.last().unwrap(), crate::walk::Scope::Entity);
	assert!(walked.last().unwrap().is_err());
	// A walk that knows nothing of directories visits each shard once.
	assert_eq!(
		crate::walk::walk(&blocks, *bombs.last().unwrap(), crate::walk::Scope::All).count(),
		11
	);
	assert!(blocks.has(&bomb).unwrap());
}

#[test]
fn walks_of_sharded_folders() {
	let names: Vec<String> = (0..2000).map(|index| index.to_string()).collect();
	let names: Vec<&str> = names.iter().map(String::as_str).collect();
	let (blocks, root) = built(&names);
	let walked: Vec<Block> = crate::walk::walk(&blocks, root.cid, crate::walk::Scope::Entity)
		.collect::<Result<_, _>>()
		.unwrap();
	// All shards and no entry.
	assert_eq!(walked.len(), blocks.len());
	assert_eq!(walked[0].cid(), &root.cid);
	let mut partial = MemoryBlocks::new();
	for block in walked {
		partial.put(block).unwrap();
	}
	assert_eq!(list(&partial, &root.cid).unwrap().len(), 2000);
}
