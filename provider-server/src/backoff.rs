//! When a deal or sector tries its present step again after it failed.

use cairn_primitives::BlockNumber;
use codec::{Decode, Encode};

/// Failures of the present step, and the block at which to go on. Part of the stored records.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug, Default)]
pub struct Backoff {
	/// The last problem, until the deal or sector moves on.
	pub delayed_by: Option<String>,
	/// Attempts that failed.
	pub failures: u32,
	/// Block before which the step is not tried again.
	pub not_before: BlockNumber,
}

impl Backoff {
	/// Notes that the step failed at block `now` and is to be tried again: after 2 blocks, then 4, 8, and from
	/// then on 16.
	pub fn delay(&mut self, now: BlockNumber, cause: impl Into<String>) {
		self.delayed_by = Some(cause.into());
		self.failures = self.failures.saturating_add(1);
		self.not_before = now.saturating_add(1 << self.failures.min(4));
	}

	/// Whether the step may be tried at block `now`.
	pub fn is_over(&self, now: BlockNumber) -> bool {
		self.not_before <= now
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn delays_grow_up_to_a_bound() {
		let mut backoff = Backoff::default();
		assert!(backoff.is_over(0));
		for delay in [2, 4, 8, 16, 16] {
			backoff.delay(10, "no answer");
			assert_eq!(backoff.not_before, 10 + delay);
		}
		assert!(!backoff.is_over(25) && backoff.is_over(26));
		assert_eq!(
			(backoff.failures, backoff.delayed_by.as_deref()),
			(5, Some("no answer"))
		);
		backoff.delay(BlockNumber::MAX, "late");
		assert_eq!(backoff.not_before, BlockNumber::MAX);
	}
}
