//! A database that gets over a failure of its disk.
//!
//! Once a write to its file has failed, on a full disk for instance, redb refuses everything until the
//! database is opened again: what it holds in memory may not be what the file holds. A daemon that shares
//! its disk with others must not need a restart for that. So the file is watched, and after a failure the
//! next transaction opens it again, which brings back the last commit. Whoever was in the middle of a
//! transaction gets the error; the state machines treat it as they treat a kill.

use super::{StoreError, CACHE_BYTES};
use redb::{
	backends::FileBackend, BackendError, Database, DatabaseError, ReadTransaction, ReadableDatabase,
	StorageBackend, TransactionError, WriteTransaction,
};
use std::{
	fs::OpenOptions,
	io,
	ops::Bound,
	path::{Path, PathBuf},
	sync::{
		atomic::{AtomicBool, Ordering},
		Arc, Mutex, MutexGuard, PoisonError,
	},
	thread,
	time::Duration,
};

/// How long, and how often, opening waits for transactions on the failed database to end.
const CLOSING_PAUSE: Duration = Duration::from_millis(20);
const CLOSING_PAUSES: u32 = 50;

/// Opens the storage, creating it if there is none and `create` is set.
type OpenStorage = Box<dyn Fn(bool) -> io::Result<Box<dyn StorageBackend>> + Send + Sync>;

/// The database, opened again when its storage has failed.
pub(super) struct ReopeningDatabase {
	path: PathBuf,
	storage: OpenStorage,
	/// `None` while it cannot be opened.
	open: Mutex<Option<Arc<Open>>>,
}

struct Open {
	database: Database,
	failed: Arc<AtomicBool>,
}

impl ReopeningDatabase {
	/// Opens the file, creating it if there is none.
	///
	/// # Errors
	/// [`StoreError::InUse`], [`StoreError::Open`].
	pub fn open(path: &Path) -> Result<Self, StoreError> {
		let file = path.to_owned();
		let storage = move |create| -> io::Result<Box<dyn StorageBackend>> {
			let file = OpenOptions::new()
				.read(true)
				.write(true)
				.create(create)
				.truncate(false)
				.open(&file)?;
			Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
		};
		Self::on(path, Box::new(storage))
	}

	/// Opens the storage. `path` is what errors name.
	fn on(path: &Path, storage: OpenStorage) -> Result<Self, StoreError> {
		let database = ReopeningDatabase {
			path: path.to_owned(),
			storage,
			open: Mutex::new(None),
		};
		*database.lock() = Some(database.try_open(true)?);
		Ok(database)
	}

	/// Begins a transaction that writes; waits for the one that is running.
	///
	/// # Errors
	/// If the database cannot be used or opened again.
	pub fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
		self.begin(Database::begin_write)
	}

	/// Begins a transaction that reads.
	///
	/// # Errors
	/// If the database cannot be used or opened again.
	pub fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
		self.begin(|database| database.begin_read())
	}

	fn begin<T>(&self, begin: impl Fn(&Database) -> Result<T, TransactionError>) -> Result<T, StoreError> {
		// The lock is not held while a transaction waits for another one.
		let open = self.usable()?;
		Ok(begin(&open.database)?)
	}

	fn usable(&self) -> Result<Arc<Open>, StoreError> {
		let mut current = self.lock();
		if let Some(open) = &*current {
			if !open.failed.load(Ordering::Acquire) {
				return Ok(open.clone());
			}
		}
		// Closes it with the last transaction on it.
		*current = None;
		let mut pauses = 0;
		let open = loop {
			match self.try_open(false) {
				Err(StoreError::InUse { .. }) if pauses < CLOSING_PAUSES => {
					pauses += 1;
					thread::sleep(CLOSING_PAUSE);
				}
				outcome => break outcome?,
			}
		};
		tracing::info!("the database was opened again after its disk had failed");
		Ok(current.insert(open).clone())
	}

	fn try_open(&self, create: bool) -> Result<Arc<Open>, StoreError> {
		let failed = Arc::new(AtomicBool::new(false));
		let database = (self.storage)(create)
			.map_err(DatabaseError::from)
			.and_then(|storage| {
				let watched = Watched {
					storage,
					failed: failed.clone(),
				};
				Database::builder()
					.set_cache_size(CACHE_BYTES)
					.create_with_backend(watched)
			})
			.map_err(|error| match error {
				DatabaseError::DatabaseAlreadyOpen => StoreError::InUse {
					path: self.path.clone(),
				},
				error => StoreError::Open {
					path: self.path.clone(),
					source: Box::new(error),
				},
			})?;
		Ok(Arc::new(Open { database, failed }))
	}

	fn lock(&self) -> MutexGuard<'_, Option<Arc<Open>>> {
		// A panic leaves it as it was before or after.
		self.open.lock().unwrap_or_else(PoisonError::into_inner)
	}
}

/// Storage that notes when it fails.
#[derive(Debug)]
struct Watched {
	storage: Box<dyn StorageBackend>,
	failed: Arc<AtomicBool>,
}

impl Watched {
	fn watch<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
		if outcome.is_err() {
			self.failed.store(true, Ordering::Release);
		}
		outcome
	}
}

impl StorageBackend for Watched {
	fn len(&self) -> io::Result<u64> {
		self.watch(self.storage.len())
	}

	fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
		self.watch(self.storage.read(offset, out))
	}

	fn set_len(&self, len: u64) -> io::Result<()> {
		self.watch(self.storage.set_len(len))
	}

	fn sync_data(&self) -> io::Result<()> {
		self.watch(self.storage.sync_data())
	}

	fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
		self.watch(self.storage.write(offset, data))
	}

	fn close(&self) -> io::Result<()> {
		self.storage.close()
	}

	fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
		self.storage.try_lock_range(start, end)
	}

	fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
		self.storage.try_lock_shared_range(start, end)
	}

	fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
		self.storage.lock_range(start, end)
	}

	fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
		self.storage.lock_shared_range(start, end)
	}

	fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
		self.storage.unlock_range(start, end)
	}

	fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
		self.storage.query_lock_range(start, end)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use redb::TableDefinition;
	use std::sync::atomic::AtomicU64;

	const NUMBERS: TableDefinition<u32, u32> = TableDefinition::new("numbers");

	/// A file on a disk that has room for `writes` more writes.
	#[derive(Debug)]
	struct SmallDisk {
		file: FileBackend,
		writes: Arc<AtomicU64>,
	}

	impl StorageBackend for SmallDisk {
		fn len(&self) -> io::Result<u64> {
			self.file.len()
		}

		fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
			self.file.read(offset, out)
		}

		fn set_len(&self, len: u64) -> io::Result<()> {
			self.file.set_len(len)
		}

		fn sync_data(&self) -> io::Result<()> {
			self.file.sync_data()
		}

		fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
			let left = self
				.writes
				.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
			if left.is_err() {
				return Err(io::ErrorKind::StorageFull.into());
			}
			self.file.write(offset, data)
		}

		fn close(&self) -> io::Result<()> {
			self.file.close()
		}

		fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
			self.file.try_lock_range(start, end)
		}

		fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
			self.file.unlock_range(start, end)
		}
	}

	fn put(database: &ReopeningDatabase, number: u32) -> Result<(), StoreError> {
		let write = database.begin_write()?;
		write.open_table(NUMBERS)?.insert(number, number)?;
		write.commit()?;
		Ok(())
	}

	fn has(database: &ReopeningDatabase, number: u32) -> Result<bool, StoreError> {
		Ok(database.begin_read()?.open_table(NUMBERS)?.get(number)?.is_some())
	}

	#[test]
	fn a_full_disk_fails_a_commit_and_loses_none() {
		let dir = tempfile::tempdir().unwrap();
		let path = dir.path().join("numbers.redb");
		let room = Arc::new(AtomicU64::new(u64::MAX));
		let storage = {
			let (path, room) = (path.clone(), room.clone());
			move |create| -> io::Result<Box<dyn StorageBackend>> {
				let file = OpenOptions::new()
					.read(true)
					.write(true)
					.create(create)
					.truncate(false)
					.open(&path)?;
				Ok(Box::new(SmallDisk {
					file: FileBackend::new(file).map_err(io::Error::other)?,
					writes: room.clone(),
				}))
			}
		};
		let database = ReopeningDatabase::on(&path, Box::new(storage)).unwrap();
		put(&database, 0).unwrap();

		// However far a commit comes before the disk is full.
		for (number, writes) in (1..).zip(0..12) {
			room.store(writes, Ordering::SeqCst);
			let outcome = put(&database, number);
			if let Err(error) = &outcome {
				assert!(error.is_full(), "{error:?}");
			}
			room.store(u64::MAX, Ordering::SeqCst);
			for earlier in 0..number {
				assert!(
					has(&database, earlier).unwrap(),
					"{earlier} after {writes} writes of {number}"
				);
			}
			// Of a commit that failed, the caller does not know whether it is there; of one that did
			// not, it is.
			assert!(outcome.is_err() || has(&database, number).unwrap());
			put(&database, number).unwrap();
		}
		drop(database);
		let again = ReopeningDatabase::open(&path).unwrap();
		assert!((0..=12).all(|number| has(&again, number).unwrap()));
	}

	#[test]
	fn a_transaction_on_the_failed_database_does_not_keep_it() {
		let dir = tempfile::tempdir().unwrap();
		let path = dir.path().join("numbers.redb");
		let database = ReopeningDatabase::open(&path).unwrap();
		put(&database, 1).unwrap();
		let old = database.begin_read().unwrap();
		let failed = database.lock().as_ref().unwrap().failed.clone();
		failed.store(true, Ordering::Release);
		assert!(has(&database, 1).unwrap());
		drop(old);
		put(&database, 2).unwrap();
	}
}
