//! Bitswap messages as bytes.
//!
//! A message is protobuf, and goes over a stream behind its length as a varint. Source: the
//! [specification](https://specs.ipfs.tech/bitswap-protocol/), and what boxo and helia do where it
//! leaves room:
//! - a block comes with the prefix of its CID, and its receiver computes the rest: so a block cannot
//!   come under a wrong CID, only under one that nobody asked for;
//! - the list of wants of a message changes the one known, unless it is marked as the whole list;
//! - before 1.2 there are no presences and every want is for a block; before 1.1 blocks come without a
//!   prefix, as CIDv0.
//!
//! [`Message::decode`] is a pure function of hostile bytes. It counts the parts of a message before it
//! makes any: the smallest take two bytes on the wire and fifty times as much in memory.

use bytes::Bytes;
use cairn_dag::{
	block::{read_cid, BlockError},
	hash::IDENTITY,
	varint, Block, Cid, HashFunction,
};
use libp2p::StreamProtocol;
use prost::{
	encoding::{decode_key, decode_varint, skip_field, DecodeContext, WireType},
	Message as _,
};

/// Bitswap 1.2, which has presences.
pub const V1_2: StreamProtocol = StreamProtocol::new("/ipfs/bitswap/1.2.0");
/// Bitswap 1.1, which has blocks of any CID.
pub const V1_1: StreamProtocol = StreamProtocol::new("/ipfs/bitswap/1.1.0");
/// Bitswap 1.0, which has blocks of CIDv0 only.
pub const V1_0: StreamProtocol = StreamProtocol::new("/ipfs/bitswap/1.0.0");

/// Largest message in bytes, without the length in front: 4 MiB, as everywhere in IPFS.
pub const MAX_MESSAGE: usize = 4 << 20;

/// Most wants, presences and blocks, each, that are read of one message. A message of boxo's holds up
/// to about 10,000 wants.
pub const MAX_PARTS: usize = 16_384;

/// Largest data of a block that fits a message: what helia and boxo send at most.
pub const MAX_BLOCK: usize = 4_193_648;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
	/// [`V1_0`].
	V1_0,
	/// [`V1_1`].
	V1_1,
	/// [`V1_2`].
	V1_2,
}

impl Version {
	/// The version that a stream was opened with, or `None` if it is not a Bitswap stream.
	pub fn of(protocol: &StreamProtocol) -> Option<Self> {
		[(V1_2, Self::V1_2), (V1_1, Self::V1_1), (V1_0, Self::V1_0)]
			.into_iter()
			.find_map(|(name, version)| (name == *protocol).then_some(version))
	}

	/// All protocols, the newest first: the order in which they are offered.
	pub fn protocols() -> [StreamProtocol; 3] {
		[V1_2, V1_1, V1_0]
	}
}

/// What is wanted of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WantKind {
	/// The block.
	#[default]
	Block,
	/// Whether the peer has it; or the block itself if it is small.
	Have,
}

/// An entry of a list of wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
	/// The block.
	pub cid: Cid,
	/// More is sooner.
	pub priority: i32,
	/// What is wanted of it.
	pub kind: WantKind,
	/// Whether to answer when there is no such block, too.
	pub send_dont_have: bool,
}

/// What a message says of the sender's list of wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantList {
	/// Whether these are all wants, instead of changes to those known.
	pub full: bool,
	/// Wants that are new or changed.
	pub wants: Vec<Want>,
	/// Wants that are withdrawn.
	pub cancels: Vec<Cid>,
}

impl WantList {
	/// Whether it says nothing.
	pub fn is_empty(&self) -> bool {
		!self.full && self.wants.is_empty() && self.cancels.is_empty()
	}
}

/// A block as it was received: the CID is what the data and the prefix make, not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
	prefix: Prefix,
	data: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
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

/// Whether a peer has a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
	/// The block.
	pub cid: Cid,
	/// Whether the sender has it.
	pub have: bool,
}

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

/// A message to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
	/// Changes to the own wants.
	pub wants: WantList,
	/// Blocks.
	pub blocks: Vec<Block>,
	/// Answers to wants.
	pub presences: Vec<Presence>,
	/// Bytes of blocks still to be sent for the wants known.
	pub pending_bytes: u32,
}

impl Outgoing {
	/// Whether nothing is to be sent.
	pub fn is_empty(&self) -> bool {
		self.wants.is_empty() && self.blocks.is_empty() && self.presences.is_empty()
	}

	/// Bytes of the blocks' data.
	pub fn data_len(&self) -> usize {
		self.blocks.iter().map(|block| block.data().len()).sum()
	}

	/// The message with its length in front, or `None` if the version cannot say any of it.
	///
	/// The caller keeps messages below [`MAX_MESSAGE`]; see [`block_len`], [`want_len`] and
	/// [`presence_len`].
	pub fn encode(&self, version: Version) -> Option<Vec<u8>> {
		let entry = |cid: &Cid| proto::Entry {
			cid: cid.to_bytes().into(),
			..proto::Entry::default()
		};
		let cancels = self.wants.cancels.iter().map(|cid| proto::Entry {
			cancel: true,
			..entry(cid)
		});
		let wants = self
			.wants
			.wants
			.iter()
			// To ask an old peer whether it has a block would make it send the block.
			.filter(|want| version == Version::V1_2 || want.kind == WantKind::Block)
			.map(|want| proto::Entry {
				priority: want.priority,
				want_type: (want.kind == WantKind::Have).into(),
				send_dont_have: want.send_dont_have,
				..entry(&want.cid)
			});
		let mut message = proto::Message {
			wantlist: Some(proto::WantList {
				entries: cancels.chain(wants).collect(),
				full: self.wants.full,
			}),
			..proto::Message::default()
		};
		let entries = message.wantlist.as_ref().map_or(0, |list| list.entries.len());
		match version {
			Version::V1_0 => {
				// Elsewise the receiver would take them for blocks of CIDv0.
				let old = self.blocks.iter().filter(|block| is_old(block.cid()));
				message.blocks = old.map(|block| block.bytes().clone()).collect();
			}
			Version::V1_1 | Version::V1_2 => {
				message.payload = self.blocks.iter().map(payload).collect();
			}
		}
		if version == Version::V1_2 {
			message.block_presences = self.presences.iter().map(presence).collect();
			message.pending_bytes = i32::try_from(self.pending_bytes).unwrap_or(i32::MAX);
		}
		let silent = message.blocks.is_empty()
			&& message.payload.is_empty()
			&& message.block_presences.is_empty()
			&& entries == 0
			&& !self.wants.full;
		(!silent).then(|| message.encode_length_delimited_to_vec())
	}
}

/// Bytes that a block with these bytes of data takes in a message, at most.
pub fn block_len(data: usize) -> usize {
	// Two tags and lengths of up to four bytes, the prefix, and a third tag and length around them.
	data + 2 * 5 + 5 + MAX_PREFIX
}

/// Bytes that a want takes in a message, at most.
pub fn want_len(cid: &Cid) -> usize {
	cid.encoded_len() + 32
}

/// Bytes that a presence takes in a message, at most.
pub fn presence_len(cid: &Cid) -> usize {
	cid.encoded_len() + 16
}

/// Whether Bitswap 1.0 can carry the block.
fn is_old(cid: &Cid) -> bool {
	cid.codec() == 0x70 && cid.hash().code() == HashFunction::Sha2_256.code()
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

fn payload(block: &Block) -> proto::Block {
	proto::Block {
		prefix: encode_prefix(block.cid()).into(),
		data: block.bytes().clone(),
	}
}

fn presence(presence: &Presence) -> proto::Presence {
	proto::Presence {
		cid: presence.cid.to_bytes().into(),
		kind: (!presence.have).into(),
	}
}

fn cid(bytes: &[u8]) -> Result<Cid, DecodeError> {
	match read_cid(bytes) {
		Some((cid, len)) if len == bytes.len() => Ok(cid),
		_ => Err(DecodeError::Cid),
	}
}

/// Four integers.
const MAX_PREFIX: usize = 4 * varint::MAX_LEN;

/// A CID without its digest: version, codec, hash function and length of the digest, all varints.
fn encode_prefix(cid: &Cid) -> Vec<u8> {
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
	const V0: Self = Self {
		v0: true,
		codec: 0x70,
		hash: HashFunction::Sha2_256,
	};

	/// `None` if Cairn cannot compute the hash.
	fn decode(mut bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
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

/// The schema, field by field as in boxo's `message.proto`.
mod proto {
	use bytes::Bytes;

	#[derive(Clone, PartialEq, prost::Message)]
	pub struct Message {
		#[prost(message, optional, tag = "1")]
		pub wantlist: Option<WantList>,
		/// Blocks of Bitswap 1.0.
		#[prost(bytes = "bytes", repeated, tag = "2")]
		pub blocks: Vec<Bytes>,
		#[prost(message, repeated, tag = "3")]
		pub payload: Vec<Block>,
		#[prost(message, repeated, tag = "4")]
		pub block_presences: Vec<Presence>,
		#[prost(int32, tag = "5")]
		pub pending_bytes: i32,
	}

	#[derive(Clone, PartialEq, prost::Message)]
	pub struct WantList {
		#[prost(message, repeated, tag = "1")]
		pub entries: Vec<Entry>,
		#[prost(bool, tag = "2")]
		pub full: bool,
	}

	#[derive(Clone, PartialEq, prost::Message)]
	pub struct Entry {
		#[prost(bytes = "bytes", tag = "1")]
		pub cid: Bytes,
		#[prost(int32, tag = "2")]
		pub priority: i32,
		#[prost(bool, tag = "3")]
		pub cancel: bool,
		/// 0 is a block, 1 is a presence.
		#[prost(int32, tag = "4")]
		pub want_type: i32,
		#[prost(bool, tag = "5")]
		pub send_dont_have: bool,
	}

	#[derive(Clone, PartialEq, prost::Message)]
	pub struct Block {
		#[prost(bytes = "bytes", tag = "1")]
		pub prefix: Bytes,
		#[prost(bytes = "bytes", tag = "2")]
		pub data: Bytes,
	}

	#[derive(Clone, PartialEq, prost::Message)]
	pub struct Presence {
		#[prost(bytes = "bytes", tag = "1")]
		pub cid: Bytes,
		/// 0 is have, 1 is don't have.
		#[prost(int32, tag = "2")]
		pub kind: i32,
	}
}

#[cfg(test)]
mod tests;
