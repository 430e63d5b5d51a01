//! One archive to several of bounded size.
//!
//! The parts are CARv1 archives, as [carbites](https://github.com/nftstorage/carbites) makes them, so that
//! its tools join what is split here, and [`join`](crate::join) joins what they split. There are two
//! strategies:
//!
//! - [`Treewalk`](SplitStrategy::Treewalk): every part has the archive's roots and holds, beside its own
//!   blocks, all that lie between them and the root. Each part is a DAG of its own with something missing:
//!   it can be verified, stored and served alone. Blocks above others are repeated in several parts.
//! - [`Simple`](SplitStrategy::Simple): the sections in their order, cut where a part is full. The first part
//!   has the archive's roots, the others the empty CID `bafkqaaa`. Nothing is repeated, no block is
//!   interpreted, and joining gives the same bytes.
//!
//! Unlike carbites, which takes the size as a target, no part is larger than asked for.

use crate::{
	file::CarFile,
	header::encode_v1,
	read_at::ReadAt,
	reader::ReadError,
	writer::{section_len, CarWriter, WriteError},
};
use cairn_dag::{
	cid::multihash::Multihash,
	codec::{links, CodecError},
	hash::IDENTITY,
	walk::Budget,
	Block, Codec,
};
use cid::Cid;
use std::{
	collections::HashSet,
	io::{self, Write},
	sync::Arc,
};

mod folder;

pub use folder::{split_to_folder, SplitFolder};

/// How blocks are distributed over the parts: see the [module](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SplitStrategy {
	/// Each part a DAG from the roots.
	#[default]
	Treewalk,
	/// Each part a piece of the archive.
	Simple,
}

/// How an archive is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitOptions {
	/// Most bytes of a part.
	pub max_size: u64,
	/// How blocks are distributed.
	pub strategy: SplitStrategy,
	/// Most parts: small parts of a deep DAG consist of little but the blocks above.
	pub max_parts: u64,
	/// Limits of the walk. A part's path to the root is held as CIDs.
	pub budget: Budget,
}

impl SplitOptions {
	/// Parts of at most `max_size` bytes, at most 100,000 of them, by walking.
	pub fn new(max_size: u64) -> Self {
		Self {
			max_size,
			strategy: SplitStrategy::default(),
			max_parts: 100_000,
			budget: Budget::default(),
		}
	}
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
	/// Its number, from 0.
	pub number: u64,
	/// Its roots, which the parts share.
	pub roots: Arc<[Cid]>,
	/// Bytes of it.
	pub size: u64,
	/// Blocks in it.
	pub blocks: u64,
}

/// What was split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
	/// The parts in order.
	pub parts: Vec<Part>,
	/// Sections in all parts that another part has too: the blocks above.
	pub repeated: u64,
	/// Blocks that no root leads to. They stand in the last parts.
	pub unreachable: u64,
}

/// Takes the parts.
pub trait PartSink {
	/// What a part is written to.
	type Out: Write;

	/// Begins a part. Small writes are frequent: give a [`std::io::BufWriter`].
	///
	/// # Errors
	/// Whatever keeps the part from being made.
	fn begin(&mut self, number: u64) -> io::Result<Self::Out>;

	/// Keeps a part that is complete and flushed.
	///
	/// # Errors
	/// Whatever keeps the part from being kept.
	fn finish(&mut self, out: Self::Out, part: &Part) -> io::Result<()>;
}

/// The root of parts without one, `bafkqaaa`: the identity CID of nothing.
pub(crate) fn empty_root() -> Cid {
	let nothing = Multihash::wrap(IDENTITY, &[]).expect("nothing fits in a multihash");
	Cid::new_v1(Codec::Raw.code(), nothing)
}

/// Splits an archive into parts.
///
/// Memory: a block, and with [`SplitStrategy::Treewalk`] the CIDs met and the links that wait. Every block
/// is checked, unless the archive was opened without.
///
/// # Errors
/// [`SplitError`]; the parts finished until then are not the whole archive.
pub fn split<R: ReadAt, K: PartSink>(
	archive: &CarFile<R>,
	options: &SplitOptions,
	sink: &mut K,
) -> Result<Split, SplitError> {
	let mut splitter = Splitter {
		archive,
		options,
		sink,
		current: None,
		split: Split {
			parts: Vec::new(),
			repeated: 0,
			unreachable: 0,
		},
		roots: [archive.roots().into(), [empty_root()].into()],
		seen: HashSet::new(),
		pending: 0,
	};
	match options.strategy {
		SplitStrategy::Treewalk => splitter.treewalk()?,
		SplitStrategy::Simple => splitter.simple()?,
	}
	let last = match splitter.current.take() {
		None if splitter.split.parts.is_empty() => Some(splitter.begin()?),
		current => current,
	};
	if let Some(last) = last {
		splitter.finish(last)?;
	}
	Ok(splitter.split)
}

struct Splitter<'a, R, K: PartSink> {
	archive: &'a CarFile<R>,
	options: &'a SplitOptions,
	sink: &'a mut K,
	/// The part being written.
	current: Option<Current<K::Out>>,
	split: Split,
	/// Roots of the archive, and of parts that have none of them.
	roots: [Arc<[Cid]>; 2],
	/// CIDs met.
	seen: HashSet<Cid>,
	/// Links that wait on all levels.
	pending: usize,
}

struct Current<W> {
	writer: CarWriter<W>,
	roots: Arc<[Cid]>,
	size: u64,
}

/// A block on the way from a root, and its links that were not followed yet.
struct Level {
	cid: Cid,
	links: std::vec::IntoIter<Cid>,
}

impl<R: ReadAt, K: PartSink> Splitter<'_, R, K> {
	fn simple(&mut self) -> Result<(), SplitError> {
		let archive = self.archive;
		for section in archive.sections() {
			let head = section?;
			let block = archive.read(&head)?;
			self.append(&block, &[])?;
		}
		Ok(())
	}

	fn treewalk(&mut self) -> Result<(), SplitError> {
		let archive = self.archive;
		for root in archive.roots() {
			self.below(*root)?;
		}
		for section in archive.sections() {
			let head = section?;
			if head.cid.hash().code() != IDENTITY && self.seen.insert(head.cid) {
				let block = archive.read(&head)?;
				self.append(&block, &[])?;
				self.split.unreachable += 1;
			}
		}
		Ok(())
	}

	/// Writes everything below a root, depth first, each block once beside those above the others.
	fn below(&mut self, root: Cid) -> Result<(), SplitError> {
		let mut path: Vec<Level> = Vec::new();
		let mut next = Some(root);
		loop {
			let cid = match (next.take(), path.last_mut()) {
				(Some(root), _) => root,
				(None, None) => return Ok(()),
				(None, Some(level)) => match level.links.next() {
					Some(link) => {
						self.pending -= 1;
						link
					}
					None => {
						path.pop();
						continue;
					}
				},
			};
			if !self.seen.insert(cid) {
				continue;
			}
			let block = self.load(&cid)?;
			self.append(&block, &path)?;
			let links = links(&block).map_err(|error| SplitError::Codec { cid, error })?;
			if links.is_empty() {
				continue;
			}
			self.pending += links.len();
			if path.len() >= self.options.budget.max_depth {
				return Err(SplitError::Budget { cid, limit: "depth" });
			}
			if self.pending > self.options.budget.max_pending {
				return Err(SplitError::Budget {
					cid,
					limit: "waiting links",
				});
			}
			path.push(Level {
				cid,
				links: links.into_iter(),
			});
		}
	}

	fn load(&self, cid: &Cid) -> Result<Block, SplitError> {
		self.archive.get(cid)?.ok_or(SplitError::Missing { cid: *cid })
	}

	/// Writes a block to the current part, or to a new one that begins with the blocks of `path`.
	fn append(&mut self, block: &Block, path: &[Level]) -> Result<(), SplitError> {
		if block.cid().hash().code() == IDENTITY {
			return Ok(());
		}
		let fits = |part: &Current<K::Out>| part.size + section_len(block) <= self.options.max_size;
		let mut part = match self.current.take() {
			Some(part) if fits(&part) => part,
			full => {
				if let Some(full) = full {
					self.finish(full)?;
				}
				let mut part = self.begin()?;
				for level in path {
					let above = self.load(&level.cid)?;
					if above.cid().hash().code() != IDENTITY {
						self.put(&above, &mut part)?;
						self.split.repeated += 1;
					}
				}
				part
			}
		};
		self.put(block, &mut part)?;
		self.current = Some(part);
		Ok(())
	}

	fn put(&self, block: &Block, part: &mut Current<K::Out>) -> Result<(), SplitError> {
		let (size, limit) = (part.size + section_len(block), self.options.max_size);
		if size > limit {
			let cid = *block.cid();
			return Err(SplitError::TooLarge { cid, size, limit });
		}
		part.writer.put(block)?;
		part.size = size;
		Ok(())
	}

	fn begin(&mut self) -> Result<Current<K::Out>, SplitError> {
		let number = self.split.parts.len() as u64;
		if number >= self.options.max_parts {
			return Err(SplitError::TooMany {
				limit: self.options.max_parts,
			});
		}
		let roots = match self.options.strategy {
			SplitStrategy::Simple if number > 0 => self.roots[1].clone(),
			_ => self.roots[0].clone(),
		};
		let size = encode_v1(&roots).len() as u64;
		if size > self.options.max_size {
			return Err(SplitError::Header {
				size,
				limit: self.options.max_size,
			});
		}
		let out = self.sink.begin(number).map_err(SplitError::Part)?;
		Ok(Current {
			writer: CarWriter::new(out, &roots)?.duplicates(true),
			roots,
			size,
		})
	}

	fn finish(&mut self, part: Current<K::Out>) -> Result<(), SplitError> {
		let (out, written) = part.writer.finish()?;
		let part = Part {
			number: self.split.parts.len() as u64,
			roots: part.roots,
			size: written.size,
			blocks: written.blocks,
		};
		self.sink.finish(out, &part).map_err(SplitError::Part)?;
		self.split.parts.push(part);
		Ok(())
	}
}

/// Why an archive cannot be split.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
	/// The archive cannot be read.
	#[error(transparent)]
	Read(#[from] ReadError),
	/// A part cannot be written.
	#[error(transparent)]
	Write(#[from] WriteError),
	/// A part cannot be made or kept.
	#[error("cannot make a part: {0}")]
	Part(#[source] io::Error),
	/// A block below the roots is not in the archive. Only [`SplitStrategy::Simple`] splits it.
	#[error("block {cid} is not in the archive")]
	Missing {
		/// The block.
		cid: Cid,
	},
	/// A block's links cannot be read. Only [`SplitStrategy::Simple`] splits the archive.
	#[error("block {cid}: {error}")]
	Codec {
		/// The block.
		cid: Cid,
		/// What is wrong with it.
		error: CodecError,
	},
	/// The DAG exceeds the options' budget.
	#[error("the archive exceeds the walk's budget at block {cid}: {limit}")]
	Budget {
		/// The block it exceeds it with.
		cid: Cid,
		/// Which limit.
		limit: &'static str,
	},
	/// A block does not fit in a part, with the header and the blocks above it.
	#[error(
		"block {cid} needs a part of {size} bytes with what lies above it, and parts have at most {limit}"
	)]
	TooLarge {
		/// The block.
		cid: Cid,
		/// Bytes that the part would have.
		size: u64,
		/// Bytes that it may have.
		limit: u64,
	},
	/// The roots do not fit in a part.
	#[error("the header alone takes {size} bytes, and parts have at most {limit}")]
	Header {
		/// Bytes of the header.
		size: u64,
		/// Bytes that a part may have.
		limit: u64,
	},
	/// More parts than [`SplitOptions::max_parts`].
	#[error("the archive makes more than {limit} parts")]
	TooMany {
		/// Parts allowed.
		limit: u64,
	},
}
