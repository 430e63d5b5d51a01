//! Paths and queries that no honest client sends.

use super::{
	trustless::{add, folder},
	*,
};

#[tokio::test]
async fn paths_stay_in_their_object() {
	let mut memory = MemoryBlocks::new();
	let file = add(&mut memory, 0x55, b"content");
	let dots = folder(&mut memory, &[("..", file), ("b", file)]);
	let root = folder(&mut memory, &[("a", dots), ("file", file)]);
	let (_world, router, _) = with_dag(test_config(), &memory, root).await;
	let many = |component: &str, times: usize| component.repeat(times);
	for path in [
		"../../etc/passwd".to_owned(),
		"..%2f..%2fetc%2fpasswd".to_owned(),
		"%2e%2e/%2e%2e/config.toml".to_owned(),
		"file/../file".to_owned(),
		"./file".to_owned(),
		"file%00".to_owned(),
		"%00".to_owned(),
		"a\\b".to_owned(),
		"FILE".to_owned(),
		"file%20".to_owned(),
		many("x", 60_000),
		many("../", 10_000),
		many("x/", 10_000),
		format!("{}x", many("a/", 10_000)),
		many("%2f", 10_000) + "x",
		many("%00/", 10_000),
	] {
		for form in [
			"",
			"?format=raw",
			"?format=car",
			"?format=tar",
			"?format=dag-json",
		] {
			let answer = get(&router, &format!("/ipfs/{root}/{path}{form}"), &[]).await;
			assert_eq!(
				answer.problem(),
				ErrorKind::NotFound,
				"{}{form}",
				&path[..path.len().min(50)]
			);
			assert!(answer.body.len() < 2000, "errors do not repeat what is long");
		}
	}
	// Empty components count for nothing, encoded slashes separate, and `..` is a name like any other.
	for path in [
		"file",
		"//file",
		"a//b",
		"a%2fb",
		"a/..",
		&format!("{}file", many("/", 10_000)),
	] {
		let answer = get(&router, &format!("/ipfs/{root}/{path}"), &[]).await;
		assert_eq!(answer.body, "content", "{}", &path[..path.len().min(50)]);
	}
	for path in ["%ff", "a/%c0%ae%c0%ae/b", "%ff%fe?format=raw"] {
		let answer = get(&router, &format!("/ipfs/{root}/{path}"), &[]).await;
		assert_eq!(answer.problem(), ErrorKind::Malformed, "{path}");
	}
}

#[tokio::test]
async fn roots_are_cids_and_queries_are_text() {
	let (_world, router, offer, _) = with_file().await;
	let root = offer.root.to_string();
	for path in [
		"hello",
		"%20",
		&format!("{root}x"),
		&root[..20],
		&format!("%2fipfs%2f{root}/x"),
		&"b".repeat(50_000),
		"Qm",
		"z",
		"%00",
	] {
		let answer = get(&router, &format!("/ipfs/{path}"), &[]).await;
		assert_eq!(
			answer.problem(),
			ErrorKind::Malformed,
			"{}",
			&path[..path.len().min(50)]
		);
	}
	// In base 58, 10 and 36, which take time that grows with the square of the length; the last is a CID.
	let binary = offer.root.to_string_of_base(cid::multibase::Base::Base2).unwrap();
	for text in ["z", "9", "k"]
		.map(|base| base.repeat(60_000))
		.into_iter()
		.chain([binary])
	{
		for route in ["/ipfs", "/piece"] {
			let answer = get(&router, &format!("{route}/{text}"), &[]).await;
			assert_eq!(answer.problem(), ErrorKind::Malformed, "{route} {}", &text[..9]);
			let problem: Problem = answer.json();
			assert!(problem.message.contains("at most 256 characters"), "{problem}");
			assert!(answer.body.len() < 2000, "errors do not repeat what is long");
		}
	}
	let answer = get(&router, "/ipfs/", &[]).await;
	assert_eq!(answer.problem(), ErrorKind::NotFound);
	let many: String = (0..5000).map(|n| format!("&p{n}=x")).collect();
	for query in [
		"format=raw&%ff=%ff",
		"format=raw&&&=&==&",
		"format=raw&filename=%00%ff",
		&*format!("format=raw{many}"),
		&*format!("format=raw&filename={}", "%C4%85".repeat(5000)),
	] {
		let answer = get(&router, &format!("/ipfs/{root}?{query}"), &[]).await;
		assert_eq!(answer.status, StatusCode::OK, "{}", &query[..query.len().min(50)]);
	}
	let long = format!("application/vnd.ipld.raw;q=0.5,{}", "a/b;c=\"d\",".repeat(5000));
	let answer = get(&router, &format!("/ipfs/{root}"), &[("accept", &long)]).await;
	assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_way_through_many_blocks_ends() {
	let mut memory = MemoryBlocks::new();
	let mut cid = add(&mut memory, 0x55, b"content");
	for _ in 0..1200 {
		cid = folder(&mut memory, &[("d", cid)]);
	}
	let (_world, router, _) = with_dag(test_config(), &memory, cid).await;
	let path = |depth: usize| format!("/ipfs/{cid}/{}?format=raw", vec!["d"; depth].join("/"));
	let answer = get(&router, &path(1000), &[]).await;
	assert_eq!(answer.status, StatusCode::OK);
	assert_eq!(answer.header("x-ipfs-roots"), "", "too many for a head");
	assert_eq!(
		get(&router, &path(1200), &[]).await.problem(),
		ErrorKind::NotFound
	);
}
