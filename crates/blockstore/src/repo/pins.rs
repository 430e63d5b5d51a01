//! Pins: what a live deal needs is neither evicted, nor expired, nor deleted.

use super::{
	metadata::{MetadataError, Tables, Wraps, PINS},
	Repo,
};
use crate::{fault_injection, Cid};

/// Name of a pin, chosen by who sets it: a deal's hash. Setting it twice is setting it once, so that
/// it can be set again after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinId(pub [u8; 32]);

/// Why a pin could not be set or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
	/// There is no such dataset.
	#[error("there is no dataset {root}")]
	NotFound {
		/// Its root.
		root: Cid,
	},
	/// The database failed.
	#[error(transparent)]
	Metadata(#[from] MetadataError),
}

impl Wraps for PinError {
	fn metadata(&self) -> Option<&MetadataError> {
		match self {
			Self::Metadata(error) => Some(error),
			Self::NotFound { .. } => None,
		}
	}
}

impl Repo {
	/// Sets a pin on a dataset. Returns whether it is new.
	///
	/// # Errors
	/// [`PinError::NotFound`] if there is no such dataset. To pin one from its first moment on, give
	/// the pin to its commit ([`CommitOptions::pins`](super::CommitOptions::pins)).
	pub fn pin(&self, root: &Cid, pin: &PinId) -> Result<bool, PinError> {
		let new = self.inner.metadata.write(|tables| {
			let (number, mut row) = tables.live(root)?.ok_or(PinError::NotFound { root: *root })?;
			let new = insert(tables, root, pin)?;
			if new {
				tables.unindex(number, &row)?;
				row.pins += 1;
				tables.set_dataset(number, &row)?;
			}
			Ok::<_, PinError>(new)
		})?;
		fault_injection::reached("pin:set");
		Ok(new)
	}

	/// Removes a pin. After the last one the dataset's expiry counts again: if it has passed, the
	/// dataset goes with the next maintenance. Returns whether the pin was set.
	///
	/// # Errors
	/// [`PinError::NotFound`] if there is no such dataset.
	pub fn unpin(&self, root: &Cid, pin: &PinId) -> Result<bool, PinError> {
		self.inner.metadata.write(|tables| {
			let (number, mut row) = tables.live(root)?.ok_or(PinError::NotFound { root: *root })?;
			let key = root.to_bytes();
			let removed = tables
				.pins
				.remove((key.as_slice(), &pin.0))
				.map_err(MetadataError::from)?
				.is_some();
			if removed {
				row.pins = row.pins.saturating_sub(1);
				tables.set_dataset(number, &row)?;
				tables.index(number, &row)?;
			}
			Ok(removed)
		})
	}

	/// The pins on a dataset.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn pins(&self, root: &Cid) -> Result<Vec<PinId>, MetadataError> {
		let root = root.to_bytes();
		self.inner.metadata.read(|snapshot| {
			let pins = snapshot.open_table(PINS)?;
			let range = (root.as_slice(), &[0; 32])..=(root.as_slice(), &[0xff; 32]);
			let mut found = Vec::new();
			for entry in pins.range(range)? {
				found.push(PinId(*entry?.0.value().1));
			}
			Ok(found)
		})
	}
}

/// Enters a pin; says whether it is new. The dataset's row is the caller's to change.
pub(super) fn insert(tables: &mut Tables<'_>, root: &Cid, pin: &PinId) -> Result<bool, MetadataError> {
	let root = root.to_bytes();
	Ok(tables.pins.insert((root.as_slice(), &pin.0), ())?.is_none())
}
