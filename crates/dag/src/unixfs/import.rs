//! Files and folders from disk to blocks.
//!
//! Streaming: a file of any size takes one chunk of memory and a node per level of its tree; a
//! folder takes its own list of entries. Blocks go to a [`BlockSink`] as soon as they are made, each
//! after everything it links to, so the root is the last.
//!
//! Gives the CIDs that `ipfs add` gives with the same options, by default those of
//! `ipfs add --cid-version=1 --raw-leaves`. Unlike `ipfs add`, hidden files are included unless
//! [`ImportOptions::hidden`] is off. Permissions and times are not kept.
//!
//! What [`export`](super::export) would refuse to write back is refused here already: nobody should
//! learn that on the day the copy is needed.

mod options;

pub use options::{DirectorySize, ImportOptions, Layout, MAX_CHUNK_SIZE, MAX_LINKS};

use super::{
	hamt::{self, BuildError},
	layout::{Addressing, FileTree, Subtree},
	node::{directory, encode_leaf, encode_symlink, LeafKind},
};
use crate::{
	block::Block,
	codec::{dag_pb::PbLink, Codec},
	source::{BlockSink, SinkError},
};
use bytes::Bytes;
use cid::Cid;
use std::{
	ffi::OsStr,
	fs,
	io::{self, Read},
	path::{Path, PathBuf},
};

/// What an import made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
	/// The root.
	pub root: Cid,
	/// Bytes of all files' content.
	pub content_size: u64,
	/// Bytes of all blocks, repeated ones counted each time.
	pub dag_size: u64,
	/// Blocks given to the sink, repeated ones included.
	pub blocks: u64,
	/// Files read.
	pub files: u64,
	/// Folders made, a wrapping one included.
	pub directories: u64,
	/// Symbolic links kept.
	pub symlinks: u64,
}

/// How far an import is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
	/// Content bytes read so far.
	pub content_bytes: u64,
	/// Files finished.
	pub files: u64,
	/// The file being read; `None` for a stream.
	pub path: Option<&'a Path>,
}

/// Imports into a sink.
///
/// ```
/// use cairn_dag::{unixfs::import::{Importer, ImportOptions}, NullSink};
///
/// let imported = Importer::new(&mut NullSink, ImportOptions::default()).reader(&b"hello world"[..])?;
/// assert_eq!(
///     imported.root.to_string(),
///     "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
/// );
/// # Ok::<(), cairn_dag::unixfs::import::ImportError>(())
/// ```
pub struct Importer<'a, K: ?Sized> {
	sink: Counting<'a, K>,
	options: ImportOptions,
	on_progress: Box<dyn FnMut(&Progress<'_>) + 'a>,
	/// Files that folders are imported without.
	left_out: Vec<FileIdentity>,
	totals: Totals,
}

/// What makes a file on disk the same one, under whatever path.
#[cfg(unix)]
type FileIdentity = (u64, u64);
/// What makes a file on disk the same one: its path without links and detours.
#[cfg(not(unix))]
type FileIdentity = PathBuf;

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<FileIdentity> {
	use std::os::unix::fs::MetadataExt;
	let metadata = fs::symlink_metadata(path)?;
	Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<FileIdentity> {
	path.canonicalize()
}

#[derive(Clone, Copy, Default)]
struct Totals {
	content_size: u64,
	files: u64,
	directories: u64,
	symlinks: u64,
}

struct Counting<'a, K: ?Sized> {
	sink: &'a mut K,
	blocks: u64,
}

impl<K: BlockSink + ?Sized> BlockSink for Counting<'_, K> {
	fn put(&mut self, block: Block) -> Result<(), SinkError> {
		self.blocks += 1;
		self.sink.put(block)
	}
}

impl<'a, K: BlockSink + ?Sized> Importer<'a, K> {
	/// Prepares an import into `sink`.
	pub fn new(sink: &'a mut K, options: ImportOptions) -> Self {
		Self {
			sink: Counting { sink, blocks: 0 },
			options,
			on_progress: Box::new(|_| {}),
			left_out: Vec::new(),
			totals: Totals::default(),
		}
	}

	/// Leaves these files out where a folder holds them: those that the import itself writes, which
	/// would grow as they are read. Paths that lead nowhere are ignored.
	pub fn leave_out<P: AsRef<Path>>(mut self, files: &[P]) -> Self {
		self.left_out
			.extend(files.iter().filter_map(|path| identity(path.as_ref()).ok()));
		self
	}

	/// Has `callback` called after every chunk and every file.
	pub fn on_progress(mut self, callback: impl FnMut(&Progress<'_>) + 'a) -> Self {
		self.on_progress = Box::new(callback);
		self
	}

	/// Imports a stream as a file.
	///
	/// # Errors
	/// [`ImportError`]; the sink then holds blocks without a root.
	pub fn reader(mut self, reader: impl Read) -> Result<Imported, ImportError> {
		self.options.check()?;
		let root = self.stream(reader, None)?;
		Ok(self.done(root))
	}

	/// Imports a file, a folder with everything in it, or a symbolic link as such. Entries of folders
	/// are taken in the order of their names' bytes.
	///
	/// # Errors
	/// As [`reader`](Self::reader).
	pub fn path(mut self, path: impl AsRef<Path>) -> Result<Imported, ImportError> {
		self.options.check()?;
		let root = self.any(path.as_ref(), 0)?;
		Ok(self.done(root))
	}

	/// Imports several paths into one folder that holds each under its own name; with `wrap`, a
	/// single path gets such a folder as well, and else becomes the root itself.
	///
	/// # Errors
	/// As [`reader`](Self::reader); [`ImportError::NoPaths`], [`ImportError::DuplicateName`].
	pub fn paths<P: AsRef<Path>>(mut self, paths: &[P], wrap: bool) -> Result<Imported, ImportError> {
		self.options.check()?;
		let root = match paths {
			[] => return Err(ImportError::NoPaths),
			[path] if !wrap => self.any(path.as_ref(), 0)?,
			paths => {
				let mut named = Vec::with_capacity(paths.len());
				for path in paths {
					let path = path.as_ref();
					named.push((own_name(path)?, path.to_owned()));
				}
				named.sort();
				if let Some(pair) = named.windows(2).find(|pair| pair[0].0 == pair[1].0) {
					return Err(ImportError::DuplicateName {
						name: pair[0].0.clone(),
					});
				}
				self.folder(Path::new(""), named.into_iter(), 0)?
			}
		};
		Ok(self.done(root))
	}

	fn done(self, root: Subtree) -> Imported {
		Imported {
			root: root.cid,
			content_size: self.totals.content_size,
			dag_size: root.dag_size,
			blocks: self.sink.blocks,
			files: self.totals.files,
			directories: self.totals.directories,
			symlinks: self.totals.symlinks,
		}
	}

	/// `depth` counts the folders above.
	fn any(&mut self, path: &Path, depth: usize) -> Result<Subtree, ImportError> {
		let io_error = |error| ImportError::Read {
			path: path.to_owned(),
			error,
		};
		let file_type = fs::symlink_metadata(path).map_err(io_error)?.file_type();
		if file_type.is_symlink() {
			let target = fs::read_link(path).map_err(io_error)?;
			let target = target
				.to_str()
				.ok_or_else(|| ImportError::NotUtf8 {
					path: path.to_owned(),
				})?
				.to_owned();
			self.totals.symlinks += 1;
			self.check_entries(0)?;
			Ok(self.put_node(encode_symlink(&target), target.len() as u64)?)
		} else if file_type.is_dir() {
			// Names alone: there may be a million.
			let mut names = Vec::new();
			for entry in fs::read_dir(path).map_err(io_error)? {
				let entry = entry.map_err(io_error)?;
				if self.is_left_out(&entry.path()) {
					continue;
				}
				let name = utf8(&entry.file_name(), &entry.path())?;
				if self.options.hidden || !name.starts_with('.') {
					names.push(name);
					self.check_entries(names.len() as u64)?;
				}
			}
			names.sort_unstable();
			let entries = names.into_iter().map(|name| {
				let entry = path.join(&name);
				(name, entry)
			});
			self.folder(path, entries, depth)
		} else if file_type.is_file() {
			match open_file(path).map_err(io_error)? {
				Some(file) => self.stream(file, Some(path)),
				None => Err(ImportError::SpecialFile {
					path: path.to_owned(),
				}),
			}
		} else {
			// Reading a pipe or a device might never end.
			Err(ImportError::SpecialFile {
				path: path.to_owned(),
			})
		}
	}

	fn is_left_out(&self, path: &Path) -> bool {
		!self.left_out.is_empty() && identity(path).is_ok_and(|found| self.left_out.contains(&found))
	}

	/// `more` are known of but not taken yet.
	fn check_entries(&self, more: u64) -> Result<(), ImportError> {
		let Totals {
			files,
			directories,
			symlinks,
			..
		} = self.totals;
		if files + directories + symlinks + more > self.options.max_entries {
			return Err(ImportError::TooManyEntries {
				limit: self.options.max_entries,
			});
		}
		Ok(())
	}

	/// `entries`, with the path of each, are sorted by name.
	fn folder(
		&mut self,
		path: &Path,
		entries: impl ExactSizeIterator<Item = (String, PathBuf)>,
		depth: usize,
	) -> Result<Subtree, ImportError> {
		// Also bounds the stack: paths may be thousands of folders deep.
		if depth > self.options.max_depth {
			return Err(ImportError::TooDeep {
				path: path.to_owned(),
				limit: self.options.max_depth,
			});
		}
		let mut links = Vec::with_capacity(entries.len());
		let mut below = 0;
		for (name, entry_path) in entries {
			let entry = self.any(&entry_path, depth + 1)?;
			below += entry.dag_size;
			links.push(PbLink {
				cid: entry.cid,
				name: Some(name),
				tsize: Some(entry.dag_size),
			});
		}
		self.totals.directories += 1;
		self.check_entries(0)?;
		let node = directory(links);
		if self.options.directory_size.of(&node) > self.options.max_directory_size {
			let root = hamt::build(node.links, self.addressing(), &mut self.sink);
			return root.map_err(|error| match error {
				BuildError::Sink(error) => error.into(),
				BuildError::SameHash { names } => ImportError::SameHash {
					path: path.to_owned(),
					names,
				},
			});
		}
		let mut folder = self.put_node(node.encode(), 0)?;
		folder.dag_size += below;
		Ok(folder)
	}

	fn put_node(&mut self, data: Vec<u8>, size: u64) -> Result<Subtree, SinkError> {
		let dag_size = data.len() as u64;
		let block = self.addressing().node(data);
		let node = Subtree {
			cid: *block.cid(),
			size,
			dag_size,
		};
		self.sink.put(block)?;
		Ok(node)
	}

	fn stream(&mut self, mut reader: impl Read, path: Option<&Path>) -> Result<Subtree, ImportError> {
		let mut tree = FileTree::new(self.options.layout, self.options.max_links, self.addressing());
		let mut first = true;
		loop {
			let chunk =
				read_chunk(&mut reader, self.options.chunk_size).map_err(|error| ImportError::Read {
					path: path.map(Path::to_owned).unwrap_or_default(),
					error,
				})?;
			// An empty file is one empty leaf, or a trickle root without any.
			if chunk.is_empty() && (!first || self.options.layout == Layout::Trickle) {
				break;
			}
			first = false;
			let (full, size) = (chunk.len() == self.options.chunk_size, chunk.len() as u64);
			let block = self.leaf(chunk);
			let leaf = Subtree {
				cid: *block.cid(),
				size,
				dag_size: block.data().len() as u64,
			};
			self.sink.put(block)?;
			tree.push(leaf, &mut self.sink)?;
			self.totals.content_size += size;
			self.report(path);
			if !full {
				break;
			}
		}
		self.totals.files += 1;
		self.check_entries(0)?;
		self.report(path);
		let root = tree.finish(&mut self.sink)?;
		// The loop above pushed a leaf even for an empty file, unless the layout does without.
		Ok(root.expect("a file has a leaf, or a root of its own"))
	}

	fn leaf(&self, chunk: Vec<u8>) -> Block {
		if self.options.raw_leaves {
			Block::encode_with(Codec::Raw, self.options.hash, chunk)
		} else {
			let kind = match self.options.layout {
				Layout::Balanced => LeafKind::File,
				Layout::Trickle => LeafKind::Raw,
			};
			self.addressing().node(encode_leaf(Bytes::from(chunk), kind))
		}
	}

	fn report(&mut self, path: Option<&Path>) {
		let Totals {
			content_size, files, ..
		} = self.totals;
		(self.on_progress)(&Progress {
			content_bytes: content_size,
			files,
			path,
		});
	}

	fn addressing(&self) -> Addressing {
		Addressing {
			version: self.options.cid_version,
			hash: self.options.hash,
		}
	}
}

/// Opens a file that was found to be one; `None` if something else has taken its place since. Does not wait for
/// a pipe's other end, and follows no link.
fn open_file(path: &Path) -> io::Result<Option<fs::File>> {
	let mut options = fs::OpenOptions::new();
	options.read(true);
	#[cfg(unix)]
	{
		use rustix::fs::OFlags;
		use std::os::unix::fs::OpenOptionsExt;
		options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32);
	}
	let file = options.open(path)?;
	Ok(file.metadata()?.is_file().then_some(file))
}

/// Reads until `size` bytes or the end.
fn read_chunk(reader: &mut impl Read, size: usize) -> io::Result<Vec<u8>> {
	let mut chunk = vec![0; size];
	let mut filled = 0;
	while filled < size {
		match reader.read(&mut chunk[filled..]) {
			Ok(0) => break,
			Ok(read) => filled += read,
			Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
			Err(error) => return Err(error),
		}
	}
	chunk.truncate(filled);
	// A short last chunk should not hold on to a whole chunk's memory.
	chunk.shrink_to_fit();
	Ok(chunk)
}

fn utf8(name: &OsStr, path: &Path) -> Result<String, ImportError> {
	name.to_str()
		.map(str::to_owned)
		.ok_or_else(|| ImportError::NotUtf8 {
			path: path.to_owned(),
		})
}

/// The name a path has in its folder, also for paths like `.` and `a/..`.
fn own_name(path: &Path) -> Result<String, ImportError> {
	match path.file_name() {
		Some(name) => utf8(name, path),
		None => {
			let full = path.canonicalize().map_err(|error| ImportError::Read {
				path: path.to_owned(),
				error,
			})?;
			let name = full.file_name().ok_or_else(|| ImportError::NoName {
				path: path.to_owned(),
			})?;
			utf8(name, path)
		}
	}
}

/// Why an import failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
	/// The options make no sense.
	#[error("invalid import options: {reason}")]
	InvalidOptions {
		/// What is wrong.
		reason: &'static str,
	},
	/// A file or folder cannot be read. The path is empty for a stream.
	#[error("cannot read {path}: {error}", path = path.display())]
	Read {
		/// Which.
		path: PathBuf,
		/// Why.
		#[source]
		error: io::Error,
	},
	/// A name or a symbolic link's target is not UTF-8, which UnixFS requires.
	#[error("{path} has a name or target that is not UTF-8", path = path.display())]
	NotUtf8 {
		/// Which.
		path: PathBuf,
	},
	/// Neither file, folder nor symbolic link.
	#[error("{path} is a device, pipe or socket", path = path.display())]
	SpecialFile {
		/// Which.
		path: PathBuf,
	},
	/// Two names of a folder have one hash, so that it cannot be sharded.
	#[error("{path} cannot be sharded: `{}` and `{}` have one hash", names[0], names[1], path = path.display())]
	SameHash {
		/// Which; empty for the wrapping folder.
		path: PathBuf,
		/// The names.
		names: [String; 2],
	},
	/// Folders nest deeper than an export would make them again.
	#[error("{path} lies more than {limit} folders deep", path = path.display())]
	TooDeep {
		/// The folder.
		path: PathBuf,
		/// Folders allowed above it.
		limit: usize,
	},
	/// More files, folders and links than an export would make again.
	#[error("there are more than {limit} files, folders and links")]
	TooManyEntries {
		/// How many are allowed.
		limit: u64,
	},
	/// No path was given.
	#[error("nothing to import")]
	NoPaths,
	/// The path is a root, and has no name to be kept under.
	#[error("{path} has no name", path = path.display())]
	NoName {
		/// Which.
		path: PathBuf,
	},
	/// Two of the paths have the same name.
	#[error("more than one of the paths is named `{name}`")]
	DuplicateName {
		/// The name.
		name: String,
	},
	/// The sink failed.
	#[error(transparent)]
	Sink(#[from] SinkError),
}

#[cfg(all(test, unix))]
mod tests {
	use super::*;
	use rustix::fs::{mknodat, FileType, Mode, CWD};

	#[test]
	fn what_took_a_files_place_is_neither_followed_nor_waited_for() {
		let folder = tempfile::tempdir().unwrap();
		let [file, pipe, link] = ["file", "pipe", "link"].map(|name| folder.path().join(name));
		fs::write(&file, b"content").unwrap();
		mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
		std::os::unix::fs::symlink(&file, &link).unwrap();
		assert!(open_file(&file).unwrap().is_some());
		assert!(open_file(&pipe).unwrap().is_none());
		assert!(open_file(&link).is_err());
	}
}
