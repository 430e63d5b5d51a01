//! Files and folders to an archive in one pass.

use crate::{
	index::IndexFormat,
	writer::{CarV2Writer, WriteError, Written},
};
use cairn_dag::{
	unixfs::import::{ImportError, ImportOptions, Imported, Importer, Progress},
	CidVersion, HashFunction,
};
use cid::Cid;
use std::{
	fs,
	io::{self, BufWriter, Read, Seek, Write},
	path::{Path, PathBuf},
};

/// How an archive is packed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackOptions {
	/// How files become blocks.
	pub import: ImportOptions,
	/// Format of the index.
	pub index: IndexFormat,
	/// Whether a single path is put into a folder that holds it under its name. Several paths always
	/// are.
	pub wrap: bool,
}

/// What was packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
	/// The root: the file's, the folder's, or the wrapping folder's.
	pub root: Cid,
	/// Bytes of the archive.
	pub car_size: u64,
	/// Bytes of the CARv1 payload within.
	pub payload_size: u64,
	/// Bytes of all files' content.
	pub content_size: u64,
	/// Blocks in the archive.
	pub blocks: u64,
	/// Blocks left out because the archive had them already.
	pub duplicates: u64,
	/// Files read.
	pub files: u64,
	/// Folders made.
	pub directories: u64,
}

/// Packs files and folders into a CARv2 with an index, written to `out` from its current position.
///
/// One pass over the data, with the memory of [`Importer`] and [`CarV2Writer`]. Every block stands
/// after those it links to, the root last. Wrap files in a [`BufWriter`].
///
/// # Errors
/// [`PackError`]; what was written until then is not an archive.
pub fn pack<P: AsRef<Path>>(
	paths: &[P],
	out: impl Write + Seek,
	options: &PackOptions,
	progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<Packed, PackError> {
	pack_with(out, options, progress, |importer| {
		importer.paths(paths, options.wrap)
	})
}

/// As [`pack`], for a stream as the only file.
///
/// # Errors
/// [`PackError`].
pub fn pack_reader(
	input: impl Read,
	out: impl Write + Seek,
	options: &PackOptions,
	progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<Packed, PackError> {
	pack_with(out, options, progress, |importer| importer.reader(input))
}

/// As [`pack`], to a new file that replaces what stands at `destination`: written under a temporary
/// name in the same folder, synced, and renamed when complete. Where that folder is packed too, the
/// archive and its forerunner at `destination` are left out.
///
/// # Errors
/// [`PackError`]; the file at `destination` is then as before.
pub fn pack_to_file<P: AsRef<Path>>(
	paths: &[P],
	destination: &Path,
	options: &PackOptions,
	progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<Packed, PackError> {
	let parent = match destination.parent() {
		Some(parent) if !parent.as_os_str().is_empty() => parent,
		_ => Path::new("."),
	};
	let failed = |error| PackError::Destination {
		path: destination.to_owned(),
		error,
	};
	let mut builder = tempfile::Builder::new();
	builder.prefix(".cairn-").suffix(".partial");
	#[cfg(unix)]
	builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
	let temporary = builder.tempfile_in(parent).map_err(failed)?;
	let out = BufWriter::with_capacity(1 << 20, temporary.as_file());
	let packed = pack_with(out, options, progress, |importer| {
		importer
			.leave_out(&[temporary.path(), destination])
			.paths(paths, options.wrap)
	})?;
	temporary.as_file().sync_all().map_err(failed)?;
	temporary
		.persist(destination)
		.map_err(|error| failed(error.error))?;
	// The name is only safe once its folder is.
	#[cfg(unix)]
	fs::File::open(parent)
		.and_then(|folder| folder.sync_all())
		.map_err(failed)?;
	Ok(packed)
}

fn pack_with<W: Write + Seek>(
	out: W,
	options: &PackOptions,
	progress: &mut dyn FnMut(&Progress<'_>),
	import: impl FnOnce(Importer<'_, CarV2Writer<W>>) -> Result<Imported, ImportError>,
) -> Result<Packed, PackError> {
	let mut writer = match longest_root(&options.import) {
		Some(root) => CarV2Writer::for_roots(out, options.index, &[root])?,
		None => CarV2Writer::new(out, options.index)?,
	};
	let imported = import(Importer::new(&mut writer, options.import.clone()).on_progress(progress))?;
	let (
		_,
		Written {
			blocks,
			duplicates,
			payload_size,
			size,
		},
	) = writer.finish(&[imported.root])?;
	Ok(Packed {
		root: imported.root,
		car_size: size,
		payload_size,
		content_size: imported.content_size,
		blocks,
		duplicates,
		files: imported.files,
		directories: imported.directories,
	})
}

/// A root as long as any that these options make, if that is not the usual 36 bytes.
fn longest_root(options: &ImportOptions) -> Option<Cid> {
	match (options.cid_version, options.hash) {
		(CidVersion::V1, HashFunction::Sha2_256) => None,
		(_, hash) => Some(Cid::new_v1(cairn_dag::Codec::Raw.code(), hash.digest(b""))),
	}
}

/// Why packing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
	/// The files cannot be imported; holds the error of the archive's writer as well.
	#[error(transparent)]
	Import(#[from] ImportError),
	/// The archive cannot be written.
	#[error(transparent)]
	Write(#[from] WriteError),
	/// The destination cannot be made.
	#[error("cannot write {path}: {error}", path = path.display())]
	Destination {
		/// Which.
		path: PathBuf,
		/// Why.
		#[source]
		error: io::Error,
	},
}
