//! Provider and client as their users build them, on a development chain.

use crate::{
	network::{free_port, Client, Node, Offer, Programs, Provider, ProviderSpec},
	process::{Supervisor, GRACE},
	step::{self, step},
	workspace::{cache_folder, Workspace},
};
use anyhow::{ensure, Context, Result};
use std::{
	fs,
	path::{Path, PathBuf},
	time::Duration,
};

const BLOCK_TIME: Duration = Duration::from_secs(1);

/// Low, so that the client pays for any length of time.
const PRICE: &str = "0.01 CAIRN";

/// Longer than any measurement.
const DURATION: &str = "5000 blocks";

/// A chain, a provider and a client.
pub(super) struct Network<'a> {
	supervisor: &'a Supervisor,
	/// Goes with the network.
	pub folder: &'a Path,
	pub client: Client,
	pub provider: Provider,
	_node: Node,
}

impl Network<'_> {
	/// Ends the provider and starts it again: with the memory of one that has done nothing yet.
	///
	/// # Errors
	/// When it does not start.
	pub fn restart_provider(&mut self) -> Result<()> {
		self.provider.kill();
		self.provider.run(self.supervisor)
	}

	/// Stores a file with the provider and waits for its first proof; the file's root.
	///
	/// # Errors
	/// When the deal does not become active.
	pub fn put(&self, file: &Path) -> Result<String> {
		let file = file.display().to_string();
		let report = self.client.json([
			"put",
			&file,
			"--tier",
			"hot",
			"--copies",
			"1",
			"--duration",
			DURATION,
			"--start-within",
			"600 blocks",
		])?;
		let deal = &report["deals"][0];
		ensure!(deal["state"] == "active", "the deal is not active: {report}");
		Ok(report["root"].as_str().context("put named no root")?.to_owned())
	}
}

/// Calls `measure` with a new network, whose provider has `settings` in its configuration: TOML without the version.
/// The network's folder is left if it fails, because of the logs.
///
/// # Errors
/// When a program does not build or start, and those of `measure`.
pub(super) fn on_network<T>(
	workspace: &Workspace,
	supervisor: &Supervisor,
	settings: &str,
	measure: impl FnOnce(&mut Network<'_>) -> Result<T>,
) -> Result<T> {
	let programs = build(workspace, &Programs::build(workspace)?)?;
	let folder = scratch_folder()?;
	let outcome =
		start(supervisor, &programs, &folder, settings).and_then(|mut network| measure(&mut network));
	supervisor.stop_all(GRACE);
	let measured = outcome.with_context(|| format!("the logs are in {}", folder.display()))?;
	fs::remove_dir_all(&folder)?;
	Ok(measured)
}

/// A new folder for what a measurement needs. Its disk is the one that builds go to.
///
/// # Errors
/// When it cannot be created.
pub(super) fn scratch_folder() -> Result<PathBuf> {
	let folder = cache_folder()?.join(format!("bench-{}", std::process::id()));
	fs::create_dir_all(&folder)?;
	Ok(folder)
}

/// The client built for release, for what needs no chain.
///
/// # Errors
/// When it does not build.
pub(super) fn client(workspace: &Workspace) -> Result<Programs> {
	build(workspace, &Programs::built(workspace))
}

/// The node as it is, provider and client as their users build them.
fn build(workspace: &Workspace, programs: &Programs) -> Result<Programs> {
	step(
		"Building provider and client for release",
		"about 10 minutes the first time",
		|| {
			step::run(workspace.cargo_without_wasm().args([
				"build",
				"--release",
				"--package",
				"cairn-provider-server",
				"--package",
				"cairn-client",
			]))
		},
	)?;
	let release = workspace.target().join("release");
	Ok(Programs {
		provider: release.join("cairn-provider"),
		client: release.join("cairn"),
		..programs.clone()
	})
}

fn start<'a>(
	supervisor: &'a Supervisor,
	programs: &Programs,
	folder: &'a Path,
	settings: &str,
) -> Result<Network<'a>> {
	let node = step("Starting the chain", "seconds", || {
		Node::start(supervisor, programs, folder, BLOCK_TIME)
	})?;
	let spec = ProviderSpec {
		name: "provider",
		owner: "//Bob",
		offer: Offer {
			proof_type: "hot-1GiB",
			price: PRICE,
		},
		port: free_port()?,
	};
	let configuration = folder.join(spec.name).join("config.toml");
	fs::create_dir_all(folder.join(spec.name))?;
	fs::write(configuration, format!("version = 1\n{settings}"))?;
	Ok(Network {
		provider: Provider::start(supervisor, programs, folder, &node.url(), spec)?,
		client: Client::new(programs, folder, &node.url()).signing_as("//Alice"),
		supervisor,
		folder,
		_node: node,
	})
}
