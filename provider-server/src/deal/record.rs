//! The stored record of a deal.

use super::state::{DealEvent, DealState, IllegalTransition};
use cairn_primitives::{deal::DealProposal, BlockNumber, DealId, ProofTypeId, SectorNumber};
use cairn_provider_api::{deal::AccountBytes, DealProgress};
use codec::{Decode, Encode};

/// A proposal over raw account bytes.
pub type Proposal = DealProposal<AccountBytes>;
/// BLAKE2b-256 of a proposal's signing bytes: the deal's name before it has a number.
pub type ProposalHash = [u8; 32];

/// How the client consented.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub enum Origin {
	/// By a signature over the proposal, SCALE of a `MultiSignature`. The provider publishes.
	#[codec(index = 0)]
	Signed(Vec<u8>),
	/// By `propose_deal` on chain. The provider accepts there.
	#[codec(index = 1)]
	OnChain,
}

/// A deal from acceptance to its end.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct Deal {
	/// Its terms.
	pub proposal: Proposal,
	/// The client's consent.
	pub origin: Origin,
	/// Type of the sector it goes into.
	pub proof_type: ProofTypeId,
	/// Block at which it was accepted.
	pub accepted_at: BlockNumber,
	/// Where it stands.
	pub state: DealState,
	/// Last problem that delayed it, until it moves on.
	pub delayed_by: Option<String>,
	/// Attempts of the present step that the chain refused.
	pub refusals: u32,
	/// Block before which the present step is not tried again.
	pub not_before: BlockNumber,
}

impl Deal {
	/// A deal that was just accepted.
	pub fn accepted(proposal: Proposal, origin: Origin, proof_type: ProofTypeId, at: BlockNumber) -> Self {
		Deal {
			proposal,
			origin,
			proof_type,
			accepted_at: at,
			state: DealState::Accepted,
			delayed_by: None,
			refusals: 0,
			not_before: 0,
		}
	}

	/// Applies an event. What delayed the deal is forgotten when it gets on; another attempt at the
	/// same step is not that.
	///
	/// # Errors
	/// If the event cannot occur in the present state.
	pub fn apply(&mut self, event: DealEvent) -> Result<(), IllegalTransition> {
		let is_attempt = matches!(event, DealEvent::PublishStarted { .. } | DealEvent::PublishVoid);
		let next = self.state.apply(event)?;
		if next != self.state && !is_attempt {
			self.delayed_by = None;
			self.refusals = 0;
			self.not_before = 0;
		}
		self.state = next;
		Ok(())
	}

	/// Notes that the present step failed at block `now` and is to be tried again, later the more
	/// often it failed.
	pub fn delay(&mut self, now: BlockNumber, cause: impl Into<String>) {
		self.delayed_by = Some(cause.into());
		self.refusals = self.refusals.saturating_add(1);
		self.not_before = now.saturating_add(1 << self.refusals.min(4));
	}

	/// The deal's number on chain, once it has one.
	pub fn deal_id(&self) -> Option<DealId> {
		match self.state {
			DealState::Published { deal_id, .. }
			| DealState::InSector { deal_id, .. }
			| DealState::Active { deal_id, .. }
			| DealState::Ended { deal_id } => Some(deal_id),
			_ => None,
		}
	}

	/// The sector it is in, while it is in one.
	pub fn sector(&self) -> Option<SectorNumber> {
		match self.state {
			DealState::InSector { sector, .. } | DealState::Active { sector, .. } => Some(sector),
			_ => None,
		}
	}

	/// Whether the piece must be kept for it.
	pub fn needs_piece(&self) -> bool {
		matches!(
			self.state,
			DealState::Received
				| DealState::Publishing { .. }
				| DealState::Published { .. }
				| DealState::InSector { .. }
				| DealState::Active { .. }
		)
	}

	/// The state as clients see it, as far as the deal itself tells; uploads and sectors refine it.
	pub fn progress(&self) -> DealProgress {
		match &self.state {
			DealState::Accepted => DealProgress::Accepted,
			DealState::Received => DealProgress::Received,
			DealState::Publishing { .. } => DealProgress::Publishing,
			DealState::Published { deal_id, .. } => DealProgress::Published { deal_id: *deal_id },
			DealState::InSector { deal_id, sector } => DealProgress::Sealing {
				deal_id: *deal_id,
				sector: *sector,
				progress: 0.0,
			},
			DealState::Active {
				deal_id,
				sector,
				since,
				ends,
			} => DealProgress::Active {
				deal_id: *deal_id,
				sector: *sector,
				since: *since,
				ends: *ends,
				faulty: false,
			},
			DealState::Ended { deal_id } => DealProgress::Ended { deal_id: *deal_id },
			DealState::Failed { reason } => DealProgress::Failed {
				reason: reason.to_string(),
			},
		}
	}
}

#[cfg(test)]
pub(crate) mod tests {
	use super::*;
	use cairn_primitives::{
		deal::{DealPayload, PayloadKind},
		PieceInfo, Tier,
	};

	/// A small hot deal; tests change what they are about.
	pub fn proposal(nonce: u64) -> Proposal {
		DealProposal {
			piece: PieceInfo {
				commitment: [nonce as u8; 32],
				size_log2: 11,
				payload_size: 2000,
			},
			payload: DealPayload::V1 {
				kind: PayloadKind::Public,
				root: vec![1, 0x55, 0x12, 0x20].try_into().expect("short"),
			},
			client: [2; 32],
			provider: [3; 32],
			tier: Tier::Hot,
			start_by: 100,
			duration: 30,
			price_per_block: 7,
			provider_collateral: 9,
			nonce,
			label: Default::default(),
		}
	}

	#[test]
	fn records_round_trip() {
		let mut deal = Deal::accepted(proposal(1), Origin::Signed(vec![1; 65]), ProofTypeId(0x11), 5);
		deal.apply(DealEvent::DataVerified).unwrap();
		deal.delay(7, "the client's escrow is empty");
		assert_eq!(Deal::decode(&mut deal.encode().as_slice()).unwrap(), deal);
	}

	#[test]
	fn delays_grow_and_are_forgotten_on_progress() {
		let mut deal = Deal::accepted(proposal(1), Origin::OnChain, ProofTypeId(0x11), 5);
		deal.apply(DealEvent::DataVerified).unwrap();
		deal.delay(10, "a");
		assert_eq!(deal.not_before, 12);
		deal.delay(10, "b");
		assert_eq!(deal.not_before, 14);
		for _ in 0..100 {
			deal.delay(10, "c");
		}
		assert_eq!(deal.not_before, 26);
		deal.apply(DealEvent::PublishStarted { valid_until: 90 }).unwrap();
		assert_eq!(deal.not_before, 26);
		deal.apply(DealEvent::PublishedOnChain { deal_id: 1, at: 30 })
			.unwrap();
		assert_eq!((deal.delayed_by, deal.refusals, deal.not_before), (None, 0, 0));
	}
}
