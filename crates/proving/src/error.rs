//! Why a proof cannot be made.

use cairn_primitives::{piece::LayoutError, Commitment, SectorNumber};
use std::{
	io,
	path::{Path, PathBuf},
};

/// What is wrong with data that a proof reads.
#[derive(Debug, thiserror::Error)]
pub enum DataFault {
	/// The file does not exist.
	#[error("the file is missing")]
	Missing,
	/// The file does not have the length it must have.
	#[error("the file has {found} bytes instead of {expected}")]
	Truncated {
		/// Bytes it must have.
		expected: u64,
		/// Bytes it has.
		found: u64,
	},
	/// The bytes are not those that were committed to.
	#[error("the data around leaf {leaf} is not what was committed to")]
	Corrupt {
		/// A leaf whose sub-tree does not lead to the commitment, counted from the file's first one.
		leaf: u64,
	},
	/// The operating system cannot read the file.
	#[error("the file cannot be read: {0}")]
	Unreadable(#[source] io::Error),
}

impl DataFault {
	/// The fault behind a failed open or read of a file that must exist.
	pub(crate) fn from_io(error: io::Error) -> Self {
		match error.kind() {
			io::ErrorKind::NotFound => DataFault::Missing,
			_ => DataFault::Unreadable(error),
		}
	}

	/// Opens a file of a known length.
	pub(crate) fn open(path: &Path, expected: u64) -> Result<std::fs::File, Self> {
		let file = std::fs::File::open(path).map_err(Self::from_io)?;
		let found = file.metadata().map_err(Self::from_io)?.len();
		if found != expected {
			return Err(DataFault::Truncated { expected, found });
		}
		Ok(file)
	}
}

/// Why a proof cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
	/// A piece's payload is gone or not what was committed to.
	#[error("piece {}: {fault} ({})", hex::encode(commitment), path.display())]
	Piece {
		/// CommP of the piece.
		commitment: Commitment,
		/// Its payload file.
		path: PathBuf,
		/// What is wrong.
		fault: DataFault,
	},
	/// A sealed sector's replica is gone or not what was committed to.
	#[error("replica: {fault} ({})", path.display())]
	Replica {
		/// The replica file.
		path: PathBuf,
		/// What is wrong.
		fault: DataFault,
	},
	/// The stored upper rows of a tree are gone or do not lead to its root, although the data may be
	/// sound: rebuilding them mends this.
	#[error("tree rows: {fault} ({})", path.display())]
	Rows {
		/// The file of the rows.
		path: PathBuf,
		/// What is wrong.
		fault: DataFault,
	},
	/// A layer that activation needs is gone or not what was committed to.
	#[error("layer: {fault} ({})", path.display())]
	Layer {
		/// The layer's file, or the folder of all layers.
		path: PathBuf,
		/// What is wrong.
		fault: DataFault,
	},
	/// A leaf lies outside the sector.
	#[error("leaf {leaf} lies outside a sector of {leaves} leaves")]
	LeafOutOfRange {
		/// The leaf asked for.
		leaf: u64,
		/// Leaves of the sector.
		leaves: u64,
	},
	/// A proof of nothing was asked for.
	#[error("a proof opens at least one leaf")]
	NoLeaves,
	/// More leaves than one proof opens.
	#[error("{count} leaves are more than the {MAX_OPENINGS} that one proof opens")]
	TooManyLeaves {
		/// Leaves asked for.
		count: usize,
	},
	/// The part names no challenge or challenges beyond the type's number.
	#[error("challenges {first}..{first}+{count} lie outside the proof type's {challenges}")]
	ChallengeRange {
		/// First challenge asked for.
		first: u16,
		/// Challenges asked for.
		count: u16,
		/// Challenges of the proof type.
		challenges: u16,
	},
	/// The sector's layers were removed after activation; only windowed proofs can be made.
	#[error("sector {sector} was activated and its layers are gone")]
	ActivationFinished {
		/// The sector.
		sector: SectorNumber,
	},
	/// The pieces do not fit the sector.
	#[error(transparent)]
	Layout(#[from] LayoutError),
	/// The proof was made and its own verification refused it. A defect of this program.
	#[error("the finished proof does not verify: {0}")]
	Invalid(#[from] cairn_primitives::ProofError),
}

/// Most leaves that one proof opens. Far above any protocol parameter; bounds memory.
pub const MAX_OPENINGS: usize = 1024;

impl ProveError {
	/// Whether data is gone or wrong, so that the provider should declare the sector faulty (or
	/// restore the data first); otherwise the request was wrong.
	pub fn is_data_fault(&self) -> bool {
		match self {
			ProveError::Piece { .. }
			| ProveError::Replica { .. }
			| ProveError::Rows { .. }
			| ProveError::Layer { .. } => true,
			ProveError::LeafOutOfRange { .. }
			| ProveError::NoLeaves
			| ProveError::TooManyLeaves { .. }
			| ProveError::ChallengeRange { .. }
			| ProveError::ActivationFinished { .. }
			| ProveError::Layout(_)
			| ProveError::Invalid(_) => false,
		}
	}
}
