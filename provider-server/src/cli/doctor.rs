//! `doctor`: is everything in place? Each finding says what to do.

use super::{output::columns, run::Running, CliError, Session};
use crate::{
	chain::{live, Ask},
	ingest::Disk,
	network::{registry, NetworkError},
	store::{Store, StoreError},
};
use cairn_chain_client::{ChainClient, ProviderContact};
use cairn_network::{
	discovery::RecordDatabase,
	host::{Host, HostConfig, HostParts, NatConfig},
	identity::Identity,
};
use cairn_provider_api::endpoint;
use cairn_units::Amount;
use clap::Args;
use futures::{FutureExt, StreamExt};
use serde::Serialize;
use std::{path::Path, process::ExitCode, time::Duration};
use tokio::net::{TcpListener, TcpStream};

/// Exit code when something keeps the provider from working.
const UNFIT: u8 = 3;
/// Blocks that are expected within this time.
const BLOCK_PATIENCE: Duration = Duration::from_secs(20);
/// Registered peers are expected to answer within this time.
const PEER_PATIENCE: Duration = Duration::from_secs(15);
/// Least funds of the worker.
const LOW_FUNDS: u128 = 1_000_000_000_000;

/// Check disk, keys, chain, registration, funds, peers and ports.
#[derive(Args)]
pub(crate) struct Doctor {}

#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
enum Verdict {
	Ok,
	Warning,
	Failed,
}

#[derive(Serialize, Debug)]
struct Finding {
	check: &'static str,
	verdict: Verdict,
	detail: String,
	#[serde(skip_serializing_if = "Option::is_none")]
	hint: Option<String>,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
	fn add(&mut self, check: &'static str, verdict: Verdict, detail: impl Into<String>, hint: &str) {
		let hint = (verdict != Verdict::Ok && !hint.is_empty()).then(|| hint.to_owned());
		self.0.push(Finding {
			check,
			verdict,
			detail: detail.into(),
			hint,
		});
	}

	fn ok(&mut self, check: &'static str, detail: impl Into<String>) {
		self.add(check, Verdict::Ok, detail, "");
	}
}

#[derive(Serialize)]
struct Report {
	healthy: bool,
	findings: Vec<Finding>,
}

impl Doctor {
	pub async fn run(self, session: Session) -> Result<ExitCode, CliError> {
		let mut findings = Findings::default();
		if session.paths.config.exists() {
			findings.ok("configuration", session.paths.config.display().to_string());
		} else {
			findings.add(
				"configuration",
				Verdict::Warning,
				format!(
					"{} does not exist; the defaults apply",
					session.paths.config.display()
				),
				"`cairn-provider init` writes one",
			);
		}
		disk(&session, &mut findings);
		let worker = keys(&session, &mut findings);
		let client = chain(&session, &mut findings).await;
		if let (Some(client), Some(worker)) = (&client, worker) {
			registration(client, &worker, &mut findings).await?;
			if session.config.network.enabled {
				peers(&session, client, &worker, &mut findings).await?;
			}
		}
		port(&session, &mut findings).await;

		let healthy = findings
			.0
			.iter()
			.all(|finding| finding.verdict != Verdict::Failed);
		let report = Report {
			healthy,
			findings: findings.0,
		};
		session.out.result("cairn.provider.doctor/1", &report, |out| {
			let mut rows = Vec::new();
			for finding in &report.findings {
				let mark = match finding.verdict {
					Verdict::Ok => "ok",
					Verdict::Warning => "warning",
					Verdict::Failed => "FAILED",
				};
				rows.push(vec![
					mark.to_owned(),
					finding.check.to_owned(),
					finding.detail.clone(),
				]);
				if let Some(hint) = &finding.hint {
					rows.push(vec![String::new(), String::new(), format!("→ {hint}")]);
				}
			}
			columns(out, &rows)
		})?;
		Ok(if healthy {
			ExitCode::SUCCESS
		} else {
			ExitCode::from(UNFIT)
		})
	}
}

fn disk(session: &Session, findings: &mut Findings) {
	let storage = session.paths.storage(&session.config);
	// The nearest folder that exists decides which disk it will be.
	let existing = storage
		.ancestors()
		.find(|path| path.exists())
		.unwrap_or(Path::new("/"));
	match Disk::new(existing, session.config.storage.keep_free.0).available() {
		Ok(0) => findings.add(
			"disk",
			Verdict::Failed,
			format!("{} has less free than storage.keep_free", existing.display()),
			"free some space, or lower storage.keep_free",
		),
		Ok(available) => {
			findings.ok(
				"disk",
				format!("{} MiB may be used at {}", available >> 20, storage.display()),
			);
		}
		Err(error) => findings.add(
			"disk",
			Verdict::Failed,
			format!("{}: {error}", existing.display()),
			"check storage.path",
		),
	}
	let writable = tempfile_in(existing);
	if let Err(error) = writable {
		findings.add(
			"permissions",
			Verdict::Failed,
			format!("{} is not writable: {error}", existing.display()),
			"run as the user that owns the folder",
		);
	}
}

/// Writes and removes a file.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
	let probe = folder.join(format!(".cairn-provider-doctor-{}", std::process::id()));
	std::fs::write(&probe, b"probe")?;
	std::fs::remove_file(probe)
}

fn keys(session: &Session, findings: &mut Findings) -> Option<[u8; 32]> {
	let file = match session.keystore().load(&session.config.worker) {
		Ok(file) => file,
		Err(error) => {
			findings.add(
				"worker key",
				Verdict::Failed,
				error.to_string(),
				"run `cairn-provider init`",
			);
			return None;
		}
	};
	findings.ok("worker key", file.address());
	let unattended = session.password_file().exists() || session.global.password.is_some();
	if !unattended {
		findings.add(
			"password",
			Verdict::Warning,
			"`run` will ask for the worker key's password",
			"name a source with --password, or run `init --unattended`",
		);
	}
	#[cfg(unix)]
	{
		use std::os::unix::fs::PermissionsExt;
		let mode = session
			.keystore()
			.path(&session.config.worker)
			.ok()
			.and_then(|path| std::fs::metadata(path).ok())
			.map_or(0, |meta| meta.permissions().mode() & 0o077);
		if mode != 0 {
			findings.add(
				"key permissions",
				Verdict::Failed,
				"others can read the key file",
				"chmod 600 the files in the key folder",
			);
		}
	}
	Some(file.account())
}

async fn chain(session: &Session, findings: &mut Findings) -> Option<ChainClient> {
	let client = match session.connect().await {
		Ok(client) => client,
		Err(error) => {
			findings.add(
				"node",
				Verdict::Failed,
				format!("{}: {}", session.config.node, error.chain()),
				"start a node, or name one with --node",
			);
			return None;
		}
	};
	let identity = live::identity(&client);
	findings.ok(
		"node",
		format!(
			"{} runs {} (runtime {})",
			session.config.node, identity.name, identity.spec_version
		),
	);
	match Store::inspect(&session.paths.database()) {
		Ok((_, found)) if found.genesis_hash != identity.genesis_hash => findings.add(
			"database",
			Verdict::Failed,
			"it belongs to another chain than the node's",
			"connect to the right node, or use another --base-path for this chain",
		),
		Ok(_) => findings.ok("database", "belongs to the node's chain"),
		Err(StoreError::Missing { .. }) => findings.ok("database", "none yet"),
		Err(StoreError::InUse { .. }) => findings.ok("database", "in use by the running provider"),
		Err(error @ (StoreError::Newer { .. } | StoreError::Older { .. })) => findings.add(
			"database",
			Verdict::Failed,
			error.to_string(),
			"nothing was changed in it",
		),
		Err(error) => findings.add(
			"database",
			Verdict::Failed,
			error.to_string(),
			"restore it from a copy",
		),
	}
	// A chain whose finalized head stands still is of no use, and proofs would miss their deadlines.
	let mut blocks = client.finalized_blocks();
	let advance = async {
		blocks.next().await.ok()?;
		blocks.next().await.ok()
	};
	match tokio::time::timeout(BLOCK_PATIENCE, advance).await {
		Ok(Some(block)) => findings.ok(
			"clock",
			format!("block {} is finalized, and blocks follow", block.number),
		),
		_ => findings.add(
			"clock",
			Verdict::Failed,
			format!("no block was finalized within {} s", BLOCK_PATIENCE.as_secs()),
			"is the node in sync, and does the chain advance?",
		),
	}
	Some(client)
}

async fn registration(
	client: &ChainClient,
	worker: &[u8; 32],
	findings: &mut Findings,
) -> Result<(), CliError> {
	let query = client.query();
	let Some(owner) = query.provider_of(worker).await? else {
		findings.add(
			"registration",
			Verdict::Failed,
			"the worker serves no provider on this chain",
			"run `cairn-provider init` with the owner's key",
		);
		return Ok(());
	};
	findings.ok("registration", cairn_keystore::address::encode_default(&owner));
	if let Some(view) = query.provider(&owner).await? {
		let ProviderContact::V1 { addresses, .. } = view.contact;
		let texts: Vec<String> = addresses
			.iter()
			.filter_map(|bytes| endpoint::text(bytes))
			.collect();
		if texts.is_empty() {
			findings.add(
				"addresses",
				Verdict::Warning,
				"no address is registered, so clients cannot find this provider",
				"run `init --address /ip4/…/tcp/…/http` with the owner's key",
			);
		} else {
			findings.ok("addresses", texts.join(" "));
		}
	}
	let funds = query.balance(worker).await?.free;
	let (verdict, detail) = if funds < LOW_FUNDS {
		(Verdict::Failed, format!("the worker has {}", Amount(funds)))
	} else {
		(Verdict::Ok, format!("the worker has {}", Amount(funds)))
	};
	findings.add(
		"worker funds",
		verdict,
		detail,
		"send the worker funds for fees, or run `init` again",
	);
	let parameters = query.parameters().await?;
	let owner_funds = query.balance(&owner).await?.free;
	let least = parameters
		.pre_commit_deposit
		.saturating_add(parameters.pledge_per_gib);
	let verdict = if owner_funds < least {
		Verdict::Warning
	} else {
		Verdict::Ok
	};
	findings.add(
		"owner funds",
		verdict,
		format!("the owner has {} for deposits and pledges", Amount(owner_funds)),
		"send the owner funds: each sector takes a deposit and a pledge",
	);
	let escrow = query.escrow(&owner).await?;
	let verdict = if escrow == 0 {
		Verdict::Warning
	} else {
		Verdict::Ok
	};
	findings.add(
		"escrow",
		verdict,
		format!("{} for the collateral of new deals", Amount(escrow)),
		"run `init --escrow AMOUNT` with the owner's key",
	);
	let asks = query.asks(&owner).await?;
	let accepting = asks
		.iter()
		.filter(|(_, Ask::V1 { accepting, .. })| *accepting)
		.count();
	let verdict = if accepting == 0 {
		Verdict::Warning
	} else {
		Verdict::Ok
	};
	findings.add(
		"asks",
		verdict,
		format!("{accepting} offers take deals"),
		"offer something with `cairn-provider ask set hot-8MiB`",
	);
	Ok(())
}

/// Whether the peers through which this provider joins the network can be reached from here.
async fn peers(
	session: &Session,
	client: &ChainClient,
	worker: &[u8; 32],
	findings: &mut Findings,
) -> Result<(), CliError> {
	let host = match session.config.network.host() {
		Ok(settings) => probe(settings).await?,
		Err(error) => {
			findings.add(
				"network",
				Verdict::Failed,
				error.to_string(),
				"mend [network] in the configuration",
			);
			return Ok(());
		}
	};
	let query = client.query();
	let own = query.provider_of(worker).await?;
	let mut providers = registry::sample(registry::random_account(), registry::SAMPLE, |after, limit| {
		let query = query.clone();
		async move { query.providers(after, limit).await }.boxed()
	})
	.await?;
	providers.retain(|provider| Some(provider.owner) != own);
	let registered = registry::peers(providers);
	let count = registered.len();
	let answers = registry::reach(&host, registered).take_until(tokio::time::sleep(PEER_PATIENCE));
	let reached = answers.count().await;
	host.shutdown().await;
	match (reached, count) {
		(_, 0) => findings.ok("peers", "no other provider is registered as a peer"),
		(0, _) => findings.add(
			"peers",
			Verdict::Warning,
			format!("none of {count} registered peers answers"),
			"does this machine reach the network? If the others are on machines of their own, their addresses may be wrong",
		),
		_ => findings.ok("peers", format!("{reached} of {count} registered peers answer")),
	}
	Ok(())
}

/// A host that dials as the provider's own does, under another key, and does nothing else.
async fn probe(settings: HostConfig) -> Result<Host, NetworkError> {
	let config = HostConfig {
		listen: Vec::new(),
		external: Vec::new(),
		dht: None,
		nat: NatConfig {
			probe: false,
			answer_probes: false,
			..NatConfig::default()
		},
		..settings
	};
	let parts = HostParts::new(Identity::generate(), RecordDatabase::in_memory()?);
	Ok(Host::start(config, parts).await?)
}

async fn port(session: &Session, findings: &mut Findings) {
	let listen = session.config.server.listen;
	match TcpListener::bind(listen).await {
		Ok(_) => findings.ok("port", format!("{listen} is free")),
		Err(error) => {
			let running = std::fs::read(session.paths.base.join("running.json"))
				.ok()
				.and_then(|bytes| serde_json::from_slice::<Running>(&bytes).ok());
			let own = running.is_some_and(|running| running.listen == listen);
			if own && TcpStream::connect(listen).await.is_ok() {
				findings.ok("port", format!("{listen} is this provider's, running"));
			} else {
				findings.add(
					"port",
					Verdict::Failed,
					format!("{listen}: {error}"),
					"stop what uses the port, or choose another with server.listen",
				);
			}
		}
	}
}
