//! The manifest: what a dataset is, in one block.

use crate::{
	block::{read_cid, Block},
	codec::{
		codex::{CodexBlock, CodexManifest, CodexRoot},
		BlockCodec, Codec, CodecError,
	},
	hash::HashFunction,
};
use bytes::Bytes;
use cid::Cid;
use prost::Message;

/// What a dataset is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
	/// Root of the tree over the blocks.
	pub tree: Cid,
	/// Bytes per block; the last one is padded with zeros.
	pub block_size: u32,
	/// Bytes of the data, without padding. Of a protected dataset: of all its blocks.
	pub dataset_size: u64,
	/// Multicodec code of the blocks.
	pub codec: u32,
	/// Multicodec code of the hash function of blocks and tree.
	pub hash: u32,
	/// Version of the blocks' CIDs.
	pub cid_version: u32,
	/// How the data is erasure-coded, if it is.
	pub protection: Option<Protection>,
	/// The name the uploader gave.
	pub filename: Option<String>,
	/// The media type the uploader gave.
	pub mimetype: Option<String>,
}

/// How a dataset is erasure-coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
	/// Data blocks per step of the code (K).
	pub data_blocks: u32,
	/// Parity blocks per step of the code (M).
	pub parity_blocks: u32,
	/// Tree of the data before it was coded.
	pub original_tree: Cid,
	/// Bytes of the data before it was coded.
	pub original_size: u64,
	/// Which blocks make a step.
	pub strategy: Strategy,
	/// How the coded data is cut into provable slots, if it is.
	pub verification: Option<Verification>,
}

/// How a dataset is cut into slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
	/// Root over the slots.
	pub root: Cid,
	/// Root of each slot; there are as many as blocks in a step.
	pub slots: Vec<Cid>,
	/// Bytes per cell.
	pub cell_size: u32,
	/// Which blocks make a slot.
	pub strategy: Strategy,
}

/// How blocks are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Strategy {
	/// Neighbours.
	Linear = 0,
	/// Every n-th.
	Stepped = 1,
}

impl Manifest {
	/// The manifest of unprotected data without a name.
	pub fn new(tree: Cid, block_size: u32, dataset_size: u64) -> Self {
		Self {
			tree,
			block_size,
			dataset_size,
			codec: CodexBlock::CODE as u32,
			hash: HashFunction::Sha2_256.code() as u32,
			cid_version: 1,
			protection: None,
			filename: None,
			mimetype: None,
		}
	}

	/// Blocks of the dataset, which are the leaves of its tree.
	pub fn blocks(&self) -> u64 {
		self.dataset_size.div_ceil(u64::from(self.block_size.max(1)))
	}

	/// Bytes of the data: the first ones, block after block, also of a protected dataset.
	pub fn content_size(&self) -> u64 {
		self.protection
			.as_ref()
			.map_or(self.dataset_size, |protection| protection.original_size)
	}

	/// The manifest's block; its CID is the dataset's.
	pub fn block(&self) -> Block {
		Block::encode(Codec::CodexManifest, self.encode())
	}

	/// The manifest's bytes.
	pub fn encode(&self) -> Vec<u8> {
		let bytes = |cid: &Cid| Some(Bytes::from(cid.to_bytes()));
		let verification = |verification: &Verification| VerificationInfo {
			verify_root: bytes(&verification.root),
			slot_roots: verification.slots.iter().filter_map(bytes).collect(),
			cell_size: Some(verification.cell_size),
			verifiable_strategy: Some(verification.strategy as u32),
		};
		let erasure = |protection: &Protection| ErasureInfo {
			ec_k: Some(protection.data_blocks),
			ec_m: Some(protection.parity_blocks),
			original_tree_cid: bytes(&protection.original_tree),
			original_dataset_size: Some(protection.original_size),
			protected_strategy: Some(protection.strategy as u32),
			verification: protection.verification.as_ref().map(verification),
		};
		let header = Header {
			tree_cid: bytes(&self.tree),
			block_size: Some(self.block_size),
			dataset_size: Some(self.dataset_size),
			codec: Some(self.codec),
			hcodec: Some(self.hash),
			version: Some(self.cid_version),
			erasure: self.protection.as_ref().map(erasure),
			filename: self.filename.clone(),
			mimetype: self.mimetype.clone(),
		};
		Envelope { header: Some(header) }.encode_to_vec()
	}

	/// Reads a manifest's bytes. Fields that Codex added or dropped over time are skipped.
	///
	/// # Errors
	/// [`CodecError::Malformed`] if a field is missing or contradicts another.
	pub fn decode(data: &[u8]) -> Result<Self, CodecError> {
		let envelope = Envelope::decode(Bytes::copy_from_slice(data))
			.map_err(|_| malformed("not a protobuf message"))?;
		let header = envelope.header.ok_or_else(|| malformed("no header"))?;
		let manifest = Self {
			tree: cid(header.tree_cid)?,
			block_size: header.block_size.unwrap_or_default(),
			dataset_size: header.dataset_size.unwrap_or_default(),
			codec: header.codec.unwrap_or_default(),
			hash: header.hcodec.unwrap_or_default(),
			cid_version: header.version.unwrap_or_default(),
			protection: header.erasure.map(protection).transpose()?,
			filename: header.filename.filter(|name| !name.is_empty()),
			mimetype: header.mimetype.filter(|mime| !mime.is_empty()),
		};
		manifest.check()?;
		Ok(manifest)
	}

	fn check(&self) -> Result<(), CodecError> {
		if self.block_size == 0 {
			return Err(malformed("blocks without size"));
		}
		if self.tree.codec() != CodexRoot::CODE || self.tree.hash().code() != u64::from(self.hash) {
			return Err(malformed(
				"the tree's CID is not that of a tree of the manifest's hash",
			));
		}
		if self.cid_version > 1 {
			return Err(malformed("unknown version of CID"));
		}
		let Some(protection) = &self.protection else {
			return Ok(());
		};
		let (data, parity) = (
			u64::from(protection.data_blocks),
			u64::from(protection.parity_blocks),
		);
		if data == 0 {
			return Err(malformed("erasure-coded without data"));
		}
		let original = protection.original_size.div_ceil(u64::from(self.block_size));
		let steps = original.div_ceil(data);
		if steps.checked_mul(data + parity) != Some(self.blocks()) {
			return Err(malformed("the number of blocks does not fit the erasure code"));
		}
		let slots = protection.verification.as_ref().map(|it| it.slots.len() as u64);
		if slots.is_some_and(|slots| slots != data + parity) {
			return Err(malformed("the number of slots does not fit the erasure code"));
		}
		Ok(())
	}
}

fn protection(erasure: ErasureInfo) -> Result<Protection, CodecError> {
	Ok(Protection {
		data_blocks: erasure.ec_k.unwrap_or_default(),
		parity_blocks: erasure.ec_m.unwrap_or_default(),
		original_tree: cid(erasure.original_tree_cid)?,
		original_size: erasure.original_dataset_size.unwrap_or_default(),
		strategy: strategy(erasure.protected_strategy)?,
		verification: erasure.verification.map(verification).transpose()?,
	})
}

fn verification(info: VerificationInfo) -> Result<Verification, CodecError> {
	let slots = info.slot_roots.into_iter().map(|slot| cid(Some(slot)));
	Ok(Verification {
		root: cid(info.verify_root)?,
		slots: slots.collect::<Result<_, _>>()?,
		cell_size: info.cell_size.unwrap_or_default(),
		strategy: strategy(info.verifiable_strategy)?,
	})
}

fn strategy(code: Option<u32>) -> Result<Strategy, CodecError> {
	match code.unwrap_or_default() {
		0 => Ok(Strategy::Linear),
		1 => Ok(Strategy::Stepped),
		_ => Err(malformed("unknown strategy")),
	}
}

fn cid(bytes: Option<Bytes>) -> Result<Cid, CodecError> {
	let bytes = bytes.ok_or_else(|| malformed("a CID is missing"))?;
	match read_cid(&bytes) {
		Some((cid, len)) if len == bytes.len() => Ok(cid),
		_ => Err(malformed("a CID is invalid")),
	}
}

fn malformed(reason: &'static str) -> CodecError {
	CodecError::Malformed {
		codec: CodexManifest::NAME,
		reason,
	}
}

/// Every field is optional, because Codex writes zeros too.
#[derive(Clone, PartialEq, Message)]
struct Envelope {
	#[prost(message, optional, tag = "1")]
	header: Option<Header>,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
	#[prost(bytes = "bytes", optional, tag = "1")]
	tree_cid: Option<Bytes>,
	#[prost(uint32, optional, tag = "2")]
	block_size: Option<u32>,
	#[prost(uint64, optional, tag = "3")]
	dataset_size: Option<u64>,
	#[prost(uint32, optional, tag = "4")]
	codec: Option<u32>,
	#[prost(uint32, optional, tag = "5")]
	hcodec: Option<u32>,
	#[prost(uint32, optional, tag = "6")]
	version: Option<u32>,
	#[prost(message, optional, tag = "7")]
	erasure: Option<ErasureInfo>,
	#[prost(string, optional, tag = "8")]
	filename: Option<String>,
	#[prost(string, optional, tag = "9")]
	mimetype: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ErasureInfo {
	#[prost(uint32, optional, tag = "1")]
	ec_k: Option<u32>,
	#[prost(uint32, optional, tag = "2")]
	ec_m: Option<u32>,
	#[prost(bytes = "bytes", optional, tag = "3")]
	original_tree_cid: Option<Bytes>,
	#[prost(uint64, optional, tag = "4")]
	original_dataset_size: Option<u64>,
	#[prost(uint32, optional, tag = "5")]
	protected_strategy: Option<u32>,
	#[prost(message, optional, tag = "6")]
	verification: Option<VerificationInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct VerificationInfo {
	#[prost(bytes = "bytes", optional, tag = "1")]
	verify_root: Option<Bytes>,
	#[prost(bytes = "bytes", repeated, tag = "2")]
	slot_roots: Vec<Bytes>,
	#[prost(uint32, optional, tag = "3")]
	cell_size: Option<u32>,
	#[prost(uint32, optional, tag = "4")]
	verifiable_strategy: Option<u32>,
}
