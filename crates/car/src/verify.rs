//! Everything that can be checked about an archive.

use crate::{
	file::{payload, CarFile},
	header::Version,
	index::{Index, IndexBuilder, IndexError, IndexFormat},
	read_at::{Cursor, ReadAt},
	reader::{CarReader, ReadError, ReadOptions},
};
use cairn_dag::{
	hash::IDENTITY,
	walk::{walk, Scope, WalkError},
};
use cid::Cid;
use std::io::{BufRead, BufReader};

/// What is checked besides every block's hash and the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyOptions {
	/// Limits. Blocks are hashed whatever this says.
	pub read: ReadOptions,
	/// Whether every root must be in the archive.
	pub roots: bool,
	/// Whether everything below the roots must be in the archive too. Reads every block a second
	/// time.
	pub dag: bool,
}

impl Default for VerifyOptions {
	/// Roots present, DAG not followed.
	fn default() -> Self {
		Self {
			read: ReadOptions::default(),
			roots: true,
			dag: false,
		}
	}
}

/// What an archive was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
	/// Its version.
	pub version: Version,
	/// Its roots.
	pub roots: Vec<Cid>,
	/// Sections, repeated blocks included.
	pub blocks: u64,
	/// Bytes of the CARv1 payload, without zero padding.
	pub payload_size: u64,
	/// Its index.
	pub index: IndexCheck,
}

/// The state of an archive's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexCheck {
	/// There is none.
	Absent,
	/// It leads to every block and nowhere else.
	Matches(IndexFormat),
	/// It has a format that is not supported, and was not checked.
	Unsupported(u64),
}

/// Checks an archive from its first byte to its last: sizes, every block's hash, roots, index, and
/// that nothing follows but zeros where they are accepted.
///
/// Memory: the index within [`ReadOptions::max_index`] as it is built and once more as the archive has it; while
/// it is sorted, a copy of a bucket and 16 bytes per entry.
///
/// # Errors
/// [`VerifyError`], for the first thing that is wrong.
pub fn verify<R: ReadAt + ?Sized>(source: &R, options: &VerifyOptions) -> Result<Verified, VerifyError> {
	let read = ReadOptions {
		verify: true,
		..options.read
	};
	let size = source.size().map_err(ReadError::Io)?;
	let mut reader = CarReader::with_options(Cursor::new(source, 0, size), read)?;
	let v2 = reader.v2_header().copied();
	let payload = payload(v2.as_ref(), size)?;
	let first_section = reader.position();
	let mut builder = IndexBuilder::default();
	let mut blocks = 0;
	while let Some(section) = reader.next_section()? {
		builder.push_within(section.block.cid(), section.offset, read.max_index)?;
		blocks += 1;
	}
	let version = reader.version();
	let roots = reader.roots().to_vec();
	let payload_size = reader.position();
	drop(reader);
	let built = builder.build();
	let mut index = IndexCheck::Absent;
	if let Some(v2) = v2 {
		let payload_end = v2.data_offset + v2.data_size;
		let end = if v2.index_offset == 0 {
			payload_end
		} else {
			match Index::read(source, v2.index_offset, size, &read) {
				Ok((embedded, format, end)) => {
					compare(&embedded, &built)?;
					index = IndexCheck::Matches(format);
					end
				}
				Err(IndexError::UnknownFormat { code }) => {
					index = IndexCheck::Unsupported(code);
					size
				}
				Err(error) => return Err(error.into()),
			}
		};
		expect_end(source, end, size, read.zero_padding)?;
	}
	if options.roots {
		let present = |root: &Cid| root.hash().code() == IDENTITY || built.offsets(root).next().is_some();
		if let Some(root) = roots.iter().find(|root| !present(root)) {
			return Err(VerifyError::MissingRoot { root: *root });
		}
	}
	if options.dag {
		let file = CarFile::with_index(
			source,
			read,
			version,
			roots.clone(),
			payload,
			first_section,
			built,
		);
		if let Some((first, further)) = roots.split_first() {
			// One walk: thousands of roots over one DAG must not read it thousands of times.
			for block in walk(&file, *first, Scope::All).then_from(further.iter().copied()) {
				block?;
			}
		}
	}
	Ok(Verified {
		version,
		roots,
		blocks,
		payload_size,
		index,
	})
}

/// Every entry must lead to its block, and every block must have an entry.
fn compare(embedded: &Index, built: &Index) -> Result<(), VerifyError> {
	for (function, digest, offset) in embedded.iter() {
		if !built.contains(function, digest, offset) {
			return Err(VerifyError::IndexAstray { offset });
		}
	}
	for (function, digest, offset) in built.iter() {
		if !embedded.has(function, digest) {
			return Err(VerifyError::IndexIncomplete { offset });
		}
	}
	Ok(())
}

fn expect_end<R: ReadAt + ?Sized>(
	source: &R,
	end: u64,
	size: u64,
	zero_padding: bool,
) -> Result<(), ReadError> {
	if end != size && !zero_padding {
		return Err(ReadError::TrailingData { offset: end });
	}
	let mut rest = BufReader::with_capacity(64 * 1024, Cursor::new(source, end, size));
	let mut offset = end;
	loop {
		let bytes = rest.fill_buf()?;
		if bytes.is_empty() {
			return Ok(());
		}
		if let Some(at) = bytes.iter().position(|byte| *byte != 0) {
			return Err(ReadError::TrailingData {
				offset: offset + at as u64,
			});
		}
		let len = bytes.len();
		offset += len as u64;
		rest.consume(len);
	}
}

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
	/// It cannot be read, or a block does not match its CID.
	#[error(transparent)]
	Read(#[from] ReadError),
	/// Its index cannot be read.
	#[error(transparent)]
	Index(#[from] IndexError),
	/// A root is not in it.
	#[error("root {root} is not in the archive")]
	MissingRoot {
		/// Which.
		root: Cid,
	},
	/// The index has an entry for which there is no block.
	#[error("the index leads to byte {offset} for a block that is not there")]
	IndexAstray {
		/// Where the entry leads, from the payload's first byte.
		offset: u64,
	},
	/// The index has no entry for a block.
	#[error("the index lacks the block at byte {offset}")]
	IndexIncomplete {
		/// Where the block is, from the payload's first byte.
		offset: u64,
	},
	/// Something below a root is missing or not well-formed.
	#[error(transparent)]
	Dag(#[from] WalkError),
}
