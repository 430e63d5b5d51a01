//! The routes, from the outside.

use super::router;
use crate::{
	config::Config,
	simulation::{offer, test_config, Offer, World},
};
use axum::{
	body::Body,
	http::{HeaderMap, Method, Request, StatusCode},
	Router,
};
use bytes::Bytes;
use cairn_car::CarWriter;
use cairn_dag::{
	unixfs::import::{ImportOptions, Importer},
	MemoryBlocks,
};
use cairn_primitives::Tier;
use cairn_provider_api::{
	deal::DealList, piece_cid, sector::SectorList, upload::UploadReport, DealProgress, DealStatus, ErrorKind,
	Hash32, Info, Problem, ProposedDeal,
};
use cid::Cid;
use http_body_util::BodyExt;
use tower_service::Service;

mod archives;
mod connections;
mod data;
mod data_access;
mod data_api;
mod data_blocks;
mod data_network;
mod data_openapi;
mod data_reference;
mod data_uploads;
mod deals_and_datasets;
mod files;
mod folders;
mod hostile_paths;
mod limits;
mod own_blocks;
mod sealed;
mod trustless;
mod walk_memory;

struct Answer {
	status: StatusCode,
	headers: HeaderMap,
	body: Bytes,
}

impl Answer {
	fn json<T: serde::de::DeserializeOwned>(&self) -> T {
		serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
	}

	fn problem(&self) -> ErrorKind {
		let problem: Problem = self.json();
		assert!(problem.request_id.is_some());
		assert_eq!(problem.kind.http_status(), self.status.as_u16());
		problem.kind
	}

	fn header(&self, name: &str) -> &str {
		self.headers.get(name).map_or("", |value| value.to_str().unwrap())
	}
}

/// Sends a request. Answers of the data API are checked against its description.
async fn send(router: &Router, request: Request<Body>) -> Answer {
	let (method, path) = (request.method().clone(), request.uri().path().to_owned());
	let response = router.clone().call(request).await.unwrap();
	let (parts, body) = response.into_parts();
	assert!(parts.headers.contains_key("x-request-id"));
	let body = body
		.collect()
		.await
		.map(|body| body.to_bytes())
		.unwrap_or_else(|_| Bytes::from_static(b"<cut>"));
	let answer = Answer {
		status: parts.status,
		headers: parts.headers,
		body,
	};
	data_openapi::check(router, &method, &path, &answer).await;
	answer
}

async fn get(router: &Router, path: &str, headers: &[(&str, &str)]) -> Answer {
	ask(router, Method::GET, path, headers, Body::empty()).await
}

async fn ask(router: &Router, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
	let mut request = Request::builder().method(method).uri(path);
	for (name, value) in headers {
		request = request.header(*name, *value);
	}
	send(router, request.body(body).unwrap()).await
}

async fn rpc(router: &Router, method: &str, params: serde_json::Value) -> Result<serde_json::Value, Problem> {
	let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
	let json = [("content-type", "application/json")];
	let answer = ask(router, Method::POST, "/rpc", &json, Body::from(body.to_string())).await;
	assert_eq!(answer.status, StatusCode::OK);
	let answer: serde_json::Value = answer.json();
	match answer.get("error") {
		Some(error) => Err(serde_json::from_value(error["data"].clone()).unwrap()),
		None => Ok(answer["result"].clone()),
	}
}

async fn propose(router: &Router, offer: &Offer) -> ProposedDeal {
	let params = serde_json::json!([offer.request()]);
	serde_json::from_value(rpc(router, "cairn_v1_proposeDeal", params).await.unwrap()).unwrap()
}

async fn world() -> (World, Router) {
	let world = World::new().await;
	let router = router(world.provider().clone()).unwrap();
	(world, router)
}

/// A world in which all `blocks` are stored, in one piece under `root`.
async fn with_dag(config: Config, blocks: &MemoryBlocks, root: Cid) -> (World, Router, Offer) {
	let mut car = CarWriter::new(Vec::new(), &[root]).unwrap();
	for block in blocks.iter() {
		car.put(block).unwrap();
	}
	let car = car.finish().unwrap().0;
	let mut offer = offer(1, Tier::Hot);
	offer.proposal.piece = cairn_proving::commp::piece_info(&car[..]).unwrap();
	offer.proposal.payload = cairn_primitives::deal::DealPayload::V1 {
		kind: cairn_primitives::deal::PayloadKind::Public,
		root: root.to_bytes().try_into().unwrap(),
	};
	offer.car = car;
	offer.root = root;
	let offer = offer.signed();
	let world = World::with(config).await;
	let router = router(world.provider().clone()).unwrap();
	world.store(&offer).await;
	(world, router, offer)
}

/// Blocks of a file, small enough that a few bytes make several.
fn add_file(blocks: &mut MemoryBlocks, content: &[u8]) -> Cid {
	let options = ImportOptions {
		chunk_size: 256,
		..ImportOptions::default()
	};
	Importer::new(blocks, options).reader(content).unwrap().root
}

/// A world in which a file of some blocks is stored.
async fn with_file() -> (World, Router, Offer, Vec<u8>) {
	let content: Vec<u8> = (0..1500u32)
		.map(|n| (n.wrapping_mul(2654435761) >> 24) as u8)
		.collect();
	let mut blocks = MemoryBlocks::new();
	let root = add_file(&mut blocks, &content);
	let (world, router, offer) = with_dag(test_config(), &blocks, root).await;
	(world, router, offer, content)
}

#[tokio::test]
async fn a_client_proposes_uploads_and_follows() {
	let (mut world, router) = world().await;
	let info: Info = serde_json::from_value(
		rpc(&router, "cairn_v1_info", serde_json::json!([]))
			.await
			.unwrap(),
	)
	.unwrap();
	assert_eq!(info.owner_key, Hash32([3; 32]));
	assert_eq!(info.asks.len(), 3);
	assert!(info.asks[0].min_start_delay > 0);

	let offer = offer(1, Tier::Hot);
	let proposed = propose(&router, &offer).await;
	assert_eq!(proposed.proposal_hash, Hash32(offer.hash()));
	let head = ask(&router, Method::HEAD, &proposed.upload, &[], Body::empty()).await;
	assert_eq!(
		(head.header("upload-offset"), head.header("upload-length")),
		("0", &*offer.car.len().to_string())
	);

	let half = offer.car.len() / 2;
	let range = format!("bytes 0-{}/{}", half - 1, offer.car.len());
	let part = Body::from(offer.car[..half].to_vec());
	let answer = ask(
		&router,
		Method::PUT,
		&proposed.upload,
		&[("content-range", &range)],
		part,
	)
	.await;
	assert_eq!(answer.status, StatusCode::ACCEPTED);
	assert!(!answer.json::<UploadReport>().complete);
	let hash = serde_json::json!([proposed.proposal_hash]);
	let status: DealStatus =
		serde_json::from_value(rpc(&router, "cairn_v1_dealStatus", hash.clone()).await.unwrap()).unwrap();
	assert_eq!(
		status.progress,
		DealProgress::Receiving {
			bytes: half as u64,
			of: offer.car.len() as u64
		}
	);

	let wrong = ask(
		&router,
		Method::PATCH,
		&proposed.upload,
		&[("upload-offset", "7")],
		Body::empty(),
	)
	.await;
	assert_eq!(wrong.problem(), ErrorKind::OffsetMismatch);
	assert_eq!(wrong.header("upload-offset"), half.to_string());
	let rest = Body::from(offer.car[half..].to_vec());
	let at = half.to_string();
	let answer = ask(
		&router,
		Method::PATCH,
		&proposed.upload,
		&[("upload-offset", &at)],
		rest,
	)
	.await;
	assert_eq!(answer.status, StatusCode::CREATED);
	assert!(answer.json::<UploadReport>().complete);
	// Once more is harmless.
	let again = ask(
		&router,
		Method::PUT,
		&proposed.upload,
		&[],
		Body::from(offer.car.clone()),
	)
	.await;
	assert_eq!(again.status, StatusCode::CREATED);

	world
		.blocks_until(60, "active", |world| world.is_active(&offer))
		.await;
	let status: DealStatus =
		serde_json::from_value(rpc(&router, "cairn_v1_dealStatus", hash).await.unwrap()).unwrap();
	assert!(matches!(
		status.progress,
		DealProgress::Active { faulty: false, .. }
	));
	assert_eq!(status.payload_cid, offer.root.to_string());
	let deals: DealList = serde_json::from_value(
		rpc(&router, "cairn_v1_listDeals", serde_json::json!([]))
			.await
			.unwrap(),
	)
	.unwrap();
	assert_eq!(deals.deals, [status]);
	let sectors: SectorList = serde_json::from_value(
		rpc(&router, "cairn_v1_listSectors", serde_json::json!([]))
			.await
			.unwrap(),
	)
	.unwrap();
	assert_eq!(sectors.sectors[0].state, "active");
}

#[tokio::test]
async fn refusals_over_json_rpc_carry_their_kind_and_hint() {
	let (_world, router) = world().await;
	let mut cheap = offer(1, Tier::Hot);
	cheap.proposal.price_per_block = 0;
	cheap.proposal.provider_collateral = 0;
	let params = serde_json::json!([cheap.signed().request()]);
	let problem = rpc(&router, "cairn_v1_proposeDeal", params).await.unwrap_err();
	assert_eq!(problem.kind, ErrorKind::PriceTooLow);
	assert!(problem.hint.is_some());

	let mut forged = offer(2, Tier::Hot);
	forged.signature[5] ^= 1;
	let params = serde_json::json!([forged.request()]);
	assert_eq!(
		rpc(&router, "cairn_v1_proposeDeal", params)
			.await
			.unwrap_err()
			.kind,
		ErrorKind::BadSignature
	);

	for bad in [
		serde_json::json!([{"kind": "signed", "proposal": "0x00", "signature": "0x"}]),
		serde_json::json!([{"kind": "signed", "proposal": "zz", "signature": "0x"}]),
		serde_json::json!([{"kind": "other"}]),
		serde_json::json!([]),
		serde_json::json!(["0x1234"]),
	] {
		let problem = rpc(&router, "cairn_v1_proposeDeal", bad.clone())
			.await
			.unwrap_err();
		assert_eq!(problem.kind, ErrorKind::Malformed, "{bad}");
	}
	let unknown = serde_json::json!([Hash32([9; 32])]);
	assert_eq!(
		rpc(&router, "cairn_v1_dealStatus", unknown)
			.await
			.unwrap_err()
			.kind,
		ErrorKind::NotFound
	);

	let json = [("content-type", "application/json")];
	let huge = Body::from(vec![b' '; 100_000]);
	let answer = ask(&router, Method::POST, "/rpc", &json, huge).await;
	assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
	let garbage = ask(&router, Method::POST, "/rpc", &json, Body::from("{{{")).await;
	assert_eq!(garbage.json::<serde_json::Value>()["error"]["code"], -32700);
}

#[tokio::test]
async fn uploads_that_announce_a_wrong_size_are_refused_before_their_body() {
	let (world, router) = world().await;
	let offer = offer(1, Tier::Hot);
	let proposed = propose(&router, &offer).await;
	let endless = || Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
	let len = (offer.car.len() + 1).to_string();
	let answer = ask(
		&router,
		Method::PUT,
		&proposed.upload,
		&[("content-length", &len)],
		endless(),
	)
	.await;
	assert_eq!(answer.problem(), ErrorKind::TooLarge);
	let len = (offer.car.len() - 1).to_string();
	let answer = ask(
		&router,
		Method::PUT,
		&proposed.upload,
		&[("content-length", &len)],
		endless(),
	)
	.await;
	assert_eq!(answer.problem(), ErrorKind::TooSmall);

	// Discarding.
	world
		.upload_bytes(&offer, &offer.car[..9], crate::ingest::Start::At(0))
		.await
		.unwrap();
	let answer = ask(&router, Method::DELETE, &proposed.upload, &[], Body::empty()).await;
	assert_eq!(answer.status, StatusCode::NO_CONTENT);
	let head = ask(&router, Method::HEAD, &proposed.upload, &[], Body::empty()).await;
	assert_eq!(head.header("upload-offset"), "0");
	// What comes in the way of the deal's state.
	assert!(world.upload(&offer).await.unwrap().complete);
	let answer = ask(&router, Method::DELETE, &proposed.upload, &[], Body::empty()).await;
	assert_eq!(answer.problem(), ErrorKind::WrongState);
}

#[tokio::test]
async fn a_deal_proposed_on_chain_is_uploaded_without_another_word() {
	let (world, router) = world().await;
	let offer = offer(1, Tier::Hot);
	world.chain.propose(offer.hash(), offer.proposal.clone());
	let path = format!("/upload/{}", hex::encode(offer.hash()));
	let answer = ask(&router, Method::PUT, &path, &[], Body::from(offer.car.clone())).await;
	assert_eq!(answer.status, StatusCode::CREATED);
}

#[tokio::test]
async fn paths_that_lead_nowhere() {
	let (_world, router) = world().await;
	for (path, kind) in [
		("/", ErrorKind::NotFound),
		("/nothing", ErrorKind::NotFound),
		("/upload/../../etc/passwd", ErrorKind::NotFound),
		("/upload/..%2f..%2fetc%2fpasswd", ErrorKind::Malformed),
		("/upload/0x1234", ErrorKind::Malformed),
		("/ipfs/../../etc/passwd?format=raw", ErrorKind::Malformed),
		("/ipfs/..%2f..%2fetc%2fpasswd?format=raw", ErrorKind::Malformed),
		("/ipfs/hello?format=raw", ErrorKind::Malformed),
		("/piece/..%2f..%2fetc%2fpasswd", ErrorKind::Malformed),
		(
			"/piece/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
			ErrorKind::Malformed,
		),
		(
			"/ipfs/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy?format=raw",
			ErrorKind::NotFound,
		),
		(
			"/ipfs/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy?format=car",
			ErrorKind::NotFound,
		),
	] {
		assert_eq!(get(&router, path, &[]).await.problem(), kind, "{path}");
	}
	let unknown = format!("/upload/{}", Hash32([9; 32]));
	let answer = ask(&router, Method::PUT, &unknown, &[], Body::from("x")).await;
	assert_eq!(answer.problem(), ErrorKind::NotFound);
	let post = ask(&router, Method::POST, &unknown, &[], Body::empty()).await;
	assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
	let delete = ask(&router, Method::DELETE, "/healthz", &[], Body::empty()).await;
	assert_eq!(delete.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn pieces_are_served_whole_and_in_ranges() {
	let (_world, router, offer, _) = with_file().await;
	let piece = offer.proposal.piece;
	let path = format!("/piece/{}", piece_cid::v1(&piece.commitment));
	let whole = get(&router, &path, &[]).await;
	assert_eq!(whole.status, StatusCode::OK);
	assert_eq!(whole.body, offer.car);
	assert_eq!(whole.header("accept-ranges"), "bytes");
	let v2 = format!("/piece/{}", piece_cid::v2(&piece).unwrap());
	assert_eq!(get(&router, &v2, &[]).await.body, offer.car);

	let part = get(&router, &path, &[("range", "bytes=10-19")]).await;
	assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
	assert_eq!(part.body, offer.car[10..20]);
	assert_eq!(
		part.header("content-range"),
		format!("bytes 10-19/{}", offer.car.len())
	);
	let tail = get(&router, &path, &[("range", "bytes=-5")]).await;
	assert_eq!(tail.body, offer.car[offer.car.len() - 5..]);
	let beyond = get(&router, &path, &[("range", "bytes=1000000-")]).await;
	assert_eq!(beyond.problem(), ErrorKind::RangeNotSatisfiable);
	assert_eq!(
		beyond.header("content-range"),
		format!("bytes */{}", offer.car.len())
	);

	let etag = whole.header("etag").to_owned();
	let unchanged = get(&router, &path, &[("if-none-match", &etag)]).await;
	assert_eq!(
		(unchanged.status, unchanged.body.len()),
		(StatusCode::NOT_MODIFIED, 0)
	);
	let head = ask(&router, Method::HEAD, &path, &[], Body::empty()).await;
	assert_eq!(head.header("content-length"), offer.car.len().to_string());
	assert!(head.body.is_empty());
}

#[tokio::test]
async fn health_and_metrics() {
	let (_world, router, _, _) = with_file().await;
	let health = get(&router, "/healthz", &[]).await;
	assert_eq!(health.status, StatusCode::OK);
	assert_eq!(health.json::<serde_json::Value>()["healthy"], true);
	let metrics = get(&router, "/metrics", &[]).await;
	let text = String::from_utf8(metrics.body.to_vec()).unwrap();
	assert!(
		text.contains("cairn_provider_deals{state=\"received\"} 1"),
		"{text}"
	);
	assert!(
		text.contains("cairn_provider_requests_total{route=\"healthz\",status=\"2xx\"} 1"),
		"{text}"
	);
	for line in [
		"cairn_provider_request_seconds_count{route=\"healthz\"} 1",
		"cairn_provider_connections 0",
		"cairn_provider_retrievals 0",
		"cairn_provider_walk_memory_bytes 0",
	] {
		assert!(text.lines().any(|found| found == line), "{line}: {text}");
	}
}
