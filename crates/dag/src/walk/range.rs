//! The query parameter `entity-bytes`.

use crate::unixfs::ByteRange;
use std::str::FromStr;

/// Bytes of an entity whose size the asker need not know: both ends inclusive, negative numbers
/// counted from the end (-1 is the last byte).
///
/// Reads and prints as `from:to`, where `to` may be `*` for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityBytes {
	/// First byte.
	pub from: i64,
	/// Last byte; `None` is the end.
	pub to: Option<i64>,
}

impl EntityBytes {
	/// The range within an entity of `size` bytes, or `None` if no byte lies in it.
	pub fn within(&self, size: u64) -> Option<ByteRange> {
		let absolute = |position: i64| {
			if position < 0 {
				i128::from(size) + i128::from(position)
			} else {
				i128::from(position)
			}
		};
		let start = absolute(self.from).max(0);
		let end = self
			.to
			.map_or(i128::from(size), |to| (absolute(to) + 1).min(i128::from(size)));
		// Both lie between 0 and the size.
		(start < end).then_some(ByteRange {
			start: start as u64,
			end: Some(end as u64),
		})
	}
}

impl std::fmt::Display for EntityBytes {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		match self.to {
			Some(to) => write!(f, "{}:{to}", self.from),
			None => write!(f, "{}:*", self.from),
		}
	}
}

impl FromStr for EntityBytes {
	type Err = EntityBytesError;

	fn from_str(text: &str) -> Result<Self, EntityBytesError> {
		let (from, to) = text.split_once(':').ok_or(EntityBytesError)?;
		let number = |text: &str| text.parse().map_err(|_| EntityBytesError);
		Ok(Self {
			from: number(from)?,
			to: if to == "*" { None } else { Some(number(to)?) },
		})
	}
}

/// Text that is not `from:to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a byte range must be `from:to` with whole numbers, `to` may be `*`")]
pub struct EntityBytesError;

#[cfg(test)]
mod tests {
	use super::*;

	fn within(text: &str, size: u64) -> Option<(u64, u64)> {
		let range = text.parse::<EntityBytes>().unwrap();
		assert_eq!(range.to_string(), text);
		range.within(size).map(|range| (range.start, range.end.unwrap()))
	}

	#[test]
	fn as_the_specification_says() {
		assert_eq!(within("0:*", 10), Some((0, 10)));
		assert_eq!(within("0:0", 10), Some((0, 1)));
		assert_eq!(within("5:9", 10), Some((5, 10)));
		assert_eq!(within("5:100", 10), Some((5, 10)));
		assert_eq!(within("-4:*", 10), Some((6, 10)));
		assert_eq!(within("-4:-2", 10), Some((6, 9)));
		assert_eq!(within("499:-1000", 10_000), Some((499, 9001)));
		assert_eq!(within("-100:3", 10), Some((0, 4)));
		assert_eq!(within("10:*", 10), None);
		assert_eq!(within("4:3", 10), None);
		assert_eq!(within("0:-11", 10), None);
		assert_eq!(within("0:*", 0), None);
		assert_eq!(
			within("-9223372036854775808:9223372036854775807", 3),
			Some((0, 3))
		);
		assert_eq!(within("0:*", u64::MAX), Some((0, u64::MAX)));
	}

	#[test]
	fn refuses_anything_else() {
		for text in [
			"",
			":",
			"1",
			"1:",
			":1",
			"*:1",
			"1:2:3",
			"a:b",
			"0:9223372036854775808",
			"1.5:2",
			" 1:2",
		] {
			assert_eq!(text.parse::<EntityBytes>(), Err(EntityBytesError), "{text}");
		}
	}
}
