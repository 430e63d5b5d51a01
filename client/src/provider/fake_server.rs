//! A provider's server as tests need it: it keeps uploads in memory, serves blocks, and fails as told.

use super::{http_client, ProviderClient};
use axum::{
	body::{Body, Bytes},
	extract::{Path, Query, State},
	http::{HeaderMap, Method, StatusCode},
	response::{IntoResponse, Response},
	routing::{any, get},
	Router,
};
use cairn_car::{CarReader, CarWriter, ReadOptions};
use cairn_dag::{
	unixfs::resolve,
	walk::{walk, EntityBytes, Scope},
	Cid, MemoryBlocks,
};
use cairn_provider_api::{
	upload::{UploadReport, LENGTH_HEADER, OFFSET_HEADER, SCHEMA},
	ErrorKind, Hash32, Problem,
};
use futures::StreamExt;
use std::{
	collections::HashMap,
	sync::{Arc, Mutex},
};
use tokio::sync::watch;
use url::Url;

/// How the server misbehaves.
#[derive(Clone, Debug, Default)]
pub struct Faults {
	/// Each upload request is broken off after this many bytes.
	pub break_upload_after: Option<usize>,
	/// Complete uploads are refused.
	pub refuse_data: bool,
	/// Responses with blocks end after this many bytes.
	pub cut_blocks_after: Option<usize>,
	/// Responses with blocks stop after this many bytes, and the connection stays open.
	pub stall_blocks_after: Option<usize>,
	/// Responses with blocks come byte by byte, with pauses.
	pub drip_blocks: bool,
	/// This byte of responses with blocks is flipped.
	pub flip_byte: Option<usize>,
	/// Blocks of this DAG are sent instead of those asked for.
	pub send_instead: Option<Cid>,
	/// So many requests for blocks are answered with this status, and that header `retry-after`, if any.
	pub refuse_blocks: Option<(usize, u16, Option<u64>)>,
	/// Responses with blocks stop after this many bytes until another server has been asked that often.
	pub hold_blocks: Option<(usize, watch::Receiver<usize>, usize)>,
	/// Which requests for blocks it does not understand.
	pub ignorance: Ignorance,
}

/// What a gateway does not know of the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ignorance {
	/// Nothing.
	#[default]
	None,
	/// `entity-bytes`, which it ignores.
	IgnoresRanges,
	/// `entity-bytes`, which it refuses.
	RefusesRanges,
	/// Blocks that are not roots, and parameters other than `format`.
	WholeObjectsOnly,
}

/// A running server.
pub struct FakeServer {
	/// Where it listens.
	pub url: Url,
	state: Arc<Inner>,
}

struct Inner {
	faults: Faults,
	size: u64,
	uploads: Mutex<HashMap<String, Vec<u8>>>,
	requests: Mutex<Vec<String>>,
	asked: watch::Sender<usize>,
	sent: Mutex<Vec<Cid>>,
	root: Option<Cid>,
	blocks: MemoryBlocks,
}

impl FakeServer {
	/// Starts a server that expects uploads of `size` bytes and serves `blocks`.
	pub async fn start(faults: Faults, size: u64, blocks: MemoryBlocks) -> Self {
		Self::with_root(faults, size, blocks, None).await
	}

	/// As [`start`](Self::start); `root` is all that is known to those who give whole objects only.
	pub async fn with_root(faults: Faults, size: u64, blocks: MemoryBlocks, root: Option<Cid>) -> Self {
		let (uploads, requests, sent) = Default::default();
		let state = Arc::new(Inner {
			faults,
			size,
			uploads,
			requests,
			asked: watch::Sender::new(0),
			sent,
			root,
			blocks,
		});
		let router = Router::new()
			.route("/upload/{hash}", any(upload))
			.route("/ipfs/{*path}", get(ipfs))
			.with_state(state.clone());
		let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
		let url = format!("http://{}", listener.local_addr().unwrap())
			.parse()
			.unwrap();
		tokio::spawn(async move { axum::serve(listener, router).await });
		FakeServer { url, state }
	}

	/// A client of it.
	pub fn client(&self) -> ProviderClient {
		ProviderClient::new(http_client().unwrap(), self.url.clone())
	}

	/// What was uploaded for a deal.
	pub fn uploaded(&self, hash: &Hash32) -> Vec<u8> {
		self.state
			.uploads
			.lock()
			.unwrap()
			.get(&hash.to_string())
			.cloned()
			.unwrap_or_default()
	}

	/// How often blocks were asked for, from now on.
	pub fn asked(&self) -> watch::Receiver<usize> {
		self.state.asked.subscribe()
	}

	/// Blocks that responses began with up to where they stopped, in order.
	pub fn sent(&self) -> Vec<Cid> {
		self.state.sent.lock().unwrap().clone()
	}

	/// Methods and offsets of the uploads, or paths of the reads.
	pub fn requests(&self) -> Vec<String> {
		self.state.requests.lock().unwrap().clone()
	}
}

fn problem(kind: ErrorKind) -> Response {
	let status = StatusCode::from_u16(kind.http_status()).unwrap();
	let body = serde_json::to_string(&Problem::new(kind, "as told by the test")).unwrap();
	(status, body).into_response()
}

async fn upload(
	State(state): State<Arc<Inner>>,
	Path(hash): Path<String>,
	method: Method,
	headers: HeaderMap,
	body: Body,
) -> Response {
	let held = state
		.uploads
		.lock()
		.unwrap()
		.get(&hash)
		.map_or(0, |bytes| bytes.len());
	if method == Method::HEAD {
		return (
			[
				(OFFSET_HEADER, held.to_string()),
				(LENGTH_HEADER, state.size.to_string()),
			],
			(),
		)
			.into_response();
	}
	let offset: usize = headers
		.get(OFFSET_HEADER)
		.unwrap()
		.to_str()
		.unwrap()
		.parse()
		.unwrap();
	state.requests.lock().unwrap().push(format!("{method} {offset}"));
	if offset != held {
		return problem(ErrorKind::OffsetMismatch);
	}
	let (mut stream, mut taken) = (body.into_data_stream(), 0);
	while let Some(Ok(chunk)) = stream.next().await {
		let room = state
			.faults
			.break_upload_after
			.map_or(chunk.len(), |limit| limit - taken);
		let kept = &chunk[..chunk.len().min(room)];
		taken += kept.len();
		state
			.uploads
			.lock()
			.unwrap()
			.entry(hash.clone())
			.or_default()
			.extend_from_slice(kept);
		if kept.len() < chunk.len() {
			return problem(ErrorKind::Internal);
		}
	}
	let received = (held + taken) as u64;
	let complete = received == state.size;
	if complete && state.faults.refuse_data {
		return problem(ErrorKind::CommitmentMismatch);
	}
	let proposal_hash = hash.parse().unwrap();
	let report = UploadReport {
		schema: SCHEMA.into(),
		proposal_hash,
		received,
		of: state.size,
		complete,
	};
	let status = if complete {
		StatusCode::CREATED
	} else {
		StatusCode::ACCEPTED
	};
	(status, serde_json::to_string(&report).unwrap()).into_response()
}

async fn ipfs(
	State(state): State<Arc<Inner>>,
	Path(path): Path<String>,
	Query(query): Query<HashMap<String, String>>,
) -> Response {
	assert_eq!(query["format"], "car");
	state.requests.lock().unwrap().push(path.clone());
	state.asked.send_modify(|count| *count += 1);
	if let Some((times, status, retry_after)) = state.faults.refuse_blocks {
		if *state.asked.borrow() <= times {
			let mut response = StatusCode::from_u16(status).unwrap().into_response();
			if let Some(seconds) = retry_after {
				response.headers_mut().insert("retry-after", seconds.into());
			}
			return response;
		}
	}
	let (root, inner) = path.split_once('/').unwrap_or((&path, ""));
	let root = state.faults.send_instead.unwrap_or_else(|| root.parse().unwrap());
	match state.faults.ignorance {
		Ignorance::RefusesRanges if query.contains_key("entity-bytes") => {
			return StatusCode::NOT_IMPLEMENTED.into_response()
		}
		Ignorance::WholeObjectsOnly if state.root != Some(root) => return problem(ErrorKind::NotFound),
		Ignorance::WholeObjectsOnly if query.len() > 1 => return StatusCode::BAD_REQUEST.into_response(),
		_ => {}
	}
	let Ok(resolved) = resolve(&state.blocks, &root, inner) else {
		return problem(ErrorKind::NotFound);
	};
	let mut writer = CarWriter::new(Vec::new(), &[root]).unwrap();
	for block in &resolved.blocks {
		writer.put(block).unwrap();
	}
	let mut blocks = match query.get("dag-scope").map(String::as_str) {
		Some("block") => walk(&state.blocks, resolved.cid, Scope::Block),
		Some("entity") => walk(&state.blocks, resolved.cid, Scope::Entity),
		_ => walk(&state.blocks, resolved.cid, Scope::All),
	};
	match query.get("entity-bytes") {
		Some(bytes) if state.faults.ignorance == Ignorance::None => {
			blocks = blocks.entity_bytes(bytes.parse::<EntityBytes>().unwrap());
		}
		_ => {}
	}
	for block in blocks {
		match block {
			Ok(block) => writer.put(&block).unwrap(),
			Err(_) => return problem(ErrorKind::NotFound),
		};
	}
	let (mut car, _) = writer.finish().unwrap();
	let stops = [state.faults.cut_blocks_after, state.faults.stall_blocks_after];
	let stop = stops.into_iter().flatten().min().unwrap_or(car.len()) as u64;
	let options = ReadOptions {
		verify: false,
		..ReadOptions::default()
	};
	let mut reader = CarReader::with_options(&car[..], options).unwrap();
	while let Some(section) = reader.next_section().unwrap() {
		if section.offset + section.len <= stop {
			state.sent.lock().unwrap().push(*section.block.cid());
		}
	}
	if let Some(byte) = state.faults.flip_byte.and_then(|at| car.get_mut(at)) {
		*byte ^= 1;
	}
	if let Some((limit, asked, times)) = state.faults.hold_blocks.clone() {
		let car = Bytes::from(car);
		let limit = limit.min(car.len());
		let first = futures::stream::iter([Ok::<_, std::io::Error>(car.slice(..limit))]);
		let rest = futures::stream::once(async move {
			let mut asked = asked;
			// An error means that the other server is gone: then nobody is waited for.
			let _ = asked.wait_for(|count| *count >= times).await;
			Ok(car.slice(limit..))
		});
		return Body::from_stream(first.chain(rest)).into_response();
	}
	if let Some(limit) = state.faults.stall_blocks_after.filter(|limit| *limit < car.len()) {
		let sent = Bytes::from(car).slice(..limit);
		let sent = futures::stream::iter([Ok::<_, std::io::Error>(sent)]);
		return Body::from_stream(sent.chain(futures::stream::pending())).into_response();
	}
	if state.faults.drip_blocks {
		let drops = futures::stream::iter(0..car.len()).then(move |at| {
			let byte = Bytes::copy_from_slice(&car[at..=at]);
			async move {
				tokio::time::sleep(std::time::Duration::from_millis(100)).await;
				Ok::<_, std::io::Error>(byte)
			}
		});
		return Body::from_stream(drops).into_response();
	}
	match state.faults.cut_blocks_after.filter(|limit| *limit < car.len()) {
		None => car.into_response(),
		Some(limit) => {
			let sent = futures::stream::iter([Ok(Bytes::from(car).slice(..limit))]);
			let broken = futures::stream::once(async {
				// Otherwise the server drops the connection before it has sent the first part.
				tokio::time::sleep(std::time::Duration::from_millis(100)).await;
				Err(std::io::Error::other("as told by the test"))
			});
			Body::from_stream(sent.chain(broken)).into_response()
		}
	}
}
