//! Transfers.

use crate::{interface::Item, AccountId, Call};
use cairn_primitives::Balance;
use codec::{Compact, Encode};
use scale_info::{meta_type, TypeInfo};

/// `sp_runtime::MultiAddress<AccountId, ()>`.
#[derive(Encode, TypeInfo)]
#[allow(dead_code)] // Addresses of other kinds exist on the wire, but nothing here makes them.
enum MultiAddress {
	#[codec(index = 0)]
	Id(AccountId),
	#[codec(index = 1)]
	Index(#[codec(compact)] ()),
	#[codec(index = 2)]
	Raw(Vec<u8>),
	#[codec(index = 3)]
	Address32([u8; 32]),
	#[codec(index = 4)]
	Address20([u8; 20]),
}

const PALLET: &str = "Balances";

pub(crate) const ITEMS: &[Item] = &[
	Item::Call {
		pallet: PALLET,
		name: "transfer_allow_death",
		arguments: Some(|| vec![meta_type::<MultiAddress>(), meta_type::<Compact<Balance>>()]),
	},
	Item::Call {
		pallet: PALLET,
		name: "transfer_keep_alive",
		arguments: Some(|| vec![meta_type::<MultiAddress>(), meta_type::<Compact<Balance>>()]),
	},
	Item::Call {
		pallet: PALLET,
		name: "transfer_all",
		arguments: Some(|| vec![meta_type::<MultiAddress>(), meta_type::<bool>()]),
	},
];

/// Transfers `amount` plancks; the sender's account may end.
pub fn transfer_allow_death(to: AccountId, amount: Balance) -> Call {
	Call::new(
		PALLET,
		"transfer_allow_death",
		(MultiAddress::Id(to), Compact(amount)).encode(),
	)
}

/// Transfers `amount` plancks; fails if the sender's account would end.
pub fn transfer_keep_alive(to: AccountId, amount: Balance) -> Call {
	Call::new(
		PALLET,
		"transfer_keep_alive",
		(MultiAddress::Id(to), Compact(amount)).encode(),
	)
}

/// Transfers everything that is free, but the minimum balance if `keep_alive`.
pub fn transfer_all(to: AccountId, keep_alive: bool) -> Call {
	Call::new(
		PALLET,
		"transfer_all",
		(MultiAddress::Id(to), keep_alive).encode(),
	)
}
