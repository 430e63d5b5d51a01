//! git-raw: git objects as git hashes them, the header `type size NUL` included.
//!
//! Source: [git's documentation](https://git-scm.com/docs/gitdatamodel) and its `fsck`. Objects named
//! by SHA-1 only: bytes alone do not tell which hash a repository uses.
//!
//! Refused is what keeps the links from being read. What `fsck` merely complains about (modes with
//! leading zeros, unsorted trees, odd dates) stands in old repositories and is read.
//!
//! A submodule's entry is not a link: its commit belongs to another repository, and git does not
//! follow it either.

use super::{BlockCodec, CodecError, LinkVisitor, Segment};
use crate::hash::HashFunction;
use cid::Cid;

/// The git-raw codec.
pub struct GitRaw;

impl BlockCodec for GitRaw {
	const CODE: u64 = 0x78;
	const NAME: &'static str = "git-raw";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		let (kind, content) = split(data)?;
		match kind {
			ObjectKind::Blob => Ok(()),
			ObjectKind::Tree => tree(content, visit),
			ObjectKind::Commit => commit(content, visit),
			ObjectKind::Tag => tag(content, visit),
		}
	}
}

/// What a git object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
	/// Content of a file.
	Blob,
	/// A folder.
	Tree,
	/// A commit.
	Commit,
	/// An annotated tag.
	Tag,
}

impl ObjectKind {
	fn from_name(name: &[u8]) -> Option<Self> {
		match name {
			b"blob" => Some(Self::Blob),
			b"tree" => Some(Self::Tree),
			b"commit" => Some(Self::Commit),
			b"tag" => Some(Self::Tag),
			_ => None,
		}
	}
}

impl std::fmt::Display for ObjectKind {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		f.write_str(match self {
			Self::Blob => "blob",
			Self::Tree => "tree",
			Self::Commit => "commit",
			Self::Tag => "tag",
		})
	}
}

/// Splits an object into its kind and its content.
///
/// # Errors
/// [`CodecError::Malformed`] if there is no header, or if the content does not have the size it says.
pub fn split(data: &[u8]) -> Result<(ObjectKind, &[u8]), CodecError> {
	let (header, content) = until(data, 0, "no header")?;
	let (kind, size) = until(header, b' ', "a header without a size")?;
	let kind = ObjectKind::from_name(kind).ok_or_else(|| malformed("unknown type of object"))?;
	let canonical = size == b"0" || !size.starts_with(b"0");
	let size = std::str::from_utf8(size)
		.ok()
		.filter(|size| canonical && size.bytes().all(|byte| byte.is_ascii_digit()))
		.and_then(|size| size.parse::<usize>().ok())
		.ok_or_else(|| malformed("a size that is not a number"))?;
	if size != content.len() {
		return Err(malformed("the size is not that of the content"));
	}
	Ok((kind, content))
}

/// The bits of a tree entry's mode that say what it is, and their value for a submodule.
const MODE_KIND: u32 = 0o170_000;
const MODE_SUBMODULE: u32 = 0o160_000;

fn tree<'a>(mut rest: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
	while !rest.is_empty() {
		let (mode, name, id);
		(mode, rest) = until(rest, b' ', "an entry without a mode")?;
		(name, rest) = until(rest, 0, "an entry without a name")?;
		(id, rest) = rest
			.split_first_chunk::<20>()
			.ok_or_else(|| malformed("an entry without an id"))?;
		let mode = std::str::from_utf8(mode)
			.ok()
			.filter(|mode| mode.bytes().all(|digit| digit.is_ascii_digit()))
			.and_then(|mode| u32::from_str_radix(mode, 8).ok())
			.ok_or_else(|| malformed("an entry's mode is not a number"))?;
		if name.is_empty() {
			return Err(malformed("an entry without a name"));
		}
		if mode & MODE_KIND != MODE_SUBMODULE {
			visit(&[Segment::Name(String::from_utf8_lossy(name))], link(id));
		}
	}
	Ok(())
}

fn commit<'a>(content: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
	let mut lines = Lines(content);
	let tree = lines.required(b"tree ", "a commit without a tree")?;
	visit(&[Segment::name("tree")], id(tree)?);
	let mut parents = 0;
	while let Some(parent) = lines.optional(b"parent ")? {
		visit(&[Segment::name("parents"), Segment::Index(parents)], id(parent)?);
		parents += 1;
	}
	lines.required(b"author ", "a commit without an author")?;
	lines.required(b"committer ", "a commit without a committer")?;
	Ok(())
}

fn tag<'a>(content: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
	let mut lines = Lines(content);
	let object = lines.required(b"object ", "a tag without an object")?;
	visit(&[Segment::name("object")], id(object)?);
	let kind = lines.required(b"type ", "a tag without a type")?;
	ObjectKind::from_name(kind).ok_or_else(|| malformed("a tag of an unknown type of object"))?;
	lines.required(b"tag ", "a tag without a name")?;
	Ok(())
}

/// The header lines of a commit or tag that are not read yet, and what follows them.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
	/// The rest of the next line, if it begins with `key`.
	fn optional(&mut self, key: &[u8]) -> Result<Option<&'a [u8]>, CodecError> {
		let Some(rest) = self.0.strip_prefix(key) else {
			return Ok(None);
		};
		let value;
		(value, self.0) = until(rest, b'\n', "a line is cut off")?;
		Ok(Some(value))
	}

	fn required(&mut self, key: &[u8], missing: &'static str) -> Result<&'a [u8], CodecError> {
		self.optional(key)?.ok_or_else(|| malformed(missing))
	}
}

/// What stands before and after the first `byte`.
fn until<'a>(bytes: &'a [u8], byte: u8, missing: &'static str) -> Result<(&'a [u8], &'a [u8]), CodecError> {
	let at = bytes.iter().position(|found| *found == byte);
	let at = at.ok_or_else(|| malformed(missing))?;
	Ok((&bytes[..at], &bytes[at + 1..]))
}

/// The CID of an object id in hexadecimal.
fn id(text: &[u8]) -> Result<Cid, CodecError> {
	let mut digest = [0; 20];
	hex::decode_to_slice(text, &mut digest)
		.map_err(|_| malformed("an object's id is not 40 hexadecimal digits"))?;
	Ok(link(&digest))
}

fn link(digest: &[u8; 20]) -> Cid {
	let hash = HashFunction::Sha1.wrap(digest);
	Cid::new_v1(GitRaw::CODE, hash.expect("SHA-1 has 20 bytes"))
}

fn malformed(reason: &'static str) -> CodecError {
	CodecError::Malformed {
		codec: GitRaw::NAME,
		reason,
	}
}
