//! For operators: is it alive, and how is it doing. What takes a look at the disk is looked up at most once a second.

use super::{problem::Failure, Api};
use crate::provider::Provider;
use axum::{
	extract::State,
	http::{header, StatusCode},
	response::{IntoResponse, Response},
};
use cairn_provider_api::{ErrorKind, Problem};
use serde::Serialize;

/// Seconds without a finalized block after which the provider counts as cut off from its chain.
const STALE_AFTER_SECONDS: u64 = 120;

#[derive(Serialize)]
struct Health {
	schema: &'static str,
	healthy: bool,
	finalized: u32,
	seconds_since_block: u64,
	disk_available: Option<u64>,
}

/// 200 while the chain advances and the disk answers, else 503; the body says why.
pub(super) async fn healthz(State(api): State<Api>) -> Response {
	let view = api.provider.view();
	let age = view.seen.elapsed().as_secs();
	let provider = api.provider.clone();
	let disk_available = api
		.disk_available
		.get(move || provider.disk().available().ok())
		.await
		.unwrap_or_default();
	let healthy = age < STALE_AFTER_SECONDS && disk_available.is_some();
	let health = Health {
		schema: "cairn.provider.health/1",
		healthy,
		finalized: view.finalized,
		seconds_since_block: age,
		disk_available,
	};
	let status = if healthy {
		StatusCode::OK
	} else {
		StatusCode::SERVICE_UNAVAILABLE
	};
	let json = serde_json::to_vec(&health).unwrap_or_default();
	(
		status,
		[
			(header::CONTENT_TYPE, "application/json"),
			(header::CACHE_CONTROL, "no-store"),
		],
		json,
	)
		.into_response()
}

/// Prometheus' exposition text.
pub(super) async fn metrics(State(api): State<Api>) -> Result<Response, Failure> {
	let provider = api.provider.clone();
	let counted = api.counts.get(move || count(&provider)).await;
	let text = counted
		.unwrap_or_else(|error| Err(error.to_string()))
		.and_then(|()| api.provider.metrics.encode().map_err(|error| error.to_string()))
		.map_err(|error| {
			tracing::error!(error, "metrics failed");
			Problem::new(ErrorKind::Internal, "the metrics cannot be read")
		})?;
	Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// Counts what the databases hold. Blocks.
fn count(provider: &Provider) -> Result<(), String> {
	provider
		.metrics
		.count(&provider.store)
		.map_err(|error| error.to_string())?;
	if let Some(data) = &provider.data {
		let space = data.repo.space().map_err(|error| error.to_string())?;
		provider.metrics.show_space(&space);
	}
	Ok(())
}
