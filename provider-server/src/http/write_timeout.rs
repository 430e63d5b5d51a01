//! Giving up peers that do not take what is sent to them, or so slowly that they only keep others from it.

use std::{
	future::Future,
	io::{self, IoSlice},
	pin::Pin,
	task::{ready, Context, Poll},
	time::Duration,
};
use tokio::{
	io::{AsyncRead, AsyncWrite, ReadBuf},
	time::{Instant, Sleep},
};

/// How long a peer may take to accept what is sent to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
	/// Longest that a write may wait.
	pub timeout: Duration,
	/// Bytes that the peer must take in as much time as it keeps writes waiting for.
	pub min_progress: u64,
}

/// A connection on which writing fails once the peer is too slow: it has kept writes waiting for [`Pace::timeout`]
/// longer than what it took meanwhile is worth. Without it whoever asks and never reads would hold a place among the
/// connections, and the response's memory, for ever: the kernel keeps a connection with a full window open as long
/// as the peer is alive. Whoever reads a little at a time would hold them for as good as ever.
///
/// Only time counts in which a write waits: that a response takes long to make is not its reader's fault.
pub(super) struct WriteTimeout<S> {
	stream: S,
	pace: Pace,
	/// For how long the peer has kept writes waiting, less what it took is worth.
	behind: Duration,
	/// Runs while a write waits.
	stalled: Option<Stalled>,
}

struct Stalled {
	since: Instant,
	limit: Pin<Box<Sleep>>,
}

impl<S> WriteTimeout<S> {
	/// `stream`, whose peer must keep the pace.
	pub fn new(stream: S, pace: Pace) -> Self {
		WriteTimeout {
			stream,
			pace,
			behind: Duration::ZERO,
			stalled: None,
		}
	}

	/// Turns a wait that takes too long into an error. `taken` says how many bytes went with what is ready.
	fn limit<T>(
		&mut self,
		context: &mut Context<'_>,
		progress: Poll<io::Result<T>>,
		taken: impl FnOnce(&T) -> usize,
	) -> Poll<io::Result<T>> {
		let Poll::Ready(ready) = progress else {
			let left = self.pace.timeout.saturating_sub(self.behind);
			let stalled = self.stalled.get_or_insert_with(|| Stalled {
				since: Instant::now(),
				limit: Box::pin(tokio::time::sleep(left)),
			});
			ready!(stalled.limit.as_mut().poll(context));
			return Poll::Ready(Err(io::Error::new(
				io::ErrorKind::TimedOut,
				"the peer does not read, or too slowly",
			)));
		};
		if let Some(stalled) = self.stalled.take() {
			self.behind += stalled.since.elapsed();
		}
		if let (Ok(ready), true) = (&ready, self.behind > Duration::ZERO) {
			self.behind = self.behind.saturating_sub(self.pace.worth(taken(ready)));
		}
		Poll::Ready(ready)
	}
}

impl Pace {
	/// The time that taking `bytes` makes up for.
	fn worth(&self, bytes: usize) -> Duration {
		if bytes == 0 {
			return Duration::ZERO;
		}
		// Whatever it is, it is at most the timeout that anybody can be behind.
		let share = (bytes as f64 / self.min_progress.max(1) as f64).min(1.0);
		self.timeout.mul_f64(share)
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
		self.limit(context, progress, |taken| *taken)
	}

	fn poll_write_vectored(
		mut self: Pin<&mut Self>,
		context: &mut Context<'_>,
		slices: &[IoSlice<'_>],
	) -> Poll<io::Result<usize>> {
		let progress = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
		self.limit(context, progress, |taken| *taken)
	}

	fn is_write_vectored(&self) -> bool {
		self.stream.is_write_vectored()
	}

	fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
		let progress = Pin::new(&mut self.stream).poll_flush(context);
		self.limit(context, progress, |()| 0)
	}

	fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
		let progress = Pin::new(&mut self.stream).poll_shutdown(context);
		self.limit(context, progress, |()| 0)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use tokio::io::{duplex, AsyncReadExt, AsyncWriteExt, DuplexStream};

	/// A connection of ten bytes on which 100 bytes in 30 seconds are the least.
	fn connection() -> (WriteTimeout<DuplexStream>, DuplexStream) {
		let (near, far) = duplex(10);
		let pace = Pace {
			timeout: Duration::from_secs(30),
			min_progress: 100,
		};
		(WriteTimeout::new(near, pace), far)
	}

	/// Reads ten bytes each `pause`.
	fn read_slowly(mut far: DuplexStream, pause: Duration) {
		tokio::spawn(async move {
			let mut bytes = [0; 10];
			loop {
				tokio::time::sleep(pause).await;
				match far.read(&mut bytes).await {
					Ok(1..) => {}
					_ => return,
				}
			}
		});
	}

	#[tokio::test(start_paused = true)]
	async fn a_peer_that_reads_nothing_is_given_up() {
		let (mut stream, _far) = connection();
		stream.write_all(&[0; 10]).await.unwrap();
		let started = Instant::now();
		let error = stream.write_all(&[0; 1]).await.unwrap_err();
		assert_eq!(error.kind(), io::ErrorKind::TimedOut);
		assert!(started.elapsed() >= Duration::from_secs(30));
	}

	#[tokio::test(start_paused = true)]
	async fn a_peer_that_reads_a_little_at_a_time_is_served() {
		let (mut stream, far) = connection();
		// A little faster than it must.
		read_slowly(far, Duration::from_millis(2900));
		// About five minutes in all.
		stream.write_all(&[0; 1000]).await.unwrap();
	}

	#[tokio::test(start_paused = true)]
	async fn a_peer_that_reads_too_little_is_given_up() {
		let (mut stream, far) = connection();
		// Half as fast as it must.
		read_slowly(far, Duration::from_secs(6));
		let started = Instant::now();
		let error = stream.write_all(&[0; 1000]).await.unwrap_err();
		assert_eq!(error.kind(), io::ErrorKind::TimedOut);
		// It falls behind by half of the time.
		let waited = started.elapsed().as_secs();
		assert!((50..=70).contains(&waited), "{waited}");
	}

	#[tokio::test(start_paused = true)]
	async fn what_takes_long_to_make_is_not_the_readers_fault() {
		let (mut stream, mut far) = connection();
		tokio::spawn(async move { while let Ok(1..) = far.read(&mut [0; 10]).await {} });
		for _ in 0..100 {
			tokio::time::sleep(Duration::from_secs(29)).await;
			stream.write_all(&[0; 1]).await.unwrap();
		}
	}

	#[tokio::test(start_paused = true)]
	async fn who_has_caught_up_may_pause_again() {
		let (mut stream, mut far) = connection();
		for _ in 0..10 {
			stream.write_all(&[0; 10]).await.unwrap();
			let reading = tokio::spawn(async move {
				tokio::time::sleep(Duration::from_secs(29)).await;
				far.read_exact(&mut [0; 110]).await.unwrap();
				far
			});
			stream.write_all(&[0; 100]).await.unwrap();
			far = reading.await.unwrap();
		}
	}
}
