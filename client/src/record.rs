//! The local record: what was stored, by which deals, and how far each has come.
//!
//! One JSON file per object in the state folder, replaced as a whole at every step, so that a command
//! that was interrupted goes on where it stopped. The chain decides what a deal is; the record says
//! where to look. Losing it loses no data: deals can be found on chain by the client's account.

use cairn_primitives::{deal::DealProposal, BlockNumber, DealId, PieceInfo, SectorNumber};
use cairn_provider_api::{Amount, Hash32, HexBytes};
use codec::{DecodeAll, Encode};
use serde::{Deserialize, Serialize};
use std::{
	fs::{self, File, TryLockError},
	io::{self, Write},
	path::{Path, PathBuf},
};

use crate::settings::TierName;

/// A deal proposal with accounts as raw bytes.
pub type Proposal = DealProposal<[u8; 32]>;

/// `schema` of the files: format and version.
const SCHEMA: &str = "cairn.object/1";
/// Larger files are not records.
const MAX_FILE: u64 = 16 << 20;

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
		!matches!(self, DealState::Failed { .. })
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

	/// Whether an upload still needs the archive, or a copy still lacks a deal.
	pub fn needs_archive(&self) -> bool {
		self.alive().count() < usize::from(self.wanted.copies)
			|| self
				.deals
				.iter()
				.any(|deal| matches!(deal.state, DealState::Signed | DealState::Accepted))
	}
}

/// All records in a state folder.
#[derive(Clone, Debug)]
pub struct Records {
	folder: PathBuf,
}

/// Holds an object for one process until dropped.
#[derive(Debug)]
pub struct ObjectLock {
	_file: File,
}

impl Records {
	/// The records under `state_dir`, which need not exist.
	pub fn new(state_dir: &Path) -> Self {
		Records {
			folder: state_dir.join("objects"),
		}
	}

	fn file(&self, id: &str) -> PathBuf {
		self.folder.join(format!("{id}.json"))
	}

	/// Every record, oldest first.
	pub fn all(&self) -> Result<Vec<ObjectRecord>, RecordError> {
		let entries = match fs::read_dir(&self.folder) {
			Ok(entries) => entries,
			Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
			Err(source) => {
				return Err(RecordError::Io {
					path: self.folder.clone(),
					source,
				})
			}
		};
		let mut records = Vec::new();
		for entry in entries {
			let entry = entry.map_err(|source| RecordError::Io {
				path: self.folder.clone(),
				source,
			})?;
			let path = entry.path();
			if path.extension().is_some_and(|extension| extension == "json") {
				records.push(read(&path)?);
			}
		}
		records.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
		Ok(records)
	}

	/// One record.
	pub fn load(&self, id: &str) -> Result<ObjectRecord, RecordError> {
		// Ids are part of a file's name.
		if id.len() != 16 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
			return Err(RecordError::Missing { id: id.to_owned() });
		}
		match read(&self.file(id)) {
			Err(RecordError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
				Err(RecordError::Missing { id: id.to_owned() })
			}
			other => other,
		}
	}

	/// Writes a record, whole or not at all; it survives a crash right after.
	pub fn save(&self, record: &ObjectRecord) -> Result<(), RecordError> {
		let path = self.file(&record.id);
		let io_error = |source| RecordError::Io {
			path: path.clone(),
			source,
		};
		let json = serde_json::to_vec_pretty(record).map_err(|error| io_error(error.into()))?;
		fs::create_dir_all(&self.folder).map_err(io_error)?;
		let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(io_error)?;
		file.write_all(&json)
			.and_then(|()| file.as_file().sync_all())
			.map_err(io_error)?;
		file.persist(&path).map_err(|error| io_error(error.error))?;
		File::open(&self.folder)
			.and_then(|folder| folder.sync_all())
			.map_err(io_error)
	}

	/// Forgets an object. The caller holds its lock.
	pub fn remove(&self, id: &str) -> Result<(), RecordError> {
		for path in [self.file(id), self.folder.join(format!("{id}.lock"))] {
			match fs::remove_file(&path) {
				Err(error) if error.kind() != io::ErrorKind::NotFound => {
					return Err(RecordError::Io { path, source: error });
				}
				_ => {}
			}
		}
		Ok(())
	}

	/// Takes an object for this process.
	pub fn lock(&self, id: &str) -> Result<ObjectLock, RecordError> {
		let path = self.folder.join(format!("{id}.lock"));
		let io_error = |source| RecordError::Io {
			path: path.clone(),
			source,
		};
		fs::create_dir_all(&self.folder).map_err(io_error)?;
		let file = File::options()
			.create(true)
			.append(true)
			.open(&path)
			.map_err(io_error)?;
		match file.try_lock() {
			Ok(()) => Ok(ObjectLock { _file: file }),
			Err(TryLockError::WouldBlock) => Err(RecordError::Busy { id: id.to_owned() }),
			Err(TryLockError::Error(source)) => Err(io_error(source)),
		}
	}
}

fn read(path: &Path) -> Result<ObjectRecord, RecordError> {
	let io_error = |source| RecordError::Io {
		path: path.to_owned(),
		source,
	};
	let parse_error = |source| RecordError::Parse {
		path: path.to_owned(),
		source,
	};
	let size = fs::metadata(path).map_err(io_error)?.len();
	if size > MAX_FILE {
		return Err(io_error(io::Error::other("the file is too large")));
	}
	let json = fs::read(path).map_err(io_error)?;
	#[derive(Deserialize)]
	struct Versioned {
		schema: String,
	}
	let Versioned { schema } = serde_json::from_slice(&json).map_err(parse_error)?;
	if schema != SCHEMA {
		return Err(RecordError::Version {
			path: path.to_owned(),
			found: schema,
		});
	}
	serde_json::from_slice(&json).map_err(parse_error)
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_primitives::{
		deal::{DealPayload, PayloadKind},
		Tier,
	};

	fn record(id: u8) -> ObjectRecord {
		let wanted = Wanted {
			copies: 1,
			tier: TierName::Hot,
			duration: 30,
			providers: vec![],
		};
		let mut record = ObjectRecord::new(
			[id; 8],
			Hash32([1; 32]),
			Hash32([2; 32]),
			vec!["/tmp/a.txt".into()],
			Hash32([3; 32]),
			wanted,
		);
		let proposal = Proposal {
			piece: PieceInfo {
				commitment: [1; 32],
				size_log2: 11,
				payload_size: 2000,
			},
			payload: DealPayload::V1 {
				kind: PayloadKind::Public,
				root: vec![1, 0x55].try_into().unwrap(),
			},
			client: [2; 32],
			provider: [3; 32],
			tier: Tier::Hot,
			start_by: 100,
			duration: 30,
			price_per_block: 7,
			provider_collateral: 9,
			nonce: u64::MAX,
			label: b"label".to_vec().try_into().unwrap(),
		};
		record.deals.push(DealRecord::signed(
			&proposal,
			Hash32([9; 32]),
			vec![1; 65],
			"http://p".into(),
			210,
		));
		record
	}

	#[test]
	fn records_come_back() {
		let folder = tempfile::tempdir().unwrap();
		let records = Records::new(folder.path());
		assert_eq!(records.all().unwrap(), []);
		let mut record = record(7);
		records.save(&record).unwrap();
		record.deals[0].state = DealState::Active {
			deal_id: 1,
			sector: 2,
			since: 3,
			ends: 4,
		};
		records.save(&record).unwrap();
		assert_eq!(records.all().unwrap(), [record.clone()]);
		assert_eq!(records.load("0707070707070707").unwrap(), record);
		let proposal = record.deals[0].decode_proposal().unwrap();
		assert_eq!((proposal.nonce, proposal.start_by), (u64::MAX, 100));
		assert!(matches!(
			records.load("0000000000000000"),
			Err(RecordError::Missing { .. })
		));
		assert!(matches!(
			records.load("../../etc/passwd"),
			Err(RecordError::Missing { .. })
		));
	}

	#[test]
	fn foreign_files_are_named_in_errors() {
		let folder = tempfile::tempdir().unwrap();
		let records = Records::new(folder.path());
		records.save(&record(1)).unwrap();
		let path = records.file("0101010101010101");
		fs::write(&path, r#"{"schema":"cairn.object/2"}"#).unwrap();
		assert!(
			matches!(records.all(), Err(RecordError::Version { found, .. }) if found == "cairn.object/2")
		);
		fs::write(&path, "{").unwrap();
		assert!(matches!(records.all(), Err(RecordError::Parse { .. })));
	}

	#[test]
	fn one_process_per_object() {
		let folder = tempfile::tempdir().unwrap();
		let records = Records::new(folder.path());
		let held = records.lock("aa").unwrap();
		assert!(matches!(records.lock("aa"), Err(RecordError::Busy { .. })));
		drop(held);
		let _held = records.lock("aa").unwrap();
		records.remove("aa").unwrap();
		records.remove("aa").unwrap();
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
