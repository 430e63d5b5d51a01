//! The little SCALE and hexadecimal that reading a node's answers takes.
//!
//! xtask builds before anything else is set up, and so does without the codec's crate.

/// Takes a compact integer off the front. `None` if there is none, or if it exceeds 64 bits.
pub(crate) fn compact(bytes: &mut &[u8]) -> Option<u64> {
	let mode = bytes.first()? & 3;
	let length = match mode {
		0 => 1,
		1 => 2,
		2 => 4,
		_ => usize::from(bytes.first()? >> 2) + 5,
	};
	let (taken, rest) = bytes.split_at_checked(length)?;
	*bytes = rest;
	let digits = if mode == 3 { &taken[1..] } else { taken };
	if digits.len() > 8 {
		return None;
	}
	let value = digits
		.iter()
		.rev()
		.fold(0u64, |value, byte| value << 8 | u64::from(*byte));
	Some(if mode == 3 { value } else { value >> 2 })
}

/// Bytes as hexadecimal digits, without prefix.
pub(crate) fn hex(bytes: &[u8]) -> String {
	bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hexadecimal digits behind `0x`. `None` if the text is something else.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
	let digits = text.strip_prefix("0x")?;
	(0..digits.len())
		.step_by(2)
		.map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
		.collect()
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn compact_integers() {
		for (bytes, value) in [
			(&[0x04][..], 1),
			(&[0x15, 0x01], 69),
			(&[0xfe, 0xff, 0x03, 0x00], 65_535),
			(&[0x0b, 0x00, 0x40, 0x7a, 0x10, 0xf3, 0x5a], 100_000_000_000_000),
		] {
			let mut rest = bytes;
			assert_eq!(compact(&mut rest), Some(value));
			assert!(rest.is_empty());
		}
		assert_eq!(compact(&mut &[0x01][..]), None);
	}

	#[test]
	fn hexadecimal_both_ways() {
		assert_eq!(hex(&[0, 0xa5]), "00a5");
		assert_eq!(unhex("0x00a5").unwrap(), [0, 0xa5]);
		assert!(unhex("0xzz").is_none());
		assert!(unhex("0x0").is_none());
		assert!(unhex("00").is_none());
	}
}
