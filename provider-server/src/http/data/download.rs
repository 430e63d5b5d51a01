//! A dataset's data, or a block's bytes.

use super::{
	answers::{MalformedCid, NotHere, TooManyDownloads},
	cid,
	headers::media_type,
	shapes::{Binary, Problem as ProblemShape},
	DataApi,
};
use crate::{
	data::{
		cid_text,
		fetches::{links_of, Reading},
		Data,
	},
	http::{
		body::{self, BodyWriter},
		conditional::{not_modified, select, Selected},
		gateway::disposition,
		place,
		places::Place,
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
use bytes::Bytes;
use cairn_dag::{
	codec::{codex::CodexManifest, BlockCodec},
	codex::{DatasetChunks, Manifest},
	unixfs::{FileChunks, Node},
	Block, BlockSource,
};
use cairn_provider_api::{ErrorKind, Problem};
use cid::Cid;
use std::{io, ops::Range, time::Duration};

/// What may be done with what a stranger uploaded, if a browser shows it after all: nothing.
const POLICY: &str = "sandbox; default-src 'none'";

/// Download a dataset's data.
///
/// Of the root of a UnixFS file, the file's content; of other CIDs that are no manifest, the block's bytes. Ranges (`range`, `if-range`) and conditions (`if-none-match`)
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
		(status = 200, description = "The data, of the media type that it was uploaded with", body = inline(Binary), content_type = "*/*",
			headers(("etag" = String), ("content-length" = u64), ("content-disposition" = String))),
		(status = 206, description = "The range", body = inline(Binary), content_type = "*/*",
			headers(("etag" = String), ("content-range" = String))),
		(status = 304, description = "The client has it"),
		MalformedCid,
		NotHere,
		(status = 416, description = "The range begins beyond the data's end", body = ProblemShape),
		(status = 422, description = "The CID is a manifest's, and its block is no manifest", body = ProblemShape),
		TooManyDownloads,
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
pub(super) enum Content {
	Dataset(Manifest),
	/// A file, of which this is the root, and its bytes.
	File(Block, u64),
	Block(Block),
}

/// Where the blocks of it come from.
pub(super) enum Origin {
	/// The block store, and the place among those who read it.
	Here(Place),
	/// The network.
	Arriving(Reading),
}

/// Answers a request for the data of `cid` from the block store.
///
/// # Errors
/// [`ErrorKind::NotFound`], [`ErrorKind::RangeNotSatisfiable`], [`ErrorKind::Busy`], and failures to read.
pub(super) async fn serve(
	state: &DataApi,
	method: &Method,
	headers: &HeaderMap,
	cid: Cid,
) -> Result<Response, Failure> {
	// A place first: what waits for one holds no block.
	let place = place(&state.api.retrievals).await?;
	let content = state.blocking(move |data| find(data, &cid)).await?;
	answer(state, method, headers, &cid, content, Origin::Here(place)).await
}

/// The headers that answers about `cid` have in any case, the entity tag first.
pub(super) fn common_headers(cid: &Cid) -> Vec<(&'static str, String)> {
	vec![
		("etag", format!("\"{}\"", cid_text(cid))),
		("cache-control", "private, max-age=29030400, immutable".to_owned()),
		("x-content-type-options", "nosniff".to_owned()),
		("content-security-policy", POLICY.to_owned()),
	]
}

/// Answers a request for the data of `cid`, whose root is known.
///
/// If the data arrives while it is sent, the last of it is sent when the dataset is stored: whoever got all of it
/// knows that it is here now.
///
/// # Errors
/// [`ErrorKind::RangeNotSatisfiable`], [`ErrorKind::Busy`].
pub(super) async fn answer(
	state: &DataApi,
	method: &Method,
	headers: &HeaderMap,
	cid: &Cid,
	content: Content,
	origin: Origin,
) -> Result<Response, Failure> {
	let mut answer = common_headers(cid);
	let etag = answer[0].1.clone();
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
		Content::File(_, size) => (*size, None, None),
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
	let timeout = Duration::from_secs(state.api.provider.config.server.write_timeout_seconds);
	let served = state
		.api
		.provider
		.metrics
		.bytes_served
		.with_label_values(&["data"]);
	let sent = move |sent| served.inc_by(sent);
	let body = match origin {
		Origin::Here(place) => {
			let repo = state.data.repo.clone();
			body::blocking(timeout, place, sent, move |out| {
				write(out, &content, &repo, wanted, || Ok(()))
			})
		}
		Origin::Arriving(reading) => {
			let place = place(&state.api.retrievals).await?;
			let blocks = reading.blocks();
			let is_all = wanted.start == 0 && wanted.end == size;
			// A body without bytes is not waited for by anybody.
			if size == 0 {
				reading.fetch().dataset().await?;
			}
			// When the client is gone, so is the reader.
			body::blocking(timeout, (place, reading), sent, move |out| {
				write(out, &content, &blocks, wanted, || match is_all {
					true => blocks.wait_until_stored().map(drop).map_err(io::Error::other),
					false => Ok(()),
				})
			})
		}
	};
	Ok(response(status, &answer, body))
}

/// Writes a range of the content, the last part of it after `before_last`. Blocks the thread.
fn write<S: BlockSource>(
	out: &mut BodyWriter,
	content: &Content,
	blocks: &S,
	wanted: Range<u64>,
	before_last: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
	let parts: Box<dyn Iterator<Item = io::Result<Bytes>> + '_> = match content {
		Content::Dataset(manifest) => Box::new(
			DatasetChunks::new(blocks, manifest, wanted.into()).map(|part| part.map_err(io::Error::other)),
		),
		Content::File(root, _) => Box::new(
			FileChunks::new(blocks, *root.cid(), wanted.into()).map(|part| part.map_err(io::Error::other)),
		),
		// Within the block, which is in memory.
		Content::Block(block) => Box::new(std::iter::once(Ok(block
			.bytes()
			.slice(wanted.start as usize..wanted.end as usize)))),
	};
	let mut last = None;
	for part in parts {
		if let Some(part) = last.replace(part?) {
			out.write_bytes(part)?;
		}
	}
	before_last()?;
	match last {
		Some(part) => out.write_bytes(part),
		None => Ok(()),
	}
}

/// Looks up what is served. Blocks the thread.
fn find(data: &Data, cid: &Cid) -> Result<Content, Problem> {
	let content = content(data.find(cid)?)?;
	// A root can be here as a block alone.
	let below = match &content {
		Content::Dataset(manifest) if manifest.content_size() > 0 => Some(manifest.tree),
		Content::File(root, _) => links_of(root)?.first().copied(),
		Content::Dataset(_) | Content::Block(_) => None,
	};
	below.map_or(Ok(()), |cid| data.find(&cid).map(drop))?;
	Ok(content)
}

/// What a root stands for: of a manifest the dataset, of a file's root the file, of others their own bytes.
///
/// # Errors
/// [`ErrorKind::Unprocessable`] if it should be a manifest and is malformed.
pub(super) fn content(root: Block) -> Result<Content, Problem> {
	if root.cid().codec() == CodexManifest::CODE {
		return manifest(&root).map(Content::Dataset);
	}
	match Node::decode(&root) {
		Ok(Node::File(file)) => Ok(Content::File(root, file.size)),
		_ => Ok(Content::Block(root)),
	}
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
