//! Proof types by name: `hot-8MiB`, `sealed-2KiB`, or a number.

use super::CliError;
use crate::chain::RegisteredProofType;
use cairn_primitives::{ProofSpec, Tier};

/// The name of a proof type: tier and sector size.
pub(crate) fn name(spec: &ProofSpec) -> String {
	let tier = match spec.tier {
		Tier::Hot => "hot",
		Tier::Sealed => "sealed",
	};
	let log2 = spec.sector_size_log2;
	let (unit, shift) = match log2 {
		0..=19 => ("KiB", 10),
		20..=29 => ("MiB", 20),
		_ => ("GiB", 30),
	};
	format!("{tier}-{}{unit}", 1u64 << (log2 - shift.min(log2)))
}

/// Finds a proof type that takes new sectors by its name or number.
pub(crate) fn find(types: &[RegisteredProofType], text: &str) -> Result<RegisteredProofType, CliError> {
	let number = text
		.strip_prefix("0x")
		.map_or_else(|| text.parse().ok(), |hex| u16::from_str_radix(hex, 16).ok());
	let newest = types
		.iter()
		.filter(|known| known.accepts_new_sectors)
		.filter(|known| Some(known.id.0) == number || name(&known.spec).eq_ignore_ascii_case(text))
		.max_by_key(|known| known.spec.version);
	newest.copied().ok_or_else(|| {
		let names: Vec<String> = types
			.iter()
			.filter(|known| known.accepts_new_sectors)
			.map(|known| name(&known.spec))
			.collect();
		CliError::new(
			format!("the chain has no proof type `{text}`"),
			format!("it has {}", names.join(", ")),
		)
	})
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_primitives::proof_type::BUILTIN;

	#[test]
	fn names_find_their_types() {
		let types: Vec<_> = BUILTIN
			.iter()
			.map(|(id, spec)| RegisteredProofType {
				id: *id,
				spec: *spec,
				accepts_new_sectors: true,
			})
			.collect();
		let names: Vec<_> = types.iter().map(|known| name(&known.spec)).collect();
		assert_eq!(
			names[..5],
			["hot-2KiB", "hot-8MiB", "hot-512MiB", "hot-1GiB", "sealed-2KiB"]
		);
		for known in &types {
			assert_eq!(find(&types, &name(&known.spec)).unwrap().id, known.id);
			assert_eq!(find(&types, &known.id.0.to_string()).unwrap().id, known.id);
			assert_eq!(find(&types, &format!("{:#x}", known.id.0)).unwrap().id, known.id);
		}
		assert!(find(&types, "warm-8MiB").is_err());
	}
}
