//! `/piece/{cid}`: a piece's payload as it was uploaded, with ranges (RFC 9110).

use super::{
	body,
	gateway::{not_modified, place, response},
	problem::Failure,
	Api,
};
use crate::{
	provider::store_problem,
	retrieval::{open_payload, PayloadError},
};
use axum::{
	body::Body,
	extract::{rejection::PathRejection, Path, State},
	http::{header, HeaderMap, Method, StatusCode},
	response::Response,
};
use bytes::BytesMut;
use cairn_primitives::PieceInfo;
use cairn_provider_api::{
	piece_cid::{self, NamedPiece},
	ErrorKind, Problem,
};
use std::{os::unix::fs::FileExt, time::Duration};

/// Bytes read from the file at once.
const CHUNK: u64 = 256 << 10;

pub(super) async fn handle(
	State(api): State<Api>,
	method: Method,
	path: Result<Path<String>, PathRejection>,
	headers: HeaderMap,
) -> Result<Response, Failure> {
	let Path(cid) = path?;
	let named = piece_cid::parse(&cid).map_err(|error| {
		Problem::new(ErrorKind::Malformed, error.to_string())
			.hint("ask with the piece CID that `cairn status` shows, version 1 or 2")
	})?;
	let piece = find(&api, named).await?;
	let size = piece.payload_size;
	let etag = format!("\"{}.{size}\"", piece_cid::v1(&piece.commitment));
	let mut common = vec![
		("etag", etag.clone()),
		("accept-ranges", "bytes".to_owned()),
		("cache-control", "public, max-age=29030400, immutable".to_owned()),
		("content-type", "application/octet-stream".to_owned()),
		("x-content-type-options", "nosniff".to_owned()),
		("access-control-allow-origin", "*".to_owned()),
		(
			"access-control-expose-headers",
			"etag, content-range, x-request-id".to_owned(),
		),
	];
	if not_modified(&headers, &etag) {
		return Ok(response(StatusCode::NOT_MODIFIED, &common, Body::empty()));
	}
	let wanted = match range(&headers, &etag, size) {
		Requested::Whole => 0..size,
		Requested::Part(part) => part,
		Requested::Nowhere => {
			let problem = Problem::new(
				ErrorKind::RangeNotSatisfiable,
				format!("the piece has {size} bytes"),
			)
			.hint("ask for a range that begins within them");
			return Err(Failure::from(problem).header("content-range", format!("bytes */{size}")));
		}
	};
	let status = if wanted == (0..size) && !headers.contains_key(header::RANGE) {
		StatusCode::OK
	} else {
		common.push((
			"content-range",
			format!("bytes {}-{}/{size}", wanted.start, wanted.end - 1),
		));
		StatusCode::PARTIAL_CONTENT
	};
	common.push(("content-length", (wanted.end - wanted.start).to_string()));
	common.push((
		"content-disposition",
		format!("attachment; filename=\"{cid}.car\""),
	));
	if method == Method::HEAD {
		return Ok(response(status, &common, Body::empty()));
	}
	let place = place(&api.retrievals).await?;
	let file = {
		let provider = api.provider.clone();
		tokio::task::spawn_blocking(move || open_payload(&provider, &piece))
			.await
			.map_err(|error| Problem::new(ErrorKind::Internal, error.to_string()))?
			.map_err(payload_problem)?
	};
	let timeout = Duration::from_secs(api.provider.config.server.write_timeout_seconds);
	let served = api.provider.metrics.bytes_served.with_label_values(&["piece"]);
	let body = body::blocking(
		timeout,
		place,
		move |sent| served.inc_by(sent),
		move |out| {
			let mut position = wanted.start;
			while position < wanted.end {
				let len = CHUNK.min(wanted.end - position);
				// At most CHUNK, which fits.
				let mut chunk = BytesMut::zeroed(len as usize);
				file.read_exact_at(&mut chunk, position)?;
				out.write_bytes(chunk.freeze())?;
				position += len;
			}
			Ok(())
		},
	);
	Ok(response(status, &common, body))
}

async fn find(api: &Api, named: NamedPiece) -> Result<PieceInfo, Problem> {
	let commitment = *named.commitment();
	let found = api
		.provider
		.store
		.run(move |store| store.pieces_of(&commitment))
		.await
		.map_err(store_problem)?;
	found
		.into_iter()
		.map(|record| record.info)
		.find(|info| match &named {
			NamedPiece::V1(_) => true,
			NamedPiece::V2(piece) => piece == info,
		})
		.ok_or_else(|| {
			Problem::new(ErrorKind::NotFound, "the piece is not stored here")
				.hint("other providers of the object may have it")
		})
}

fn payload_problem(error: PayloadError) -> Problem {
	match error {
		PayloadError::Absent => Problem::new(ErrorKind::NotFound, "the piece is not stored here")
			.hint("other providers of the object may have it"),
		error => {
			tracing::error!(%error, "a piece cannot be read");
			Problem::new(ErrorKind::Internal, "the piece cannot be read")
		}
	}
}

/// What part of an object is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Requested {
	/// All of it.
	Whole,
	/// These bytes.
	Part(std::ops::Range<u64>),
	/// A range behind the object's end.
	Nowhere,
}

/// Reads `Range`, unless `If-Range` names another object. Several ranges, and what is no range of
/// bytes, are answered with the whole, as the standard allows.
pub fn range(headers: &HeaderMap, etag: &str, size: u64) -> Requested {
	let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
	let Some(spec) = text(header::RANGE).and_then(|value| value.trim().strip_prefix("bytes=")) else {
		return Requested::Whole;
	};
	if text(header::IF_RANGE).is_some_and(|tag| tag.trim() != etag) {
		return Requested::Whole;
	}
	let Some((first, last)) = spec.trim().split_once('-') else {
		return Requested::Whole;
	};
	let (first, last) = (first.trim(), last.trim());
	let number = |text: &str| text.parse::<u64>().ok();
	let part = match (number(first), number(last)) {
		(None, Some(suffix)) if first.is_empty() => size.saturating_sub(suffix)..size,
		(Some(first), None) if last.is_empty() => first..size,
		(Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
		_ => return Requested::Whole,
	};
	if part.start < part.end {
		Requested::Part(part)
	} else {
		Requested::Nowhere
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn asked(range_text: &str, if_range: Option<&str>) -> Requested {
		let mut headers = HeaderMap::new();
		headers.insert(header::RANGE, range_text.parse().unwrap());
		if let Some(tag) = if_range {
			headers.insert(header::IF_RANGE, tag.parse().unwrap());
		}
		range(&headers, "\"tag\"", 100)
	}

	#[test]
	fn ranges() {
		assert_eq!(asked("bytes=0-9", None), Requested::Part(0..10));
		assert_eq!(asked("bytes=90-", None), Requested::Part(90..100));
		assert_eq!(asked("bytes=-10", None), Requested::Part(90..100));
		assert_eq!(asked("bytes=-1000", None), Requested::Part(0..100));
		assert_eq!(asked("bytes=90-1000", None), Requested::Part(90..100));
		assert_eq!(
			asked("bytes=0-18446744073709551615", None),
			Requested::Part(0..100)
		);
		assert_eq!(asked("bytes=100-", None), Requested::Nowhere);
		assert_eq!(asked("bytes=-0", None), Requested::Nowhere);
		for whole in [
			"bytes=5-1",
			"bytes=a-b",
			"bytes=0-1,5-9",
			"items=0-1",
			"bytes=-",
			"bytes",
		] {
			assert_eq!(asked(whole, None), Requested::Whole, "{whole}");
		}
	}

	#[test]
	fn a_range_of_another_object_is_ignored() {
		assert_eq!(asked("bytes=0-9", Some("\"tag\"")), Requested::Part(0..10));
		assert_eq!(asked("bytes=0-9", Some("\"other\"")), Requested::Whole);
	}
}
