//! Frames of the native exchange as bytes: `docs/src/exchange.md` is the specification.
//!
//! A stream carries the requests of the peer that opened it one way and their answers the other way,
//! each a frame: its length as a varint, one byte of type, the body. [`Request::decode`] and
//! [`Response::decode`] are pure functions of hostile bytes, and make at most a small multiple of them.

mod body;
mod request;
mod response;

pub use request::{Range, Request, WantKind};
pub use response::{block_frames, Answer, CloseReason, Response, WalkEnd};

use cairn_dag::varint;
use libp2p::StreamProtocol;

/// Name of the protocol.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/cairn/exchange/1");

/// Largest frame in bytes, without the length in front: 1 MiB.
pub const MAX_FRAME: usize = 1 << 20;

/// Largest block in bytes: 4 MiB. It takes several frames.
pub const MAX_BLOCK: usize = 4 << 20;

/// Most CIDs of one [`Request::Want`].
pub const MAX_CIDS: usize = 1024;

/// Most answers of one [`Response::Answers`].
pub const MAX_ANSWERS: usize = 1024;

/// Data of a block in one frame: leaves room for what stands in front of it.
const MAX_DATA: usize = MAX_FRAME - 256;

/// Most bytes of the text of a [`Response::Close`].
const MAX_TEXT: usize = 256;

/// Number of a want or walk, chosen by the requester. Each is larger than all before on the stream.
pub type Id = u32;

/// Types of frames.
mod tag {
	pub const WANT: u8 = 0x01;
	pub const CANCEL: u8 = 0x02;
	pub const WALK_BYTES: u8 = 0x03;
	pub const WALK_LEAVES: u8 = 0x04;
	pub const BLOCK: u8 = 0x10;
	pub const MORE: u8 = 0x11;
	pub const ANSWERS: u8 = 0x12;
	pub const WALK_BLOCK: u8 = 0x13;
	pub const WALK_END: u8 = 0x14;
	pub const CLOSE: u8 = 0x1f;
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
	/// Longer than [`MAX_FRAME`].
	#[error("the frame has {len} bytes, the limit is {MAX_FRAME}")]
	TooLong {
		/// Its bytes.
		len: usize,
	},
	/// It ends before what it must hold.
	#[error("the frame is cut off")]
	Truncated,
	/// An integer is malformed.
	#[error("the frame has a malformed integer: {0}")]
	Integer(#[from] varint::VarintError),
	/// A type of frame that this direction does not have.
	#[error("unknown type of frame {kind:#04x}")]
	Type {
		/// The type.
		kind: u8,
	},
	/// A field has a value that it may not have.
	#[error("the frame's {field} is not allowed")]
	Value {
		/// Which field.
		field: &'static str,
	},
	/// Bytes after the end.
	#[error("{len} bytes follow the end of the frame")]
	Trailing {
		/// How many.
		len: usize,
	},
}

#[cfg(test)]
mod tests;
