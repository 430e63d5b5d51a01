//! `cargo xtask demo`: a real file, stored, proven, retrieved after a provider died, and paid for.

use crate::{
	block_budget::BlockBudget,
	network::{free_port, plancks, Client, Node, Offer, Programs, Provider, ProviderSpec},
	process::{Supervisor, GRACE},
	setup::{self, Needs},
	step::{self, step},
	workspace::{cache_folder, Workspace},
};
use anyhow::{bail, ensure, Context, Result};
use clap::Args;
use serde_json::Value;
use std::{
	fs,
	path::{Path, PathBuf},
	time::{Duration, Instant},
};

/// Options of `cargo xtask demo`.
#[derive(Args, Debug, Default)]
pub struct DemoArgs {
	/// The file to store, up to 1 GiB [default: a file of the Rust toolchain]
	file: Option<PathBuf>,
	/// Keep the network running at the end, and say where to look
	#[arg(long)]
	keep: bool,
	/// Milliseconds between two blocks, 500 at the least
	#[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(500..))]
	block_time: u64,
}

/// Largest file whose archive fits an 8 MiB sector: a little less than 127/128 of it.
const FITS_8_MIB: u64 = 7_900_000;
/// Largest file whose archive fits a 1 GiB sector.
const FITS_1_GIB: u64 = 1_060_000_000;
/// Blocks that each deal lasts from its first proof on.
const DURATION: u32 = 200;
/// Blocks within which a step must happen before the demo gives up.
const PATIENCE: u32 = 150;

/// Runs the demo.
///
/// # Errors
/// When any step does not happen; the error names it, and the logs stay.
pub fn run(workspace: &Workspace, args: &DemoArgs) -> Result<()> {
	setup::run(workspace, Needs::Building)?;
	let programs = Programs::build(workspace)?;
	let file = match &args.file {
		Some(file) => file
			.canonicalize()
			.with_context(|| format!("cannot read {}", file.display()))?,
		None => toolchain_file(workspace)?,
	};
	let folder = cache_folder()?.join(format!("demo-{}", std::process::id()));
	fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
	let supervisor = Supervisor::ending_on_signals()?;
	let start = Instant::now();
	let outcome = Demo::play(
		&supervisor,
		&programs,
		&folder,
		&file,
		Duration::from_millis(args.block_time),
	);
	match outcome {
		Ok(demo) if args.keep => demo.keep(&supervisor),
		Ok(_) => {
			supervisor.stop_all(GRACE);
			fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
			step::note(&format!("the demo took {}", step::duration(start.elapsed())));
			Ok(())
		}
		Err(error) => {
			supervisor.stop_all(GRACE);
			Err(error.context(format!("the demo failed; its logs are in {}", folder.display())))
		}
	}
}

/// A file that every Rust installation has: its largest one that fits an 8 MiB sector.
fn toolchain_file(workspace: &Workspace) -> Result<PathBuf> {
	let sysroot = step::output(workspace.command("rustc").args(["--print", "sysroot"]))?;
	let mut best: Option<(u64, PathBuf)> = None;
	let mut folders = vec![PathBuf::from(sysroot.trim())];
	while let Some(folder) = folders.pop() {
		for entry in fs::read_dir(&folder)? {
			let entry = entry?;
			let kind = entry.file_type()?;
			if kind.is_dir() {
				folders.push(entry.path());
			} else if kind.is_file() {
				let size = entry.metadata()?.len();
				let larger = best.as_ref().is_none_or(|(largest, _)| size > *largest);
				if size <= FITS_8_MIB && larger {
					best = Some((size, entry.path()));
				}
			}
		}
	}
	best.map(|(_, path)| path)
		.context("the Rust toolchain has no file: name one")
}

struct Demo {
	node: Node,
	providers: Vec<Provider>,
	client: Client,
	roots: Vec<String>,
}

impl Demo {
	fn play(
		supervisor: &Supervisor,
		programs: &Programs,
		folder: &Path,
		file: &Path,
		block_time: Duration,
	) -> Result<Self> {
		let size = fs::metadata(file)?.len();
		ensure!(
			size <= FITS_1_GIB,
			"{} has {size} bytes; the demo's largest sector takes 1 GiB",
			file.display()
		);
		let seals = size <= FITS_8_MIB;

		let node = step("Starting the chain", "half a minute", || {
			Node::start(supervisor, programs, folder, block_time)
		})?;
		let hot = if seals { "hot-8MiB" } else { "hot-1GiB" };
		let offers = [
			(
				"bob",
				"//Bob",
				Offer {
					proof_type: hot,
					price: "1 CAIRN",
				},
			),
			(
				"charlie",
				"//Charlie",
				Offer {
					proof_type: hot,
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
		let mut providers = Vec::new();
		step(
			"Registering and starting three providers",
			"half a minute",
			|| {
				for (name, owner, offer) in offers {
					let spec = ProviderSpec {
						name,
						owner,
						offer,
						port: free_port()?,
					};
					let provider = Provider::start(supervisor, programs, folder, &node.url(), spec)?;
					step::note(&format!(
						"{name}: {} at {}, {}",
						offer.proof_type,
						offer.price,
						provider.url()
					));
					providers.push(provider);
				}
				Ok(())
			},
		)?;

		let client = Client::new(programs, folder, &node.url());
		let wallet = step("Making a wallet and asking the faucet", "seconds", || {
			client.json(["wallet", "new", "user", "--no-phrase"])?;
			client.json(["wallet", "fund"])?;
			let address = client.json(["wallet", "address"])?;
			Ok(address["address"]
				.as_str()
				.context("the wallet has no address")?
				.to_owned())
		})?;

		let mut demo = Self {
			node,
			providers,
			client,
			roots: Vec::new(),
		};
		let before = demo.balances(&wallet)?;
		let first_block = demo.client.block()?;
		step(
			&format!("Storing {} ({size} bytes) with two hot providers", file.display()),
			"half a minute",
			|| demo.put(file, "hot", 2),
		)?;
		if seals {
			step("Storing it sealed", "half a minute", || {
				demo.put(file, "sealed", 1)
			})?;
		} else {
			step::note("the file does not fit the demo's 8 MiB sealed sectors: hot copies only");
		}

		let proving = if seals { 3 } else { 2 };
		step("Waiting for every copy's windowed proof", "half a minute", || {
			for provider in &demo.providers[..proving] {
				let event = demo.happens("window-proof-accepted", provider, first_block)?;
				step::note(&format!(
					"{}: proven in block {}",
					provider.name(),
					event["block"]
				));
			}
			Ok(())
		})?;

		let killed_at = demo.client.block()?;
		step(
			&format!("Killing {} and waiting for its fault", demo.providers[0].name()),
			"half a minute",
			|| {
				demo.providers[0].kill();
				let event = demo.happens("sector-faulty", &demo.providers[0], killed_at)?;
				step::note(&format!(
					"faulty in block {}: {}",
					event["block"], event["fields"]["reason"]
				));
				Ok(())
			},
		)?;

		step(
			"Retrieving the file from the providers that are left",
			"seconds",
			|| demo.get(folder, file),
		)?;

		let settled = step("Settling", "seconds", || demo.client.json(["settle", "--all"]))?;
		demo.report(first_block, &wallet, &before, &settled)?;
		Ok(demo)
	}

	fn put(&mut self, file: &Path, tier: &str, copies: u32) -> Result<()> {
		let (copies, duration) = (copies.to_string(), format!("{DURATION} blocks"));
		let mut command = self.client.command();
		command.args(["--json", "--yes", "put"]).arg(file);
		command.args(["--tier", tier, "--copies", &copies, "--duration", &duration]);
		command.args(["--start-within", "400 blocks"]);
		let report: Value = serde_json::from_str(step::output(&mut command)?.trim())?;
		let root = report["root"]
			.as_str()
			.context("put did not name the root")?
			.to_owned();
		for deal in report["deals"].as_array().context("put did not list its deals")? {
			ensure!(deal["state"] == "active", "a deal is not active: {deal}");
			let provider = self.shown(&deal["provider"]);
			step::note(&format!(
				"deal {} in sector {} of {provider}",
				deal["deal_id"], deal["sector"]
			));
		}
		if !self.roots.contains(&root) {
			step::note(&format!("root {root}"));
			self.roots.push(root);
		}
		Ok(())
	}

	fn happens(&self, event: &str, provider: &Provider, from: u64) -> Result<Value> {
		self.client
			.wait_for(event, &["--provider", provider.account()], from, PATIENCE)
	}

	fn get(&self, folder: &Path, file: &Path) -> Result<()> {
		let root = self.roots.first().context("nothing was stored")?;
		let target = folder.join("retrieved");
		let report = self
			.client
			.json(["get", root, "--output", &target.display().to_string()])?;
		if fs::read(&target)? != fs::read(file)? {
			bail!("{} differs from {}", target.display(), file.display());
		}
		step::note(&format!(
			"{} bytes, equal to the original, from peers {} and gateways {}",
			report["bytes"], report["peers"], report["providers"]
		));
		Ok(())
	}

	fn balances(&self, wallet: &str) -> Result<Vec<(String, u128)>> {
		let mut balances = vec![("user".to_owned(), self.client.free_balance(wallet)?)];
		for provider in &self.providers {
			balances.push((
				provider.name().to_owned(),
				self.client.free_balance(provider.account())?,
			));
		}
		Ok(balances)
	}

	fn report(&self, first: u64, wallet: &str, before: &[(String, u128)], settled: &Value) -> Result<()> {
		println!("\nProofs and faults on chain");
		let events = [
			"sector-pre-committed",
			"sector-activated",
			"window-proof-accepted",
			"sector-faulty",
			"payment-settled",
		];
		let mut arguments = vec![
			"chain".to_owned(),
			"events".into(),
			"--from".into(),
			first.to_string(),
		];
		for event in events {
			arguments.extend(["--event".into(), event.into()]);
		}
		for event in self.client.json_lines(&arguments)? {
			let fields = event["fields"].as_object().cloned().unwrap_or_default();
			let fields: Vec<String> = fields
				.iter()
				.map(|(name, value)| format!("{name} {}", self.shown(value)))
				.collect();
			println!(
				"  #{:<5} {:24} {}",
				event["block"],
				event["event"].as_str().unwrap_or_default(),
				fields.join(", ")
			);
		}
		println!("\nSettled");
		for deal in settled["deals"].as_array().into_iter().flatten() {
			println!(
				"  deal {}: {} CAIRN for {} proven blocks",
				deal["deal"],
				in_cairn(plancks(&deal["paid"])?, 9),
				deal["paid_blocks"]
			);
		}
		println!("\nFree balances in CAIRN (fees, deposits and pledges included)");
		println!("  {:10} {:>22} {:>22} {:>20}", "", "before", "after", "change");
		for ((name, before), (_, after)) in before.iter().zip(self.balances(wallet)?) {
			let change = i128::try_from(after)? - i128::try_from(*before)?;
			println!(
				"  {name:10} {:>22} {:>22} {:>+20.6}",
				in_cairn(*before, 6),
				in_cairn(after, 6),
				change as f64 / 1e12
			);
		}
		println!();
		BlockBudget::read(&self.node, first)?.print();
		Ok(())
	}

	/// A value of an event, accounts by their name in the demo.
	fn shown(&self, value: &Value) -> String {
		let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
		let provider = self.providers.iter().find(|provider| provider.account() == text);
		provider.map_or(text, |provider| provider.name().to_owned())
	}

	fn keep(&self, supervisor: &Supervisor) -> Result<()> {
		println!("\nThe network goes on; Ctrl-C ends it.");
		println!(
			"  polkadot.js  https://polkadot.js.org/apps/?rpc={}",
			self.node.url()
		);
		for provider in self
			.providers
			.iter()
			.filter(|provider| provider.process().is_some())
		{
			println!("  {:12} {}", provider.name(), provider.url());
			for root in &self.roots {
				println!("  {:12} {}/ipfs/{root}", "", provider.url());
			}
		}
		let status = self.node.process().wait(Duration::MAX)?;
		supervisor.stop_all(GRACE);
		bail!("the node ended: {status}");
	}
}

/// An amount in CAIRN with a fixed number of decimal places, so that columns align.
fn in_cairn(plancks: u128, places: usize) -> String {
	format!("{:.places$}", plancks as f64 / 1e12)
}
