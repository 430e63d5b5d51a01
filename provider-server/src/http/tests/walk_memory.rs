//! What requests may remember of the objects that they walk through.

use super::{
	trustless::{add, folder},
	*,
};
use cairn_units::ByteSize;

fn with_memory(bytes: u64) -> Config {
	let mut config = test_config();
	config.gateway.walk_memory = ByteSize(bytes);
	// Who reads nothing is not given up during a test.
	config.server.write_timeout_seconds = 600;
	config
}

/// A folder of files of one block each, of `size` bytes.
fn folder_of(files: u32, size: usize) -> (MemoryBlocks, Cid) {
	let mut memory = MemoryBlocks::new();
	let entries: Vec<(String, Cid)> = (0..files)
		.map(|n| {
			let content: Vec<u8> = n.to_le_bytes().into_iter().cycle().take(size).collect();
			(format!("{n:04}"), add(&mut memory, 0x55, &content))
		})
		.collect();
	let named: Vec<(&str, Cid)> = entries.iter().map(|(name, cid)| (&**name, *cid)).collect();
	let root = folder(&mut memory, &named);
	(memory, root)
}

#[tokio::test]
async fn objects_that_take_too_much_of_it_are_cut_off() {
	let (blocks, root) = folder_of(1000, 4);
	let (world, router, _) = with_dag(with_memory(200_000), &blocks, root).await;
	let path = format!("/ipfs/{root}");
	for form in ["?format=car", "?format=car&car-dups=y", "?format=tar", "/"] {
		let answer = get(&router, &format!("{path}{form}"), &[]).await;
		assert_eq!(
			(answer.status, &answer.body[..]),
			(StatusCode::OK, &b"<cut>"[..]),
			"{form}"
		);
	}
	// What remembers nothing is served.
	for form in [
		"?format=raw",
		"?format=car&dag-scope=block",
		"/0007",
		"/0999?format=car",
	] {
		let answer = get(&router, &format!("{path}{form}"), &[]).await;
		assert_eq!(answer.status, StatusCode::OK, "{form}");
		assert_ne!(answer.body, "<cut>", "{form}");
	}
	// All of it came back.
	assert_eq!(world.provider().metrics.walk_memory.get(), 0);
}

#[tokio::test]
async fn there_is_enough_by_default() {
	let (blocks, root) = folder_of(1000, 4);
	let (_world, router, _) = with_dag(test_config(), &blocks, root).await;
	for form in ["?format=car", "?format=car&car-dups=y", "?format=tar", "/"] {
		let answer = get(&router, &format!("/ipfs/{root}{form}"), &[]).await;
		assert_ne!(answer.body, "<cut>", "{form}");
	}
}

#[tokio::test]
async fn who_would_need_what_others_have_is_told_to_come_back() {
	// More than a response has on its way, with fewer links than there is memory for.
	let (blocks, root) = folder_of(7, 300_000);
	let (_world, router, _) = with_dag(with_memory(4096), &blocks, root).await;
	let path = format!("/ipfs/{root}?format=car");
	let request = Request::builder().uri(&path).body(Body::empty()).unwrap();
	let held = router.clone().call(request).await.unwrap();
	assert_eq!(held.status(), StatusCode::OK);
	for form in ["?format=car", "?format=tar"] {
		let answer = get(&router, &format!("/ipfs/{root}{form}"), &[]).await;
		assert_eq!(answer.problem(), ErrorKind::Busy, "{form}");
	}
	let raw = get(&router, &format!("/ipfs/{root}?format=raw"), &[]).await;
	assert_eq!(raw.status, StatusCode::OK);
	drop(held);
}
