//! `cargo xtask devnet`: a development chain and three providers that keep their data.

use crate::{
	network::{free_port_near, Node, Offer, Programs, Provider, ProviderSpec},
	process::{Supervisor, GRACE},
	setup::{self, Needs},
	step::step,
	workspace::{data_folder, Workspace},
};
use anyhow::{bail, Context, Result};
use clap::Args;
use std::{
	fs::{self, File, TryLockError},
	path::{Path, PathBuf},
	time::Duration,
};

/// Options of `cargo xtask devnet`.
#[derive(Args, Debug, Default)]
pub struct DevnetArgs {
	/// Where the network keeps its data [default: cairn/devnet in the user's data folder]
	#[arg(long, value_name = "DIR")]
	data: Option<PathBuf>,
	/// Forget the chain and everything stored, and begin anew
	#[arg(long)]
	reset: bool,
	/// Milliseconds between two blocks, 500 at the least
	#[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(500..))]
	block_time: u64,
}

/// Ports that are taken if they are free: the node's is the one that tools expect.
const NODE_PORT: u16 = 9944;
const FIRST_PROVIDER_PORT: u16 = 7600;

/// Names, owners and offers of the providers.
const PROVIDERS: [(&str, &str, Offer); 3] = [
	(
		"bob",
		"//Bob",
		Offer {
			proof_type: "hot-1GiB",
			price: "1 CAIRN",
		},
	),
	(
		"charlie",
		"//Charlie",
		Offer {
			proof_type: "hot-1GiB",
			price: "1.2 CAIRN",
		},
	),
	(
		"dave",
		"//Dave",
		Offer {
			proof_type: "sealed-8MiB",
			price: "2 CAIRN",
		},
	),
];

/// Runs the network until Ctrl-C. Started again, it goes on where it ended.
///
/// # Errors
/// When a program does not start or ends by itself, and when another devnet uses the data.
pub fn run(workspace: &Workspace, args: &DevnetArgs) -> Result<()> {
	setup::run(workspace, Needs::Building)?;
	let programs = Programs::build(workspace)?;
	let folder = match &args.data {
		Some(folder) => std::path::absolute(folder)?,
		None => data_folder()?.join("devnet"),
	};
	let _lock = claim(&folder)?;
	let network = folder.join("network");
	if args.reset && network.exists() {
		fs::remove_dir_all(&network).with_context(|| format!("cannot remove {}", network.display()))?;
	}
	let is_new = !network.exists();
	fs::create_dir_all(&network).with_context(|| format!("cannot make {}", network.display()))?;
	let supervisor = Supervisor::ending_on_signals()?;
	let outcome = start(&supervisor, &programs, &network, args.block_time)
		.and_then(|(node, providers)| keep(workspace, &folder, &node, &providers, is_new));
	supervisor.stop_all(GRACE);
	outcome.with_context(|| {
		let hint = if is_new {
			""
		} else {
			"; after a change of the runtime, begin anew with --reset"
		};
		format!("the network's logs are in {}{hint}", network.display())
	})
}

/// Takes the data for this run; it is free again when the file closes, at the latest with the process.
fn claim(folder: &Path) -> Result<File> {
	fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
	let file = File::create(folder.join("lock"))
		.with_context(|| format!("cannot make a file in {}", folder.display()))?;
	match file.try_lock() {
		Ok(()) => Ok(file),
		Err(TryLockError::WouldBlock) => bail!(
			"another devnet runs on {}: end it, or name another folder with --data",
			folder.display()
		),
		Err(TryLockError::Error(error)) => {
			Err(error).with_context(|| format!("cannot lock {}", folder.display()))
		}
	}
}

fn start(
	supervisor: &Supervisor,
	programs: &Programs,
	folder: &Path,
	block_time: u64,
) -> Result<(Node, Vec<Provider>)> {
	let node = step("Starting the chain", "seconds", || {
		let port = free_port_near(NODE_PORT)?;
		Node::start_on(
			port,
			supervisor,
			programs,
			folder,
			Duration::from_millis(block_time),
		)
	})?;
	let providers = step("Starting three providers", "half a minute", || {
		let mut providers = Vec::new();
		for ((name, owner, offer), port) in PROVIDERS.into_iter().zip(FIRST_PROVIDER_PORT..) {
			let spec = ProviderSpec {
				name,
				owner,
				offer,
				port: free_port_near(port)?,
			};
			providers.push(Provider::start(supervisor, programs, folder, &node.url(), spec)?);
		}
		Ok(providers)
	})?;
	Ok((node, providers))
}

/// Says where everything is and waits until the chain or a provider ends, which none does by itself.
fn keep(
	workspace: &Workspace,
	folder: &Path,
	node: &Node,
	providers: &[Provider],
	is_new: bool,
) -> Result<()> {
	println!(
		"\n{} network, block {}. Ctrl-C ends it; its data stays in {}.",
		if is_new { "A new" } else { "The same" },
		node.best_block()?,
		folder.display()
	);
	println!("  {:12} {}", "chain", node.url());
	println!(
		"  {:12} https://polkadot.js.org/apps/?rpc={}",
		"polkadot.js",
		node.url()
	);
	for (provider, (_, _, offer)) in providers.iter().zip(PROVIDERS) {
		println!(
			"  {:12} {} sells {} at {} per GiB and block",
			provider.name(),
			provider.url(),
			offer.proof_type,
			offer.price
		);
	}
	let client = workspace.debug_program("cairn");
	println!("\nStore a file and read it back:");
	println!("  export CAIRN_NODE={}", node.url());
	println!("  {} --dev //Alice put FILE --copies 2", client.display());
	println!("  {} get CID --output COPY", client.display());
	loop {
		for (name, process) in providers
			.iter()
			.filter_map(|provider| Some((provider.name(), provider.process()?)))
			.chain([("the node", node.process())])
		{
			if let Some(status) = process.exit_status() {
				bail!("{name} ended: {status}");
			}
		}
		std::thread::sleep(Duration::from_millis(500));
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn data_serves_one_network_at_a_time() {
		let folder = tempfile::tempdir().unwrap();
		let first = claim(folder.path()).unwrap();
		let error = claim(folder.path()).unwrap_err().to_string();
		assert!(error.contains("another devnet"), "{error}");
		drop(first);
		claim(folder.path()).unwrap();
	}
}
