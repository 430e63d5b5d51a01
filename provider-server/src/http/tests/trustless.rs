//! The trustless gateway: blocks and CARs.

use super::*;
use cairn_car::CarReader;
use cairn_dag::{
	codec::dag_pb::{PbLink, PbNode},
	unixfs::{export, ByteRange},
	Block, BlockSink, Codec,
};
use ipld_core::ipld;

fn blocks(car: &[u8]) -> (Vec<Cid>, Vec<Cid>) {
	let mut reader = CarReader::new(car).unwrap();
	let roots = reader.roots().to_vec();
	let mut cids = Vec::new();
	while let Some(block) = reader.next_block().unwrap() {
		cids.push(*block.cid());
	}
	(roots, cids)
}

async fn car(router: &Router, path: &str) -> Vec<Cid> {
	let answer = get(router, path, &[]).await;
	assert_eq!(answer.status, StatusCode::OK, "{path}");
	blocks(&answer.body).1
}

/// A folder block with these entries.
pub(super) fn folder(blocks: &mut MemoryBlocks, entries: &[(&str, Cid)]) -> Cid {
	let links = entries.iter().map(|(name, cid)| PbLink {
		cid: *cid,
		name: Some(name.to_string()),
		tsize: Some(100),
	});
	// UnixFS: type 1, a folder.
	let data = Some(Bytes::from_static(&[0x08, 0x01]));
	let node = PbNode {
		links: links.collect(),
		data,
	};
	let block = Block::encode(Codec::DagPb, node.encode());
	let cid = *block.cid();
	blocks.put(block).unwrap();
	cid
}

pub(super) fn add(blocks: &mut MemoryBlocks, codec: u64, data: &[u8]) -> Cid {
	let hash = *Block::encode(Codec::Raw, data.to_vec()).cid().hash();
	let block = Block::new(Cid::new_v1(codec, hash), data.to_vec()).unwrap();
	let cid = *block.cid();
	blocks.put(block).unwrap();
	cid
}

#[tokio::test]
async fn raw_blocks() {
	let (_world, router, offer, _) = with_file().await;
	let root = offer.root;
	let path = format!("/ipfs/{root}?format=raw");
	let raw = get(&router, &path, &[]).await;
	assert!(Block::new(root, raw.body.clone()).is_ok());
	for (name, value) in [
		("content-type", "application/vnd.ipld.raw".to_owned()),
		(
			"content-disposition",
			format!("attachment; filename=\"{root}.bin\""),
		),
		("content-length", raw.body.len().to_string()),
		("x-content-type-options", "nosniff".to_owned()),
		("cache-control", "public, max-age=29030400, immutable".to_owned()),
		("etag", format!("\"{root}.raw\"")),
		("x-ipfs-path", format!("/ipfs/{root}")),
		("x-ipfs-roots", root.to_string()),
		("accept-ranges", "bytes".to_owned()),
		("content-location", String::new()),
	] {
		assert_eq!(raw.header(name), value, "{name}");
	}
	let accepted = get(
		&router,
		&format!("/ipfs/{root}"),
		&[("accept", "application/vnd.ipld.raw")],
	)
	.await;
	assert_eq!(accepted.body, raw.body);
	assert_eq!(accepted.header("content-location"), path);
	assert!(accepted.header("vary").contains("accept"));

	let head = ask(
		&router,
		Method::HEAD,
		&path,
		&[("range", "bytes=0-9")],
		Body::empty(),
	)
	.await;
	assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
	assert_eq!(head.header("content-length"), raw.body.len().to_string());
	let part = get(&router, &path, &[("range", "bytes=10-19")]).await;
	assert_eq!(
		(part.status, &part.body[..]),
		(StatusCode::PARTIAL_CONTENT, &raw.body[10..20])
	);
	let beyond = get(&router, &path, &[("range", "bytes=100000-")]).await;
	assert_eq!(beyond.problem(), ErrorKind::RangeNotSatisfiable);

	let named = get(&router, &format!("{path}&filename=a%22%C4%85.bin"), &[]).await;
	assert_eq!(
		named.header("content-disposition"),
		"attachment; filename=\"a__.bin\"; filename*=UTF-8''a%22%C4%85.bin"
	);
	let unchanged = get(&router, &path, &[("if-none-match", raw.header("etag"))]).await;
	assert_eq!(
		(unchanged.status, unchanged.body.len()),
		(StatusCode::NOT_MODIFIED, 0)
	);
	assert_eq!(unchanged.header("etag"), raw.header("etag"));
}

#[tokio::test]
async fn cars() {
	let (_world, router, offer, content) = with_file().await;
	let root = offer.root;
	let path = format!("/ipfs/{root}?format=car");
	let answer = get(&router, &path, &[]).await;
	for (name, value) in [
		(
			"content-type",
			"application/vnd.ipld.car; version=1; order=dfs; dups=n".to_owned(),
		),
		(
			"content-disposition",
			format!("attachment; filename=\"{root}.car\""),
		),
		("x-content-type-options", "nosniff".to_owned()),
		("accept-ranges", "none".to_owned()),
	] {
		assert_eq!(answer.header(name), value, "{name}");
	}
	let (roots, all) = blocks(&answer.body);
	assert_eq!(roots, [root]);
	assert_eq!(all.len(), 7, "a root and six leaves");
	assert_eq!(all[0], root);
	for (query, wanted) in [
		("dag-scope=block", vec![root]),
		("dag-scope=entity", all.clone()),
		("dag-scope=all", all.clone()),
		("car-order=unk", all.clone()),
		("car-version=1&car-order=dfs&car-dups=n", all.clone()),
		("entity-bytes=0:*", all.clone()),
		("entity-bytes=256:511", vec![root, all[2]]),
		("entity-bytes=255:256", vec![root, all[1], all[2]]),
		("entity-bytes=-1:*", vec![root, all[6]]),
		("entity-bytes=1400:100000", vec![root, all[6]]),
		// Beyond the end: the root says why there is nothing.
		("entity-bytes=1500:1600", vec![root]),
		("entity-bytes=9:8", vec![root]),
	] {
		assert_eq!(car(&router, &format!("{path}&{query}")).await, wanted, "{query}");
	}
	let head = ask(&router, Method::HEAD, &path, &[], Body::empty()).await;
	assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
	assert_eq!(head.header("content-type"), answer.header("content-type"));

	// The file comes back from the CAR.
	let mut memory = MemoryBlocks::new();
	let mut reader = CarReader::new(&answer.body[..]).unwrap();
	while let Some(block) = reader.next_block().unwrap() {
		memory.put(block).unwrap();
	}
	let mut out = Vec::new();
	export::file(&memory, &root, &mut out, ByteRange::ALL).unwrap();
	assert_eq!(out, content);
}

#[tokio::test]
async fn every_parameter_of_a_car_has_its_own_tag() {
	let (_world, router, offer, _) = with_file().await;
	let path = format!("/ipfs/{}?format=car", offer.root);
	let mut tags = std::collections::HashSet::new();
	for query in [
		"",
		"&dag-scope=block",
		"&dag-scope=entity",
		"&entity-bytes=0:5",
		"&entity-bytes=0:6",
		"&car-dups=y",
	] {
		let answer = get(&router, &format!("{path}{query}"), &[]).await;
		let tag = answer.header("etag").to_owned();
		assert!(tag.starts_with("W/"), "{tag}");
		let unchanged = get(&router, &format!("{path}{query}"), &[("if-none-match", &tag)]).await;
		assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED, "{query}");
		assert!(tags.insert(tag), "{query}");
	}
}

#[tokio::test]
async fn repeated_and_inlined_blocks() {
	let mut memory = MemoryBlocks::new();
	let zeros = add_file(&mut memory, &[0; 1024]);
	let inline = Cid::new_v1(0x55, cid::multihash::Multihash::wrap(0, b"inline").unwrap());
	let root = folder(&mut memory, &[("inline", inline), ("zeros", zeros)]);
	let (_world, router, _) = with_dag(test_config(), &memory, root).await;
	let once = car(&router, &format!("/ipfs/{root}?format=car&car-dups=n")).await;
	assert_eq!(once.len(), 3);
	let each = car(&router, &format!("/ipfs/{root}?format=car&car-dups=y")).await;
	assert_eq!(each.len(), 6, "four times the same leaf");
	assert!(!each.contains(&inline), "it is in its parent");
	let accept = [("accept", "application/vnd.ipld.car;dups=y")];
	let answer = get(&router, &format!("/ipfs/{root}"), &accept).await;
	assert_eq!(
		answer.header("content-type"),
		"application/vnd.ipld.car; version=1; order=dfs; dups=y"
	);
	assert_eq!(
		answer.header("content-location"),
		format!("/ipfs/{root}?format=car&car-dups=y")
	);
	assert_eq!(blocks(&answer.body).1, each);
	let raw = get(&router, &format!("/ipfs/{inline}?format=raw"), &[]).await;
	assert_eq!(raw.body, "inline");
	// A folder has no bytes: the range says nothing.
	let entity = car(&router, &format!("/ipfs/{root}?format=car&entity-bytes=0:1")).await;
	assert_eq!(entity, [root]);
}

#[tokio::test]
async fn paths_through_folders_and_links() {
	let mut memory = MemoryBlocks::new();
	let file = add(&mut memory, 0x55, b"content");
	let inner = folder(&mut memory, &[("ą.txt", file)]);
	let document = serde_ipld_dagcbor::to_vec(&ipld!({"files": {"inner": inner}, "size": 7})).unwrap();
	let document = add(&mut memory, 0x71, &document);
	let root = folder(&mut memory, &[("document", document)]);
	let (_world, router, _) = with_dag(test_config(), &memory, root).await;
	let path = format!("/ipfs/{root}/document/files/inner/%C4%85.txt");
	assert_eq!(
		car(&router, &format!("{path}?format=car")).await,
		[root, document, inner, file]
	);
	let raw = get(&router, &format!("{path}?format=raw"), &[]).await;
	assert_eq!(raw.body, "content");
	assert_eq!(raw.header("x-ipfs-path"), path);
	assert_eq!(
		raw.header("x-ipfs-roots"),
		format!("{root},{document},{inner},{file}")
	);
	let entity = format!("/ipfs/{root}/document?format=car&dag-scope=entity");
	assert_eq!(car(&router, &entity).await, [root, document]);

	// Values within a block are not read, and what is not there is not found.
	for (below, kind) in [
		("document/size", ErrorKind::NotImplemented),
		("document/files", ErrorKind::NotImplemented),
		("document/files/other", ErrorKind::NotFound),
		("document/size/x", ErrorKind::NotFound),
		("other", ErrorKind::NotFound),
		("document/files/inner/other", ErrorKind::NotFound),
		("document/files/inner/%C4%85.txt/x", ErrorKind::NotFound),
	] {
		for form in ["?format=car", "?format=raw", ""] {
			let answer = get(&router, &format!("/ipfs/{root}/{below}{form}"), &[]).await;
			assert_eq!(answer.problem(), kind, "{below}{form}");
		}
	}
	let answer = get(
		&router,
		&format!("/ipfs/{root}/document/files/inner/nothing"),
		&[],
	)
	.await;
	assert!(
		answer.json::<Problem>().message.contains("`nothing`"),
		"says what is missing"
	);
}

#[tokio::test]
async fn the_probe_needs_nothing_to_be_stored() {
	let (_world, router) = world().await;
	let raw = get(&router, "/ipfs/bafkqaaa?format=raw", &[]).await;
	assert_eq!((raw.status, raw.body.len()), (StatusCode::OK, 0));
	let accepted = get(
		&router,
		"/ipfs/bafkqaaa",
		&[("accept", "application/vnd.ipld.raw")],
	)
	.await;
	assert_eq!(accepted.status, StatusCode::OK);
	let answer = get(&router, "/ipfs/bafkqaaa?format=car", &[]).await;
	let (roots, all) = blocks(&answer.body);
	assert_eq!(roots, ["bafkqaaa".parse().unwrap()]);
	assert!(all.is_empty());
	for query in ["?format=raw", "?format=car", ""] {
		let path = format!("/ipfs/bafkqaaa{query}");
		let head = ask(&router, Method::HEAD, &path, &[], Body::empty()).await;
		assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0), "{query}");
	}
}

#[tokio::test]
async fn refusals() {
	let mut memory = MemoryBlocks::new();
	let unknown = add(&mut memory, 0x300539, b"?");
	let (_world, router, _) = with_dag(test_config(), &memory, unknown).await;
	for (query, kind) in [
		("?format=zip", ErrorKind::NotAcceptable),
		("?format=ipns-record", ErrorKind::Malformed),
		("?format=car&dag-scope=galaxy", ErrorKind::Malformed),
		("?format=car&entity-bytes=x", ErrorKind::Malformed),
		("?format=car&car-version=2", ErrorKind::Malformed),
		("?format=car&car-order=bfs", ErrorKind::Malformed),
		("?format=car&car-dups=x", ErrorKind::Malformed),
		("?format=car", ErrorKind::NotImplemented),
		("/below?format=car", ErrorKind::NotImplemented),
		("?format=dag-json", ErrorKind::NotAcceptable),
		("?format=tar", ErrorKind::Malformed),
		("", ErrorKind::NotAcceptable),
	] {
		let answer = get(&router, &format!("/ipfs/{unknown}{query}"), &[]).await;
		assert_eq!(answer.problem(), kind, "{query}");
	}
	for query in [
		"?format=raw",
		"?format=car&dag-scope=block",
		"?format=car&dag-scope=entity",
	] {
		let answer = get(&router, &format!("/ipfs/{unknown}{query}"), &[]).await;
		assert_eq!(answer.status, StatusCode::OK, "{query}");
	}
	let absent = "/ipfs/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
	for form in ["?format=raw", "?format=car", "?format=tar", "?format=json", ""] {
		let path = format!("{absent}{form}");
		assert_eq!(
			get(&router, &path, &[]).await.problem(),
			ErrorKind::NotFound,
			"{form}"
		);
		let head = ask(&router, Method::HEAD, &path, &[], Body::empty()).await;
		assert_eq!(head.status, StatusCode::NOT_FOUND, "{form}");
	}
}

#[tokio::test]
async fn only_what_is_at_hand_if_so_asked() {
	let (world, router, offer, _) = with_file().await;
	let cached = [("cache-control", "no-transform, Only-If-Cached")];
	let here = format!("/ipfs/{}?format=raw", offer.root);
	assert_eq!(get(&router, &here, &cached).await.status, StatusCode::OK);
	let absent = "/ipfs/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy?format=raw";
	for method in [Method::GET, Method::HEAD] {
		let answer = ask(&router, method, absent, &cached, Body::empty()).await;
		assert_eq!(
			(answer.status, answer.body.len()),
			(StatusCode::PRECONDITION_FAILED, 0)
		);
	}
	// What a replica would have to be unsealed for is not at hand either.
	std::fs::remove_file(world.provider().sectors.piece_path(&offer.proposal.piece)).unwrap();
	let answer = get(&router, &here, &cached).await;
	assert_eq!(answer.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn a_gateway_that_is_trustless_only() {
	let mut config = test_config();
	config.gateway.deserialized = false;
	let mut memory = MemoryBlocks::new();
	let root = add_file(&mut memory, b"content");
	let (_world, router, _) = with_dag(config, &memory, root).await;
	let path = format!("/ipfs/{root}");
	assert_eq!(get(&router, &path, &[]).await.problem(), ErrorKind::Malformed);
	for accept in ["*/*", "text/html", "application/json"] {
		let answer = get(&router, &path, &[("accept", accept)]).await;
		assert_eq!(answer.problem(), ErrorKind::NotAcceptable, "{accept}");
	}
	for format in ["tar", "json", "dag-json"] {
		let answer = get(&router, &format!("{path}?format={format}"), &[]).await;
		assert_eq!(answer.problem(), ErrorKind::NotAcceptable, "{format}");
	}
	for format in ["raw", "car"] {
		let answer = get(&router, &format!("{path}?format={format}"), &[]).await;
		assert_eq!(answer.status, StatusCode::OK, "{format}");
	}
}

#[tokio::test]
async fn damaged_blocks_are_not_served() {
	let (world, router, offer, _) = with_file().await;
	let all = {
		let path = format!("/ipfs/{}?format=car", offer.root);
		car(&router, &path).await
	};
	let path = world.provider().sectors.piece_path(&offer.proposal.piece);
	let mut bytes = std::fs::read(&path).unwrap();
	let leaf = cairn_dag::unixfs::FileChunks::new(&memory(&offer.car), all[6], ByteRange::ALL)
		.next()
		.unwrap()
		.unwrap();
	let at = bytes
		.windows(leaf.len())
		.position(|window| window == leaf)
		.unwrap();
	bytes[at] ^= 1;
	std::fs::write(&path, bytes).unwrap();
	let damaged = get(&router, &format!("/ipfs/{}?format=raw", all[6]), &[]).await;
	assert_eq!(damaged.problem(), ErrorKind::Internal);
	// What cannot be completed is cut, not ended.
	for form in ["?format=car", "?format=tar", "?filename=x.bin"] {
		let answer = get(&router, &format!("/ipfs/{}{form}", offer.root), &[]).await;
		assert_eq!(answer.status, StatusCode::OK);
		assert_eq!(answer.body, "<cut>", "{form}");
	}
	let intact = get(&router, &format!("/ipfs/{}?format=raw", all[1]), &[]).await;
	assert_eq!(intact.status, StatusCode::OK);
	let before = get(
		&router,
		&format!("/ipfs/{}", offer.root),
		&[("range", "bytes=0-299")],
	)
	.await;
	assert_eq!(
		(before.status, before.body.len()),
		(StatusCode::PARTIAL_CONTENT, 300)
	);
}

fn memory(car: &[u8]) -> MemoryBlocks {
	let mut memory = MemoryBlocks::new();
	let mut reader = CarReader::new(car).unwrap();
	while let Some(block) = reader.next_block().unwrap() {
		memory.put(block).unwrap();
	}
	memory
}
