//! The hash functions that address blocks.

use cid::multihash::Multihash;
use multihash_codetable::{Code, MultihashDigest};

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
		self.table_entry().into()
	}

	/// Hashes `data` to a multihash.
	pub fn digest(self, data: &[u8]) -> Multihash<64> {
		self.table_entry().digest(data)
	}

	fn table_entry(self) -> Code {
		match self {
			Self::Sha2_256 => Code::Sha2_256,
			Self::Sha2_512 => Code::Sha2_512,
			Self::Keccak256 => Code::Keccak256,
			Self::Blake3 => Code::Blake3_256,
			Self::Blake2b256 => Code::Blake2b256,
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn codes_round_trip_and_digests_match_published_vectors() {
		let all = [
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
			assert_eq!(hex::encode(function.digest(b"").digest()), digest_of_nothing);
		}
		assert_eq!(HashFunction::from_code(0x11), None);
	}
}
