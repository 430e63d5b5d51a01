//! A provider: its server, and the command line that sets it up.

use super::{output, Programs};
use crate::process::{Process, Spec, Supervisor};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
	ffi::OsStr,
	fs,
	path::{Path, PathBuf},
	process::Command,
	time::Duration,
};

/// How long a server may take to answer after its start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Where it is a peer of the network: ports that the system chooses.
const PEER_ADDRESSES: &str = "/ip4/127.0.0.1/udp/0/quic-v1,/ip4/127.0.0.1/tcp/0";

/// What a provider sells.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
	/// Proof type, as the provider's command line names it: `hot-8MiB`, `sealed-8MiB`.
	pub proof_type: &'static str,
	/// Price per GiB and block, as the command line takes it.
	pub price: &'static str,
}

/// A provider to be started.
#[derive(Clone, Copy, Debug)]
pub struct ProviderSpec<'a> {
	/// Its name in the network, and of its folder.
	pub name: &'a str,
	/// The development account that owns it, such as `//Bob`.
	pub owner: &'a str,
	/// What it sells.
	pub offer: Offer,
	/// Where its HTTP server listens on the loopback interface.
	pub port: u16,
}

/// A provider with its folder below the network's.
pub struct Provider {
	name: String,
	owner: String,
	account: String,
	program: PathBuf,
	folder: PathBuf,
	node: String,
	port: u16,
	process: Option<Process>,
}

impl Provider {
	/// Registers a provider, unless it is registered already, and starts its server.
	///
	/// # Errors
	/// When either fails.
	pub fn start(
		supervisor: &Supervisor,
		programs: &Programs,
		folder: &Path,
		node: &str,
		spec: ProviderSpec<'_>,
	) -> Result<Self> {
		let mut provider = Self {
			name: spec.name.to_owned(),
			owner: spec.owner.to_owned(),
			account: String::new(),
			program: programs.provider.clone(),
			folder: folder.join(spec.name),
			node: node.to_owned(),
			port: spec.port,
			process: None,
		};
		provider.init(spec.offer)?;
		provider.run(supervisor)?;
		Ok(provider)
	}

	fn init(&mut self, offer: Offer) -> Result<()> {
		let owner = self.owner.clone();
		let listen = self.listen();
		let result = self.json([
			"init",
			"--dev-owner",
			&owner,
			"--listen",
			&listen,
			"--network-listen",
			PEER_ADDRESSES,
			"--offer",
			offer.proof_type,
			"--price",
			offer.price,
		])?;
		self.account = result["owner"]
			.as_str()
			.context("init did not name the owner")?
			.to_owned();
		Ok(())
	}

	/// Starts the server and waits until it answers.
	///
	/// # Errors
	/// When it ends or does not answer.
	pub fn run(&mut self, supervisor: &Supervisor) -> Result<()> {
		self.run_with(supervisor, &[])
	}

	/// [`Provider::run`] with variables in the server's environment.
	///
	/// # Errors
	/// As [`Provider::run`].
	pub fn run_with(&mut self, supervisor: &Supervisor, environment: &[(&str, &str)]) -> Result<()> {
		let mut command = self.command();
		command
			.args([
				"run",
				"--listen",
				&self.listen(),
				"--network-listen",
				PEER_ADDRESSES,
			])
			.envs(environment.iter().copied());
		let log = self.folder.with_extension("log");
		let process = supervisor.start(Spec::new(self.name.clone(), command, log))?;
		process.wait_for_http(&format!("{}/healthz", self.url()), START_TIMEOUT)?;
		self.process = Some(process);
		Ok(())
	}

	/// Multiaddresses at which the running server is a peer of the network, each ending with its peer id.
	///
	/// # Errors
	/// When it does not run.
	pub fn peer_addresses(&self) -> Result<Vec<String>> {
		let note = fs::read(self.folder.join("running.json"))?;
		let note: Value = serde_json::from_slice(&note)?;
		let addresses = note["peer"].as_array().context("no addresses")?;
		let text = |address: &Value| address.as_str().map(ToOwned::to_owned);
		Ok(addresses.iter().filter_map(text).collect())
	}

	/// Kills the server at once, as a power failure would.
	pub fn kill(&mut self) {
		if let Some(process) = self.process.take() {
			process.kill();
		}
	}

	/// Runs a command of the provider and returns its JSON result.
	///
	/// # Errors
	/// When it fails, and when its result is no JSON.
	pub fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Value> {
		let text = output(self.command().arg("--json").args(arguments))?;
		let line = text.lines().last().context("the command printed no result")?;
		serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))
	}

	fn command(&self) -> Command {
		let mut command = Command::new(&self.program);
		command
			.arg("--base-path")
			.arg(&self.folder)
			.args(["--node", &self.node]);
		command
	}

	fn listen(&self) -> String {
		format!("127.0.0.1:{}", self.port)
	}

	/// Its name in the network.
	pub fn name(&self) -> &str {
		&self.name
	}

	/// The owner's address.
	pub fn account(&self) -> &str {
		&self.account
	}

	/// Address of its HTTP server.
	pub fn url(&self) -> String {
		format!("http://127.0.0.1:{}", self.port)
	}

	/// Folder of its data.
	pub fn folder(&self) -> &Path {
		&self.folder
	}

	/// The running server.
	pub fn process(&self) -> Option<&Process> {
		self.process.as_ref()
	}
}
