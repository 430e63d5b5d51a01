//! A dataset's data, or a block's bytes.

use super::{cid, headers::media_type, shapes::Problem as ProblemShape, DataApi};
use crate::{
	data::{cid_text, Data},
	http::{
		body,
		conditional::{not_modified, select, Selected},
		gateway::disposition,
		place,
		problem::Failure,
		response,
	},
};
use axum::{
	body::Body,
	extract::{rejection::PathRejection, Path, State},
	http::{HeaderMap, Method, StatusCode},
	response::Response,
};
use cairn_dag::{
	codec::{codex::CodexManifest, BlockCodec},
	codex::{DatasetChunks, Manifest},
	Block,
};
use cairn_provider_api::{ErrorKind, Problem};
use cid::Cid;
use std::{io, time::Duration};

/// What may be done with what a stranger uploaded, if a browser shows it after all: nothing.
const POLICY: &str = "sandbox; default-src 'none'";

/// Download a dataset's data.
///
/// Of a CID that is no manifest, the block's bytes. Ranges (`range`, `if-range`) and conditions (`if-none-match`)
/// are those of RFC 9110; the entity tag is the CID.
#[utoipa::path(
	get,
	path = "/data/{cid}",
	tag = "data",
	params(
		("cid" = String, Path, description = "The dataset, or a block"),
		("range" = Option<String>, Header, description = "`bytes=first-last`; several ranges are answered with all"),
		("if-range" = Option<String>, Header, description = "The entity tag of the data that the range is of"),
		("if-none-match" = Option<String>, Header, description = "Entity tags of data that need not be sent"),
	),
	responses(
		(status = 200, description = "The data, of the media type that it was uploaded with", body = Vec<u8>, content_type = "*/*",
			headers(("etag" = String), ("content-length" = u64), ("content-disposition" = String))),
		(status = 206, description = "The range", body = Vec<u8>, content_type = "*/*",
			headers(("etag" = String), ("content-range" = String))),
		(status = 304, description = "The client has it"),
		(status = 400, description = "The CID is malformed", body = ProblemShape),
		(status = 404, description = "Not stored here", body = ProblemShape),
		(status = 416, description = "The range begins beyond the data's end", body = ProblemShape),
		(status = 422, description = "The CID is a manifest's, and the block is none", body = ProblemShape),
		(status = 503, description = "Too many downloads are running", body = ProblemShape),
	),
)]
pub(super) async fn download(
	State(state): State<DataApi>,
	method: Method,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	let Path(path) = path?;
	serve(&state, &method, &headers, cid(&path)?).await
}

/// What is served.
enum Content {
	Dataset(Manifest),
	Block(Block),
}

/// Answers a request for the data of `cid`.
///
/// # Errors
/// [`ErrorKind::NotFound`], [`ErrorKind::RangeNotSatisfiable`], [`ErrorKind::Busy`], and failures to read.
pub(super) async fn serve(
	state: &DataApi,
	method: &Method,
	headers: &HeaderMap,
	cid: Cid,
) -> Result<Response, Failure> {
	let content = state.blocking(move |data| find(data, &cid)).await?;
	let etag = format!("\"{}\"", cid_text(&cid));
	let mut answer = vec![
		("etag", etag.clone()),
		("cache-control", "private, max-age=29030400, immutable".to_owned()),
		("x-content-type-options", "nosniff".to_owned()),
		("content-security-policy", POLICY.to_owned()),
	];
	if not_modified(headers, &etag) {
		return Ok(response(StatusCode::NOT_MODIFIED, &answer, Body::empty()));
	}
	let (size, name, kind) = match &content {
		Content::Dataset(manifest) => (
			manifest.content_size(),
			manifest.filename.as_deref(),
			// What strangers wrote must not become a header as it is.
			manifest
				.mimetype
				.as_deref()
				.filter(|kind| media_type(kind).is_some()),
		),
		Content::Block(block) => (block.data().len() as u64, None, None),
	};
	answer.push((
		"content-type",
		kind.unwrap_or("application/octet-stream").to_owned(),
	));
	answer.push(("content-disposition", disposition(true, name)));
	let Selected {
		status,
		bytes: wanted,
		headers: selected,
	} = select(method, headers, &etag, size)?;
	answer.extend(selected);
	if method == Method::HEAD {
		return Ok(response(status, &answer, Body::empty()));
	}
	let place = place(&state.api.retrievals).await?;
	let timeout = Duration::from_secs(state.api.provider.config.server.write_timeout_seconds);
	let served = state
		.api
		.provider
		.metrics
		.bytes_served
		.with_label_values(&["data"]);
	let repo = state.data.repo.clone();
	let body = body::blocking(
		timeout,
		place,
		move |sent| served.inc_by(sent),
		move |out| match content {
			Content::Dataset(manifest) => {
				for chunk in DatasetChunks::new(repo, &manifest, wanted.into()) {
					out.write_bytes(chunk.map_err(io::Error::other)?)?;
				}
				Ok(())
			}
			// Within the block, which is in memory.
			Content::Block(block) => {
				out.write_bytes(block.bytes().slice(wanted.start as usize..wanted.end as usize))
			}
		},
	);
	Ok(response(status, &answer, body))
}

/// Looks up what is served. Blocks the thread.
fn find(data: &Data, cid: &Cid) -> Result<Content, Problem> {
	let block = data.find(cid)?;
	if cid.codec() != CodexManifest::CODE {
		return Ok(Content::Block(block));
	}
	let manifest = manifest(&block)?;
	if manifest.content_size() > 0 {
		// A manifest can be here as a block alone.
		data.find(&manifest.tree)?;
	}
	Ok(Content::Dataset(manifest))
}

/// Reads a manifest.
///
/// # Errors
/// [`ErrorKind::Unprocessable`] if the block is malformed.
pub(super) fn manifest(block: &Block) -> Result<Manifest, Problem> {
	Manifest::decode(block.data()).map_err(|error| {
		Problem::new(
			ErrorKind::Unprocessable,
			format!("{} is no manifest: {error}", cid_text(block.cid())),
		)
		.hint("GET /blocks/{cid} gives its bytes")
	})
}
