//! Retrievals from several servers at once.

use super::{
	fetch::{retrieve, FetchError, RetrieveError, Retrieved},
	fetch_tests::{
		candidates, content, division, fetch, imported, place_of, wanted, Failures, Place, Silent,
	},
	missing::{Part, Wanted},
};
use crate::provider::{
	fake_server::{FakeServer, Faults, Ignorance},
	http_client, ProviderError,
};
use cairn_dag::{
	unixfs::{
		export::tree,
		import::{ImportOptions, Importer},
		ByteRange,
	},
	BlockSource, Cid, Codec, MemoryBlocks,
};
use std::{collections::HashSet, sync::OnceLock};
use url::Url;

/// Where a response of a server that is interrupted stops.
const HALFWAY: usize = 30_000;

/// A file of 256 leaves of 256 bytes in a tree of five levels.
fn object() -> &'static (Cid, MemoryBlocks, Vec<u8>) {
	static OBJECT: OnceLock<(Cid, MemoryBlocks, Vec<u8>)> = OnceLock::new();
	OBJECT.get_or_init(|| imported(16_384))
}

fn place() -> Place {
	place_of(&object().0)
}

async fn server(faults: Faults) -> FakeServer {
	let (root, blocks, _) = object();
	FakeServer::with_root(faults, 0, blocks.clone(), Some(*root)).await
}

/// A server that waits in the middle of its responses until another has been asked a few times.
async fn waiting_for(other: &FakeServer) -> FakeServer {
	server(Faults {
		hold_blocks: Some((HALFWAY, other.asked(), 4)),
		..Faults::default()
	})
	.await
}

/// Fetches everything, and looks whether it is right.
async fn fetch_all(place: &Place, servers: &[&FakeServer]) -> Retrieved {
	let (root, _, expected) = object();
	let retrieved = fetch(&wanted(*root), place, servers).await.unwrap();
	assert_eq!(content(place, &retrieved, ByteRange::ALL), *expected);
	retrieved
}

fn bytes_from(retrieved: &Retrieved, url: &Url) -> u64 {
	let from = retrieved.from.iter().find(|from| from.url == *url);
	from.map_or(0, |from| from.bytes)
}

fn leaves(cids: impl IntoIterator<Item = Cid>) -> Vec<Cid> {
	let is_leaf = |cid: &Cid| cid.codec() == Codec::Raw.code();
	cids.into_iter().filter(is_leaf).collect()
}

#[tokio::test]
async fn honest_servers_share_the_work() {
	let second = server(Faults::default()).await;
	let first = waiting_for(&second).await;
	let place = place();
	let retrieved = fetch_all(&place, &[&first, &second]).await;
	for one in [&first, &second] {
		assert!(bytes_from(&retrieved, &one.url) > 8_000, "{retrieved:?}");
	}
	let sum: u64 = retrieved.from.iter().map(|from| from.bytes).sum();
	assert_eq!(sum, retrieved.bytes);
	// Parts of files, not block by block: 256 leaves would need as many requests.
	assert!(second.requests().len() < 60, "{}", second.requests().len());
}

#[tokio::test]
async fn servers_that_misbehave_neither_stop_nor_corrupt_it() {
	let misbehaving = [
		Faults {
			stall_blocks_after: Some(3_000),
			..Faults::default()
		},
		Faults {
			flip_byte: Some(3_000),
			..Faults::default()
		},
		Faults {
			cut_blocks_after: Some(3_000),
			..Faults::default()
		},
		Faults {
			refuse_blocks: Some((usize::MAX, 404, None)),
			..Faults::default()
		},
		Faults {
			refuse_blocks: Some((1, 429, Some(1))),
			..Faults::default()
		},
		Faults {
			refuse_blocks: Some((usize::MAX, 500, None)),
			..Faults::default()
		},
	];
	let good = server(Faults::default()).await;
	let mut servers = Vec::new();
	for faults in misbehaving {
		// The first is asked for everything.
		let bad = server(faults.clone()).await;
		fetch_all(&place(), &[&bad, &good]).await;
		servers.push(server(faults).await);
	}
	let first = waiting_for(&good).await;
	let mut all: Vec<&FakeServer> = vec![&first];
	all.extend(&servers);
	all.push(&good);
	fetch_all(&place(), &all).await;
}

#[tokio::test]
async fn a_liar_is_not_asked_again() {
	let good = server(Faults::default()).await;
	let liar = server(Faults {
		flip_byte: Some(100),
		..Faults::default()
	})
	.await;
	let place = place();
	let retrieved = fetch_all(&place, &[&liar, &good]).await;
	assert_eq!(liar.requests().len(), 1);
	assert_eq!(retrieved.liars, vec![liar.url.clone()]);
	assert_eq!(bytes_from(&retrieved, &liar.url), 0);
}

/// The one that stalls holds a block that nobody else was asked for.
#[tokio::test]
async fn what_does_not_come_is_asked_of_another() {
	let good = server(Faults::default()).await;
	let stalling = server(Faults {
		stall_blocks_after: Some(HALFWAY),
		..Faults::default()
	})
	.await;
	let (place, failures) = (place(), Failures::default());
	let (root, _, expected) = object();
	let (http, wanted) = (http_client().unwrap(), wanted(*root));
	let mut both = candidates(&[&stalling, &good]);
	let retrieved = retrieve(&http, &wanted, &place.blocks, &mut both, division(), &failures)
		.await
		.unwrap();
	assert_eq!(content(&place, &retrieved, ByteRange::ALL), *expected);
	assert!(
		bytes_from(&retrieved, &stalling.url) > 0,
		"what it brought counts"
	);
	assert_eq!(
		failures.0.into_inner().unwrap(),
		[],
		"it was not waited for until it was given up"
	);
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_left_alone_for_that_long() {
	let busy = server(Faults {
		refuse_blocks: Some((1, 429, Some(1))),
		..Faults::default()
	})
	.await;
	let begun = std::time::Instant::now();
	fetch_all(&place(), &[&busy]).await;
	assert!(begun.elapsed() >= std::time::Duration::from_secs(1));
	assert_eq!(busy.requests().len(), 2);

	let too_long = server(Faults {
		refuse_blocks: Some((usize::MAX, 503, Some(3_600))),
		..Faults::default()
	})
	.await;
	let error = fetch(&wanted(object().0), &place(), &[&too_long])
		.await
		.unwrap_err();
	let RetrieveError::Exhausted { failures, .. } = error else {
		panic!("{error}")
	};
	assert!(matches!(
		failures[..],
		[(_, FetchError::Provider(ProviderError::Busy { .. }))]
	));
	assert!(failures[0].1.to_string().contains("3600 s"), "{}", failures[0].1);
	assert_eq!(too_long.requests().len(), 1);
}

#[tokio::test]
async fn an_interrupted_retrieval_fetches_nothing_twice() {
	let (root, blocks, expected) = object();
	let never = server(Faults::default()).await;
	// Both wait for ever after a part.
	let faults = |bytes| Faults {
		hold_blocks: Some((bytes, never.asked(), 1)),
		..Faults::default()
	};
	let (one, other) = (server(faults(HALFWAY)).await, server(faults(2_000)).await);
	let (mut of_one, mut of_other) = (one.asked(), other.asked());
	let place = place();
	let kept = place.blocks.clone();
	let (wanted, mut both) = (wanted(*root), candidates(&[&one, &other]));
	let interrupted = tokio::spawn(async move {
		let http = http_client().unwrap();
		retrieve(&http, &wanted, &kept, &mut both, division(), &Silent).await
	});
	of_one.wait_for(|count| *count >= 1).await.unwrap();
	of_other.wait_for(|count| *count >= 1).await.unwrap();
	let all = leaves(blocks.iter().map(|block| *block.cid()));
	let there = |place: &Place| -> HashSet<Cid> {
		let is_there = |cid: &Cid| place.blocks.has(cid).unwrap();
		all.iter().copied().filter(is_there).collect()
	};
	while there(&place).len() < 50 {
		tokio::task::yield_now().await;
	}
	interrupted.abort();
	assert!(interrupted.await.unwrap_err().is_cancelled());
	let place = place.reopened(root).await;
	let kept = there(&place);
	assert!((50..all.len()).contains(&kept.len()), "{}", kept.len());

	let (three, four) = (server(Faults::default()).await, server(Faults::default()).await);
	let retrieved = fetch(&self::wanted(*root), &place, &[&three, &four])
		.await
		.unwrap();
	assert_eq!(content(&place, &retrieved, ByteRange::ALL), *expected);
	let sent = leaves(three.sent().into_iter().chain(four.sent()));
	let twice = sent.iter().filter(|cid| kept.contains(cid)).count();
	assert_eq!(twice, 0, "of {} that were there", kept.len());
}

#[tokio::test]
async fn servers_that_know_less_of_the_rules_do() {
	for ignorance in [
		Ignorance::IgnoresRanges,
		Ignorance::RefusesRanges,
		Ignorance::WholeObjectsOnly,
	] {
		let lesser = || Faults {
			ignorance,
			..Faults::default()
		};
		// Alone.
		let alone = server(lesser()).await;
		fetch_all(&place(), &[&alone]).await;
		// With another of its kind, and with a better one, which waits until it is asked.
		let second = server(lesser()).await;
		let first = server(Faults {
			hold_blocks: Some((HALFWAY, second.asked(), 1)),
			..lesser()
		})
		.await;
		fetch_all(&place(), &[&first, &second]).await;
		let better = waiting_for(&alone).await;
		fetch_all(&place(), &[&better, &alone]).await;
		// Where another one failed in the middle.
		let failing = server(Faults {
			cut_blocks_after: Some(HALFWAY),
			refuse_blocks: None,
			..Faults::default()
		})
		.await;
		let retrieved = fetch_all(&place(), &[&failing, &alone]).await;
		assert!(!retrieved.from.is_empty());
	}
}

#[tokio::test]
async fn each_servers_reason_is_told() {
	let none = server(Faults {
		refuse_blocks: Some((usize::MAX, 404, None)),
		..Faults::default()
	})
	.await;
	let failing = server(Faults {
		refuse_blocks: Some((usize::MAX, 500, None)),
		..Faults::default()
	})
	.await;
	let liar = server(Faults {
		flip_byte: Some(100),
		..Faults::default()
	})
	.await;
	let error = fetch(&wanted(object().0), &place(), &[&none, &failing, &liar])
		.await
		.unwrap_err();
	let text = crate::error::CliError::from(error).summary();
	for part in [
		none.url.as_str(),
		"status 404",
		failing.url.as_str(),
		"status 500",
		liar.url.as_str(),
		"damaged",
	] {
		assert!(text.contains(part), "{part} is not in {text}");
	}
}

#[tokio::test]
async fn ranges_and_paths_come_from_several() {
	let (root, _, expected) = object();
	let second = server(Faults::default()).await;
	let first = server(Faults {
		hold_blocks: Some((10_000, second.asked(), 2)),
		..Faults::default()
	})
	.await;
	let range = ByteRange {
		start: 15_123,
		end: Some(50_321),
	};
	let asked = Wanted {
		part: Part::Bytes(range),
		..wanted(*root)
	};
	let place = place();
	let retrieved = fetch(&asked, &place, &[&first, &second]).await.unwrap();
	assert_eq!(content(&place, &retrieved, range), expected[15_123..50_321]);
	assert!(retrieved.bytes < 50_000, "{}", retrieved.bytes);
	for one in [&first, &second] {
		assert!(bytes_from(&retrieved, &one.url) > 0, "{retrieved:?}");
	}
}

#[tokio::test]
async fn folders_come_from_several() {
	let folder = tempfile::tempdir().unwrap();
	for sub in ["a", "b/c"] {
		std::fs::create_dir_all(folder.path().join("in").join(sub)).unwrap();
		for number in 0..40u32 {
			let content: Vec<u8> = (0..number * 50)
				.flat_map(|i| (i ^ number).to_le_bytes())
				.collect();
			std::fs::write(folder.path().join(format!("in/{sub}/{number}")), content).unwrap();
		}
	}
	let mut blocks = MemoryBlocks::new();
	let options = ImportOptions {
		chunk_size: 1024,
		max_links: 3,
		..ImportOptions::default()
	};
	let root = Importer::new(&mut blocks, options)
		.path(folder.path().join("in"))
		.unwrap()
		.root;
	let second = FakeServer::start(Faults::default(), 0, blocks.clone()).await;
	let hold = Faults {
		hold_blocks: Some((20_000, second.asked(), 2)),
		..Faults::default()
	};
	let first = FakeServer::start(hold, 0, blocks).await;
	let place = place();
	let retrieved = fetch(&wanted(root), &place, &[&first, &second]).await.unwrap();
	for one in [&first, &second] {
		assert!(bytes_from(&retrieved, &one.url) > 0, "{retrieved:?}");
	}
	let out = folder.path().join("out");
	tree(&place.blocks, &retrieved.target, &out, &Default::default()).unwrap();
	for sub in ["a", "b/c"] {
		for number in 0..40 {
			let read =
				|top: &str| std::fs::read(folder.path().join(format!("{top}/{sub}/{number}"))).unwrap();
			assert_eq!(read("in"), read("out"), "{sub}/{number}");
		}
	}
}
