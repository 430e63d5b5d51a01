//! Counting the bytes of all streams of a connection.

use crate::metrics::{Carrier, Metrics};
use futures::{ready, AsyncRead, AsyncWrite};
use libp2p::core::{
	muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox},
	ConnectedPoint,
};
use prometheus::IntCounter;
use std::{
	io::{self, IoSlice, IoSliceMut},
	pin::Pin,
	task::{Context, Poll},
};

#[derive(Clone)]
struct Counters {
	received: IntCounter,
	sent: IntCounter,
}

/// A connection whose bytes are counted.
pub(super) struct Metered {
	inner: StreamMuxerBox,
	counters: Counters,
}

impl Metered {
	pub fn new(inner: StreamMuxerBox, metrics: &Metrics, endpoint: &ConnectedPoint) -> Self {
		let carrier = Carrier::of_endpoint(endpoint).name();
		let counters = Counters {
			received: metrics.bytes.with_label_values(&[carrier, "in"]),
			sent: metrics.bytes.with_label_values(&[carrier, "out"]),
		};
		Self { inner, counters }
	}

	fn count(&self, stream: SubstreamBox) -> MeteredStream {
		MeteredStream {
			inner: stream,
			counters: self.counters.clone(),
		}
	}
}

impl StreamMuxer for Metered {
	type Substream = MeteredStream;
	type Error = io::Error;

	fn poll_inbound(
		mut self: Pin<&mut Self>,
		cx: &mut Context<'_>,
	) -> Poll<Result<Self::Substream, Self::Error>> {
		let stream = ready!(Pin::new(&mut self.inner).poll_inbound(cx))?;
		Poll::Ready(Ok(self.count(stream)))
	}

	fn poll_outbound(
		mut self: Pin<&mut Self>,
		cx: &mut Context<'_>,
	) -> Poll<Result<Self::Substream, Self::Error>> {
		let stream = ready!(Pin::new(&mut self.inner).poll_outbound(cx))?;
		Poll::Ready(Ok(self.count(stream)))
	}

	fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
		Pin::new(&mut self.inner).poll_close(cx)
	}

	fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
		Pin::new(&mut self.inner).poll(cx)
	}
}

/// A stream whose bytes are counted.
pub(super) struct MeteredStream {
	inner: SubstreamBox,
	counters: Counters,
}

impl AsyncRead for MeteredStream {
	fn poll_read(
		mut self: Pin<&mut Self>,
		cx: &mut Context<'_>,
		buffer: &mut [u8],
	) -> Poll<io::Result<usize>> {
		let bytes = ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
		self.counters.received.inc_by(bytes as u64);
		Poll::Ready(Ok(bytes))
	}

	fn poll_read_vectored(
		mut self: Pin<&mut Self>,
		cx: &mut Context<'_>,
		buffers: &mut [IoSliceMut<'_>],
	) -> Poll<io::Result<usize>> {
		let bytes = ready!(Pin::new(&mut self.inner).poll_read_vectored(cx, buffers))?;
		self.counters.received.inc_by(bytes as u64);
		Poll::Ready(Ok(bytes))
	}
}

impl AsyncWrite for MeteredStream {
	fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
		let bytes = ready!(Pin::new(&mut self.inner).poll_write(cx, buffer))?;
		self.counters.sent.inc_by(bytes as u64);
		Poll::Ready(Ok(bytes))
	}

	fn poll_write_vectored(
		mut self: Pin<&mut Self>,
		cx: &mut Context<'_>,
		buffers: &[IoSlice<'_>],
	) -> Poll<io::Result<usize>> {
		let bytes = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, buffers))?;
		self.counters.sent.inc_by(bytes as u64);
		Poll::Ready(Ok(bytes))
	}

	fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
		Pin::new(&mut self.inner).poll_flush(cx)
	}

	fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
		Pin::new(&mut self.inner).poll_close(cx)
	}
}
