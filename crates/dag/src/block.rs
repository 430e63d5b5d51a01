//! A block: bytes and the CID they hash to.

use crate::{
	codec::Codec,
	hash::{HashFunction, IDENTITY},
	varint,
};
use bytes::Bytes;
use cid::{multihash::Multihash, Cid};

/// Bytes under the CID they hash to.
///
/// Holding a `Block` means the hash was checked: [`Block::new`] re-hashes, [`Block::encode`] derives
/// the CID. Cloning is cheap, the bytes are shared.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Block {
	cid: Cid,
	data: Bytes,
}

impl Block {
	/// Checks that `data` hashes to `cid`.
	///
	/// # Errors
	/// [`BlockError::HashMismatch`] if it does not, [`BlockError::UnsupportedHash`] if Cairn cannot
	/// compute the CID's hash function, [`BlockError::WeakHash`] if Cairn does not trust it for the
	/// CID's codec.
	pub fn new(cid: Cid, data: impl Into<Bytes>) -> Result<Self, BlockError> {
		let data = data.into();
		verify(&cid, &data)?;
		Ok(Self { cid, data })
	}

	/// Makes the block of `data`: CIDv1 with SHA-256.
	pub fn encode(codec: Codec, data: impl Into<Bytes>) -> Self {
		Self::encode_with(codec, HashFunction::Sha2_256, data)
	}

	/// Makes the block of `data`: CIDv1 with the given hash function. SHA-1 makes blocks that only
	/// the codecs of git and BitTorrent, and raw, are read under.
	pub fn encode_with(codec: Codec, hash: HashFunction, data: impl Into<Bytes>) -> Self {
		let data = data.into();
		Self {
			cid: Cid::new_v1(codec.code(), hash.digest(&data)),
			data,
		}
	}

	/// Makes the dag-pb block of `data` under a CIDv0, which implies SHA-256.
	pub fn encode_v0(data: impl Into<Bytes>) -> Self {
		let data = data.into();
		let hash = HashFunction::Sha2_256.digest(&data);
		// Only a digest that is not 32 bytes of SHA-256 is refused.
		let cid = Cid::new_v0(hash).expect("SHA-256 makes a CIDv0");
		Self { cid, data }
	}

	/// Takes the caller's word that `data` hashes to `cid`: for bytes whose hash was checked before,
	/// such as those of a store that checks on the way in, or when the user turned checking off.
	pub fn assume_verified(cid: Cid, data: impl Into<Bytes>) -> Self {
		Self {
			cid,
			data: data.into(),
		}
	}

	/// The block inside an identity CID, or `None` for every other CID.
	pub fn from_identity(cid: &Cid) -> Option<Self> {
		(cid.hash().code() == IDENTITY).then(|| Self {
			cid: *cid,
			data: Bytes::copy_from_slice(cid.hash().digest()),
		})
	}

	/// The address.
	pub fn cid(&self) -> &Cid {
		&self.cid
	}

	/// The content.
	pub fn data(&self) -> &[u8] {
		&self.data
	}

	/// The content, for sharing without copying.
	pub fn bytes(&self) -> &Bytes {
		&self.data
	}

	/// Address and content.
	pub fn into_parts(self) -> (Cid, Bytes) {
		(self.cid, self.data)
	}
}

impl std::fmt::Debug for Block {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		write!(f, "Block({}, {} bytes)", self.cid, self.data.len())
	}
}

/// Longest CID in bytes: four integers and 64 bytes of digest.
const MAX_CID_LEN: usize = 4 * varint::MAX_LEN + 64;

/// The CID at the start of `bytes`, and its length. `None` if there is none, or one that is not written in
/// the only form that it has.
pub fn read_cid(bytes: &[u8]) -> Option<(Cid, usize)> {
	let mut rest = bytes;
	let cid = Cid::read_bytes(&mut rest).ok()?;
	let len = bytes.len() - rest.len();
	// The library drops the bits of an integer that lie beyond its 64th, so that several forms would read as
	// one CID.
	let mut form = [0; MAX_CID_LEN];
	let written = cid.write_bytes(&mut form[..]).ok()?;
	(form[..written] == bytes[..len]).then_some((cid, len))
}

/// Codecs whose blocks come with SHA-1 from where they were made: raw (a torrent's pieces), git-raw,
/// bencode, torrent-info, torrent-file.
const ADDRESSED_BY_SHA1: [u64; 5] = [0x55, 0x78, 0x63, 0x7b, 0x7c];

/// Checks that a block can be known by `cid`, whatever its bytes are: [`Block::new`] takes none under a CID
/// that is refused here.
///
/// # Errors
/// [`BlockError::UnsupportedHash`] and [`BlockError::WeakHash`].
pub fn check_address(cid: &Cid) -> Result<(), BlockError> {
	let code = cid.hash().code();
	if code == IDENTITY {
		return Ok(());
	}
	let function = HashFunction::from_code(code).ok_or(BlockError::UnsupportedHash { cid: *cid, code })?;
	if !function.is_collision_resistant() && !ADDRESSED_BY_SHA1.contains(&cid.codec()) {
		return Err(BlockError::WeakHash { cid: *cid });
	}
	Ok(())
}

/// Checks that `data` hashes to `cid`, without making a block of it.
///
/// # Errors
/// As [`Block::new`].
pub fn verify(cid: &Cid, data: &[u8]) -> Result<(), BlockError> {
	check_address(cid)?;
	let expected = cid.hash();
	let actual = if expected.code() == IDENTITY {
		if expected.digest() == data {
			return Ok(());
		}
		// More than 64 bytes do not fit an identity multihash, and then differ anyway.
		Multihash::wrap(IDENTITY, data.get(..64).unwrap_or(data)).ok()
	} else {
		HashFunction::from_code(expected.code()).map(|function| function.digest(data))
	};
	match actual {
		Some(actual) if actual == *expected => Ok(()),
		_ => Err(BlockError::HashMismatch { cid: *cid }),
	}
}

/// Why bytes are not the block of a CID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
	/// The bytes hash to something else.
	#[error("the bytes are not those of block {cid}: their hash differs")]
	HashMismatch {
		/// The CID asked for.
		cid: Cid,
	},
	/// The CID's hash function is not one that Cairn computes.
	#[error("block {cid} is addressed with hash function {code:#x}, which is not supported")]
	UnsupportedHash {
		/// The CID asked for.
		cid: Cid,
		/// Multicodec code of the function.
		code: u64,
	},
	/// The CID's hash function is broken, and Cairn reads only git's and BitTorrent's blocks by it.
	#[error("block {cid} is addressed with SHA-1, which is not accepted for its codec")]
	WeakHash {
		/// The CID asked for.
		cid: Cid,
	},
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn one_flipped_bit_is_refused() {
		for hash in [
			HashFunction::Sha2_256,
			HashFunction::Sha2_512,
			HashFunction::Keccak256,
			HashFunction::Blake3,
			HashFunction::Blake2b256,
		] {
			let block = Block::encode_with(Codec::Raw, hash, &b"some bytes"[..]);
			assert!(Block::new(*block.cid(), block.bytes().clone()).is_ok());
			let mut wrong = block.data().to_vec();
			wrong[3] ^= 1;
			assert_eq!(
				Block::new(*block.cid(), wrong),
				Err(BlockError::HashMismatch { cid: *block.cid() })
			);
		}
	}

	#[test]
	fn truncated_digests_are_refused() {
		let full = HashFunction::Sha2_256.digest(b"x");
		let short = Multihash::wrap(0x12, &full.digest()[..16]).unwrap();
		let cid = Cid::new_v1(0x55, short);
		assert_eq!(Block::new(cid, &b"x"[..]), Err(BlockError::HashMismatch { cid }));
	}

	#[test]
	fn cids_have_one_form() {
		let block = Block::encode(Codec::Raw, &b"x"[..]);
		let bytes = [&block.cid().to_bytes()[..], b"x"].concat();
		assert_eq!(read_cid(&bytes), Some((*block.cid(), bytes.len() - 1)));
		assert_eq!(read_cid(&bytes[..20]), None);
		let largest = Cid::new_v1(u64::MAX, Multihash::wrap(u64::MAX, &[1; 64]).unwrap());
		let mut bytes = largest.to_bytes();
		assert_eq!(read_cid(&bytes), Some((largest, bytes.len())));
		// The codec's tenth byte with bits beyond the 64th.
		bytes[10] = 0x7f;
		assert_eq!(Cid::read_bytes(&bytes[..]).unwrap(), largest);
		assert_eq!(read_cid(&bytes), None);
		bytes[10] = 2;
		assert_eq!(read_cid(&bytes), None);
	}

	#[test]
	fn sha1_is_for_git_and_bittorrent() {
		let hash = HashFunction::Sha1.digest(b"x");
		for codec in [0x55, 0x63, 0x78, 0x7b, 0x7c] {
			let cid = Cid::new_v1(codec, hash);
			assert!(Block::new(cid, &b"x"[..]).is_ok());
			assert_eq!(Block::new(cid, &b"y"[..]), Err(BlockError::HashMismatch { cid }));
		}
		for codec in [0x70, 0x71, 0x90, 0xcd02, 0x0129] {
			let cid = Cid::new_v1(codec, hash);
			assert_eq!(Block::new(cid, &b"x"[..]), Err(BlockError::WeakHash { cid }));
		}
	}

	#[test]
	fn identity_and_unknown_hashes() {
		let cid = Cid::new_v1(0x55, Multihash::wrap(IDENTITY, b"inline").unwrap());
		assert_eq!(Block::from_identity(&cid).unwrap().data(), b"inline");
		assert!(Block::new(cid, &b"inline"[..]).is_ok());
		assert!(Block::new(cid, &b"inlinf"[..]).is_err());
		assert!(Block::new(cid, vec![0; 1000]).is_err());
		let md5 = Cid::new_v1(0x55, Multihash::wrap(0xd5, &[0; 16]).unwrap());
		assert_eq!(
			Block::new(md5, &b""[..]),
			Err(BlockError::UnsupportedHash { cid: md5, code: 0xd5 })
		);
		assert!(Block::from_identity(&md5).is_none());
	}
}
