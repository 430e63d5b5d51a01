//! All chunks in one SQLite database.
//!
//! Write-ahead log, synced at every commit, and one transaction per call: committing chunk by chunk
//! costs a sync each. One connection writes; readers have their own and never wait for it.

use super::{
	check_read, check_writable, is_readable, ChunkError, ChunkStore, ListedChunk, OpenChunksError,
	MAX_CHUNK_BYTES,
};
use crate::{
	fault_injection,
	owner_lock::{OwnerLock, OwnerLockError},
	Cid, Multihash,
};
use bytes::Bytes;
use cairn_dag::Block;
use rusqlite::{types::ValueRef, Connection, ErrorCode, OpenFlags, OptionalExtension};
use std::{
	ops::ControlFlow,
	path::{Path, PathBuf},
	sync::{Mutex, MutexGuard, PoisonError},
};

/// The schema's version, as `user_version` in the file.
const FORMAT: u32 = 1;
/// "cAIR", as `application_id` in the file.
const APPLICATION: i32 = 0x6341_4952;
/// Idle connections kept for readers.
const IDLE_READERS: usize = 4;
/// Rows read at once while listing.
const LIST_ROWS: i64 = 1000;
/// Pages given back to the file system at once: 64 MiB, while which writers wait.
const VACUUM_PAGES: usize = 4096;

/// Chunks of one to several hundred KiB span many pages: larger pages make the lists of their
/// overflow pages shorter. Pages can be given back after removals.
const LAYOUT: &str = "
	PRAGMA page_size = 16384;
	PRAGMA auto_vacuum = INCREMENTAL;
";
const SETTINGS: &str = "
	PRAGMA journal_mode = WAL;
	PRAGMA synchronous = FULL;
";
const SCHEMA: &str = "
	BEGIN IMMEDIATE;
	CREATE TABLE chunks (hash BLOB NOT NULL UNIQUE, data BLOB NOT NULL);
	PRAGMA application_id = 1665222994;
	PRAGMA user_version = 1;
	COMMIT;
";

/// Reads no value that is larger than a chunk.
const READ: &str = "
	SELECT CASE WHEN typeof(data) = 'blob' AND length(data) <= ?2 THEN data END
	FROM chunks WHERE hash = ?1
";

/// All chunks in one SQLite database.
#[derive(Debug)]
pub struct SqliteChunks {
	path: PathBuf,
	writer: Mutex<Connection>,
	readers: Mutex<Vec<Connection>>,
	_lock: OwnerLock,
}

impl SqliteChunks {
	/// Opens a database, creating it if there is none. What a crash left uncommitted is rolled back.
	///
	/// # Errors
	/// [`OpenChunksError::InUse`] while another has it open, [`OpenChunksError::Format`] if it is of a
	/// later version, [`OpenChunksError::NotAStore`] if it is a database of something else.
	pub fn open(path: impl Into<PathBuf>) -> Result<Self, OpenChunksError> {
		let path = path.into();
		let mut lock_file = path.clone().into_os_string();
		lock_file.push(".lock");
		let lock = OwnerLock::take_file(Path::new(&lock_file)).map_err(|error| match error {
			OwnerLockError::Taken => OpenChunksError::InUse { path: path.clone() },
			OwnerLockError::Io(source) => OpenChunksError::Io {
				action: "lock",
				path: path.clone(),
				source,
			},
		})?;
		let failed = |source: rusqlite::Error| OpenChunksError::Sqlite {
			path: path.clone(),
			source: Box::new(source),
		};
		let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
			| OpenFlags::SQLITE_OPEN_CREATE
			| OpenFlags::SQLITE_OPEN_NO_MUTEX;
		let writer = Connection::open_with_flags(&path, flags).map_err(failed)?;
		let created = check_format(&writer, &path)?;
		if created {
			writer.execute_batch(LAYOUT).map_err(failed)?;
		}
		writer.execute_batch(SETTINGS).map_err(failed)?;
		if created {
			writer.execute_batch(SCHEMA).map_err(failed)?;
		}
		Ok(Self {
			path,
			writer: Mutex::new(writer),
			readers: Mutex::default(),
			_lock: lock,
		})
	}

	fn failed(&self, error: rusqlite::Error) -> ChunkError {
		let path = self.path.clone();
		let source = Box::new(error);
		match source.sqlite_error_code() {
			Some(ErrorCode::DiskFull) => ChunkError::Full { path, source },
			_ => ChunkError::Sqlite { path, source },
		}
	}

	fn writer(&self) -> MutexGuard<'_, Connection> {
		// A transaction that a panic interrupted was rolled back when it was dropped.
		self.writer.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// Runs `work` on a connection that only reads.
	fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ChunkError> {
		let idle = || self.readers.lock().unwrap_or_else(PoisonError::into_inner);
		let connection = match idle().pop() {
			Some(connection) => Ok(connection),
			None => {
				let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
				Connection::open_with_flags(&self.path, flags)
			}
		};
		let connection = connection.map_err(|error| self.failed(error))?;
		let result = work(&connection).map_err(|error| self.failed(error))?;
		let mut idle = idle();
		if idle.len() < IDLE_READERS {
			idle.push(connection);
		}
		Ok(result)
	}
}

/// What a row holds.
enum Found {
	Data(Bytes),
	/// Not a value that the store writes.
	Strange,
}

impl ChunkStore for SqliteChunks {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, ChunkError> {
		if !is_readable(cid) {
			return Ok(None);
		}
		let hash = cid.hash().to_bytes();
		let found = self.read(|connection| {
			connection
				.query_row(READ, (hash, MAX_CHUNK_BYTES as i64), |row| {
					Ok(match row.get_ref(0)? {
						ValueRef::Blob(data) => Found::Data(Bytes::copy_from_slice(data)),
						_ => Found::Strange,
					})
				})
				.optional()
		})?;
		match found {
			None => Ok(None),
			Some(Found::Data(data)) => check_read(cid, data).map(Some),
			Some(Found::Strange) => Err(ChunkError::Damaged { cid: *cid }),
		}
	}

	fn has(&self, cid: &Cid) -> Result<bool, ChunkError> {
		if !is_readable(cid) {
			return Ok(false);
		}
		let hash = cid.hash().to_bytes();
		self.read(|connection| {
			connection.query_row(
				"SELECT EXISTS (SELECT 1 FROM chunks WHERE hash = ?1)",
				[hash],
				|row| row.get(0),
			)
		})
	}

	fn put_many(&self, blocks: &[Block]) -> Result<(), ChunkError> {
		check_writable(blocks)?;
		let put = |connection: &mut Connection| {
			let transaction = connection.transaction()?;
			let mut insert = transaction.prepare(
				"INSERT INTO chunks (hash, data) VALUES (?1, ?2)
				 ON CONFLICT (hash) DO UPDATE SET data = excluded.data",
			)?;
			for block in blocks {
				insert.execute((block.cid().hash().to_bytes(), block.data()))?;
				fault_injection::reached_in_transaction("sqlite:inserted");
			}
			drop(insert);
			transaction.commit()
		};
		put(&mut self.writer()).map_err(|error| self.failed(error))
	}

	fn delete_many(&self, hashes: &[Multihash]) -> Result<(), ChunkError> {
		let delete = |connection: &mut Connection| {
			let transaction = connection.transaction()?;
			let mut delete = transaction.prepare("DELETE FROM chunks WHERE hash = ?1")?;
			for hash in hashes {
				delete.execute([hash.to_bytes()])?;
				fault_injection::reached_in_transaction("sqlite:deleted");
			}
			drop(delete);
			transaction.commit()
		};
		delete(&mut self.writer()).map_err(|error| self.failed(error))
	}

	fn list(&self, visit: &mut dyn FnMut(ListedChunk) -> ControlFlow<()>) -> Result<(), ChunkError> {
		let mut after = i64::MIN;
		loop {
			// In portions: a reader that takes long keeps the log from being folded into the file.
			let rows: Vec<(i64, Vec<u8>, i64)> = self.read(|connection| {
				connection
					.prepare(
						"SELECT rowid, hash, length(data) FROM chunks
						 WHERE rowid > ?1 ORDER BY rowid LIMIT ?2",
					)?
					.query_map((after, LIST_ROWS), |row| {
						Ok((row.get(0)?, row.get(1)?, row.get(2)?))
					})?
					.collect()
			})?;
			let Some((last, _, _)) = rows.last() else {
				return Ok(());
			};
			after = *last;
			for (_, hash, size) in rows {
				let (Ok(hash), Ok(size)) = (Multihash::from_bytes(&hash), u64::try_from(size)) else {
					continue;
				};
				if visit(ListedChunk { hash, size }).is_break() {
					return Ok(());
				}
			}
		}
	}

	fn shrink(&self) -> Result<bool, ChunkError> {
		let shrink = |connection: &Connection| {
			let free = || connection.query_row("PRAGMA freelist_count", (), |row| row.get::<_, i64>(0));
			let before = free()?;
			if before == 0 {
				return Ok(false);
			}
			// Every row that it returns stands for a page that was given back.
			let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
			let mut given_back = vacuum.query(())?;
			while given_back.next()?.is_some() {}
			let after = free()?;
			if after == 0 {
				// The file shrinks when the log is folded into it; readers may put that off.
				connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
			}
			Ok(0 < after && after < before)
		};
		shrink(&self.writer()).map_err(|error| self.failed(error))
	}

	fn kind(&self) -> &'static str {
		"sqlite"
	}
}

/// Whether the database is new; an error if it is not ours.
fn check_format(connection: &Connection, path: &Path) -> Result<bool, OpenChunksError> {
	let number = |query: &str| {
		connection
			.query_row(query, (), |row| row.get::<_, i64>(0))
			.map_err(|source| match source.sqlite_error_code() {
				Some(ErrorCode::NotADatabase) => OpenChunksError::NotAStore {
					path: path.to_owned(),
				},
				_ => OpenChunksError::Sqlite {
					path: path.to_owned(),
					source: Box::new(source),
				},
			})
	};
	let application = number("PRAGMA application_id")?;
	let format = number("PRAGMA user_version")?;
	let tables = number("SELECT count(*) FROM sqlite_schema")?;
	if application == 0 && format == 0 && tables == 0 {
		Ok(true)
	} else if application != i64::from(APPLICATION) {
		Err(OpenChunksError::NotAStore {
			path: path.to_owned(),
		})
	} else if format != i64::from(FORMAT) {
		Err(OpenChunksError::Format {
			path: path.to_owned(),
			found: format.to_string(),
			known: FORMAT,
		})
	} else {
		Ok(false)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn the_schema_names_its_application_and_version() {
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("chunks.sqlite");
		drop(SqliteChunks::open(&path).unwrap());
		let connection = Connection::open(&path).unwrap();
		let pragma = |name: &str| {
			let query = format!("PRAGMA {name}");
			connection
				.query_row(&query, (), |row| row.get::<_, i64>(0))
				.unwrap()
		};
		assert_eq!(pragma("application_id"), i64::from(APPLICATION));
		assert_eq!(pragma("user_version"), i64::from(FORMAT));
		assert_eq!(pragma("page_size"), 16384);
		assert_eq!(pragma("auto_vacuum"), 2);
	}
}
