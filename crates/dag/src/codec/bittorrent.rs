//! BitTorrent: torrent files, and the info dictionaries in them.
//!
//! Sources: [BEP 3](https://www.bittorrent.org/beps/bep_0003.html) and
//! [BEP 52](https://www.bittorrent.org/beps/bep_0052.html). `bendy` reads bencode in its one canonical
//! form: sorted and distinct keys, numbers without leading zeros.
//!
//! An info dictionary's info-hash is its SHA-1 (or, since BEP 52, its SHA-256), so it is a block. Its
//! links are the pieces of the content, raw blocks under their SHA-1. Files of BEP 52 have none: the
//! roots it names are not hashes of pieces, but of trees over them.

use super::{BlockCodec, CodecError, LinkVisitor, Raw, Segment};
use crate::hash::HashFunction;
use bendy::decoding::{Decoder, DictDecoder, Error, ListDecoder, Object};
use cid::Cid;

/// The torrent-info codec: an info dictionary.
pub struct TorrentInfo;

impl BlockCodec for TorrentInfo {
	const CODE: u64 = 0x7b;
	const NAME: &'static str = "torrent-info";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		let info = dictionary(data, info).map_err(malformed::<Self>)?;
		for (index, cid) in info.pieces() {
			visit(&[Segment::name("pieces"), Segment::Index(index)], cid);
		}
		Ok(())
	}
}

/// The torrent-file codec. The info dictionary is inside, so its pieces are what is linked to.
pub struct TorrentFile;

impl BlockCodec for TorrentFile {
	const CODE: u64 = 0x7c;
	const NAME: &'static str = "torrent-file";

	fn scan<'a>(data: &'a [u8], visit: &mut LinkVisitor<'_, 'a>) -> Result<(), CodecError> {
		let info = dictionary(data, torrent).map_err(malformed::<Self>)?;
		for (index, cid) in info.pieces() {
			let way = [
				Segment::name("info"),
				Segment::name("pieces"),
				Segment::Index(index),
			];
			visit(&way, cid);
		}
		Ok(())
	}
}

/// The info dictionary inside a torrent file: what the info-hash is the hash of.
///
/// # Errors
/// [`CodecError::Malformed`] if the file is not a torrent.
pub fn info_of(torrent: &[u8]) -> Result<&[u8], CodecError> {
	TorrentFile::validate(torrent)?;
	let raw = dictionary(torrent, |mut torrent| {
		let mut info = Err("a torrent without info");
		while let Some((key, value)) = torrent.next_pair().map_err(describe)? {
			if key == b"info" {
				info = dict(value)?.into_raw().map_err(describe);
			}
		}
		info
	});
	raw.map_err(malformed::<TorrentFile>)
}

/// Bytes of a SHA-1 digest.
const DIGEST: usize = 20;

/// Deepest nesting that is read; torrents of BEP 52 nest as deep as their folders.
const MAX_NESTING: usize = 128;

/// What is wrong.
type Problem = &'static str;

/// What of an info dictionary is of interest.
struct Info<'a> {
	/// SHA-1 digests, one after the other; none in a torrent that follows BEP 52 alone.
	digests: &'a [u8],
}

impl Info<'_> {
	fn pieces(&self) -> impl Iterator<Item = (u64, Cid)> + '_ {
		(0..)
			.zip(self.digests.chunks_exact(DIGEST))
			.map(|(index, digest)| {
				let hash = HashFunction::Sha1.wrap(digest);
				(index, Cid::new_v1(Raw::CODE, hash.expect("SHA-1 has 20 bytes")))
			})
	}
}

/// Reads the dictionary that `data` is with `read`.
fn dictionary<'a, T>(
	data: &'a [u8],
	read: impl FnOnce(DictDecoder<'_, 'a>) -> Result<T, Problem>,
) -> Result<T, Problem> {
	let mut decoder = Decoder::new(data).with_max_depth(MAX_NESTING);
	let value = decoder.next_object().map_err(describe)?.ok_or("no bencode")?;
	let result = read(dict(value)?)?;
	let more = decoder.next_object().map_err(describe)?.is_some();
	if more {
		return Err("bytes after the dictionary");
	}
	Ok(result)
}

fn torrent<'a>(mut torrent: DictDecoder<'_, 'a>) -> Result<Info<'a>, Problem> {
	let mut found = Err("a torrent without info");
	while let Some((key, value)) = torrent.next_pair().map_err(describe)? {
		if key == b"info" {
			found = Ok(info(dict(value)?)?);
		}
	}
	found
}

fn info<'a>(mut info: DictDecoder<'_, 'a>) -> Result<Info<'a>, Problem> {
	let (mut name, mut piece_length, mut digests, mut length, mut file_tree, mut version) =
		(None, None, None, None, false, 1);
	while let Some((key, value)) = info.next_pair().map_err(describe)? {
		match key {
			b"name" => name = Some(bytes(value)?),
			b"piece length" => piece_length = Some(number(value)?),
			b"pieces" => digests = Some(bytes(value)?),
			b"length" if length.is_none() => length = Some(number(value)?),
			b"files" if length.is_none() => length = Some(files(list(value)?)?),
			b"length" | b"files" => return Err("both one file and several"),
			b"file tree" => {
				dict(value)?;
				file_tree = true;
			}
			b"meta version" => version = number(value)?,
			_ => {}
		}
	}
	name.ok_or("no name")?;
	let piece_length = piece_length
		.filter(|length| *length > 0)
		.ok_or("no length of pieces")?;
	match (digests, length) {
		(Some(digests), Some(length)) => {
			let pieces = length.div_ceil(piece_length);
			if digests.len() % DIGEST != 0 || (digests.len() / DIGEST) as u64 != pieces {
				return Err("the number of pieces does not fit the content's length");
			}
			Ok(Info { digests })
		}
		(None, None) if version == 2 && file_tree => Ok(Info { digests: &[] }),
		(Some(_), None) => Err("no file"),
		(None, _) => Err("no pieces"),
	}
}

/// Bytes of all files.
fn files(mut files: ListDecoder<'_, '_>) -> Result<u64, Problem> {
	let mut total = 0u64;
	while let Some(file) = files.next_object().map_err(describe)? {
		let mut file = dict(file)?;
		let (mut length, mut named) = (None, false);
		while let Some((key, value)) = file.next_pair().map_err(describe)? {
			match key {
				b"length" => length = Some(number(value)?),
				b"path" => {
					let mut path = list(value)?;
					while let Some(name) = path.next_object().map_err(describe)? {
						bytes(name)?;
						named = true;
					}
				}
				_ => {}
			}
		}
		if !named {
			return Err("a file without a path");
		}
		let length = length.ok_or("a file without a length")?;
		total = total.checked_add(length).ok_or("the files' lengths overflow")?;
	}
	Ok(total)
}

fn dict<'o, 'a>(value: Object<'o, 'a>) -> Result<DictDecoder<'o, 'a>, Problem> {
	match value {
		Object::Dict(dict) => Ok(dict),
		_ => Err("not a dictionary where one is wanted"),
	}
}

fn list<'o, 'a>(value: Object<'o, 'a>) -> Result<ListDecoder<'o, 'a>, Problem> {
	match value {
		Object::List(list) => Ok(list),
		_ => Err("not a list where one is wanted"),
	}
}

fn bytes<'a>(value: Object<'_, 'a>) -> Result<&'a [u8], Problem> {
	match value {
		Object::Bytes(bytes) => Ok(bytes),
		_ => Err("not a string where one is wanted"),
	}
}

fn number(value: Object<'_, '_>) -> Result<u64, Problem> {
	match value {
		Object::Integer(digits) => digits
			.parse()
			.map_err(|_| "a number that is negative or too large"),
		_ => Err("not a number where one is wanted"),
	}
}

/// `bendy` boxes what is wrong in text.
fn describe(_: Error) -> Problem {
	"not bencode in its canonical form, or nested too deeply"
}

fn malformed<C: BlockCodec>(reason: Problem) -> CodecError {
	CodecError::Malformed {
		codec: C::NAME,
		reason,
	}
}
