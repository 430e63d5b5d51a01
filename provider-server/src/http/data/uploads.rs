//! Uploads in several requests, in the manner of
//! [Resumable Uploads for HTTP](https://datatracker.ietf.org/doc/draft-ietf-httpbis-resumable-upload/): its
//! headers, methods and status codes. Not of it are the interim responses (104), so that a client learns an
//! upload's name only from an answer: it creates the upload without data, and then appends.

use super::{
	address,
	answers::{GivenUp, Guarded, NoRoom, NoSuchUpload, NoUpload},
	datasets::{created, Keeping},
	headers::{self, MediaTypes, UPLOAD_COMPLETE, UPLOAD_LENGTH, UPLOAD_LIMIT, UPLOAD_OFFSET},
	json, on_blocking_thread, receive,
	shapes::{Binary, DataItem, Problem as ProblemShape, UploadItem, UploadList},
	DataApi, PeerExtension,
};
use crate::{
	data::uploads::{Running, Status},
	http::problem::Failure,
};
use axum::{
	body::{Body, BodyDataStream},
	extract::{
		rejection::{PathRejection, QueryRejection},
		Path, Query, State,
	},
	http::{HeaderMap, HeaderValue, StatusCode},
	response::{IntoResponse, Response},
};
use cairn_blockstore::Dataset;
use cairn_provider_api::{ErrorKind, Problem};

/// What a request made of its upload.
enum Outcome {
	/// More is to come.
	Partial(Status),
	/// All of it.
	Whole(Dataset),
}

/// Begin an upload.
///
/// With `upload-complete: ?1` the body is all of the data, and the answer is the dataset. Else the answer names
/// the upload (`location`), and PATCH goes on with it.
#[utoipa::path(
	post,
	path = "/uploads",
	tag = "uploads",
	params(
		Keeping,
		("upload-complete" = Option<String>, Header, description = "`?1` if the data ends with this body, else `?0`"),
		("upload-length" = Option<u64>, Header, description = "Bytes of the data, if known"),
		("content-type" = Option<String>, Header, description = "Media type of the data"),
		("content-disposition" = Option<String>, Header, description = "`attachment; filename=\"name\"`"),
	),
	request_body(content = inline(Binary), content_type = "application/octet-stream",
		description = "The first part of the data, which may be none"),
	responses(
		(status = 201, description = "The upload, with its `upload-offset`; or with `upload-complete: ?1` the dataset",
			body = inline(BegunOrWhole), headers(("location" = String))),
		(status = 400, description = "A header is malformed", body = ProblemShape),
		Guarded,
		(status = 408, description = "Too little data for too long", body = ProblemShape),
		GivenUp,
		(status = 413, description = "More data than announced", body = ProblemShape),
		NoUpload,
	),
	security((), ("token" = [])),
)]
pub(super) async fn begin(
	State(state): State<DataApi>,
	peer: PeerExtension,
	keeping: Result<Query<Keeping>, QueryRejection>,
	headers: HeaderMap,
	body: Body,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let Query(keeping) = keeping?;
	let mut terms = headers::terms(&headers, MediaTypes::Any)?;
	terms.ttl = keeping.ttl()?;
	terms.length = headers::number(&headers, UPLOAD_LENGTH)?;
	terms.resumable = true;
	let complete = headers::boolean(&headers, UPLOAD_COMPLETE)?.unwrap_or(false);
	let announced = headers::number(&headers, "content-length")?;
	if complete {
		terms.length = terms.length.or(announced);
	}
	let mut body = body.into_data_stream();
	let uploads = state.data.uploads.clone();
	let begun = on_blocking_thread(move || uploads.begin(terms)).await;
	let outcome = match begun {
		Ok(running) => append(&state, running, announced, complete, &mut body).await,
		Err(problem) => Err(problem.into()),
	};
	match receive::settle(&state, &headers, outcome, &mut body).await? {
		Outcome::Whole(dataset) => created(&state, dataset).await,
		Outcome::Partial(status) => {
			let location = format!("/api/cairn/v1/uploads/{}", status.id);
			let mut answer = progress(StatusCode::CREATED, status);
			if let Ok(location) = HeaderValue::from_str(&location) {
				answer.headers_mut().insert("location", location);
			}
			Ok(answer)
		}
	}
}

/// The answers to beginning an upload.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "describes answers in the OpenAPI document")]
#[serde(untagged)]
pub(super) enum BegunOrWhole {
	Begun(UploadItem),
	Whole(DataItem),
}

/// Go on with an upload.
///
/// With `upload-complete: ?1` the data ends with the body, and the answer is the dataset. After a broken
/// connection HEAD tells the offset to go on from.
#[utoipa::path(
	patch,
	path = "/uploads/{id}",
	tag = "uploads",
	params(
		("id" = String, Path, description = "The upload"),
		("upload-offset" = u64, Header, example = 131072,
			description = "Where in the data the body begins: as many bytes as came"),
		("upload-complete" = Option<String>, Header, description = "`?1` if the data ends with this body, else `?0`"),
		("upload-length" = Option<u64>, Header, description = "Bytes of the data, if known only now"),
	),
	request_body(content = inline(Binary), content_type = "application/partial-upload", description = "The next part of the data"),
	responses(
		(status = 201, description = "The dataset", body = DataItem, headers(("location" = String))),
		(status = 204, description = "The data came", headers(("upload-offset" = u64), ("upload-complete" = String))),
		(status = 400, description = "A header is malformed, or less data than announced", body = ProblemShape),
		Guarded,
		NoSuchUpload,
		(status = 408, description = "Too little data for too long", body = ProblemShape),
		(status = 409, description = "Another offset than the `upload-offset` of this answer, another request has the \
			upload, or it is complete", body = ProblemShape),
		(status = 413, description = "More data than announced", body = ProblemShape),
		(status = 422, description = "No data", body = ProblemShape),
		NoRoom,
	),
	security((), ("token" = [])),
)]
pub(super) async fn go_on(
	State(state): State<DataApi>,
	peer: PeerExtension,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
	body: Body,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let Path(id) = path?;
	let mut body = body.into_data_stream();
	let outcome = patch(&state, &id, &headers, &mut body).await;
	match receive::settle(&state, &headers, outcome, &mut body).await? {
		Outcome::Whole(dataset) => created(&state, dataset).await,
		Outcome::Partial(status) => {
			let mut answer = progress(StatusCode::NO_CONTENT, status);
			answer.headers_mut().remove("content-type");
			*answer.body_mut() = Body::empty();
			Ok(answer)
		}
	}
}

async fn patch(
	state: &DataApi,
	id: &str,
	headers: &HeaderMap,
	body: &mut BodyDataStream,
) -> Result<Outcome, Failure> {
	let offset = headers::number(headers, UPLOAD_OFFSET)?.ok_or_else(|| {
		Problem::new(ErrorKind::Malformed, "PATCH needs an upload-offset header").hint("ask for it with HEAD")
	})?;
	let complete = headers::boolean(headers, UPLOAD_COMPLETE)?.unwrap_or(false);
	let announced = headers::number(headers, "content-length")?;
	let length = headers::number(headers, UPLOAD_LENGTH)?;
	let mut running = state.data.uploads.resume(id)?;
	if offset != running.received() {
		let held = running.received().to_string();
		let problem = Problem::new(
			ErrorKind::OffsetMismatch,
			format!("{held} bytes came so far, and the body begins at byte {offset}"),
		)
		.hint("go on from the offset in the upload-offset header");
		return Err(Failure::from(problem).header(UPLOAD_OFFSET, held));
	}
	if let Some(length) = length {
		running = announce(running, length).await?;
	}
	append(state, running, announced, complete, body).await
}

async fn announce(mut running: Running, length: u64) -> Result<Running, Failure> {
	Ok(on_blocking_thread(move || running.announce(length).map(|()| running)).await?)
}

/// Adds a body to an upload, and finishes it if that was all.
async fn append(
	state: &DataApi,
	mut running: Running,
	announced: Option<u64>,
	complete: bool,
	body: &mut BodyDataStream,
) -> Result<Outcome, Failure> {
	if let (true, Some(announced)) = (complete, announced) {
		let length = running.received().saturating_add(announced);
		running = announce(running, length).await?;
	}
	let running = receive::receive(state, running, announced, body).await?;
	let received = running.received();
	if complete {
		if running.terms().length.is_some_and(|length| received < length) {
			let problem = Problem::new(ErrorKind::TooSmall, "the data ended before the announced length")
				.hint("send the rest");
			return Err(Failure::from(problem).header(UPLOAD_OFFSET, received.to_string()));
		}
		let dataset = on_blocking_thread(move || running.finish()).await?;
		return Ok(Outcome::Whole(dataset));
	}
	let id = running.id().to_owned();
	// Back to where the next request finds it.
	drop(running);
	let status = state.data.uploads.status(&id);
	Ok(Outcome::Partial(
		status.ok_or_else(crate::data::uploads::discarded)?,
	))
}

/// List the uploads that are open or were finished lately, those in one request included.
#[utoipa::path(
	get,
	path = "/uploads",
	operation_id = "list_uploads",
	tag = "uploads",
	responses(
		(status = 200, description = "The uploads", body = UploadList),
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
	let uploads = state.data.uploads.list().into_iter().map(Into::into).collect();
	Ok(json(StatusCode::OK, &UploadList { uploads }))
}

/// Show how far an upload is.
///
/// HEAD gives the headers alone.
#[utoipa::path(
	get,
	path = "/uploads/{id}",
	tag = "uploads",
	params(("id" = String, Path, description = "The upload")),
	responses(
		(status = 200, description = "The upload; with `upload-length` if that is known", body = UploadItem,
			headers(("upload-offset" = u64), ("upload-complete" = String), ("upload-limit" = String))),
		(status = 400, description = "The id is malformed", body = ProblemShape),
		Guarded,
		NoSuchUpload,
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
	let Path(id) = path?;
	let status = state.data.uploads.status(&id).ok_or_else(unknown)?;
	Ok(progress(StatusCode::OK, status))
}

/// Give an upload up.
#[utoipa::path(
	delete,
	path = "/uploads/{id}",
	tag = "uploads",
	params(("id" = String, Path, description = "The upload")),
	responses(
		(status = 204, description = "It is gone, and what came of it"),
		(status = 400, description = "The id is malformed", body = ProblemShape),
		Guarded,
		NoSuchUpload,
	),
	security((), ("token" = [])),
)]
pub(super) async fn discard(
	State(state): State<DataApi>,
	peer: PeerExtension,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	state.check_access(address(&peer), &headers)?;
	let Path(id) = path?;
	if state.data.uploads.discard(&id) {
		Ok(StatusCode::NO_CONTENT.into_response())
	} else {
		Err(unknown().into())
	}
}

fn unknown() -> Problem {
	Problem::new(ErrorKind::NotFound, "there is no such upload").hint("GET /uploads lists those there are")
}

/// An upload's state as JSON and in headers.
fn progress(status_code: StatusCode, status: Status) -> Response {
	let mut headers = vec![
		(UPLOAD_OFFSET, status.received.to_string()),
		(
			UPLOAD_COMPLETE,
			if status.dataset.is_some() { "?1" } else { "?0" }.to_owned(),
		),
		(UPLOAD_LIMIT, format!("max-age={}", status.waits.as_secs())),
	];
	if let Some(length) = status.terms.length {
		headers.push((UPLOAD_LENGTH, length.to_string()));
	}
	let mut answer = json(status_code, &UploadItem::from(status));
	for (name, value) in headers {
		if let Ok(value) = HeaderValue::from_str(&value) {
			answer.headers_mut().insert(name, value);
		}
	}
	answer
}
