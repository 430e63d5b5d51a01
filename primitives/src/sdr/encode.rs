//! Encoding: addition in the scalar field of BLS12-381, 32 bytes little-endian per element.

/// Order of the field, as little-endian 64-bit limbs.
pub const MODULUS: [u64; 4] = [
	0xffff_ffff_0000_0001,
	0x53bd_a402_fffe_5bfe,
	0x3339_d808_09a1_d805,
	0x73ed_a753_299d_7d48,
];

/// An operand is not below the order of the field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the bytes are not a canonical field element")]
pub struct NotCanonical;

/// Whether `bytes` is below the order of the field.
pub fn is_canonical(bytes: &[u8; 32]) -> bool {
	is_below_modulus(&limbs(bytes))
}

/// The replica's leaf: `data + key`.
///
/// # Errors
/// [`NotCanonical`]. Fr32-padded data and labels are below 2²⁵⁴ and always canonical.
pub fn encode(data: &[u8; 32], key: &[u8; 32]) -> Result<[u8; 32], NotCanonical> {
	let (data, key) = (limbs(data), limbs(key));
	if !is_below_modulus(&data) || !is_below_modulus(&key) {
		return Err(NotCanonical);
	}
	// Both are below 2^255, so that the sum does not carry out.
	let mut sum = [0u64; 4];
	let mut carry = false;
	for i in 0..4 {
		let (partial, first) = data[i].overflowing_add(key[i]);
		let (limb, second) = partial.overflowing_add(u64::from(carry));
		sum[i] = limb;
		carry = first | second;
	}
	if !is_below_modulus(&sum) {
		sum = subtract(&sum, &MODULUS).0;
	}
	Ok(bytes(&sum))
}

/// The data's leaf: `replica − key`.
///
/// # Errors
/// [`NotCanonical`].
pub fn decode(replica: &[u8; 32], key: &[u8; 32]) -> Result<[u8; 32], NotCanonical> {
	let (replica, key) = (limbs(replica), limbs(key));
	if !is_below_modulus(&replica) || !is_below_modulus(&key) {
		return Err(NotCanonical);
	}
	let (mut difference, borrow) = subtract(&replica, &key);
	if borrow {
		// replica − key + r, computed as r − (key − replica).
		difference = subtract(&MODULUS, &subtract(&key, &replica).0).0;
	}
	Ok(bytes(&difference))
}

fn is_below_modulus(x: &[u64; 4]) -> bool {
	subtract(x, &MODULUS).1
}

/// Difference modulo 2²⁵⁶ and whether it borrowed.
fn subtract(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], bool) {
	let mut difference = [0u64; 4];
	let mut borrow = false;
	for i in 0..4 {
		let (partial, first) = a[i].overflowing_sub(b[i]);
		let (limb, second) = partial.overflowing_sub(u64::from(borrow));
		difference[i] = limb;
		borrow = first | second;
	}
	(difference, borrow)
}

fn limbs(bytes: &[u8; 32]) -> [u64; 4] {
	let mut limbs = [0u64; 4];
	for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
		*limb = u64::from_le_bytes(*bytes);
	}
	limbs
}

fn bytes(limbs: &[u64; 4]) -> [u8; 32] {
	let mut bytes = [0u8; 32];
	for (bytes, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(limbs) {
		*bytes = limb.to_le_bytes();
	}
	bytes
}

#[cfg(test)]
mod tests {
	use super::*;
	use rand_chacha::{
		rand_core::{RngCore, SeedableRng},
		ChaCha8Rng,
	};

	fn minus_one() -> [u8; 32] {
		let mut limbs = MODULUS;
		limbs[0] -= 1;
		bytes(&limbs)
	}

	fn number(n: u8) -> [u8; 32] {
		let mut bytes = [0u8; 32];
		bytes[0] = n;
		bytes
	}

	#[test]
	fn wraps_at_the_modulus() {
		assert_eq!(encode(&minus_one(), &number(1)), Ok([0; 32]));
		assert_eq!(encode(&minus_one(), &number(3)), Ok(number(2)));
		assert_eq!(decode(&[0; 32], &number(1)), Ok(minus_one()));
		assert_eq!(encode(&number(5), &number(6)), Ok(number(11)));
		// (r − 1) + (r − 1) = r − 2
		let mut minus_two = MODULUS;
		minus_two[0] -= 2;
		assert_eq!(encode(&minus_one(), &minus_one()), Ok(bytes(&minus_two)));
	}

	#[test]
	fn refuses_what_is_not_canonical() {
		for wrong in [bytes(&MODULUS), [0xff; 32]] {
			assert!(!is_canonical(&wrong));
			assert_eq!(encode(&wrong, &[0; 32]), Err(NotCanonical));
			assert_eq!(encode(&[0; 32], &wrong), Err(NotCanonical));
			assert_eq!(decode(&wrong, &[0; 32]), Err(NotCanonical));
			assert_eq!(decode(&[0; 32], &wrong), Err(NotCanonical));
		}
		assert!(is_canonical(&minus_one()));
		// Everything below 2^254 is canonical.
		let mut largest = [0xff; 32];
		largest[31] = 0x3f;
		assert!(is_canonical(&largest));
	}

	#[test]
	fn decode_inverts_encode() {
		let seed = 1;
		let mut rng = ChaCha8Rng::seed_from_u64(seed);
		for _ in 0..10_000 {
			let (mut data, mut key) = ([0u8; 32], [0u8; 32]);
			rng.fill_bytes(&mut data);
			rng.fill_bytes(&mut key);
			data[31] &= 0x3f;
			key[31] &= 0x3f;
			let replica = encode(&data, &key).unwrap();
			assert!(is_canonical(&replica));
			assert_eq!(decode(&replica, &key), Ok(data), "seed {seed}");
		}
	}
}
