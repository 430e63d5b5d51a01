//! Archives that other implementations wrote.

use cairn_car::{
	verify, CarFile, CarReader, CarV2Writer, CarWriter, IndexCheck, IndexFormat, IndexSource, ReadOptions,
	VerifyOptions, Version,
};
use cairn_dag::{
	walk::{walk, Scope},
	Block, Cid,
};
use std::io::Cursor;

fn hex(text: &str) -> Vec<u8> {
	hex::decode(text.replace(char::is_whitespace, "")).unwrap()
}

/// `carBytes` of ipld/js-car's tests: the blocks of `carv1-basic.car` from the leaves up.
fn js_v1() -> Vec<u8> {
	hex("
		63a265726f6f747382d82a58250001711220f88bc853804cf294fe417e4fa83028689fcdb1b1592c5102e1474dbc200fab8b
		d82a5825000171122069ea0740f9807a28f4d932c62e7c1c83be055e55072c90266ab3e79df63a365b6776657273696f6e01
		280155122061be55a8e2f6b4e172338bddf184d6dbee29c98853e0a0485ecee7f27b9af0b461616161280155122081cc5b17
		018674b401b42f35ba07bb79e211239c23bffe658da1577e3e646877626262622801551220b6fbd675f98e2abd22d4ed29fd
		c83150fedc48597e92dd1a7a24381d44a2745163636363511220e7dc486e97e6ebe5cdabab3e392bdad128b6e09acc94bb4e
		2aa2af7b986d24d0122d0a240155122061be55a8e2f6b4e172338bddf184d6dbee29c98853e0a0485ecee7f27b9af0b41203
		63617418048001122079a982de3c9907953d4d323cee1d0fb1ed8f45f8ef02870c0cb9e09246bd530a122d0a240155122081
		cc5b17018674b401b42f35ba07bb79e211239c23bffe658da1577e3e6468771203646f671804122d0a221220e7dc486e97e6
		ebe5cdabab3e392bdad128b6e09acc94bb4e2aa2af7b986d24d01205666972737418338301122002acecc5de2438ea4126a3
		010ecb1f8a599c8eff22fff1a1dcffe999b27fd3de122e0a2401551220b6fbd675f98e2abd22d4ed29fdc83150fedc48597e
		92dd1a7a24381d44a274511204626561721804122f0a22122079a982de3c9907953d4d323cee1d0fb1ed8f45f8ef02870c0c
		b9e09246bd530a12067365636f6e641895015b01711220f88bc853804cf294fe417e4fa83028689fcdb1b1592c5102e1474d
		bc200fab8ba2646c696e6bd82a582300122002acecc5de2438ea4126a3010ecb1f8a599c8eff22fff1a1dcffe999b27fd3de
		646e616d6564626c6970360171122069ea0740f9807a28f4d932c62e7c1c83be055e55072c90266ab3e79df63a365ba2646c
		696e6bf6646e616d65656c696d626f
	")
}

/// `carv1-basic.car` of the IPLD specification, which go-car wrote; `goCarBytes` of ipld/js-car's tests.
fn basic_v1() -> Vec<u8> {
	hex("
		63a265726f6f747382d82a58250001711220f88bc853804cf294fe417e4fa83028689fcdb1b1592c5102e1474dbc200fab8b
		d82a5825000171122069ea0740f9807a28f4d932c62e7c1c83be055e55072c90266ab3e79df63a365b6776657273696f6e01
		5b01711220f88bc853804cf294fe417e4fa83028689fcdb1b1592c5102e1474dbc200fab8ba2646c696e6bd82a5823001220
		02acecc5de2438ea4126a3010ecb1f8a599c8eff22fff1a1dcffe999b27fd3de646e616d6564626c69708301122002acecc5
		de2438ea4126a3010ecb1f8a599c8eff22fff1a1dcffe999b27fd3de122e0a2401551220b6fbd675f98e2abd22d4ed29fdc8
		3150fedc48597e92dd1a7a24381d44a274511204626561721804122f0a22122079a982de3c9907953d4d323cee1d0fb1ed8f
		45f8ef02870c0cb9e09246bd530a12067365636f6e641895012801551220b6fbd675f98e2abd22d4ed29fdc83150fedc4859
		7e92dd1a7a24381d44a27451636363638001122079a982de3c9907953d4d323cee1d0fb1ed8f45f8ef02870c0cb9e09246bd
		530a122d0a240155122081cc5b17018674b401b42f35ba07bb79e211239c23bffe658da1577e3e6468771203646f67180412
		2d0a221220e7dc486e97e6ebe5cdabab3e392bdad128b6e09acc94bb4e2aa2af7b986d24d012056669727374183328015512
		2081cc5b17018674b401b42f35ba07bb79e211239c23bffe658da1577e3e64687762626262511220e7dc486e97e6ebe5cdab
		ab3e392bdad128b6e09acc94bb4e2aa2af7b986d24d0122d0a240155122061be55a8e2f6b4e172338bddf184d6dbee29c988
		53e0a0485ecee7f27b9af0b412036361741804280155122061be55a8e2f6b4e172338bddf184d6dbee29c98853e0a0485ece
		e7f27b9af0b461616161360171122069ea0740f9807a28f4d932c62e7c1c83be055e55072c90266ab3e79df63a365ba2646c
		696e6bf6646e616d65656c696d626f
	")
}

/// A section as `carv1-basic.json` and `carv2-basic.json` describe it: CID, offset and length of the section,
/// offset and length of the block, counted from the archive's first byte.
type Layout = (&'static str, u64, u64, u64, u64);

const BASIC_V1_LAYOUT: [Layout; 8] = [
	(
		"bafyreihyrpefhacm6kkp4ql6j6udakdit7g3dmkzfriqfykhjw6cad5lrm",
		100,
		92,
		137,
		55,
	),
	(
		"QmNX6Tffavsya4xgBi2VJQnSuqy9GsxongxZZ9uZBqp16d",
		192,
		133,
		228,
		97,
	),
	(
		"bafkreifw7plhl6mofk6sfvhnfh64qmkq73oeqwl6sloru6rehaoujituke",
		325,
		41,
		362,
		4,
	),
	(
		"QmWXZxVQ9yZfhQxLD35eDR8LiMRsYtHxYqTFCBbJoiJVys",
		366,
		130,
		402,
		94,
	),
	(
		"bafkreiebzrnroamgos2adnbpgw5apo3z4iishhbdx77gldnbk57d4zdio4",
		496,
		41,
		533,
		4,
	),
	("QmdwjhxpxzcMsR3qUuj7vUL8pbA7MgR3GAxWi2GLHjsKCT", 537, 82, 572, 47),
	(
		"bafkreidbxzk2ryxwwtqxem4l3xyyjvw35yu4tcct4cqeqxwo47zhxgxqwq",
		619,
		41,
		656,
		4,
	),
	(
		"bafyreidj5idub6mapiupjwjsyyxhyhedxycv4vihfsicm2vt46o7morwlm",
		660,
		55,
		697,
		18,
	),
];

const BASIC_V2_LAYOUT: [Layout; 5] = [
	("QmfEoLyB5NndqeKieExd1rtJzTduQUPEV8TwAYcUiy3H5Z", 108, 82, 143, 47),
	(
		"QmczfirA7VEH7YVvKPTPoU69XM3qY4DC39nnTsWd4K3SkM",
		190,
		135,
		226,
		99,
	),
	("Qmcpz2FHJD7VAhg1fxFXdYJKePtkx1BsHuCrAgWVnaHMTE", 325, 89, 360, 54),
	(
		"bafkreifuosuzujyf4i6psbneqtwg2fhplc2wxptc5euspa2gn3bwhnihfu",
		414,
		41,
		451,
		4,
	),
	(
		"bafkreifc4hca3inognou377hfhvu2xfchn2ltzi7yu27jkaeujqqqdbjju",
		455,
		44,
		492,
		7,
	),
];

/// The CARv1 in `goCarV2Bytes` of ipld/js-car's test fixtures, which go-car wrote.
fn go_payload() -> Vec<u8> {
	hex("
		38a265726f6f747381d82a5823001220fb16f5083412ef1371d031ed4aa239903d84efdadf1ba3cd678e6475b1a232f86776
		657273696f6e01511220fb16f5083412ef1371d031ed4aa239903d84efdadf1ba3cd678e6475b1a232f8122d0a221220d9c0
		d5376d26f1931f7ad52d7acc00fc1090d2edb0808bf61eeb0a152826f6261204f09f8da418a40185011220d9c0d5376d26f1
		931f7ad52d7acc00fc1090d2edb0808bf61eeb0a152826f62612310a221220d745b7757f5b4593eeab7820306c7bc64eb496
		a7410a0d07df7a34ffec4b97f1120962617272656c657965183a122e0a2401551220a2e1c40da1ae335d4dffe729eb4d5ca2
		3b74b9e51fc535f4a804a261080c294d1204f09f90a11807581220d745b7757f5b4593eeab7820306c7bc64eb496a7410a0d
		07df7a34ffec4b97f112340a2401551220b474a99a2705e23cf905a484ec6d14ef58b56bbe62e9292783466ec363b5072d12
		0a666973686d6f6e67657218042801551220b474a99a2705e23cf905a484ec6d14ef58b56bbe62e9292783466ec363b5072d
		666973682b01551220a2e1c40da1ae335d4dffe729eb4d5ca23b74b9e51fc535f4a804a261080c294d6c6f6273746572
	")
}

/// The index of the same archive. go-car wrote it before indexes began with a format code.
fn go_index_entries() -> Vec<u8> {
	hex("
		0100000028000000c800000000000000
		a2e1c40da1ae335d4dffe729eb4d5ca23b74b9e51fc535f4a804a261080c294d9401000000000000
		b474a99a2705e23cf905a484ec6d14ef58b56bbe62e9292783466ec363b5072d6b01000000000000
		d745b7757f5b4593eeab7820306c7bc64eb496a7410a0d07df7a34ffec4b97f11201000000000000
		d9c0d5376d26f1931f7ad52d7acc00fc1090d2edb0808bf61eeb0a152826f6268b00000000000000
		fb16f5083412ef1371d031ed4aa239903d84efdadf1ba3cd678e6475b1a232f83900000000000000
	")
}

/// `carv2-basic.car` of the IPLD specification.
fn go_v2() -> Vec<u8> {
	let prefix = "
		0aa16776657273696f6e02 00000000000000000000000000000000 3300000000000000 c001000000000000
		f301000000000000
	";
	[hex(prefix), go_payload(), go_index_entries()].concat()
}

fn blocks(bytes: &[u8]) -> Vec<Block> {
	CarReader::new(bytes).unwrap().map(Result::unwrap).collect()
}

#[test]
fn layouts_are_as_the_specification_describes_them() {
	for (bytes, layout, roots) in [
		(basic_v1(), &BASIC_V1_LAYOUT[..], [0, 7].as_slice()),
		(go_v2(), &BASIC_V2_LAYOUT[..], &[0]),
	] {
		let file = CarFile::new(&bytes[..], ReadOptions::default()).unwrap();
		let expected: Vec<&str> = roots.iter().map(|root| layout[*root].0).collect();
		let found: Vec<String> = file.roots().iter().map(Cid::to_string).collect();
		assert_eq!(found, expected);
		let payload = file.payload().0;
		let mut sections = file.sections().map(Result::unwrap);
		let mut reader = file.reader().unwrap();
		for (cid, offset, len, block_offset, block_len) in layout {
			let head = sections.next().unwrap();
			assert_eq!(
				(head.cid.to_string().as_str(), payload + head.offset),
				(*cid, *offset)
			);
			assert_eq!((head.data.offset, head.data.len), (*block_offset, *block_len));
			let section = reader.next_section().unwrap().unwrap();
			assert_eq!((section.offset, section.len), (head.offset, *len));
			assert_eq!(file.locate(&head.cid).unwrap(), Some(head.data));
			assert_eq!(file.get(&head.cid).unwrap().as_ref(), Some(&section.block));
			assert_eq!(file.read(&head).unwrap(), section.block);
		}
		assert!(sections.next().is_none() && reader.next_section().unwrap().is_none());
	}
}

/// Both orders of the same DAG are walked alike.
#[test]
fn the_order_of_sections_does_not_matter() {
	let walked = |bytes: Vec<u8>| -> Vec<Cid> {
		let file = CarFile::new(bytes, ReadOptions::default()).unwrap();
		let roots = file.roots().to_vec();
		walk(&file, roots[0], Scope::All)
			.then_from(roots[1..].iter().copied())
			.map(|block| *block.unwrap().cid())
			.collect()
	};
	let expected: Vec<Cid> = BASIC_V1_LAYOUT.iter().map(|row| row.0.parse().unwrap()).collect();
	assert_eq!(walked(basic_v1()), expected);
	assert_eq!(walked(js_v1()), expected);
}

#[test]
fn carv1_of_js_car() {
	let bytes = js_v1();
	let mut reader = CarReader::new(&bytes[..]).unwrap();
	assert_eq!(reader.version(), Version::V1);
	let roots: Vec<String> = reader.roots().iter().map(Cid::to_string).collect();
	assert_eq!(
		roots,
		[
			"bafyreihyrpefhacm6kkp4ql6j6udakdit7g3dmkzfriqfykhjw6cad5lrm",
			"bafyreidj5idub6mapiupjwjsyyxhyhedxycv4vihfsicm2vt46o7morwlm",
		]
	);
	let mut found = Vec::new();
	while let Some(section) = reader.next_section().unwrap() {
		found.push((section.offset, section.len, section.block.cid().to_string()));
	}
	let cid = |index: usize| found[index].2.as_str();
	assert_eq!(found.len(), 8);
	assert_eq!((found[0].0, found[0].1), (100, 41));
	assert_eq!(
		cid(0),
		"bafkreidbxzk2ryxwwtqxem4l3xyyjvw35yu4tcct4cqeqxwo47zhxgxqwq"
	);
	assert_eq!(cid(3), "QmdwjhxpxzcMsR3qUuj7vUL8pbA7MgR3GAxWi2GLHjsKCT");
	assert_eq!(cid(5), "QmNX6Tffavsya4xgBi2VJQnSuqy9GsxongxZZ9uZBqp16d");
	assert_eq!(
		cid(7),
		"bafyreidj5idub6mapiupjwjsyyxhyhedxycv4vihfsicm2vt46o7morwlm"
	);
	assert_eq!(reader.position(), bytes.len() as u64);
}

#[test]
fn carv1_is_written_alike() {
	let bytes = js_v1();
	let roots = CarReader::new(&bytes[..]).unwrap().roots().to_vec();
	let mut writer = CarWriter::new(Vec::new(), &roots).unwrap();
	for block in blocks(&bytes) {
		assert!(writer.put(&block).unwrap());
		assert!(!writer.put(&block).unwrap());
	}
	let (again, written) = writer.finish().unwrap();
	assert_eq!(again, bytes);
	assert_eq!(
		(written.blocks, written.duplicates, written.size),
		(8, 8, bytes.len() as u64)
	);
}

#[test]
fn carv1_is_verified() {
	let bytes = js_v1();
	let verified = verify(&bytes[..], &VerifyOptions::default()).unwrap();
	assert_eq!((verified.blocks, verified.index), (8, IndexCheck::Absent));
	// Its roots are DAG-CBOR, and everything that they lead to is there.
	let options = VerifyOptions {
		dag: true,
		..VerifyOptions::default()
	};
	assert_eq!(verify(&bytes[..], &options).unwrap().blocks, 8);
}

#[test]
fn carv2_of_go_car() {
	let bytes = go_v2();
	let expected = [
		"QmfEoLyB5NndqeKieExd1rtJzTduQUPEV8TwAYcUiy3H5Z",
		"QmczfirA7VEH7YVvKPTPoU69XM3qY4DC39nnTsWd4K3SkM",
		"Qmcpz2FHJD7VAhg1fxFXdYJKePtkx1BsHuCrAgWVnaHMTE",
		"bafkreifuosuzujyf4i6psbneqtwg2fhplc2wxptc5euspa2gn3bwhnihfu",
		"bafkreifc4hca3inognou377hfhvu2xfchn2ltzi7yu27jkaeujqqqdbjju",
	];
	let found: Vec<String> = blocks(&bytes)
		.iter()
		.map(|block| block.cid().to_string())
		.collect();
	assert_eq!(found, expected);
	let file = CarFile::new(bytes.clone(), ReadOptions::default()).unwrap();
	assert_eq!(
		(file.version(), file.index_source()),
		(Version::V2, IndexSource::Scan)
	);
	assert_eq!(file.roots()[0].to_string(), expected[0]);
	let walked: Vec<String> = walk(&file, file.roots()[0], Scope::All)
		.map(|block| block.unwrap().cid().to_string())
		.collect();
	assert_eq!(walked, expected);
	let verified = verify(
		&bytes[..],
		&VerifyOptions {
			dag: true,
			..VerifyOptions::default()
		},
	)
	.unwrap();
	assert_eq!((verified.blocks, verified.index), (5, IndexCheck::Unsupported(1)));
	// Entries and their order are those that go-car wrote.
	let mut index = Vec::new();
	file.index().write(IndexFormat::Sorted, &mut index).unwrap();
	assert_eq!(index, [&[0x80, 0x08][..], &go_index_entries()].concat());
}

#[test]
fn carv2_is_written_alike() {
	let bytes = go_v2();
	let roots = CarReader::new(&bytes[..]).unwrap().roots().to_vec();
	// A CIDv0 root is shorter than the usual: with the right room, nothing is padded.
	for (room, data_offset) in [(57, 51), (59, 53), (100, 94)] {
		let mut out = Cursor::new(vec![0xee; 10]);
		out.set_position(10);
		let mut writer = CarV2Writer::with_header_room(out, IndexFormat::Sorted, room).unwrap();
		for block in blocks(&bytes) {
			writer.put(&block).unwrap();
		}
		let (out, written) = writer.finish(&roots).unwrap();
		let out = &out.into_inner()[10..];
		assert_eq!(written.size, out.len() as u64);
		assert_eq!(written.payload_size, go_payload().len() as u64);
		assert_eq!(out[data_offset..][..go_payload().len()], go_payload());
		let index = &out[data_offset + go_payload().len()..];
		assert_eq!(index, [&[0x80, 0x08][..], &go_index_entries()].concat());
		if room == 57 {
			assert_eq!(out[..51], bytes[..51]);
		}
		let verified = verify(
			out,
			&VerifyOptions {
				dag: true,
				..VerifyOptions::default()
			},
		)
		.unwrap();
		assert_eq!(verified.index, IndexCheck::Matches(IndexFormat::Sorted));
	}
	let mut writer = CarV2Writer::with_header_room(Cursor::new(Vec::new()), IndexFormat::Sorted, 56).unwrap();
	writer.put(&blocks(&bytes)[0]).unwrap();
	assert!(writer.finish(&roots).is_err());
}
