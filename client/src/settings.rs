//! Settings: flags beat environment, environment beats the configuration file, the file beats the
//! defaults. Every value remembers where it came from.
//!
//! The file is `$XDG_CONFIG_HOME/cairn/config.toml` unless `--config` or `CAIRN_CONFIG` names
//! another. It carries a `version`; keys it does not know are errors.

use cairn_units::{Amount, BlockSpan};
use clap::{parser::ValueSource, ArgMatches};
use etcetera::{base_strategy::Xdg, BaseStrategy};
use serde::{Deserialize, Serialize};
use std::{
	fmt, io,
	path::{Path, PathBuf},
};

/// Version of the configuration file's format.
const VERSION: u32 = 1;
/// Most copies that one `put` makes.
pub const MAX_COPIES: u16 = 64;
/// Node asked when nothing else is set.
pub const DEFAULT_NODE: &str = "ws://127.0.0.1:9944";

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
	/// A configuration file that was named, or that exists, cannot be read.
	#[error("cannot read the configuration file {}", path.display())]
	Read {
		/// The file.
		path: PathBuf,
		/// Why.
		source: io::Error,
	},
	/// The file is not TOML, or has unknown keys or wrong values.
	#[error("the configuration file {} is not valid", path.display())]
	Parse {
		/// The file.
		path: PathBuf,
		/// Where and why.
		source: Box<toml::de::Error>,
	},
	/// The file's format is of another version.
	#[error("the configuration file {} has version {found}; this program reads version {VERSION}", path.display())]
	Version {
		/// The file.
		path: PathBuf,
		/// Its version.
		found: u32,
	},
	/// Without a home folder there is no place for files.
	#[error("there is no home folder, and so no place for configuration and state")]
	NoHome,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
	/// The command line.
	Flag,
	/// An environment variable.
	Environment(&'static str),
	/// The configuration file.
	File(PathBuf),
	/// Built in.
	Default,
}

impl fmt::Display for Origin {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self {
			Origin::Flag => f.write_str("command line"),
			Origin::Environment(name) => write!(f, "environment ({name})"),
			Origin::File(path) => write!(f, "file ({})", path.display()),
			Origin::Default => f.write_str("default"),
		}
	}
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
	/// The value.
	pub value: T,
	/// Its source.
	pub origin: Origin,
}

/// How long, how many, how dear: what `put` uses when its flags say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum TierName {
	/// Proofs that the data is retrievable through this provider in time. Seconds to start.
	Hot,
	/// Proofs that a distinct replica exists. Sealing takes seconds (8 MiB) to hours (32 GiB).
	Sealed,
}

impl fmt::Display for TierName {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(match self {
			TierName::Hot => "hot",
			TierName::Sealed => "sealed",
		})
	}
}

impl From<TierName> for cairn_primitives::Tier {
	fn from(tier: TierName) -> Self {
		match tier {
			TierName::Hot => cairn_primitives::Tier::Hot,
			TierName::Sealed => cairn_primitives::Tier::Sealed,
		}
	}
}

impl From<cairn_primitives::Tier> for TierName {
	fn from(tier: cairn_primitives::Tier) -> Self {
		match tier {
			cairn_primitives::Tier::Hot => TierName::Hot,
			cairn_primitives::Tier::Sealed => TierName::Sealed,
		}
	}
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
	version: Option<u32>,
	node: Option<String>,
	account: Option<String>,
	keystore: Option<PathBuf>,
	state_dir: Option<PathBuf>,
	cache_dir: Option<PathBuf>,
	#[serde(default)]
	put: PutFile,
}

/// Its `[put]` table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PutFile {
	#[serde(default, deserialize_with = "copies")]
	copies: Option<u16>,
	tier: Option<TierName>,
	duration: Option<BlockSpan>,
	max_price: Option<toml_amount::TextAmount>,
}

fn copies<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
	let copies = u16::deserialize(deserializer)?;
	if !(1..=MAX_COPIES).contains(&copies) {
		let message = format!("copies must be 1 to {MAX_COPIES}");
		return Err(serde::de::Error::custom(message));
	}
	Ok(Some(copies))
}

/// Amounts in the file are written with their unit, unlike in JSON output.
mod toml_amount {
	use super::Amount;
	use serde::Deserialize;

	#[derive(Debug)]
	pub struct TextAmount(pub Amount);

	impl<'de> Deserialize<'de> for TextAmount {
		fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
			String::deserialize(deserializer)?
				.parse()
				.map(TextAmount)
				.map_err(serde::de::Error::custom)
		}
	}
}

/// Every setting, resolved.
#[derive(Clone, Debug)]
pub struct Settings {
	/// The configuration file, whether it exists or not.
	pub config: Setting<PathBuf>,
	/// Websocket address of a node.
	pub node: Setting<String>,
	/// Account that signs: name in the keystore or SS58 address.
	pub account: Setting<Option<String>>,
	/// Folder of encrypted keys.
	pub keystore: Setting<PathBuf>,
	/// Folder of the local record.
	pub state_dir: Setting<PathBuf>,
	/// Folder of CARs being uploaded and blocks being fetched.
	pub cache_dir: Setting<PathBuf>,
	/// Copies that `put` makes.
	pub copies: Setting<u16>,
	/// Tier that `put` asks for.
	pub tier: Setting<TierName>,
	/// Time that `put` pays for.
	pub duration: Setting<BlockSpan>,
	/// Most that one `put` may cost. Without it the price is shown and confirmed.
	pub max_price: Setting<Option<Amount>>,
}

/// The flags that are settings, as clap found them.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SettingArgs {
	/// Websocket address of a Cairn node [default: ws://127.0.0.1:9944]
	#[arg(
		long,
		global = true,
		value_name = "URL",
		env = "CAIRN_NODE",
		hide_env_values = true,
		help_heading = "Global options"
	)]
	node: Option<String>,
	/// Account that signs: its name in the keystore, or its address
	// An id of its own: commands have arguments called `account`, which would take this one's value.
	#[arg(
		id = "signing_account",
		long = "account",
		global = true,
		value_name = "NAME|ADDRESS",
		env = "CAIRN_ACCOUNT",
		hide_env_values = true,
		help_heading = "Global options"
	)]
	account: Option<String>,
	/// Folder of encrypted keys [default: $XDG_DATA_HOME/cairn/keys]
	#[arg(
		long,
		global = true,
		value_name = "DIR",
		env = "CAIRN_KEYSTORE",
		hide_env_values = true,
		help_heading = "Global options"
	)]
	keystore: Option<PathBuf>,
	/// Folder of the local record of stored objects [default: $XDG_STATE_HOME/cairn]
	#[arg(
		long,
		global = true,
		value_name = "DIR",
		env = "CAIRN_STATE_DIR",
		hide_env_values = true,
		help_heading = "Global options"
	)]
	state_dir: Option<PathBuf>,
	/// Folder of archives and blocks in transit [default: $XDG_CACHE_HOME/cairn]
	#[arg(
		long,
		global = true,
		value_name = "DIR",
		env = "CAIRN_CACHE_DIR",
		hide_env_values = true,
		help_heading = "Global options"
	)]
	cache_dir: Option<PathBuf>,
	/// Configuration file [default: $XDG_CONFIG_HOME/cairn/config.toml]
	#[arg(
		long,
		global = true,
		value_name = "FILE",
		env = "CAIRN_CONFIG",
		hide_env_values = true,
		help_heading = "Global options"
	)]
	config: Option<PathBuf>,
}

impl Settings {
	/// Those of nobody, for tests of other modules.
	#[cfg(test)]
	pub fn example() -> Self {
		let defaults = Defaults {
			keystore: "/k".into(),
			state: "/s".into(),
			cache: "/c".into(),
		};
		let path = Path::new("/etc/cairn/config.toml");
		Self::layer(SettingArgs::default(), File::default(), path, &defaults, |_| {
			false
		})
	}

	/// Resolves the settings of a command line. `matches` are the ones `args` came from: they tell
	/// flags from environment variables.
	pub fn resolve(args: SettingArgs, matches: &ArgMatches) -> Result<Self, SettingsError> {
		let xdg = Xdg::new().map_err(|_| SettingsError::NoHome)?;
		let named = args.config.is_some();
		let path = args
			.config
			.clone()
			.unwrap_or_else(|| xdg.config_dir().join("cairn/config.toml"));
		let file = match std::fs::read_to_string(&path) {
			Ok(text) => parse(&path, &text)?,
			Err(error) if error.kind() == io::ErrorKind::NotFound && !named => File::default(),
			Err(source) => return Err(SettingsError::Read { path, source }),
		};
		let from_environment = |id: &str| {
			// Only ids defined above are asked for.
			matches.value_source(id) == Some(ValueSource::EnvVariable)
		};
		Ok(Self::layer(
			args,
			file,
			&path,
			&Defaults::of(&xdg),
			from_environment,
		))
	}

	fn layer(
		args: SettingArgs,
		file: File,
		path: &Path,
		defaults: &Defaults,
		from_environment: impl Fn(&str) -> bool,
	) -> Self {
		let given = |id: &str, variable: &'static str| {
			if from_environment(id) {
				Origin::Environment(variable)
			} else {
				Origin::Flag
			}
		};
		fn pick<T>(flag: Option<T>, given: Origin, file: Option<T>, path: &Path, default: T) -> Setting<T> {
			match (flag, file) {
				(Some(value), _) => Setting { value, origin: given },
				(None, Some(value)) => Setting {
					value,
					origin: Origin::File(path.to_owned()),
				},
				(None, None) => Setting {
					value: default,
					origin: Origin::Default,
				},
			}
		}
		// Relative paths in the file start at the file's folder.
		let beside = |value: Option<PathBuf>| {
			value.map(|value| {
				path.parent()
					.map_or_else(|| value.clone(), |folder| folder.join(&value))
			})
		};
		Settings {
			config: pick(
				args.config,
				given("config", "CAIRN_CONFIG"),
				None,
				path,
				path.to_owned(),
			),
			node: pick(
				args.node,
				given("node", "CAIRN_NODE"),
				file.node,
				path,
				DEFAULT_NODE.to_owned(),
			),
			account: pick(
				args.account.map(Some),
				given("signing_account", "CAIRN_ACCOUNT"),
				file.account.map(Some),
				path,
				None,
			),
			keystore: pick(
				args.keystore,
				given("keystore", "CAIRN_KEYSTORE"),
				beside(file.keystore),
				path,
				defaults.keystore.clone(),
			),
			state_dir: pick(
				args.state_dir,
				given("state_dir", "CAIRN_STATE_DIR"),
				beside(file.state_dir),
				path,
				defaults.state.clone(),
			),
			cache_dir: pick(
				args.cache_dir,
				given("cache_dir", "CAIRN_CACHE_DIR"),
				beside(file.cache_dir),
				path,
				defaults.cache.clone(),
			),
			copies: pick(None, Origin::Default, file.put.copies, path, 2),
			tier: pick(None, Origin::Default, file.put.tier, path, TierName::Hot),
			duration: pick(
				None,
				Origin::Default,
				file.put.duration,
				path,
				BlockSpan::Time(std::time::Duration::from_secs(30 * 86_400)),
			),
			max_price: pick(
				None,
				Origin::Default,
				file.put.max_price.map(|amount| Some(amount.0)),
				path,
				None,
			),
		}
	}
}

/// Folders used when nothing else is set.
struct Defaults {
	keystore: PathBuf,
	state: PathBuf,
	cache: PathBuf,
}

impl Defaults {
	fn of(xdg: &Xdg) -> Self {
		Defaults {
			keystore: xdg.data_dir().join("cairn/keys"),
			state: xdg.state_dir().unwrap_or_else(|| xdg.data_dir()).join("cairn"),
			cache: xdg.cache_dir().join("cairn"),
		}
	}
}

fn parse(path: &Path, text: &str) -> Result<File, SettingsError> {
	let parse_error = |source| SettingsError::Parse {
		path: path.to_owned(),
		source: Box::new(source),
	};
	// The version first: a file of another version has every right to have other keys.
	#[derive(Deserialize)]
	struct Versioned {
		version: Option<u32>,
	}
	let found = toml::from_str::<Versioned>(text).map_err(parse_error)?.version;
	if let Some(found) = found.filter(|found| *found != VERSION) {
		return Err(SettingsError::Version {
			path: path.to_owned(),
			found,
		});
	}
	let file: File = toml::from_str(text).map_err(parse_error)?;
	if file.version.is_none()
		&& text
			.lines()
			.any(|line| !line.trim().is_empty() && !line.trim().starts_with('#'))
	{
		return Err(SettingsError::Version {
			path: path.to_owned(),
			found: 0,
		});
	}
	Ok(file)
}

#[cfg(test)]
mod tests {
	use super::*;

	fn path() -> &'static Path {
		Path::new("/etc/cairn/config.toml")
	}

	fn layered(args: SettingArgs, text: &str, environment: &[&str]) -> Settings {
		let defaults = Defaults {
			keystore: "/k".into(),
			state: "/s".into(),
			cache: "/c".into(),
		};
		let file = parse(path(), text).unwrap();
		Settings::layer(args, file, path(), &defaults, |id| environment.contains(&id))
	}

	#[test]
	fn defaults() {
		let settings = layered(SettingArgs::default(), "", &[]);
		assert_eq!(
			settings.node,
			Setting {
				value: DEFAULT_NODE.to_owned(),
				origin: Origin::Default
			}
		);
		assert_eq!(settings.copies.value, 2);
		assert_eq!(settings.tier.value, TierName::Hot);
		assert_eq!(settings.keystore.value, Path::new("/k"));
		assert_eq!(settings.max_price.value, None);
		assert_eq!(
			settings.config,
			Setting {
				value: path().to_owned(),
				origin: Origin::Default
			}
		);
	}

	#[test]
	fn precedence_and_origins() {
		let text = "version = 1\nnode = \"ws://file\"\naccount = \"bob\"\nkeystore = \"keys\"\n\
			[put]\ncopies = 3\ntier = \"sealed\"\nduration = \"500 blocks\"\nmax-price = \"1.5 CAIRN\"\n";
		let file = Origin::File(path().to_owned());
		let settings = layered(SettingArgs::default(), text, &[]);
		assert_eq!(
			settings.node,
			Setting {
				value: "ws://file".to_owned(),
				origin: file.clone()
			}
		);
		assert_eq!(settings.keystore.value, Path::new("/etc/cairn/keys"));
		assert_eq!(
			settings.copies,
			Setting {
				value: 3,
				origin: file.clone()
			}
		);
		assert_eq!(settings.tier.value, TierName::Sealed);
		assert_eq!(settings.duration.value, BlockSpan::Blocks(500));
		assert_eq!(settings.max_price.value, Some(Amount(1_500_000_000_000)));

		let args = SettingArgs {
			node: Some("ws://flag".to_owned()),
			account: Some("alice".to_owned()),
			..Default::default()
		};
		let settings = layered(args, text, &["signing_account"]);
		assert_eq!(
			settings.node,
			Setting {
				value: "ws://flag".to_owned(),
				origin: Origin::Flag
			}
		);
		assert_eq!(settings.account.value.as_deref(), Some("alice"));
		assert_eq!(settings.account.origin, Origin::Environment("CAIRN_ACCOUNT"));
	}

	#[test]
	fn unknown_keys_and_versions_are_errors() {
		let error = parse(path(), "version = 1\nnodes = \"ws://x\"").unwrap_err();
		let SettingsError::Parse { source, .. } = error else {
			panic!("{error}")
		};
		assert!(source.to_string().contains("unknown field `nodes`"), "{source}");
		assert!(matches!(
			parse(path(), "version = 1\n[put]\ncopys = 2"),
			Err(SettingsError::Parse { .. })
		));
		assert!(matches!(
			parse(path(), "version = 1\n[put]\nmax-price = \"5\""),
			Err(SettingsError::Parse { .. })
		));
		for copies in ["0", "65", "-1"] {
			assert!(matches!(
				parse(path(), &format!("version = 1\n[put]\ncopies = {copies}")),
				Err(SettingsError::Parse { .. })
			));
		}
		assert!(matches!(
			parse(path(), "version = 2\nfuture = 1"),
			Err(SettingsError::Version { found: 2, .. })
		));
		assert!(matches!(
			parse(path(), "node = \"ws://x\""),
			Err(SettingsError::Version { found: 0, .. })
		));
		assert!(parse(path(), "# nothing yet\n\n").is_ok());
	}
}
