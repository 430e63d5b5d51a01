//! Protocol parameters: the timings and economics that governance may change.

use crate::{Balance, BlockNumber};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Timings and economics of the protocol, stored on chain, set at genesis, changed by root.
///
/// Times are block counts, amounts plancks. Compile-time constants of the pallets bound them.
#[derive(
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
	serde::Serialize,
	serde::Deserialize,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProtocolParameters {
	/// Blocks between two proofs of the same sector. A multiple of `deadlines`.
	pub proving_period: BlockNumber,
	/// Deadlines in a proving period.
	pub deadlines: u32,
	/// Challenges per sector and deadline: (1 − f)^k < ε. For a loss of f = 1/3 of a sector noticed
	/// within one period with ε = 1 %, k ≥ ln 0.01 / ln (2/3) = 11.4, so 12.
	pub window_challenges: u16,
	/// Fresh challenges that a recovering sector answers beside the one it missed.
	pub recovery_challenges: u16,
	/// Blocks between two sealing tickets.
	pub ticket_interval: BlockNumber,
	/// Age at which a ticket can no longer be used in a pre-commit.
	pub ticket_max_age: BlockNumber,
	/// Blocks from pre-commit to the first beacon that may become its seed.
	pub pre_commit_delay: BlockNumber,
	/// Blocks from pre-commit to the last block at which the sector may be proven.
	pub prove_commit_window: BlockNumber,
	/// Shortest deal.
	pub min_deal_duration: BlockNumber,
	/// Longest deal.
	pub max_deal_duration: BlockNumber,
	/// Longest time from now to a proposal's `start_by`.
	pub max_start_delay: BlockNumber,
	/// Longest life of a sector.
	pub max_sector_lifetime: BlockNumber,
	/// Whether beacons with only predictable input count. True on development chains only.
	pub accept_weak_beacons: bool,
	/// Held from a provider's owner while it is registered.
	pub registration_bond: Balance,
	/// Held per pre-committed sector, forfeited if it is not proven in time.
	pub pre_commit_deposit: Balance,
	/// Held per GiB of a live sector, returned at its expiry.
	pub pledge_per_gib: Balance,
	/// Smallest provider collateral of a deal, as parts per million of its total price.
	pub min_collateral_ppm: u32,
	/// Held from a client per proposal made on chain, returned when it is accepted or cancelled.
	pub proposal_deposit: Balance,
}

/// Why a set of parameters is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidParameters {
	/// The proving period is not a positive multiple of the number of deadlines.
	#[error("the proving period must be a positive multiple of the number of deadlines")]
	Period,
	/// A deadline is shorter than two blocks, so that no proof fits between its challenge and close.
	#[error("a deadline must last at least two blocks")]
	DeadlineTooShort,
	/// No challenges, or more than the verifier allows.
	#[error("challenge counts must lie between 1 and 256")]
	Challenges,
	/// Tickets are spaced at zero blocks or expire before the next one appears.
	#[error("tickets must be spaced by at least one block and outlive their interval")]
	Tickets,
	/// The prove-commit window does not exceed the pre-commit delay.
	#[error("the prove-commit window must be longer than the pre-commit delay")]
	ProveWindow,
	/// Deal durations are empty or longer than a sector may live.
	#[error("deal durations must be a non-empty range that fits a sector's lifetime")]
	Durations,
}

impl ProtocolParameters {
	/// Blocks of one deadline's window.
	pub const fn deadline_window(&self) -> BlockNumber {
		self.proving_period / if self.deadlines == 0 { 1 } else { self.deadlines }
	}

	/// Checks the set as a whole.
	pub fn validate(&self) -> Result<(), InvalidParameters> {
		if self.deadlines == 0
			|| self.proving_period == 0
			|| !self.proving_period.is_multiple_of(self.deadlines)
		{
			return Err(InvalidParameters::Period);
		}
		if self.deadline_window() < 2 {
			return Err(InvalidParameters::DeadlineTooShort);
		}
		let countable = 1..=256;
		if !countable.contains(&self.window_challenges) || !countable.contains(&self.recovery_challenges) {
			return Err(InvalidParameters::Challenges);
		}
		if self.ticket_interval == 0 || self.ticket_max_age <= self.ticket_interval {
			return Err(InvalidParameters::Tickets);
		}
		if self.prove_commit_window <= self.pre_commit_delay {
			return Err(InvalidParameters::ProveWindow);
		}
		if self.min_deal_duration == 0
			|| self.min_deal_duration > self.max_deal_duration
			|| self.max_deal_duration > self.max_sector_lifetime
		{
			return Err(InvalidParameters::Durations);
		}
		Ok(())
	}

	/// Development chain: everything happens within a minute. Beacons are predictable there.
	pub const fn development() -> Self {
		const UNIT: Balance = 1_000_000_000_000;
		ProtocolParameters {
			proving_period: 20,
			deadlines: 4,
			window_challenges: 12,
			recovery_challenges: 12,
			ticket_interval: 2,
			ticket_max_age: 600,
			pre_commit_delay: 2,
			prove_commit_window: 200,
			min_deal_duration: 20,
			max_deal_duration: 100_000,
			max_start_delay: 10_000,
			max_sector_lifetime: 200_000,
			accept_weak_beacons: true,
			registration_bond: 10 * UNIT,
			pre_commit_deposit: UNIT / 10,
			pledge_per_gib: UNIT,
			min_collateral_ppm: 100_000,
			proposal_deposit: UNIT / 100,
		}
	}

	/// A production-like chain with blocks of six seconds: a period of a day in 48 deadlines.
	pub const fn production() -> Self {
		const HOUR: BlockNumber = 600;
		const DAY: BlockNumber = 24 * HOUR;
		ProtocolParameters {
			proving_period: DAY,
			deadlines: 48,
			ticket_interval: HOUR,
			ticket_max_age: 7 * DAY,
			pre_commit_delay: 750,
			prove_commit_window: 3 * DAY,
			min_deal_duration: 20 * DAY,
			max_deal_duration: 1278 * DAY,
			max_start_delay: 14 * DAY,
			max_sector_lifetime: 5 * 365 * DAY,
			accept_weak_beacons: false,
			..Self::development()
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn presets_are_valid() {
		assert_eq!(ProtocolParameters::development().validate(), Ok(()));
		assert_eq!(ProtocolParameters::production().validate(), Ok(()));
	}

	#[test]
	fn each_rule_is_enforced() {
		let good = ProtocolParameters::development();
		for (bad, error) in [
			(
				ProtocolParameters { deadlines: 0, ..good },
				InvalidParameters::Period,
			),
			(
				ProtocolParameters {
					proving_period: 21,
					..good
				},
				InvalidParameters::Period,
			),
			(
				ProtocolParameters {
					deadlines: 20,
					..good
				},
				InvalidParameters::DeadlineTooShort,
			),
			(
				ProtocolParameters {
					window_challenges: 0,
					..good
				},
				InvalidParameters::Challenges,
			),
			(
				ProtocolParameters {
					recovery_challenges: 257,
					..good
				},
				InvalidParameters::Challenges,
			),
			(
				ProtocolParameters {
					ticket_max_age: 2,
					..good
				},
				InvalidParameters::Tickets,
			),
			(
				ProtocolParameters {
					prove_commit_window: 2,
					..good
				},
				InvalidParameters::ProveWindow,
			),
			(
				ProtocolParameters {
					min_deal_duration: 0,
					..good
				},
				InvalidParameters::Durations,
			),
			(
				ProtocolParameters {
					max_deal_duration: 300_000,
					..good
				},
				InvalidParameters::Durations,
			),
		] {
			assert_eq!(bad.validate(), Err(error));
		}
	}

	#[test]
	fn window_challenges_reach_the_detection_target() {
		let miss = (2f64 / 3.0).powi(ProtocolParameters::production().window_challenges.into());
		assert!(miss < 0.01, "{miss}");
	}
}
