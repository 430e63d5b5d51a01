//! Spans of the chain's time: `30d`, `1d 12h`, `500 blocks`.
//!
//! The chain counts blocks. Human time is turned into blocks by the block time, rounding up.

use std::{fmt, str::FromStr, time::Duration};

/// A span as the user gives it. Displays exactly; in JSON and TOML it is the same text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockSpan {
	/// A number of blocks.
	Blocks(u32),
	/// Human time; how many blocks that is depends on the chain.
	Time(Duration),
}

/// Why a text is not a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockSpanError {
	/// There is no number, or no unit behind one.
	#[error("a duration is numbers with units, as in `30d`, `1d 12h` or `500 blocks`")]
	Malformed,
	/// The unit is not one of those known.
	#[error("the unit is none of `s`, `m`, `h`, `d`, `w`, `y` and `blocks`")]
	UnknownUnit,
	/// Blocks and human time in one span.
	#[error("blocks and time cannot be mixed in one duration")]
	Mixed,
	/// The span exceeds what the chain can count.
	#[error("the duration is too long")]
	TooLong,
}

impl FromStr for BlockSpan {
	type Err = BlockSpanError;

	fn from_str(text: &str) -> Result<Self, BlockSpanError> {
		let mut rest = text.trim();
		let mut seconds: Option<u64> = None;
		let mut blocks: Option<u32> = None;
		if rest.is_empty() {
			return Err(BlockSpanError::Malformed);
		}
		while !rest.is_empty() {
			let digits = rest
				.find(|c: char| !c.is_ascii_digit())
				.ok_or(BlockSpanError::Malformed)?;
			if digits == 0 {
				return Err(BlockSpanError::Malformed);
			}
			let number: u64 = rest[..digits].parse().map_err(|_| BlockSpanError::TooLong)?;
			rest = rest[digits..].trim_start();
			let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
			let unit_seconds = match &rest[..letters] {
				"" => return Err(BlockSpanError::Malformed),
				"s" | "sec" | "second" | "seconds" => 1,
				"m" | "min" | "minute" | "minutes" => 60,
				"h" | "hour" | "hours" => 3600,
				"d" | "day" | "days" => 86_400,
				"w" | "week" | "weeks" => 7 * 86_400,
				"y" | "year" | "years" => 365 * 86_400,
				"block" | "blocks" => {
					if blocks.is_some() || seconds.is_some() {
						return Err(BlockSpanError::Mixed);
					}
					blocks = Some(number.try_into().map_err(|_| BlockSpanError::TooLong)?);
					0
				}
				_ => return Err(BlockSpanError::UnknownUnit),
			};
			if unit_seconds > 0 {
				if blocks.is_some() {
					return Err(BlockSpanError::Mixed);
				}
				let more = number.checked_mul(unit_seconds).ok_or(BlockSpanError::TooLong)?;
				seconds = Some(
					seconds
						.unwrap_or(0)
						.checked_add(more)
						.ok_or(BlockSpanError::TooLong)?,
				);
			}
			rest = rest[letters..].trim_start();
		}
		match (blocks, seconds) {
			(Some(blocks), _) => Ok(BlockSpan::Blocks(blocks)),
			(None, seconds) => Ok(BlockSpan::Time(Duration::from_secs(seconds.unwrap_or(0)))),
		}
	}
}

impl BlockSpan {
	/// Blocks that cover the span on a chain with `block_time` between blocks, rounded up.
	///
	/// # Errors
	/// [`BlockSpanError::TooLong`] beyond 2^32 - 1 blocks, or if the chain has no block time.
	pub fn in_blocks(self, block_time: Duration) -> Result<u32, BlockSpanError> {
		match self {
			BlockSpan::Blocks(blocks) => Ok(blocks),
			BlockSpan::Time(time) => {
				let block = block_time.as_millis();
				if block == 0 {
					return Err(BlockSpanError::TooLong);
				}
				time.as_millis()
					.div_ceil(block)
					.try_into()
					.map_err(|_| BlockSpanError::TooLong)
			}
		}
	}
}

impl fmt::Display for BlockSpan {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self {
			BlockSpan::Blocks(1) => f.write_str("1 block"),
			BlockSpan::Blocks(blocks) => write!(f, "{blocks} blocks"),
			BlockSpan::Time(time) => f.write_str(&units(*time, usize::MAX)),
		}
	}
}

impl serde::Serialize for BlockSpan {
	fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
		serializer.collect_str(self)
	}
}

impl<'de> serde::Deserialize<'de> for BlockSpan {
	fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
		String::deserialize(deserializer)?
			.parse()
			.map_err(serde::de::Error::custom)
	}
}

/// `2d 3h`, `45s`: the two largest units of a time, for people.
pub fn human_time(time: Duration) -> String {
	units(time, 2)
}

/// At most `most` of the largest units of a time.
fn units(time: Duration, most: usize) -> String {
	let mut rest = time.as_secs();
	let mut parts = Vec::new();
	for (name, seconds) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
		if rest >= seconds {
			parts.push(format!("{}{name}", rest / seconds));
			rest %= seconds;
		}
	}
	if parts.is_empty() {
		return "0s".to_owned();
	}
	parts.truncate(most);
	parts.join(" ")
}

/// A number of blocks with the time they take, for people: `600 blocks (about 1h)`.
pub fn human_blocks(blocks: u32, block_time: Duration) -> String {
	let time = block_time.checked_mul(blocks).unwrap_or(Duration::MAX);
	format!("{} (about {})", BlockSpan::Blocks(blocks), human_time(time))
}

#[cfg(test)]
mod tests {
	use super::*;

	fn time(seconds: u64) -> Result<BlockSpan, BlockSpanError> {
		Ok(BlockSpan::Time(Duration::from_secs(seconds)))
	}

	#[test]
	fn parses() {
		assert_eq!("30d".parse(), time(30 * 86_400));
		assert_eq!(" 1d 12h ".parse(), time(36 * 3600));
		assert_eq!("1d12h".parse(), time(36 * 3600));
		assert_eq!("2 weeks".parse(), time(14 * 86_400));
		assert_eq!("1y".parse(), time(365 * 86_400));
		assert_eq!("90s".parse(), time(90));
		assert_eq!("0s".parse(), time(0));
		assert_eq!("500 blocks".parse(), Ok(BlockSpan::Blocks(500)));
		assert_eq!("1block".parse(), Ok(BlockSpan::Blocks(1)));
	}

	#[test]
	fn refused() {
		use BlockSpanError::*;
		for (text, error) in [
			("", Malformed),
			("d", Malformed),
			("30", Malformed),
			("-1d", Malformed),
			("1.5d", Malformed),
			("30 fortnights", UnknownUnit),
			("1d 5 blocks", Mixed),
			("5 blocks 1d", Mixed),
			("5 blocks 6 blocks", Mixed),
			("5000000000 blocks", TooLong),
			("99999999999999999999s", TooLong),
			("9999999999999999999y", TooLong),
		] {
			assert_eq!(text.parse::<BlockSpan>(), Err(error), "{text}");
		}
	}

	#[test]
	fn display_is_exact_and_parses_back() {
		for text in ["0s", "1d 1h 1m 1s", "45s", "30d", "1 block", "500 blocks"] {
			let span: BlockSpan = text.parse().unwrap();
			assert_eq!(span.to_string(), text);
		}
		let json = serde_json::to_string(&BlockSpan::Time(Duration::from_secs(90_061))).unwrap();
		assert_eq!(json, "\"1d 1h 1m 1s\"");
		assert_eq!(
			serde_json::from_str::<BlockSpan>(&json).unwrap(),
			time(90_061).unwrap()
		);
	}

	#[test]
	fn blocks_round_up() {
		let six = Duration::from_secs(6);
		assert_eq!(BlockSpan::Time(Duration::from_secs(7)).in_blocks(six), Ok(2));
		assert_eq!(BlockSpan::Time(Duration::from_secs(12)).in_blocks(six), Ok(2));
		assert_eq!(BlockSpan::Time(Duration::ZERO).in_blocks(six), Ok(0));
		assert_eq!(BlockSpan::Blocks(3).in_blocks(six), Ok(3));
		assert_eq!(
			BlockSpan::Time(Duration::from_secs(1)).in_blocks(Duration::ZERO),
			Err(BlockSpanError::TooLong)
		);
		let ages = BlockSpan::Time(Duration::from_secs(u64::from(u32::MAX) * 7));
		assert_eq!(ages.in_blocks(six), Err(BlockSpanError::TooLong));
	}

	#[test]
	fn for_people() {
		assert_eq!(human_time(Duration::from_secs(0)), "0s");
		assert_eq!(human_time(Duration::from_secs(45)), "45s");
		assert_eq!(human_time(Duration::from_secs(90_061)), "1d 1h");
		assert_eq!(human_blocks(600, Duration::from_secs(6)), "600 blocks (about 1h)");
	}
}
