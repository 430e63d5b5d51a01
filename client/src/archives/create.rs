//! Files and folders to archives.

use super::{is_standard, ArchiveOutput};
use crate::{
	deals::packing,
	error::{CliError, ErrorKind},
	new_file::refuse_existing,
	progress::Progress,
};
use cairn_car::{pack, pack_reader, PackOptions, Packed};
use std::{
	io::{self, BufWriter},
	path::{Path, PathBuf},
};

/// What an archive is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sources {
	/// Files and folders.
	Paths(Vec<PathBuf>),
	/// Standard input, as one file.
	Standard,
}

impl Sources {
	/// Reads arguments: `-` alone is standard input.
	///
	/// # Errors
	/// If it is one of several.
	pub fn parse(paths: Vec<PathBuf>) -> Result<Self, CliError> {
		match &paths[..] {
			[path] if is_standard(path) => Ok(Self::Standard),
			paths if paths.iter().any(|path| is_standard(path)) => Err(CliError::new(
				ErrorKind::Usage,
				"standard input cannot be one of several files",
			)),
			_ => Ok(Self::Paths(paths)),
		}
	}

	/// The name of an archive that the user names none for.
	///
	/// # Errors
	/// If it cannot be told.
	pub fn archive_name(&self) -> Result<PathBuf, CliError> {
		let name = match self {
			Self::Paths(paths) => paths.first().and_then(|path| path.file_name()),
			Self::Standard => None,
		};
		let name = name.ok_or_else(|| CliError::new(ErrorKind::Usage, "name the archive with --output"))?;
		let mut name = name.to_owned();
		name.push(".car");
		Ok(PathBuf::from(name))
	}
}

/// Packs sources to a CARv2 at `output` (`-` is standard output), with progress, off the executor.
///
/// # Errors
/// If something is there and may not be replaced, or if packing fails; nothing is then at `output` that was
/// not there before.
pub async fn create(
	sources: Sources,
	output: &Path,
	force: bool,
	options: PackOptions,
	progress: &Progress,
) -> Result<(Packed, Option<PathBuf>), CliError> {
	if let (Sources::Paths(paths), false) = (&sources, is_standard(output)) {
		if !force {
			refuse_existing(output)?;
		}
		let packed = packing::pack(paths, output, options, progress).await?;
		return Ok((packed, Some(output.to_owned())));
	}
	let destination = ArchiveOutput::begin(output, force)?;
	let bar = progress.counted_bytes("packing");
	tokio::task::spawn_blocking(move || {
		let mut out = BufWriter::with_capacity(1 << 20, destination.file());
		let mut on_progress = |progress: &cairn_car::Progress<'_>| bar.set_position(progress.content_bytes);
		let packed = match sources {
			// Nobody sees the temporary file, so that it is not packed itself.
			Sources::Paths(paths) => pack(&paths, &mut out, &options, &mut on_progress)?,
			Sources::Standard => pack_reader(io::stdin().lock(), &mut out, &options, &mut on_progress)?,
		};
		out.into_inner().map_err(|error| error.into_error())?;
		bar.finish_and_clear();
		Ok((packed, destination.keep()?))
	})
	.await?
}
