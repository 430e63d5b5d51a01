//! Small files that are there as a whole or not at all, also after a power cut.

use std::{
	fs::{self, File},
	io::{self, Write},
	path::Path,
};

/// The extension of files that are being written: what a kill leaves of one is to be removed.
pub(super) const UNFINISHED: &str = "tmp";

/// Writes a file in one step, in the place of one that is there. Blocks the thread.
///
/// # Errors
/// If it cannot be written; the file is as it was before then.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
	let folder = folder_of(path);
	let mut file = tempfile::Builder::new()
		.suffix(&format!(".{UNFINISHED}"))
		.tempfile_in(folder)?;
	file.write_all(bytes)?;
	file.as_file().sync_all()?;
	file.persist(path)?;
	File::open(folder)?.sync_all()
}

/// Removes a file for good, if it is there. Blocks the thread.
///
/// # Errors
/// If it cannot be removed.
pub(super) fn remove(path: &Path) -> io::Result<()> {
	match fs::remove_file(path) {
		Ok(()) => File::open(folder_of(path))?.sync_all(),
		Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
		Err(error) => Err(error),
	}
}

fn folder_of(path: &Path) -> &Path {
	path.parent().unwrap_or(Path::new("."))
}
