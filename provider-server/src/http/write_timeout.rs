//! Giving up peers that do not take what is sent to them.

use std::{
	future::Future,
	io::{self, IoSlice},
	pin::Pin,
	task::{ready, Context, Poll},
	time::Duration,
};
use tokio::{
	io::{AsyncRead, AsyncWrite, ReadBuf},
	time::Sleep,
};

/// A connection on which writing fails once the peer has taken nothing for a while. Without it whoever
/// asks and never reads would hold a place among the connections, and the response's memory, for ever:
/// the kernel keeps a connection with a full window open as long as the peer is alive.
pub(super) struct WriteTimeout<S> {
	stream: S,
	timeout: Duration,
	/// Runs while a write waits.
	stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteTimeout<S> {
	/// `stream`, whose peer must take something every `timeout`.
	pub fn new(stream: S, timeout: Duration) -> Self {
		WriteTimeout {
			stream,
			timeout,
			stalled: None,
		}
	}

	/// Turns a wait that takes too long into an error.
	fn limit<T>(&mut self, context: &mut Context<'_>, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
		if progress.is_ready() {
			self.stalled = None;
			return progress;
		}
		let timeout = self.timeout;
		let stalled = self
			.stalled
			.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
		ready!(stalled.as_mut().poll(context));
		Poll::Ready(Err(io::Error::new(
			io::ErrorKind::TimedOut,
			"the peer does not read",
		)))
	}
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
	fn poll_read(
		mut self: Pin<&mut Self>,
		context: &mut Context<'_>,
		buffer: &mut ReadBuf<'_>,
	) -> Poll<io::Result<()>> {
		Pin::new(&mut self.stream).poll_read(context, buffer)
	}
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
	fn poll_write(
		mut self: Pin<&mut Self>,
		context: &mut Context<'_>,
		bytes: &[u8],
	) -> Poll<io::Result<usize>> {
		let progress = Pin::new(&mut self.stream).poll_write(context, bytes);
		self.limit(context, progress)
	}

	fn poll_write_vectored(
		mut self: Pin<&mut Self>,
		context: &mut Context<'_>,
		slices: &[IoSlice<'_>],
	) -> Poll<io::Result<usize>> {
		let progress = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
		self.limit(context, progress)
	}

	fn is_write_vectored(&self) -> bool {
		self.stream.is_write_vectored()
	}

	fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
		let progress = Pin::new(&mut self.stream).poll_flush(context);
		self.limit(context, progress)
	}

	fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
		let progress = Pin::new(&mut self.stream).poll_shutdown(context);
		self.limit(context, progress)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use tokio::io::{duplex, AsyncReadExt, AsyncWriteExt};

	#[tokio::test(start_paused = true)]
	async fn a_peer_that_reads_nothing_is_given_up() {
		let (near, _far) = duplex(10);
		let mut stream = WriteTimeout::new(near, Duration::from_secs(30));
		stream.write_all(&[0; 10]).await.unwrap();
		let started = tokio::time::Instant::now();
		let error = stream.write_all(&[0; 1]).await.unwrap_err();
		assert_eq!(error.kind(), io::ErrorKind::TimedOut);
		assert!(started.elapsed() >= Duration::from_secs(30));
	}

	#[tokio::test(start_paused = true)]
	async fn a_peer_that_reads_a_little_at_a_time_is_served() {
		let (near, mut far) = duplex(10);
		let mut stream = WriteTimeout::new(near, Duration::from_secs(30));
		let reading = tokio::spawn(async move {
			let mut read = 0;
			while read < 100 {
				tokio::time::sleep(Duration::from_secs(20)).await;
				read += far.read(&mut [0; 10]).await.unwrap();
			}
		});
		// 200 seconds in all.
		stream.write_all(&[0; 100]).await.unwrap();
		reading.await.unwrap();
	}
}
