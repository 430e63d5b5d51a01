//! The HTTP server: uploads, retrieval, JSON-RPC, health and metrics on one listener.
//!
//! | route | what |
//! |---|---|
//! | `POST /rpc` | JSON-RPC 2.0 ([`rpc`]) |
//! | `PUT PATCH HEAD DELETE /upload/{hash}` | a deal's data ([`upload`]) |
//! | `GET HEAD /ipfs/{cid}[/path]` | IPFS gateway ([`gateway`]) |
//! | `GET HEAD /piece/{cid}` | a piece's payload, with ranges ([`piece`]) |
//! | `/api/cairn/v1/…`, `/api/codex/v1/…` | the node's own block store ([`data`]) |
//! | `/api/cairn/v1/peers/banned…` | bans of the network's peers ([`banned_peers`]) |
//! | `GET /healthz`, `GET /metrics` | for operators ([`health`]) |
//!
//! Every response carries `x-request-id`; errors are [`cairn_provider_api::Problem`] as JSON. What a client may
//! send is limited by its address ([`rate_limit`], [`client_address`]), apart for what operators ask; of connections and
//! of responses that read data it has a share ([`places`]).

mod banned_peers;
mod body;
mod client_address;
mod conditional;
mod data;
mod gateway;
mod health;
mod piece;
mod places;
mod problem;
mod rate_limit;
mod recent;
mod request_id;
mod rpc;
mod server;
mod upload;
mod write_timeout;

/// The parsers of request heads: for the fuzz targets alone, and no interface.
#[doc(hidden)]
pub mod request_head {
	pub use super::{
		client_address::client,
		conditional::{not_modified, range, Requested},
		data::{content_disposition, media_type},
		gateway::{
			by_content, choose, content_location, disposition, media_ranges, parameter, Car, Choice, Format,
			Parameters,
		},
		request_id::given,
		upload::start,
	};
}

pub(crate) use banned_peers::{BannedPeer, BannedPeers, PATH as BANNED_PEERS};
pub(crate) use rpc::sector_status;
pub use server::{serve, ServeError};

use crate::provider::Provider;
use axum::{
	body::Body,
	extract::Request,
	http::{header, HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
	middleware::{self, Next},
	response::{IntoResponse, Response},
	routing::{any, get, post},
	Router,
};
use body::Holding;
use cairn_provider_api::{ErrorKind, Problem};
use client_address::{client, Peer};
use gateway::WalkMemory;
use governor::clock::MonotonicClock;
use places::{Place, Places};
use problem::Failure;
use rate_limit::RateLimits;
use recent::Recent;
use std::{
	net::IpAddr,
	num::NonZeroU32,
	sync::{Arc, Mutex},
	time::{Duration, Instant},
};
use tower_http::cors::{self, CorsLayer};
use tracing::Instrument;

/// How long a request waits for a place among the retrievals.
const PLACE_PATIENCE: Duration = Duration::from_secs(10);

/// Requests a second for `/healthz` and `/metrics` that one client may send for long: they have limits of their own, so
/// that whoever looks after the server is heard also from where much is retrieved.
const OPERATOR_REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
/// Such requests that a client may send at once.
const OPERATOR_BURST: NonZeroU32 = NonZeroU32::new(50).expect("not zero");

/// Requests that take longer to be answered are logged by default.
const SLOW: Duration = Duration::from_secs(1);

/// Characters of a path that the log shows.
const MAX_LOGGED_PATH: usize = 256;

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Api {
	provider: Arc<Provider>,
	/// Responses that read data at the same time.
	retrievals: Places,
	/// What these remember of the objects that they walk through.
	walks: WalkMemory,
	/// Held while a block is converted to another encoding.
	conversions: Arc<Mutex<()>>,
	/// What operators ask for, as it was found lately.
	disk_available: Recent<Option<u64>>,
	counts: Recent<Result<(), String>>,
}

impl Api {
	/// Whether the request may do what is for the operator's programs.
	fn check_access(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Failure> {
		self.provider.access.check(peer, headers).map_err(|problem| {
			let unauthorized = problem.kind == ErrorKind::Unauthorized;
			let failure = Failure::from(problem);
			if unauthorized {
				// Not Basic: browsers would ask for a password, remember it, and send it for any page.
				failure.header("www-authenticate", "Bearer")
			} else {
				failure
			}
		})
	}
}

/// The routes.
///
/// # Errors
/// Never: the names of the JSON-RPC methods are distinct.
pub fn router(provider: Arc<Provider>) -> Result<Router, jsonrpsee::core::RegisterMethodError> {
	let rpc = rpc::Service::new(provider.clone())?;
	let (server, metrics) = (&provider.config.server, &provider.metrics);
	let api = Api {
		retrievals: Places::new(
			server.max_retrievals,
			server.max_retrievals_per_client,
			metrics.retrievals.clone(),
		),
		walks: WalkMemory::new(provider.config.gateway.walk_memory.0, metrics.walk_memory.clone()),
		conversions: Arc::default(),
		disk_available: Recent::default(),
		counts: Recent::default(),
		provider: provider.clone(),
	};
	let at_least_one = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
	let door = Arc::new(Door {
		limits: RateLimits::new(
			at_least_one(server.requests_per_second),
			at_least_one(server.request_burst),
			MonotonicClock,
		),
		operators: RateLimits::new(OPERATOR_REQUESTS_PER_SECOND, OPERATOR_BURST, MonotonicClock),
		proxied: Places::new(
			server.max_connections,
			server.max_connections_per_client,
			metrics.proxied_requests.clone(),
		),
		provider: provider.clone(),
	});
	let readable_anywhere = Router::new()
		.merge(gateway::routes())
		.route("/piece/{cid}", get(piece::handle))
		// Below the layer, or it would not see preflights.
		.method_not_allowed_fallback(method_not_allowed)
		.layer(open_cors())
		.layer(middleware::from_fn(only_preflights));
	let data = data::routes(&api);
	Ok(Router::new()
		.route("/upload/{hash}", any(upload::handle))
		.merge(readable_anywhere)
		.route("/healthz", get(health::healthz))
		.route("/metrics", get(health::metrics))
		.with_state(api)
		.merge(data)
		.route(
			cairn_provider_api::rpc::PATH,
			post(move |request| rpc.clone().handle(request)),
		)
		.fallback(|| async {
			Failure::from(
				Problem::new(ErrorKind::NotFound, "there is nothing at this path").hint(
					"the paths are /rpc, /upload/{hash}, /ipfs/{cid}, /piece/{cid}, /api/cairn/v1, /api/codex/v1, /healthz and /metrics",
				),
			)
		})
		.method_not_allowed_fallback(method_not_allowed)
		.layer(middleware::from_fn(move |request, next| {
			observe(door.clone(), request, next)
		})))
}

async fn method_not_allowed(method: Method) -> Response {
	let problem = Problem::new(ErrorKind::Malformed, format!("{method} is not allowed here"))
		.hint("data is read with GET or HEAD, written with PUT or PATCH to /upload; /rpc takes POST");
	(StatusCode::METHOD_NOT_ALLOWED, Failure::from(problem).into_body()).into_response()
}

/// The CORS layer takes every OPTIONS for a preflight.
async fn only_preflights(request: Request, next: Next) -> Response {
	let is_preflight = request
		.headers()
		.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
	if request.method() == Method::OPTIONS && !is_preflight {
		return method_not_allowed(Method::OPTIONS).await;
	}
	next.run(request).await
}

/// Pages of any origin may read what anyone may read. No cookies are involved.
fn open_cors() -> CorsLayer {
	let name = HeaderName::from_static;
	CorsLayer::new()
		.allow_origin(cors::Any)
		.allow_methods([Method::GET, Method::HEAD, Method::OPTIONS])
		.allow_headers([
			header::ACCEPT,
			header::CACHE_CONTROL,
			header::CONTENT_TYPE,
			header::IF_NONE_MATCH,
			header::IF_RANGE,
			header::RANGE,
			header::USER_AGENT,
			name("x-requested-with"),
			name(request_id::HEADER),
		])
		.expose_headers([
			header::ACCEPT_RANGES,
			header::CONTENT_DISPOSITION,
			header::CONTENT_LENGTH,
			header::CONTENT_LOCATION,
			header::CONTENT_RANGE,
			header::ETAG,
			header::RETRY_AFTER,
			name("x-ipfs-path"),
			name("x-ipfs-roots"),
			name(request_id::HEADER),
		])
		.max_age(Duration::from_secs(24 * 3600))
}

/// What every request passes.
struct Door {
	provider: Arc<Provider>,
	limits: RateLimits,
	/// The same for what operators ask.
	operators: RateLimits,
	/// Requests that proxies send for others: on their connections, which are not counted.
	proxied: Places,
}

impl Door {
	fn client(&self, request: &Request) -> Option<IpAddr> {
		let Peer(peer) = request.extensions().get::<Peer>()?;
		client(
			*peer,
			request.headers(),
			&self.provider.config.server.trusted_proxies,
		)
	}

	/// Lets a request of `client` in, or says why not. What it returns is to be held until the response is sent.
	fn admit(&self, client: IpAddr, peer: IpAddr, route: &str) -> Result<Option<Place>, Failure> {
		let limits = match route {
			"healthz" | "metrics" => &self.operators,
			_ => &self.limits,
		};
		limits.take(client).map_err(too_many)?;
		if client == peer.to_canonical() {
			// Its connections are counted.
			return Ok(None);
		}
		self.proxied
			.try_take(client)
			.map(Some)
			.ok_or_else(too_many_at_once)
	}
}

/// Gives each request an id, a span in the log, and its place in the metrics; refuses it if its client has sent too
/// many.
async fn observe(door: Arc<Door>, request: Request, next: Next) -> Response {
	let started = Instant::now();
	let id = request_id::given(request.headers()).map_or_else(request_id::fresh, str::to_owned);
	let route = match request.uri().path().split('/').nth(1).unwrap_or_default() {
		route @ ("api" | "upload" | "ipfs" | "piece" | "rpc" | "healthz" | "metrics") => route,
		_ => "other",
	}
	.to_owned();
	let client = door.client(&request);
	let peer = request.extensions().get::<Peer>().map(|Peer(peer)| *peer);
	// Paths hold CIDs, hashes and names, no secrets; queries are left out all the same.
	let path = request.uri().path();
	let span = tracing::info_span!(
		"request",
		id,
		method = %request.method(),
		path = &path[..path.floor_char_boundary(MAX_LOGGED_PATH)],
		client = client.map(tracing::field::display),
	);
	let admitted = match (client, peer) {
		(Some(client), Some(peer)) => door.admit(client, peer, &route),
		_ => Ok(None),
	};
	let answer = async {
		match admitted {
			Ok(None) => next.run(request).await,
			Ok(Some(place)) => {
				let response = next.run(request).await;
				response.map(|body| Body::new(Holding::new(body, place)))
			}
			Err(refused) => refused.into_response(),
		}
	};
	let answer = client_address::with_client(client, answer);
	let mut response = problem::with_request_id(id.clone(), answer)
		.instrument(span.clone())
		.await;
	let status = response.status();
	let class = format!("{}xx", status.as_u16() / 100);
	door.provider
		.metrics
		.requests
		.with_label_values(&[&route, &class])
		.inc();
	let elapsed = started.elapsed();
	door.provider
		.metrics
		.request_seconds
		.with_label_values(&[&route])
		.observe(elapsed.as_secs_f64());
	let (code, milliseconds) = (status.as_u16(), elapsed.as_millis() as u64);
	span.in_scope(|| {
		if status.is_server_error() || elapsed >= SLOW {
			tracing::info!(target: "cairn_provider_server::access", status = code, milliseconds, "answered");
		} else {
			tracing::debug!(target: "cairn_provider_server::access", status = code, milliseconds, "answered");
		}
	});
	if let Ok(id) = HeaderValue::from_str(&id) {
		response.headers_mut().insert(request_id::HEADER, id);
	}
	response
}

fn too_many(wait: Duration) -> Failure {
	// Rounded up: who waits for less is refused again.
	let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
	let problem = Problem::new(ErrorKind::RateLimited, "too many requests from your address")
		.hint(format!("wait for {} s", seconds.max(1)));
	Failure::from(problem).header("retry-after", seconds.max(1).to_string())
}

fn too_many_at_once() -> Failure {
	let problem = Problem::new(
		ErrorKind::RateLimited,
		"too many requests from your address at the same time",
	)
	.hint("wait for the answers to others");
	Failure::from(problem).header("retry-after", "1")
}

/// Takes a place among the retrievals for the request that the task works on.
async fn place(retrievals: &Places) -> Result<Place, Problem> {
	tokio::time::timeout(PLACE_PATIENCE, retrievals.take(client_address::limited()))
		.await
		.map_err(|_| {
			Problem::new(ErrorKind::Busy, "too many retrievals are running").hint("try again in a moment")
		})
}

/// Runs `work` on a thread that may block. It runs to its end also if nobody waits for it any more.
async fn on_blocking_thread<T: Send + 'static>(
	work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
	let span = tracing::Span::current();
	tokio::task::spawn_blocking(move || span.in_scope(work))
		.await
		.unwrap_or_else(|error| {
			tracing::error!(%error, "a request failed");
			Err(Problem::new(ErrorKind::Internal, "the server failed").hint("its log has the cause"))
		})
}

/// A response with headers whose values are visible ASCII; others are left out.
fn response(status: StatusCode, headers: &[(&'static str, String)], body: Body) -> Response {
	let mut response = Response::new(body);
	*response.status_mut() = status;
	for (name, value) in headers {
		if let Ok(value) = HeaderValue::from_str(value) {
			response.headers_mut().insert(*name, value);
		}
	}
	response
}

#[cfg(test)]
mod tests;
