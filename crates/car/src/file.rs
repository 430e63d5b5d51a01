//! Random access to an archive's blocks.

use crate::{
	header::{V2Header, Version},
	index::{Index, IndexBuilder, IndexError},
	read_at::{Cursor, ReadAt, Window},
	reader::{CarReader, ReadError, ReadOptions},
};
use cairn_dag::{
	hash::IDENTITY,
	read_cid,
	varint::{self, VarintError},
	Block, BlockSource, SourceError,
};
use cid::Cid;
use std::{fs::File, io, path::Path};

/// Bytes that hold a section's length and CID: two more integers, hash function and digest length,
/// and at most 64 bytes of digest.
pub(crate) const MAX_HEAD: usize = 5 * varint::MAX_LEN + 64;

/// Most sections that a lookup tries: an index without hash functions may lead to blocks with the same
/// digest by other functions first, and a hostile one to millions.
const MAX_TRIES: usize = 16;

/// An archive whose blocks are found by CID.
///
/// The index comes from the CARv2, or is built by one pass over the sections' heads, which reads no
/// block. Blocks are found by multihash, so a CID finds its block under any codec. Each `get` reads
/// the section it needs and no more; nothing is cached. Safe to use from several threads at once.
#[derive(Debug)]
pub struct CarFile<R> {
	source: R,
	options: ReadOptions,
	version: Version,
	roots: Vec<Cid>,
	payload_offset: u64,
	payload_size: u64,
	/// Where the first section starts in the payload.
	first_section: u64,
	index: Index,
	index_source: IndexSource,
}

/// Where the index of a [`CarFile`] came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexSource {
	/// The archive.
	Embedded,
	/// A scan of the archive.
	Scan,
}

/// Where a block's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLocation {
	/// First byte of the block's data, counted from the start of the [`CarFile`]'s source.
	pub offset: u64,
	/// Bytes of data.
	pub len: u64,
}

impl CarFile<File> {
	/// Opens an archive on disk.
	///
	/// # Errors
	/// As [`new`](Self::new).
	pub fn open(path: impl AsRef<Path>, options: ReadOptions) -> Result<Self, OpenError> {
		Self::new(File::open(path).map_err(ReadError::Io)?, options)
	}
}

impl<R: ReadAt> CarFile<Window<R>> {
	/// Opens the archive within `len` bytes of `source` from `offset`.
	///
	/// # Errors
	/// As [`new`](Self::new).
	pub fn within(source: R, offset: u64, len: u64, options: ReadOptions) -> Result<Self, OpenError> {
		Self::new(Window::new(source, offset, len).map_err(ReadError::Io)?, options)
	}
}

impl<R: ReadAt> CarFile<R> {
	/// Opens an archive: reads its headers, and its index or builds one.
	///
	/// An embedded index is used as it is: one that leaves out blocks hides them, one that leads
	/// astray makes [`get`](Self::get) fail. [`verify`](crate::verify) tells, and
	/// [`ReadOptions::ignore_index`] does without. An index of unknown format is ignored.
	///
	/// # Errors
	/// [`OpenError`].
	pub fn new(source: R, options: ReadOptions) -> Result<Self, OpenError> {
		let size = source.size().map_err(ReadError::Io)?;
		let reader = CarReader::with_options(Cursor::new(&source, 0, size), options)?;
		let (payload_offset, payload_size) = payload(reader.v2_header(), size)?;
		let index_offset = reader.v2_header().map_or(0, |v2| v2.index_offset);
		let (version, first) = (reader.version(), reader.position());
		let roots = reader.roots().to_vec();
		let mut file = Self {
			source,
			options,
			version,
			roots,
			payload_offset,
			payload_size,
			first_section: first,
			index: Index::default(),
			index_source: IndexSource::Scan,
		};
		let embedded = if index_offset == 0 || options.ignore_index {
			None
		} else {
			match Index::read(&file.source, index_offset, size, &options) {
				Ok((_, _, end)) if end != size && !options.zero_padding => {
					return Err(ReadError::TrailingData { offset: end }.into())
				}
				Ok((index, ..)) => Some(index),
				Err(IndexError::UnknownFormat { .. }) => None,
				Err(error) => return Err(error.into()),
			}
		};
		match embedded {
			Some(index) => {
				file.index = index;
				file.index_source = IndexSource::Embedded;
			}
			None => file.index = file.scan()?,
		}
		Ok(file)
	}

	/// An archive whose header the caller has read, and whose index it has built from it.
	pub(crate) fn with_index(
		source: R,
		options: ReadOptions,
		version: Version,
		roots: Vec<Cid>,
		(payload_offset, payload_size): (u64, u64),
		first_section: u64,
		index: Index,
	) -> Self {
		Self {
			source,
			options,
			version,
			roots,
			payload_offset,
			payload_size,
			first_section,
			index,
			index_source: IndexSource::Scan,
		}
	}

	/// Version of the archive.
	pub fn version(&self) -> Version {
		self.version
	}

	/// The roots, as the header claims them: they may be absent from the archive.
	pub fn roots(&self) -> &[Cid] {
		&self.roots
	}

	/// The index in use.
	pub fn index(&self) -> &Index {
		&self.index
	}

	/// Where the index came from.
	pub fn index_source(&self) -> IndexSource {
		self.index_source
	}

	/// What the archive is read from.
	pub fn source(&self) -> &R {
		&self.source
	}

	/// First byte of the CARv1 payload, counted from the start of the source, and the number of its
	/// bytes (of a CARv1: all that follow, padding included).
	pub fn payload(&self) -> (u64, u64) {
		(self.payload_offset, self.payload_size)
	}

	/// The block, or `None` if the index does not have it.
	///
	/// # Errors
	/// [`ReadError`]: also if the index leads astray, and if the block does not match its CID.
	pub fn get(&self, cid: &Cid) -> Result<Option<Block>, ReadError> {
		if let Some(block) = Block::from_identity(cid) {
			return Ok(Some(block));
		}
		let Some((offset, data)) = self.find(cid)? else {
			return Ok(None);
		};
		let cid = *cid;
		self.read(&SectionHead { cid, offset, data }).map(Some)
	}

	/// The block of a section.
	///
	/// # Errors
	/// [`ReadError`]: also if the block does not match its CID.
	pub fn read(&self, section: &SectionHead) -> Result<Block, ReadError> {
		let SectionHead { cid, offset, data } = *section;
		// Fits: the section's length was checked against the limit for memory.
		let mut bytes = vec![0; data.len as usize];
		self.source.read_exact_at(&mut bytes, data.offset)?;
		if self.options.verify {
			Block::new(cid, bytes).map_err(|error| ReadError::Block { offset, error })
		} else {
			Ok(Block::assume_verified(cid, bytes))
		}
	}

	/// Where the block's bytes are, or `None` if the index does not have it: for sending them without
	/// reading them. The bytes are not checked; the section's CID is.
	///
	/// # Errors
	/// [`ReadError`].
	pub fn locate(&self, cid: &Cid) -> Result<Option<BlockLocation>, ReadError> {
		Ok(self.find(cid)?.map(|(_, location)| location))
	}

	/// All blocks in the order in which they stand, checked, without use of the index.
	///
	/// # Errors
	/// [`ReadError`] if the archive changed since it was opened.
	pub fn reader(&self) -> Result<CarReader<impl io::Read + '_>, ReadError> {
		let size = self.source.size()?;
		CarReader::with_options(Cursor::new(&self.source, 0, size), self.options)
	}

	/// The heads of all sections in the order in which they stand, identity CIDs and repeated blocks
	/// included, without use of the index and without reading a block.
	pub fn sections(&self) -> SectionHeads<'_, R> {
		SectionHeads {
			file: self,
			next: Some(self.first_section),
		}
	}

	fn find(&self, cid: &Cid) -> Result<Option<(u64, BlockLocation)>, ReadError> {
		for (tries, offset) in self.index.offsets(cid).enumerate() {
			// Only blocks of one digest by several functions have more than one try.
			if tries == MAX_TRIES {
				return Err(ReadError::WrongIndex { offset });
			}
			let head = match self.head(offset)? {
				Some(head) if head.cid.hash().digest() == cid.hash().digest() => head,
				_ => return Err(ReadError::WrongIndex { offset }),
			};
			// The same digest by another function is another block.
			if head.cid.hash().code() == cid.hash().code() {
				let start = offset + head.data_start;
				let location = BlockLocation {
					offset: self.payload_offset + start,
					len: head.end - head.data_start,
				};
				return Ok(Some((offset, location)));
			}
		}
		Ok(None)
	}

	/// Builds the index.
	fn scan(&self) -> Result<Index, OpenError> {
		let mut builder = IndexBuilder::default();
		for section in self.sections() {
			let section = section?;
			builder.push_within(&section.cid, section.offset, self.options.max_index)?;
		}
		Ok(builder.build())
	}

	/// Reads a section's length and CID, and checks that the section lies in the payload. `None` at
	/// the payload's end.
	fn head(&self, offset: u64) -> Result<Option<Head>, ReadError> {
		let left = match self.payload_size.checked_sub(offset) {
			None | Some(0) => return Ok(None),
			Some(left) => left,
		};
		let mut bytes = [0; MAX_HEAD];
		let bytes = &mut bytes[..left.min(MAX_HEAD as u64) as usize];
		self.source.read_exact_at(bytes, self.payload_offset + offset)?;
		let (len, len_len) = varint::decode(bytes).map_err(|error| match error {
			VarintError::Truncated => ReadError::Truncated {
				offset: offset + left,
			},
			error => ReadError::Length { offset, error },
		})?;
		if len == 0 {
			return Ok(Some(Head {
				cid: Cid::default(),
				data_start: 0,
				end: 0,
			}));
		}
		if len > self.options.max_section {
			return Err(ReadError::SectionTooLarge {
				offset,
				len,
				limit: self.options.max_section,
			});
		}
		let end = len_len as u64 + len;
		if end > left {
			return Err(ReadError::Truncated {
				offset: offset + left,
			});
		}
		let section = &bytes[len_len
			..bytes
				.len()
				.min(len_len + usize::try_from(len).unwrap_or(MAX_HEAD))];
		let (cid, cid_len) = read_cid(section).ok_or(ReadError::InvalidCid { offset })?;
		Ok(Some(Head {
			cid,
			data_start: (len_len + cid_len) as u64,
			end,
		}))
	}
}

/// What a section says before its data. Only [`CarFile::sections`] makes it, which checks that the section lies in
/// the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SectionHead {
	/// The CID that the section claims: its data is not read.
	pub cid: Cid,
	/// Where the section starts, counted from the first byte of the CARv1 payload.
	pub offset: u64,
	/// Where its data is.
	pub data: BlockLocation,
}

/// Heads of sections, from [`CarFile::sections`]. The iterator ends after the first error.
#[derive(Debug)]
pub struct SectionHeads<'a, R> {
	file: &'a CarFile<R>,
	/// Where the next section starts.
	next: Option<u64>,
}

impl<R: ReadAt> Iterator for SectionHeads<'_, R> {
	type Item = Result<SectionHead, ReadError>;

	fn next(&mut self) -> Option<Self::Item> {
		let offset = self.next.take()?;
		let head = match self.file.head(offset) {
			Ok(head) => head?,
			Err(error) => return Some(Err(error)),
		};
		if head.end == 0 {
			// Zero padding ends the archive where it is accepted.
			return (!self.file.options.zero_padding).then_some(Err(ReadError::EmptySection { offset }));
		}
		self.next = Some(offset + head.end);
		Some(Ok(SectionHead {
			cid: head.cid,
			offset,
			data: BlockLocation {
				offset: self.file.payload_offset + offset + head.data_start,
				len: head.end - head.data_start,
			},
		}))
	}
}

/// A section's CID, and where its data starts and ends, counted from the section's first byte. An end
/// of 0 is an empty section.
struct Head {
	cid: Cid,
	data_start: u64,
	end: u64,
}

/// First byte and size of the payload in an archive of `size` bytes.
pub(crate) fn payload(v2: Option<&V2Header>, size: u64) -> Result<(u64, u64), ReadError> {
	match v2 {
		None => Ok((0, size)),
		// Cannot overflow: the header's reader checked.
		Some(v2) if v2.data_offset + v2.data_size <= size && v2.index_offset <= size => {
			Ok((v2.data_offset, v2.data_size))
		}
		Some(_) => Err(ReadError::Truncated { offset: size }),
	}
}

impl<R: ReadAt> BlockSource for CarFile<R> {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, SourceError> {
		CarFile::get(self, cid).map_err(SourceError::new)
	}

	fn has(&self, cid: &Cid) -> Result<bool, SourceError> {
		Ok(cid.hash().code() == IDENTITY || self.locate(cid).map_err(SourceError::new)?.is_some())
	}
}

/// Why an archive cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
	/// Its headers or sections cannot be read.
	#[error(transparent)]
	Read(#[from] ReadError),
	/// Its index cannot be read.
	#[error(transparent)]
	Index(#[from] IndexError),
}
