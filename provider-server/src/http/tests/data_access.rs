//! The data API: who may do what.

use super::{
	data_api::{local, node, node_with, settled, CODEX},
	*,
};
use crate::http::client_address::Peer;
use std::os::unix::fs::PermissionsExt;

/// What changes the store or lists it, as (method, path).
const GUARDED: &[(&str, &str)] = &[
	("POST", "/api/codex/v1/data"),
	("GET", "/api/codex/v1/data"),
	("DELETE", "/api/codex/v1/data/bafkqaaa"),
	("POST", "/api/codex/v1/data/bafkqaaa/network"),
	("POST", "/api/cairn/v1/data"),
	("GET", "/api/cairn/v1/data"),
	("PATCH", "/api/cairn/v1/data/bafkqaaa"),
	("DELETE", "/api/cairn/v1/data/bafkqaaa"),
	("POST", "/api/cairn/v1/data/bafkqaaa/network"),
	("POST", "/api/cairn/v1/uploads"),
	("GET", "/api/cairn/v1/uploads"),
	("GET", "/api/cairn/v1/uploads/x"),
	("PATCH", "/api/cairn/v1/uploads/x"),
	("DELETE", "/api/cairn/v1/uploads/x"),
	("PUT", "/api/cairn/v1/blocks/bafkqaaa"),
	("GET", "/api/cairn/v1/peers/banned"),
	("PUT", "/api/cairn/v1/peers/banned/x"),
	("DELETE", "/api/cairn/v1/peers/banned/x"),
];

#[tokio::test]
async fn strangers_change_nothing_and_list_nothing() {
	let (world, router) = node().await;
	for (method, path) in GUARDED {
		for (peer, host, extra) in [
			("203.0.113.7", "localhost", None),
			("127.0.0.1", "evil.example", None),
			("127.0.0.1", "localhost", Some(("x-forwarded-for", "127.0.0.1"))),
			("127.0.0.1", "localhost", Some(("origin", "https://evil.example"))),
		] {
			let mut request = Request::builder().method(*method).uri(*path).header("host", host);
			if let Some((name, value)) = extra {
				request = request.header(name, value);
			}
			let mut request = request.body(Body::from("data")).unwrap();
			request.extensions_mut().insert(Peer(peer.parse().unwrap()));
			let answer = send(&router, request).await;
			assert_eq!(
				answer.problem(),
				ErrorKind::Forbidden,
				"{method} {path} {peer} {host}"
			);
		}
	}
	assert_eq!(settled(&world, &router).await["datasets"], 0);
	// Reading by CID is for everybody.
	let cid = local(
		&router,
		Method::POST,
		&format!("{CODEX}/data"),
		&[],
		"some file contents",
	)
	.await
	.body;
	let path = format!("{CODEX}/data/{}", std::str::from_utf8(&cid).unwrap());
	let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
	request
		.extensions_mut()
		.insert(Peer("203.0.113.7".parse().unwrap()));
	assert_eq!(send(&router, request).await.body, "some file contents");
}

#[tokio::test]
async fn with_a_token_whoever_bears_it() {
	let dir = tempfile::tempdir().unwrap();
	let file = dir.path().join("token");
	std::fs::write(&file, "0123456789abcdef\n").unwrap();
	std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
	let (_world, router) = node_with(|config| config.api.token_file = Some(file)).await;
	for (method, path) in GUARDED {
		let method: Method = method.parse().unwrap();
		for headers in [&[][..], &[("authorization", "Bearer 0123456789abcdeX")]] {
			let answer = local(&router, method.clone(), path, headers, "data").await;
			assert_eq!(answer.problem(), ErrorKind::Unauthorized, "{method} {path}");
			assert_eq!(answer.header("www-authenticate"), "Bearer");
		}
	}
	let mut request = Request::builder()
		.method("POST")
		.uri(format!("{CODEX}/data"))
		.header("authorization", "Bearer 0123456789abcdef")
		.body(Body::from("some file contents"))
		.unwrap();
	request
		.extensions_mut()
		.insert(Peer("203.0.113.7".parse().unwrap()));
	assert_eq!(send(&router, request).await.status, StatusCode::OK);
}

#[tokio::test]
async fn pages_of_chosen_origins_may_use_the_api() {
	let (_world, router) =
		node_with(|config| config.api.cors_origins = vec!["https://app.example".into()]).await;
	let path = format!("{CODEX}/data");
	let preflight = |origin: &'static str| {
		let (router, path) = (router.clone(), path.clone());
		async move {
			let headers = [
				("origin", origin),
				("access-control-request-method", "POST"),
				("access-control-request-headers", "content-disposition"),
			];
			local(&router, Method::OPTIONS, &path, &headers, Body::empty()).await
		}
	};
	let answer = preflight("https://app.example").await;
	assert_eq!(
		answer.header("access-control-allow-origin"),
		"https://app.example"
	);
	assert!(answer.header("access-control-allow-methods").contains("POST"));
	assert_eq!(
		preflight("https://evil.example")
			.await
			.header("access-control-allow-origin"),
		""
	);
	let answer = local(
		&router,
		Method::POST,
		&path,
		&[("origin", "https://app.example")],
		"x",
	)
	.await;
	assert_eq!(answer.status, StatusCode::OK);
}
