//! Making room: what is deleted goes first, then what has expired, then what may be evicted.

use super::{
	collect::{live_row, STEP_BLOCKS},
	metadata::{members_of, BlockRow, DatasetRow, MetadataError, BLOCKS, DATASETS, EVICTABLE, MEMBERS},
	MaintainError, Repo,
};
use crate::{fault_injection, QuotaExceeded, Reservation};
use redb::ReadableTable;
use std::collections::HashMap;

/// Blocks that are looked at before something is evicted.
const EVICTION_BLOCKS: u64 = 1 << 18;

/// Why bytes could not be reserved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveError {
	/// There is no room.
	#[error(transparent)]
	Quota(#[from] QuotaExceeded),
	/// Room could not be made.
	#[error("making room failed")]
	Maintain(#[from] MaintainError),
}

impl Repo {
	/// Sets bytes of the quota aside until the reservation is dropped. If they are not free, what is
	/// deleted, expired or evictable is collected first. Nothing is evicted if that could not make
	/// enough room, as far as looking at a quarter of a million blocks tells.
	///
	/// # Errors
	/// [`ReserveError::Quota`] if not enough can be freed.
	pub fn reserve(&self, bytes: u64) -> Result<Reservation, ReserveError> {
		loop {
			match self.inner.ledger.reserve(bytes) {
				Ok(reservation) => return Ok(reservation),
				Err(exceeded) => {
					if !self.make_room(bytes)? {
						return Err(exceeded.into());
					}
				}
			}
		}
	}

	/// Collects, expires and evicts until `bytes` are free. Returns whether they are.
	pub(super) fn make_room(&self, bytes: u64) -> Result<bool, MaintainError> {
		let limit = self.inner.ledger.counters().limit;
		if bytes > limit {
			return Ok(false);
		}
		let mut evicting = false;
		loop {
			let available = self.inner.ledger.available();
			if available >= bytes {
				return Ok(true);
			}
			if !self.collect_step(STEP_BLOCKS)?.idle || self.expire_step()? > 0 {
				continue;
			}
			evicting = evicting || self.eviction_may_free(bytes - available)?;
			if !(evicting && self.evict()?) {
				// What is in use now is in use for good, or by uploads.
				return Ok(self.inner.ledger.available() >= bytes);
			}
		}
	}

	/// Whether evicting everything that may go frees so many bytes: whether there are so many in blocks
	/// that no other dataset has. If that takes long to find out, it is taken for granted.
	fn eviction_may_free(&self, bytes: u64) -> Result<bool, MetadataError> {
		self.inner.metadata.read(|snapshot| {
			let datasets = snapshot.open_table(DATASETS)?;
			let mut evictable = Vec::new();
			// With blocks that stay because others have them, and shared ones more than once: the most
			// that could be.
			let mut most = 0_u64;
			for entry in snapshot.open_table(EVICTABLE)?.iter()? {
				let number = entry?.0.value().1;
				if let Some(row) = datasets.get(number)? {
					most = most.saturating_add(DatasetRow::decode(row.value())?.bytes);
				}
				evictable.push(number);
			}
			if most < bytes {
				return Ok(false);
			}
			let blocks = snapshot.open_table(BLOCKS)?;
			let members = snapshot.open_table(MEMBERS)?;
			let (mut freed, mut looked_at) = (0, 0);
			// Of blocks that several datasets have: how many of those may go.
			let mut going: HashMap<Vec<u8>, u32> = HashMap::new();
			for number in evictable {
				let (first, last) = members_of(number);
				for entry in members.range(first.as_slice()..=last.as_slice())? {
					let (key, _) = entry?;
					let hash = &key.value()[8..];
					let Some(row) = blocks.get(hash)?.map(|row| BlockRow::decode(row.value())) else {
						continue;
					};
					let goes = row.refs <= 1 || {
						let count = going.entry(hash.to_owned()).or_default();
						*count += 1;
						*count == row.refs
					};
					freed += if goes { u64::from(row.size) } else { 0 };
					looked_at += 1;
					if freed >= bytes || looked_at == EVICTION_BLOCKS {
						return Ok(true);
					}
				}
			}
			Ok(false)
		})
	}

	/// Makes that dataset invisible which may go and would expire first.
	fn evict(&self) -> Result<bool, MetadataError> {
		let evicted = self.inner.metadata.write(|tables| {
			let Some(number) = tables.evictable.first()?.map(|(key, _)| key.value().1) else {
				return Ok::<_, MetadataError>(None);
			};
			let row = live_row(tables, number, "evictable")?;
			let root = row.root;
			tables.delete_dataset(number, row, self.inner.release_at_once)?;
			Ok(Some(root))
		})?;
		if let Some(root) = &evicted {
			tracing::info!(
				root = root.map(tracing::field::display),
				"evicted a dataset to make room"
			);
			fault_injection::reached("evict:marked");
		}
		Ok(evicted.is_some())
	}
}
