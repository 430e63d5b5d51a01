//! The embedded database: deals, sectors, pieces, the block index.
//!
//! One `redb` file. Every change is one transaction that is on disk when the call returns, so the
//! state machines can store a decision before acting on it. The file carries its format's version,
//! the chain's genesis hash and the provider's owner; one of another chain or owner is refused.
//!
//! Calls block for a commit's fsync (milliseconds): from async code go through [`Store::run`].

mod blocks;
mod deals;
mod error;
mod pieces;
mod sectors;
mod tables;

pub use blocks::{BlockLocation, IndexBatch};
pub use deals::Page;
pub use error::StoreError;
pub use pieces::PieceRecord;

use crate::chain::AccountId;
use codec::{Decode, Encode};
use redb::{Database, ReadableDatabase};
use std::{path::Path, sync::Arc};
use tables::META;

/// Version of the tables' format.
pub const FORMAT: u32 = 1;
/// Memory for the database's pages.
const CACHE_BYTES: usize = 64 << 20;

/// The database. Clones share it.
#[derive(Clone)]
pub struct Store {
	db: Arc<Database>,
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
	/// [`StoreError::OtherChain`], [`StoreError::OtherOwner`] and [`StoreError::Newer`] for a file
	/// that belongs elsewhere, [`StoreError::InUse`] if another process has it open.
	pub fn open(path: &Path, identity: &Identity) -> Result<Store, StoreError> {
		let store = Self::open_file(path)?;
		store.check_identity(path, identity)?;
		Ok(store)
	}

	/// Opens an existing database for reading what it says, whatever it belongs to.
	///
	/// # Errors
	/// [`StoreError::Missing`], [`StoreError::InUse`], [`StoreError::Newer`].
	pub fn inspect(path: &Path) -> Result<(Store, Identity), StoreError> {
		if !path.exists() {
			return Err(StoreError::Missing {
				path: path.to_owned(),
			});
		}
		let store = Self::open_file(path)?;
		let identity = store.identity()?.ok_or_else(|| StoreError::Missing {
			path: path.to_owned(),
		})?;
		Ok((store, identity))
	}

	fn open_file(path: &Path) -> Result<Store, StoreError> {
		let db = Database::builder()
			.set_cache_size(CACHE_BYTES)
			.create(path)
			.map_err(|error| match error {
				redb::DatabaseError::DatabaseAlreadyOpen => StoreError::InUse {
					path: path.to_owned(),
				},
				error => StoreError::Open {
					path: path.to_owned(),
					source: Box::new(error),
				},
			})?;
		let store = Store { db: Arc::new(db) };
		let write = store.write()?;
		tables::create_all(&write)?;
		write.commit()?;
		Ok(store)
	}

	fn check_identity(&self, path: &Path, identity: &Identity) -> Result<(), StoreError> {
		if let Some(format) = self.meta::<u32>("format")? {
			if format > FORMAT {
				return Err(StoreError::Newer {
					path: path.to_owned(),
					found: format,
				});
			}
		}
		match self.identity()? {
			None => {
				let write = self.write()?;
				{
					let mut meta = write.open_table(META)?;
					meta.insert("format", FORMAT.encode().as_slice())?;
					meta.insert("identity", identity.encode().as_slice())?;
				}
				write.commit()?;
				Ok(())
			}
			Some(found) if found.genesis_hash != identity.genesis_hash => Err(StoreError::OtherChain {
				path: path.to_owned(),
				found: hex::encode(found.genesis_hash),
				expected: hex::encode(identity.genesis_hash),
			}),
			Some(found) if found.owner != identity.owner => Err(StoreError::OtherOwner {
				path: path.to_owned(),
				found: cairn_keystore::address::encode_default(&found.owner),
				expected: cairn_keystore::address::encode_default(&identity.owner),
			}),
			Some(_) => Ok(()),
		}
	}

	/// What the database belongs to; none if it is new.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn identity(&self) -> Result<Option<Identity>, StoreError> {
		self.meta("identity")
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
		Ok(self.db.begin_write()?)
	}

	fn read(&self) -> Result<redb::ReadTransaction, StoreError> {
		Ok(self.db.begin_read()?)
	}

	/// A value of the table of single values.
	fn meta<T: Decode>(&self, key: &str) -> Result<Option<T>, StoreError> {
		let read = self.read()?;
		let table = read.open_table(META)?;
		let found = table.get(key)?;
		found.map(|bytes| decode("meta", bytes.value())).transpose()
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
	fn a_newer_format_is_refused() {
		let dir = tempfile::tempdir().unwrap();
		let path = dir.path().join("provider.redb");
		Store::open(&path, &identity())
			.unwrap()
			.set_meta("format", &(FORMAT + 1))
			.unwrap();
		let error = Store::open(&path, &identity()).err().unwrap();
		assert!(matches!(error, StoreError::Newer { found, .. } if found == FORMAT + 1));
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
