//! Getting files and folders onto the disk.

use std::{fs::File, io, path::Path};

/// From this many files on, the whole file system is synced at once instead of one file after the
/// other. One sync of a file costs a commit of the file system's journal, and so does one of all.
#[cfg(target_os = "linux")]
const TOGETHER_FROM: usize = 8;

/// The file system that a folder lies on.
#[derive(Debug)]
pub(super) struct FileSystem {
	/// Stays open: it is told of every write that failed since it was opened.
	#[cfg(target_os = "linux")]
	root: File,
}

impl FileSystem {
	pub(super) fn of(folder: &Path) -> io::Result<Self> {
		#[cfg(not(target_os = "linux"))]
		let _ = folder;
		Ok(Self {
			#[cfg(target_os = "linux")]
			root: File::open(folder)?,
		})
	}

	/// Syncs files and folders of this file system.
	pub(super) fn sync_all<'a>(&self, paths: impl ExactSizeIterator<Item = &'a Path>) -> io::Result<()> {
		#[cfg(target_os = "linux")]
		if paths.len() >= TOGETHER_FROM {
			return Ok(rustix::fs::syncfs(&self.root)?);
		}
		for path in paths {
			File::open(path)?.sync_all()?;
		}
		Ok(())
	}
}

/// Syncs a folder: the names in it.
pub(super) fn folder(path: &Path) -> io::Result<()> {
	File::open(path)?.sync_all()
}
