//! What is known of one peer, and the bounded table of them.

use libp2p::PeerId;
use std::{collections::HashMap, time::Duration};

/// Weight of the newest of the measurements in an average.
const NEWEST: f64 = 0.2;

/// What is known of one peer. Averages are exponentially weighted, the newest measurement with a fifth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
	/// Bytes per second that it delivers at. `None` before its first delivery.
	pub throughput: Option<f64>,
	/// Round-trip time. `None` before the first measurement.
	pub rtt: Option<Duration>,
	/// Share of its requests that fail, 0 to 1.
	pub failure_rate: f64,
	/// Strikes at `struck_at`.
	strikes: f64,
	struck_at: Duration,
	/// Dials in a row that failed.
	missed_dials: u32,
	/// Until when it is not worth dialling, as a time since the Unix epoch.
	pub unreachable_until: Duration,
	/// The last report, as a time since the Unix epoch.
	touched: Duration,
}

impl Standing {
	/// Strikes now, given time since the Unix epoch.
	pub fn strikes(&self, now: Duration, half_life: Duration) -> f64 {
		let halves = now.saturating_sub(self.struck_at).as_secs_f64() / half_life.as_secs_f64();
		self.strikes * (-halves).exp2()
	}

	/// Adds strikes, and returns how many there are now.
	pub(super) fn strike(&mut self, strikes: f64, now: Duration, half_life: Duration) -> f64 {
		self.strikes = self.strikes(now, half_life) + strikes;
		self.struck_at = now;
		self.strikes
	}

	pub(super) fn forgive(&mut self) {
		self.strikes = 0.0;
	}

	pub(super) fn delivered(&mut self, bytes: u64, elapsed: Duration) {
		self.failure_rate *= 1.0 - NEWEST;
		// Below a microsecond the clock's grain is all that is measured.
		let throughput = bytes as f64 / elapsed.as_secs_f64().max(1e-6);
		self.throughput = Some(match self.throughput {
			Some(average) => average + NEWEST * (throughput - average),
			None => throughput,
		});
	}

	pub(super) fn failed(&mut self) {
		self.failure_rate += NEWEST * (1.0 - self.failure_rate);
	}

	pub(super) fn round_trip(&mut self, rtt: Duration) {
		self.rtt = Some(match self.rtt {
			Some(average) => average.mul_f64(1.0 - NEWEST) + rtt.mul_f64(NEWEST),
			None => rtt,
		});
	}

	pub(super) fn reached(&mut self) {
		self.missed_dials = 0;
		self.unreachable_until = Duration::ZERO;
	}

	pub(super) fn missed(&mut self, now: Duration, first: Duration, longest: Duration) {
		// Several dials can run at once, and the DHT dials whom it wants: together they are one failure.
		if self.unreachable_until > now {
			return;
		}
		let factor = 1_u32.checked_shl(self.missed_dials).unwrap_or(u32::MAX);
		self.unreachable_until = now.saturating_add(first.saturating_mul(factor).min(longest));
		self.missed_dials = self.missed_dials.saturating_add(1);
	}
}

/// Standings by peer; at most so many.
pub(super) struct Standings {
	standings: HashMap<PeerId, Standing>,
	max: usize,
}

impl Standings {
	pub fn new(max: usize) -> Self {
		Self {
			standings: HashMap::new(),
			max,
		}
	}

	pub fn get(&self, peer: &PeerId) -> Option<&Standing> {
		self.standings.get(peer)
	}

	pub fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Standing> {
		self.standings.get_mut(peer)
	}

	/// The standing of a peer that something was just reported of. Forgets the peer that was longest without
	/// a report if there is no room.
	pub fn entry(&mut self, peer: PeerId, now: Duration) -> &mut Standing {
		if self.standings.len() >= self.max && !self.standings.contains_key(&peer) {
			let oldest = self.standings.iter().min_by_key(|(_, standing)| standing.touched);
			if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
				self.standings.remove(&oldest);
			}
		}
		let standing = self.standings.entry(peer).or_default();
		standing.touched = now;
		standing
	}
}
