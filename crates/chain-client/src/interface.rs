//! What this crate uses of a runtime, and the comparison with a runtime's metadata.
//!
//! Calls, runtime APIs, events and storage are encoded from and decoded into Rust types directly.
//! Each module that does so lists them here with their types, so that one comparison answers whether
//! a runtime is understood: against the checked-in `metadata.scale` in the tests, against the node's
//! metadata at every connection.

use crate::{
	calls, events, query,
	shape::{self, NewVariants},
};
use scale_info::{meta_type, MetaType, Registry};
use subxt::metadata::Metadata;

/// One thing that the runtime must have.
pub(crate) enum Item {
	/// A call and its arguments. `None`: the arguments contain calls, which are encoded by name.
	Call {
		pallet: &'static str,
		name: &'static str,
		arguments: Option<fn() -> Vec<MetaType>>,
	},
	/// A method of a runtime API.
	RuntimeApi {
		api: &'static str,
		method: &'static str,
		arguments: fn() -> Vec<MetaType>,
		result: fn() -> MetaType,
	},
	/// All events of a pallet.
	Events {
		pallet: &'static str,
		event: fn() -> MetaType,
	},
	/// The fields of one event.
	Event {
		pallet: &'static str,
		name: &'static str,
		fields: fn() -> Vec<MetaType>,
	},
	/// The value of a storage entry.
	Storage {
		pallet: &'static str,
		entry: &'static str,
		value: Option<fn() -> MetaType>,
	},
}

/// Transaction extensions whose data this crate can encode. Others must have none.
const EXTENSIONS: [&str; 7] = [
	"CheckSpecVersion",
	"CheckTxVersion",
	"CheckGenesis",
	"CheckMortality",
	"CheckNonce",
	"ChargeTransactionPayment",
	"CheckMetadataHash",
];

/// Pallets without which a chain is not Cairn's.
const CAIRN_PALLETS: [&str; 2] = ["StorageProvider", "Market"];

/// Whether the runtime is one of Cairn's at all.
pub(crate) fn is_cairn(metadata: &Metadata) -> bool {
	CAIRN_PALLETS
		.iter()
		.all(|pallet| metadata.pallet_by_name(pallet).is_some())
}

/// Everything that this crate uses.
pub(crate) fn items() -> impl Iterator<Item = &'static Item> {
	calls::ITEMS
		.iter()
		.copied()
		.chain(query::ITEMS.iter().copied())
		.chain([events::ITEMS])
		.flatten()
}

/// What the runtime lacks or has in another form. Empty: it is understood.
pub(crate) fn differences(metadata: &Metadata) -> Vec<String> {
	let mut differences: Vec<String> = items().filter_map(|item| difference(item, metadata)).collect();
	for extension in metadata.extrinsic().transaction_extensions_to_use_for_encoding() {
		let nothing = |ty| compare(meta_type::<()>(), ty, metadata, NewVariants::Forbidden).is_none();
		let has_data = !nothing(extension.extra_ty()) || !nothing(extension.additional_ty());
		if has_data && !EXTENSIONS.contains(&extension.identifier()) {
			differences.push(format!(
				"transaction extension {} is unknown",
				extension.identifier()
			));
		}
	}
	differences
}

fn difference(item: &Item, metadata: &Metadata) -> Option<String> {
	match item {
		Item::Call {
			pallet,
			name,
			arguments,
		} => {
			let found = metadata
				.pallet_by_name(pallet)
				.and_then(|p| p.call_variant_by_name(name));
			let Some(call) = found else {
				return Some(format!("call {pallet}.{name} is missing"));
			};
			let arguments = arguments.as_ref()?();
			let fields: Vec<u32> = call.fields.iter().map(|field| field.ty.id).collect();
			compare_list(&arguments, &fields, metadata, NewVariants::Allowed)
				.map(|at| format!("call {pallet}.{name}: {at}"))
		}
		Item::RuntimeApi {
			api,
			method,
			arguments,
			result,
		} => {
			let found = metadata
				.runtime_api_trait_by_name(api)
				.and_then(|api| api.method_by_name(method));
			let Some(found) = found else {
				return Some(format!("runtime API {api}.{method} is missing"));
			};
			let inputs: Vec<u32> = found.inputs().map(|input| input.id).collect();
			compare_list(&arguments(), &inputs, metadata, NewVariants::Allowed)
				.or_else(|| {
					compare(result(), found.output_ty(), metadata, NewVariants::Forbidden)
						.map(|at| format!("result{at}"))
				})
				.map(|at| format!("runtime API {api}.{method}: {at}"))
		}
		Item::Events { pallet, event } => {
			let Some(ty) = metadata
				.pallet_by_name(pallet)
				.and_then(|pallet| pallet.event_ty_id())
			else {
				return Some(format!("events of {pallet} are missing"));
			};
			compare(event(), ty, metadata, NewVariants::AtTheTop).map(|at| format!("event {pallet}{at}"))
		}
		Item::Event { pallet, name, fields } => {
			let found = metadata.pallet_by_name(pallet).and_then(|pallet| {
				pallet
					.event_variants()?
					.iter()
					.find(|variant| variant.name == *name)
			});
			let Some(event) = found else {
				return Some(format!("event {pallet}.{name} is missing"));
			};
			// Only the leading fields are read.
			let expected = fields();
			let found: Vec<u32> = event
				.fields
				.iter()
				.map(|field| field.ty.id)
				.take(expected.len())
				.collect();
			compare_list(&expected, &found, metadata, NewVariants::Forbidden)
				.map(|at| format!("event {pallet}.{name}: {at}"))
		}
		Item::Storage { pallet, entry, value } => {
			let found = metadata
				.pallet_by_name(pallet)
				.and_then(|pallet| pallet.storage()?.entry_by_name(entry))
				.map(|entry| entry.value_ty());
			let Some(ty) = found else {
				return Some(format!("storage {pallet}.{entry} is missing"));
			};
			compare(value.as_ref()?(), ty, metadata, NewVariants::Forbidden)
				.map(|at| format!("storage {pallet}.{entry}: {at}"))
		}
	}
}

fn compare_list(ours: &[MetaType], theirs: &[u32], metadata: &Metadata, new: NewVariants) -> Option<String> {
	if ours.len() != theirs.len() {
		return Some(format!("{} arguments instead of {}", theirs.len(), ours.len()));
	}
	ours.iter()
		.zip(theirs)
		.enumerate()
		.find_map(|(position, (ours, theirs))| {
			compare(*ours, *theirs, metadata, new).map(|at| format!("argument {position}{at}"))
		})
}

fn compare(ours: MetaType, theirs: u32, metadata: &Metadata, new: NewVariants) -> Option<String> {
	let mut registry = Registry::new();
	let id = registry.register_type(&ours).id;
	shape::difference(&registry.into(), id, metadata.types(), theirs, new)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::runtime::checked_in_metadata;

	/// The types of this crate encode like those of the runtime that the checked-in metadata is of.
	#[test]
	fn types_agree_with_the_checked_in_metadata() {
		let metadata = checked_in_metadata().expect("metadata.scale decodes");
		let differences = differences(&metadata);
		assert!(differences.is_empty(), "{differences:#?}");
	}

	/// Every call, event and runtime API of Cairn's pallets is reachable from this crate.
	#[test]
	fn nothing_of_cairns_pallets_is_left_out() {
		let metadata = checked_in_metadata().expect("metadata.scale decodes");
		let mut missing = Vec::new();
		for name in ["StorageProvider", "Market", "Proofs", "Randomness", "Faucet"] {
			let pallet = metadata.pallet_by_name(name).expect("the runtime has the pallet");
			for call in pallet.call_variants().unwrap_or_default() {
				let known = items().any(|item| matches!(item, Item::Call { pallet, name: call_name, .. } if *pallet == name && *call_name == call.name));
				if !known {
					missing.push(format!("call {name}.{}", call.name));
				}
			}
			let has_events = pallet.event_ty_id().is_some();
			if has_events
				&& !items().any(|item| matches!(item, Item::Events { pallet, .. } if *pallet == name))
			{
				missing.push(format!("events of {name}"));
			}
		}
		for api in ["StorageProviderApi", "MarketApi"] {
			let api = metadata
				.runtime_api_trait_by_name(api)
				.expect("the runtime has the API");
			for method in api.methods() {
				let known = items().any(|item| matches!(item, Item::RuntimeApi { api: api_name, method: name, .. } if *api_name == api.name() && *name == method.name()));
				if !known {
					missing.push(format!("runtime API {}.{}", api.name(), method.name()));
				}
			}
		}
		assert!(missing.is_empty(), "{missing:#?}");
	}
}
