//! Following a path to the block it names.

use super::{damaged, missing, unreadable};
use crate::retrieval::NodeBlocks;
use cairn_dag::{
	walk::{follow_with, PathError},
	Block, BlockSource, Codec, CodecError,
};
use cairn_provider_api::{ErrorKind, Problem};
use cid::Cid;

/// Most bytes of a path that an error repeats.
const MAX_ECHO: usize = 200;

/// Where a path leads.
pub(super) struct Target {
	/// The block at its end.
	pub block: Block,
	/// The blocks on the way, the root first, without the target. Only their CIDs: a path may lead through more
	/// blocks than fit in memory.
	pub way: Vec<Cid>,
	/// What each segment of the path leads to, the root first and the target last.
	pub roots: Vec<Cid>,
}

impl Target {
	pub fn cid(&self) -> &Cid {
		self.block.cid()
	}
}

/// Follows `path` from `root`, through folders and through links of any codec.
///
/// # Errors
/// `NotFound` if a block or a name is missing, `NotImplemented` if the path ends within a block or leads through an
/// unknown codec.
pub(super) fn resolve(blocks: &NodeBlocks, root: Cid, path: &str) -> Result<Target, Problem> {
	let mut way = Vec::new();
	let roots = follow_with(blocks, &root, path, &mut |block| way.push(*block.cid()))
		.map_err(|error| unresolved(blocks, error))?;
	// Never empty: the root is the first.
	let cid = roots.last().copied().unwrap_or(root);
	let block = load(blocks, &cid)?;
	Ok(Target { block, way, roots })
}

/// A block that must be there.
pub(super) fn load(blocks: &NodeBlocks, cid: &Cid) -> Result<Block, Problem> {
	match Block::from_identity(cid) {
		Some(block) => Ok(block),
		None => blocks
			.get(cid)
			.map_err(|error| damaged(cid, &error))?
			.ok_or_else(|| missing(cid)),
	}
}

fn unresolved(blocks: &NodeBlocks, error: PathError) -> Problem {
	match error {
		PathError::Missing { cid } => missing(&cid),
		PathError::Source(error) => unreadable(&error, "a block on the path cannot be read".into()),
		PathError::NotFound { cid, rest } => {
			if ends_within(blocks, &cid, &rest) {
				return Problem::new(
					ErrorKind::NotImplemented,
					"reading IPLD Kinds other than Links (CBOR Tag 42) is not implemented",
				)
				.hint(format!("ask for block {cid} and read the value at the client"));
			}
			let shown = &rest[..rest.floor_char_boundary(MAX_ECHO)];
			Problem::new(
				ErrorKind::NotFound,
				format!("block {cid} has no link at `{shown}`"),
			)
			.hint("ask for the root without a path to see what is below it")
		}
		PathError::Codec {
			cid,
			error: CodecError::Unsupported { code },
		} => Problem::new(
			ErrorKind::NotImplemented,
			format!("the path leads through block {cid} of codec {code:#x}, which is not known here"),
		)
		.hint("ask for the block itself with ?format=raw"),
		error => Problem::new(ErrorKind::NotFound, format!("the path leads nowhere: {error}"))
			.hint("ask for the root without a path to see what is below it"),
	}
}

/// Whether `path` names a value inside the block, and not nothing.
fn ends_within(blocks: &NodeBlocks, cid: &Cid, path: &str) -> bool {
	let Ok(block) = load(blocks, cid) else {
		return false;
	};
	let path: Vec<&str> = path.split('/').collect();
	match Codec::of(cid) {
		Ok(Codec::DagCbor) => {
			let mut value = serde_ipld_dagcbor::de::Deserializer::from_slice(block.data());
			super::value::exists(&mut value, &path)
		}
		Ok(Codec::DagJson) => {
			let mut value = serde_json::Deserializer::from_slice(block.data());
			super::value::exists(&mut value, &path)
		}
		_ => false,
	}
}
