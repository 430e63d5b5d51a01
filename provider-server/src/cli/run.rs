//! `run`: the daemon.

use super::{CliError, ServerFlags, Session};
use crate::{
	access::WriteAccess,
	chain::live::LiveChain,
	data::Data,
	http::{router, serve, ServeError},
	ingest::{Disk, Limits, Uploads},
	metrics::Metrics,
	network::Network,
	pipeline::Pipeline,
	provider::{Parts, Provider, ViewError},
	retrieval::unsealing::{Bounds, Unsealer},
	store::{claim_storage, Identity, Store},
};
use cairn_proving::SectorStore;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
	net::TcpListener,
	signal::unix::{signal, SignalKind},
};
use tokio_util::sync::CancellationToken;

/// Run the provider.
#[derive(Args)]
pub(crate) struct Run {
	#[command(flatten)]
	server: ServerFlags,
}

/// What a running daemon leaves for the other commands.
#[derive(Serialize, Deserialize)]
pub(crate) struct Running {
	/// Address it listens on.
	pub listen: SocketAddr,
	/// Multiaddresses under which peers of the network reach it, each ending with its peer id.
	#[serde(default)]
	pub peer: Vec<String>,
	/// Its process.
	pub pid: u32,
}

impl Run {
	pub async fn run(self, mut session: Session) -> Result<(), CliError> {
		self.server.apply(&mut session.config);
		session.config.check()?;
		let shutdown = CancellationToken::new();
		watch_signals(shutdown.clone())?;

		// Before anything is created: a token that cannot be read must not leave a store without one.
		let token = session.paths.token(&session.config);
		let access = WriteAccess::load(token.as_deref(), &session.config.api.cors_origins)?;
		let worker = session.worker().await?;
		let client = session.connect().await?;
		let worker_key = worker.public();
		let owner = client
			.query()
			.provider_of(&worker_key)
			.await?
			.ok_or(ViewError::NotRegistered)?;
		let identity = Identity {
			genesis_hash: client.genesis_hash(),
			owner,
		};
		let chain = Arc::new(LiveChain::new(client, worker, owner));
		let config = session.config.clone();
		let storage = session.paths.storage(&config);
		let (store, sectors, data) = {
			let (database, storage) = (session.paths.database(), storage.clone());
			let (config, paths) = (config.clone(), session.paths.clone());
			tokio::task::spawn_blocking(move || -> Result<_, CliError> {
				let store = Store::open(&database, &identity)?;
				let sectors = SectorStore::open(&storage)?;
				claim_storage(&storage, &identity)?;
				let data = Data::open(&config, &paths)?;
				Ok((store, sectors, data))
			})
			.await
			.map_err(std::io::Error::other)??
		};
		let uploads = Uploads::open(
			&session.paths.uploads(&config),
			store.clone(),
			sectors.clone(),
			Disk::new(&storage, config.storage.keep_free.0),
			Limits {
				max_concurrent: config.uploads.max_concurrent,
				idle_timeout: config.idle_timeout(),
				min_progress: config.uploads.min_progress.0,
			},
		)?;
		let metrics = Metrics::default();
		let unsealer = Unsealer::start(
			sectors.clone(),
			uploads.disk().clone(),
			Bounds::new(config.storage.unsealing_keys.0),
			metrics.clone(),
		)?;
		let listener =
			TcpListener::bind(config.server.listen)
				.await
				.map_err(|source| ServeError::Listen {
					address: config.server.listen,
					source,
				})?;
		let listen = listener.local_addr()?;
		let provider = Provider::assemble(Parts {
			config: config.clone(),
			owner,
			worker: worker_key,
			chain,
			store,
			sectors,
			uploads,
			unsealer,
			data,
			access,
			metrics,
		})
		.await?;
		let router = router(provider.clone()).map_err(ServeError::Routes)?;
		let network = match config.network.enabled {
			true => Some(Network::start(provider.clone(), &session.paths.network(), shutdown.clone()).await?),
			false => None,
		};
		let running = Running {
			listen,
			peer: network
				.as_ref()
				.map_or_else(Vec::new, |network| network.addresses().to_vec()),
			pid: std::process::id(),
		};
		let note = session.paths.base.join("running.json");
		std::fs::write(&note, serde_json::to_vec(&running).map_err(std::io::Error::from)?)?;
		tracing::info!(
			provider = cairn_keystore::address::encode_default(&owner),
			listen = %listen,
			peer = running.peer.join(" "),
			chain = provider.chain.identity().name,
			"provider running"
		);
		if !listen.ip().is_loopback() {
			tracing::warn!("listening beyond this machine without TLS: put a proxy in front");
		}
		session.out.result("cairn.provider.running/1", &running, |out| {
			writeln!(out, "listening on http://{listen}")?;
			running
				.peer
				.iter()
				.try_for_each(|address| writeln!(out, "listening on {address}"))
		})?;

		let server = tokio::spawn({
			let (shutdown, metrics) = (shutdown.clone(), provider.metrics.clone());
			async move { serve(listener, router, &config.server, &metrics, shutdown).await }
		});
		let outcome = Pipeline::new(provider).run(shutdown.clone()).await;
		// Also when the pipeline could not start.
		shutdown.cancel();
		// The server ends by itself within its grace period.
		let _ = server.await;
		if let Some(network) = network {
			network.shutdown().await;
		}
		let _ = std::fs::remove_file(note);
		tracing::info!("provider stopped");
		Ok(outcome?)
	}
}

/// Cancels on SIGINT and SIGTERM.
fn watch_signals(shutdown: CancellationToken) -> std::io::Result<()> {
	let mut interrupt = signal(SignalKind::interrupt())?;
	let mut terminate = signal(SignalKind::terminate())?;
	tokio::spawn(async move {
		tokio::select! {
			_ = interrupt.recv() => {},
			_ = terminate.recv() => {},
		}
		tracing::info!("stopping");
		shutdown.cancel();
	});
	Ok(())
}
