//! A client's upload, as the provider checks and indexes it.

use crate::{archive, input::Input, Seed};
use cairn_car::{CarReader, CarWriter};
use cairn_dag::{hash::IDENTITY, Block, Cid, Codec};
use cairn_primitives::PieceInfo;
use cairn_provider_server::{
	ingest::{blocks_of, check_car, index_car, CarFault},
	store::{Identity, Store},
};
use std::{fs::File, io::Write, os::unix::fs::FileExt, sync::OnceLock};

/// The piece that every upload is taken for.
const PIECE: PieceInfo = PieceInfo {
	commitment: [1; 32],
	size_log2: 20,
	payload_size: 1 << 19,
};

/// The provider's database.
fn store() -> &'static Store {
	static STORE: OnceLock<Store> = OnceLock::new();
	STORE.get_or_init(|| {
		// Removed at once: nothing would remove it when the process ends, and an open file needs no name.
		let folder = tempfile::tempdir().expect("a temporary folder");
		let identity = Identity {
			genesis_hash: [9; 32],
			owner: [3; 32],
		};
		Store::open(&folder.path().join("provider.redb"), &identity).expect("the folder is writable")
	})
}

/// Checks an upload, indexes it if it is good, and reads every block back by the index.
pub fn uploaded_car(data: &[u8]) {
	let mut input = Input::new(data);
	let choice = usize::from(input.byte());
	let archive = input.rest();
	let mut file = tempfile::tempfile().expect("a temporary file");
	file.write_all(archive).expect("the file is writable");

	let absent = *Block::encode(Codec::Raw, &b"absent"[..]).cid();
	let streamed = CarReader::new(archive);
	let roots = streamed
		.as_ref()
		.map(|reader| reader.roots().to_vec())
		.unwrap_or_default();
	let root = roots.get(choice).copied().unwrap_or(absent);
	let blocks = streamed.and_then(|reader| reader.collect::<Result<Vec<Block>, _>>());
	let expected = blocks.as_ref().ok().filter(|blocks| {
		let is_inline = root.hash().code() == IDENTITY;
		roots.contains(&root) && (is_inline || blocks.iter().any(|block| *block.cid() == root))
	});
	match check_car(&file, &root) {
		Ok(count) => {
			let blocks = expected.expect("a CAR is accepted that lacks its root or cannot be read");
			assert_eq!(count, blocks.len() as u64);
			indexed(&file, blocks);
		}
		Err(CarFault::Io(error)) => panic!("the file cannot be read: {error}"),
		Err(fault) => assert!(expected.is_none(), "a good CAR is refused: {fault}"),
	}
}

fn indexed(file: &File, blocks: &[Block]) {
	let store = store();
	index_car(store, file, &PIECE).expect("a checked CAR is indexed");
	for block in blocks {
		let (cid, multihash) = (block.cid(), block.cid().hash().to_bytes());
		if cid.hash().code() == IDENTITY {
			continue;
		}
		let places = store
			.block_locations(&multihash, 8)
			.expect("the database is readable");
		let place = places
			.iter()
			.find(|place| place.piece == PIECE)
			.expect("a block is not indexed");
		let mut found = vec![0; place.len as usize];
		file.read_exact_at(&mut found, place.offset)
			.expect("a place beyond the piece");
		assert!(Block::new(*cid, found).is_ok(), "the index leads astray");
	}
	let multihashes = blocks_of(file).expect("a checked CAR is read");
	let mut multihashes = multihashes.map(|multihash| multihash.expect("a checked CAR is read"));
	store
		.unindex_blocks(&PIECE, &mut multihashes)
		.expect("the database is writable");
	for block in blocks {
		let left = store.block_locations(&block.cid().hash().to_bytes(), 1);
		assert!(
			left.expect("the database is readable").is_empty(),
			"a block stays in the index"
		);
	}
}

/// Seeds of [`uploaded_car`]: the byte chooses which of the roots the deal names.
pub(crate) fn seeds() -> Vec<Seed> {
	let seed = |root: u8, archive: &[u8]| [&[root], archive].concat();
	let rootless = CarWriter::new(Vec::new(), &[Cid::default()]).expect("memory takes every byte");
	let (rootless, _) = rootless.finish().expect("memory takes every byte");
	vec![
		("first-root", seed(0, &archive::v1())),
		("second-root", seed(1, &archive::v1())),
		("unlisted-root", seed(9, &archive::v1())),
		(
			"v2",
			seed(0, &archive::v2(cairn_car::IndexFormat::MultihashSorted)),
		),
		("rootless", seed(0, &rootless)),
	]
}
