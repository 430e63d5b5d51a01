//! The deserialising gateway: files and symbolic links.

use super::{
	trustless::{add, folder},
	*,
};
use cairn_dag::{
	codec::dag_pb::{PbLink, PbNode},
	Block, BlockSink, Codec,
};

/// The UnixFS message of a symbolic link to `target`.
pub(super) fn symlink(blocks: &mut MemoryBlocks, target: &str) -> Cid {
	let mut data = vec![0x08, 4, 0x12, target.len() as u8];
	data.extend_from_slice(target.as_bytes());
	let node = PbNode {
		links: Vec::new(),
		data: Some(data.into()),
	};
	let block = Block::encode(Codec::DagPb, node.encode());
	let cid = *block.cid();
	blocks.put(block).unwrap();
	cid
}

const SANDBOX: &str = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts";

#[tokio::test]
async fn files_whole_and_in_ranges() {
	let (_world, router, offer, content) = with_file().await;
	let path = format!("/ipfs/{}", offer.root);
	let whole = get(&router, &path, &[]).await;
	assert_eq!(whole.status, StatusCode::OK);
	assert_eq!(whole.body, content);
	let etag = format!("\"{}\"", offer.root);
	for (name, value) in [
		("content-type", "application/octet-stream"),
		("content-length", "1500"),
		("content-disposition", ""),
		("accept-ranges", "bytes"),
		("x-content-type-options", "nosniff"),
		("cache-control", "public, max-age=29030400, immutable"),
		("content-security-policy", SANDBOX),
		("etag", &etag),
		("x-ipfs-path", &path),
		("x-ipfs-roots", &offer.root.to_string()),
	] {
		assert_eq!(whole.header(name), value, "{name}");
	}
	let head = ask(
		&router,
		Method::HEAD,
		&path,
		&[("range", "bytes=0-1")],
		Body::empty(),
	)
	.await;
	assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
	assert_eq!(head.header("content-length"), "1500");

	for (range, part) in [
		("bytes=0-0", 0..1),
		("bytes=0-1499", 0..1500),
		("bytes=255-256", 255..257),
		("bytes=300-1300", 300..1301),
		("bytes=1490-", 1490..1500),
		("bytes=1490-99999", 1490..1500),
		("bytes=-1", 1499..1500),
		("bytes=-99999", 0..1500),
	] {
		let answer = get(&router, &path, &[("range", range)]).await;
		assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{range}");
		assert_eq!(answer.body, content[part.clone()], "{range}");
		assert_eq!(answer.header("content-length"), part.len().to_string());
		assert_eq!(
			answer.header("content-range"),
			format!("bytes {}-{}/1500", part.start, part.end - 1)
		);
		assert_eq!(answer.header("etag"), etag, "a part has the tag of the whole");
	}
	for range in ["bytes=1500-", "bytes=-0"] {
		let answer = get(&router, &path, &[("range", range)]).await;
		assert_eq!(answer.problem(), ErrorKind::RangeNotSatisfiable, "{range}");
		assert_eq!(answer.header("content-range"), "bytes */1500");
	}
	// Several ranges and nonsense: the whole.
	for range in ["bytes=0-1,5-6", "bytes=5-1", "lines=1-2", "bytes=x"] {
		let answer = get(&router, &path, &[("range", range)]).await;
		assert_eq!(
			(answer.status, answer.body.len()),
			(StatusCode::OK, 1500),
			"{range}"
		);
	}
	for (if_range, status) in [
		(&*etag, StatusCode::PARTIAL_CONTENT),
		("\"other\"", StatusCode::OK),
		(&*format!("W/{etag}"), StatusCode::OK),
	] {
		let headers = [("range", "bytes=0-9"), ("if-range", if_range)];
		assert_eq!(get(&router, &path, &headers).await.status, status, "{if_range}");
	}
	for tags in [&*etag, "*", "\"x\", W/\"y\"", &*format!("\"x\", W/{etag}")] {
		let answer = get(&router, &path, &[("if-none-match", tags), ("range", "bytes=0-9")]).await;
		let matches = tags != "\"x\", W/\"y\"";
		let status = if matches {
			StatusCode::NOT_MODIFIED
		} else {
			StatusCode::PARTIAL_CONTENT
		};
		assert_eq!(answer.status, status, "{tags}");
		assert_eq!(answer.body.is_empty(), matches);
	}
}

#[tokio::test]
async fn content_types_and_file_names() {
	let mut memory = MemoryBlocks::new();
	let page = add_file(&mut memory, b"<!DOCTYPE html><script>1</script>");
	let text = add_file(&mut memory, "zażółć".repeat(200).as_bytes());
	let json = add(&mut memory, 0x55, b"{\"a\":1}");
	let pdf = add_file(&mut memory, b"%PDF-1.7\n");
	let image = add_file(&mut memory, b"\x89PNG\r\n\x1a\n");
	let empty = add_file(&mut memory, b"");
	let link = symlink(&mut memory, "../page.html");
	let root = folder(
		&mut memory,
		&[
			("data.css", text),
			("empty", empty),
			("image", image),
			("json", json),
			("link.html", link),
			("page", page),
			("paper", pdf),
			("text", text),
		],
	);
	let (_world, router, _) = with_dag(test_config(), &memory, root).await;
	let html = "text/html; charset=utf-8";
	let plain = "text/plain; charset=utf-8";
	for (path, kind, policy) in [
		("page", html, SANDBOX),
		("text", plain, SANDBOX),
		("data.css", "text/css; charset=utf-8", SANDBOX),
		("json", "application/json", SANDBOX),
		("image", "image/png", SANDBOX),
		("paper", "application/pdf", ""),
		("empty", "application/octet-stream", SANDBOX),
		("link.html", "inode/symlink", ""),
		("text?filename=a.html", html, SANDBOX),
		("data.css?filename=a", plain, SANDBOX),
		("page/", html, SANDBOX),
	] {
		let answer = get(&router, &format!("/ipfs/{root}/{path}"), &[]).await;
		assert_eq!(answer.status, StatusCode::OK, "{path}");
		assert_eq!(answer.header("content-type"), kind, "{path}");
		assert_eq!(answer.header("content-security-policy"), policy, "{path}");
	}
	assert_eq!(
		get(&router, &format!("/ipfs/{root}/link.html"), &[]).await.body,
		"../page.html"
	);
	let nothing = get(&router, &format!("/ipfs/{root}/empty"), &[]).await;
	assert_eq!((nothing.header("content-length"), nothing.body.len()), ("0", 0));
	let range = get(&router, &format!("/ipfs/{root}/empty"), &[("range", "bytes=0-")]).await;
	assert_eq!(range.problem(), ErrorKind::RangeNotSatisfiable);

	for (query, disposition) in [
		("", ""),
		("?filename=", ""),
		("?download=maybe", ""),
		("?filename=a.txt", "inline; filename=\"a.txt\""),
		("?filename=a.txt&download=false", "inline; filename=\"a.txt\""),
		("?download=false", "inline"),
		("?download=true", "attachment; filename=\"text\""),
		("?filename=a.txt&download=true", "attachment; filename=\"a.txt\""),
		(
			"?filename=%22%0d%0aset-cookie:%20x",
			"inline; filename=\"___set-cookie: x\"; filename*=UTF-8''%22__set-cookie%3A%20x",
		),
	] {
		let answer = get(&router, &format!("/ipfs/{root}/text{query}"), &[]).await;
		assert_eq!(answer.header("content-disposition"), disposition, "{query}");
		assert_eq!(answer.header("set-cookie"), "");
	}
	// Asking for JSON changes nothing about a file.
	for query in ["?format=json", "?format=cbor"] {
		let answer = get(&router, &format!("/ipfs/{root}/text{query}"), &[]).await;
		assert_eq!(answer.header("content-type"), plain, "{query}");
	}
	let accept = [("accept", "application/json, text/plain, */*")];
	assert_eq!(
		get(&router, &format!("/ipfs/{root}/page"), &accept)
			.await
			.header("content-type"),
		html
	);
}

#[tokio::test]
async fn files_that_lie_are_cut() {
	let mut memory = MemoryBlocks::new();
	let leaf = add(&mut memory, 0x55, b"12345");
	// A file of one part that is said to have ten bytes and has five.
	let node = PbNode {
		links: vec![PbLink {
			cid: leaf,
			name: Some(String::new()),
			tsize: Some(5),
		}],
		data: Some(Bytes::from_static(&[0x08, 2, 0x18, 10, 0x20, 10])),
	};
	let block = Block::encode(Codec::DagPb, node.encode());
	let liar = *block.cid();
	memory.put(block).unwrap();
	let missing = {
		let absent = *Block::encode(Codec::Raw, &b"absent"[..]).cid();
		let node = PbNode {
			links: vec![PbLink {
				cid: absent,
				name: None,
				tsize: None,
			}],
			data: Some(Bytes::from_static(&[0x08, 2, 0x18, 6, 0x20, 6])),
		};
		let block = Block::encode(Codec::DagPb, node.encode());
		let cid = *block.cid();
		memory.put(block).unwrap();
		cid
	};
	let plain_pb = {
		let block = Block::encode(Codec::DagPb, PbNode::default().encode());
		let cid = *block.cid();
		memory.put(block).unwrap();
		cid
	};
	let broken = add(&mut memory, 0x70, b"\xff\xff");
	let root = folder(&mut memory, &[("liar", liar), ("missing", missing)]);
	let (_world, router, _) = with_dag(test_config(), &memory, root).await;
	// The start of a file without a telling name is read before the head is sent.
	let answer = get(&router, &format!("/ipfs/{liar}"), &[]).await;
	assert_eq!(answer.problem(), ErrorKind::Internal);
	let answer = get(&router, &format!("/ipfs/{missing}"), &[]).await;
	assert_eq!(answer.problem(), ErrorKind::NotFound);
	for cid in [liar, missing] {
		let answer = get(&router, &format!("/ipfs/{cid}?filename=a.txt"), &[]).await;
		assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"<cut>"[..]));
	}
	let answer = get(&router, &format!("/ipfs/{plain_pb}"), &[]).await;
	assert_eq!(answer.problem(), ErrorKind::NotAcceptable);
	let answer = get(&router, &format!("/ipfs/{broken}"), &[]).await;
	assert_eq!(answer.problem(), ErrorKind::Internal);
}

#[tokio::test]
async fn service_workers_need_a_folder() {
	let (_world, router, offer, _) = with_file().await;
	let worker = [("service-worker", "script")];
	for path in [format!("/ipfs/{}", offer.root), format!("/ipfs/{}/", offer.root)] {
		assert_eq!(
			get(&router, &path, &worker).await.problem(),
			ErrorKind::Malformed,
			"{path}"
		);
	}
	let path = format!("/ipfs/{}/sw.js", offer.root);
	assert_eq!(get(&router, &path, &worker).await.problem(), ErrorKind::NotFound);
}
