//! A user of the network: what the command line says, in the terms of the tests.

use anyhow::{ensure, Context, Result};
use serde_json::Value;
use std::{
	ffi::{OsStr, OsString},
	path::{Path, PathBuf},
	time::Duration,
};
use xtask::{
	network::{plancks, Client, Provider},
	process::{Process, Spec, Supervisor},
};

/// Blocks within which anything a test waits for must happen: several proving periods.
pub const PATIENCE: u32 = 150;
/// Blocks within which deals start: more than a slow machine needs for sealing.
const START_WITHIN: &str = "600 blocks";
/// How long a command that waits for the chain may take on a busy machine.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(600);

/// A user with a wallet.
pub struct User {
	/// The command line.
	pub client: Client,
	/// The wallet's address.
	pub address: String,
	supervisor: Supervisor,
	folder: PathBuf,
}

/// What an account has, in plancks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
	/// Free to spend.
	pub free: u128,
	/// Held, with the reasons as `Pallet.Reason`.
	pub held: Vec<(String, u128)>,
}

impl Account {
	/// Everything it has.
	pub fn total(&self) -> u128 {
		self.free + self.held.iter().map(|(_, amount)| amount).sum::<u128>()
	}

	/// What is held for a reason.
	pub fn held_for(&self, reason: &str) -> u128 {
		self.held
			.iter()
			.filter(|(name, _)| name == reason)
			.map(|(_, amount)| amount)
			.sum()
	}
}

/// What `put` reported.
#[derive(Clone, Debug)]
pub struct Put {
	/// Root CID.
	pub root: String,
	/// Piece CID.
	pub piece: String,
	/// Bytes of the archive.
	pub archive_size: u64,
	/// The deals, all of them active.
	pub deals: Vec<Deal>,
}

/// An active deal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deal {
	/// Number on chain.
	pub id: u64,
	/// Sector.
	pub sector: u64,
	/// First block.
	pub since: u64,
	/// Block at which it ends.
	pub ends: u64,
	/// Price for the whole time, in plancks.
	pub price: u128,
}

/// A command that runs while the test goes on.
pub struct Running {
	process: Process,
	output: PathBuf,
}

impl Running {
	/// Waits for the end and returns the JSON result; `None` if the command failed.
	///
	/// # Errors
	/// When it takes too long, and when the result is no JSON.
	pub fn finish(self) -> Result<Option<Value>> {
		let status = self.process.wait(COMMAND_TIMEOUT)?;
		if !status.success() {
			return Ok(None);
		}
		let text = std::fs::read_to_string(&self.output)?;
		let line = text.lines().last().context("the command printed no result")?;
		Ok(Some(serde_json::from_str(line)?))
	}

	/// Whether the command has not ended yet.
	pub fn is_running(&self) -> bool {
		self.process.exit_status().is_none()
	}
}

impl User {
	pub(crate) fn new(client: Client, name: &str, supervisor: &Supervisor, folder: &Path) -> Result<Self> {
		let created = client.json(["wallet", "new", name, "--no-phrase"])?;
		let address = created["address"]
			.as_str()
			.context("the wallet has no address")?
			.to_owned();
		Ok(Self {
			client,
			address,
			supervisor: supervisor.clone(),
			folder: folder.join(name),
		})
	}

	/// Runs a command and returns its result.
	///
	/// # Errors
	/// When it fails.
	pub fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Value> {
		self.client.json(arguments)
	}

	/// Runs a command that must fail, and returns its exit code and what it says in JSON.
	///
	/// # Errors
	/// When it succeeds, and when it does not say why it failed.
	pub fn failure<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<(i32, Value)> {
		let output = self
			.client
			.command()
			.args(["--json", "--yes"])
			.args(arguments)
			.output()?;
		ensure!(!output.status.success(), "the command should have failed");
		let code = output.status.code().context("the command was killed")?;
		let said = String::from_utf8(output.stderr)?;
		let error = said
			.lines()
			.rev()
			.find_map(|line| serde_json::from_str(line).ok())
			.with_context(|| format!("no JSON on standard error: {said}"))?;
		Ok((code, error))
	}

	/// The arguments of `put`.
	pub fn put_arguments(path: &Path, tier: &str, copies: u32, duration: u32) -> Vec<OsString> {
		let mut arguments: Vec<OsString> = vec!["put".into(), path.into()];
		let (copies, duration) = (copies.to_string(), format!("{duration} blocks"));
		let options = [
			"--tier",
			tier,
			"--copies",
			&copies,
			"--duration",
			&duration,
			"--start-within",
			START_WITHIN,
		];
		arguments.extend(options.map(OsString::from));
		arguments
	}

	/// Stores a file or folder and waits until every deal is active.
	///
	/// # Errors
	/// When one is not.
	pub fn put(&self, path: &Path, tier: &str, copies: u32, duration: u32) -> Result<Put> {
		let report = self.json(Self::put_arguments(path, tier, copies, duration))?;
		let put = put(&report)?;
		ensure!(
			put.deals.len() == copies as usize,
			"{copies} deals were wanted: {report}"
		);
		Ok(put)
	}

	/// Stores a file or folder with one provider and waits until the deal is active.
	///
	/// # Errors
	/// When it is not.
	pub fn put_with(
		&self,
		provider: &Provider,
		path: &Path,
		tier: &str,
		duration: u32,
	) -> Result<(Put, Deal)> {
		let mut arguments = Self::put_arguments(path, tier, 1, duration);
		let copies = arguments.iter().position(|argument| argument == "--copies");
		let copies = copies.context("put takes copies")?;
		// The one excludes the other.
		arguments.splice(
			copies..copies + 2,
			["--provider".into(), provider.account().into()],
		);
		let put = put(&self.json(arguments)?)?;
		ensure!(put.deals.len() == 1, "one deal was wanted: {:?}", put.deals);
		let deal = put.deals[0].clone();
		Ok((put, deal))
	}

	/// Starts a command and goes on. `name` names its log.
	///
	/// # Errors
	/// When it cannot be started.
	pub fn start<A: AsRef<OsStr>>(
		&self,
		name: &str,
		arguments: impl IntoIterator<Item = A>,
	) -> Result<Running> {
		let mut command = self.client.command();
		command.args(["--json", "--yes"]).args(arguments);
		let output = self.folder.join(format!("{name}.json"));
		let spec = Spec::new(name, command, self.folder.join(format!("{name}.log"))).stdout(&output);
		Ok(Running {
			process: self.supervisor.start(spec)?,
			output,
		})
	}

	/// What an account has.
	///
	/// # Errors
	/// When the node does not answer.
	pub fn account(&self, account: &str) -> Result<Account> {
		let report = self.json(["wallet", "balance", account])?;
		let held = report["held"].as_array().context("no holds")?;
		Ok(Account {
			free: plancks(&report["free"])?,
			held: held
				.iter()
				.map(|hold| {
					let name = |field: &str| hold[field].as_str().unwrap_or_default().to_owned();
					let reason = format!("{}.{}", name("pallet"), name("reason"));
					Ok((reason, plancks(&hold["amount"])?))
				})
				.collect::<Result<_>>()?,
		})
	}

	/// Events from a block on, by name and further filters of `cairn chain events`.
	///
	/// # Errors
	/// When the node does not answer.
	pub fn events(&self, event: &str, from: u64, filters: &[&str]) -> Result<Vec<Value>> {
		let from = from.to_string();
		let arguments = ["chain", "events", "--from", &from, "--event", event];
		self.client.json_lines(arguments.iter().chain(filters))
	}

	/// Sum of an amount over events.
	///
	/// # Errors
	/// When the node does not answer.
	pub fn sum(&self, event: &str, field: &str, from: u64, filters: &[&str]) -> Result<u128> {
		let events = self.events(event, from, filters)?;
		events.iter().map(|event| plancks(&event["fields"][field])).sum()
	}

	/// Waits for an event and returns it.
	///
	/// # Errors
	/// When it does not happen within [`PATIENCE`].
	pub fn wait_for(&self, event: &str, filters: &[&str], from: u64) -> Result<Value> {
		self.client.wait_for(event, filters, from, PATIENCE)
	}

	/// A deal as the chain has it.
	///
	/// # Errors
	/// When the chain does not have it any more.
	pub fn deal(&self, id: u64) -> Result<Value> {
		self.json(["deal", "show", &id.to_string()])
	}

	/// Reads an object back into `target`, the default way.
	///
	/// # Errors
	/// When nobody delivers it.
	pub fn get(&self, object: &str, target: &Path) -> Result<Value> {
		self.json([
			OsStr::new("get"),
			object.as_ref(),
			"--output".as_ref(),
			target.as_ref(),
		])
	}

	/// Number of the latest finalized block.
	///
	/// # Errors
	/// When the node does not answer.
	pub fn block(&self) -> Result<u64> {
		self.client.block()
	}
}

/// Reads `put`'s report, every deal of which must be active.
///
/// # Errors
/// When one is not.
pub(crate) fn put(report: &Value) -> Result<Put> {
	let text = |field: &str| {
		report[field]
			.as_str()
			.map(str::to_owned)
			.with_context(|| format!("no {field}: {report}"))
	};
	let deals = report["deals"].as_array().context("no deals")?;
	Ok(Put {
		root: text("root")?,
		piece: text("piece_cid")?,
		archive_size: report["archive_size"].as_u64().context("no archive_size")?,
		deals: deals
			.iter()
			.map(|deal| {
				ensure!(deal["state"] == "active", "a deal is not active: {deal}");
				let number = |field: &str| {
					deal[field]
						.as_u64()
						.with_context(|| format!("no {field}: {deal}"))
				};
				Ok(Deal {
					id: number("deal_id")?,
					sector: number("sector")?,
					since: number("since")?,
					ends: number("ends")?,
					price: plancks(&deal["price"])?,
				})
			})
			.collect::<Result<_>>()?,
	})
}

impl Put {
	/// From the JSON that `put` printed.
	///
	/// # Errors
	/// When a deal is not active.
	pub fn from_report(report: &Value) -> Result<Self> {
		put(report)
	}
}
