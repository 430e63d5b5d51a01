//! Messages to be sent.

use super::{
	payload::{encode_prefix, MAX_PREFIX},
	proto, Presence, Version, WantKind, WantList,
};
use cairn_dag::{Block, Cid, HashFunction};
use prost::Message as _;

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
