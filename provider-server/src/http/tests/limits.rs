//! What holds for every request: ids, the log, limits per client, other origins.

use super::*;
use crate::http::client_address::Peer;
use std::{
	io::Write,
	sync::{Arc, Mutex},
};
use tracing_subscriber::fmt::MakeWriter;

async fn from(router: &Router, peer: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
	let mut request = Request::builder().uri(path);
	for (name, value) in headers {
		request = request.header(*name, *value);
	}
	let mut request = request.body(Body::empty()).unwrap();
	request.extensions_mut().insert(Peer(peer.parse().unwrap()));
	send(router, request).await
}

async fn limited() -> (World, Router) {
	let mut config = test_config();
	// Too slow for a token to come back during the test.
	config.server.requests_per_second = 1;
	config.server.request_burst = 3;
	let world = World::with(config).await;
	let router = router(world.provider().clone()).unwrap();
	(world, router)
}

const PROBE: &str = "/ipfs/bafkqaaa?format=raw";

#[tokio::test]
async fn each_client_has_its_share() {
	let (_world, router) = limited().await;
	let started = std::time::Instant::now();
	let mut refused = None;
	for _ in 0..20 {
		let answer = from(&router, "1.2.3.4", PROBE, &[]).await;
		if answer.status != StatusCode::OK {
			refused = Some(answer);
		}
	}
	let refused = refused.unwrap_or_else(|| panic!("not refused in {:?}", started.elapsed()));
	assert_eq!(refused.problem(), ErrorKind::RateLimited);
	assert_eq!(refused.header("retry-after"), "1");
	assert_eq!(from(&router, "1.2.3.5", PROBE, &[]).await.status, StatusCode::OK);
	// Whoever looks after the server is heard.
	for path in ["/healthz", "/metrics"] {
		assert_eq!(
			from(&router, "1.2.3.4", path, &[]).await.status,
			StatusCode::OK,
			"{path}"
		);
	}
	let metrics = from(&router, "1.2.3.4", "/metrics", &[]).await;
	let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
	assert!(
		metrics.contains("requests_total{route=\"ipfs\",status=\"4xx\"}"),
		"{metrics}"
	);
}

#[tokio::test]
async fn behind_a_proxy_the_client_is_whom_the_proxy_names() {
	let (_world, router) = limited().await;
	let mut statuses = Vec::new();
	for _ in 0..20 {
		let forwarded = [("x-forwarded-for", "9.9.9.9, 5.6.7.8")];
		statuses.push(from(&router, "127.0.0.1", PROBE, &forwarded).await.status);
	}
	assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS));
	let other = [("x-forwarded-for", "5.6.7.9")];
	assert_eq!(
		from(&router, "127.0.0.1", PROBE, &other).await.status,
		StatusCode::OK
	);
	// Programs on this machine are not limited.
	for _ in 0..20 {
		assert_eq!(
			from(&router, "127.0.0.1", PROBE, &[]).await.status,
			StatusCode::OK
		);
	}
	// Nobody else gets a new share by naming others.
	let mut statuses = Vec::new();
	for n in 0..20 {
		let lie = format!("7.7.7.{n}");
		statuses.push(
			from(&router, "8.8.8.8", PROBE, &[("x-forwarded-for", &lie)])
				.await
				.status,
		);
	}
	assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS));
}

#[tokio::test]
async fn retrievals_beyond_the_limit_are_told_to_come_back() {
	let mut config = test_config();
	config.server.max_retrievals = 1;
	let world = World::with(config).await;
	let router = router(world.provider().clone()).unwrap();
	// A response that nobody reads holds the only place.
	let request = Request::builder().uri(PROBE).body(Body::empty()).unwrap();
	let held = router.clone().call(request).await.unwrap();
	assert_eq!(held.status(), StatusCode::OK);
	// Nobody has to wait for as long as a request does.
	tokio::time::pause();
	let answer = get(&router, PROBE, &[]).await;
	tokio::time::resume();
	assert_eq!(answer.problem(), ErrorKind::Busy);
	assert_eq!(answer.header("retry-after"), "5");
	drop(held);
	assert_eq!(get(&router, PROBE, &[]).await.status, StatusCode::OK);
}

/// A response that nobody reads, which holds its place until it is dropped.
async fn held(router: &Router, peer: &str, headers: &[(&str, &str)]) -> axum::response::Response {
	let mut request = Request::builder().uri(PROBE);
	for (name, value) in headers {
		request = request.header(*name, *value);
	}
	let mut request = request.body(Body::empty()).unwrap();
	request.extensions_mut().insert(Peer(peer.parse().unwrap()));
	let response = router.clone().call(request).await.unwrap();
	assert_eq!(response.status(), StatusCode::OK);
	response
}

#[tokio::test]
async fn one_client_does_not_take_every_retrieval() {
	let mut config = test_config();
	config.server.max_retrievals = 4;
	config.server.max_retrievals_per_client = 2;
	let world = World::with(config).await;
	let router = router(world.provider().clone()).unwrap();
	let metrics = &world.provider().metrics;
	let mut responses = vec![
		held(&router, "1.2.3.4", &[]).await,
		held(&router, "1.2.3.4", &[]).await,
	];
	// Nobody has to wait for as long as a request does.
	tokio::time::pause();
	let answer = from(&router, "1.2.3.4", PROBE, &[]).await;
	tokio::time::resume();
	assert_eq!(answer.problem(), ErrorKind::Busy);
	assert_eq!(metrics.retrievals.get(), 2);
	assert_eq!(from(&router, "1.2.3.5", PROBE, &[]).await.status, StatusCode::OK);
	// The machine's own programs have no share: all that is left is theirs.
	for _ in 0..2 {
		responses.push(held(&router, "127.0.0.1", &[]).await);
	}
	tokio::time::pause();
	let answer = from(&router, "1.2.3.5", PROBE, &[]).await;
	tokio::time::resume();
	assert_eq!(answer.problem(), ErrorKind::Busy);
	drop(responses);
	assert_eq!(from(&router, "1.2.3.4", PROBE, &[]).await.status, StatusCode::OK);
	assert_eq!(metrics.retrievals.get(), 0);
}

#[tokio::test]
async fn one_client_does_not_take_every_connection_of_a_proxy() {
	let mut config = test_config();
	config.server.max_connections_per_client = 2;
	let world = World::with(config).await;
	let router = router(world.provider().clone()).unwrap();
	let one = [("x-forwarded-for", "5.6.7.8")];
	let mut responses = vec![
		held(&router, "127.0.0.1", &one).await,
		held(&router, "127.0.0.1", &one).await,
	];
	assert_eq!(world.provider().metrics.proxied_requests.get(), 2);
	let refused = from(&router, "127.0.0.1", PROBE, &one).await;
	assert_eq!(refused.problem(), ErrorKind::RateLimited);
	assert_eq!(refused.header("retry-after"), "1");
	let other = [("x-forwarded-for", "5.6.7.9")];
	for (peer, headers) in [("127.0.0.1", &other[..]), ("127.0.0.1", &[]), ("5.6.7.8", &[])] {
		let answer = from(&router, peer, PROBE, headers).await;
		assert_eq!(answer.status, StatusCode::OK, "{peer} {headers:?}");
	}
	responses.pop();
	assert_eq!(
		from(&router, "127.0.0.1", PROBE, &one).await.status,
		StatusCode::OK
	);
}

#[tokio::test]
async fn what_operators_ask_for_has_limits_of_its_own() {
	let (_world, router) = world().await;
	for path in ["/healthz", "/metrics"] {
		let peer = if path == "/healthz" { "1.2.3.4" } else { "1.2.3.5" };
		let mut refused = false;
		for _ in 0..500 {
			let answer = from(&router, peer, path, &[]).await;
			refused |= answer.status == StatusCode::TOO_MANY_REQUESTS;
		}
		assert!(refused, "{path}");
		// Other requests of the same client are counted apart, and programs on this machine not at all.
		assert_eq!(from(&router, peer, PROBE, &[]).await.status, StatusCode::OK);
		for _ in 0..100 {
			let answer = from(&router, "127.0.0.1", path, &[]).await;
			assert_eq!(answer.status, StatusCode::OK, "{path}");
		}
	}
}

#[tokio::test]
async fn request_ids() {
	let (_world, router) = world().await;
	let own = get(&router, "/ipfs/x", &[("x-request-id", "trace-7.a_B")]).await;
	assert_eq!(own.header("x-request-id"), "trace-7.a_B");
	assert_eq!(own.json::<Problem>().request_id.as_deref(), Some("trace-7.a_B"));
	for bad in ["", "a b", "<b>", &"x".repeat(65)] {
		let answer = get(&router, "/ipfs/x", &[("x-request-id", bad)]).await;
		let made = answer.header("x-request-id").to_owned();
		assert_ne!(made, bad);
		assert_eq!(answer.json::<Problem>().request_id, Some(made));
	}
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
	fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
		self.0.lock().unwrap().write(bytes)
	}

	fn flush(&mut self) -> std::io::Result<()> {
		Ok(())
	}
}

impl<'a> MakeWriter<'a> for Log {
	type Writer = Log;

	fn make_writer(&'a self) -> Log {
		self.clone()
	}
}

#[tokio::test]
async fn the_log_names_requests_and_no_queries() {
	let (_world, router) = world().await;
	let log = Log::default();
	let subscriber = tracing_subscriber::fmt()
		.json()
		.with_max_level(tracing::Level::DEBUG)
		.with_writer(log.clone())
		.finish();
	let guard = tracing::subscriber::set_default(subscriber);
	let path = format!("/ipfs/bafkqaaa/{}", "x".repeat(1000));
	let headers = [("x-request-id", "one"), ("authorization", "Bearer hidden")];
	from(&router, "1.2.3.4", &format!("{path}?token=secret"), &headers).await;
	drop(guard);
	let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
	let line: serde_json::Value = log
		.lines()
		.map(|line| serde_json::from_str(line).unwrap())
		.find(|line: &serde_json::Value| line["target"] == "cairn_provider_server::access")
		.unwrap_or_else(|| panic!("{log}"));
	assert_eq!(line["fields"]["status"], 404);
	assert!(line["fields"]["milliseconds"].is_u64());
	assert_eq!(line["span"]["id"], "one");
	assert_eq!(line["span"]["method"], "GET");
	assert_eq!(line["span"]["client"], "1.2.3.4");
	assert_eq!(line["span"]["path"], path[..256]);
	assert!(!log.contains("secret") && !log.contains("hidden"), "{log}");
}

#[tokio::test]
async fn requests_that_fail_are_in_the_log_by_default() {
	let mut config = test_config();
	config.server.max_retrievals = 1;
	let world = World::with(config.clone()).await;
	let router = router(world.provider().clone()).unwrap();
	let log = Log::default();
	let subscriber = tracing_subscriber::fmt()
		.json()
		.with_env_filter(tracing_subscriber::EnvFilter::new(&config.log.filter))
		.with_writer(log.clone())
		.finish();
	let guard = tracing::subscriber::set_default(subscriber);
	let served = [("x-request-id", "served")];
	from(&router, "1.2.3.4", PROBE, &served).await;
	let held = held(&router, "1.2.3.4", &[("x-request-id", "held")]).await;
	tokio::time::pause();
	let failed = from(&router, "1.2.3.4", PROBE, &[("x-request-id", "failed")]).await;
	assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE);
	drop((guard, held));
	let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
	let of = |id: &str| {
		log.lines()
			.map(|line| serde_json::from_str(line).unwrap())
			.find(|line: &serde_json::Value| {
				line["target"] == "cairn_provider_server::access" && line["span"]["id"] == id
			})
	};
	assert_eq!(of("failed").unwrap()["fields"]["status"], 503);
	assert!(of("served").is_none(), "the others take a filter: {log}");
}

#[tokio::test]
async fn pages_of_any_origin_may_read() {
	let (_world, router, offer, _) = with_file().await;
	let origin = ("origin", "https://example.org");
	for path in [
		format!("/ipfs/{}", offer.root),
		format!("/ipfs/{}?format=car", offer.root),
		format!("/piece/{}", piece_cid::v1(&offer.proposal.piece.commitment)),
		"/ipfs/nonsense".to_owned(),
	] {
		let answer = get(&router, &path, &[origin]).await;
		assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
		let exposed = answer.header("access-control-expose-headers").to_lowercase();
		for header in [
			"content-length",
			"content-range",
			"etag",
			"x-ipfs-path",
			"x-ipfs-roots",
			"x-request-id",
		] {
			assert!(exposed.contains(header), "{header} of {path}");
		}
		assert_eq!(answer.header("access-control-allow-credentials"), "");
		let preflight = [
			origin,
			("access-control-request-method", "GET"),
			("access-control-request-headers", "range"),
		];
		let plain = ask(&router, Method::OPTIONS, &path, &[origin], Body::empty()).await;
		assert_eq!(plain.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
		let allowed = ask(&router, Method::OPTIONS, &path, &preflight, Body::empty()).await;
		assert_eq!(allowed.status, StatusCode::OK, "{path}");
		assert_eq!(allowed.header("access-control-allow-origin"), "*");
		assert!(allowed.header("access-control-allow-headers").contains("range"));
		assert_eq!(allowed.header("access-control-allow-methods"), "GET,HEAD,OPTIONS");
	}
	// What changes something is not for pages of others.
	for path in ["/rpc", "/healthz"] {
		let answer = get(&router, path, &[origin]).await;
		assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
	}
}
