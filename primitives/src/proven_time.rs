//! How much of a sector's life is proven: the counter that payments follow.

use crate::BlockNumber;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Periods that [`ProvenTime`] can look back exactly.
pub const HISTORY_PERIODS: u32 = 64;

/// Blocks of a sector's life that accepted proofs cover.
///
/// Life is cut into intervals that end at the closes of the sector's deadline, one a period; the
/// first begins at activation. An interval counts when its proof is accepted, and never otherwise,
/// so that nothing has to be written when a proof is missed. A bitmap of the last 64 intervals
/// answers "how much was proven up to block t" for a deal that ended within an interval.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug,
)]
pub struct ProvenTime {
	start: BlockNumber,
	first_close: BlockNumber,
	/// Close of the last accepted interval; `start` before there is one.
	until: BlockNumber,
	total: u32,
	/// Bit i: whether the interval that ended i periods before `until` was accepted.
	history: u64,
}

/// A close that does not belong to the sector's calendar or was counted already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the deadline's close does not follow the sector's last proven one")]
pub struct NotNextClose;

impl ProvenTime {
	/// A sector activated at `start` whose first deadline closes at `first_close`.
	pub const fn new(start: BlockNumber, first_close: BlockNumber) -> Self {
		ProvenTime {
			start,
			first_close,
			until: start,
			total: 0,
			history: 0,
		}
	}

	/// Activation block.
	pub const fn start(&self) -> BlockNumber {
		self.start
	}

	/// Close of the first deadline after activation.
	pub const fn first_close(&self) -> BlockNumber {
		self.first_close
	}

	/// Blocks proven so far.
	pub const fn total(&self) -> u32 {
		self.total
	}

	/// Close of the last accepted interval; the activation block before there is one.
	pub const fn until(&self) -> BlockNumber {
		self.until
	}

	/// Start of the interval that ends at `close`.
	pub fn interval_start(&self, close: BlockNumber, period: BlockNumber) -> BlockNumber {
		if close <= self.first_close {
			self.start
		} else {
			close.saturating_sub(period).max(self.start)
		}
	}

	/// Counts the interval that ends at `close` as proven. Returns its length in blocks.
	pub fn credit(&mut self, close: BlockNumber, period: BlockNumber) -> Result<u32, NotNextClose> {
		if period == 0
			|| close < self.first_close
			|| !(close - self.first_close).is_multiple_of(period)
			|| close <= self.until
		{
			return Err(NotNextClose);
		}
		let length = close - self.interval_start(close, period);
		let shift = if self.until == self.start {
			HISTORY_PERIODS
		} else {
			(close - self.until) / period
		};
		self.history = self.history.checked_shl(shift).unwrap_or(0) | 1;
		self.total = self.total.saturating_add(length);
		self.until = close;
		Ok(length)
	}

	/// Blocks proven up to block `t`. Exact within the last 64 periods, never more than the time
	/// from activation to `t`.
	pub fn proven_at(&self, t: BlockNumber, period: BlockNumber) -> u32 {
		let mut proven = self.total;
		let mut close = self.until;
		for i in 0..HISTORY_PERIODS {
			if close <= t || close < self.first_close {
				break;
			}
			if self.history >> i & 1 == 1 {
				proven = proven.saturating_sub(close - self.interval_start(close, period).max(t));
			}
			match close.checked_sub(period) {
				Some(previous) => close = previous,
				None => break,
			}
		}
		proven.min(t.saturating_sub(self.start))
	}

	/// Close of the interval that contains block `t`: from then on [`Self::proven_at`] is final.
	pub fn decided_at(&self, t: BlockNumber, period: BlockNumber) -> BlockNumber {
		if t <= self.first_close || period == 0 {
			return self.first_close;
		}
		let periods = (t - self.first_close).div_ceil(period);
		self.first_close.saturating_add(periods.saturating_mul(period))
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use rand_chacha::{
		rand_core::{RngCore, SeedableRng},
		ChaCha8Rng,
	};

	#[test]
	fn counts_accepted_intervals_only() {
		let mut time = ProvenTime::new(7, 15);
		assert_eq!(time.credit(15, 10), Ok(8));
		assert_eq!(time.credit(15, 10), Err(NotNextClose));
		assert_eq!(time.credit(24, 10), Err(NotNextClose));
		// 25 is missed.
		assert_eq!(time.credit(35, 10), Ok(10));
		assert_eq!(time.total(), 18);
		assert_eq!(time.proven_at(11, 10), 4);
		assert_eq!(time.proven_at(25, 10), 8);
		assert_eq!(time.proven_at(30, 10), 13);
		assert_eq!(time.decided_at(30, 10), 35);
		assert_eq!(time.decided_at(35, 10), 35);
		assert_eq!(time.decided_at(3, 10), 15);
	}

	/// Against a model that keeps every block's fate.
	#[test]
	fn agrees_with_a_naive_model() {
		let seed = 0x5eed_0001;
		println!("seed {seed:#x}");
		let mut rng = ChaCha8Rng::seed_from_u64(seed);
		for _ in 0..500 {
			let period = 2 + rng.next_u32() % 20;
			let start = rng.next_u32() % 50;
			let first_close = start + 1 + rng.next_u32() % (2 * period);
			let mut time = ProvenTime::new(start, first_close);
			let mut proven = std::collections::BTreeSet::new();
			let mut from = start;
			for i in 0..40 {
				let close = first_close + i * period;
				if rng.next_u32() % 4 != 0 {
					assert_eq!(time.credit(close, period), Ok(close - from));
					proven.extend(from..close);
				}
				from = close;
				for t in start..close + 3 {
					assert_eq!(
						time.proven_at(t, period) as usize,
						proven.range(..t).count(),
						"t {t}"
					);
				}
			}
		}
	}
}
