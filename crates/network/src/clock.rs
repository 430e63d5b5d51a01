//! Where time comes from, so that expiry can be tested without waiting for it.

use futures::future::{BoxFuture, FutureExt};
use std::{
	sync::Arc,
	time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

/// A source of wall-clock time. Records, strikes and bans are dated by it.
pub trait Clock: Send + Sync + 'static {
	/// Time since the Unix epoch.
	fn now(&self) -> Duration;

	/// Resolves once [`now`](Clock::now) has reached `time`, which may be at once.
	fn sleep_until(&self, time: Duration) -> BoxFuture<'static, ()>;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
	fn now(&self) -> Duration {
		// A clock before 1970 counts as 1970: everything is then older than it seems, and expires late.
		SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
	}

	fn sleep_until(&self, time: Duration) -> BoxFuture<'static, ()> {
		async move {
			// The operating system's clock can be set back while this sleeps.
			while let Some(rest) = time.checked_sub(SystemClock.now()).filter(|rest| !rest.is_zero()) {
				tokio::time::sleep(rest).await;
			}
		}
		.boxed()
	}
}

/// A clock that stands still until it is told to move. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<watch::Sender<Duration>>);

impl ManualClock {
	/// A clock that shows `now`, a time since the Unix epoch.
	pub fn new(now: Duration) -> Self {
		Self(Arc::new(watch::Sender::new(now)))
	}

	/// Moves the clock forward, and wakes whoever slept until a time that it has passed.
	pub fn advance(&self, by: Duration) {
		self.0.send_modify(|now| *now = now.saturating_add(by));
	}
}

impl Clock for ManualClock {
	fn now(&self) -> Duration {
		*self.0.borrow()
	}

	fn sleep_until(&self, time: Duration) -> BoxFuture<'static, ()> {
		let mut shown = self.0.subscribe();
		async move {
			if shown.wait_for(|now| *now >= time).await.is_err() {
				// The last clone is gone: this clock will never move again.
				futures::future::pending::<()>().await;
			}
		}
		.boxed()
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[tokio::test]
	async fn a_manual_clock_wakes_those_whose_time_has_come() {
		let clock = ManualClock::new(Duration::from_secs(100));
		clock.sleep_until(Duration::from_secs(100)).await;
		let mut soon = clock.sleep_until(Duration::from_secs(110));
		let mut later = clock.sleep_until(Duration::from_secs(111));
		assert!((&mut soon).now_or_never().is_none());
		clock.advance(Duration::from_secs(10));
		soon.await;
		assert!((&mut later).now_or_never().is_none());
		clock.advance(Duration::from_secs(1));
		later.await;
		assert_eq!(clock.now(), Duration::from_secs(111));
	}

	#[tokio::test]
	async fn the_system_clock_does_not_sleep_for_the_past() {
		assert!(SystemClock.now() > Duration::from_secs(1_700_000_000));
		SystemClock.sleep_until(Duration::ZERO).await;
	}
}
