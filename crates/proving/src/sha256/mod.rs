//! SHA-256 for Merkle nodes, columns and labels, at the speed of the processor.
//!
//! A Merkle node hashes exactly 64 bytes, so its second block is constant padding whose message
//! schedule is known at compile time, and neighbouring nodes do not depend on each other. On x86-64
//! with SHA extensions two nodes are therefore hashed side by side, which hides the latency of the
//! round instruction. Elsewhere the `sha2` crate does the work.
#![allow(unsafe_code)]

use sha2::{
	compress256,
	digest::generic_array::{typenum::U64, GenericArray},
};

#[cfg(target_arch = "x86_64")]
mod x86_64;

/// A node of a Merkle tree.
pub type Node = [u8; 32];

/// Bytes of a [`Node`].
pub const NODE: usize = 32;

/// SHA-256's initial state.
pub(crate) const IV: [u32; 8] = [
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

#[rustfmt::skip]
pub(crate) const K: [u32; 64] = [
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// The padding block of a 64-byte message.
const PADDING_64: [u8; 64] = {
	let mut block = [0u8; 64];
	block[0] = 0x80;
	// 512 bits.
	block[62] = 2;
	block
};

/// The message schedule of [`PADDING_64`] with the round constants added.
pub(crate) const PADDING_64_SCHEDULE: [u32; 64] = {
	let mut w = [0u32; 64];
	w[0] = 0x8000_0000;
	w[15] = 512;
	let mut i = 16;
	while i < 64 {
		let s0 = w[i - 15].rotate_right(7) ^ w[i - 15].rotate_right(18) ^ (w[i - 15] >> 3);
		let s1 = w[i - 2].rotate_right(17) ^ w[i - 2].rotate_right(19) ^ (w[i - 2] >> 10);
		w[i] = w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1);
		i += 1;
	}
	let mut i = 0;
	while i < 64 {
		w[i] = w[i].wrapping_add(K[i]);
		i += 1;
	}
	w
};

/// Runs the compression function over `blocks`.
#[inline]
pub(crate) fn compress(state: &mut [u32; 8], blocks: &[[u8; 64]]) {
	// SAFETY: `GenericArray<u8, U64>` is documented to have the layout of `[u8; 64]`.
	let blocks =
		unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast::<GenericArray<u8, U64>>(), blocks.len()) };
	compress256(state, blocks);
}

/// The digest of a final state.
#[inline]
pub(crate) fn digest(state: &[u32; 8]) -> Node {
	let mut out = [0u8; 32];
	for (bytes, word) in out.chunks_exact_mut(4).zip(state) {
		bytes.copy_from_slice(&word.to_be_bytes());
	}
	out
}

/// The digest of a final state, truncated to 254 bits.
#[inline]
pub(crate) fn truncated(state: &[u32; 8]) -> Node {
	cairn_primitives::hash::trunc(digest(state))
}

/// An inner node: `trunc(SHA-256(left ‖ right))`.
pub fn node(left: &Node, right: &Node) -> Node {
	let mut block = [0u8; 64];
	block[..32].copy_from_slice(left);
	block[32..].copy_from_slice(right);
	let mut state = IV;
	compress(&mut state, &[block, PADDING_64]);
	truncated(&state)
}

/// Hashes the pairs of `row` into `parents`.
///
/// # Panics
/// If `parents` is not half as long as `row` or not whole nodes.
pub fn parents_of(row: &[u8], parents: &mut [u8]) {
	assert!(
		row.len() == 2 * parents.len() && parents.len().is_multiple_of(NODE),
		"rows of whole nodes"
	);
	// SAFETY: both ranges were checked and are distinct.
	unsafe { hash_pairs(row.as_ptr(), parents.as_mut_ptr(), parents.len() / NODE) }
}

/// Hashes the pairs of `row` into its front half.
///
/// # Panics
/// If `row` is not whole pairs of nodes.
pub fn reduce(row: &mut [u8]) {
	assert!(row.len().is_multiple_of(2 * NODE), "whole pairs of nodes");
	let pairs = row.len() / (2 * NODE);
	let base = row.as_mut_ptr();
	// SAFETY: the ranges lie within `row`. They overlap, which `hash_pairs` allows: pair i lies at or
	// behind parent i, and pairs are read before their parents are written, in rising order.
	unsafe { hash_pairs(base.cast_const(), base, pairs) }
}

/// The root over `row`, which is overwritten.
///
/// # Panics
/// If `row` is not a power of two of nodes.
pub fn root_of(row: &mut [u8]) -> Node {
	assert!(
		(row.len() / NODE).is_power_of_two() && row.len().is_multiple_of(NODE),
		"a power of two of nodes"
	);
	let mut len = row.len();
	while len > NODE {
		reduce(&mut row[..len]);
		len /= 2;
	}
	let mut root = [0u8; NODE];
	root.copy_from_slice(&row[..NODE]);
	root
}

/// # Safety
/// `pairs` must be readable for `64 · pairs` bytes and `parents` writable for `32 · pairs`; they may
/// start at the same address and must not overlap otherwise.
unsafe fn hash_pairs(pairs: *const u8, parents: *mut u8, count: usize) {
	#[cfg(target_arch = "x86_64")]
	if x86_64::available() {
		// SAFETY: the instructions exist; the caller answers for the pointers.
		unsafe { x86_64::hash_pairs(pairs, parents, count) };
		return;
	}
	for i in 0..count {
		// SAFETY: within the caller's ranges; the pair is copied before its parent is written.
		unsafe {
			let block = pairs.add(64 * i).cast::<[u8; 64]>().read();
			let mut state = IV;
			compress(&mut state, &[block, PADDING_64]);
			parents.add(32 * i).cast::<Node>().write(truncated(&state));
		}
	}
}

/// Hashes two messages of equally many blocks, padding included, side by side.
pub(crate) fn digest_two(a: &[[u8; 64]], b: &[[u8; 64]]) -> [Node; 2] {
	assert_eq!(a.len(), b.len(), "as many blocks");
	#[cfg(target_arch = "x86_64")]
	if x86_64::available() {
		// SAFETY: the instructions exist.
		return unsafe { x86_64::digest_two(a, b) };
	}
	[a, b].map(|blocks| {
		let mut state = IV;
		compress(&mut state, blocks);
		truncated(&state)
	})
}

/// Asks the processor to have `node` in its cache soon. Nothing but a hint.
#[inline]
pub(crate) fn prefetch(node: &Node) {
	#[cfg(target_arch = "x86_64")]
	// SAFETY: a prefetch has no effect on memory, and the address is that of a reference.
	unsafe {
		use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
		_mm_prefetch::<_MM_HINT_T0>(node.as_ptr().cast());
	}
	#[cfg(not(target_arch = "x86_64"))]
	let _ = node;
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_primitives::hash::{inner_node, NativeSha256, Sha256};
	use rand_chacha::{rand_core::RngCore, rand_core::SeedableRng, ChaCha8Rng};

	fn random(len: usize, seed: u64) -> Vec<u8> {
		let mut bytes = vec![0; len];
		ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
		bytes
	}

	#[test]
	fn rows_agree_with_the_definition() {
		for nodes in [2usize, 4, 6, 8, 14, 62, 128] {
			let row = random(nodes * NODE, nodes as u64);
			let expected: Vec<u8> = row
				.as_chunks::<64>()
				.0
				.iter()
				.flat_map(|pair| {
					inner_node::<NativeSha256>(pair[..32].try_into().unwrap(), pair[32..].try_into().unwrap())
				})
				.collect();
			let mut parents = vec![0; row.len() / 2];
			parents_of(&row, &mut parents);
			assert_eq!(parents, expected, "{nodes} nodes");
			let mut in_place = row.clone();
			reduce(&mut in_place);
			assert_eq!(&in_place[..row.len() / 2], expected, "{nodes} nodes");
			assert_eq!(
				node(row[..32].try_into().unwrap(), row[32..64].try_into().unwrap())[..],
				expected[..32]
			);
		}
	}

	#[test]
	fn root_of_zeros() {
		let mut row = vec![0; 2048];
		assert_eq!(
			root_of(&mut row),
			cairn_primitives::commitment::ZERO_COMMITMENTS[6]
		);
		assert_eq!(root_of(&mut [7; 32]), [7; 32]);
	}

	#[test]
	fn two_messages() {
		for blocks in 1..9 {
			// The message fills all blocks but the nine bytes of padding.
			let len = blocks * 64 - 9;
			let messages = [random(len, 1), random(len, 2)];
			let padded = messages.clone().map(|mut message| {
				message.push(0x80);
				message.extend_from_slice(&(len as u64 * 8).to_be_bytes());
				message
			});
			let digests = digest_two(padded[0].as_chunks().0, padded[1].as_chunks().0);
			for (digest, message) in digests.iter().zip(&messages) {
				assert_eq!(
					*digest,
					cairn_primitives::hash::trunc(NativeSha256::digest(message))
				);
			}
		}
	}
}
