//! Messages that were received.

use super::{
	payload::{Payload, Prefix},
	proto, Presence, Want, WantKind, WantList, MAX_MESSAGE, MAX_PARTS,
};
use bytes::Bytes;
use cairn_dag::{block::read_cid, Cid};
use prost::{
	encoding::{decode_key, decode_varint, skip_field, DecodeContext, WireType},
	Message as _,
};

/// A message that was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
	/// What it says of the sender's wants.
	pub wants: WantList,
	/// Blocks, not verified.
	pub blocks: Vec<Payload>,
	/// Answers to wants.
	pub presences: Vec<Presence>,
	/// Bytes of blocks that the sender has yet to send for the wants it knows.
	pub pending_bytes: u32,
}

impl Message {
	/// Reads a message: the bytes behind the length.
	///
	/// # Errors
	/// [`DecodeError`]. A block that Cairn cannot verify (of an unknown hash function) is left out
	/// instead: nobody here can have asked for it.
	pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
		if bytes.len() > MAX_MESSAGE {
			return Err(DecodeError::TooLong { len: bytes.len() });
		}
		count_parts(&bytes)?;
		let message_len = bytes.len();
		let proto = proto::Message::decode(bytes)?;
		let list = proto.wantlist.unwrap_or_default();
		let mut wants = WantList {
			full: list.full,
			..WantList::default()
		};
		for entry in list.entries {
			let cid = cid(&entry.cid)?;
			if entry.cancel {
				wants.cancels.push(cid);
			} else {
				wants.wants.push(Want {
					cid,
					priority: entry.priority,
					// An unknown kind is read as the default, as protobuf wants it.
					kind: match entry.want_type {
						1 => WantKind::Have,
						_ => WantKind::Block,
					},
					send_dont_have: entry.send_dont_have,
				});
			}
		}
		let mut blocks = Vec::with_capacity(proto.blocks.len() + proto.payload.len());
		blocks.extend(proto.blocks.into_iter().map(|data| Payload {
			prefix: Prefix::V0,
			data: detach(data, message_len),
		}));
		for block in proto.payload {
			if let Some(prefix) = Prefix::decode(&block.prefix)? {
				blocks.push(Payload {
					prefix,
					data: detach(block.data, message_len),
				});
			}
		}
		let presences = proto.block_presences.into_iter().map(|presence| {
			Ok(Presence {
				cid: cid(&presence.cid)?,
				have: presence.kind == 0,
			})
		});
		Ok(Self {
			wants,
			blocks,
			presences: presences.collect::<Result<_, DecodeError>>()?,
			pending_bytes: proto.pending_bytes.max(0) as u32,
		})
	}
}

/// The data by itself, unless it is most of the message: else a small block would keep the memory of a
/// large message for as long as it lives.
fn detach(data: Bytes, message_len: usize) -> Bytes {
	if data.len() >= message_len / 2 {
		data
	} else {
		Bytes::copy_from_slice(&data)
	}
}

fn cid(bytes: &[u8]) -> Result<Cid, DecodeError> {
	match read_cid(bytes) {
		Some((cid, len)) if len == bytes.len() => Ok(cid),
		_ => Err(DecodeError::Cid),
	}
}

/// Refuses a message of more parts than [`MAX_PARTS`], before anything is made of it.
fn count_parts(bytes: &Bytes) -> Result<(), DecodeError> {
	let mut parts = [0usize; 4];
	let mut count = |part: usize| {
		parts[part] += 1;
		if parts[part] > MAX_PARTS {
			Err(DecodeError::TooManyParts)
		} else {
			Ok(())
		}
	};
	each_field(bytes, |tag, value| match (tag, value) {
		(1, Some(list)) => {
			// The list itself may come in parts, which are merged.
			count(0)?;
			each_field(&list, |tag, _| if tag == 1 { count(1) } else { Ok(()) })
		}
		(2 | 3, _) => count(2),
		(4, _) => count(3),
		_ => Ok(()),
	})
}

/// Calls `visit` with the tag of each field of a message and, if it has a length, its bytes.
fn each_field(
	message: &Bytes,
	mut visit: impl FnMut(u32, Option<Bytes>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
	let mut rest = message.clone();
	while !rest.is_empty() {
		let (tag, wire_type) = decode_key(&mut rest)?;
		if wire_type == WireType::LengthDelimited {
			let len = usize::try_from(decode_varint(&mut rest)?).unwrap_or(usize::MAX);
			if len > rest.len() {
				return Err(DecodeError::Truncated);
			}
			visit(tag, Some(rest.split_to(len)))?;
		} else {
			skip_field(wire_type, tag, &mut rest, DecodeContext::default())?;
			visit(tag, None)?;
		}
	}
	Ok(())
}

/// Why bytes are not a Bitswap message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
	/// Longer than [`MAX_MESSAGE`].
	#[error("the message has {len} bytes, the limit is {MAX_MESSAGE}")]
	TooLong {
		/// Its bytes.
		len: usize,
	},
	/// More than [`MAX_PARTS`] wants, presences or blocks.
	#[error("the message has more than {MAX_PARTS} wants, presences or blocks")]
	TooManyParts,
	/// A field is longer than the message.
	#[error("the message is cut off")]
	Truncated,
	/// Not the protobuf of a message.
	#[error("the message is malformed: {0}")]
	Protobuf(#[from] prost::DecodeError),
	/// A CID is malformed.
	#[error("the message has a malformed CID")]
	Cid,
	/// The prefix of a block is malformed, or one of an identity CID.
	#[error("the message has a block with a malformed prefix")]
	Prefix,
}
