//! The index of a CARv2: from a block's hash to its place.
//!
//! Both formats are buckets of entries of one width, each a digest and a little-endian 64-bit offset
//! from the first byte of the CARv1 payload, sorted by digest:
//!
//! ```text
//! IndexSorted (0x0400):          varint format | u32 buckets | bucket...
//! MultihashIndexSorted (0x0401): varint format | u32 functions | (u64 hash function | u32 buckets | bucket...)...
//! bucket:                        u32 width | u64 bytes of entries | entries
//! ```
//!
//! The counts of buckets and functions, and that a bucket's length counts bytes and not entries, is
//! what go-car (`v2/index`) and the tools that follow it write; the specification's text says neither.

use crate::{
	read_at::{Cursor, ReadAt},
	reader::ReadOptions,
};
use cairn_dag::{
	hash::IDENTITY,
	varint::{self, VarintError},
};
use cid::Cid;
use std::{
	cmp::Ordering,
	collections::BTreeMap,
	io::{self, BufReader, Read, Write},
};

/// Format of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IndexFormat {
	/// By digest alone, code 0x0400.
	Sorted,
	/// By hash function and digest, code 0x0401: what go-car writes by default, and this crate.
	#[default]
	MultihashSorted,
}

impl IndexFormat {
	/// Multicodec code.
	pub fn code(self) -> u64 {
		match self {
			Self::Sorted => 0x0400,
			Self::MultihashSorted => 0x0401,
		}
	}

	fn from_code(code: u64) -> Option<Self> {
		match code {
			0x0400 => Some(Self::Sorted),
			0x0401 => Some(Self::MultihashSorted),
			_ => None,
		}
	}
}

/// Bytes of an entry's offset.
const OFFSET_LEN: usize = 8;

/// Longest digest that a CID holds here.
const MAX_DIGEST_LEN: usize = 64;

/// Most buckets of an index that is read: a lookup goes through all of them. One per hash function and
/// digest length is what writers make.
const MAX_BUCKETS: usize = 1024;

/// An index in memory: the bytes of its entries and little more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
	buckets: Vec<Bucket>,
}

/// Entries with digests of one length, and one hash function where it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bucket {
	function: Option<u64>,
	digest_len: usize,
	/// Sorted, each `digest_len + OFFSET_LEN` bytes.
	entries: Vec<u8>,
}

impl Bucket {
	fn width(&self) -> usize {
		self.digest_len + OFFSET_LEN
	}

	fn len(&self) -> usize {
		self.entries.len() / self.width()
	}

	fn entry(&self, at: usize) -> (&[u8], u64) {
		let entry = &self.entries[at * self.width()..(at + 1) * self.width()];
		let (digest, offset) = entry.split_at(self.digest_len);
		let mut le = [0; OFFSET_LEN];
		le.copy_from_slice(offset);
		(digest, u64::from_le_bytes(le))
	}

	fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
		(0..self.len()).map(|at| self.entry(at))
	}

	/// Position of the first entry whose digest is not less.
	fn lower_bound(&self, digest: &[u8]) -> usize {
		let (mut from, mut to) = (0, self.len());
		while from < to {
			let middle = from + (to - from) / 2;
			if self.entry(middle).0 < digest {
				from = middle + 1;
			} else {
				to = middle;
			}
		}
		from
	}

	/// Whether this is one of the entries, if they are sorted to the last byte.
	fn has_entry(&self, entry: &[u8]) -> bool {
		let (mut from, mut to) = (0, self.len());
		while from < to {
			let middle = from + (to - from) / 2;
			match self.entries[middle * self.width()..(middle + 1) * self.width()].cmp(entry) {
				Ordering::Less => from = middle + 1,
				Ordering::Equal => return true,
				Ordering::Greater => to = middle,
			}
		}
		false
	}

	fn is_sorted(&self) -> bool {
		(1..self.len()).all(|at| self.entry(at - 1).0 <= self.entry(at).0)
	}
}

impl Index {
	/// Offsets of the sections whose block may have this CID's hash, from the payload's first byte.
	/// More than one if a block is repeated.
	pub fn offsets<'a>(&'a self, cid: &'a Cid) -> impl Iterator<Item = u64> + 'a {
		self.matching(Some(cid.hash().code()), cid.hash().digest())
	}

	/// Number of entries.
	pub fn len(&self) -> usize {
		self.buckets.iter().map(Bucket::len).sum()
	}

	/// Whether there is no entry.
	pub fn is_empty(&self) -> bool {
		self.len() == 0
	}

	/// All entries: hash function where the format keeps it, digest, offset.
	pub fn iter(&self) -> impl Iterator<Item = (Option<u64>, &[u8], u64)> {
		self.buckets.iter().flat_map(|bucket| {
			bucket
				.iter()
				.map(|(digest, offset)| (bucket.function, digest, offset))
		})
	}

	/// Whether some entry has this digest and offset. Only of an index that was built here: its entries
	/// are sorted to the last byte, so that a block that is repeated a million times is no work.
	pub(crate) fn contains(&self, function: Option<u64>, digest: &[u8], offset: u64) -> bool {
		let entry = [digest, &offset.to_le_bytes()].concat();
		self.buckets_for(function, digest.len())
			.any(|bucket| bucket.has_entry(&entry))
	}

	/// Whether some entry has this digest.
	pub(crate) fn has(&self, function: Option<u64>, digest: &[u8]) -> bool {
		self.matching(function, digest).next().is_some()
	}

	/// Offsets of entries with this digest.
	fn matching<'a>(&'a self, function: Option<u64>, digest: &'a [u8]) -> impl Iterator<Item = u64> + 'a {
		self.buckets_for(function, digest.len()).flat_map(move |bucket| {
			(bucket.lower_bound(digest)..bucket.len())
				.map(|at| bucket.entry(at))
				.take_while(move |(found, _)| *found == digest)
				.map(|(_, offset)| offset)
		})
	}

	/// Buckets of digests of this length, by this function as far as either side knows it.
	fn buckets_for(&self, function: Option<u64>, digest_len: usize) -> impl Iterator<Item = &Bucket> {
		self.buckets.iter().filter(move |bucket| {
			bucket.digest_len == digest_len
				&& (bucket.function.is_none() || function.is_none() || bucket.function == function)
		})
	}

	/// Writes the index with its format code; returns the number of bytes.
	///
	/// # Errors
	/// [`IndexError::FunctionsUnknown`] if the format needs the hash functions and this index, read
	/// from the other format, does not know them; [`IndexError::Io`].
	pub fn write<W: Write + ?Sized>(&self, format: IndexFormat, out: &mut W) -> Result<u64, IndexError> {
		let mut out = Counted { out, written: 0 };
		let mut code = Vec::with_capacity(varint::MAX_LEN);
		varint::encode(format.code(), &mut code);
		out.write(&code)?;
		match format {
			IndexFormat::Sorted => {
				let all: Vec<&Bucket> = self.buckets.iter().collect();
				write_buckets(&all, &mut out)?;
			}
			IndexFormat::MultihashSorted => {
				let mut functions: BTreeMap<u64, Vec<&Bucket>> = BTreeMap::new();
				for bucket in &self.buckets {
					let function = bucket.function.ok_or(IndexError::FunctionsUnknown)?;
					functions.entry(function).or_default().push(bucket);
				}
				out.write(&count(functions.len())?)?;
				for (function, buckets) in functions {
					out.write(&function.to_le_bytes())?;
					write_buckets(&buckets, &mut out)?;
				}
			}
		}
		Ok(out.written)
	}

	/// Reads an index between two positions; returns it, its format and the position after it.
	///
	/// # Errors
	/// [`IndexError`].
	pub fn read<R: ReadAt + ?Sized>(
		source: &R,
		start: u64,
		end: u64,
		options: &ReadOptions,
	) -> Result<(Self, IndexFormat, u64), IndexError> {
		let available = end.saturating_sub(start);
		let mut input = Input {
			input: BufReader::new(Cursor::new(source, start, end)),
			position: start,
			limit: start + available.min(options.max_index),
			cut_by_limit: available > options.max_index,
			max_index: options.max_index,
		};
		let code = input.varint()?;
		let format = IndexFormat::from_code(code).ok_or(IndexError::UnknownFormat { code })?;
		let mut buckets = Vec::new();
		match format {
			IndexFormat::Sorted => input.buckets(None, &mut buckets)?,
			IndexFormat::MultihashSorted => {
				for _ in 0..input.u32()? {
					let function = input.u64()?;
					input.buckets(Some(function), &mut buckets)?;
				}
			}
		}
		Ok((Self { buckets }, format, input.position))
	}
}

/// Counts what is written.
struct Counted<'a, W: ?Sized> {
	out: &'a mut W,
	written: u64,
}

impl<W: Write + ?Sized> Counted<'_, W> {
	fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
		self.out.write_all(bytes)?;
		self.written += bytes.len() as u64;
		Ok(())
	}
}

/// Writes buckets of one width as one.
fn write_buckets<W: Write + ?Sized>(buckets: &[&Bucket], out: &mut Counted<'_, W>) -> Result<(), IndexError> {
	let mut widths: BTreeMap<usize, Vec<&Bucket>> = BTreeMap::new();
	for bucket in buckets {
		widths.entry(bucket.width()).or_default().push(bucket);
	}
	out.write(&count(widths.len())?)?;
	for (width, buckets) in widths {
		out.write(&count(width)?)?;
		let len: usize = buckets.iter().map(|bucket| bucket.entries.len()).sum();
		out.write(&(len as u64).to_le_bytes())?;
		match buckets[..] {
			[bucket] => out.write(&bucket.entries)?,
			_ => {
				let all = buckets
					.iter()
					.flat_map(|bucket| bucket.entries.chunks_exact(width));
				out.write(&sorted(all))?;
			}
		}
	}
	Ok(())
}

fn count(number: usize) -> Result<[u8; 4], IndexError> {
	// go-car reads a signed number.
	i32::try_from(number)
		.map(i32::to_le_bytes)
		.map_err(|_| IndexError::Malformed {
			reason: "too many buckets",
		})
}

/// Takes 16 bytes per entry besides the copy that it makes.
fn sorted<'a>(entries: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
	let mut entries: Vec<&[u8]> = entries.collect();
	entries.sort_unstable();
	entries.concat()
}

/// Collects entries in the order of the archive.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
	/// Unsorted entries by hash function and digest length.
	buckets: BTreeMap<(u64, usize), Vec<u8>>,
	bytes: u64,
}

impl IndexBuilder {
	/// Adds a section; identity CIDs need no index and are left out.
	pub(crate) fn push(&mut self, cid: &Cid, offset: u64) {
		let (function, digest) = (cid.hash().code(), cid.hash().digest());
		if function != IDENTITY {
			let entries = self.buckets.entry((function, digest.len())).or_default();
			entries.extend_from_slice(digest);
			entries.extend_from_slice(&offset.to_le_bytes());
			self.bytes += (digest.len() + OFFSET_LEN) as u64;
		}
	}

	/// As [`push`](Self::push), within a limit of bytes.
	pub(crate) fn push_within(&mut self, cid: &Cid, offset: u64, max_index: u64) -> Result<(), IndexError> {
		self.push(cid, offset);
		if self.bytes > max_index {
			return Err(IndexError::TooLarge { limit: max_index });
		}
		Ok(())
	}

	/// As [`build`](Self::build), with `shift` added to every offset.
	pub(crate) fn build_shifted(mut self, shift: u64) -> Index {
		for ((_, digest_len), entries) in &mut self.buckets {
			for entry in entries.chunks_exact_mut(digest_len + OFFSET_LEN) {
				let mut le = [0; OFFSET_LEN];
				le.copy_from_slice(&entry[*digest_len..]);
				entry[*digest_len..].copy_from_slice(&(u64::from_le_bytes(le) + shift).to_le_bytes());
			}
		}
		self.build()
	}

	pub(crate) fn build(self) -> Index {
		let bucket = |((function, digest_len), entries): (_, Vec<u8>)| Bucket {
			function: Some(function),
			digest_len,
			entries: sorted(entries.chunks_exact(digest_len + OFFSET_LEN)),
		};
		Index {
			buckets: self.buckets.into_iter().map(bucket).collect(),
		}
	}
}

/// Reads little-endian numbers up to a position.
struct Input<'a, R: ?Sized> {
	input: BufReader<Cursor<'a, R>>,
	position: u64,
	limit: u64,
	/// Whether the limit is that of the options and not the archive's end.
	cut_by_limit: bool,
	max_index: u64,
}

impl<R: ReadAt + ?Sized> Input<'_, R> {
	fn require(&self, len: u64) -> Result<(), IndexError> {
		if len <= self.limit - self.position {
			Ok(())
		} else if self.cut_by_limit {
			Err(IndexError::TooLarge {
				limit: self.max_index,
			})
		} else {
			Err(IndexError::Truncated)
		}
	}

	fn array<const N: usize>(&mut self) -> Result<[u8; N], IndexError> {
		self.require(N as u64)?;
		let mut bytes = [0; N];
		self.input.read_exact(&mut bytes)?;
		self.position += N as u64;
		Ok(bytes)
	}

	fn u32(&mut self) -> Result<u32, IndexError> {
		self.array().map(u32::from_le_bytes)
	}

	fn u64(&mut self) -> Result<u64, IndexError> {
		self.array().map(u64::from_le_bytes)
	}

	fn varint(&mut self) -> Result<u64, IndexError> {
		let mut bytes = Vec::with_capacity(varint::MAX_LEN);
		loop {
			bytes.extend_from_slice(&self.array::<1>()?);
			match varint::decode(&bytes) {
				Ok((value, _)) => return Ok(value),
				Err(VarintError::Truncated) => {}
				Err(_) => {
					return Err(IndexError::Malformed {
						reason: "the format is not an integer",
					})
				}
			}
		}
	}

	fn buckets(&mut self, function: Option<u64>, out: &mut Vec<Bucket>) -> Result<(), IndexError> {
		for _ in 0..self.u32()? {
			let width = self.u32()? as usize;
			let len = self.u64()?;
			if !(OFFSET_LEN..=OFFSET_LEN + MAX_DIGEST_LEN).contains(&width) {
				return Err(IndexError::Malformed {
					reason: "a bucket's width is out of range",
				});
			}
			if len % width as u64 != 0 {
				return Err(IndexError::Malformed {
					reason: "a bucket's length is not a multiple of its width",
				});
			}
			self.require(len)?;
			let mut entries = Vec::new();
			let read = self.input.by_ref().take(len).read_to_end(&mut entries)? as u64;
			self.position += read;
			if read != len {
				return Err(IndexError::Truncated);
			}
			let bucket = Bucket {
				function,
				digest_len: width - OFFSET_LEN,
				entries,
			};
			if !bucket.is_sorted() {
				return Err(IndexError::Malformed {
					reason: "a bucket is not sorted",
				});
			}
			// An empty bucket says nothing and would only take memory.
			if len > 0 {
				if out.len() >= MAX_BUCKETS {
					return Err(IndexError::Malformed {
						reason: "too many buckets",
					});
				}
				out.push(bucket);
			}
		}
		Ok(())
	}
}

/// Why an index cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
	/// The stream failed.
	#[error("reading or writing the index failed: {0}")]
	Io(#[from] io::Error),
	/// The format is neither of [`IndexFormat`].
	#[error("index format {code:#x} is not supported")]
	UnknownFormat {
		/// Multicodec code.
		code: u64,
	},
	/// The archive ends within the index.
	#[error("the index is cut off")]
	Truncated,
	/// The index is larger than [`ReadOptions::max_index`].
	#[error("the index is larger than {limit} bytes")]
	TooLarge {
		/// Bytes accepted.
		limit: u64,
	},
	/// The index contradicts its format.
	#[error("the index is malformed: {reason}")]
	Malformed {
		/// What is wrong.
		reason: &'static str,
	},
	/// An index of format [`IndexFormat::Sorted`] cannot become one of
	/// [`IndexFormat::MultihashSorted`].
	#[error("the index does not know the hash functions of its digests")]
	FunctionsUnknown,
}

#[cfg(test)]
mod tests;
