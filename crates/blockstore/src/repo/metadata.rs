//! The metadata database: one `redb` file, one writer at a time, every change in one transaction.

mod rows;
mod tables;

pub(super) use rows::{decode_hash, BlockRow, DatasetRow, DatasetState, Total};
pub(super) use tables::{member_key, members_of, visibility, Tables, Visibility};
pub(super) use tables::{
	BLOCKS, DATASETS, EVICTABLE, EXPIRY, GARBAGE, HIDDEN, MEMBERS, PINS, RECORDS, ROOTS, TOTALS,
};

use crate::{disk, fault_injection};
use redb::{backends::InMemoryBackend, Builder, Database, ReadTransaction, ReadableDatabase};
use std::{
	fs, io,
	path::{Path, PathBuf},
	sync::{
		atomic::{AtomicU64, Ordering},
		Mutex, MutexGuard, PoisonError, RwLock,
	},
};

/// Version of the tables. Version 1 had no garbage.
pub(super) const FORMAT: u64 = 2;

/// Why the metadata database could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
	/// The disk is full, or the user's quota on it. Nothing of the transaction happened.
	#[error("the disk that holds the metadata database is full")]
	Full(#[source] io::Error),
	/// A row does not decode: the file was damaged or written by something else.
	#[error("a row of the metadata table `{table}` is damaged: run fsck, or restore it from a copy")]
	Damaged {
		/// The table.
		table: &'static str,
	},
	/// Reading or writing failed. Nothing of the transaction happened.
	#[error("the metadata database failed")]
	Database(#[source] Box<redb::Error>),
}

impl From<redb::Error> for MetadataError {
	fn from(error: redb::Error) -> Self {
		match error {
			redb::Error::Io(error)
				if matches!(
					error.kind(),
					io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
				) =>
			{
				Self::Full(error)
			}
			error => Self::Database(Box::new(error)),
		}
	}
}

macro_rules! from_redb {
	($($error:ty),*) => {$(
		impl From<$error> for MetadataError {
			fn from(error: $error) -> Self {
				redb::Error::from(error).into()
			}
		}
	)*};
}
from_redb!(
	redb::StorageError,
	redb::TableError,
	redb::TransactionError,
	redb::CommitError
);

impl MetadataError {
	/// Whether redb refuses everything after it until the file is opened again.
	fn latches(&self) -> bool {
		match self {
			Self::Full(_) => true,
			Self::Damaged { .. } => false,
			Self::Database(error) => matches!(**error, redb::Error::Io(_) | redb::Error::PreviousIo),
		}
	}
}

/// Errors of operations, which fail for reasons of their own or because the database does.
pub(super) trait Wraps: From<MetadataError> {
	/// The database's error in it.
	fn metadata(&self) -> Option<&MetadataError>;
}

impl Wraps for MetadataError {
	fn metadata(&self) -> Option<&MetadataError> {
		Some(self)
	}
}

/// The database.
///
/// After an operating system's error, redb refuses everything until the file is opened anew. A full
/// disk must not take a node down for longer than it is full, so that is done here, between
/// transactions.
#[derive(Debug)]
pub(super) struct Metadata {
	/// None: in memory.
	path: Option<PathBuf>,
	cache_bytes: usize,
	/// None: could not be opened again yet. Transactions hold the lock for reading.
	database: RwLock<Option<Database>>,
	/// See [`in_order`](Self::in_order).
	order: Mutex<()>,
	/// Transactions so far that changed which datasets are live.
	generation: AtomicU64,
}

impl Metadata {
	/// Opens the file.
	pub(super) fn open(path: &Path, cache_bytes: usize) -> Result<Self, redb::DatabaseError> {
		let database = open_file(path, cache_bytes)?;
		Ok(Self::new(Some(path.to_owned()), cache_bytes, database))
	}

	/// Creates the file, under another name first: a process that dies meanwhile leaves none that
	/// cannot be opened.
	pub(super) fn create(path: &Path, cache_bytes: usize) -> Result<Self, redb::DatabaseError> {
		let new = path.with_extension("new");
		match fs::remove_file(&new) {
			Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
			_ => {}
		}
		drop(Builder::new().set_cache_size(cache_bytes).create(&new)?);
		fault_injection::reached("open:created");
		disk::rename(&new, path)?;
		Self::open(path, cache_bytes)
	}

	fn new(path: Option<PathBuf>, cache_bytes: usize, database: Database) -> Self {
		Self {
			path,
			cache_bytes,
			database: RwLock::new(Some(database)),
			order: Mutex::new(()),
			generation: AtomicU64::new(0),
		}
	}

	/// A database that ends with the process.
	pub(super) fn in_memory(cache_bytes: usize) -> Result<Self, redb::DatabaseError> {
		let database = Builder::new()
			.set_cache_size(cache_bytes)
			.create_with_backend(InMemoryBackend::new())?;
		Ok(Self::new(None, cache_bytes, database))
	}

	/// Runs `work` on a snapshot.
	pub(super) fn read<T, E: Wraps>(
		&self,
		work: impl FnOnce(&ReadTransaction) -> Result<T, E>,
	) -> Result<T, E> {
		self.with_database(|database| {
			let transaction = database.begin_read().map_err(MetadataError::from)?;
			work(&transaction)
		})
	}

	/// Runs `work` in a transaction. It is on disk when this returns; if `work` fails, nothing of it
	/// happens.
	pub(super) fn write<T, E: Wraps>(
		&self,
		work: impl FnOnce(&mut Tables<'_>) -> Result<T, E>,
	) -> Result<T, E> {
		self.with_database(|database| {
			let transaction = database.begin_write().map_err(MetadataError::from)?;
			let (result, changes_roots) = {
				let mut tables = Tables::open(&transaction)?;
				(work(&mut tables)?, tables.changes_roots)
			};
			fault_injection::reached_in_transaction("metadata:uncommitted");
			let committed = transaction.commit();
			if changes_roots {
				// After the commit, so that whoever sees the new number sees the change; and if it failed,
				// because it may be on the disk all the same.
				self.generation.fetch_add(1, Ordering::SeqCst);
			}
			committed.map_err(MetadataError::from)?;
			Ok(result)
		})
	}

	/// Transactions so far that changed, or may have changed, which datasets are live.
	pub(super) fn generation(&self) -> u64 {
		self.generation.load(Ordering::SeqCst)
	}

	/// To be held from before a transaction that changes what is in use until the ledger has taken over
	/// the sum, so that it takes over the sums in the order of the transactions.
	pub(super) fn in_order(&self) -> MutexGuard<'_, ()> {
		self.order.lock().unwrap_or_else(PoisonError::into_inner)
	}

	fn with_database<T, E: Wraps>(&self, work: impl FnOnce(&Database) -> Result<T, E>) -> Result<T, E> {
		let result = {
			// Nothing under the lock can be left half-changed by a panic.
			let read = || self.database.read().unwrap_or_else(PoisonError::into_inner);
			let mut database = read();
			if database.is_none() {
				drop(database);
				self.reopen();
				database = read();
			}
			match &*database {
				Some(database) => work(database),
				None => Err(MetadataError::from(redb::Error::PreviousIo).into()),
			}
		};
		if let Err(error) = &result {
			if error.metadata().is_some_and(MetadataError::latches) {
				self.reopen();
			}
		}
		result
	}

	/// Opens the file again if redb refuses to go on with it.
	fn reopen(&self) {
		let Some(path) = &self.path else {
			return;
		};
		let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
		let works = database
			.as_ref()
			.is_some_and(|database| database.begin_write().is_ok());
		if works {
			// Another thread was here first.
			return;
		}
		// Closed first: the file is locked by whoever has it open.
		*database = None;
		match open_file(path, self.cache_bytes) {
			Ok(reopened) => *database = Some(reopened),
			Err(error) => tracing::warn!(%error, "cannot open the metadata database again yet"),
		}
	}
}

fn open_file(path: &Path, cache_bytes: usize) -> Result<Database, redb::DatabaseError> {
	// Not created: a repository whose disk is gone must not go on with an empty database.
	Builder::new().set_cache_size(cache_bytes).open(path)
}
