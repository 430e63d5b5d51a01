//! Settings of the node's own block store, and of the data API over it.

use super::ConfigError;
use cairn_units::ByteSize;
use serde::{Deserialize, Serialize};
use std::{num::NonZeroU64, path::PathBuf};

/// The node's own block store: what comes through the data API. The data of deals is not in it.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct RepoSettings {
	/// Keep a block store and serve the data API.
	pub enabled: bool,
	/// Folder; `repo` in the base path if absent.
	pub path: Option<PathBuf>,
	/// Most bytes of blocks to keep.
	pub quota: ByteSize,
	/// For how long a dataset is kept that comes without a lifetime.
	pub default_ttl: Lifetime,
	/// Uploads that are open at the same time, those included that wait to be resumed.
	pub max_uploads: usize,
	/// Seconds that an upload waits to be resumed.
	pub upload_patience_seconds: u64,
	/// Datasets that are fetched from other nodes at the same time.
	pub max_fetches: usize,
	/// Seconds within which a fetch must find somebody who sends the first block.
	pub fetch_find_seconds: u64,
	/// Seconds without a further block after which a fetch is given up.
	pub fetch_idle_seconds: u64,
}

/// The data API.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSettings {
	/// File with the token that requests must bear which change the block store or list what is in it. Without
	/// one, programs on this machine may send such requests, and nobody else.
	pub token_file: Option<PathBuf>,
	/// Origins whose pages may use the API from a browser, such as `https://app.example`.
	pub cors_origins: Vec<String>,
}

/// For how long a dataset is kept: `"never"` expires, or seconds, at least one.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(try_from = "Written", into = "Written")]
pub enum Lifetime {
	/// Until it is deleted.
	Never,
	/// For this many seconds.
	Seconds(NonZeroU64),
}

/// A lifetime as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
	Seconds(u64),
	Word(String),
}

/// What is no lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lifetime is \"never\" or a number of seconds, at least 1")]
pub struct InvalidLifetime;

impl TryFrom<Written> for Lifetime {
	type Error = InvalidLifetime;

	fn try_from(written: Written) -> Result<Self, InvalidLifetime> {
		match written {
			Written::Seconds(seconds) => NonZeroU64::new(seconds).map(Self::Seconds).ok_or(InvalidLifetime),
			Written::Word(word) => word.parse(),
		}
	}
}

impl From<Lifetime> for Written {
	fn from(lifetime: Lifetime) -> Self {
		match lifetime {
			Lifetime::Never => Self::Word("never".into()),
			Lifetime::Seconds(seconds) => Self::Seconds(seconds.get()),
		}
	}
}

impl std::str::FromStr for Lifetime {
	type Err = InvalidLifetime;

	fn from_str(text: &str) -> Result<Self, InvalidLifetime> {
		match text {
			"never" => Ok(Self::Never),
			digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
				let seconds = digits.parse().map_err(|_| InvalidLifetime)?;
				NonZeroU64::new(seconds).map(Self::Seconds).ok_or(InvalidLifetime)
			}
			_ => Err(InvalidLifetime),
		}
	}
}

impl From<Lifetime> for cairn_blockstore::Ttl {
	fn from(lifetime: Lifetime) -> Self {
		match lifetime {
			Lifetime::Never => Self::Never,
			Lifetime::Seconds(seconds) => Self::Seconds(seconds),
		}
	}
}

impl Default for RepoSettings {
	fn default() -> Self {
		RepoSettings {
			enabled: true,
			path: None,
			quota: ByteSize(20 << 30),
			default_ttl: Lifetime::Seconds(NonZeroU64::new(30 * 24 * 3600).unwrap_or(NonZeroU64::MAX)),
			max_uploads: 32,
			upload_patience_seconds: 3600,
			max_fetches: 4,
			fetch_find_seconds: 30,
			fetch_idle_seconds: 60,
		}
	}
}

impl ApiSettings {
	pub(super) fn check(&self) -> Result<(), ConfigError> {
		for origin in &self.cors_origins {
			// As browsers write it: no path, no `*`, nothing after the port.
			let parsed = url::Url::parse(origin).map(|url| url.origin().ascii_serialization());
			if parsed.as_ref() != Ok(origin) {
				return Err(ConfigError::Value {
					key: "api.cors_origins",
					reason: format!("`{origin}` is no origin: write it as `https://app.example`"),
				});
			}
		}
		Ok(())
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::config::Config;
	use std::path::Path;

	fn parse(text: &str) -> Result<Config, ConfigError> {
		Config::parse(Path::new("config.toml"), &format!("version = 1\n{text}"))
	}

	#[test]
	fn lifetimes() {
		let seconds = |seconds| Lifetime::Seconds(NonZeroU64::new(seconds).unwrap());
		let read = |text: &str| {
			parse(&format!("[repo]\ndefault_ttl = {text}")).map(|config| config.repo.default_ttl)
		};
		assert_eq!(read("\"never\"").unwrap(), Lifetime::Never);
		assert_eq!(read("60").unwrap(), seconds(60));
		assert_eq!(read("\"60\"").unwrap(), seconds(60));
		for wrong in ["0", "-1", "\"soon\"", "\"\"", "\"+1\"", "1.5"] {
			assert!(read(wrong).is_err(), "{wrong}");
		}
		let mut config = Config::default();
		config.repo.default_ttl = Lifetime::Never;
		assert_eq!(
			parse(config.to_toml().trim_start_matches("version = 1\n")).unwrap(),
			config
		);
	}

	#[test]
	fn origins() {
		assert!(parse("[api]\ncors_origins = [\"https://app.example\", \"http://localhost:5173\"]").is_ok());
		for wrong in [
			"*",
			"app.example",
			"https://app.example/",
			"https://app.example/path",
			"null",
		] {
			let outcome = parse(&format!("[api]\ncors_origins = [\"{wrong}\"]"));
			assert!(
				matches!(
					outcome,
					Err(ConfigError::Value {
						key: "api.cors_origins",
						..
					})
				),
				"{wrong}"
			);
		}
	}
}
