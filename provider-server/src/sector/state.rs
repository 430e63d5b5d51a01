//! The state machine of a sector.
//!
//! ```text
//! hot:    Packed ───────────────── committed ──────────────┐
//! sealed: Packed ─ ticket ─► Sealing ─ sealed ─────────────┤
//!           ▲                                              ▼
//!           └──────────────── ticket too old ──────────── Ready ─► PreCommitting ─► PreCommitted
//!                                                           ▲ void ───┘                  │ proven
//!                             Ended ◄─ expired on chain ── Active ◄──────────────────────┘
//! ```
//! `Failed` from anywhere before `Active`: the number is burnt, the deals go back to packing.

use cairn_primitives::{BlockNumber, Commitment};
use codec::{Decode, Encode};

/// Where a sector stands.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub enum SectorState {
	/// Number and contents are decided.
	#[codec(index = 0)]
	Packed,
	/// Sealed tier: being encoded under this ticket.
	#[codec(index = 1)]
	Sealing {
		/// Block of the ticket.
		ticket_at: BlockNumber,
		/// The ticket.
		ticket: [u8; 32],
	},
	/// Everything that a proof needs is on disk.
	#[codec(index = 2)]
	Ready {
		/// The commitments.
		commitments: Commitments,
	},
	/// A transaction that pre-commits it is under way.
	#[codec(index = 3)]
	PreCommitting {
		/// The commitments.
		commitments: Commitments,
		/// Last block in which that transaction can take effect.
		valid_until: BlockNumber,
	},
	/// The chain has the commitments; the seed and the proof follow.
	#[codec(index = 4)]
	PreCommitted {
		/// The commitments.
		commitments: Commitments,
		/// Last block in which a proof sent before can take effect; 0 if none is under way.
		proof_until: BlockNumber,
	},
	/// Proven; proves itself every period.
	#[codec(index = 5)]
	Active {
		/// Block of activation.
		since: BlockNumber,
		/// Whether its proofs are accepted.
		health: Health,
		/// Sealed tier: what only the activation needed is still on disk, several times the sector's size.
		layers_kept: bool,
	},
	/// Expired. Final.
	#[codec(index = 6)]
	Ended,
	/// Given up before activation. Final.
	#[codec(index = 7)]
	Failed {
		/// Why.
		reason: String,
	},
}

/// Commitments of a sector.
#[derive(Encode, Decode, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Commitments {
	/// To the data.
	pub comm_d: Commitment,
	/// To the replica; CommD in the hot tier.
	pub comm_r: Commitment,
	/// Block of the sealing ticket; 0 in the hot tier.
	pub ticket_at: BlockNumber,
}

/// Whether an active sector's proofs are accepted.
#[derive(Encode, Decode, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
	/// Proven on time.
	#[codec(index = 0)]
	Proving,
	/// Faulty on chain.
	#[codec(index = 1)]
	Faulty,
	/// Faulty, recovery declared.
	#[codec(index = 2)]
	Recovering,
}

/// What happens to a sector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SectorEvent {
	/// A sealing ticket was drawn.
	TicketTaken {
		/// Its block.
		at: BlockNumber,
		/// Its value.
		ticket: [u8; 32],
	},
	/// Hot tier: the data commitment is computed. Sealed tier: the replica is complete.
	Committed {
		/// CommD.
		comm_d: Commitment,
		/// CommR.
		comm_r: Commitment,
	},
	/// The ticket is too old for a pre-commit: the sector must be sealed again.
	TicketExpired,
	/// A transaction that pre-commits it is about to be sent.
	PreCommitStarted {
		/// Last block in which it can take effect.
		valid_until: BlockNumber,
	},
	/// That transaction had no effect and cannot have one any more.
	PreCommitVoid,
	/// The chain has it pre-committed.
	PreCommittedOnChain,
	/// A transaction with a proof is about to be sent.
	ProofStarted {
		/// Last block in which it can take effect.
		valid_until: BlockNumber,
	},
	/// That transaction is settled, with or without effect.
	ProofSettled,
	/// The chain has it active.
	Activated {
		/// Block of activation.
		since: BlockNumber,
		/// Whether there are layers, which are not needed any more.
		has_layers: bool,
	},
	/// The layers are gone.
	LayersRemoved,
	/// The chain's view of its proofs.
	HealthSeen(Health),
	/// It expired on chain.
	Expired,
	/// It cannot be activated any more.
	GivenUp(String),
}

/// An event that cannot occur in a state: a defect of the caller.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a sector in state {state:?} cannot undergo {event:?}")]
pub struct IllegalTransition {
	/// The state.
	pub state: SectorState,
	/// The event.
	pub event: SectorEvent,
}

impl SectorState {
	/// Whether nothing can happen to the sector any more.
	pub const fn is_final(&self) -> bool {
		matches!(self, SectorState::Ended | SectorState::Failed { .. })
	}

	/// Short name, for metrics and lists.
	pub const fn name(&self) -> &'static str {
		match self {
			SectorState::Packed => "packed",
			SectorState::Sealing { .. } => "sealing",
			SectorState::Ready { .. } => "ready",
			SectorState::PreCommitting { .. } => "pre_committing",
			SectorState::PreCommitted { .. } => "pre_committed",
			SectorState::Active {
				health: Health::Proving,
				..
			} => "active",
			SectorState::Active {
				health: Health::Faulty,
				..
			} => "faulty",
			SectorState::Active {
				health: Health::Recovering,
				..
			} => "recovering",
			SectorState::Ended => "ended",
			SectorState::Failed { .. } => "failed",
		}
	}

	/// Every name that [`Self::name`] gives.
	pub const NAMES: [&'static str; 10] = [
		"packed",
		"sealing",
		"ready",
		"pre_committing",
		"pre_committed",
		"active",
		"faulty",
		"recovering",
		"ended",
		"failed",
	];

	/// The state after `event`. An event whose effect the state already shows changes nothing.
	///
	/// # Errors
	/// If the event cannot occur in this state.
	pub fn apply(&self, event: SectorEvent) -> Result<SectorState, IllegalTransition> {
		use SectorEvent as E;
		use SectorState as S;
		Ok(match (self, &event) {
			(S::Packed, E::TicketTaken { at, ticket }) => S::Sealing {
				ticket_at: *at,
				ticket: *ticket,
			},
			(S::Packed, E::Committed { comm_d, comm_r }) => S::Ready {
				commitments: Commitments {
					comm_d: *comm_d,
					comm_r: *comm_r,
					ticket_at: 0,
				},
			},
			(S::Sealing { ticket_at, .. }, E::Committed { comm_d, comm_r }) => S::Ready {
				commitments: Commitments {
					comm_d: *comm_d,
					comm_r: *comm_r,
					ticket_at: *ticket_at,
				},
			},
			(S::Ready { .. } | S::Sealing { .. } | S::Packed, E::TicketExpired) => S::Packed,

			(S::Ready { commitments }, E::PreCommitStarted { valid_until }) => S::PreCommitting {
				commitments: *commitments,
				valid_until: *valid_until,
			},
			(S::PreCommitting { commitments, .. }, E::PreCommitVoid) => S::Ready {
				commitments: *commitments,
			},
			(S::Ready { .. }, E::PreCommitVoid) => self.clone(),
			(S::Ready { commitments } | S::PreCommitting { commitments, .. }, E::PreCommittedOnChain) => {
				S::PreCommitted {
					commitments: *commitments,
					proof_until: 0,
				}
			}
			(S::PreCommitted { .. }, E::PreCommittedOnChain) => self.clone(),

			(S::PreCommitted { commitments, .. }, E::ProofStarted { valid_until }) => S::PreCommitted {
				commitments: *commitments,
				proof_until: *valid_until,
			},
			(S::PreCommitted { commitments, .. }, E::ProofSettled) => S::PreCommitted {
				commitments: *commitments,
				proof_until: 0,
			},
			(S::Active { .. }, E::ProofSettled) => self.clone(),

			(S::PreCommitting { .. } | S::PreCommitted { .. }, E::Activated { since, has_layers }) => {
				S::Active {
					since: *since,
					health: Health::Proving,
					layers_kept: *has_layers,
				}
			}
			(S::Active { .. }, E::Activated { .. }) => self.clone(),
			(
				S::Active {
					since, layers_kept, ..
				},
				E::HealthSeen(health),
			) => S::Active {
				since: *since,
				health: *health,
				layers_kept: *layers_kept,
			},
			(S::Active { since, health, .. }, E::LayersRemoved) => S::Active {
				since: *since,
				health: *health,
				layers_kept: false,
			},

			(S::Active { .. } | S::Ended, E::Expired) => S::Ended,
			(
				S::Packed
				| S::Sealing { .. }
				| S::Ready { .. }
				| S::PreCommitting { .. }
				| S::PreCommitted { .. },
				E::GivenUp(reason),
			) => S::Failed {
				reason: reason.clone(),
			},
			(S::Failed { .. }, E::GivenUp(_)) => self.clone(),

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

	fn walk(events: &[SectorEvent]) -> Result<SectorState, IllegalTransition> {
		events
			.iter()
			.try_fold(SectorState::Packed, |state, event| state.apply(event.clone()))
	}

	fn committed() -> SectorEvent {
		SectorEvent::Committed {
			comm_d: [1; 32],
			comm_r: [2; 32],
		}
	}

	#[test]
	fn the_whole_way_of_both_tiers() {
		let ticket = SectorEvent::TicketTaken {
			at: 4,
			ticket: [9; 32],
		};
		for head in [vec![committed()], vec![ticket, committed()]] {
			let mut way = head.clone();
			way.extend([
				SectorEvent::PreCommitStarted { valid_until: 20 },
				SectorEvent::PreCommittedOnChain,
				SectorEvent::ProofStarted { valid_until: 30 },
				SectorEvent::Activated {
					since: 25,
					has_layers: true,
				},
				SectorEvent::HealthSeen(Health::Faulty),
				SectorEvent::HealthSeen(Health::Recovering),
				SectorEvent::HealthSeen(Health::Proving),
			]);
			let active = |layers_kept| SectorState::Active {
				since: 25,
				health: Health::Proving,
				layers_kept,
			};
			assert_eq!(walk(&way), Ok(active(true)));
			way.extend([SectorEvent::LayersRemoved, SectorEvent::LayersRemoved]);
			assert_eq!(walk(&way), Ok(active(false)));
			way.push(SectorEvent::Expired);
			assert_eq!(walk(&way), Ok(SectorState::Ended));
		}
	}

	#[test]
	fn the_ticket_travels_with_the_commitments() {
		let ready = walk(&[
			SectorEvent::TicketTaken {
				at: 4,
				ticket: [9; 32],
			},
			committed(),
		])
		.unwrap();
		let SectorState::Ready { commitments } = ready else {
			panic!("{ready:?}")
		};
		assert_eq!(commitments.ticket_at, 4);
		assert_eq!(
			walk(&[committed(), SectorEvent::TicketExpired]),
			Ok(SectorState::Packed)
		);
	}

	#[test]
	fn a_pre_commit_noticed_after_a_kill_is_not_repeated() {
		let events = [
			committed(),
			SectorEvent::PreCommitStarted { valid_until: 9 },
			SectorEvent::PreCommittedOnChain,
			SectorEvent::PreCommittedOnChain,
		];
		assert!(matches!(
			walk(&events),
			Ok(SectorState::PreCommitted { proof_until: 0, .. })
		));
		assert!(
			walk(&[&events[..3], &[SectorEvent::PreCommitStarted { valid_until: 20 }]].concat()).is_err()
		);
	}

	#[test]
	fn no_proof_without_a_pre_commit_and_none_after_the_end() {
		assert!(walk(&[SectorEvent::ProofStarted { valid_until: 1 }]).is_err());
		let activated = SectorEvent::Activated {
			since: 1,
			has_layers: false,
		};
		assert!(walk(&[committed(), activated]).is_err());
		assert!(walk(&[committed(), SectorEvent::LayersRemoved]).is_err());
		let failed = walk(&[SectorEvent::GivenUp("x".into())]).unwrap();
		assert!(failed.is_final());
		assert!(failed.apply(committed()).is_err());
		let active = SectorState::Active {
			since: 1,
			health: Health::Proving,
			layers_kept: false,
		};
		assert!(active.apply(SectorEvent::GivenUp("x".into())).is_err());
	}
}
