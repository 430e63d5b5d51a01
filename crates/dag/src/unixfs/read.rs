//! Content of files, lists of folders, and paths.

use super::{
	hamt::{self, Shards},
	node::{DirectoryEntry, FileNode, Kind, Node, NodeError},
};
use crate::{
	block::Block,
	source::{load, load_ahead, BlockSource, SourceError},
};
use bytes::Bytes;
use cid::Cid;
use std::{collections::HashSet, ops::Range};

/// Deepest file tree that is read. A balanced tree of the widest files has four levels, one with two
/// links per node has 64.
pub const MAX_FILE_DEPTH: usize = 128;

/// Most nodes of a file that wait to be read at once: bounds memory when wide nodes nest.
pub const MAX_PENDING: usize = 1 << 20;

/// Bytes of a file, from `start` up to but without `end`; `None` is the end of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange {
	/// First byte, counted from 0.
	pub start: u64,
	/// One past the last byte. Beyond the file's end means the end.
	pub end: Option<u64>,
}

impl ByteRange {
	/// The whole file.
	pub const ALL: Self = Self { start: 0, end: None };
}

impl From<Range<u64>> for ByteRange {
	fn from(range: Range<u64>) -> Self {
		Self {
			start: range.start,
			end: Some(range.end),
		}
	}
}

/// What a UnixFS root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
	/// File, folder or symbolic link.
	pub kind: Kind,
	/// Content bytes of a file or of a symbolic link's target; 0 for folders. A file's size is what
	/// its root claims: reading checks it.
	pub size: u64,
}

/// Looks at a UnixFS root.
///
/// # Errors
/// [`ReadError`] if the block is missing or not UnixFS.
pub fn stat<S: BlockSource + ?Sized>(source: &S, cid: &Cid) -> Result<Stat, ReadError> {
	let node = node(source, cid)?;
	let size = match &node {
		Node::File(file) => file.size,
		Node::Symlink(target) => target.len() as u64,
		Node::Directory(_) | Node::ShardedDirectory => 0,
	};
	Ok(Stat {
		kind: node.kind(),
		size,
	})
}

/// The entries of a folder, sharded or not, sorted as its block has them or, of a sharded one, by
/// the bytes of their names.
///
/// # Errors
/// [`ReadError::NotADirectory`] for anything else.
pub fn list<S: BlockSource + ?Sized>(source: &S, cid: &Cid) -> Result<Vec<DirectoryEntry>, ReadError> {
	let entries = entries(source, cid)?;
	let sharded = matches!(entries.rest, Rest::Sharded(_));
	let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
	if sharded {
		entries.sort_by(|a, b| a.name.cmp(&b.name));
	}
	Ok(entries)
}

/// The entries of a folder one after the other, with the memory of one block per level: those of a
/// sharded folder in the order of its shards.
///
/// # Errors
/// [`ReadError::NotADirectory`] for anything else.
pub fn entries<S: BlockSource>(source: S, cid: &Cid) -> Result<Entries<S>, ReadError> {
	match node(&source, cid)? {
		Node::Directory(entries) => Ok(Entries {
			source,
			ready: entries.into_iter(),
			rest: Rest::None,
		}),
		Node::ShardedDirectory => Ok(Entries {
			source,
			ready: Vec::new().into_iter(),
			rest: Rest::Sharded(Shards::new(*cid)),
		}),
		node => Err(ReadError::NotADirectory {
			cid: *cid,
			kind: node.kind(),
		}),
	}
}

/// Entries of a folder, from [`entries`]. The iterator ends after the first error.
#[derive(Debug)]
pub struct Entries<S> {
	source: S,
	ready: std::vec::IntoIter<DirectoryEntry>,
	rest: Rest,
}

#[derive(Debug)]
enum Rest {
	None,
	Sharded(Shards),
}

impl<S: BlockSource> Iterator for Entries<S> {
	type Item = Result<DirectoryEntry, ReadError>;

	fn next(&mut self) -> Option<Self::Item> {
		loop {
			if let Some(entry) = self.ready.next() {
				return Some(Ok(entry));
			}
			let Rest::Sharded(shards) = &mut self.rest else {
				return None;
			};
			match shards.next(&self.source, usize::MAX)? {
				Ok(part) => self.ready = part.entries.into_iter(),
				Err(error) => return Some(Err(error)),
			}
		}
	}
}

/// Where a path leads.
#[derive(Clone, Debug)]
pub struct Resolved {
	/// What the path names.
	pub cid: Cid,
	/// The folders on the way, of sharded ones the shards that lead on, the root first and without the
	/// target: proof of the path.
	pub blocks: Vec<Block>,
}

/// Follows a path of names, separated by `/`, from a root folder. An empty path is the root. Empty
/// segments are skipped; `.` and `..` are names like any other; symbolic links are not followed.
///
/// # Errors
/// [`ResolveError::NotFound`] if a folder has no such name.
pub fn resolve<S: BlockSource + ?Sized>(
	source: &S,
	root: &Cid,
	path: &str,
) -> Result<Resolved, ResolveError> {
	let mut cid = *root;
	let mut blocks = Vec::new();
	for name in path.split('/').filter(|name| !name.is_empty()) {
		let block = require(source, &cid)?;
		let found = match decode(&block)? {
			Node::Directory(entries) => {
				blocks.push(block);
				entries.into_iter().find(|entry| entry.name == name)
			}
			Node::ShardedDirectory => hamt::find(source, block, name, &mut blocks)?,
			node => {
				return Err(ReadError::NotADirectory {
					cid,
					kind: node.kind(),
				}
				.into())
			}
		};
		let entry = found.ok_or_else(|| ResolveError::NotFound {
			cid,
			name: name.to_owned(),
		})?;
		cid = entry.cid;
	}
	Ok(Resolved { cid, blocks })
}

/// The content of a file, block by block and in order. Each item is shared with its block.
///
/// Sizes are checked on the way: a part that is longer or shorter than its parent claims is an error.
/// The iterator ends after the first error.
#[derive(Debug)]
pub struct FileChunks<S> {
	source: S,
	parts: FileParts,
}

impl<S: BlockSource> FileChunks<S> {
	/// Content of the file at `cid` within `range`.
	pub fn new(source: S, cid: Cid, range: ByteRange) -> Self {
		Self {
			source,
			parts: FileParts::new(cid, range),
		}
	}
}

impl<S: BlockSource> Iterator for FileChunks<S> {
	type Item = Result<Bytes, ReadError>;

	fn next(&mut self) -> Option<Self::Item> {
		loop {
			match self.parts.next(&self.source, usize::MAX)? {
				Ok(part) if part.content.is_empty() => {}
				Ok(part) => return Some(Ok(part.content)),
				Err(error) => return Some(Err(error)),
			}
		}
	}
}

/// A block of a file and what of the wanted range lies in the block itself.
#[derive(Clone, Debug)]
pub(crate) struct FilePart {
	pub(crate) block: Block,
	pub(crate) content: Bytes,
}

/// The blocks of a file that a range needs, depth first: the root, then down to each leaf.
#[derive(Debug)]
pub(crate) struct FileParts {
	range: ByteRange,
	max_depth: usize,
	max_pending: usize,
	/// What is still to be read, the next one last.
	pending: Vec<PendingPart>,
	/// Subtrees met, when each is to be visited once.
	visited: Option<HashSet<Cid>>,
	/// Inner nodes without content whose children were queued already. They add nothing to the file,
	/// and shared ones could otherwise keep a reader busy for ever: 40 nodes make a trillion visits.
	hollow: HashSet<Cid>,
}

#[derive(Debug)]
struct PendingPart {
	cid: Cid,
	/// Where its content starts in the file.
	offset: u64,
	/// Its content bytes, as its parent claims; unknown for the root.
	size: Option<u64>,
	depth: usize,
}

impl FileParts {
	pub(crate) fn new(cid: Cid, range: ByteRange) -> Self {
		let root = PendingPart {
			cid,
			offset: 0,
			size: None,
			depth: 0,
		};
		Self {
			range,
			max_depth: MAX_FILE_DEPTH,
			max_pending: MAX_PENDING,
			pending: vec![root],
			visited: None,
			hollow: HashSet::new(),
		}
	}

	pub(crate) fn limits(mut self, max_depth: usize, max_pending: usize) -> Self {
		self.max_depth = max_depth;
		self.max_pending = max_pending;
		self
	}

	/// Visits each subtree that lies wholly in the range only the first time it is met. Content is
	/// then no longer complete; blocks are.
	pub(crate) fn each_subtree_once(mut self) -> Self {
		self.visited = Some(HashSet::new());
		self
	}

	/// The next part; none after the last and after an error. The source may fetch `ahead` blocks more.
	pub(crate) fn next<S: BlockSource + ?Sized>(
		&mut self,
		source: &S,
		ahead: usize,
	) -> Option<Result<FilePart, ReadError>> {
		while let Some(part) = self.pending.pop() {
			if self.was_visited(&part) {
				continue;
			}
			let part = self.read(source, part, ahead);
			if part.is_err() {
				self.pending.clear();
			}
			return Some(part);
		}
		None
	}

	/// A subtree that the range's edge cuts is visited again, for it may be cut elsewhere then.
	fn was_visited(&mut self, part: &PendingPart) -> bool {
		let (Some(visited), Some(size)) = (&mut self.visited, part.size) else {
			return false;
		};
		let end = part.offset + size;
		let whole =
			self.range.start <= part.offset && self.range.end.is_none_or(|range_end| end <= range_end);
		whole && !visited.insert(part.cid)
	}

	fn overlaps(&self, start: u64, end: u64) -> bool {
		if start == end {
			// Parts without content belong to a whole file, and to no true part of it.
			return self.range == ByteRange::ALL;
		}
		self.range.end.is_none_or(|range_end| start < range_end) && end > self.range.start
	}

	fn read<S: BlockSource + ?Sized>(
		&mut self,
		source: &S,
		part: PendingPart,
		ahead: usize,
	) -> Result<FilePart, ReadError> {
		let PendingPart {
			cid,
			offset: start,
			size: claimed,
			depth,
		} = part;
		let mut upcoming = self.pending.iter().rev().map(|part| part.cid).take(ahead);
		let block = require_ahead(source, &cid, &mut upcoming)?;
		let FileNode { data, children, size } = match decode(&block)? {
			Node::File(file) => file,
			node => {
				return Err(ReadError::NotAFile {
					cid,
					kind: node.kind(),
				})
			}
		};
		match claimed {
			Some(claimed) if claimed != size => {
				return Err(ReadError::SizeMismatch {
					cid,
					claimed,
					actual: size,
				})
			}
			None if self.range.start > size => {
				return Err(ReadError::OutOfRange {
					start: self.range.start,
					size,
				})
			}
			_ => {}
		}
		if !children.is_empty() && depth >= self.max_depth {
			return Err(ReadError::TooDeep { cid });
		}
		let content = self.clip(&data, start);
		if size == 0 && !children.is_empty() && !self.hollow.insert(cid) {
			return Ok(FilePart { block, content });
		}
		// Cannot overflow: the root's size is the checked sum of everything below it.
		let mut offset = start + data.len() as u64;
		let first = self.pending.len();
		for child in children {
			let end = offset + child.size;
			if self.overlaps(offset, end) {
				if self.pending.len() >= self.max_pending {
					return Err(ReadError::TooWide { cid });
				}
				let (cid, size) = (child.cid, Some(child.size));
				self.pending.push(PendingPart {
					cid,
					offset,
					size,
					depth: depth + 1,
				});
			}
			offset = end;
		}
		self.pending[first..].reverse();
		Ok(FilePart { block, content })
	}

	/// What of `data`, which starts at `offset` in the file, lies in the range.
	fn clip(&self, data: &Bytes, offset: u64) -> Bytes {
		let len = data.len() as u64;
		let from = self.range.start.saturating_sub(offset).min(len);
		let to = self
			.range
			.end
			.map_or(len, |end| end.saturating_sub(offset).min(len))
			.max(from);
		// Both are at most the length of bytes in memory.
		data.slice(from as usize..to as usize)
	}
}

pub(super) fn node<S: BlockSource + ?Sized>(source: &S, cid: &Cid) -> Result<Node, ReadError> {
	decode(&require(source, cid)?)
}

pub(super) fn require<S: BlockSource + ?Sized>(source: &S, cid: &Cid) -> Result<Block, ReadError> {
	load(source, cid)?.ok_or(ReadError::Missing { cid: *cid })
}

pub(super) fn require_ahead<S: BlockSource + ?Sized>(
	source: &S,
	cid: &Cid,
	next: &mut dyn Iterator<Item = Cid>,
) -> Result<Block, ReadError> {
	load_ahead(source, cid, next)?.ok_or(ReadError::Missing { cid: *cid })
}

fn decode(block: &Block) -> Result<Node, ReadError> {
	Node::decode(block).map_err(|error| ReadError::Node {
		cid: *block.cid(),
		error,
	})
}

/// Why a file or folder cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
	/// The source does not have a block that is needed.
	#[error("block {cid} is missing")]
	Missing {
		/// The block.
		cid: Cid,
	},
	/// The source failed.
	#[error(transparent)]
	Source(#[from] SourceError),
	/// A block is not UnixFS.
	#[error("block {cid}: {error}")]
	Node {
		/// The block.
		cid: Cid,
		/// What is wrong with it.
		error: NodeError,
	},
	/// A file was wanted.
	#[error("{cid} is a {kind}, not a file")]
	NotAFile {
		/// The block.
		cid: Cid,
		/// What it is.
		kind: Kind,
	},
	/// A folder was wanted.
	#[error("{cid} is a {kind}, not a directory")]
	NotADirectory {
		/// The block.
		cid: Cid,
		/// What it is.
		kind: Kind,
	},
	/// A part of a file is not as long as its parent claims.
	#[error("block {cid} holds {actual} bytes of its file, its parent claims {claimed}")]
	SizeMismatch {
		/// The part's block.
		cid: Cid,
		/// Bytes by its parent's claim.
		claimed: u64,
		/// Bytes by its own.
		actual: u64,
	},
	/// The range starts beyond the file's end.
	#[error("byte {start} lies beyond the file's {size} bytes")]
	OutOfRange {
		/// First byte wanted.
		start: u64,
		/// Bytes of the file.
		size: u64,
	},
	/// The file's tree is deeper than [`MAX_FILE_DEPTH`].
	#[error("the file's tree is too deep at block {cid}")]
	TooDeep {
		/// The block.
		cid: Cid,
	},
	/// More than [`MAX_PENDING`] nodes would wait at once.
	#[error("the file's tree is too wide at block {cid}")]
	TooWide {
		/// The block.
		cid: Cid,
	},
}

/// Why a path leads nowhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
	/// A folder on the way cannot be read.
	#[error(transparent)]
	Read(#[from] ReadError),
	/// A folder on the way has no such entry.
	#[error("directory {cid} has no entry `{name}`")]
	NotFound {
		/// The folder.
		cid: Cid,
		/// The name looked for.
		name: String,
	},
}
