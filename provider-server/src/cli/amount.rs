//! Amounts on the command line: `1.5 CAIRN`, `100 planck`. A number without a unit is refused.

use std::str::FromStr;

/// Decimal places of one CAIRN.
const DECIMALS: usize = 12;

/// An amount in plancks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Amount(pub u128);

/// A text that is not an amount.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an amount: write a number with its unit, as in `1.5 CAIRN` or `100 planck`")]
pub(crate) struct AmountError;

impl FromStr for Amount {
	type Err = AmountError;

	fn from_str(text: &str) -> Result<Self, AmountError> {
		let text = text.trim();
		let split = text
			.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
			.ok_or(AmountError)?;
		let (number, unit) = (
			text[..split].replace('_', ""),
			text[split..].trim().to_ascii_lowercase(),
		);
		let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
		let places = match unit.as_str() {
			"cairn" | "unit" => DECIMALS,
			"mcairn" | "munit" => DECIMALS - 3,
			"planck" | "plancks" => 0,
			_ => return Err(AmountError),
		};
		let fraction = fraction.trim_end_matches('0');
		if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || fraction.len() > places {
			return Err(AmountError);
		}
		let digits = format!("{whole}{fraction}{}", "0".repeat(places - fraction.len()));
		digits.parse().map(Amount).map_err(|_| AmountError)
	}
}

/// An amount in CAIRN, exactly.
pub(crate) fn in_cairn(plancks: u128) -> String {
	let one = 10u128.pow(DECIMALS as u32);
	let (whole, fraction) = (plancks / one, plancks % one);
	if fraction == 0 {
		return format!("{whole} CAIRN");
	}
	format!(
		"{whole}.{} CAIRN",
		format!("{fraction:012}").trim_end_matches('0')
	)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn amounts() {
		for (text, plancks) in [
			("1.5 CAIRN", 1_500_000_000_000),
			("2unit", 2_000_000_000_000),
			("1 mCAIRN", 1_000_000_000),
			("100 planck", 100),
			("1_000 plancks", 1000),
			("0.0 planck", 0),
		] {
			assert_eq!(text.parse(), Ok(Amount(plancks)), "{text}");
		}
		for bad in [
			"",
			"5",
			"CAIRN",
			". CAIRN",
			"1.5 planck",
			"1.2.3 CAIRN",
			"1 DOT",
			"-1 CAIRN",
		] {
			assert_eq!(bad.parse::<Amount>(), Err(AmountError), "{bad}");
		}
		assert_eq!(in_cairn(1_500_000_000_000), "1.5 CAIRN");
		assert_eq!(in_cairn(1), "0.000000000001 CAIRN");
		assert_eq!(in_cairn(0), "0 CAIRN");
	}
}
