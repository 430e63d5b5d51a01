//! Which databases and storage folders this program uses: those of its own format, of its chain, and of its owner.
//!
//! Both carry a stamp, written with the first thing that is in them and checked before anything else is read or
//! written. Without it a program of another version could misread records, and a provider with the wrong folder
//! would remove another one's sectors as nobody's.

use super::{
	single_value,
	tables::{self, META},
	Identity, Store, StoreError,
};
use cairn_provider_api::Hash32;
use codec::Encode;
use serde::{Deserialize, Serialize};
use std::{
	cmp::Ordering,
	fs::{self, File},
	io::{self, Write},
	path::Path,
};

/// Version of the database's format: of its tables and of the records in them.
///
/// From 0.1.0 on, databases of older formats are converted after they were copied. Before, they are refused.
const FORMAT: u32 = 2;
/// Version of the storage folder's stamp.
const STORAGE_FORMAT: u32 = 1;
/// The stamp's file in the storage folder.
const STORAGE_STAMP: &str = "belongs-to.json";

/// Checks the database's stamp against this program's format. Gives what the database belongs to; none if it is new.
/// Writes nothing.
pub(super) fn check(store: &Store, path: &Path) -> Result<Option<Identity>, StoreError> {
	let read = store.read()?;
	let meta = match read.open_table(META) {
		Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
		other => other?,
	};
	let Some(format) = single_value::<u32>(&meta, "format")? else {
		return Ok(None);
	};
	let (path, found, known) = (path.to_owned(), format, FORMAT);
	match found.cmp(&known) {
		Ordering::Less => Err(StoreError::Older { path, found, known }),
		Ordering::Greater => Err(StoreError::Newer { path, found, known }),
		Ordering::Equal => single_value(&meta, "identity")?
			.map(Some)
			.ok_or(StoreError::Corrupt { table: "meta" }),
	}
}

/// Makes the tables of a new database, with its stamp.
pub(super) fn stamp(store: &Store, identity: &Identity) -> Result<(), StoreError> {
	let write = store.write()?;
	tables::create_all(&write)?;
	{
		let mut meta = write.open_table(META)?;
		meta.insert("format", FORMAT.encode().as_slice())?;
		meta.insert("identity", identity.encode().as_slice())?;
	}
	write.commit()?;
	Ok(())
}

impl Identity {
	/// Refuses what is found at `path` unless it belongs to this chain and owner.
	pub(super) fn check(&self, path: &Path, found: &Identity) -> Result<(), StoreError> {
		let path = || path.to_owned();
		if found.genesis_hash != self.genesis_hash {
			return Err(StoreError::OtherChain {
				path: path(),
				found: Hash32(found.genesis_hash).to_string(),
				expected: Hash32(self.genesis_hash).to_string(),
			});
		}
		if found.owner != self.owner {
			return Err(StoreError::OtherOwner {
				path: path(),
				found: cairn_keystore::address::encode_default(&found.owner),
				expected: cairn_keystore::address::encode_default(&self.owner),
			});
		}
		Ok(())
	}
}

#[derive(Serialize, Deserialize)]
struct StorageStamp {
	format: u32,
	genesis_hash: Hash32,
	owner: Hash32,
}

/// Checks that the folder of pieces and sectors belongs to the provider, and says so in it from now on. The folder may
/// lie on another disk than the database, and be named by mistake.
///
/// # Errors
/// [`StoreError::OtherChain`], [`StoreError::OtherOwner`], [`StoreError::Newer`], [`StoreError::Stamp`].
pub fn claim_storage(folder: &Path, identity: &Identity) -> Result<(), StoreError> {
	let path = folder.join(STORAGE_STAMP);
	let failed = |source| StoreError::Stamp {
		path: path.clone(),
		source,
	};
	let json = match fs::read(&path) {
		Ok(json) => json,
		Err(error) if error.kind() == io::ErrorKind::NotFound => {
			let stamp = StorageStamp {
				format: STORAGE_FORMAT,
				genesis_hash: Hash32(identity.genesis_hash),
				owner: Hash32(identity.owner),
			};
			return write(folder, &path, &stamp).map_err(failed);
		}
		Err(error) => return Err(failed(error)),
	};
	let stamp: StorageStamp = serde_json::from_slice(&json).map_err(|error| failed(error.into()))?;
	if stamp.format != STORAGE_FORMAT {
		return Err(StoreError::Newer {
			path,
			found: stamp.format,
			known: STORAGE_FORMAT,
		});
	}
	let found = Identity {
		genesis_hash: stamp.genesis_hash.0,
		owner: stamp.owner.0,
	};
	identity.check(&path, &found)
}

/// Writes the stamp whole or not at all.
fn write(folder: &Path, path: &Path, stamp: &StorageStamp) -> io::Result<()> {
	let unfinished = path.with_extension("new");
	let mut file = File::create(&unfinished)?;
	file.write_all(&serde_json::to_vec_pretty(stamp)?)?;
	file.sync_all()?;
	fs::rename(&unfinished, path)?;
	File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
	use super::{super::tests::identity, *};

	/// A database of this format, but for the number.
	fn of_format(path: &Path, format: u32) {
		Store::open(path, &identity())
			.unwrap()
			.set_meta("format", &format)
			.unwrap();
	}

	#[test]
	fn other_formats_are_refused_and_left_alone() {
		let dir = tempfile::tempdir().unwrap();
		for (format, is_newer) in [(FORMAT + 1, true), (FORMAT - 1, false)] {
			let path = dir.path().join(format!("{format}.redb"));
			of_format(&path, format);
			// A table of today that the other format does not have.
			let store = Store::open_file(&path).unwrap();
			let write = store.write().unwrap();
			assert!(write.delete_table(tables::BLOCKS).unwrap());
			write.commit().unwrap();
			drop(store);
			for error in [
				Store::open(&path, &identity()).err().unwrap(),
				Store::inspect(&path).err().unwrap(),
			] {
				match error {
					StoreError::Newer { found, .. } => assert!(is_newer && found == format),
					StoreError::Older { found, .. } => assert!(!is_newer && found == format),
					other => panic!("{other}"),
				}
			}
			let store = Store::open_file(&path).unwrap();
			assert!(
				store.read().unwrap().open_table(tables::BLOCKS).is_err(),
				"nothing is written"
			);
			assert_eq!(store.meta::<u32>("format").unwrap(), Some(format));
		}
	}

	/// A kill between the file's creation and its stamp.
	#[test]
	fn an_empty_file_is_a_new_database() {
		let dir = tempfile::tempdir().unwrap();
		let path = dir.path().join("provider.redb");
		drop(Store::open_file(&path).unwrap());
		assert!(matches!(Store::inspect(&path), Err(StoreError::Missing { .. })));
		drop(Store::open(&path, &identity()).unwrap());
		assert_eq!(Store::inspect(&path).unwrap().1, identity());
	}

	#[test]
	fn a_storage_folder_of_another_chain_owner_or_format_is_refused() {
		let dir = tempfile::tempdir().unwrap();
		claim_storage(dir.path(), &identity()).unwrap();
		claim_storage(dir.path(), &identity()).unwrap();
		let other_chain = Identity {
			genesis_hash: [2; 32],
			..identity()
		};
		assert!(matches!(
			claim_storage(dir.path(), &other_chain),
			Err(StoreError::OtherChain { .. })
		));
		let other_owner = Identity {
			owner: [4; 32],
			..identity()
		};
		assert!(matches!(
			claim_storage(dir.path(), &other_owner),
			Err(StoreError::OtherOwner { .. })
		));
		let stamp = dir.path().join(STORAGE_STAMP);
		let text = fs::read_to_string(&stamp).unwrap();
		fs::write(&stamp, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
		assert!(matches!(
			claim_storage(dir.path(), &identity()),
			Err(StoreError::Newer { found: 2, .. })
		));
		fs::write(&stamp, "{").unwrap();
		assert!(matches!(
			claim_storage(dir.path(), &identity()),
			Err(StoreError::Stamp { .. })
		));
	}
}
