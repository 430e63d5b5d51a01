//! The scripts in `tests/polkadot-js`, which need Node.js and packages of npm's.

use crate::{step, workspace::Workspace};
use anyhow::Result;
use std::{
	fs,
	path::{Path, PathBuf},
	process::Command,
	sync::{Mutex, PoisonError},
	time::SystemTime,
};

/// Where the scripts are in the checkout.
const FOLDER: &str = "tests/polkadot-js";

/// Held while packages are installed: npm does not share a folder with itself.
static INSTALLING: Mutex<()> = Mutex::new(());

/// The scripts, ready to run.
#[derive(Debug)]
pub struct Scripts<'a> {
	workspace: &'a Workspace,
	folder: PathBuf,
}

impl<'a> Scripts<'a> {
	/// Installs the packages that the scripts' lock file names, unless they are there.
	///
	/// # Errors
	/// When npm fails.
	pub fn install(workspace: &'a Workspace) -> Result<Self> {
		let folder = workspace.root().join(FOLDER);
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

	fn command(&self, program: &str) -> Command {
		let mut command = self.workspace.command(program);
		command.current_dir(&self.folder);
		command
	}
}

fn changed(file: &Path) -> Option<SystemTime> {
	fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}
