//! `cairn get` from gateways on loopback.

#![cfg(unix)]

mod user;

use axum::{
	body::Body,
	extract::{Path, Query, State},
	http::StatusCode,
	response::{IntoResponse, Response},
	routing, Router,
};
use cairn_car::{CarReader, CarWriter};
use cairn_dag::{
	unixfs::import::{ImportOptions, Importer},
	walk::{walk, Scope},
	Block, BlockSink, Cid, Codec, MemoryBlocks,
};
use futures::StreamExt;
use serde_json::Value;
use std::{
	collections::{HashMap, HashSet},
	fs,
	process::Stdio,
	sync::{Arc, Mutex},
};
use tokio::{runtime::Runtime, sync::watch};
use user::User;

const LEAF: usize = 16 << 10;

/// A gateway by the rules of the trustless gateway: CARs, `dag-scope`, `entity-bytes`.
struct Gateway {
	url: String,
	inner: Arc<Inner>,
}

struct Inner {
	blocks: MemoryBlocks,
	/// Responses stop after so many bytes until the other gateway has been asked that often.
	hold: Option<(usize, watch::Receiver<usize>, usize)>,
	asked: watch::Sender<usize>,
	/// Leaves of all responses.
	leaves: Mutex<Vec<Cid>>,
}

impl Gateway {
	fn start(
		runtime: &Runtime,
		blocks: &MemoryBlocks,
		hold: Option<(usize, watch::Receiver<usize>, usize)>,
	) -> Self {
		let inner = Arc::new(Inner {
			blocks: blocks.clone(),
			hold,
			asked: watch::Sender::new(0),
			leaves: Mutex::default(),
		});
		let app = Router::new()
			.route("/ipfs/{cid}", routing::get(serve))
			.with_state(inner.clone());
		let url = runtime.block_on(async {
			let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
			let url = format!("http://{}/", listener.local_addr().unwrap());
			tokio::spawn(async move { axum::serve(listener, app).await });
			url
		});
		Gateway { url, inner }
	}

	fn leaves(&self) -> Vec<Cid> {
		self.inner.leaves.lock().unwrap().clone()
	}

	fn requests(&self) -> usize {
		*self.inner.asked.borrow()
	}
}

async fn serve(
	Path(cid): Path<String>,
	Query(query): Query<HashMap<String, String>>,
	State(gateway): State<Arc<Inner>>,
) -> Response {
	gateway.asked.send_modify(|count| *count += 1);
	assert_eq!(query["format"], "car");
	let root: Cid = cid.parse().unwrap();
	let scope: Scope = query["dag-scope"].parse().unwrap();
	let mut walking = walk(&gateway.blocks, root, scope);
	if let Some(bytes) = query.get("entity-bytes") {
		walking = walking.entity_bytes(bytes.parse().unwrap());
	}
	let mut writer = CarWriter::new(Vec::new(), &[root]).unwrap();
	for block in walking {
		let Ok(block) = block else {
			return StatusCode::NOT_FOUND.into_response();
		};
		writer.put(&block).unwrap();
		if block.cid().codec() == Codec::Raw.code() {
			gateway.leaves.lock().unwrap().push(*block.cid());
		}
	}
	let car = bytes::Bytes::from(writer.finish().unwrap().0);
	let Some((limit, mut other, times)) = gateway.hold.clone() else {
		return car.into_response();
	};
	let limit = limit.min(car.len());
	let first = futures::stream::iter([Ok::<_, std::io::Error>(car.slice(..limit))]);
	let rest = futures::stream::once(async move {
		// An error means that the other one is gone: then nobody is waited for.
		let _ = other.wait_for(|count| *count >= times).await;
		Ok(car.slice(limit..))
	});
	Body::from_stream(first.chain(rest)).into_response()
}

/// A file of random leaves, no two of which are equal.
fn object(size: usize) -> (Cid, MemoryBlocks, Vec<u8>) {
	let content: Vec<u8> = (0..size as u32 / 4)
		.flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
		.collect();
	let mut blocks = MemoryBlocks::new();
	let options = ImportOptions {
		chunk_size: LEAF,
		max_links: 8,
		..ImportOptions::default()
	};
	let root = Importer::new(&mut blocks, options)
		.reader(&content[..])
		.unwrap()
		.root;
	(root, blocks, content)
}

fn arguments<'a>(root: &'a str, gateways: &[&'a str]) -> Vec<&'a str> {
	let mut arguments = vec!["get", root, "--output", "file", "--only"];
	for url in gateways {
		arguments.extend(["--provider-url", url]);
	}
	arguments
}

fn bytes_of(report: &Value, gateway: &Gateway) -> u64 {
	report["provider_bytes"][&gateway.url]
		.as_u64()
		.unwrap_or_default()
}

#[test]
fn two_gateways_share_a_file() {
	let (user, runtime) = (User::new(), Runtime::new().unwrap());
	// Beyond what is not worth being divided.
	let (root, blocks, content) = object(12 << 20);
	let second = Gateway::start(&runtime, &blocks, None);
	let hold = (1 << 20, second.inner.asked.subscribe(), 2);
	let first = Gateway::start(&runtime, &blocks, Some(hold));
	let root = root.to_string();
	let report = user.json(&arguments(&root, &[&first.url, &second.url]));
	assert_eq!(fs::read(user.path("file")).unwrap(), content);
	assert_eq!(report["providers"], serde_json::json!([first.url, second.url]));
	assert!(bytes_of(&report, &first) >= 1 << 19, "{report}");
	assert!(bytes_of(&report, &second) >= 1 << 20, "{report}");
	let all = report["fetched_bytes"].as_u64().unwrap();
	assert_eq!(bytes_of(&report, &first) + bytes_of(&report, &second), all);
	assert!(first.requests() + second.requests() < 20);
}

#[test]
fn a_killed_get_goes_on_and_fetches_nothing_twice() {
	let (user, runtime) = (User::new(), Runtime::new().unwrap());
	let (root, blocks, content) = object(4 << 20);
	// Nobody is ever asked here.
	let never = watch::Sender::new(0);
	let waiting = Gateway::start(&runtime, &blocks, Some((1 << 20, never.subscribe(), 1)));
	let root = root.to_string();
	let cache = user.path(&format!(".cache/cairn/get/{root}.car"));
	let mut child = user
		.command(&arguments(&root, &[&waiting.url]))
		.stdout(Stdio::null())
		.stderr(Stdio::null())
		.spawn()
		.unwrap();
	while fs::metadata(&cache).map_or(0, |file| file.len()) < 500_000 {
		assert!(child.try_wait().unwrap().is_none(), "it waits for the rest");
		std::thread::sleep(std::time::Duration::from_millis(20));
	}
	child.kill().unwrap();
	child.wait().unwrap();
	let kept: HashSet<Cid> = CarReader::new(fs::File::open(&cache).unwrap())
		.unwrap()
		.map_while(Result::ok)
		.map(|block| *block.cid())
		.collect();
	assert!(kept.len() > 20);

	let (first, second) = (
		Gateway::start(&runtime, &blocks, None),
		Gateway::start(&runtime, &blocks, None),
	);
	let report = user.json(&arguments(&root, &[&first.url, &second.url]));
	assert_eq!(fs::read(user.path("file")).unwrap(), content);
	let twice = |leaves: Vec<Cid>| leaves.iter().filter(|leaf| kept.contains(leaf)).count();
	assert_eq!(twice(first.leaves()) + twice(second.leaves()), 0);
	let fetched = report["fetched_bytes"].as_u64().unwrap();
	assert!(fetched < content.len() as u64 - 400_000, "{report}");
	assert!(!cache.exists());
}

#[test]
fn walks_fetch_what_each_gateway_has() {
	let (user, runtime) = (User::new(), Runtime::new().unwrap());
	let (root, blocks, _) = object(LEAF * 80);
	let walked: Vec<Block> = walk(&blocks, root, Scope::All).map(Result::unwrap).collect();
	// One does not have anything, the others half of it each.
	let half = |parity| {
		let mut half = MemoryBlocks::new();
		let own = walked.iter().skip(parity).step_by(2).cloned();
		own.for_each(|block| half.put(block).unwrap());
		Gateway::start(&runtime, &half, None)
	};
	let empty = Gateway::start(&runtime, &MemoryBlocks::new(), None);
	let (even, odd) = (half(0), half(1));
	let root = root.to_string();
	let mut arguments = vec!["--json", "dag", "walk", &root, "--only"];
	for gateway in [&empty, &even, &odd] {
		arguments.extend(["--provider-url", &gateway.url]);
	}
	let output = user.run(&arguments);
	assert!(
		output.status.success(),
		"{}",
		String::from_utf8_lossy(&output.stderr)
	);
	let stdout = String::from_utf8(output.stdout).unwrap();
	let rows = stdout.lines().map(|line| {
		let row: Value = serde_json::from_str(line).unwrap();
		row["cid"].as_str().unwrap().to_owned()
	});
	let expected: Vec<String> = walked.iter().map(|block| block.cid().to_string()).collect();
	assert_eq!(rows.collect::<Vec<_>>(), expected);
	let leaves = [even.leaves(), odd.leaves()].concat();
	assert_eq!(leaves.iter().collect::<HashSet<_>>().len(), 80);
	assert!(empty.requests() > 0);
}

#[test]
fn each_gateway_that_fails_is_named_with_its_reason() {
	let (user, runtime) = (User::new(), Runtime::new().unwrap());
	let (root, _, _) = object(LEAF * 4);
	let empty = Gateway::start(&runtime, &MemoryBlocks::new(), None);
	let root = root.to_string();
	let nobody = "http://127.0.0.1:1/";
	let (_, error) = user.failure(&arguments(&root, &[&empty.url, nobody]));
	let causes = error["causes"].to_string();
	assert!(
		causes.contains(&empty.url) && causes.contains("status 404"),
		"{error}"
	);
	assert!(causes.contains(nobody), "{error}");
}
