//! dag-cbor: the IPLD data model in the one CBOR encoding that the specification allows.
//!
//! Source: the [dag-cbor specification](https://ipld.io/specs/codecs/dag-cbor/spec/). Reading is as
//! strict as writing: a value has one encoding, so integers and lengths are of the shortest form,
//! floats are of 64 bits and finite, maps have text keys, sorted and distinct, lengths are definite,
//! the only tag is 42 (a link), and nothing follows the value.
//!
//! Scanned here and not decoded by `serde_ipld_dagcbor`, which accepts unsorted and repeated keys and
//! builds the value: a block of zeros would take a hundred times its size in memory.

use super::{BlockCodec, CodecError, LinkVisitor, Segment};
use crate::block::read_cid;
use cid::Cid;
use std::cmp::Ordering;

/// The dag-cbor codec.
pub struct DagCbor;

/// Deepest nesting of lists and maps that is read: bounds memory, and leaves room above what other
/// implementations (128 to 256 levels) can write.
pub const MAX_NESTING: usize = 1024;

impl BlockCodec for DagCbor {
	const CODE: u64 = 0x71;
	const NAME: &'static str = "dag-cbor";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		let mut input = Input(data);
		let mut open: Vec<Container<'_>> = Vec::new();
		// One segment per open container: where in it the scan is.
		let mut path: Vec<Segment<'_>> = Vec::new();
		loop {
			match input.value()? {
				Value::Link(cid) => visit(&path, cid),
				Value::Scalar => {}
				Value::List(_) | Value::Map(_) if open.len() == MAX_NESTING => {
					return Err(malformed("nested too deeply"))
				}
				Value::List(len) => open.push(Container::List { len, next: 0 }),
				Value::Map(len) => open.push(Container::Map {
					remaining: len,
					previous: None,
				}),
			}
			// Go on to the next value, out of the containers that end here.
			loop {
				let depth = open.len();
				let Some(container) = open.last_mut() else {
					return input.end();
				};
				path.truncate(depth - 1);
				match container.advance(&mut input)? {
					Some(segment) => {
						path.push(segment);
						break;
					}
					None => open.truncate(depth - 1),
				}
			}
		}
	}
}

/// A list or map that is not read to its end yet.
enum Container<'a> {
	List {
		len: u64,
		next: u64,
	},
	Map {
		remaining: u64,
		previous: Option<&'a str>,
	},
}

impl<'a> Container<'a> {
	/// The place of the next value, or `None` if there is none.
	fn advance(&mut self, input: &mut Input<'a>) -> Result<Option<Segment<'a>>, CodecError> {
		match self {
			Self::List { len, next } => {
				let index = *next;
				*next += 1;
				Ok((index < *len).then_some(Segment::Index(index)))
			}
			Self::Map { remaining: 0, .. } => Ok(None),
			Self::Map { remaining, previous } => {
				*remaining -= 1;
				let key = input.key()?;
				// Shorter keys stand first.
				match previous.map(|previous| (previous.len(), previous).cmp(&(key.len(), key))) {
					None | Some(Ordering::Less) => {}
					Some(Ordering::Equal) => return Err(malformed("a map has a key twice")),
					Some(Ordering::Greater) => return Err(malformed("a map's keys are not sorted")),
				}
				*previous = Some(key);
				Ok(Some(Segment::name(key)))
			}
		}
	}
}

/// A value, of containers only the head.
enum Value {
	Scalar,
	Link(Cid),
	List(u64),
	Map(u64),
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
/// The tag of a link.
const LINK: u64 = 42;

/// What is not read yet.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
	fn value(&mut self) -> Result<Value, CodecError> {
		let initial = self.byte()?;
		match initial >> 5 {
			UNSIGNED | NEGATIVE => self.argument(initial).map(|_| Value::Scalar),
			BYTES => self.string(initial).map(|_| Value::Scalar),
			TEXT => self.text(initial).map(|_| Value::Scalar),
			// An element takes at least one byte, an entry two.
			LIST => Ok(Value::List(self.count(initial, 1)?)),
			MAP => Ok(Value::Map(self.count(initial, 2)?)),
			TAG => self.link(initial).map(Value::Link),
			_ => self.simple(initial).map(|()| Value::Scalar),
		}
	}

	fn key(&mut self) -> Result<&'a str, CodecError> {
		let initial = self.byte()?;
		if initial >> 5 != TEXT {
			return Err(malformed("a map's key is not a text"));
		}
		self.text(initial)
	}

	fn end(&self) -> Result<(), CodecError> {
		if self.0.is_empty() {
			Ok(())
		} else {
			Err(malformed("bytes after the value"))
		}
	}

	fn link(&mut self, initial: u8) -> Result<Cid, CodecError> {
		if self.argument(initial)? != LINK {
			return Err(malformed("a tag other than 42"));
		}
		let initial = self.byte()?;
		if initial >> 5 != BYTES {
			return Err(malformed("a link that is not a byte string"));
		}
		// The prefix is multibase's for plain bytes.
		let [0, cid @ ..] = self.string(initial)? else {
			return Err(malformed("a link without its prefix"));
		};
		match read_cid(cid) {
			Some((link, len)) if len == cid.len() => Ok(link),
			Some(_) => Err(malformed("bytes after a link's CID")),
			None => Err(malformed("a link's CID is invalid")),
		}
	}

	/// false, true, null or a float.
	fn simple(&mut self, initial: u8) -> Result<(), CodecError> {
		match initial {
			0xf4..=0xf6 => Ok(()),
			0xfb => {
				let bits = u64::from_be_bytes(self.array()?);
				if f64::from_bits(bits).is_finite() {
					Ok(())
				} else {
					Err(malformed("a float that is not a number, or infinite"))
				}
			}
			0xf9 | 0xfa => Err(malformed("a float of less than 64 bits")),
			0xff => Err(malformed("a break without an indefinite length")),
			_ => Err(malformed("a simple value other than false, true and null")),
		}
	}

	fn text(&mut self, initial: u8) -> Result<&'a str, CodecError> {
		std::str::from_utf8(self.string(initial)?).map_err(|_| malformed("a text is not UTF-8"))
	}

	fn string(&mut self, initial: u8) -> Result<&'a [u8], CodecError> {
		let len = self.argument(initial)?;
		usize::try_from(len)
			.ok()
			.and_then(|len| self.0.split_at_checked(len))
			.map(|(content, rest)| {
				self.0 = rest;
				content
			})
			.ok_or_else(|| malformed("a string reaches beyond the block"))
	}

	/// The length of a list or map, each element of which takes at least `least` bytes.
	fn count(&mut self, initial: u8, least: u64) -> Result<u64, CodecError> {
		let count = self.argument(initial)?;
		if count > self.0.len() as u64 / least {
			return Err(malformed("a list or map reaches beyond the block"));
		}
		Ok(count)
	}

	/// The number in or after an initial byte.
	fn argument(&mut self, initial: u8) -> Result<u64, CodecError> {
		let (value, least) = match initial & 0x1f {
			small @ 0..=23 => return Ok(u64::from(small)),
			24 => (u64::from(self.byte()?), 24),
			25 => (u64::from(u16::from_be_bytes(self.array()?)), 1 << 8),
			26 => (u64::from(u32::from_be_bytes(self.array()?)), 1 << 16),
			27 => (u64::from_be_bytes(self.array()?), 1 << 32),
			31 => return Err(malformed("an indefinite length")),
			_ => return Err(malformed("a reserved initial byte")),
		};
		if value < least {
			return Err(malformed("a number is not in its shortest form"));
		}
		Ok(value)
	}

	fn byte(&mut self) -> Result<u8, CodecError> {
		self.array().map(|[byte]| byte)
	}

	fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
		let (array, rest) = self.0.split_first_chunk().ok_or_else(|| malformed("cut off"))?;
		self.0 = rest;
		Ok(*array)
	}
}

fn malformed(reason: &'static str) -> CodecError {
	CodecError::Malformed {
		codec: DagCbor::NAME,
		reason,
	}
}

#[cfg(test)]
mod tests;
