//! Scripts for Node.js in folders of the checkout, each folder with packages of npm's.

use crate::{setup::node_js, step, workspace::Workspace};
use anyhow::{ensure, Context, Result};
use serde_json::Value;
use std::{
	fs,
	path::{Path, PathBuf},
	process::{Child, Command, Stdio},
	sync::{Mutex, PoisonError},
	time::SystemTime,
};

/// Held while packages are installed: npm does not share a folder with itself.
static INSTALLING: Mutex<()> = Mutex::new(());

/// The scripts of a folder, ready to run.
#[derive(Debug)]
pub struct Scripts<'a> {
	workspace: &'a Workspace,
	folder: PathBuf,
}

impl<'a> Scripts<'a> {
	/// The scripts in `tests/polkadot-js`, which use polkadot.js.
	///
	/// # Errors
	/// When Node.js is missing or too old, and when npm fails to install the packages that the folder's lock file
	/// names.
	pub fn polkadot_js(workspace: &'a Workspace) -> Result<Self> {
		Self::install(workspace, "tests/polkadot-js")
	}

	/// The scripts in `tests/interop`, which use the JavaScript implementations of IPFS and Filecoin.
	///
	/// # Errors
	/// As [`Scripts::polkadot_js`].
	pub fn interop(workspace: &'a Workspace) -> Result<Self> {
		Self::install(workspace, "tests/interop")
	}

	/// Installs the packages that the folder's lock file names, unless they are there.
	fn install(workspace: &'a Workspace, folder: &str) -> Result<Self> {
		ensure!(
			node_js::is_ready(),
			"Node.js is missing or too old: run `cargo xtask setup`"
		);
		let folder = workspace.root().join(folder);
		let scripts = Self { workspace, folder };
		// A panic elsewhere leaves the folder as it was, which npm judges.
		let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
		// npm writes the former when it has finished.
		let installed = changed(&scripts.folder.join("node_modules/.package-lock.json"));
		if installed.is_none() || installed < changed(&scripts.folder.join("package-lock.json")) {
			step::run(scripts.command("npm").args(["ci", "--no-audit", "--no-fund"]))?;
		}
		Ok(scripts)
	}

	/// Runs a script: its name and arguments, and variables in its environment.
	///
	/// # Errors
	/// When it fails.
	pub fn run(&self, arguments: &[&str], environment: &[(&str, &Path)]) -> Result<()> {
		step::run(
			self.command("node")
				.args(arguments)
				.envs(environment.iter().copied()),
		)
	}

	/// Runs a script that prints one JSON object, and returns that.
	///
	/// # Errors
	/// When it fails, with what it said, and when it prints anything else.
	pub fn json(&self, arguments: &[&str]) -> Result<Value> {
		let text = step::output(self.command("node").args(arguments))?;
		serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
	}

	/// Starts a script that runs until its standard input ends. Its standard output is piped too.
	///
	/// # Errors
	/// When Node.js does not start.
	pub fn start(&self, arguments: &[&str]) -> Result<Child> {
		let mut node = self.command("node");
		let node = node.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
		node.spawn().context("Node.js does not start")
	}

	fn command(&self, program: &str) -> Command {
		let mut command = self.workspace.command(program);
		command.current_dir(&self.folder);
		command
	}
}

fn changed(file: &Path) -> Option<SystemTime> {
	fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}
