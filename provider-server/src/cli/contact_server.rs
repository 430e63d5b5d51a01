//! Asking the running daemon: the database has one user at a time, and what it remembers of peers is in its memory.

use super::{run::Running, CliError, Session};
use crate::{
	access::read_token,
	store::{Store, StoreError},
};
use bytes::Bytes;
use cairn_provider_api::{rpc, Problem};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{client::conn::http1, header, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::{
	net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
	time::Duration,
};
use tokio::net::TcpStream;

/// Largest answer.
const MAX_ANSWER: usize = 16 << 20;
/// Longest wait for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls a JSON-RPC method of the daemon that runs on the session's base path.
pub(crate) async fn call<T: DeserializeOwned>(
	session: &Session,
	method: &str,
	params: serde_json::Value,
) -> Result<T, CliError> {
	let running = running(session).ok_or_else(starting)?;
	let failed = |error: String| unanswered(&running, error);
	let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
	let request = Request::post(rpc::PATH)
		.header(header::CONTENT_TYPE, "application/json")
		.body(Full::new(Bytes::from(body.to_string())));
	let (_, answer) = exchange(&running, request).await?;
	#[derive(serde::Deserialize)]
	struct Answer<T> {
		result: Option<T>,
		error: Option<serde_json::Value>,
	}
	let answer: Answer<T> = serde_json::from_slice(&answer).map_err(|error| failed(error.to_string()))?;
	answer
		.result
		.ok_or_else(|| failed(answer.error.unwrap_or_default().to_string()))
}

/// Reads JSON from a path of the daemon that runs on the session's base path.
pub(crate) async fn get<T: DeserializeOwned>(session: &Session, path: &str) -> Result<T, CliError> {
	let running = running(session).ok_or_else(starting)?;
	let request = Request::get(path).body(Full::default());
	let (status, answer) = exchange(&running, request).await?;
	if !status.is_success() {
		return Err(refused(&running, status, &answer));
	}
	serde_json::from_slice(&answer).map_err(|error| unanswered(&running, error))
}

/// Has the daemon that runs on the session's base path do what only its operator may have done, and returns the
/// body of its answer.
pub(crate) async fn operate(session: &Session, method: Method, path: &str) -> Result<Bytes, CliError> {
	let running = running(session).filter(|_| is_database_in_use(session));
	let running = running.ok_or_else(|| {
		CliError::new(
			format!("no provider runs on {}", session.paths.base.display()),
			"start it with `cairn-provider run`, or name its folder with --base-path",
		)
	})?;
	let mut request = Request::builder().method(method).uri(path);
	if let Some(file) = session.paths.token(&session.config) {
		request = request.header(header::AUTHORIZATION, format!("Bearer {}", read_token(&file)?));
	}
	let (status, answer) = exchange(&running, request.body(Full::default())).await?;
	if !status.is_success() {
		return Err(refused(&running, status, &answer));
	}
	Ok(answer)
}

/// Whether the daemon runs. What it noted down of itself outlives a kill, and the token is not for whoever listens
/// there then.
fn is_database_in_use(session: &Session) -> bool {
	matches!(
		Store::inspect(&session.paths.database()),
		Err(StoreError::InUse { .. })
	)
}

/// The daemon that runs on the session's base path, as it says itself.
fn running(session: &Session) -> Option<Running> {
	let note = std::fs::read(session.paths.base.join("running.json")).ok()?;
	serde_json::from_slice(&note).ok()
}

fn starting() -> CliError {
	CliError::new(
		"the provider's database is in use",
		"but no daemon says where it listens; wait until it has started",
	)
}

/// A refusal as the daemon explains it.
fn refused(running: &Running, status: StatusCode, answer: &[u8]) -> CliError {
	match serde_json::from_slice(answer) {
		Ok(Problem { message, hint, .. }) => CliError::Other { message, hint },
		Err(_) => unanswered(running, status),
	}
}

fn unanswered(running: &Running, error: impl std::fmt::Display) -> CliError {
	CliError::new(
		format!(
			"the provider at http://{} does not answer: {error}",
			running.listen
		),
		"see its log",
	)
}

/// Where a server of this machine is reached that listens there: on every address, also on the loopback one.
fn reachable(listen: SocketAddr) -> SocketAddr {
	let ip = match listen.ip() {
		IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
		IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
		ip => ip,
	};
	SocketAddr::new(ip, listen.port())
}

/// Sends a request and reads the answer's status and body.
async fn exchange(
	running: &Running,
	request: Result<Request<Full<Bytes>>, hyper::http::Error>,
) -> Result<(StatusCode, Bytes), CliError> {
	let exchange = async {
		let mut request = request?;
		let address = reachable(running.listen);
		request
			.headers_mut()
			.insert(header::HOST, address.to_string().parse()?);
		let stream = TcpStream::connect(address).await?;
		let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
		tokio::spawn(connection);
		let response = sender.send_request(request).await?;
		let status = response.status();
		let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await?;
		Ok::<_, Box<dyn std::error::Error + Send + Sync>>((status, body.to_bytes()))
	};
	tokio::time::timeout(PATIENCE, exchange)
		.await
		.map_err(|_| unanswered(running, "timeout"))?
		.map_err(|error| unanswered(running, error))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn a_server_on_all_addresses_is_reached_on_the_loopback_one() {
		for (listen, expected) in [
			("0.0.0.0:7600", "127.0.0.1:7600"),
			("[::]:7600", "[::1]:7600"),
			("127.0.0.1:1", "127.0.0.1:1"),
			("192.0.2.7:1", "192.0.2.7:1"),
		] {
			assert_eq!(reachable(listen.parse().unwrap()).to_string(), expected);
		}
	}
}
