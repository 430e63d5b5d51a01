//! The deserialising gateway: TARs.

use super::{
	files::symlink,
	trustless::{add, folder},
	*,
};
use std::io::Read;

fn entries(archive: &[u8]) -> Vec<(String, ::tar::EntryType, Vec<u8>)> {
	::tar::Archive::new(archive)
		.entries()
		.unwrap()
		.map(|entry| {
			let mut entry = entry.unwrap();
			let path = entry.path().unwrap().to_str().unwrap().to_owned();
			let kind = entry.header().entry_type();
			let mut content = Vec::new();
			entry.read_to_end(&mut content).unwrap();
			if let Some(target) = entry.link_name_bytes() {
				content = target.to_vec();
			}
			(path, kind, content)
		})
		.collect()
}

#[tokio::test]
async fn folders_and_files() {
	let mut memory = MemoryBlocks::new();
	let content: Vec<u8> = (0..1500u32).map(|n| (n % 251) as u8).collect();
	let file = add_file(&mut memory, &content);
	let empty = add_file(&mut memory, b"");
	let link = symlink(&mut memory, "../x");
	let long = "long".repeat(60);
	let inner = folder(&mut memory, &[("link", link), (long.as_str(), file)]);
	let root = folder(&mut memory, &[("empty", empty), ("link", link), ("ą", inner)]);
	let (_world, router, _) = with_dag(test_config(), &memory, root).await;
	let path = format!("/ipfs/{root}?format=tar");
	let answer = get(&router, &path, &[]).await;
	for (name, value) in [
		("content-type", "application/x-tar".to_owned()),
		("etag", format!("W/\"{root}.x-tar\"")),
		(
			"content-disposition",
			format!("attachment; filename=\"{root}.tar\""),
		),
		("accept-ranges", "none".to_owned()),
		("x-content-type-options", "nosniff".to_owned()),
	] {
		assert_eq!(answer.header(name), value, "{name}");
	}
	use ::tar::EntryType::{Directory, Regular, Symlink};
	assert_eq!(
		entries(&answer.body),
		[
			(root.to_string(), Directory, vec![]),
			(format!("{root}/empty"), Regular, vec![]),
			(format!("{root}/ą"), Directory, vec![]),
			(format!("{root}/ą/{long}"), Regular, content.clone()),
			// Links come last, the deepest first.
			(format!("{root}/ą/link"), Symlink, b"../x".to_vec()),
			(format!("{root}/link"), Symlink, b"../x".to_vec()),
		]
	);
	let accepted = get(
		&router,
		&format!("/ipfs/{root}/%C4%85/{long}"),
		&[("accept", "application/x-tar")],
	)
	.await;
	assert_eq!(entries(&accepted.body), [(file.to_string(), Regular, content)]);
	assert_eq!(
		accepted.header("content-location"),
		format!("/ipfs/{root}/%C4%85/{long}?format=tar")
	);
	let named = get(&router, &format!("{path}&filename=test%D1%82.tar"), &[]).await;
	assert_eq!(
		named.header("content-disposition"),
		"attachment; filename=\"test_.tar\"; filename*=UTF-8''test%D1%82.tar"
	);
	let unchanged = get(&router, &path, &[("if-none-match", answer.header("etag"))]).await;
	assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn names_that_lead_elsewhere_cut_it() {
	let mut memory = MemoryBlocks::new();
	let file = add(&mut memory, 0x55, b"content");
	let hostile: Vec<Cid> = ["..", "../x", "/etc/passwd", "a/b", "", "a\\b"]
		.iter()
		.map(|name| folder(&mut memory, &[(name, file)]))
		.collect();
	let not_unixfs = add(&mut memory, 0x71, &[0xa0]);
	let mixed = folder(&mut memory, &[("data", not_unixfs)]);
	let mut deep = folder(&mut memory, &[("file", file)]);
	for _ in 0..200 {
		deep = folder(&mut memory, &[("d", deep)]);
	}
	let (_world, router, _) = with_dag(test_config(), &memory, file).await;
	for cid in hostile.into_iter().chain([mixed, deep]) {
		let answer = get(&router, &format!("/ipfs/{cid}?format=tar"), &[]).await;
		assert_eq!(
			(answer.status, &*answer.body),
			(StatusCode::OK, &b"<cut>"[..]),
			"{cid}"
		);
	}
	let answer = get(&router, &format!("/ipfs/{not_unixfs}?format=tar"), &[]).await;
	assert_eq!(answer.problem(), ErrorKind::Malformed);
}
