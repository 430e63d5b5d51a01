//! Ethereum: headers, transactions, receipts and the nodes of its tries, in RLP and addressed by
//! Keccak-256.
//!
//! Sources: the [yellow paper](https://ethereum.github.io/yellowpaper/paper.pdf), the EIPs named in
//! the submodules, and the [dag-eth specification](https://ipld.io/specs/codecs/dag-eth/).
//!
//! A hash that stands for "nothing" (the empty trie, the empty list of uncles, no code, no parent) is
//! not a link: nobody stores the byte it hashes.

mod header;
mod receipt;
mod rlp;
mod transaction;
mod trie;

use super::{BlockCodec, CodecError, LinkVisitor, Raw, Segment};
use crate::hash::HashFunction;
use cid::Cid;
use rlp::{Item, Problem};

/// Keccak-256 of the RLP of an empty string: the root of a trie without entries.
const EMPTY_TRIE: [u8; 32] = [
	0x56, 0xe8, 0x1f, 0x17, 0x1b, 0xcc, 0x55, 0xa6, 0xff, 0x83, 0x45, 0xe6, 0x92, 0xc0, 0xf8, 0x6e, 0x5b,
	0x48, 0xe0, 0x1b, 0x99, 0x6c, 0xad, 0xc0, 0x01, 0x62, 0x2f, 0xb5, 0xe3, 0x63, 0xb4, 0x21,
];

/// Keccak-256 of the RLP of an empty list: no uncles.
const EMPTY_LIST: [u8; 32] = [
	0x1d, 0xcc, 0x4d, 0xe8, 0xde, 0xc7, 0x5d, 0x7a, 0xab, 0x85, 0xb5, 0x67, 0xb6, 0xcc, 0xd4, 0x1a, 0xd3,
	0x12, 0x45, 0x1b, 0x94, 0x8a, 0x74, 0x13, 0xf0, 0xa1, 0x42, 0xfd, 0x40, 0xd4, 0x93, 0x47,
];

/// Keccak-256 of nothing: an account without code.
const EMPTY_CODE: [u8; 32] = [
	0xc5, 0xd2, 0x46, 0x01, 0x86, 0xf7, 0x23, 0x3c, 0x92, 0x7e, 0x7d, 0xb2, 0xdc, 0xc7, 0x03, 0xc0, 0xe5,
	0x00, 0xb6, 0x53, 0xca, 0x82, 0x27, 0x3b, 0x7b, 0xfa, 0xd8, 0x04, 0x5d, 0x85, 0xa4, 0x70,
];

/// A block's header, before any fork or after.
pub struct EthBlock;

impl BlockCodec for EthBlock {
	const CODE: u64 = 0x90;
	const NAME: &'static str = "eth-block";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		let scanned = rlp::list(data)
			.and_then(|fields| header::scan(fields, &mut |name, cid| visit(&[Segment::name(name)], cid)));
		scanned.map_err(malformed::<Self>)
	}
}

/// The list of a block's uncles, as headers.
pub struct EthBlockList;

impl BlockCodec for EthBlockList {
	const CODE: u64 = 0x91;
	const NAME: &'static str = "eth-block-list";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		let mut scan = || {
			let mut headers = rlp::list(data)?;
			for index in 0.. {
				if headers.is_empty() {
					break;
				}
				header::scan(headers.list()?, &mut |name, cid| {
					visit(&[Segment::Index(index), Segment::name(name)], cid);
				})?;
			}
			Ok(())
		};
		scan().map_err(malformed::<Self>)
	}
}

/// A node of a trie of transactions.
pub struct EthTxTrie;

impl BlockCodec for EthTxTrie {
	const CODE: u64 = 0x92;
	const NAME: &'static str = "eth-tx-trie";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		trie::scan::<Self, EthTx>(data, visit)
	}
}

/// A transaction as blocks hold it: without the blobs of EIP-4844.
pub struct EthTx;

impl BlockCodec for EthTx {
	const CODE: u64 = 0x93;
	const NAME: &'static str = "eth-tx";

	fn scan<'a>(data: &'a [u8], _: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		transaction::check(data).map_err(malformed::<Self>)
	}
}

/// A node of a trie of receipts.
pub struct EthReceiptTrie;

impl BlockCodec for EthReceiptTrie {
	const CODE: u64 = 0x94;
	const NAME: &'static str = "eth-tx-receipt-trie";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		trie::scan::<Self, EthReceipt>(data, visit)
	}
}

/// A transaction's receipt. The state root of receipts from before EIP-658 is not a link: that state
/// stands between two transactions of a block, and nobody stores it.
pub struct EthReceipt;

impl BlockCodec for EthReceipt {
	const CODE: u64 = 0x95;
	const NAME: &'static str = "eth-tx-receipt";

	fn scan<'a>(data: &'a [u8], _: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		receipt::check(data).map_err(malformed::<Self>)
	}
}

/// A node of the trie of accounts.
pub struct EthStateTrie;

impl BlockCodec for EthStateTrie {
	const CODE: u64 = 0x96;
	const NAME: &'static str = "eth-state-trie";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		trie::scan::<Self, EthAccount>(data, visit)
	}
}

/// An account: its storage is a trie, its code a raw block.
pub struct EthAccount;

impl BlockCodec for EthAccount {
	const CODE: u64 = 0x97;
	const NAME: &'static str = "eth-account-snapshot";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		let mut scan = || {
			let mut fields = rlp::list(data)?;
			fields.integer(8)?;
			fields.integer(32)?;
			let (storage, code) = (fields.fixed()?, fields.fixed()?);
			fields.end()?;
			if *storage != EMPTY_TRIE {
				visit(&[Segment::name("storage")], link::<EthStorageTrie>(storage));
			}
			if *code != EMPTY_CODE {
				visit(&[Segment::name("code")], link::<Raw>(code));
			}
			Ok(())
		};
		scan().map_err(malformed::<Self>)
	}
}

/// A node of a trie of a contract's storage.
pub struct EthStorageTrie;

impl BlockCodec for EthStorageTrie {
	const CODE: u64 = 0x98;
	const NAME: &'static str = "eth-storage-trie";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		trie::scan::<Self, StorageSlot>(data, visit)
	}
}

/// The content of a storage slot: a number in RLP. Not a block of its own, but read like one.
struct StorageSlot;

impl BlockCodec for StorageSlot {
	const CODE: u64 = EthStorageTrie::CODE;
	const NAME: &'static str = EthStorageTrie::NAME;

	fn scan<'a>(data: &'a [u8], _: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		let value = rlp::single(data).and_then(|item| match item {
			Item::String(value) => rlp::integer(value, 32),
			Item::List(_) => Err("a storage slot that is a list"),
		});
		value.map_err(malformed::<Self>)
	}
}

fn link<C: BlockCodec>(digest: &[u8; 32]) -> Cid {
	let hash = HashFunction::Keccak256.wrap(digest);
	Cid::new_v1(C::CODE, hash.expect("Keccak-256 has 32 bytes"))
}

fn malformed<C: BlockCodec>(reason: Problem) -> CodecError {
	CodecError::Malformed {
		codec: C::NAME,
		reason,
	}
}

#[cfg(test)]
mod tests;
