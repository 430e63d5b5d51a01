//! Frames on streams, for both protocols: a length as a varint, and as many bytes.

use bytes::{Bytes, BytesMut};
use futures::{AsyncRead, AsyncReadExt};
use std::{sync::Arc, time::Duration};
use tokio::{
	sync::{OwnedSemaphorePermit, Semaphore},
	time::timeout,
};

/// Memory for what is being received, of one peer or of all: whoever needs more waits.
#[derive(Clone, Debug)]
pub struct Budget {
	own: Arc<Semaphore>,
	all: Arc<Semaphore>,
}

/// A frame's share of a budget, held as long as the frame is.
#[derive(Debug)]
pub struct Share {
	_own: OwnedSemaphorePermit,
	_all: OwnedSemaphorePermit,
}

impl Budget {
	/// The first budget, out of which those of peers are made: `bytes` for all together.
	pub fn new(bytes: usize) -> Self {
		let all = Arc::new(Semaphore::new(bytes));
		Self {
			own: all.clone(),
			all,
		}
	}

	/// The budget of one peer: `bytes` out of the common ones.
	pub fn of_peer(&self, bytes: usize) -> Self {
		Self {
			own: Arc::new(Semaphore::new(bytes)),
			all: self.all.clone(),
		}
	}

	/// Waits for its turn; the peer's own budget first, so that a peer waits for itself and not with
	/// what others could have.
	async fn take(&self, bytes: usize) -> Result<Share, FramingError> {
		let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
		let own = self.own.clone().acquire_many_owned(bytes).await;
		let all = self.all.clone().acquire_many_owned(bytes).await;
		match (own, all) {
			(Ok(own), Ok(all)) => Ok(Share { _own: own, _all: all }),
			// Budgets are never closed.
			_ => Err(FramingError::Closed),
		}
	}
}

/// Bytes per second below which a stream is too slow to keep memory for its frames.
const SLOWEST: u64 = 32 << 10;

/// Reads frames of at most `max` bytes.
#[derive(Debug)]
pub struct FrameReader<R> {
	stream: R,
	max: usize,
	budget: Budget,
	/// How long the first byte of a frame may be ahead of the others, apart from what [`SLOWEST`] takes.
	patience: Duration,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
	/// The stream.
	pub fn into_inner(self) -> R {
		self.stream
	}

	/// Reads from a stream.
	pub fn new(stream: R, max: usize, budget: Budget, patience: Duration) -> Self {
		Self {
			stream,
			max,
			budget,
			patience,
		}
	}

	/// The next frame, without its length; `None` if the stream ends before one begins.
	///
	/// # Errors
	/// [`FramingError`], after which nothing more can be read.
	pub async fn next(&mut self) -> Result<Option<(Bytes, Share)>, FramingError> {
		let mut first = [0];
		// Between frames a stream may rest as long as the connection lives.
		if self.stream.read(&mut first).await? == 0 {
			return Ok(None);
		}
		let len = timeout(self.patience, self.length(first[0])).await??;
		let share = self.budget.take(len).await?;
		let patience = self.patience + Duration::from_secs(len as u64 / SLOWEST);
		let frame = timeout(patience, self.body(len)).await??;
		Ok(Some((frame, share)))
	}

	async fn length(&mut self, first: u8) -> Result<usize, FramingError> {
		let mut byte = first;
		let mut len = 0usize;
		// Four bytes say up to 256 MiB, more than any frame has.
		for place in 0..4 {
			len |= usize::from(byte & 0x7f) << (7 * place);
			if byte & 0x80 == 0 {
				if byte == 0 && place > 0 {
					return Err(FramingError::Length);
				}
				return if len > self.max {
					Err(FramingError::TooLong { len, max: self.max })
				} else {
					Ok(len)
				};
			}
			let mut next = [0];
			self.stream.read_exact(&mut next).await?;
			byte = next[0];
		}
		Err(FramingError::Length)
	}

	async fn body(&mut self, len: usize) -> Result<Bytes, FramingError> {
		/// Memory is touched as the bytes come, not as the length promises them.
		const STEP: usize = 64 << 10;
		// The budget has it.
		let mut frame = BytesMut::with_capacity(len);
		while frame.len() < len {
			let filled = frame.len();
			frame.resize(len.min(filled + STEP), 0);
			self.stream.read_exact(&mut frame[filled..]).await?;
		}
		Ok(frame.freeze())
	}
}

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FramingError {
	/// The stream failed, or ended within a frame.
	#[error("the stream failed: {0}")]
	Io(#[from] std::io::Error),
	/// The length is malformed.
	#[error("the length of a frame is malformed")]
	Length,
	/// The frame is longer than allowed.
	#[error("a frame has {len} bytes, the limit is {max}")]
	TooLong {
		/// Its bytes.
		len: usize,
		/// Most bytes.
		max: usize,
	},
	/// The frame did not arrive in time.
	#[error("a frame did not arrive in time")]
	TimedOut(#[from] tokio::time::error::Elapsed),
	/// The node stops.
	#[error("the node stops")]
	Closed,
}

impl FramingError {
	/// Whether the peer broke the protocol, and did not just go away.
	pub fn is_offence(&self) -> bool {
		matches!(self, Self::Length | Self::TooLong { .. })
	}
}
