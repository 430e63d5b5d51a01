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

mod incoming;
mod outgoing;
mod payload;
mod proto;

pub use incoming::{DecodeError, Message};
pub use outgoing::{block_len, presence_len, want_len, Outgoing};
pub use payload::Payload;

use cairn_dag::Cid;
use libp2p::StreamProtocol;

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

/// Whether a peer has a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
	/// The block.
	pub cid: Cid,
	/// Whether the sender has it.
	pub have: bool,
}

#[cfg(test)]
mod tests;
