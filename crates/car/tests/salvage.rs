//! Damaged archives, and what is left of them.

use cairn_car::{
	completeness, pack, salvage, verify, CarFile, CarReader, CarV2Writer, CarWriter, IndexCheck, IndexFormat,
	Lost, LostReason, PackOptions, ReadAt, ReadOptions, RootsFrom, SalvageOptions, Salvaged, VerifyOptions,
	Version,
};
use cairn_dag::{
	unixfs::import::ImportOptions,
	varint,
	walk::{Budget, WalkError},
	Block, BlockError, Cid, Codec, HashFunction, MemoryBlocks,
};
use cairn_test_random::{below, bytes, rng};
use std::{
	collections::HashSet,
	io::{self, Cursor},
	sync::atomic::{AtomicU64, Ordering},
};

/// Salvages; what comes out must be sound, whatever went in.
fn rescue(archive: &[u8]) -> (Vec<Block>, Salvaged) {
	let mut out = Cursor::new(Vec::new());
	let salvaged = salvage(archive, &mut out, &SalvageOptions::default()).unwrap();
	let out = out.into_inner();
	let options = VerifyOptions {
		roots: false,
		..VerifyOptions::default()
	};
	let verified = verify(&out, &options).unwrap();
	assert_eq!(verified.index, IndexCheck::Matches(IndexFormat::MultihashSorted));
	assert_eq!(verified.roots, salvaged.roots);
	assert_eq!(verified.blocks, salvaged.written.blocks);
	let lost: u64 = salvaged.lost.iter().map(|lost| lost.len).sum();
	assert_eq!(
		(lost, salvaged.lost.len() as u64),
		(salvaged.lost_bytes, salvaged.lost_ranges)
	);
	let blocks = CarReader::new(&out[..]).unwrap().map(Result::unwrap).collect();
	(blocks, salvaged)
}

/// A file's DAG as CARv1 and both CARv2, with its blocks.
fn archives() -> Vec<(Vec<u8>, Vec<Block>)> {
	let mut rng = rng();
	let content = bytes(&mut rng, 400);
	let folder = tempfile::tempdir().unwrap();
	std::fs::write(folder.path().join("file"), content).unwrap();
	let mut archives = Vec::new();
	for index in [IndexFormat::Sorted, IndexFormat::MultihashSorted] {
		let mut out = Cursor::new(Vec::new());
		let import = ImportOptions {
			chunk_size: 100,
			max_links: 3,
			..ImportOptions::default()
		};
		let options = PackOptions {
			import,
			index,
			wrap: false,
		};
		pack(&[folder.path()], &mut out, &options, &mut |_| {}).unwrap();
		archives.push(out.into_inner());
	}
	let payload = CarFile::new(&archives[0][..], ReadOptions::default())
		.unwrap()
		.payload();
	archives.push(archives[0][payload.0 as usize..][..payload.1 as usize].to_vec());
	let with_blocks = |archive: Vec<u8>| {
		let blocks = CarReader::new(&archive[..])
			.unwrap()
			.map(Result::unwrap)
			.collect();
		(archive, blocks)
	};
	archives.into_iter().map(with_blocks).collect()
}

/// First byte and end of every section, counted from the archive's first byte.
fn sections(archive: &[u8]) -> Vec<(usize, usize)> {
	let file = CarFile::new(archive, ReadOptions::default()).unwrap();
	let start = file.payload().0;
	file.sections()
		.map(|section| {
			let section = section.unwrap();
			let end = section.data.offset + section.data.len;
			((start + section.offset) as usize, end as usize)
		})
		.collect()
}

#[test]
fn a_sound_archive_loses_nothing() {
	for (archive, blocks) in archives() {
		let (found, salvaged) = rescue(&archive);
		assert_eq!(found, blocks);
		assert_eq!((salvaged.lost.len(), salvaged.gave_up), (0, false));
		assert_eq!(salvaged.roots_from, RootsFrom::Header);
		// Padded as pieces are, it is as sound.
		let padded = [&archive[..], &[0; 3000]].concat();
		let (found, salvaged) = rescue(&padded);
		assert_eq!((found, salvaged.lost.len()), (blocks, 0));
	}
}

#[test]
fn truncation_at_every_byte_keeps_the_sections_before() {
	for (archive, blocks) in archives().into_iter().skip(1) {
		let sections = sections(&archive);
		let first = sections[0].0;
		for cut in 0..=archive.len() {
			let (found, salvaged) = rescue(&archive[..cut]);
			let whole = sections.iter().filter(|(_, end)| *end <= cut).count();
			assert_eq!(found, blocks[..whole], "cut at {cut}");
			assert_eq!(
				salvaged.roots_from == RootsFrom::Header,
				cut >= first,
				"cut at {cut}"
			);
			if cut >= first {
				// What is lost is the section that was cut.
				let begun = sections.iter().find(|(start, end)| *start < cut && cut < *end);
				let lost: Vec<(usize, usize)> = salvaged
					.lost
					.iter()
					.map(|lost| (lost.offset as usize, (lost.offset + lost.len) as usize))
					.collect();
				assert_eq!(
					lost,
					begun
						.map(|(start, _)| (*start, cut))
						.into_iter()
						.collect::<Vec<_>>()
				);
			}
		}
	}
}

#[test]
fn a_flipped_bit_costs_one_block() {
	for (archive, blocks) in archives().into_iter().skip(1) {
		let sections = sections(&archive);
		for at in 0..archive.len() {
			let bit = at % 8;
			let mut damaged = archive.clone();
			damaged[at] ^= 1 << bit;
			let (found, salvaged) = rescue(&damaged);
			let hit = sections
				.iter()
				.position(|(start, end)| (*start..*end).contains(&at));
			let found: HashSet<&[u8]> = found.iter().map(Block::data).collect();
			for (index, block) in blocks.iter().enumerate() {
				assert!(
					Some(index) == hit || found.contains(block.data()),
					"byte {at}, bit {bit}: block {index} is lost"
				);
			}
			if hit.is_some() {
				// The hash does not cover a CID's codec.
				assert!(salvaged.lost_ranges == 1 || found.len() == blocks.len());
			}
		}
	}
}

/// Every hole, insertion and garbling of a range keeps the blocks that are whole.
#[test]
fn ranges_that_are_overwritten_removed_or_inserted() {
	let mut rng = rng();
	let archives = archives();
	for _ in 0..150 {
		let (archive, blocks) = &archives[below(&mut rng, 3) as usize];
		let sections = sections(archive);
		let len = 1 + below(&mut rng, 400) as usize;
		let from = sections[0].0 + below(&mut rng, (archive.len() - len - sections[0].0) as u64) as usize;
		let (before, after) = (&archive[..from], &archive[from + len..]);
		let garbage = bytes(&mut rng, len);
		for damaged in [
			[before, after].concat(),
			[before, &vec![0; len], after].concat(),
			[before, &garbage, after].concat(),
			[before, &garbage, &archive[from..]].concat(),
		] {
			let inserted = damaged.len() > archive.len();
			let removed = if inserted { 0 } else { len };
			let (found, _) = rescue(&damaged);
			for ((start, end), block) in sections.iter().zip(blocks) {
				let untouched = *end <= from || *start >= from + removed;
				// Removing bytes moves the end of the payload in front of the last sections' end, or the
				// sections behind the end that the header claims.
				assert!(
					!untouched || found.contains(block),
					"{start}..{end} is lost, {from} and {len} were touched"
				);
			}
		}
	}
}

/// What a killed writer leaves: room for headers, and sections.
#[test]
fn headers_that_were_never_written() {
	let (archive, blocks) = archives().swap_remove(1);
	let sections = sections(&archive);
	let mut torn = archive[..sections[5].1].to_vec();
	torn[..sections[0].0].fill(0);
	let (found, salvaged) = rescue(&torn);
	assert_eq!(found, blocks[..6]);
	assert_eq!((salvaged.version, salvaged.roots_from), (None, RootsFrom::Guess));
	assert_eq!(
		salvaged.lost,
		[Lost {
			offset: 0,
			len: sections[0].0 as u64,
			reason: LostReason::Header
		}]
	);
	// The whole archive without its header: the root is the block that nothing links to.
	let mut headless = archive.clone();
	headless[..sections[0].0].fill(0);
	let (found, salvaged) = rescue(&headless);
	assert_eq!(
		(&found, &salvaged.roots[..]),
		(&blocks, &[*blocks.last().unwrap().cid()][..])
	);
	// What the user knows better is believed.
	let options = SalvageOptions {
		roots: Some(vec![*blocks[0].cid()]),
		..SalvageOptions::default()
	};
	let mut out = Cursor::new(Vec::new());
	let salvaged = salvage(&headless, &mut out, &options).unwrap();
	assert_eq!(salvaged.roots_from, RootsFrom::Options);
	assert_eq!(
		CarReader::new(&out.get_ref()[..]).unwrap().roots(),
		[*blocks[0].cid()]
	);
}

#[test]
fn too_many_heads_are_no_roots() {
	let mut writer = CarWriter::new(Vec::new(), &[]).unwrap();
	for n in 0..65u32 {
		writer
			.put(&Block::encode(Codec::Raw, n.to_le_bytes().to_vec()))
			.unwrap();
	}
	let (mut archive, _) = writer.finish().unwrap();
	archive[0] = 0;
	let (found, salvaged) = rescue(&archive);
	assert_eq!((found.len(), &salvaged.roots[..]), (65, &[][..]));
}

#[test]
fn each_loss_says_why() {
	let blocks: Vec<Block> = (0..6u8).map(|n| Block::encode(Codec::Raw, vec![n; 50])).collect();
	let md5 = Cid::new_v1(
		0x55,
		cairn_dag::cid::multihash::Multihash::wrap(0xd5, &[1; 16]).unwrap(),
	);
	let mut writer = CarWriter::new(Vec::new(), &[*blocks[0].cid()]).unwrap();
	for block in &blocks[..3] {
		writer.put(block).unwrap();
	}
	writer.put(&Block::assume_verified(md5, vec![9; 50])).unwrap();
	for block in &blocks[3..] {
		writer.put(block).unwrap();
	}
	let (mut archive, written) = writer.finish().unwrap();
	assert_eq!(written.blocks, 7);
	let sections = sections(&archive);
	archive[sections[1].1 - 1] ^= 1;
	archive.truncate(sections[6].1 - 1);
	let (found, salvaged) = rescue(&archive);
	let kept: Vec<&Block> = [0, 2, 3, 4].map(|at| &blocks[at]).into();
	assert_eq!(found.iter().collect::<Vec<_>>(), kept);
	let reasons: Vec<(usize, LostReason)> = salvaged
		.lost
		.into_iter()
		.map(|lost| (lost.offset as usize, lost.reason))
		.collect();
	let mismatch = BlockError::HashMismatch {
		cid: *blocks[1].cid(),
	};
	assert_eq!(
		reasons,
		[
			(sections[1].0, LostReason::Block { error: mismatch }),
			// A hash function that cannot be computed proves nothing.
			(
				sections[3].0,
				LostReason::Block {
					error: BlockError::UnsupportedHash { cid: md5, code: 0xd5 }
				}
			),
			(
				sections[6].0,
				LostReason::Truncated {
					cid: *blocks[5].cid()
				}
			),
		]
	);
	assert!(reasons.iter().all(|(_, reason)| !reason.to_string().is_empty()));
}

/// Several blocks in a row with damaged data and intact heads are told one by one.
#[test]
fn damaged_blocks_in_a_row_are_counted() {
	let (archive, blocks) = archives().swap_remove(0);
	let sections = sections(&archive);
	let mut damaged = archive.clone();
	for (_, end) in &sections[2..6] {
		damaged[end - 1] ^= 0x80;
	}
	let (found, salvaged) = rescue(&damaged);
	assert_eq!(found.len(), blocks.len() - 4);
	let lost: Vec<u64> = salvaged.lost.iter().map(|lost| lost.offset).collect();
	assert_eq!(lost, [2, 3, 4, 5].map(|at| sections[at].0 as u64));
}

/// Nobody can tell whether the length of a damaged block was right.
#[test]
fn archives_within_damaged_blocks_are_kept_too() {
	let (inner, inner_blocks) = archives().swap_remove(2);
	let outer = [
		Block::encode(Codec::Raw, inner),
		Block::encode(Codec::Raw, &b"after"[..]),
	];
	let mut writer = CarWriter::new(Vec::new(), &[*outer[0].cid()]).unwrap();
	outer.iter().for_each(|block| assert!(writer.put(block).unwrap()));
	let (mut archive, _) = writer.finish().unwrap();
	let (found, _) = rescue(&archive);
	assert_eq!(found, outer);
	let sections = sections(&archive);
	archive[sections[0].1 - 1] ^= 1;
	let (found, _) = rescue(&archive);
	assert_eq!(found[..found.len() - 1], inner_blocks[..inner_blocks.len() - 1]);
	assert_eq!(found.last(), outer.last());
}

/// Counts what is read.
struct Counting<'a>(&'a [u8], AtomicU64);

impl ReadAt for Counting<'_> {
	fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
		self.1.fetch_add(out.len() as u64, Ordering::Relaxed);
		self.0.read_exact_at(out, offset)
	}

	fn size(&self) -> io::Result<u64> {
		self.0.size()
	}
}

/// Heads on heads, each of which claims the rest of the archive: hashing all of it for each would take for
/// ever.
#[test]
fn the_search_is_bounded() {
	let cid = Cid::new_v1(0x55, HashFunction::Sha2_256.digest(b"nothing like it")).to_bytes();
	let mut archive = CarWriter::new(Vec::new(), &[]).unwrap().finish().unwrap().0;
	// The first head leads beyond the end: everything is searched.
	for n in 0..20_000u64 {
		varint::encode(if n == 0 { 7 << 20 } else { 600_000 }, &mut archive);
		archive.extend_from_slice(&cid);
	}
	let size = archive.len() as u64;
	let source = Counting(&archive, AtomicU64::new(0));
	let mut out = Cursor::new(Vec::new());
	let salvaged = salvage(&source, &mut out, &SalvageOptions::default()).unwrap();
	assert!(salvaged.gave_up && salvaged.written.blocks == 0);
	let read = source.1.into_inner();
	assert!(read < 20 * size + (70 << 20), "{read} bytes of {size} were read");
}

/// A byte between any two blocks, zero or not: each is a place to search from.
#[test]
fn many_small_gaps_are_no_work() {
	for gap in [0, 0x7f] {
		let mut archive = CarWriter::new(Vec::new(), &[]).unwrap().finish().unwrap().0;
		for n in 0..3000u32 {
			let block = Block::encode(Codec::Raw, n.to_le_bytes().to_vec());
			let cid = block.cid().to_bytes();
			archive.push((cid.len() + block.data().len()) as u8);
			archive.extend_from_slice(&cid);
			archive.extend_from_slice(block.data());
			archive.push(gap);
		}
		let size = archive.len() as u64;
		let source = Counting(&archive, AtomicU64::new(0));
		let mut out = Cursor::new(Vec::new());
		let salvaged = salvage(&source, &mut out, &SalvageOptions::default()).unwrap();
		assert_eq!(salvaged.written.blocks, 3000);
		let read = source.1.into_inner();
		assert!(read < 30 * size, "{read} bytes of {size} were read");
	}
}

#[test]
fn random_bytes_make_no_blocks() {
	let mut rng = rng();
	for _ in 0..100 {
		let len = below(&mut rng, 3000) as usize;
		let mut data = bytes(&mut rng, len);
		if below(&mut rng, 2) == 0 {
			data.splice(0..0, *b"\x0a\xa1\x67version\x02");
		}
		let (found, salvaged) = rescue(&data);
		assert_eq!(found, []);
		assert!(salvaged.lost_bytes <= data.len() as u64);
	}
}

#[test]
fn versions_are_told() {
	for ((archive, _), version) in archives()
		.into_iter()
		.zip([Version::V2, Version::V2, Version::V1])
	{
		assert_eq!(rescue(&archive).1.version, Some(version));
	}
}

#[test]
fn completeness_counts_what_is_missing() {
	let (archive, blocks) = archives().swap_remove(0);
	let root = *blocks.last().unwrap().cid();
	let mut memory = MemoryBlocks::new();
	for block in &blocks {
		cairn_dag::BlockSink::put(&mut memory, block.clone()).unwrap();
	}
	let whole = completeness(&memory, &[root, root], &Budget::default()).unwrap();
	assert_eq!(
		(whole.present, whole.missing, whole.opaque),
		(blocks.len() as u64, 0, 0)
	);
	// Leaves stand first.
	memory.remove(blocks[0].cid());
	memory.remove(blocks[1].cid());
	let holes = completeness(&memory, &[root], &Budget::default()).unwrap();
	assert_eq!(
		(holes.present, holes.missing_cids),
		(blocks.len() as u64 - 2, vec![*blocks[0].cid(), *blocks[1].cid()])
	);
	let absent = *Block::encode(Codec::Raw, &b"absent"[..]).cid();
	assert_eq!(
		completeness(&memory, &[absent], &Budget::default())
			.unwrap()
			.missing,
		1
	);
	for budget in [
		Budget {
			max_depth: 1,
			..Budget::default()
		},
		Budget {
			max_blocks: 3,
			..Budget::default()
		},
		Budget {
			max_bytes: 100,
			..Budget::default()
		},
		Budget {
			max_pending: 1,
			..Budget::default()
		},
	] {
		let exceeded = completeness(&memory, &[root], &budget);
		assert!(matches!(exceeded, Err(WalkError::Budget { .. })), "{budget:?}");
	}
	let unreadable = Block::encode(Codec::DagCbor, &b"\xff"[..]);
	let mut writer = CarV2Writer::new(Cursor::new(Vec::new()), IndexFormat::default()).unwrap();
	writer.put(&unreadable).unwrap();
	let (out, _) = writer.finish(&[*unreadable.cid()]).unwrap();
	let file = CarFile::new(out.into_inner(), ReadOptions::default()).unwrap();
	let opaque = completeness(&file, file.roots(), &Budget::default()).unwrap();
	assert_eq!((opaque.present, opaque.opaque), (1, 1));
	drop(archive);
}

/// The specification says that they should not be there; archives of go-car have them.
#[test]
fn sections_of_identity_cids_are_no_loss() {
	let inline = Cid::new_v1(
		0x55,
		cairn_dag::cid::multihash::Multihash::wrap(0, b"inline").unwrap(),
	);
	let block = Block::encode(Codec::Raw, &b"block"[..]);
	let (mut archive, _) = CarWriter::new(Vec::new(), &[*block.cid()])
		.unwrap()
		.finish()
		.unwrap();
	for (cid, data) in [
		(&inline, &b"inline"[..]),
		(block.cid(), block.data()),
		(&inline, b""),
	] {
		let cid = cid.to_bytes();
		varint::encode((cid.len() + data.len()) as u64, &mut archive);
		archive.extend_from_slice(&cid);
		archive.extend_from_slice(data);
	}
	let (found, salvaged) = rescue(&archive);
	assert_eq!(found, [block]);
	// The last one does not match its CID.
	assert_eq!(salvaged.lost_ranges, 1);
}
