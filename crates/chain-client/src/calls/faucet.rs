//! Calls of the faucet, on test networks.

use super::calls;
use crate::AccountId;

calls! { "Faucet";
	/// Gives `who` a fixed amount, at most once in an interval. Anyone may sign; without a signature
	/// see [`crate::ChainClient::drip`].
	pub fn drip(who: AccountId);
}
