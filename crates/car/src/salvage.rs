//! Blocks out of damaged archives.
//!
//! Truncated by a full disk, with a flipped bit, a hole of zeros, a header that was never written because
//! the writer was killed: whatever happened to an archive, the blocks whose bytes still match their CIDs
//! are as good as before. [`salvage`] finds them all and writes a well-formed CARv2 with an index.
//!
//! Where a section makes no sense, the next one is found by its form: a length, a CID by a hash function that
//! is known, and data that matches it. A section whose head is intact and whose data is not is skipped by
//! its length, as long as that leads to other sections.

mod scan;

use crate::{
	header::{encode_v1, V2Header, Version, V2_HEADER_LEN, V2_PRAGMA, V2_PREFIX_LEN},
	index::IndexFormat,
	read_at::{Cursor, ReadAt},
	reader::{CarReader, ReadOptions},
	writer::{CarV2Writer, WriteError, Written},
};
use cairn_dag::{cid::multihash::Multihash, codec::links, Block, BlockError};
use cid::Cid;
use scan::{At, Scanner};
use std::{
	collections::HashSet,
	io::{self, Seek, Write},
};

/// Most roots that are guessed.
const MAX_GUESSED_ROOTS: usize = 64;

/// Most links remembered to guess roots: about 200 MB.
const MAX_LINKS: usize = 1 << 21;

/// Most ranges of [`Salvaged::lost`].
const MAX_LOST: usize = 10_000;

/// How an archive is salvaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SalvageOptions {
	/// Limits. Blocks are hashed whatever this says, and zero padding is accepted.
	pub read: ReadOptions,
	/// Format of the index written.
	pub index: IndexFormat,
	/// Roots of the archive written, instead of those of the header.
	pub roots: Option<Vec<Cid>>,
}

/// Where the roots of a salvaged archive come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootsFrom {
	/// The archive's header.
	Header,
	/// The options.
	Options,
	/// The header is lost: they are the blocks that no other one links to, if those are few.
	Guess,
}

/// What was salvaged, and what was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
	/// Version of the archive, if its header could be read.
	pub version: Option<Version>,
	/// The roots written. They may be lost: [`completeness`](crate::completeness) tells.
	pub roots: Vec<Cid>,
	/// Where they come from.
	pub roots_from: RootsFrom,
	/// The archive written.
	pub written: Written,
	/// Bytes where blocks should be and are not: the first of them.
	pub lost: Vec<Lost>,
	/// Number of such ranges.
	pub lost_ranges: u64,
	/// Bytes in all of them.
	pub lost_bytes: u64,
	/// Whether the search was given up before the end, because too much looked like blocks and was none:
	/// only archives that are made for it do so.
	pub gave_up: bool,
}

/// Bytes that are no block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
	/// The first, counted from the first byte of the archive.
	pub offset: u64,
	/// How many.
	pub len: u64,
	/// What is wrong with them.
	pub reason: LostReason,
}

/// What is wrong with bytes where a block should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LostReason {
	/// The archive's header.
	Header,
	/// No section begins there.
	NoSection,
	/// A section that the archive ends within.
	Truncated {
		/// The CID that it claims.
		cid: Cid,
	},
	/// A section whose data does not match its CID, or not by a hash function that is accepted.
	Block {
		/// Why.
		error: BlockError,
	},
}

impl std::fmt::Display for LostReason {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		match self {
			Self::Header => f.write_str("the header cannot be read"),
			Self::NoSection => f.write_str("no section begins there"),
			Self::Truncated { cid } => write!(f, "block {cid} is cut off"),
			Self::Block { error } => error.fmt(f),
		}
	}
}

/// Writes every block of `source` that matches its CID to `out`, each once, as a CARv2 with an index.
///
/// Memory: two blocks, what [`CarV2Writer`] keeps, and, where the header is lost, the links of all blocks.
/// Time: at most some twenty times that of hashing the archive, whatever it consists of.
///
/// # Errors
/// [`SalvageError`]; damage is none.
pub fn salvage<R: ReadAt + ?Sized, W: Write + Seek>(
	source: &R,
	out: W,
	options: &SalvageOptions,
) -> Result<Salvaged, SalvageError> {
	let read = ReadOptions {
		verify: true,
		zero_padding: true,
		..options.read
	};
	let size = source.size().map_err(SalvageError::Read)?;
	let front = Front::read(source, size, read)?;
	let (known, roots_from) = match (&options.roots, &front.roots) {
		(Some(roots), _) => (Some(roots.clone()), RootsFrom::Options),
		(None, Some(roots)) => (Some(roots.clone()), RootsFrom::Header),
		(None, None) => (None, RootsFrom::Guess),
	};
	let writer = match &known {
		Some(roots) => CarV2Writer::for_roots(out, options.index, roots)?,
		None => CarV2Writer::with_header_room(out, options.index, guessed_header_room())?,
	};
	let mut salvage = Salvage {
		writer,
		heads: known.is_none().then(Heads::default),
		lost: Losses::default(),
	};
	let mut scanner = Scanner::new(source, size, read.max_section);
	let first = match front.roots {
		Some(_) => front.sections,
		None => {
			let found = scanner.search(front.sections, front.end);
			let first = found.map_err(SalvageError::Read)?.unwrap_or(front.end);
			salvage.lost.add(Lost {
				offset: front.sections,
				len: first - front.sections,
				reason: LostReason::Header,
			});
			first
		}
	};
	salvage.run(&mut scanner, first, front.end, size)?;
	let roots = match (known, salvage.heads) {
		(Some(roots), _) => roots,
		(None, Some(heads)) => heads.roots(),
		(None, None) => Vec::new(),
	};
	let (_, written) = salvage.writer.finish(&roots)?;
	let Losses { lost, ranges, bytes } = salvage.lost;
	Ok(Salvaged {
		version: front.version,
		roots,
		roots_from,
		written,
		lost,
		lost_ranges: ranges,
		lost_bytes: bytes,
		gave_up: scanner.is_exhausted(),
	})
}

/// What the archive says before its sections, as far as it can be read.
struct Front {
	version: Option<Version>,
	roots: Option<Vec<Cid>>,
	/// Where the first section starts; without roots, where it is searched for.
	sections: u64,
	/// Where the payload ends.
	end: u64,
}

impl Front {
	fn read<R: ReadAt + ?Sized>(source: &R, size: u64, options: ReadOptions) -> Result<Self, SalvageError> {
		let mut prefix = [0; V2_PREFIX_LEN as usize];
		let mut version = Version::V1;
		let (mut start, mut end) = (0, size);
		if size >= V2_PREFIX_LEN {
			source.read_exact_at(&mut prefix, 0).map_err(SalvageError::Read)?;
		}
		if let Some(header) = prefix.strip_prefix(&V2_PRAGMA) {
			version = Version::V2;
			let mut bytes = [0; V2_HEADER_LEN];
			bytes.copy_from_slice(header);
			match V2Header::decode(&bytes) {
				// The sum was checked.
				Ok(v2) if v2.data_offset < size => {
					start = v2.data_offset;
					end = size.min(v2.data_offset + v2.data_size);
				}
				_ => start = V2_PREFIX_LEN,
			}
		}
		let header = CarReader::with_options(Cursor::new(source, start, end), options);
		Ok(match header {
			Ok(reader) if reader.version() == Version::V1 => Self {
				version: Some(version),
				roots: Some(reader.roots().to_vec()),
				sections: start + reader.position(),
				end,
			},
			// Nor are the numbers of a CARv2 header to be trusted that lead to none.
			_ => Self {
				version: (version == Version::V2).then_some(version),
				roots: None,
				sections: match version {
					Version::V1 => 0,
					Version::V2 => V2_PREFIX_LEN,
				},
				end: size,
			},
		})
	}
}

/// A salvage under way.
struct Salvage<W> {
	writer: CarV2Writer<W>,
	/// Kept where the roots are not known.
	heads: Option<Heads>,
	lost: Losses,
}

impl<W: Write + Seek> Salvage<W> {
	/// Goes through the sections from `offset` on, up to the payload's end.
	fn run<R: ReadAt + ?Sized>(
		&mut self,
		scanner: &mut Scanner<'_, R>,
		mut offset: u64,
		mut end: u64,
		size: u64,
	) -> Result<(), SalvageError> {
		// Sections skipped by their length, which is not trusted before it led to a block.
		let mut skipped: Vec<Lost> = Vec::new();
		loop {
			// The header may be wrong about the payload's size.
			if offset > end
				|| (offset == end && end < size && scanner.is_block(offset).map_err(SalvageError::Read)?)
			{
				end = size;
			}
			if offset >= end {
				break;
			}
			let (reason, next) = match scanner.at(offset).map_err(SalvageError::Read)? {
				At::Block { block, end: next } => {
					self.lost.extend(&mut skipped);
					self.put(&block)?;
					offset = next;
					continue;
				}
				At::Zeros { end: zeros } if zeros >= end => break,
				At::Zeros { .. } | At::Nothing => (LostReason::NoSection, None),
				At::Truncated { cid } => (LostReason::Truncated { cid }, None),
				At::Mismatch { error, end: next } => (LostReason::Block { error }, Some(next)),
			};
			if let Some(next) = next.filter(|next| *next <= end) {
				let len = next - offset;
				skipped.push(Lost { offset, len, reason });
				offset = next;
				if skipped.len() == MAX_LOST {
					self.lost.extend(&mut skipped);
				}
				continue;
			}
			// A length led astray, or there was none: search from the first section in doubt.
			let first = skipped.drain(..).next();
			let (from, reason) = first.map_or((offset, reason), |first| (first.offset, first.reason));
			let mut found = scanner.search(from + 1, end).map_err(SalvageError::Read)?;
			if found.is_none() {
				// Inserted bytes push sections beyond the end that the header claims.
				found = scanner.search(end, size).map_err(SalvageError::Read)?;
			}
			offset = found.unwrap_or(end);
			self.lost.add(Lost {
				offset: from,
				len: offset - from,
				reason,
			});
		}
		// The end is as good as another section.
		self.lost.extend(&mut skipped);
		Ok(())
	}

	fn put(&mut self, block: &Block) -> Result<(), WriteError> {
		self.writer.put(block)?;
		if let Some(heads) = &mut self.heads {
			heads.see(block);
		}
		Ok(())
	}
}

/// Ranges lost.
#[derive(Default)]
struct Losses {
	lost: Vec<Lost>,
	ranges: u64,
	bytes: u64,
}

impl Losses {
	fn add(&mut self, lost: Lost) {
		self.ranges += 1;
		self.bytes += lost.len;
		if self.lost.len() < MAX_LOST {
			self.lost.push(lost);
		}
	}

	fn extend(&mut self, skipped: &mut Vec<Lost>) {
		skipped.drain(..).for_each(|lost| self.add(lost));
	}
}

/// Blocks that no other one links to.
#[derive(Default)]
struct Heads {
	kept: HashSet<Cid>,
	linked: HashSet<Cid>,
	/// Whether there were too many to remember.
	overflown: bool,
}

impl Heads {
	fn see(&mut self, block: &Block) {
		self.kept.insert(*block.cid());
		// Blocks that cannot be read link to nothing.
		let links = links(block).unwrap_or_default();
		if self.linked.len() + links.len() > MAX_LINKS {
			self.overflown = true;
		} else {
			self.linked.extend(links);
		}
	}

	fn roots(self) -> Vec<Cid> {
		if self.overflown {
			return Vec::new();
		}
		let mut heads: Vec<Cid> = self
			.kept
			.difference(&self.linked)
			.take(MAX_GUESSED_ROOTS + 1)
			.copied()
			.collect();
		if heads.len() > MAX_GUESSED_ROOTS {
			return Vec::new();
		}
		heads.sort();
		heads
	}
}

/// Room for the header of the most roots that are guessed, each as long as a CID can be.
fn guessed_header_room() -> u64 {
	let longest = Multihash::wrap(u64::MAX, &[0; 64]).expect("64 bytes fit in a multihash");
	encode_v1(&[Cid::new_v1(u64::MAX, longest); MAX_GUESSED_ROOTS]).len() as u64
}

/// Why an archive cannot be salvaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SalvageError {
	/// The archive cannot be read at all.
	#[error("reading the archive failed: {0}")]
	Read(#[source] io::Error),
	/// The new archive cannot be written.
	#[error(transparent)]
	Write(#[from] WriteError),
}
