//! Reads of escrows, proposals and deals.

use super::runtime_api;
use crate::{AccountId, DealView, Hash, Proposal};
use cairn_primitives::{Balance, DealId};

runtime_api! { "MarketApi";
	/// A deal. `None` if there is none of that number or it is settled for good.
	pub fn deal(id: DealId) -> Option<DealView> = "deal";
	/// At most `limit` (and 256) deals of a client or a provider's owner after number `after`, in
	/// ascending order.
	pub fn deals_of(account: &AccountId, after: Option<DealId>, limit: u32) -> Vec<DealView> = "deals_of";
	/// A proposal made on chain that waits for its provider.
	pub fn proposal(hash: &Hash) -> Option<Proposal> = "proposal";
	/// At most `limit` proposals that wait for a provider, with their hashes.
	pub fn proposals_for(provider: &AccountId, limit: u32) -> Vec<(Hash, Proposal)> = "proposals_for";
	/// The deal that a proposal became.
	pub fn deal_of_proposal(hash: &Hash) -> Option<DealId> = "deal_of_proposal";
	/// Plancks in an account's escrow.
	pub fn escrow(account: &AccountId) -> Balance = "escrow";
}
