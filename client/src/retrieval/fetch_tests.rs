//! Retrievals from servers that misbehave.

use super::{
	blocks::BlockStore,
	candidates::{Candidate, Candidates, Reason},
	fetch::{retrieve, FetchError, Observer, RetrieveError, Retrieved},
	missing::{Part, Wanted},
	work::Division,
};
use crate::provider::{
	fake_server::{FakeServer, Faults},
	http_client,
};
use cairn_dag::{
	unixfs::{
		export::file,
		import::{ImportOptions, Importer},
		ByteRange,
	},
	Block, BlockSink, BlockSource, Cid, MemoryBlocks,
};
use std::{sync::Mutex, time::Duration};
use url::Url;

pub(super) struct Silent;

impl Observer for Silent {
	fn asking(&self, _: &[&Candidate]) {}
	fn received(&self, _: u64) {}
	fn failed(&self, _: &Candidate, _: &FetchError) {}
}

/// Remembers who failed, and how.
#[derive(Default)]
pub(super) struct Failures(pub Mutex<Vec<(Url, String)>>);

impl Observer for Failures {
	fn asking(&self, _: &[&Candidate]) {}
	fn received(&self, _: u64) {}
	fn failed(&self, candidate: &Candidate, error: &FetchError) {
		let failure = (candidate.url.clone(), error.to_string());
		self.0.lock().unwrap().push(failure);
	}
}

/// A file of 1,024 leaves in a tree of six levels.
pub(super) fn object() -> (Cid, MemoryBlocks, Vec<u8>) {
	imported(65_536)
}

/// A file of so many words in leaves of 256 bytes.
pub(super) fn imported(words: u32) -> (Cid, MemoryBlocks, Vec<u8>) {
	let content: Vec<u8> = (0..words)
		.flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
		.collect();
	let mut blocks = MemoryBlocks::new();
	let options = ImportOptions {
		chunk_size: 256,
		max_links: 5,
		..ImportOptions::default()
	};
	let imported = Importer::new(&mut blocks, options).reader(&content[..]).unwrap();
	(imported.root, blocks, content)
}

pub(super) fn wanted(root: Cid) -> Wanted {
	Wanted {
		root,
		path: String::new(),
		part: Part::Whole,
	}
}

pub(super) fn candidates(servers: &[&FakeServer]) -> Candidates<'static> {
	Candidates::new(servers.iter().map(|server| Candidate {
		url: server.url.clone(),
		reason: Reason::Named,
	}))
}

/// As small as the objects of the tests.
pub(super) fn division() -> Division {
	Division {
		largest_part: 16 << 10,
		least_divided: 1 << 10,
		least_gain: Duration::ZERO,
		patience: Duration::from_millis(300),
	}
}

pub(super) struct Place {
	folder: tempfile::TempDir,
	pub(super) blocks: BlockStore,
}

pub(super) fn place() -> Place {
	place_of(&object().0)
}

pub(super) fn place_of(root: &Cid) -> Place {
	let folder = tempfile::tempdir().unwrap();
	let blocks = BlockStore::open(&folder.path().join("x.car"), root).unwrap();
	Place { folder, blocks }
}

impl Place {
	/// As another process finds it, once this one has let go of it.
	pub(super) async fn reopened(self, root: &Cid) -> Place {
		let Place { folder, blocks } = self;
		let path = blocks.path();
		drop(blocks);
		loop {
			let blocks = BlockStore::open(&path, root).unwrap();
			if blocks.path() == path {
				return Place { folder, blocks };
			}
			tokio::task::yield_now().await;
		}
	}
}

pub(super) async fn fetch(
	wanted: &Wanted,
	place: &Place,
	servers: &[&FakeServer],
) -> Result<Retrieved, RetrieveError> {
	retrieve(
		&http_client().unwrap(),
		wanted,
		&place.blocks,
		&mut candidates(servers),
		division(),
		&Silent,
	)
	.await
}

pub(super) fn content(place: &Place, retrieved: &Retrieved, range: ByteRange) -> Vec<u8> {
	let mut out = Vec::new();
	file(&place.blocks, &retrieved.target, &mut out, range).unwrap();
	out
}

#[tokio::test]
async fn one_server_delivers_everything_in_one_request() {
	let (root, blocks, expected) = object();
	let server = FakeServer::start(Faults::default(), 0, blocks).await;
	let place = place();
	let retrieved = fetch(&wanted(root), &place, &[&server]).await.unwrap();
	assert_eq!(content(&place, &retrieved, ByteRange::ALL), expected);
	assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn the_next_server_goes_on_where_one_failed() {
	let (root, blocks, expected) = object();
	let cut = Faults {
		cut_blocks_after: Some(120_000),
		..Faults::default()
	};
	let first = FakeServer::start(cut, 0, blocks.clone()).await;
	let flipped = Faults {
		flip_byte: Some(3_000),
		..Faults::default()
	};
	let second = FakeServer::start(flipped, 0, blocks.clone()).await;
	let third = FakeServer::start(Faults::default(), 0, blocks).await;
	let place = place();
	let retrieved = fetch(&wanted(root), &place, &[&first, &second, &third])
		.await
		.unwrap();
	assert_eq!(content(&place, &retrieved, ByteRange::ALL), expected);
	let from: Vec<&Url> = retrieved.from.iter().map(|from| &from.url).collect();
	assert_eq!(
		(from.first(), from.last()),
		(Some(&&first.url), Some(&&third.url))
	);
	assert_eq!(
		retrieved.from.iter().map(|from| from.bytes).sum::<u64>(),
		retrieved.bytes
	);
	assert_eq!(retrieved.liars, vec![second.url.clone()]);
	// What the first one delivered is not asked for again.
	assert!(third.requests().len() < 100, "{}", third.requests().len());
}

#[tokio::test]
async fn servers_that_stall_are_left_for_the_next() {
	let (root, blocks, expected) = object();
	let stalls = Faults {
		stall_blocks_after: Some(100_000),
		..Faults::default()
	};
	let drips = Faults {
		drip_blocks: true,
		..Faults::default()
	};
	let stalling = FakeServer::start(stalls, 0, blocks.clone()).await;
	let dripping = FakeServer::start(drips, 0, blocks.clone()).await;
	let good = FakeServer::start(Faults::default(), 0, blocks).await;
	for first in [&stalling, &dripping] {
		let (place, failures) = (place(), Failures::default());
		let mut candidates = candidates(&[first, &good]);
		let http = http_client().unwrap();
		let wanted = wanted(root);
		let (blocks, division) = (&place.blocks, division());
		let retrieved = retrieve(&http, &wanted, blocks, &mut candidates, division, &failures)
			.await
			.unwrap();
		assert_eq!(content(&place, &retrieved, ByteRange::ALL), expected);
		assert_eq!(retrieved.from.last().unwrap().url, good.url);
		// The good one took over long before the other was given up.
		assert_eq!(failures.0.into_inner().unwrap(), []);
	}
}

#[tokio::test]
async fn interrupted_retrievals_are_taken_up() {
	let (root, blocks, expected) = object();
	let cut = Faults {
		cut_blocks_after: Some(200_000),
		..Faults::default()
	};
	let broken = FakeServer::start(cut, 0, blocks.clone()).await;
	let good = FakeServer::start(Faults::default(), 0, blocks).await;
	let place = place();
	// It delivers smaller and smaller parts, each of which is kept, but not all.
	let one_round = fetch(&wanted(root), &place, &[&broken]).await;
	let already = match one_round {
		Err(RetrieveError::Exhausted { failures, .. }) => {
			assert!(!failures.is_empty());
			0
		}
		Ok(retrieved) => retrieved.bytes,
		Err(other) => panic!("{other}"),
	};
	let retrieved = fetch(&wanted(root), &place, &[&good]).await.unwrap();
	assert_eq!(content(&place, &retrieved, ByteRange::ALL), expected);
	assert!(retrieved.bytes + already < expected.len() as u64 * 2);
}

#[tokio::test]
async fn servers_that_lie_are_named() {
	let (root, mut blocks, _) = object();
	let other = Importer::new(&mut blocks, ImportOptions::default())
		.reader(&b"something else"[..])
		.unwrap()
		.root;
	let foreign = Faults {
		send_instead: Some(other),
		..Faults::default()
	};
	let foreign = FakeServer::start(foreign, 0, blocks.clone()).await;
	let empty = FakeServer::start(Faults::default(), 0, MemoryBlocks::new()).await;
	let damaged = FakeServer::start(
		Faults {
			flip_byte: Some(100),
			..Faults::default()
		},
		0,
		blocks,
	)
	.await;
	let place = place();
	let error = fetch(&wanted(root), &place, &[&foreign, &empty, &damaged])
		.await
		.unwrap_err();
	let RetrieveError::Exhausted { failures, .. } = error else {
		panic!("{error}")
	};
	let urls: Vec<&Url> = failures.iter().map(|(url, _)| url).collect();
	assert_eq!(urls, [&foreign.url, &empty.url, &damaged.url]);
	assert!(matches!(failures[0].1, FetchError::Unrequested { cid } if cid == other));
	assert!(matches!(failures[1].1, FetchError::Provider(_)));
	assert!(matches!(failures[2].1, FetchError::Car(_)));
}

#[tokio::test]
async fn ranges_fetch_only_what_they_need() {
	let (root, blocks, expected) = object();
	let server = FakeServer::start(Faults::default(), 0, blocks).await;
	let place = place();
	let range = ByteRange {
		start: 100_000,
		end: Some(101_000),
	};
	let asked = Wanted {
		part: Part::Bytes(range),
		..wanted(root)
	};
	let retrieved = fetch(&asked, &place, &[&server]).await.unwrap();
	assert_eq!(content(&place, &retrieved, range), expected[100_000..101_000]);
	assert!(retrieved.bytes < 20_000, "{}", retrieved.bytes);
}

#[tokio::test]
async fn blocks_come_alone() {
	let (root, blocks, _) = object();
	let size = blocks.get(&root).unwrap().unwrap().data().len() as u64;
	let server = FakeServer::start(Faults::default(), 0, blocks).await;
	let place = place();
	let asked = Wanted {
		part: Part::Block,
		..wanted(root)
	};
	let retrieved = fetch(&asked, &place, &[&server]).await.unwrap();
	assert_eq!((retrieved.target, retrieved.bytes), (root, size));
}

/// More than one gateway is asked for at a time, of any codec.
#[tokio::test]
async fn several_blocks_come_alone() {
	let (root, mut blocks, _) = object();
	let mut cids = cairn_dag::links(&blocks.get(&root).unwrap().unwrap()).unwrap();
	let unknown = Cid::new_v1(0x300539, *cids[0].hash());
	let bytes = blocks.get(&cids[0]).unwrap().unwrap().data().to_vec();
	BlockSink::put(&mut blocks, Block::new(unknown, bytes).unwrap()).unwrap();
	cids.push(unknown);
	let size_of = |cid: &Cid| blocks.get(cid).unwrap().unwrap().data().len() as u64;
	let size: u64 = cids.iter().map(size_of).sum();
	let server = FakeServer::start(Faults::default(), 0, blocks).await;
	let place = place();
	let asked = Wanted {
		part: Part::Blocks(cids.clone().into()),
		..wanted(cids[0])
	};
	let retrieved = fetch(&asked, &place, &[&server]).await.unwrap();
	assert_eq!((retrieved.target, retrieved.bytes), (cids[0], size));
}

#[tokio::test]
async fn paths_lead_into_folders() {
	let folder = tempfile::tempdir().unwrap();
	std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
	std::fs::write(folder.path().join("a/b/c.txt"), "deep").unwrap();
	std::fs::write(folder.path().join("a/other.txt"), "not wanted").unwrap();
	let mut blocks = MemoryBlocks::new();
	let root = Importer::new(&mut blocks, ImportOptions::default())
		.path(folder.path())
		.unwrap()
		.root;
	let server = FakeServer::start(Faults::default(), 0, blocks).await;
	let place = place();
	let asked = Wanted {
		path: "a/b/c.txt".to_owned(),
		..wanted(root)
	};
	let retrieved = fetch(&asked, &place, &[&server]).await.unwrap();
	assert_eq!(content(&place, &retrieved, ByteRange::ALL), b"deep");
	let asked = Wanted {
		path: "a/missing".to_owned(),
		..wanted(root)
	};
	let error = fetch(&asked, &self::place(), &[&server]).await.unwrap_err();
	assert!(
		matches!(error, RetrieveError::Exhausted { .. } | RetrieveError::Object(_)),
		"{error}"
	);
}
