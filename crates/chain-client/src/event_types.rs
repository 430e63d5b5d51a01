//! Whether a runtime's events can be decoded in bounded depth and time.
//!
//! Events are read field by field as the node's metadata describes them. A node that is not trusted could
//! describe a type that contains itself, on which decoding exhausts the stack, or one that takes work but no
//! bytes. Neither occurs in a real runtime.

use scale_info::{PortableRegistry, TypeDef, TypeDefPrimitive};
use std::collections::HashMap;
use subxt::metadata::Metadata;

/// Deepest nesting of types.
const MAX_DEPTH: usize = 64;
/// Most steps of decoding a value whose sequences are empty.
const MAX_STEPS: u64 = 1 << 16;
/// Most steps per byte where a value can be repeated at will.
const MAX_STEPS_PER_BYTE: u64 = 64;

/// What decoding a value of a type takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Extent {
	/// Least bytes that it reads.
	bytes: u64,
	/// Most steps, without those for elements of sequences.
	steps: u64,
}

impl Extent {
	/// One step that reads at least this many bytes.
	fn step(bytes: u64) -> Self {
		Extent { bytes, steps: 1 }
	}

	/// One value after the other.
	fn then(self, next: Self) -> Self {
		Extent {
			bytes: self.bytes.saturating_add(next.bytes),
			steps: self.steps.saturating_add(next.steps),
		}
	}

	fn repeated(self, times: u32) -> Self {
		Extent {
			bytes: self.bytes.saturating_mul(times.into()),
			steps: self.steps.saturating_mul(times.into()),
		}
	}
}

/// Checks the types of all events. `Err` says what is wrong with which type.
pub(crate) fn check(metadata: &Metadata) -> Result<(), String> {
	let mut extents = Extents {
		types: metadata.types(),
		known: HashMap::new(),
	};
	for pallet in metadata.pallets() {
		if let Some(events) = pallet.event_ty_id() {
			extents.of(events, 0)?;
		}
	}
	Ok(())
}

struct Extents<'a> {
	types: &'a PortableRegistry,
	/// Extents found; none while a type is being looked at.
	known: HashMap<u32, Option<Extent>>,
}

impl Extents<'_> {
	fn of(&mut self, id: u32, depth: usize) -> Result<Extent, String> {
		match self.known.get(&id) {
			Some(Some(extent)) => return Ok(*extent),
			Some(None) => return Err(format!("type {id} contains itself")),
			None if depth > MAX_DEPTH => return Err(format!("type {id} is nested too deeply")),
			None => {}
		}
		self.known.insert(id, None);
		let extent = self.look_at(id, depth + 1)?;
		if extent.steps > MAX_STEPS {
			return Err(format!("type {id} is too large"));
		}
		self.known.insert(id, Some(extent));
		Ok(extent)
	}

	fn look_at(&mut self, id: u32, depth: usize) -> Result<Extent, String> {
		let Some(ty) = self.types.resolve(id) else {
			return Err(format!("type {id} is missing"));
		};
		match &ty.type_def {
			TypeDef::Composite(composite) => self.all(
				composite.fields.iter().map(|field| field.ty.id),
				Extent::step(0),
				depth,
			),
			TypeDef::Tuple(tuple) => {
				self.all(tuple.fields.iter().map(|field| field.id), Extent::step(0), depth)
			}
			TypeDef::Variant(variants) => {
				let mut extent: Option<Extent> = None;
				for variant in &variants.variants {
					let fields = variant.fields.iter().map(|field| field.ty.id);
					let other = self.all(fields, Extent::step(1), depth)?;
					extent = Some(extent.map_or(other, |extent| Extent {
						bytes: extent.bytes.min(other.bytes),
						steps: extent.steps.max(other.steps),
					}));
				}
				Ok(extent.unwrap_or(Extent::step(1)))
			}
			TypeDef::Sequence(sequence) => {
				let element = self.of(sequence.type_param.id, depth)?;
				if element.steps > element.bytes.saturating_mul(MAX_STEPS_PER_BYTE) {
					return Err(format!("type {id} repeats what takes hardly a byte"));
				}
				Ok(Extent::step(1))
			}
			TypeDef::Array(array) => {
				let element = self.of(array.type_param.id, depth)?;
				Ok(Extent::step(0).then(element.repeated(array.len)))
			}
			TypeDef::Compact(compact) => {
				let inner = self.of(compact.type_param.id, depth)?;
				Ok(Extent {
					bytes: inner.bytes.min(1),
					steps: inner.steps.saturating_add(1),
				})
			}
			TypeDef::Primitive(primitive) => Ok(Extent::step(match primitive {
				TypeDefPrimitive::Bool | TypeDefPrimitive::U8 | TypeDefPrimitive::I8 => 1,
				// The length.
				TypeDefPrimitive::Str => 1,
				TypeDefPrimitive::U16 | TypeDefPrimitive::I16 => 2,
				TypeDefPrimitive::Char | TypeDefPrimitive::U32 | TypeDefPrimitive::I32 => 4,
				TypeDefPrimitive::U64 | TypeDefPrimitive::I64 => 8,
				TypeDefPrimitive::U128 | TypeDefPrimitive::I128 => 16,
				TypeDefPrimitive::U256 | TypeDefPrimitive::I256 => 32,
			})),
			TypeDef::BitSequence(_) => Ok(Extent::step(1)),
		}
	}

	fn all(&mut self, ids: impl Iterator<Item = u32>, first: Extent, depth: usize) -> Result<Extent, String> {
		let mut extent = first;
		for id in ids {
			extent = extent.then(self.of(id, depth)?);
		}
		Ok(extent)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::runtime::checked_in_metadata;
	use scale_info::{meta_type, Registry, TypeInfo};

	fn extent<T: TypeInfo + 'static>() -> Result<Extent, String> {
		let mut registry = Registry::new();
		let id = registry.register_type(&meta_type::<T>()).id;
		Extents {
			types: &registry.into(),
			known: HashMap::new(),
		}
		.of(id, 0)
	}

	#[test]
	fn real_events_are_bounded() {
		let metadata = checked_in_metadata().expect("metadata.scale decodes");
		assert_eq!(check(&metadata), Ok(()));
	}

	#[test]
	fn extents_count_bytes_and_steps() {
		assert_eq!(extent::<(u32, [u8; 3])>(), Ok(Extent { bytes: 7, steps: 6 }));
		assert_eq!(extent::<Option<u64>>(), Ok(Extent { bytes: 1, steps: 2 }));
		assert_eq!(extent::<Vec<u64>>(), Ok(Extent { bytes: 1, steps: 1 }));
		assert_eq!(extent::<codec::Compact<u32>>(), Ok(Extent { bytes: 1, steps: 2 }));
	}

	#[test]
	fn types_that_never_end_are_refused() {
		#[allow(dead_code)]
		#[derive(TypeInfo)]
		struct Endless(Box<Endless>);

		#[allow(dead_code)]
		#[derive(TypeInfo)]
		struct Deep(Vec<Deep>);

		type Nothing = [[[(); 256]; 256]; 256];

		for refused in [
			extent::<Endless>(),
			extent::<Deep>(),
			extent::<Nothing>(),
			extent::<Vec<()>>(),
			extent::<Vec<(u8, [(); 1000])>>(),
		] {
			assert!(refused.is_err());
		}
		assert!(extent::<Vec<[u8; 32]>>().is_ok());
	}
}
