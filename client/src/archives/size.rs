//! Sizes as people write them.

/// Reads a number of bytes: `1000`, `64KiB`, `100MB`, `1.5GiB`.
///
/// # Errors
/// What is wrong, for the user.
pub fn parse_size(text: &str) -> Result<u64, String> {
	let digits = text
		.find(|c: char| !c.is_ascii_digit() && c != '.')
		.unwrap_or(text.len());
	let (number, unit) = text.split_at(digits);
	let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
		"" | "b" => 1,
		"k" | "kb" => 1000,
		"m" | "mb" => 1_000_000,
		"g" | "gb" => 1_000_000_000,
		"t" | "tb" => 1_000_000_000_000,
		"kib" => 1 << 10,
		"mib" => 1 << 20,
		"gib" => 1 << 30,
		"tib" => 1 << 40,
		_ => {
			return Err(format!(
				"{unit:?} is no unit of size; there are KiB, MiB, GiB, kB, MB, GB"
			))
		}
	};
	let malformed = || format!("{text:?} is not a size, such as 100MB or 1GiB");
	let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
	if whole.is_empty() || fraction.len() > 6 || (fraction.is_empty() && number.contains('.')) {
		return Err(malformed());
	}
	let millionths: u64 = match fraction {
		"" => 0,
		fraction => format!("{fraction:0<6}").parse().map_err(|_| malformed())?,
	};
	let whole: u64 = whole.parse().map_err(|_| malformed())?;
	let part = u128::from(millionths) * u128::from(factor) / 1_000_000;
	u128::from(whole)
		.checked_mul(u128::from(factor))
		.and_then(|bytes| u64::try_from(bytes + part).ok())
		.ok_or_else(|| format!("{text} is more than there is"))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn sizes_have_units() {
		for (text, bytes) in [
			("0", 0),
			("1000", 1000),
			("7b", 7),
			("64KiB", 65_536),
			("100MB", 100_000_000),
			("100 MB", 100_000_000),
			("1.5GiB", 3 << 29),
			("0.000001 gb", 1000),
			("2t", 2_000_000_000_000),
			("16777215TiB", 16_777_215 << 40),
		] {
			assert_eq!(parse_size(text), Ok(bytes), "{text}");
		}
		for wrong in [
			"",
			"MB",
			"-1",
			"1.",
			".5MB",
			"1.2.3",
			"1e3",
			"5 bananas",
			"1.0000001",
			"16777216TiB",
		] {
			assert!(parse_size(wrong).is_err(), "{wrong}");
		}
	}
}
