//! Archives back to files and folders.

use crate::{file::CarFile, read_at::ReadAt};
use cairn_dag::unixfs::export::{tree, ExportError, ExportOptions, Exported};
use std::path::Path;

/// Writes the UnixFS tree at the archive's only root to `destination`: a file, a folder or a symbolic
/// link. For one of several roots, or a path within, call [`tree`] with the archive as its source.
///
/// # Errors
/// [`ExtractError`].
pub fn extract<R: ReadAt>(
	archive: &CarFile<R>,
	destination: &Path,
	options: &ExportOptions,
) -> Result<Exported, ExtractError> {
	match archive.roots() {
		[root] => Ok(tree(archive, root, destination, options)?),
		roots => Err(ExtractError::Roots { count: roots.len() }),
	}
}

/// Why an archive cannot be extracted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
	/// Not exactly one root.
	#[error("the archive has {count} roots, not one")]
	Roots {
		/// How many it has.
		count: usize,
	},
	/// The export failed.
	#[error(transparent)]
	Export(#[from] ExportError),
}
