//! The command line: one file per command, this one only parses and dispatches.
//!
//! Results go to standard output, as text or (with `--json`) as one JSON object with a `schema`;
//! everything else goes to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 `doctor`
//! found something that keeps the provider from working, or `store fsck` something that is not mended.

mod ask;
mod contact_server;
mod deals;
mod doctor;
mod error;
mod init;
mod keys;
mod output;
mod peers;
mod run;
mod sectors;
mod store;
mod tier_name;

use crate::config::{Config, ConfigError, LogFormat, Paths};
use clap::{Args, Parser, Subcommand};
pub use error::CliError;
use output::Output;
use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode};

/// Cairn's storage provider.
#[derive(Parser)]
#[command(name = "cairn-provider", version, propagate_version = true)]
struct Cli {
	#[command(flatten)]
	global: Global,
	#[command(subcommand)]
	command: Command,
}

/// Settings of every command.
#[derive(Args, Clone)]
pub(crate) struct Global {
	/// Folder of keys, database and data [default: $XDG_DATA_HOME/cairn-provider]
	#[arg(long, global = true, value_name = "DIR", env = "CAIRN_PROVIDER_BASE_PATH")]
	base_path: Option<PathBuf>,
	/// Configuration file [default: config.toml in the base path, if one is named, else in
	/// $XDG_CONFIG_HOME/cairn-provider]
	#[arg(long, global = true, value_name = "FILE", env = "CAIRN_PROVIDER_CONFIG")]
	config: Option<PathBuf>,
	/// Websocket address of a Cairn node
	#[arg(long, global = true, value_name = "URL", env = "CAIRN_NODE")]
	node: Option<String>,
	/// Where the worker key's password comes from: env:NAME, fd:N, file:PATH or prompt [default: the
	/// file that `init --unattended` wrote, else prompt]
	#[arg(
		long,
		global = true,
		value_name = "SOURCE",
		env = "CAIRN_PROVIDER_PASSWORD_SOURCE"
	)]
	password: Option<String>,
	/// Form of the log
	#[arg(long, global = true, value_enum, env = "CAIRN_PROVIDER_LOG_FORMAT")]
	log_format: Option<LogFormat>,
	/// Print JSON
	#[arg(long, global = true)]
	json: bool,
}

/// Flags that change the server's settings.
#[derive(Args, Clone, Default)]
pub(crate) struct ServerFlags {
	/// Address to listen on
	#[arg(long, value_name = "IP:PORT", env = "CAIRN_PROVIDER_LISTEN")]
	listen: Option<SocketAddr>,
	/// Multiaddress at which the network's peers find this provider, such as /ip4/0.0.0.0/udp/7601/quic-v1; may be
	/// repeated
	#[arg(
		long,
		value_name = "MULTIADDR",
		env = "CAIRN_PROVIDER_NETWORK_LISTEN",
		value_delimiter = ','
	)]
	network_listen: Vec<String>,
	/// Do not be a peer of the network
	#[arg(long, conflicts_with = "network_listen")]
	no_network: bool,
}

impl ServerFlags {
	fn apply(&self, config: &mut Config) {
		if let Some(listen) = self.listen {
			config.server.listen = listen;
		}
		if !self.network_listen.is_empty() {
			config.network.listen = self.network_listen.clone();
		}
		config.network.enabled &= !self.no_network;
	}
}

#[derive(Subcommand)]
enum Command {
	/// Create keys and configuration and register on chain; safe to repeat
	Init(init::Init),
	/// Run the provider
	Run(run::Run),
	/// Prices and bounds of what is offered
	#[command(subcommand)]
	Ask(ask::Ask),
	/// Sectors
	#[command(subcommand)]
	Sectors(sectors::Sectors),
	/// Deals
	#[command(subcommand)]
	Deals(deals::Deals),
	/// The node's own block store
	#[command(subcommand)]
	Store(store::Store),
	/// Peers of the network that the running provider has banned
	#[command(subcommand)]
	Peers(peers::Peers),
	/// Check disk, keys, chain, registration, funds, peers and ports
	Doctor(doctor::Doctor),
}

/// What a command works with.
pub(crate) struct Session {
	pub paths: Paths,
	pub config: Config,
	pub global: Global,
	pub out: Output,
}

impl Session {
	fn open(global: Global) -> Result<Self, ConfigError> {
		let paths = Paths::resolve(global.base_path.clone(), global.config.clone())?;
		let mut config = Config::load(&paths.config, global.config.is_some())?;
		if let Some(node) = &global.node {
			config.node = node.clone();
		}
		if let Some(format) = global.log_format {
			config.log.format = format;
		}
		Ok(Session {
			paths,
			config,
			out: Output::new(global.json),
			global,
		})
	}

	/// Connects to the node.
	async fn connect(&self) -> Result<cairn_chain_client::ChainClient, CliError> {
		Ok(cairn_chain_client::ChainClient::connect(&self.config.node).await?)
	}
}

/// Parses the command line and runs it.
pub fn main() -> ExitCode {
	let cli = Cli::parse();
	let json = cli.global.json;
	let outcome = Session::open(cli.global)
		.map_err(CliError::from)
		.and_then(|session| dispatch(session, cli.command));
	match outcome {
		Ok(code) => code,
		Err(error) => {
			error.print(json);
			ExitCode::FAILURE
		}
	}
}

fn dispatch(session: Session, command: Command) -> Result<ExitCode, CliError> {
	log(&session, matches!(command, Command::Run(_)));
	let runtime = tokio::runtime::Builder::new_multi_thread()
		.enable_all()
		.build()
		.map_err(CliError::Io)?;
	runtime.block_on(async {
		match command {
			Command::Init(command) => command.run(session).await,
			Command::Run(command) => command.run(session).await,
			Command::Ask(command) => command.run(session).await,
			Command::Sectors(command) => command.run(session).await,
			Command::Deals(command) => command.run(session).await,
			Command::Peers(command) => command.run(session).await,
			Command::Store(command) => return command.run(session).await,
			Command::Doctor(command) => return command.run(session).await,
		}
		.map(|()| ExitCode::SUCCESS)
	})
}

/// Sets the log up: on standard error, quiet for commands other than `run`.
fn log(session: &Session, daemon: bool) {
	use tracing_subscriber::EnvFilter;
	let fallback = if daemon {
		session.config.log.filter.as_str()
	} else {
		"warn"
	};
	let filter = EnvFilter::try_from_default_env()
		.or_else(|_| EnvFilter::try_new(fallback))
		.unwrap_or_else(|_| EnvFilter::new("info"));
	let subscriber = tracing_subscriber::fmt()
		.with_env_filter(filter)
		.with_writer(std::io::stderr)
		.with_ansi(std::io::stderr().is_terminal());
	// A second subscriber in one process (tests) is refused and does no harm.
	let _ = match session.config.log.format {
		LogFormat::Text => subscriber.with_target(false).try_init(),
		LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
	};
}

#[cfg(test)]
mod tests {
	use super::*;
	use clap::CommandFactory;

	#[test]
	fn the_command_line_is_consistent() {
		Cli::command().debug_assert();
	}

	#[test]
	fn flags_beat_the_file() {
		let dir = tempfile::tempdir().unwrap();
		std::fs::write(
			dir.path().join("config.toml"),
			"version = 1\nnode = \"ws://file\"",
		)
		.unwrap();
		let base = dir.path().to_str().unwrap();
		let open = |args: &[&str]| {
			let cli = Cli::parse_from([&["cairn-provider", "--base-path", base], args].concat());
			Session::open(cli.global).unwrap()
		};
		assert_eq!(open(&["doctor"]).config.node, "ws://file");
		assert_eq!(open(&["doctor", "--node", "ws://flag"]).config.node, "ws://flag");
	}
}
