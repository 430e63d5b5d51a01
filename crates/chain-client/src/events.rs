//! Events of blocks.

mod faucet;
mod market;
mod proofs;
mod storage_provider;

pub use faucet::FaucetEvent;
pub use market::MarketEvent;
pub use proofs::ProofsEvent;
pub use storage_provider::StorageProviderEvent;

use crate::{interface::Item, runtime::Runtime, AccountId, ChainError, DispatchFailure};
use cairn_primitives::Balance;
use codec::Decode;
use scale_info::{meta_type, TypeDef};
use subxt::{events::Phase, metadata::Metadata};

pub(crate) const ITEMS: &[Item] = &[
	Item::Events {
		pallet: "StorageProvider",
		event: meta_type::<StorageProviderEvent>,
	},
	Item::Events {
		pallet: "Market",
		event: meta_type::<MarketEvent>,
	},
	Item::Events {
		pallet: "Proofs",
		event: meta_type::<ProofsEvent>,
	},
	Item::Events {
		pallet: "Faucet",
		event: meta_type::<FaucetEvent>,
	},
	Item::Event {
		pallet: "Balances",
		name: "Transfer",
		fields: || {
			vec![
				meta_type::<AccountId>(),
				meta_type::<AccountId>(),
				meta_type::<Balance>(),
			]
		},
	},
	Item::Event {
		pallet: "TransactionPayment",
		name: "TransactionFeePaid",
		fields: || {
			vec![
				meta_type::<AccountId>(),
				meta_type::<Balance>(),
				meta_type::<Balance>(),
			]
		},
	},
	Item::Event {
		pallet: "System",
		name: "ExtrinsicSuccess",
		fields: Vec::new,
	},
	Item::Event {
		pallet: "System",
		name: "ExtrinsicFailed",
		fields: Vec::new,
	},
	Item::Event {
		pallet: "Sudo",
		name: "Sudid",
		fields: Vec::new,
	},
];

/// An event and the extrinsic that caused it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventRecord {
	/// Index of the extrinsic in its block. `None`: the block's hooks.
	pub extrinsic: Option<u32>,
	/// What happened.
	pub event: ChainEvent,
}

/// What happened on the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ChainEvent {
	/// Of the storage-provider pallet.
	StorageProvider(StorageProviderEvent),
	/// Of the market.
	Market(MarketEvent),
	/// Of the proofs pallet.
	Proofs(ProofsEvent),
	/// Of the faucet.
	Faucet(FaucetEvent),
	/// Free balance moved.
	Transfer {
		/// Sender.
		from: AccountId,
		/// Receiver.
		to: AccountId,
		/// Plancks.
		amount: Balance,
	},
	/// An extrinsic's fee was paid.
	FeePaid {
		/// Who paid.
		who: AccountId,
		/// Plancks, the tip included.
		fee: Balance,
		/// The tip in it.
		tip: Balance,
	},
	/// The extrinsic's call succeeded.
	ExtrinsicSuccess,
	/// The extrinsic's call failed and had no effect.
	ExtrinsicFailed(DispatchFailure),
	/// A root call was made and ended so.
	Sudo(Result<(), DispatchFailure>),
	/// An event of which only the name is known here.
	Other {
		/// Pallet in the runtime.
		pallet: String,
		/// Event in the pallet.
		name: String,
	},
}

/// Decodes the value of `System.Events`.
pub(crate) fn decode(runtime: &Runtime, bytes: Vec<u8>) -> Result<Vec<EventRecord>, ChainError> {
	let events = runtime.offline().events().from_bytes(bytes);
	let mut records = Vec::new();
	for event in events.iter() {
		let event = event.map_err(|e| ChainError::decode("events", e))?;
		let extrinsic = match event.phase() {
			Phase::ApplyExtrinsic(index) => Some(index),
			Phase::Finalization | Phase::Initialization => None,
		};
		let (pallet, name) = (event.pallet_name(), event.event_name());
		let event = match one(
			runtime.metadata(),
			pallet,
			name,
			event.event_index(),
			event.field_bytes(),
		) {
			Ok(event) => event,
			// A newer runtime may have more events.
			Err(_) if !is_known(pallet, name) => other(pallet, name),
			Err(e) => return Err(ChainError::decode(format!("event {pallet}.{name}"), e)),
		};
		records.push(EventRecord { extrinsic, event });
	}
	Ok(records)
}

fn one(
	metadata: &Metadata,
	pallet: &str,
	name: &str,
	index: u8,
	mut fields: &[u8],
) -> Result<ChainEvent, codec::Error> {
	let fields = &mut fields;
	Ok(match (pallet, name) {
		("StorageProvider", _) => ChainEvent::StorageProvider(variant(index, fields)?),
		("Market", _) => ChainEvent::Market(variant(index, fields)?),
		("Proofs", _) => ChainEvent::Proofs(variant(index, fields)?),
		("Faucet", _) => ChainEvent::Faucet(variant(index, fields)?),
		("Balances", "Transfer") => {
			let (from, to, amount) = Decode::decode(fields)?;
			ChainEvent::Transfer { from, to, amount }
		}
		("TransactionPayment", "TransactionFeePaid") => {
			let (who, fee, tip) = Decode::decode(fields)?;
			ChainEvent::FeePaid { who, fee, tip }
		}
		("System", "ExtrinsicSuccess") => ChainEvent::ExtrinsicSuccess,
		("System", "ExtrinsicFailed") => {
			ChainEvent::ExtrinsicFailed(DispatchFailure::decode(fields, metadata)?)
		}
		("Sudo", "Sudid") => ChainEvent::Sudo(match u8::decode(fields)? {
			0 => Ok(()),
			_ => Err(DispatchFailure::decode(fields, metadata)?),
		}),
		_ => other(pallet, name),
	})
}

fn other(pallet: &str, name: &str) -> ChainEvent {
	ChainEvent::Other {
		pallet: pallet.to_owned(),
		name: name.to_owned(),
	}
}

/// Whether the event is one of those listed in [`ITEMS`].
fn is_known(pallet: &str, name: &str) -> bool {
	ITEMS.iter().any(|item| match item {
		Item::Event {
			pallet: known,
			name: known_name,
			..
		} => *known == pallet && *known_name == name,
		Item::Events { pallet: known, event } if *known == pallet => match event().type_info().type_def {
			TypeDef::Variant(events) => events.variants.iter().any(|event| event.name == name),
			_ => false,
		},
		_ => false,
	})
}

/// Decodes an event enum from its index and the fields' bytes.
fn variant<E: Decode>(index: u8, fields: &[u8]) -> Result<E, codec::Error> {
	let mut bytes = Vec::with_capacity(1 + fields.len());
	bytes.push(index);
	bytes.extend_from_slice(fields);
	E::decode(&mut &bytes[..])
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn known_events() {
		assert!(is_known("Market", "DealPublished"));
		assert!(is_known("System", "ExtrinsicFailed"));
		assert!(!is_known("Market", "AddedTomorrow"));
		assert!(!is_known("Faucet", "DealPublished"));
	}
}
