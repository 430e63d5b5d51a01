//! The data API by Codex's own SDK for JavaScript.

use super::data_api::node;
use crate::http::serve;
use std::path::Path;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::test]
#[ignore = "needs Node.js and `npm ci` in tests/interop"]
async fn codex_sdk_works_unchanged() {
	let (world, router) = node().await;
	let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
	let address = listener.local_addr().unwrap();
	let shutdown = CancellationToken::new();
	let (config, stop) = (world.config.server.clone(), shutdown.clone());
	let server = tokio::spawn(async move { serve(listener, router, &config, stop).await });
	let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/interop");
	let script = tokio::task::spawn_blocking(move || {
		std::process::Command::new("node")
			.arg("codex-sdk.mjs")
			.arg(format!("http://{address}"))
			.current_dir(folder)
			.output()
			.unwrap()
	});
	let output = script.await.unwrap();
	shutdown.cancel();
	server.await.unwrap();
	let (out, error) = (
		String::from_utf8_lossy(&output.stdout),
		String::from_utf8_lossy(&output.stderr),
	);
	assert!(output.status.success(), "{out}\n{error}");
	assert_eq!(out.trim(), "as Codex's SDK expects it");
}
