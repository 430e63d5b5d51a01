//! Requests that no well-behaved client would send.

use anyhow::{ensure, Context, Result};
use serde_json::{json, Value};
use std::{
	io::{Read, Write},
	net::{SocketAddr, TcpStream},
	time::Duration,
};
use ureq::Agent;

/// Generous for a program on the same machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
	/// HTTP status.
	pub status: u16,
	/// Header fields by their names in lower case.
	pub headers: Vec<(String, String)>,
	/// Body.
	pub body: Vec<u8>,
}

impl Answer {
	/// Reads what a server sent on a connection that it has closed since. Bodies are taken as they are.
	///
	/// # Errors
	/// When it is no answer.
	pub fn parse(bytes: &[u8]) -> Result<Self> {
		let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
		let end = end.with_context(|| format!("no answer: {:?}", String::from_utf8_lossy(bytes)))?;
		let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
		let mut lines = head.lines();
		let status = lines.next().and_then(|line| line.split(' ').nth(1));
		let headers = lines.filter_map(|line| line.split_once(':'));
		Ok(Self {
			status: status.context("no status")?.parse()?,
			headers: headers
				.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
				.collect(),
			body: bytes[end + 4..].to_vec(),
		})
	}

	/// A header field.
	pub fn header(&self, name: &str) -> Option<&str> {
		self.headers
			.iter()
			.find(|(known, _)| known == name)
			.map(|(_, value)| value.as_str())
	}

	/// The body as JSON.
	///
	/// # Errors
	/// When it is none.
	pub fn json(&self) -> Result<Value> {
		serde_json::from_slice(&self.body)
			.with_context(|| format!("no JSON: {}", String::from_utf8_lossy(&self.body)))
	}

	/// `kind` of the problem that the body describes.
	///
	/// # Errors
	/// When it describes none.
	pub fn problem(&self) -> Result<String> {
		let problem = self.json()?;
		let kind = problem["kind"]
			.as_str()
			.with_context(|| format!("no problem: {problem}"))?;
		Ok(kind.to_owned())
	}

	/// Fails unless the answer is this problem, explained and with what to do about it.
	///
	/// # Errors
	/// When it is another answer.
	pub fn is_problem(&self, status: u16, kind: &str) -> Result<()> {
		let shown = String::from_utf8_lossy(&self.body);
		ensure!(
			self.status == status && self.problem()? == kind,
			"not {status} {kind} but {}: {shown}",
			self.status
		);
		explains_itself(&self.json()?)
	}
}

/// Fails unless a problem says what went wrong and what to do about it.
///
/// # Errors
/// When it does not.
pub fn explains_itself(problem: &Value) -> Result<()> {
	for field in ["message", "hint"] {
		ensure!(
			problem[field].as_str().is_some_and(|text| text.contains(' ')),
			"no {field}: {problem}"
		);
	}
	Ok(())
}

fn agent() -> Agent {
	Agent::config_builder()
		.timeout_global(Some(TIMEOUT))
		.http_status_as_error(false)
		.proxy(None)
		.build()
		.into()
}

fn answer(response: ureq::http::Response<ureq::Body>) -> Result<Answer> {
	let (parts, mut body) = response.into_parts();
	let headers = parts.headers.iter();
	Ok(Answer {
		status: parts.status.as_u16(),
		headers: headers
			.map(|(name, value)| {
				let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
				(name.as_str().to_owned(), value)
			})
			.collect(),
		body: body.with_config().limit(64 << 20).read_to_vec()?,
	})
}

/// GET with header fields.
///
/// # Errors
/// When there is no answer.
pub fn get(url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
	let mut request = agent().get(url);
	for (name, value) in headers {
		request = request.header(*name, *value);
	}
	answer(request.call()?)
}

/// HEAD.
///
/// # Errors
/// When there is no answer.
pub fn head(url: &str) -> Result<Answer> {
	answer(agent().head(url).call()?)
}

/// PUT with header fields and a body.
///
/// # Errors
/// When there is no answer.
pub fn put(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
	let mut request = agent().put(url);
	for (name, value) in headers {
		request = request.header(*name, *value);
	}
	answer(request.send(body)?)
}

/// POST of a text.
///
/// # Errors
/// When there is no answer.
pub fn post(url: &str, body: &str) -> Result<Answer> {
	answer(
		agent()
			.post(url)
			.header("content-type", "application/json")
			.send(body)?,
	)
}

/// Calls a JSON-RPC method and returns the whole answer, error or not.
///
/// # Errors
/// When there is no answer.
pub fn rpc(url: &str, method: &str, parameter: &Value) -> Result<Value> {
	let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [parameter] });
	post(&format!("{url}/rpc"), &request.to_string())?.json()
}

/// Connects to a server by its `http://ADDRESS` URL.
///
/// # Errors
/// When nobody listens.
pub fn connect(url: &str) -> Result<TcpStream> {
	let address: SocketAddr = url.trim_start_matches("http://").parse()?;
	let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
	stream.set_read_timeout(Some(TIMEOUT))?;
	stream.set_write_timeout(Some(TIMEOUT))?;
	Ok(stream)
}

/// Sends bytes as they are and returns everything that comes back until the server closes.
///
/// # Errors
/// When nobody listens.
pub fn raw(url: &str, bytes: &[u8]) -> Result<Vec<u8>> {
	let mut stream = connect(url)?;
	// A server that has seen enough may close while this is still writing.
	let _ = stream.write_all(bytes);
	Ok(rest(stream))
}

/// Everything that comes until the server closes the connection, or nothing for [`TIMEOUT`].
pub fn rest(mut stream: TcpStream) -> Vec<u8> {
	let mut answer = Vec::new();
	// A reset ends it as well: the server had not read everything.
	let _ = stream.read_to_end(&mut answer);
	answer
}
