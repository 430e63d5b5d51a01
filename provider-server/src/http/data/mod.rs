//! The data API: uploading, listing, reading and deleting what is in the node's own block store.
//!
//! Under `/api/cairn/v1` all of it, with a description in OpenAPI at `/api/cairn/v1/openapi.json`; routes and
//! description are made from the same annotations ([`openapi`]). A node without a block store has there what is not
//! about one ([`banned_peers`](super::banned_peers)), and nothing else. Under `/api/codex/v1` what Codex's clients
//! know ([`codex`]), in the same shapes.
//!
//! | file | what |
//! |---|---|
//! | [`datasets`] | upload in one request, list, keep longer, delete, does it exist |
//! | [`download`] | a dataset's data, with ranges and conditions |
//! | [`network`] | the same of what other nodes may have |
//! | [`fetches`] | how far what is fetched from them is |
//! | [`uploads`] | uploads in several requests |
//! | [`receive`] | a request's body into an upload |
//! | [`blocks`] | single blocks |
//! | [`answers`] | refusals that several routes have in common |
//! | [`headers`] | what request headers say about the data |
//! | [`shapes`] | the JSON |

pub(super) mod answers;
mod blocks;
mod codex;
mod datasets;
mod download;
mod fetches;
mod headers;
mod network;
mod openapi;
mod receive;
mod shapes;
mod uploads;

pub use headers::{content_disposition, media_type};
pub(super) use shapes::Problem as ProblemShape;

use super::{client_address::Peer, on_blocking_thread, problem::Failure, request_id, Api};
use crate::data::Data;
use axum::{
	body::Body,
	extract::Extension,
	http::{header, HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
	middleware,
	response::Response,
	Router,
};
use cairn_provider_api::{cid_text, ErrorKind, Problem};
use cid::Cid;
use serde::Serialize;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Blocks that are received at the same time, each in memory.
const MAX_BLOCKS_IN_FLIGHT: usize = 16;

/// What the handlers of this API share.
#[derive(Clone)]
struct DataApi {
	api: Api,
	data: Arc<Data>,
	/// Places for blocks in memory.
	blocks: Arc<Semaphore>,
}

/// The routes; those of the block store only if the node keeps one.
pub(super) fn routes(api: &Api) -> Router {
	let origins = &api.provider.config.api.cors_origins;
	let cors = (!origins.is_empty()).then(|| cors(origins));
	let state = api.provider.data.clone().map(|data| DataApi {
		api: api.clone(),
		data,
		blocks: Arc::new(Semaphore::new(MAX_BLOCKS_IN_FLIGHT)),
	});
	let mut routes = Router::new().nest("/api/cairn/v1", openapi::routes(api.clone(), state.clone()));
	if let Some(state) = state {
		routes = routes.nest("/api/codex/v1", codex::routes().with_state(state));
	}
	let routes = routes.method_not_allowed_fallback(super::method_not_allowed);
	match cors {
		Some(cors) => routes
			.layer(cors)
			.layer(middleware::from_fn(super::only_preflights)),
		None => routes,
	}
}

/// Lets pages of the origins in the configuration use the API from a browser.
fn cors(origins: &[String]) -> CorsLayer {
	let origins = origins
		.iter()
		.filter_map(|origin| HeaderValue::from_str(origin).ok());
	let name = HeaderName::from_static;
	CorsLayer::new()
		.allow_origin(AllowOrigin::list(origins))
		.allow_methods([
			Method::GET,
			Method::HEAD,
			Method::POST,
			Method::PUT,
			Method::PATCH,
			Method::DELETE,
		])
		.allow_headers([
			header::AUTHORIZATION,
			header::CONTENT_DISPOSITION,
			header::CONTENT_TYPE,
			header::IF_NONE_MATCH,
			header::IF_RANGE,
			header::RANGE,
			name(headers::UPLOAD_COMPLETE),
			name(headers::UPLOAD_LENGTH),
			name(headers::UPLOAD_OFFSET),
			name(request_id::HEADER),
		])
		.expose_headers([
			header::ACCEPT_RANGES,
			header::CONTENT_DISPOSITION,
			header::CONTENT_LENGTH,
			header::CONTENT_RANGE,
			header::ETAG,
			header::LOCATION,
			header::RETRY_AFTER,
			name(headers::UPLOAD_COMPLETE),
			name(headers::UPLOAD_LENGTH),
			name(headers::UPLOAD_LIMIT),
			name(headers::UPLOAD_OFFSET),
			name(request_id::HEADER),
		])
		.max_age(Duration::from_secs(3600))
}

impl DataApi {
	/// Whether the request may change the block store, or list what is in it.
	fn check_access(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Failure> {
		self.api.check_access(peer, headers)
	}

	/// Runs `work` on a thread that may block.
	async fn blocking<T: Send + 'static>(
		&self,
		work: impl FnOnce(&Data) -> Result<T, Problem> + Send + 'static,
	) -> Result<T, Problem> {
		let data = self.data.clone();
		on_blocking_thread(move || work(&data)).await
	}
}

/// The other end of the connection, for [`DataApi::check_access`].
pub(super) type PeerExtension = Option<Extension<Peer>>;

pub(super) fn address(peer: &PeerExtension) -> Option<IpAddr> {
	peer.as_ref().map(|Extension(Peer(address))| *address)
}

/// The CID in a path.
fn cid(text: &str) -> Result<Cid, Problem> {
	cid_text::parse(text).map_err(|error| {
		Problem::new(ErrorKind::Malformed, format!("the path holds no CID: {error}"))
			.hint("write it as the upload's answer gave it")
	})
}

/// A JSON answer that is not to be kept.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
	// Strings, numbers and lists: this cannot fail.
	let body = serde_json::to_vec(value).unwrap_or_default();
	let headers = [
		("content-type", "application/json".to_owned()),
		("cache-control", "no-store".to_owned()),
	];
	super::response(status, &headers, Body::from(body))
}
