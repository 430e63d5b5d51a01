//! Calls of the market pallet.

use super::calls;
use crate::{Call, Hash, Proposal, SignedProposal};
use cairn_primitives::{Balance, DealId};
use codec::Compact;

/// Calls whose amounts are compact on the wire.
pub(crate) mod compact {
	use super::*;

	calls! { "Market";
		pub fn add_balance(amount: Compact<Balance>);
		pub fn withdraw_balance(amount: Compact<Balance>);
	}
}

/// Sets `amount` plancks of the signer's free balance aside in its escrow.
pub fn add_balance(amount: Balance) -> Call {
	compact::add_balance(Compact(amount))
}

/// Returns `amount` plancks of the signer's escrow to its free balance.
pub fn withdraw_balance(amount: Balance) -> Call {
	compact::withdraw_balance(Compact(amount))
}

calls! { "Market";
	/// Makes deals of signed proposals, at most 32. Provider's owner or worker.
	pub fn publish_storage_deals(proposals: &[SignedProposal]);
	/// Proposes a deal on chain. The proposal's client.
	pub fn propose_deal(proposal: &Proposal);
	/// Accepts proposals made on chain, by their hashes, at most 32. Provider's owner or worker.
	pub fn accept_deals(proposals: &[Hash]);
	/// Withdraws a proposal made on chain. Its client; after `start_by` anyone.
	pub fn cancel_proposal(proposal_hash: Hash);
	/// Pays what is due of deals, at most 128. Anyone.
	pub fn settle_deal_payments(deals: &[DealId]);
	/// Moves the calendar by at most `limit` steps. Anyone.
	pub fn service(limit: u32);
}
