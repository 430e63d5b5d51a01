//! Reading archives from front to back.

use crate::header::{self, AnyHeader, V2Header, Version, V2_HEADER_LEN, V2_PRAGMA, V2_PREFIX_LEN};
use bytes::Bytes;
use cairn_dag::{
	read_cid,
	varint::{self, VarintError},
	Block, BlockError,
};
use cid::Cid;
use std::io::{self, BufRead, BufReader, Read};

/// What reading accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
	/// Largest CARv1 header in bytes: 1 MiB, about 27,000 roots.
	pub max_header: u64,
	/// Largest section, which is a block and its CID, in bytes: 8 MiB.
	pub max_section: u64,
	/// Largest index in bytes, taken into memory: 256 MiB, about 6.7 million blocks. Indexes built by
	/// a scan take the same limit.
	pub max_index: u64,
	/// Whether each block is hashed and compared with its CID.
	pub verify: bool,
	/// Whether zero bytes may follow the archive, as in a piece that is padded to a power of two. They
	/// end the archive; anything but zeros after them is an error where it is read.
	pub zero_padding: bool,
	/// Whether [`CarFile`](crate::CarFile) builds its index by a scan even if the archive has one.
	pub ignore_index: bool,
}

impl Default for ReadOptions {
	fn default() -> Self {
		Self {
			max_header: 1 << 20,
			max_section: 8 << 20,
			max_index: 256 << 20,
			verify: true,
			zero_padding: false,
			ignore_index: false,
		}
	}
}

/// A block in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
	/// The block.
	pub block: Block,
	/// Where the section starts, counted from the first byte of the CARv1 payload.
	pub offset: u64,
	/// Bytes of the section: its length field, the CID and the data.
	pub len: u64,
}

/// Reads blocks of a CARv1 or CARv2 from a stream, in the order in which they stand.
///
/// Memory: one section. A CARv2's index is not read. After an error the reader yields nothing more.
#[derive(Debug)]
pub struct CarReader<R> {
	input: BufReader<R>,
	options: ReadOptions,
	version: Version,
	roots: Vec<Cid>,
	v2: Option<V2Header>,
	/// Payload bytes read.
	position: u64,
	/// Payload bytes in all, if known.
	payload_size: Option<u64>,
	done: bool,
}

impl<R: Read> CarReader<R> {
	/// Reads the header.
	///
	/// # Errors
	/// [`ReadError`] if there is none, or one that is refused.
	pub fn new(input: R) -> Result<Self, ReadError> {
		Self::with_options(input, ReadOptions::default())
	}

	/// As [`new`](Self::new) with other limits.
	///
	/// # Errors
	/// As [`new`](Self::new).
	pub fn with_options(input: R, options: ReadOptions) -> Result<Self, ReadError> {
		let mut reader = Self {
			input: BufReader::with_capacity(64 * 1024, input),
			options,
			version: Version::V1,
			roots: Vec::new(),
			v2: None,
			position: 0,
			payload_size: None,
			done: false,
		};
		match reader.read_header()? {
			AnyHeader::V1 { roots } => reader.roots = roots,
			AnyHeader::V2Pragma => {
				// Any other encoding of the same header would shift what follows.
				if reader.position != V2_PRAGMA.len() as u64 {
					return Err(ReadError::Header {
						reason: "the CARv2 pragma is not the fixed one",
					});
				}
				reader.enter_payload()?;
			}
		}
		Ok(reader)
	}

	/// Version of the archive.
	pub fn version(&self) -> Version {
		self.version
	}

	/// The roots, as the header claims them: they may be absent from the archive.
	pub fn roots(&self) -> &[Cid] {
		&self.roots
	}

	/// Bytes of the CARv1 payload read so far, and all of them after the last block.
	pub fn position(&self) -> u64 {
		self.position
	}

	/// The next block, or `None` after the last.
	///
	/// # Errors
	/// [`ReadError`].
	pub fn next_block(&mut self) -> Result<Option<Block>, ReadError> {
		Ok(self.next_section()?.map(|section| section.block))
	}

	/// The next block with its place, or `None` after the last.
	///
	/// # Errors
	/// [`ReadError`].
	pub fn next_section(&mut self) -> Result<Option<Section>, ReadError> {
		if self.done {
			return Ok(None);
		}
		let section = self.read_section();
		self.done = !matches!(section, Ok(Some(_)));
		section
	}

	pub(crate) fn v2_header(&self) -> Option<&V2Header> {
		self.v2.as_ref()
	}

	fn read_header(&mut self) -> Result<AnyHeader, ReadError> {
		let len = match self.read_varint()? {
			Some(len) => len,
			None => {
				return Err(ReadError::Truncated {
					offset: self.position,
				})
			}
		};
		if len == 0 {
			return Err(ReadError::Header {
				reason: "it is empty",
			});
		}
		if len > self.options.max_header {
			return Err(ReadError::HeaderTooLarge {
				len,
				limit: self.options.max_header,
			});
		}
		let bytes = self.read_bytes(len)?;
		header::decode(&bytes).map_err(|version| match version {
			Some(version) => ReadError::UnsupportedVersion { version },
			None => ReadError::Header {
				reason: "it is not a CAR header",
			},
		})
	}

	/// From behind the pragma to the first section of the payload.
	fn enter_payload(&mut self) -> Result<(), ReadError> {
		let mut bytes = [0; V2_HEADER_LEN];
		bytes.copy_from_slice(&self.read_bytes(V2_HEADER_LEN as u64)?);
		let v2 = V2Header::decode(&bytes).map_err(|reason| ReadError::Header { reason })?;
		let gap = v2.data_offset - V2_PREFIX_LEN;
		let skipped = io::copy(&mut self.input.by_ref().take(gap), &mut io::sink())?;
		if skipped != gap {
			return Err(ReadError::Truncated {
				offset: V2_PREFIX_LEN + skipped,
			});
		}
		self.version = Version::V2;
		self.v2 = Some(v2);
		self.position = 0;
		self.payload_size = Some(v2.data_size);
		match self.read_header()? {
			AnyHeader::V1 { roots } => self.roots = roots,
			AnyHeader::V2Pragma => {
				return Err(ReadError::Header {
					reason: "the payload is not a CARv1",
				})
			}
		}
		Ok(())
	}

	fn read_section(&mut self) -> Result<Option<Section>, ReadError> {
		let offset = self.position;
		let Some(len) = self.read_varint()? else {
			return Ok(None);
		};
		if len == 0 {
			if !self.options.zero_padding {
				return Err(ReadError::EmptySection { offset });
			}
			self.position = offset;
			self.expect_zeros()?;
			return Ok(None);
		}
		if len > self.options.max_section {
			return Err(ReadError::SectionTooLarge {
				offset,
				len,
				limit: self.options.max_section,
			});
		}
		let bytes = self.read_bytes(len)?;
		let (cid, cid_len) = read_cid(&bytes).ok_or(ReadError::InvalidCid { offset })?;
		let data = bytes.slice(cid_len..);
		let block = if self.options.verify {
			Block::new(cid, data).map_err(|error| ReadError::Block { offset, error })?
		} else {
			Block::assume_verified(cid, data)
		};
		Ok(Some(Section {
			block,
			offset,
			len: self.position - offset,
		}))
	}

	/// An integer, or `None` if the payload ends before it.
	fn read_varint(&mut self) -> Result<Option<u64>, ReadError> {
		let offset = self.position;
		let mut bytes = [0; varint::MAX_LEN];
		for len in 1..=varint::MAX_LEN {
			let Some(byte) = self.read_byte()? else {
				return if len == 1 {
					Ok(None)
				} else {
					Err(ReadError::Truncated {
						offset: self.position,
					})
				};
			};
			bytes[len - 1] = byte;
			match varint::decode(&bytes[..len]) {
				Ok((value, _)) => return Ok(Some(value)),
				Err(VarintError::Truncated) => {}
				Err(error) => return Err(ReadError::Length { offset, error }),
			}
		}
		Err(ReadError::Length {
			offset,
			error: VarintError::Overflow,
		})
	}

	fn read_byte(&mut self) -> Result<Option<u8>, ReadError> {
		if self.payload_size.is_some_and(|size| self.position >= size) {
			return Ok(None);
		}
		// Only an empty buffer is the end: a reader that fails within its stream may call that an unexpected end.
		let byte = loop {
			match self.input.fill_buf() {
				Ok(buffer) => break buffer.first().copied(),
				Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
				Err(error) => return Err(error.into()),
			}
		};
		if byte.is_some() {
			self.input.consume(1);
			self.position += 1;
		} else if self.payload_size.is_some() {
			// A CARv1 ends with its stream; a CARv2 knows its payload's size.
			return Err(ReadError::Truncated {
				offset: self.position,
			});
		}
		Ok(byte)
	}

	/// `len` was checked against a limit.
	fn read_bytes(&mut self, len: u64) -> Result<Bytes, ReadError> {
		if self.payload_size.is_some_and(|size| len > size - self.position) {
			return Err(ReadError::Truncated {
				offset: self.position,
			});
		}
		// Grows with what arrives, so that a short stream which claims a long section costs little.
		let mut bytes = Vec::with_capacity(usize::try_from(len).map_or(0, |len| len.min(1 << 20)));
		let read = self.input.by_ref().take(len).read_to_end(&mut bytes)? as u64;
		self.position += read;
		if read != len {
			return Err(ReadError::Truncated {
				offset: self.position,
			});
		}
		Ok(bytes.into())
	}

	/// Reads the rest of the payload, which must be zeros.
	fn expect_zeros(&mut self) -> Result<(), ReadError> {
		let start = self.position;
		// The first zero was read already.
		let mut offset = start + 1;
		loop {
			let left = self
				.payload_size
				.map_or(u64::MAX, |size| size.saturating_sub(offset));
			let buffer = self.input.fill_buf()?;
			let len = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
			if len == 0 {
				return Ok(());
			}
			if let Some(at) = buffer[..len].iter().position(|byte| *byte != 0) {
				return Err(ReadError::TrailingData {
					offset: offset + at as u64,
				});
			}
			self.input.consume(len);
			offset += len as u64;
		}
	}
}

impl<R: Read> Iterator for CarReader<R> {
	type Item = Result<Block, ReadError>;

	fn next(&mut self) -> Option<Self::Item> {
		self.next_block().transpose()
	}
}

/// Why an archive cannot be read. Offsets count from the first byte of the CARv1 payload, and for what
/// stands before it from that of the archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
	/// The stream failed.
	#[error("reading the archive failed: {0}")]
	Io(#[from] io::Error),
	/// The header is not that of a CAR.
	#[error("invalid CAR header: {reason}")]
	Header {
		/// What is wrong.
		reason: &'static str,
	},
	/// A CAR, but neither CARv1 nor CARv2.
	#[error("CAR version {version} is not supported")]
	UnsupportedVersion {
		/// Its version.
		version: u64,
	},
	/// The header is larger than [`ReadOptions::max_header`].
	#[error("the header claims {len} bytes, at most {limit} are accepted")]
	HeaderTooLarge {
		/// Bytes claimed.
		len: u64,
		/// Bytes accepted.
		limit: u64,
	},
	/// A section is larger than [`ReadOptions::max_section`].
	#[error("the section at byte {offset} claims {len} bytes, at most {limit} are accepted")]
	SectionTooLarge {
		/// Where.
		offset: u64,
		/// Bytes claimed.
		len: u64,
		/// Bytes accepted.
		limit: u64,
	},
	/// A section of length zero, and zero padding is not accepted.
	#[error("the section at byte {offset} is empty")]
	EmptySection {
		/// Where.
		offset: u64,
	},
	/// A length is not a valid integer.
	#[error("the length at byte {offset} is invalid: {error}")]
	Length {
		/// Where.
		offset: u64,
		/// What is wrong.
		error: VarintError,
	},
	/// The archive ends in the middle of something.
	#[error("the archive is cut off at byte {offset}")]
	Truncated {
		/// Where it ends.
		offset: u64,
	},
	/// A section does not start with a CID.
	#[error("the section at byte {offset} has no valid CID")]
	InvalidCid {
		/// Where.
		offset: u64,
	},
	/// A block does not match its CID.
	#[error("section at byte {offset}: {error}")]
	Block {
		/// Where.
		offset: u64,
		/// What is wrong.
		error: BlockError,
	},
	/// The index leads to where no such block is.
	#[error("the index leads to byte {offset}, where another block is")]
	WrongIndex {
		/// Where.
		offset: u64,
	},
	/// Something other than zeros after the archive.
	#[error("unexpected data after the archive, at byte {offset}")]
	TrailingData {
		/// Where.
		offset: u64,
	},
}
