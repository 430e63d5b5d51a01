//! Where a node's answers enter, on bytes instead of a connection: for the fuzz targets alone, and no
//! interface.

use crate::{
	config::CairnConfig,
	event_types, events, interface, query,
	runtime::{self, Runtime},
	ChainError, EventRecord,
};
use subxt::metadata::Metadata;

/// Metadata of the runtime that this program was built for.
pub const METADATA: &[u8] = runtime::METADATA;

/// A runtime as a node describes it.
pub struct DescribedRuntime(Runtime);

impl DescribedRuntime {
	/// Decodes metadata as after connecting.
	///
	/// # Errors
	/// [`ChainError::Decode`].
	pub fn decode(metadata: &[u8]) -> Result<Self, ChainError> {
		let metadata = Metadata::decode_from(metadata).map_err(|e| ChainError::decode("metadata", e))?;
		event_types::check(&metadata).map_err(|e| ChainError::decode("the types of events", e))?;
		Ok(DescribedRuntime(Runtime::new(CairnConfig {
			genesis_hash: Default::default(),
			spec_version: 1,
			transaction_version: 1,
			metadata: metadata.arc(),
		})))
	}

	/// What the runtime lacks or has in another form.
	pub fn differences(&self) -> Vec<String> {
		interface::differences(self.0.metadata())
	}

	/// Decodes the value of `System.Events`.
	///
	/// # Errors
	/// [`ChainError::Decode`].
	pub fn events(&self, bytes: Vec<u8>) -> Result<Vec<EventRecord>, ChainError> {
		events::decode(&self.0, bytes)
	}

	/// Names of the pallet and of its reason for a hold.
	pub fn hold_reason(&self, pallet: u8, reason: u8) -> Option<(String, String)> {
		query::reason_names(self.0.metadata(), pallet, reason)
	}
}
