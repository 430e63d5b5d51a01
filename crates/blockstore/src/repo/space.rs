//! How full the repository is.

use super::{
	metadata::{MetadataError, Total, HIDDEN, TOTALS},
	Repo,
};
use redb::ReadableTableMetadata;

/// How full the repository is, in bytes and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
	/// The quota.
	pub quota: u64,
	/// Bytes of all blocks, those not freed yet included.
	pub used: u64,
	/// Bytes set aside.
	pub reserved: u64,
	/// Bytes of deleted and expired datasets that are not freed yet. Blocks that other datasets have
	/// count too if the dataset is large, so this is the most that collecting frees.
	pub pending_delete: u64,
	/// Blocks.
	pub blocks: u64,
	/// Live datasets.
	pub datasets: u64,
	/// Datasets that are being uploaded, and large ones that are being deleted.
	pub hidden_datasets: u64,
}

impl Space {
	/// Bytes that new data may take without anything being collected.
	pub fn available(&self) -> u64 {
		self.quota.saturating_sub(self.used.saturating_add(self.reserved))
	}
}

impl Repo {
	/// How full the repository is. `used` and `reserved` are of one moment, and so are the others.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn space(&self) -> Result<Space, MetadataError> {
		self.inner.metadata.read(|snapshot| {
			let totals = snapshot.open_table(TOTALS)?;
			let total = |total: Total| -> Result<u64, MetadataError> {
				Ok(totals.get(total.key())?.map_or(0, |value| value.value()))
			};
			let counters = self.inner.ledger.counters();
			Ok(Space {
				quota: counters.limit,
				used: counters.used,
				reserved: counters.reserved,
				pending_delete: total(Total::DeletingBytes)?,
				blocks: total(Total::Blocks)?,
				datasets: total(Total::Datasets)?,
				hidden_datasets: snapshot.open_table(HIDDEN)?.len()?,
			})
		})
	}
}
