//! How files become blocks.

use crate::{
	codec::dag_pb::{PbLink, PbNode},
	hash::HashFunction,
	unixfs::{
		export::{MAX_DEPTH, MAX_ENTRIES},
		import::ImportError,
	},
};
use cid::Version;

/// Largest chunk: the block size that IPFS peers accept.
pub const MAX_CHUNK_SIZE: usize = 2 * 1024 * 1024;

/// Most links of a file node: with the longest CIDs and sizes, such a node has at most [`MAX_CHUNK_SIZE`] bytes.
pub const MAX_LINKS: usize = 16_384;

/// How files become blocks. The same options always give the same CIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportOptions {
	/// Bytes per leaf, the last one excepted: 1 to [`MAX_CHUNK_SIZE`].
	pub chunk_size: usize,
	/// Most links of a file node: 2 to [`MAX_LINKS`].
	pub max_links: usize,
	/// Whether leaves are raw blocks, or dag-pb with the UnixFS envelope.
	pub raw_leaves: bool,
	/// Version of the CIDs of dag-pb nodes. Raw leaves are always version 1, and version 0 implies
	/// SHA-256.
	pub cid_version: Version,
	/// Hash function of all CIDs.
	pub hash: HashFunction,
	/// Whether folders' entries whose names start with a dot are taken.
	pub hidden: bool,
	/// How the blocks of a file hang together.
	pub layout: Layout,
	/// Largest folder that stays in one block, in bytes; a larger one is sharded. At most 1 MiB, because
	/// [`DirectorySize::Links`] leaves out up to half of a block.
	pub max_directory_size: usize,
	/// How the bytes of a folder are counted.
	pub directory_size: DirectorySize,
	/// Most files, folders and links: what an export writes back unless told otherwise.
	pub max_entries: u64,
	/// Deepest nesting of folders, as for an export.
	pub max_depth: usize,
}

/// How the blocks of a file hang together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
	/// All leaves at one depth: for reading anywhere.
	#[default]
	Balanced,
	/// The first leaves near the root, later ones ever deeper: for reading from the start.
	Trickle,
}

/// How the bytes of a folder are counted, for whether it fits in one block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirectorySize {
	/// Those of the names and CIDs: as IPFS did before IPIP-499.
	#[default]
	Links,
	/// Those of the block.
	Block,
}

impl DirectorySize {
	/// Bytes of a folder's node.
	pub(super) fn of(self, folder: &PbNode) -> usize {
		let link = |link: &PbLink| link.name.as_ref().map_or(0, String::len) + link.cid.encoded_len();
		match self {
			Self::Links => folder.links.iter().map(link).sum(),
			Self::Block => folder.encoded_len(),
		}
	}
}

impl Default for ImportOptions {
	/// `ipfs add --cid-version=1 --raw-leaves`: 256 KiB, 174 links.
	fn default() -> Self {
		Self {
			chunk_size: 256 * 1024,
			max_links: 174,
			raw_leaves: true,
			cid_version: Version::V1,
			hash: HashFunction::Sha2_256,
			hidden: true,
			layout: Layout::Balanced,
			max_directory_size: 256 * 1024,
			directory_size: DirectorySize::Links,
			max_entries: MAX_ENTRIES,
			max_depth: MAX_DEPTH,
		}
	}
}

impl ImportOptions {
	/// The profile `unixfs-v1-2025` of IPIP-499: 1 MiB, 1024 links.
	pub fn unixfs_v1_2025() -> Self {
		Self {
			chunk_size: 1024 * 1024,
			max_links: 1024,
			directory_size: DirectorySize::Block,
			..Self::default()
		}
	}

	/// The profile `unixfs-v0-2015` of IPIP-499, IPFS's oldest: CIDv0, 256 KiB, 174 links.
	pub fn unixfs_v0_2015() -> Self {
		Self {
			raw_leaves: false,
			cid_version: Version::V0,
			..Self::default()
		}
	}

	pub(super) fn check(&self) -> Result<(), ImportError> {
		if !(1..=MAX_CHUNK_SIZE).contains(&self.chunk_size) {
			return Err(ImportError::InvalidOptions {
				reason: "chunk size must be 1 byte to 2 MiB",
			});
		}
		if self.max_directory_size > MAX_CHUNK_SIZE / 2 {
			return Err(ImportError::InvalidOptions {
				reason: "a folder in one block must have at most 1 MiB",
			});
		}
		if !(2..=MAX_LINKS).contains(&self.max_links) {
			return Err(ImportError::InvalidOptions {
				reason: "a node must have 2 to 16,384 links",
			});
		}
		if !self.hash.is_collision_resistant() {
			return Err(ImportError::InvalidOptions {
				reason: "SHA-1 is only for reading",
			});
		}
		if self.cid_version == Version::V0 && self.hash != HashFunction::Sha2_256 {
			return Err(ImportError::InvalidOptions {
				reason: "CIDv0 implies SHA-256",
			});
		}
		Ok(())
	}
}
