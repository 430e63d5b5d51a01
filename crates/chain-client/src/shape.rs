//! Whether two types have the same SCALE encoding.

use scale_info::{form::PortableForm, Field, PortableRegistry, TypeDef, TypeDefPrimitive};
use std::collections::HashSet;

/// A type, reduced to what its encoding shows.
enum Shape {
	Fields(Vec<Member>),
	Variants(Vec<(u8, String, Vec<Member>)>),
	Sequence(u32),
	Array(u32, u32),
	Primitive(TypeDefPrimitive),
	Compact(u32),
	Bits(u32, u32),
	Unresolved,
}

struct Member {
	name: Option<String>,
	ty: u32,
}

fn members(fields: &[Field<PortableForm>]) -> Vec<Member> {
	fields
		.iter()
		.map(|field| Member {
			name: field.name.clone(),
			ty: field.ty.id,
		})
		.collect()
}

/// Reduces a type. Structs and tuples of one member are their member.
fn shape(types: &PortableRegistry, mut id: u32) -> Shape {
	// Every step descends into a type that cannot contain itself without a variant or a sequence in
	// between, so that this ends; the bound is for malformed registries.
	for _ in 0..64 {
		let Some(ty) = types.resolve(id) else {
			return Shape::Unresolved;
		};
		return match &ty.type_def {
			TypeDef::Composite(composite) if composite.fields.len() == 1 => {
				id = composite.fields[0].ty.id;
				continue;
			}
			TypeDef::Tuple(tuple) if tuple.fields.len() == 1 => {
				id = tuple.fields[0].id;
				continue;
			}
			TypeDef::Composite(composite) => Shape::Fields(members(&composite.fields)),
			TypeDef::Tuple(tuple) => Shape::Fields(
				tuple
					.fields
					.iter()
					.map(|field| Member {
						name: None,
						ty: field.id,
					})
					.collect(),
			),
			TypeDef::Variant(variant) => {
				let mut variants: Vec<_> = variant
					.variants
					.iter()
					.map(|variant| (variant.index, variant.name.clone(), members(&variant.fields)))
					.collect();
				variants.sort_by_key(|(index, ..)| *index);
				Shape::Variants(variants)
			}
			TypeDef::Sequence(sequence) => Shape::Sequence(sequence.type_param.id),
			TypeDef::Array(array) => Shape::Array(array.len, array.type_param.id),
			TypeDef::Primitive(primitive) => Shape::Primitive(primitive.clone()),
			TypeDef::Compact(compact) => Shape::Compact(compact.type_param.id),
			TypeDef::BitSequence(bits) => Shape::Bits(bits.bit_store_type.id, bits.bit_order_type.id),
		};
	}
	Shape::Unresolved
}

/// Which variants the other side may have beyond ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NewVariants {
	/// None: we must be able to decode whatever it sends.
	Forbidden,
	/// Those of the type itself, not of the types in it: events, of which unknown ones are skipped.
	AtTheTop,
	/// Any: we encode only those that we know.
	Allowed,
}

/// Compares type `a` of `types_a`, ours, with type `b` of `types_b`. `None` if they encode alike; else where
/// they first differ. Names of fields count where both sides have them, names of variants always.
pub(crate) fn difference(
	types_a: &PortableRegistry,
	a: u32,
	types_b: &PortableRegistry,
	b: u32,
	new_variants: NewVariants,
) -> Option<String> {
	let mut comparison = Comparison {
		types_a,
		types_b,
		new_variants,
		seen: HashSet::new(),
	};
	comparison.types(a, b, String::new())
}

struct Comparison<'a> {
	types_a: &'a PortableRegistry,
	types_b: &'a PortableRegistry,
	new_variants: NewVariants,
	/// Pairs compared already or being compared: recursive types end here.
	seen: HashSet<(u32, u32)>,
}

impl Comparison<'_> {
	fn types(&mut self, a: u32, b: u32, path: String) -> Option<String> {
		if !self.seen.insert((a, b)) {
			return None;
		}
		match (shape(self.types_a, a), shape(self.types_b, b)) {
			(Shape::Fields(a), Shape::Fields(b)) => self.members(&a, &b, path),
			(Shape::Variants(a), Shape::Variants(b)) => {
				let new_variants = self.new_variants;
				if new_variants == NewVariants::AtTheTop {
					self.new_variants = NewVariants::Forbidden;
				}
				for (index, name, fields) in &a {
					let Some((_, other, other_fields)) = b.iter().find(|(other, ..)| other == index) else {
						return Some(format!("{path}::{name} is missing"));
					};
					if other != name {
						return Some(format!("{path}::{name} is {other}"));
					}
					let difference = self.members(fields, other_fields, format!("{path}::{name}"));
					if difference.is_some() {
						return difference;
					}
				}
				if new_variants != NewVariants::Forbidden {
					return None;
				}
				b.iter()
					.find(|(index, ..)| !a.iter().any(|(other, ..)| other == index))
					.map(|(_, name, _)| format!("{path}::{name} is new"))
			}
			(Shape::Sequence(a), Shape::Sequence(b)) => self.types(a, b, format!("{path}[]")),
			(Shape::Array(len_a, a), Shape::Array(len_b, b)) if len_a == len_b => {
				self.types(a, b, format!("{path}[]"))
			}
			(Shape::Primitive(a), Shape::Primitive(b)) if a == b => None,
			(Shape::Compact(a), Shape::Compact(b)) => self.types(a, b, path),
			(Shape::Bits(store_a, order_a), Shape::Bits(store_b, order_b)) => self
				.types(store_a, store_b, path.clone())
				.or_else(|| self.types(order_a, order_b, path)),
			_ => Some(format!("{path} has another type")),
		}
	}

	fn members(&mut self, a: &[Member], b: &[Member], path: String) -> Option<String> {
		if a.len() != b.len() {
			return Some(format!("{path} has {} fields instead of {}", b.len(), a.len()));
		}
		for (position, (a, b)) in a.iter().zip(b).enumerate() {
			let path = match &a.name {
				Some(name) => format!("{path}.{name}"),
				None => format!("{path}.{position}"),
			};
			if let (Some(name_a), Some(name_b)) = (&a.name, &b.name) {
				if name_a != name_b {
					return Some(format!("{path} is called {name_b}"));
				}
			}
			let difference = self.types(a.ty, b.ty, path);
			if difference.is_some() {
				return difference;
			}
		}
		None
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use scale_info::{meta_type, MetaType, Registry, TypeInfo};

	fn registry(ty: MetaType) -> (PortableRegistry, u32) {
		let mut registry = Registry::new();
		let id = registry.register_type(&ty).id;
		(registry.into(), id)
	}

	fn compare<A: TypeInfo + 'static, B: TypeInfo + 'static>() -> Option<String> {
		compare_with::<A, B>(NewVariants::Forbidden)
	}

	fn compare_with<A: TypeInfo + 'static, B: TypeInfo + 'static>(new: NewVariants) -> Option<String> {
		let (types_a, a) = registry(meta_type::<A>());
		let (types_b, b) = registry(meta_type::<B>());
		difference(&types_a, a, &types_b, b, new)
	}

	#[allow(dead_code)]
	#[derive(TypeInfo)]
	struct Account([u8; 32]);

	#[allow(dead_code)]
	#[derive(TypeInfo)]
	enum List {
		#[codec(index = 0)]
		End,
		#[codec(index = 3)]
		Next { value: u32, rest: Box<List> },
	}

	mod other {
		use scale_info::TypeInfo;

		#[allow(dead_code)]
		#[derive(TypeInfo)]
		pub enum List {
			#[codec(index = 0)]
			End,
			#[codec(index = 3)]
			Next { value: u32, rest: Box<List> },
		}

		#[allow(dead_code)]
		#[derive(TypeInfo)]
		pub enum Renumbered {
			#[codec(index = 0)]
			End,
			#[codec(index = 4)]
			Next { value: u32, rest: Box<Renumbered> },
		}

		#[allow(dead_code)]
		#[derive(TypeInfo)]
		pub enum Longer {
			#[codec(index = 0)]
			End,
			#[codec(index = 1)]
			More,
			#[codec(index = 3)]
			Next { value: u32, rest: Box<Longer> },
		}

		#[allow(dead_code)]
		#[derive(TypeInfo)]
		pub struct Named {
			pub number: u32,
			pub account: [u8; 32],
		}
	}

	#[test]
	fn wrappers_do_not_count() {
		assert_eq!(compare::<Account, [u8; 32]>(), None);
		assert_eq!(compare::<Vec<Account>, Vec<([u8; 32],)>>(), None);
		assert_eq!(compare::<(u32, Account), other::Named>(), None);
		assert_eq!(compare::<&'static [u8], Vec<u8>>(), None);
	}

	#[test]
	fn recursive_types_compare() {
		assert_eq!(compare::<List, other::List>(), None);
		assert!(compare::<List, other::Renumbered>().is_some());
	}

	#[test]
	fn differences_are_found() {
		assert!(compare::<u32, u64>().is_some());
		assert!(compare::<[u8; 32], [u8; 31]>().is_some());
		assert!(compare::<Option<u32>, u32>().is_some());
		assert_eq!(
			compare::<(u32, u64), other::Named>(),
			Some(".1 has another type".into())
		);
		assert!(compare::<(u32, u32, u32), (u32, u32)>().is_some());
		assert!(compare::<Option<u32>, Option<u64>>().is_some());
		assert!(compare::<codec::Compact<u32>, u32>().is_some());
	}

	#[test]
	fn new_variants_count_where_we_decode() {
		use NewVariants::{Allowed, AtTheTop, Forbidden};
		assert!(compare_with::<List, other::Longer>(Forbidden).is_some());
		assert_eq!(compare_with::<List, other::Longer>(Allowed), None);
		assert!(compare_with::<other::Longer, List>(Allowed).is_some());
		assert!(compare_with::<Vec<List>, Vec<other::Longer>>(Forbidden).is_some());
		assert_eq!(compare_with::<Option<u8>, Option<u8>>(AtTheTop), None);
		assert!(compare_with::<Option<List>, Option<other::Longer>>(AtTheTop).is_some());
		assert_eq!(compare_with::<Option<List>, Option<other::Longer>>(Allowed), None);
	}
}
