//! `/api/codex/v1`: the routes of a [Codex](https://codex.storage) node that are about data, as its clients expect
//! them (`@codex-storage/sdk-js`, `codex-py-api-client`). What differs from `/api/cairn/v1`:
//!
//! - an upload's answer is the CID as text;
//! - media types must be ones that files have, else 422;
//! - the list is whole, and shows nothing but datasets with a manifest;
//! - `exists` is `{"<cid>": bool}`, as Codex answers, with `has` beside it, as Codex documents.
//!
//! Of the other routes of a Codex node there are none here: deals are made on Cairn's chain.

use super::{
	address, cid,
	datasets::{self, is_stored, item},
	download,
	headers::{self, MediaTypes},
	json, network, receive, DataApi, PeerExtension,
};
use crate::{
	data::{cid_text, repo_problem, Data},
	http::{body, place, problem::Failure, response},
};
use axum::{
	body::Body,
	extract::{rejection::PathRejection, Path, State},
	http::{HeaderMap, StatusCode},
	response::Response,
	routing::{get, post},
	Router,
};
use cid::Cid;
use std::{
	io::{self, Write},
	time::Duration,
};

/// Datasets that are looked up at once while the list is written.
const STEP: usize = 100;

pub(super) fn routes() -> Router<DataApi> {
	Router::new()
		.route("/data", post(upload).get(list))
		.route("/data/{cid}", get(download::download).delete(datasets::delete))
		.route("/data/{cid}/exists", get(exists))
		.route("/data/{cid}/network", post(network::store))
		.route("/data/{cid}/network/stream", get(network::stream))
		.route("/data/{cid}/network/manifest", get(network::manifest))
		.route("/space", get(datasets::space))
}

async fn upload(
	State(state): State<DataApi>,
	peer: PeerExtension,
	headers: HeaderMap,
	body: Body,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let terms = headers::terms(&headers, MediaTypes::Known);
	let dataset = receive::whole(&state, &headers, body, terms).await?;
	let headers = [("content-type", "text/plain".to_owned())];
	Ok(response(
		StatusCode::OK,
		&headers,
		Body::from(cid_text(&dataset.root)),
	))
}

async fn exists(
	State(state): State<DataApi>,
	path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
	let Path(path) = path?;
	let cid = cid(&path)?;
	let exists = is_stored(&state, cid).await?;
	Ok(json(
		StatusCode::OK,
		&serde_json::json!({ cid_text(&cid): exists, "has": exists }),
	))
}

async fn list(
	State(state): State<DataApi>,
	peer: PeerExtension,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let place = place(&state.api.retrievals).await?;
	let timeout = Duration::from_secs(state.api.provider.config.server.write_timeout_seconds);
	let data = state.data.clone();
	let body = body::blocking(timeout, place, |_| {}, move |out| write_list(&data, out));
	let headers = [
		("content-type", "application/json".to_owned()),
		("cache-control", "no-store".to_owned()),
	];
	Ok(response(StatusCode::OK, &headers, body))
}

/// Writes all datasets with a manifest, some at a time. Blocks the thread.
fn write_list(data: &Data, out: &mut impl Write) -> io::Result<()> {
	out.write_all(b"{\"content\":[")?;
	let mut from: Option<Cid> = None;
	let mut separator: &[u8] = b"";
	loop {
		let page = data
			.repo
			.datasets(from.as_ref(), STEP)
			.map_err(|error| io::Error::other(repo_problem(error)))?;
		for dataset in &page.datasets {
			let item = item(data, dataset).map_err(io::Error::other)?;
			if item.manifest.is_some() {
				out.write_all(separator)?;
				serde_json::to_writer(&mut *out, &item)?;
				separator = b",";
			}
		}
		from = page.next;
		if from.is_none() {
			return out.write_all(b"]}");
		}
	}
}
