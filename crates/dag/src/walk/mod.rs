//! Following links from a root.
//!
//! [`walk`] yields blocks, each before those it links to, from any [`BlockSource`]. In which order is
//! its [`Order`]. What belongs to it is its [`Scope`], with the meanings of the [trustless gateway
//! specification](https://specs.ipfs.tech/http-gateways/trustless-gateway/)'s `dag-scope` and
//! `entity-bytes`. How far it may go is its [`Budget`].
//!
//! [`follow`] goes along a path instead, through any codec.

mod path;
mod range;

pub use path::{follow, follow_with, Followed, PathError};
pub use range::{EntityBytes, EntityBytesError};

use crate::{
	block::Block,
	codec::{scan, CodecError},
	source::{load, load_ahead, BlockSource, SourceError},
	unixfs::{
		hamt::Shards,
		node::{Node, NodeError},
		read::FileParts,
		ByteRange, ReadError,
	},
};
use cid::Cid;
use std::collections::{HashSet, VecDeque};

/// Which blocks a walk yields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
	/// The root alone.
	Block,
	/// What it takes to read the UnixFS file, or to list the UnixFS folder; the root alone if it is
	/// not UnixFS.
	Entity,
	/// The root and everything below it.
	#[default]
	All,
}

impl std::str::FromStr for Scope {
	type Err = UnknownScope;

	/// Reads the value of the query parameter `dag-scope`.
	fn from_str(text: &str) -> Result<Self, UnknownScope> {
		match text {
			"block" => Ok(Self::Block),
			"entity" => Ok(Self::Entity),
			"all" => Ok(Self::All),
			_ => Err(UnknownScope),
		}
	}
}

/// A `dag-scope` other than `block`, `entity` and `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scope must be `block`, `entity` or `all`")]
pub struct UnknownScope;

/// In which order a walk with [`Scope::All`] yields blocks. Other scopes are always depth first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
	/// What a link leads to, with everything below it, before the next link: the order `dfs` of CAR
	/// responses. Few links wait.
	#[default]
	DepthFirst,
	/// All links of a level before those of the next. A whole level waits.
	BreadthFirst,
}

impl Order {
	/// Puts the links from `first` on, which stand as their block has them, where [`next`](Self::next) takes them.
	fn arrange(self, pending: &mut VecDeque<(Cid, usize)>, first: usize) {
		if self == Self::DepthFirst {
			// Nothing moves but these: what is only pushed to and popped from its end is in one piece.
			pending.make_contiguous()[first..].reverse();
		}
	}

	fn next(self, pending: &mut VecDeque<(Cid, usize)>) -> Option<(Cid, usize)> {
		match self {
			Self::DepthFirst => pending.pop_back(),
			Self::BreadthFirst => pending.pop_front(),
		}
	}

	/// What [`next`](Self::next) will take, in that order.
	fn upcoming(self, pending: &VecDeque<(Cid, usize)>) -> impl Iterator<Item = &Cid> {
		let last = pending.len().wrapping_sub(1);
		(0..pending.len()).map(move |at| match self {
			Self::DepthFirst => &pending[last - at].0,
			Self::BreadthFirst => &pending[at].0,
		})
	}
}

/// Where a walk stops with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
	/// Deepest block, the root being 0.
	pub max_depth: usize,
	/// Most blocks yielded.
	pub max_blocks: u64,
	/// Most bytes of the blocks yielded.
	pub max_bytes: u64,
	/// Most links that wait at once: bounds memory when wide blocks nest.
	pub max_pending: usize,
}

impl Default for Budget {
	/// 1024 levels, 2^20 waiting links (about 100 MB), 2^24 blocks, any number of bytes. A walk
	/// that yields each block once remembers their CIDs, about 100 bytes each.
	fn default() -> Self {
		Self {
			max_depth: 1024,
			max_blocks: 1 << 24,
			max_bytes: u64::MAX,
			max_pending: 1 << 20,
		}
	}
}

/// What few blocks are larger than: bounds the bytes that a source fetches ahead.
const LARGE_BLOCK: u64 = 1 << 20;

impl Budget {
	/// How many blocks a source may fetch ahead of the one that is loaded, when so many blocks and bytes are yielded.
	fn ahead(&self, blocks: u64, bytes: u64) -> usize {
		let blocks = self.max_blocks.saturating_sub(blocks.saturating_add(1));
		let bytes = self.max_bytes.saturating_sub(bytes) / LARGE_BLOCK;
		usize::try_from(blocks.min(bytes)).unwrap_or(usize::MAX)
	}
}

/// Walks from `root`; see [`Walk`]'s methods for choices.
pub fn walk<S: BlockSource>(source: S, root: Cid, scope: Scope) -> Walk<S> {
	Walk {
		source,
		root,
		further_roots: Vec::new(),
		scope,
		order: Order::default(),
		range: None,
		budget: Budget::default(),
		duplicates: false,
		state: State::Start,
		seen: HashSet::new(),
		blocks: 0,
		bytes: 0,
	}
}

/// A walk under way: an iterator over blocks that ends after its first error.
#[derive(Debug)]
pub struct Walk<S> {
	source: S,
	root: Cid,
	further_roots: Vec<Cid>,
	scope: Scope,
	order: Order,
	range: Option<EntityBytes>,
	budget: Budget,
	duplicates: bool,
	state: State,
	/// CIDs yielded, unless duplicates are wanted.
	seen: HashSet<Cid>,
	blocks: u64,
	bytes: u64,
}

#[derive(Debug)]
enum State {
	Start,
	/// One block, if it was not yielded yet.
	Single(Option<Block>),
	/// CIDs and their depths: the next one last depth first, else first.
	Links(VecDeque<(Cid, usize)>),
	File(FileParts),
	Shards(Shards),
	Done,
}

impl<S: BlockSource> Walk<S> {
	/// Replaces the default budget.
	pub fn budget(mut self, budget: Budget) -> Self {
		self.budget = budget;
		self
	}

	/// Replaces the default order.
	pub fn order(mut self, order: Order) -> Self {
		self.order = order;
		self
	}

	/// Whether a block that is linked to more than once is yielded each time. Off by default.
	pub fn duplicates(mut self, duplicates: bool) -> Self {
		self.duplicates = duplicates;
		self
	}

	/// Goes on from these roots after the first, within the same budget, yielding what they share once.
	/// Only with [`Scope::All`].
	pub fn then_from(mut self, roots: impl IntoIterator<Item = Cid>) -> Self {
		self.further_roots.extend(roots);
		self
	}

	/// Only the blocks that these bytes of a file need. Implies [`Scope::Entity`], and is ignored
	/// where the root is not a file.
	pub fn entity_bytes(mut self, range: EntityBytes) -> Self {
		self.scope = Scope::Entity;
		self.range = Some(range);
		self
	}
}

impl<S: BlockSource> Iterator for Walk<S> {
	type Item = Result<Block, WalkError>;

	fn next(&mut self) -> Option<Self::Item> {
		let step = self.step();
		if !matches!(step, Ok(Some(_))) {
			self.state = State::Done;
		}
		step.transpose()
	}
}

impl<S: BlockSource> Walk<S> {
	fn step(&mut self) -> Result<Option<Block>, WalkError> {
		loop {
			let block = match &mut self.state {
				State::Start => {
					self.start()?;
					continue;
				}
				State::Single(block) => {
					let block = block.take();
					self.state = State::Done;
					block
				}
				State::Links(pending) => match self.order.next(pending) {
					Some((cid, _)) if self.seen.contains(&cid) => continue,
					Some((cid, depth)) => Some(self.follow(&cid, depth)?),
					None => None,
				},
				State::File(parts) => {
					match parts.next(&self.source, self.budget.ahead(self.blocks, self.bytes)) {
						Some(part) => Some(part?.block),
						None => None,
					}
				}
				State::Shards(shards) => {
					match shards.next(&self.source, self.budget.ahead(self.blocks, self.bytes)) {
						Some(part) => Some(part?.block),
						None => None,
					}
				}
				State::Done => None,
			};
			match block {
				// An edge of a byte range can lead through a block more than once.
				Some(block) if !self.duplicates && !self.seen.insert(*block.cid()) => {}
				Some(block) => return self.charge(block).map(Some),
				None => return Ok(None),
			}
		}
	}

	fn start(&mut self) -> Result<(), WalkError> {
		self.state = match self.scope {
			Scope::All => {
				let roots = [self.root].into_iter().chain(self.further_roots.iter().copied());
				let mut pending = roots.map(|root| (root, 0)).collect();
				self.order.arrange(&mut pending, 0);
				State::Links(pending)
			}
			Scope::Block => State::Single(Some(self.load(&self.root)?)),
			Scope::Entity => {
				let root = self.load(&self.root)?;
				match Node::decode(&root) {
					Ok(Node::File(file)) => {
						let range = match self.range {
							None => Some(ByteRange::ALL),
							Some(range) => range.within(file.size),
						};
						match range {
							None => State::Single(Some(root)),
							Some(range) => State::File(self.file(range, file.size)),
						}
					}
					Ok(Node::ShardedDirectory) => State::Shards(Shards::new(self.root)),
					Ok(Node::Directory(_) | Node::Symlink(_)) => State::Single(Some(root)),
					Err(NodeError::Codec(error @ CodecError::Malformed { .. })) => {
						return Err(WalkError::Codec {
							cid: self.root,
							error,
						})
					}
					// Not UnixFS: no more than a block.
					Err(_) => State::Single(Some(root)),
				}
			}
		};
		Ok(())
	}

	fn file(&self, range: ByteRange, size: u64) -> FileParts {
		let whole = range.start == 0 && range.end.is_none_or(|end| end >= size);
		let range = if whole { ByteRange::ALL } else { range };
		let parts = FileParts::new(self.root, range).limits(self.budget.max_depth, self.budget.max_pending);
		if self.duplicates {
			parts
		} else {
			parts.each_subtree_once()
		}
	}

	/// Loads a block and queues what it links to.
	fn follow(&mut self, cid: &Cid, depth: usize) -> Result<Block, WalkError> {
		let block = self.load_ahead(cid)?;
		let State::Links(pending) = &mut self.state else {
			return Ok(block);
		};
		// Links are taken as they are read: a block can hold far more of them than the budget lets wait.
		let first = pending.len();
		let (seen, duplicates, budget) = (&self.seen, self.duplicates, &self.budget);
		let mut exceeded = None;
		scan(&block, &mut |_, link| {
			if depth >= budget.max_depth {
				exceeded = Some("depth");
			} else if !duplicates && seen.contains(&link) {
			} else if pending.len() >= budget.max_pending {
				exceeded = Some("waiting links");
			} else {
				pending.push_back((link, depth + 1));
			}
		})
		.map_err(|error| WalkError::Codec { cid: *cid, error })?;
		if let Some(limit) = exceeded {
			return Err(WalkError::Budget { cid: *cid, limit });
		}
		self.order.arrange(pending, first);
		Ok(block)
	}

	fn load(&self, cid: &Cid) -> Result<Block, WalkError> {
		load(&self.source, cid)?.ok_or(WalkError::Missing { cid: *cid })
	}

	/// Loads a block and lets the source know what comes after it.
	fn load_ahead(&self, cid: &Cid) -> Result<Block, WalkError> {
		let State::Links(pending) = &self.state else {
			return self.load(cid);
		};
		let mut upcoming = self
			.order
			.upcoming(pending)
			.filter(|next| !self.seen.contains(next))
			.take(self.budget.ahead(self.blocks, self.bytes))
			.copied();
		load_ahead(&self.source, cid, &mut upcoming)?.ok_or(WalkError::Missing { cid: *cid })
	}

	/// Takes a block's share of the budget.
	fn charge(&mut self, block: Block) -> Result<Block, WalkError> {
		self.blocks += 1;
		self.bytes = self.bytes.saturating_add(block.data().len() as u64);
		let exceeded = |limit| WalkError::Budget {
			cid: *block.cid(),
			limit,
		};
		if self.blocks > self.budget.max_blocks {
			return Err(exceeded("number of blocks"));
		}
		if self.bytes > self.budget.max_bytes {
			return Err(exceeded("bytes"));
		}
		Ok(block)
	}
}

/// Why a walk stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalkError {
	/// The source does not have a block of the walk.
	#[error("block {cid} is missing")]
	Missing {
		/// The block.
		cid: Cid,
	},
	/// The source failed.
	#[error(transparent)]
	Source(#[from] SourceError),
	/// A block's links cannot be read.
	#[error("block {cid}: {error}")]
	Codec {
		/// The block.
		cid: Cid,
		/// What is wrong with it.
		error: CodecError,
	},
	/// The walk would exceed its budget.
	#[error("the walk exceeds its budget at block {cid}: {limit}")]
	Budget {
		/// The block it would exceed it with.
		cid: Cid,
		/// Which limit.
		limit: &'static str,
	},
	/// A file or folder contradicts itself.
	#[error(transparent)]
	Unixfs(ReadError),
}

impl From<ReadError> for WalkError {
	fn from(error: ReadError) -> Self {
		match error {
			ReadError::Missing { cid } => Self::Missing { cid },
			ReadError::Source(error) => Self::Source(error),
			ReadError::TooDeep { cid } => Self::Budget { cid, limit: "depth" },
			ReadError::TooWide { cid } => Self::Budget {
				cid,
				limit: "waiting links",
			},
			error => Self::Unixfs(error),
		}
	}
}
