//! Fr32 padding: two zero bits after every 254 bits, so that each 32 bytes are an element of the
//! BLS12-381 scalar field.
//!
//! Bits are counted from the least significant of each byte. 127 bytes of payload (1,016 bits, four
//! elements) become 128 padded bytes; every function works on such groups, word by word. The format
//! is Filecoin's, so commitments agree.

use core::ops::Range;

/// Payload bytes of a group.
pub const GROUP_PAYLOAD: usize = 127;
/// Padded bytes of a group.
pub const GROUP_PADDED: usize = 128;

const LOW_62_BITS: u64 = (1 << 62) - 1;

/// Bytes that `payload` bytes take after padding, without the fill to a power of two: whole bytes
/// that hold a bit of payload or lie before one. Saturates.
pub const fn padded_len(payload: u64) -> u64 {
	let (groups, rest) = (payload / 127, payload % 127 * 8);
	let rest_bits = rest / 254 * 256 + rest % 254;
	groups.saturating_mul(128).saturating_add(rest_bits.div_ceil(8))
}

/// Payload bytes that are complete in the first `padded` padded bytes.
pub const fn payload_len(padded: u64) -> u64 {
	let (groups, rest) = (padded / 128, padded % 128 * 8);
	let tail = if rest % 256 < 254 { rest % 256 } else { 254 };
	groups * 127 + (rest / 256 * 254 + tail) / 8
}

/// Pads one group.
pub fn pad_group(payload: &[u8; GROUP_PAYLOAD], padded: &mut [u8; GROUP_PADDED]) {
	let w = payload_words(payload);
	let out = [
		w[0],
		w[1],
		w[2],
		w[3] & LOW_62_BITS,
		w[3] >> 62 | w[4] << 2,
		w[4] >> 62 | w[5] << 2,
		w[5] >> 62 | w[6] << 2,
		(w[6] >> 62 | w[7] << 2) & LOW_62_BITS,
		w[7] >> 60 | w[8] << 4,
		w[8] >> 60 | w[9] << 4,
		w[9] >> 60 | w[10] << 4,
		(w[10] >> 60 | w[11] << 4) & LOW_62_BITS,
		w[11] >> 58 | w[12] << 6,
		w[12] >> 58 | w[13] << 6,
		w[13] >> 58 | w[14] << 6,
		w[14] >> 58 | w[15] << 6,
	];
	for (bytes, word) in padded.chunks_exact_mut(8).zip(out) {
		bytes.copy_from_slice(&word.to_le_bytes());
	}
}

/// Reverses [`pad_group`]. The two padding bits of each element are ignored.
pub fn unpad_group(padded: &[u8; GROUP_PADDED], payload: &mut [u8; GROUP_PAYLOAD]) {
	let mut e = [0u64; 16];
	for (word, bytes) in e.iter_mut().zip(padded.chunks_exact(8)) {
		*word = le64(bytes);
	}
	for top in [3, 7, 11, 15] {
		e[top] &= LOW_62_BITS;
	}
	let out = [
		e[0],
		e[1],
		e[2],
		e[3] | e[4] << 62,
		e[4] >> 2 | e[5] << 62,
		e[5] >> 2 | e[6] << 62,
		e[6] >> 2 | e[7] << 62,
		e[7] >> 2 | e[8] << 60,
		e[8] >> 4 | e[9] << 60,
		e[9] >> 4 | e[10] << 60,
		e[10] >> 4 | e[11] << 60,
		e[11] >> 4 | e[12] << 58,
		e[12] >> 6 | e[13] << 58,
		e[13] >> 6 | e[14] << 58,
		e[14] >> 6 | e[15] << 58,
		e[15] >> 6,
	];
	for (bytes, word) in payload.chunks_mut(8).zip(out) {
		bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
	}
}

/// Why buffers do not fit each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the output does not have the length that the input demands")]
pub struct LengthMismatch;

/// Pads `payload` into `padded`, which must have 128 bytes per 127 of payload begun. A tail of less
/// than 127 bytes is filled with zeros. To stream, pass whole groups until the tail.
///
/// # Errors
/// [`LengthMismatch`] if `padded` has another length.
pub fn pad(payload: &[u8], padded: &mut [u8]) -> Result<(), LengthMismatch> {
	if padded.len() != payload.len().div_ceil(GROUP_PAYLOAD) * GROUP_PADDED {
		return Err(LengthMismatch);
	}
	let (groups, tail) = payload.as_chunks::<GROUP_PAYLOAD>();
	let (padded, _) = padded.as_chunks_mut::<GROUP_PADDED>();
	for (group, out) in groups.iter().zip(padded.iter_mut()) {
		pad_group(group, out);
	}
	if let (false, Some(out)) = (tail.is_empty(), padded.last_mut()) {
		let mut group = [0u8; GROUP_PAYLOAD];
		group[..tail.len()].copy_from_slice(tail);
		pad_group(&group, out);
	}
	Ok(())
}

/// Unpads whole 128-byte groups into `payload`. The last group may be taken in part: 1 to 127 bytes
/// of it, as `payload`'s length says.
///
/// # Errors
/// [`LengthMismatch`] if `padded` is not the whole groups that `payload.len()` bytes need.
pub fn unpad(padded: &[u8], payload: &mut [u8]) -> Result<(), LengthMismatch> {
	if padded.len() != payload.len().div_ceil(GROUP_PAYLOAD) * GROUP_PADDED {
		return Err(LengthMismatch);
	}
	let (groups, _) = padded.as_chunks::<GROUP_PADDED>();
	for (group, out) in groups.iter().zip(payload.chunks_mut(GROUP_PAYLOAD)) {
		if let Ok(out) = <&mut [u8; GROUP_PAYLOAD]>::try_from(&mut *out) {
			unpad_group(group, out);
		} else {
			let mut whole = [0u8; GROUP_PAYLOAD];
			unpad_group(group, &mut whole);
			out.copy_from_slice(&whole[..out.len()]);
		}
	}
	Ok(())
}

/// Padded bytes that hold a bit of the payload bytes in `payload`; empty for an empty range.
pub const fn padded_range(payload: Range<u64>) -> Range<u64> {
	if payload.start >= payload.end {
		let at = first_padded_byte(payload.start);
		return at..at;
	}
	first_padded_byte(payload.start)..padded_len(payload.end)
}

/// Whole groups that hold the payload bytes in `payload`: the range of padded bytes to read and the
/// bytes to skip at the front of the groups' unpadded content.
pub const fn group_range(payload: Range<u64>) -> (Range<u64>, usize) {
	let first = payload.start / GROUP_PAYLOAD as u64;
	let end = if payload.end > payload.start {
		payload.end.div_ceil(GROUP_PAYLOAD as u64)
	} else {
		first
	};
	let skip = (payload.start % GROUP_PAYLOAD as u64) as usize;
	(
		first.saturating_mul(GROUP_PADDED as u64)..end.saturating_mul(GROUP_PADDED as u64),
		skip,
	)
}

/// The padded byte in which payload byte `at` begins.
const fn first_padded_byte(at: u64) -> u64 {
	let bit = at % 127 * 8;
	(at / 127)
		.saturating_mul(128)
		.saturating_add((bit / 254 * 256 + bit % 254) / 8)
}

fn payload_words(payload: &[u8; GROUP_PAYLOAD]) -> [u64; 16] {
	let mut words = [0u64; 16];
	for (word, bytes) in words.iter_mut().zip(payload[..120].chunks_exact(8)) {
		*word = le64(bytes);
	}
	let mut last = [0u8; 8];
	last[..7].copy_from_slice(&payload[120..]);
	words[15] = u64::from_le_bytes(last);
	words
}

/// Callers pass exactly eight bytes.
fn le64(bytes: &[u8]) -> u64 {
	let mut word = [0u8; 8];
	word.copy_from_slice(bytes);
	u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
	use super::*;
	use alloc::{vec, vec::Vec};
	use rand_chacha::{
		rand_core::{RngCore, SeedableRng},
		ChaCha8Rng,
	};

	/// The definition, bit by bit.
	fn pad_slowly(payload: &[u8]) -> Vec<u8> {
		let mut padded = vec![0u8; payload.len().div_ceil(127) * 128];
		for bit in 0..payload.len() * 8 {
			if payload[bit / 8] >> (bit % 8) & 1 == 1 {
				let to = bit / 254 * 256 + bit % 254;
				padded[to / 8] |= 1 << (to % 8);
			}
		}
		padded
	}

	#[test]
	fn agrees_with_the_definition_and_inverts() {
		for seed in 0..20 {
			let mut rng = ChaCha8Rng::seed_from_u64(seed);
			for len in [
				0,
				1,
				31,
				32,
				63,
				64,
				95,
				96,
				126,
				127,
				128,
				253,
				254,
				255,
				127 * 5,
				127 * 5 + 50,
			] {
				let mut payload = vec![0u8; len];
				rng.fill_bytes(&mut payload);
				let mut padded = vec![0xaa; len.div_ceil(127) * 128];
				pad(&payload, &mut padded).unwrap();
				assert_eq!(padded, pad_slowly(&payload), "seed {seed}, length {len}");
				let mut back = vec![0x55; len];
				unpad(&padded, &mut back).unwrap();
				assert_eq!(back, payload, "seed {seed}, length {len}");
			}
		}
	}

	#[test]
	fn all_ones() {
		let mut padded = [0u8; 128];
		pad(&[0xff; 127], &mut padded).unwrap();
		for (i, byte) in padded.iter().enumerate() {
			assert_eq!(*byte, if i % 32 == 31 { 0x3f } else { 0xff });
		}
	}

	#[test]
	fn padding_bits_are_ignored_when_unpadding() {
		let mut payload = [0u8; 127];
		unpad(&[0xff; 128], &mut payload).unwrap();
		assert_eq!(payload, [0xff; 127]);
	}

	#[test]
	fn wrong_lengths() {
		assert_eq!(pad(&[0; 127], &mut [0; 127]), Err(LengthMismatch));
		assert_eq!(pad(&[0; 128], &mut [0; 128]), Err(LengthMismatch));
		assert_eq!(pad(&[], &mut [0; 128]), Err(LengthMismatch));
		assert_eq!(unpad(&[0; 128], &mut [0; 128]), Err(LengthMismatch));
		assert_eq!(unpad(&[0; 127], &mut [0; 127]), Err(LengthMismatch));
	}

	#[test]
	fn lengths() {
		for (payload, padded) in [
			(0, 0),
			(1, 1),
			(31, 31),
			(32, 33),
			(63, 64),
			(64, 65),
			(126, 127),
			(127, 128),
			(254, 256),
		] {
			assert_eq!(padded_len(payload), padded, "{payload}");
		}
		for payload in 0..1000 {
			assert_eq!(payload_len(padded_len(payload)), payload, "{payload}");
		}
		assert_eq!(padded_len(u64::MAX), u64::MAX);
	}

	/// A range of padded bytes holds a payload range exactly if changing any of its bytes, and no
	/// other, can change that payload.
	#[test]
	fn ranges_are_exact() {
		let payload: Vec<u8> = (0..508u32).map(|i| (i * 7 + 3) as u8).collect();
		let padded = pad_slowly(&payload);
		for start in 0..260 {
			for len in [0, 1, 2, 31, 32, 64, 127, 130] {
				let (from, to) = (start as u64, (start + len) as u64);
				let range = padded_range(from..to);
				let mut flipped = payload.clone();
				flipped[start..start + len]
					.iter_mut()
					.for_each(|byte| *byte = !*byte);
				let flipped = pad_slowly(&flipped);
				let changed: Vec<u64> = (0..padded.len())
					.filter(|i| padded[*i] != flipped[*i])
					.map(|i| i as u64)
					.collect();
				assert_eq!(changed, range.clone().collect::<Vec<_>>(), "{start} + {len}");

				let (groups, skip) = group_range(from..to);
				if len == 0 {
					assert!(groups.is_empty());
					continue;
				}
				assert!(groups.start <= range.start && groups.end >= range.end);
				let mut content = vec![0; ((groups.end - groups.start) / 128 * 127) as usize];
				unpad(&padded[groups.start as usize..groups.end as usize], &mut content).unwrap();
				assert_eq!(&content[skip..skip + len], &payload[start..start + len]);
			}
		}
	}
}
