//! The deserialising gateway: blocks of the IPLD data model.

use super::{
	trustless::{add, folder},
	*,
};
use ipld_core::{ipld, ipld::Ipld};

const DAG_JSON: &str = "application/vnd.ipld.dag-json";
const DAG_CBOR: &str = "application/vnd.ipld.dag-cbor";

fn document() -> Ipld {
	let link: Cid = "bafkqaaa".parse().unwrap();
	ipld!({"link": link, "bytes": Ipld::Bytes(vec![1, 2, 255]), "list": [1, -2, 1.5, null, true, "ą"], "a": {}})
}

#[tokio::test]
async fn data_as_it_is_and_converted() {
	let cbor_bytes = serde_ipld_dagcbor::to_vec(&document()).unwrap();
	let json_bytes = serde_ipld_dagjson::to_vec(&document()).unwrap();
	let mut memory = MemoryBlocks::new();
	let cbor = add(&mut memory, 0x71, &cbor_bytes);
	let json = add(&mut memory, 0x0129, &json_bytes);
	let (_world, router, _) = with_dag(test_config(), &memory, cbor).await;
	for cid in [cbor, json] {
		let own = if cid == cbor { DAG_CBOR } else { DAG_JSON };
		for (query, accept, kind, suffix) in [
			("", "*/*", own, if cid == cbor { "dag-cbor" } else { "dag-json" }),
			("?format=dag-json", "*/*", DAG_JSON, "dag-json"),
			("?format=dag-cbor", "*/*", DAG_CBOR, "dag-cbor"),
			("?format=json", "*/*", "application/json", "json"),
			("?format=cbor", "*/*", "application/cbor", "cbor"),
			("", DAG_JSON, DAG_JSON, "dag-json"),
			("", DAG_CBOR, DAG_CBOR, "dag-cbor"),
			("", "application/json", "application/json", "json"),
			("", "application/cbor", "application/cbor", "cbor"),
		] {
			let path = format!("/ipfs/{cid}{query}");
			let answer = get(&router, &path, &[("accept", accept)]).await;
			assert_eq!(answer.status, StatusCode::OK, "{path} {accept}");
			assert_eq!(answer.header("content-type"), kind, "{path} {accept}");
			assert_eq!(answer.header("etag"), format!("\"{cid}.{suffix}\""));
			assert_eq!(answer.header("x-content-type-options"), "nosniff");
			let (bytes, disposition) = if suffix.ends_with("json") {
				(&json_bytes, format!("inline; filename=\"{cid}.json\""))
			} else {
				(&cbor_bytes, format!("attachment; filename=\"{cid}.cbor\""))
			};
			assert_eq!(answer.body, *bytes, "{path} {accept}");
			assert_eq!(answer.header("content-disposition"), disposition);
			let part = get(&router, &path, &[("accept", accept), ("range", "bytes=1-5")]).await;
			assert_eq!(
				(part.status, &part.body[..]),
				(StatusCode::PARTIAL_CONTENT, &bytes[1..6])
			);
			let head = ask(&router, Method::HEAD, &path, &[("accept", accept)], Body::empty()).await;
			assert_eq!(head.header("content-length"), bytes.len().to_string());
		}
	}
	let named = get(
		&router,
		&format!("/ipfs/{json}?filename=a.json&download=true"),
		&[],
	)
	.await;
	assert_eq!(
		named.header("content-disposition"),
		"attachment; filename=\"a.json\""
	);

	// People are shown a choice.
	let page = get(&router, &format!("/ipfs/{cbor}/"), &[("accept", "text/html")]).await;
	assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
	assert!(page.header("etag").starts_with("\"DagIndex-"));
	assert_eq!(page.header("cache-control"), "");
	assert_eq!(page.header("content-disposition"), "");
	let html = String::from_utf8(page.body.to_vec()).unwrap();
	assert!(
		html.ends_with("</html>\n") && html.contains("href=\"?format=dag-json\""),
		"{html}"
	);
}

#[tokio::test]
async fn plain_json_and_cbor() {
	let mut memory = MemoryBlocks::new();
	let json = add(&mut memory, 0x0200, b"{ \"b\": 1, \"a\": {\"/\": \"no link\"} }");
	let simple = add(&mut memory, 0x0200, b"{\"a\":[1,2.5]}");
	let cbor = add(&mut memory, 0x51, &[0x9f, 1, 0xff]);
	let root = folder(&mut memory, &[("cbor", cbor), ("json", json), ("simple", simple)]);
	let (_world, router, _) = with_dag(test_config(), &memory, root).await;
	for query in ["", "?format=json"] {
		let answer = get(&router, &format!("/ipfs/{json}{query}"), &[]).await;
		assert_eq!(answer.header("content-type"), "application/json");
		assert!(answer.body.starts_with(b"{ \"b\""), "as it is");
	}
	let answer = get(&router, &format!("/ipfs/{cbor}"), &[]).await;
	assert_eq!(
		(answer.header("content-type"), &answer.body[..]),
		("application/cbor", &[0x9f, 1, 0xff][..])
	);
	let answer = get(&router, &format!("/ipfs/{simple}?format=dag-json"), &[]).await;
	assert_eq!(
		(answer.header("content-type"), &answer.body[..]),
		(DAG_JSON, &b"{\"a\":[1,2.5]}"[..])
	);
	let answer = get(&router, &format!("/ipfs/{simple}?format=dag-cbor"), &[]).await;
	assert_eq!(
		serde_ipld_dagcbor::from_slice::<Ipld>(&answer.body).unwrap(),
		ipld!({"a": [1, 2.5]})
	);
	// What is no dag-json or dag-cbor has no such form.
	for (cid, format) in [
		(json, "dag-json"),
		(json, "cbor"),
		(cbor, "dag-cbor"),
		(cbor, "json"),
	] {
		let answer = get(&router, &format!("/ipfs/{cid}?format={format}"), &[]).await;
		assert_eq!(answer.problem(), ErrorKind::NotAcceptable, "{format}");
	}
}

#[tokio::test]
async fn unixfs_blocks_as_data() {
	let mut memory = MemoryBlocks::new();
	let file = add(&mut memory, 0x55, b"content");
	let root = folder(&mut memory, &[("ą", file)]);
	let (_world, router, _) = with_dag(test_config(), &memory, root).await;
	let answer = get(&router, &format!("/ipfs/{root}?format=dag-json"), &[]).await;
	assert_eq!(
		String::from_utf8(answer.body.to_vec()).unwrap(),
		format!("{{\"Data\":{{\"/\":{{\"bytes\":\"CAE\"}}}},\"Links\":[{{\"Hash\":{{\"/\":\"{file}\"}},\"Name\":\"ą\",\"Tsize\":100}}]}}")
	);
	let cbor = get(&router, &format!("/ipfs/{root}?format=dag-cbor"), &[]).await;
	let value: Ipld = serde_ipld_dagcbor::from_slice(&cbor.body).unwrap();
	assert_eq!(
		value,
		ipld!({"Data": Ipld::Bytes(vec![8, 1]), "Links": [{"Hash": file, "Name": "ą", "Tsize": 100}]})
	);
	let leaf = get(&router, &format!("/ipfs/{root}/%C4%85?format=dag-json"), &[]).await;
	assert_eq!(leaf.body, "{\"/\":{\"bytes\":\"Y29udGVudA\"}}");
}

#[tokio::test]
async fn data_that_is_broken_or_too_much() {
	let mut memory = MemoryBlocks::new();
	// Keys in the wrong order, and an indefinite length.
	let unsorted = add(&mut memory, 0x71, &[0xa2, 0x61, b'b', 1, 0x61, b'a', 2]);
	let twice = add(&mut memory, 0x0129, b"{\"a\":1,\"a\":2}");
	// A million small numbers.
	let mut large = vec![0x9a, 0, 0x11, 0, 0];
	large.resize(large.len() + 0x110000, 0);
	let large = add(&mut memory, 0x71, &large);
	let root = folder(
		&mut memory,
		&[("large", large), ("twice", twice), ("unsorted", unsorted)],
	);
	let (_world, router, _) = with_dag(test_config(), &memory, root).await;
	for cid in [unsorted, twice] {
		for query in ["", "?format=dag-json", "?format=cbor"] {
			let answer = get(&router, &format!("/ipfs/{cid}{query}"), &[]).await;
			assert_eq!(answer.problem(), ErrorKind::Internal, "{cid}{query}");
		}
		let raw = get(&router, &format!("/ipfs/{cid}?format=raw"), &[]).await;
		assert_eq!(raw.status, StatusCode::OK);
	}
	let answer = get(&router, &format!("/ipfs/{large}"), &[]).await;
	assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0x110005));
	let answer = get(&router, &format!("/ipfs/{large}?format=dag-json"), &[]).await;
	assert_eq!(answer.problem(), ErrorKind::NotAcceptable);
}
