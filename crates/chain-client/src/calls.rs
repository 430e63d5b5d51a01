//! Calls of the runtime, one module per pallet.
//!
//! A [`Call`] holds SCALE-encoded arguments; indices of pallet and call come from the node's metadata
//! when the call is submitted.

pub mod balances;
pub mod faucet;
pub mod market;
pub mod proofs;
pub mod storage_provider;
pub mod sudo;
pub mod system;
pub mod utility;

use crate::{interface::Item, SubmitError};
use codec::{Compact, Encode};
use subxt::metadata::Metadata;

pub(crate) const ITEMS: &[&[Item]] = &[
	balances::ITEMS,
	faucet::ITEMS,
	market::ITEMS,
	market::compact::ITEMS,
	proofs::ITEMS,
	storage_provider::ITEMS,
	sudo::ITEMS,
	system::ITEMS,
	utility::ITEMS,
];

/// A call, ready to be submitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
	pallet: &'static str,
	name: &'static str,
	arguments: Arguments,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Arguments {
	/// SCALE of all arguments in order.
	Encoded(Vec<u8>),
	/// One argument: a call.
	Call(Box<Call>),
	/// One argument: a list of calls.
	Calls(Vec<Call>),
}

impl Call {
	pub(crate) fn new(pallet: &'static str, name: &'static str, arguments: Vec<u8>) -> Self {
		Call {
			pallet,
			name,
			arguments: Arguments::Encoded(arguments),
		}
	}

	/// Name of the pallet in the runtime.
	pub fn pallet(&self) -> &'static str {
		self.pallet
	}

	/// Name of the call in its pallet.
	pub fn name(&self) -> &'static str {
		self.name
	}

	/// Encodes the arguments for a runtime.
	pub(crate) fn encode_arguments(&self, metadata: &Metadata, out: &mut Vec<u8>) -> Result<(), SubmitError> {
		match &self.arguments {
			Arguments::Encoded(bytes) => out.extend_from_slice(bytes),
			Arguments::Call(call) => call.encode(metadata, out)?,
			Arguments::Calls(calls) => {
				// A list longer than u32::MAX does not fit memory.
				Compact(u32::try_from(calls.len()).unwrap_or(u32::MAX)).encode_to(out);
				for call in calls {
					call.encode(metadata, out)?;
				}
			}
		}
		Ok(())
	}

	/// Encodes the call with its indices in a runtime.
	pub(crate) fn encode(&self, metadata: &Metadata, out: &mut Vec<u8>) -> Result<(), SubmitError> {
		let unknown = || SubmitError::UnknownCall {
			pallet: self.pallet,
			call: self.name,
			reason: "the runtime does not have it".to_owned(),
		};
		let pallet = metadata.pallet_by_name(self.pallet).ok_or_else(unknown)?;
		let call = pallet.call_variant_by_name(self.name).ok_or_else(unknown)?;
		out.push(pallet.call_index());
		out.push(call.index);
		self.encode_arguments(metadata, out)
	}
}

/// Declares the calls of a pallet: a constructor for each, and their types in `ITEMS`.
macro_rules! calls {
	($pallet:literal; $($(#[$doc:meta])* $vis:vis fn $name:ident($($argument:ident: $ty:ty),* $(,)?);)*) => {
		$(
			$(#[$doc])*
			$vis fn $name($($argument: $ty),*) -> $crate::Call {
				#[allow(unused_mut)]
				let mut arguments = Vec::new();
				$(codec::Encode::encode_to(&$argument, &mut arguments);)*
				$crate::Call::new($pallet, stringify!($name), arguments)
			}
		)*

		pub(crate) const ITEMS: &[$crate::interface::Item] = &[$(
			$crate::interface::Item::Call {
				pallet: $pallet,
				name: stringify!($name),
				arguments: Some(|| vec![$(scale_info::meta_type::<$ty>()),*]),
			}
		),*];
	};
}
pub(crate) use calls;
