//! Files that are either complete or absent, also after a power cut.

use std::{
	fs::{self, File},
	io::{self, Seek, Write},
	path::Path,
};
use tempfile::NamedTempFile;

/// Syncs `temp`, moves it to `target` and syncs the folder that names it.
pub(crate) fn persist(temp: NamedTempFile, target: &Path) -> io::Result<()> {
	persist_open(temp, target).map(drop)
}

/// As [`persist`]; gives the file, at its start: whatever happens to its name, it can be read.
pub(crate) fn persist_open(temp: NamedTempFile, target: &Path) -> io::Result<File> {
	temp.as_file().sync_all()?;
	let mut file = temp.persist(target).map_err(|e| e.error)?;
	sync_parent(target)?;
	file.rewind()?;
	Ok(file)
}

/// Writes a small file by way of `incoming`.
pub(crate) fn write(incoming: &Path, target: &Path, bytes: &[u8]) -> io::Result<()> {
	let mut temp = NamedTempFile::new_in(incoming)?;
	temp.write_all(bytes)?;
	persist(temp, target)
}

/// Creates a folder and syncs its parent.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
	match fs::create_dir(path) {
		Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
		Err(e) => Err(e),
		Ok(()) => sync_parent(path),
	}
}

/// Removes a file; an absent one is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
	match fs::remove_file(path) {
		Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
		other => other,
	}
}

/// Syncs the folder that holds `path`.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
	match path.parent() {
		Some(parent) => File::open(parent)?.sync_all(),
		None => Ok(()),
	}
}
