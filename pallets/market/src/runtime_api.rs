//! Composed reads for tools.

use crate::types::Deal;
use alloc::vec::Vec;
use cairn_primitives::{deal::DealProposal, Balance, BlockNumber, DealId};
use codec::{Codec, Decode, Encode};
use scale_info::TypeInfo;
use sp_core::H256;

/// A deal with what follows from its sector's proofs.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct DealView<AccountId> {
	/// Number.
	pub id: DealId,
	/// The deal.
	pub deal: Deal<AccountId>,
	/// First block after the deal's time; none before activation.
	pub ends: Option<BlockNumber>,
	/// Blocks of its time that are proven.
	pub proven_blocks: BlockNumber,
	/// Plancks that a settlement now would pay.
	pub due: Balance,
}

sp_api::decl_runtime_apis! {
	/// Deals, proposals and escrow.
	pub trait MarketApi<AccountId> where AccountId: Codec {
		/// A deal that is not settled for the last time.
		fn deal(id: DealId) -> Option<DealView<AccountId>>;
		/// At most `limit` (and 256) deals that `account` is client or provider of, numbers above
		/// `after`, ascending.
		fn deals_of(account: AccountId, after: Option<DealId>, limit: u32) -> Vec<DealView<AccountId>>;
		/// A proposal made on chain that waits for its provider.
		fn proposal(hash: H256) -> Option<DealProposal<AccountId>>;
		/// At most `limit` (and 256) proposals that wait for `provider`.
		fn proposals_for(provider: AccountId, limit: u32) -> Vec<(H256, DealProposal<AccountId>)>;
		/// Deal that a proposal became; known until its `start_by`.
		fn deal_of_proposal(hash: H256) -> Option<DealId>;
		/// Plancks in an account's escrow.
		fn escrow(account: AccountId) -> Balance;
	}
}
