//! Rows as the tables hold them, and as the code does.

use super::MetadataError;
use crate::{repo::Expiry, Cid, Multihash};

/// Value of [`super::BLOCKS`]: size, references, 1 if the chunk is lost.
pub(super) type BlockValue = (u32, u32, u8);
/// Value of [`super::DATASETS`]: root (empty while it is uploaded), state, expiry, 1 if evictable, pins,
/// blocks, bytes, time of the commit.
pub(super) type DatasetValue = (&'static [u8], u8, u64, u8, u32, u64, u64, u64);

/// A block that some dataset has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::repo) struct BlockRow {
	/// Its bytes.
	pub(in crate::repo) size: u32,
	/// Datasets that have it, visible or not. A block that none has is garbage, and waits for its chunk
	/// to be removed.
	pub(in crate::repo) refs: u32,
	/// Its chunk was found damaged or missing, and nobody has brought it back.
	pub(in crate::repo) lost: bool,
}

impl BlockRow {
	pub(in crate::repo) fn decode((size, refs, lost): (u32, u32, u8)) -> Self {
		Self {
			size,
			refs,
			lost: lost != 0,
		}
	}

	pub(in crate::repo) fn encode(&self) -> (u32, u32, u8) {
		(self.size, self.refs, self.lost.into())
	}
}

/// In what stage of its life a dataset is. Only live ones are visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::repo) enum DatasetState {
	/// Blocks are coming in.
	Uploading,
	/// It is there.
	Live,
	/// Its blocks are being released.
	Deleting,
}

impl DatasetState {
	pub(in crate::repo) fn decode(code: u8) -> Result<Self, MetadataError> {
		match code {
			0 => Ok(Self::Uploading),
			1 => Ok(Self::Live),
			2 => Ok(Self::Deleting),
			_ => Err(MetadataError::Damaged { table: "datasets" }),
		}
	}

	pub(in crate::repo) fn encode(self) -> u8 {
		match self {
			Self::Uploading => 0,
			Self::Live => 1,
			Self::Deleting => 2,
		}
	}
}

/// A dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::repo) struct DatasetRow {
	/// Its root; none while it is uploaded, unless the upload outlives its process.
	pub(in crate::repo) root: Option<Cid>,
	pub(in crate::repo) state: DatasetState,
	pub(in crate::repo) expiry: Expiry,
	/// Whether it may go to make room.
	pub(in crate::repo) evictable: bool,
	/// Pins on its root. While there are any, it neither expires nor is evicted.
	pub(in crate::repo) pins: u32,
	/// Distinct blocks.
	pub(in crate::repo) blocks: u64,
	/// Their bytes.
	pub(in crate::repo) bytes: u64,
	/// When it was committed first.
	pub(in crate::repo) created: u64,
}

impl DatasetRow {
	pub(in crate::repo) fn uploading(root: Option<Cid>) -> Self {
		Self {
			root,
			state: DatasetState::Uploading,
			expiry: Expiry::Never,
			evictable: false,
			pins: 0,
			blocks: 0,
			bytes: 0,
			created: 0,
		}
	}

	pub(in crate::repo) fn decode(
		value: (&[u8], u8, u64, u8, u32, u64, u64, u64),
	) -> Result<Self, MetadataError> {
		let (root, state, expiry, evictable, pins, blocks, bytes, created) = value;
		let root = match root {
			[] => None,
			root => Some(Cid::try_from(root).map_err(|_| MetadataError::Damaged { table: "datasets" })?),
		};
		Ok(Self {
			root,
			state: DatasetState::decode(state)?,
			expiry: Expiry::from_stored(expiry),
			evictable: evictable != 0,
			pins,
			blocks,
			bytes,
			created,
		})
	}

	/// Bytes of the root, for [`encode`](Self::encode).
	pub(in crate::repo) fn root_bytes(&self) -> Vec<u8> {
		self.root.map(|root| root.to_bytes()).unwrap_or_default()
	}

	pub(in crate::repo) fn encode<'a>(&self, root: &'a [u8]) -> (&'a [u8], u8, u64, u8, u32, u64, u64, u64) {
		(
			root,
			self.state.encode(),
			self.expiry.to_stored(),
			self.evictable.into(),
			self.pins,
			self.blocks,
			self.bytes,
			self.created,
		)
	}
}

/// A counter over the whole repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::repo) enum Total {
	/// Version of the tables.
	Format,
	/// Number of the next dataset.
	NextDataset,
	/// Bytes of all blocks.
	UsedBytes,
	/// Blocks.
	Blocks,
	/// Live datasets.
	Datasets,
	/// Bytes of the blocks of datasets that are being deleted, shared ones included, and of garbage.
	DeletingBytes,
	/// 1 while a process has the repository open or did not close it.
	Unclean,
}

impl Total {
	pub(in crate::repo) fn key(self) -> &'static str {
		match self {
			Self::Format => "format",
			Self::NextDataset => "next_dataset",
			Self::UsedBytes => "used_bytes",
			Self::Blocks => "blocks",
			Self::Datasets => "datasets",
			Self::DeletingBytes => "deleting_bytes",
			Self::Unclean => "unclean",
		}
	}
}

/// The hash in a key of [`super::BLOCKS`], or at the end of one of [`super::MEMBERS`].
pub(in crate::repo) fn decode_hash(bytes: &[u8], table: &'static str) -> Result<Multihash, MetadataError> {
	Multihash::from_bytes(bytes).map_err(|_| MetadataError::Damaged { table })
}
