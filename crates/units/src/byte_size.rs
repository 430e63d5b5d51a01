//! Numbers of bytes: `512 MiB`, `100000`.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A number of bytes: `512 MiB`, `1 GiB`, `100000`. Displays exactly, in the largest unit that divides it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ByteSize(pub u64);

/// A text that is not a number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a size: write bytes, or a number with KiB, MiB, GiB or TiB")]
pub struct ByteSizeError;

const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

impl FromStr for ByteSize {
	type Err = ByteSizeError;
	fn from_str(text: &str) -> Result<Self, ByteSizeError> {
		let text = text.trim();
		let (digits, shift) = UNITS
			.iter()
			.find_map(|(unit, shift)| text.strip_suffix(unit).map(|digits| (digits.trim(), *shift)))
			.unwrap_or((text, 0));
		let number: u64 = digits.parse().map_err(|_| ByteSizeError)?;
		number.checked_mul(1 << shift).map(ByteSize).ok_or(ByteSizeError)
	}
}

impl fmt::Display for ByteSize {
	fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
		for (unit, shift) in UNITS.iter().rev() {
			if self.0 >= 1 << shift && self.0.is_multiple_of(1 << shift) {
				return write!(f, "{} {unit}", self.0 >> shift);
			}
		}
		write!(f, "{}", self.0)
	}
}

impl Serialize for ByteSize {
	fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
		serializer.collect_str(self)
	}
}

impl<'de> Deserialize<'de> for ByteSize {
	fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
		#[derive(Deserialize)]
		#[serde(untagged)]
		enum Form {
			Number(u64),
			Text(String),
		}
		match Form::deserialize(deserializer)? {
			Form::Number(bytes) => Ok(ByteSize(bytes)),
			Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn sizes() {
		assert_eq!("1 GiB".parse(), Ok(ByteSize(1 << 30)));
		assert_eq!("16KiB".parse(), Ok(ByteSize(16 << 10)));
		assert_eq!("12".parse(), Ok(ByteSize(12)));
		for bad in ["", "GiB", "1 GB", "-1", "1.5 GiB", "99999999999 TiB"] {
			assert_eq!(bad.parse::<ByteSize>(), Err(ByteSizeError), "{bad}");
		}
		assert_eq!(ByteSize(3 << 20).to_string(), "3 MiB");
		assert_eq!(ByteSize(1001).to_string(), "1001");
	}

	#[test]
	fn files_give_numbers_or_texts() {
		assert_eq!(serde_json::from_str::<ByteSize>("1000").unwrap(), ByteSize(1000));
		assert_eq!(
			serde_json::from_str::<ByteSize>("\"2 GiB\"").unwrap(),
			ByteSize(2 << 30)
		);
		assert_eq!(serde_json::to_string(&ByteSize(2 << 30)).unwrap(), "\"2 GiB\"");
		assert!(serde_json::from_str::<ByteSize>("\"2 GB\"").is_err());
	}
}
