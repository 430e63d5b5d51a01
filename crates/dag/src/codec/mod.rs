//! Codecs: what the bytes of a block mean, as far as links go.
//!
//! A CID names the codec of its block. Each codec lives in a module of its own that implements
//! [`BlockCodec`]; [`Codec`] is the registry of those built in. A CID with any other codec is a typed
//! error, never a block without links.

pub mod dag_pb;

use crate::block::Block;
use cid::Cid;

/// What a codec can do with a block's bytes.
pub trait BlockCodec {
	/// Multicodec code.
	const CODE: u64;
	/// Name in the multicodec table.
	const NAME: &'static str;

	/// Checks that the bytes are well-formed.
	///
	/// # Errors
	/// [`CodecError::Malformed`] if not.
	fn validate(data: &[u8]) -> Result<(), CodecError>;

	/// Appends the CIDs that the bytes link to, in the order in which they stand.
	///
	/// # Errors
	/// [`CodecError::Malformed`] if the bytes are not well-formed.
	fn links(data: &[u8], out: &mut Vec<Cid>) -> Result<(), CodecError>;
}

/// Bytes without structure and without links.
pub struct Raw;

impl BlockCodec for Raw {
	const CODE: u64 = 0x55;
	const NAME: &'static str = "raw";

	fn validate(_: &[u8]) -> Result<(), CodecError> {
		Ok(())
	}
	fn links(_: &[u8], _: &mut Vec<Cid>) -> Result<(), CodecError> {
		Ok(())
	}
}

/// The codecs built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
	/// Bytes without structure, code 0x55.
	Raw,
	/// Named links and data, code 0x70: what UnixFS is made of.
	DagPb,
}

impl Codec {
	/// The codec with this multicodec code, or `None` if it is not built in.
	pub fn from_code(code: u64) -> Option<Self> {
		match code {
			Raw::CODE => Some(Self::Raw),
			dag_pb::DagPb::CODE => Some(Self::DagPb),
			_ => None,
		}
	}

	/// The codec of a CID.
	///
	/// # Errors
	/// [`CodecError::Unsupported`] if it is not built in.
	pub fn of(cid: &Cid) -> Result<Self, CodecError> {
		Self::from_code(cid.codec()).ok_or(CodecError::Unsupported { code: cid.codec() })
	}

	/// Multicodec code.
	pub fn code(self) -> u64 {
		match self {
			Self::Raw => Raw::CODE,
			Self::DagPb => dag_pb::DagPb::CODE,
		}
	}

	/// Name in the multicodec table.
	pub fn name(self) -> &'static str {
		match self {
			Self::Raw => Raw::NAME,
			Self::DagPb => dag_pb::DagPb::NAME,
		}
	}

	/// As [`BlockCodec::validate`].
	///
	/// # Errors
	/// [`CodecError::Malformed`].
	pub fn validate(self, data: &[u8]) -> Result<(), CodecError> {
		match self {
			Self::Raw => Raw::validate(data),
			Self::DagPb => dag_pb::DagPb::validate(data),
		}
	}

	/// As [`BlockCodec::links`].
	///
	/// # Errors
	/// [`CodecError::Malformed`].
	pub fn links(self, data: &[u8], out: &mut Vec<Cid>) -> Result<(), CodecError> {
		match self {
			Self::Raw => Raw::links(data, out),
			Self::DagPb => dag_pb::DagPb::links(data, out),
		}
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
