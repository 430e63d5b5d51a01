//! The data API: lists, lifetimes and single blocks.

use super::{
	data_api::{local, node, read, settled, upload, CAIRN, CODEX},
	*,
};
use crate::data::cid_text;
use cairn_dag::{Block, Codec};
use serde_json::Value;

#[tokio::test]
async fn lists_have_pages() {
	let (_world, router) = node().await;
	let mut expected = Vec::new();
	for n in 0..7u8 {
		expected.push(upload(&router, vec![n; 10], &[]).await);
	}
	let raw = Block::encode(Codec::Raw, &b"a block"[..]);
	let path = format!("{CAIRN}/blocks/{}", raw.cid());
	assert_eq!(
		local(&router, Method::PUT, &path, &[], raw.data().to_vec())
			.await
			.status,
		StatusCode::CREATED
	);
	expected.push(raw.cid().to_string());
	expected.sort();

	let mut found = Vec::new();
	let mut query = "?limit=3".to_owned();
	loop {
		let page: Value = read(&router, &format!("{CAIRN}/data{query}"), &[]).await.json();
		let content = page["content"].as_array().unwrap();
		assert!(content.len() <= 3);
		found.extend(
			content
				.iter()
				.map(|item| item["cid"].as_str().unwrap().to_owned()),
		);
		let Some(next) = page["next"].as_str() else { break };
		query = format!("?limit=3&from={next}");
	}
	found.sort();
	assert_eq!(found, expected);
	// Codex's list has what Codex knows.
	let list: Value = read(&router, &format!("{CODEX}/data"), &[]).await.json();
	assert_eq!(list["content"].as_array().unwrap().len(), 7);
	for wrong in ["?limit=0", "?limit=1001", "?limit=x", "?from=x", "?page=1"] {
		let answer = read(&router, &format!("{CAIRN}/data{wrong}"), &[]).await;
		assert_eq!(answer.problem(), ErrorKind::Malformed, "{wrong}");
	}
}

#[tokio::test]
async fn lifetimes_are_prolonged() {
	let (_world, router) = node().await;
	let upload = |ttl: &'static str| {
		let router = router.clone();
		async move {
			local(
				&router,
				Method::POST,
				&format!("{CAIRN}/data{ttl}"),
				&[],
				"some file contents",
			)
			.await
		}
	};
	let first: Value = upload("?ttl=60").await.json();
	assert_eq!(
		first["expiresAt"].as_u64().unwrap(),
		first["createdAt"].as_u64().unwrap() + 60
	);
	let path = format!("{CAIRN}/data/{}", first["cid"].as_str().unwrap());
	let change = |body: &'static str| {
		let (router, path) = (router.clone(), path.clone());
		async move { local(&router, Method::PATCH, &path, &[], body).await }
	};
	let longer: Value = change("{\"ttl\": 86400}").await.json();
	assert!(longer["expiresAt"].as_u64() > first["expiresAt"].as_u64());
	let shorter: Value = change("{\"ttl\": 1}").await.json();
	assert_eq!(shorter["expiresAt"], longer["expiresAt"]);
	let never: Value = change("{\"ttl\": \"never\"}").await.json();
	assert_eq!(never["expiresAt"], Value::Null);
	for wrong in [
		"",
		"{}",
		"{\"ttl\": 0}",
		"{\"ttl\": \"soon\"}",
		"{\"ttl\": 1, \"x\": 2}",
		"[]",
	] {
		assert_eq!(change(wrong).await.problem(), ErrorKind::Malformed, "{wrong}");
	}
	for wrong in ["?ttl=0", "?ttl=-1", "?ttl=soon", "?ttl=", "?lifetime=1"] {
		assert_eq!(upload(wrong).await.problem(), ErrorKind::Malformed, "{wrong}");
	}
	let absent = format!("{CAIRN}/data/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy");
	let answer = local(&router, Method::PATCH, &absent, &[], "{\"ttl\": 5}").await;
	assert_eq!(answer.problem(), ErrorKind::NotFound);
}

#[tokio::test]
async fn blocks_by_cid() {
	let (_world, router) = node().await;
	let block = Block::encode_with(Codec::Raw, cairn_dag::HashFunction::Blake3, &b"a block"[..]);
	let path = format!("{CAIRN}/blocks/{}", block.cid());
	let put = |body: Vec<u8>| {
		let (router, path) = (router.clone(), path.clone());
		async move { local(&router, Method::PUT, &path, &[], body).await }
	};
	assert_eq!(read(&router, &path, &[]).await.problem(), ErrorKind::NotFound);
	assert_eq!(
		read(&router, &format!("{path}/stat"), &[]).await.problem(),
		ErrorKind::NotFound
	);
	assert_eq!(put(b"another".to_vec()).await.problem(), ErrorKind::Unprocessable);
	assert_eq!(put(vec![0; (2 << 20) + 1]).await.problem(), ErrorKind::TooLarge);
	let new = put(b"a block".to_vec()).await;
	assert_eq!(
		(new.status, &new.json::<Value>()["manifest"]),
		(StatusCode::CREATED, &Value::Null)
	);
	assert_eq!(put(b"a block".to_vec()).await.status, StatusCode::OK);
	let answer = read(&router, &path, &[]).await;
	assert_eq!(
		(&answer.body[..], answer.header("content-type")),
		(&b"a block"[..], "application/vnd.ipld.raw")
	);
	let part = read(&router, &path, &[("range", "bytes=2-")]).await;
	assert_eq!(
		(part.status, &part.body[..]),
		(StatusCode::PARTIAL_CONTENT, &b"block"[..])
	);
	let etag = answer.header("etag").to_owned();
	let same = read(&router, &path, &[("if-none-match", &etag)]).await;
	assert_eq!(same.status, StatusCode::NOT_MODIFIED);
	let stat: Value = read(&router, &format!("{path}/stat"), &[]).await.json();
	assert_eq!(
		stat,
		serde_json::json!({"cid": block.cid().to_string(), "size": 7, "datasets": 1, "damaged": false})
	);
	// In an identity CID, and of a hash function that nobody computes here.
	for cid in [
		"bafkqaaa",
		"bafk5kaic7777777777777777777777777777777777777777777777777q",
	] {
		let answer = local(&router, Method::PUT, &format!("{CAIRN}/blocks/{cid}"), &[], "").await;
		assert!(
			matches!(answer.status.as_u16(), 400 | 422),
			"{cid}: {}",
			answer.status
		);
	}
}

#[tokio::test]
async fn a_block_is_a_dataset_like_others() {
	let (world, router) = node().await;
	let block = Block::encode(Codec::Raw, &b"a block"[..]);
	let path = format!("{CAIRN}/blocks/{}?ttl=60", block.cid());
	let item: Value = local(&router, Method::PUT, &path, &[], "a block").await.json();
	assert_eq!(
		item["expiresAt"].as_u64().unwrap(),
		item["createdAt"].as_u64().unwrap() + 60
	);
	let dataset = format!("{CAIRN}/data/{}", block.cid());
	let longer: Value = local(&router, Method::PATCH, &dataset, &[], "{\"ttl\": 600}")
		.await
		.json();
	assert!(longer["expiresAt"].as_u64() > item["expiresAt"].as_u64());
	assert_eq!(read(&router, &dataset, &[]).await.body, "a block");
	let deleted = local(&router, Method::DELETE, &dataset, &[], Body::empty()).await;
	assert_eq!(deleted.status, StatusCode::NO_CONTENT);
	assert_eq!(read(&router, &dataset, &[]).await.problem(), ErrorKind::NotFound);
	assert_eq!(settled(&world, &router).await["totalBlocks"], 0);
}

#[tokio::test]
async fn a_datasets_own_manifest_does_not_replace_it() {
	let (world, router) = node().await;
	let data = vec![9; 100_000];
	let cid = upload(&router, data.clone(), &[]).await;
	let manifest = read(&router, &format!("{CAIRN}/blocks/{cid}"), &[]).await.body;
	let answer = local(
		&router,
		Method::PUT,
		&format!("{CAIRN}/blocks/{cid}?ttl=never"),
		&[],
		manifest.to_vec(),
	)
	.await;
	assert_eq!(answer.status, StatusCode::OK);
	assert_eq!(answer.json::<Value>()["expiresAt"], Value::Null);
	settled(&world, &router).await;
	assert_eq!(
		read(&router, &format!("{CODEX}/data/{cid}"), &[]).await.body,
		data
	);

	// Where only the manifest is, the data is not here.
	let (_world, other) = node().await;
	let answer = local(
		&other,
		Method::PUT,
		&format!("{CAIRN}/blocks/{cid}"),
		&[],
		manifest.to_vec(),
	)
	.await;
	assert_eq!(answer.status, StatusCode::CREATED);
	assert_eq!(
		read(&other, &format!("{CODEX}/data/{cid}"), &[]).await.problem(),
		ErrorKind::NotFound
	);
	// And a block that is no manifest is none under a manifest's CID.
	let junk = Block::encode(Codec::CodexManifest, &b"junk"[..]);
	let junk_cid = cid_text(junk.cid());
	local(
		&other,
		Method::PUT,
		&format!("{CAIRN}/blocks/{junk_cid}"),
		&[],
		"junk",
	)
	.await;
	let answer = read(&other, &format!("{CODEX}/data/{junk_cid}"), &[]).await;
	assert_eq!(answer.problem(), ErrorKind::Unprocessable);
	let list: Value = read(&other, &format!("{CODEX}/data"), &[]).await.json();
	assert_eq!(list["content"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn metrics_show_how_full_the_block_store_is() {
	let (world, router) = node().await;
	upload(&router, vec![7; 100_000], &[]).await;
	let space = settled(&world, &router).await;
	let metrics = read(&router, "/metrics", &[]).await;
	let text = String::from_utf8(metrics.body.to_vec()).unwrap();
	for (name, value) in [
		("repo_bytes{kind=\"quota\"}", "quotaMaxBytes"),
		("repo_bytes{kind=\"used\"}", "quotaUsedBytes"),
		("repo_bytes{kind=\"reserved\"}", "quotaReservedBytes"),
		("repo_bytes{kind=\"pending_delete\"}", "pendingDeleteBytes"),
		("repo_blocks", "totalBlocks"),
	] {
		let line = format!("cairn_provider_{name} {}", space[value]);
		assert!(text.lines().any(|found| found == line), "{line}: {text}");
	}
	assert!(space["totalBlocks"].as_u64().unwrap() > 1);
	assert!(
		text.contains("cairn_provider_repo_datasets{state=\"live\"} 1\n"),
		"{text}"
	);
}
