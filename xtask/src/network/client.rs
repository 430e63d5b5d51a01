//! The client's command line, as a script uses it.

use super::{output, Programs};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
	ffi::OsStr,
	path::{Path, PathBuf},
	process::Command,
};

/// Password of the throw-away wallets.
const PASSWORD: &str = "local network";

/// A user of the network: a wallet and the folders of one client.
#[derive(Clone, Debug)]
pub struct Client {
	program: PathBuf,
	folder: PathBuf,
	node: String,
	/// A development account instead of the wallet's.
	dev: Option<String>,
}

impl Client {
	/// A client with its own folders below `folder`, talking to the node at `node`.
	pub fn new(programs: &Programs, folder: &Path, node: &str) -> Self {
		Self {
			program: programs.client.clone(),
			folder: folder.join("client"),
			node: node.to_owned(),
			dev: None,
		}
	}

	/// The same client signing as a development account such as `//Alice`.
	pub fn signing_as(&self, uri: &str) -> Self {
		Self {
			dev: Some(uri.to_owned()),
			..self.clone()
		}
	}

	/// The command with its settings, for arguments to be added.
	pub fn command(&self) -> Command {
		let mut command = Command::new(&self.program);
		command
			.env("CAIRN_NODE", &self.node)
			.env("CAIRN_KEYSTORE", self.folder.join("keys"))
			.env("CAIRN_STATE_DIR", self.folder.join("state"))
			.env("CAIRN_CACHE_DIR", self.folder.join("cache"))
			.env("CAIRN_PASSWORD", PASSWORD)
			// A user's own configuration must not leak into a test network.
			.env("XDG_CONFIG_HOME", self.folder.join("config"))
			.env_remove("CAIRN_ACCOUNT")
			.env_remove("CAIRN_CONFIG");
		if let Some(uri) = &self.dev {
			command.args(["--dev", uri]);
		}
		command
	}

	/// Runs a command and returns its JSON result.
	///
	/// # Errors
	/// When it fails, with what it said, and when its result is no JSON.
	pub fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Value> {
		let mut lines = self.json_lines(arguments)?;
		lines.pop().context("the command printed no result")
	}

	/// Runs a command and returns the JSON objects it printed.
	///
	/// # Errors
	/// As [`Client::json`].
	pub fn json_lines<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Vec<Value>> {
		let text = output(self.command().args(["--json", "--yes"]).args(arguments))?;
		text.lines()
			.map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
			.collect()
	}

	/// Waits until the chain says that something happened, and returns the event.
	///
	/// # Errors
	/// When it does not happen within `blocks` blocks.
	pub fn wait_for(&self, event: &str, about: &[&str], from: u64, blocks: u32) -> Result<Value> {
		let (from, blocks) = (from.to_string(), blocks.to_string());
		let arguments = [
			"chain",
			"wait-for",
			event,
			"--from",
			&from,
			"--timeout-blocks",
			&blocks,
		];
		self.json(arguments.iter().chain(about))
	}

	/// Number of the latest finalized block.
	///
	/// # Errors
	/// When the node does not answer.
	pub fn block(&self) -> Result<u64> {
		self.json(["chain", "block"])?["number"]
			.as_u64()
			.context("the block has no number")
	}

	/// Free balance of an account in plancks.
	///
	/// # Errors
	/// When the node does not answer.
	pub fn free_balance(&self, account: &str) -> Result<u128> {
		plancks(&self.json(["wallet", "balance", account])?["free"])
	}
}

/// An amount as the command line prints it in JSON: a decimal string of plancks.
///
/// # Errors
/// When it is something else.
pub fn plancks(value: &Value) -> Result<u128> {
	let text = value
		.as_str()
		.with_context(|| format!("not an amount: {value}"))?;
	text.parse().with_context(|| format!("not an amount: {text}"))
}
