//! Writing archives.

use crate::{
	header::{encode_v1, V2Header, V2_PRAGMA, V2_PREFIX_LEN},
	index::{IndexBuilder, IndexError, IndexFormat},
};
use cairn_dag::{hash::IDENTITY, varint, Block, BlockSink, SinkError};
use cid::Cid;
use std::{
	collections::HashSet,
	io::{self, Seek, SeekFrom, Write},
};

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
	/// Blocks in the archive.
	pub blocks: u64,
	/// Blocks left out because the archive had them already, or because their CID holds them.
	pub duplicates: u64,
	/// Bytes of the CARv1 payload.
	pub payload_size: u64,
	/// Bytes of the archive.
	pub size: u64,
}

/// Bytes of a block's section: length, CID and data.
pub(crate) fn section_len(block: &Block) -> u64 {
	let len = (block.cid().encoded_len() + block.data().len()) as u64;
	varint::encoded_len(len) as u64 + len
}

/// Sections to a stream, each block once.
#[derive(Debug, Default)]
struct Sections {
	seen: HashSet<Cid>,
	repeat: bool,
	blocks: u64,
	duplicates: u64,
	/// Bytes written.
	len: u64,
}

impl Sections {
	/// Writes the block's section unless it is not wanted; returns its offset among the sections.
	fn put<W: Write>(&mut self, block: &Block, out: &mut W) -> io::Result<Option<u64>> {
		let cid = block.cid();
		if cid.hash().code() == IDENTITY || (!self.repeat && !self.seen.insert(*cid)) {
			self.duplicates += 1;
			return Ok(None);
		}
		let cid = cid.to_bytes();
		let len = (cid.len() + block.data().len()) as u64;
		let mut head = Vec::with_capacity(varint::MAX_LEN + cid.len());
		varint::encode(len, &mut head);
		head.extend_from_slice(&cid);
		out.write_all(&head)?;
		out.write_all(block.data())?;
		let offset = self.len;
		self.blocks += 1;
		self.len += (head.len() + block.data().len()) as u64;
		Ok(Some(offset))
	}
}

/// Writes a CARv1 to any stream. The roots must be known at the start.
///
/// Memory: the CIDs written, about 100 bytes each, unless [`duplicates`](Self::duplicates) are wanted.
#[derive(Debug)]
pub struct CarWriter<W> {
	out: W,
	sections: Sections,
	header_len: u64,
}

impl<W: Write> CarWriter<W> {
	/// Writes the header.
	///
	/// # Errors
	/// [`WriteError::Io`].
	pub fn new(mut out: W, roots: &[Cid]) -> Result<Self, WriteError> {
		let header = encode_v1(roots);
		out.write_all(&header)?;
		Ok(Self {
			out,
			sections: Sections::default(),
			header_len: header.len() as u64,
		})
	}

	/// Whether a block that comes again is written again. Off by default.
	pub fn duplicates(mut self, duplicates: bool) -> Self {
		self.sections.repeat = duplicates;
		self
	}

	/// Writes a block; returns false if the archive has it already, or if its CID is an identity CID,
	/// which needs no block.
	///
	/// # Errors
	/// [`WriteError::Io`]; the archive is then incomplete.
	pub fn put(&mut self, block: &Block) -> Result<bool, WriteError> {
		Ok(self.sections.put(block, &mut self.out)?.is_some())
	}

	/// Flushes, and gives the stream back.
	///
	/// # Errors
	/// [`WriteError::Io`].
	pub fn finish(mut self) -> Result<(W, Written), WriteError> {
		self.out.flush()?;
		let size = self.header_len + self.sections.len;
		let Sections {
			blocks, duplicates, ..
		} = self.sections;
		Ok((
			self.out,
			Written {
				blocks,
				duplicates,
				payload_size: size,
				size,
			},
		))
	}
}

impl<W: Write> BlockSink for CarWriter<W> {
	fn put(&mut self, block: Block) -> Result<(), SinkError> {
		CarWriter::put(self, &block).map(drop).map_err(SinkError::new)
	}
}

/// Bytes of a CARv1 header with one root of 36 bytes, such as every CIDv1 with SHA-256.
const ONE_ROOT_HEADER: u64 = 59;

/// Writes a CARv2 with an index to something that seeks. The root need not be known before the end:
/// headers are written last, into room left at the start.
///
/// Small writes are frequent: give it a [`std::io::BufWriter`]. Memory: the CIDs written and the
/// index, about 150 bytes per block, and while the index is sorted at the end about 60 more.
#[derive(Debug)]
pub struct CarV2Writer<W> {
	out: W,
	sections: Sections,
	index: IndexBuilder,
	format: IndexFormat,
	/// Where the archive starts in `out`.
	start: u64,
	/// Room for the CARv1 header.
	room: u64,
}

impl<W: Write + Seek> CarV2Writer<W> {
	/// Starts an archive at the current position, with room for one root of 36 bytes.
	///
	/// # Errors
	/// [`WriteError::Io`].
	pub fn new(out: W, format: IndexFormat) -> Result<Self, WriteError> {
		Self::with_header_room(out, format, ONE_ROOT_HEADER)
	}

	/// As [`new`](Self::new), with room for these roots and no more.
	///
	/// # Errors
	/// [`WriteError::Io`].
	pub fn for_roots(out: W, format: IndexFormat, roots: &[Cid]) -> Result<Self, WriteError> {
		Self::with_header_room(out, format, encode_v1(roots).len() as u64)
	}

	/// As [`new`](Self::new), with room for other roots: `room` is the length of the CARv1 header in
	/// bytes. A shorter header is moved to the room's end.
	///
	/// # Errors
	/// [`WriteError::Io`].
	pub fn with_header_room(mut out: W, format: IndexFormat, room: u64) -> Result<Self, WriteError> {
		let start = out.stream_position()?;
		io::copy(&mut io::Read::take(io::repeat(0), V2_PREFIX_LEN + room), &mut out)?;
		let (sections, index) = Default::default();
		Ok(Self {
			out,
			sections,
			index,
			format,
			start,
			room,
		})
	}

	/// As [`CarWriter::put`].
	///
	/// # Errors
	/// [`WriteError::Io`].
	pub fn put(&mut self, block: &Block) -> Result<bool, WriteError> {
		let offset = self.sections.put(block, &mut self.out)?;
		if let Some(offset) = offset {
			self.index.push(block.cid(), offset);
		}
		Ok(offset.is_some())
	}

	/// Writes the index and the headers, and gives `out` back at the archive's end.
	///
	/// # Errors
	/// [`WriteError`].
	pub fn finish(mut self, roots: &[Cid]) -> Result<(W, Written), WriteError> {
		let header = encode_v1(roots);
		let len = header.len() as u64;
		let padding = self
			.room
			.checked_sub(len)
			.ok_or(WriteError::HeaderRoom { len, room: self.room })?;
		let payload_size = len + self.sections.len;
		let data_offset = V2_PREFIX_LEN + padding;
		let index_offset = data_offset + payload_size;
		let index_len = self.index.build_shifted(len).write(self.format, &mut self.out)?;
		let end = self.out.stream_position()?;
		let v2 = V2Header {
			characteristics: [0; 16],
			data_offset,
			data_size: payload_size,
			index_offset,
		};
		self.out.seek(SeekFrom::Start(self.start))?;
		self.out.write_all(&V2_PRAGMA)?;
		self.out.write_all(&v2.encode())?;
		self.out.seek(SeekFrom::Start(self.start + data_offset))?;
		self.out.write_all(&header)?;
		self.out.seek(SeekFrom::Start(end))?;
		self.out.flush()?;
		let Sections {
			blocks, duplicates, ..
		} = self.sections;
		Ok((
			self.out,
			Written {
				blocks,
				duplicates,
				payload_size,
				size: index_offset + index_len,
			},
		))
	}
}

impl<W: Write + Seek> BlockSink for CarV2Writer<W> {
	fn put(&mut self, block: Block) -> Result<(), SinkError> {
		CarV2Writer::put(self, &block).map(drop).map_err(SinkError::new)
	}
}

/// Why an archive cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
	/// The stream failed.
	#[error("writing the archive failed: {0}")]
	Io(#[from] io::Error),
	/// The index failed.
	#[error(transparent)]
	Index(#[from] IndexError),
	/// The roots need a longer header than there is room for.
	#[error("the header takes {len} bytes, and there is room for {room}")]
	HeaderRoom {
		/// Bytes it takes.
		len: u64,
		/// Bytes there are.
		room: u64,
	},
}
