//! The node's own block store: what its operator's programs put and get through the data API.
//!
//! [`Data`] holds the repository (`cairn_blockstore`), the uploads that are open ([`uploads`]) and the datasets that
//! are being fetched from other nodes ([`fetches`]). The routes are in [`crate::http`], and who may use which in
//! [`crate::access`].
//!
//! The data of deals is not here: it lies in pieces, and the pipeline looks after it.

mod blocks;
mod durable_file;
mod error;
pub mod fetches;
pub mod uploads;

pub use blocks::{expiry, PutBlockError};
pub use error::{put_problem, repo_problem, upload_problem};

use crate::{
	config::{Config, Paths},
	ingest::Disk,
};
use cairn_blockstore::{
	repo::{OpenError, ReadError, Recovery, StartupCheck, Worker},
	Repo, RepoConfig,
};
use cairn_dag::Block;
use cairn_provider_api::{ErrorKind, Problem};
use cid::Cid;
use fetches::{links_of, Fetches};
use std::{
	io,
	path::{Path, PathBuf},
	sync::{Arc, RwLock},
	time::Duration,
};
use uploads::Uploads;

/// Bytes of blocks that an upload collects before it writes them: what an open upload takes of memory.
const BATCH_BYTES: usize = 4 << 20;

/// The block store and what serves it.
pub struct Data {
	/// The blocks.
	pub repo: Repo,
	/// Uploads that are open.
	pub uploads: Arc<Uploads>,
	/// Datasets that are being fetched.
	pub fetches: Arc<Fetches>,
	/// Read while an upload is committed; written by who must not replace what was committed meanwhile.
	commits: Arc<RwLock<()>>,
	/// Collects what is deleted.
	_worker: Worker,
}

/// Why there is no block store.
#[derive(Debug, thiserror::Error)]
pub enum OpenDataError {
	/// The repository.
	#[error(transparent)]
	Repo(#[from] OpenError),
	/// The folder of unfinished uploads.
	#[error("cannot open the folder of unfinished uploads {}", path.display())]
	Uploads {
		/// The folder.
		path: PathBuf,
		/// Why.
		#[source]
		error: io::Error,
	},
	/// The folder of what is being fetched.
	#[error("cannot open the folder of fetches {}", path.display())]
	Fetches {
		/// The folder.
		path: PathBuf,
		/// Why.
		#[source]
		error: io::Error,
	},
	/// No thread to collect what is deleted.
	#[error("cannot start the thread that frees deleted data")]
	Worker(#[source] io::Error),
}

impl Data {
	/// Opens the block store that the configuration names, if it names one. Blocks.
	///
	/// # Errors
	/// See [`OpenDataError`]; another process has it open, for instance.
	pub fn open(config: &Config, paths: &Paths) -> Result<Option<Self>, OpenDataError> {
		if !config.repo.enabled {
			return Ok(None);
		}
		let (repo, recovery) = open_repo(config, &paths.repo(config), StartupCheck::AfterCrash)?;
		if recovery.after_crash {
			tracing::warn!(
				unfinished_uploads = recovery.unfinished_uploads,
				"the block store was not closed; it was checked"
			);
		}
		let commits = Arc::default();
		let incoming = paths.repo(config).join("incoming");
		let uploads = Uploads::open(
			repo.clone(),
			Arc::clone(&commits),
			(&incoming, Disk::new(&incoming, config.storage.keep_free.0)),
			config.repo.max_uploads,
			Duration::from_secs(config.repo.upload_patience_seconds),
		)
		.map_err(|error| OpenDataError::Uploads {
			path: incoming,
			error,
		})?;
		let recorded = paths.repo(config).join("fetches");
		let fetches = Fetches::open(
			repo.clone(),
			Arc::clone(&commits),
			&recorded,
			fetches::Limits {
				running: config.repo.max_fetches,
				find: Duration::from_secs(config.repo.fetch_find_seconds),
				idle: Duration::from_secs(config.repo.fetch_idle_seconds),
				min_progress: config.uploads.min_progress.0,
			},
		)
		.map_err(|error| OpenDataError::Fetches {
			path: recorded,
			error,
		})?;
		Ok(Some(Data {
			_worker: repo.start_worker().map_err(OpenDataError::Worker)?,
			repo,
			uploads,
			fetches,
			commits,
		}))
	}

	/// The block that a request is about, from the block store.
	///
	/// # Errors
	/// [`ErrorKind::NotFound`] if the block is not here. Blocks the thread.
	pub fn find(&self, cid: &Cid) -> Result<Block, Problem> {
		match self.repo.get(cid) {
			Ok(Some(block)) => Ok(block),
			Ok(None) => Err(Problem::new(
				ErrorKind::NotFound,
				format!("{} is not stored here", cid_text(cid)),
			)
			.hint("upload the data here, or have it fetched with POST /data/{cid}/network")),
			Err(error) => Err(error::read_problem(cid, &error)),
		}
	}

	/// The root of a dataset that is here with all its blocks; none otherwise. Blocks the thread.
	///
	/// # Errors
	/// If the block store cannot be read.
	pub fn whole(&self, root: &Cid) -> Result<Option<Whole>, Problem> {
		let block = match self.repo.get(root) {
			Ok(Some(block)) => block,
			Ok(None) | Err(ReadError::Damaged { .. }) => return Ok(None),
			Err(error) => return Err(error::read_problem(root, &error)),
		};
		let dataset = self.repo.dataset(root).map_err(repo_problem)?;
		// Uploads and fetches store all blocks of a dataset. A block that was put alone may lack those below it.
		let is_whole = dataset.as_ref().is_some_and(|dataset| dataset.blocks > 1)
			|| links_of(&block).is_ok_and(|links| links.is_empty());
		Ok(is_whole.then_some(Whole {
			root: block,
			is_kept: dataset.is_some(),
		}))
	}
}

/// What is here with all its blocks.
pub struct Whole {
	/// The block that the others are reached from.
	pub root: Block,
	/// Whether it is a dataset of its own, and not only part of one.
	pub is_kept: bool,
}

/// Opens the repository as configured.
///
/// # Errors
/// As [`Repo::open`].
pub fn open_repo(config: &Config, folder: &Path, check: StartupCheck) -> Result<(Repo, Recovery), OpenError> {
	let settings = RepoConfig {
		quota: config.repo.quota.0,
		default_ttl: config.repo.default_ttl.into(),
		batch_bytes: BATCH_BYTES,
		disk_reserve: config.storage.keep_free.0,
		startup_check: check,
		..RepoConfig::default()
	};
	Repo::open(folder, &settings)
}

/// A CID as the data API writes it: Codex's codecs in base58btc, as Codex does, others as everybody does.
pub fn cid_text(cid: &Cid) -> String {
	use cid::{multibase::Base, Version};
	if cid.version() == Version::V1 && (0xcd01..=0xcd06).contains(&cid.codec()) {
		// Only version 0 has bases that it cannot be written in.
		cid.to_string_of_base(Base::Base58Btc)
			.unwrap_or_else(|_| cid.to_string())
	} else {
		cid.to_string()
	}
}
