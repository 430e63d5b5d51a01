//! What an object still lacks, computed from the blocks that are there.

use super::blocks::BlockStore;
use cairn_dag::{
	links,
	source::load,
	unixfs::{self, read::FileChunks, ByteRange, ReadError, ResolveError},
	BlockSource, Cid, Codec, CodecError, SourceError,
};
use std::collections::HashSet;

/// Most links that wait at once: bounds memory against DAGs made to exhaust it.
const MAX_PENDING: usize = 1 << 20;
/// Most missing subtrees that are reported at once; more are found when these are there.
const MAX_REPORTED: usize = 4096;

/// Why the blocks at hand do not form an object.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
	/// The blocks at hand cannot be read.
	#[error(transparent)]
	Source(#[from] SourceError),
	/// A block is malformed, or of a codec that is not known.
	#[error("block {cid} cannot be read")]
	Codec {
		/// The block.
		cid: Cid,
		/// Why.
		source: CodecError,
	},
	/// A path inside the object leads nowhere.
	#[error("{0}")]
	Path(ResolveError),
	/// The object is not the file or folder it was taken for.
	#[error("{0}")]
	Read(ReadError),
	/// The DAG is too wide.
	#[error("the object has more than {MAX_PENDING} unread links at once")]
	TooWide,
}

/// What is wanted of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
	/// Root of the object.
	pub root: Cid,
	/// Path inside it; empty for the object itself.
	pub path: String,
	/// What of it.
	pub part: Part,
}

/// What of an object is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
	/// It and everything below it.
	Whole,
	/// What these bytes of a file need.
	Bytes(ByteRange),
	/// The block alone.
	Block,
}

/// What to ask a provider for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
	/// The path from the root, and the part that is wanted of what is at its end.
	FromRoot,
	/// A block and everything below it.
	Subtree(Cid),
}

/// Where an object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
	/// All blocks are there; the CID is the one at the end of the path.
	Complete(Cid),
	/// These requests would help.
	Missing(Vec<Request>),
}

/// Looks at the blocks that are there.
///
/// # Errors
/// See [`ObjectError`]: reasons for which no provider can help.
pub fn status(blocks: &BlockStore, wanted: &Wanted) -> Result<Status, ObjectError> {
	let target = match unixfs::resolve(blocks, &wanted.root, &wanted.path) {
		Ok(resolved) => resolved.cid,
		Err(ResolveError::Read(ReadError::Missing { .. })) => {
			return Ok(Status::Missing(vec![Request::FromRoot]))
		}
		Err(ResolveError::Read(ReadError::Source(error))) => return Err(error.into()),
		Err(error) => return Err(ObjectError::Path(error)),
	};
	match wanted.part {
		Part::Whole => {}
		Part::Block => {
			return Ok(match load(blocks, &target)? {
				Some(_) => Status::Complete(target),
				None => Status::Missing(vec![Request::FromRoot]),
			})
		}
		Part::Bytes(range) => {
			for chunk in FileChunks::new(blocks, target, range) {
				match chunk {
					Ok(_) => {}
					Err(ReadError::Missing { .. }) => return Ok(Status::Missing(vec![Request::FromRoot])),
					Err(ReadError::Source(error)) => return Err(error.into()),
					Err(error) => return Err(ObjectError::Read(error)),
				}
			}
			return Ok(Status::Complete(target));
		}
	}
	let missing = missing_subtrees(blocks, target)?;
	if missing.is_empty() {
		return Ok(Status::Complete(target));
	}
	if missing == [target] {
		return Ok(Status::Missing(vec![Request::FromRoot]));
	}
	Ok(Status::Missing(
		missing.into_iter().map(Request::Subtree).collect(),
	))
}

/// The highest missing blocks below `root`, in depth-first order.
fn missing_subtrees(blocks: &BlockStore, root: Cid) -> Result<Vec<Cid>, ObjectError> {
	let mut missing = Vec::new();
	let mut seen = HashSet::from([root]);
	let mut pending = vec![root];
	while let Some(cid) = pending.pop() {
		let is_leaf = cid.codec() == Codec::Raw.code();
		// Leaves are hashed when the object is written out; here it is enough that they exist.
		if is_leaf && cairn_dag::Block::from_identity(&cid).is_none() {
			if !blocks.has(&cid)? {
				missing.push(cid);
			}
		} else {
			match load(blocks, &cid)? {
				None => missing.push(cid),
				Some(block) => {
					let children = links(&block).map_err(|source| ObjectError::Codec { cid, source })?;
					pending.extend(children.into_iter().rev().filter(|child| seen.insert(*child)));
				}
			}
		}
		if pending.len() > MAX_PENDING {
			return Err(ObjectError::TooWide);
		}
		if missing.len() >= MAX_REPORTED {
			break;
		}
	}
	Ok(missing)
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_dag::{
		unixfs::import::{ImportOptions, Importer},
		MemoryBlocks,
	};

	/// A file of 64 leaves in a tree of three levels, and its blocks.
	fn file() -> (Cid, MemoryBlocks) {
		let mut blocks = MemoryBlocks::new();
		let options = ImportOptions {
			chunk_size: 16,
			max_links: 4,
			..ImportOptions::default()
		};
		let content: Vec<u8> = (0..1024u32)
			.flat_map(|i| (i as u16).to_le_bytes())
			.take(1024)
			.collect();
		let imported = Importer::new(&mut blocks, options).reader(&content[..]).unwrap();
		(imported.root, blocks)
	}

	fn wanted(root: Cid) -> Wanted {
		Wanted {
			root,
			path: String::new(),
			part: Part::Whole,
		}
	}

	fn folder_with(blocks: &MemoryBlocks) -> (tempfile::TempDir, BlockStore) {
		let folder = tempfile::tempdir().unwrap();
		let kept = BlockStore::open(&folder.path().join("x.car"), &file().0).unwrap();
		for block in blocks.iter() {
			kept.put(block).unwrap();
		}
		(folder, kept)
	}

	#[test]
	fn nothing_there() {
		let (root, _) = file();
		let (_folder, blocks) = folder_with(&MemoryBlocks::new());
		assert_eq!(
			status(&blocks, &wanted(root)).unwrap(),
			Status::Missing(vec![Request::FromRoot])
		);
	}

	#[test]
	fn everything_there() {
		let (root, all) = file();
		let (_folder, blocks) = folder_with(&all);
		assert_eq!(status(&blocks, &wanted(root)).unwrap(), Status::Complete(root));
	}

	#[test]
	fn highest_missing_blocks_only() {
		let (root, mut all) = file();
		let top = links(&all.get(&root).unwrap().unwrap()).unwrap();
		let below = links(&all.get(&top[1]).unwrap().unwrap()).unwrap();
		let leaves = links(&all.get(&below[2]).unwrap().unwrap()).unwrap();
		all.remove(&leaves[3]);
		all.remove(&top[3]);
		let (_folder, blocks) = folder_with(&all);
		let expected = vec![Request::Subtree(leaves[3]), Request::Subtree(top[3])];
		assert_eq!(status(&blocks, &wanted(root)).unwrap(), Status::Missing(expected));
		// Bytes that need none of them.
		let range = ByteRange {
			start: 10,
			end: Some(100),
		};
		let ranged = Wanted {
			part: Part::Bytes(range),
			..wanted(root)
		};
		assert_eq!(status(&blocks, &ranged).unwrap(), Status::Complete(root));
		let range = ByteRange {
			start: 1000,
			end: None,
		};
		let ranged = Wanted {
			part: Part::Bytes(range),
			..wanted(root)
		};
		assert_eq!(
			status(&blocks, &ranged).unwrap(),
			Status::Missing(vec![Request::FromRoot])
		);
	}

	#[test]
	fn paths() {
		let (root, all) = file();
		let (_folder, blocks) = folder_with(&all);
		let wanted = Wanted {
			path: "a/b".to_owned(),
			..wanted(root)
		};
		assert!(matches!(status(&blocks, &wanted), Err(ObjectError::Path(_))));
	}
}
