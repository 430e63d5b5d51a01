//! Looking into a block's data without building it in memory.

use serde::{
	de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
	Deserialize, Deserializer,
};
use std::{borrow::Cow, fmt};

/// Whether a value stands at `path`: keys of maps and positions in lists.
pub(super) fn exists<'de, D: Deserializer<'de>>(value: D, path: &[&str]) -> bool {
	At(path).deserialize(value).unwrap_or(false)
}

/// Tells whether a value has another at a path below it.
struct At<'p>(&'p [&'p str]);

impl<'de> DeserializeSeed<'de> for At<'_> {
	type Value = bool;

	fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<bool, D::Error> {
		if self.0.is_empty() {
			return IgnoredAny::deserialize(value).map(|_| true);
		}
		value.deserialize_any(self)
	}
}

impl<'de> Visitor<'de> for At<'_> {
	type Value = bool;

	fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str("a value")
	}

	fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
		let mut found = false;
		while let Some(key) = map.next_key::<Cow<'de, str>>()? {
			if Some(&&*key) == self.0.first() {
				found = map.next_value_seed(At(&self.0[1..]))?;
			} else {
				map.next_value::<IgnoredAny>()?;
			}
		}
		Ok(found)
	}

	fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
		let wanted = self.0.first().copied().unwrap_or_default();
		let mut found = false;
		for index in 0u64.. {
			let here = index.to_string() == wanted;
			let more = if here {
				let below = list.next_element_seed(At(&self.0[1..]))?;
				found = below == Some(true);
				below.is_some()
			} else {
				list.next_element::<IgnoredAny>()?.is_some()
			};
			if !more {
				break;
			}
		}
		Ok(found)
	}

	// Scalars and links have nothing below them.
	fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
		Ok(false)
	}

	fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
		Ok(false)
	}

	fn visit_i128<E>(self, _: i128) -> Result<bool, E> {
		Ok(false)
	}

	fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
		Ok(false)
	}

	fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
		Ok(false)
	}

	fn visit_str<E>(self, _: &str) -> Result<bool, E> {
		Ok(false)
	}

	fn visit_bytes<E>(self, _: &[u8]) -> Result<bool, E> {
		Ok(false)
	}

	fn visit_unit<E>(self) -> Result<bool, E> {
		Ok(false)
	}

	fn visit_none<E>(self) -> Result<bool, E> {
		Ok(false)
	}

	fn visit_newtype_struct<D: Deserializer<'de>>(self, link: D) -> Result<bool, D::Error> {
		IgnoredAny::deserialize(link).map(|_| false)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use ipld_core::ipld;

	#[test]
	fn values_are_found_by_keys_and_positions() {
		let link: cid::Cid = "bafkqaaa".parse().unwrap();
		let value = ipld!({
			"a": {"b": [1, {"c": null}, "text"], "link": link, "bytes": ipld_core::ipld::Ipld::Bytes(vec![1])},
			"": -1.5,
		});
		let cbor = serde_ipld_dagcbor::to_vec(&value).unwrap();
		let json = serde_ipld_dagjson::to_vec(&value).unwrap();
		for (path, there) in [
			("a", true),
			("", true),
			("a/b", true),
			("a/b/0", true),
			("a/b/1/c", true),
			("a/link", true),
			("a/bytes", true),
			("b", false),
			("a/c", false),
			("a/b/3", false),
			("a/b/00", false),
			("a/b/0/0", false),
			("a/b/2/t", false),
			("a/link/x", false),
			("a/bytes/0", false),
		] {
			let path: Vec<&str> = path.split('/').collect();
			let mut deserializer = serde_ipld_dagcbor::de::Deserializer::from_slice(&cbor);
			assert_eq!(exists(&mut deserializer, &path), there, "{path:?} in CBOR");
			let mut deserializer = serde_json::Deserializer::from_slice(&json);
			assert_eq!(exists(&mut deserializer, &path), there, "{path:?} in JSON");
		}
		assert!(!exists(
			&mut serde_json::Deserializer::from_slice(b"{\"a\": "),
			&["a"]
		));
	}
}
