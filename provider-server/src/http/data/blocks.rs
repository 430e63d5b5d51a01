//! Single blocks, by CID.

use super::{
	address,
	answers::{Guarded, MalformedCid, NoRoom, NotHere, TooManyDownloads},
	cid,
	datasets::{item, Keeping},
	json, on_blocking_thread,
	shapes::{Binary, BlockInfo, DataItem, Problem as ProblemShape},
	DataApi, PeerExtension,
};
use crate::{
	data::{cid_text, put_problem, repo_problem},
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
	body::{to_bytes, Body},
	extract::{
		rejection::{PathRejection, QueryRejection},
		Path, Query, State,
	},
	http::{HeaderMap, Method, StatusCode},
	response::Response,
};
use cairn_dag::{Block, BlockError};
use cairn_provider_api::{ErrorKind, Problem};
use std::time::Duration;

/// Largest block that is taken: what IPFS peers exchange.
const MAX_BLOCK: usize = 2 << 20;

/// Read a block.
#[utoipa::path(
	get,
	path = "/blocks/{cid}",
	tag = "blocks",
	params(
		("cid" = String, Path, description = "The block"),
		("range" = Option<String>, Header, description = "`bytes=first-last`; several ranges are answered with all"),
		("if-range" = Option<String>, Header, description = "The entity tag of the block that the range is of"),
		("if-none-match" = Option<String>, Header, description = "Entity tags of blocks that need not be sent"),
	),
	responses(
		(status = 200, description = "Its bytes", body = inline(Binary), content_type = "application/vnd.ipld.raw",
			headers(("etag" = String))),
		(status = 206, description = "The range", body = inline(Binary), content_type = "application/vnd.ipld.raw"),
		(status = 304, description = "The client has it"),
		MalformedCid,
		NotHere,
		(status = 416, description = "The range begins beyond the block's end", body = ProblemShape),
		TooManyDownloads,
	),
)]
pub(super) async fn get(
	State(state): State<DataApi>,
	method: Method,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	let Path(path) = path?;
	let cid = cid(&path)?;
	let place = place(&state.api.retrievals).await?;
	let block = state.blocking(move |data| data.find(&cid)).await?;
	let etag = format!("\"{}\"", cid_text(&cid));
	let mut answer = vec![
		("etag", etag.clone()),
		("cache-control", "private, max-age=29030400, immutable".to_owned()),
		("x-content-type-options", "nosniff".to_owned()),
	];
	if not_modified(&headers, &etag) {
		return Ok(response(StatusCode::NOT_MODIFIED, &answer, Body::empty()));
	}
	let Selected {
		status,
		bytes,
		headers: selected,
	} = select(&method, &headers, &etag, block.data().len() as u64)?;
	answer.extend(selected);
	answer.push(("content-type", "application/vnd.ipld.raw".to_owned()));
	answer.push(("content-disposition", disposition(true, None)));
	if method == Method::HEAD {
		return Ok(response(status, &answer, Body::empty()));
	}
	// Within the block, which is in memory.
	let bytes = block.bytes().slice(bytes.start as usize..bytes.end as usize);
	state
		.api
		.provider
		.metrics
		.bytes_served
		.with_label_values(&["data"])
		.inc_by(bytes.len() as u64);
	Ok(response(status, &answer, body::at_hand(bytes, place)))
}

/// Store a block.
///
/// It becomes a dataset of its own, which keeps it also when others that have it go.
#[utoipa::path(
	put,
	path = "/blocks/{cid}",
	tag = "blocks",
	params(("cid" = String, Path, description = "The block's CID: its bytes must hash to it"), Keeping),
	request_body(content = inline(Binary), content_type = "application/vnd.ipld.raw", description = "At most 2 MiB"),
	responses(
		(status = 200, description = "It was a dataset's root already, and is kept as long as asked for", body = DataItem),
		(status = 201, description = "It is stored", body = DataItem),
		MalformedCid,
		Guarded,
		(status = 408, description = "The block does not come", body = ProblemShape),
		(status = 413, description = "More than 2 MiB", body = ProblemShape),
		(status = 422, description = "The bytes are not those of the CID, or its hash function is unknown", body = ProblemShape),
		(status = 503, description = "Too many blocks come at once", body = ProblemShape),
		NoRoom,
	),
	security((), ("token" = [])),
)]
pub(super) async fn put(
	State(state): State<DataApi>,
	peer: PeerExtension,
	path: Result<Path<String>, PathRejection>,
	keeping: Result<Query<Keeping>, QueryRejection>,
	headers: HeaderMap,
	body: Body,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let Path(path) = path?;
	let cid = cid(&path)?;
	let Query(keeping) = keeping?;
	let ttl = keeping.ttl()?;
	let _place = state.blocks.try_acquire().map_err(|_| {
		Problem::new(ErrorKind::Busy, "too many blocks come at once").hint("try again in a moment")
	})?;
	let patience = Duration::from_secs(state.api.provider.config.server.body_timeout_seconds);
	let bytes = tokio::time::timeout(patience, to_bytes(body, MAX_BLOCK))
		.await
		.map_err(|_| Problem::new(ErrorKind::IdleTimeout, "the block does not come"))?
		.map_err(|error| {
			tracing::debug!(%error, "a block was not taken");
			Problem::new(
				ErrorKind::TooLarge,
				format!("blocks have at most {MAX_BLOCK} bytes"),
			)
			.hint("upload larger data to /data, which cuts it into blocks")
		})?;
	state
		.api
		.provider
		.metrics
		.bytes_received
		.inc_by(bytes.len() as u64);
	let data = state.data.clone();
	let (item, new) = on_blocking_thread(move || {
		if Block::from_identity(&cid).is_some() {
			return Err(
				Problem::new(ErrorKind::Unprocessable, "the CID holds the block itself")
					.hint("it needs no storing"),
			);
		}
		let block = Block::new(cid, bytes).map_err(|error| block_problem(&error))?;
		let (dataset, new) = data.put_block(block, ttl).map_err(put_problem)?;
		Ok((item(&data, &dataset)?, new))
	})
	.await?;
	let status = if new { StatusCode::CREATED } else { StatusCode::OK };
	Ok(json(status, &item))
}

fn block_problem(error: &BlockError) -> Problem {
	let problem = Problem::new(ErrorKind::Unprocessable, error.to_string());
	match error {
		BlockError::HashMismatch { .. } => {
			problem.hint("send the block's bytes as they are, without an encoding")
		}
		_ => problem.hint("use sha2-256, sha2-512, keccak-256, blake2b-256 or blake3"),
	}
}

/// Show what is known about a block without reading it.
#[utoipa::path(
	get,
	path = "/blocks/{cid}/stat",
	tag = "blocks",
	params(("cid" = String, Path, description = "The block")),
	responses(
		(status = 200, description = "What is known", body = BlockInfo),
		MalformedCid,
		NotHere,
	),
)]
pub(super) async fn stat(
	State(state): State<DataApi>,
	path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
	let Path(path) = path?;
	let cid = cid(&path)?;
	let stat = state
		.blocking(move |data| data.repo.stat(&cid).map_err(repo_problem))
		.await?;
	let stat = stat.ok_or_else(|| {
		Problem::new(
			ErrorKind::NotFound,
			format!("block {} is not stored here", cid_text(&cid)),
		)
		.hint("blocks of deals are not in the block store: ask /ipfs/{cid}?format=raw")
	})?;
	Ok(json(StatusCode::OK, &BlockInfo::new(&cid, stat)))
}
