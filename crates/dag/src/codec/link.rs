//! Where in a block a link stands.

use cid::Cid;
use std::borrow::Cow;

/// One step of the way from a block to a link in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
	/// A key, a field or an entry's name. Names that are not UTF-8 are shown with replacements.
	Name(Cow<'a, str>),
	/// A position in a list, counted from 0.
	Index(u64),
}

impl<'a> Segment<'a> {
	/// A name that is borrowed, from the block or the program.
	pub fn name(name: &'a str) -> Self {
		Self::Name(Cow::Borrowed(name))
	}

	/// Whether a segment of a path means this step.
	pub fn is(&self, text: &str) -> bool {
		match self {
			Self::Name(name) => name == text,
			Self::Index(index) => {
				// One spelling per position: no sign, no leading zeros.
				let canonical = text == "0" || !text.starts_with(['0', '+']);
				canonical && text.parse() == Ok(*index)
			}
		}
	}
}

impl std::fmt::Display for Segment<'_> {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		match self {
			Self::Name(name) => f.write_str(name),
			Self::Index(index) => index.fmt(f),
		}
	}
}

/// Is shown every link of a block in turn: the way to it, and the CID.
pub type LinkVisitor<'v, 'a> = dyn FnMut(&[Segment<'a>], Cid) + 'v;

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn matches_one_spelling() {
		assert!(Segment::name("0").is("0"));
		assert!(!Segment::name("00").is("0"));
		assert!(Segment::Index(0).is("0"));
		assert!(Segment::Index(10).is("10"));
		for wrong in ["", "00", "010", "+10", "-10", "10 ", "1_0", "ten"] {
			assert!(!Segment::Index(10).is(wrong), "{wrong}");
			assert!(!Segment::Index(0).is(wrong), "{wrong}");
		}
		assert_eq!(Segment::Index(7).to_string(), "7");
	}
}
