//! SHA-256 as a trait, truncation to 254 bits, and the inner nodes of every Merkle tree.

/// One-shot SHA-256. The runtime implements it by the host function, everything else uses
/// [`NativeSha256`].
pub trait Sha256 {
	/// SHA-256 of `data`.
	fn digest(data: &[u8]) -> [u8; 32];
}

/// SHA-256 in this process; uses the processor's SHA instructions where they exist.
#[cfg(feature = "std")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NativeSha256;

#[cfg(feature = "std")]
impl Sha256 for NativeSha256 {
	fn digest(data: &[u8]) -> [u8; 32] {
		<sha2::Sha256 as sha2::Digest>::digest(data).into()
	}
}

/// Clears the two highest bits of a hash, so that it is an element of the BLS12-381 scalar field
/// in little-endian order. Applies to hash outputs only; leaves are checked, not truncated.
pub const fn trunc(mut x: [u8; 32]) -> [u8; 32] {
	x[31] &= 0x3f;
	x
}

/// Inner node of a Merkle tree: `trunc(SHA-256(left ‖ right))`.
pub fn inner_node<H: Sha256>(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
	let mut preimage = [0u8; 64];
	preimage[..32].copy_from_slice(left);
	preimage[32..].copy_from_slice(right);
	trunc(H::digest(&preimage))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn native_digest_is_sha256() {
		assert_eq!(
			hex::encode(NativeSha256::digest(b"abc")),
			"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
		);
	}

	#[test]
	fn trunc_clears_two_bits() {
		let mut expected = [0xff; 32];
		expected[31] = 0x3f;
		assert_eq!(trunc([0xff; 32]), expected);
	}

	#[test]
	fn inner_node_of_zero_leaves() {
		assert_eq!(
			hex::encode(inner_node::<NativeSha256>(&[0; 32], &[0; 32])),
			"f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb0b"
		);
	}
}
