//! Datasets that are being fetched from other nodes: how far they are, and giving them up.

use super::{
	address,
	answers::{Guarded, MalformedCid, NotFetched},
	cid, json,
	shapes::{FetchItem, FetchList},
	DataApi, PeerExtension,
};
use crate::http::problem::Failure;
use axum::{
	extract::{rejection::PathRejection, Path, State},
	http::{HeaderMap, StatusCode},
	response::{IntoResponse, Response},
};
use cairn_provider_api::{ErrorKind, Problem};

/// List the datasets that are being fetched or were lately.
#[utoipa::path(
	get,
	path = "/fetches",
	operation_id = "list_fetches",
	tag = "network",
	responses(
		(status = 200, description = "The fetches, in the order in which they began", body = FetchList),
		Guarded,
	),
	security((), ("token" = [])),
)]
pub(super) async fn list(
	State(state): State<DataApi>,
	peer: PeerExtension,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let fetches = state.data.fetches.list().into_iter().map(Into::into).collect();
	Ok(json(StatusCode::OK, &FetchList { fetches }))
}

/// Show how far a fetch is.
#[utoipa::path(
	get,
	path = "/fetches/{cid}",
	operation_id = "show_fetch",
	tag = "network",
	params(("cid" = String, Path, description = "The dataset")),
	responses(
		(status = 200, description = "The fetch", body = FetchItem),
		MalformedCid,
		Guarded,
		NotFetched,
	),
	security((), ("token" = [])),
)]
pub(super) async fn show(
	State(state): State<DataApi>,
	peer: PeerExtension,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let Path(path) = path?;
	let status = state.data.fetches.status(&cid(&path)?).ok_or_else(unknown)?;
	Ok(json(StatusCode::OK, &FetchItem::from(status)))
}

/// Give a fetch up, or forget one that has ended.
///
/// Nothing of what came is kept. A dataset that is stored already stays.
#[utoipa::path(
	delete,
	path = "/fetches/{cid}",
	operation_id = "give_up_fetch",
	tag = "network",
	params(("cid" = String, Path, description = "The dataset")),
	responses(
		(status = 204, description = "It has ended"),
		MalformedCid,
		Guarded,
		NotFetched,
	),
	security((), ("token" = [])),
)]
pub(super) async fn give_up(
	State(state): State<DataApi>,
	peer: PeerExtension,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let Path(path) = path?;
	if state.data.fetches.give_up(&cid(&path)?).await {
		Ok(StatusCode::NO_CONTENT.into_response())
	} else {
		Err(unknown().into())
	}
}

fn unknown() -> Problem {
	Problem::new(ErrorKind::NotFound, "the dataset is not being fetched").hint("GET /fetches lists what is")
}
