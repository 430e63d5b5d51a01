//! Opening a repository, and what is done after a crash.

use super::{
	chunk_locks::ChunkLocks,
	fsck::{FsckError, FsckOptions, FsckReport, Strays},
	metadata::{self, DatasetState, Metadata, MetadataError, Tables, Total, Wraps},
	worker::Bell,
	Inner, Repo, Ttl,
};
use crate::{
	chunks::OpenChunksError,
	disk, fault_injection,
	owner_lock::{OwnerLock, OwnerLockError},
	quota::Ledger,
	CachedChunks, ChunkStore, Clock, FsChunks, MemoryChunks, SqliteChunks, SystemClock,
};
use redb::ReadableTable;
use std::{
	io,
	num::NonZeroU64,
	path::{Path, PathBuf},
	sync::{atomic::AtomicBool, Arc, Mutex, RwLock},
};

const METADATA_FILE: &str = "metadata.redb";
const CHUNKS_FOLDER: &str = "chunks";
const CHUNKS_FILE: &str = "chunks.sqlite";
const DEFAULT_TTL: Ttl = Ttl::Seconds(NonZeroU64::new(30 * 24 * 60 * 60).unwrap());
/// Setting that names the chunk store's implementation.
const CHUNK_STORE: &str = "chunk_store";

/// How a repository is set up.
#[derive(Clone)]
pub struct RepoConfig {
	/// Most bytes of blocks to keep, reservations included.
	pub quota: u64,
	/// For how long datasets are kept that do not say.
	pub default_ttl: Ttl,
	/// Where chunks are kept. A repository keeps the one it was created with.
	pub backend: Backend,
	/// Bytes of chunks that were read to keep in memory; 0 for none.
	pub read_cache: usize,
	/// Bytes of the database's pages to keep in memory.
	pub metadata_cache: usize,
	/// Bytes of blocks that an upload collects before it writes them.
	pub batch_bytes: usize,
	/// Most blocks of a dataset that gives its references back in the transaction that deletes it. Larger
	/// ones turn invisible in it and are released step by step; readers may have to look at each of those
	/// until then, so that there should not be many at a time.
	pub release_at_once: usize,
	/// Bytes that uploads leave free on the disk. A database on a disk without a free byte cannot even
	/// record a deletion.
	pub disk_reserve: u64,
	/// When to compare database and chunks while opening.
	pub startup_check: StartupCheck,
	/// What datasets expire by.
	pub clock: Arc<dyn Clock>,
}

impl Default for RepoConfig {
	/// 20 GiB, 30 days, files, and about 100 MiB of memory.
	fn default() -> Self {
		Self {
			quota: 20 << 30,
			default_ttl: DEFAULT_TTL,
			backend: Backend::Fs,
			read_cache: 32 << 20,
			metadata_cache: 64 << 20,
			batch_bytes: 8 << 20,
			release_at_once: 256,
			disk_reserve: 64 << 20,
			startup_check: StartupCheck::AfterCrash,
			clock: Arc::new(SystemClock),
		}
	}
}

impl std::fmt::Debug for RepoConfig {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		f.debug_struct("RepoConfig")
			.field("quota", &self.quota)
			.field("default_ttl", &self.default_ttl)
			.field("backend", &self.backend)
			.finish_non_exhaustive()
	}
}

/// Where chunks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
	/// A file per chunk.
	Fs,
	/// A SQLite database.
	Sqlite,
}

impl Backend {
	/// As [`ChunkStore::kind`] says it.
	fn kind(self) -> &'static str {
		match self {
			Self::Fs => "fs",
			Self::Sqlite => "sqlite",
		}
	}
}

/// When to compare database and chunks while opening ([`Repo::fsck`], without reading the chunks).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartupCheck {
	/// Never. A check that is due after a crash stays due.
	Skip,
	/// If the last process did not close the repository.
	AfterCrash,
	/// Always.
	Always,
}

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
	/// The last process did not close the repository.
	pub after_crash: bool,
	/// Uploads that were not finished and do not outlive their process. Their blocks are collected.
	pub unfinished_uploads: u64,
	/// What the check found and mended, if there was one. Chunks that no block refers to stay: an explicit
	/// check removes them.
	pub check: Option<FsckReport>,
}

impl Wraps for OpenError {
	fn metadata(&self) -> Option<&MetadataError> {
		match self {
			Self::Metadata(error) => Some(error),
			_ => None,
		}
	}
}

/// Why a repository cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
	/// Another process, or this one, has it open.
	#[error("the block store {} is in use by another process", path.display())]
	InUse {
		/// Its folder.
		path: PathBuf,
	},
	/// It was written by a later version.
	#[error("the block store {} has format {found}, this program knows format {}: upgrade it", path.display(), metadata::FORMAT)]
	Newer {
		/// Its folder.
		path: PathBuf,
		/// Its format.
		found: u64,
	},
	/// It was created over another kind of chunk store.
	#[error("the block store {} keeps its chunks in `{found}`, not in `{expected}`", path.display())]
	OtherBackend {
		/// Its folder.
		path: PathBuf,
		/// What it was created with.
		found: String,
		/// What it was opened with.
		expected: &'static str,
	},
	/// There are chunks, and the database that says what they are is gone.
	#[error(
		"{} is missing, and its chunks are there: restore it from a copy, or remove the chunks",
		path.display()
	)]
	NoDatabase {
		/// The file.
		path: PathBuf,
	},
	/// The operating system refused.
	#[error("cannot open the block store {}", path.display())]
	Io {
		/// The folder or file.
		path: PathBuf,
		/// Why.
		source: io::Error,
	},
	/// The database cannot be opened.
	#[error("cannot open the metadata database {}", path.display())]
	Database {
		/// The file.
		path: PathBuf,
		/// Why.
		source: Box<redb::DatabaseError>,
	},
	/// The database cannot be read or written.
	#[error(transparent)]
	Metadata(#[from] MetadataError),
	/// The chunk store cannot be opened.
	#[error(transparent)]
	Chunks(#[from] OpenChunksError),
	/// The database could not be checked.
	#[error("checking the block store failed")]
	Check(#[from] FsckError),
}

impl Repo {
	/// Opens the repository in a folder, creating both if there are none. What a crash left behind is
	/// set right: see [`Recovery`].
	///
	/// # Errors
	/// [`OpenError::InUse`] while another has it open, [`OpenError::Newer`] for a later format,
	/// [`OpenError::OtherBackend`] for another kind of chunk store, [`OpenError::NoDatabase`] if there
	/// are chunks without a database.
	pub fn open(folder: impl AsRef<Path>, config: &RepoConfig) -> Result<(Self, Recovery), OpenError> {
		let folder = folder.as_ref();
		let lock = own(folder)?;
		let metadata = open_metadata(folder, config)?;
		// Before a folder or file for chunks is created.
		let kind = config.backend.kind();
		metadata.write(|tables| check_format(tables, folder, kind))?;
		let disk: Arc<dyn ChunkStore> = match config.backend {
			Backend::Fs => Arc::new(FsChunks::open(folder.join(CHUNKS_FOLDER))?),
			Backend::Sqlite => Arc::new(SqliteChunks::open(folder.join(CHUNKS_FILE))?),
		};
		Self::recover(folder, config, metadata, disk, Some(lock))
	}

	/// As [`open`](Self::open), over a chunk store of the caller's; `config.backend` is ignored.
	///
	/// # Errors
	/// As [`open`](Self::open).
	pub fn open_with(
		folder: impl AsRef<Path>,
		config: &RepoConfig,
		chunks: Arc<dyn ChunkStore>,
	) -> Result<(Self, Recovery), OpenError> {
		let folder = folder.as_ref();
		let lock = own(folder)?;
		let metadata = open_metadata(folder, config)?;
		Self::recover(folder, config, metadata, chunks, Some(lock))
	}

	/// A repository that ends with the process: for tests, and for nodes that keep nothing.
	///
	/// # Errors
	/// If there is no memory for the database.
	pub fn in_memory(config: &RepoConfig) -> Result<Self, OpenError> {
		Self::in_memory_with(config, Arc::new(MemoryChunks::new()))
	}

	/// As [`in_memory`](Self::in_memory), over a chunk store of the caller's.
	///
	/// # Errors
	/// As [`in_memory`](Self::in_memory).
	pub fn in_memory_with(config: &RepoConfig, chunks: Arc<dyn ChunkStore>) -> Result<Self, OpenError> {
		let metadata = Metadata::in_memory(config.metadata_cache).map_err(|source| OpenError::Database {
			path: PathBuf::new(),
			source: Box::new(source),
		})?;
		Ok(Self::recover(Path::new(""), config, metadata, chunks, None)?.0)
	}

	fn recover(
		folder: &Path,
		config: &RepoConfig,
		metadata: Metadata,
		disk: Arc<dyn ChunkStore>,
		lock: Option<OwnerLock>,
	) -> Result<(Self, Recovery), OpenError> {
		let mut recovery = Recovery::default();
		let used = metadata.write(|tables| -> Result<u64, OpenError> {
			check_format(tables, folder, disk.kind())?;
			recovery.after_crash = tables.total(Total::Unclean)? != 0;
			tables.set_total(Total::Unclean, 1)?;
			recovery.unfinished_uploads = abandon_uploads(tables, config.release_at_once)?;
			Ok(tables.total(Total::UsedBytes)?)
		})?;
		fault_injection::reached("open:recovered");
		let chunks: Box<dyn ChunkStore> = match config.read_cache {
			0 => Box::new(disk.clone()),
			bytes => Box::new(CachedChunks::new(disk.clone(), bytes)),
		};
		let repo = Self {
			inner: Arc::new(Inner {
				metadata,
				chunks,
				disk,
				ledger: Ledger::new(config.quota, used),
				locks: ChunkLocks::default(),
				clock: config.clock.clone(),
				default_ttl: config.default_ttl,
				batch_bytes: config.batch_bytes,
				release_at_once: config.release_at_once,
				disk_reserve: config.disk_reserve,
				folder: lock.is_some().then(|| folder.to_owned()),
				writing: RwLock::new(()),
				bell: Bell::default(),
				given_up: Mutex::default(),
				lasting: Mutex::default(),
				consistent: AtomicBool::new(!recovery.after_crash),
				_lock: lock,
			}),
		};
		let check = match config.startup_check {
			StartupCheck::Skip => false,
			StartupCheck::AfterCrash => recovery.after_crash,
			StartupCheck::Always => true,
		};
		if check {
			recovery.check = Some(repo.check(FsckOptions::default(), Strays::Keep)?);
		}
		Ok((repo, recovery))
	}
}

impl Drop for Inner {
	fn drop(&mut self) {
		if !*self.consistent.get_mut() {
			// Not checked since a crash, or the check failed: that is still to be done.
			return;
		}
		let closed = self.metadata.write(|tables| tables.set_total(Total::Unclean, 0));
		if let Err(error) = closed {
			// The next start takes it for a crash, and checks.
			tracing::warn!(%error, "the block store could not be closed");
		}
	}
}

fn own(folder: &Path) -> Result<OwnerLock, OpenError> {
	disk::create_folders(folder).map_err(|source| OpenError::Io {
		path: folder.to_owned(),
		source,
	})?;
	OwnerLock::take(folder).map_err(|error| match error {
		OwnerLockError::Taken => OpenError::InUse {
			path: folder.to_owned(),
		},
		OwnerLockError::Io(source) => OpenError::Io {
			path: folder.to_owned(),
			source,
		},
	})
}

fn open_metadata(folder: &Path, config: &RepoConfig) -> Result<Metadata, OpenError> {
	let path = folder.join(METADATA_FILE);
	let exists = path.try_exists().map_err(|source| OpenError::Io {
		path: path.clone(),
		source,
	})?;
	let opened = match exists {
		true => Metadata::open(&path, config.metadata_cache),
		// Chunks come after the database. Without it they would all be strays.
		false if folder.join(CHUNKS_FOLDER).exists() || folder.join(CHUNKS_FILE).exists() => {
			return Err(OpenError::NoDatabase { path });
		}
		false => Metadata::create(&path, config.metadata_cache),
	};
	let metadata = opened.map_err(|source| match source {
		redb::DatabaseError::DatabaseAlreadyOpen => OpenError::InUse {
			path: folder.to_owned(),
		},
		source => OpenError::Database {
			path: path.clone(),
			source: Box::new(source),
		},
	})?;
	if !exists {
		sync_folder(folder)?;
	}
	Ok(metadata)
}

fn sync_folder(folder: &Path) -> Result<(), OpenError> {
	disk::sync(folder).map_err(|source| OpenError::Io {
		path: folder.to_owned(),
		source,
	})
}

/// Refuses other formats and chunk stores; notes ours in a new database.
fn check_format(tables: &mut Tables<'_>, folder: &Path, kind: &'static str) -> Result<(), OpenError> {
	let found = tables.total(Total::Format)?;
	if found < metadata::FORMAT {
		// What version 1 wrote has the same meaning in version 2.
		tables.set_total(Total::Format, metadata::FORMAT)?;
	}
	if found == 0 {
		tables
			.settings
			.insert(CHUNK_STORE, kind)
			.map_err(MetadataError::from)?;
		return Ok(());
	}
	if found > metadata::FORMAT {
		return Err(OpenError::Newer {
			path: folder.to_owned(),
			found,
		});
	}
	let recorded = tables
		.settings
		.get(CHUNK_STORE)
		.map_err(MetadataError::from)?
		.map(|recorded| recorded.value().to_owned());
	match recorded {
		Some(recorded) if recorded == kind => Ok(()),
		recorded => Err(OpenError::OtherBackend {
			path: folder.to_owned(),
			found: recorded.unwrap_or_default(),
			expected: kind,
		}),
	}
}

/// Uploads of processes that are gone: nobody will commit them. Those that outlive their process stay: see
/// [`Repo::unfinished`].
fn abandon_uploads(tables: &mut Tables<'_>, at_once: usize) -> Result<u64, MetadataError> {
	let mut unfinished = Vec::new();
	for entry in tables.hidden.iter()? {
		let (number, state) = entry?;
		if DatasetState::decode(state.value())? == DatasetState::Uploading {
			unfinished.push(number.value());
		}
	}
	let mut abandoned = 0;
	for number in &unfinished {
		// Without a row there is nothing to abandon; `fsck`, which needs an open repository, removes the
		// entry.
		let row = tables.dataset(*number)?;
		if let Some(row) = row.filter(|row| row.root.is_none()) {
			tables.delete_dataset(*number, row, at_once)?;
			abandoned += 1;
		}
	}
	Ok(abandoned)
}
