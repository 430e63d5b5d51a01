//! Errors of the database.

use std::{io, path::PathBuf};

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
	#[error("{} has format {found}, newer than this program's {known}: upgrade cairn-provider", path.display())]
	Newer {
		/// The file.
		path: PathBuf,
		/// Its format.
		found: u32,
		/// This program's.
		known: u32,
	},
	/// It was written by an older version, and there is no conversion.
	#[error("{} has format {found}, older than this program's {known}, and databases from before 0.1.0 are not converted: run the cairn-provider that wrote it until its deals have ended, or begin anew with `cairn-provider init` and another --base-path", path.display())]
	Older {
		/// The file.
		path: PathBuf,
		/// Its format.
		found: u32,
		/// This program's.
		known: u32,
	},
	/// What says to whom a storage folder belongs cannot be read or written.
	#[error("cannot use {}", path.display())]
	Stamp {
		/// The file.
		path: PathBuf,
		/// Why.
		source: io::Error,
	},
	/// It belongs to another chain.
	#[error("{} belongs to the chain with genesis hash {found}, the node runs {expected}: connect to the right node, or use another --base-path for this chain", path.display())]
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

impl StoreError {
	/// Whether the cause is a disk (or a quota) without room.
	pub fn is_full(&self) -> bool {
		let cause = match self {
			StoreError::Redb(error) => match &**error {
				redb::Error::Io(error) => error,
				_ => return false,
			},
			StoreError::Open { source, .. } => match &**source {
				redb::DatabaseError::Storage(redb::StorageError::Io(error)) => error,
				_ => return false,
			},
			_ => return false,
		};
		matches!(
			cause.kind(),
			io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
		)
	}
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
