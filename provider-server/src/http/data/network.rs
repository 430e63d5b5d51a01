//! Datasets of the network. Requests look for blocks with [`Data::find`](crate::data::Data::find): in this
//! node's own store, as long as it does not fetch from others.

use super::{
	address, cid, download, json,
	shapes::{ManifestOf, Problem as ProblemShape},
	DataApi, PeerExtension,
};
use crate::{data::cid_text, http::problem::Failure};
use axum::{
	extract::{rejection::PathRejection, Path, State},
	http::{HeaderMap, Method, StatusCode},
	response::Response,
};
use cairn_dag::codec::{codex::CodexManifest, BlockCodec};
use cairn_provider_api::{ErrorKind, Problem};

/// Store a dataset of the network here.
///
/// This node does not fetch from others yet: what is not here already is 404.
#[utoipa::path(
	post,
	path = "/data/{cid}/network",
	tag = "network",
	params(("cid" = String, Path, description = "The dataset")),
	responses(
		(status = 200, description = "The dataset is here", body = ManifestOf),
		(status = 400, description = "The CID is malformed, or no manifest's", body = ProblemShape),
		(status = 401, description = "A token is needed", body = ProblemShape),
		(status = 403, description = "Not from this machine", body = ProblemShape),
		(status = 404, description = "It cannot be found", body = ProblemShape),
		(status = 422, description = "It is malformed", body = ProblemShape),
	),
	security((), ("token" = [])),
)]
pub(super) async fn store(
	State(state): State<DataApi>,
	peer: PeerExtension,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let Path(path) = path?;
	find_manifest(&state, &path).await
}

/// Download a dataset of the network.
///
/// As /data/{cid}: this node does not fetch from others yet.
#[utoipa::path(
	get,
	path = "/data/{cid}/network/stream",
	tag = "network",
	params(("cid" = String, Path, description = "The dataset, or a block")),
	responses(
		(status = 200, description = "The data, of the media type that it was uploaded with", body = Vec<u8>, content_type = "*/*"),
		(status = 206, description = "The range", body = Vec<u8>, content_type = "*/*"),
		(status = 304, description = "The client has it"),
		(status = 400, description = "The CID is malformed", body = ProblemShape),
		(status = 404, description = "It cannot be found", body = ProblemShape),
		(status = 416, description = "The range begins beyond the data's end", body = ProblemShape),
		(status = 422, description = "It is malformed", body = ProblemShape),
		(status = 503, description = "Too many downloads are running", body = ProblemShape),
	),
)]
pub(super) async fn stream(
	State(state): State<DataApi>,
	method: Method,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	let Path(path) = path?;
	download::serve(&state, &method, &headers, cid(&path)?).await
}

/// Read what a dataset of the network is.
#[utoipa::path(
	get,
	path = "/data/{cid}/network/manifest",
	tag = "network",
	params(("cid" = String, Path, description = "The dataset")),
	responses(
		(status = 200, description = "The manifest", body = ManifestOf),
		(status = 400, description = "The CID is malformed, or no manifest's", body = ProblemShape),
		(status = 404, description = "It cannot be found", body = ProblemShape),
		(status = 422, description = "It is malformed", body = ProblemShape),
	),
)]
pub(super) async fn manifest(
	State(state): State<DataApi>,
	path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
	let Path(path) = path?;
	find_manifest(&state, &path).await
}

async fn find_manifest(state: &DataApi, path: &str) -> Result<Response, Failure> {
	let cid = cid(path)?;
	if cid.codec() != CodexManifest::CODE {
		return Err(Problem::new(ErrorKind::Malformed, "the CID is not a manifest's")
			.hint("use the CID that the upload gave")
			.into());
	}
	let manifest = state
		.blocking(move |data| download::manifest(&data.find(&cid)?))
		.await?;
	let item = ManifestOf {
		cid: cid_text(&cid),
		manifest: (&manifest).into(),
	};
	Ok(json(StatusCode::OK, &item))
}
