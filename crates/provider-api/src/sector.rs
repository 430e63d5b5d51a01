//! Sectors, as operators see them.

use crate::deal::TierName;
use cairn_primitives::{BlockNumber, DealId, SectorNumber};
use serde::{Deserialize, Serialize};

/// `schema` of [`SectorList`].
pub const SECTORS_SCHEMA: &str = "cairn.provider.sectors/1";

/// Result of [`crate::rpc::LIST_SECTORS`].
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct SectorList {
	/// [`SECTORS_SCHEMA`].
	pub schema: String,
	/// Every sector whose number was ever taken, by number.
	pub sectors: Vec<SectorStatus>,
}

/// A sector.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct SectorStatus {
	/// Number.
	pub sector: SectorNumber,
	/// Number of its proof type.
	pub proof_type: u16,
	/// Tier.
	pub tier: TierName,
	/// Bytes of the sector.
	pub size: u64,
	/// Bytes of its padded pieces.
	pub used: u64,
	/// `packed`, `sealing`, `ready`, `pre_committing`, `pre_committed`, `active`, `faulty`,
	/// `recovering`, `ended` or `failed`.
	pub state: String,
	/// 0 to 1, while it is being sealed.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub seal_progress: Option<f64>,
	/// Block of activation.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub active_since: Option<BlockNumber>,
	/// Whether it misses proofs at present.
	pub faulty: bool,
	/// Deals, in the order of their pieces.
	pub deals: Vec<DealId>,
	/// Why it was given up.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub failure: Option<String>,
	/// The last problem that delayed it, if it is not resolved.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub delayed_by: Option<String>,
}
