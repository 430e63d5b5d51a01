//! Byte strings, whose JSON form is `0x` and hex digits.

use serde::{de::Error as _, Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// Why a text is not the hex value it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScalarError {
	/// Not hexadecimal, or an odd number of digits.
	#[error("not a hexadecimal string")]
	NotHex,
	/// Another length than the value's.
	#[error("expected {expected} bytes, found {found}")]
	Length {
		/// Bytes of the value.
		expected: usize,
		/// Bytes in the text.
		found: usize,
	},
}

fn from_hex(text: &str) -> Result<Vec<u8>, ScalarError> {
	hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(|_| ScalarError::NotHex)
}

/// 32 bytes: a proposal's hash, a genesis hash, an account's public key. JSON: `0x` and 64 hex
/// digits; without `0x` is accepted too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash32(pub [u8; 32]);

impl fmt::Display for Hash32 {
	fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
		write!(f, "0x{}", hex::encode(self.0))
	}
}

impl fmt::Debug for Hash32 {
	fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
		fmt::Display::fmt(self, f)
	}
}

impl FromStr for Hash32 {
	type Err = ScalarError;
	fn from_str(text: &str) -> Result<Self, ScalarError> {
		let bytes = from_hex(text)?;
		let found = bytes.len();
		bytes
			.try_into()
			.map(Hash32)
			.map_err(|_| ScalarError::Length { expected: 32, found })
	}
}

impl From<[u8; 32]> for Hash32 {
	fn from(bytes: [u8; 32]) -> Self {
		Hash32(bytes)
	}
}

/// Bytes of any length. JSON: `0x` and hex digits; without `0x` is accepted too.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct HexBytes(pub Vec<u8>);

impl fmt::Display for HexBytes {
	fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
		write!(f, "0x{}", hex::encode(&self.0))
	}
}

impl fmt::Debug for HexBytes {
	fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
		fmt::Display::fmt(self, f)
	}
}

impl From<Vec<u8>> for HexBytes {
	fn from(bytes: Vec<u8>) -> Self {
		HexBytes(bytes)
	}
}

impl FromStr for HexBytes {
	type Err = ScalarError;
	fn from_str(text: &str) -> Result<Self, ScalarError> {
		from_hex(text).map(HexBytes)
	}
}

macro_rules! as_string {
	($($type:ty),*) => {$(
		impl Serialize for $type {
			fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
				serializer.collect_str(self)
			}
		}

		impl<'de> Deserialize<'de> for $type {
			fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
				String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
			}
		}
	)*};
}
as_string!(Hash32, HexBytes);

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn json_forms() {
		let hash = Hash32([0xab; 32]);
		let json = serde_json::to_string(&hash).unwrap();
		assert_eq!(json, format!("\"0x{}\"", "ab".repeat(32)));
		assert_eq!(serde_json::from_str::<Hash32>(&json).unwrap(), hash);
		assert_eq!("ab".repeat(32).parse(), Ok(hash));
		assert_eq!(
			serde_json::to_string(&HexBytes(vec![1, 2])).unwrap(),
			"\"0x0102\""
		);
	}

	#[test]
	fn bad_texts() {
		assert_eq!(
			"0x12".parse::<Hash32>(),
			Err(ScalarError::Length {
				expected: 32,
				found: 1
			})
		);
		assert_eq!("zz".parse::<HexBytes>(), Err(ScalarError::NotHex));
		assert_eq!("123".parse::<HexBytes>(), Err(ScalarError::NotHex));
	}
}
