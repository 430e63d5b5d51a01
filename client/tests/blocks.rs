//! `cairn block put` against a node's server that keeps blocks in memory.

#![cfg(unix)]

mod user;

use axum::{
	body::Bytes,
	extract::{Path, RawQuery, State},
	http::{HeaderMap, StatusCode},
	response::{IntoResponse, Response},
	routing::put,
	Router,
};
use cairn_dag::{Block, Cid, Codec, HashFunction};
use serde_json::{json, Value};
use std::{
	collections::HashMap,
	fs,
	io::Write,
	process::Stdio,
	sync::{Arc, Mutex},
};
use tokio::runtime::Runtime;
use user::{fields, User};

const TOKEN: &str = "0123456789abcdef";

/// A node that takes blocks as a provider's does, and asks for a token if told to.
struct Node {
	url: String,
	state: Arc<Inner>,
	_runtime: Runtime,
}

#[derive(Default)]
struct Inner {
	needs_token: bool,
	/// What it says to have stored instead.
	instead: Option<Cid>,
	blocks: Mutex<HashMap<Cid, Block>>,
	queries: Mutex<Vec<String>>,
}

impl Node {
	fn new(inner: Inner) -> Node {
		let runtime = Runtime::new().unwrap();
		let state = Arc::new(inner);
		let router = Router::new()
			.route("/api/cairn/v1/blocks/{cid}", put(store))
			.with_state(state.clone());
		let listener = runtime
			.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
			.unwrap();
		let url = format!("http://{}", listener.local_addr().unwrap());
		runtime.spawn(async move { axum::serve(listener, router).await });
		Node {
			url,
			state,
			_runtime: runtime,
		}
	}

	fn block(&self, cid: &str) -> Option<Block> {
		let cid: Cid = cid.parse().unwrap();
		self.state.blocks.lock().unwrap().get(&cid).cloned()
	}
}

fn problem(status: u16, kind: &str) -> Response {
	let body =
		json!({"schema": "cairn.provider.problem/1", "kind": kind, "message": "refused", "hint": "a hint"});
	(StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

async fn store(
	State(state): State<Arc<Inner>>,
	Path(cid): Path<String>,
	RawQuery(query): RawQuery,
	headers: HeaderMap,
	body: Bytes,
) -> Response {
	let token = headers.get("authorization").map(|value| value.to_str().unwrap());
	if state.needs_token && token != Some(&*format!("Bearer {TOKEN}")) {
		return problem(401, "unauthorized");
	}
	assert_eq!(headers["content-type"], "application/vnd.ipld.raw");
	if body.starts_with(b"too much") {
		return problem(507, "storage_full");
	}
	let cid: Cid = cid.parse().unwrap();
	let Ok(block) = Block::new(cid, body) else {
		return problem(422, "unprocessable");
	};
	let query = query.unwrap_or_default();
	let expires = (query != "ttl=never").then_some(1_900_000_000);
	state.queries.lock().unwrap().push(query);
	let is_new = state.blocks.lock().unwrap().insert(cid, block).is_none();
	let stored = state.instead.unwrap_or(cid);
	let item = json!({
		"cid": stored.to_string(), "manifest": null, "blocks": 1, "storedBytes": 1, "createdAt": 1, "expiresAt": expires,
		"pins": 0,
	});
	let status = if is_new {
		StatusCode::CREATED
	} else {
		StatusCode::OK
	};
	(status, item.to_string()).into_response()
}

#[test]
fn a_file_becomes_a_block() {
	let (node, user) = (Node::new(Inner::default()), User::new());
	fs::write(user.path("file"), b"a block").unwrap();
	let put = ["block", "put", "file", "--provider-url", &node.url];
	let expected = Block::encode(Codec::Raw, &b"a block"[..]);

	let report = user.json(&put);
	assert_eq!(report["schema"], "cairn.block-put/1");
	assert_eq!(
		fields(&report),
		["cid", "codec", "expires_at", "new", "provider", "schema", "size"]
	);
	let cid = report["cid"].as_str().unwrap();
	assert_eq!(cid, expected.cid().to_string());
	assert_eq!(
		(&report["codec"], &report["size"], &report["new"]),
		(&"raw".into(), &7.into(), &true.into())
	);
	assert_eq!(report["expires_at"], 1_900_000_000);
	assert_eq!(node.block(cid), Some(expected));
	assert_eq!(user.json(&put)["new"], false);

	// For scripts the CID alone.
	let output = user.run(&[&["--quiet"], &put[..]].concat());
	assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{cid}\n"));
	let output = user.run(&put);
	let text = String::from_utf8(output.stdout).unwrap();
	assert!(
		text.starts_with(&format!("{cid}\nits 7 B were at {}", node.url)),
		"{text}"
	);
}

#[test]
fn codec_hash_and_lifetime_are_chosen() {
	let (node, user) = (Node::new(Inner::default()), User::new());
	let put = |rest: &[&str], bytes: &[u8]| -> Value {
		let arguments = [
			&["--json", "block", "put", "-", "--provider-url", &node.url],
			rest,
		]
		.concat();
		let mut child = user
			.command(&arguments)
			.stdin(Stdio::piped())
			.stdout(Stdio::piped())
			.spawn()
			.unwrap();
		child.stdin.take().unwrap().write_all(bytes).unwrap();
		let output = child.wait_with_output().unwrap();
		assert!(output.status.success(), "{rest:?}");
		serde_json::from_slice(&output.stdout).unwrap()
	};
	// The CBOR of {"a": 1}.
	let cbor = [0xa1, 0x61, 0x61, 0x01];
	let report = put(
		&["--codec", "dag-cbor", "--hash", "blake3", "--ttl", "never"],
		&cbor,
	);
	let expected = Block::encode_with(Codec::DagCbor, HashFunction::Blake3, cbor.to_vec());
	assert_eq!(report["cid"], expected.cid().to_string());
	assert_eq!(
		(&report["codec"], &report["expires_at"]),
		(&"dag-cbor".into(), &Value::Null)
	);
	assert!(node.block(report["cid"].as_str().unwrap()).is_some());

	put(&["--ttl", "86400"], &vec![7; 2 << 20]);
	// A block may be empty.
	put(&[], b"");
	assert_eq!(
		*node.state.queries.lock().unwrap(),
		["ttl=never", "ttl=86400", ""]
	);
}

#[test]
fn a_token_is_sent_where_one_is_asked_for() {
	let node = Node::new(Inner {
		needs_token: true,
		..Inner::default()
	});
	let user = User::new();
	fs::write(user.path("file"), b"a block").unwrap();
	let put = ["block", "put", "file", "--provider-url", &node.url];
	let (code, error) = user.failure(&put);
	assert_eq!((code, &error["hint"]), (4, &"a hint".into()));

	fs::write(user.path("token"), format!("{TOKEN}\n")).unwrap();
	assert_eq!(
		user.json(&[&put[..], &["--token-file", "token"]].concat())["new"],
		true
	);
	let output = user
		.command(&put)
		.env("CAIRN_API_TOKEN_FILE", user.path("token"))
		.output()
		.unwrap();
	assert!(output.status.success());

	for (content, expected) in [(&b""[..], 4), (b"two words", 4), (b"\xff", 5)] {
		fs::write(user.path("token"), content).unwrap();
		let (code, _) = user.failure(&[&put[..], &["--token-file", "token"]].concat());
		assert_eq!(code, expected, "{content:?}");
	}
	let (code, _) = user.failure(&[&put[..], &["--token-file", "absent"]].concat());
	assert_eq!(code, 5);
}

#[test]
fn what_is_no_block_is_not_sent() {
	let (node, user) = (Node::new(Inner::default()), User::new());
	fs::write(user.path("file"), b"\xff").unwrap();
	fs::write(user.path("large"), vec![0; (2 << 20) + 1]).unwrap();
	let failure = |rest: &[&str]| {
		let arguments = [&["block", "put", "--provider-url", &node.url], rest].concat();
		user.failure(&arguments).0
	};
	// Not well-formed for its codec.
	assert_eq!(failure(&["file", "--codec", "dag-cbor"]), 11);
	assert_eq!(failure(&["large"]), 2);
	assert_eq!(failure(&["absent"]), 5);
	assert_eq!(failure(&["file", "--codec", "mp3"]), 2);
	assert_eq!(failure(&["file", "--hash", "sha1"]), 2);
	for ttl in ["0", "-1", "soon", "1d"] {
		assert_eq!(failure(&["file", &format!("--ttl={ttl}")]), 2, "{ttl}");
	}
	assert!(node.state.blocks.lock().unwrap().is_empty());
}

#[test]
fn what_the_node_says_is_told_and_not_believed() {
	let user = User::new();
	fs::write(user.path("file"), b"too much").unwrap();
	let node = Node::new(Inner::default());
	let (code, error) = user.failure(&["block", "put", "file", "--provider-url", &node.url]);
	assert_eq!((code, &error["hint"]), (9, &"a hint".into()));

	fs::write(user.path("file"), b"a block").unwrap();
	let node = Node::new(Inner {
		instead: Some(*Block::encode(Codec::Raw, &b"another"[..]).cid()),
		..Inner::default()
	});
	let (code, _) = user.failure(&["block", "put", "file", "--provider-url", &node.url]);
	assert_eq!(code, 9);
	// Nobody listens there.
	let (code, _) = user.failure(&["block", "put", "file", "--provider-url", "http://127.0.0.1:1"]);
	assert_eq!(code, 9);
}
