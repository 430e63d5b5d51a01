//! Response bodies made by blocking code.

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use futures::stream;
use hyper::body::{Frame, SizeHint};
use std::{
	io::{self, Write},
	pin::Pin,
	task::{Context, Poll},
	time::Duration,
};
use tokio::{runtime::Handle, sync::mpsc};

/// Bytes that are sent together.
const CHUNK: usize = 256 << 10;
/// Chunks between the reader and the network: bounds a response's memory.
const CHUNKS_IN_FLIGHT: usize = 4;

/// Writes into a response body. An error, or dropping it without [`finish`](Self::finish), cuts the
/// connection, so that the client does not take a part for the whole.
pub(super) struct BodyWriter {
	sender: mpsc::Sender<io::Result<Bytes>>,
	buffer: BytesMut,
	runtime: Handle,
	timeout: Duration,
	sent: u64,
}

impl BodyWriter {
	fn send(&mut self, chunk: Bytes) -> io::Result<()> {
		self.sent += chunk.len() as u64;
		let sending = tokio::time::timeout(self.timeout, self.sender.send(Ok(chunk)));
		match self.runtime.block_on(sending) {
			Ok(Ok(())) => Ok(()),
			// The client is gone, or takes nothing any more.
			Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
			Err(_) => Err(io::ErrorKind::TimedOut.into()),
		}
	}

	/// Sends bytes that are at hand without copying them.
	pub fn write_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
		self.flush()?;
		self.send(bytes)
	}

	/// Bytes handed to the connection.
	pub fn sent(&self) -> u64 {
		self.sent
	}
}

impl Write for BodyWriter {
	fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
		let taken = bytes.len().min(CHUNK - self.buffer.len());
		self.buffer.extend_from_slice(&bytes[..taken]);
		if self.buffer.len() == CHUNK {
			self.flush()?;
		}
		Ok(taken)
	}

	fn flush(&mut self) -> io::Result<()> {
		if self.buffer.is_empty() {
			return Ok(());
		}
		let chunk = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(CHUNK)).freeze();
		self.send(chunk)
	}
}

/// A body that `produce` writes on a blocking thread. If `produce` fails, the connection is cut.
/// A client that takes nothing for `timeout` is given up. `done` gets the bytes sent. `held`, such as a place among
/// the retrievals, is held until the connection has taken or dropped the body: what waits for a slow reader counts
/// too.
pub(super) fn blocking<H: Send + 'static>(
	timeout: Duration,
	held: H,
	done: impl FnOnce(u64) + Send + 'static,
	produce: impl FnOnce(&mut BodyWriter) -> io::Result<()> + Send + 'static,
) -> Body {
	let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
	let runtime = Handle::current();
	tokio::task::spawn_blocking(move || {
		let failed = sender.clone();
		let mut writer = BodyWriter {
			sender,
			buffer: BytesMut::with_capacity(CHUNK),
			runtime,
			timeout,
			sent: 0,
		};
		let outcome = produce(&mut writer).and_then(|()| writer.flush());
		done(writer.sent());
		if let Err(error) = outcome {
			if error.kind() != io::ErrorKind::BrokenPipe {
				tracing::warn!(%error, "a response was cut off");
			}
			// If the channel is full or closed, the body ends without its last chunk anyway.
			let runtime = writer.runtime.clone();
			let _ = runtime.block_on(tokio::time::timeout(timeout, failed.send(Err(error))));
		}
	});
	Body::from_stream(stream::unfold(
		(receiver, held),
		|(mut receiver, held)| async move {
			let_others_go_first().await;
			receiver.recv().await.map(|chunk| (chunk, (receiver, held)))
		},
	))
}

/// A body of bytes that are at hand, sent in parts. `held` is held as by [`blocking`].
pub(super) fn at_hand<H: Send + 'static>(bytes: Bytes, held: H) -> Body {
	Body::from_stream(stream::unfold((bytes, held), |(mut rest, held)| async move {
		let_others_go_first().await;
		let part = rest.split_to(rest.len().min(CHUNK));
		(!part.is_empty()).then_some((io::Result::Ok(part), (rest, held)))
	}))
}

/// Before each part of a body: a connection that takes all it is given would keep its thread from all others.
async fn let_others_go_first() {
	tokio::task::yield_now().await;
}

/// Any body, with what is held until it is taken or dropped.
pub(super) struct Holding<H> {
	body: Body,
	_held: H,
}

impl<H> Holding<H> {
	/// `body`, with `held`.
	pub fn new(body: Body, held: H) -> Self {
		Holding { body, _held: held }
	}
}

impl<H: Unpin> HttpBody for Holding<H> {
	type Data = Bytes;
	type Error = axum::Error;

	fn poll_frame(
		mut self: Pin<&mut Self>,
		context: &mut Context<'_>,
	) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
		Pin::new(&mut self.body).poll_frame(context)
	}

	fn is_end_stream(&self) -> bool {
		self.body.is_end_stream()
	}

	fn size_hint(&self) -> SizeHint {
		self.body.size_hint()
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use futures::StreamExt;
	use std::sync::{
		atomic::{AtomicUsize, Ordering},
		Arc,
	};

	#[tokio::test]
	async fn bytes_at_hand_are_sent_in_parts_and_in_turns() {
		for len in [0, 1, CHUNK, 3 * CHUNK + 7] {
			let bytes: Bytes = (0..len).map(|n| (n >> 8) as u8).collect();
			let held = Arc::new(());
			let mut parts = at_hand(bytes.clone(), held.clone()).into_data_stream();
			let turns = Arc::new(AtomicUsize::new(0));
			let other = {
				let turns = turns.clone();
				tokio::spawn(async move {
					loop {
						turns.fetch_add(1, Ordering::Relaxed);
						tokio::task::yield_now().await;
					}
				})
			};
			let (mut sent, mut count) = (Vec::new(), 0);
			while let Some(part) = parts.next().await {
				let part = part.unwrap();
				assert!(!part.is_empty() && part.len() <= CHUNK);
				sent.extend_from_slice(&part);
				count += 1;
				assert!(
					turns.load(Ordering::Relaxed) >= count,
					"part {count} of {len} bytes"
				);
			}
			assert!(sent == bytes, "{len} bytes");
			assert_eq!(count, len.div_ceil(CHUNK));
			drop(parts);
			assert_eq!(Arc::strong_count(&held), 1);
			other.abort();
		}
	}
}
