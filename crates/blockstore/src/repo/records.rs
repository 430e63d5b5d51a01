//! Small records that callers keep in the same database, changed by closures in a transaction.

use super::{
	metadata::{MetadataError, Wraps, RECORDS},
	Repo,
};
use redb::ReadableTable;

/// Why a record was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ModifyError<E> {
	/// The closure failed.
	#[error("{0}")]
	Closure(E),
	/// The database failed.
	#[error(transparent)]
	Metadata(#[from] MetadataError),
}

impl<E> Wraps for ModifyError<E> {
	fn metadata(&self) -> Option<&MetadataError> {
		match self {
			Self::Metadata(error) => Some(error),
			Self::Closure(_) => None,
		}
	}
}

impl Repo {
	/// Reads a record, lets `change` decide, writes what it returns (`None` removes the record) and
	/// returns the rest of it: all in one transaction, and no other change comes between.
	///
	/// `change` runs once, while every other writer waits: it should compute and not wait. It must not
	/// call the repository.
	///
	/// # Errors
	/// If `change` fails, its error, and the record stays as it was.
	pub fn modify_get<T, E>(
		&self,
		key: &[u8],
		change: impl FnOnce(Option<&[u8]>) -> Result<(Option<Vec<u8>>, T), E>,
	) -> Result<T, ModifyError<E>> {
		self.inner.metadata.write(|tables| {
			let (new, result, existed) = {
				let old = tables.records.get(key).map_err(MetadataError::from)?;
				let (new, result) =
					change(old.as_ref().map(|old| old.value())).map_err(ModifyError::Closure)?;
				(new, result, old.is_some())
			};
			match new {
				Some(new) => {
					tables
						.records
						.insert(key, new.as_slice())
						.map_err(MetadataError::from)?;
				}
				None if existed => {
					tables.records.remove(key).map_err(MetadataError::from)?;
				}
				None => {}
			}
			Ok(result)
		})
	}

	/// Reads a record.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn record(&self, key: &[u8]) -> Result<Option<Vec<u8>>, MetadataError> {
		self.inner.metadata.read(|snapshot| {
			let records = snapshot.open_table(RECORDS)?;
			let found = records.get(key)?;
			Ok(found.map(|value| value.value().to_owned()))
		})
	}
}
