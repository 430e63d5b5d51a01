//! Datasets: uploaded in one request, listed, kept longer, deleted.

use super::{
	address,
	answers::{GivenUp, Guarded, MalformedCid, NoUpload},
	cid,
	headers::{self, MediaTypes},
	json, receive,
	shapes::{Binary, DataItem, DataList, DatasetChange, Exists, Problem as ProblemShape, Space},
	DataApi, PeerExtension,
};
use crate::{
	config::Lifetime,
	data::{cid_text, expiry, repo_problem, uploads::Terms, Data},
	http::problem::Failure,
};
use axum::{
	body::{to_bytes, Body},
	extract::{
		rejection::{PathRejection, QueryRejection},
		Path, Query, State,
	},
	http::{HeaderMap, HeaderValue, StatusCode},
	response::{IntoResponse, Response},
};
use cairn_blockstore::Dataset;
use cairn_dag::{
	codec::{codex::CodexManifest, BlockCodec},
	codex::Manifest,
};
use cairn_provider_api::{ErrorKind, Problem};
use serde::Deserialize;
use std::time::Duration;
use utoipa::IntoParams;

/// Datasets of a page, unless the request says how many.
const PAGE: usize = 100;
/// Most datasets of a page.
const MAX_PAGE: usize = 1000;
/// Largest body that says what to change.
const MAX_CHANGE: usize = 4096;

/// How to keep what is uploaded.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Keeping {
	/// For how long: `never` to expire, or seconds [default: as the server is configured].
	#[param(value_type = Option<String>, example = "86400")]
	ttl: Option<String>,
}

impl Keeping {
	/// The lifetime asked for.
	///
	/// # Errors
	/// [`ErrorKind::Malformed`].
	pub fn ttl(&self) -> Result<Option<cairn_blockstore::Ttl>, Problem> {
		let parsed = self.ttl.as_deref().map(str::parse::<Lifetime>).transpose();
		let ttl = parsed.map_err(|error| {
			Problem::new(ErrorKind::Malformed, error.to_string()).hint("write ?ttl=86400 or ?ttl=never")
		})?;
		Ok(ttl.map(Into::into))
	}
}

/// Which datasets to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
	/// The first one: `next` of the page before [default: the first of all].
	from: Option<String>,
	/// How many, at most 1000 [default: 100].
	#[param(minimum = 1, maximum = 1000)]
	limit: Option<usize>,
}

/// Upload data in one request.
///
/// The data is cut into blocks of 64 KiB; the dataset's CID is that of its manifest, which holds name and media
/// type too. Nothing is kept of an upload that breaks off: use /uploads for what must be resumed.
#[utoipa::path(
	post,
	path = "/data",
	tag = "data",
	params(
		Keeping,
		("content-type" = Option<String>, Header, description = "Media type of the data"),
		("content-disposition" = Option<String>, Header, description = "`attachment; filename=\"name\"`"),
	),
	request_body(content = inline(Binary), content_type = "application/octet-stream", description = "The data"),
	responses(
		(status = 201, description = "The dataset", body = DataItem, headers(("location" = String))),
		(status = 400, description = "Less data than `content-length` announced", body = ProblemShape),
		Guarded,
		(status = 408, description = "Too little data for too long", body = ProblemShape),
		GivenUp,
		(status = 413, description = "More data than `content-length` announced", body = ProblemShape),
		NoUpload,
	),
	security((), ("token" = [])),
)]
pub(super) async fn upload(
	State(state): State<DataApi>,
	peer: PeerExtension,
	keeping: Result<Query<Keeping>, QueryRejection>,
	headers: HeaderMap,
	body: Body,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let Query(keeping) = keeping?;
	let terms = headers::terms(&headers, MediaTypes::Any).and_then(|terms| {
		Ok(Terms {
			ttl: keeping.ttl()?,
			..terms
		})
	});
	let dataset = receive::whole(&state, &headers, body, terms).await?;
	created(&state, dataset).await
}

/// The answer that a dataset has been made.
pub(super) async fn created(state: &DataApi, dataset: Dataset) -> Result<Response, Failure> {
	let item = state.blocking(move |data| item(data, &dataset)).await?;
	let location = format!("/api/cairn/v1/data/{}", item.cid);
	let mut answer = json(StatusCode::CREATED, &item);
	if let Ok(location) = HeaderValue::from_str(&location) {
		answer.headers_mut().insert("location", location);
	}
	Ok(answer)
}

/// List the datasets.
#[utoipa::path(
	get,
	path = "/data",
	tag = "data",
	params(Page),
	responses(
		(status = 200, description = "A page of the list", body = DataList),
		(status = 400, description = "`from` or `limit` is malformed", body = ProblemShape),
		Guarded,
	),
	security((), ("token" = [])),
)]
pub(super) async fn list(
	State(state): State<DataApi>,
	peer: PeerExtension,
	page: Result<Query<Page>, QueryRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let Query(page) = page?;
	let from = page.from.as_deref().map(cid).transpose()?;
	let limit = page.limit.unwrap_or(PAGE);
	if !(1..=MAX_PAGE).contains(&limit) {
		return Err(Problem::new(ErrorKind::Malformed, "`limit` is out of range")
			.hint(format!("ask for 1 to {MAX_PAGE} datasets"))
			.into());
	}
	let list = state
		.blocking(move |data| {
			let page = data.repo.datasets(from.as_ref(), limit).map_err(repo_problem)?;
			let content = page.datasets.iter().map(|dataset| item(data, dataset));
			Ok(DataList {
				content: content.collect::<Result<_, _>>()?,
				next: page.next.as_ref().map(cid_text),
			})
		})
		.await?;
	Ok(json(StatusCode::OK, &list))
}

/// Keep a dataset longer.
#[utoipa::path(
	patch,
	path = "/data/{cid}",
	tag = "data",
	params(("cid" = String, Path, description = "The dataset")),
	request_body(content = DatasetChange, example = json!({"ttl": 86400})),
	responses(
		(status = 200, description = "The dataset as it is now", body = DataItem),
		(status = 400, description = "The CID or the body is malformed", body = ProblemShape),
		Guarded,
		(status = 404, description = "No such dataset", body = ProblemShape),
		(status = 408, description = "The body does not come", body = ProblemShape),
	),
	security((), ("token" = [])),
)]
pub(super) async fn change(
	State(state): State<DataApi>,
	peer: PeerExtension,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
	body: Body,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let Path(path) = path?;
	let root = cid(&path)?;
	let malformed = |reason: String| {
		Problem::new(ErrorKind::Malformed, format!("the body cannot be read: {reason}"))
			.hint("send {\"ttl\": 86400} or {\"ttl\": \"never\"}")
	};
	let patience = Duration::from_secs(state.api.provider.config.server.body_timeout_seconds);
	let body = tokio::time::timeout(patience, to_bytes(body, MAX_CHANGE))
		.await
		.map_err(|_| Problem::new(ErrorKind::IdleTimeout, "the body does not come"))?
		.map_err(|error| malformed(error.to_string()))?;
	let change: DatasetChange =
		serde_json::from_slice(&body).map_err(|error| malformed(error.to_string()))?;
	let item = state
		.blocking(move |data| {
			let dataset = data
				.repo
				.extend(&root, expiry(change.ttl.into()))
				.map_err(repo_problem)?;
			item(data, &dataset)
		})
		.await?;
	Ok(json(StatusCode::OK, &item))
}

/// Delete a dataset.
///
/// It is gone for every reader when the answer comes; its bytes are freed soon after. Deleting what is not there
/// succeeds.
#[utoipa::path(
	delete,
	path = "/data/{cid}",
	tag = "data",
	params(("cid" = String, Path, description = "The dataset")),
	responses(
		(status = 204, description = "It is not there (any more)"),
		MalformedCid,
		Guarded,
		(status = 409, description = "A live deal needs it, or it is a block of a dataset", body = ProblemShape),
	),
	security((), ("token" = [])),
)]
pub(super) async fn delete(
	State(state): State<DataApi>,
	peer: PeerExtension,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let Path(path) = path?;
	let root = cid(&path)?;
	state
		.blocking(move |data| data.repo.delete(&root).map_err(repo_problem))
		.await?;
	Ok(StatusCode::NO_CONTENT.into_response())
}

/// Ask whether a block or dataset is stored here.
#[utoipa::path(
	get,
	path = "/data/{cid}/exists",
	tag = "data",
	params(("cid" = String, Path, description = "A dataset or block")),
	responses(
		(status = 200, description = "Whether it is", body = Exists),
		MalformedCid,
	),
)]
pub(super) async fn exists(
	State(state): State<DataApi>,
	path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
	let Path(path) = path?;
	let cid = cid(&path)?;
	let exists = is_stored(&state, cid).await?;
	let cid = cid_text(&cid);
	Ok(json(StatusCode::OK, &Exists { cid, exists }))
}

/// Whether a block is stored here.
pub(super) async fn is_stored(state: &DataApi, cid: cid::Cid) -> Result<bool, Problem> {
	state
		.blocking(move |data| data.repo.has(&cid).map_err(repo_problem))
		.await
}

/// Show how full the block store is.
#[utoipa::path(
	get,
	path = "/space",
	tag = "node",
	responses((status = 200, description = "How full it is", body = Space)),
)]
pub(super) async fn space(State(state): State<DataApi>) -> Result<Response, Failure> {
	let space = state
		.blocking(|data| data.repo.space().map_err(repo_problem))
		.await?;
	Ok(json(StatusCode::OK, &Space::from(space)))
}

/// A dataset as it is shown. Reads its manifest.
pub(super) fn item(data: &Data, dataset: &Dataset) -> Result<DataItem, Problem> {
	let manifest = if dataset.root.codec() == CodexManifest::CODE {
		// A damaged manifest is none: the rest of the list is still worth showing.
		let block = data.repo.get(&dataset.root).ok().flatten();
		block.and_then(|block| Manifest::decode(block.data()).ok())
	} else {
		None
	};
	Ok(DataItem::new(dataset, manifest.as_ref()))
}
