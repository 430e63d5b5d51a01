//! Amounts of the chain's token: `1.5 CAIRN`, `100 planck`.
//!
//! A number without a unit is refused: mistaking one unit for the other is a factor of 10¹².

use std::{fmt, str::FromStr};

/// Plancks in one CAIRN.
pub const PLANCKS_PER_CAIRN: u128 = 1_000_000_000_000;
/// Decimal places of one CAIRN.
const DECIMALS: usize = 12;

/// An amount in plancks, written with its unit.
///
/// Parses `1.5 CAIRN`, `1.5CAIRN`, `250 mCAIRN`, `100 planck`; `UNIT` is the token's name on
/// development chains and means the same as `CAIRN`. Displays exactly: in CAIRN, below a millionth of one
/// in plancks.
///
/// In JSON an amount is not such a text but a decimal string of plancks, `"1500000000000"`: programs calculate
/// with it, and a JSON number would lose digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(pub u128);

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
	/// There is no number in front.
	#[error("an amount starts with a number, as in `1.5 CAIRN`")]
	NoNumber,
	/// There is no unit behind the number.
	#[error("an amount needs a unit: `CAIRN`, `mCAIRN` or `planck`, as in `1.5 CAIRN` or `100 planck`")]
	NoUnit,
	/// The unit is not one of those known.
	#[error("the unit is none of `CAIRN`, `UNIT`, `mCAIRN` and `planck`")]
	UnknownUnit,
	/// The number has more decimal places than its unit has.
	#[error("the amount is not a whole number of plancks (1 CAIRN = 10^12 planck)")]
	TooPrecise,
	/// The amount exceeds 2^128 - 1 plancks.
	#[error("the amount is too large")]
	TooLarge,
}

impl FromStr for Amount {
	type Err = AmountError;

	fn from_str(text: &str) -> Result<Self, AmountError> {
		let text = text.trim();
		let split = text
			.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
			.unwrap_or(text.len());
		let (number, unit) = (text[..split].replace('_', ""), text[split..].trim());
		let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
		if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
			return Err(AmountError::NoNumber);
		}
		let places = match unit {
			"" => return Err(AmountError::NoUnit),
			_ if unit.eq_ignore_ascii_case("cairn") || unit.eq_ignore_ascii_case("unit") => DECIMALS,
			_ if unit.eq_ignore_ascii_case("mcairn") || unit.eq_ignore_ascii_case("munit") => DECIMALS - 3,
			_ if unit.eq_ignore_ascii_case("planck") || unit.eq_ignore_ascii_case("plancks") => 0,
			_ => return Err(AmountError::UnknownUnit),
		};
		let fraction = fraction.trim_end_matches('0');
		if fraction.len() > places {
			return Err(AmountError::TooPrecise);
		}
		let digits = format!("{whole}{fraction}{}", "0".repeat(places - fraction.len()));
		// Digits only, so that the sole possible failure is the size.
		digits.parse().map(Amount).map_err(|_| AmountError::TooLarge)
	}
}

impl fmt::Display for Amount {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		if (1..PLANCKS_PER_CAIRN / 1_000_000).contains(&self.0) {
			return write!(f, "{} planck", self.0);
		}
		let (whole, fraction) = (self.0 / PLANCKS_PER_CAIRN, self.0 % PLANCKS_PER_CAIRN);
		if fraction == 0 {
			return write!(f, "{whole} CAIRN");
		}
		let fraction = format!("{fraction:012}");
		write!(f, "{whole}.{} CAIRN", fraction.trim_end_matches('0'))
	}
}

impl serde::Serialize for Amount {
	fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
		serializer.collect_str(&self.0)
	}
}

impl<'de> serde::Deserialize<'de> for Amount {
	fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
		let text = String::deserialize(deserializer)?;
		text.parse().map(Amount).map_err(|_| {
			serde::de::Error::custom("an amount is a decimal string of at most 2^128 - 1 plancks")
		})
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn parse(text: &str) -> Result<u128, AmountError> {
		text.parse::<Amount>().map(|amount| amount.0)
	}

	#[test]
	fn units() {
		assert_eq!(parse("1.5 CAIRN"), Ok(1_500_000_000_000));
		assert_eq!(parse("1.5CAIRN"), Ok(1_500_000_000_000));
		assert_eq!(parse(" 2 unit "), Ok(2_000_000_000_000));
		assert_eq!(parse("250 mCAIRN"), Ok(250_000_000_000));
		assert_eq!(parse("100 planck"), Ok(100));
		assert_eq!(parse("1_000 plancks"), Ok(1000));
		assert_eq!(parse(".5 CAIRN"), Ok(500_000_000_000));
		assert_eq!(parse("5. CAIRN"), Ok(5_000_000_000_000));
		assert_eq!(parse("0.000000000001 CAIRN"), Ok(1));
		assert_eq!(parse("1.000000000000000 CAIRN"), Ok(PLANCKS_PER_CAIRN));
		assert_eq!(parse("0 planck"), Ok(0));
	}

	#[test]
	fn refused() {
		assert_eq!(parse("1.5"), Err(AmountError::NoUnit));
		assert_eq!(parse("CAIRN"), Err(AmountError::NoNumber));
		assert_eq!(parse(""), Err(AmountError::NoNumber));
		assert_eq!(parse(". CAIRN"), Err(AmountError::NoNumber));
		assert_eq!(parse("1.2.3 CAIRN"), Err(AmountError::NoNumber));
		assert_eq!(parse("-1 CAIRN"), Err(AmountError::NoNumber));
		assert_eq!(parse("1 DOT"), Err(AmountError::UnknownUnit));
		assert_eq!(parse("1e3 planck"), Err(AmountError::UnknownUnit));
		assert_eq!(parse("0.5 planck"), Err(AmountError::TooPrecise));
		assert_eq!(parse("0.0000000000001 CAIRN"), Err(AmountError::TooPrecise));
		assert_eq!(
			parse("340282366920938463463374607431768211455 planck"),
			Ok(u128::MAX)
		);
		assert_eq!(
			parse("340282366920938463463374607431768211456 planck"),
			Err(AmountError::TooLarge)
		);
		assert_eq!(
			parse("340282366920938463463374607431768211455 CAIRN"),
			Err(AmountError::TooLarge)
		);
	}

	#[test]
	fn display_is_exact_and_parses_back() {
		assert_eq!(Amount(0).to_string(), "0 CAIRN");
		assert_eq!(Amount(1).to_string(), "1 planck");
		assert_eq!(Amount(999_999).to_string(), "999999 planck");
		assert_eq!(Amount(1_000_001).to_string(), "0.000001000001 CAIRN");
		assert_eq!(Amount(1_500_000_000_000).to_string(), "1.5 CAIRN");
		for amount in [0, 1, 999, PLANCKS_PER_CAIRN, 123_456_789_012_345, u128::MAX] {
			assert_eq!(parse(&Amount(amount).to_string()), Ok(amount));
		}
	}

	#[test]
	fn json_is_a_decimal_string_of_plancks() {
		let json = "\"340282366920938463463374607431768211455\"";
		assert_eq!(serde_json::to_string(&Amount(u128::MAX)).unwrap(), json);
		assert_eq!(serde_json::from_str::<Amount>(json).unwrap(), Amount(u128::MAX));
		for bad in ["\"1 CAIRN\"", "\"-1\"", "5", "\"\""] {
			assert!(serde_json::from_str::<Amount>(bad).is_err(), "{bad}");
		}
	}
}
