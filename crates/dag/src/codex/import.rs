//! Data to a dataset.

use super::{build::DatasetBuilder, manifest::Manifest};
use crate::source::{BlockSink, SinkError};
use cid::Cid;
use std::io::{self, Read};

/// Bytes per block of Codex's datasets.
pub const DEFAULT_BLOCK_SIZE: u32 = 64 * 1024;

/// Largest block that is made: what IPFS peers accept.
pub const MAX_BLOCK_SIZE: u32 = 2 * 1024 * 1024;

/// How data becomes a dataset. Names are part of the manifest, and so of the dataset's CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetOptions {
	/// Bytes per block: 1 to [`MAX_BLOCK_SIZE`].
	pub block_size: u32,
	/// A name for the data.
	pub filename: Option<String>,
	/// The data's media type.
	pub mimetype: Option<String>,
}

impl Default for DatasetOptions {
	/// Codex's: 64 KiB, no names.
	fn default() -> Self {
		Self {
			block_size: DEFAULT_BLOCK_SIZE,
			filename: None,
			mimetype: None,
		}
	}
}

/// What an import made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
	/// The dataset's CID, which is its manifest's.
	pub cid: Cid,
	/// The manifest.
	pub manifest: Manifest,
}

/// Makes a dataset of a stream. The sink gets each block, the tree's nodes between them, each as soon
/// as it is complete, and the manifest last. Takes one block of memory and one digest per level of
/// the tree.
///
/// # Errors
/// [`ImportError`]; the sink then holds blocks without a manifest.
///
/// ```
/// use cairn_dag::{codex::{import, DatasetOptions}, NullSink};
///
/// let dataset = import(&b"some file contents"[..], &mut NullSink, &DatasetOptions::default())?;
/// assert_eq!(
///     dataset.cid.to_string_of_base(cairn_dag::cid::multibase::Base::Base58Btc)?,
///     "zDvZRwzmC3Q7e7NLkfsPmtgSCfectUc1ssn5xK2rzC9yRz1yeZuK",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn import<K: BlockSink + ?Sized>(
	mut reader: impl Read,
	sink: &mut K,
	options: &DatasetOptions,
) -> Result<Dataset, ImportError> {
	let mut builder = DatasetBuilder::new(options.block_size)?;
	loop {
		let (block, filled) = read_block(&mut reader, options.block_size as usize)?;
		if filled == 0 {
			break;
		}
		builder.put_block(block, filled, sink)?;
		if filled < options.block_size as usize {
			break;
		}
	}
	builder.finish(sink, options.filename.clone(), options.mimetype.clone())
}

/// Reads until the block is full or the stream ends; what is left of the block stays zero.
fn read_block(reader: &mut impl Read, size: usize) -> Result<(Vec<u8>, usize), ImportError> {
	let mut block = vec![0; size];
	let mut filled = 0;
	while filled < size {
		match reader.read(&mut block[filled..]) {
			Ok(0) => break,
			Ok(read) => filled += read,
			Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
			Err(error) => return Err(ImportError::Read(error)),
		}
	}
	Ok((block, filled))
}

/// Why data did not become a dataset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
	/// The block size is 0 or above [`MAX_BLOCK_SIZE`].
	#[error("the block size must be 1 byte to 2 MiB")]
	InvalidBlockSize,
	/// There was no data: a dataset has at least one block.
	#[error("a dataset cannot be empty")]
	Empty,
	/// The stream failed.
	#[error("cannot read the data: {0}")]
	Read(#[source] io::Error),
	/// The sink failed.
	#[error(transparent)]
	Sink(#[from] SinkError),
}
