//! dag-json: the IPLD data model as JSON.
//!
//! Source: the [dag-json specification](https://ipld.io/specs/codecs/dag-json/spec/). A link is
//! `{"/": "CID"}`, bytes are `{"/": {"bytes": "base64 without padding"}}`; what begins like one of
//! them must be one. As the specification asks of decoders, white space and unsorted keys are read,
//! because they exist; a repeated key is not, because two readers could see two values. Integers of
//! any size are read; a number with a fraction or an exponent must fit a 64-bit float, as in dag-cbor.

use super::{BlockCodec, CodecError, LinkVisitor, Segment};
use base64::{engine::general_purpose::STANDARD_NO_PAD, Engine};
use cid::Cid;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, collections::HashSet, fmt};

/// The dag-json codec.
pub struct DagJson;

impl BlockCodec for DagJson {
	const CODE: u64 = 0x0129;
	const NAME: &'static str = "dag-json";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		let mut scan = Scan {
			visit,
			path: Vec::new(),
			reason: None,
		};
		// Nesting is bounded by serde_json: 128 levels.
		let mut json = serde_json::Deserializer::from_slice(data);
		let scanned = Node(&mut scan).deserialize(&mut json).and_then(|_| json.end());
		scanned.map_err(|error| malformed(scan.reason.unwrap_or_else(|| describe(&error))))
	}
}

/// The state of a scan.
struct Scan<'s, 'v, 'a> {
	visit: &'s mut LinkVisitor<'v, 'a>,
	path: Vec<Segment<'a>>,
	/// What is wrong, where it is not the JSON: serde's errors carry text only.
	reason: Option<&'static str>,
}

impl Scan<'_, '_, '_> {
	fn fail<E: Error>(&mut self, reason: &'static str) -> E {
		self.reason = Some(reason);
		E::custom(reason)
	}
}

/// What a value is, as far as the map around it needs to know.
enum Shape<'a> {
	Text(Cow<'a, str>),
	/// `{"bytes": "…"}` and nothing else.
	Bytes(Cow<'a, str>),
	/// A map that begins with `"bytes": "…"` and goes on.
	BytesAndMore,
	Other,
}

/// Reads a value.
struct Node<'n, 's, 'v, 'a>(&'n mut Scan<'s, 'v, 'a>);

impl<'a> DeserializeSeed<'a> for Node<'_, '_, '_, 'a> {
	type Value = Shape<'a>;

	fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
		deserializer.deserialize_any(self)
	}
}

impl<'a> Visitor<'a> for Node<'_, '_, '_, 'a> {
	type Value = Shape<'a>;

	fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str("a value")
	}

	fn visit_unit<E>(self) -> Result<Self::Value, E> {
		Ok(Shape::Other)
	}

	fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
		Ok(Shape::Other)
	}

	fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
		Ok(Shape::Other)
	}

	fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
		Ok(Shape::Other)
	}

	fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
		Ok(Shape::Other)
	}

	fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
		Ok(Shape::Text(Cow::Borrowed(text)))
	}

	fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
		Ok(Shape::Text(Cow::Owned(text.to_owned())))
	}

	fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<Self::Value, A::Error> {
		let scan = self.0;
		for index in 0.. {
			scan.path.push(Segment::Index(index));
			let element = list.next_element_seed(Node(&mut *scan))?;
			scan.path.pop();
			if element.is_none() {
				break;
			}
		}
		Ok(Shape::Other)
	}

	fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
		let scan = self.0;
		let Some(first) = map.next_key_seed(Key)? else {
			return Ok(Shape::Other);
		};
		let value = scan.entry(&first, &mut map)?;
		let mut next = map.next_key_seed(Key)?;
		let alone = next.is_none();
		let shape = match (first.as_ref(), value) {
			("/", Shape::Text(cid)) if alone => {
				let cid = parse_link(&cid).ok_or_else(|| scan.fail("a link's CID is invalid"))?;
				(scan.visit)(&scan.path, cid);
				Shape::Other
			}
			("/", Shape::Bytes(base64)) if alone => {
				if STANDARD_NO_PAD.decode(base64.as_bytes()).is_err() {
					return Err(scan.fail("bytes that are not base64"));
				}
				Shape::Other
			}
			("/", Shape::Text(_) | Shape::Bytes(_) | Shape::BytesAndMore) => {
				return Err(scan.fail("a link or bytes with more in it"));
			}
			("bytes", Shape::Text(base64)) if alone => Shape::Bytes(base64),
			("bytes", Shape::Text(_)) => Shape::BytesAndMore,
			_ => Shape::Other,
		};
		let mut seen = HashSet::from([first]);
		while let Some(key) = next {
			scan.entry(&key, &mut map)?;
			if !seen.insert(key) {
				return Err(scan.fail("a map has a key twice"));
			}
			next = map.next_key_seed(Key)?;
		}
		Ok(shape)
	}
}

impl<'a> Scan<'_, '_, 'a> {
	/// Reads the value of a map's key.
	fn entry<A: MapAccess<'a>>(&mut self, key: &Cow<'a, str>, map: &mut A) -> Result<Shape<'a>, A::Error> {
		self.path.push(Segment::Name(key.clone()));
		let value = map.next_value_seed(Node(self))?;
		self.path.pop();
		Ok(value)
	}
}

/// Reads a map's key.
struct Key;

impl<'a> DeserializeSeed<'a> for Key {
	type Value = Cow<'a, str>;

	fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
		deserializer.deserialize_str(self)
	}
}

impl<'a> Visitor<'a> for Key {
	type Value = Cow<'a, str>;

	fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str("a key")
	}

	fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
		Ok(Cow::Borrowed(text))
	}

	fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
		Ok(Cow::Owned(text.to_owned()))
	}
}

fn parse_link(text: &str) -> Option<Cid> {
	// The CID's parser would skip a path in front of it.
	text.parse().ok().filter(|_| !text.contains('/'))
}

fn describe(error: &serde_json::Error) -> &'static str {
	if error.is_eof() {
		"cut off"
	} else {
		"not JSON, or nested too deeply"
	}
}

fn malformed(reason: &'static str) -> CodecError {
	CodecError::Malformed {
		codec: DagJson::NAME,
		reason,
	}
}

#[cfg(test)]
mod tests;
