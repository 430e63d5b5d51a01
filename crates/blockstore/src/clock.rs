//! The clock that datasets expire by.

use std::{
	sync::atomic::{AtomicU64, Ordering},
	time::{SystemTime, UNIX_EPOCH},
};

/// Tells the time in seconds since the Unix epoch.
pub trait Clock: Send + Sync + 'static {
	/// Now.
	fn now(&self) -> u64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
	fn now(&self) -> u64 {
		// A clock before 1970 is wrong; nothing expires by it.
		SystemTime::now()
			.duration_since(UNIX_EPOCH)
			.map_or(0, |since| since.as_secs())
	}
}

/// A clock that is set by hand: for tests, and for showing what would expire when.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
	/// Shows `seconds` since the epoch.
	pub fn new(seconds: u64) -> Self {
		Self(AtomicU64::new(seconds))
	}

	/// Moves forward.
	pub fn advance(&self, seconds: u64) {
		self.0.fetch_add(seconds, Ordering::SeqCst);
	}
}

impl Clock for ManualClock {
	fn now(&self) -> u64 {
		self.0.load(Ordering::SeqCst)
	}
}
