//! The data API: datasets from their upload to their deletion.

use super::*;
use crate::{data::cid_text, http::client_address::Peer};
use cairn_blockstore::PinId;
use cairn_dag::{Block, Codec};
use cairn_units::ByteSize;
use serde_json::Value;

pub(super) const CODEX: &str = "/api/codex/v1";
pub(super) const CAIRN: &str = "/api/cairn/v1";

/// A node with a block store of 8 MiB.
pub(super) async fn node() -> (World, Router) {
	node_with(|_| {}).await
}

pub(super) async fn node_with(change: impl FnOnce(&mut Config)) -> (World, Router) {
	let mut config = test_config();
	config.repo.enabled = true;
	config.repo.quota = ByteSize(8 << 20);
	change(&mut config);
	let world = World::with(config).await;
	let router = router(world.provider().clone()).unwrap();
	(world, router)
}

/// A request as a program on the node's machine sends it.
pub(super) fn request(method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
	let mut request = Request::builder()
		.method(method)
		.uri(path)
		.header("host", "localhost:7600");
	for (name, value) in headers {
		request = request.header(*name, *value);
	}
	let mut request = request.body(body).unwrap();
	request
		.extensions_mut()
		.insert(Peer("127.0.0.1".parse().unwrap()));
	request
}

pub(super) async fn local(
	router: &Router,
	method: Method,
	path: &str,
	headers: &[(&str, &str)],
	body: impl Into<Body>,
) -> Answer {
	send(router, request(method, path, headers, body.into())).await
}

pub(super) async fn read(router: &Router, path: &str, headers: &[(&str, &str)]) -> Answer {
	local(router, Method::GET, path, headers, Body::empty()).await
}

/// Uploads as a Codex client does; gives the CID.
pub(super) async fn upload(router: &Router, data: Vec<u8>, headers: &[(&str, &str)]) -> String {
	let answer = local(router, Method::POST, &format!("{CODEX}/data"), headers, data).await;
	assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
	assert_eq!(answer.header("content-type"), "text/plain");
	String::from_utf8(answer.body.to_vec()).unwrap()
}

pub(super) async fn space(router: &Router) -> Value {
	read(router, &format!("{CODEX}/space"), &[]).await.json()
}

/// Waits until everything that is deleted is freed, and nothing is reserved.
pub(super) async fn settled(world: &World, router: &Router) -> Value {
	let data = world.provider().data.clone().unwrap();
	loop {
		let repo = data.repo.clone();
		tokio::task::spawn_blocking(move || repo.maintain())
			.await
			.unwrap()
			.unwrap();
		let space = space(router).await;
		let uploads = data.uploads.list();
		if space["quotaReservedBytes"] == 0
			&& space["pendingDeleteBytes"] == 0
			&& uploads.iter().all(|upload| !upload.running)
		{
			return space;
		}
		tokio::task::yield_now().await;
	}
}

#[tokio::test]
async fn datasets_have_the_cids_that_codex_gives_them() {
	let (_world, router) = node().await;
	let cid = upload(&router, b"some file contents".to_vec(), &[]).await;
	assert_eq!(cid, "zDvZRwzmC3Q7e7NLkfsPmtgSCfectUc1ssn5xK2rzC9yRz1yeZuK");
	let manifest: Value = read(&router, &format!("{CODEX}/data/{cid}/network/manifest"), &[])
		.await
		.json();
	assert_eq!(
		manifest,
		serde_json::json!({"cid": cid, "manifest": {
			"treeCid": "zDzSvJTezk7bJNQqFq8k1iHXY84psNuUfZVusA5bBQQUSuyzDSVL", "datasetSize": 18, "blockSize": 65536,
			"protected": false, "filename": null, "mimetype": null,
		}})
	);
	for (blocks, tree) in [
		(1, "zDzSvJTf8RviqW9HL7ppHPywc6dQZFY1JWpcNc1ZWsPt3aQue7AP"),
		(2, "zDzSvJTfGNazi6SjevF9TitfRfqKayoXzim5DroqDpn7xEu2h1Kq"),
		(3, "zDzSvJTfD6YDkAdaTE4RsWf3ifarjuHTFQn2b4kczeLEkj2efYuK"),
		(5, "zDzSvJTfCAY6Losqc1dQC351R69hCDH8Lfx4gDP38Bbka3mLdvfR"),
	] {
		let data: Vec<u8> = (0..blocks).flat_map(|block| vec![block; 65536]).collect();
		let cid = upload(&router, data.clone(), &[]).await;
		let item: Value = read(&router, &format!("{CODEX}/data/{cid}/network/manifest"), &[])
			.await
			.json();
		assert_eq!(item["manifest"]["treeCid"], tree);
		assert_eq!(item["manifest"]["datasetSize"], data.len());
		for way in ["", "/network/stream"] {
			let answer = read(&router, &format!("{CODEX}/data/{cid}{way}"), &[]).await;
			assert_eq!(
				(answer.status, &answer.body),
				(StatusCode::OK, &Bytes::from(data.clone()))
			);
		}
	}
}

#[tokio::test]
async fn sizes_around_the_block_size() {
	let (_world, router) = node().await;
	for size in [1, 65535, 65536, 65537, 131072] {
		let data: Vec<u8> = (0..size)
			.map(|n: u32| (n.wrapping_mul(2654435761) >> 24) as u8)
			.collect();
		let cid = upload(&router, data.clone(), &[]).await;
		let answer = read(&router, &format!("{CAIRN}/data/{cid}"), &[]).await;
		assert_eq!(answer.body, data, "{size}");
		assert_eq!(answer.header("content-length"), size.to_string());
	}
	// Nothing is no dataset, however its length is said.
	let length = [("content-length", "0")];
	for headers in [&[][..], &length] {
		for base in [CODEX, CAIRN] {
			let answer = local(
				&router,
				Method::POST,
				&format!("{base}/data"),
				headers,
				Body::empty(),
			)
			.await;
			assert_eq!(answer.problem(), ErrorKind::Unprocessable);
		}
	}
}

#[tokio::test]
async fn names_and_types_are_kept_and_given_back() {
	let (_world, router) = node().await;
	let headers = [
		("content-type", "text/html"),
		("content-disposition", "attachment; filename=\"example.html\""),
	];
	let cid = upload(&router, b"<script>alert(1)</script>".to_vec(), &headers).await;
	let answer = read(&router, &format!("{CODEX}/data/{cid}"), &[]).await;
	assert_eq!(answer.header("content-type"), "text/html");
	assert_eq!(
		answer.header("content-disposition"),
		"attachment; filename=\"example.html\""
	);
	// Not to be shown as a page of this server.
	assert_eq!(answer.header("x-content-type-options"), "nosniff");
	assert!(answer.header("content-security-policy").starts_with("sandbox"));

	let list: Value = read(&router, &format!("{CODEX}/data"), &[]).await.json();
	assert_eq!(list["content"][0]["cid"], cid);
	assert_eq!(list["content"][0]["manifest"]["filename"], "example.html");
	assert_eq!(list["content"][0]["manifest"]["mimetype"], "text/html");

	let cairn = local(
		&router,
		Method::POST,
		&format!("{CAIRN}/data?ttl=never"),
		&[("content-type", "hello/world")],
		"some file contents",
	)
	.await;
	assert_eq!(cairn.status, StatusCode::CREATED);
	let item: Value = cairn.json();
	assert_eq!(item["manifest"]["mimetype"], "hello/world");
	assert_eq!(item["expiresAt"], Value::Null);
	assert_eq!(
		cairn.header("location"),
		format!("{CAIRN}/data/{}", item["cid"].as_str().unwrap())
	);
}

#[tokio::test]
async fn what_codex_finds_unprocessable() {
	let (world, router) = node().await;
	for (name, value, message) in [
		(
			"content-type",
			"hello/world",
			"The MIME type 'hello/world' is not valid.",
		),
		(
			"content-type",
			"nonsense",
			"The MIME type 'nonsense' is not valid.",
		),
		(
			"content-disposition",
			"attachment; filename=\"exam*ple.txt\"",
			"The filename is not valid.",
		),
		(
			"content-disposition",
			"attachment; filename=\"../x\"",
			"The filename is not valid.",
		),
	] {
		let answer = local(
			&router,
			Method::POST,
			&format!("{CODEX}/data"),
			&[(name, value)],
			"data",
		)
		.await;
		assert_eq!(answer.status.as_u16(), 422);
		let problem: Problem = answer.json();
		assert_eq!(
			(problem.kind, &*problem.message),
			(ErrorKind::Unprocessable, message)
		);
	}
	let space = settled(&world, &router).await;
	assert_eq!(
		(&space["totalBlocks"], &space["quotaUsedBytes"]),
		(&0.into(), &0.into())
	);
}

#[tokio::test]
async fn ranges_and_conditions() {
	let (_world, router) = node().await;
	let data: Vec<u8> = (0..200_000u32)
		.map(|n| (n.wrapping_mul(2654435761) >> 24) as u8)
		.collect();
	let cid = upload(&router, data.clone(), &[]).await;
	let path = format!("{CAIRN}/data/{cid}");
	let etag = format!("\"{cid}\"");
	for (range, from, to) in [
		("bytes=0-0", 0, 1),
		("bytes=65530-65545", 65530, 65546),
		("bytes=100000-", 100_000, 200_000),
		("bytes=-5", 199_995, 200_000),
	] {
		let part = read(&router, &path, &[("range", range), ("if-range", &etag)]).await;
		assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{range}");
		assert_eq!(part.body, data[from..to], "{range}");
		assert_eq!(
			part.header("content-range"),
			format!("bytes {from}-{}/200000", to - 1)
		);
		assert_eq!(part.header("etag"), etag);
	}
	let other = read(
		&router,
		&path,
		&[("range", "bytes=0-0"), ("if-range", "\"other\"")],
	)
	.await;
	assert_eq!((other.status, other.body.len()), (StatusCode::OK, data.len()));
	let beyond = read(&router, &path, &[("range", "bytes=200000-")]).await;
	assert_eq!(beyond.problem(), ErrorKind::RangeNotSatisfiable);
	assert_eq!(beyond.header("content-range"), "bytes */200000");
	let same = read(&router, &path, &[("if-none-match", &etag)]).await;
	assert_eq!((same.status, same.body.len()), (StatusCode::NOT_MODIFIED, 0));
	let head = local(&router, Method::HEAD, &path, &[], Body::empty()).await;
	assert_eq!((head.header("content-length"), head.body.len()), ("200000", 0));
	// Any spelling of the CID will do.
	let base32 = cid.parse::<Cid>().unwrap().to_string();
	assert_ne!(base32, cid);
	assert_eq!(
		read(&router, &format!("{CAIRN}/data/{base32}"), &[])
			.await
			.header("etag"),
		etag
	);
}

#[tokio::test]
async fn what_is_not_here_is_said_to_be_not_here() {
	let (_world, router) = node().await;
	let manifest = "zDvZRwzmC3Q7e7NLkfsPmtgSCfectUc1ssn5xK2rzC9yRz1yeZuK";
	for base in [CODEX, CAIRN] {
		for path in ["", "/network/stream", "/network/manifest"] {
			let answer = read(&router, &format!("{base}/data/{manifest}{path}"), &[]).await;
			assert_eq!(answer.problem(), ErrorKind::NotFound, "{path}");
		}
		let fetch = local(
			&router,
			Method::POST,
			&format!("{base}/data/{manifest}/network"),
			&[],
			Body::empty(),
		)
		.await;
		assert_eq!(fetch.problem(), ErrorKind::NotFound);
		// Deleting it is no error.
		let delete = local(
			&router,
			Method::DELETE,
			&format!("{base}/data/{manifest}"),
			&[],
			Body::empty(),
		)
		.await;
		assert_eq!(delete.status, StatusCode::NO_CONTENT);
		let long = "z".repeat(60_000);
		for wrong in [
			"nonsense",
			"..%2f..%2fetc%2fpasswd",
			"%2fipfs%2fbafkqaaa",
			"%00",
			&long,
		] {
			let answer = read(&router, &format!("{base}/data/{wrong}"), &[]).await;
			assert_eq!(answer.problem(), ErrorKind::Malformed);
			let answer = read(&router, &format!("{base}/data/{wrong}/exists"), &[]).await;
			assert_eq!(answer.problem(), ErrorKind::Malformed);
		}
	}
	let raw = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
	let answer = read(&router, &format!("{CODEX}/data/{raw}/network/manifest"), &[]).await;
	assert_eq!(answer.problem(), ErrorKind::Malformed);
}

#[tokio::test]
async fn deleting() {
	let (world, router) = node().await;
	let shared = vec![1; 65536];
	let one = upload(&router, [shared.clone(), vec![2; 65536]].concat(), &[]).await;
	let other = upload(&router, [shared.clone(), vec![3; 65536]].concat(), &[]).await;
	let block = cid_text(Block::encode(Codec::CodexBlock, shared.clone()).cid());
	let exists = |what: String| {
		let router = router.clone();
		async move {
			let codex: Value = read(&router, &format!("{CODEX}/data/{what}/exists"), &[])
				.await
				.json();
			let cairn: Value = read(&router, &format!("{CAIRN}/data/{what}/exists"), &[])
				.await
				.json();
			assert_eq!(
				(&codex[&what], &codex["has"]),
				(&cairn["exists"], &cairn["exists"])
			);
			codex[&what].as_bool().unwrap()
		}
	};
	let delete = |what: String| {
		let router = router.clone();
		async move {
			local(
				&router,
				Method::DELETE,
				&format!("{CODEX}/data/{what}"),
				&[],
				Body::empty(),
			)
			.await
		}
	};
	assert!(exists(one.clone()).await && exists(block.clone()).await);
	// A block of a dataset stays with it; as data it is its bytes.
	assert_eq!(delete(block.clone()).await.problem(), ErrorKind::WrongState);
	assert_eq!(
		read(&router, &format!("{CODEX}/data/{block}"), &[]).await.body,
		shared
	);

	assert_eq!(delete(one.clone()).await.status, StatusCode::NO_CONTENT);
	assert!(!exists(one.clone()).await);
	assert_eq!(
		read(&router, &format!("{CODEX}/data/{one}"), &[]).await.problem(),
		ErrorKind::NotFound
	);
	// What another dataset has stays.
	assert!(exists(block.clone()).await);
	assert_eq!(
		read(&router, &format!("{CODEX}/data/{other}"), &[])
			.await
			.body
			.len(),
		131072
	);

	// What a deal needs is not deleted.
	let data = world.provider().data.clone().unwrap();
	let root: Cid = other.parse().unwrap();
	data.repo.pin(&root, &PinId([7; 32])).unwrap();
	assert_eq!(delete(other.clone()).await.problem(), ErrorKind::WrongState);
	data.repo.unpin(&root, &PinId([7; 32])).unwrap();
	assert_eq!(delete(other).await.status, StatusCode::NO_CONTENT);
	let space = settled(&world, &router).await;
	assert_eq!(
		(
			&space["totalBlocks"],
			&space["quotaUsedBytes"],
			&space["datasets"]
		),
		(&0.into(), &0.into(), &0.into())
	);
}

#[tokio::test]
async fn a_full_store_refuses_and_loses_nothing() {
	// Room for two blocks with their nodes and manifests, and no third.
	let (world, router) = node_with(|config| config.repo.quota = ByteSize(2 * 65536 + 1000)).await;
	let cid = upload(&router, vec![1; 65536], &[]).await;
	let before = settled(&world, &router).await;
	// With and without its length it is refused: before its first byte, or when the room is used up.
	for headers in [&[("content-length", "131072")][..], &[]] {
		for base in [CODEX, CAIRN] {
			let data: Vec<u8> = [vec![2; 65536], vec![3; 65536]].concat();
			let answer = local(&router, Method::POST, &format!("{base}/data"), headers, data).await;
			assert_eq!(answer.problem(), ErrorKind::StorageFull);
		}
	}
	assert_eq!(settled(&world, &router).await, before);
	assert_eq!(before["quotaMaxBytes"], 2 * 65536 + 1000);
	// The same data again takes no room.
	assert_eq!(upload(&router, vec![1; 65536], &[]).await, cid);
	upload(&router, vec![2; 65536], &[("content-length", "65536")]).await;
}

#[tokio::test]
async fn the_store_survives_a_restart() {
	let (mut world, router) = node().await;
	let cid = upload(&router, b"some file contents".to_vec(), &[]).await;
	drop(router);
	world.restart().await;
	let router = super::router(world.provider().clone()).unwrap();
	assert_eq!(
		read(&router, &format!("{CODEX}/data/{cid}"), &[]).await.body,
		"some file contents"
	);
}

#[tokio::test]
async fn without_a_block_store_there_is_no_data_api() {
	let (_world, router) = world().await;
	for path in [
		"/api/cairn/v1/space",
		"/api/codex/v1/data",
		"/api/codex/v1/openapi.json",
	] {
		assert_eq!(read(&router, path, &[]).await.problem(), ErrorKind::NotFound);
	}
}
