//! Blocks, with the prefixes of their CIDs.

use super::DecodeError;
use bytes::Bytes;
use cairn_dag::{block::BlockError, hash::IDENTITY, varint, Block, Cid, HashFunction};

/// A block as it was received: the CID is what the data and the prefix make, not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
	pub(super) prefix: Prefix,
	pub(super) data: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
	v0: bool,
	codec: u64,
	hash: HashFunction,
}

impl Payload {
	/// Hashes the data to the block. Slow: belongs on a blocking thread.
	///
	/// # Errors
	/// [`BlockError::WeakHash`] if Cairn does not trust the hash function for the codec.
	pub fn into_block(self) -> Result<Block, BlockError> {
		if self.prefix.v0 {
			return Ok(Block::encode_v0(self.data));
		}
		let cid = Cid::new_v1(self.prefix.codec, self.prefix.hash.digest(&self.data));
		if self.prefix.hash.is_collision_resistant() {
			// The CID was computed from the data just now.
			return Ok(Block::assume_verified(cid, self.data));
		}
		Block::new(cid, self.data)
	}

	/// Bytes of the data.
	pub fn len(&self) -> usize {
		self.data.len()
	}

	/// Whether there are none.
	pub fn is_empty(&self) -> bool {
		self.data.is_empty()
	}
}

/// Four integers.
pub const MAX_PREFIX: usize = 4 * varint::MAX_LEN;

/// A CID without its digest: version, codec, hash function and length of the digest, all varints.
pub fn encode_prefix(cid: &Cid) -> Vec<u8> {
	let mut out = Vec::with_capacity(8);
	for number in [
		cid.version().into(),
		cid.codec(),
		cid.hash().code(),
		u64::from(cid.hash().size()),
	] {
		varint::encode(number, &mut out);
	}
	out
}

impl Prefix {
	pub const V0: Self = Self {
		v0: true,
		codec: 0x70,
		hash: HashFunction::Sha2_256,
	};

	/// `None` if Cairn cannot compute the hash.
	pub fn decode(mut bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
		let mut numbers = [0; 4];
		for number in &mut numbers {
			let (value, len) = varint::decode(bytes).map_err(|_| DecodeError::Prefix)?;
			*number = value;
			bytes = &bytes[len..];
		}
		let [version, codec, hash, digest_len] = numbers;
		if !bytes.is_empty() || version > 1 || hash == IDENTITY {
			return Err(DecodeError::Prefix);
		}
		let Some(hash) = HashFunction::from_code(hash).filter(|hash| hash.digest_len() as u64 == digest_len)
		else {
			return Ok(None);
		};
		if version == 1 {
			return Ok(Some(Self {
				v0: false,
				codec,
				hash,
			}));
		}
		if (codec, hash) != (Self::V0.codec, Self::V0.hash) {
			return Err(DecodeError::Prefix);
		}
		Ok(Some(Self::V0))
	}
}
