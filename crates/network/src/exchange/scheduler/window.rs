//! How much to have asked of one peer at a time.

use std::time::{Duration, Instant};

/// Blocks asked of a peer before anything is known of it.
const FIRST: f64 = 4.0;
/// Fewest blocks: with fewer than two the line is idle between them.
const FEWEST: f64 = 2.0;
/// Size that a block is taken to have before any came: the default of IPFS's chunker.
const TYPICAL_BLOCK: f64 = 262_144.0;
/// Weight of a new measurement.
const NEW: f64 = 0.125;
/// How long an answer may take before anything is known.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
const MOST_PATIENCE: Duration = Duration::from_secs(15);

/// The window of one peer: grows by a block per block until answers wait in a queue, then by a block per
/// window, and halves when an answer does not come. So it covers bandwidth × delay, as TCP's does, and
/// what RFC 6298 does for TCP says how long to wait for an answer.
#[derive(Clone, Debug)]
pub struct Window {
	blocks: f64,
	/// Bounds the window from above.
	most: Limits,
	starting: bool,
	/// Smoothed time from asking to the block, and its variation.
	latency: Option<(Duration, Duration)>,
	/// Least such time.
	least: Duration,
	block_size: f64,
	/// Smoothed bytes per second.
	rate: Option<f64>,
	/// Bytes since then that are not in `rate` yet.
	counted: (Option<Instant>, u64),
	/// No second halving before this: one congestion loses many answers.
	halved_until: Option<Instant>,
	/// Timeouts in a row, each of which doubles the patience.
	timeouts: u32,
}

/// Bounds of a window.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
	/// Blocks.
	pub blocks: usize,
	/// Bytes, estimated from the blocks so far.
	pub bytes: usize,
}

impl Window {
	/// The first window.
	pub fn new(most: Limits) -> Self {
		Self {
			blocks: FIRST.min(most.blocks as f64),
			most,
			starting: true,
			latency: None,
			least: Duration::MAX,
			block_size: TYPICAL_BLOCK,
			rate: None,
			counted: (None, 0),
			halved_until: None,
			timeouts: 0,
		}
	}

	/// Blocks that may be asked for at a time.
	pub fn size(&self) -> usize {
		self.blocks as usize
	}

	/// How long to wait for an answer since the last sign of progress.
	pub fn patience(&self) -> Duration {
		let patience = self
			.latency
			.map_or(FIRST_PATIENCE, |(smoothed, variation)| smoothed + variation * 4);
		let doubled = patience.saturating_mul(1 << self.timeouts.min(4));
		doubled.clamp(LEAST_PATIENCE, MOST_PATIENCE)
	}

	/// Smoothed time from asking to the block.
	pub fn latency(&self) -> Duration {
		self.latency.map_or(FIRST_PATIENCE / 4, |(smoothed, _)| smoothed)
	}

	/// Whether anything has come yet.
	pub fn is_measured(&self) -> bool {
		self.latency.is_some()
	}

	/// Seconds until a block that is asked for now has come, with so many asked for before it.
	pub fn expected_seconds(&self, asked: usize) -> f64 {
		let least = match self.least {
			Duration::MAX => 0.1,
			least => least.as_secs_f64(),
		};
		let rate = self.rate.unwrap_or(8.0 * TYPICAL_BLOCK);
		least + asked as f64 * self.block_size / rate
	}

	/// A block of `bytes` came after `elapsed`; `asked` were on their way with it.
	pub fn delivered(&mut self, bytes: usize, elapsed: Duration, asked: usize, now: Instant) {
		self.timeouts = 0;
		self.block_size += NEW * (bytes as f64 - self.block_size);
		self.least = self.least.min(elapsed);
		self.latency = Some(match self.latency {
			None => (elapsed, elapsed / 2),
			Some((smoothed, variation)) => (
				smoothed.mul_f64(1.0 - NEW) + elapsed.mul_f64(NEW),
				variation.mul_f64(0.75) + smoothed.abs_diff(elapsed).mul_f64(0.25),
			),
		});
		self.measure(bytes, now);
		let queued = elapsed > self.least * 3 + Duration::from_millis(20);
		if queued {
			self.starting = false;
		} else if asked as f64 >= self.blocks * 0.75 {
			self.blocks += if self.starting { 1.0 } else { 1.0 / self.blocks };
		}
		let most = (self.most.bytes as f64 / self.block_size.max(1.0)).min(self.most.blocks as f64);
		self.blocks = self.blocks.min(most).max(FEWEST);
	}

	/// An answer did not come in time.
	pub fn timed_out(&mut self, now: Instant) {
		self.timeouts = self.timeouts.saturating_add(1);
		self.congested(now);
	}

	/// The peer has too much to do.
	pub fn congested(&mut self, now: Instant) {
		if self.halved_until.is_some_and(|until| now < until) {
			return;
		}
		self.starting = false;
		self.blocks = (self.blocks / 2.0).max(FEWEST);
		self.halved_until = Some(now + self.latency());
	}

	/// Nothing is on its way, so that the time until something comes says nothing of the peer's rate.
	pub fn idle(&mut self) {
		self.counted = (None, 0);
	}

	fn measure(&mut self, bytes: usize, now: Instant) {
		let (since, counted) = &mut self.counted;
		*counted += bytes as u64;
		let Some(start) = *since else {
			*since = Some(now);
			*counted = 0;
			return;
		};
		let elapsed = now.saturating_duration_since(start);
		if elapsed >= Duration::from_millis(20) {
			let rate = *counted as f64 / elapsed.as_secs_f64();
			self.rate = Some(self.rate.map_or(rate, |average| average + NEW * (rate - average)));
			self.counted = (Some(now), 0);
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	const LIMITS: Limits = Limits {
		blocks: 1000,
		bytes: 16 << 20,
	};

	/// A peer behind a line of this many bytes per second and this round trip, kept busy for `blocks`
	/// blocks. Returns the window and the seconds it took.
	fn run(rate: f64, round_trip: f64, size: usize, blocks: usize) -> (Window, f64) {
		let start = Instant::now();
		let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
		let mut window = Window::new(LIMITS);
		let mut on_the_way = std::collections::VecDeque::new();
		let (mut now, mut line_free, mut asked) = (0.0, 0.0_f64, 0);
		while asked < blocks || !on_the_way.is_empty() {
			while asked < blocks && on_the_way.len() < window.size() {
				line_free = line_free.max(now + round_trip) + size as f64 / rate;
				on_the_way.push_back((now, line_free));
				asked += 1;
			}
			let (since, arrival) = on_the_way.pop_front().unwrap();
			now = arrival;
			let elapsed = Duration::from_secs_f64(now - since);
			window.delivered(size, elapsed, on_the_way.len() + 1, at(now));
		}
		(window, now)
	}

	#[test]
	fn covers_bandwidth_times_delay() {
		// 100 MB/s at 50 ms needs 5 MB on their way: 20 blocks of 256 KiB.
		let (window, seconds) = run(1e8, 0.05, 262_144, 2000);
		assert!(window.size() >= 20, "{}", window.size());
		let best = 2000.0 * 262_144.0 / 1e8;
		assert!(seconds < best * 1.2, "{seconds} against {best}");
	}

	#[test]
	fn stays_within_its_bounds_and_halves() {
		let (mut window, _) = run(1e9, 0.2, 262_144, 4000);
		assert!(window.size() * 262_144 <= LIMITS.bytes);
		let (before, patience) = (window.size(), window.patience());
		let now = Instant::now();
		window.timed_out(now);
		assert!(window.size() <= before / 2 + 1);
		window.timed_out(now);
		assert!(window.size() >= before / 2 - 1, "one congestion halves once");
		for second in 1..100 {
			window.timed_out(now + Duration::from_secs(second * 20));
		}
		assert_eq!(window.size(), 2);
		assert!(window.patience() > patience && window.patience() <= MOST_PATIENCE);
	}

	#[test]
	fn a_faster_peer_is_expected_sooner() {
		let (fast, _) = run(1e8, 0.01, 262_144, 200);
		let (slow, _) = run(1e6, 0.01, 262_144, 20);
		assert!(fast.expected_seconds(10) < slow.expected_seconds(1));
		assert!(fast.expected_seconds(0) < fast.expected_seconds(10));
	}
}
