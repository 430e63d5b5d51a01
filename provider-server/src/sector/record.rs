//! The stored record of a sector.

use super::state::{IllegalTransition, SectorEvent, SectorState};
use crate::{backoff::Backoff, deal::ProposalHash};
use cairn_primitives::{BlockNumber, DealId, PieceInfo, ProofSpec, ProofTypeId, SectorNumber};
use codec::{Decode, Encode};

/// A deal in a sector.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct SectorDeal {
	/// The deal's name here.
	pub proposal_hash: ProposalHash,
	/// Its number on chain.
	pub deal_id: DealId,
	/// Its piece.
	pub piece: PieceInfo,
	/// Blocks from activation to its end.
	pub duration: BlockNumber,
}

/// A sector from the moment its number is taken.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct Sector {
	/// Its number. Never used for another sector, whatever becomes of this one.
	pub number: SectorNumber,
	/// How it is proven.
	pub proof_type: ProofTypeId,
	/// Parameters of that type.
	pub spec: ProofSpec,
	/// What it holds, in the order of the pieces' offsets.
	pub deals: Vec<SectorDeal>,
	/// Block at which the number was taken.
	pub opened_at: BlockNumber,
	/// Where it stands.
	pub state: SectorState,
	/// What delays its present step.
	pub backoff: Backoff,
}

impl Sector {
	/// A sector whose number and contents were just decided.
	pub fn packed(
		number: SectorNumber,
		proof_type: ProofTypeId,
		spec: ProofSpec,
		deals: Vec<SectorDeal>,
		at: BlockNumber,
	) -> Self {
		Sector {
			number,
			proof_type,
			spec,
			deals,
			opened_at: at,
			state: SectorState::Packed,
			backoff: Backoff::default(),
		}
	}

	/// Applies an event. What delayed the sector is forgotten when it gets on; another attempt at the
	/// same step is not that.
	///
	/// # Errors
	/// If the event cannot occur in the present state.
	pub fn apply(&mut self, event: SectorEvent) -> Result<(), IllegalTransition> {
		let is_attempt = matches!(
			event,
			SectorEvent::PreCommitStarted { .. }
				| SectorEvent::PreCommitVoid
				| SectorEvent::ProofStarted { .. }
				| SectorEvent::ProofSettled
		);
		let next = self.state.apply(event)?;
		if next != self.state && !is_attempt {
			self.backoff = Backoff::default();
		}
		self.state = next;
		Ok(())
	}

	/// The pieces, in the order of their offsets.
	pub fn pieces(&self) -> Vec<PieceInfo> {
		self.deals.iter().map(|deal| deal.piece).collect()
	}

	/// The longest term among its deals.
	pub fn longest_duration(&self) -> BlockNumber {
		self.deals.iter().map(|deal| deal.duration).max().unwrap_or(0)
	}
}
