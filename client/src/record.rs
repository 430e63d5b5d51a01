//! The local record: what was stored, by which deals, and how far each has come.
//!
//! One JSON file per object in the state folder ([`Records`]), replaced as a whole at every step, so that a
//! command that was interrupted goes on where it stopped. The chain decides what a deal is; the record says
//! where to look. Losing it loses no data: deals can be found on chain by the client's account.

mod files;

pub use files::{Lock, Records};

use cairn_primitives::{deal::DealProposal, BlockNumber, DealId, PieceInfo, SectorNumber};
use cairn_provider_api::{Amount, Hash32, HexBytes};
use codec::{DecodeAll, Encode};
use serde::{Deserialize, Serialize};
use std::{io, path::PathBuf};

use crate::settings::TierName;

/// A deal proposal with accounts as raw bytes.
pub type Proposal = DealProposal<[u8; 32]>;

/// `schema` of the files: format and version.
const SCHEMA: &str = "cairn.object/1";

/// Why the record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
	/// A file or folder cannot be read or written.
	#[error("cannot use the local record at {}", path.display())]
	Io {
		/// Which.
		path: PathBuf,
		/// Why.
		source: io::Error,
	},
	/// A file is not a record.
	#[error("{} is not a record of a stored object", path.display())]
	Parse {
		/// Which.
		path: PathBuf,
		/// Why.
		source: serde_json::Error,
	},
	/// A file of another version.
	#[error("{} has the format {found}; this program knows {SCHEMA}", path.display())]
	Version {
		/// Which.
		path: PathBuf,
		/// Its schema.
		found: String,
	},
	/// Another process works on the object.
	#[error("another process is working on object {id}")]
	Busy {
		/// The object.
		id: String,
	},
	/// No object of that id.
	#[error("the local record has no object {id}")]
	Missing {
		/// The id asked for.
		id: String,
	},
}

/// One `put`: the object and its deals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectRecord {
	/// Format and version.
	schema: String,
	/// Names the record: 16 hex digits.
	pub id: String,
	/// The chain.
	pub genesis_hash: Hash32,
	/// Who pays.
	pub client: Hash32,
	/// What was stored: absolute paths.
	pub sources: Vec<PathBuf>,
	/// Names, sizes and times of the sources: tells whether they changed.
	pub fingerprint: Hash32,
	/// Seconds since 1970 at which the `put` began.
	pub created_at: u64,
	/// What was asked for.
	pub wanted: Wanted,
	/// Free text in the deals.
	#[serde(default)]
	pub label: String,
	/// The packed object, once it is packed.
	pub content: Option<Content>,
	/// The deals, failed ones included.
	pub deals: Vec<DealRecord>,
}

/// What a `put` asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
	/// Copies, each with another provider.
	pub copies: u16,
	/// The tier.
	pub tier: TierName,
	/// Blocks from activation to the end.
	pub duration: BlockNumber,
	/// Providers to choose from; empty: any.
	pub providers: Vec<Hash32>,
	/// How the files become an object.
	#[serde(default)]
	pub packing: Packing,
}

/// What decides, beside the files, which object they become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Packing {
	/// Whether a single file is put into a folder, so that its name is kept.
	pub wrap: bool,
	/// Whether entries of folders whose names start with a dot are taken.
	pub hidden: bool,
}

impl Default for Packing {
	/// As `put` does without flags.
	fn default() -> Self {
		Packing {
			wrap: false,
			hidden: true,
		}
	}
}

/// An object, packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
	/// CID of the root.
	pub root: String,
	/// Bytes of the files' content.
	pub size: u64,
	/// CommP of the archive.
	pub commitment: Hash32,
	/// Binary logarithm of the piece's padded size.
	pub size_log2: u8,
	/// Bytes of the archive.
	pub payload_size: u64,
	/// The archive, while it is needed for uploads.
	pub archive: Option<PathBuf>,
}

impl Content {
	/// The archive as a piece.
	pub fn piece(&self) -> PieceInfo {
		PieceInfo {
			commitment: self.commitment.0,
			size_log2: self.size_log2,
			payload_size: self.payload_size,
		}
	}
}

/// One deal of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DealRecord {
	/// Owner account of the provider.
	pub provider: Hash32,
	/// The provider's server.
	pub endpoint: String,
	/// SCALE of the proposal.
	pub proposal: HexBytes,
	/// SCALE of the client's signature. Empty for a proposal made on chain.
	pub signature: HexBytes,
	/// Hash of the proposal.
	pub proposal_hash: Hash32,
	/// Price of the whole duration, in plancks.
	pub total_price: Amount,
	/// How far it has come.
	#[serde(flatten)]
	pub state: DealState,
}

/// How far a deal has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DealState {
	/// Signed; perhaps sent.
	Signed,
	/// The provider accepted it and waits for the data.
	Accepted,
	/// The provider has the data and verified it.
	Uploaded,
	/// On chain; waits for its sector.
	Published {
		/// Number on chain.
		deal_id: DealId,
	},
	/// Its sector is proven: the deal runs.
	Active {
		/// Number on chain.
		deal_id: DealId,
		/// The sector.
		sector: SectorNumber,
		/// First block.
		since: BlockNumber,
		/// Block at which it ends.
		ends: BlockNumber,
	},
	/// Given up because the provider could not be dealt with, which may have all that it needs to publish
	/// the deal all the same, until the proposal's `start_by`. Another provider takes its place; if it is
	/// wanted after all, the same proposal is sent again.
	Abandoned {
		/// Why.
		reason: String,
	},
	/// It will not come about.
	Failed {
		/// Why.
		reason: String,
	},
}

impl DealState {
	/// Number on chain, once it has one.
	pub fn deal_id(&self) -> Option<DealId> {
		match self {
			DealState::Published { deal_id } | DealState::Active { deal_id, .. } => Some(*deal_id),
			_ => None,
		}
	}

	/// Whether the deal counts towards the copies.
	pub fn is_alive(&self) -> bool {
		!matches!(self, DealState::Abandoned { .. } | DealState::Failed { .. })
	}

	/// Why it does not count, if it does not.
	pub fn failure(&self) -> Option<&str> {
		match self {
			DealState::Abandoned { reason } | DealState::Failed { reason } => Some(reason),
			_ => None,
		}
	}

	/// Whether the client's escrow must still cover the deal: it is not on chain yet, and may get there.
	pub fn draws_on_escrow(&self) -> bool {
		matches!(
			self,
			DealState::Signed | DealState::Accepted | DealState::Uploaded
		)
	}

	/// One word for people.
	pub fn name(&self) -> &'static str {
		match self {
			DealState::Signed => "signed",
			DealState::Accepted => "accepted",
			DealState::Uploaded => "uploaded",
			DealState::Published { .. } => "published",
			DealState::Active { .. } => "active",
			DealState::Abandoned { .. } => "abandoned",
			DealState::Failed { .. } => "failed",
		}
	}
}

impl DealRecord {
	/// A deal that has just been signed.
	pub fn signed(
		proposal: &Proposal,
		proposal_hash: Hash32,
		signature: Vec<u8>,
		endpoint: String,
		total_price: u128,
	) -> Self {
		DealRecord {
			provider: Hash32(proposal.provider),
			endpoint,
			proposal: HexBytes(proposal.encode()),
			signature: HexBytes(signature),
			proposal_hash,
			total_price: Amount(total_price),
			state: DealState::Signed,
		}
	}

	/// The proposal, decoded. `None` if the record was damaged.
	pub fn decode_proposal(&self) -> Option<Proposal> {
		Proposal::decode_all(&mut self.proposal.0.as_slice()).ok()
	}

	/// Last block at which the provider can publish and activate the deal; 0 if the record was damaged.
	pub fn start_by(&self) -> BlockNumber {
		self.decode_proposal().map_or(0, |proposal| proposal.start_by)
	}
}

impl ObjectRecord {
	/// A `put` that begins. `id` must be random.
	pub fn new(
		id: [u8; 8],
		genesis_hash: Hash32,
		client: Hash32,
		sources: Vec<PathBuf>,
		fingerprint: Hash32,
		wanted: Wanted,
	) -> Self {
		let created_at = std::time::SystemTime::now()
			.duration_since(std::time::UNIX_EPOCH)
			.map_or(0, |since| since.as_secs());
		ObjectRecord {
			schema: SCHEMA.to_owned(),
			id: hex::encode(id),
			genesis_hash,
			client,
			sources,
			fingerprint,
			created_at,
			wanted,
			label: String::new(),
			content: None,
			deals: Vec::new(),
		}
	}

	/// A name for people: the last part of the first source.
	pub fn name(&self) -> String {
		let first = self.sources.first().and_then(|path| path.file_name());
		let name = first.map_or_else(|| "/".into(), |name| name.to_string_lossy().into_owned());
		match self.sources.len() {
			0 | 1 => name,
			more => format!("{name} and {} more", more - 1),
		}
	}

	/// Deals that have not failed.
	pub fn alive(&self) -> impl Iterator<Item = &DealRecord> {
		self.deals.iter().filter(|deal| deal.state.is_alive())
	}

	/// Whether every copy is active.
	pub fn is_complete(&self) -> bool {
		let active = self
			.deals
			.iter()
			.filter(|deal| matches!(deal.state, DealState::Active { .. }))
			.count();
		self.content.is_some() && active >= usize::from(self.wanted.copies)
	}

	/// Sends abandoned deals to their providers again, as many as copies are lacking: the same proposals,
	/// so that each can be published once only. Not those whose `start_by` has passed at block `now`.
	pub fn revive(&mut self, now: BlockNumber) {
		let mut lacking = usize::from(self.wanted.copies).saturating_sub(self.alive().count());
		for deal in &mut self.deals {
			let abandoned = matches!(deal.state, DealState::Abandoned { .. });
			if lacking > 0 && abandoned && deal.start_by() > now {
				deal.state = DealState::Signed;
				lacking -= 1;
			}
		}
	}

	/// Whether an upload still needs the archive, or a copy still lacks a deal.
	pub fn needs_archive(&self) -> bool {
		self.alive().count() < usize::from(self.wanted.copies)
			|| self
				.deals
				.iter()
				.any(|deal| matches!(deal.state, DealState::Signed | DealState::Accepted))
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::example_deal::{deal, object};

	fn record(id: u8) -> ObjectRecord {
		let mut record = object(id);
		record.deals.push(deal(9));
		record
	}

	#[test]
	fn abandoned_deals_are_sent_again_but_not_counted() {
		let abandoned = || DealState::Abandoned {
			reason: "silent".to_owned(),
		};
		let mut record = record(1);
		record.wanted.copies = 2;
		record.deals = vec![deal(1), deal(2), deal(3)];
		record.deals[0].state = abandoned();
		record.deals[1].state = DealState::Uploaded;
		record.deals[2].state = abandoned();
		assert_eq!(record.alive().count(), 1);
		assert!(record.needs_archive());
		// Their proposals are over.
		record.revive(100);
		assert_eq!(record.alive().count(), 1);
		record.revive(99);
		assert_eq!(record.deals[0].state, DealState::Signed);
		assert_eq!(record.deals[1].state, DealState::Uploaded);
		assert_eq!(record.deals[2].state, abandoned());
		let json = serde_json::to_value(&record.deals[2]).unwrap();
		assert_eq!(
			(json["state"].as_str(), json["reason"].as_str()),
			(Some("abandoned"), Some("silent"))
		);
	}

	/// Records that were written before an option existed.
	#[test]
	fn missing_options_have_their_former_value() {
		let mut json = serde_json::to_value(record(1)).unwrap();
		let object = json.as_object_mut().unwrap();
		assert!(object.remove("label").is_some());
		assert!(object["wanted"]
			.as_object_mut()
			.unwrap()
			.remove("packing")
			.is_some());
		assert_eq!(
			serde_json::from_value::<ObjectRecord>(json)
				.unwrap()
				.wanted
				.packing,
			Packing {
				wrap: false,
				hidden: true
			}
		);
	}

	#[test]
	fn progress_of_an_object() {
		let mut record = record(1);
		assert!(record.needs_archive() && !record.is_complete());
		record.content = Some(Content {
			root: "bafy".into(),
			size: 1,
			commitment: Hash32([0; 32]),
			size_log2: 7,
			payload_size: 1,
			archive: None,
		});
		record.deals[0].state = DealState::Uploaded;
		assert!(!record.needs_archive() && !record.is_complete());
		record.deals[0].state = DealState::Active {
			deal_id: 1,
			sector: 2,
			since: 3,
			ends: 4,
		};
		assert!(record.is_complete());
		record.deals[0].state = DealState::Failed {
			reason: String::new(),
		};
		assert!(record.needs_archive() && !record.is_complete());
		assert_eq!(record.name(), "a.txt");
	}
}
