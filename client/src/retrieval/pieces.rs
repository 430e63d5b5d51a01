//! What is missing of an object, in pieces that can be asked for one by one.
//!
//! Pieces stand in depth-first order, which is also that of an archive. Whoever looks at them looks no further
//! than needed: a piece whose block is there is replaced by what lies below it, at the front where a transfer
//! advances, and at the back where others take work away. So the number of pieces stays small, however large
//! the object is.

use super::{
	blocks::BlockStore,
	missing::{ObjectError, Part, Wanted},
};
use cairn_dag::{
	codec::dag_pb::PbNode,
	links,
	source::load,
	unixfs::{node::FileNode, Node, ReadError},
	Block, BlockSource, Cid, Codec,
};
use std::{
	collections::{HashSet, VecDeque},
	ops::Range,
};

/// Most pieces that wait at once: bounds memory against DAGs made to exhaust it.
const MAX_PIECES: usize = 1 << 20;
/// Most pieces that are taken off the back at once: each may need a request of its own.
const MAX_TAKEN: usize = 64;
/// What a subtree is taken to have of which nothing is known.
const UNKNOWN_SIZE: u64 = 1 << 20;

/// What the pieces are looked at with.
pub(super) struct View<'a> {
	blocks: &'a BlockStore,
	wanted: &'a Wanted,
	/// Nodes whose children have become pieces. A node that is linked from many places, as in DAGs made to
	/// keep a reader busy for ever, is looked into once.
	seen: &'a mut HashSet<Cid>,
}

impl<'a> View<'a> {
	/// At what is in `blocks` of `wanted`. Nodes that are in `seen` have been looked into.
	pub fn new(blocks: &'a BlockStore, wanted: &'a Wanted, seen: &'a mut HashSet<Cid>) -> Self {
		View { blocks, wanted, seen }
	}

	fn load(&self, cid: &Cid) -> Result<Option<Block>, ObjectError> {
		Ok(load(self.blocks, cid)?)
	}

	/// Leaves are hashed when they are read; here it is enough that they exist.
	fn has_leaf(&self, cid: &Cid) -> Result<bool, ObjectError> {
		Ok(Block::from_identity(cid).is_some() || self.blocks.has(cid)?)
	}
}

/// A part of an object that may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
	/// Whatever is wanted, as long as a block on the path or at its end is missing.
	Target,
	/// A block alone.
	Block(Cid),
	/// A block and everything below it.
	Subtree {
		cid: Cid,
		/// Bytes, as a parent claims.
		size: Option<u64>,
	},
	/// Bytes of a file.
	Span(Span),
}

/// Bytes of a file or of a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
	/// The file's root, or an inner node, or a leaf.
	node: Cid,
	/// Content bytes of the node, as its parent claims.
	size: u64,
	/// Which of them.
	bytes: Range<u64>,
	/// The parent, and where the node begins in it.
	parent: Option<(Cid, u64)>,
}

impl Span {
	fn is_whole(&self) -> bool {
		self.bytes == (0..self.size)
	}

	/// The parent, and which of its bytes these are.
	fn in_parent(&self) -> Option<(Cid, Range<u64>)> {
		let (parent, offset) = self.parent?;
		// The offset and the size are within the parent's size, which is a checked sum.
		Some((parent, offset + self.bytes.start..offset + self.bytes.end))
	}

	/// Whether a request for bytes of the parent can go on from these to those of `next`.
	fn joins(&self, next: &Span) -> bool {
		match (self.in_parent(), next.in_parent()) {
			(Some((one, bytes)), Some((other, following))) => {
				one == other && bytes.end == following.start && self.bytes.end == self.size
			}
			_ => false,
		}
	}

	/// Cuts about `wanted` bytes off the end. Cuts at a multiple of a power of two from the node's beginning, where
	/// blocks of all usual sizes end: one that is cut is fetched twice.
	fn cut(&mut self, wanted: u64, least: u64) -> Option<Span> {
		let len = self.bytes.end - self.bytes.start;
		if is_leaf(&self.node) || len < least.max(2) {
			return None;
		}
		let step = 1 << wanted.clamp(1, len / 2).ilog2();
		let at = (self.bytes.end - 1) / step * step;
		let back = Span {
			bytes: at..self.bytes.end,
			..self.clone()
		};
		self.bytes.end = at;
		Some(back)
	}
}

impl Piece {
	/// Bytes that are missing at most, as far as is known. A target's are not known at all.
	fn size(&self) -> u64 {
		match self {
			Piece::Target => u64::MAX,
			Piece::Block(_) => UNKNOWN_SIZE,
			Piece::Subtree { size, .. } => size.unwrap_or(UNKNOWN_SIZE),
			Piece::Span(span) => span.bytes.end - span.bytes.start,
		}
	}

	fn is_in(&self, blocks: &HashSet<Cid>) -> bool {
		matches!(self, Piece::Block(cid) if blocks.contains(cid))
	}

	/// What is below, if the piece's own block is there.
	fn expand(&self, view: &mut View<'_>) -> Result<Option<Vec<Piece>>, ObjectError> {
		match self {
			Piece::Target => {
				if let Part::Blocks(cids) = &view.wanted.part {
					return Ok(Some(cids.iter().copied().map(Piece::Block).collect()));
				}
				let Some(target) = view.wanted.target(view.blocks)? else {
					return Ok(None);
				};
				let Some(block) = view.load(&target)? else {
					return Ok(None);
				};
				Ok(Some(match &view.wanted.part {
					Part::Block | Part::Blocks(_) => Vec::new(),
					Part::Whole => vec![Piece::Subtree {
						cid: target,
						size: None,
					}],
					Part::Bytes(range) => {
						let size = file_size(&block)?;
						if range.start > size {
							let start = range.start;
							return Err(ObjectError::Read(ReadError::OutOfRange { start, size }));
						}
						let bytes = range.start..range.end.map_or(size, |end| end.min(size));
						let span = Span {
							node: target,
							size,
							bytes,
							parent: None,
						};
						match span.bytes.is_empty() {
							true => Vec::new(),
							false => vec![Piece::Span(span)],
						}
					}
				}))
			}
			Piece::Block(cid) => Ok(view.has_leaf(cid)?.then(Vec::new)),
			Piece::Subtree { cid, .. } => below(cid, None, view),
			Piece::Span(span) if span.is_whole() => below(&span.node, None, view),
			Piece::Span(span) => below(&span.node, Some(&span.bytes), view),
		}
	}

	/// The request for it alone, to a gateway that knows ranges.
	fn ask(&self) -> Ask {
		match self {
			Piece::Target => Ask::Target,
			Piece::Block(cid) => Ask::Block(*cid),
			Piece::Subtree { cid, .. } => Ask::Subtree(*cid),
			Piece::Span(span) if span.is_whole() => Ask::Subtree(span.node),
			Piece::Span(span) => Ask::Bytes(span.node, span.bytes.clone()),
		}
	}
}

fn file_size(block: &Block) -> Result<u64, ObjectError> {
	let cid = *block.cid();
	match Node::decode(block) {
		Ok(Node::File(file)) => Ok(file.size),
		Ok(other) => Err(ObjectError::Read(ReadError::NotAFile {
			cid,
			kind: other.kind(),
		})),
		Err(error) => Err(ObjectError::Read(ReadError::Node { cid, error })),
	}
}

/// What is below a node, if it is there: everything, or what these bytes of it need.
fn below(
	cid: &Cid,
	bytes: Option<&Range<u64>>,
	view: &mut View<'_>,
) -> Result<Option<Vec<Piece>>, ObjectError> {
	if is_leaf(cid) {
		return Ok(view.has_leaf(cid)?.then(Vec::new));
	}
	let Some(block) = view.load(cid)? else {
		return Ok(None);
	};
	let file = match Node::decode(&block) {
		Ok(Node::File(file)) => Some(file),
		_ => None,
	};
	// A part that was looked into is a part only: another part of the same node is looked into again.
	let is_new = match (bytes, &file) {
		(Some(_), Some(_)) => !view.seen.contains(cid),
		_ => view.seen.insert(*cid),
	};
	if !is_new {
		return Ok(Some(Vec::new()));
	}
	Ok(Some(match file {
		Some(file) => parts(cid, &file, bytes),
		None => subtrees(&block)?,
	}))
}

fn is_leaf(cid: &Cid) -> bool {
	cid.codec() == Codec::Raw.code()
}

fn parts(parent: &Cid, file: &FileNode, bytes: Option<&Range<u64>>) -> Vec<Piece> {
	children(file)
		.filter_map(|(cid, begin, size)| {
			let (from, to) = match bytes {
				// A block comes as a whole.
				Some(bytes) if is_leaf(&cid) => match bytes.start < begin + size && begin < bytes.end {
					true => (0, size),
					false => (0, 0),
				},
				None => (0, size),
				// Neither overflows: the file's size is a checked sum.
				Some(bytes) => (
					bytes.start.saturating_sub(begin).min(size),
					bytes.end.saturating_sub(begin).min(size),
				),
			};
			match (size, from < to) {
				(0, _) => bytes.is_none().then_some(Piece::Subtree { cid, size: Some(0) }),
				(_, false) => None,
				(_, true) => Some(Piece::Span(Span {
					node: cid,
					size,
					bytes: from..to,
					parent: Some((*parent, begin)),
				})),
			}
		})
		.collect()
}

/// The children of a file's node, each with where its content begins in that of the node, and its size.
pub(super) fn children(file: &FileNode) -> impl Iterator<Item = (Cid, u64, u64)> + '_ {
	let mut begin = file.data.len() as u64;
	file.children.iter().map(move |child| {
		let at = begin;
		begin += child.size;
		(child.cid, at, child.size)
	})
}

fn subtrees(block: &Block) -> Result<Vec<Piece>, ObjectError> {
	let cid = *block.cid();
	let codec = |source| ObjectError::Codec { cid, source };
	if cid.codec() == Codec::DagPb.code() {
		let node = PbNode::decode(block.bytes()).map_err(codec)?;
		let subtree = |(cid, size)| Piece::Subtree { cid, size };
		return Ok(node
			.links
			.into_iter()
			.map(|link| subtree((link.cid, link.tsize)))
			.collect());
	}
	let subtree = |cid| Piece::Subtree { cid, size: None };
	Ok(links(block).map_err(codec)?.into_iter().map(subtree).collect())
}

/// What to ask a gateway for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
	/// The path from the root, and the part that is wanted of what is at its end.
	Target,
	/// A block alone.
	Block(Cid),
	/// A block and everything below it.
	Subtree(Cid),
	/// What these bytes of a file, or of a part of one, need.
	Bytes(Cid, Range<u64>),
}

/// Which requests a gateway answers. Those that a lesser one answers, a better one answers too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Speaks {
	/// For the object as a whole.
	Whole,
	/// For everything below any block.
	Subtrees,
	/// For bytes of a file.
	Ranges,
}

/// Pieces in depth-first order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pieces(VecDeque<Piece>);

impl Pieces {
	/// All that is wanted of an object.
	pub fn everything() -> Self {
		Pieces(VecDeque::from([Piece::Target]))
	}

	/// Bytes that are missing at most, as far as is known.
	pub fn size(&self) -> u64 {
		self.0
			.iter()
			.fold(0u64, |sum, piece| sum.saturating_add(piece.size()))
	}

	/// Whether there are none.
	pub fn is_empty(&self) -> bool {
		self.0.is_empty()
	}

	/// Whether there is one, at most.
	pub fn is_one(&self) -> bool {
		self.0.len() <= 1
	}

	/// Puts others before these.
	pub fn prepend(&mut self, mut others: Pieces) {
		others.0.append(&mut self.0);
		*self = others;
	}

	/// Drops from the front what is there, up to a piece that is missing. Gives whether there is one.
	///
	/// # Errors
	/// If what is there is not what it should be.
	pub fn trim_front(&mut self, view: &mut View<'_>) -> Result<bool, ObjectError> {
		while let Some(piece) = self.0.front() {
			let Some(below) = piece.expand(view)? else {
				return Ok(true);
			};
			self.0.pop_front();
			self.bound(below.len())?;
			below.into_iter().rev().for_each(|piece| self.0.push_front(piece));
		}
		Ok(false)
	}

	/// As [`trim_front`](Self::trim_front), from the back.
	///
	/// # Errors
	/// If what is there is not what it should be.
	pub fn trim_back(&mut self, view: &mut View<'_>) -> Result<bool, ObjectError> {
		while let Some(piece) = self.0.back() {
			let Some(below) = piece.expand(view)? else {
				return Ok(true);
			};
			self.0.pop_back();
			self.bound(below.len())?;
			self.0.extend(below);
		}
		Ok(false)
	}

	fn bound(&self, more: usize) -> Result<(), ObjectError> {
		match self.0.len().saturating_add(more) > MAX_PIECES {
			true => Err(ObjectError::TooWide { limit: MAX_PIECES }),
			false => Ok(()),
		}
	}

	/// Whether these are single blocks, all of which are in `lacking`.
	pub fn are_all_in(&self, lacking: &HashSet<Cid>) -> bool {
		self.0.iter().all(|piece| piece.is_in(lacking))
	}

	/// Brings a piece to the front that is missing and not in `lacking`. Gives whether there is one.
	fn bring_forward(
		&mut self,
		view: &mut View<'_>,
		lacking: Option<&HashSet<Cid>>,
	) -> Result<bool, ObjectError> {
		while self.trim_front(view)? {
			let Some(lacking) = lacking else {
				return Ok(true);
			};
			match self.0.iter().position(|piece| !piece.is_in(lacking)) {
				Some(0) => return Ok(true),
				Some(at) => {
					// It may be there already: then the next one is looked for.
					let piece = self.0.remove(at);
					piece.into_iter().for_each(|piece| self.0.push_front(piece));
				}
				None => return Ok(false),
			}
		}
		Ok(false)
	}

	/// Takes from the front what one request to a gateway brings, with that request: no block of those that it lacks.
	/// `None` if nothing else is missing.
	///
	/// # Errors
	/// If what is there is not what it should be.
	pub fn take_front(
		&mut self,
		view: &mut View<'_>,
		speaks: Speaks,
		lacking: Option<&HashSet<Cid>>,
	) -> Result<Option<(Ask, Pieces)>, ObjectError> {
		if !self.bring_forward(view, lacking)? {
			return Ok(None);
		}
		if speaks == Speaks::Whole && !matches!(view.wanted.part, Part::Blocks(_)) {
			return Ok(Some((Ask::Target, std::mem::take(self))));
		}
		let Some(first) = self.0.pop_front() else {
			return Ok(None);
		};
		let span = match (&first, speaks) {
			(Piece::Span(span), Speaks::Ranges) => span.clone(),
			(Piece::Span(span), _) => {
				let ask = Ask::Subtree(span.node);
				return Ok(Some((ask, Pieces(VecDeque::from([first])))));
			}
			_ => return Ok(Some((first.ask(), Pieces(VecDeque::from([first]))))),
		};
		let mut taken = VecDeque::from([first]);
		let mut last = span.clone();
		while self.trim_front(view)? {
			match self.0.front() {
				Some(Piece::Span(next)) if last.joins(next) => last = next.clone(),
				_ => break,
			}
			taken.extend(self.0.pop_front());
		}
		let ask = match (span.in_parent(), last.in_parent()) {
			(Some((parent, from)), Some((_, to))) if taken.len() > 1 => {
				Ask::Bytes(parent, from.start..to.end)
			}
			_ => Piece::Span(span).ask(),
		};
		Ok(Some((ask, Pieces(taken))))
	}

	/// Takes about `wanted` bytes from the back, and leaves something. Spans of `least` bytes may be cut.
	///
	/// # Errors
	/// If what is there is not what it should be.
	pub fn take_back(&mut self, view: &mut View<'_>, wanted: u64, least: u64) -> Result<Pieces, ObjectError> {
		let mut taken = VecDeque::new();
		let mut missing = wanted.max(1);
		while taken.len() < MAX_TAKEN && self.trim_back(view)? {
			let is_last = self.is_one();
			let Some(mut piece) = self.0.pop_back() else {
				break;
			};
			let size = piece.size();
			if size <= missing && !is_last {
				taken.push_front(piece);
				missing -= size;
				if missing == 0 {
					break;
				}
				continue;
			}
			let cut = match &mut piece {
				Piece::Span(span) => span.cut(missing, least),
				_ => None,
			};
			match cut {
				Some(back) => taken.push_front(Piece::Span(back)),
				// Rather too much than nothing.
				None if taken.is_empty() && !is_last => {
					taken.push_front(piece);
					break;
				}
				None => {}
			}
			self.0.push_back(piece);
			break;
		}
		Ok(Pieces(taken))
	}
}
