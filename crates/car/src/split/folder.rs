//! Parts as files of a folder.

use super::{split, Part, PartSink, Split, SplitError, SplitOptions};
use crate::{file::CarFile, read_at::ReadAt};
use std::{
	fs::{self, File},
	io::{self, BufWriter},
	path::{Path, PathBuf},
};

/// What was split into a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitFolder {
	/// The parts.
	pub split: Split,
	/// Their files, in the same order.
	pub files: Vec<PathBuf>,
}

/// As [`split`], to a new folder at `destination`, whose parent must exist: files named `NAME-00000.car`
/// and so on, which sort in the order of the parts. The folder appears when all of them are complete and
/// synced.
///
/// # Errors
/// [`SplitError`], [`SplitError::Part`] also if something stands at `destination`; nothing then stands there
/// that did not before.
pub fn split_to_folder<R: ReadAt>(
	archive: &CarFile<R>,
	options: &SplitOptions,
	destination: &Path,
	name: &str,
) -> Result<SplitFolder, SplitError> {
	let parent = match destination.parent() {
		Some(parent) if !parent.as_os_str().is_empty() => parent,
		_ => Path::new("."),
	};
	let free = || match destination.symlink_metadata() {
		Ok(_) => Err(SplitError::Part(io::ErrorKind::AlreadyExists.into())),
		Err(_) => Ok(()),
	};
	free()?;
	let mut builder = tempfile::Builder::new();
	builder.prefix(".cairn-").suffix(".partial");
	#[cfg(unix)]
	builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
	let temporary = builder.tempdir_in(parent).map_err(SplitError::Part)?;
	let file_name = |number: u64| format!("{name}-{number:05}.car");
	let mut sink = Files {
		folder: temporary.path(),
		file_name: &file_name,
	};
	let split = split(archive, options, &mut sink)?;
	let sync = |folder: &Path| File::open(folder).and_then(|folder| folder.sync_all());
	if cfg!(unix) {
		sync(temporary.path()).map_err(SplitError::Part)?;
	}
	// Renaming a folder onto one that is empty would succeed and go unnoticed.
	free()?;
	fs::rename(temporary.path(), destination).map_err(SplitError::Part)?;
	// Moved: there is nothing left for it to remove.
	let _ = temporary.keep();
	if cfg!(unix) {
		sync(parent).map_err(SplitError::Part)?;
	}
	let files = split
		.parts
		.iter()
		.map(|part| destination.join(file_name(part.number)))
		.collect();
	Ok(SplitFolder { split, files })
}

struct Files<'a> {
	folder: &'a Path,
	file_name: &'a dyn Fn(u64) -> String,
}

impl PartSink for Files<'_> {
	type Out = BufWriter<File>;

	fn begin(&mut self, number: u64) -> io::Result<Self::Out> {
		let file = File::create_new(self.folder.join((self.file_name)(number)))?;
		Ok(BufWriter::with_capacity(1 << 20, file))
	}

	fn finish(&mut self, out: Self::Out, _: &Part) -> io::Result<()> {
		out.into_inner()?.sync_all()
	}
}
