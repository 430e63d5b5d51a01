//! Errors of the database.

use std::path::PathBuf;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
	/// There is no database.
	#[error("there is no database at {}: run `cairn-provider run` first", path.display())]
	Missing {
		/// Where it was looked for.
		path: PathBuf,
	},
	/// Another process has it open.
	#[error("{} is in use: another cairn-provider runs on it", path.display())]
	InUse {
		/// The file.
		path: PathBuf,
	},
	/// It cannot be opened.
	#[error("cannot open {}", path.display())]
	Open {
		/// The file.
		path: PathBuf,
		/// Why.
		source: Box<redb::DatabaseError>,
	},
	/// It was written by a newer version.
	#[error("{} has format {found}, newer than this program's {}: upgrade cairn-provider", path.display(), super::FORMAT)]
	Newer {
		/// The file.
		path: PathBuf,
		/// Its format.
		found: u32,
	},
	/// It belongs to another chain.
	#[error("{} belongs to the chain with genesis hash 0x{found}, the node runs 0x{expected}: connect to the right node, or use another --base-path for this chain", path.display())]
	OtherChain {
		/// The file.
		path: PathBuf,
		/// Genesis hash in the file.
		found: String,
		/// Genesis hash of the node.
		expected: String,
	},
	/// It belongs to another provider.
	#[error("{} belongs to the provider {found}, this worker serves {expected}: use another --base-path for it", path.display())]
	OtherOwner {
		/// The file.
		path: PathBuf,
		/// Owner in the file.
		found: String,
		/// Owner on chain.
		expected: String,
	},
	/// A record does not decode.
	#[error("a record in table `{table}` is corrupt: restore the database from a copy")]
	Corrupt {
		/// The table.
		table: &'static str,
	},
	/// A record that must exist does not.
	#[error("no {0}")]
	NotFound(&'static str),
	/// A deal's event does not fit its state.
	#[error(transparent)]
	Deal(#[from] crate::deal::state::IllegalTransition),
	/// A sector's event does not fit its state.
	#[error(transparent)]
	Sector(#[from] crate::sector::state::IllegalTransition),
	/// The process is shutting down.
	#[error("the program is shutting down")]
	Interrupted,
	/// Reading or writing failed.
	#[error("the database failed")]
	Redb(#[source] Box<redb::Error>),
}

macro_rules! from_redb {
	($($type:ty),*) => {$(
		impl From<$type> for StoreError {
			fn from(error: $type) -> Self {
				StoreError::Redb(Box::new(error.into()))
			}
		}
	)*};
}
from_redb!(
	redb::Error,
	redb::StorageError,
	redb::TableError,
	redb::TransactionError,
	redb::CommitError
);
