//! Proposing deals and following them.

use crate::{Amount, Hash32, HexBytes};
use cairn_primitives::{deal::DealProposal, BlockNumber, DealId, SectorNumber};
use codec::{DecodeAll, Encode};
use serde::{Deserialize, Serialize};
use std::fmt;

/// `schema` of [`DealStatus`].
pub const STATUS_SCHEMA: &str = "cairn.provider.deal/1";
/// `schema` of [`DealList`].
pub const LIST_SCHEMA: &str = "cairn.provider.deals/1";
/// `schema` of [`ProposedDeal`].
pub const PROPOSED_SCHEMA: &str = "cairn.provider.proposed-deal/1";

/// An account's 32 public bytes, in the proposals that cross this interface. Encodes as the chain's
/// `AccountId32`.
pub type AccountBytes = [u8; 32];

/// Parameter of [`crate::rpc::PROPOSE_DEAL`].
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ProposeDeal {
	/// A proposal with the client's signature, which the provider publishes.
	Signed {
		/// SCALE of [`DealProposal`].
		proposal: HexBytes,
		/// SCALE of the client's `MultiSignature` over the proposal's signing bytes, raw or wrapped in
		/// `<Bytes>…</Bytes>`.
		signature: HexBytes,
	},
	/// A proposal that the client made on chain (`propose_deal`), which the provider accepts there.
	OnChain {
		/// Its hash.
		proposal_hash: Hash32,
	},
}

impl ProposeDeal {
	/// From a proposal and the SCALE bytes of its `MultiSignature`.
	pub fn signed<AccountId: Encode>(proposal: &DealProposal<AccountId>, signature: Vec<u8>) -> Self {
		ProposeDeal::Signed {
			proposal: HexBytes(proposal.encode()),
			signature: HexBytes(signature),
		}
	}

	/// The signed proposal, decoded; `None` for one on chain.
	///
	/// # Errors
	/// If the bytes are not exactly one proposal.
	pub fn decode_proposal(&self) -> Result<Option<DealProposal<AccountBytes>>, codec::Error> {
		match self {
			ProposeDeal::Signed { proposal, .. } => {
				DealProposal::decode_all(&mut proposal.0.as_slice()).map(Some)
			}
			ProposeDeal::OnChain { .. } => Ok(None),
		}
	}
}

/// Result of [`crate::rpc::PROPOSE_DEAL`].
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct ProposedDeal {
	/// [`PROPOSED_SCHEMA`].
	pub schema: String,
	/// The proposal's hash: the deal's name from here on.
	pub proposal_hash: Hash32,
	/// Path to upload the data to.
	pub upload: String,
	/// Where the deal stands.
	pub progress: DealProgress,
}

/// Where a deal stands, as the provider sees it.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DealProgress {
	/// Accepted; the data is awaited.
	Accepted,
	/// Part of the data is here.
	Receiving {
		/// Bytes on disk: the offset to go on from.
		bytes: u64,
		/// Bytes that the proposal names.
		of: u64,
	},
	/// The data is here and verified.
	Received,
	/// The deal is being published (or accepted, if it was proposed on chain).
	Publishing,
	/// On chain; waits for its sector.
	Published {
		/// The deal's number on chain.
		deal_id: DealId,
	},
	/// Its sector is being sealed.
	Sealing {
		/// The deal's number on chain.
		deal_id: DealId,
		/// The sector.
		sector: SectorNumber,
		/// 0 to 1.
		progress: f64,
	},
	/// Its sector is pre-committed; waits for the seed and the proof.
	PreCommitted {
		/// The deal's number on chain.
		deal_id: DealId,
		/// The sector.
		sector: SectorNumber,
	},
	/// Its sector is proven: the deal runs.
	Active {
		/// The deal's number on chain.
		deal_id: DealId,
		/// The sector.
		sector: SectorNumber,
		/// Block of activation.
		since: BlockNumber,
		/// Block at which the deal ends.
		ends: BlockNumber,
		/// The sector misses proofs at present.
		faulty: bool,
	},
	/// The deal came to its end.
	Ended {
		/// The deal's number on chain.
		deal_id: DealId,
	},
	/// The deal will not come about.
	Failed {
		/// Why.
		reason: String,
	},
	/// A state this version does not know.
	#[serde(other)]
	Unknown,
}

impl DealProgress {
	/// Whether the state is final.
	pub const fn is_final(&self) -> bool {
		matches!(self, DealProgress::Ended { .. } | DealProgress::Failed { .. })
	}

	/// Whether data can be uploaded.
	pub const fn awaits_data(&self) -> bool {
		matches!(self, DealProgress::Accepted | DealProgress::Receiving { .. })
	}

	/// The deal's number on chain, once it has one.
	pub const fn deal_id(&self) -> Option<DealId> {
		match self {
			DealProgress::Published { deal_id }
			| DealProgress::Sealing { deal_id, .. }
			| DealProgress::PreCommitted { deal_id, .. }
			| DealProgress::Active { deal_id, .. }
			| DealProgress::Ended { deal_id } => Some(*deal_id),
			_ => None,
		}
	}

	/// The sector, once there is one.
	pub const fn sector(&self) -> Option<SectorNumber> {
		match self {
			DealProgress::Sealing { sector, .. }
			| DealProgress::PreCommitted { sector, .. }
			| DealProgress::Active { sector, .. } => Some(*sector),
			_ => None,
		}
	}
}

/// Result of [`crate::rpc::DEAL_STATUS`].
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct DealStatus {
	/// [`STATUS_SCHEMA`].
	pub schema: String,
	/// The proposal's hash.
	pub proposal_hash: Hash32,
	/// Where the deal stands.
	pub progress: DealProgress,
	/// Piece CID, version 1, base32.
	pub piece_cid: String,
	/// CID of the payload's root.
	pub payload_cid: String,
	/// Bytes of the payload.
	pub payload_size: u64,
	/// The client, SS58.
	pub client: String,
	/// `hot` or `sealed`.
	pub tier: TierName,
	/// Last block at which the deal may be activated.
	pub start_by: BlockNumber,
	/// Blocks from activation to the deal's end.
	pub duration: BlockNumber,
	/// Plancks per block.
	pub price_per_block: Amount,
	/// The last problem that delayed the deal, if it is not resolved.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub delayed_by: Option<String>,
}

/// A tier's name.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "snake_case")]
pub enum TierName {
	/// See [`cairn_primitives::Tier::Hot`].
	Hot,
	/// See [`cairn_primitives::Tier::Sealed`].
	Sealed,
}

impl fmt::Display for TierName {
	fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
		f.write_str(match self {
			TierName::Hot => "hot",
			TierName::Sealed => "sealed",
		})
	}
}

impl From<cairn_primitives::Tier> for TierName {
	fn from(tier: cairn_primitives::Tier) -> Self {
		match tier {
			cairn_primitives::Tier::Hot => TierName::Hot,
			cairn_primitives::Tier::Sealed => TierName::Sealed,
		}
	}
}

impl From<TierName> for cairn_primitives::Tier {
	fn from(tier: TierName) -> Self {
		match tier {
			TierName::Hot => cairn_primitives::Tier::Hot,
			TierName::Sealed => cairn_primitives::Tier::Sealed,
		}
	}
}

/// Most deals in one [`DealList`].
pub const MAX_LISTED_DEALS: u32 = 1000;

/// Parameter of [`crate::rpc::LIST_DEALS`].
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct ListDeals {
	/// Only deals after this one, in the order of their hashes.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub after: Option<Hash32>,
	/// At most this many; [`MAX_LISTED_DEALS`] if absent or larger.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub limit: Option<u32>,
}

/// Result of [`crate::rpc::LIST_DEALS`].
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct DealList {
	/// [`LIST_SCHEMA`].
	pub schema: String,
	/// The deals, in the order of their hashes.
	pub deals: Vec<DealStatus>,
	/// Whether there are more after the last one.
	pub more: bool,
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn progress_is_tagged_and_open_to_new_states() {
		let json = serde_json::to_value(DealProgress::Receiving { bytes: 1, of: 2 }).unwrap();
		assert_eq!(
			json,
			serde_json::json!({"state": "receiving", "bytes": 1, "of": 2})
		);
		let new: DealProgress = serde_json::from_str(r#"{"state":"teleporting","to":"moon"}"#).unwrap();
		assert_eq!(new, DealProgress::Unknown);
	}

	#[test]
	fn requests_refuse_unknown_fields() {
		let hash = Hash32([1; 32]);
		let request = ProposeDeal::OnChain { proposal_hash: hash };
		let mut json = serde_json::to_value(&request).unwrap();
		assert_eq!(json["kind"], "on_chain");
		assert_eq!(
			serde_json::from_value::<ProposeDeal>(json.clone()).unwrap(),
			request
		);
		json["prize"] = 1.into();
		assert!(serde_json::from_value::<ProposeDeal>(json).is_err());
	}

	#[test]
	fn trailing_bytes_are_no_proposal() {
		let request = ProposeDeal::Signed {
			proposal: HexBytes(vec![0; 5]),
			signature: HexBytes(vec![]),
		};
		assert!(request.decode_proposal().is_err());
	}
}
