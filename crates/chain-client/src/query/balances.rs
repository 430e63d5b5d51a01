//! Reads of balances and holds.

use crate::{error::decode_all, interface::Item, AccountId, ChainError, Query};
use cairn_primitives::Balance;
use codec::Decode;
use scale_info::{form::PortableForm, meta_type, TypeDef, TypeInfo, Variant};
use sp_crypto_hashing::{blake2_128, twox_128};
use subxt::metadata::Metadata;

pub(crate) const ITEMS: &[Item] = &[
	Item::Storage {
		pallet: "System",
		entry: "Account",
		value: Some(meta_type::<AccountInfo>),
	},
	// Its values name hold reasons of the whole runtime; read by the metadata.
	Item::Storage {
		pallet: "Balances",
		entry: "Holds",
		value: None,
	},
	Item::Storage {
		pallet: "System",
		entry: "Events",
		value: None,
	},
];

/// Most wrappers around a list of holds: a hostile node could describe one that wraps itself.
const MAX_WRAPPERS: usize = 8;

/// `frame_system::AccountInfo` with `pallet_balances::AccountData`.
#[derive(Decode, TypeInfo, Default)]
#[allow(dead_code)] // Fields exist on the wire.
struct AccountInfo {
	nonce: u32,
	consumers: u32,
	providers: u32,
	sufficients: u32,
	data: AccountData,
}

#[derive(Decode, TypeInfo, Default)]
#[allow(dead_code)] // Fields exist on the wire.
struct AccountData {
	free: Balance,
	reserved: Balance,
	frozen: Balance,
	flags: u128,
}

/// What an account has, in plancks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AccountBalance {
	/// Not held. The existential deposit and what is frozen in it cannot be spent.
	pub free: Balance,
	/// Held for any reason.
	pub held: Balance,
	/// Part of the sum of both that cannot leave the account.
	pub frozen: Balance,
	/// Transactions signed so far.
	pub nonce: u32,
}

/// An amount held from an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
	/// Pallet that holds.
	pub pallet: String,
	/// Its reason.
	pub reason: String,
	/// Plancks.
	pub amount: Balance,
}

fn map_key(pallet: &str, entry: &str, account: &AccountId) -> Vec<u8> {
	[
		twox_128(pallet.as_bytes()).as_slice(),
		&twox_128(entry.as_bytes()),
		&blake2_128(account),
		account,
	]
	.concat()
}

/// Key of `System.Events`.
pub(crate) fn events_key() -> Vec<u8> {
	[twox_128(b"System"), twox_128(b"Events")].concat()
}

impl Query {
	/// What an account has. All zero if it does not exist.
	///
	/// # Errors
	/// See [`ChainError`].
	pub async fn balance(&self, account: &AccountId) -> Result<AccountBalance, ChainError> {
		let key = map_key("System", "Account", account);
		let info = match self.client.rpc().storage(&key, self.block().await?).await? {
			Some(bytes) => decode_all("account", &bytes)?,
			None => AccountInfo::default(),
		};
		Ok(AccountBalance {
			free: info.data.free,
			held: info.data.reserved,
			frozen: info.data.frozen,
			nonce: info.nonce,
		})
	}

	/// What is held from an account, by reason.
	///
	/// # Errors
	/// See [`ChainError`].
	pub async fn holds(&self, account: &AccountId) -> Result<Vec<Hold>, ChainError> {
		let block = self.block().await?;
		let key = map_key("Balances", "Holds", account);
		let Some(bytes) = self.client.rpc().storage(&key, block).await? else {
			return Ok(Vec::new());
		};
		let runtime = self.client.runtime_at(block).await?;
		// A hold is `IdAmount { id: RuntimeHoldReason, amount }`; a reason is the pallet's variant and
		// then the pallet's own reason, both without other data.
		let holds: Vec<(u8, u8, Balance)> = decode_all("holds", &bytes)?;
		Ok(holds
			.into_iter()
			.map(|(pallet, reason, amount)| {
				let (pallet, reason) = reason_names(runtime.metadata(), pallet, reason)
					.unwrap_or_else(|| (pallet.to_string(), reason.to_string()));
				Hold {
					pallet,
					reason,
					amount,
				}
			})
			.collect())
	}
}

/// Names of a hold reason.
pub(crate) fn reason_names(metadata: &Metadata, pallet: u8, reason: u8) -> Option<(String, String)> {
	let holds = metadata
		.pallet_by_name("Balances")?
		.storage()?
		.entry_by_name("Holds")?
		.value_ty();
	let types = metadata.types();
	// BoundedVec<IdAmount<RuntimeHoldReason, Balance>, _>
	let mut ty = types.resolve(holds)?;
	let mut wrappers = 0;
	let id_amount = loop {
		match &ty.type_def {
			TypeDef::Composite(wrapper) if wrapper.fields.len() == 1 && wrappers < MAX_WRAPPERS => {
				ty = types.resolve(wrapper.fields[0].ty.id)?;
				wrappers += 1;
			}
			TypeDef::Sequence(items) => break types.resolve(items.type_param.id)?,
			_ => return None,
		}
	};
	let TypeDef::Composite(id_amount) = &id_amount.type_def else {
		return None;
	};
	let outer = variant(metadata, id_amount.fields.first()?.ty.id, pallet)?;
	let inner = variant(metadata, outer.fields.first()?.ty.id, reason)?;
	Some((outer.name.clone(), inner.name.clone()))
}

fn variant(metadata: &Metadata, ty: u32, index: u8) -> Option<&Variant<PortableForm>> {
	match &metadata.types().resolve(ty)?.type_def {
		TypeDef::Variant(variants) => variants.variants.iter().find(|variant| variant.index == index),
		_ => None,
	}
}
