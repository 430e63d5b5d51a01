//! The stored record of a deal.

use super::state::{DealEvent, DealState, FailReason, IllegalTransition};
use crate::backoff::Backoff;
use cairn_primitives::{deal::DealProposal, BlockNumber, DealId, ProofTypeId, SectorNumber};
use cairn_provider_api::{
	deal::{AccountBytes, STATUS_SCHEMA},
	piece_cid, Amount, DealProgress, DealStatus, Hash32,
};
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
	/// What delays its present step.
	pub backoff: Backoff,
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
			backoff: Backoff::default(),
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
			self.backoff = Backoff::default();
		}
		self.state = next;
		Ok(())
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

	/// Whether it failed for a reason that another attempt may not meet. What the chain refused once, it refuses
	/// again, for another fee.
	pub fn may_be_tried_again(&self) -> bool {
		match &self.state {
			DealState::Failed { reason } => match reason {
				FailReason::NoData | FailReason::StartByPassed | FailReason::DataLost => true,
				FailReason::Refused(_) | FailReason::Withdrawn => false,
			},
			_ => false,
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

	/// The deal as clients see it. `progress` is [`Self::progress`] or a refinement of it.
	pub fn status(&self, hash: &ProposalHash, progress: DealProgress) -> DealStatus {
		let proposal = &self.proposal;
		DealStatus {
			schema: STATUS_SCHEMA.into(),
			proposal_hash: Hash32(*hash),
			progress,
			piece_cid: piece_cid::v1(&proposal.piece.commitment).to_string(),
			payload_cid: cid::Cid::try_from(proposal.payload.root())
				.map(|cid| cid.to_string())
				.unwrap_or_default(),
			payload_size: proposal.piece.payload_size,
			client: cairn_keystore::address::encode_default(&proposal.client),
			tier: proposal.tier.into(),
			start_by: proposal.start_by,
			duration: proposal.duration,
			price_per_block: Amount(proposal.price_per_block),
			delayed_by: self.backoff.delayed_by.clone(),
		}
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
	fn what_the_chain_refused_is_not_tried_again() {
		let failed = |reason| {
			let mut deal = Deal::accepted(proposal(1), Origin::OnChain, ProofTypeId(0x11), 5);
			deal.apply(DealEvent::Lapsed(reason)).unwrap();
			deal.may_be_tried_again()
		};
		assert!(failed(FailReason::NoData) && failed(FailReason::StartByPassed));
		assert!(failed(FailReason::DataLost));
		assert!(!failed(FailReason::Refused("WrongSignature".into())));
		assert!(!failed(FailReason::Withdrawn));
		let open = Deal::accepted(proposal(1), Origin::OnChain, ProofTypeId(0x11), 5);
		assert!(!open.may_be_tried_again());
	}

	#[test]
	fn records_round_trip() {
		let mut deal = Deal::accepted(proposal(1), Origin::Signed(vec![1; 65]), ProofTypeId(0x11), 5);
		deal.apply(DealEvent::DataVerified).unwrap();
		deal.backoff.delay(7, "the client's escrow is empty");
		assert_eq!(Deal::decode(&mut deal.encode().as_slice()).unwrap(), deal);
	}

	#[test]
	fn delays_are_forgotten_on_progress() {
		let mut deal = Deal::accepted(proposal(1), Origin::OnChain, ProofTypeId(0x11), 5);
		deal.apply(DealEvent::DataVerified).unwrap();
		deal.backoff.delay(10, "a");
		let delayed = deal.backoff.clone();
		deal.apply(DealEvent::PublishStarted { valid_until: 90 }).unwrap();
		assert_eq!(deal.backoff, delayed);
		deal.apply(DealEvent::PublishedOnChain { deal_id: 1, at: 30 })
			.unwrap();
		assert_eq!(deal.backoff, Backoff::default());
	}
}
