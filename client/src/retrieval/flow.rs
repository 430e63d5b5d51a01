//! How one transfer goes, for those who look on.

use std::{
	sync::atomic::{AtomicBool, AtomicU64, Ordering},
	time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Counts what comes in one transfer, and can stop it.
#[derive(Debug)]
pub(super) struct Flow {
	began: Instant,
	/// Bytes of the response.
	bytes: AtomicU64,
	/// Bytes of blocks that nobody had brought before.
	new: AtomicU64,
	/// Microseconds from the beginning to the first byte and to the last; 0 before there is one.
	first: AtomicU64,
	last: AtomicU64,
	/// Others fetch a part of what was asked for.
	contested: AtomicBool,
	stop: CancellationToken,
}

impl Default for Flow {
	fn default() -> Self {
		Flow {
			began: Instant::now(),
			bytes: AtomicU64::new(0),
			new: AtomicU64::new(0),
			first: AtomicU64::new(0),
			last: AtomicU64::new(0),
			contested: AtomicBool::new(false),
			stop: CancellationToken::new(),
		}
	}
}

impl Flow {
	/// Counts bytes of the response.
	pub fn count(&self, bytes: usize) {
		// Hundreds of thousands of years fit.
		let now = self.began.elapsed().as_micros().max(1) as u64;
		self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
		self.last.store(now, Ordering::Relaxed);
		let _ = self
			.first
			.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
	}

	/// Counts bytes of a new block.
	pub fn count_new(&self, bytes: usize) {
		self.new.fetch_add(bytes as u64, Ordering::Relaxed);
	}

	/// Bytes of new blocks.
	pub fn new_bytes(&self) -> u64 {
		self.new.load(Ordering::Relaxed)
	}

	/// Since the request.
	pub fn age(&self) -> Duration {
		self.began.elapsed()
	}

	/// From the request to the first byte.
	pub fn latency(&self) -> Option<Duration> {
		let first = self.first.load(Ordering::Relaxed);
		(first > 0).then(|| Duration::from_micros(first))
	}

	/// Bytes per second since the first byte.
	pub fn rate(&self) -> Option<f64> {
		let elapsed = self.age().checked_sub(self.latency()?)?.as_secs_f64();
		(elapsed > 0.0).then(|| self.bytes.load(Ordering::Relaxed) as f64 / elapsed)
	}

	/// Whether nothing has come for that long, or in all that time less than so many bytes per second.
	pub fn is_slow(&self, patience: Duration, least_rate: f64) -> bool {
		let age = self.age();
		let last = Duration::from_micros(self.last.load(Ordering::Relaxed));
		let bytes = self.bytes.load(Ordering::Relaxed) as f64;
		age.saturating_sub(last) >= patience || (age >= patience && bytes / age.as_secs_f64() < least_rate)
	}

	/// From now on others fetch a part of what was asked for.
	pub fn contest(&self) {
		self.contested.store(true, Ordering::Relaxed);
	}

	/// Whether others fetch a part of what was asked for.
	pub fn is_contested(&self) -> bool {
		self.contested.load(Ordering::Relaxed)
	}

	/// Ends the transfer.
	pub fn stop(&self) {
		self.stop.cancel();
	}

	/// Whether the transfer was told to end.
	pub fn is_stopped(&self) -> bool {
		self.stop.is_cancelled()
	}

	/// Waits until the transfer is told to end.
	pub async fn stopped(&self) {
		self.stop.cancelled().await;
	}
}
