//! Events of the market pallet. Encoded like the pallet's own.

use crate::{AccountId, Hash, Proposal, SkipReason};
use cairn_primitives::{Balance, BlockNumber, DealId, SectorNumber};
use codec::{Decode, Encode};
use scale_info::TypeInfo;

/// What happened to escrows, proposals and deals.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MarketEvent {
	/// An account added to its escrow.
	#[codec(index = 0)]
	BalanceAdded {
		/// Whose escrow.
		who: AccountId,
		/// Plancks moved from its free balance.
		amount: Balance,
	},
	/// An account took from its escrow.
	#[codec(index = 1)]
	BalanceWithdrawn {
		/// Whose escrow.
		who: AccountId,
		/// Plancks moved to its free balance.
		amount: Balance,
	},
	/// A client made a proposal on chain. Its provider may accept it.
	#[codec(index = 2)]
	DealProposed {
		/// Names the proposal in `accept_deals` and `cancel_proposal`.
		proposal_hash: Hash,
		/// The terms.
		proposal: Proposal,
	},
	/// A waiting proposal was withdrawn. It cannot be used again.
	#[codec(index = 3)]
	ProposalCancelled {
		/// The proposal.
		proposal_hash: Hash,
		/// Its client.
		client: AccountId,
		/// Plancks that went back to the client's escrow.
		refund: Balance,
	},
	/// A waiting proposal's `start_by` passed.
	#[codec(index = 4)]
	ProposalExpired {
		/// The proposal.
		proposal_hash: Hash,
		/// Its client.
		client: AccountId,
		/// Plancks that went back to the client's escrow.
		refund: Balance,
	},
	/// A deal binds both sides: price and collateral are on hold.
	#[codec(index = 5)]
	DealPublished {
		/// The deal.
		deal: DealId,
		/// The proposal it was made of.
		proposal_hash: Hash,
		/// Who pays.
		client: AccountId,
		/// Owner account of the provider.
		provider: AccountId,
	},
	/// A deal's sector is proven and its time begins.
	#[codec(index = 6)]
	DealActivated {
		/// The deal.
		deal: DealId,
		/// Owner account of the provider.
		provider: AccountId,
		/// Sector that holds the piece.
		sector: SectorNumber,
		/// First block of the deal.
		activated_at: BlockNumber,
		/// First block after it.
		end: BlockNumber,
	},
	/// A provider was paid for proven blocks.
	#[codec(index = 7)]
	PaymentSettled {
		/// The deal.
		deal: DealId,
		/// Who received it: the provider's beneficiary, or its owner if that one could not.
		to: AccountId,
		/// Plancks.
		amount: Balance,
		/// Blocks of the deal paid for so far.
		paid_blocks: BlockNumber,
	},
	/// `settle_deal_payments` did nothing for a deal.
	#[codec(index = 8)]
	SettlementSkipped {
		/// The number given.
		deal: DealId,
		/// Why.
		reason: SkipReason,
	},
	/// A deal ran to its end and is settled for the last time. The collateral was returned.
	#[codec(index = 9)]
	DealEnded {
		/// The deal.
		deal: DealId,
		/// Blocks paid for.
		paid_blocks: BlockNumber,
		/// Plancks returned to the client for blocks that were not proven.
		refund: Balance,
	},
	/// A deal was not activated by its `start_by`.
	#[codec(index = 10)]
	DealNotStarted {
		/// The deal.
		deal: DealId,
		/// Plancks returned to the client: the whole price.
		refund: Balance,
		/// Plancks of the provider's collateral that went to the client.
		compensation: Balance,
		/// Plancks of the collateral burnt because the client has no account to take them.
		burnt: Balance,
	},
	/// An active deal's sector is gone.
	#[codec(index = 11)]
	DealTerminated {
		/// The deal.
		deal: DealId,
		/// Blocks paid for.
		paid_blocks: BlockNumber,
		/// Plancks returned to the client.
		refund: Balance,
		/// Plancks of the provider's collateral that went to the client.
		compensation: Balance,
		/// Plancks of the collateral burnt because the client has no account to take them.
		burnt: Balance,
	},
	/// An account could not take an amount as free balance. It is in the account's escrow.
	#[codec(index = 12)]
	KeptInEscrow {
		/// Whose escrow.
		who: AccountId,
		/// Plancks.
		amount: Balance,
	},
	/// `service` moved the calendar.
	#[codec(index = 13)]
	CalendarServiced {
		/// Items processed.
		items: u32,
		/// First block that is not done.
		next_block: BlockNumber,
	},
}
