//! The data API: uploads that break off, go on and meet others.

use super::{
	data_api::{local, node, node_with, read, request, settled, space, CAIRN, CODEX},
	*,
};
use cairn_units::ByteSize;
use futures::StreamExt;
use serde_json::Value;
use std::{io, time::Duration};
use tokio::{
	io::{AsyncReadExt, AsyncWriteExt},
	net::{TcpListener, TcpStream},
	sync::mpsc,
};
use tokio_util::sync::CancellationToken;

/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A body that the test feeds.
fn fed() -> (mpsc::Sender<io::Result<Bytes>>, Body) {
	let (sender, receiver) = mpsc::channel(1);
	let stream = futures::stream::unfold(receiver, |mut receiver| async move {
		receiver.recv().await.map(|piece| (piece, receiver))
	});
	(sender, Body::from_stream(stream))
}

fn pieces(len: usize) -> Bytes {
	(0..len as u32)
		.map(|n| (n.wrapping_mul(2654435761) >> 24) as u8)
		.collect()
}

/// Waits until `done`, which something else brings about.
async fn until(mut done: impl FnMut() -> bool) {
	let waiting = async {
		while !done() {
			tokio::time::sleep(Duration::from_millis(2)).await;
		}
	};
	tokio::time::timeout(PATIENCE, waiting)
		.await
		.expect("it never happens");
}

#[tokio::test]
async fn bodies_that_are_not_as_long_as_announced() {
	let (world, router) = node().await;
	for (length, kind) in [("11", ErrorKind::TooSmall), ("9", ErrorKind::TooLarge)] {
		for base in [CODEX, CAIRN] {
			let body = Body::from_stream(futures::stream::iter([
				io::Result::Ok(Bytes::from_static(b"01234")),
				Ok(Bytes::from_static(b"56789")),
			]));
			let answer = local(
				&router,
				Method::POST,
				&format!("{base}/data"),
				&[("content-length", length)],
				body,
			)
			.await;
			assert_eq!(answer.problem(), kind, "{length}");
		}
	}
	let broken = Body::from_stream(futures::stream::iter([
		Ok(Bytes::from_static(b"01234")),
		Err(io::Error::from(io::ErrorKind::ConnectionReset)),
	]));
	let answer = local(&router, Method::POST, &format!("{CODEX}/data"), &[], broken).await;
	assert_eq!(answer.problem(), ErrorKind::IdleTimeout);
	let space = settled(&world, &router).await;
	assert_eq!(
		(&space["totalBlocks"], &space["datasets"]),
		(&0.into(), &0.into())
	);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
	let (world, router) = node().await;
	let uploads = world.provider().data.clone().unwrap().uploads.clone();
	let (sender, body) = fed();
	let request = request(
		Method::POST,
		&format!("{CODEX}/data"),
		&[("content-length", "3000000")],
		body,
	);
	let task = tokio::spawn({
		let router = router.clone();
		async move { send(&router, request).await }
	});
	sender.send(Ok(pieces(1_000_000))).await.unwrap();
	until(|| uploads.list().iter().any(|upload| upload.received == 1_000_000)).await;
	// It shows among the uploads, and its room is set aside.
	assert!(space(&router).await["quotaReservedBytes"].as_u64().unwrap() >= 2_000_000);
	let list: Value = read(&router, &format!("{CAIRN}/uploads"), &[]).await.json();
	assert_eq!(list["uploads"][0]["length"], 3_000_000);
	assert_eq!(list["uploads"][0]["running"], true);
	assert_eq!(list["uploads"][0]["resumable"], false);
	// What a server does to a request whose connection is gone.
	task.abort();
	assert!(task.await.is_err_and(|error| error.is_cancelled()));
	until(|| uploads.list().is_empty()).await;
	let space = settled(&world, &router).await;
	assert_eq!(
		(
			&space["totalBlocks"],
			&space["quotaUsedBytes"],
			&space["quotaReservedBytes"]
		),
		(&0.into(), &0.into(), &0.into())
	);
}

/// Reads an answer's head and what came with it.
async fn head(stream: &mut TcpStream) -> String {
	let mut answer = Vec::new();
	while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
		let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut answer));
		assert_ne!(read.await.expect("no answer").unwrap(), 0, "cut off");
	}
	String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn over_a_connection() {
	let (world, router) = node().await;
	let uploads = world.provider().data.clone().unwrap().uploads.clone();
	let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
	let address = listener.local_addr().unwrap();
	let shutdown = CancellationToken::new();
	let server = tokio::spawn({
		let (router, config, stop) = (router.clone(), world.config.server.clone(), shutdown.clone());
		let metrics = world.provider().metrics.clone();
		async move { crate::http::serve(listener, router, &config, &metrics, stop).await }
	});
	let ask = |length: usize, expect: &'static str| async move {
		let mut stream = TcpStream::connect(address).await.unwrap();
		let head = format!(
			"POST {CODEX}/data HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n{expect}\r\n"
		);
		stream.write_all(head.as_bytes()).await.unwrap();
		stream
	};
	// Who asks before sending is told before it has sent.
	let expect = "expect: 100-continue\r\n";
	let refused = head(&mut ask(99_999_999, expect).await).await;
	assert!(refused.starts_with("HTTP/1.1 507 "), "{refused}");
	let mut stream = ask(18, expect).await;
	let leave = head(&mut stream).await;
	assert!(leave.starts_with("HTTP/1.1 100 "), "{leave}");
	stream.write_all(b"some file contents").await.unwrap();
	let answer = head(&mut stream).await;
	assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

	// A connection that is cut leaves nothing.
	let before = settled(&world, &router).await;
	let mut stream = ask(3_000_000, "").await;
	stream.write_all(&pieces(1_000_000)).await.unwrap();
	until(|| uploads.list().iter().any(|upload| upload.received > 900_000)).await;
	drop(stream);
	until(|| uploads.list().is_empty()).await;
	assert_eq!(settled(&world, &router).await, before);
	shutdown.cancel();
	server.await.unwrap();
}

#[tokio::test]
async fn ten_uploads_at_once() {
	let (_world, router) = node().await;
	let uploads = (0..10u8).map(|n| {
		let router = router.clone();
		async move {
			// Half of every upload is alike.
			let data = [vec![200; 200_000], vec![n; 100_000]].concat();
			let pieces: Vec<_> = data
				.chunks(7_777)
				.map(|piece| io::Result::Ok(Bytes::copy_from_slice(piece)))
				.collect();
			let body = Body::from_stream(futures::stream::iter(pieces));
			let answer = local(&router, Method::POST, &format!("{CODEX}/data"), &[], body).await;
			assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
			let cid = String::from_utf8(answer.body.to_vec()).unwrap();
			let answer = read(&router, &format!("{CODEX}/data/{cid}"), &[]).await;
			assert!(answer.body == data);
			cid
		}
	});
	let cids: std::collections::BTreeSet<_> = futures::future::join_all(uploads).await.into_iter().collect();
	assert_eq!(cids.len(), 10);
}

#[tokio::test]
async fn large_data_is_not_held_in_memory() {
	const PIECE: usize = 64 << 10;
	const PIECES: usize = 256;
	let (world, router) = node_with(|config| config.repo.quota = ByteSize(20 << 20)).await;
	let uploads = world.provider().data.clone().unwrap().uploads.clone();
	// The body notes by how much it is ahead of what was taken from the channel.
	let (sent, mut ahead) = (std::sync::atomic::AtomicUsize::new(0), 0);
	let (watcher, most) = std::sync::mpsc::channel();
	let body = Body::from_stream(futures::stream::iter(0..PIECES).map(move |n| {
		let sent = sent.fetch_add(PIECE, std::sync::atomic::Ordering::Relaxed);
		let received = uploads
			.list()
			.first()
			.map_or(0, |upload| upload.received as usize);
		ahead = ahead.max(sent - received.min(sent));
		watcher.send(ahead).unwrap();
		let mut piece = vec![0; PIECE];
		piece[..8].copy_from_slice(&(n as u64).to_le_bytes());
		io::Result::Ok(Bytes::from(piece))
	}));
	let length = (PIECE * PIECES).to_string();
	let answer = local(
		&router,
		Method::POST,
		&format!("{CODEX}/data"),
		&[("content-length", &length)],
		body,
	)
	.await;
	assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
	// Eight pieces in the channel, and one on either side of it.
	let most = most.try_iter().max().unwrap();
	assert!(most <= 11 * PIECE, "{most} bytes ahead");
	let cid = String::from_utf8(answer.body.to_vec()).unwrap();
	let last = format!("bytes={}-{}", PIECE * (PIECES - 1), PIECE * (PIECES - 1) + 7);
	let part = read(&router, &format!("{CODEX}/data/{cid}"), &[("range", &last)]).await;
	assert_eq!(part.body[..], ((PIECES - 1) as u64).to_le_bytes());
}

/// Begins an upload without data; gives its path.
async fn begin(router: &Router, headers: &[(&str, &str)]) -> String {
	let answer = local(
		router,
		Method::POST,
		&format!("{CAIRN}/uploads"),
		headers,
		Body::empty(),
	)
	.await;
	assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
	assert_eq!(
		(answer.header("upload-offset"), answer.header("upload-complete")),
		("0", "?0")
	);
	assert!(answer.header("upload-limit").starts_with("max-age="));
	answer.header("location").to_owned()
}

#[tokio::test]
async fn an_upload_goes_on_after_its_connection_broke() {
	let (world, router) = node().await;
	let data = pieces(300_000);
	let whole = local(
		&router,
		Method::POST,
		&format!("{CODEX}/data"),
		&[("content-disposition", "attachment; filename=\"a.bin\"")],
		data.clone(),
	)
	.await;
	let expected = String::from_utf8(whole.body.to_vec()).unwrap();
	let delete = local(
		&router,
		Method::DELETE,
		&format!("{CODEX}/data/{expected}"),
		&[],
		Body::empty(),
	)
	.await;
	assert_eq!(delete.status, StatusCode::NO_CONTENT);

	let path = begin(
		&router,
		&[
			("upload-length", "300000"),
			("content-disposition", "attachment; filename=\"a.bin\""),
		],
	)
	.await;
	let part = |offset: usize, complete: &'static str, body: Body| {
		let (router, path) = (router.clone(), path.clone());
		async move {
			let offset = offset.to_string();
			let headers = [("upload-offset", &*offset), ("upload-complete", complete)];
			local(&router, Method::PATCH, &path, &headers, body).await
		}
	};
	let first = part(0, "?0", data.slice(..100_001).into()).await;
	assert_eq!(
		(first.status, first.header("upload-offset")),
		(StatusCode::NO_CONTENT, "100001")
	);
	// The connection breaks in the middle of the second part.
	let broken = Body::from_stream(futures::stream::iter([
		Ok(data.slice(100_001..200_000)),
		Err(io::Error::from(io::ErrorKind::ConnectionReset)),
	]));
	let second = part(100_001, "?1", broken).await;
	assert_eq!(second.problem(), ErrorKind::IdleTimeout);
	assert_eq!(second.header("upload-offset"), "200000");
	// Nothing of it can be read yet.
	let exists: Value = read(&router, &format!("{CAIRN}/data/{expected}/exists"), &[])
		.await
		.json();
	assert_eq!(exists["exists"], false);
	let head = local(&router, Method::HEAD, &path, &[], Body::empty()).await;
	assert_eq!(
		(
			head.header("upload-offset"),
			head.header("upload-length"),
			head.header("upload-complete"),
			head.body.len()
		),
		("200000", "300000", "?0", 0)
	);
	let wrong = part(100_001, "?1", data.slice(100_001..).into()).await;
	assert_eq!(wrong.problem(), ErrorKind::OffsetMismatch);
	assert_eq!(wrong.header("upload-offset"), "200000");
	// Neither more nor less than was announced.
	let more = part(200_000, "?0", vec![0; 100_001].into()).await;
	assert_eq!(more.problem(), ErrorKind::TooLarge);
	let head = local(&router, Method::HEAD, &path, &[], Body::empty()).await;
	assert_eq!(head.header("upload-offset"), "200000");
	let less = part(200_000, "?1", Body::empty()).await;
	assert_eq!(less.problem(), ErrorKind::TooSmall);

	let last = part(200_000, "?1", data.slice(200_000..).into()).await;
	assert_eq!(last.status, StatusCode::CREATED, "{:?}", last.body);
	assert_eq!(last.json::<Value>()["cid"], expected);
	assert_eq!(
		read(&router, &format!("{CODEX}/data/{expected}"), &[]).await.body,
		data
	);
	// Who missed the answer learns it.
	let status: Value = read(&router, &path, &[]).await.json();
	assert_eq!(
		(&status["dataset"], &status["received"]),
		(&expected.into(), &300_000.into())
	);
	assert_eq!(
		part(300_000, "?1", Body::empty()).await.problem(),
		ErrorKind::WrongState
	);
	assert_eq!(settled(&world, &router).await["quotaReservedBytes"], 0);
}

#[tokio::test]
async fn one_request_at_a_time_has_an_upload() {
	let (world, router) = node_with(|config| config.repo.max_uploads = 2).await;
	let uploads = world.provider().data.clone().unwrap().uploads.clone();
	let path = begin(&router, &[]).await;
	let (sender, body) = fed();
	let first = tokio::spawn({
		let request = request(Method::PATCH, &path, &[("upload-offset", "0")], body);
		let router = router.clone();
		async move { send(&router, request).await }
	});
	sender.send(Ok(pieces(1000))).await.unwrap();
	until(|| uploads.list()[0].received == 1000).await;
	let second = local(&router, Method::PATCH, &path, &[("upload-offset", "1000")], "x").await;
	assert_eq!(second.problem(), ErrorKind::UploadRunning);
	// There is room for one more, and for no third.
	let other = begin(&router, &[]).await;
	let third = local(&router, Method::POST, &format!("{CODEX}/data"), &[], "x").await;
	assert_eq!(third.problem(), ErrorKind::Busy);
	assert_eq!(
		local(&router, Method::DELETE, &other, &[], Body::empty())
			.await
			.status,
		StatusCode::NO_CONTENT
	);
	assert_eq!(
		local(&router, Method::DELETE, &other, &[], Body::empty())
			.await
			.problem(),
		ErrorKind::NotFound
	);
	// One that is given up ends the request that has it.
	assert_eq!(
		local(&router, Method::DELETE, &path, &[], Body::empty())
			.await
			.status,
		StatusCode::NO_CONTENT
	);
	let _ = sender.send(Ok(pieces(1))).await;
	drop(sender);
	assert_eq!(first.await.unwrap().problem(), ErrorKind::WrongState);
	assert_eq!(read(&router, &path, &[]).await.problem(), ErrorKind::NotFound);
	let space = settled(&world, &router).await;
	assert_eq!(
		(&space["totalBlocks"], &space["quotaReservedBytes"]),
		(&0.into(), &0.into())
	);
}

#[tokio::test]
async fn an_upload_that_nobody_goes_on_with_is_given_up() {
	let (world, router) = node_with(|config| config.repo.upload_patience_seconds = 1).await;
	let uploads = world.provider().data.clone().unwrap().uploads.clone();
	let path = begin(&router, &[("upload-length", "1000000")]).await;
	assert!(space(&router).await["quotaReservedBytes"].as_u64().unwrap() >= 1_000_000);
	until(|| uploads.list().is_empty()).await;
	assert_eq!(read(&router, &path, &[]).await.problem(), ErrorKind::NotFound);
	assert_eq!(settled(&world, &router).await["quotaReservedBytes"], 0);
}

#[tokio::test]
async fn upload_headers_that_make_no_sense() {
	let (_world, router) = node().await;
	let path = begin(&router, &[]).await;
	for headers in [
		&[][..],
		&[("upload-offset", "x")],
		&[("upload-offset", "0"), ("upload-complete", "yes")],
		&[("upload-offset", "0"), ("upload-length", "-1")],
	] {
		let answer = local(&router, Method::PATCH, &path, headers, "x").await;
		assert_eq!(answer.problem(), ErrorKind::Malformed, "{headers:?}");
	}
	let more = [
		("upload-length", "5"),
		("upload-complete", "?1"),
		("content-length", "6"),
	];
	let answer = local(
		&router,
		Method::POST,
		&format!("{CAIRN}/uploads"),
		&more,
		"123456",
	)
	.await;
	assert_eq!(answer.problem(), ErrorKind::Malformed);
	let whole = [("upload-complete", "?1")];
	let answer = local(
		&router,
		Method::POST,
		&format!("{CAIRN}/uploads"),
		&whole,
		"some file contents",
	)
	.await;
	assert_eq!(answer.status, StatusCode::CREATED);
	assert_eq!(
		answer.json::<Value>()["cid"],
		"zDvZRwzmC3Q7e7NLkfsPmtgSCfectUc1ssn5xK2rzC9yRz1yeZuK"
	);
	let nothing = local(
		&router,
		Method::POST,
		&format!("{CAIRN}/uploads"),
		&whole,
		Body::empty(),
	)
	.await;
	assert_eq!(nothing.problem(), ErrorKind::Unprocessable);
	let unknown = local(
		&router,
		Method::PATCH,
		&format!("{CAIRN}/uploads/nonsense"),
		&[("upload-offset", "0")],
		"x",
	)
	.await;
	assert_eq!(unknown.problem(), ErrorKind::NotFound);
}
