//! Archives that are written.

use super::is_standard;
use crate::{
	error::{CliError, ErrorKind},
	new_file::{refuse_existing, NewFile},
};
use std::{
	fs::File,
	io::{self, IsTerminal, Seek, SeekFrom},
	path::{Path, PathBuf},
};

/// An archive under way, in a temporary file either way: its header is written last.
#[derive(Debug)]
pub enum ArchiveOutput {
	/// Will be a file under its name.
	File {
		/// The file.
		file: NewFile,
		/// Its name.
		path: PathBuf,
		/// Whether it may replace another.
		replace: bool,
	},
	/// Will be copied to standard output.
	Standard(File),
}

impl ArchiveOutput {
	/// Begins an archive at `path`; `-` is standard output.
	///
	/// # Errors
	/// If something is there and may not be replaced, or if nothing can be written there.
	pub fn begin(path: &Path, replace: bool) -> Result<Self, CliError> {
		if is_standard(path) {
			if io::stdout().is_terminal() {
				return Err(
					CliError::new(ErrorKind::Usage, "an archive does not belong on a terminal")
						.hint("name a file with --output, or send standard output elsewhere"),
				);
			}
			return Ok(Self::Standard(tempfile::tempfile()?));
		}
		if !replace {
			refuse_existing(path)?;
		}
		Ok(Self::File {
			file: NewFile::beside(path)?,
			path: path.to_owned(),
			replace,
		})
	}

	/// What to write to, from its start.
	pub fn file(&self) -> &File {
		match self {
			Self::File { file, .. } => file.file(),
			Self::Standard(file) => file,
		}
	}

	/// Keeps the archive, which is complete. Returns its name, if it is not on standard output.
	///
	/// # Errors
	/// If it cannot be synced and named, or copied.
	pub fn keep(self) -> Result<Option<PathBuf>, CliError> {
		match self {
			Self::File { file, path, replace } => {
				file.keep(replace)?;
				Ok(Some(path))
			}
			Self::Standard(mut file) => {
				file.seek(SeekFrom::Start(0))?;
				io::copy(&mut file, &mut io::stdout().lock())?;
				Ok(None)
			}
		}
	}
}
