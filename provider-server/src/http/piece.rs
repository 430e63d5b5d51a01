//! `/piece/{cid}`: a piece's payload as it was uploaded, with ranges (RFC 9110).

use super::{
	body,
	conditional::{not_modified, select, Selected},
	place,
	problem::Failure,
	response, Api,
};
use crate::{
	provider::store_problem,
	retrieval::{open_payload, unsealing::UnsealError, PayloadError},
};
use axum::{
	body::Body,
	extract::{rejection::PathRejection, Path, State},
	http::{HeaderMap, Method, StatusCode},
	response::Response,
};
use bytes::BytesMut;
use cairn_primitives::PieceInfo;
use cairn_provider_api::{
	piece_cid::{self, NamedPiece},
	ErrorKind, Problem,
};
use std::time::Duration;

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
		("cache-control", "public, max-age=29030400, immutable".to_owned()),
		("content-type", "application/octet-stream".to_owned()),
		("x-content-type-options", "nosniff".to_owned()),
	];
	if not_modified(&headers, &etag) {
		return Ok(response(StatusCode::NOT_MODIFIED, &common, Body::empty()));
	}
	let Selected {
		status,
		bytes: wanted,
		headers: selected,
	} = select(&method, &headers, &etag, size)?;
	common.extend(selected);
	common.push((
		"content-disposition",
		format!("attachment; filename=\"{cid}.car\""),
	));
	if method == Method::HEAD {
		return Ok(response(status, &common, Body::empty()));
	}
	let place = place(&api.retrievals).await?;
	let payload = {
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
				payload.read_exact_at(&mut chunk, position)?;
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

/// What a sector that cannot be read at the moment is to a client.
pub(super) fn unsealing(error: &UnsealError) -> Problem {
	Problem::new(ErrorKind::Busy, error.to_string())
		.hint("ask again later; other providers of the object may have it at once")
}

fn payload_problem(error: PayloadError) -> Problem {
	match error {
		PayloadError::Absent => Problem::new(ErrorKind::NotFound, "the piece is not stored here")
			.hint("other providers of the object may have it"),
		PayloadError::Unseal(error) if error.is_transient() => unsealing(&error),
		error => {
			tracing::error!(%error, "a piece cannot be read");
			Problem::new(ErrorKind::Internal, "the piece cannot be read")
		}
	}
}
