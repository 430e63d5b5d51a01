//! Transactions: the original form and the typed ones.
//!
//! Sources: the yellow paper, section 4.3, and EIPs 2718 (types), 2930 (1), 1559 (2), 4844 (3) and
//! 7702 (4). The payload of other types is opaque, as EIP-2718 has it.

use super::rlp::{self, Items, Problem};

/// A field of a transaction.
#[derive(Clone, Copy)]
enum Field {
	/// A number of at most this many bytes.
	Integer(usize),
	/// An address.
	Address,
	/// An address, or nothing: the transaction makes a contract.
	Recipient,
	/// Bytes.
	Data,
	/// Addresses, and keys of their storage.
	AccessList,
	/// Hashes of blobs.
	BlobHashes,
	/// Accounts that let themselves be run as code.
	Authorizations,
}

use Field::{AccessList, Address, Authorizations, BlobHashes, Data, Integer, Recipient};

/// Nonce, gas price, gas, to, value, data, v, r, s.
const ORIGINAL: &[Field] = &[
	Integer(8),
	Integer(32),
	Integer(8),
	Recipient,
	Integer(32),
	Data,
	Integer(32),
	Integer(32),
	Integer(32),
];

/// Chain, nonce, gas price, gas, to, value, data, access list, y parity, r, s.
const WITH_ACCESS_LIST: &[Field] = &[
	Integer(32),
	Integer(8),
	Integer(32),
	Integer(8),
	Recipient,
	Integer(32),
	Data,
	AccessList,
	Integer(1),
	Integer(32),
	Integer(32),
];

/// Chain, nonce, priority fee, fee, gas, to, value, data, access list, y parity, r, s.
const WITH_DYNAMIC_FEE: &[Field] = &[
	Integer(32),
	Integer(8),
	Integer(32),
	Integer(32),
	Integer(8),
	Recipient,
	Integer(32),
	Data,
	AccessList,
	Integer(1),
	Integer(32),
	Integer(32),
];

/// Chain, nonce, priority fee, fee, gas, to, value, data, access list, blob fee, blob hashes, y
/// parity, r, s.
const WITH_BLOBS: &[Field] = &[
	Integer(32),
	Integer(8),
	Integer(32),
	Integer(32),
	Integer(8),
	Address,
	Integer(32),
	Data,
	AccessList,
	Integer(32),
	BlobHashes,
	Integer(1),
	Integer(32),
	Integer(32),
];

/// Chain, nonce, priority fee, fee, gas, to, value, data, access list, authorizations, y parity, r, s.
const WITH_AUTHORIZATIONS: &[Field] = &[
	Integer(32),
	Integer(8),
	Integer(32),
	Integer(32),
	Integer(8),
	Address,
	Integer(32),
	Data,
	AccessList,
	Authorizations,
	Integer(1),
	Integer(32),
	Integer(32),
];

/// Chain, address, nonce, y parity, r, s.
const AUTHORIZATION: &[Field] = &[
	Integer(32),
	Address,
	Integer(8),
	Integer(1),
	Integer(32),
	Integer(32),
];

/// Largest type of EIP-2718; a byte above begins RLP.
const LAST_TYPE: u8 = 0x7f;

/// Checks that `data` is a transaction.
pub(super) fn check(data: &[u8]) -> Result<(), Problem> {
	match data {
		[0..=LAST_TYPE] => Err("a type without a payload"),
		[1, payload @ ..] => fields(rlp::list(payload)?, WITH_ACCESS_LIST),
		[2, payload @ ..] => fields(rlp::list(payload)?, WITH_DYNAMIC_FEE),
		[3, payload @ ..] => fields(rlp::list(payload)?, WITH_BLOBS),
		[4, payload @ ..] => fields(rlp::list(payload)?, WITH_AUTHORIZATIONS),
		[0..=LAST_TYPE, ..] => Ok(()),
		_ => fields(rlp::list(data)?, ORIGINAL),
	}
}

fn fields(mut items: Items<'_>, fields: &[Field]) -> Result<(), Problem> {
	for field in fields {
		match field {
			Integer(max) => items.integer(*max)?,
			Address => {
				items.fixed::<20>()?;
			}
			Recipient => {
				if !matches!(items.string()?.len(), 0 | 20) {
					return Err("a recipient that is not an address");
				}
			}
			Data => {
				items.string()?;
			}
			AccessList => {
				let mut accesses = items.list()?;
				while !accesses.is_empty() {
					let mut access = accesses.list()?;
					access.fixed::<20>()?;
					hashes(access.list()?)?;
					access.end()?;
				}
			}
			BlobHashes => hashes(items.list()?)?,
			Authorizations => {
				let mut authorizations = items.list()?;
				while !authorizations.is_empty() {
					self::fields(authorizations.list()?, AUTHORIZATION)?;
				}
			}
		}
	}
	items.end()
}

fn hashes(mut items: Items<'_>) -> Result<(), Problem> {
	while !items.is_empty() {
		items.fixed::<32>()?;
	}
	Ok(())
}
