//! The embedded database: deals, sectors, pieces, the block index.
//!
//! One `redb` file. Every change is one transaction that is on disk when the call returns, so the
//! state machines can store a decision before acting on it. The file carries its format's version,
//! the chain's genesis hash and the provider's owner; one of another chain or owner is refused. After
//! a failure of the disk it is opened again (`reopening.rs`).
//!
//! Calls block for a commit's fsync (milliseconds): from async code go through [`Store::run`].

mod blocks;
mod deals;
mod error;
mod format;
mod pieces;
mod reopening;
mod sectors;
mod tables;

pub use blocks::{BlockLocation, IndexBatch};
pub use deals::Page;
pub use error::StoreError;
pub use format::claim_storage;
pub use pieces::PieceRecord;

use crate::chain::AccountId;
use codec::{Decode, Encode};
use redb::ReadableTable;
use reopening::ReopeningDatabase;
use std::{
	path::Path,
	sync::{atomic::AtomicU64, Arc},
};
use tables::META;

/// Memory for the database's pages.
const CACHE_BYTES: usize = 64 << 20;

/// The database. Clones share it.
#[derive(Clone)]
pub struct Store {
	db: Arc<ReopeningDatabase>,
	/// See [`Store::needs_generation`].
	needs_generation: Arc<AtomicU64>,
}

/// What a database belongs to.
#[derive(Encode, Decode, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
	/// Hash of the chain's first block.
	pub genesis_hash: [u8; 32],
	/// The provider's owner.
	pub owner: AccountId,
}

impl Store {
	/// Opens the database, creating it if there is none.
	///
	/// # Errors
	/// [`StoreError::Newer`] and [`StoreError::Older`] for a file of another format,
	/// [`StoreError::OtherChain`] and [`StoreError::OtherOwner`] for one that belongs elsewhere,
	/// [`StoreError::InUse`] if another process has it open.
	pub fn open(path: &Path, identity: &Identity) -> Result<Store, StoreError> {
		let store = Self::open_file(path)?;
		match format::check(&store, path)? {
			Some(found) => identity.check(path, &found)?,
			None => format::stamp(&store, identity)?,
		}
		Ok(store)
	}

	/// Opens an existing database for reading what it says, whatever it belongs to.
	///
	/// # Errors
	/// [`StoreError::Missing`], [`StoreError::InUse`], [`StoreError::Newer`], [`StoreError::Older`].
	pub fn inspect(path: &Path) -> Result<(Store, Identity), StoreError> {
		if !path.exists() {
			return Err(StoreError::Missing {
				path: path.to_owned(),
			});
		}
		let store = Self::open_file(path)?;
		let identity = format::check(&store, path)?.ok_or_else(|| StoreError::Missing {
			path: path.to_owned(),
		})?;
		Ok((store, identity))
	}

	fn open_file(path: &Path) -> Result<Store, StoreError> {
		Ok(Store {
			db: Arc::new(ReopeningDatabase::open(path)?),
			needs_generation: Arc::default(),
		})
	}

	/// Runs `work` where it may block.
	///
	/// # Errors
	/// Those of `work`; [`StoreError::Interrupted`] if the process is shutting down.
	pub async fn run<T: Send + 'static>(
		&self,
		work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
	) -> Result<T, StoreError> {
		let store = self.clone();
		tokio::task::spawn_blocking(move || work(&store))
			.await
			.map_err(|_| StoreError::Interrupted)?
	}

	fn write(&self) -> Result<redb::WriteTransaction, StoreError> {
		self.db.begin_write()
	}

	fn read(&self) -> Result<redb::ReadTransaction, StoreError> {
		self.db.begin_read()
	}

	/// A value of the table of single values.
	fn meta<T: Decode>(&self, key: &str) -> Result<Option<T>, StoreError> {
		single_value(&self.read()?.open_table(META)?, key)
	}

	fn set_meta<T: Encode>(&self, key: &str, value: &T) -> Result<(), StoreError> {
		let write = self.write()?;
		write.open_table(META)?.insert(key, value.encode().as_slice())?;
		write.commit()?;
		Ok(())
	}

	/// Measured seconds of sealing per byte; none before the first seal.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn seal_seconds_per_byte(&self) -> Result<Option<f64>, StoreError> {
		Ok(self.meta::<u64>("seal_rate")?.map(f64::from_bits))
	}

	/// Stores a measurement of sealing.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn set_seal_seconds_per_byte(&self, rate: f64) -> Result<(), StoreError> {
		self.set_meta("seal_rate", &rate.to_bits())
	}

	/// A finalized block that was seen, at most some blocks older than the latest; 0 in a new database.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn noted_finalized(&self) -> Result<u32, StoreError> {
		Ok(self.meta("finalized")?.unwrap_or(0))
	}

	/// Notes a finalized block that was seen.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn note_finalized(&self, block: u32) -> Result<(), StoreError> {
		self.set_meta("finalized", &block)
	}

	/// The deadline (period, index) for which a windowed proof was last sent, and the block until
	/// which it may be on its way.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn window_sent(&self) -> Result<Option<((u64, u32), u32)>, StoreError> {
		self.meta("window_sent")
	}

	/// Notes that a windowed proof is about to be sent.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn set_window_sent(&self, window: (u64, u32), until: u32) -> Result<(), StoreError> {
		self.set_meta("window_sent", &(window, until))
	}
}

/// Looks a record up in one table after the other: among the open ones, then among the closed ones. Tables come
/// with the names that errors give them.
fn find<'k, K: redb::Key + 'static, T: Decode>(
	tables: [(&'static str, impl ReadableTable<K, &'static [u8]>); 2],
	key: &K::SelfType<'k>,
) -> Result<Option<T>, StoreError> {
	for (name, table) in tables {
		let found = table.get(key)?;
		if let Some(bytes) = found {
			return decode(name, bytes.value()).map(Some);
		}
	}
	Ok(None)
}

/// A value of the table of single values.
fn single_value<T: Decode>(
	meta: &impl ReadableTable<&'static str, &'static [u8]>,
	key: &str,
) -> Result<Option<T>, StoreError> {
	let found = meta.get(key)?;
	found.map(|bytes| decode("meta", bytes.value())).transpose()
}

fn decode<T: Decode>(table: &'static str, mut bytes: &[u8]) -> Result<T, StoreError> {
	T::decode(&mut bytes).map_err(|_| StoreError::Corrupt { table })
}

#[cfg(test)]
pub(crate) mod tests {
	use super::*;

	pub fn identity() -> Identity {
		Identity {
			genesis_hash: [1; 32],
			owner: [3; 32],
		}
	}

	pub fn store() -> (Store, tempfile::TempDir) {
		let dir = tempfile::tempdir().unwrap();
		let store = Store::open(&dir.path().join("provider.redb"), &identity()).unwrap();
		(store, dir)
	}

	#[test]
	fn a_database_of_another_chain_or_owner_is_refused() {
		let dir = tempfile::tempdir().unwrap();
		let path = dir.path().join("provider.redb");
		drop(Store::open(&path, &identity()).unwrap());
		drop(Store::open(&path, &identity()).unwrap());
		let other_chain = Identity {
			genesis_hash: [2; 32],
			..identity()
		};
		assert!(matches!(
			Store::open(&path, &other_chain),
			Err(StoreError::OtherChain { .. })
		));
		let other_owner = Identity {
			owner: [4; 32],
			..identity()
		};
		assert!(matches!(
			Store::open(&path, &other_owner),
			Err(StoreError::OtherOwner { .. })
		));
		let (_store, found) = Store::inspect(&path).unwrap();
		assert_eq!(found, identity());
	}

	#[test]
	fn two_processes_cannot_share_it() {
		let (_store, dir) = store();
		let path = dir.path().join("provider.redb");
		assert!(matches!(
			Store::open(&path, &identity()),
			Err(StoreError::InUse { .. })
		));
		assert!(matches!(
			Store::inspect(&dir.path().join("none.redb")),
			Err(StoreError::Missing { .. })
		));
	}
}
