//! The JSON of the data API. Codex's fields have Codex's names, and so the others follow its style.

use crate::{
	config::Lifetime,
	data::{
		cid_text,
		fetches::{self, Phase, Progress},
		uploads::Status,
	},
};
use cairn_blockstore::{repo::BlockStat, Expiry};
use cairn_dag::{
	codec::{codex::CodexManifest, BlockCodec},
	codex::Manifest,
};
use cid::Cid;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A dataset: data that was uploaded as a whole, or a single block.
#[derive(Serialize, ToSchema, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct DataItem {
	/// Its name: the CID of the manifest, or of the block.
	pub cid: String,
	/// What the data is; null if the root is not a manifest.
	pub manifest: Option<ManifestItem>,
	/// How it is kept.
	#[serde(flatten)]
	pub kept: Kept,
}

/// What a dataset is, whether or not it is kept here.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct ManifestOf {
	/// The dataset.
	pub cid: String,
	/// What its data is; null if the root is not a manifest.
	pub manifest: Option<ManifestItem>,
}

/// What the data of a dataset is.
#[derive(Serialize, ToSchema, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct ManifestItem {
	/// Root of the tree over the blocks.
	pub tree_cid: String,
	/// Bytes of the data.
	pub dataset_size: u64,
	/// Bytes per block; the last one is padded with zeros.
	pub block_size: u32,
	/// Whether the data is erasure-coded.
	pub protected: bool,
	/// The name that the uploader gave.
	pub filename: Option<String>,
	/// The media type that the uploader gave.
	pub mimetype: Option<String>,
}

/// How a dataset is kept.
#[derive(Serialize, ToSchema, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kept {
	/// Distinct blocks, the tree's nodes and the manifest included.
	pub blocks: u64,
	/// Their bytes, whether or not other datasets have them too.
	pub stored_bytes: u64,
	/// When it came, in seconds since the Unix epoch.
	pub created_at: u64,
	/// When it expires, in seconds since the Unix epoch; null if it does not.
	pub expires_at: Option<u64>,
	/// Live deals that need it. While there are any it neither expires nor can be deleted.
	pub pins: u32,
}

/// A page of the list of datasets.
#[derive(Serialize, ToSchema, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct DataList {
	/// The datasets, in the order of their CIDs' bytes.
	pub content: Vec<DataItem>,
	/// `from` of the next page; null after the last.
	pub next: Option<String>,
}

/// Whether a block is stored.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct Exists {
	/// The block.
	pub cid: String,
	/// Whether it is stored here.
	pub exists: bool,
}

/// How full the block store is.
#[derive(Serialize, ToSchema, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Space {
	/// Blocks, the nodes of trees and manifests included.
	pub total_blocks: u64,
	/// The quota: most bytes of blocks.
	pub quota_max_bytes: u64,
	/// Bytes of all blocks, deleted ones that are not freed yet included.
	pub quota_used_bytes: u64,
	/// Bytes set aside for uploads that are running.
	pub quota_reserved_bytes: u64,
	/// Bytes of deleted and expired datasets that are not freed yet, at most.
	pub pending_delete_bytes: u64,
	/// Datasets.
	pub datasets: u64,
}

/// What is known about a block without reading it.
#[derive(Serialize, ToSchema, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockInfo {
	/// The block.
	pub cid: String,
	/// Its bytes.
	pub size: u32,
	/// Datasets that have it, those that are coming or going included.
	pub datasets: u32,
	/// Whether it was found damaged on the disk.
	pub damaged: bool,
}

/// An upload, and how far it is.
#[derive(Serialize, ToSchema, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct UploadItem {
	/// Its name, which whoever goes on with it needs.
	pub id: String,
	/// Bytes that came.
	pub received: u64,
	/// Bytes of the data, if they are known.
	pub length: Option<u64>,
	/// Whether a request is bringing data at the moment.
	pub running: bool,
	/// Whether another request can go on after this one has broken off.
	pub resumable: bool,
	/// Name of the data.
	pub filename: Option<String>,
	/// Media type of the data.
	pub mimetype: Option<String>,
	/// The dataset that it became; null as long as it is not complete.
	pub dataset: Option<String>,
	/// Seconds for which it waits for the next request, or its outcome can be asked for.
	pub expires_in: u64,
}

/// Uploads that are open, and those that were finished lately.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct UploadList {
	/// The uploads.
	pub uploads: Vec<UploadItem>,
}

/// A dataset that is being fetched from other nodes, or was lately, and how far it is.
#[derive(Serialize, ToSchema, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct FetchItem {
	/// The dataset.
	pub cid: String,
	/// `searching` until the root came, `fetching`, `storing`; then `complete`, `failed` or `given_up`.
	pub state: &'static str,
	/// What its data is; null if the root has not come, or is not a manifest.
	pub manifest: Option<ManifestItem>,
	/// Whether it is fetched to be kept: also when nobody reads it meanwhile.
	pub kept: bool,
	/// Downloads that it is sent to while it comes.
	pub readers: usize,
	/// When it began, in seconds since the Unix epoch.
	pub started_at: u64,
	/// Nodes that were found who may have it.
	pub peers: usize,
	/// Blocks that came.
	pub received_blocks: u64,
	/// Their bytes.
	pub received_bytes: u64,
	/// Blocks that were here before.
	pub local_blocks: u64,
	/// Their bytes.
	pub local_bytes: u64,
	/// Bytes of all its blocks, as its manifest says; null if that is not known.
	pub expected_bytes: Option<u64>,
	/// Why it failed.
	#[schema(value_type = Option<Problem>)]
	pub problem: Option<cairn_provider_api::Problem>,
}

/// Datasets that are being fetched, and those that were lately.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct FetchList {
	/// The fetches.
	pub fetches: Vec<FetchItem>,
}

/// What is to change about a dataset.
#[derive(Deserialize, ToSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct DatasetChange {
	/// For how long to keep it from now on: `"never"` to expire, or seconds. A dataset that is kept longer
	/// already stays as it is.
	#[schema(value_type = LifetimeShape)]
	pub ttl: Lifetime,
}

/// Bytes as they are.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "describes bodies in the OpenAPI document")]
pub(super) struct Binary(Vec<u8>);

/// `"never"` or a number of seconds, at least 1.
#[derive(ToSchema)]
#[schema(as = Lifetime)]
#[allow(dead_code, reason = "describes `Lifetime` in the OpenAPI document")]
#[serde(untagged)]
pub(super) enum LifetimeShape {
	/// Seconds, at least 1.
	Seconds(u64),
	/// `never`.
	Word(String),
}

/// A refusal.
#[derive(ToSchema)]
#[allow(
	dead_code,
	reason = "describes `cairn_provider_api::Problem` in the OpenAPI document"
)]
pub(in crate::http) struct Problem {
	/// `cairn.provider.problem/1`.
	schema: String,
	/// The cause; stable texts, of which there may be more in time.
	kind: String,
	/// What went wrong, one sentence.
	message: String,
	/// What to do about it.
	hint: Option<String>,
	/// Id of the request in the server's log.
	request_id: Option<String>,
}

impl From<&Manifest> for ManifestItem {
	fn from(manifest: &Manifest) -> Self {
		ManifestItem {
			tree_cid: cid_text(&manifest.tree),
			dataset_size: manifest.content_size(),
			block_size: manifest.block_size,
			protected: manifest.protection.is_some(),
			filename: manifest.filename.clone(),
			mimetype: manifest.mimetype.clone(),
		}
	}
}

impl DataItem {
	/// The dataset with its manifest, if it has one.
	pub fn new(dataset: &cairn_blockstore::Dataset, manifest: Option<&Manifest>) -> Self {
		DataItem {
			cid: cid_text(&dataset.root),
			manifest: manifest.map(Into::into),
			kept: Kept {
				blocks: dataset.blocks,
				stored_bytes: dataset.bytes,
				created_at: dataset.created,
				expires_at: match dataset.expiry {
					Expiry::At(second) => Some(second),
					Expiry::Never => None,
				},
				pins: dataset.pins,
			},
		}
	}
}

impl BlockInfo {
	/// Of a block.
	pub fn new(cid: &Cid, stat: BlockStat) -> Self {
		BlockInfo {
			cid: cid_text(cid),
			size: stat.size,
			datasets: stat.datasets,
			damaged: stat.damaged,
		}
	}
}

impl From<cairn_blockstore::repo::Space> for Space {
	fn from(space: cairn_blockstore::repo::Space) -> Self {
		Space {
			total_blocks: space.blocks,
			quota_max_bytes: space.quota,
			quota_used_bytes: space.used,
			quota_reserved_bytes: space.reserved,
			pending_delete_bytes: space.pending_delete,
			datasets: space.datasets,
		}
	}
}

impl From<fetches::Status> for FetchItem {
	fn from(status: fetches::Status) -> Self {
		let fetch = &status.fetch;
		let Progress {
			phase,
			received,
			local,
			peers,
		} = fetch.progress();
		let root = fetch
			.known_root()
			.filter(|root| root.cid().codec() == CodexManifest::CODE);
		let manifest = root.and_then(|root| Manifest::decode(root.data()).ok());
		FetchItem {
			cid: cid_text(&status.root),
			state: phase.name(),
			manifest: manifest.as_ref().map(Into::into),
			kept: status.kept,
			readers: status.readers,
			started_at: fetch.began(),
			peers,
			received_blocks: received.blocks,
			received_bytes: received.bytes,
			local_blocks: local.blocks,
			local_bytes: local.bytes,
			expected_bytes: fetch.length(),
			problem: match phase {
				Phase::Failed(problem) => Some(problem),
				_ => None,
			},
		}
	}
}

impl From<Status> for UploadItem {
	fn from(status: Status) -> Self {
		UploadItem {
			id: status.id,
			received: status.received,
			length: status.terms.length,
			running: status.running,
			resumable: status.terms.resumable,
			filename: status.terms.filename,
			mimetype: status.terms.mimetype,
			dataset: status.dataset.as_ref().map(cid_text),
			expires_in: status.waits.as_secs(),
		}
	}
}
