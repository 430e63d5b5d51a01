//! Talking to a provider's server: proposing deals, uploading their data, reading blocks back, storing single blocks.
//!
//! Nothing that a server says is believed: deals are checked on chain, blocks against their CIDs, and
//! every response is read with a bound.

mod block;
#[cfg(test)]
pub mod fake_server;
mod rpc;
mod upload;
#[cfg(test)]
mod upload_tests;

pub use block::Token;
pub use upload::{upload, UploadSource};

use cairn_provider_api::Problem;
use std::time::Duration;
use url::Url;

/// Longest body of an answer that is not a stream of blocks.
const MAX_ANSWER: usize = 1 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence within a response.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 30 });
/// How long to wait for a server that is busy and does not say for how long.
const DEFAULT_WAIT: Duration = Duration::from_secs(1);
/// Most characters of a server's message that are passed on.
const MAX_MESSAGE: usize = 500;
/// Longest time for a JSON-RPC answer.
const RPC_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a provider did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
	/// No connection, or it broke.
	#[error("no answer from {url}")]
	Unreachable {
		/// The server.
		url: Url,
		/// Why.
		source: reqwest::Error,
	},
	/// The server went silent.
	#[error("{url} did not answer within {seconds} s")]
	Silent {
		/// The server.
		url: Url,
		/// How long it was waited for.
		seconds: u64,
	},
	/// The server refused, and said why.
	#[error("the provider at {url} refused: {}", problem.message)]
	Refused {
		/// The server.
		url: Url,
		/// Its reason.
		problem: Box<Problem>,
	},
	/// The server wants to be left alone for a while.
	#[error("{url} is busy, and asks to wait for {} s", wait.as_secs_f32())]
	Busy {
		/// The server.
		url: Url,
		/// For how long.
		wait: Duration,
	},
	/// An HTTP error without a reason.
	#[error("{url} answered with HTTP status {status}")]
	Status {
		/// The resource.
		url: Url,
		/// The status.
		status: u16,
	},
	/// An answer that is not what the interface says.
	#[error("{url} gave a malformed answer: {reason}")]
	Malformed {
		/// The server.
		url: Url,
		/// What is wrong.
		reason: String,
	},
	/// The file to upload cannot be read.
	#[error("cannot read {}", path.display())]
	Read {
		/// The file.
		path: std::path::PathBuf,
		/// Why.
		source: std::io::Error,
	},
}

impl ProviderError {
	/// Whether the same request may succeed later.
	pub fn is_transient(&self) -> bool {
		match self {
			ProviderError::Unreachable { .. } | ProviderError::Silent { .. } | ProviderError::Busy { .. } => {
				true
			}
			ProviderError::Refused { problem, .. } => problem.kind.is_transient(),
			ProviderError::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502..=504),
			ProviderError::Malformed { .. } | ProviderError::Read { .. } => false,
		}
	}
}

/// A provider's server.
#[derive(Clone, Debug)]
pub struct ProviderClient {
	http: reqwest::Client,
	base: Url,
}

/// The HTTP client that all providers share.
///
/// # Errors
/// If TLS cannot be set up.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
	// Fails only if a TLS provider was installed before, which is as good.
	let _ = rustls::crypto::ring::default_provider().install_default();
	reqwest::Client::builder()
		.user_agent(concat!("cairn/", env!("CARGO_PKG_VERSION")))
		.connect_timeout(CONNECT_TIMEOUT)
		// No limit on silence here: it would cut long uploads off. Each request sets its own.
		// A provider answers itself; following it elsewhere would let it send requests anywhere.
		.redirect(reqwest::redirect::Policy::none())
		.build()
}

impl ProviderClient {
	/// The server at `base`.
	pub fn new(http: reqwest::Client, base: Url) -> Self {
		ProviderClient { http, base }
	}

	/// Where the server is.
	pub fn url(&self) -> &Url {
		&self.base
	}

	fn resource(&self, path: &str) -> Url {
		let mut url = self.base.clone();
		let prefix = url.path().trim_end_matches('/').to_owned();
		url.set_path(&format!("{prefix}/{}", path.trim_start_matches('/')));
		url
	}

	fn unreachable(&self, source: reqwest::Error) -> ProviderError {
		ProviderError::Unreachable {
			url: self.base.clone(),
			source: source.without_url(),
		}
	}

	/// Starts reading a CAR of blocks from the trustless gateway. `path` is a CID, perhaps with a path
	/// inside it; `scope` the value of `dag-scope`, which is `all` for servers that know it; `bytes` that of
	/// `entity-bytes`.
	///
	/// # Errors
	/// See [`ProviderError`].
	pub async fn car(
		&self,
		path: &str,
		scope: Option<&str>,
		bytes: Option<&str>,
	) -> Result<reqwest::Response, ProviderError> {
		let mut url = self.resource("ipfs");
		if let Ok(mut segments) = url.path_segments_mut() {
			segments.extend(path.split('/'));
		}
		{
			let mut query = url.query_pairs_mut();
			query.append_pair("format", "car");
			if let Some(scope) = scope {
				query.append_pair("dag-scope", scope);
			}
			if let Some(bytes) = bytes {
				query.append_pair("entity-bytes", bytes);
			}
		}
		let request = self
			.http
			.get(url)
			.header("accept", "application/vnd.ipld.car; order=dfs; dups=n");
		let exchange = async {
			let response = request.send().await.map_err(|error| self.unreachable(error))?;
			match wait(&response) {
				Some(wait) => Err(ProviderError::Busy {
					url: self.base.clone(),
					wait,
				}),
				None => self.check(response).await,
			}
		};
		tokio::time::timeout(IDLE_TIMEOUT, exchange)
			.await
			.map_err(|_| self.silent(IDLE_TIMEOUT))?
	}

	fn silent(&self, waited: Duration) -> ProviderError {
		ProviderError::Silent {
			url: self.base.clone(),
			seconds: waited.as_secs(),
		}
	}

	/// Turns HTTP errors into what they mean.
	async fn check(&self, response: reqwest::Response) -> Result<reqwest::Response, ProviderError> {
		let status = response.status();
		if status.is_success() {
			return Ok(response);
		}
		let url = response.url().clone();
		let body = self.bounded(response).await.unwrap_or_default();
		match serde_json::from_slice::<Problem>(&body) {
			Ok(problem) => Err(self.refused(problem)),
			Err(_) => Err(ProviderError::Status {
				url,
				status: status.as_u16(),
			}),
		}
	}

	fn refused(&self, mut problem: Problem) -> ProviderError {
		problem.message = one_line(&problem.message);
		problem.hint = problem.hint.as_deref().map(one_line);
		ProviderError::Refused {
			url: self.base.clone(),
			problem: Box::new(problem),
		}
	}

	/// The body of a response that must be short.
	async fn bounded(&self, mut response: reqwest::Response) -> Result<Vec<u8>, ProviderError> {
		let mut body = Vec::new();
		while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
			if body.len() + chunk.len() > MAX_ANSWER {
				return Err(self.malformed("the answer is too long"));
			}
			body.extend_from_slice(&chunk);
		}
		Ok(body)
	}

	fn malformed(&self, reason: impl Into<String>) -> ProviderError {
		ProviderError::Malformed {
			url: self.base.clone(),
			reason: reason.into(),
		}
	}
}

/// How long a server that has too much to do asks to wait, if it does.
fn wait(response: &reqwest::Response) -> Option<Duration> {
	if !matches!(response.status().as_u16(), 429 | 503) {
		return None;
	}
	let header = response.headers().get(reqwest::header::RETRY_AFTER);
	// The other form, a date, needs two clocks that agree.
	let seconds = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
	Some(seconds.map_or(DEFAULT_WAIT, Duration::from_secs))
}

/// A server's text as one line of bounded length: it is shown to people among our own lines, and recorded.
fn one_line(text: &str) -> String {
	let mut line: String = text
		.chars()
		.take(MAX_MESSAGE)
		.map(|c| if c.is_control() { ' ' } else { c })
		.collect();
	if text.chars().nth(MAX_MESSAGE).is_some() {
		line.push('…');
	}
	line
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn messages_of_servers_are_one_short_line() {
		assert_eq!(one_line("all good"), "all good");
		assert_eq!(one_line("no\nerror: forged\x1b[31m"), "no error: forged [31m");
		assert_eq!(one_line(&"ä".repeat(MAX_MESSAGE)), "ä".repeat(MAX_MESSAGE));
		assert_eq!(
			one_line(&"ä".repeat(MAX_MESSAGE + 1)),
			"ä".repeat(MAX_MESSAGE) + "…"
		);
	}

	#[test]
	fn resources_keep_the_base_path() {
		let http = http_client().unwrap();
		let at = |base: &str| {
			ProviderClient::new(http.clone(), base.parse().unwrap())
				.resource("/rpc")
				.to_string()
		};
		assert_eq!(at("http://127.0.0.1:8000"), "http://127.0.0.1:8000/rpc");
		assert_eq!(at("http://host/cairn/"), "http://host/cairn/rpc");
	}
}
