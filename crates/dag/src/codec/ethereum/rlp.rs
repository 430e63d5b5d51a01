//! Reading RLP field by field, in its one canonical form.
//!
//! Source: the yellow paper, appendix B. `alloy-rlp` reads the item headers and refuses those that
//! are not canonical; nothing is built in memory.

/// What is wrong.
pub(super) type Problem = &'static str;

/// An item without its header.
#[derive(Clone, Copy)]
pub(super) enum Item<'a> {
	String(&'a [u8]),
	List(Items<'a>),
}

/// The items of a list that are not read yet.
#[derive(Clone, Copy)]
pub(super) struct Items<'a>(&'a [u8]);

/// The one item that `data` is.
pub(super) fn single(data: &[u8]) -> Result<Item<'_>, Problem> {
	let mut items = Items(data);
	let item = items.next()?;
	items.end()?;
	Ok(item)
}

/// The list that `data` is.
pub(super) fn list(data: &[u8]) -> Result<Items<'_>, Problem> {
	match single(data)? {
		Item::List(items) => Ok(items),
		Item::String(_) => Err("a string instead of a list"),
	}
}

/// Checks that a string is a number of at most `max` bytes, written without leading zeros.
pub(super) fn integer(value: &[u8], max: usize) -> Result<(), Problem> {
	if value.len() > max {
		Err("a number is too large")
	} else if value.first() == Some(&0) {
		Err("a number has leading zeros")
	} else {
		Ok(())
	}
}

impl<'a> Items<'a> {
	/// Bytes that the unread items take.
	pub(super) fn len(&self) -> usize {
		self.0.len()
	}

	pub(super) fn is_empty(&self) -> bool {
		self.0.is_empty()
	}

	pub(super) fn next(&mut self) -> Result<Item<'a>, Problem> {
		if self.0.is_empty() {
			return Err("a field is missing");
		}
		let mut rest = self.0;
		let header = alloy_rlp::Header::decode(&mut rest).map_err(describe)?;
		let (payload, rest) = rest
			.split_at_checked(header.payload_length)
			.ok_or("an item reaches beyond its container")?;
		self.0 = rest;
		Ok(if header.list {
			Item::List(Items(payload))
		} else {
			Item::String(payload)
		})
	}

	pub(super) fn string(&mut self) -> Result<&'a [u8], Problem> {
		match self.next()? {
			Item::String(content) => Ok(content),
			Item::List(_) => Err("a list instead of a string"),
		}
	}

	pub(super) fn list(&mut self) -> Result<Self, Problem> {
		match self.next()? {
			Item::List(items) => Ok(items),
			Item::String(_) => Err("a string instead of a list"),
		}
	}

	/// A string of `N` bytes.
	pub(super) fn fixed<const N: usize>(&mut self) -> Result<&'a [u8; N], Problem> {
		self.string()?
			.try_into()
			.map_err(|_| "a field does not have its length")
	}

	/// A number of at most `max` bytes.
	pub(super) fn integer(&mut self, max: usize) -> Result<(), Problem> {
		integer(self.string()?, max)
	}

	pub(super) fn end(&self) -> Result<(), Problem> {
		if self.0.is_empty() {
			Ok(())
		} else {
			Err("bytes after the last field")
		}
	}
}

fn describe(error: alloy_rlp::Error) -> Problem {
	use alloy_rlp::Error;
	match error {
		Error::InputTooShort => "an item reaches beyond its container",
		Error::NonCanonicalSingleByte => "a single byte with a header",
		Error::NonCanonicalSize | Error::LeadingZero => "a length is not in its shortest form",
		Error::Overflow => "a length does not fit in memory",
		_ => "not RLP",
	}
}
