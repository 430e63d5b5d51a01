//! Events of the faucet. Encoded like the pallet's own.

use crate::AccountId;
use cairn_primitives::Balance;
use codec::{Decode, Encode};
use scale_info::TypeInfo;

/// What the faucet gave.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FaucetEvent {
	/// Funds were minted.
	#[codec(index = 0)]
	Dripped {
		/// To whom.
		who: AccountId,
		/// Plancks.
		amount: Balance,
	},
}
