//! Room on the disk.

use std::{
	fs::File,
	io,
	path::{Path, PathBuf},
};

/// The file system that holds pieces, sectors and uploads.
#[derive(Clone, Debug)]
pub struct Disk {
	path: PathBuf,
	keep_free: u64,
}

impl Disk {
	/// The file system of `path`, of which `keep_free` bytes stay free.
	pub fn new(path: &Path, keep_free: u64) -> Self {
		Disk {
			path: path.to_owned(),
			keep_free,
		}
	}

	/// Bytes that may still be used.
	///
	/// # Errors
	/// If the file system cannot be asked.
	pub fn available(&self) -> io::Result<u64> {
		let stat = rustix::fs::statvfs(&self.path)?;
		let free = stat.f_bavail.saturating_mul(stat.f_frsize);
		Ok(free.saturating_sub(self.keep_free))
	}

	/// Reserves the blocks of `file` up to `len` bytes without changing its length, so that writing
	/// them cannot fail for want of room. File systems that cannot reserve are asked for their free
	/// space instead.
	///
	/// # Errors
	/// [`io::ErrorKind::StorageFull`] if there is no room.
	pub fn reserve(&self, file: &File, len: u64) -> io::Result<()> {
		let has = file.metadata()?.len();
		let missing = len.saturating_sub(has);
		if missing == 0 {
			return Ok(());
		}
		let allocated = {
			use std::os::unix::fs::MetadataExt;
			file.metadata()?.blocks().saturating_mul(512)
		};
		if self.available()? < len.saturating_sub(allocated.max(has)) {
			return Err(io::ErrorKind::StorageFull.into());
		}
		use rustix::fs::{fallocate, FallocateFlags};
		match fallocate(file, FallocateFlags::KEEP_SIZE, has, missing) {
			Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
			Err(error) => Err(error.into()),
		}
	}
}

/// Whether an error means that the disk (or a quota) is full.
pub(super) fn is_full(error: &io::Error) -> bool {
	matches!(
		error.kind(),
		io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
	)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn reserving_keeps_the_length_and_respects_the_margin() {
		let dir = tempfile::tempdir().unwrap();
		let file = File::create(dir.path().join("part")).unwrap();
		Disk::new(dir.path(), 0).reserve(&file, 1 << 20).unwrap();
		assert_eq!(file.metadata().unwrap().len(), 0);
		let full = Disk::new(dir.path(), u64::MAX);
		assert_eq!(full.available().unwrap(), 0);
		let other = File::create(dir.path().join("other")).unwrap();
		assert!(is_full(&full.reserve(&other, 1).unwrap_err()));
		full.reserve(&other, 0).unwrap();
	}
}
