//! `/upload/{proposal hash}`; the protocol is described in `cairn_provider_api::upload`.

use super::{on_blocking_thread, problem::Failure, Api};
use crate::{
	deal::{Deal, DealState, ProposalHash},
	ingest::{Progress, Start},
	provider::store_problem,
};
use axum::{
	extract::{rejection::PathRejection, Path, Request, State},
	http::{header, HeaderMap, Method, StatusCode},
	response::{IntoResponse, Response},
};
use bytes::Bytes;
use cairn_provider_api::{
	upload::{UploadReport, LENGTH_HEADER, OFFSET_HEADER, SCHEMA},
	ErrorKind, Hash32, Problem,
};
use futures::StreamExt;
use std::time::{Duration, Instant};

/// Of a refused body, this much is read so that the client sees the answer instead of a broken
/// connection.
const DRAIN_BYTES: usize = 4 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);

pub(super) async fn handle(
	State(api): State<Api>,
	path: Result<Path<String>, PathRejection>,
	request: Request,
) -> Result<Response, Failure> {
	let Path(hash) = path?;
	let hash: Hash32 = hash.parse().map_err(|error| {
		Problem::new(
			ErrorKind::Malformed,
			format!("the path does not name a proposal: {error}"),
		)
		.hint("use the `upload` path that cairn_v1_proposeDeal returned")
	})?;
	match *request.method() {
		Method::HEAD | Method::GET => head(&api, hash.0).await,
		Method::PUT | Method::PATCH => receive(&api, hash.0, request).await,
		Method::DELETE => discard(&api, hash.0).await,
		_ => {
			let problem = Problem::new(
				ErrorKind::Malformed,
				format!("{} is not allowed here", request.method()),
			)
			.hint("use PUT, PATCH, HEAD or DELETE");
			let allow = [(header::ALLOW, "PUT, PATCH, HEAD, DELETE")];
			Ok((
				StatusCode::METHOD_NOT_ALLOWED,
				allow,
				Failure::from(problem).into_body(),
			)
				.into_response())
		}
	}
}

async fn deal(api: &Api, hash: ProposalHash) -> Result<Deal, Failure> {
	let found = api
		.provider
		.store
		.run(move |store| store.deal(&hash))
		.await
		.map_err(store_problem)?;
	match found {
		Some(deal) => Ok(deal),
		// A client that proposed on chain may upload without another word.
		None => Ok(api.provider.admit_on_chain(&hash).await?),
	}
}

/// Bytes held of a deal's payload.
async fn held(api: &Api, hash: ProposalHash, deal: &Deal) -> Result<u64, Problem> {
	match deal.state {
		DealState::Accepted => received(api, hash).await,
		DealState::Failed { .. } => Ok(0),
		_ => Ok(deal.proposal.piece.payload_size),
	}
}

/// Bytes received of a deal's upload.
async fn received(api: &Api, hash: ProposalHash) -> Result<u64, Problem> {
	let provider = api.provider.clone();
	on_blocking_thread(move || Ok(provider.uploads.received(&hash))).await
}

async fn head(api: &Api, hash: ProposalHash) -> Result<Response, Failure> {
	let deal = deal(api, hash).await?;
	let headers = [
		(OFFSET_HEADER, held(api, hash, &deal).await?.to_string()),
		(LENGTH_HEADER, deal.proposal.piece.payload_size.to_string()),
		("cache-control", "no-store".to_owned()),
	];
	Ok((StatusCode::OK, headers).into_response())
}

async fn discard(api: &Api, hash: ProposalHash) -> Result<Response, Failure> {
	let deal = deal(api, hash).await?;
	if deal.state != DealState::Accepted {
		return Err(wrong_state(&deal).into());
	}
	let provider = api.provider.clone();
	on_blocking_thread(move || provider.uploads.discard(&hash)).await?;
	Ok(StatusCode::NO_CONTENT.into_response())
}

fn wrong_state(deal: &Deal) -> Problem {
	Problem::new(
		ErrorKind::WrongState,
		format!("the deal is {} and takes no data", deal.state.name()),
	)
	.hint("ask for its state with cairn_v1_dealStatus")
}

/// Where the request's body starts, and how long it is.
///
/// # Errors
/// A header that is malformed, or a range that is not the payload's.
pub fn start(headers: &HeaderMap, method: &Method, size: u64) -> Result<(Start, Option<u64>), Problem> {
	let malformed = |what: &str| {
		Problem::new(ErrorKind::Malformed, format!("{what} is malformed")).hint(
			"send content-length as it is, and upload-offset or content-range with the offset that HEAD gives",
		)
	};
	let text = |name: &str| -> Result<Option<&str>, Problem> {
		headers
			.get(name)
			.map(|value| value.to_str().map_err(|_| malformed(name)))
			.transpose()
	};
	let len = text("content-length")?
		.map(|len| len.parse::<u64>().map_err(|_| malformed("content-length")))
		.transpose()?;
	if let Some(offset) = text(OFFSET_HEADER)? {
		return Ok((
			Start::At(offset.trim().parse().map_err(|_| malformed(OFFSET_HEADER))?),
			len,
		));
	}
	if let Some(range) = text("content-range")? {
		// `bytes first-last/total`
		let parsed = (|| {
			let (range, total) = range.trim().strip_prefix("bytes ")?.split_once('/')?;
			let (first, last) = range.split_once('-')?;
			let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
			let total = if total == "*" { size } else { total.parse().ok()? };
			(first <= last && last < total).then_some((first, last, total))
		})();
		let (first, last, total) = parsed.ok_or_else(|| malformed("content-range"))?;
		if total != size {
			let kind = if total > size {
				ErrorKind::TooLarge
			} else {
				ErrorKind::TooSmall
			};
			return Err(Problem::new(
				kind,
				format!("the proposal names {size} bytes, the request {total}"),
			)
			.hint("upload exactly the bytes that the proposal was made for"));
		}
		let announced = last - first + 1;
		if len.is_some_and(|len| len != announced) {
			return Err(malformed("content-range"));
		}
		return Ok((Start::At(first), Some(announced)));
	}
	if method == Method::PATCH {
		return Err(
			Problem::new(ErrorKind::Malformed, "PATCH needs an upload-offset header")
				.hint("ask for the offset with HEAD"),
		);
	}
	Ok((Start::Fresh, len))
}

async fn receive(api: &Api, hash: ProposalHash, request: Request) -> Result<Response, Failure> {
	let (parts, body) = request.into_parts();
	let mut body = body.into_data_stream();
	let started = Instant::now();
	let outcome = take(api, hash, &parts.headers, &parts.method, &mut body).await;
	match &outcome {
		Ok(progress) if progress.complete => {
			let seconds = started.elapsed().as_secs_f64();
			tracing::info!(deal = %Hash32(hash), bytes = progress.of, seconds, "data received and verified");
			api.provider
				.metrics
				.uploads
				.with_label_values(&["complete"])
				.inc();
			api.provider.wake.notify_one();
		}
		Ok(_) => api.provider.metrics.uploads.with_label_values(&["partial"]).inc(),
		Err(failure) => {
			tracing::info!(deal = %Hash32(hash), kind = ?failure.kind(), "upload refused");
			api.provider.metrics.uploads.with_label_values(&["refused"]).inc();
			drain(&mut body).await;
		}
	}
	let progress = outcome?;
	let report = UploadReport {
		schema: SCHEMA.into(),
		proposal_hash: Hash32(hash),
		received: progress.received,
		of: progress.of,
		complete: progress.complete,
	};
	let status = if progress.complete {
		StatusCode::CREATED
	} else {
		StatusCode::ACCEPTED
	};
	let headers = [
		(OFFSET_HEADER, progress.received.to_string()),
		("content-type", "application/json".to_owned()),
		("cache-control", "no-store".to_owned()),
	];
	Ok((status, headers, serde_json::to_vec(&report).unwrap_or_default()).into_response())
}

async fn take(
	api: &Api,
	hash: ProposalHash,
	headers: &HeaderMap,
	method: &Method,
	body: &mut (impl futures::Stream<Item = Result<Bytes, axum::Error>> + Unpin),
) -> Result<Progress, Failure> {
	let deal = deal(api, hash).await?;
	let size = deal.proposal.piece.payload_size;
	match deal.state {
		DealState::Accepted => {}
		// Everything is here: the same upload again succeeds at once.
		DealState::Received
		| DealState::Publishing { .. }
		| DealState::Published { .. }
		| DealState::InSector { .. }
		| DealState::Active { .. } => {
			drain(body).await;
			return Ok(Progress {
				received: size,
				of: size,
				complete: true,
			});
		}
		DealState::Ended { .. } | DealState::Failed { .. } => return Err(wrong_state(&deal).into()),
	}
	let (start, len) = start(headers, method, size)?;
	let counter = api.provider.metrics.bytes_received.clone();
	let counted = body.inspect(move |chunk| {
		if let Ok(chunk) = chunk {
			counter.inc_by(chunk.len() as u64);
		}
	});
	let outcome = api
		.provider
		.uploads
		.receive(&hash, &deal, start, len, counted)
		.await;
	match outcome {
		Ok(progress) => Ok(progress),
		Err(problem) => {
			let held = received(api, hash).await?;
			Err(Failure::from(problem).header(OFFSET_HEADER, held.to_string()))
		}
	}
}

/// Reads a little of a body that is not wanted.
pub(super) async fn drain(body: &mut (impl futures::Stream<Item = Result<Bytes, axum::Error>> + Unpin)) {
	let reading = async {
		let mut read = 0;
		while let Some(Ok(chunk)) = body.next().await {
			read += chunk.len();
			if read > DRAIN_BYTES {
				break;
			}
		}
	};
	// However it ends, the answer follows.
	let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
}

#[cfg(test)]
mod tests {
	use super::*;

	fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
		pairs
			.iter()
			.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
			.collect()
	}

	#[test]
	fn starts() {
		let put = |pairs: &[(&'static str, &str)]| {
			start(&headers(pairs), &Method::PUT, 100).map_err(|problem| problem.kind)
		};
		assert_eq!(put(&[]), Ok((Start::Fresh, None)));
		assert_eq!(put(&[("content-length", "100")]), Ok((Start::Fresh, Some(100))));
		assert_eq!(put(&[("upload-offset", "40")]), Ok((Start::At(40), None)));
		assert_eq!(
			put(&[("content-range", "bytes 40-99/100")]),
			Ok((Start::At(40), Some(60)))
		);
		assert_eq!(
			put(&[("content-range", "bytes 40-59/*")]),
			Ok((Start::At(40), Some(20)))
		);
		assert_eq!(
			put(&[("content-range", "bytes 40-99/101")]),
			Err(ErrorKind::TooLarge)
		);
		assert_eq!(
			put(&[("content-range", "bytes 40-89/90")]),
			Err(ErrorKind::TooSmall)
		);
		for bad in [
			"bytes 9-1/100",
			"bytes 0-100/100",
			"bytes */100",
			"0-9/100",
			"bytes -1-9/100",
			"bytes",
		] {
			assert_eq!(put(&[("content-range", bad)]), Err(ErrorKind::Malformed), "{bad}");
		}
		assert_eq!(put(&[("upload-offset", "-1")]), Err(ErrorKind::Malformed));
		assert_eq!(
			put(&[("content-range", "bytes 0-9/100"), ("content-length", "11")]),
			Err(ErrorKind::Malformed)
		);
		let patch = start(&headers(&[]), &Method::PATCH, 100).map_err(|problem| problem.kind);
		assert_eq!(patch, Err(ErrorKind::Malformed));
	}
}
