//! Problems as HTTP responses.

use axum::{
	body::Body,
	extract::rejection::{PathRejection, QueryRejection},
	http::{header, HeaderValue, StatusCode},
	response::{IntoResponse, Response},
};
use cairn_provider_api::{ErrorKind, Problem};
use std::future::Future;

tokio::task_local! {
	/// Id of the request that the task works on.
	static REQUEST_ID: String;
}

/// Runs a request's handler so that problems know its id.
pub(super) fn with_request_id<T>(id: String, handler: impl Future<Output = T>) -> impl Future<Output = T> {
	REQUEST_ID.scope(id, handler)
}

/// A problem on its way to the client, with headers that help it.
#[derive(Debug)]
pub(super) struct Failure {
	problem: Problem,
	headers: Vec<(&'static str, String)>,
}

impl From<Problem> for Failure {
	fn from(problem: Problem) -> Self {
		Failure {
			problem,
			headers: Vec::new(),
		}
	}
}

impl From<PathRejection> for Failure {
	fn from(rejection: PathRejection) -> Self {
		let message = format!("the path cannot be read: {}", rejection.body_text());
		Problem::new(ErrorKind::Malformed, message)
			.hint("write hashes and CIDs as they are, and names as percent-encoded UTF-8")
			.into()
	}
}

impl From<QueryRejection> for Failure {
	fn from(rejection: QueryRejection) -> Self {
		let message = format!("the query cannot be read: {}", rejection.body_text());
		Problem::new(ErrorKind::Malformed, message)
			.hint("write it as name=value&name=value, percent-encoded")
			.into()
	}
}

impl Failure {
	/// Adds a header.
	pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
		self.headers.push((name, value.into()));
		self
	}

	/// The cause.
	pub fn kind(&self) -> ErrorKind {
		self.problem.kind
	}

	/// Body alone, for another status than the kind's.
	pub fn into_body(mut self) -> ([(header::HeaderName, HeaderValue); 2], Vec<u8>) {
		self.problem.request_id = REQUEST_ID.try_with(Clone::clone).ok();
		// Strings and an enum: this cannot fail.
		let json = serde_json::to_vec(&self.problem).unwrap_or_default();
		let headers = [
			(header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
			(header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
		];
		(headers, json)
	}
}

impl IntoResponse for Failure {
	fn into_response(self) -> Response {
		let status = StatusCode::from_u16(self.problem.kind.http_status())
			.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
		let retry = self.problem.kind == ErrorKind::Busy || self.problem.kind == ErrorKind::ChainUnavailable;
		let headers = self.headers.clone();
		let (fixed, json) = self.into_body();
		let mut response = Response::new(Body::from(json));
		*response.status_mut() = status;
		for (name, value) in fixed {
			response.headers_mut().insert(name, value);
		}
		if retry {
			response
				.headers_mut()
				.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
		}
		for (name, value) in headers {
			if let Ok(value) = HeaderValue::from_str(&value) {
				response.headers_mut().insert(name, value);
			}
		}
		response
	}
}
