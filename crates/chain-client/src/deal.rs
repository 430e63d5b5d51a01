//! Types of the market pallet's calls and reads. Encoded like the pallet's own.

use crate::{AccountId, Hash, MultiSignature};
use cairn_primitives::{
	deal::{DealPayload, DealProposal},
	Balance, BlockNumber, DealId, PieceInfo, SectorNumber, Tier,
};
use codec::{Decode, Encode};
use scale_info::TypeInfo;

/// Terms of a deal between accounts of the chain.
pub type Proposal = DealProposal<AccountId>;

/// A proposal and its client's signature over `Proposal::signing_bytes` of the chain's genesis hash,
/// raw or wrapped in `<Bytes>…</Bytes>`.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct SignedProposal {
	/// The terms.
	pub proposal: Proposal,
	/// The client's signature.
	pub client_signature: MultiSignature,
}

/// Where a deal stands.
#[derive(Encode, Decode, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
pub enum DealState {
	/// Both sides are bound, the deal's time has not begun.
	#[codec(index = 0)]
	Published {
		/// Pre-committed sector that is to hold the piece.
		sector: Option<SectorNumber>,
	},
	/// The deal's sector is proven and its time runs or ran.
	#[codec(index = 1)]
	Active {
		/// Sector that holds the piece.
		sector: SectorNumber,
		/// First block of the deal.
		activated_at: BlockNumber,
		/// Proven blocks that are paid for.
		paid_blocks: BlockNumber,
		/// Block at which the chain settles the deal by itself.
		settle_at: BlockNumber,
	},
}

/// A deal, from publication to its last settlement.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct Deal {
	/// Hash of the proposal.
	pub proposal_hash: Hash,
	/// Who pays.
	pub client: AccountId,
	/// Owner account of the provider.
	pub provider: AccountId,
	/// The piece.
	pub piece: PieceInfo,
	/// The object in the piece.
	pub payload: DealPayload,
	/// How storage is proven.
	pub tier: Tier,
	/// Last block at which the deal may be activated.
	pub start_by: BlockNumber,
	/// Blocks from activation to the end.
	pub duration: BlockNumber,
	/// Plancks per proven block.
	pub price_per_block: Balance,
	/// Plancks held from the provider.
	pub provider_collateral: Balance,
	/// Where it stands.
	pub state: DealState,
}

impl Deal {
	/// Sector that holds or will hold the piece, once one is committed.
	pub fn sector(&self) -> Option<SectorNumber> {
		match self.state {
			DealState::Published { sector } => sector,
			DealState::Active { sector, .. } => Some(sector),
		}
	}

	/// Whether the deal was activated.
	pub fn is_active(&self) -> bool {
		matches!(self.state, DealState::Active { .. })
	}
}

/// A deal with what follows from its sector's proofs.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct DealView {
	/// Number.
	pub id: DealId,
	/// The deal.
	pub deal: Deal,
	/// First block after the deal's time; none before activation.
	pub ends: Option<BlockNumber>,
	/// Blocks of its time that are proven.
	pub proven_blocks: BlockNumber,
	/// Plancks that a settlement now would pay.
	pub due: Balance,
}

/// Why a settlement did nothing for a deal.
#[derive(Encode, Decode, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
pub enum SkipReason {
	/// There is no deal of that number, or it was settled for the last time.
	#[codec(index = 0)]
	NotFound,
	/// The deal is not activated yet.
	#[codec(index = 1)]
	NotActive,
	/// Nothing was proven since the last settlement.
	#[codec(index = 2)]
	NothingDue,
	/// The provider's beneficiary cannot take the amount. It stays on hold.
	#[codec(index = 3)]
	Unpayable,
}
