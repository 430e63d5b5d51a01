//! Archives: CARv1 and CARv2, read from front to back and at random.

use crate::{input::Input, Seed};
use cairn_car::{
	verify, CarFile, CarReader, CarV2Writer, CarWriter, Index, IndexCheck, IndexError, IndexFormat,
	IndexSource, OpenError, ReadError, ReadOptions, Section, Verified, VerifyError, VerifyOptions, Version,
};
use cairn_dag::{cid::multihash::Multihash, hash::IDENTITY, varint, Block, Cid, Codec, HashFunction};
use std::io::Cursor;

/// Options by the bits of an input's first byte.
fn options(flags: u8) -> ReadOptions {
	let flag = |bit: u8| flags & (1 << bit) != 0;
	let default = ReadOptions::default();
	ReadOptions {
		verify: !flag(0),
		zero_padding: flag(1),
		ignore_index: flag(2),
		max_header: if flag(3) { 100 } else { default.max_header },
		max_section: if flag(4) { 60 } else { default.max_section },
		max_index: if flag(5) { 100 } else { default.max_index },
	}
}

/// What a reader made of an archive.
struct Streamed {
	version: Version,
	roots: Vec<Cid>,
	sections: Vec<Section>,
	/// Bytes of the payload up to where reading ended.
	end: u64,
	failure: Option<ReadError>,
}

fn stream(archive: &[u8], options: ReadOptions) -> Result<Streamed, ReadError> {
	let mut reader = CarReader::with_options(archive, options)?;
	let mut sections: Vec<Section> = Vec::new();
	let mut end = reader.position();
	let failure = loop {
		match reader.next_section() {
			Ok(Some(section)) => {
				assert_eq!(section.offset, end, "sections are not contiguous");
				end += section.len;
				assert_eq!(reader.position(), end);
				assert!(section.len <= options.max_section + varint::MAX_LEN as u64);
				sections.push(section);
			}
			Ok(None) => break None,
			Err(error) => break Some(error),
		}
	};
	assert!(
		matches!(reader.next_section(), Ok(None)),
		"a reader goes on after its end"
	);
	Ok(Streamed {
		version: reader.version(),
		roots: reader.roots().to_vec(),
		sections,
		end,
		failure,
	})
}

/// A section as it must stand in the archive.
fn section_bytes(block: &Block) -> Vec<u8> {
	let cid = block.cid().to_bytes();
	let mut bytes = Vec::new();
	varint::encode((cid.len() + block.data().len()) as u64, &mut bytes);
	bytes.extend_from_slice(&cid);
	bytes.extend_from_slice(block.data());
	bytes
}

/// First byte of the payload: a CARv2 says it behind pragma and characteristics.
fn payload_start(archive: &[u8], version: Version) -> usize {
	match version {
		Version::V1 => 0,
		Version::V2 => u64::from_le_bytes(archive[27..35].try_into().expect("eight bytes")) as usize,
	}
}

/// Reads an archive in every way, and compares.
pub fn car_archive(data: &[u8]) {
	let mut input = Input::new(data);
	let options = options(input.byte());
	let archive = input.rest();
	let streamed = stream(archive, options);
	let opened = CarFile::new(archive, options);
	let checks = VerifyOptions {
		read: options,
		roots: true,
		dag: false,
	};
	let verified = verify(archive, &checks);
	let Ok(streamed) = streamed else {
		assert!(
			opened.is_err() && verified.is_err(),
			"a header is accepted by some readers only"
		);
		return;
	};
	let start = payload_start(archive, streamed.version);
	for section in &streamed.sections {
		let at = start + section.offset as usize;
		assert_eq!(
			&archive[at..at + section.len as usize],
			section_bytes(&section.block),
			"a section has two encodings"
		);
	}
	agree(archive, options, &streamed, &opened, &verified);
	if streamed.failure.is_none() && options.verify {
		written_back(&streamed);
	}
}

/// Random access and verification see what the stream showed.
fn agree(
	archive: &[u8],
	options: ReadOptions,
	streamed: &Streamed,
	opened: &Result<CarFile<&[u8]>, OpenError>,
	verified: &Result<Verified, VerifyError>,
) {
	let indexed = |section: &&Section| section.block.cid().hash().code() != IDENTITY;
	match opened {
		Ok(file) => {
			assert_eq!(
				(file.version(), file.roots()),
				(streamed.version, &streamed.roots[..])
			);
			let again: Vec<Block> = match file.reader() {
				Ok(reader) => reader.map_while(Result::ok).collect(),
				Err(error) => panic!("an opened archive cannot be read: {error}"),
			};
			assert_eq!(again.len(), streamed.sections.len());
			let complete = file.index_source() == IndexSource::Scan;
			if complete {
				// A scan reads no block: hashes and what follows the archive are left to who reads them.
				assert!(
					matches!(
						streamed.failure,
						None | Some(ReadError::Block { .. } | ReadError::TrailingData { .. })
					),
					"scanning overlooks {:?}",
					streamed.failure
				);
				if streamed.failure.is_none() {
					assert_eq!(
						file.index().len(),
						streamed.sections.iter().filter(indexed).count()
					);
				}
			}
			for section in &streamed.sections {
				found(archive, options, file, section, complete);
			}
		}
		Err(OpenError::Index(_)) => assert!(streamed.version == Version::V2 || options.max_index < 256),
		// A stream knows nothing of what lies behind the payload of a CARv2.
		Err(OpenError::Read(error)) => assert!(
			streamed.failure.is_some() || streamed.version == Version::V2,
			"streaming overlooks {error}"
		),
		Err(error) => panic!("unknown: {error}"),
	}
	let Ok(verified) = verified else { return };
	let checked = ReadOptions {
		verify: true,
		..options
	};
	let whole = stream(archive, checked).expect("a verified archive has a header");
	assert!(
		whole.failure.is_none(),
		"verification overlooks {:?}",
		whole.failure
	);
	assert_eq!(verified.blocks, whole.sections.len() as u64);
	assert_eq!(
		(verified.payload_size, verified.version),
		(whole.end, whole.version)
	);
	assert_eq!(verified.roots, whole.roots);
	if let (IndexCheck::Matches(_), Ok(file)) = (verified.index, opened) {
		for section in &whole.sections {
			found(archive, checked, file, section, true);
		}
	}
}

/// Looks a block up. `complete`: the index has every block.
fn found(archive: &[u8], options: ReadOptions, file: &CarFile<&[u8]>, section: &Section, complete: bool) {
	let (cid, data) = (section.block.cid(), section.block.data());
	match file.get(cid) {
		Ok(Some(block)) if options.verify => {
			assert_eq!(block.cid(), cid);
			assert!(
				cairn_dag::block::verify(cid, block.data()).is_ok(),
				"an unverified block"
			);
			if Block::new(*cid, data.to_vec()).is_ok() {
				assert_eq!(block.data(), data);
			}
		}
		Ok(Some(_)) => {}
		Ok(None) => assert!(!complete, "the index lacks {cid}"),
		// The same multihash may stand before another block, which is then found first.
		Err(error) => assert!(
			!complete || matches!(error, ReadError::Block { .. }),
			"a block is not found: {error}"
		),
	}
	if let Ok(Some(place)) = file.locate(cid) {
		let end = place.offset.checked_add(place.len).expect("a place overflows");
		assert!(end <= archive.len() as u64, "a place beyond the archive");
	}
}

/// What was read can be written, in each form, and reads the same.
fn written_back(streamed: &Streamed) {
	let blocks: Vec<&Block> = streamed
		.sections
		.iter()
		.map(|section| &section.block)
		.filter(|block| block.cid().hash().code() != IDENTITY)
		.collect();
	let mut writer = CarWriter::new(Vec::new(), &streamed.roots)
		.expect("memory takes every byte")
		.duplicates(true);
	for block in &blocks {
		assert!(writer.put(block).expect("memory takes every byte"));
	}
	let (archive, written) = writer.finish().expect("memory takes every byte");
	assert_eq!(written.size, archive.len() as u64);
	let again = stream(&archive, ReadOptions::default()).expect("a written header is read");
	assert!(again.failure.is_none());
	assert_eq!(again.roots, streamed.roots);
	assert!(again
		.sections
		.iter()
		.map(|section| &section.block)
		.eq(blocks.iter().copied()));

	let room = 1024 + 128 * streamed.roots.len() as u64;
	for format in [IndexFormat::Sorted, IndexFormat::MultihashSorted] {
		let mut writer = CarV2Writer::with_header_room(Cursor::new(Vec::new()), format, room)
			.expect("memory takes every byte");
		for block in &blocks {
			writer.put(block).expect("memory takes every byte");
		}
		let (out, written) = writer
			.finish(&streamed.roots)
			.expect("there is room for the header");
		let archive = out.into_inner();
		assert_eq!(written.size, archive.len() as u64);
		let checks = VerifyOptions {
			roots: false,
			..VerifyOptions::default()
		};
		let verified = verify(&archive, &checks).expect("a written archive is verified");
		assert_eq!(verified.index, IndexCheck::Matches(format));
		assert_eq!(verified.roots, streamed.roots);
	}
}

/// Reads the index of a CARv2, looks everything up in it, and writes it back.
pub fn car_index(data: &[u8]) {
	let mut input = Input::new(data);
	let options = options(input.byte());
	let bytes = input.rest();
	let len = bytes.len() as u64;
	let Ok((index, format, end)) = Index::read(bytes, 0, len, &options) else {
		return;
	};
	assert!(end <= len.min(options.max_index));
	let entries = sorted(&index);
	assert_eq!(entries.len(), index.len());
	for (function, digest, offset) in &entries {
		// A format without hash functions finds its digests under any.
		let function = function.unwrap_or(HashFunction::default().code());
		let hash = Multihash::wrap(function, digest).expect("digests have at most 64 bytes");
		let cid = Cid::new_v1(Codec::Raw.code(), hash);
		assert!(
			index.offsets(&cid).any(|found| found == *offset),
			"an entry is not found"
		);
	}
	for into in [IndexFormat::Sorted, IndexFormat::MultihashSorted] {
		let mut written = Vec::new();
		match index.write(into, &mut written) {
			Ok(size) => assert_eq!(size, written.len() as u64),
			Err(IndexError::FunctionsUnknown) => {
				assert_eq!(
					(format, into),
					(IndexFormat::Sorted, IndexFormat::MultihashSorted)
				);
				continue;
			}
			Err(error) => panic!("an index cannot be written: {error}"),
		}
		let (again, found, end) = Index::read(&written[..], 0, written.len() as u64, &ReadOptions::default())
			.expect("a written index is read");
		assert_eq!((found, end), (into, written.len() as u64));
		assert_eq!(again.len(), index.len());
		if into == format {
			assert_eq!(sorted(&again), entries);
		}
		let mut twice = Vec::new();
		again
			.write(into, &mut twice)
			.expect("a written index is written again");
		assert_eq!(twice, written, "an index has two forms");
	}
}

fn sorted(index: &Index) -> Vec<(Option<u64>, Vec<u8>, u64)> {
	let mut entries: Vec<_> = index
		.iter()
		.map(|(function, digest, offset)| (function, digest.to_vec(), offset))
		.collect();
	entries.sort();
	entries
}

fn blocks() -> Vec<Block> {
	vec![
		Block::encode(Codec::Raw, &b"first"[..]),
		Block::encode_with(Codec::Raw, HashFunction::Blake2b256, &b"second"[..]),
		Block::encode_with(Codec::Raw, HashFunction::Sha2_512, &b""[..]),
		Block::encode_v0(&b"\x0a\x02\x08\x01"[..]),
		Block::encode(Codec::Raw, &b"first"[..]),
	]
}

/// A CARv1 of [`blocks`], the last of which repeats the first.
pub(crate) fn v1() -> Vec<u8> {
	let blocks = blocks();
	let writer = CarWriter::new(Vec::new(), &[*blocks[0].cid(), *blocks[3].cid()]);
	let mut writer = writer.expect("memory takes every byte").duplicates(true);
	for block in &blocks {
		writer.put(block).expect("memory takes every byte");
	}
	writer.finish().expect("memory takes every byte").0
}

/// A CARv2 of the same blocks.
pub(crate) fn v2(format: IndexFormat) -> Vec<u8> {
	let blocks = blocks();
	let out = Cursor::new(Vec::new());
	let mut writer = CarV2Writer::new(out, format).expect("memory takes every byte");
	for block in &blocks {
		writer.put(block).expect("memory takes every byte");
	}
	let (out, _) = writer
		.finish(&[*blocks[0].cid()])
		.expect("memory takes every byte");
	out.into_inner()
}

fn with_flags(flags: u8, bytes: &[u8]) -> Vec<u8> {
	[&[flags], bytes].concat()
}

/// Seeds of [`car_archive`].
pub(crate) fn archive_seeds() -> Vec<Seed> {
	let (v1, padding) = (v1(), [0; 40]);
	let rootless = CarWriter::new(Vec::new(), &[]).expect("memory takes every byte");
	let (rootless, _) = rootless.finish().expect("memory takes every byte");
	let identity = Cid::new_v1(
		Codec::Raw.code(),
		Multihash::wrap(IDENTITY, b"inline").expect("six bytes fit"),
	);
	let inline = Block::from_identity(&identity).expect("an identity CID holds its block");
	vec![
		("v1", with_flags(0, &v1)),
		("v1-padded", with_flags(2, &[&v1[..], &padding].concat())),
		(
			"v1-identity",
			with_flags(0, &[&v1[..], &section_bytes(&inline)].concat()),
		),
		("v1-empty", with_flags(0, &rootless)),
		("v2-sorted", with_flags(0, &v2(IndexFormat::Sorted))),
		("v2-multihash", with_flags(0, &v2(IndexFormat::MultihashSorted))),
		("v2-scanned", with_flags(4, &v2(IndexFormat::MultihashSorted))),
	]
}

/// Seeds of [`car_index`].
pub(crate) fn index_seeds() -> Vec<Seed> {
	let index = |format| {
		let archive = v2(format);
		let at = u64::from_le_bytes(archive[43..51].try_into().expect("eight bytes")) as usize;
		with_flags(0, &archive[at..])
	};
	vec![
		("sorted", index(IndexFormat::Sorted)),
		("multihash", index(IndexFormat::MultihashSorted)),
	]
}
