//! One process at a time.

use std::{
	fs::{File, OpenOptions, TryLockError},
	io,
	path::Path,
};

/// Name of the file that is locked.
const FILE: &str = "LOCK";

/// Holds a folder until dropped, or until the process ends however it ends: the operating system
/// holds the lock (`flock`), so a crash leaves none behind.
#[derive(Debug)]
pub(crate) struct OwnerLock {
	_file: File,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub(crate) enum OwnerLockError {
	/// Another owner has it.
	Taken,
	/// The operating system refused.
	Io(io::Error),
}

impl OwnerLock {
	/// Takes the lock of a folder.
	pub(crate) fn take(folder: &Path) -> Result<Self, OwnerLockError> {
		Self::take_file(&folder.join(FILE))
	}

	/// Takes the lock that a file stands for.
	pub(crate) fn take_file(path: &Path) -> Result<Self, OwnerLockError> {
		let file = OpenOptions::new()
			.write(true)
			.create(true)
			.truncate(false)
			.open(path)
			.map_err(OwnerLockError::Io)?;
		match file.try_lock() {
			Ok(()) => Ok(Self { _file: file }),
			Err(TryLockError::WouldBlock) => Err(OwnerLockError::Taken),
			Err(TryLockError::Error(error)) => Err(OwnerLockError::Io(error)),
		}
	}
}
