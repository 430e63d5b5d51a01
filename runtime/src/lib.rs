//! Cairn's parachain runtime: Cairn's pallets, and the ones a parachain needs around them.
//!
//! `configs` binds each pallet to its surroundings, `apis` answers the node and tools, `genesis`
//! holds the presets. Pallet indices are pinned, in groups with gaps: 0–9 system, 10–19 money,
//! 20–29 collators, 30–39 XCM (reserved), 40–49 accounts' tools, 50–69 Cairn.
#![cfg_attr(not(feature = "std"), no_std)]
#![recursion_limit = "256"]

#[cfg(feature = "std")]
include!(concat!(env!("OUT_DIR"), "/wasm_binary.rs"));

extern crate alloc;

// Its macros serve `apis`.
#[cfg(feature = "runtime-benchmarks")]
#[macro_use]
mod benchmarks;

mod apis;
mod configs;
mod genesis;

pub use apis::api;
#[cfg(feature = "std")]
pub use apis::RuntimeApi;
pub use configs::*;
pub use genesis::PARACHAIN_ID;

use alloc::{borrow::Cow, vec::Vec};
use sp_runtime::{
	generic, impl_opaque_keys,
	traits::{BlakeTwo256, IdentifyAccount, Verify},
	MultiAddress, MultiSignature,
};
use sp_version::RuntimeVersion;

/// Signature of a transaction or a deal proposal.
pub type Signature = MultiSignature;
/// Account.
pub type AccountId = <<Signature as Verify>::Signer as IdentifyAccount>::AccountId;
/// Amount in plancks.
pub type Balance = cairn_primitives::Balance;
/// Transaction count of an account.
pub type Nonce = u32;
/// Block and storage hash.
pub type Hash = sp_core::H256;
/// Block number.
pub type BlockNumber = cairn_primitives::BlockNumber;
/// Address in a transaction.
pub type Address = MultiAddress<AccountId, ()>;
/// Block header.
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
/// Block.
pub type Block = generic::Block<Header, UncheckedExtrinsic>;
/// Transaction.
pub type UncheckedExtrinsic = generic::UncheckedExtrinsic<Address, RuntimeCall, Signature, TxExtension>;

/// What a transaction passes on its way to dispatch.
pub type TxExtension = cumulus_pallet_weight_reclaim::StorageWeightReclaim<
	Runtime,
	(
		frame_system::AuthorizeCall<Runtime>,
		frame_system::CheckNonZeroSender<Runtime>,
		frame_system::CheckSpecVersion<Runtime>,
		frame_system::CheckTxVersion<Runtime>,
		frame_system::CheckGenesis<Runtime>,
		frame_system::CheckEra<Runtime>,
		frame_system::CheckNonce<Runtime>,
		frame_system::CheckWeight<Runtime>,
		pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
		frame_metadata_hash_extension::CheckMetadataHash<Runtime>,
	),
>;

/// Dispatches blocks to the pallets.
pub type Executive = frame_executive::Executive<
	Runtime,
	Block,
	frame_system::ChainContext<Runtime>,
	Runtime,
	AllPalletsWithSystem,
>;

impl_opaque_keys! {
	/// Keys of a collator.
	pub struct SessionKeys {
		/// Block authoring.
		pub aura: Aura,
	}
}

/// Version of the runtime.
#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
	spec_name: Cow::Borrowed("cairn"),
	impl_name: Cow::Borrowed("cairn"),
	authoring_version: 1,
	spec_version: 1,
	impl_version: 0,
	apis: apis::RUNTIME_API_VERSIONS,
	transaction_version: 1,
	system_version: 1,
};

/// One CAIRN in plancks.
pub const UNIT: Balance = 1_000_000_000_000;
/// A thousandth of a CAIRN.
pub const MILLIUNIT: Balance = UNIT / 1_000;
/// A millionth of a CAIRN.
pub const MICROUNIT: Balance = MILLIUNIT / 1_000;

/// Time between two blocks in milliseconds.
pub const SLOT_DURATION: u64 = 6_000;
/// Blocks of an hour.
pub const HOURS: BlockNumber = (3_600_000 / SLOT_DURATION) as BlockNumber;

#[frame_support::runtime]
mod runtime {
	#[runtime::runtime]
	#[runtime::derive(
		RuntimeCall,
		RuntimeEvent,
		RuntimeError,
		RuntimeOrigin,
		RuntimeFreezeReason,
		RuntimeHoldReason,
		RuntimeSlashReason,
		RuntimeLockId,
		RuntimeTask,
		RuntimeViewFunction
	)]
	pub struct Runtime;

	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type ParachainSystem = cumulus_pallet_parachain_system;
	#[runtime::pallet_index(2)]
	pub type Timestamp = pallet_timestamp;
	#[runtime::pallet_index(3)]
	pub type ParachainInfo = staging_parachain_info;
	#[runtime::pallet_index(4)]
	pub type WeightReclaim = cumulus_pallet_weight_reclaim;

	#[runtime::pallet_index(10)]
	pub type Balances = pallet_balances;
	#[runtime::pallet_index(11)]
	pub type TransactionPayment = pallet_transaction_payment;

	#[runtime::pallet_index(20)]
	pub type Authorship = pallet_authorship;
	#[runtime::pallet_index(21)]
	pub type CollatorSelection = pallet_collator_selection;
	#[runtime::pallet_index(22)]
	pub type Session = pallet_session;
	#[runtime::pallet_index(23)]
	pub type Aura = pallet_aura;
	#[runtime::pallet_index(24)]
	pub type AuraExt = cumulus_pallet_aura_ext;

	// 30 to 39: XCM.

	#[runtime::pallet_index(40)]
	pub type Utility = pallet_utility;
	#[runtime::pallet_index(41)]
	pub type Multisig = pallet_multisig;
	#[runtime::pallet_index(42)]
	pub type Proxy = pallet_proxy;
	#[runtime::pallet_index(43)]
	pub type Sudo = pallet_sudo;

	#[runtime::pallet_index(50)]
	pub type StorageProvider = pallet_storage_provider;
	#[runtime::pallet_index(51)]
	pub type Market = pallet_market;
	#[runtime::pallet_index(52)]
	pub type Proofs = pallet_proofs;
	#[runtime::pallet_index(53)]
	pub type Randomness = pallet_randomness;
	#[runtime::pallet_index(54)]
	pub type Faucet = pallet_faucet;
}

cumulus_pallet_parachain_system::register_validate_block! {
	Runtime = Runtime,
	BlockExecutor = cumulus_pallet_aura_ext::BlockExecutor::<Runtime, Executive>,
}
