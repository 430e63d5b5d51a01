//! Datasets that are sent while they come in.

use super::{
	super::data_api::{request, CODEX},
	peers::Peer,
	*,
};
use axum::{body::BodyDataStream, response::Response};
use futures::StreamExt;

/// Begins a download.
pub(super) async fn begin(node: &Node, cid: &Cid, headers: &[(&str, &str)]) -> Response<Body> {
	let path = format!("{CODEX}/data/{}/network/stream", cid_text(cid));
	let request = request(Method::GET, &path, headers, Body::empty());
	node.router.clone().call(request).await.unwrap()
}

/// Reads until there are so many bytes.
async fn take(body: &mut BodyDataStream, len: usize) -> Vec<u8> {
	let mut taken = Vec::new();
	while taken.len() < len {
		let piece = soon(body.next()).await.expect("there is more");
		taken.extend(piece.unwrap());
	}
	taken
}

#[tokio::test]
async fn what_is_sent_whole_is_kept() {
	let sample = Sample::new(10, 1_500_000);
	let peer = Peer::of(&sample.blocks, &sample.cid).await;
	let node = Node::joined(peer.addresses()).await;
	let answer = soon(node.get(&sample.cid, "/network/stream")).await;
	assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
	assert_eq!(answer.body, sample.content);
	assert_eq!(answer.header("content-length"), sample.content.len().to_string());
	assert_eq!(answer.header("content-type"), "text/plain");
	assert_eq!(
		answer.header("content-disposition"),
		"attachment; filename=\"sample.txt\""
	);
	// When the last byte was sent, it was stored.
	assert_eq!(node.get(&sample.cid, "").await.body, sample.content);
	let fetch = node.ended(&sample.cid).await;
	assert_eq!(
		(&fetch["state"], &fetch["kept"]),
		(&"complete".into(), &false.into())
	);
	assert_eq!(fetch["receivedBlocks"], sample.blocks.len());
	// And from here it is sent the next time.
	let sent = peer.sent();
	assert_eq!(
		node.get(&sample.cid, "/network/stream").await.body,
		sample.content
	);
	assert_eq!(peer.sent(), sent);
}

#[tokio::test]
async fn the_first_bytes_do_not_wait_for_the_last() {
	// More than a batch, so that what was written is read again.
	let sample = Sample::new(11, 1_500_000);
	let last = *sample.leaves.last().unwrap();
	let peer = Peer::with(&sample.blocks, &[last], &[sample.cid]).await;
	let node = Node::joined(peer.addresses()).await;
	let response = soon(begin(&node, &sample.cid, &[])).await;
	assert_eq!(response.status(), StatusCode::OK);
	let mut body = response.into_body().into_data_stream();
	let mut taken = take(&mut body, 1_300_000).await;
	let fetch = node.fetch(&sample.cid).await;
	assert_eq!(
		(&fetch["state"], &fetch["readers"]),
		(&"fetching".into(), &1.into())
	);
	assert!(!node.exists(&sample.cid).await);
	peer.release();
	taken.extend(take(&mut body, sample.content.len() - taken.len()).await);
	assert!(soon(body.next()).await.is_none());
	assert_eq!(taken, sample.content);
	assert_eq!(node.get(&sample.cid, "").await.body, sample.content);
}

#[tokio::test]
async fn nothing_is_kept_when_the_client_goes_away() {
	let sample = Sample::new(12, 1_500_000);
	let last = *sample.leaves.last().unwrap();
	let peer = Peer::with(&sample.blocks, &[last], &[sample.cid]).await;
	let node = Node::joined(peer.addresses()).await;
	let response = soon(begin(&node, &sample.cid, &[])).await;
	let mut body = response.into_body().into_data_stream();
	take(&mut body, 1_000_000).await;
	// Some of it is on the disk.
	assert!(node.settles(|space| space.used > 0).await.reserved > 0);
	drop(body);
	assert_eq!(node.ended(&sample.cid).await["state"], "given_up");
	node.is_empty().await;
	assert!(!node.exists(&sample.cid).await);
	// Another try has it.
	peer.release();
	let answer = soon(node.get(&sample.cid, "/network/stream")).await;
	assert_eq!(answer.body, sample.content);
}

#[tokio::test]
async fn a_client_that_goes_away_before_anything_came_ends_the_search() {
	let sample = Sample::new(13, 100_000);
	let peer = Peer::with(&sample.blocks, &[sample.cid], &[sample.cid]).await;
	let node = Node::joined(peer.addresses()).await;
	let waiting = {
		let path = format!("{CAIRN}/data/{}/network/stream", cid_text(&sample.cid));
		let request = request(Method::GET, &path, &[], Body::empty());
		let router = node.router.clone();
		tokio::spawn(async move { send(&router, request).await })
	};
	let fetches = node.data().fetches.clone();
	soon(async {
		while fetches.status(&sample.cid).is_none_or(|fetch| fetch.readers == 0) {
			tokio::task::yield_now().await;
		}
	})
	.await;
	waiting.abort();
	assert_eq!(node.ended(&sample.cid).await["state"], "given_up");
	node.is_empty().await;
}

#[tokio::test]
async fn all_who_want_a_dataset_share_one_fetch() {
	let sample = Sample::new(14, 1_500_000);
	let last = *sample.leaves.last().unwrap();
	let peer = Peer::with(&sample.blocks, &[last], &[sample.cid]).await;
	let node = Node::joined(peer.addresses()).await;
	let first = soon(begin(&node, &sample.cid, &[])).await;
	let second = soon(begin(&node, &sample.cid, &[])).await;
	let third = soon(begin(&node, &sample.cid, &[])).await;
	let mut second = second.into_body().into_data_stream();
	let taken = take(&mut second, 500_000).await;
	assert_eq!(taken, sample.content[..taken.len()]);
	assert_eq!(node.fetch(&sample.cid).await["readers"], 3);
	// One that goes away does not end it for the others, nor do all of them once it is to be kept.
	drop(second);
	let fetch = node.fetch_until(&sample.cid, |fetch| fetch["readers"] == 2).await;
	assert_eq!(
		(&fetch["state"], &fetch["kept"]),
		(&"fetching".into(), &false.into())
	);
	assert_eq!(soon(node.keep(&sample.cid)).await.status, StatusCode::OK);
	drop(third);
	let fetch = node.fetch_until(&sample.cid, |fetch| fetch["readers"] == 1).await;
	assert_eq!(
		(&fetch["state"], &fetch["kept"]),
		(&"fetching".into(), &true.into())
	);
	peer.release();
	let body = soon(first.into_body().collect()).await.unwrap().to_bytes();
	assert_eq!(body, sample.content);
	let fetch = node.ended(&sample.cid).await;
	assert_eq!(fetch["state"], "complete");
	assert_eq!(fetch["receivedBlocks"], sample.blocks.len());
	assert_eq!(peer.sent(), sample.stored_bytes());
}

#[tokio::test]
async fn ranges_do_not_wait_for_what_is_before_them() {
	// More than is under way at once.
	let sample = Sample::new(15, 4_000_000);
	let first = sample.leaves[0];
	let peer = Peer::with(&sample.blocks, &[first], &[sample.cid]).await;
	let node = Node::joined(peer.addresses()).await;
	let response = soon(begin(&node, &sample.cid, &[("range", "bytes=3800000-3899999")])).await;
	assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
	assert_eq!(
		response.headers()["content-range"].to_str().unwrap(),
		"bytes 3800000-3899999/4000000"
	);
	let part = soon(response.into_body().collect()).await.unwrap().to_bytes();
	assert_eq!(part, sample.content[3_800_000..3_900_000]);
	// A part is no dataset.
	assert_eq!(node.ended(&sample.cid).await["state"], "given_up");
	node.is_empty().await;
	let beyond = soon(begin(&node, &sample.cid, &[("range", "bytes=4000000-")])).await;
	assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
	node.ended(&sample.cid).await;
	node.is_empty().await;
}

#[tokio::test]
async fn files_are_sent_as_they_come() {
	let content = bytes(16, 1_500_000);
	let mut blocks = MemoryBlocks::new();
	let options = ImportOptions::default();
	let root = Importer::new(&mut blocks, options)
		.reader(&content[..])
		.unwrap()
		.root;
	let all: Vec<Block> = blocks.iter().cloned().collect();
	let peer = Peer::of(&all, &root).await;
	let node = Node::joined(peer.addresses()).await;
	let answer = soon(node.get(&root, "/network/stream")).await;
	assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
	assert_eq!(answer.body, content);
	assert_eq!(node.get(&root, "").await.body, content);
	let part = read(
		&node.router,
		&format!("{CAIRN}/data/{root}"),
		&[("range", "bytes=1000000-1000009")],
	)
	.await;
	assert_eq!(
		(part.status, &part.body[..]),
		(StatusCode::PARTIAL_CONTENT, &content[1_000_000..1_000_010])
	);
}

#[tokio::test]
async fn heads_and_what_the_client_has() {
	let sample = Sample::new(17, 500_000);
	let peer = Peer::of(&sample.blocks, &sample.cid).await;
	let node = Node::joined(peer.addresses()).await;
	let etag = format!("\"{}\"", cid_text(&sample.cid));
	let same = soon(begin(&node, &sample.cid, &[("if-none-match", &etag)])).await;
	assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
	assert_eq!(peer.sent(), 0);
	let path = format!("{CAIRN}/data/{}/network/stream", cid_text(&sample.cid));
	let head = soon(local(&node.router, Method::HEAD, &path, &[], Body::empty())).await;
	assert_eq!(
		(head.status, head.header("content-length")),
		(StatusCode::OK, "500000")
	);
	let fetch = node.ended(&sample.cid).await;
	// The whole can have come before the answer.
	assert!(
		["given_up", "complete"].contains(&fetch["state"].as_str().unwrap()),
		"{fetch}"
	);
}
