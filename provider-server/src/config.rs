//! Configuration: flags beat environment, environment beats the file, the file beats the defaults.
//!
//! The file is TOML with a `version`; keys it does not know are errors. All paths follow from one
//! base path, `$XDG_DATA_HOME/cairn-provider` unless `--base-path` names another; the file is
//! `config.toml` in `$XDG_CONFIG_HOME/cairn-provider`, or in the base path where one is named.

mod data;

pub use data::{ApiSettings, Lifetime, RepoSettings};

use crate::network::settings::Network;
use cairn_units::ByteSize;
use etcetera::{base_strategy::Xdg, BaseStrategy};
use serde::{Deserialize, Serialize};
use std::{
	net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
	path::{Path, PathBuf},
	time::Duration,
};

/// Version of the file's format.
pub const VERSION: u32 = 1;

/// Most of anything that is counted: semaphores and queues have limits of their own, far above.
const MAX_COUNT: u64 = 1 << 20;
/// Longest time limit: a month. The clock overflows at others.
const MAX_SECONDS: u64 = 31 * 24 * 3600;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
	/// The home folder is unknown.
	#[error("the home folder is unknown: name one with --base-path")]
	NoHome,
	/// The file cannot be read.
	#[error("cannot read {}", path.display())]
	Read {
		/// The file.
		path: PathBuf,
		/// Why.
		source: std::io::Error,
	},
	/// The file is not valid.
	#[error("{} is not valid", path.display())]
	Parse {
		/// The file.
		path: PathBuf,
		/// Where and why.
		source: Box<toml::de::Error>,
	},
	/// The file is of another version.
	#[error("{} has version {found}, this program reads version {VERSION}", path.display())]
	Version {
		/// The file.
		path: PathBuf,
		/// Its version.
		found: u32,
	},
	/// A value is out of range.
	#[error("`{key}` is not valid: {reason}")]
	Value {
		/// Name of the setting.
		key: &'static str,
		/// What is wrong.
		reason: String,
	},
}

/// The configuration file, and the settings after flags and environment were applied.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
	/// Version of this format.
	pub version: u32,
	/// Websocket address of a Cairn node.
	pub node: String,
	/// Name of the worker's key in the key folder.
	pub worker: String,
	/// The HTTP server.
	pub server: Server,
	/// The libp2p host.
	pub network: Network,
	/// The IPFS gateway.
	pub gateway: Gateway,
	/// The node's own block store.
	pub repo: RepoSettings,
	/// The data API over it.
	pub api: ApiSettings,
	/// The disk.
	pub storage: Storage,
	/// Uploads.
	pub uploads: Uploads,
	/// Deals.
	pub deals: Deals,
	/// Sealing.
	pub sealing: Sealing,
	/// The log.
	pub log: Log,
}

/// The HTTP server.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
	/// Address to listen on. Loopback by default: put a TLS proxy in front before opening it.
	pub listen: SocketAddr,
	/// Multiaddresses that `init` registers on chain; from `listen` if empty.
	pub addresses: Vec<String>,
	/// Open connections at the same time; further ones wait in the system's queue.
	pub max_connections: usize,
	/// Open connections of one client, or requests that a proxy sends for it, at the same time; further ones are
	/// refused.
	pub max_connections_per_client: usize,
	/// Seconds that a client may take to send its request's head.
	pub header_timeout_seconds: u64,
	/// Seconds that a client may take to send the body of a JSON-RPC request. Uploads have a limit of
	/// their own: [`Uploads::idle_timeout_seconds`].
	pub body_timeout_seconds: u64,
	/// Seconds that a reader may take to accept a part of a response.
	pub write_timeout_seconds: u64,
	/// Least data that a reader must take within that time.
	pub min_progress: ByteSize,
	/// Retrievals at the same time.
	pub max_retrievals: usize,
	/// Retrievals of one client at the same time.
	pub max_retrievals_per_client: usize,
	/// Seconds that running requests get to finish when the server stops.
	pub shutdown_seconds: u64,
	/// Requests a second that one client may send for long. A client, here and above, is an IPv4 address or an IPv6
	/// network of 64 bits.
	pub requests_per_second: u32,
	/// Requests that a client may send at once after it has been quiet.
	pub request_burst: u32,
	/// Proxies whose `x-forwarded-for` says who the client is. What they send without it is not limited, nor are their
	/// connections.
	pub trusted_proxies: Vec<IpAddr>,
}

/// The IPFS gateway.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
	/// Serve files and folders as browsers want them, beside raw blocks and CARs, which the client verifies.
	pub deserialized: bool,
	/// Most memory that all retrievals together take to remember what they have met of the objects that they walk
	/// through: about 400 bytes for each block of a CAR.
	pub walk_memory: ByteSize,
}

/// The disk.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
	/// Folder of pieces, sectors and uploads; `storage` in the base path if absent.
	pub path: Option<PathBuf>,
	/// Disk to leave free.
	pub keep_free: ByteSize,
	/// Keep the payload of sealed pieces for retrieval. Without it they are unsealed on demand.
	pub keep_unsealed_copy: bool,
	/// Disk for keys of sealed sectors that nobody reads at the moment: each takes as much as its sector.
	pub unsealing_keys: ByteSize,
}

/// Uploads.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct Uploads {
	/// Uploads at the same time.
	pub max_concurrent: usize,
	/// Largest payload.
	pub max_payload: ByteSize,
	/// Seconds without enough data after which an upload is cut off.
	pub idle_timeout_seconds: u64,
	/// Least data that must arrive within that time.
	pub min_progress: ByteSize,
}

/// Deals.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct Deals {
	/// Blocks that a published deal waits for others to share its sector.
	pub batch_wait_blocks: u32,
	/// Deals that are accepted and not active yet, at most.
	pub max_pending: usize,
	/// Largest provider collateral in parts per million of a deal's total price.
	pub max_collateral_ppm: u32,
	/// Largest part of the escrow that deals of one client may bind as collateral before they are active, in parts
	/// per million: what is lost if all of them lapse.
	pub max_client_collateral_ppm: u32,
	/// Blocks between settlements of the own deals; 0 leaves settling to others.
	pub settle_every_blocks: u32,
	/// Blocks that one transaction is assumed to take.
	pub blocks_per_transaction: u32,
	/// Take proposals made on chain without being asked over JSON-RPC.
	pub watch_chain: bool,
}

/// Sealing.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct Sealing {
	/// Sectors sealed at the same time. One uses every core for the most part.
	pub workers: usize,
	/// Seconds of sealing per byte, assumed before the first measurement.
	pub assumed_seconds_per_byte: f64,
}

/// The log.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
	/// Filter in the syntax of `RUST_LOG`.
	pub filter: String,
	/// `text` or `json`.
	pub format: LogFormat,
}

/// Form of the log.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
	/// For people.
	Text,
	/// One JSON object a line.
	Json,
}

impl Default for Config {
	fn default() -> Self {
		Config {
			version: VERSION,
			node: "ws://127.0.0.1:9944".into(),
			worker: "worker".into(),
			server: Server::default(),
			network: Network::default(),
			gateway: Gateway::default(),
			repo: RepoSettings::default(),
			api: ApiSettings::default(),
			storage: Storage::default(),
			uploads: Uploads::default(),
			deals: Deals::default(),
			sealing: Sealing::default(),
			log: Log::default(),
		}
	}
}

impl Default for Server {
	fn default() -> Self {
		Server {
			listen: SocketAddr::from(([127, 0, 0, 1], 7600)),
			addresses: Vec::new(),
			max_connections: 512,
			max_connections_per_client: 128,
			header_timeout_seconds: 10,
			body_timeout_seconds: 10,
			write_timeout_seconds: 30,
			min_progress: ByteSize(512 << 10),
			max_retrievals: 64,
			max_retrievals_per_client: 16,
			shutdown_seconds: 10,
			requests_per_second: 100,
			request_burst: 1000,
			trusted_proxies: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
		}
	}
}

impl Default for Gateway {
	fn default() -> Self {
		// Documents that can run scripts get an origin of their own each, so that being readable in a browser costs
		// no safety: see `http::gateway`.
		Gateway {
			deserialized: true,
			walk_memory: ByteSize(128 << 20),
		}
	}
}

impl Default for Storage {
	fn default() -> Self {
		Storage {
			path: None,
			keep_free: ByteSize(1 << 30),
			keep_unsealed_copy: true,
			unsealing_keys: ByteSize(64 << 30),
		}
	}
}

impl Default for Uploads {
	fn default() -> Self {
		Uploads {
			max_concurrent: 16,
			max_payload: ByteSize(64 << 30),
			idle_timeout_seconds: 30,
			min_progress: ByteSize(64 << 10),
		}
	}
}

impl Default for Deals {
	fn default() -> Self {
		Deals {
			batch_wait_blocks: 2,
			max_pending: 1000,
			max_collateral_ppm: 1_000_000,
			max_client_collateral_ppm: 250_000,
			settle_every_blocks: 600,
			blocks_per_transaction: 3,
			watch_chain: true,
		}
	}
}

impl Default for Sealing {
	fn default() -> Self {
		// Eleven layers on one core with SHA extensions take about 0.3 µs a byte; other machines are
		// slower, and too low an assumption makes the provider promise what it cannot keep.
		Sealing {
			workers: 1,
			assumed_seconds_per_byte: 1.5e-6,
		}
	}
}

impl Default for Log {
	fn default() -> Self {
		Log {
			filter: "info".into(),
			format: LogFormat::Text,
		}
	}
}

impl Config {
	/// Reads a file; the defaults if there is none and it is not `required`.
	///
	/// # Errors
	/// See [`ConfigError`].
	pub fn load(path: &Path, required: bool) -> Result<Config, ConfigError> {
		match std::fs::read_to_string(path) {
			Ok(text) => Self::parse(path, &text),
			Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => Ok(Config::default()),
			Err(source) => Err(ConfigError::Read {
				path: path.to_owned(),
				source,
			}),
		}
	}

	/// Reads a file's text; `path` is for messages.
	///
	/// # Errors
	/// See [`ConfigError`].
	pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
		let parse_error = |source| ConfigError::Parse {
			path: path.to_owned(),
			source: Box::new(source),
		};
		// The version first: a file of another version has every right to have other keys.
		#[derive(Deserialize)]
		struct Versioned {
			#[serde(default)]
			version: u32,
		}
		let found = toml::from_str::<Versioned>(text).map_err(parse_error)?.version;
		if found != VERSION {
			return Err(ConfigError::Version {
				path: path.to_owned(),
				found,
			});
		}
		let config: Config = toml::from_str(text).map_err(parse_error)?;
		config.check()?;
		Ok(config)
	}

	/// Checks ranges.
	///
	/// # Errors
	/// [`ConfigError::Value`].
	pub fn check(&self) -> Result<(), ConfigError> {
		let (server, uploads, deals) = (&self.server, &self.uploads, &self.deals);
		let bounded = [
			("server.max_connections", server.max_connections as u64, MAX_COUNT),
			("server.max_retrievals", server.max_retrievals as u64, MAX_COUNT),
			(
				"server.max_connections_per_client",
				server.max_connections_per_client as u64,
				MAX_COUNT,
			),
			(
				"server.max_retrievals_per_client",
				server.max_retrievals_per_client as u64,
				MAX_COUNT,
			),
			("gateway.walk_memory", self.gateway.walk_memory.0, u64::MAX),
			(
				"server.header_timeout_seconds",
				server.header_timeout_seconds,
				MAX_SECONDS,
			),
			(
				"server.body_timeout_seconds",
				server.body_timeout_seconds,
				MAX_SECONDS,
			),
			(
				"server.write_timeout_seconds",
				server.write_timeout_seconds,
				MAX_SECONDS,
			),
			(
				"server.requests_per_second",
				server.requests_per_second.into(),
				MAX_COUNT,
			),
			("server.request_burst", server.request_burst.into(), MAX_COUNT),
			("uploads.max_concurrent", uploads.max_concurrent as u64, MAX_COUNT),
			("uploads.max_payload", uploads.max_payload.0, u64::MAX),
			(
				"uploads.idle_timeout_seconds",
				uploads.idle_timeout_seconds,
				MAX_SECONDS,
			),
			("deals.max_pending", deals.max_pending as u64, u64::MAX),
			(
				"deals.blocks_per_transaction",
				deals.blocks_per_transaction.into(),
				u64::MAX,
			),
			("sealing.workers", self.sealing.workers as u64, MAX_COUNT),
			("repo.quota", self.repo.quota.0, u64::MAX),
			("repo.max_uploads", self.repo.max_uploads as u64, MAX_COUNT),
			(
				"repo.upload_patience_seconds",
				self.repo.upload_patience_seconds,
				MAX_SECONDS,
			),
			("repo.max_fetches", self.repo.max_fetches as u64, MAX_COUNT),
			(
				"repo.fetch_find_seconds",
				self.repo.fetch_find_seconds,
				MAX_SECONDS,
			),
			(
				"repo.fetch_idle_seconds",
				self.repo.fetch_idle_seconds,
				MAX_SECONDS,
			),
		];
		if let Some((key, _, most)) = bounded
			.into_iter()
			.find(|(_, value, most)| *value == 0 || value > most)
		{
			return Err(ConfigError::Value {
				key,
				reason: format!("must lie between 1 and {most}"),
			});
		}
		if !(self.sealing.assumed_seconds_per_byte >= 0.0 && self.sealing.assumed_seconds_per_byte < 1.0) {
			return Err(ConfigError::Value {
				key: "sealing.assumed_seconds_per_byte",
				reason: "must be at least 0 and below 1".into(),
			});
		}
		self.api.check()?;
		crate::contact::http_addresses(&self.server.addresses).map_err(|error| ConfigError::Value {
			key: "server.addresses",
			reason: error.to_string(),
		})?;
		self.network.host().map_err(|error| ConfigError::Value {
			key: "network",
			reason: error.to_string(),
		})?;
		Ok(())
	}

	/// Text of the file.
	pub fn to_toml(&self) -> String {
		// Every field is a plain value or table.
		toml::to_string_pretty(self).expect("the configuration has a TOML form")
	}

	/// How long an upload may bring too little.
	pub const fn idle_timeout(&self) -> Duration {
		Duration::from_secs(self.uploads.idle_timeout_seconds)
	}
}

/// Where everything is on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paths {
	/// Base of everything but the configuration.
	pub base: PathBuf,
	/// The configuration file.
	pub config: PathBuf,
}

impl Paths {
	/// From `--base-path` and `--config`, where given, else by XDG.
	///
	/// # Errors
	/// [`ConfigError::NoHome`].
	pub fn resolve(base: Option<PathBuf>, config: Option<PathBuf>) -> Result<Paths, ConfigError> {
		let paths = match base {
			Some(base) => {
				let beside = base.join("config.toml");
				Paths {
					base,
					config: config.unwrap_or(beside),
				}
			}
			None => {
				let xdg = Xdg::new().map_err(|_| ConfigError::NoHome)?;
				Paths {
					base: xdg.data_dir().join("cairn-provider"),
					config: config.unwrap_or_else(|| xdg.config_dir().join("cairn-provider/config.toml")),
				}
			}
		};
		Ok(paths)
	}

	/// Folder of keys.
	pub fn keys(&self) -> PathBuf {
		self.base.join("keys")
	}

	/// The database.
	pub fn database(&self) -> PathBuf {
		self.base.join("provider.redb")
	}

	/// Folder of pieces and sectors.
	pub fn storage(&self, config: &Config) -> PathBuf {
		match &config.storage.path {
			Some(path) => self.base.join(path),
			None => self.base.join("storage"),
		}
	}

	/// The network's folder: the host's key, and what it remembers of others.
	pub fn network(&self) -> PathBuf {
		self.base.join("network")
	}

	/// Folder of the node's own block store.
	pub fn repo(&self, config: &Config) -> PathBuf {
		match &config.repo.path {
			Some(path) => self.base.join(path),
			None => self.base.join("repo"),
		}
	}

	/// The file of the data API's token, if there is to be one.
	pub fn token(&self, config: &Config) -> Option<PathBuf> {
		config.api.token_file.as_ref().map(|path| self.base.join(path))
	}

	/// Folder of unfinished uploads: on the storage's file system, so that a finished one is renamed
	/// into place.
	pub fn uploads(&self, config: &Config) -> PathBuf {
		self.storage(config).join("uploads")
	}

	/// What `init` notes for `run`: owner and address.
	pub fn provider_file(&self) -> PathBuf {
		self.base.join("provider.json")
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn parse(text: &str) -> Result<Config, ConfigError> {
		Config::parse(Path::new("config.toml"), text)
	}

	#[test]
	fn the_default_file_reads_back() {
		let config = Config::default();
		assert_eq!(parse(&config.to_toml()).unwrap(), config);
		assert!(config.server.listen.ip().is_loopback());
	}

	#[test]
	fn values_are_read() {
		let config = parse(
			"version = 1\nnode = \"wss://node\"\n[storage]\nkeep_free = \"2 GiB\"\n[uploads]\nmax_payload = 1000\n[log]\nformat = \"json\"\n[gateway]\ndeserialized = false",
		)
		.unwrap();
		assert!(!config.gateway.deserialized);
		assert_eq!(config.node, "wss://node");
		assert_eq!(config.storage.keep_free, ByteSize(2 << 30));
		assert_eq!(config.uploads.max_payload, ByteSize(1000));
		assert_eq!(config.log.format, LogFormat::Json);
		assert!(config.storage.keep_unsealed_copy);
	}

	#[test]
	fn unknown_keys_versions_and_values_are_errors() {
		assert!(matches!(
			parse("version = 1\nnoode = 1"),
			Err(ConfigError::Parse { .. })
		));
		assert!(matches!(
			parse("version = 1\n[server]\nport = 1"),
			Err(ConfigError::Parse { .. })
		));
		assert!(matches!(
			parse("version = 2\nfuture = 1"),
			Err(ConfigError::Version { found: 2, .. })
		));
		assert!(matches!(
			parse("node = \"x\""),
			Err(ConfigError::Version { found: 0, .. })
		));
		assert!(matches!(
			parse("version = 1\n[sealing]\nworkers = 0"),
			Err(ConfigError::Value {
				key: "sealing.workers",
				..
			})
		));
		for (text, named) in [
			(
				"[server]\nmax_connections = 9223372036854775807",
				"server.max_connections",
			),
			("[server]\nrequests_per_second = 0", "server.requests_per_second"),
			(
				"[uploads]\nidle_timeout_seconds = 9223372036854775807",
				"uploads.idle_timeout_seconds",
			),
		] {
			let error = parse(&format!("version = 1\n{text}")).unwrap_err();
			assert!(
				matches!(error, ConfigError::Value { key, .. } if key == named),
				"{error}"
			);
		}
		assert!(matches!(
			parse("version = 1\n[server]\naddresses = [\"http://x\"]"),
			Err(ConfigError::Value {
				key: "server.addresses",
				..
			})
		));
	}

	#[test]
	fn everything_lies_below_a_named_base_path() {
		let paths = Paths::resolve(Some("/data/p1".into()), None).unwrap();
		assert_eq!(paths.config, Path::new("/data/p1/config.toml"));
		assert_eq!(paths.storage(&Config::default()), Path::new("/data/p1/storage"));
		let mut config = Config::default();
		config.storage.path = Some("/disk".into());
		assert_eq!(paths.uploads(&config), Path::new("/disk/uploads"));
	}
}
