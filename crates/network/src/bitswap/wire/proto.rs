//! The schema, field by field as in boxo's `message.proto`.

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
