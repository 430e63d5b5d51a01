//! Runtime versions: metadata of the node's, and of the one this program was built for.

use crate::{
	compatibility::Incompatible,
	config::{CairnConfig, OfflineAt},
	error::decode_all,
	event_types, interface,
	rpc::Rpc,
	ChainError, Hash,
};
use codec::{Decode, Encode};
use std::{
	collections::HashMap,
	sync::{Arc, Mutex, PoisonError},
};
use subxt::metadata::Metadata;

/// Metadata of the runtime in this repository, written by `cargo xtask metadata`.
pub(crate) const METADATA: &[u8] = include_bytes!("../metadata.scale");

/// Metadata versions to ask a node for, best first.
const METADATA_VERSIONS: [u32; 3] = [16, 15, 14];

/// Runtimes remembered. A chain has one, rarely two around an upgrade.
const REMEMBERED: usize = 4;

/// One runtime version.
pub(crate) struct Runtime {
	offline: OfflineAt,
	config: CairnConfig,
}

impl Runtime {
	pub fn new(config: CairnConfig) -> Self {
		Runtime {
			offline: config.offline(),
			config,
		}
	}

	/// Encoder of transactions, decoder of events.
	pub fn offline(&self) -> &OfflineAt {
		&self.offline
	}

	pub fn metadata(&self) -> &Metadata {
		&self.config.metadata
	}

	/// Blocks whose hashes the runtime remembers: how old a mortal transaction may be.
	pub fn remembered_blocks(&self) -> u32 {
		let constant = self
			.metadata()
			.pallet_by_name("System")
			.and_then(|system| system.constant_by_name("BlockHashCount"));
		constant
			.and_then(|count| u32::decode(&mut count.value()).ok())
			// What every runtime remembers at least.
			.unwrap_or(256)
	}
}

/// Metadata of the runtime that this program was built for.
pub(crate) fn checked_in_metadata() -> Result<Metadata, ChainError> {
	Metadata::decode_from(METADATA).map_err(|e| ChainError::decode("the program's own metadata", e))
}

/// `spec_version` in a runtime's metadata.
pub(crate) fn spec_version(metadata: &Metadata) -> Option<u32> {
	let version = metadata.pallet_by_name("System")?.constant_by_name("Version")?;
	// `RuntimeVersion` begins: spec name, implementation name, authoring version, spec version.
	let (_, _, _, spec_version) = <(String, String, u32, u32)>::decode(&mut version.value()).ok()?;
	Some(spec_version)
}

/// Runtime versions seen on the chain.
pub(crate) struct Runtimes {
	accept_incompatible: bool,
	seen: Mutex<HashMap<(u32, u32), Arc<Runtime>>>,
}

impl Runtimes {
	pub fn new(accept_incompatible: bool) -> Self {
		Runtimes {
			accept_incompatible,
			seen: Mutex::default(),
		}
	}

	/// The runtime at a block; its metadata is fetched and compared once.
	pub async fn at(&self, rpc: &Rpc, block: Hash) -> Result<Arc<Runtime>, ChainError> {
		let version = rpc.runtime_version(block).await?;
		let key = (version.spec_version, version.transaction_version);
		if let Some(runtime) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
			return Ok(runtime.clone());
		}
		let metadata = fetch_metadata(rpc, block).await?;
		if !self.accept_incompatible {
			check(&metadata, version.spec_version)?;
		}
		event_types::check(&metadata).map_err(|e| ChainError::decode("the types of events", e))?;
		let runtime = Arc::new(Runtime::new(CairnConfig {
			genesis_hash: rpc.genesis_hash().await?.into(),
			spec_version: version.spec_version,
			transaction_version: version.transaction_version,
			metadata: metadata.arc(),
		}));
		let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
		if seen.len() >= REMEMBERED {
			seen.clear();
		}
		seen.insert(key, runtime.clone());
		Ok(runtime)
	}
}

/// Compares a runtime with what this program uses.
pub(crate) fn check(metadata: &Metadata, node: u32) -> Result<(), ChainError> {
	let differences = interface::differences(metadata);
	if differences.is_empty() {
		return Ok(());
	}
	let ours = spec_version(&checked_in_metadata()?).unwrap_or_default();
	Err(Incompatible::new(ours, node, differences).into())
}

/// Metadata of the runtime at a block, in the newest form that both sides know.
pub(crate) async fn fetch_metadata(rpc: &Rpc, block: Hash) -> Result<Metadata, ChainError> {
	for version in METADATA_VERSIONS {
		let answer = match rpc
			.call("Metadata_metadata_at_version", &version.encode(), block)
			.await
		{
			Ok(answer) => answer,
			Err(ChainError::Rpc(_)) => break,
			Err(e) => return Err(e),
		};
		if let Some(bytes) = decode_all::<Option<Vec<u8>>>("metadata", &answer)? {
			return Metadata::decode_from(&bytes).map_err(|e| ChainError::decode("metadata", e));
		}
	}
	let bytes: Vec<u8> = decode_all("metadata", &rpc.call("Metadata_metadata", &[], block).await?)?;
	Metadata::decode_from(&bytes).map_err(|e| ChainError::decode("metadata", e))
}
