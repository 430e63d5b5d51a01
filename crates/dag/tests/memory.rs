//! Reading a block takes memory in proportion to its size, importing and exporting a file takes some blocks' memory
//! however large it is. A file of its own, because it counts what the whole process allocates.

#![cfg(all(
	feature = "bittorrent",
	feature = "codex",
	feature = "dag-cbor",
	feature = "dag-json",
	feature = "ethereum",
	feature = "git"
))]

#[path = "../../../tests/fuzz-targets/tests/memory/mod.rs"]
mod memory;

use cairn_dag::{
	codex::{self, DatasetOptions},
	unixfs::{
		export,
		import::{ImportOptions, Importer, Layout},
		ByteRange,
	},
	walk::{walk, Budget, Order, Scope, WalkError},
	Block, BlockSink, BlockSource, Cid, Codec, MemoryBlocks, NullSink, SourceError,
};
use memory::peak_of;
use std::io::Read;

/// One test, so that nothing else allocates meanwhile.
#[test]
fn memory_is_bounded() {
	blocks_take_a_multiple_of_their_size();
	walks_hold_no_more_links_than_may_wait();
	imports_take_a_few_blocks();
	exports_take_a_few_blocks();
}

/// However much is imported, and whatever the layout.
fn imports_take_a_few_blocks() {
	const LEN: u64 = 64 << 20;
	for layout in [Layout::Balanced, Layout::Trickle] {
		for raw_leaves in [true, false] {
			let options = ImportOptions {
				layout,
				raw_leaves,
				..ImportOptions::default()
			};
			let peak = peak_of(|| {
				let mut sink = NullSink;
				let importer = Importer::new(&mut sink, options);
				let imported = importer.reader(std::io::repeat(7).take(LEN)).unwrap();
				assert_eq!(imported.content_size, LEN);
			});
			assert!(peak < 2 << 20, "{layout:?} {raw_leaves}: {peak}");
		}
	}
	let peak = peak_of(|| {
		let options = DatasetOptions::default();
		let dataset = codex::import(std::io::repeat(7).take(LEN), &mut NullSink, &options).unwrap();
		assert_eq!(dataset.manifest.dataset_size, LEN);
	});
	assert!(peak < 1 << 20, "{peak}");
}

/// Blocks that are copied each time they are asked for, so that keeping one takes its memory.
struct Copies(MemoryBlocks);

impl BlockSource for Copies {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		let block = self.0.get(cid)?;
		Ok(block.map(|block| Block::assume_verified(*cid, block.data().to_vec())))
	}
}

/// However large the file is: here all of its leaves are one block, which takes no room in the source.
fn exports_take_a_few_blocks() {
	for layout in [Layout::Balanced, Layout::Trickle] {
		let [small, large] = [64 << 20, 256 << 20].map(|len| {
			let options = ImportOptions {
				layout,
				..ImportOptions::default()
			};
			let mut blocks = MemoryBlocks::new();
			let importer = Importer::new(&mut blocks, options);
			let root = importer.reader(std::io::repeat(7).take(len)).unwrap().root;
			let blocks = Copies(blocks);
			peak_of(|| {
				let written = export::file(&blocks, &root, &mut std::io::sink(), ByteRange::ALL);
				assert_eq!(written.unwrap(), len);
			})
		});
		// The links of a node wait, of which the larger file has four times as many: 1,024 in one node.
		assert!(large < 1 << 20, "{layout:?}: {small} {large}");
	}
}

/// A block can hold far more links than a walk lets wait.
fn walks_hold_no_more_links_than_may_wait() {
	let link = b"\x12\x06\x0a\x04\x01\x55\x00\x00";
	let block = Block::encode(Codec::DagPb, link.repeat((1 << 20) / link.len()));
	let mut blocks = MemoryBlocks::new();
	blocks.put(block.clone()).unwrap();
	for order in [Order::DepthFirst, Order::BreadthFirst] {
		let budget = Budget {
			max_pending: 1000,
			..Budget::default()
		};
		let peak = peak_of(|| {
			let mut walk = walk(&blocks, *block.cid(), Scope::All)
				.order(order)
				.budget(budget);
			assert!(matches!(
				walk.next(),
				Some(Err(WalkError::Budget {
					limit: "waiting links",
					..
				}))
			));
		});
		assert!(peak < 512 << 10, "{order:?}: {peak}");
	}
}

/// A mebibyte of what takes most memory for its size.
fn blocks_take_a_multiple_of_their_size() {
	const LEN: usize = 1 << 20;
	let repeat = |text: &[u8]| text.repeat(LEN / text.len());
	let cbor_list = |element: &[u8]| {
		let count = (LEN / element.len()) as u32;
		[&[0x9a][..], &count.to_be_bytes(), &element.repeat(count as usize)].concat()
	};
	let rlp_list = |payload: Vec<u8>| {
		let len = (payload.len() as u32).to_be_bytes();
		[&[0xfa][..], &len[1..], &payload].concat()
	};
	let smallest_cid = b"\x01\x55\x00\x00";
	let inputs = [
		(Codec::Raw, vec![0; LEN], true),
		(Codec::DagCbor, cbor_list(b"\x00"), true),
		(Codec::DagCbor, cbor_list(b"\x80"), true),
		(
			Codec::DagCbor,
			cbor_list(&[b"\xd8\x2a\x45\x00", &smallest_cid[..]].concat()),
			true,
		),
		(Codec::DagCbor, repeat(b"\x81"), false),
		(Codec::DagJson, [b"[", &repeat(b"0,")[..], b"0]"].concat(), true),
		(Codec::DagJson, [b"[", &repeat(b"{},")[..], b"0]"].concat(), true),
		(
			Codec::DagJson,
			format!(
				"{{{}\"\":0}}",
				(10_000..110_000)
					.map(|key| format!("\"{key}\":0,"))
					.collect::<String>()
			)
			.into(),
			true,
		),
		(Codec::DagJson, repeat(b"["), false),
		(
			Codec::DagPb,
			repeat(&[b"\x12\x06\x0a\x04", &smallest_cid[..]].concat()),
			true,
		),
		(
			Codec::TorrentInfo,
			{
				let pieces = LEN / 20;
				let head = format!(
					"d6:lengthi{pieces}e4:name1:x12:piece lengthi1e6:pieces{}:",
					pieces * 20
				);
				[head.as_bytes(), &vec![b'a'; pieces * 20], b"e"].concat()
			},
			true,
		),
		(Codec::TorrentFile, repeat(b"l"), false),
		(Codec::EthBlockList, rlp_list(repeat(b"\xc0")), false),
		(Codec::EthStateTrie, rlp_list(repeat(b"\x80")), false),
		(Codec::EthTx, [&b"\x7f"[..], &vec![0; LEN]].concat(), true),
		(
			Codec::GitRaw,
			[
				format!("tree {}\0", LEN / 23 * 23).as_bytes(),
				&b"1 a\0aaaaaaaaaaaaaaaaaaa"[..].repeat(LEN / 23),
			]
			.concat(),
			false,
		),
		(
			Codec::GitRaw,
			{
				let tree = b"1 a\0aaaaaaaaaaaaaaaaaaaa".repeat(LEN / 24);
				[format!("tree {}\0", tree.len()).as_bytes(), &tree].concat()
			},
			true,
		),
		(
			Codec::CodexManifest,
			{
				let slots = b"\x12\x00".repeat(LEN / 2);
				let message = |tag: u8, content: &[u8]| {
					let mut out = vec![tag];
					cairn_dag::varint::encode(content.len() as u64, &mut out);
					[&out[..], content].concat()
				};
				message(0x0a, &message(0x3a, &message(0x32, &slots)))
			},
			false,
		),
	];
	for (codec, data, well_formed) in inputs {
		let mut result = None;
		let scanning = peak_of(|| result = Some(codec.validate(&data)));
		assert_eq!(result.unwrap().is_ok(), well_formed, "{codec:?}");
		// The worst are messages of empty fields, and keys to be compared with each other.
		assert!(
			scanning <= 70 * data.len(),
			"{codec:?}: {scanning} bytes for {}",
			data.len()
		);
		// A CID takes 96 bytes, in a vector that doubles, and 8 or more in a block.
		let listing = peak_of(|| {
			let _ = codec.links(&data, &mut Vec::new());
		});
		assert!(
			listing <= 70 * data.len(),
			"{codec:?}: {listing} bytes for {}",
			data.len()
		);
	}
}
