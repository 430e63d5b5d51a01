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
	address,
	answers::{Guarded, MalformedCid, NoUpload, TooManyDownloads},
	cid,
	datasets::{self, is_stored, item},
	download,
	headers::{self, MediaTypes},
	json, network, openapi, receive,
	shapes::{Binary, DataItem, Problem as ProblemShape},
	DataApi, PeerExtension,
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
	Router,
};
use cid::Cid;
use std::{
	io::{self, Write},
	time::Duration,
};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Datasets that are looked up at once while the list is written.
const STEP: usize = 100;

#[derive(OpenApi)]
#[openapi(
	info(
		title = "Cairn data API for Codex's clients",
		version = "1",
		description = "The routes of a Codex node that are about data, in the shapes that its clients expect. Beyond them are \
			ranges, conditions and errors in JSON. All else that is said of `/api/cairn/v1` holds here, too.",
		license(name = "Apache-2.0", identifier = "Apache-2.0"),
	),
	servers((url = "/api/codex/v1")),
	components(schemas(ProblemShape)),
	tags(
		(name = "data", description = "Datasets"),
		(name = "network", description = "Datasets that other nodes may have"),
		(name = "node", description = "The block store"),
	),
)]
struct Description;

/// The routes, with their description among them.
pub(super) fn routes() -> Router<DataApi> {
	let described = OpenApiRouter::with_openapi(Description::openapi())
		.routes(routes!(upload, list))
		.routes(routes!(download::download, datasets::delete))
		.routes(routes!(exists))
		.routes(routes!(network::store))
		.routes(routes!(network::stream))
		.routes(routes!(network::manifest))
		.routes(routes!(datasets::space));
	openapi::serve(described)
}

/// All datasets with a manifest.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the list in the OpenAPI document")]
struct WholeDataList {
	/// The datasets, in the order of their CIDs' bytes.
	content: Vec<DataItem>,
}

/// Upload data in one request.
///
/// The answer is the dataset's CID as text. Nothing is kept of an upload that breaks off.
#[utoipa::path(
	post,
	path = "/data",
	tag = "data",
	params(
		("content-type" = Option<String>, Header, description = "Media type of the data, one that files have"),
		("content-disposition" = Option<String>, Header, description = "`attachment; filename=\"name\"`"),
	),
	request_body(content = inline(Binary), content_type = "application/octet-stream", description = "The data"),
	responses(
		(status = 200, description = "The dataset's CID", body = String, content_type = "text/plain"),
		(status = 400, description = "Less data than `content-length` announced", body = ProblemShape),
		Guarded,
		(status = 408, description = "Too little data for too long", body = ProblemShape),
		NoUpload,
	),
	security((), ("token" = [])),
)]
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

/// Ask whether a block or dataset is stored here.
///
/// The answer says it twice: under the CID, as Codex answers, and under `has`, as Codex documents.
#[utoipa::path(
	get,
	path = "/data/{cid}/exists",
	tag = "data",
	params(("cid" = String, Path, description = "A dataset or block")),
	responses(
		(status = 200, description = "Whether it is", body = HashMap<String, bool>),
		MalformedCid,
	),
)]
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

/// List all datasets with a manifest.
#[utoipa::path(
	get,
	path = "/data",
	tag = "data",
	responses(
		(status = 200, description = "The list", body = WholeDataList),
		Guarded,
		TooManyDownloads,
	),
	security((), ("token" = [])),
)]
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
