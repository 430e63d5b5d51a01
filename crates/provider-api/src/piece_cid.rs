//! Piece CIDs, the text form of a piece at the edges. The chain stores the raw commitment.
//!
//! Version 1 (`fil-commitment-unsealed`, `sha2-256-trunc254-padded`) is CommP alone. Version 2 (`raw`,
//! `fr32-sha2-256-trunc254-padded-binary-tree`, [FRC-0069]) carries padding and height, so that it
//! names the payload's size too.
//!
//! [FRC-0069]: https://github.com/filecoin-project/FIPs/blob/master/FRCs/frc-0069.md

use crate::cid_text::{self, CidTextError};
use cairn_primitives::{piece::capacity, Commitment, PieceInfo};
use cid::{multihash::Multihash, Cid};

/// Multicodec `fil-commitment-unsealed`.
pub const FIL_COMMITMENT_UNSEALED: u64 = 0xf101;
/// Multicodec `sha2-256-trunc254-padded`.
pub const SHA2_256_TRUNC254_PADDED: u64 = 0x1012;
/// Multicodec `fr32-sha2-256-trunc254-padded-binary-tree`.
pub const FR32_SHA256_TRUNC254_PADDED_BINARY_TREE: u64 = 0x1011;
/// Multicodec `raw`.
const RAW: u64 = 0x55;

/// Why a CID is not a piece CID.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PieceCidError {
	/// Not a CID.
	#[error(transparent)]
	NotACid(#[from] CidTextError),
	/// A CID of something else.
	#[error("a CID, but not of a piece (codec {codec:#x}, hash {hash:#x})")]
	NotAPiece {
		/// Its codec.
		codec: u64,
		/// Its hash function.
		hash: u64,
	},
	/// The digest has another length, height or padding than a piece's.
	#[error("the piece CID's digest is malformed")]
	Digest,
}

/// A piece as a CID names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NamedPiece {
	/// Version 1: the commitment alone.
	V1(Commitment),
	/// Version 2: with its sizes.
	V2(PieceInfo),
}

impl NamedPiece {
	/// The commitment.
	pub const fn commitment(&self) -> &Commitment {
		match self {
			NamedPiece::V1(commitment) => commitment,
			NamedPiece::V2(piece) => &piece.commitment,
		}
	}
}

/// Piece CID version 1.
pub fn v1(commitment: &Commitment) -> Cid {
	let hash = Multihash::wrap(SHA2_256_TRUNC254_PADDED, commitment)
		// 32 bytes fit the 64 that a CID's multihash holds.
		.expect("a commitment is shorter than 64 bytes");
	Cid::new_v1(FIL_COMMITMENT_UNSEALED, hash)
}

/// Piece CID version 2. `None` if the sizes are impossible.
pub fn v2(piece: &PieceInfo) -> Option<Cid> {
	if !piece.is_valid() {
		return None;
	}
	let mut padding = capacity(piece.size_log2) - piece.payload_size;
	let mut digest = Vec::with_capacity(43);
	while padding >= 0x80 {
		digest.push(padding as u8 | 0x80);
		padding >>= 7;
	}
	digest.push(padding as u8);
	digest.push(piece.size_log2 - 5);
	digest.extend_from_slice(&piece.commitment);
	let hash = Multihash::wrap(FR32_SHA256_TRUNC254_PADDED_BINARY_TREE, &digest).ok()?;
	Some(Cid::new_v1(RAW, hash))
}

/// The piece CID that says most: version 2, or version 1 if the sizes are impossible.
pub fn of(piece: &PieceInfo) -> Cid {
	v2(piece).unwrap_or_else(|| v1(&piece.commitment))
}

/// Reads a piece CID of either version.
///
/// # Errors
/// See [`PieceCidError`].
pub fn parse(text: &str) -> Result<NamedPiece, PieceCidError> {
	from_cid(&cid_text::parse(text)?)
}

/// Reads a piece CID of either version.
///
/// # Errors
/// See [`PieceCidError`].
pub fn from_cid(cid: &Cid) -> Result<NamedPiece, PieceCidError> {
	let digest = cid.hash().digest();
	match (cid.codec(), cid.hash().code()) {
		(FIL_COMMITMENT_UNSEALED, SHA2_256_TRUNC254_PADDED) => digest
			.try_into()
			.map(NamedPiece::V1)
			.map_err(|_| PieceCidError::Digest),
		(RAW, FR32_SHA256_TRUNC254_PADDED_BINARY_TREE) => from_v2_digest(digest)
			.map(NamedPiece::V2)
			.ok_or(PieceCidError::Digest),
		(codec, hash) => Err(PieceCidError::NotAPiece { codec, hash }),
	}
}

fn from_v2_digest(digest: &[u8]) -> Option<PieceInfo> {
	let varint_len = digest.iter().take(9).position(|byte| byte & 0x80 == 0)? + 1;
	let (varint, rest) = digest.split_at(varint_len);
	if varint_len > 1 && varint.last() == Some(&0) {
		return None;
	}
	let padding = varint
		.iter()
		.rev()
		.fold(0u64, |value, byte| value << 7 | u64::from(byte & 0x7f));
	let (height, commitment) = rest.split_first()?;
	let size_log2 = height.checked_add(5)?;
	let piece = PieceInfo {
		commitment: commitment.try_into().ok()?,
		size_log2,
		payload_size: capacity(size_log2).checked_sub(padding)?,
	};
	piece.is_valid().then_some(piece)
}

#[cfg(test)]
mod tests {
	use super::*;

	/// Vector of FRC-0069: 127 bytes of zeros... its piece CID version 1 is the well-known one of an
	/// all-zero 128-byte piece.
	#[test]
	fn zero_piece_vectors() {
		let commitment: Commitment =
			hex::decode("3731bb99ac689f66eef5973e4a94da188f4ddcae580724fc6f3fd60dfd488333")
				.unwrap()
				.try_into()
				.unwrap();
		let cid = v1(&commitment);
		assert_eq!(
			cid.to_string(),
			"baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy"
		);
		assert_eq!(parse(&cid.to_string()), Ok(NamedPiece::V1(commitment)));
	}

	#[test]
	fn version_2_round_trips() {
		for (size_log2, payload_size) in [(7, 127), (7, 1), (11, 2000), (30, 1 << 29), (36, 5)] {
			let piece = PieceInfo {
				commitment: [7; 32],
				size_log2,
				payload_size,
			};
			let cid = v2(&piece).expect("valid");
			assert_eq!(from_cid(&cid), Ok(NamedPiece::V2(piece)));
		}
		assert_eq!(
			v2(&PieceInfo {
				commitment: [0; 32],
				size_log2: 7,
				payload_size: 128
			}),
			None
		);
	}

	#[test]
	fn other_cids_and_digests_are_refused() {
		for (text, error) in [
			("z".repeat(60_000), CidTextError::TooLong),
			(format!("/ipfs/{}", v1(&[7; 32])), CidTextError::Path),
		] {
			assert_eq!(parse(&text), Err(PieceCidError::NotACid(error)));
		}
		assert!(matches!(parse("hello"), Err(PieceCidError::NotACid(_))));
		let short = Cid::new_v1(
			FIL_COMMITMENT_UNSEALED,
			Multihash::wrap(SHA2_256_TRUNC254_PADDED, &[1; 31]).unwrap(),
		);
		assert_eq!(from_cid(&short), Err(PieceCidError::Digest));
		let raw = Cid::new_v1(RAW, Multihash::wrap(0x12, &[1; 32]).unwrap());
		assert_eq!(
			from_cid(&raw),
			Err(PieceCidError::NotAPiece {
				codec: RAW,
				hash: 0x12
			})
		);
		for digest in [&[][..], &[0x80; 40], &[0; 33], &[0xff; 20], &[0, 250, 1]] {
			let hash = Multihash::wrap(FR32_SHA256_TRUNC254_PADDED_BINARY_TREE, digest).unwrap();
			assert_eq!(
				from_cid(&Cid::new_v1(RAW, hash)),
				Err(PieceCidError::Digest),
				"{digest:?}"
			);
		}
	}
}
