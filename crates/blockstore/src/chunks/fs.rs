//! A file per chunk.
//!
//! ```text
//! LOCK            held while the store is open
//! FORMAT          "cairn chunks 1"
//! incoming/       chunks being written; emptied when the store is opened
//! 00/ … ff/       chunks, by the last byte of their hash
//!   1220…3f       the chunk whose multihash, in hexadecimal, is the file's name; the bytes as they are
//! foreign/        folders that had the name of a chunk, moved out of the way; there only if there are any
//! ```
//!
//! A chunk is written to `incoming`, synced, renamed, and the folder that names it is synced. Syncing
//! comes before renaming even when a store is asked for many chunks at once: a file under its final
//! name is whole also after a power cut, so writing a chunk again can never replace a whole one by one
//! that is not on the disk yet.

use super::{
	check_read, check_writable, is_readable, ChunkError, ChunkStore, ListedChunk, OpenChunksError,
	MAX_CHUNK_BYTES,
};
use crate::{
	disk::{self, FileSystem},
	fault_injection,
	owner_lock::{OwnerLock, OwnerLockError},
	Cid, Multihash,
};
use cairn_dag::Block;
use rustix::{fs::OFlags, io::Errno};
use std::{
	collections::{BTreeSet, HashSet},
	fs::{self, OpenOptions},
	io::{self, Read, Write},
	ops::ControlFlow,
	os::unix::fs::OpenOptionsExt,
	path::{Path, PathBuf},
};
use tempfile::TempPath;

/// The format this version writes.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "FORMAT";
const FORMAT_PREFIX: &str = "cairn chunks ";
const INCOMING: &str = "incoming";
const FOREIGN: &str = "foreign";

/// A file per chunk, in 256 folders.
#[derive(Debug)]
pub struct FsChunks {
	folder: PathBuf,
	_lock: OwnerLock,
}

impl FsChunks {
	/// Opens the store in a folder, creating both if there are none, and removes what a crash left
	/// half-written.
	///
	/// # Errors
	/// [`OpenChunksError::InUse`] while another has it open, [`OpenChunksError::Format`] if it is of a
	/// later version, [`OpenChunksError::NotAStore`] if the folder holds other files.
	pub fn open(folder: impl Into<PathBuf>) -> Result<Self, OpenChunksError> {
		let folder = folder.into();
		disk::create_folders(&folder).map_err(|source| open_error("create", &folder, source))?;
		let lock = OwnerLock::take(&folder).map_err(|error| match error {
			OwnerLockError::Taken => OpenChunksError::InUse { path: folder.clone() },
			OwnerLockError::Io(source) => open_error("lock", &folder, source),
		})?;
		let is_complete = check_format(&folder)?;
		// Also those that somebody removed: their chunks are missing, and others can be written.
		create_layout(&folder)?;
		if !is_complete {
			write_format(&folder)?;
		}
		clear_incoming(&folder.join(INCOMING))?;
		Ok(Self { folder, _lock: lock })
	}

	fn shard(&self, shard: u8) -> PathBuf {
		self.folder.join(shard_name(shard))
	}

	fn path(&self, hash: &Multihash) -> PathBuf {
		let bytes = hash.to_bytes();
		self.shard(shard_of(&bytes)).join(hex::encode(bytes))
	}

	fn write_temporary(&self, block: &Block) -> io::Result<TempPath> {
		let mut file = tempfile::Builder::new()
			.prefix("")
			.tempfile_in(self.folder.join(INCOMING))?;
		file.write_all(block.data())?;
		disk::wrote(file.path());
		Ok(file.into_temp_path())
	}

	/// Gives a chunk its name.
	fn name(&self, temporary: TempPath, path: &Path) -> Result<(), ChunkError> {
		let named = match disk::persist(temporary, path) {
			Err(error) if error.error.kind() == io::ErrorKind::IsADirectory => {
				self.move_aside(path)?;
				disk::persist(error.path, path)
			}
			named => named,
		};
		named.map_err(|error| ChunkError::from_io("name", path, error.error))
	}

	/// Moves a folder that has a chunk's name out of the way. The store did not make it, so it is not the
	/// store's to remove.
	fn move_aside(&self, path: &Path) -> Result<(), ChunkError> {
		let foreign = self.folder.join(FOREIGN);
		let move_it = || -> io::Result<()> {
			disk::create_folder(&foreign)?;
			let place = tempfile::Builder::new().prefix("").tempdir_in(&foreign)?;
			disk::rename(path, &place.path().join("folder"))?;
			let place = place.keep();
			for folder in [&place, &foreign, &self.folder] {
				disk::sync(folder)?;
			}
			tracing::warn!(
				from = %path.display(),
				to = %place.display(),
				"a folder had the name of a chunk and was moved aside"
			);
			Ok(())
		};
		move_it().map_err(|error| ChunkError::from_io("move aside", path, error))
	}

	/// Opened before anything is written that is synced through it: see [`FileSystem`].
	fn file_system(&self) -> Result<FileSystem, ChunkError> {
		FileSystem::open(&self.folder).map_err(|error| ChunkError::from_io("open", &self.folder, error))
	}

	fn sync<'a>(
		&self,
		file_system: &FileSystem,
		paths: impl ExactSizeIterator<Item = &'a Path>,
	) -> Result<(), ChunkError> {
		file_system
			.sync_all(paths)
			.map_err(|error| ChunkError::from_io("sync", &self.folder, error))
	}

	/// Syncs folders that gained or lost names.
	fn sync_shards(&self, file_system: &FileSystem, shards: &BTreeSet<u8>) -> Result<(), ChunkError> {
		let folders: Vec<_> = shards.iter().map(|shard| self.shard(*shard)).collect();
		self.sync(file_system, folders.iter().map(PathBuf::as_path))
	}
}

impl ChunkStore for FsChunks {
	fn get(&self, cid: &Cid) -> Result<Option<Block>, ChunkError> {
		if !is_readable(cid) {
			return Ok(None);
		}
		let path = self.path(cid.hash());
		// What is no file is damage: it is neither followed nor waited for.
		let file = match OpenOptions::new()
			.read(true)
			.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32)
			.open(&path)
		{
			Ok(file) => file,
			Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
			Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
				return Err(ChunkError::Damaged { cid: *cid });
			}
			Err(error) => return Err(ChunkError::from_io("open", &path, error)),
		};
		let metadata = file
			.metadata()
			.map_err(|error| ChunkError::from_io("read", &path, error))?;
		let size = metadata.len();
		if !metadata.is_file() || size > MAX_CHUNK_BYTES as u64 {
			return Err(ChunkError::Damaged { cid: *cid });
		}
		let mut data = Vec::with_capacity(size as usize);
		file.take(size)
			.read_to_end(&mut data)
			.map_err(|error| ChunkError::from_io("read", &path, error))?;
		check_read(cid, data).map(Some)
	}

	fn has(&self, cid: &Cid) -> Result<bool, ChunkError> {
		if !is_readable(cid) {
			return Ok(false);
		}
		let path = self.path(cid.hash());
		path.try_exists()
			.map_err(|error| ChunkError::from_io("find", &path, error))
	}

	fn put_many(&self, blocks: &[Block]) -> Result<(), ChunkError> {
		check_writable(blocks)?;
		let file_system = self.file_system()?;
		let mut seen = HashSet::with_capacity(blocks.len());
		let mut written = Vec::with_capacity(blocks.len());
		for block in blocks {
			let hash = *block.cid().hash();
			if seen.insert(hash) {
				let temporary = self
					.write_temporary(block)
					.map_err(|error| ChunkError::from_io("write", &self.path(&hash), error))?;
				written.push((temporary, hash));
				fault_injection::reached("fs:temporary");
			}
		}
		self.sync(&file_system, written.iter().map(|(temporary, _)| &**temporary))?;
		fault_injection::reached("fs:synced");
		let mut shards = BTreeSet::new();
		for (temporary, hash) in written {
			let path = self.path(&hash);
			self.name(temporary, &path)?;
			shards.insert(shard_of(&hash.to_bytes()));
			fault_injection::reached("fs:renamed");
		}
		self.sync_shards(&file_system, &shards)
	}

	fn delete_many(&self, hashes: &[Multihash]) -> Result<(), ChunkError> {
		let file_system = self.file_system()?;
		let mut shards = BTreeSet::new();
		// One that cannot be removed keeps none from being removed for good.
		let mut failure = None;
		for hash in hashes {
			let path = self.path(hash);
			let removed = match disk::remove_file(&path) {
				Ok(()) => {
					fault_injection::reached("fs:removed");
					Ok(())
				}
				// Perhaps by a call that could not sync the folder.
				Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
				Err(error) if error.kind() == io::ErrorKind::IsADirectory => self.move_aside(&path),
				Err(error) => Err(ChunkError::from_io("remove", &path, error)),
			};
			match removed {
				Ok(()) => {
					shards.insert(shard_of(&hash.to_bytes()));
				}
				Err(error) => {
					failure.get_or_insert(error);
				}
			}
		}
		self.sync_shards(&file_system, &shards)?;
		failure.map_or(Ok(()), Err)
	}

	fn list(&self, visit: &mut dyn FnMut(ListedChunk) -> ControlFlow<()>) -> Result<(), ChunkError> {
		// A folder that cannot be read keeps nobody from seeing the others.
		let mut failure = None;
		for shard in 0..=u8::MAX {
			let folder = self.shard(shard);
			match list_folder(&folder, visit) {
				Ok(ControlFlow::Continue(())) => {}
				Ok(ControlFlow::Break(())) => return Ok(()),
				Err(error) => {
					failure.get_or_insert(ChunkError::from_io("list", &folder, error));
				}
			}
		}
		failure.map_or(Ok(()), Err)
	}

	fn kind(&self) -> &'static str {
		"fs"
	}
}

fn list_folder(
	folder: &Path,
	visit: &mut dyn FnMut(ListedChunk) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
	for entry in fs::read_dir(folder)? {
		let entry = entry?;
		let Some(hash) = entry.file_name().to_str().and_then(parse_name) else {
			continue;
		};
		let size = match entry.metadata() {
			Ok(metadata) => metadata.len(),
			Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
			Err(error) => return Err(error),
		};
		if visit(ListedChunk { hash, size }).is_break() {
			return Ok(ControlFlow::Break(()));
		}
	}
	Ok(ControlFlow::Continue(()))
}

fn shard_name(shard: u8) -> String {
	format!("{shard:02x}")
}

fn shard_of(multihash: &[u8]) -> u8 {
	// A multihash has at least two bytes, code and length.
	multihash.last().copied().unwrap_or(0)
}

/// The hash that a file is named after; `None` for files that the store did not write.
fn parse_name(name: &str) -> Option<Multihash> {
	Multihash::from_bytes(&hex::decode(name).ok()?).ok()
}

fn open_error(action: &'static str, path: &Path, source: io::Error) -> OpenChunksError {
	OpenChunksError::Io {
		action,
		path: path.to_owned(),
		source,
	}
}

/// Whether the folder is a store of this format; `false` if it is empty or was not finished.
fn check_format(folder: &Path) -> Result<bool, OpenChunksError> {
	let path = folder.join(FORMAT_FILE);
	match fs::read_to_string(&path) {
		Ok(text) => {
			let found = text.trim_end();
			let version = found
				.strip_prefix(FORMAT_PREFIX)
				.and_then(|version| version.parse().ok());
			match version {
				Some(FORMAT) => Ok(true),
				_ => Err(OpenChunksError::Format {
					path: folder.to_owned(),
					found: found.chars().take(64).collect(),
					known: FORMAT,
				}),
			}
		}
		Err(error) if error.kind() == io::ErrorKind::NotFound => {
			let ours = |name: &str| {
				name == "LOCK"
					|| name == INCOMING
					|| name == FOREIGN
					|| (name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
			};
			let failed = |source| open_error("list", folder, source);
			for entry in fs::read_dir(folder).map_err(failed)? {
				if !entry.map_err(failed)?.file_name().to_str().is_some_and(ours) {
					return Err(OpenChunksError::NotAStore {
						path: folder.to_owned(),
					});
				}
			}
			Ok(false)
		}
		Err(source) => Err(open_error("read", &path, source)),
	}
}

/// Makes the folders that are not there.
fn create_layout(folder: &Path) -> Result<(), OpenChunksError> {
	let shards = (0..=u8::MAX).map(shard_name);
	let mut created = false;
	for name in shards.chain([INCOMING.to_owned()]) {
		let path = folder.join(name);
		created |= disk::create_folder(&path).map_err(|source| open_error("create", &path, source))?;
	}
	if created {
		disk::sync(folder).map_err(|source| open_error("sync", folder, source))?;
	}
	Ok(())
}

/// Writes the file that says that the folders are there.
fn write_format(folder: &Path) -> Result<(), OpenChunksError> {
	let path = folder.join(FORMAT_FILE);
	let write = || -> io::Result<()> {
		let mut file = tempfile::NamedTempFile::new_in(folder.join(INCOMING))?;
		writeln!(file, "{FORMAT_PREFIX}{FORMAT}")?;
		disk::wrote(file.path());
		disk::sync(file.path())?;
		disk::persist(file.into_temp_path(), &path).map_err(|error| error.error)?;
		disk::sync(folder)
	};
	write().map_err(|source| open_error("write", &path, source))
}

fn clear_incoming(incoming: &Path) -> Result<(), OpenChunksError> {
	let failed = |source| open_error("clear", incoming, source);
	for entry in fs::read_dir(incoming).map_err(failed)? {
		fs::remove_file(entry.map_err(failed)?.path()).map_err(failed)?;
	}
	Ok(())
}
