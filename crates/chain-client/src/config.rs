//! What subxt needs to know of the chain.
//!
//! The runtime's extensions are `StorageWeightReclaim` around `AuthorizeCall`, `CheckNonZeroSender`,
//! `CheckSpecVersion`, `CheckTxVersion`, `CheckGenesis`, `CheckEra` (named `CheckMortality`),
//! `CheckNonce`, `CheckWeight`, `ChargeTransactionPayment` and `CheckMetadataHash`. The metadata
//! lists them flat; those without data on the wire need no entry here.

use subxt::{
	client::{OfflineClient, OfflineClientAtBlockImpl},
	config::{
		substrate::{BlakeTwo256, SubstrateHeader, H256},
		transaction_extensions as extensions, Config,
	},
	metadata::ArcMetadata,
	utils::{AccountId32, MultiAddress, MultiSignature},
};

/// A runtime version of one Cairn chain.
#[derive(Clone, Debug)]
pub(crate) struct CairnConfig {
	pub genesis_hash: H256,
	pub spec_version: u32,
	pub transaction_version: u32,
	pub metadata: ArcMetadata,
}

pub(crate) type OfflineAt = subxt::client::ClientAtBlock<CairnConfig, OfflineClientAtBlockImpl<CairnConfig>>;

impl CairnConfig {
	/// An encoder of transactions and decoder of events for this runtime version.
	pub fn offline(&self) -> OfflineAt {
		// Cannot fail: versions and metadata, all that it looks up, are given below.
		OfflineClient::new_with_config(self.clone())
			.at_block(0u64)
			.expect("version and metadata are set")
	}
}

impl Config for CairnConfig {
	type AccountId = AccountId32;
	type Address = MultiAddress<AccountId32, ()>;
	type Signature = MultiSignature;
	type Header = SubstrateHeader<H256>;
	type TransactionExtensions = (
		extensions::CheckSpecVersion,
		extensions::CheckTxVersion,
		extensions::CheckGenesis<Self>,
		extensions::CheckMortality<Self>,
		extensions::CheckNonce,
		extensions::ChargeTransactionPayment,
		extensions::CheckMetadataHash,
	);
	type AssetId = u32;
	type Hasher = BlakeTwo256;

	fn genesis_hash(&self) -> Option<H256> {
		Some(self.genesis_hash)
	}

	fn spec_and_transaction_version_for_block_number(&self, _block_number: u64) -> Option<(u32, u32)> {
		Some((self.spec_version, self.transaction_version))
	}

	fn metadata_for_spec_version(&self, _spec_version: u32) -> Option<ArcMetadata> {
		Some(self.metadata.clone())
	}
}
