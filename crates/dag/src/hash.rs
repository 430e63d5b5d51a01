//! The hash functions that address blocks.

use cid::multihash::Multihash;
use multihash_codetable::{Code, MultihashDigest};
use sha1::{Digest, Sha1};

/// Multicodec code of SHA-1, which the table of the library leaves out as broken.
const SHA1: u64 = 0x11;

/// Multicodec code of the identity "hash": the digest is the block itself.
pub const IDENTITY: u64 = 0x00;

/// Hash functions that Cairn computes, with their multicodec codes.
///
/// [`Sha2_256`](Self::Sha2_256) is what Cairn and IPFS use by default. Source of the codes: the
/// [multicodec table](https://github.com/multiformats/multicodec/blob/master/table.csv).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashFunction {
	/// SHA-256, code 0x12.
	#[default]
	Sha2_256,
	/// SHA-512, code 0x13.
	Sha2_512,
	/// SHA-1, code 0x11: only to read what git and BitTorrent addressed with it. Collisions can be
	/// made, so a block under it proves what it is only to who trusts its author.
	Sha1,
	/// Keccak-256 as Ethereum uses it, code 0x1b.
	Keccak256,
	/// BLAKE3 with 32 bytes of output, code 0x1e.
	Blake3,
	/// BLAKE2b with 32 bytes of output, code 0xb220.
	Blake2b256,
}

impl HashFunction {
	/// The function with this multicodec code, or `None` if Cairn does not compute it.
	pub fn from_code(code: u64) -> Option<Self> {
		match code {
			SHA1 => Some(Self::Sha1),
			0x12 => Some(Self::Sha2_256),
			0x13 => Some(Self::Sha2_512),
			0x1b => Some(Self::Keccak256),
			0x1e => Some(Self::Blake3),
			0xb220 => Some(Self::Blake2b256),
			_ => None,
		}
	}

	/// The multicodec code.
	pub fn code(self) -> u64 {
		self.table_entry().map_or(SHA1, u64::from)
	}

	/// Whether others cannot make two blocks with one hash.
	pub fn is_collision_resistant(self) -> bool {
		!matches!(self, Self::Sha1)
	}

	/// Hashes `data` to a multihash.
	pub fn digest(self, data: &[u8]) -> Multihash<64> {
		match self.table_entry() {
			Some(function) => function.digest(data),
			None => Multihash::wrap(SHA1, &Sha1::digest(data)).expect("20 bytes fit in 64"),
		}
	}

	/// The multihash of a digest that was computed elsewhere, or `None` if it is not as long as the
	/// function's.
	pub fn wrap(self, digest: &[u8]) -> Option<Multihash<64>> {
		if digest.len() != self.digest_len() {
			return None;
		}
		Multihash::wrap(self.code(), digest).ok()
	}

	/// Bytes of a digest.
	pub fn digest_len(self) -> usize {
		match self {
			Self::Sha1 => 20,
			Self::Sha2_256 | Self::Keccak256 | Self::Blake3 | Self::Blake2b256 => 32,
			Self::Sha2_512 => 64,
		}
	}

	fn table_entry(self) -> Option<Code> {
		match self {
			Self::Sha2_256 => Some(Code::Sha2_256),
			Self::Sha2_512 => Some(Code::Sha2_512),
			Self::Sha1 => None,
			Self::Keccak256 => Some(Code::Keccak256),
			Self::Blake3 => Some(Code::Blake3_256),
			Self::Blake2b256 => Some(Code::Blake2b256),
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn codes_round_trip_and_digests_match_published_vectors() {
		let all = [
			(HashFunction::Sha1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
			(
				HashFunction::Sha2_256,
				"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			),
			(
				HashFunction::Sha2_512,
				"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
				 47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
			),
			(
				HashFunction::Keccak256,
				"c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
			),
			(
				HashFunction::Blake3,
				"af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
			),
			(
				HashFunction::Blake2b256,
				"0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8",
			),
		];
		for (function, digest_of_nothing) in all {
			assert_eq!(HashFunction::from_code(function.code()), Some(function));
			let hash = function.digest(b"");
			assert_eq!(hex::encode(hash.digest()), digest_of_nothing);
			assert_eq!(function.wrap(hash.digest()), Some(hash));
			assert_eq!(function.wrap(&hash.digest()[1..]), None);
		}
		// MD5.
		assert_eq!(HashFunction::from_code(0xd5), None);
	}
}
