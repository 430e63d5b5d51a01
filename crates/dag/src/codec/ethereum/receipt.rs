//! Receipts of transactions.
//!
//! Sources: the yellow paper, section 4.3.1, and EIPs 658 (status instead of state root) and 2718
//! (types). The payload of types from 5 on is opaque.

use super::rlp::{self, Items, Problem};

/// Checks that `data` is a receipt.
pub(super) fn check(data: &[u8]) -> Result<(), Problem> {
	match data {
		[0..=0x7f] => Err("a type without a payload"),
		[1..=4, payload @ ..] => receipt(rlp::list(payload)?),
		[0..=0x7f, ..] => Ok(()),
		_ => receipt(rlp::list(data)?),
	}
}

fn receipt(mut fields: Items<'_>) -> Result<(), Problem> {
	// Failure, success, or the state after the transaction.
	let status = fields.string()?;
	if !matches!(status, [] | [1]) && status.len() != 32 {
		return Err("a status that is neither 0, 1 nor a hash");
	}
	fields.integer(8)?;
	fields.fixed::<256>()?;
	let mut logs = fields.list()?;
	while !logs.is_empty() {
		let mut log = logs.list()?;
		log.fixed::<20>()?;
		let mut topics = log.list()?;
		while !topics.is_empty() {
			topics.fixed::<32>()?;
		}
		log.string()?;
		log.end()?;
	}
	fields.end()
}
