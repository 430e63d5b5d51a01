//! SS58 addresses: a 32-byte account and the network it is written for, in base58 with a checksum.
//!
//! Source: the SS58 address format of Substrate, <https://docs.polkadot.com/reference/parachains/accounts/>.

use blake2b_simd::Params;
use thiserror::Error;

/// The prefix of chains without one of their own, and Cairn's.
pub const DEFAULT_PREFIX: u16 = 42;

/// The largest prefix that the two-byte form holds (14 bits).
pub const MAX_PREFIX: u16 = (1 << 14) - 1;

/// A 36-byte address takes at most 50 base58 digits; anything longer is refused before decoding it, which
/// takes quadratic time.
const MAX_ADDRESS_BYTES: usize = 50;
const CHECKSUM_BYTES: usize = 2;
const ACCOUNT_BYTES: usize = 32;

/// Why a text is not an address, or a prefix not one of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
	/// Not base58 of the length of an address of a 32-byte account.
	#[error("not an SS58 address of a 32-byte account")]
	Malformed,
	/// The checksum does not match: a digit is wrong.
	#[error("the address has a typing error: its checksum does not match")]
	Checksum,
	/// Prefixes 46 and 47 are reserved, and those above [`MAX_PREFIX`] do not exist.
	#[error("no network has the address prefix {0}")]
	Prefix(u16),
}

/// Writes `account` as an address of the network with this prefix.
///
/// # Errors
/// [`AddressError::Prefix`] for a reserved prefix or one above [`MAX_PREFIX`].
pub fn encode(account: &[u8; 32], prefix: u16) -> Result<String, AddressError> {
	if !is_assignable(prefix) {
		return Err(AddressError::Prefix(prefix));
	}
	Ok(encode_unchecked(account, prefix))
}

/// Writes `account` with [`DEFAULT_PREFIX`].
pub fn encode_default(account: &[u8; 32]) -> String {
	encode_unchecked(account, DEFAULT_PREFIX)
}

fn encode_unchecked(account: &[u8; 32], prefix: u16) -> String {
	let mut bytes = Vec::with_capacity(2 + ACCOUNT_BYTES + CHECKSUM_BYTES);
	if prefix < 64 {
		bytes.push(prefix as u8);
	} else {
		// The prefix's low byte is spread over both: its upper six bits below a marker, then its lower two.
		bytes.push(0b0100_0000 | ((prefix & 0b1111_1100) >> 2) as u8);
		bytes.push((prefix >> 8) as u8 | ((prefix & 0b11) << 6) as u8);
	}
	bytes.extend_from_slice(account);
	let checksum = checksum(&bytes);
	bytes.extend_from_slice(&checksum);
	bs58::encode(bytes).into_string()
}

/// Reads an address: the account, and the prefix of the network it was written for. Whether that is the
/// network meant is for the caller to say; the account is the same on all.
///
/// # Errors
/// [`AddressError`] when the text is not the address of a 32-byte account.
pub fn decode(text: &str) -> Result<([u8; 32], u16), AddressError> {
	if text.len() > MAX_ADDRESS_BYTES {
		return Err(AddressError::Malformed);
	}
	let bytes = bs58::decode(text)
		.into_vec()
		.map_err(|_| AddressError::Malformed)?;
	let (prefix, prefix_len) = match bytes[..] {
		[first @ 0..=63, ..] => (u16::from(first), 1),
		[first @ 64..=127, second, ..] => {
			let low = (first << 2) | (second >> 6);
			let high = second & 0b0011_1111;
			(u16::from_le_bytes([low, high]), 2)
		}
		_ => return Err(AddressError::Malformed),
	};
	if bytes.len() != prefix_len + ACCOUNT_BYTES + CHECKSUM_BYTES {
		return Err(AddressError::Malformed);
	}
	let (body, check) = bytes.split_at(prefix_len + ACCOUNT_BYTES);
	if check != checksum(body) {
		return Err(AddressError::Checksum);
	}
	if !is_assignable(prefix) {
		return Err(AddressError::Prefix(prefix));
	}
	let account = body[prefix_len..]
		.try_into()
		.map_err(|_| AddressError::Malformed)?;
	Ok((account, prefix))
}

fn is_assignable(prefix: u16) -> bool {
	prefix <= MAX_PREFIX && prefix != 46 && prefix != 47
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
	let hash = Params::new()
		.hash_length(64)
		.to_state()
		.update(b"SS58PRE")
		.update(body)
		.finalize();
	[hash.as_bytes()[0], hash.as_bytes()[1]]
}

#[cfg(test)]
mod tests {
	use super::*;

	fn account() -> [u8; 32] {
		let mut account = [0; 32];
		hex::decode_to_slice(
			"3a9bf37cd67482d28c155895424ae83e182fdf8e380c0e9895fcb07d96ebf366",
			&mut account,
		)
		.unwrap();
		account
	}

	/// What `@polkadot/util-crypto` 14.0.3 writes for one account under several prefixes.
	const WRITTEN_BY_POLKADOT_JS: [(u16, &str); 9] = [
		(0, "12Kr74Szaa7umfrQY4aca4DbKNWkqyCkv4HViVr4bKXuooiW"),
		(2, "DuAd3XoM9sN5nfLM8LfKrkScLoLxLToHwPkws8fX2itNDv6"),
		(42, "5DPYxjBvinrSL8qtaRXcRuPSTkX79fecqZZ1ZCri3EWPdQRD"),
		(63, "7JvQPZZPnuDhcNLdbc17MpyN2wXHJWsYoKBmUZN2mBzdY55C"),
		(64, "cEWu3s925b3wQRq2uuoF3wLpHUmAtsLiU5FxTgczKDMEBYdan"),
		(255, "yGE4MaVWXbX4BdNFXZxwPnqkhp9DMmdiytyuSHkWo9qnjnLii"),
		(1284, "VdrrNaTcthHr1TiatS1WxpUuevvmDPVxNg7QwGPceY7tCFiF8"),
		(10041, "bXhvG9NaBQ4E8YpaBU3SLVn3V9JgdRPBavZNm44xAqd2kSad3"),
		(16383, "yNWeurzcvor9yU4jkdWMtacWUXiDtEBPmnEoi3p2mKiFTWeC8"),
	];

	#[test]
	fn agrees_with_polkadot_js() {
		for (prefix, text) in WRITTEN_BY_POLKADOT_JS {
			assert_eq!(encode(&account(), prefix).unwrap(), text);
			assert_eq!(decode(text).unwrap(), (account(), prefix));
		}
	}

	#[test]
	fn every_prefix_comes_back() {
		for prefix in 0..=u16::MAX {
			match encode(&account(), prefix) {
				Ok(text) => assert_eq!(decode(&text).unwrap(), (account(), prefix)),
				Err(error) => {
					assert_eq!(error, AddressError::Prefix(prefix));
					assert!(prefix == 46 || prefix == 47 || prefix > MAX_PREFIX);
				}
			}
		}
	}

	#[test]
	fn one_wrong_digit_is_noticed() {
		let good = encode_default(&account());
		for (index, digit) in good.char_indices() {
			let other = if digit == '2' { "3" } else { "2" };
			let mut bad = good.clone();
			bad.replace_range(index..index + 1, other);
			assert!(decode(&bad).is_err(), "{bad}");
		}
	}

	#[test]
	fn refuses_what_is_no_address() {
		for text in [
			"",
			"1",
			"0",
			"5DPY",
			"0x00",
			&"5".repeat(50),
			&"5".repeat(1_000_000),
			"ünïcode",
		] {
			assert_eq!(decode(text), Err(AddressError::Malformed), "{text}");
		}
	}
}
