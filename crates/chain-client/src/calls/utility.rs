//! Batches.

use super::Arguments;
use crate::{interface::Item, Call};

pub(crate) const ITEMS: &[Item] = &[Item::Call {
	pallet: "Utility",
	name: "batch_all",
	arguments: None,
}];

/// Makes several calls in one transaction: all take effect, or none does.
pub fn batch_all(calls: Vec<Call>) -> Call {
	Call {
		pallet: "Utility",
		name: "batch_all",
		arguments: Arguments::Calls(calls),
	}
}
