//! The HTTP server: uploads, retrieval, JSON-RPC, health and metrics on one listener.
//!
//! | route | what |
//! |---|---|
//! | `POST /rpc` | JSON-RPC 2.0 ([`rpc`]) |
//! | `PUT PATCH HEAD DELETE /upload/{hash}` | a deal's data ([`upload`]) |
//! | `GET HEAD /ipfs/{cid}[/path]` | IPFS trustless gateway ([`gateway`]) |
//! | `GET HEAD /piece/{cid}` | a piece's payload, with ranges ([`piece`]) |
//! | `GET /healthz`, `GET /metrics` | for operators ([`health`]) |
//!
//! Every response carries `x-request-id`; errors are [`cairn_provider_api::Problem`] as JSON.

mod body;
mod gateway;
mod health;
mod piece;
mod problem;
mod rpc;
mod server;
mod upload;
mod write_timeout;

/// The parsers of request heads: for the fuzz targets alone, and no interface.
#[doc(hidden)]
pub mod request_head {
	pub use super::{
		gateway::{choose, not_modified, Choice, Format},
		piece::{range, Requested},
		upload::start,
	};
}

pub(crate) use rpc::sector_status;
pub use server::{serve, ServeError};

use crate::provider::Provider;
use axum::{
	extract::Request,
	http::{HeaderValue, Method, StatusCode},
	middleware::{self, Next},
	response::{IntoResponse, Response},
	routing::{any, get, post},
	Router,
};
use cairn_provider_api::{ErrorKind, Problem};
use problem::Failure;
use std::sync::{
	atomic::{AtomicU64, Ordering},
	Arc,
};
use tokio::sync::Semaphore;
use tracing::Instrument;

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Api {
	provider: Arc<Provider>,
	/// Responses that read data at the same time.
	retrievals: Arc<Semaphore>,
}

/// The routes.
///
/// # Errors
/// Never: the names of the JSON-RPC methods are distinct.
pub fn router(provider: Arc<Provider>) -> Result<Router, jsonrpsee::core::RegisterMethodError> {
	let rpc = rpc::Service::new(provider.clone())?;
	let api = Api {
		retrievals: Arc::new(Semaphore::new(provider.config.server.max_retrievals)),
		provider: provider.clone(),
	};
	Ok(Router::new()
		.route("/upload/{hash}", any(upload::handle))
		.route("/ipfs/{cid}", get(gateway::root))
		.route("/ipfs/{cid}/{*path}", get(gateway::below))
		.route("/piece/{cid}", get(piece::handle))
		.route("/healthz", get(health::healthz))
		.route("/metrics", get(health::metrics))
		.with_state(api)
		.route(
			cairn_provider_api::rpc::PATH,
			post(move |request| rpc.clone().handle(request)),
		)
		.fallback(|| async {
			Failure::from(
				Problem::new(ErrorKind::NotFound, "there is nothing at this path").hint(
					"the paths are /rpc, /upload/{hash}, /ipfs/{cid}, /piece/{cid}, /healthz and /metrics",
				),
			)
		})
		.method_not_allowed_fallback(|method: Method| async move {
			let problem = Problem::new(ErrorKind::Malformed, format!("{method} is not allowed here"))
				.hint("data is read with GET or HEAD, written with PUT or PATCH to /upload; /rpc takes POST");
			(StatusCode::METHOD_NOT_ALLOWED, Failure::from(problem).into_body()).into_response()
		})
		.layer(middleware::from_fn(move |request, next| {
			observe(provider.clone(), request, next)
		})))
}

/// Gives each request an id, a span in the log, and its place in the metrics.
async fn observe(provider: Arc<Provider>, request: Request, next: Next) -> Response {
	static NEXT: AtomicU64 = AtomicU64::new(1);
	let id = format!(
		"{:x}-{}",
		std::process::id(),
		NEXT.fetch_add(1, Ordering::Relaxed)
	);
	let route = match request.uri().path().split('/').nth(1).unwrap_or_default() {
		route @ ("upload" | "ipfs" | "piece" | "rpc" | "healthz" | "metrics") => route,
		_ => "other",
	}
	.to_owned();
	// Paths hold CIDs and hashes, no secrets; queries are left out all the same.
	let span = tracing::info_span!("request", id, method = %request.method(), path = %request.uri().path());
	let mut response = problem::with_request_id(id.clone(), next.run(request))
		.instrument(span.clone())
		.await;
	let status = response.status();
	let class = format!("{}xx", status.as_u16() / 100);
	provider
		.metrics
		.requests
		.with_label_values(&[&route, &class])
		.inc();
	span.in_scope(|| tracing::debug!(status = status.as_u16(), "answered"));
	if let Ok(id) = HeaderValue::from_str(&id) {
		response.headers_mut().insert("x-request-id", id);
	}
	response
}

#[cfg(test)]
mod tests;
