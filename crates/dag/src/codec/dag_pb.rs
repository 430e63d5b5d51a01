//! dag-pb: a list of named links and a byte string.
//!
//! Source: the [dag-pb specification](https://ipld.io/specs/codecs/dag-pb/spec/). Decoding is strict
//! where the specification asks for it: unknown, repeated or misplaced fields are refused, and data
//! may stand before or after the links but not between them. Parsed by hand and not by a protobuf
//! library, because those accept all of that, and cannot write links (field 2) before data (field 1).

use super::{BlockCodec, CodecError, LinkVisitor, Segment};
use crate::{block::read_cid, varint};
use bytes::Bytes;
use cid::Cid;

/// The dag-pb codec.
pub struct DagPb;

/// A decoded dag-pb block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PbNode {
	/// The links, in the order of the block.
	pub links: Vec<PbLink>,
	/// The data; absent and empty differ.
	pub data: Option<Bytes>,
}

/// A link of a dag-pb block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PbLink {
	/// Address of the target.
	pub cid: Cid,
	/// Name; absent and empty differ in bytes, and mean the same.
	pub name: Option<String>,
	/// Bytes of all blocks below the target, repeated ones counted each time. Not to be trusted.
	pub tsize: Option<u64>,
}

const NODE_DATA: u8 = 0x0a;
const NODE_LINK: u8 = 0x12;
const LINK_HASH: u8 = 0x0a;
const LINK_NAME: u8 = 0x12;
const LINK_TSIZE: u8 = 0x18;

impl PbNode {
	/// Reads a node. The data is shared with `bytes`, not copied.
	///
	/// # Errors
	/// [`CodecError::Malformed`].
	pub fn decode(bytes: &Bytes) -> Result<Self, CodecError> {
		let mut node = Self::default();
		scan(bytes, |field| {
			match field {
				Field::Link(link) => node.links.push(link.into_owned()),
				Field::Data(data) => node.data = Some(bytes.slice_ref(data)),
			}
			Ok(())
		})?;
		Ok(node)
	}

	/// Writes the canonical form: links sorted by name (keeping the order of equal names), then data.
	pub fn encode(&self) -> Vec<u8> {
		let mut order: Vec<&PbLink> = self.links.iter().collect();
		order.sort_by_key(|link| link.name.as_deref().unwrap_or("").as_bytes());
		let mut out = Vec::with_capacity(self.encoded_len());
		for link in order {
			out.push(NODE_LINK);
			varint::encode(link.encoded_len() as u64, &mut out);
			link.encode(&mut out);
		}
		if let Some(data) = &self.data {
			out.push(NODE_DATA);
			varint::encode(data.len() as u64, &mut out);
			out.extend_from_slice(data);
		}
		out
	}

	/// Bytes that [`encode`](Self::encode) writes.
	pub fn encoded_len(&self) -> usize {
		let links: usize = self
			.links
			.iter()
			.map(|link| length_delimited(link.encoded_len()))
			.sum();
		links + self.data.as_ref().map_or(0, |data| length_delimited(data.len()))
	}
}

impl PbLink {
	fn encode(&self, out: &mut Vec<u8>) {
		let cid = self.cid.to_bytes();
		out.push(LINK_HASH);
		varint::encode(cid.len() as u64, out);
		out.extend_from_slice(&cid);
		if let Some(name) = &self.name {
			out.push(LINK_NAME);
			varint::encode(name.len() as u64, out);
			out.extend_from_slice(name.as_bytes());
		}
		if let Some(tsize) = self.tsize {
			out.push(LINK_TSIZE);
			varint::encode(tsize, out);
		}
	}

	fn encoded_len(&self) -> usize {
		length_delimited(self.cid.encoded_len())
			+ self.name.as_ref().map_or(0, |name| length_delimited(name.len()))
			+ self.tsize.map_or(0, |tsize| 1 + varint::encoded_len(tsize))
	}
}

/// Tag, length and content.
fn length_delimited(len: usize) -> usize {
	1 + varint::encoded_len(len as u64) + len
}

impl BlockCodec for DagPb {
	const CODE: u64 = 0x70;
	const NAME: &'static str = "dag-pb";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		scan(data, |field| {
			if let Field::Link(link) = field {
				visit(&[Segment::name(link.name.unwrap_or_default())], link.cid);
			}
			Ok(())
		})
	}
}

/// A field of a node, borrowed from its bytes.
enum Field<'a> {
	Link(LinkRef<'a>),
	Data(&'a [u8]),
}

struct LinkRef<'a> {
	cid: Cid,
	name: Option<&'a str>,
	tsize: Option<u64>,
}

impl LinkRef<'_> {
	fn into_owned(self) -> PbLink {
		PbLink {
			cid: self.cid,
			name: self.name.map(str::to_owned),
			tsize: self.tsize,
		}
	}
}

/// Goes through a node's fields once, in order.
fn scan<'a>(
	mut rest: &'a [u8],
	mut each: impl FnMut(Field<'a>) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
	let mut data_seen = false;
	let mut links_seen = false;
	let mut links_closed = false;
	while let Some((&tag, after_tag)) = rest.split_first() {
		let content;
		(content, rest) = take(after_tag)?;
		match tag {
			NODE_DATA if data_seen => return Err(malformed("repeated data")),
			NODE_DATA => {
				data_seen = true;
				links_closed = links_seen;
				each(Field::Data(content))?;
			}
			NODE_LINK if links_closed => return Err(malformed("data between links")),
			NODE_LINK => {
				links_seen = true;
				each(Field::Link(link(content)?))?;
			}
			_ => return Err(malformed("unknown field")),
		}
	}
	Ok(())
}

fn link(mut rest: &[u8]) -> Result<LinkRef<'_>, CodecError> {
	let mut cid = None;
	let mut name = None;
	let mut tsize = None;
	while let Some((&tag, after_tag)) = rest.split_first() {
		match tag {
			LINK_HASH if cid.is_none() && name.is_none() && tsize.is_none() => {
				let content;
				(content, rest) = take(after_tag)?;
				let (parsed, len) = read_cid(content).ok_or_else(|| malformed("a link's CID is invalid"))?;
				if len < content.len() {
					return Err(malformed("bytes after a link's CID"));
				}
				cid = Some(parsed);
			}
			LINK_NAME if name.is_none() && tsize.is_none() => {
				let content;
				(content, rest) = take(after_tag)?;
				name =
					Some(std::str::from_utf8(content).map_err(|_| malformed("a link's name is not UTF-8"))?);
			}
			LINK_TSIZE if tsize.is_none() => {
				let (value, used) =
					varint::decode(after_tag).map_err(|_| malformed("a link's size is not an integer"))?;
				tsize = Some(value);
				rest = &after_tag[used..];
			}
			LINK_HASH | LINK_NAME | LINK_TSIZE => {
				return Err(malformed("repeated or misplaced field of a link"))
			}
			_ => return Err(malformed("unknown field of a link")),
		}
	}
	let cid = cid.ok_or_else(|| malformed("a link without a CID"))?;
	Ok(LinkRef { cid, name, tsize })
}

/// Splits off a length-delimited value.
fn take(bytes: &[u8]) -> Result<(&[u8], &[u8]), CodecError> {
	let (len, used) = varint::decode(bytes).map_err(|_| malformed("a length is not an integer"))?;
	let rest = &bytes[used..];
	match usize::try_from(len) {
		Ok(len) if len <= rest.len() => Ok(rest.split_at(len)),
		_ => Err(malformed("a field reaches beyond its container")),
	}
}

fn malformed(reason: &'static str) -> CodecError {
	CodecError::Malformed {
		codec: DagPb::NAME,
		reason,
	}
}

#[cfg(test)]
mod tests;
