//! The calendar of a provider: proving periods cut into deadlines.

use cairn_primitives::{params::ProtocolParameters, sector::DeadlineWindow, BlockNumber, DeadlineIndex};

/// Period and offset of one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
	period: BlockNumber,
	window: BlockNumber,
	offset: BlockNumber,
}

impl Calendar {
	/// Calendar of a provider whose periods start at `offset` modulo the period. The parameters are
	/// valid: a positive period, a window of at least two blocks.
	pub fn new(parameters: &ProtocolParameters, offset: BlockNumber) -> Self {
		let period = parameters.proving_period.max(1);
		Calendar {
			period,
			window: parameters.deadline_window().max(1),
			offset: offset % period,
		}
	}

	/// Length of the period.
	pub fn period(&self) -> BlockNumber {
		self.period
	}

	/// The deadline that is open at `now`: `open <= now < close`.
	pub fn at(&self, now: BlockNumber) -> DeadlineWindow {
		let shifted = u64::from(now) + u64::from(self.period - self.offset);
		let within = (shifted % u64::from(self.period)) as BlockNumber;
		let since_open = within % self.window;
		DeadlineWindow {
			deadline: within / self.window,
			period: shifted / u64::from(self.period),
			open: now.saturating_sub(since_open),
			close: now.saturating_add(self.window - since_open),
		}
	}

	/// The next occurrence of `deadline` that opens after `now`.
	pub fn next(&self, deadline: DeadlineIndex, now: BlockNumber) -> DeadlineWindow {
		let current = self.at(now);
		let deadlines = self.period / self.window;
		let ahead = match (deadline % deadlines + deadlines - current.deadline) % deadlines {
			0 => deadlines,
			ahead => ahead,
		};
		self.at(current
			.close
			.saturating_add((ahead - 1).saturating_mul(self.window)))
	}

	/// Close of the last occurrence of `deadline` that closed at `now` or before. Zero if none has.
	pub fn last_close(&self, deadline: DeadlineIndex, now: BlockNumber) -> BlockNumber {
		let next = self.next(deadline, now);
		let current = self.at(now);
		let open_or_next = if current.deadline == deadline {
			current.close
		} else {
			next.close
		};
		open_or_next.saturating_sub(self.period)
	}

	/// The window of `deadline` that closes at `close`.
	pub fn closing_at(&self, close: BlockNumber) -> DeadlineWindow {
		self.at(close.saturating_sub(1))
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn calendar(offset: BlockNumber) -> Calendar {
		Calendar::new(&ProtocolParameters::development(), offset)
	}

	#[test]
	fn windows_tile_time() {
		for offset in 0..20 {
			let calendar = calendar(offset);
			let mut previous = calendar.at(0);
			for now in 1..200 {
				let window = calendar.at(now);
				assert!(window.open <= now && now < window.close, "{window:?} at {now}");
				if window != previous {
					assert_eq!(window.open, previous.close);
					assert_eq!(window.deadline, (previous.deadline + 1) % 4);
					assert_eq!(window.period, previous.period + u64::from(window.deadline == 0));
				}
				previous = window;
			}
		}
	}

	#[test]
	fn next_opens_later_and_last_close_is_the_one_before() {
		for offset in 0..20 {
			let calendar = calendar(offset);
			for now in 0..100 {
				for deadline in 0..4 {
					let next = calendar.next(deadline, now);
					assert_eq!(next.deadline, deadline);
					assert!(next.open > now && next.open <= now + 20);
					let last = calendar.last_close(deadline, now);
					assert!(last <= now);
					assert!(last == 0 || (last + 20 > now && calendar.closing_at(last).deadline == deadline));
				}
			}
		}
	}
}
