//! Indices of pallets, calls, events, errors and hold reasons, and the arguments of Cairn's calls, as
//! wallets and stored state rely on them. A difference is a breaking change: if it is meant, write
//! the file anew with `UPDATE_INDICES=1` and raise `transaction_version`.

use cairn_runtime::{RuntimeCall, RuntimeError, RuntimeEvent, RuntimeHoldReason};
use scale_info::{form::PortableForm, meta_type, PortableRegistry, Registry, TypeDef, TypeInfo, Variant};
use std::fmt::Write;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runtime/indices.txt");

fn variants(registry: &PortableRegistry, id: u32) -> Vec<Variant<PortableForm>> {
	match &registry.resolve(id).expect("registered").type_def {
		TypeDef::Variant(variants) => variants.variants.clone(),
		_ => vec![],
	}
}

/// One line for each variant of each pallet's enum in an outer enum.
fn walk<Outer: TypeInfo + 'static>(title: &str, with_fields: bool, lines: &mut String) {
	let mut types = Registry::new();
	let outer = types.register_type(&meta_type::<Outer>()).id;
	let registry = PortableRegistry::from(types);
	for pallet in variants(&registry, outer) {
		for field in &pallet.fields {
			let mut inner = variants(&registry, field.ty.id);
			inner.sort_by_key(|variant| variant.index);
			for variant in inner {
				write!(
					lines,
					"{title} {} {}: {} {}",
					pallet.index, pallet.name, variant.index, variant.name
				)
				.expect("memory");
				// Arguments of the SDK's calls are the SDK's business.
				if with_fields && pallet.index >= 50 {
					for field in &variant.fields {
						let name = field.name.as_deref().unwrap_or("_");
						let of = field.type_name.as_deref().unwrap_or("_");
						write!(lines, " {name}: {of},").expect("memory");
					}
				}
				lines.push('\n');
			}
		}
	}
}

#[test]
fn indices_are_pinned() {
	let mut lines = String::new();
	walk::<RuntimeCall>("call", true, &mut lines);
	walk::<RuntimeEvent>("event", true, &mut lines);
	walk::<RuntimeError>("error", false, &mut lines);
	walk::<RuntimeHoldReason>("hold", false, &mut lines);
	if std::env::var_os("UPDATE_INDICES").is_some() {
		std::fs::write(FILE, &lines).expect("writable");
	}
	let pinned = std::fs::read_to_string(FILE).expect("readable");
	for (now, then) in lines.lines().zip(pinned.lines()) {
		assert_eq!(now, then, "an index or an argument changed");
	}
	assert_eq!(
		lines.lines().count(),
		pinned.lines().count(),
		"something was added or removed"
	);
}

#[test]
fn cairns_pallets_keep_their_places() {
	for (pallet, index) in [
		("StorageProvider", 50),
		("Market", 51),
		("Proofs", 52),
		("Randomness", 53),
		("Faucet", 54),
	] {
		let places =
			<cairn_runtime::AllPalletsWithSystem as frame_support::traits::PalletsInfoAccess>::infos();
		let found = places
			.iter()
			.find(|info| info.name == pallet)
			.expect("in the runtime");
		assert_eq!(found.index, index);
	}
}
