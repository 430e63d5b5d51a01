//! Datasets of the network: what is not here is fetched from other nodes ([`crate::data::fetches`]).
//!
//! What is here is for everybody who may read it. To have something fetched is for who may change the block store:
//! it takes room, and makes this node ask others.

use super::{
	address,
	answers::{GivenUp, Guarded, GuardedUnlessHere, MalformedCid, NoRoom, NotDelivered, NotFollowed},
	cid,
	download::{self, Origin},
	json,
	shapes::{ManifestOf, Problem as ProblemShape},
	DataApi, PeerExtension,
};
use crate::{
	data::{cid_text, put_problem},
	http::{conditional::not_modified, place, problem::Failure, response},
};
use axum::{
	body::Body,
	extract::{rejection::PathRejection, Path, State},
	http::{header, HeaderMap, Method, StatusCode},
	response::Response,
};
use cairn_dag::{
	codec::{codex::CodexManifest, BlockCodec},
	Block,
};
use cairn_provider_api::{ErrorKind, Problem};
use cid::Cid;

/// Store a dataset of the network here.
///
/// The answer comes when the root is here and the room for the dataset is set aside; the rest is fetched in the
/// background, also after a restart, and visible when all of it came. /fetches/{cid} shows how far it is. Roots of
/// other codecs will do, too: the dataset is everything below them.
#[utoipa::path(
	post,
	path = "/data/{cid}/network",
	tag = "network",
	params(("cid" = String, Path, description = "The dataset")),
	responses(
		(status = 200, description = "The dataset is here, or being fetched", body = ManifestOf),
		MalformedCid,
		Guarded,
		NotDelivered,
		GivenUp,
		NotFollowed,
		(status = 503, description = "Too many datasets are being fetched", body = ProblemShape),
		NoRoom,
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
	let cid = cid(&path)?;
	let here = state
		.blocking(move |data| {
			let Some(whole) = data.whole(&cid)? else {
				return Ok(None);
			};
			if !whole.is_kept {
				// A block of another dataset, with which it would go.
				data.put_block(whole.root.clone(), None).map_err(put_problem)?;
			}
			Ok(Some(whole.root))
		})
		.await?;
	let root = match here {
		Some(root) => root,
		None => {
			let fetch = state.data.fetches.keep(cid).await.map_err(Problem::from)?;
			fetch.root_block().await?
		}
	};
	let manifest = match cid.codec() {
		CodexManifest::CODE => Some(download::manifest(&root)?),
		_ => None,
	};
	let item = ManifestOf {
		cid: cid_text(&cid),
		manifest: manifest.as_ref().map(Into::into),
	};
	Ok(json(StatusCode::OK, &item))
}

/// Download a dataset of the network.
///
/// As /data/{cid}, for what is here. What is not is sent while it is fetched, and stored here if all of it comes: the
/// last bytes are sent when it is. If the client goes away before, nothing is kept, unless somebody else wants the
/// dataset. To have it fetched needs the same right as to upload.
#[utoipa::path(
	get,
	path = "/data/{cid}/network/stream",
	tag = "network",
	params(("cid" = String, Path, description = "The dataset, or a block")),
	responses(
		(status = 200, description = "The data, of the media type that it was uploaded with", body = inline(super::shapes::Binary), content_type = "*/*"),
		(status = 206, description = "The range", body = inline(super::shapes::Binary), content_type = "*/*"),
		(status = 304, description = "The client has it"),
		MalformedCid,
		GuardedUnlessHere,
		NotDelivered,
		GivenUp,
		(status = 416, description = "The range begins beyond the data's end", body = ProblemShape),
		NotFollowed,
		(status = 503, description = "Too many downloads are running, or datasets being fetched", body = ProblemShape),
		NoRoom,
	),
	security((), ("token" = [])),
)]
pub(super) async fn stream(
	State(state): State<DataApi>,
	peer: PeerExtension,
	method: Method,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	let Path(path) = path?;
	let cid = cid(&path)?;
	let whole = state.blocking(move |data| data.whole(&cid)).await?;
	let (root, origin) = match whole {
		Some(whole) => (whole.root, Origin::Here(place(&state.api.retrievals).await?)),
		None => {
			state.check_access(address(&peer), &headers)?;
			let known = download::common_headers(&cid);
			// Any (`*`) means any that is here.
			let names_one = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag != "*");
			if names_one && not_modified(&headers, &known[0].1) {
				// Before anybody is asked for what the client has.
				return Ok(response(StatusCode::NOT_MODIFIED, &known, Body::empty()));
			}
			let reading = state.data.fetches.read(cid).map_err(Problem::from)?;
			(reading.fetch().root_block().await?, Origin::Arriving(reading))
		}
	};
	let content = download::content(root)?;
	download::answer(&state, &method, &headers, &cid, content, origin).await
}

/// Read what a dataset of the network is.
///
/// Only the manifest is fetched, and nothing is stored. What is not here is fetched for who may upload.
#[utoipa::path(
	get,
	path = "/data/{cid}/network/manifest",
	tag = "network",
	params(("cid" = String, Path, description = "The dataset")),
	responses(
		(status = 200, description = "The manifest", body = ManifestOf),
		(status = 400, description = "The CID is malformed, or no manifest's", body = ProblemShape),
		GuardedUnlessHere,
		NotDelivered,
		(status = 422, description = "It is malformed", body = ProblemShape),
		(status = 503, description = "Too many are being fetched", body = ProblemShape),
	),
	security((), ("token" = [])),
)]
pub(super) async fn manifest(
	State(state): State<DataApi>,
	peer: PeerExtension,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	let Path(path) = path?;
	let cid = cid(&path)?;
	if cid.codec() != CodexManifest::CODE {
		return Err(Problem::new(ErrorKind::Malformed, "the CID is not a manifest's")
			.hint("use the CID that the upload gave")
			.into());
	}
	let block = match here(&state, cid).await? {
		Some(block) => block,
		None => {
			state.check_access(address(&peer), &headers)?;
			state.data.fetches.block(cid).await.map_err(Problem::from)?
		}
	};
	let manifest = download::manifest(&block)?;
	let item = ManifestOf {
		cid: cid_text(&cid),
		manifest: Some((&manifest).into()),
	};
	Ok(json(StatusCode::OK, &item))
}

/// A block of the block store.
async fn here(state: &DataApi, cid: Cid) -> Result<Option<Block>, Problem> {
	let found = state.blocking(move |data| data.find(&cid)).await;
	match found {
		Ok(block) => Ok(Some(block)),
		Err(problem) if problem.kind == ErrorKind::NotFound => Ok(None),
		Err(problem) => Err(problem),
	}
}
