use super::*;
use cairn_dag::{Block, Codec, HashFunction};

fn sample() -> (Index, Vec<(Cid, u64)>) {
	let mut builder = IndexBuilder::default();
	let mut entries = Vec::new();
	let functions = [
		HashFunction::Sha2_256,
		HashFunction::Blake2b256,
		HashFunction::Sha2_512,
	];
	for n in 0..300u64 {
		let function = functions[n as usize % 3];
		let cid = *Block::encode_with(Codec::Raw, function, n.to_le_bytes().to_vec()).cid();
		builder.push(&cid, n * 1000);
		entries.push((cid, n * 1000));
	}
	// The same block once more.
	builder.push(&entries[0].0, 999_999);
	(builder.build(), entries)
}

fn read(bytes: &[u8]) -> Result<(Index, IndexFormat, u64), IndexError> {
	Index::read(bytes, 0, bytes.len() as u64, &ReadOptions::default())
}

#[test]
fn both_formats_round_trip() {
	let (index, entries) = sample();
	assert_eq!(index.len(), 301);
	for format in [IndexFormat::Sorted, IndexFormat::MultihashSorted] {
		let mut bytes = vec![0xaa; 7];
		let written = index.write(format, &mut bytes).unwrap();
		assert_eq!(written, bytes.len() as u64 - 7);
		bytes.extend_from_slice(&[0; 5]);
		let (found, found_format, end) =
			Index::read(&bytes, 7, bytes.len() as u64, &ReadOptions::default()).unwrap();
		assert_eq!((found_format, end), (format, bytes.len() as u64 - 5));
		assert_eq!(found.len(), 301);
		for (cid, offset) in &entries {
			let offsets: Vec<u64> = found.offsets(cid).collect();
			assert!(offsets.contains(offset), "{format:?} {cid}");
			assert_eq!(offsets.len(), 1 + usize::from(*offset == 0));
			assert!(found.contains(Some(cid.hash().code()), cid.hash().digest(), *offset));
			assert!(!found.contains(Some(cid.hash().code()), cid.hash().digest(), *offset + 1));
		}
		let absent = *Block::encode(Codec::Raw, &b"absent"[..]).cid();
		assert_eq!(found.offsets(&absent).count(), 0);
		let mut again = Vec::new();
		found.write(format, &mut again).unwrap();
		assert_eq!(again, bytes[7..bytes.len() - 5]);
	}
}

#[test]
fn functions_are_not_made_up() {
	let (index, _) = sample();
	let mut bytes = Vec::new();
	index.write(IndexFormat::Sorted, &mut bytes).unwrap();
	let (index, ..) = read(&bytes).unwrap();
	assert!(matches!(
		index.write(IndexFormat::MultihashSorted, &mut Vec::new()),
		Err(IndexError::FunctionsUnknown)
	));
}

#[test]
fn hostile_indexes() {
	fn sorted(width: u32, len: u64, entries: &[u8]) -> Vec<u8> {
		[
			&[0x80, 0x08, 1, 0, 0, 0][..],
			&width.to_le_bytes(),
			&len.to_le_bytes(),
			entries,
		]
		.concat()
	}
	let mut two = [0u8; 80];
	two[0] = 1;
	assert!(read(&sorted(40, 40, &[0; 40])).is_ok());
	for (bytes, what) in [
		(vec![], "nothing"),
		(vec![0x80], "half a format"),
		(vec![0xff; 11], "overflowing format"),
		(vec![0x80, 0x08, 1], "half a count"),
		(sorted(7, 0, &[]), "width below an offset's"),
		(sorted(73, 0, &[]), "width beyond any digest's"),
		(sorted(u32::MAX, u64::MAX, &[]), "widest"),
		(sorted(40, 41, &[0; 41]), "not a multiple"),
		(sorted(40, 80, &[0; 79]), "entries cut off"),
		(sorted(40, 40 << 40, &[0; 40]), "more entries than bytes"),
		(sorted(40, 80, &two), "not sorted"),
		(vec![0x80, 0x08, 0xff, 0xff, 0xff, 0xff], "buckets cut off"),
		(vec![0x81, 0x08, 1, 0, 0, 0, 0x12, 0, 0, 0], "function cut off"),
	] {
		assert!(read(&bytes).is_err(), "{what}");
	}
	assert!(matches!(
		read(&[0x82, 0x08]),
		Err(IndexError::UnknownFormat { code: 0x402 })
	));
	let (index, _) = sample();
	let mut bytes = Vec::new();
	index.write(IndexFormat::MultihashSorted, &mut bytes).unwrap();
	let tight = ReadOptions {
		max_index: bytes.len() as u64 - 1,
		..Default::default()
	};
	let limited = Index::read(&bytes, 0, bytes.len() as u64, &tight);
	assert!(matches!(limited, Err(IndexError::TooLarge { .. })));
	for cut in 0..bytes.len() {
		assert!(read(&bytes[..cut]).is_err());
	}
	for at in 0..200 {
		for bit in 0..8 {
			let mut flipped = bytes.clone();
			flipped[at] ^= 1 << bit;
			let _ = read(&flipped);
		}
	}
}

/// Every lookup goes through all buckets, and each takes more memory than it has bytes.
#[test]
fn more_buckets_than_any_writer_makes_are_refused() {
	let index = |buckets: u32| {
		let bucket = [&8u32.to_le_bytes()[..], &8u64.to_le_bytes(), &[0; 8]].concat();
		[
			&[0x80, 0x08][..],
			&buckets.to_le_bytes(),
			&bucket.repeat(buckets as usize),
		]
		.concat()
	};
	let most = MAX_BUCKETS as u32;
	assert_eq!(read(&index(most)).unwrap().0.len(), MAX_BUCKETS);
	assert!(matches!(
		read(&index(most + 1)),
		Err(IndexError::Malformed { .. })
	));
}
