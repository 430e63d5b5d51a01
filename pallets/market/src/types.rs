//! Types of the market's storage, calls and events.

use cairn_primitives::{
	deal::{DealPayload, DealProposal},
	Balance, BlockNumber, DealId, PieceInfo, SectorNumber, Tier,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use scale_info::TypeInfo;
use sp_core::H256;

/// Most proposals in one `publish_storage_deals` or `accept_deals`.
pub const MAX_PROPOSALS_PER_CALL: u32 = 32;
/// Most deals in one `settle_deal_payments`.
pub const MAX_SETTLEMENTS_PER_CALL: u32 = 128;
/// Most calendar steps that one block takes by itself, whatever weight is left. Bounds what an
/// underestimated weight can do.
pub const MAX_SERVICE_STEPS_PER_BLOCK: u32 = 256;

/// A proposal and its client's signature over `DealProposal::signing_bytes` of this chain's genesis
/// hash, raw or wrapped in `<Bytes>…</Bytes>` as browser wallets do.
#[derive(Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct ClientDealProposal<AccountId, Signature> {
	/// The terms.
	pub proposal: DealProposal<AccountId>,
	/// The client's signature.
	pub client_signature: Signature,
}

/// Argument of `publish_storage_deals`.
pub type ClientDealProposals<AccountId, Signature> =
	BoundedVec<ClientDealProposal<AccountId, Signature>, ConstU32<MAX_PROPOSALS_PER_CALL>>;
/// Argument of `accept_deals`.
pub type ProposalHashes = BoundedVec<H256, ConstU32<MAX_PROPOSALS_PER_CALL>>;
/// Argument of `settle_deal_payments`.
pub type DealIds = BoundedVec<DealId, ConstU32<MAX_SETTLEMENTS_PER_CALL>>;

/// A proposal made on chain that waits for its provider.
#[derive(Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct PendingProposal<AccountId> {
	/// The terms.
	pub proposal: DealProposal<AccountId>,
	/// Plancks held from the client for the proposal's storage.
	pub deposit: Balance,
}

/// A proposal that cannot be used again.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug,
)]
pub struct UsedProposal {
	/// Last block at which its deal may be activated.
	pub start_by: BlockNumber,
	/// The deal it became; none while it waits for its provider, or if it was cancelled.
	pub deal: Option<DealId>,
}

/// Where a deal stands.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug,
)]
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
		/// Block at which the calendar settles the deal.
		settle_at: BlockNumber,
	},
}

/// A deal, from publication to its last settlement.
#[derive(Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct Deal<AccountId> {
	/// Hash of the proposal, as in the events.
	pub proposal_hash: H256,
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

impl<AccountId> Deal<AccountId> {
	/// A published deal.
	pub(crate) fn published(proposal_hash: H256, proposal: DealProposal<AccountId>) -> Self {
		Deal {
			proposal_hash,
			client: proposal.client,
			provider: proposal.provider,
			piece: proposal.piece,
			payload: proposal.payload,
			tier: proposal.tier,
			start_by: proposal.start_by,
			duration: proposal.duration,
			price_per_block: proposal.price_per_block,
			provider_collateral: proposal.provider_collateral,
			state: DealState::Published { sector: None },
		}
	}

	/// Price of `blocks` blocks. Cannot overflow up to `duration`: the total was checked before
	/// publication.
	pub fn price_of(&self, blocks: BlockNumber) -> Balance {
		self.price_per_block.saturating_mul(blocks.into())
	}

	/// What the client has on hold for the deal.
	pub fn unpaid(&self) -> Balance {
		let paid_blocks = match self.state {
			DealState::Published { .. } => 0,
			DealState::Active { paid_blocks, .. } => paid_blocks,
		};
		self.price_of(self.duration.saturating_sub(paid_blocks))
	}

	/// First block after the deal's time. `None` before activation.
	pub fn end(&self) -> Option<BlockNumber> {
		match self.state {
			DealState::Published { .. } => None,
			DealState::Active { activated_at, .. } => Some(activated_at.saturating_add(self.duration)),
		}
	}
}

/// What the calendar does at a block.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug,
)]
pub enum CalendarItem {
	/// Forgets a used proposal; refunds it if it is still waiting for its provider.
	#[codec(index = 0)]
	ProposalExpiry(H256),
	/// Ends the deal if it was not activated in time.
	#[codec(index = 1)]
	StartBy(DealId),
	/// Settles the deal for the last time.
	#[codec(index = 2)]
	FinalSettlement(DealId),
}

/// Why a settlement did nothing for a deal.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug,
)]
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
	/// The provider's beneficiary cannot take the amount, for instance because it has no account and
	/// the amount is below the existential deposit. It stays on hold.
	#[codec(index = 3)]
	Unpayable,
}

/// How much of a deal's price is due, as tools show it.
#[derive(Encode, Decode, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
pub struct DueView {
	/// Plancks that a settlement now would pay to the provider.
	pub due: Balance,
	/// Plancks still on hold from the client, `due` included.
	pub unpaid: Balance,
	/// Whether a settlement now would end the deal.
	pub is_final: bool,
}
