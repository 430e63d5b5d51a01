//! The record's files, and the locks that keep processes out of each other's way.

use super::{ObjectRecord, RecordError, SCHEMA};
use cairn_provider_api::Hash32;
use serde::Deserialize;
use std::{
	fs::{self, File, TryLockError},
	io::{self, Write},
	path::{Path, PathBuf},
};

/// Larger files are not records.
const MAX_FILE: u64 = 16 << 20;

/// All records in a state folder.
#[derive(Clone, Debug)]
pub struct Records {
	folder: PathBuf,
}

/// Holds an object, or something else of the record, for one process until dropped.
#[derive(Debug)]
pub struct Lock {
	_file: File,
}

impl Records {
	/// The records under `state_dir`, which need not exist.
	pub fn new(state_dir: &Path) -> Self {
		Records {
			folder: state_dir.join("objects"),
		}
	}

	fn file(&self, id: &str) -> PathBuf {
		self.folder.join(format!("{id}.json"))
	}

	/// Every record, oldest first.
	pub fn all(&self) -> Result<Vec<ObjectRecord>, RecordError> {
		let entries = match fs::read_dir(&self.folder) {
			Ok(entries) => entries,
			Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
			Err(source) => {
				return Err(RecordError::Io {
					path: self.folder.clone(),
					source,
				})
			}
		};
		let mut records = Vec::new();
		for entry in entries {
			let entry = entry.map_err(|source| RecordError::Io {
				path: self.folder.clone(),
				source,
			})?;
			let path = entry.path();
			if path.extension().is_some_and(|extension| extension == "json") {
				records.push(read(&path)?);
			}
		}
		records.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
		Ok(records)
	}

	/// One record.
	pub fn load(&self, id: &str) -> Result<ObjectRecord, RecordError> {
		// Ids are part of a file's name.
		if id.len() != 16 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
			return Err(RecordError::Missing { id: id.to_owned() });
		}
		match read(&self.file(id)) {
			Err(RecordError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
				Err(RecordError::Missing { id: id.to_owned() })
			}
			other => other,
		}
	}

	/// Writes a record, whole or not at all; it survives a crash right after.
	pub fn save(&self, record: &ObjectRecord) -> Result<(), RecordError> {
		let path = self.file(&record.id);
		let io_error = |source| RecordError::Io {
			path: path.clone(),
			source,
		};
		let json = serde_json::to_vec_pretty(record).map_err(|error| io_error(error.into()))?;
		fs::create_dir_all(&self.folder).map_err(io_error)?;
		let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(io_error)?;
		file.write_all(&json)
			.and_then(|()| file.as_file().sync_all())
			.map_err(io_error)?;
		file.persist(&path).map_err(|error| io_error(error.error))?;
		File::open(&self.folder)
			.and_then(|folder| folder.sync_all())
			.map_err(io_error)
	}

	/// Forgets an object. The caller holds its lock.
	pub fn remove(&self, id: &str) -> Result<(), RecordError> {
		for path in [self.file(id), self.folder.join(format!("{id}.lock"))] {
			match fs::remove_file(&path) {
				Err(error) if error.kind() != io::ErrorKind::NotFound => {
					return Err(RecordError::Io { path, source: error });
				}
				_ => {}
			}
		}
		Ok(())
	}

	/// Takes an object for this process.
	pub fn lock(&self, id: &str) -> Result<Lock, RecordError> {
		let (path, file) = self.lock_file(id)?;
		match file.try_lock() {
			Ok(()) => Ok(Lock { _file: file }),
			Err(TryLockError::WouldBlock) => Err(RecordError::Busy { id: id.to_owned() }),
			Err(TryLockError::Error(source)) => Err(RecordError::Io { path, source }),
		}
	}

	/// Keeps other processes from recording a new object, so that the same files do not become two. Waits
	/// for them; blocks the thread.
	pub fn lock_new_objects(&self) -> Result<Lock, RecordError> {
		self.wait_for("new", || ())
	}

	/// Keeps other processes from signing proposals that draw on the account's escrow, from the look at
	/// what is in it until the record knows what was signed. Waits for them, after telling `waiting`;
	/// blocks the thread.
	pub fn lock_escrow(&self, client: &Hash32, waiting: impl FnOnce()) -> Result<Lock, RecordError> {
		self.wait_for(&format!("escrow-{}", hex::encode(client.0)), waiting)
	}

	fn wait_for(&self, name: &str, waiting: impl FnOnce()) -> Result<Lock, RecordError> {
		let (path, file) = self.lock_file(name)?;
		let locked = match file.try_lock() {
			Err(TryLockError::WouldBlock) => {
				waiting();
				file.lock()
			}
			Err(TryLockError::Error(source)) => Err(source),
			Ok(()) => Ok(()),
		};
		match locked {
			Ok(()) => Ok(Lock { _file: file }),
			Err(source) => Err(RecordError::Io { path, source }),
		}
	}

	fn lock_file(&self, name: &str) -> Result<(PathBuf, File), RecordError> {
		let path = self.folder.join(format!("{name}.lock"));
		let opened = fs::create_dir_all(&self.folder)
			.and_then(|()| File::options().create(true).append(true).open(&path));
		match opened {
			Ok(file) => Ok((path, file)),
			Err(source) => Err(RecordError::Io { path, source }),
		}
	}
}

fn read(path: &Path) -> Result<ObjectRecord, RecordError> {
	let io_error = |source| RecordError::Io {
		path: path.to_owned(),
		source,
	};
	let parse_error = |source| RecordError::Parse {
		path: path.to_owned(),
		source,
	};
	let size = fs::metadata(path).map_err(io_error)?.len();
	if size > MAX_FILE {
		return Err(io_error(io::Error::other("the file is too large")));
	}
	let json = fs::read(path).map_err(io_error)?;
	#[derive(Deserialize)]
	struct Versioned {
		schema: String,
	}
	let Versioned { schema } = serde_json::from_slice(&json).map_err(parse_error)?;
	if schema != SCHEMA {
		return Err(RecordError::Version {
			path: path.to_owned(),
			found: schema,
		});
	}
	serde_json::from_slice(&json).map_err(parse_error)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::{
		example_deal::{deal, object},
		record::DealState,
	};

	fn record(id: u8) -> ObjectRecord {
		let mut record = object(id);
		record.deals.push(deal(9));
		record
	}

	#[test]
	fn records_come_back() {
		let folder = tempfile::tempdir().unwrap();
		let records = Records::new(folder.path());
		assert_eq!(records.all().unwrap(), []);
		let mut record = record(7);
		records.save(&record).unwrap();
		record.deals[0].state = DealState::Active {
			deal_id: 1,
			sector: 2,
			since: 3,
			ends: 4,
		};
		records.save(&record).unwrap();
		assert_eq!(records.all().unwrap(), [record.clone()]);
		assert_eq!(records.load("0707070707070707").unwrap(), record);
		let proposal = record.deals[0].decode_proposal().unwrap();
		assert_eq!((proposal.nonce, proposal.start_by), (u64::MAX, 100));
		assert!(matches!(
			records.load("0000000000000000"),
			Err(RecordError::Missing { .. })
		));
		assert!(matches!(
			records.load("../../etc/passwd"),
			Err(RecordError::Missing { .. })
		));
	}

	#[test]
	fn foreign_files_are_named_in_errors() {
		let folder = tempfile::tempdir().unwrap();
		let records = Records::new(folder.path());
		records.save(&record(1)).unwrap();
		let path = records.file("0101010101010101");
		fs::write(&path, r#"{"schema":"cairn.object/2"}"#).unwrap();
		assert!(
			matches!(records.all(), Err(RecordError::Version { found, .. }) if found == "cairn.object/2")
		);
		fs::write(&path, "{").unwrap();
		assert!(matches!(records.all(), Err(RecordError::Parse { .. })));
	}

	#[test]
	fn one_process_per_object() {
		let folder = tempfile::tempdir().unwrap();
		let records = Records::new(folder.path());
		let held = records.lock("aa").unwrap();
		assert!(matches!(records.lock("aa"), Err(RecordError::Busy { .. })));
		drop(held);
		let _held = records.lock("aa").unwrap();
		records.remove("aa").unwrap();
		records.remove("aa").unwrap();
	}

	#[test]
	fn one_process_per_escrow_and_for_new_objects() {
		let folder = tempfile::tempdir().unwrap();
		let records = Records::new(folder.path());
		let _new = records.lock_new_objects().unwrap();
		let client = Hash32([2; 32]);
		let held = records.lock_escrow(&client, || panic!("nobody has it")).unwrap();
		records
			.lock_escrow(&Hash32([3; 32]), || panic!("that is another account"))
			.unwrap();
		let (told, waits) = std::sync::mpsc::channel();
		let second = {
			let records = records.clone();
			std::thread::spawn(move || records.lock_escrow(&client, move || told.send(()).unwrap()))
		};
		waits.recv().unwrap();
		drop(held);
		second.join().unwrap().unwrap();
		assert_eq!(records.all().unwrap(), []);
	}
}
