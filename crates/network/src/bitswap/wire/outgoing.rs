//! Messages to be sent.

use super::{
	payload::{encode_prefix, MAX_PREFIX},
	proto, Presence, Version, WantKind, WantList,
};
use bytes::Bytes;
use cairn_dag::{Block, Cid, HashFunction};
use prost::{
	encoding::{encode_key, encode_varint, WireType},
	Message as _,
};

/// A message to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
	/// Changes to the own wants.
	pub wants: WantList,
	/// Blocks.
	pub blocks: Vec<Block>,
	/// Answers to wants.
	pub presences: Vec<Presence>,
	/// Bytes of blocks still to be sent for the wants known. A hint that the specification's schema has and its
	/// text asks nobody to give; the [ledgers](crate::bitswap::ledger) leave it at 0, which is the same as
	/// leaving it out, because sizes show only when blocks are looked up.
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
	/// The caller keeps messages below [`MAX_MESSAGE`](super::MAX_MESSAGE); see [`block_len`], [`want_len`] and
	/// [`presence_len`].
	pub fn encode(&self, version: Version) -> Option<Vec<u8>> {
		self.encode_in_parts(version).map(|parts| parts.concat())
	}

	/// As [`encode`](Self::encode), in parts: data of large blocks is shared and not copied.
	pub fn encode_in_parts(&self, version: Version) -> Option<Vec<Bytes>> {
		let entries: Vec<_> = self.entries(version).collect();
		let (mut first, mut last) = (proto::Message::default(), proto::Message::default());
		let mut payload: &[Block] = &[];
		match version {
			Version::V1_0 => {
				// Elsewise the receiver would take them for blocks of CIDv0.
				let old = self.blocks.iter().filter(|block| is_old(block.cid()));
				first.blocks = old.map(|block| block.bytes().clone()).collect();
			}
			Version::V1_1 | Version::V1_2 => payload = &self.blocks,
		}
		if version == Version::V1_2 {
			last.block_presences = self.presences.iter().map(presence).collect();
			last.pending_bytes = i32::try_from(self.pending_bytes).unwrap_or(i32::MAX);
		}
		let silent = first.blocks.is_empty()
			&& payload.is_empty()
			&& last.block_presences.is_empty()
			&& entries.is_empty()
			&& !self.wants.full;
		if silent {
			return None;
		}
		first.wantlist = Some(proto::WantList {
			entries,
			full: self.wants.full,
		});
		let mut parts = Parts::default();
		parts.message(&first);
		payload.iter().for_each(|block| parts.block(block));
		parts.message(&last);
		Some(parts.behind_their_length())
	}

	/// What of the wants the version can say.
	fn entries(&self, version: Version) -> impl Iterator<Item = proto::Entry> + '_ {
		let entry = |cid: &Cid| proto::Entry {
			cid: cid.to_bytes().into(),
			..proto::Entry::default()
		};
		let cancels = self.wants.cancels.iter().map(move |cid| proto::Entry {
			cancel: true,
			..entry(cid)
		});
		let wants = self
			.wants
			.wants
			.iter()
			// To ask an old peer whether it has a block would make it send the block.
			.filter(move |want| version == Version::V1_2 || want.kind == WantKind::Block)
			.map(move |want| proto::Entry {
				priority: want.priority,
				want_type: (want.kind == WantKind::Have).into(),
				send_dont_have: want.send_dont_have,
				..entry(&want.cid)
			});
		cancels.chain(wants)
	}
}

/// A message under construction. Protobuf messages may be written one behind the other, which merges them.
#[derive(Default)]
struct Parts {
	done: Vec<Bytes>,
	/// What follows them.
	open: Vec<u8>,
}

impl Parts {
	fn message(&mut self, message: &proto::Message) {
		// Fails only if a buffer is full, and a vector is not.
		let _ = message.encode(&mut self.open);
	}

	/// Field `payload` of a message, as `proto::Message` would write it.
	fn block(&mut self, block: &Block) {
		/// Data from this size on is not copied.
		const LARGE: usize = 16 << 10;
		let (prefix, data) = (encode_prefix(block.cid()), block.bytes());
		let mut head = Vec::with_capacity(3 + 2 * MAX_PREFIX);
		encode_key(1, WireType::LengthDelimited, &mut head);
		encode_varint(prefix.len() as u64, &mut head);
		head.extend(prefix);
		if !data.is_empty() {
			encode_key(2, WireType::LengthDelimited, &mut head);
			encode_varint(data.len() as u64, &mut head);
		}
		encode_key(3, WireType::LengthDelimited, &mut self.open);
		encode_varint((head.len() + data.len()) as u64, &mut self.open);
		self.open.extend(head);
		if data.len() < LARGE {
			self.open.extend_from_slice(data);
		} else {
			self.done.push(std::mem::take(&mut self.open).into());
			self.done.push(data.clone());
		}
	}

	fn behind_their_length(mut self) -> Vec<Bytes> {
		self.done.push(self.open.into());
		let len: usize = self.done.iter().map(Bytes::len).sum();
		let mut framed = Vec::with_capacity(4);
		encode_varint(len as u64, &mut framed);
		framed.extend_from_slice(&self.done[0]);
		self.done[0] = framed.into();
		self.done
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

fn presence(presence: &Presence) -> proto::Presence {
	proto::Presence {
		cid: presence.cid.to_bytes().into(),
		kind: (!presence.have).into(),
	}
}
