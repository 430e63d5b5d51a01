//! Unsigned variable-length integers (LEB128), as multiformats and CAR use them: at most ten bytes,
//! minimally encoded.

/// Largest encoding of a `u64` in bytes.
pub const MAX_LEN: usize = 10;

/// Why bytes are not a varint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VarintError {
	/// The bytes end before the integer does.
	#[error("the integer is cut off")]
	Truncated,
	/// The integer does not fit in 64 bits.
	#[error("the integer does not fit in 64 bits")]
	Overflow,
	/// A shorter encoding of the same integer exists.
	#[error("the integer is not minimally encoded")]
	NotMinimal,
}

/// Reads one integer from the start of `bytes`; returns it and the number of bytes it took.
pub fn decode(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
	use unsigned_varint::decode::Error;
	let (value, rest) = unsigned_varint::decode::u64(bytes).map_err(|error| match error {
		Error::Insufficient => VarintError::Truncated,
		Error::NotMinimal => VarintError::NotMinimal,
		_ => VarintError::Overflow,
	})?;
	let used = bytes.len() - rest.len();
	// The library drops the bits of a tenth byte that lie beyond the 64th.
	if used == MAX_LEN && bytes[MAX_LEN - 1] > 1 {
		return Err(VarintError::Overflow);
	}
	Ok((value, used))
}

/// Appends `value` to `out`.
pub fn encode(value: u64, out: &mut Vec<u8>) {
	let mut buffer = unsigned_varint::encode::u64_buffer();
	out.extend_from_slice(unsigned_varint::encode::u64(value, &mut buffer));
}

/// Bytes that [`encode`] writes for `value`.
pub fn encoded_len(value: u64) -> usize {
	let bits = (64 - value.leading_zeros()).max(1) as usize;
	bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn round_trips_at_every_length() {
		for shift in 0..64 {
			for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
				let mut bytes = Vec::new();
				encode(value, &mut bytes);
				assert_eq!(bytes.len(), encoded_len(value), "{value}");
				assert_eq!(decode(&bytes), Ok((value, bytes.len())), "{value}");
				bytes.push(0xff);
				assert_eq!(decode(&bytes), Ok((value, bytes.len() - 1)), "{value}");
				bytes.truncate(bytes.len() - 2);
				assert_eq!(decode(&bytes), Err(VarintError::Truncated), "{value}");
			}
		}
	}

	#[test]
	fn refuses_overflow_and_long_forms() {
		let mut bytes = [0xffu8; 10];
		bytes[9] = 2;
		assert_eq!(decode(&bytes), Err(VarintError::Overflow));
		bytes[9] = 1;
		assert_eq!(decode(&bytes), Ok((u64::MAX, 10)));
		assert_eq!(decode(&[0xff; 11]), Err(VarintError::Overflow));
		assert_eq!(decode(&[0x80, 0x00]), Err(VarintError::NotMinimal));
		assert_eq!(decode(&[]), Err(VarintError::Truncated));
	}
}
