//! The book's reference of the data API's routes: written from the OpenAPI documents, and as recorded.

use super::data_api::{node, read, CAIRN, CODEX};
use serde_json::Value;

mod page;
mod schema;

const RECORDED: &str = concat!(
	env!("CARGO_MANIFEST_DIR"),
	"/../docs/src/reference/data-api-routes.md"
);

/// `CAIRN_BLESS=1` rewrites the page.
#[tokio::test]
async fn the_reference_is_current() {
	let (_world, router) = node().await;
	let mut documents: Vec<Value> = Vec::new();
	for base in [CAIRN, CODEX] {
		let document = read(&router, &format!("{base}/openapi.json"), &[]).await.json();
		documents.push(document);
	}
	let text = page::write(&documents);
	if std::env::var_os("CAIRN_BLESS").is_some() {
		std::fs::write(RECORDED, &text).unwrap();
	}
	assert!(
		std::fs::read_to_string(RECORDED).is_ok_and(|recorded| recorded == text),
		"{RECORDED} is not what the OpenAPI documents say: run this test with CAIRN_BLESS=1 and look at the difference"
	);
}
