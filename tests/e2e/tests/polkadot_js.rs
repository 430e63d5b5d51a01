//! What polkadot.js sees and does: the scripts in `tests/polkadot-js`, against real programs.

use anyhow::Result;
use cairn_e2e::on_network;
use std::{
	fs,
	path::{Path, PathBuf},
	process::Command,
	time::SystemTime,
};
use xtask::{network::Programs, step, workspace::Workspace};

#[test]
fn a_client_proposes_a_deal_on_chain() -> Result<()> {
	on_network("polkadot-js", |network| {
		let scripts = Scripts::install(&network.workspace)?;
		let node = network.node.url();
		scripts.run(&["propose-deal.mjs", "--node", &node], &[])
	})
}

#[test]
fn a_client_proposes_to_a_running_provider() -> Result<()> {
	on_network("polkadot-js-provider", |network| {
		let scripts = Scripts::install(&network.workspace)?;
		let provider = network.provider("bob", "//Bob", "hot-8MiB")?;
		let node = network.node.url();
		let arguments = [
			"propose-deal.mjs",
			"--node",
			&node,
			"--provider",
			provider.account(),
		];
		scripts.run(&arguments, &[])
	})
}

#[test]
fn key_files_go_both_ways() -> Result<()> {
	let workspace = Workspace::locate()?;
	let programs = Programs::find(&workspace)?;
	let scripts = Scripts::install(&workspace)?;
	scripts.run(
		&["key-files.mjs", "round-trip"],
		&[("CAIRN_PROGRAM", &programs.client)],
	)
}

/// The scripts' folder, with what they need.
struct Scripts<'a> {
	workspace: &'a Workspace,
	folder: PathBuf,
}

impl<'a> Scripts<'a> {
	/// Installs what the lock file names, unless it is there.
	fn install(workspace: &'a Workspace) -> Result<Self> {
		let folder = workspace.root().join("tests/polkadot-js");
		let scripts = Self { workspace, folder };
		// npm writes the former when it has finished.
		let installed = changed(&scripts.folder.join("node_modules/.package-lock.json"));
		if installed.is_none() || installed < changed(&scripts.folder.join("package-lock.json")) {
			step::run(scripts.command("npm").args(["ci", "--no-audit", "--no-fund"]))?;
		}
		Ok(scripts)
	}

	fn run(&self, arguments: &[&str], environment: &[(&str, &Path)]) -> Result<()> {
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
