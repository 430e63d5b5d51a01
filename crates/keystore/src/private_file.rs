//! Files that only their owner may read, written whole or not at all.

use std::{
	fs::File,
	io::{self, Read, Write},
	path::{Path, PathBuf},
};
use tempfile::{Builder, PersistError};
use thiserror::Error;

/// What to do about a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
	/// Leave it and fail.
	Refuse,
	/// Replace it: the user said so (`--force`).
	Replace,
}

/// Why a file could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
	/// More bytes than a file of its kind has.
	#[error("{path} has more than {limit} bytes")]
	TooLarge {
		/// The file.
		path: PathBuf,
		/// Bytes accepted.
		limit: u64,
	},
	/// Opening or reading failed.
	#[error("cannot read {path}: {source}")]
	Io {
		/// The file.
		path: PathBuf,
		/// Why.
		source: io::Error,
	},
}

/// Why a file could not be written. Nothing is left behind.
#[derive(Debug, Error)]
pub enum WriteError {
	/// There is one already.
	#[error("{0} exists already")]
	Exists(PathBuf),
	/// Creating, writing or renaming failed.
	#[error("cannot write {path}: {source}")]
	Io {
		/// The file.
		path: PathBuf,
		/// Why.
		source: io::Error,
	},
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// [`ReadError`].
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
	let io = |source| ReadError::Io {
		path: path.to_owned(),
		source,
	};
	let mut bytes = Vec::new();
	File::open(path)
		.and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
		.map_err(io)?;
	if bytes.len() as u64 > limit {
		return Err(ReadError::TooLarge {
			path: path.to_owned(),
			limit,
		});
	}
	Ok(bytes)
}

/// Writes a file that only its owner may read (mode 0600). The bytes go to a temporary file beside it, which
/// is synchronised to disk and takes the name in one step, so a reader or a crash sees the old file, the new
/// one or none, never a part.
///
/// # Errors
/// [`WriteError::Exists`] with [`Overwrite::Refuse`] when the name is taken, even if it was taken meanwhile.
pub fn write_private(path: &Path, bytes: &[u8], overwrite: Overwrite) -> Result<(), WriteError> {
	let io = |source| WriteError::Io {
		path: path.to_owned(),
		source,
	};
	let folder = match path.parent() {
		Some(parent) if !parent.as_os_str().is_empty() => parent,
		_ => Path::new("."),
	};
	// Created with mode 0600, and removed when dropped before it got its name.
	let mut temporary = Builder::new().prefix(".write-").tempfile_in(folder).map_err(io)?;
	temporary
		.write_all(bytes)
		.and_then(|()| temporary.as_file().sync_all())
		.map_err(io)?;
	match overwrite {
		Overwrite::Refuse => temporary.persist_noclobber(path),
		Overwrite::Replace => temporary.persist(path),
	}
	.map_err(|PersistError { error, .. }| match error.kind() {
		io::ErrorKind::AlreadyExists if overwrite == Overwrite::Refuse => WriteError::Exists(path.to_owned()),
		_ => io(error),
	})?;
	// Makes the new name last through a crash. Windows cannot open folders as files.
	#[cfg(unix)]
	File::open(folder)
		.and_then(|folder| folder.sync_all())
		.map_err(io)?;
	Ok(())
}

#[cfg(test)]
mod tests {
	use super::*;
	use std::fs;

	#[test]
	fn replaces_only_when_told() {
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("key");
		write_private(&path, b"one", Overwrite::Refuse).unwrap();
		assert!(matches!(
			write_private(&path, b"two", Overwrite::Refuse),
			Err(WriteError::Exists(_))
		));
		assert_eq!(fs::read(&path).unwrap(), b"one");
		write_private(&path, b"two", Overwrite::Replace).unwrap();
		assert_eq!(fs::read(&path).unwrap(), b"two");
		assert_eq!(
			fs::read_dir(&folder).unwrap().count(),
			1,
			"no temporary file stays"
		);
	}

	#[cfg(unix)]
	#[test]
	fn only_the_owner_may_read() {
		use std::os::unix::fs::PermissionsExt;
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("key");
		fs::write(&path, "readable by all").unwrap();
		fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
		write_private(&path, b"secret", Overwrite::Replace).unwrap();
		assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
	}

	#[cfg(unix)]
	#[test]
	fn a_link_is_replaced_not_followed() {
		let folder = tempfile::tempdir().unwrap();
		let (target, link) = (folder.path().join("target"), folder.path().join("link"));
		fs::write(&target, "mine").unwrap();
		std::os::unix::fs::symlink(&target, &link).unwrap();
		assert!(matches!(
			write_private(&link, b"key", Overwrite::Refuse),
			Err(WriteError::Exists(_))
		));
		write_private(&link, b"key", Overwrite::Replace).unwrap();
		assert_eq!(fs::read(&target).unwrap(), b"mine");
		assert_eq!(fs::read(&link).unwrap(), b"key");
	}

	#[test]
	fn missing_folders_and_large_files_are_errors() {
		let folder = tempfile::tempdir().unwrap();
		let missing = folder.path().join("no/key");
		assert!(matches!(
			write_private(&missing, b"", Overwrite::Refuse),
			Err(WriteError::Io { .. })
		));
		assert!(matches!(read_bounded(&missing, 1), Err(ReadError::Io { .. })));
		let path = folder.path().join("key");
		write_private(&path, b"12345", Overwrite::Refuse).unwrap();
		assert_eq!(read_bounded(&path, 5).unwrap(), b"12345");
		assert!(matches!(
			read_bounded(&path, 4),
			Err(ReadError::TooLarge { limit: 4, .. })
		));
	}
}
