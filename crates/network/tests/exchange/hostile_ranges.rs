//! Servers that lie about a range, in each way that its requester tells from the truth.

use crate::nodes::{file, native, read_frame, seeded, soon, within, Node, Stranger};
use bytes::Bytes;
use cairn_dag::{
	codex::{self, DatasetOptions},
	Block, Cid, Codec, MemoryBlocks,
};
use cairn_network::{
	blocks::{BlockStore, MemoryStore},
	exchange::{
		service::RangeError,
		walk::RangeWalk,
		wire::{Range, Request, Response, WalkEnd, PROTOCOL},
	},
	peers::Offence,
};
use futures::AsyncWriteExt;
use rand_chacha::ChaCha8Rng;
use rand_core::RngCore;
use std::time::Duration;

/// What the requester is to make of an answer.
#[derive(Clone, Copy, Debug)]
enum Verdict {
	/// The range, complete.
	Fetched,
	/// The server lied.
	Offence,
	/// The server broke the protocol, which ended the stream.
	Malformed,
	/// The server does not have this block.
	Missing(Cid),
	/// The server has too much to do.
	Busy,
	/// The server went away.
	Lost,
}

/// An answer to a walk.
struct Case {
	name: &'static str,
	answer: Vec<Response>,
	/// Whether the server closes the stream after it.
	closes: bool,
	verdict: Verdict,
	/// How many of the range's blocks are verified, and kept, before the verdict.
	kept: usize,
}

fn block(block: &Block) -> Response {
	Response::WalkBlock {
		id: 0,
		cid: *block.cid(),
		size: block.data().len() as u32,
		data: block.bytes().clone(),
	}
}

/// What a server sends of these blocks, and how it ends.
fn answer(blocks: &[Block], end: Option<WalkEnd>) -> Vec<Response> {
	let end = end.map(|end| Response::WalkEnd { id: 0, end });
	blocks.iter().map(block).chain(end).collect()
}

/// Every way to answer, truly and not, of a range of these blocks.
fn cases(blocks: &[Block]) -> Vec<Case> {
	let all = blocks.len();
	let (some, next, after) = (all / 2, &blocks[all / 2], &blocks[all / 2 + 1]);
	let stranger = Block::encode(Codec::Raw, &b"of another file"[..]);
	let with = |extra: Response, rest: Vec<Response>| {
		let begun = answer(&blocks[..some], None);
		begun.into_iter().chain([extra]).chain(rest).collect::<Vec<_>>()
	};
	let case = |name, answer, verdict, kept| Case {
		name,
		answer,
		closes: false,
		verdict,
		kept,
	};
	let mut swapped = blocks.to_vec();
	swapped.swap(some, some + 1);
	let forged = Response::WalkBlock {
		id: 0,
		cid: *next.cid(),
		size: 5,
		data: Bytes::from_static(b"forge"),
	};
	let of_another_walk = Response::WalkBlock {
		id: 1,
		cid: *next.cid(),
		size: next.data().len() as u32,
		data: next.bytes().clone(),
	};
	let of_no_walk = Response::Block {
		id: 0,
		size: next.data().len() as u32,
		data: next.bytes().clone(),
	};
	let half = |size: usize| Response::WalkBlock {
		id: 0,
		cid: *next.cid(),
		size: size as u32,
		data: next.bytes().slice(..next.data().len() / 2),
	};
	let rest = Response::More {
		data: next.bytes().slice(next.data().len() / 2..),
	};
	let too_much = Response::More {
		data: [next.data(), b"!"].concat().into(),
	};
	let whole = next.data().len();
	let later = answer(&blocks[some + 1..], Some(WalkEnd::Done));
	vec![
		case(
			"the truth",
			answer(blocks, Some(WalkEnd::Done)),
			Verdict::Fetched,
			all,
		),
		case(
			"the truth in halves",
			with(half(whole), [vec![rest.clone()], later].concat()),
			Verdict::Fetched,
			all,
		),
		Case {
			closes: true,
			..case(
				"all blocks without an end",
				answer(blocks, None),
				Verdict::Fetched,
				all,
			)
		},
		case(
			"an honest refusal",
			answer(&blocks[..some], Some(WalkEnd::Missing(*next.cid()))),
			Verdict::Missing(*next.cid()),
			some,
		),
		case(
			"too much to do",
			answer(&blocks[..some], Some(WalkEnd::Later)),
			Verdict::Busy,
			some,
		),
		Case {
			closes: true,
			..case("a cut", answer(&blocks[..some], None), Verdict::Lost, some)
		},
		Case {
			closes: true,
			..case(
				"a cut within a block",
				with(half(whole), Vec::new()),
				Verdict::Lost,
				some,
			)
		},
		case(
			"done too early",
			answer(&blocks[..some], Some(WalkEnd::Done)),
			Verdict::Offence,
			some,
		),
		case(
			"done at once",
			answer(&[], Some(WalkEnd::Done)),
			Verdict::Offence,
			0,
		),
		case(
			"another block is missing",
			answer(&blocks[..some], Some(WalkEnd::Missing(*after.cid()))),
			Verdict::Offence,
			some,
		),
		case(
			"a block that was sent is missing",
			answer(&blocks[..some], Some(WalkEnd::Missing(*blocks[0].cid()))),
			Verdict::Offence,
			some,
		),
		case(
			"unusable, where it is not",
			answer(&blocks[..some], Some(WalkEnd::Unusable)),
			Verdict::Offence,
			some,
		),
		case(
			"swapped blocks",
			answer(&swapped, Some(WalkEnd::Done)),
			Verdict::Offence,
			some,
		),
		case(
			"a block left out",
			[answer(&blocks[..some], None), answer(&blocks[some + 1..], None)].concat(),
			Verdict::Offence,
			some,
		),
		case(
			"a block twice",
			with(block(&blocks[some - 1]), Vec::new()),
			Verdict::Offence,
			some,
		),
		case(
			"a block of something else",
			with(block(&stranger), Vec::new()),
			Verdict::Offence,
			some,
		),
		case(
			"other bytes under the name",
			with(forged, Vec::new()),
			Verdict::Offence,
			some,
		),
		case(
			"half a block for the whole",
			with(half(whole / 2), Vec::new()),
			Verdict::Offence,
			some,
		),
		case(
			"a block after the end",
			[
				answer(blocks, None),
				answer(std::slice::from_ref(&stranger), None),
			]
			.concat(),
			Verdict::Offence,
			all,
		),
		case(
			"missing after the last block",
			answer(blocks, Some(WalkEnd::Missing(*stranger.cid()))),
			Verdict::Offence,
			all,
		),
		case(
			"too much to do after the last block",
			answer(blocks, Some(WalkEnd::Later)),
			Verdict::Offence,
			all,
		),
		case(
			"another walk's block",
			with(of_another_walk, Vec::new()),
			Verdict::Malformed,
			some,
		),
		case(
			"a block of no walk",
			with(of_no_walk, Vec::new()),
			Verdict::Malformed,
			some,
		),
		case(
			"more of no block",
			with(rest, Vec::new()),
			Verdict::Malformed,
			some,
		),
		case(
			"more than was said",
			with(half(whole), vec![too_much]),
			Verdict::Malformed,
			some,
		),
		case(
			"a block within a block",
			with(half(whole), vec![block(after)]),
			Verdict::Malformed,
			some,
		),
	]
}

/// Sends the answer to the first request.
async fn serve(mut server: Stranger, range: Range, answer: Vec<Response>, closes: bool) {
	let mut inbound = server.accept().await;
	let frame = read_frame(&mut inbound.stream).await.unwrap();
	assert_eq!(Request::decode(&frame).unwrap(), Request::Walk { id: 0, range });
	let mut bytes = Vec::new();
	answer.iter().for_each(|response| response.encode(&mut bytes));
	// A requester that has seen enough reads no further.
	let _ = inbound.stream.write_all(&bytes).await;
	let _ = inbound.stream.flush().await;
	if closes {
		let _ = inbound.stream.close().await;
	}
	// Holds the stream open for as long as the test runs.
	std::future::pending().await
}

async fn check(rng: &mut ChaCha8Rng, range: Range, store: &MemoryStore) {
	let blocks: Vec<Block> = RangeWalk::new(store, &range).map(Result::unwrap).collect();
	for case in cases(&blocks) {
		let name = case.name;
		let server = Stranger::start(rng, [PROTOCOL]).await;
		let leecher = Node::start(rng, native(), &[]).await;
		leecher.connect(&server.host).await;
		let id = server.id();
		let serving = tokio::spawn(serve(server, range, case.answer, case.closes));
		let result = within(name, leecher.exchange.range(id, range, soon())).await;
		let (is_right, strikes) = match case.verdict {
			Verdict::Fetched => (
				matches!(&result, Ok(fetched) if fetched.blocks == blocks.len() as u64),
				0.0,
			),
			Verdict::Offence => (
				matches!(result, Err(RangeError::Offence { .. })),
				Offence::BadBlock.strikes(),
			),
			Verdict::Malformed => (
				matches!(result, Err(RangeError::Lost { .. })),
				Offence::Malformed.strikes(),
			),
			Verdict::Missing(cid) => (
				matches!(result, Err(RangeError::Missing { cid: missing }) if missing == cid),
				0.0,
			),
			Verdict::Busy => (matches!(result, Err(RangeError::Busy)), 0.0),
			Verdict::Lost => (matches!(result, Err(RangeError::Lost { .. })), 0.0),
		};
		assert!(is_right, "{name}: {result:?}");
		let standing = leecher.host.peers().standing(&id);
		// At the time of the last strike.
		let struck = standing.map_or(0.0, |known| known.strikes(Duration::ZERO, Duration::from_secs(1)));
		assert_eq!(struck, strikes, "{name}");
		assert!(
			leecher.has(&blocks[..case.kept]),
			"{name}: what is verified is kept"
		);
		assert_eq!(leecher.store.len(), case.kept, "{name}: and nothing else");
		serving.abort();
	}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_lie_about_a_files_bytes_is_seen() {
	let mut rng = seeded();
	let (root, all, _) = file(&mut rng, 100_000);
	let store = MemoryStore::new();
	store.put(&all).unwrap();
	let range = Range::Bytes {
		root,
		start: 0,
		len: u64::MAX,
	};
	check(&mut rng, range, &store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_lie_about_a_datasets_blocks_is_seen() {
	let mut rng = seeded();
	let mut content = vec![0; 9 * 4096];
	rng.fill_bytes(&mut content);
	let mut made = MemoryBlocks::new();
	let options = DatasetOptions {
		block_size: 4096,
		..DatasetOptions::default()
	};
	let dataset = codex::import(&content[..], &mut made, &options).unwrap();
	let all: Vec<Block> = made.iter().cloned().collect();
	let store = MemoryStore::new();
	store.put(&all).unwrap();
	let range = Range::Leaves {
		tree: dataset.manifest.tree,
		start: 2,
		len: 5,
	};
	check(&mut rng, range, &store).await;
}
