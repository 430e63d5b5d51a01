//! The state machine of a deal.
//!
//! ```text
//! Accepted ─ data verified ─► Received ─ submitted ─► Publishing ─ on chain ─► Published
//!                                 ▲                        │                     │ ▲
//!                                 └──── refused/lapsed ────┘              packed │ │ sector lost
//!                                                                                ▼ │
//!                                   Ended ◄─ term over ─ Active ◄─ activated ─ InSector
//! ```
//! Every state before `Active` can fail. A transition is a pure function; the caller stores its
//! result before it acts on it, so that a kill at any point leaves a state from which the same
//! question to the chain ("did it happen?") decides how to go on.

use cairn_primitives::{BlockNumber, DealId, SectorNumber};
use codec::{Decode, Encode};
use std::fmt;

/// Where a deal stands.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub enum DealState {
	/// Taken; its data is awaited.
	#[codec(index = 0)]
	Accepted,
	/// The piece is stored and verified.
	#[codec(index = 1)]
	Received,
	/// A transaction that publishes it is under way.
	#[codec(index = 2)]
	Publishing {
		/// Last block in which that transaction can take effect.
		valid_until: BlockNumber,
	},
	/// On chain, in no sector.
	#[codec(index = 3)]
	Published {
		/// Number on chain.
		deal_id: DealId,
		/// Block at which this was noticed.
		since: BlockNumber,
	},
	/// Packed in a sector that is not active yet.
	#[codec(index = 4)]
	InSector {
		/// Number on chain.
		deal_id: DealId,
		/// The sector.
		sector: SectorNumber,
	},
	/// Runs.
	#[codec(index = 5)]
	Active {
		/// Number on chain.
		deal_id: DealId,
		/// The sector.
		sector: SectorNumber,
		/// Block of activation.
		since: BlockNumber,
		/// Block at which it ends.
		ends: BlockNumber,
	},
	/// Its term is over. Final.
	#[codec(index = 6)]
	Ended {
		/// Number on chain.
		deal_id: DealId,
	},
	/// It will not come about. Final.
	#[codec(index = 7)]
	Failed {
		/// Why.
		reason: FailReason,
	},
}

/// Why a deal did not come about.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub enum FailReason {
	/// No complete data by the time the sector had to be started.
	#[codec(index = 0)]
	NoData,
	/// `start_by` passed before the sector was active.
	#[codec(index = 1)]
	StartByPassed,
	/// The chain refuses to publish it.
	#[codec(index = 2)]
	Refused(String),
	/// The client withdrew the proposal it had made on chain.
	#[codec(index = 3)]
	Withdrawn,
	/// The stored data was lost before the sector was committed to.
	#[codec(index = 4)]
	DataLost,
}

impl fmt::Display for FailReason {
	fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
		match self {
			FailReason::NoData => f.write_str("the data did not arrive in time"),
			FailReason::StartByPassed => {
				f.write_str("the deal could not be activated before its start_by block")
			}
			FailReason::Refused(cause) => write!(f, "the chain refuses the deal: {cause}"),
			FailReason::Withdrawn => f.write_str("the client withdrew its proposal"),
			FailReason::DataLost => f.write_str("the provider lost the data before committing to it"),
		}
	}
}

/// What happens to a deal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DealEvent {
	/// The whole payload is stored, its commitment and blocks verified.
	DataVerified,
	/// A transaction that publishes it is about to be sent.
	PublishStarted {
		/// Last block in which it can take effect.
		valid_until: BlockNumber,
	},
	/// That transaction had no effect and cannot have one any more.
	PublishVoid,
	/// The chain has the deal.
	PublishedOnChain {
		/// Its number.
		deal_id: DealId,
		/// Block at which this was noticed.
		at: BlockNumber,
	},
	/// It was put into a sector.
	Packed {
		/// The sector.
		sector: SectorNumber,
	},
	/// Its sector will not be activated, or was activated without it.
	SectorLost {
		/// Block at which this was noticed.
		at: BlockNumber,
	},
	/// Its sector is active, and the deal with it.
	Activated {
		/// Block of activation.
		since: BlockNumber,
		/// Block at which it ends.
		ends: BlockNumber,
	},
	/// The chain has closed it after it ran.
	TermOver,
	/// It cannot come about any more.
	Lapsed(FailReason),
}

/// An event that cannot occur in a state: a defect of the caller.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a deal in state {state:?} cannot undergo {event:?}")]
pub struct IllegalTransition {
	/// The state.
	pub state: DealState,
	/// The event.
	pub event: DealEvent,
}

impl DealState {
	/// Whether nothing can happen to the deal any more.
	pub const fn is_final(&self) -> bool {
		matches!(self, DealState::Ended { .. } | DealState::Failed { .. })
	}

	/// Short name, for metrics and lists.
	pub const fn name(&self) -> &'static str {
		match self {
			DealState::Accepted => "accepted",
			DealState::Received => "received",
			DealState::Publishing { .. } => "publishing",
			DealState::Published { .. } => "published",
			DealState::InSector { .. } => "in_sector",
			DealState::Active { .. } => "active",
			DealState::Ended { .. } => "ended",
			DealState::Failed { .. } => "failed",
		}
	}

	/// Every name that [`Self::name`] gives.
	pub const NAMES: [&'static str; 8] = [
		"accepted",
		"received",
		"publishing",
		"published",
		"in_sector",
		"active",
		"ended",
		"failed",
	];

	/// The state after `event`. An event whose effect the state already shows changes nothing, so
	/// that it may be noticed twice.
	///
	/// # Errors
	/// If the event cannot occur in this state.
	pub fn apply(&self, event: DealEvent) -> Result<DealState, IllegalTransition> {
		use DealEvent as E;
		use DealState as S;
		Ok(match (self, &event) {
			(S::Accepted | S::Received, E::DataVerified) => S::Received,

			(S::Received, E::PublishStarted { valid_until }) => S::Publishing {
				valid_until: *valid_until,
			},
			(S::Publishing { .. } | S::Received, E::PublishVoid) => S::Received,
			(S::Received | S::Publishing { .. }, E::PublishedOnChain { deal_id, at }) => S::Published {
				deal_id: *deal_id,
				since: *at,
			},
			(
				S::Published { deal_id, .. } | S::InSector { deal_id, .. } | S::Active { deal_id, .. },
				E::PublishedOnChain { deal_id: seen, .. },
			) if deal_id == seen => self.clone(),

			(S::Published { deal_id, .. }, E::Packed { sector }) => S::InSector {
				deal_id: *deal_id,
				sector: *sector,
			},
			(S::InSector { deal_id, .. }, E::SectorLost { at }) => S::Published {
				deal_id: *deal_id,
				since: *at,
			},
			(S::InSector { deal_id, sector }, E::Activated { since, ends }) => S::Active {
				deal_id: *deal_id,
				sector: *sector,
				since: *since,
				ends: *ends,
			},
			(S::Active { .. }, E::Activated { .. }) => self.clone(),

			(S::Active { deal_id, .. }, E::TermOver) => S::Ended { deal_id: *deal_id },
			(S::Ended { .. }, E::TermOver) => self.clone(),

			(
				S::Accepted | S::Received | S::Publishing { .. } | S::Published { .. } | S::InSector { .. },
				E::Lapsed(reason),
			) => S::Failed {
				reason: reason.clone(),
			},
			(S::Failed { .. }, E::Lapsed(_)) => self.clone(),

			_ => {
				return Err(IllegalTransition {
					state: self.clone(),
					event,
				})
			}
		})
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn walk(events: &[DealEvent]) -> Result<DealState, IllegalTransition> {
		events
			.iter()
			.try_fold(DealState::Accepted, |state, event| state.apply(event.clone()))
	}

	const PUBLISHED: DealEvent = DealEvent::PublishedOnChain { deal_id: 7, at: 12 };

	#[test]
	fn the_whole_way() {
		let way = [
			DealEvent::DataVerified,
			DealEvent::PublishStarted { valid_until: 20 },
			PUBLISHED,
			DealEvent::Packed { sector: 3 },
			DealEvent::Activated { since: 15, ends: 45 },
			DealEvent::TermOver,
		];
		assert_eq!(walk(&way), Ok(DealState::Ended { deal_id: 7 }));
		assert_eq!(
			walk(&way[..5]),
			Ok(DealState::Active {
				deal_id: 7,
				sector: 3,
				since: 15,
				ends: 45
			})
		);
	}

	#[test]
	fn noticing_twice_changes_nothing() {
		let steps = [
			vec![DealEvent::DataVerified],
			vec![DealEvent::DataVerified, PUBLISHED],
			vec![
				DealEvent::DataVerified,
				PUBLISHED,
				DealEvent::Packed { sector: 3 },
				DealEvent::Activated { since: 1, ends: 2 },
			],
			vec![DealEvent::Lapsed(FailReason::NoData)],
		];
		for mut events in steps {
			let once = walk(&events).unwrap();
			events.push(events.last().unwrap().clone());
			assert_eq!(walk(&events).unwrap(), once);
		}
		// A publication noticed when the deal has moved on.
		let events = [
			DealEvent::DataVerified,
			PUBLISHED,
			DealEvent::Packed { sector: 3 },
			PUBLISHED,
		];
		assert_eq!(
			walk(&events),
			Ok(DealState::InSector {
				deal_id: 7,
				sector: 3
			})
		);
		// Another number for the same proposal is not.
		let other = DealEvent::PublishedOnChain { deal_id: 8, at: 13 };
		assert!(walk(&[DealEvent::DataVerified, PUBLISHED, other]).is_err());
	}

	#[test]
	fn a_lost_sector_leads_back_to_packing() {
		let events = [
			DealEvent::DataVerified,
			PUBLISHED,
			DealEvent::Packed { sector: 3 },
			DealEvent::SectorLost { at: 90 },
			DealEvent::Packed { sector: 4 },
		];
		assert_eq!(
			walk(&events),
			Ok(DealState::InSector {
				deal_id: 7,
				sector: 4
			})
		);
	}

	#[test]
	fn a_void_publication_is_tried_again() {
		let events = [
			DealEvent::DataVerified,
			DealEvent::PublishStarted { valid_until: 20 },
			DealEvent::PublishVoid,
		];
		assert_eq!(walk(&events), Ok(DealState::Received));
	}

	#[test]
	fn final_states_stay() {
		let failed = DealState::Failed {
			reason: FailReason::StartByPassed,
		};
		let ended = DealState::Ended { deal_id: 1 };
		for state in [&failed, &ended] {
			assert!(state.is_final());
			for event in [
				DealEvent::DataVerified,
				DealEvent::PublishStarted { valid_until: 1 },
				DealEvent::Packed { sector: 1 },
				DealEvent::SectorLost { at: 1 },
				DealEvent::Activated { since: 1, ends: 2 },
			] {
				assert!(state.apply(event).is_err());
			}
		}
		// A running deal does not lapse.
		let active = DealState::Active {
			deal_id: 1,
			sector: 1,
			since: 1,
			ends: 2,
		};
		assert!(active
			.apply(DealEvent::Lapsed(FailReason::StartByPassed))
			.is_err());
	}

	#[test]
	fn nothing_is_published_before_its_data_is_here() {
		assert!(walk(&[DealEvent::PublishStarted { valid_until: 1 }]).is_err());
		assert!(walk(&[PUBLISHED]).is_err());
		assert!(walk(&[DealEvent::DataVerified, DealEvent::Packed { sector: 1 }]).is_err());
	}
}
