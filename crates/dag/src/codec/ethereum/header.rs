//! A block's header.
//!
//! Source: the yellow paper, section 4.4, and the EIPs that added fields: 1559 (base fee), 4895
//! (withdrawals), 4844 (blob gas), 4788 (beacon block), 7685 (requests).

use super::{
	link,
	rlp::{Items, Problem},
	EthBlock, EthBlockList, EthReceiptTrie, EthStateTrie, EthTxTrie, EMPTY_LIST, EMPTY_TRIE,
};
use cid::Cid;

/// Reads a header's fields, and shows `each` the name and target of every link.
pub(super) fn scan(mut fields: Items<'_>, each: &mut dyn FnMut(&'static str, Cid)) -> Result<(), Problem> {
	let parent = fields.fixed()?;
	// The first block has none.
	if *parent != [0; 32] {
		each("parent", link::<EthBlock>(parent));
	}
	let uncles = fields.fixed()?;
	if *uncles != EMPTY_LIST {
		each("uncles", link::<EthBlockList>(uncles));
	}
	let _beneficiary: &[u8; 20] = fields.fixed()?;
	let state = fields.fixed()?;
	if *state != EMPTY_TRIE {
		each("state", link::<EthStateTrie>(state));
	}
	let transactions = fields.fixed()?;
	if *transactions != EMPTY_TRIE {
		each("transactions", link::<EthTxTrie>(transactions));
	}
	let receipts = fields.fixed()?;
	if *receipts != EMPTY_TRIE {
		each("receipts", link::<EthReceiptTrie>(receipts));
	}
	let _bloom: &[u8; 256] = fields.fixed()?;
	// Difficulty; then number, gas limit, gas used and time.
	fields.integer(32)?;
	for _ in 0..4 {
		fields.integer(8)?;
	}
	let _extra = fields.string()?;
	let _mix_hash: &[u8; 32] = fields.fixed()?;
	let _nonce: &[u8; 8] = fields.fixed()?;
	added_by_forks(fields)
}

/// Each fork appends to the fields of those before it.
fn added_by_forks(mut fields: Items<'_>) -> Result<(), Problem> {
	let added: [fn(&mut Items<'_>) -> Result<(), Problem>; 6] = [
		// Base fee, withdrawals, blob gas used, excess blob gas, parent beacon block, requests.
		|fields| fields.integer(32),
		|fields| fields.fixed::<32>().map(|_| ()),
		|fields| fields.integer(8),
		|fields| fields.integer(8),
		|fields| fields.fixed::<32>().map(|_| ()),
		|fields| fields.fixed::<32>().map(|_| ()),
	];
	for field in added {
		if fields.is_empty() {
			return Ok(());
		}
		field(&mut fields)?;
	}
	// Those of forks to come: their links would need codecs of their own.
	while !fields.is_empty() {
		fields.string()?;
	}
	Ok(())
}
