//! Files that a command writes for its user: complete and synced before they get their name.

use crate::error::{CliError, ErrorKind};
use std::{
	fs::File,
	io,
	path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// A file under a temporary name in its future folder. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct NewFile {
	temporary: NamedTempFile,
	path: PathBuf,
}

impl NewFile {
	/// Begins the file that will be at `path`, with the mode of any new file.
	///
	/// # Errors
	/// If the folder cannot be written to.
	pub fn beside(path: &Path) -> Result<Self, CliError> {
		let mut builder = tempfile::Builder::new();
		builder.prefix(".cairn-").suffix(".partial");
		#[cfg(unix)]
		builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
		let temporary = builder
			.tempfile_in(folder_of(path))
			.map_err(|error| CliError::from(error).during(path.display()))?;
		Ok(NewFile {
			temporary,
			path: path.to_owned(),
		})
	}

	/// What to write to.
	pub fn file(&self) -> &File {
		self.temporary.as_file()
	}

	/// Gives the file its name. Without `replace` only if nothing has it, also by now.
	///
	/// # Errors
	/// If it cannot be synced or named; what stands at its path is then as before.
	pub fn keep(self, replace: bool) -> Result<(), CliError> {
		let path = self.path;
		let failed = |error: io::Error| CliError::from(error).during(path.display());
		self.temporary.as_file().sync_all().map_err(failed)?;
		let kept = match replace {
			true => self.temporary.persist(&path),
			false => self.temporary.persist_noclobber(&path),
		};
		kept.map_err(|error| match error.error.kind() {
			io::ErrorKind::AlreadyExists if !replace => exists(&path),
			_ => failed(error.error),
		})?;
		// The name is only safe once its folder is.
		#[cfg(unix)]
		File::open(folder_of(&path))
			.and_then(|folder| folder.sync_all())
			.map_err(failed)?;
		Ok(())
	}
}

/// Refuses a path that something has already.
///
/// # Errors
/// If something is there, even a link that leads nowhere.
pub fn refuse_existing(path: &Path) -> Result<(), CliError> {
	match path.symlink_metadata() {
		Ok(_) => Err(exists(path)),
		Err(_) => Ok(()),
	}
}

fn exists(path: &Path) -> CliError {
	CliError::new(ErrorKind::File, format!("{} exists already", path.display())).hint("--force replaces it")
}

/// The folder that a path is in.
pub fn folder_of(path: &Path) -> &Path {
	match path.parent() {
		Some(parent) if !parent.as_os_str().is_empty() => parent,
		_ => Path::new("."),
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use std::{fs, io::Write};

	#[test]
	fn files_appear_whole_or_not_at_all() {
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("file");
		let write = |text: &str| {
			let file = NewFile::beside(&path).unwrap();
			file.file().write_all(text.as_bytes()).unwrap();
			file
		};
		refuse_existing(&path).unwrap();
		drop(write("given up"));
		assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
		let late = write("late");
		write("first").keep(false).unwrap();
		let error = late.keep(false).unwrap_err();
		assert_eq!(error.kind(), ErrorKind::File);
		assert!(refuse_existing(&path).is_err());
		assert_eq!(fs::read_to_string(&path).unwrap(), "first");
		write("second").keep(true).unwrap();
		assert_eq!(fs::read_to_string(&path).unwrap(), "second");
		assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
		assert!(NewFile::beside(&folder.path().join("missing/file")).is_err());
	}

	#[cfg(unix)]
	#[test]
	fn modes_follow_the_umask() {
		use std::os::unix::fs::PermissionsExt;
		let folder = tempfile::tempdir().unwrap();
		let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
		NewFile::beside(&ours).unwrap().keep(false).unwrap();
		fs::write(&plain, "").unwrap();
		let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
		assert_eq!(mode(&ours), mode(&plain));
	}
}
