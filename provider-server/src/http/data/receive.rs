//! A request's body into an upload: through a bounded channel to the thread that hashes and writes.

use super::{on_blocking_thread, DataApi};
use crate::{
	data::uploads::{discarded, Running, Terms},
	http::{problem::Failure, upload::drain},
};
use axum::{
	body::{Body, BodyDataStream},
	http::{header, HeaderMap},
};
use bytes::Bytes;
use cairn_blockstore::Dataset;
use cairn_provider_api::{ErrorKind, Problem};
use futures::StreamExt;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Pieces of a body between the network and the disk. A piece is what the connection read at once, at most
/// 128 KiB, so that this bounds a request's memory to a MiB beside what the upload itself holds.
const PIECES_IN_FLIGHT: usize = 8;

/// Takes a body that is a dataset's data, all of it.
///
/// # Errors
/// What kept it from becoming a dataset; nothing of it is left then.
pub(super) async fn whole(
	state: &DataApi,
	headers: &HeaderMap,
	body: Body,
	terms: Result<Terms, Problem>,
) -> Result<Dataset, Failure> {
	let mut body = body.into_data_stream();
	let taken = async {
		let length = super::headers::number(headers, "content-length")?;
		let terms = Terms { length, ..terms? };
		let uploads = state.data.uploads.clone();
		let running = on_blocking_thread(move || uploads.begin(terms)).await?;
		let running = receive(state, running, length, &mut body).await?;
		let dataset = on_blocking_thread(move || running.finish()).await?;
		Ok(dataset)
	};
	let taken: Result<_, Failure> = taken.await;
	settle(state, headers, taken, &mut body).await
}

/// Counts how a request ended, and reads a little of a body that was refused, so that the client sees the answer
/// instead of a broken connection. Not of a client that waits for leave to send: reading would give it.
pub(super) async fn settle<T>(
	state: &DataApi,
	headers: &HeaderMap,
	outcome: Result<T, Failure>,
	body: &mut BodyDataStream,
) -> Result<T, Failure> {
	let uploads = &state.api.provider.metrics.uploads;
	match &outcome {
		Ok(_) => uploads.with_label_values(&["complete"]).inc(),
		Err(failure) => {
			tracing::info!(kind = ?failure.kind(), "upload refused");
			uploads.with_label_values(&["refused"]).inc();
			if !headers.contains_key(header::EXPECT) {
				drain(body).await;
			}
		}
	}
	outcome
}

/// Adds a body to an upload. `announced` is the body's length by its headers.
///
/// # Errors
/// [`ErrorKind::IdleTimeout`] if the client is gone or too slow, [`ErrorKind::TooLarge`] and
/// [`ErrorKind::TooSmall`] if there is more or less than announced, and what kept it from being written. What
/// came is kept if the upload can be resumed; the failure says how much that is.
pub(super) async fn receive(
	state: &DataApi,
	mut running: Running,
	announced: Option<u64>,
	body: &mut BodyDataStream,
) -> Result<Running, Failure> {
	let (id, before) = (running.id().to_owned(), running.received());
	let room = running.terms().length.map(|length| length.saturating_sub(before));
	let too_large = || {
		Problem::new(ErrorKind::TooLarge, "there is more data than was announced")
			.hint("announce the length that the data has")
	};
	if announced
		.zip(room)
		.is_some_and(|(announced, room)| announced > room)
	{
		return Err(too_large().into());
	}
	let (sender, receiver) = mpsc::channel(PIECES_IN_FLIGHT);
	let span = tracing::Span::current();
	// If this future is dropped, the channel closes, and the thread puts the upload back or gives it up.
	let writing = tokio::task::spawn_blocking(move || {
		let written = span.in_scope(|| running.write(receiver));
		(running, written)
	});
	let most = [announced, room].into_iter().flatten().min().unwrap_or(u64::MAX);
	let pumped = pump(state, &id, most, body, sender).await;
	let (running, written) = writing.await.map_err(|error| {
		tracing::error!(%error, "an upload failed");
		Problem::new(ErrorKind::Internal, "the upload failed").hint("the server's log has the cause")
	})?;
	let outcome = written.and(pumped).and_then(|came| match announced {
		Some(announced) if came < announced => Err(Problem::new(
			ErrorKind::TooSmall,
			"the data ended before the announced length",
		)),
		_ => Ok(()),
	});
	match outcome {
		Ok(()) => Ok(running),
		Err(problem) if running.can_go_on() => {
			let offset = running.received().to_string();
			Err(Failure::from(problem).header(super::headers::UPLOAD_OFFSET, offset))
		}
		Err(problem) => Err(problem.into()),
	}
}

/// Moves a body's pieces into the channel; returns their bytes.
async fn pump(
	state: &DataApi,
	id: &str,
	most: u64,
	body: &mut BodyDataStream,
	sender: mpsc::Sender<Bytes>,
) -> Result<u64, Problem> {
	let limits = &state.api.provider.config.uploads;
	let patience = Duration::from_secs(limits.idle_timeout_seconds);
	let counter = &state.api.provider.metrics.bytes_received;
	let too_slow = || {
		Problem::new(ErrorKind::IdleTimeout, "the upload brings too little data").hint(
			"send faster, or upload to /uploads: there another request can go on from the offset that HEAD shows",
		)
	};
	let (mut came, mut in_window) = (0_u64, 0_u64);
	let mut window = Instant::now();
	loop {
		let next = tokio::time::timeout(patience, body.next())
			.await
			.map_err(|_| too_slow())?;
		let piece = match next {
			None => return Ok(came),
			Some(Err(error)) => {
				let message = format!("the upload broke off: {error}");
				return Err(Problem::new(ErrorKind::IdleTimeout, message));
			}
			Some(Ok(piece)) => piece,
		};
		counter.inc_by(piece.len() as u64);
		came = came.saturating_add(piece.len() as u64);
		if came > most {
			return Err(Problem::new(
				ErrorKind::TooLarge,
				"there is more data than was announced",
			));
		}
		in_window = in_window.saturating_add(piece.len() as u64);
		if window.elapsed() >= patience {
			if in_window < limits.min_progress.0 && came < most {
				return Err(too_slow());
			}
			(window, in_window) = (Instant::now(), 0);
		}
		if state.data.uploads.status(id).is_none() {
			return Err(discarded());
		}
		// A closed channel means that writing failed, which the caller learns from the thread.
		if sender.send(piece).await.is_err() {
			return Ok(came);
		}
	}
}
