//! Round trips, random access and hostile input.

use cairn_car::{
	verify, CarFile, CarReader, CarV2Writer, CarWriter, IndexCheck, IndexFormat, IndexSource, OpenError,
	ReadAt, ReadError, ReadOptions, Seekable, Verified, VerifyError, VerifyOptions,
};
use cairn_dag::{cid::multihash::Multihash, Block, BlockSource, Cid, Codec, HashFunction};
use cairn_test_random::{below, bytes, rng};
use std::io::{self, Cursor};

fn random_blocks(count: usize) -> Vec<Block> {
	random_blocks_below(count, 300)
}

/// Blocks of less than `end` random bytes behind eight that make them distinct.
fn random_blocks_below(count: usize, end: u64) -> Vec<Block> {
	let mut rng = rng();
	let functions = [
		HashFunction::Sha2_256,
		HashFunction::Blake2b256,
		HashFunction::Sha2_512,
	];
	(0..count)
		.map(|n| {
			let len = below(&mut rng, end) as usize;
			Block::encode_with(
				Codec::Raw,
				functions[n % 3],
				[&n.to_le_bytes()[..], &bytes(&mut rng, len)].concat(),
			)
		})
		.collect()
}

fn v1(blocks: &[Block]) -> Vec<u8> {
	let roots: Vec<Cid> = blocks.first().map(|block| *block.cid()).into_iter().collect();
	let mut writer = CarWriter::new(Vec::new(), &roots).unwrap();
	for block in blocks {
		writer.put(block).unwrap();
	}
	writer.finish().unwrap().0
}

fn v2(blocks: &[Block], format: IndexFormat) -> Vec<u8> {
	let mut writer = CarV2Writer::with_header_room(Cursor::new(Vec::new()), format, 200).unwrap();
	for block in blocks {
		writer.put(block).unwrap();
	}
	let (out, written) = writer.finish(&[*blocks[0].cid()]).unwrap();
	assert_eq!(written.size, out.get_ref().len() as u64);
	out.into_inner()
}

fn read(bytes: &[u8], options: ReadOptions) -> Result<Vec<Block>, ReadError> {
	CarReader::with_options(bytes, options)?.collect()
}

fn padded(bytes: &[u8]) -> Vec<u8> {
	let mut bytes = bytes.to_vec();
	bytes.resize((bytes.len() + 1).next_power_of_two(), 0);
	bytes
}

const PADDING: ReadOptions = ReadOptions {
	max_header: 1 << 20,
	max_section: 8 << 20,
	max_index: 256 << 20,
	verify: true,
	zero_padding: true,
	ignore_index: false,
};

#[test]
fn all_forms_hold_the_same_blocks() {
	let blocks = random_blocks(200);
	let absent = *Block::encode(Codec::Raw, &b"absent"[..]).cid();
	let mut forms = vec![("v1", v1(&blocks), IndexSource::Scan)];
	for format in [IndexFormat::Sorted, IndexFormat::MultihashSorted] {
		forms.push(("v2", v2(&blocks, format), IndexSource::Embedded));
	}
	for (name, archive, index_source) in forms {
		assert_eq!(read(&archive, ReadOptions::default()).unwrap(), blocks, "{name}");
		let within = [&[1; 333][..], &archive, &[2; 77]].concat();
		let len = archive.len() as u64;
		for ignore_index in [false, true] {
			let options = ReadOptions {
				ignore_index,
				..ReadOptions::default()
			};
			let file = CarFile::new(&archive[..], options).unwrap();
			assert_eq!(
				file.index_source() == IndexSource::Embedded,
				index_source == IndexSource::Embedded && !ignore_index
			);
			assert_eq!(file.index().len(), blocks.len());
			assert_eq!(
				file.reader().unwrap().map(Result::unwrap).collect::<Vec<_>>(),
				blocks
			);
			let inside = CarFile::within(&within, 333, len, options).unwrap();
			let seekable = CarFile::new(Seekable::new(Cursor::new(archive.clone())), options).unwrap();
			for block in &blocks {
				let cid = block.cid();
				assert_eq!(file.get(cid).unwrap().as_ref(), Some(block));
				assert_eq!(inside.get(cid).unwrap().as_ref(), Some(block));
				assert_eq!(seekable.get(cid).unwrap().as_ref(), Some(block));
				let place = file.locate(cid).unwrap().unwrap();
				assert_eq!(
					&archive[place.offset as usize..][..place.len as usize],
					block.data()
				);
				// The same hash under another codec is the same bytes.
				let other = Cid::new_v1(0x71, *cid.hash());
				assert_eq!(file.get(&other).unwrap().unwrap().data(), block.data());
			}
			assert_eq!(file.get(&absent).unwrap(), None);
			assert!(!file.has(&absent).unwrap() && file.has(blocks[7].cid()).unwrap());
		}
	}
}

#[test]
fn on_disk_and_from_many_threads() {
	let blocks = random_blocks(300);
	let path = tempfile::NamedTempFile::new().unwrap();
	std::fs::write(path.path(), v2(&blocks, IndexFormat::default())).unwrap();
	let file = CarFile::open(path.path(), ReadOptions::default()).unwrap();
	std::thread::scope(|scope| {
		for _ in 0..4 {
			scope.spawn(|| {
				for block in &blocks {
					assert_eq!(file.get(block.cid()).unwrap().as_ref(), Some(block));
				}
			});
		}
	});
}

#[test]
fn empty_archives_and_identity_cids() {
	let empty = v1(&[]);
	assert_eq!(read(&empty, ReadOptions::default()).unwrap(), []);
	assert!(CarFile::new(empty, ReadOptions::default())
		.unwrap()
		.index()
		.is_empty());
	let identity = Cid::new_v1(0x55, Multihash::wrap(0, b"inline").unwrap());
	let block = Block::new(identity, &b"inline"[..]).unwrap();
	let archive = v1(std::slice::from_ref(&block));
	assert_eq!(read(&archive, ReadOptions::default()).unwrap(), []);
	let file = CarFile::new(archive.clone(), ReadOptions::default()).unwrap();
	assert_eq!(file.get(&identity).unwrap(), Some(block));
	assert_eq!(verify(&archive[..], &VerifyOptions::default()).unwrap().blocks, 0);
}

#[test]
fn zero_padding_only_where_accepted() {
	let blocks = random_blocks(20);
	for archive in [
		v1(&blocks),
		v2(&blocks, IndexFormat::Sorted),
		v2(&blocks, IndexFormat::MultihashSorted),
	] {
		let zeros = padded(&archive);
		let strict = VerifyOptions::default();
		let lenient = VerifyOptions {
			read: PADDING,
			..strict
		};
		assert!(verify(&zeros[..], &strict).is_err());
		assert!(CarFile::new(&zeros[..], ReadOptions::default()).is_err());
		let verified: Verified = verify(&zeros[..], &lenient).unwrap();
		assert_eq!(verified, verify(&archive[..], &strict).unwrap());
		assert_eq!(read(&zeros, PADDING).unwrap(), blocks);
		let file = CarFile::new(&zeros[..], PADDING).unwrap();
		for block in &blocks {
			assert_eq!(file.get(block.cid()).unwrap().as_ref(), Some(block));
		}
		let mut dirty = zeros.clone();
		*dirty.last_mut().unwrap() = 1;
		let error = verify(&dirty[..], &lenient).unwrap_err();
		assert!(
			matches!(error, VerifyError::Read(ReadError::TrailingData { .. })),
			"{error}"
		);
		let mut appended = archive.clone();
		appended.push(7);
		assert!(verify(&appended[..], &strict).is_err());
	}
}

#[test]
fn wrong_blocks_are_refused_unless_told() {
	let blocks = random_blocks(3);
	let archive = v1(&blocks);
	let mut wrong = archive.clone();
	*wrong.last_mut().unwrap() ^= 1;
	let error = read(&wrong, ReadOptions::default()).unwrap_err();
	assert!(matches!(error, ReadError::Block { .. }), "{error}");
	let file = CarFile::new(&wrong[..], ReadOptions::default()).unwrap();
	assert!(matches!(file.get(blocks[2].cid()), Err(ReadError::Block { .. })));
	assert!(file.get(blocks[1].cid()).unwrap().is_some());
	assert!(verify(&wrong[..], &VerifyOptions::default()).is_err());
	let trusting = ReadOptions {
		verify: false,
		..ReadOptions::default()
	};
	assert_eq!(read(&wrong, trusting).unwrap().len(), 3);
	// Verifying does not listen to that.
	assert!(verify(
		&wrong[..],
		&VerifyOptions {
			read: trusting,
			..VerifyOptions::default()
		}
	)
	.is_err());
}

#[test]
fn an_index_that_lies_is_found() {
	let blocks = random_blocks(30);
	let archive = v2(&blocks, IndexFormat::default());
	let options = VerifyOptions::default();
	let verified = verify(&archive[..], &options).unwrap();
	assert_eq!(verified.index, IndexCheck::Matches(IndexFormat::MultihashSorted));
	// Another archive's index behind this one's blocks.
	let index_at = |archive: &[u8]| u64::from_le_bytes(archive[43..51].try_into().unwrap()) as usize;
	let fewer = v2(&blocks[..29], IndexFormat::default());
	let incomplete = [&archive[..index_at(&archive)], &fewer[index_at(&fewer)..]].concat();
	assert!(matches!(
		verify(&incomplete[..], &options),
		Err(VerifyError::IndexIncomplete { .. })
	));
	let hidden = CarFile::new(&incomplete[..], ReadOptions::default()).unwrap();
	assert_eq!(hidden.get(blocks[29].cid()).unwrap(), None);
	let mut reversed: Vec<Block> = blocks.clone();
	reversed[1..].reverse();
	let other = v2(&reversed, IndexFormat::default());
	let astray = [&archive[..index_at(&archive)], &other[index_at(&other)..]].concat();
	assert!(matches!(
		verify(&astray[..], &options),
		Err(VerifyError::IndexAstray { .. })
	));
	let file = CarFile::new(&astray[..], ReadOptions::default()).unwrap();
	for block in &blocks {
		match file.get(block.cid()) {
			Ok(found) => assert_eq!(found.as_ref(), Some(block)),
			Err(error) => assert!(!matches!(error, ReadError::Block { .. }), "{error}"),
		}
	}
	let scanned = CarFile::new(
		&astray[..],
		ReadOptions {
			ignore_index: true,
			..ReadOptions::default()
		},
	)
	.unwrap();
	assert!(blocks
		.iter()
		.all(|block| scanned.get(block.cid()).unwrap().is_some()));
}

#[test]
fn missing_roots_are_found() {
	let blocks = random_blocks(2);
	let mut writer = CarWriter::new(Vec::new(), &[*blocks[1].cid()]).unwrap();
	writer.put(&blocks[0]).unwrap();
	let (archive, _) = writer.finish().unwrap();
	let missing = verify(&archive[..], &VerifyOptions::default());
	assert!(matches!(missing, Err(VerifyError::MissingRoot { root }) if root == *blocks[1].cid()));
	assert!(verify(
		&archive[..],
		&VerifyOptions {
			roots: false,
			..VerifyOptions::default()
		}
	)
	.is_ok());
}

#[test]
fn limits_hold_before_memory_is_taken() {
	let header = &v1(&[])[..];
	let claim = |bytes: &[u8]| read(&[header, bytes].concat(), ReadOptions::default()).unwrap_err();
	// 2^60 bytes, 9 MiB, a number of 65 bits, and one that does not end.
	let section = claim(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]);
	assert!(matches!(section, ReadError::SectionTooLarge { .. }), "{section}");
	let section = claim(&[0x80, 0x80, 0xc0, 0x04]);
	assert!(
		matches!(section, ReadError::SectionTooLarge { len: 9_437_184, .. }),
		"{section}"
	);
	let section = claim(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]);
	assert!(matches!(section, ReadError::Length { .. }), "{section}");
	let section = claim(&[0xff; 20]);
	assert!(matches!(section, ReadError::Length { .. }), "{section}");
	assert!(matches!(claim(&[0x80, 0x00]), ReadError::Length { .. }));
	assert!(matches!(claim(&[0]), ReadError::EmptySection { .. }));
	assert!(matches!(claim(&[1]), ReadError::Truncated { .. }));
	assert!(matches!(claim(&[1, 1]), ReadError::InvalidCid { .. }));
	assert!(matches!(
		claim(&[4, 0x01, 0x55, 0x12, 0x20]),
		ReadError::InvalidCid { .. }
	));
	// Headers.
	let header = |bytes: &[u8]| read(bytes, ReadOptions::default()).unwrap_err();
	assert!(matches!(header(&[]), ReadError::Truncated { .. }));
	assert!(matches!(header(&[0]), ReadError::Header { .. }));
	assert!(matches!(
		header(&[0x81, 0x80, 0x40]),
		ReadError::HeaderTooLarge { len: 1_048_577, .. }
	));
	assert!(matches!(header(&[0x0a, 0xa1]), ReadError::Truncated { .. }));
	assert!(matches!(
		header(b"\x0a\xa1\x67version\x03"),
		ReadError::UnsupportedVersion { version: 3 }
	));
	assert!(matches!(
		header(b"\x0a\xa1\x67version\x02"),
		ReadError::Truncated { .. }
	));
	assert!(matches!(
		header(b"\x89PNG\r\n\x1a\n"),
		ReadError::Truncated { .. }
	));
	// The options' own limits.
	let blocks = random_blocks(5);
	let archive = v2(&blocks, IndexFormat::default());
	for options in [
		ReadOptions {
			max_header: 20,
			..ReadOptions::default()
		},
		ReadOptions {
			max_section: 20,
			..ReadOptions::default()
		},
	] {
		assert!(read(&archive, options).is_err());
	}
	let small = ReadOptions {
		max_index: 100,
		..ReadOptions::default()
	};
	assert!(matches!(
		CarFile::new(&archive[..], small),
		Err(OpenError::Index(_))
	));
	assert!(matches!(
		CarFile::new(&v1(&blocks)[..], small),
		Err(OpenError::Index(_))
	));
	assert!(verify(
		&archive[..],
		&VerifyOptions {
			read: small,
			..VerifyOptions::default()
		}
	)
	.is_err());
}

#[test]
fn v2_headers_that_lead_astray() {
	let blocks = random_blocks(4);
	let archive = v2(&blocks, IndexFormat::default());
	let size = archive.len() as u64;
	// Fields: data offset, data size, index offset.
	for field in [27, 35, 43] {
		for value in [1, 10, 50, 60, size - 1, size, size + 1, u64::MAX / 2, u64::MAX] {
			let mut wrong = archive.clone();
			wrong[field..field + 8].copy_from_slice(&value.to_le_bytes());
			// The index's last byte alone is an index of another format, which is nobody's fault.
			let ignored = verify(&wrong[..], &VerifyOptions::default())
				.is_ok_and(|verified| matches!(verified.index, IndexCheck::Unsupported(_)));
			let refused = verify(&wrong[..], &VerifyOptions::default()).is_err();
			assert!(
				refused || (ignored && value == size - 1),
				"field at {field} is {value}"
			);
			let _ = CarFile::new(&wrong[..], ReadOptions::default());
			let _ = read(&wrong, ReadOptions::default());
		}
	}
	// Without its index, the rest is unexpected.
	let mut without = archive.clone();
	without[43..51].fill(0);
	assert!(matches!(
		verify(&without[..], &VerifyOptions::default()),
		Err(VerifyError::Read(ReadError::TrailingData { .. }))
	));
	// A CARv2 inside a CARv2 is not a payload.
	let mut nested = archive[..11].to_vec();
	nested.extend_from_slice(&[0; 16]);
	for number in [51, archive.len() as u64, 0] {
		nested.extend_from_slice(&number.to_le_bytes());
	}
	nested.extend_from_slice(&archive);
	assert!(matches!(
		read(&nested, ReadOptions::default()),
		Err(ReadError::Header { .. })
	));
}

/// Everything that reads, on anything.
fn try_everything(bytes: &[u8], cids: &[Cid]) -> bool {
	let mut fine = false;
	for options in [
		ReadOptions::default(),
		PADDING,
		ReadOptions {
			ignore_index: true,
			..PADDING
		},
	] {
		let _ = read(bytes, options);
		if let Ok(file) = CarFile::new(bytes, options) {
			for cid in cids {
				if let Ok(Some(block)) = file.get(cid) {
					assert!(Block::new(*cid, block.bytes().clone()).is_ok());
				}
			}
		}
		fine |= verify(
			bytes,
			&VerifyOptions {
				read: options,
				dag: true,
				roots: true,
			},
		)
		.is_ok();
	}
	fine
}

#[test]
fn truncation_at_every_byte() {
	let blocks = random_blocks(4);
	let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
	for archive in [
		v1(&blocks),
		v2(&blocks, IndexFormat::Sorted),
		v2(&blocks, IndexFormat::MultihashSorted),
	] {
		assert!(try_everything(&archive, &cids));
		let ends: Vec<u64> = {
			let mut reader = CarReader::new(&archive[..]).unwrap();
			let mut ends = vec![reader.position()];
			while let Some(section) = reader.next_section().unwrap() {
				ends.push(section.offset + section.len);
			}
			ends
		};
		let is_v1 = CarReader::new(&archive[..]).unwrap().version() == cairn_car::Version::V1;
		for cut in 0..archive.len() {
			let fine = try_everything(&archive[..cut], &cids);
			// A CARv1 cut between sections is a shorter CARv1, but its root must be there.
			assert_eq!(
				fine,
				is_v1 && cut as u64 > ends[0] && ends.contains(&(cut as u64)),
				"cut at {cut}"
			);
		}
	}
}

#[test]
fn every_flipped_bit() {
	let blocks = random_blocks_below(3, 30);
	let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
	for archive in [
		v1(&blocks),
		v2(&blocks, IndexFormat::Sorted),
		v2(&blocks, IndexFormat::MultihashSorted),
	] {
		let version_2 = archive[..11] == *b"\x0a\xa1\x67version\x02";
		for at in 0..archive.len() {
			for bit in 0..8 {
				let mut flipped = archive.clone();
				flipped[at] ^= 1 << bit;
				let fine = try_everything(&flipped, &cids);
				// Nothing says what the characteristics, and the padding after the header, must be. The
				// codec in a CID is not covered by its hash.
				let loose = version_2 && (11..27).contains(&at);
				if fine && !loose {
					let same: Vec<Vec<u8>> = read(&flipped, PADDING)
						.unwrap()
						.iter()
						.map(|block| block.data().to_vec())
						.collect();
					let expected: Vec<Vec<u8>> = blocks.iter().map(|block| block.data().to_vec()).collect();
					assert_eq!(same, expected, "byte {at}, bit {bit}");
				}
			}
		}
	}
}

#[test]
fn random_bytes() {
	let mut rng = rng();
	for _ in 0..2000 {
		let len = below(&mut rng, 400) as usize;
		let mut data = bytes(&mut rng, len);
		if below(&mut rng, 2) == 0 {
			let header = v1(&[]);
			data.splice(0..0, header);
		}
		try_everything(&data, &[]);
	}
}

#[test]
fn windows_and_sizes() {
	let archive = v1(&random_blocks(3));
	assert!(CarFile::within(&archive, 1, archive.len() as u64, ReadOptions::default()).is_err());
	assert_eq!(archive.size().unwrap(), archive.len() as u64);
}

/// An index without hash functions that leads to a million blocks of one digest by other functions, and an
/// archive of one block a hundred thousand times: neither may cost a walk through all of them per lookup.
#[test]
fn lookups_do_not_go_through_repeated_entries() {
	let block = Block::encode(Codec::Raw, &b"x"[..]);
	let digest = block.cid().hash().digest();
	let other = Cid::new_v1(0x55, Multihash::wrap(0x1b, digest).unwrap());
	let mut writer = CarV2Writer::new(Cursor::new(Vec::new()), IndexFormat::Sorted).unwrap();
	writer.put(&Block::assume_verified(other, &b"x"[..])).unwrap();
	let (out, _) = writer.finish(&[*block.cid()]).unwrap();
	let archive = out.into_inner();
	let index_at = u64::from_le_bytes(archive[43..51].try_into().unwrap()) as usize;
	let entry = &archive[archive.len() - 40..];
	let many = 100_000;
	let repeated = [
		&archive[..index_at],
		&[0x80, 0x08, 1, 0, 0, 0, 40, 0, 0, 0],
		&(40 * many as u64).to_le_bytes(),
		&entry.repeat(many),
	]
	.concat();
	let file = CarFile::new(&repeated[..], ReadOptions::default()).unwrap();
	assert_eq!(file.index().len(), many);
	for _ in 0..10_000 {
		assert!(matches!(file.get(block.cid()), Err(ReadError::WrongIndex { .. })));
	}

	let mut writer = CarWriter::new(Vec::new(), &[*block.cid()])
		.unwrap()
		.duplicates(true);
	for _ in 0..many {
		writer.put(&block).unwrap();
	}
	let (payload, _) = writer.finish().unwrap();
	let scanned = CarFile::new(&payload[..], ReadOptions::default()).unwrap();
	let mut index = Vec::new();
	scanned
		.index()
		.write(IndexFormat::MultihashSorted, &mut index)
		.unwrap();
	let mut archive = b"\x0a\xa1\x67version\x02".to_vec();
	archive.extend_from_slice(&[0; 16]);
	for number in [51, payload.len(), 51 + payload.len()] {
		archive.extend_from_slice(&(number as u64).to_le_bytes());
	}
	let archive = [archive, payload, index].concat();
	let verified = verify(&archive, &VerifyOptions::default()).unwrap();
	assert_eq!(
		(verified.blocks, verified.index),
		(many as u64, IndexCheck::Matches(IndexFormat::MultihashSorted))
	);
}

#[test]
fn heads_are_listed_without_reading_blocks() {
	let blocks = random_blocks(20);
	for archive in [v1(&blocks), v2(&blocks, IndexFormat::Sorted)] {
		let mut damaged = archive.clone();
		let file = CarFile::new(&archive[..], ReadOptions::default()).unwrap();
		let places: Vec<_> = file.sections().map(|section| section.unwrap().data).collect();
		places
			.iter()
			.for_each(|place| damaged[place.offset as usize..][..place.len as usize].fill(0xee));
		let damaged = CarFile::new(&damaged[..], ReadOptions::default()).unwrap();
		let found: Vec<Cid> = damaged.sections().map(|section| section.unwrap().cid).collect();
		assert_eq!(found, blocks.iter().map(|block| *block.cid()).collect::<Vec<_>>());
		for head in damaged.sections() {
			assert!(matches!(
				damaged.read(&head.unwrap()),
				Err(ReadError::Block { .. })
			));
		}
	}
}

/// A reader that fails in its middle may call that an unexpected end; the archive does not end there.
#[test]
fn a_reader_that_fails_is_not_the_end_of_an_archive() {
	struct Broken;
	impl io::Read for Broken {
		fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
			Err(io::ErrorKind::UnexpectedEof.into())
		}
	}
	let block = Block::encode(Codec::Raw, &b"the first of many"[..]);
	let mut writer = CarWriter::new(Vec::new(), &[*block.cid()]).unwrap();
	writer.put(&block).unwrap();
	let (archive, _) = writer.finish().unwrap();
	let mut reader = CarReader::new(io::BufReader::new(io::Read::chain(&archive[..], Broken))).unwrap();
	assert_eq!(reader.next_section().unwrap().unwrap().block, block);
	assert!(matches!(reader.next_section(), Err(ReadError::Io(_))));
}
