//! Bans of the network's peers, for operators: whom the node has banned for what they did, and who is to be banned or
//! pardoned. What is said here holds until the process ends: whom to refuse for ever the configuration says
//! (`network.banned_peers`).

use super::{
	data::{address, answers::Guarded, json, PeerExtension, ProblemShape},
	problem::Failure,
	Api,
};
use axum::{
	extract::{
		rejection::{PathRejection, QueryRejection},
		Path, Query, State,
	},
	http::{HeaderMap, StatusCode},
	response::{IntoResponse, Response},
};
use cairn_network::{
	peers::{Ban, Peers},
	PeerId,
};
use cairn_provider_api::{ErrorKind, Problem};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, IntoResponses, ToSchema};

/// Path of the list; that of a peer is below it.
pub(crate) const PATH: &str = "/api/cairn/v1/peers/banned";

/// For how long a peer is banned, unless the request says so.
const DEFAULT_SECONDS: u64 = 24 * 3600;
/// Longest ban.
const MAX_SECONDS: u64 = 10 * 365 * 24 * 3600;
/// Longest text that is read as a peer's id: base58 takes time that grows with the square of the length. The longest id,
/// one with a key of 42 bytes in it, has 59 characters.
const MAX_ID: usize = 128;

/// A peer that the node has no connections with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BannedPeer {
	/// Its id.
	pub peer: String,
	/// When the ban ends, in seconds since the Unix epoch.
	pub banned_until: u64,
	/// How many bans for what it did it had in a row, with this one; 0 if the operator alone banned it.
	pub offences: u32,
}

/// The peers that are banned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct BannedPeers {
	/// The peers; whose ban ends first is first.
	pub banned: Vec<BannedPeer>,
}

impl BannedPeer {
	fn new(peer: &PeerId, ban: &Ban) -> Self {
		BannedPeer {
			peer: peer.to_string(),
			banned_until: ban.until.as_secs(),
			offences: ban.count,
		}
	}
}

/// For how long to ban a peer.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Length {
	/// Seconds [default: 86400, a day].
	#[param(minimum = 1, maximum = 315_360_000)]
	seconds: Option<u64>,
}

impl Length {
	fn duration(&self) -> Result<Duration, Problem> {
		match self.seconds.unwrap_or(DEFAULT_SECONDS) {
			seconds @ 1..=MAX_SECONDS => Ok(Duration::from_secs(seconds)),
			_ => Err(Problem::new(
				ErrorKind::Malformed,
				format!("a ban has 1 to {MAX_SECONDS} seconds"),
			)
			.hint("list a peer in `[network] banned_peers` to refuse it for ever")),
		}
	}
}

/// Of all routes here.
#[derive(IntoResponses)]
#[response(status = 404, description = "The node is not a peer of the network")]
#[allow(dead_code, reason = "describes an answer in the OpenAPI document")]
struct NoNetwork(ProblemShape);

/// List the peers that are banned.
///
/// Those that the configuration refuses for ever are not among them.
#[utoipa::path(
	get,
	path = "/peers/banned",
	operation_id = "list_banned_peers",
	tag = "peers",
	responses((status = 200, description = "The peers", body = BannedPeers), Guarded, NoNetwork),
	security((), ("token" = [])),
)]
pub(super) async fn list(
	State(api): State<Api>,
	peer: PeerExtension,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	api.check_access(address(&peer), &headers)?;
	let mut bans = peers(&api)?.bans();
	bans.sort_by_key(|(peer, ban)| (ban.until, *peer));
	let banned = bans
		.iter()
		.map(|(peer, ban)| BannedPeer::new(peer, ban))
		.collect();
	Ok(json(StatusCode::OK, &BannedPeers { banned }))
}

/// Ban a peer.
///
/// Its connections are closed, and new ones refused, until the ban ends or the node is restarted. A longer ban that it
/// has stays.
#[utoipa::path(
	put,
	path = "/peers/banned/{peer}",
	operation_id = "ban_peer",
	tag = "peers",
	params(("peer" = String, Path, description = "Its id, such as `12D3Koo…`"), Length),
	responses(
		(status = 200, description = "The ban that holds now", body = BannedPeer),
		(status = 400, description = "The id or `seconds` is malformed", body = ProblemShape),
		Guarded,
		NoNetwork,
	),
	security((), ("token" = [])),
)]
pub(super) async fn ban(
	State(api): State<Api>,
	peer: PeerExtension,
	path: Result<Path<String>, PathRejection>,
	length: Result<Query<Length>, QueryRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	api.check_access(address(&peer), &headers)?;
	let Path(path) = path?;
	let (id, length) = (id(&path)?, length?.duration()?);
	let ban = peers(&api)?.ban(id, length);
	tracing::info!(peer = %id, seconds = length.as_secs(), "banned by the operator");
	Ok(json(StatusCode::OK, &BannedPeer::new(&id, &ban)))
}

/// Pardon a peer.
///
/// Its ban ends, and what it did is forgotten. One that the configuration refuses stays refused.
#[utoipa::path(
	delete,
	path = "/peers/banned/{peer}",
	operation_id = "pardon_peer",
	tag = "peers",
	params(("peer" = String, Path, description = "Its id")),
	responses(
		(status = 204, description = "It is banned no more"),
		(status = 400, description = "The id is malformed", body = ProblemShape),
		Guarded,
		(status = 404, description = "It is not banned, or the node is not a peer of the network", body = ProblemShape),
	),
	security((), ("token" = [])),
)]
pub(super) async fn pardon(
	State(api): State<Api>,
	peer: PeerExtension,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	api.check_access(address(&peer), &headers)?;
	let Path(path) = path?;
	let id = id(&path)?;
	if !peers(&api)?.pardon(&id) {
		let refused = Problem::new(ErrorKind::NotFound, "the peer is not banned");
		return Err(refused
			.hint("GET /peers/banned lists who is; whom `[network] banned_peers` names is refused as long as it does")
			.into());
	}
	tracing::info!(peer = %id, "pardoned by the operator");
	Ok(StatusCode::NO_CONTENT.into_response())
}

fn peers(api: &Api) -> Result<&Peers, Problem> {
	api.provider.peers.get().ok_or_else(|| {
		Problem::new(ErrorKind::NotFound, "this node is not a peer of the network")
			.hint("set `[network] enabled` in the server's configuration")
	})
}

/// The id in a path.
fn id(text: &str) -> Result<PeerId, Problem> {
	let parsed = (text.len() <= MAX_ID).then(|| text.parse().ok()).flatten();
	parsed.ok_or_else(|| {
		Problem::new(ErrorKind::Malformed, "the path holds no peer's id")
			.hint("write it as the log and `cairn peer id` do, such as 12D3Koo…")
	})
}
