//! The operations on files that decide what is left when the machine stops: writing, syncing, naming and
//! removing.
//!
//! Each does its work and then tells the thread's observer ([`fault_injection::DiskOperation`]), so that a
//! test can follow what is certainly on the disk at every moment, and see when an order is wrong that a
//! mere death of the process would never show.

use crate::fault_injection::{self, DiskOperation};
use std::{
	fs::{self, File},
	io,
	path::Path,
};
use tempfile::{PathPersistError, TempPath};

/// From this many files on, the whole file system is synced at once instead of one file after the
/// other. One sync of a file costs a commit of the file system's journal, and so does one of all.
#[cfg(target_os = "linux")]
const TOGETHER_FROM: usize = 8;

/// The file system that a folder lies on, opened to sync what is written from now on.
///
/// Every writer opens its own, before its first write. The kernel tells each open file of failed writes
/// once: with one handle for all, an upload could be told of another's failure, and that one would then
/// take its own lost bytes for written.
#[derive(Debug)]
pub(crate) struct FileSystem {
	#[cfg(target_os = "linux")]
	root: File,
	/// What the observer knows this handle by.
	id: u64,
}

impl FileSystem {
	pub(crate) fn open(folder: &Path) -> io::Result<Self> {
		#[cfg(not(target_os = "linux"))]
		let _ = folder;
		let file_system = Self {
			#[cfg(target_os = "linux")]
			root: File::open(folder)?,
			id: fault_injection::next_handle(),
		};
		fault_injection::disk(|| DiskOperation::OpenedFileSystem {
			handle: file_system.id,
		});
		Ok(file_system)
	}

	/// Syncs files and folders of this file system.
	pub(crate) fn sync_all<'a>(&self, paths: impl ExactSizeIterator<Item = &'a Path>) -> io::Result<()> {
		#[cfg(target_os = "linux")]
		if paths.len() >= TOGETHER_FROM && kernel::reports_failed_writes() {
			rustix::fs::syncfs(&self.root)?;
			fault_injection::disk(|| DiskOperation::SyncedFileSystem { handle: self.id });
			return Ok(());
		}
		for path in paths {
			sync(path)?;
		}
		Ok(())
	}
}

#[cfg(target_os = "linux")]
mod kernel {
	use std::sync::LazyLock;

	/// Whether `syncfs` reports writes that failed. Before Linux 5.8 it succeeds whatever happened.
	pub(super) fn reports_failed_writes() -> bool {
		static REPORTS: LazyLock<bool> = LazyLock::new(|| {
			std::fs::read_to_string("/proc/sys/kernel/osrelease")
				.ok()
				.and_then(|release| version(&release))
				.is_some_and(|version| version >= (5, 8))
		});
		*REPORTS
	}

	fn version(release: &str) -> Option<(u32, u32)> {
		let mut numbers = release.split(|character: char| !character.is_ascii_digit());
		Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
	}

	#[test]
	fn releases_are_compared_by_their_numbers() {
		assert_eq!(version("6.18.44-generic\n"), Some((6, 18)));
		assert_eq!(version("5.10.0"), Some((5, 10)));
		assert!(version("5.10.0") >= Some((5, 8)));
		assert!(version("5.4.0-42") < Some((5, 8)));
		assert_eq!(version("unknown"), None);
	}
}

/// Syncs a file's bytes, or the names in a folder.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
	File::open(path)?.sync_all()?;
	fault_injection::disk(|| DiskOperation::Synced(path.to_owned()));
	Ok(())
}

/// Says that a file was created and written; its bytes are not synced.
pub(crate) fn wrote(path: &Path) {
	fault_injection::disk(|| DiskOperation::Wrote(path.to_owned()));
}

/// Gives a file another name, in place of a file that has it.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
	fs::rename(from, to)?;
	renamed(from, to);
	Ok(())
}

/// Gives a temporary file its name for good, in place of a file that has it.
///
/// # Errors
/// Also the temporary file, to try again.
pub(crate) fn persist(temporary: TempPath, to: &Path) -> Result<(), PathPersistError> {
	let from = temporary.to_path_buf();
	temporary.persist(to)?;
	renamed(&from, to);
	Ok(())
}

fn renamed(from: &Path, to: &Path) {
	fault_injection::disk(|| DiskOperation::Renamed {
		from: from.to_owned(),
		to: to.to_owned(),
	});
}

/// Removes a file's name.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
	fs::remove_file(path)?;
	fault_injection::disk(|| DiskOperation::Removed(path.to_owned()));
	Ok(())
}

/// Creates a folder, if there is none; whether there was none. Its name is not synced.
pub(crate) fn create_folder(path: &Path) -> io::Result<bool> {
	match fs::create_dir(path) {
		Ok(()) => {
			fault_injection::disk(|| DiskOperation::CreatedFolder(path.to_owned()));
			Ok(true)
		}
		Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
		Err(error) => Err(error),
	}
}

/// Creates a folder and those above it, if there are none, and syncs the names of the new ones.
pub(crate) fn create_folders(path: &Path) -> io::Result<()> {
	if path.is_dir() {
		return Ok(());
	}
	let above = match path.parent() {
		Some(above) if !above.as_os_str().is_empty() => above,
		// A relative path of one part, or the root.
		_ => Path::new("."),
	};
	create_folders(above)?;
	create_folder(path)?;
	sync(above)
}
