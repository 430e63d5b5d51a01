//! Bencode as values: strings that are UTF-8 as text, others as bytes.

use super::bytes;
use serde_json::{Map, Value};

/// Deepest nesting that is shown, that of the codec.
const MAX_NESTING: usize = 128;

/// The form of bencode that is well-formed; `None` if it nests too deeply, or if something in it cannot be
/// expressed: a number beyond 64 bits, a key that is not UTF-8 or the reserved `/`.
pub(super) fn decode(data: &[u8]) -> Option<Value> {
	let mut input = Input(data);
	let value = input.value(0)?;
	input.0.is_empty().then_some(value)
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
	fn value(&mut self, depth: usize) -> Option<Value> {
		if depth > MAX_NESTING {
			return None;
		}
		match self.0 {
			[b'i', ..] => {
				self.0 = &self.0[1..];
				let number = self.until(b'e')?;
				let number = std::str::from_utf8(number).ok()?;
				number.parse::<i64>().ok().map(Value::from)
			}
			[b'l', ..] => {
				self.0 = &self.0[1..];
				let mut list = Vec::new();
				while !self.end() {
					list.push(self.value(depth + 1)?);
				}
				Some(list.into())
			}
			[b'd', ..] => {
				self.0 = &self.0[1..];
				let mut entries = Map::new();
				while !self.end() {
					let key = String::from_utf8(self.string()?.to_vec()).ok()?;
					if key == "/" {
						return None;
					}
					entries.insert(key, self.value(depth + 1)?);
				}
				Some(Value::Object(entries))
			}
			_ => {
				let string = self.string()?;
				Some(match std::str::from_utf8(string) {
					Ok(text) => text.into(),
					Err(_) => bytes(string),
				})
			}
		}
	}

	/// Whether the list or dictionary ends here; takes its end.
	fn end(&mut self) -> bool {
		match self.0.strip_prefix(b"e") {
			Some(rest) => {
				self.0 = rest;
				true
			}
			None => false,
		}
	}

	fn string(&mut self) -> Option<&'a [u8]> {
		let len = std::str::from_utf8(self.until(b':')?).ok()?.parse().ok()?;
		let (string, rest) = self.0.split_at_checked(len)?;
		self.0 = rest;
		Some(string)
	}

	fn until(&mut self, byte: u8) -> Option<&'a [u8]> {
		let at = self.0.iter().position(|found| *found == byte)?;
		let found = &self.0[..at];
		self.0 = &self.0[at + 1..];
		Some(found)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn values_have_their_form() {
		let form = |data: &[u8]| decode(data).map(|value| value.to_string());
		assert_eq!(
			form(b"d6:lengthi-5e4:listl1:ai0ee4:name3:abc6:pieces2:\xff\xfee").as_deref(),
			Some(r#"{"length":-5,"list":["a",0],"name":"abc","pieces":{"/":{"bytes":"//4"}}}"#)
		);
		for wrong in [
			&b""[..],
			b"i5",
			b"i99999999999999999999e",
			b"l",
			b"d1:/i0ee",
			b"5:abc",
			b"3:abcx",
			b"d1:\xffi0ee",
		] {
			assert_eq!(form(wrong), None, "{wrong:?}");
		}
		let deep = |depth| [vec![b'l'; depth], vec![b'e'; depth]].concat();
		assert!(form(&deep(129)).is_some() && form(&deep(130)).is_none());
	}
}
