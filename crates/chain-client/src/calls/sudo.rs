//! Root calls on test networks.

use super::Arguments;
use crate::{interface::Item, Call};

pub(crate) const ITEMS: &[Item] = &[Item::Call {
	pallet: "Sudo",
	name: "sudo",
	arguments: None,
}];

/// Makes `call` as root. The signer must hold the sudo key. Whether `call` itself succeeded is in
/// the event [`crate::ChainEvent::Sudo`].
pub fn sudo(call: Call) -> Call {
	Call {
		pallet: "Sudo",
		name: "sudo",
		arguments: Arguments::Call(Box::new(call)),
	}
}
