//! Archives of go-car's own tests (`v2/reader_test.go`): a CARv2 with a MultihashIndexSorted index, and hostile
//! ones made of it.

use cairn_car::{
	salvage, verify, CarFile, CarReader, CarV2Writer, IndexCheck, IndexError, IndexFormat, IndexSource,
	OpenError, ReadError, ReadOptions, SalvageOptions, VerifyError, VerifyOptions,
};
use cairn_dag::{varint::VarintError, Cid};
use std::io::Cursor;

fn hex(text: &str) -> Vec<u8> {
	hex::decode(text.replace(char::is_whitespace, "")).unwrap()
}

const PREFIX: &str = "
	0aa16776657273696f6e02 00000000000000000000000000000000 3300000000000000 4100000000000000 7400000000000000
";
const PAYLOAD: &str = "
	11a265726f6f7473806776657273696f6e01
	2e0155122001d448afd928065458cf670b60f5a594d735af0172c8d67f22a81680132681ca00000000000000000000
";
const CID: &str = "bafkreiab2rek7wjiazkfrt3hbnqpljmu24226alszdlh6ivic2abgjubzi";

/// The archive with its index, of which the counts of functions and of buckets can be others.
fn with_counts(functions: &str, buckets: &str) -> Vec<u8> {
	hex(&format!(
		"{PREFIX}{PAYLOAD} 8108 {functions} 1200000000000000 {buckets} 28000000 2800000000000000
		01d448afd928065458cf670b60f5a594d735af0172c8d67f22a81680132681ca 1200000000000000"
	))
}

#[test]
fn multihash_index_sorted_is_read_and_written_alike() {
	let archive = with_counts("01000000", "01000000");
	let verified = verify(&archive, &VerifyOptions::default()).unwrap();
	assert_eq!(verified.index, IndexCheck::Matches(IndexFormat::MultihashSorted));
	let file = CarFile::new(&archive[..], ReadOptions::default()).unwrap();
	assert_eq!(file.index_source(), IndexSource::Embedded);
	let cid: Cid = CID.parse().unwrap();
	let block = file.get(&cid).unwrap().unwrap();
	assert_eq!(block.data(), [0; 10]);
	assert_eq!(file.index().offsets(&cid).collect::<Vec<_>>(), [18]);
	let mut writer =
		CarV2Writer::for_roots(Cursor::new(Vec::new()), IndexFormat::MultihashSorted, &[]).unwrap();
	writer.put(&block).unwrap();
	let (out, _) = writer.finish(&[]).unwrap();
	assert_eq!(out.into_inner(), archive);
}

/// `TestIndex_ReadFromCorruptIndex`: counts that nobody's memory would do for.
#[test]
fn counts_that_lie() {
	for (functions, buckets) in [
		("ffffffff", "01000000"),
		("ffffff7f", "01000000"),
		("01000000", "ffffffff"),
		("01000000", "ffffff7f"),
	] {
		let archive = with_counts(functions, buckets);
		let opened = CarFile::new(&archive[..], ReadOptions::default()).unwrap_err();
		assert!(
			matches!(
				opened,
				OpenError::Index(IndexError::Truncated | IndexError::Malformed { .. })
			),
			"{opened}"
		);
		let verified = verify(&archive, &VerifyOptions::default());
		assert!(matches!(verified, Err(VerifyError::Index(_))));
		// The blocks are there all the same.
		let ignoring = ReadOptions {
			ignore_index: true,
			..ReadOptions::default()
		};
		let file = CarFile::new(&archive[..], ignoring).unwrap();
		assert!(file.get(&CID.parse().unwrap()).unwrap().is_some());
		let mut out = Cursor::new(Vec::new());
		let salvaged = salvage(&archive, &mut out, &SalvageOptions::default()).unwrap();
		assert_eq!((salvaged.written.blocks, salvaged.lost_ranges), (1, 0));
		assert_eq!(out.into_inner(), with_counts("01000000", "01000000"));
	}
}

/// `TestInspectError`.
#[test]
fn sections_and_headers_that_lie() {
	let read = |text: &str| -> Result<usize, ReadError> {
		let mut count = 0;
		for block in CarReader::new(&hex(text)[..])? {
			block?;
			count += 1;
		}
		Ok(count)
	};
	let huge = read("e0e0e0e0a7060c6f6c4cca943c236f4b196723489608edb42a8b8fa80b6776657273696f6e19");
	assert!(matches!(huge, Err(ReadError::HeaderTooLarge { .. })), "{huge:?}");
	let huge = read(
		"11a265726f6f7473806776657273696f6e01
		e0e0e0e0a7060155122001d448afd928065458cf670b60f5a594d735af0172c8d67f22a81680132681ca00000000000000000000",
	);
	assert!(matches!(huge, Err(ReadError::SectionTooLarge { .. })), "{huge:?}");
	// Links with another tag than 42, roots that are null: what go-car still opens.
	for header in [
		"3aa265726f6f747381d8305825000130302030303030303030303030303030303030303030303030303030303030303030306776657273696f6e010130",
		"11a265726f6f7473f66776657273696f6e0180",
	] {
		let wrong = read(header);
		assert!(matches!(wrong, Err(ReadError::Header { .. })), "{wrong:?}");
	}
	let changed = read(
		"11a265726f6f7473806776657273696f6e01
		2e0155122001d448afd928065458cf670b60f5a594d735af0172c8d67f22a81680132681caffffffffffffffffffff",
	);
	assert!(
		matches!(changed, Err(ReadError::Block { offset: 18, .. })),
		"{changed:?}"
	);
	let identity = read(
		"2fa265726f6f747381d82a581a0001a90200147b226964656e74697479223a22626c6f636b227d6776657273696f6e01
		1901a90200147b226964656e74697479223a22626c6f636b227d",
	);
	assert!(
		matches!(identity, Err(ReadError::Block { offset: 48, .. })),
		"{identity:?}"
	);
	let half = read("11a265726f6f7473806776657273696f6e0180");
	assert!(
		matches!(half, Err(ReadError::Truncated { offset: 19 })),
		"{half:?}"
	);
	let bomb = read("11a265726f6f7473806776657273696f6e01ffffffffffffffffffff7f");
	assert!(
		matches!(
			bomb,
			Err(ReadError::Length {
				error: VarintError::Overflow,
				..
			})
		),
		"{bomb:?}"
	);
}
