//! Which blocks belong to a dataset, and which of them are missing.
//!
//! The walk goes from the root along the links, depth first, as a reader of the data does, and runs ahead of what
//! is missing by so many blocks as may be under way. It does no I/O but look at what is on this node.

use super::{staging::Staging, FetchError};
use cairn_blockstore::repo::Unfinished;
use cairn_dag::{
	codec::{codex::CodexManifest, BlockCodec},
	codex::Manifest,
	links,
	source::load,
	Block, Codec,
};
use cairn_network::blocks::BlockStore;
use cid::Cid;
use std::{collections::HashSet, sync::Arc};

/// Blocks under way at most. Fewer in tests, so that there is something beyond them.
const MAX_WANTS: usize = if cfg!(test) { 32 } else { 128 };
/// And at least, however large they are.
const MIN_WANTS: usize = 8;
/// Bytes under way, if the blocks to come are no larger than the largest before them.
const WINDOW: usize = 16 << 20;
/// What a block is taken to have before any came.
const FIRST_GUESS: usize = 512 << 10;

/// Links that wait to be followed: bounds memory where wide blocks nest. About 25 MB.
const MAX_PENDING: usize = 1 << 18;
/// Blocks with links that a dataset may have: about 100 MB of memory. A Codex dataset of 64 KiB blocks
/// has as many at 128 GiB.
const MAX_NODES: usize = 1 << 21;

/// Blocks that are looked for on this node in one step, and bytes found, so that a step does not take long.
const LOOKUPS: usize = 1024;
const LOCAL_BYTES: usize = 4 << 20;

/// The state of the walk.
pub(super) struct Walk {
	/// What is on this node already.
	local: Arc<dyn BlockStore>,
	/// What had come before a restart.
	earlier: Option<Unfinished>,
	staging: Arc<Staging>,
	/// Bytes of each block of data, if the root is a manifest.
	block_size: Option<u32>,
	/// Links to follow, the next one last.
	pending: Vec<Cid>,
	/// Blocks with links that were met: what is below them was, too.
	nodes: HashSet<NodeKey>,
	/// Blocks that were asked for.
	wanted: HashSet<Cid>,
	largest: usize,
}

/// What to do next.
pub(super) struct Step {
	/// Blocks to ask for.
	pub missing: Vec<Cid>,
	/// Blocks that were found on this node, and their bytes.
	pub local: Amount,
	/// Whether there is more to look for before anything came.
	pub goes_on: bool,
	/// Whether nothing is missing any more.
	pub is_complete: bool,
}

/// Blocks and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
	/// Number of blocks.
	pub blocks: u64,
	/// Bytes of their data.
	pub bytes: u64,
}

impl Amount {
	/// Counts a block.
	pub fn add(&mut self, block: &Block) {
		self.blocks += 1;
		self.bytes += block.data().len() as u64;
	}
}

impl std::ops::AddAssign for Amount {
	fn add_assign(&mut self, other: Amount) {
		self.blocks += other.blocks;
		self.bytes += other.bytes;
	}
}

impl Walk {
	/// From a root, which the first step is to be given.
	pub fn new(
		root: &Cid,
		manifest: Option<&Manifest>,
		local: Arc<dyn BlockStore>,
		earlier: Option<Unfinished>,
		staging: Arc<Staging>,
	) -> Self {
		Walk {
			local,
			earlier,
			staging,
			block_size: manifest.map(|manifest| manifest.block_size),
			pending: Vec::new(),
			nodes: HashSet::from([NodeKey::of(root)]),
			wanted: HashSet::new(),
			largest: 0,
		}
	}

	/// Takes blocks that came, and finds out what else is missing. `urgent` is a block of the dataset that somebody
	/// waits for. Blocks the thread.
	///
	/// # Errors
	/// [`FetchError::Codec`], [`FetchError::Contradiction`], [`FetchError::TooLarge`], and if what came cannot be
	/// looked up.
	pub fn step(&mut self, arrived: Vec<Block>, urgent: Option<Cid>) -> Result<Step, FetchError> {
		// The one that came first is to be followed first.
		for block in arrived.into_iter().rev() {
			self.wanted.remove(block.cid());
			self.largest = self.largest.max(block.data().len());
			self.take(block)?;
		}
		let mut room = self.window().saturating_sub(self.wanted.len());
		if let Some(cid) = urgent {
			self.pending.push(cid);
			room = room.max(1);
		}
		let mut step = Step {
			missing: Vec::new(),
			local: Amount::default(),
			goes_on: false,
			is_complete: false,
		};
		let mut lookups = 0;
		while step.missing.len() < room {
			if lookups >= LOOKUPS || step.local.bytes >= LOCAL_BYTES as u64 {
				step.goes_on = true;
				break;
			}
			let Some(cid) = self.pending.pop() else { break };
			lookups += 1;
			if !self.is_new(&cid)? {
				continue;
			}
			match self.find(&cid) {
				Some(block) => {
					step.local.add(&block);
					self.take(block)?;
				}
				None => {
					self.wanted.insert(cid);
					step.missing.push(cid);
				}
			}
		}
		step.is_complete = self.pending.is_empty() && self.wanted.is_empty();
		Ok(step)
	}

	/// How many blocks may be under way.
	fn window(&self) -> usize {
		let size = if self.largest == 0 {
			FIRST_GUESS
		} else {
			self.largest
		};
		(WINDOW / size).clamp(MIN_WANTS, MAX_WANTS)
	}

	/// Whether a block was not met before.
	fn is_new(&mut self, cid: &Cid) -> Result<bool, FetchError> {
		if self.wanted.contains(cid) {
			return Ok(false);
		}
		if is_leaf(cid) {
			// What has no links is cheap to look up twice, and too much to remember.
			return Ok(!self.staging.has(cid)?);
		}
		let new = self.nodes.insert(NodeKey::of(cid));
		if self.nodes.len() > MAX_NODES {
			return Err(FetchError::TooLarge {
				limit: "blocks with links",
			});
		}
		Ok(new)
	}

	/// The block, if it is on this node.
	fn find(&self, cid: &Cid) -> Option<Block> {
		find(&*self.local, self.earlier.as_ref(), cid)
	}

	/// Keeps a block and queues what it links to.
	fn take(&mut self, block: Block) -> Result<(), FetchError> {
		let cid = *block.cid();
		let size = block.data().len() as u64;
		if cid.codec() == Codec::CodexBlock.code()
			&& self.block_size.is_some_and(|wanted| u64::from(wanted) != size)
		{
			return Err(FetchError::Contradiction { cid });
		}
		self.pending.extend(links_of(&block)?.into_iter().rev());
		if self.pending.len() > MAX_PENDING {
			return Err(FetchError::TooLarge {
				limit: "links that wait to be followed",
			});
		}
		if Block::from_identity(&cid).is_none() {
			self.staging.add(block);
		}
		Ok(())
	}
}

/// A block, if it is on this node or had come before a restart. One that cannot be read counts as missing: it comes
/// anew, which mends it.
pub(super) fn find(local: &dyn BlockStore, earlier: Option<&Unfinished>, cid: &Cid) -> Option<Block> {
	let unreadable = |error: String| {
		tracing::warn!(%cid, error, "a block is fetched because it cannot be read here");
		None
	};
	let here = load(local, cid).unwrap_or_else(|error| unreadable(error.to_string()));
	here.or_else(|| {
		let earlier = earlier?.get(cid);
		earlier.unwrap_or_else(|error| unreadable(error.to_string()))
	})
}

/// What remembers a block with links: enough of its CID that nobody finds two alike, and less than all of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct NodeKey {
	codec: u64,
	digest: [u8; 16],
}

impl NodeKey {
	fn of(cid: &Cid) -> Self {
		let mut digest = [0; 16];
		for (to, from) in digest.iter_mut().zip(cid.hash().digest()) {
			*to = *from;
		}
		NodeKey {
			codec: cid.codec(),
			digest,
		}
	}
}

fn is_leaf(cid: &Cid) -> bool {
	let codec = cid.codec();
	[Codec::Raw, Codec::CodexBlock, Codec::CodexSlotCell]
		.iter()
		.any(|leaf| leaf.code() == codec)
}

/// The blocks that belong to a dataset because this one does. A manifest's are its tree: what it says of erasure
/// coding beside that are roots over the same data in other forms, which nobody sends.
///
/// # Errors
/// [`FetchError::Codec`].
pub(crate) fn links_of(block: &Block) -> Result<Vec<Cid>, FetchError> {
	let cid = *block.cid();
	let read = if cid.codec() == CodexManifest::CODE {
		Manifest::decode(block.data()).map(|manifest| match manifest.blocks() {
			0 => Vec::new(),
			_ => vec![manifest.tree],
		})
	} else {
		links(block)
	};
	read.map_err(|error| FetchError::Codec { cid, error })
}
