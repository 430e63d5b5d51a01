//! Uploading a deal's data, resumed where a connection broke.

use super::{ProviderClient, ProviderError, RPC_TIMEOUT};
use bytes::Bytes;
use cairn_provider_api::{
	upload::{path, UploadReport, LENGTH_HEADER, OFFSET_HEADER},
	ErrorKind, Hash32,
};
use futures::StreamExt;
use reqwest::{header::CONTENT_LENGTH, Method, StatusCode};
use std::{
	path::Path,
	sync::{
		atomic::{AtomicU64, Ordering},
		Arc,
	},
	time::Duration,
};
use tokio::io::AsyncSeekExt;
use tokio_util::io::ReaderStream;

/// Bytes read from the file at a time.
const CHUNK: usize = 256 * 1024;
/// Attempts in a row without a byte of progress before giving up.
const ATTEMPTS: u32 = 6;
/// Pause after the first failure; it doubles with each further one.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 500 });
/// Longest time in which the server takes no byte.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Time the server has to verify what it received, beside what its size demands.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(120);
/// Slowest verification that is waited for.
const VERIFY_BYTES_PER_SECOND: u64 = 10_000_000;

/// What to upload.
#[derive(Clone, Copy, Debug)]
pub struct UploadSource<'a> {
	/// The file.
	pub file: &'a Path,
	/// Its size, as the proposal names it.
	pub size: u64,
}

/// Uploads a deal's data until the provider has and verified all of it. Broken connections are
/// resumed; `progress` is told the bytes that the provider holds.
///
/// # Errors
/// The provider's refusal, or the last failure after several attempts without progress.
pub async fn upload(
	provider: &ProviderClient,
	proposal_hash: &Hash32,
	source: UploadSource<'_>,
	progress: &(dyn Fn(u64) + Sync),
) -> Result<(), ProviderError> {
	let mut attempts = 0;
	let mut furthest = 0;
	loop {
		let failure = match attempt(provider, proposal_hash, source, progress).await {
			Ok(Attempt { complete: true, .. }) => return Ok(()),
			Ok(Attempt { received, .. }) => {
				if received > furthest {
					(furthest, attempts) = (received, 0);
				}
				None
			}
			Err(error) if error.is_transient() || is_offset_mismatch(&error) => Some(error),
			Err(error) => return Err(error),
		};
		if let Ok(Some(received)) = held(provider, proposal_hash).await {
			progress(received);
			if received > furthest {
				(furthest, attempts) = (received, 0);
			}
		}
		attempts += 1;
		if attempts >= ATTEMPTS {
			return Err(failure.unwrap_or_else(|| provider.malformed("the upload makes no progress")));
		}
		tokio::time::sleep(PAUSE * 2u32.pow(attempts - 1)).await;
	}
}

struct Attempt {
	complete: bool,
	received: u64,
}

fn is_offset_mismatch(error: &ProviderError) -> bool {
	matches!(error, ProviderError::Refused { problem, .. } if problem.kind == ErrorKind::OffsetMismatch)
}

/// Bytes that the provider holds of a deal's data; `None` if it keeps no upload of it.
async fn held(provider: &ProviderClient, proposal_hash: &Hash32) -> Result<Option<u64>, ProviderError> {
	let request = provider
		.http
		.head(provider.resource(&path(proposal_hash)))
		.timeout(RPC_TIMEOUT);
	let response = request
		.send()
		.await
		.map_err(|error| provider.unreachable(error))?;
	if response.status() == StatusCode::NOT_FOUND {
		return Ok(None);
	}
	let response = provider.check(response).await?;
	let number = |name: &str| response.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
	match (number(OFFSET_HEADER), number(LENGTH_HEADER)) {
		(Some(held), length) if length.is_none_or(|length| held <= length) => Ok(Some(held)),
		_ => Err(provider.malformed("no usable upload offset")),
	}
}

async fn attempt(
	provider: &ProviderClient,
	proposal_hash: &Hash32,
	source: UploadSource<'_>,
	progress: &(dyn Fn(u64) + Sync),
) -> Result<Attempt, ProviderError> {
	let offset = held(provider, proposal_hash).await?.unwrap_or(0);
	if offset > source.size {
		return Err(provider.malformed("the provider holds more bytes than the deal has"));
	}
	let read_error = |error| ProviderError::Read {
		path: source.file.to_owned(),
		source: error,
	};
	let mut file = tokio::fs::File::open(source.file).await.map_err(read_error)?;
	file.seek(std::io::SeekFrom::Start(offset))
		.await
		.map_err(read_error)?;

	let sent = Arc::new(AtomicU64::new(offset));
	let counter = sent.clone();
	let body = ReaderStream::with_capacity(tokio::io::AsyncReadExt::take(file, source.size - offset), CHUNK)
		.map(move |chunk: std::io::Result<Bytes>| {
			if let Ok(chunk) = &chunk {
				counter.fetch_add(chunk.len() as u64, Ordering::Relaxed);
			}
			chunk
		});
	let method = if offset == 0 { Method::PUT } else { Method::PATCH };
	let request = provider
		.http
		.request(method, provider.resource(&path(proposal_hash)))
		.header(OFFSET_HEADER, offset)
		.header(CONTENT_LENGTH, source.size - offset)
		.body(reqwest::Body::wrap_stream(body));

	let exchange = async {
		let response = request
			.send()
			.await
			.map_err(|error| provider.unreachable(error))?;
		let response = provider.check(response).await?;
		let answer = provider.bounded(response).await?;
		serde_json::from_slice::<UploadReport>(&answer).map_err(|error| provider.malformed(error.to_string()))
	};
	let report = tokio::select! {
		report = exchange => report?,
		seconds = stalled(&sent, source.size, progress) => {
			return Err(provider.silent(Duration::from_secs(seconds)));
		},
	};
	progress(report.received);
	Ok(Attempt {
		complete: report.complete,
		received: report.received,
	})
}

/// Ends, with the seconds waited, when the server has taken no byte for too long.
async fn stalled(sent: &AtomicU64, size: u64, progress: &(dyn Fn(u64) + Sync)) -> u64 {
	let tick = Duration::from_millis(200);
	let verify = VERIFY_TIMEOUT + Duration::from_secs(size / VERIFY_BYTES_PER_SECOND);
	let (mut last, mut idle) = (sent.load(Ordering::Relaxed), Duration::ZERO);
	loop {
		tokio::time::sleep(tick).await;
		let now = sent.load(Ordering::Relaxed);
		progress(now);
		idle = if now == last { idle + tick } else { Duration::ZERO };
		last = now;
		let limit = if now >= size { verify } else { STALL_TIMEOUT };
		if idle >= limit {
			return limit.as_secs();
		}
	}
}
