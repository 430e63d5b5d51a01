//! The network of one test.

use crate::user::User;
use anyhow::{Context, Result};
use std::{
	fs::{self, File},
	path::{Path, PathBuf},
	process,
	time::Duration,
};
use xtask::{
	network::{free_port, Client, Node, Offer, Programs, Provider, ProviderSpec},
	process::{Supervisor, GRACE},
	step::note,
	workspace::{cache_folder, Workspace},
};

/// Time between two blocks.
const BLOCK_TIME: Duration = Duration::from_secs(1);

/// A node, and what is started beside it.
pub struct Network {
	/// Starts and ends the programs.
	pub supervisor: Supervisor,
	/// The programs.
	pub programs: Programs,
	/// The checkout.
	pub workspace: Workspace,
	/// The node.
	pub node: Node,
	folder: PathBuf,
}

/// Runs a test on a network of its own. The network's folder is removed if it succeeds; else the error says
/// where it is.
///
/// # Errors
/// Those of the test, and when the network cannot be started.
pub fn on_network(test: &str, run: impl FnOnce(&mut Network) -> Result<()>) -> Result<()> {
	// One network at a time, whoever runs the tests: two would disturb each other's deadlines on a small
	// machine. Released with the file at the latest when the process ends.
	let _turn = turn()?;
	let folder = Folder::create(test)?;
	let outcome = Network::start(&folder.path).and_then(|mut network| {
		let outcome = run(&mut network);
		network.supervisor.stop_all(GRACE);
		outcome
	});
	match outcome {
		Ok(()) => fs::remove_dir_all(&folder.path)
			.with_context(|| format!("cannot remove {}", folder.path.display())),
		Err(error) => Err(error.context(format!("the logs are in {}", folder.path.display()))),
	}
}

/// Waits until no other test runs a network.
fn turn() -> Result<File> {
	let folder = cache_folder()?;
	fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
	let path = folder.join("e2e.lock");
	let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
	file.lock()
		.with_context(|| format!("cannot lock {}", path.display()))?;
	Ok(file)
}

/// Says where the logs are when a test panics.
struct Folder {
	path: PathBuf,
}

impl Folder {
	fn create(test: &str) -> Result<Self> {
		let path = cache_folder()?.join(format!("e2e-{test}-{}", process::id()));
		fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
		Ok(Self { path })
	}
}

impl Drop for Folder {
	fn drop(&mut self) {
		if std::thread::panicking() {
			eprintln!("the logs are in {}", self.path.display());
		}
	}
}

impl Network {
	fn start(folder: &Path) -> Result<Self> {
		let workspace = Workspace::locate()?;
		let programs = Programs::find(&workspace)?;
		let supervisor = Supervisor::new();
		let node = Node::start(&supervisor, &programs, folder, BLOCK_TIME)?;
		note(&format!("node at {}, logs in {}", node.url(), folder.display()));
		Ok(Self {
			supervisor,
			programs,
			workspace,
			node,
			folder: folder.to_owned(),
		})
	}

	/// Writes the configuration of a provider that is to be started: TOML without the version.
	///
	/// # Errors
	/// When it cannot be written.
	pub fn configure(&self, name: &str, settings: &str) -> Result<()> {
		let folder = self.folder.join(name);
		fs::create_dir_all(&folder)?;
		fs::write(folder.join("config.toml"), format!("version = 1\n{settings}"))
			.with_context(|| format!("cannot configure {name}"))
	}

	/// Registers and starts a provider owned by a development account, which sells `proof_type`.
	///
	/// # Errors
	/// When either fails.
	pub fn provider(&self, name: &str, owner: &str, proof_type: &'static str) -> Result<Provider> {
		let spec = ProviderSpec {
			name,
			owner,
			offer: Offer {
				proof_type,
				price: "1 CAIRN",
			},
			port: free_port()?,
		};
		Provider::start(
			&self.supervisor,
			&self.programs,
			&self.folder,
			&self.node.url(),
			spec,
		)
	}

	/// A new user with a funded wallet.
	///
	/// # Errors
	/// When the faucet does not pay.
	pub fn user(&self, name: &str) -> Result<User> {
		let user = self.poor_user(name)?;
		user.json(["wallet", "fund"])?;
		Ok(user)
	}

	/// A new user without money.
	///
	/// # Errors
	/// When the wallet cannot be made.
	pub fn poor_user(&self, name: &str) -> Result<User> {
		let client = Client::new(&self.programs, &self.folder.join(name), &self.node.url());
		User::new(client, name, &self.supervisor, &self.folder)
	}

	/// The test's folder.
	pub fn folder(&self) -> &Path {
		&self.folder
	}

	/// Waits until `blocks` further blocks are there.
	///
	/// # Errors
	/// When the node ends or takes too long.
	pub fn pass(&self, blocks: u64) -> Result<()> {
		self.node.wait_for_block(self.node.best_block()? + blocks)
	}
}
