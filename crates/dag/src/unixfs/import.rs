//! Files and folders from disk to blocks.
//!
//! Streaming: a file of any size takes one chunk of memory and a node per level of its tree; a
//! folder takes its own list of entries. Blocks go to a [`BlockSink`] as soon as they are made, each
//! after everything it links to, so the root is the last.
//!
//! Gives the CIDs that `ipfs add --cid-version=1 --raw-leaves` gives, with two limits: folders whose
//! block would exceed [`ImportOptions::max_directory_size`] are refused (IPFS shards them), and those
//! between IPFS's sharding threshold of 256 KiB and that limit stay in one block. Unlike `ipfs add`,
//! hidden files are included unless [`ImportOptions::hidden`] is off.

use super::{
	layout::{Addressing, Balanced, Subtree},
	node::{directory, encode_leaf, encode_symlink},
};
use crate::{
	block::Block,
	codec::{
		dag_pb::{PbLink, PbNode},
		Codec,
	},
	hash::HashFunction,
	source::{BlockSink, SinkError},
};
use bytes::Bytes;
use cid::{Cid, Version};
use std::{
	ffi::OsStr,
	fs,
	io::{self, Read},
	path::{Path, PathBuf},
};

/// Largest chunk: the block size that IPFS peers accept.
pub const MAX_CHUNK_SIZE: usize = 2 * 1024 * 1024;

/// How files become blocks. The same options always give the same CIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportOptions {
	/// Bytes per leaf, the last one excepted: 1 to [`MAX_CHUNK_SIZE`].
	pub chunk_size: usize,
	/// Most links of a file node, at least 2.
	pub max_links: usize,
	/// Whether leaves are raw blocks, or dag-pb with the UnixFS envelope.
	pub raw_leaves: bool,
	/// Version of the CIDs of dag-pb nodes. Raw leaves are always version 1, and version 0 implies
	/// SHA-256.
	pub cid_version: Version,
	/// Hash function of all CIDs.
	pub hash: HashFunction,
	/// Whether folders' entries whose names start with a dot are taken.
	pub hidden: bool,
	/// Largest folder block in bytes.
	pub max_directory_size: usize,
}

impl Default for ImportOptions {
	/// `ipfs add --cid-version=1 --raw-leaves`: 256 KiB, 174 links.
	fn default() -> Self {
		Self {
			chunk_size: 256 * 1024,
			max_links: 174,
			raw_leaves: true,
			cid_version: Version::V1,
			hash: HashFunction::Sha2_256,
			hidden: true,
			max_directory_size: 1024 * 1024,
		}
	}
}

impl ImportOptions {
	/// The profile `unixfs-v1-2025` of IPIP-499: 1 MiB, 1024 links.
	pub fn unixfs_v1_2025() -> Self {
		Self {
			chunk_size: 1024 * 1024,
			max_links: 1024,
			..Self::default()
		}
	}

	/// The profile `unixfs-v0-2015` of IPIP-499, IPFS's oldest: CIDv0, 256 KiB, 174 links.
	pub fn unixfs_v0_2015() -> Self {
		Self {
			raw_leaves: false,
			cid_version: Version::V0,
			..Self::default()
		}
	}

	fn check(&self) -> Result<(), ImportError> {
		if !(1..=MAX_CHUNK_SIZE).contains(&self.chunk_size) {
			return Err(ImportError::InvalidOptions {
				reason: "chunk size must be 1 byte to 2 MiB",
			});
		}
		if self.max_links < 2 {
			return Err(ImportError::InvalidOptions {
				reason: "a node needs at least two links",
			});
		}
		if self.cid_version == Version::V0 && self.hash != HashFunction::Sha2_256 {
			return Err(ImportError::InvalidOptions {
				reason: "CIDv0 implies SHA-256",
			});
		}
		Ok(())
	}
}

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
	totals: Totals,
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
			totals: Totals::default(),
		}
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
		let root = self.any(path.as_ref())?;
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
			[path] if !wrap => self.any(path.as_ref())?,
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
				self.folder(Path::new(""), named)?
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

	fn any(&mut self, path: &Path) -> Result<Subtree, ImportError> {
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
			Ok(self.put_node(encode_symlink(&target), target.len() as u64)?)
		} else if file_type.is_dir() {
			let mut entries = Vec::new();
			for entry in fs::read_dir(path).map_err(io_error)? {
				let entry = entry.map_err(io_error)?;
				let name = utf8(&entry.file_name(), &entry.path())?;
				if self.options.hidden || !name.starts_with('.') {
					entries.push((name, entry.path()));
				}
			}
			entries.sort();
			self.folder(path, entries)
		} else if file_type.is_file() {
			let file = fs::File::open(path).map_err(io_error)?;
			self.stream(file, Some(path))
		} else {
			// Reading a pipe or a device might never end.
			Err(ImportError::SpecialFile {
				path: path.to_owned(),
			})
		}
	}

	/// `entries` are sorted by name.
	fn folder(&mut self, path: &Path, entries: Vec<(String, PathBuf)>) -> Result<Subtree, ImportError> {
		let mut links = Vec::with_capacity(entries.len());
		let mut below = 0;
		for (name, entry_path) in entries {
			let entry = self.any(&entry_path)?;
			below += entry.dag_size;
			links.push(PbLink {
				cid: entry.cid,
				name: Some(name),
				tsize: Some(entry.dag_size),
			});
		}
		let node: PbNode = directory(links);
		let (size, limit) = (node.encoded_len(), self.options.max_directory_size);
		if size > limit {
			return Err(ImportError::DirectoryTooLarge {
				path: path.to_owned(),
				size,
				limit,
			});
		}
		self.totals.directories += 1;
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
		let mut tree = Balanced::new(self.options.max_links, self.addressing());
		let mut first = true;
		loop {
			let chunk =
				read_chunk(&mut reader, self.options.chunk_size).map_err(|error| ImportError::Read {
					path: path.map(Path::to_owned).unwrap_or_default(),
					error,
				})?;
			// An empty file is one empty leaf.
			if chunk.is_empty() && !first {
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
		self.report(path);
		let root = tree.finish(&mut self.sink)?;
		// The loop above pushed a leaf even for an empty file.
		Ok(root.expect("a file has at least one leaf"))
	}

	fn leaf(&self, chunk: Vec<u8>) -> Block {
		if self.options.raw_leaves {
			Block::encode_with(Codec::Raw, self.options.hash, chunk)
		} else {
			self.addressing().node(encode_leaf(Bytes::from(chunk)))
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
	/// The folder has too many entries for one block.
	#[error("{path} has too many entries: its block would take {size} bytes of {limit}", path = path.display())]
	DirectoryTooLarge {
		/// Which; empty for the wrapping folder.
		path: PathBuf,
		/// Bytes it would take.
		size: usize,
		/// Bytes allowed.
		limit: usize,
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
