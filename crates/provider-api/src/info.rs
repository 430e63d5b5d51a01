//! Who a provider is and what it takes.

use crate::{deal::TierName, Amount, Hash32};
use cairn_primitives::BlockNumber;
use serde::{Deserialize, Serialize};

/// `schema` of [`Info`].
pub const SCHEMA: &str = "cairn.provider.info/1";

/// Result of [`crate::rpc::INFO`].
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Info {
	/// [`SCHEMA`].
	pub schema: String,
	/// Version of the server.
	pub version: String,
	/// The chain.
	pub chain: ChainInfo,
	/// The provider's identity, SS58.
	pub owner: String,
	/// Public bytes of the owner, as a proposal names it.
	pub owner_key: Hash32,
	/// The account that acts for the owner, SS58.
	pub worker: String,
	/// Proof types in which the provider takes deals, with its terms.
	pub asks: Vec<AskInfo>,
	/// What the server enforces on uploads.
	pub limits: UploadLimits,
	/// Addresses registered on chain, as multiaddr texts.
	pub addresses: Vec<String>,
}

/// The chain a provider works on.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct ChainInfo {
	/// The chain's name.
	pub name: String,
	/// Hash of its first block: part of what clients sign.
	pub genesis_hash: Hash32,
	/// Runtime version.
	pub spec_version: u32,
	/// Last finalized block that the provider has seen.
	pub finalized: BlockNumber,
}

/// Terms of one proof type.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct AskInfo {
	/// Number of the proof type.
	pub proof_type: u16,
	/// Its tier.
	pub tier: TierName,
	/// Bytes of a sector.
	pub sector_size: u64,
	/// Plancks per GiB (padded) and block.
	pub price_per_gib: Amount,
	/// Smallest padded piece in bytes.
	pub min_piece_size: u64,
	/// Largest padded piece in bytes.
	pub max_piece_size: u64,
	/// Shortest deal in blocks.
	pub min_duration: BlockNumber,
	/// Longest deal in blocks.
	pub max_duration: BlockNumber,
	/// Whether new deals are taken.
	pub accepting: bool,
	/// `start_by` must lie at least this many blocks ahead when the deal is proposed.
	pub min_start_delay: BlockNumber,
	/// Largest provider collateral, in parts per million of the deal's total price.
	pub max_collateral_ppm: u32,
}

/// What the server enforces on uploads.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct UploadLimits {
	/// Largest payload in bytes.
	pub max_payload_size: u64,
	/// Uploads at the same time.
	pub max_concurrent: u32,
	/// An upload without data for this long is cut off (and can be resumed).
	pub idle_timeout_seconds: u32,
}
