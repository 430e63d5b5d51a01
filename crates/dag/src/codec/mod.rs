//! Codecs: what the bytes of a block mean, as far as links go.
//!
//! A CID names the codec of its block. Each codec lives in a module of its own that implements
//! [`BlockCodec`]; [`Codec`] is the registry of those built in. A CID with any other codec is a typed
//! error, never a block without links.
//!
//! All but raw and dag-pb, which UnixFS is made of, are cargo features of this crate, on by default:
//! `dag-cbor`, `dag-json`, `codex`, `git`, `bittorrent`, `ethereum`.
//!
//! Blocks come from strangers, so every codec reads its bytes in one pass and keeps no more than what
//! lies between it and the root of the block: a block makes it use at most 70 times its own size, however it
//! is built, and one with links hardly more than its size unless a caller keeps them.

#[cfg(feature = "bittorrent")]
pub mod bittorrent;
#[cfg(feature = "codex")]
pub mod codex;
#[cfg(feature = "dag-cbor")]
pub mod dag_cbor;
#[cfg(feature = "dag-json")]
pub mod dag_json;
pub mod dag_pb;
#[cfg(feature = "ethereum")]
pub mod ethereum;
#[cfg(feature = "git")]
pub mod git;
mod link;

pub use link::{LinkVisitor, Segment};

use crate::block::Block;
use cid::Cid;

/// What a codec can do with a block's bytes.
pub trait BlockCodec {
	/// Multicodec code.
	const CODE: u64;
	/// Name in the multicodec table.
	const NAME: &'static str;

	/// Reads the bytes once from start to end, and shows `visit` each link with the way to it, in the
	/// order in which they stand. Links shown before an error are of a block that is not well-formed.
	///
	/// # Errors
	/// [`CodecError::Malformed`] if the bytes are not well-formed.
	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError>;

	/// Checks that the bytes are well-formed.
	///
	/// # Errors
	/// [`CodecError::Malformed`] if not.
	fn validate(data: &[u8]) -> Result<(), CodecError> {
		Self::scan(data, &mut |_, _| {})
	}

	/// Appends the CIDs that the bytes link to, in the order in which they stand.
	///
	/// # Errors
	/// [`CodecError::Malformed`] if the bytes are not well-formed; nothing is then appended.
	fn links(data: &[u8], out: &mut Vec<Cid>) -> Result<(), CodecError> {
		let before = out.len();
		let scanned = Self::scan(data, &mut |_, cid| out.push(cid));
		if scanned.is_err() {
			out.truncate(before);
		}
		scanned
	}
}

/// Bytes without structure and without links.
pub struct Raw;

impl BlockCodec for Raw {
	const CODE: u64 = 0x55;
	const NAME: &'static str = "raw";

	fn scan<'a>(_: &'a [u8], _: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		Ok(())
	}
}

/// Makes the registry from one line per codec.
macro_rules! registry {
	($( $(#[doc = $doc:literal])+ $(#[cfg($enabled:meta)])? $variant:ident($codec:ty), )+) => {
		/// The codecs built in.
		#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
		#[non_exhaustive]
		pub enum Codec {
			$( $(#[doc = $doc])+ $(#[cfg($enabled)])? $variant, )+
		}

		impl Codec {
			/// All of them.
			pub const ALL: &'static [Self] = &[$( $(#[cfg($enabled)])? Self::$variant, )+];

			/// The codec with this multicodec code, or `None` if it is not built in.
			pub fn from_code(code: u64) -> Option<Self> {
				match code {
					$( $(#[cfg($enabled)])? <$codec>::CODE => Some(Self::$variant), )+
					_ => None,
				}
			}

			/// Multicodec code.
			pub fn code(self) -> u64 {
				match self {
					$( $(#[cfg($enabled)])? Self::$variant => <$codec>::CODE, )+
				}
			}

			/// Name in the multicodec table.
			pub fn name(self) -> &'static str {
				match self {
					$( $(#[cfg($enabled)])? Self::$variant => <$codec>::NAME, )+
				}
			}

			/// As [`BlockCodec::scan`].
			///
			/// # Errors
			/// [`CodecError::Malformed`].
			pub fn scan<'a>(
				self,
				data: &'a [u8],
				visit: &mut LinkVisitor<'_, 'a>,
			) -> Result<(), CodecError> {
				match self {
					$( $(#[cfg($enabled)])? Self::$variant => <$codec>::scan(data, visit), )+
				}
			}

			/// As [`BlockCodec::validate`].
			///
			/// # Errors
			/// [`CodecError::Malformed`].
			pub fn validate(self, data: &[u8]) -> Result<(), CodecError> {
				match self {
					$( $(#[cfg($enabled)])? Self::$variant => <$codec>::validate(data), )+
				}
			}

			/// As [`BlockCodec::links`].
			///
			/// # Errors
			/// [`CodecError::Malformed`].
			pub fn links(self, data: &[u8], out: &mut Vec<Cid>) -> Result<(), CodecError> {
				match self {
					$( $(#[cfg($enabled)])? Self::$variant => <$codec>::links(data, out), )+
				}
			}
		}
	};
}

registry! {
	/// Bytes without structure, code 0x55.
	Raw(Raw),
	/// Named links and data, code 0x70: what UnixFS is made of.
	DagPb(dag_pb::DagPb),
	/// The IPLD data model as CBOR, code 0x71.
	#[cfg(feature = "dag-cbor")]
	DagCbor(dag_cbor::DagCbor),
	/// The IPLD data model as JSON, code 0x0129.
	#[cfg(feature = "dag-json")]
	DagJson(dag_json::DagJson),
	/// A git object with its header, code 0x78.
	#[cfg(feature = "git")]
	GitRaw(git::GitRaw),
	/// The info dictionary of a torrent, code 0x7b.
	#[cfg(feature = "bittorrent")]
	TorrentInfo(bittorrent::TorrentInfo),
	/// A whole torrent file, code 0x7c.
	#[cfg(feature = "bittorrent")]
	TorrentFile(bittorrent::TorrentFile),
	/// The header of an Ethereum block, code 0x90.
	#[cfg(feature = "ethereum")]
	EthBlock(ethereum::EthBlock),
	/// A list of Ethereum block headers (a block's uncles), code 0x91.
	#[cfg(feature = "ethereum")]
	EthBlockList(ethereum::EthBlockList),
	/// A node of the trie of an Ethereum block's transactions, code 0x92.
	#[cfg(feature = "ethereum")]
	EthTxTrie(ethereum::EthTxTrie),
	/// An Ethereum transaction, code 0x93.
	#[cfg(feature = "ethereum")]
	EthTx(ethereum::EthTx),
	/// A node of the trie of an Ethereum block's receipts, code 0x94.
	#[cfg(feature = "ethereum")]
	EthReceiptTrie(ethereum::EthReceiptTrie),
	/// The receipt of an Ethereum transaction, code 0x95.
	#[cfg(feature = "ethereum")]
	EthReceipt(ethereum::EthReceipt),
	/// A node of the trie of Ethereum's accounts, code 0x96.
	#[cfg(feature = "ethereum")]
	EthStateTrie(ethereum::EthStateTrie),
	/// The state of an Ethereum account, code 0x97.
	#[cfg(feature = "ethereum")]
	EthAccount(ethereum::EthAccount),
	/// A node of the trie of an Ethereum contract's storage, code 0x98.
	#[cfg(feature = "ethereum")]
	EthStorageTrie(ethereum::EthStorageTrie),
	/// The manifest of a Codex dataset, code 0xcd01.
	#[cfg(feature = "codex")]
	CodexManifest(codex::CodexManifest),
	/// A block of a Codex dataset, code 0xcd02.
	#[cfg(feature = "codex")]
	CodexBlock(codex::CodexBlock),
	/// A node of a Codex dataset's tree, code 0xcd03.
	#[cfg(feature = "codex")]
	CodexRoot(codex::CodexRoot),
	/// The root of a Codex slot, code 0xcd04.
	#[cfg(feature = "codex")]
	CodexSlotRoot(codex::CodexSlotRoot),
	/// The root over the slots of a Codex dataset, code 0xcd05.
	#[cfg(feature = "codex")]
	CodexProvingRoot(codex::CodexProvingRoot),
	/// A cell of a Codex slot, code 0xcd06.
	#[cfg(feature = "codex")]
	CodexSlotCell(codex::CodexSlotCell),
}

impl Codec {
	/// The codec of a CID.
	///
	/// # Errors
	/// [`CodecError::Unsupported`] if it is not built in.
	pub fn of(cid: &Cid) -> Result<Self, CodecError> {
		Self::from_code(cid.codec()).ok_or(CodecError::Unsupported { code: cid.codec() })
	}

	/// The codec with this name in the multicodec table, or `None` if it is not built in.
	pub fn from_name(name: &str) -> Option<Self> {
		Self::ALL.iter().copied().find(|codec| codec.name() == name)
	}
}

/// The CIDs a block links to, in the order in which they stand, repeated ones included.
///
/// # Errors
/// [`CodecError`] if the block's codec is not built in or its bytes are not well-formed.
pub fn links(block: &Block) -> Result<Vec<Cid>, CodecError> {
	let mut out = Vec::new();
	Codec::of(block.cid())?.links(block.data(), &mut out)?;
	Ok(out)
}

/// Shows `visit` each link of a block, as [`BlockCodec::scan`] does.
///
/// # Errors
/// As [`links`].
pub fn scan<'a>(block: &'a Block, visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
	Codec::of(block.cid())?.scan(block.data(), visit)
}

/// Checks that a block's bytes are well-formed for its codec.
///
/// # Errors
/// As [`links`].
pub fn validate(block: &Block) -> Result<(), CodecError> {
	Codec::of(block.cid())?.validate(block.data())
}

/// Why a block's links cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
	/// The codec is not built in.
	#[error("codec {code:#x} is not supported")]
	Unsupported {
		/// Multicodec code.
		code: u64,
	},
	/// The bytes are not well-formed.
	#[error("malformed {codec} block: {reason}")]
	Malformed {
		/// Name of the codec.
		codec: &'static str,
		/// What is wrong.
		reason: &'static str,
	},
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn codes_and_names_round_trip_and_are_distinct() {
		for codec in Codec::ALL {
			assert_eq!(Codec::from_code(codec.code()), Some(*codec));
			assert_eq!(Codec::from_name(codec.name()), Some(*codec));
		}
		assert_eq!(Codec::from_code(0xd5), None);
		assert_eq!(Codec::from_name("md5"), None);
	}
}
