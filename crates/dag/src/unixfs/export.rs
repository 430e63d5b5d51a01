//! Blocks to files and folders on disk.
//!
//! What is written is built under a temporary name beside its destination and renamed when complete,
//! so that a failure leaves nothing that looks finished. Everything inside the temporary folder is
//! newly created, never opened: no name in a DAG, and no symbolic link made from one, can redirect a
//! write elsewhere.

use super::{
	node::Node,
	read::{node, ByteRange, FileChunks, ReadError},
};
use crate::source::BlockSource;
use cid::Cid;
use std::{
	fs,
	io::{self, Write},
	path::{Component, Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Most files, folders and links of an export, unless its options say otherwise.
pub const MAX_ENTRIES: u64 = 1_000_000;

/// Deepest nesting of folders in an export, unless its options say otherwise.
pub const MAX_DEPTH: usize = 128;

/// What to do with symbolic links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SymlinkPolicy {
	/// Make those that stay in the exported folder; refuse the export if one leads out of it, as one
	/// that is the export itself always does.
	#[default]
	Inside,
	/// Make all as they are.
	Keep,
	/// Leave all out.
	Skip,
	/// Refuse the export if there is one.
	Refuse,
}

/// Limits and choices of an export to disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportOptions {
	/// What to do with symbolic links.
	pub symlinks: SymlinkPolicy,
	/// Whether a file may replace an existing file. Folders never replace anything.
	pub overwrite: bool,
	/// Most files, folders and links.
	pub max_entries: u64,
	/// Most content bytes.
	pub max_bytes: u64,
	/// Deepest nesting of folders.
	pub max_depth: usize,
}

impl Default for ExportOptions {
	/// [`MAX_ENTRIES`], [`MAX_DEPTH`], any number of bytes, links only within the folder, nothing
	/// overwritten.
	fn default() -> Self {
		Self {
			symlinks: SymlinkPolicy::default(),
			overwrite: false,
			max_entries: MAX_ENTRIES,
			max_bytes: u64::MAX,
			max_depth: MAX_DEPTH,
		}
	}
}

/// What an export wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
	/// Files.
	pub files: u64,
	/// Folders.
	pub directories: u64,
	/// Symbolic links.
	pub symlinks: u64,
	/// Content bytes of all files.
	pub bytes: u64,
}

/// Writes the content of a file within `range` to `out`; returns the number of bytes.
///
/// # Errors
/// [`ExportError::Read`] or [`ExportError::Output`]; what was written until then is a true prefix.
pub fn file<S, W>(source: &S, cid: &Cid, out: &mut W, range: ByteRange) -> Result<u64, ExportError>
where
	S: BlockSource + ?Sized,
	W: Write + ?Sized,
{
	let mut written = 0;
	for chunk in FileChunks::new(source, *cid, range) {
		let chunk = chunk?;
		out.write_all(&chunk).map_err(ExportError::Output)?;
		written += chunk.len() as u64;
	}
	Ok(written)
}

/// Writes the content of a file within `range` to a new file at `destination`, whose parent must
/// exist. Returns the number of bytes.
///
/// # Errors
/// [`ExportError`]; what stands at `destination` is then as before.
pub fn file_to<S: BlockSource + ?Sized>(
	source: &S,
	cid: &Cid,
	destination: &Path,
	range: ByteRange,
	overwrite: bool,
) -> Result<u64, ExportError> {
	let mut out = temporary()
		.tempfile_in(parent_of(destination))
		.map_err(|error| ExportError::Write {
			path: destination.to_owned(),
			error,
		})?;
	let written = file(source, cid, out.as_file_mut(), range)?;
	keep(out, destination, overwrite)?;
	Ok(written)
}

/// Gives a complete temporary file its name, for good.
fn keep(temporary: NamedTempFile, destination: &Path, overwrite: bool) -> Result<(), ExportError> {
	let failed = |error: io::Error| match error.kind() {
		io::ErrorKind::AlreadyExists if !overwrite => ExportError::Exists {
			path: destination.to_owned(),
		},
		_ => ExportError::Write {
			path: destination.to_owned(),
			error,
		},
	};
	temporary.as_file().sync_all().map_err(failed)?;
	if overwrite {
		temporary.persist(destination)
	} else {
		temporary.persist_noclobber(destination)
	}
	.map_err(|error| failed(error.error))?;
	// The name is only safe once its folder is.
	#[cfg(unix)]
	fs::File::open(parent_of(destination))
		.and_then(|folder| folder.sync_all())
		.map_err(failed)?;
	Ok(())
}

fn parent_of(path: &Path) -> &Path {
	match path.parent() {
		Some(parent) if !parent.as_os_str().is_empty() => parent,
		_ => Path::new("."),
	}
}

/// Writes a file, a folder with everything in it, or a symbolic link to `destination`, whose parent
/// must exist.
///
/// A file is synced before it gets its name. The files of a folder are not, which would take minutes
/// where there are many: a power cut within the next seconds may still truncate some.
///
/// # Errors
/// [`ExportError`]; nothing then stands at `destination` that did not before.
pub fn tree<S: BlockSource + ?Sized>(
	source: &S,
	cid: &Cid,
	destination: &Path,
	options: &ExportOptions,
) -> Result<Exported, ExportError> {
	let parent = parent_of(destination);
	let exists = destination.symlink_metadata().is_ok();
	let failed = |error| ExportError::Write {
		path: destination.to_owned(),
		error,
	};
	let mut export = Export {
		source,
		options,
		exported: Exported::default(),
	};
	match node(source, cid)? {
		Node::File(_) => {
			if exists && !options.overwrite {
				return Err(ExportError::Exists {
					path: destination.to_owned(),
				});
			}
			let mut temporary = temporary().tempfile_in(parent).map_err(failed)?;
			export.content(cid, temporary.as_file_mut(), destination)?;
			keep(temporary, destination, options.overwrite)?;
		}
		_ if exists => {
			return Err(ExportError::Exists {
				path: destination.to_owned(),
			})
		}
		// Making a link takes one step, and replaces nothing that has come there meanwhile.
		Node::Symlink(target) => {
			export.symlink(&target, destination, None)?;
		}
		Node::Directory(_) | Node::ShardedDirectory => {
			let temporary = temporary_folder().tempdir_in(parent).map_err(failed)?;
			export.folder(cid, temporary.path(), 0)?;
			// Renaming a folder onto one that is empty would succeed and go unnoticed.
			if destination.symlink_metadata().is_ok() {
				return Err(ExportError::Exists {
					path: destination.to_owned(),
				});
			}
			fs::rename(temporary.path(), destination).map_err(failed)?;
			// Moved: there is nothing left for it to remove.
			let _ = temporary.keep();
		}
	}
	Ok(export.exported)
}

struct Export<'a, S: ?Sized> {
	source: &'a S,
	options: &'a ExportOptions,
	exported: Exported,
}

impl<S: BlockSource + ?Sized> Export<'_, S> {
	/// Fills `path`, an empty folder of our own making.
	fn folder(&mut self, cid: &Cid, path: &Path, depth: usize) -> Result<(), ExportError> {
		if depth > self.options.max_depth {
			return Err(ExportError::Limit { limit: "depth" });
		}
		self.exported.directories += 1;
		self.count_entry()?;
		for entry in super::read::entries(self.source, cid)? {
			let entry = entry?;
			if !is_plain_name(&entry.name) {
				return Err(ExportError::UnsafeName {
					cid: *cid,
					name: entry.name,
				});
			}
			let entry_path = path.join(&entry.name);
			let failed = |error| ExportError::Write {
				path: entry_path.clone(),
				error,
			};
			match node(self.source, &entry.cid)? {
				Node::File(_) => {
					let mut out = fs::File::create_new(&entry_path).map_err(failed)?;
					self.content(&entry.cid, &mut out, &entry_path)?;
				}
				Node::Directory(_) | Node::ShardedDirectory => {
					fs::create_dir(&entry_path).map_err(failed)?;
					self.folder(&entry.cid, &entry_path, depth + 1)?;
				}
				Node::Symlink(target) => {
					self.symlink(&target, &entry_path, Some(depth))?;
				}
			}
		}
		Ok(())
	}

	fn content(&mut self, cid: &Cid, out: &mut fs::File, path: &Path) -> Result<(), ExportError> {
		self.exported.files += 1;
		self.count_entry()?;
		for chunk in FileChunks::new(self.source, *cid, ByteRange::ALL) {
			let chunk = chunk?;
			self.exported.bytes += chunk.len() as u64;
			if self.exported.bytes > self.options.max_bytes {
				return Err(ExportError::Limit { limit: "bytes" });
			}
			out.write_all(&chunk).map_err(|error| ExportError::Write {
				path: path.to_owned(),
				error,
			})?;
		}
		Ok(())
	}

	/// Returns whether the link was made. `depth` counts the folders between the link and the root of
	/// the export; `None` if the link is the export.
	fn symlink(&mut self, target: &str, path: &Path, depth: Option<usize>) -> Result<bool, ExportError> {
		match self.options.symlinks {
			SymlinkPolicy::Skip => return Ok(false),
			SymlinkPolicy::Keep => {}
			SymlinkPolicy::Inside if depth.is_some_and(|depth| stays_inside(target, depth)) => {}
			SymlinkPolicy::Inside | SymlinkPolicy::Refuse => {
				return Err(ExportError::UnsafeSymlink {
					name: path
						.file_name()
						.unwrap_or_default()
						.to_string_lossy()
						.into_owned(),
					target: target.to_owned(),
				})
			}
		}
		self.exported.symlinks += 1;
		self.count_entry()?;
		make_symlink(target, path).map_err(|error| ExportError::Write {
			path: path.to_owned(),
			error,
		})?;
		Ok(true)
	}

	fn count_entry(&self) -> Result<(), ExportError> {
		let Exported {
			files,
			directories,
			symlinks,
			..
		} = self.exported;
		if files + directories + symlinks > self.options.max_entries {
			return Err(ExportError::Limit {
				limit: "number of entries",
			});
		}
		Ok(())
	}
}

/// Whether a folder entry's name is a single, ordinary path component.
fn is_plain_name(name: &str) -> bool {
	let mut components = Path::new(name).components();
	let single = matches!(
		(components.next(), components.next()),
		(Some(Component::Normal(_)), None)
	);
	// `a/` has one component as well; `\` and `:` separate on Windows.
	single && !name.contains(['/', '\0']) && !(cfg!(windows) && name.contains(['\\', ':']))
}

/// Whether a link's target, from a folder `depth` levels below the root, cannot leave the root. Links
/// may pass through other links, so only a target that does not go up at all, or goes up first and no
/// further than the root, is trusted.
fn stays_inside(target: &str, depth: usize) -> bool {
	let mut up = 0;
	let mut down = false;
	for component in Path::new(target).components() {
		match component {
			Component::Normal(_) => down = true,
			Component::CurDir => {}
			Component::ParentDir if down => return false,
			Component::ParentDir => up += 1,
			Component::RootDir | Component::Prefix(_) => return false,
		}
	}
	up <= depth && !target.is_empty()
}

#[cfg(unix)]
fn make_symlink(target: &str, path: &Path) -> io::Result<()> {
	std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn make_symlink(_: &str, _: &Path) -> io::Result<()> {
	Err(io::Error::from(io::ErrorKind::Unsupported))
}

fn temporary() -> tempfile::Builder<'static, 'static> {
	let mut builder = tempfile::Builder::new();
	builder.prefix(".cairn-").suffix(".partial");
	// Like any newly made file: the umask takes its share.
	#[cfg(unix)]
	builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
	builder
}

fn temporary_folder() -> tempfile::Builder<'static, 'static> {
	let mut builder = temporary();
	#[cfg(unix)]
	builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
	builder
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
	/// The DAG cannot be read.
	#[error(transparent)]
	Read(#[from] ReadError),
	/// The output stream failed.
	#[error("writing the content failed: {0}")]
	Output(#[source] io::Error),
	/// A file or folder cannot be made or written.
	#[error("cannot write {path}: {error}", path = path.display())]
	Write {
		/// Which.
		path: PathBuf,
		/// Why.
		#[source]
		error: io::Error,
	},
	/// Something stands at the destination.
	#[error("{path} exists already", path = path.display())]
	Exists {
		/// The destination.
		path: PathBuf,
	},
	/// A name that is not a single path component: it might lead out of the folder.
	#[error("directory {cid} has the unsafe entry name {name:?}")]
	UnsafeName {
		/// The folder.
		cid: Cid,
		/// The name.
		name: String,
	},
	/// A symbolic link that the policy forbids.
	#[error("symbolic link {name:?} to {target:?} is not allowed")]
	UnsafeSymlink {
		/// The link's name.
		name: String,
		/// Where it points.
		target: String,
	},
	/// One of the options' limits.
	#[error("the export exceeds its limit: {limit}")]
	Limit {
		/// Which.
		limit: &'static str,
	},
}
