//! Where a provider keeps pieces and sectors.
//!
//! ```text
//! <root>/pieces/<CommP>-<size>-<payload>.car   raw payload, as uploaded
//! <root>/pieces/<CommP>-<size>-<payload>.rows  upper rows of the piece's tree
//! <root>/sectors/<number>/sector.json          what the sector is made of
//! <root>/sectors/<number>/replica, replica.rows, columns.rows, layers/
//! <root>/sectors/<number>/unsealing/            the sector's key, or layers on the way to it
//! <root>/graphs/<porep_id>.parents             shared by the sealed sectors of a proof type
//! <root>/incoming/                             files that are not finished
//! ```
//! There is one copy of a piece, its payload: retrieval serves it, the hot tier proves from it, and
//! sealing reads it. Where it is gone and a replica is left, its bytes are decoded by the sector's key. Files get their name when they are complete and synced. `incoming` is emptied
//! when the store is opened.

mod checking;
mod pieces;
mod sealing;
mod sectors;
mod unsealing;

pub use pieces::{HashedUpload, PieceWriter};
pub use sectors::HotRequest;
pub use unsealing::KeyedSector;

use crate::{data::PieceFolder, durable, error::ProveError, sector::PackError};
use cairn_primitives::{PieceInfo, SectorNumber};
use std::{
	collections::HashSet,
	fs::{self, File, TryLockError},
	io,
	path::{Path, PathBuf},
	sync::{Arc, Condvar, Mutex, PoisonError},
};

/// Why the store refuses.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
	/// Another process has the store open.
	#[error("{} is in use by another process", root.display())]
	Locked {
		/// The store's folder.
		root: PathBuf,
	},
	/// The payload is not the expected piece.
	#[error("the payload is {} instead of {}", describe(found), describe(expected))]
	PieceMismatch {
		/// What the deal says.
		expected: Box<PieceInfo>,
		/// What the payload is.
		found: Box<PieceInfo>,
	},
	/// A piece without payload.
	#[error("a piece needs at least one byte of payload")]
	EmptyPiece,
	/// The payload exceeds the piece or the largest sector.
	#[error("the payload of {payload_size} bytes exceeds the piece")]
	PieceTooLarge {
		/// Bytes of payload.
		payload_size: u64,
	},
	/// Data that the sector needs is not in the store, or not intact.
	#[error(transparent)]
	Piece(ProveError),
	/// The pieces do not fit the sector.
	#[error(transparent)]
	Pack(#[from] PackError),
	/// The proof type belongs to the other tier.
	#[error("the proof type belongs to the other tier")]
	WrongTier,
	/// The sector does not exist.
	#[error("sector {0} does not exist")]
	NoSuchSector(SectorNumber),
	/// The number is taken by a sector with other contents.
	#[error("sector {0} exists with other contents")]
	OtherSector(SectorNumber),
	/// The sector is not sealed yet and cannot be proven.
	#[error("sector {0} is not sealed yet")]
	NotSealed(SectorNumber),
	/// The sector is being sealed, unsealed or removed.
	#[error("sector {0} is being worked on")]
	Busy(SectorNumber),
	/// A sector's manifest is damaged or of a newer format.
	#[error("{}: {source}", path.display())]
	Manifest {
		/// The manifest.
		path: PathBuf,
		/// Why it cannot be read.
		source: serde_json::Error,
	},
	/// The file system failed.
	#[error("{}: {source}", path.display())]
	Io {
		/// The file or folder.
		path: PathBuf,
		/// Why.
		source: io::Error,
	},
}

/// A piece in a message.
fn describe(piece: &PieceInfo) -> String {
	format!(
		"piece {} of {} bytes padded to {}",
		hex::encode(piece.commitment),
		piece.payload_size,
		piece.padded_size()
	)
}

/// Adds the path to an I/O error.
fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> StoreError {
	let path = path.into();
	move |source| StoreError::Io { path, source }
}

/// The store. Clones share it.
#[derive(Clone, Debug)]
pub struct SectorStore {
	inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
	root: PathBuf,
	pieces: PieceFolder,
	busy: Mutex<HashSet<SectorNumber>>,
	/// Notified when a sector is free again.
	freed: Condvar,
	/// Locked as long as the store is open.
	_lock: File,
}

impl SectorStore {
	/// Opens the store in `root`, or creates it. Removes what was left unfinished.
	///
	/// # Errors
	/// [`StoreError::Locked`] if another process has it open; [`StoreError::Io`].
	pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
		let root = root.into();
		fs::create_dir_all(&root).map_err(at(&root))?;
		let lock_path = root.join("lock");
		let lock = File::create(&lock_path).map_err(at(&lock_path))?;
		match lock.try_lock() {
			Ok(()) => {}
			Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { root }),
			Err(TryLockError::Error(e)) => return Err(at(lock_path)(e)),
		}
		let incoming = root.join("incoming");
		match fs::remove_dir_all(&incoming) {
			Err(e) if e.kind() == io::ErrorKind::NotFound => {}
			other => other.map_err(at(&incoming))?,
		}
		for name in ["incoming", "pieces", "sectors", "graphs"] {
			let path = root.join(name);
			durable::create_dir(&path).map_err(at(path))?;
		}
		let pieces = PieceFolder(root.join("pieces"));
		let store = SectorStore {
			inner: Arc::new(Inner {
				root,
				pieces,
				busy: Mutex::default(),
				freed: Condvar::new(),
				_lock: lock,
			}),
		};
		store.remove_all_lone_rows()?;
		Ok(store)
	}

	/// The store's folder.
	pub fn root(&self) -> &Path {
		&self.inner.root
	}

	fn incoming(&self) -> PathBuf {
		self.inner.root.join("incoming")
	}

	/// Reserves a sector for one piece of work.
	fn reserve(&self, sector: SectorNumber) -> Result<Reservation, StoreError> {
		// A panic elsewhere leaves the set as it was: the guard that panicked frees its own entry.
		let mut busy = self.inner.busy.lock().unwrap_or_else(PoisonError::into_inner);
		if !busy.insert(sector) {
			return Err(StoreError::Busy(sector));
		}
		Ok(Reservation {
			store: self.clone(),
			sector,
		})
	}

	/// As [`Self::reserve`], but waits until the sector is free.
	fn reserve_when_free(&self, sector: SectorNumber) -> Reservation {
		let busy = self.inner.busy.lock().unwrap_or_else(PoisonError::into_inner);
		let mut busy = self
			.inner
			.freed
			.wait_while(busy, |busy| busy.contains(&sector))
			.unwrap_or_else(PoisonError::into_inner);
		busy.insert(sector);
		Reservation {
			store: self.clone(),
			sector,
		}
	}
}

/// Frees the sector when dropped.
struct Reservation {
	store: SectorStore,
	sector: SectorNumber,
}

impl Drop for Reservation {
	fn drop(&mut self) {
		let mut busy = self
			.store
			.inner
			.busy
			.lock()
			.unwrap_or_else(PoisonError::into_inner);
		busy.remove(&self.sector);
		self.store.inner.freed.notify_all();
	}
}
