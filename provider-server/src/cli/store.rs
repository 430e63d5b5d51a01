//! `store stat | gc | fsck`: the node's own block store.

use super::{contact_server, output::columns, CliError, Session};
use crate::data::{open_repo, OpenDataError};
use cairn_blockstore::{
	repo::{DatasetError, FsckOptions, FsckReport, OpenError, StartupCheck},
	Repo,
};
use cairn_units::ByteSize;
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use std::process::ExitCode;

/// Exit code if the check found what it could not mend, or was not to mend, or if something could not be
/// freed.
const FOUND: u8 = 3;

/// The node's own block store.
#[derive(Subcommand)]
pub(crate) enum Store {
	/// Show how full it is; asks the daemon if that is running
	Stat,
	/// Free what is deleted and expired; a running daemon does that by itself
	Gc,
	/// Compare database and chunks and mend what differs; the daemon must not run
	Fsck {
		/// Read every chunk and check its hash, not only its size
		#[arg(long)]
		verify: bool,
		/// Report only, mend nothing
		#[arg(long)]
		dry_run: bool,
	},
}

/// `stat`'s result. Read from the daemon's answer, or made of the repository's.
#[derive(Serialize, Deserialize)]
struct Stat {
	#[serde(alias = "quotaMaxBytes")]
	quota: u64,
	#[serde(alias = "quotaUsedBytes")]
	used: u64,
	#[serde(alias = "quotaReservedBytes")]
	reserved: u64,
	#[serde(alias = "pendingDeleteBytes")]
	pending_delete: u64,
	#[serde(alias = "totalBlocks")]
	blocks: u64,
	datasets: u64,
}

#[derive(Serialize)]
struct Collected {
	expired: u64,
	datasets: u64,
	blocks: u64,
	bytes: u64,
	failed_blocks: u64,
}

#[derive(Serialize)]
struct Checked {
	clean: bool,
	mended: bool,
	blocks: u64,
	datasets: u64,
	lost_blocks: u64,
	damaged_datasets: Vec<String>,
	recovered_blocks: u64,
	stray_chunks: u64,
	stray_bytes: u64,
	wrong_blocks: u64,
	orphans: u64,
	wrong_datasets: u64,
	wrong_totals: u64,
	failed_chunks: u64,
	unfinished: bool,
}

impl From<FsckReport> for Checked {
	fn from(report: FsckReport) -> Self {
		Checked {
			clean: report.is_clean(),
			mended: report.mended,
			blocks: report.blocks,
			datasets: report.datasets,
			lost_blocks: report.lost_blocks,
			damaged_datasets: report
				.damaged_datasets
				.iter()
				.map(crate::data::cid_text)
				.collect(),
			recovered_blocks: report.recovered_blocks,
			stray_chunks: report.stray_chunks,
			stray_bytes: report.stray_bytes,
			wrong_blocks: report.wrong_blocks,
			orphans: report.orphans,
			wrong_datasets: report.wrong_datasets,
			wrong_totals: report.wrong_totals,
			failed_chunks: report.failed_chunks,
			unfinished: report.unfinished,
		}
	}
}

impl Store {
	pub async fn run(self, session: Session) -> Result<ExitCode, CliError> {
		let folder = session.paths.repo(&session.config);
		if !folder.join("metadata.redb").exists() {
			return Err(CliError::new(
				format!("there is no block store in {}", folder.display()),
				"`cairn-provider run` creates one, unless `[repo] enabled` is false",
			));
		}
		match self {
			Store::Stat => stat(&session).await,
			Store::Gc => gc(&session),
			Store::Fsck { verify, dry_run } => fsck(&session, verify, dry_run),
		}
	}
}

fn open(session: &Session, check: StartupCheck) -> Result<Repo, OpenError> {
	let folder = session.paths.repo(&session.config);
	open_repo(&session.config, &folder, check).map(|(repo, _)| repo)
}

/// What is said instead of doing what a running daemon keeps from being done.
fn in_use(error: OpenError, hint: &str) -> CliError {
	match error {
		OpenError::InUse { .. } => CliError::new(error.to_string(), hint),
		error => OpenDataError::from(error).into(),
	}
}

async fn stat(session: &Session) -> Result<ExitCode, CliError> {
	let stat = match open(session, StartupCheck::Skip) {
		Ok(repo) => {
			let space = repo.space().map_err(DatasetError::from)?;
			Stat {
				quota: space.quota,
				used: space.used,
				reserved: space.reserved,
				pending_delete: space.pending_delete,
				blocks: space.blocks,
				datasets: space.datasets,
			}
		}
		Err(OpenError::InUse { .. }) => contact_server::get(session, "/api/cairn/v1/space").await?,
		Err(error) => return Err(OpenDataError::from(error).into()),
	};
	session.out.result("cairn.provider.store/1", &stat, |out| {
		let size = |bytes| ByteSize(bytes).to_string();
		let row = |name: &str, value: String| vec![name.to_owned(), value];
		columns(
			out,
			&[
				row("quota", size(stat.quota)),
				row("used", size(stat.used)),
				row("reserved", size(stat.reserved)),
				row("to be freed", size(stat.pending_delete)),
				row("blocks", stat.blocks.to_string()),
				row("datasets", stat.datasets.to_string()),
			],
		)
	})?;
	Ok(ExitCode::SUCCESS)
}

fn gc(session: &Session) -> Result<ExitCode, CliError> {
	let repo = open(session, StartupCheck::AfterCrash)
		.map_err(|error| in_use(error, "the daemon runs, and frees what is deleted by itself"))?;
	let done = repo.maintain().map_err(std::io::Error::other)?;
	let collected = Collected {
		expired: done.expired,
		datasets: done.datasets,
		blocks: done.freed_blocks,
		bytes: done.freed_bytes,
		failed_blocks: done.failed_blocks,
	};
	session
		.out
		.result("cairn.provider.store-gc/1", &collected, |out| {
			writeln!(
				out,
				"freed {} in {} blocks; {} datasets had expired",
				ByteSize(collected.bytes),
				collected.blocks,
				collected.expired
			)?;
			if collected.failed_blocks > 0 {
				writeln!(
					out,
					"{} blocks could not be removed from the disk; the log says why",
					collected.failed_blocks
				)?;
			}
			Ok(())
		})?;
	match collected.failed_blocks {
		0 => Ok(ExitCode::SUCCESS),
		_ => Ok(ExitCode::from(FOUND)),
	}
}

fn fsck(session: &Session, verify: bool, dry_run: bool) -> Result<ExitCode, CliError> {
	// This is the check that a crash makes due.
	let repo = open(session, StartupCheck::Skip)
		.map_err(|error| in_use(error, "the daemon runs: stop it, then check"))?;
	let options = FsckOptions {
		verify,
		mend: !dry_run,
	};
	let checked = Checked::from(repo.fsck(options).map_err(std::io::Error::other)?);
	session
		.out
		.result("cairn.provider.store-fsck/1", &checked, |out| {
			writeln!(
				out,
				"checked {} blocks of {} datasets",
				checked.blocks, checked.datasets
			)?;
			if checked.clean {
				return writeln!(out, "nothing differs");
			}
			let mended = if checked.mended { "mended" } else { "not mended" };
			for (count, what) in [
				(checked.recovered_blocks, "blocks marked as lost that are there"),
				(checked.stray_chunks, "chunks that nothing refers to"),
				(checked.wrong_blocks, "blocks with wrong counts"),
				(checked.orphans, "references of datasets that do not exist"),
				(checked.wrong_datasets, "datasets with wrong counts"),
				(checked.wrong_totals, "wrong totals"),
			] {
				if count > 0 {
					writeln!(out, "{count} {what}: {mended}")?;
				}
			}
			if checked.failed_chunks > 0 {
				writeln!(
					out,
					"{} chunks cannot be read or removed; the log says why",
					checked.failed_chunks
				)?;
			}
			if checked.unfinished {
				writeln!(out, "the chunks cannot all be listed; the log says why")?;
			}
			if checked.lost_blocks > 0 {
				writeln!(
					out,
					"{} blocks are lost; upload these again:",
					checked.lost_blocks
				)?;
				for cid in &checked.damaged_datasets {
					writeln!(out, "  {cid}")?;
				}
			}
			Ok(())
		})?;
	let is_mended = checked.mended && !checked.unfinished && checked.lost_blocks + checked.failed_chunks == 0;
	if checked.clean || is_mended {
		Ok(ExitCode::SUCCESS)
	} else {
		Ok(ExitCode::from(FOUND))
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::{
		cli::{output::Output, run::Running, Global},
		config::{Config, Paths},
		data::Data,
	};
	use cairn_dag::{Block, Codec};

	/// A session on a base path, and its block store with one block in it.
	fn session(dir: &tempfile::TempDir) -> (Session, Data) {
		let paths = Paths::resolve(Some(dir.path().to_owned()), None).unwrap();
		let mut config = Config::default();
		config.storage.keep_free = ByteSize(0);
		let data = Data::open(&config, &paths).unwrap().unwrap();
		data.put_block(Block::encode(Codec::Raw, &b"a block"[..]), None)
			.unwrap();
		let session = Session {
			paths,
			config,
			global: global(),
			out: Output::new(false),
		};
		(session, data)
	}

	fn global() -> Global {
		Global {
			base_path: None,
			config: None,
			node: None,
			password: None,
			log_format: None,
			json: false,
		}
	}

	/// The file in which the block's bytes are.
	fn chunk(dir: &tempfile::TempDir) -> std::path::PathBuf {
		let mut folders = vec![dir.path().join("repo/chunks")];
		while let Some(folder) = folders.pop() {
			for entry in std::fs::read_dir(folder).unwrap() {
				let path = entry.unwrap().path();
				if path.is_dir() {
					folders.push(path);
				} else if std::fs::read(&path).unwrap() == b"a block" {
					return path;
				}
			}
		}
		panic!("no chunk");
	}

	fn found(code: ExitCode) -> bool {
		code == ExitCode::from(FOUND)
	}

	#[test]
	fn a_store_that_the_daemon_has_open_is_left_alone() {
		let dir = tempfile::tempdir().unwrap();
		let (session, data) = session(&dir);
		let error = gc(&session).unwrap_err();
		assert!(error.to_string().contains("in use"), "{error}");
		assert!(error.hint().unwrap().contains("by itself"));
		assert!(fsck(&session, false, false)
			.unwrap_err()
			.hint()
			.unwrap()
			.contains("stop it"));
		// A second daemon.
		let error = CliError::from(Data::open(&session.config, &session.paths).err().unwrap());
		assert_eq!(
			error.hint().as_deref(),
			Some("another cairn-provider runs on this folder")
		);
		drop(data);
		assert!(!found(gc(&session).unwrap()));
		assert!(!found(fsck(&session, true, false).unwrap()));
	}

	#[test]
	fn what_is_deleted_is_freed() {
		let dir = tempfile::tempdir().unwrap();
		let (session, data) = session(&dir);
		let block = Block::encode(Codec::Raw, &b"a deleted block"[..]);
		let deleted = *block.cid();
		data.put_block(block, None).unwrap();
		// A large one, which is freed in another way.
		let mut upload = data.repo.upload(0).unwrap();
		let mut large = None;
		for n in 0..1000_u32 {
			let block = Block::encode(Codec::Raw, n.to_le_bytes().to_vec());
			large.get_or_insert(*block.cid());
			upload.put(block).unwrap();
		}
		let large = large.unwrap();
		upload
			.commit(&large, &cairn_blockstore::repo::CommitOptions::default())
			.unwrap();
		// The daemon's worker would collect by itself.
		let repo = data.repo.clone();
		drop(data);
		repo.delete(&deleted).unwrap();
		repo.delete(&large).unwrap();
		let space = repo.space().unwrap();
		assert_eq!((space.used, space.pending_delete), (7 + 15 + 4000, 15 + 4000));
		drop(repo);
		assert!(!found(gc(&session).unwrap()));
		let repo = open(&session, StartupCheck::Skip).unwrap();
		let space = repo.space().unwrap();
		assert_eq!(
			(space.used, space.pending_delete, space.hidden_datasets),
			(7, 0, 0)
		);
		assert_eq!(
			repo.maintain().unwrap(),
			cairn_blockstore::repo::Maintained::default()
		);
		drop(repo);
		assert_eq!(std::fs::read(chunk(&dir)).unwrap(), b"a block");
		assert!(!found(fsck(&session, true, true).unwrap()));
	}

	#[test]
	fn damage_is_found_and_reported() {
		let dir = tempfile::tempdir().unwrap();
		let (session, data) = session(&dir);
		drop(data);
		std::fs::write(chunk(&dir), b"a blocK").unwrap();
		// The size is right.
		assert!(!found(fsck(&session, false, true).unwrap()));
		assert!(found(fsck(&session, true, true).unwrap()));
		assert!(found(fsck(&session, true, false).unwrap()));
	}

	#[tokio::test]
	async fn a_running_daemon_is_asked() {
		let mut config = crate::simulation::test_config();
		config.repo.enabled = true;
		let world = crate::simulation::World::with(config).await;
		let base = world.dir.path();
		let data = world.provider().data.clone().unwrap();
		let block = Block::encode(Codec::Raw, &b"a block"[..]);
		tokio::task::spawn_blocking(move || data.put_block(block, None))
			.await
			.unwrap()
			.unwrap();
		let session = Session {
			paths: Paths::resolve(Some(base.to_owned()), None).unwrap(),
			config: world.config.clone(),
			global: global(),
			out: Output::new(true),
		};
		// It is starting.
		let error = stat(&session).await.unwrap_err();
		assert!(error.hint().unwrap().contains("wait"), "{error}");

		let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
		let running = Running {
			peer: Vec::new(),
			listen: listener.local_addr().unwrap(),
			pid: std::process::id(),
		};
		std::fs::write(base.join("running.json"), serde_json::to_vec(&running).unwrap()).unwrap();
		let stop = tokio_util::sync::CancellationToken::new();
		let server = tokio::spawn({
			let router = crate::http::router(world.provider().clone()).unwrap();
			let (config, stop) = (world.config.server.clone(), stop.clone());
			let metrics = world.provider().metrics.clone();
			async move { crate::http::serve(listener, router, &config, &metrics, stop).await }
		});
		let found: Stat = contact_server::get(&session, "/api/cairn/v1/space")
			.await
			.unwrap();
		assert_eq!((found.blocks, found.used, found.datasets), (1, 7, 1));
		assert_eq!(stat(&session).await.unwrap(), ExitCode::SUCCESS);
		stop.cancel();
		server.await.unwrap();
	}

	#[tokio::test]
	async fn no_store_is_created_by_looking() {
		let dir = tempfile::tempdir().unwrap();
		let (mut session, data) = session(&dir);
		drop(data);
		assert_eq!(stat(&session).await.unwrap(), ExitCode::SUCCESS);
		session.config.repo.path = Some("elsewhere".into());
		let error = Store::Stat.run(session).await.unwrap_err();
		assert!(error.to_string().contains("no block store"), "{error}");
		assert!(!dir.path().join("elsewhere").exists());
	}
}
