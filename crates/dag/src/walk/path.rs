//! Following a path through blocks of any codec.

use crate::{
	block::Block,
	codec::{Codec, CodecError},
	source::{load, BlockSource, SourceError},
	unixfs::{self, Node, ReadError},
};
use cid::Cid;

/// Longest path in blocks: bounds one that the names on it do not, through blocks that are nothing but
/// a link.
const MAX_BLOCKS: usize = 1024;

/// Where a path leads.
#[derive(Clone, Debug)]
pub struct Followed {
	/// What the path names.
	pub cid: Cid,
	/// The blocks on the way, the root first, without the target: proof of the path.
	pub blocks: Vec<Block>,
}

/// Follows a path of names and positions, separated by `/`, from a root. What they mean in a block is
/// up to its codec: keys and list positions in dag-cbor and dag-json, names of links in dag-pb and git
/// trees, `tree` or `parents/0` in a git commit. UnixFS folders work as everyone expects, sharded ones
/// included. An empty path is the root, empty segments are skipped.
///
/// The target is not loaded: its codec may be unknown.
///
/// # Errors
/// [`PathError::NotFound`] if no link lies on the path.
pub fn follow<S: BlockSource + ?Sized>(source: &S, root: &Cid, path: &str) -> Result<Followed, PathError> {
	let mut blocks = Vec::new();
	let roots = follow_with(source, root, path, &mut |block| blocks.push(block))?;
	let cid = roots.last().copied().unwrap_or(*root);
	Ok(Followed { cid, blocks })
}

/// As [`follow`], and hands each block on the way to `pass` instead of keeping it: a path through large
/// blocks takes no more memory than one of them. Returns what each link on the path leads to, the root
/// first and the target last; of a sharded folder that is its root.
///
/// # Errors
/// As [`follow`].
pub fn follow_with<S: BlockSource + ?Sized>(
	source: &S,
	root: &Cid,
	path: &str,
	pass: &mut dyn FnMut(Block),
) -> Result<Vec<Cid>, PathError> {
	let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
	let mut rest = &segments[..];
	let mut cid = *root;
	let mut roots = vec![cid];
	let mut passed = 0;
	while let [first, ..] = rest {
		if passed >= MAX_BLOCKS {
			return Err(PathError::TooLong { cid });
		}
		let block = load(source, &cid)?.ok_or(PathError::Missing { cid })?;
		let step = if is_sharded(&block) {
			let mut shards = Vec::new();
			let entry = unixfs::hamt::find(source, block, first, &mut shards)?;
			passed += shards.len();
			shards.into_iter().for_each(&mut *pass);
			entry.map(|entry| (entry.cid, 1))
		} else {
			let step = step(&block, rest).map_err(|error| PathError::Codec { cid, error })?;
			passed += 1;
			pass(block);
			step
		};
		let (next, used) = step.ok_or_else(|| PathError::NotFound {
			cid,
			rest: rest.join("/"),
		})?;
		cid = next;
		roots.push(next);
		rest = &rest[used..];
	}
	Ok(roots)
}

fn is_sharded(block: &Block) -> bool {
	Codec::of(block.cid()) == Ok(Codec::DagPb) && Node::decode(block) == Ok(Node::ShardedDirectory)
}

/// The first link on a path, and the number of segments that lead to it.
fn step(block: &Block, path: &[&str]) -> Result<Option<(Cid, usize)>, CodecError> {
	let mut found = None;
	Codec::of(block.cid())?.scan(block.data(), &mut |way, cid| {
		let leads = way.len() <= path.len() && way.iter().zip(path).all(|(step, text)| step.is(text));
		if leads && found.is_none() {
			found = Some((cid, way.len()));
		}
	})?;
	Ok(found)
}

/// Why a path leads nowhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
	/// The source does not have a block on the way.
	#[error("block {cid} is missing")]
	Missing {
		/// The block.
		cid: Cid,
	},
	/// The source failed.
	#[error(transparent)]
	Source(#[from] SourceError),
	/// The links of a block on the way cannot be read.
	#[error("block {cid}: {error}")]
	Codec {
		/// The block.
		cid: Cid,
		/// What is wrong with it.
		error: CodecError,
	},
	/// A sharded folder contradicts itself.
	#[error(transparent)]
	Unixfs(ReadError),
	/// No link of the block lies on the path.
	#[error("block {cid} has no link at `{rest}`")]
	NotFound {
		/// The block.
		cid: Cid,
		/// The part of the path that is left.
		rest: String,
	},
	/// More than 1024 blocks lie on the way.
	#[error("the path is too long at block {cid}")]
	TooLong {
		/// The block.
		cid: Cid,
	},
}

impl From<ReadError> for PathError {
	fn from(error: ReadError) -> Self {
		match error {
			ReadError::Missing { cid } => Self::Missing { cid },
			ReadError::Source(error) => Self::Source(error),
			error => Self::Unixfs(error),
		}
	}
}
