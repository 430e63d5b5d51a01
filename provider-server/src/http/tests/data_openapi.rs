//! The OpenAPI document: what it describes is there, and is as described.

use super::{
	data_api::{local, node, node_with, read, CAIRN, CODEX},
	*,
};
use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::{json, Value};
use std::sync::OnceLock;

/// The document, and what validates answers against it.
struct Described {
	document: Value,
}

/// The document of every node with a block store: it is written by the program.
static DOCUMENT: OnceLock<Value> = OnceLock::new();

/// Whether there is no such route: also where the node keeps no block store.
fn is_unknown(answer: &Answer) -> bool {
	answer.status == StatusCode::NOT_FOUND
		&& serde_json::from_slice::<Problem>(&answer.body)
			.is_ok_and(|problem| problem.message == "there is nothing at this path")
}

/// Checks an answer of the data API against the document, as far as it describes what was asked.
pub(super) async fn check(router: &Router, method: &Method, path: &str, answer: &Answer) {
	let Some(below) = path.strip_prefix(CAIRN) else {
		return;
	};
	// The document itself, and what the routes do not know.
	if below == "/openapi.json" || answer.status == StatusCode::METHOD_NOT_ALLOWED || is_unknown(answer) {
		return;
	}
	let document = match DOCUMENT.get() {
		Some(document) => document.clone(),
		None => {
			let request = Request::builder().uri(format!("{CAIRN}/openapi.json"));
			let response = router.clone().call(request.body(Body::empty()).unwrap()).await;
			let response = response.unwrap();
			assert_eq!(response.status(), StatusCode::OK);
			let body = response.into_body().collect().await.unwrap().to_bytes();
			let document: Value = serde_json::from_slice(&body).unwrap();
			if document["paths"].get("/space").is_none() {
				// A node without a block store: others describe more.
				return;
			}
			DOCUMENT.get_or_init(|| document).clone()
		}
	};
	let described = Described { document };
	let method = if method == Method::HEAD {
		&Method::GET
	} else {
		method
	};
	let Some(template) = described.template(method, below) else {
		return;
	};
	described.check(method, &template, answer);
}

impl Described {
	async fn of(router: &Router, base: &str) -> Described {
		let answer = read(router, &format!("{base}/openapi.json"), &[]).await;
		assert_eq!(answer.header("content-type"), "application/json");
		Described {
			document: answer.json(),
		}
	}

	/// The path of the document that this one is of.
	fn template(&self, method: &Method, path: &str) -> Option<String> {
		let paths = self.document["paths"].as_object().unwrap();
		let matches = |template: &str| {
			let (mut names, mut parts) = (template.split('/'), path.split('/'));
			loop {
				match (names.next(), parts.next()) {
					(None, None) => return true,
					(Some(name), Some(part)) if name == part => {}
					(Some(name), Some(part)) if name.starts_with('{') && !part.is_empty() => {}
					_ => return false,
				}
			}
		};
		let name = method.as_str().to_lowercase();
		paths
			.iter()
			.find(|(template, item)| matches(template) && item.get(&name).is_some())
			.map(|(template, _)| template.clone())
	}

	/// Methods and paths.
	fn operations(&self) -> Vec<(Method, String)> {
		let mut operations = Vec::new();
		for (path, item) in self.document["paths"].as_object().unwrap() {
			for (name, _) in item.as_object().unwrap() {
				if let Ok(method) = name.to_uppercase().parse::<Method>() {
					if ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD"].contains(&method.as_str()) {
						operations.push((method, path.clone()));
					}
				}
			}
		}
		operations
	}

	/// Checks an answer against what the document says of it.
	fn check(&self, method: &Method, path: &str, answer: &Answer) {
		let operation = &self.document["paths"][path][method.as_str().to_lowercase()];
		let response = &operation["responses"][answer.status.as_str()];
		assert!(
			response.is_object(),
			"{method} {path}: {} is not described",
			answer.status
		);
		let headers = response["headers"].as_object();
		for name in headers.into_iter().flat_map(|headers| headers.keys()) {
			assert!(
				answer.headers.contains_key(name),
				"{method} {path} {}: no {name}",
				answer.status
			);
		}
		let kind = answer.header("content-type").split(';').next().unwrap();
		if answer.body.is_empty() {
			return;
		}
		let content = &response["content"];
		if kind != "application/json" || content.get(kind).is_none() {
			assert!(
				content.get(kind).or(content.get("*/*")).is_some(),
				"{method} {path} {}: {kind} is not described",
				answer.status
			);
			return;
		}
		let mut schema = content["application/json"]["schema"].clone();
		assert!(schema.is_object(), "{method} {path} {}: no schema", answer.status);
		schema["components"] = self.document["components"].clone();
		let value: Value = answer.json();
		if let Err(error) = Schema::new(schema).check(&value) {
			panic!("{method} {path} {}: {error}\n{value}", answer.status);
		}
	}
}

/// A compiled JSON schema of the draft that OpenAPI 3.1 uses.
struct Schema {
	schemas: Schemas,
	index: SchemaIndex,
}

impl Schema {
	fn new(schema: Value) -> Schema {
		let name = "https://example.org/schema.json";
		let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
		compiler.set_default_draft(Draft::V2020_12);
		compiler.add_resource(name, schema).unwrap();
		let index = compiler.compile(name, &mut schemas).unwrap();
		Schema { schemas, index }
	}

	fn check(&self, value: &Value) -> Result<(), String> {
		let checked = self.schemas.validate(value, self.index);
		checked.map_err(|error| error.to_string())
	}
}

#[tokio::test]
async fn every_route_in_the_documents_exists() {
	let (_world, router) = node().await;
	for (base, routes) in [(CAIRN, 24), (CODEX, 9)] {
		let described = Described::of(&router, base).await;
		assert!(described.document["openapi"].as_str().unwrap().starts_with("3.1"));
		assert_eq!(described.document["servers"], json!([{ "url": base }]));
		let operations = described.operations();
		assert_eq!(operations.len(), routes, "{operations:?}");
		check_routes(&router, base, &described).await;
	}
}

async fn check_routes(router: &Router, base: &str, described: &Described) {
	let mut names = std::collections::BTreeSet::new();
	for (method, path) in described.operations() {
		let operation = &described.document["paths"][&path][method.as_str().to_lowercase()];
		let name = operation["operationId"].as_str().unwrap();
		assert!(names.insert(name), "two operations are named {name}");
		let concrete = ["{cid}", "{id}", "{peer}"]
			.iter()
			.fold(path.clone(), |path, name| path.replace(name, "nonsense"));
		let url = format!("{base}{concrete}");
		let answer = local(router, method.clone(), &url, &[], Body::empty()).await;
		assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
		assert!(!is_unknown(&answer), "{method} {path}");
		described.check(&method, &path, &answer);
	}
}

#[tokio::test]
async fn answers_are_as_the_document_says() {
	let (_world, router) = node().await;
	let described = Described::of(&router, CAIRN).await;
	let ask = |method: &'static str,
	           path: &'static str,
	           concrete: String,
	           headers: Vec<(&'static str, String)>,
	           body: &'static str| {
		let (router, described) = (router.clone(), &described);
		async move {
			let method: Method = method.parse().unwrap();
			let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
			let answer = local(
				&router,
				method.clone(),
				&format!("{CAIRN}{concrete}"),
				&headers,
				body,
			)
			.await;
			described.check(&method, path, &answer);
			answer
		}
	};
	let none = Vec::new;
	let contents = "some file contents";
	let uploaded = ask(
		"POST",
		"/data",
		"/data?ttl=60".into(),
		vec![("content-disposition", "attachment; filename=\"a\"".into())],
		contents,
	)
	.await;
	let cid = uploaded.json::<Value>()["cid"].as_str().unwrap().to_owned();
	let data = format!("/data/{cid}");
	ask(
		"POST",
		"/data",
		"/data".into(),
		vec![("content-type", "nonsense".into())],
		contents,
	)
	.await;
	ask(
		"POST",
		"/data",
		"/data".into(),
		vec![("content-length", "999999999999".into())],
		contents,
	)
	.await;
	ask(
		"POST",
		"/data",
		"/data".into(),
		vec![("x-forwarded-for", "1.2.3.4".into())],
		contents,
	)
	.await;
	ask("GET", "/data/{cid}", data.clone(), none(), "").await;
	ask(
		"GET",
		"/data/{cid}",
		data.clone(),
		vec![("range", "bytes=1-2".into())],
		"",
	)
	.await;
	ask(
		"GET",
		"/data/{cid}",
		data.clone(),
		vec![("range", "bytes=99-".into())],
		"",
	)
	.await;
	ask(
		"GET",
		"/data/{cid}",
		data.clone(),
		vec![("if-none-match", format!("\"{cid}\""))],
		"",
	)
	.await;
	ask("PATCH", "/data/{cid}", data.clone(), none(), "{\"ttl\": 9000}").await;
	ask(
		"PATCH",
		"/data/{cid}",
		data.clone(),
		none(),
		"{\"ttl\": \"never\"}",
	)
	.await;
	ask("PATCH", "/data/{cid}", data.clone(), none(), "{}").await;
	ask("GET", "/data/{cid}/exists", format!("{data}/exists"), none(), "").await;
	ask(
		"POST",
		"/data/{cid}/network",
		format!("{data}/network"),
		none(),
		"",
	)
	.await;
	ask(
		"GET",
		"/data/{cid}/network/stream",
		format!("{data}/network/stream"),
		none(),
		"",
	)
	.await;
	ask(
		"GET",
		"/data/{cid}/network/manifest",
		format!("{data}/network/manifest"),
		none(),
		"",
	)
	.await;
	let absent = "zDvZRwzmC3Q7e7NLkfsPmtgSCfectUc1ssn5xK2rzC9yRz1yeZuK";
	for (method, path) in [
		("POST", "/data/{cid}/network"),
		("GET", "/data/{cid}/network/stream"),
		("GET", "/data/{cid}/network/manifest"),
		("GET", "/fetches/{cid}"),
		("DELETE", "/fetches/{cid}"),
	] {
		ask(method, path, path.replace("{cid}", absent), none(), "").await;
	}
	ask("GET", "/fetches", "/fetches".into(), none(), "").await;
	ask("GET", "/data", "/data?limit=1".into(), none(), "").await;
	ask("GET", "/space", "/space".into(), none(), "").await;

	let begun = ask(
		"POST",
		"/uploads",
		"/uploads".into(),
		vec![("upload-length", "18".into())],
		"",
	)
	.await;
	let upload = begun.header("location").strip_prefix(CAIRN).unwrap().to_owned();
	ask("GET", "/uploads/{id}", upload.clone(), none(), "").await;
	ask("GET", "/uploads", "/uploads".into(), none(), "").await;
	ask(
		"PATCH",
		"/uploads/{id}",
		upload.clone(),
		vec![("upload-offset", "1".into())],
		"x",
	)
	.await;
	ask(
		"PATCH",
		"/uploads/{id}",
		upload.clone(),
		vec![("upload-offset", "0".into())],
		"some ",
	)
	.await;
	let last = vec![("upload-offset", "5".into()), ("upload-complete", "?1".into())];
	ask("PATCH", "/uploads/{id}", upload.clone(), last, "file contents").await;
	ask("GET", "/uploads/{id}", upload.clone(), none(), "").await;
	ask("DELETE", "/uploads/{id}", upload.clone(), none(), "").await;
	ask(
		"POST",
		"/uploads",
		"/uploads".into(),
		vec![("upload-complete", "?1".into())],
		contents,
	)
	.await;

	let block = cairn_dag::Block::encode(cairn_dag::Codec::Raw, &b"some file contents"[..]);
	let path = format!("/blocks/{}", block.cid());
	ask("PUT", "/blocks/{cid}", path.clone(), none(), "other").await;
	ask("PUT", "/blocks/{cid}", path.clone(), none(), contents).await;
	ask("PUT", "/blocks/{cid}", path.clone(), none(), contents).await;
	ask("GET", "/blocks/{cid}", path.clone(), none(), "").await;
	ask("GET", "/blocks/{cid}/stat", format!("{path}/stat"), none(), "").await;
	ask("DELETE", "/data/{cid}", data.clone(), none(), "").await;
	ask("GET", "/data/{cid}", data, none(), "").await;
}

#[tokio::test]
async fn answers_to_codexs_clients_are_as_their_document_says() {
	let (_world, router) = node().await;
	let described = Described::of(&router, CODEX).await;
	let ask = |method: Method, path: &'static str, cid: String, body: &'static str| {
		let (router, described) = (router.clone(), &described);
		async move {
			let url = format!("{CODEX}{}", path.replace("{cid}", &cid));
			let answer = local(&router, method.clone(), &url, &[], body).await;
			described.check(&method, path, &answer);
			answer
		}
	};
	let uploaded = ask(Method::POST, "/data", String::new(), "some file contents").await;
	assert_eq!(uploaded.status, StatusCode::OK);
	let cid = String::from_utf8(uploaded.body.to_vec()).unwrap();
	ask(Method::POST, "/data", cid.clone(), "").await;
	ask(Method::POST, "/data/{cid}/network", cid.clone(), "").await;
	for path in [
		"/data",
		"/data/{cid}",
		"/data/{cid}/exists",
		"/data/{cid}/network/stream",
		"/data/{cid}/network/manifest",
		"/space",
	] {
		let answer = ask(Method::GET, path, cid.clone(), "").await;
		assert_eq!(answer.status, StatusCode::OK, "{path}");
	}
	ask(Method::DELETE, "/data/{cid}", cid.clone(), "").await;
	let gone = ask(Method::GET, "/data/{cid}", cid, "").await;
	assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_any_request_can_get_is_described() {
	let (_world, router) = node().await;
	let described = Described::of(&router, CAIRN).await;
	for (method, path) in described.operations() {
		let responses = &described.document["paths"][&path][method.as_str().to_lowercase()]["responses"];
		for status in ["429", "500"] {
			let schema = &responses[status]["content"]["application/json"]["schema"];
			assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{method} {path}");
		}
		assert!(
			responses["429"]["headers"]["retry-after"].is_object(),
			"{method} {path}"
		);
	}
	assert!(described.document["components"]["schemas"]["Problem"].is_object());
}

#[tokio::test]
async fn requests_beyond_the_limit_are_answered_as_described() {
	let (_world, router) = node_with(|config| {
		// Too slow for a token to come back during the test.
		config.server.requests_per_second = 1;
		config.server.request_burst = 1;
	})
	.await;
	let described = Described::of(&router, CAIRN).await;
	let mut refused = None;
	for _ in 0..20 {
		let mut request = Request::builder()
			.uri(format!("{CAIRN}/space"))
			.body(Body::empty())
			.unwrap();
		request
			.extensions_mut()
			.insert(crate::http::client_address::Peer([1, 2, 3, 4].into()));
		let answer = send(&router, request).await;
		if answer.status == StatusCode::TOO_MANY_REQUESTS {
			refused = Some(answer);
		}
	}
	described.check(&Method::GET, "/space", &refused.unwrap());
}

#[tokio::test]
#[should_panic(expected = "no etag")]
async fn a_header_that_is_missing_would_be_noticed() {
	let (_world, router) = node().await;
	let cid = super::data_api::upload(&router, b"some file contents".to_vec(), &[]).await;
	let mut answer = read(&router, &format!("{CAIRN}/data/{cid}"), &[]).await;
	answer.headers.remove("etag");
	check(&router, &Method::GET, &format!("{CAIRN}/data/{cid}"), &answer).await;
}

#[tokio::test]
async fn a_wrong_answer_would_be_noticed() {
	let (_world, router) = node().await;
	let described = Described::of(&router, CAIRN).await;
	let mut schema = described.document["components"]["schemas"]["Space"].clone();
	schema["components"] = described.document["components"].clone();
	let schema = Schema::new(schema);
	let mut space: Value = read(&router, &format!("{CODEX}/space"), &[]).await.json();
	schema.check(&space).unwrap();
	space["totalBlocks"] = json!("many");
	assert!(schema.check(&space).is_err());
	space.as_object_mut().unwrap().remove("totalBlocks");
	assert!(schema.check(&space).is_err());
}
