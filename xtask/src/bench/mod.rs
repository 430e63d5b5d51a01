//! `cargo xtask bench`: the figures of the book's performance tables.
//!
//! Each topic measures a figure several times, in the same run as the limit or peer it is compared with, and
//! says median and spread. Nothing here passes or fails: other work on the machine shows in the spread.

mod chain_start;
mod constant_memory;
mod exchange;
mod files;
mod gateway;
mod import;
mod ingest;
mod proving;
mod release;
mod store;
mod usage;
mod verification;

use crate::{
	process::Supervisor,
	setup::{self, Needs},
	step,
	workspace::Workspace,
};
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::fs;

/// Options of `cargo xtask bench`.
#[derive(Args, Debug, Default)]
pub struct BenchArgs {
	/// What to measure [default: everything but sealing]
	#[arg(value_enum)]
	topics: Vec<Topic>,
	/// Bytes that store, import, constant-memory, exchange and gateway measure with, instead of each one's own number
	#[arg(long, env = BYTES, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
	bytes: Option<u64>,
}

/// The variable by which criterion's benchmarks are told too.
const BYTES: &str = "CAIRN_BENCH_BYTES";

/// Bytes of the unit of all sizes and speeds.
const MEGABYTE: f64 = 1e6;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Topic {
	/// Start of the development chain to its first block
	ChainStart,
	/// Verification of proofs in the runtime's Wasm
	Verification,
	/// A provider's ingest of an upload of almost 1 GiB over loopback
	Ingest,
	/// Piece commitments, hot proofs and sealing of 8 MiB, by criterion
	Proving,
	/// Labels beside the reference implementation's
	Labels,
	/// The block store: put, get, delete and collection beside sha256sum, cp and cat, by criterion
	Store,
	/// Import of 1 GiB to UnixFS beside sha256sum, cp and helia
	Import,
	/// A provider's memory while 5 GiB go in and out through its data API
	ConstantMemory,
	/// Blocks from node to node: Cairn's exchange and Bitswap by criterion, helia's Bitswap
	Exchange,
	/// A provider's gateway under 100 readers: speed, memory, and how soon it answers /healthz
	Gateway,
	/// Sealing of 1 GiB and proving its activation: a quarter of an hour
	Sealing,
}

const DEFAULT: [Topic; 10] = [
	Topic::ChainStart,
	Topic::Verification,
	Topic::Ingest,
	Topic::Proving,
	Topic::Labels,
	Topic::Store,
	Topic::Import,
	Topic::ConstantMemory,
	Topic::Exchange,
	Topic::Gateway,
];

/// Measures and prints.
///
/// # Errors
/// When a program does not build or does not do what is measured.
pub fn run(workspace: &Workspace, args: &BenchArgs) -> Result<()> {
	setup::run(workspace, Needs::Building)?;
	let topics = if args.topics.is_empty() {
		&DEFAULT[..]
	} else {
		&args.topics
	};
	println!("{}", machine());
	// One for all: on Ctrl-C, whoever was done first would end the command before the others' programs.
	let supervisor = Supervisor::ending_on_signals()?;
	for topic in topics {
		match topic {
			Topic::ChainStart => chain_start::run(workspace, &supervisor)?,
			Topic::Verification => verification::run(workspace)?,
			Topic::Ingest => ingest::run(workspace, &supervisor)?,
			Topic::Proving => proving::run(workspace)?,
			Topic::Labels => proving::labels(workspace)?,
			Topic::Store => store::run(workspace, args.bytes)?,
			Topic::Import => import::run(workspace, args.bytes)?,
			Topic::ConstantMemory => constant_memory::run(workspace, &supervisor, args.bytes)?,
			Topic::Exchange => exchange::run(workspace, &supervisor, args.bytes)?,
			Topic::Gateway => gateway::run(workspace, &supervisor, args.bytes)?,
			Topic::Sealing => proving::sealing(workspace)?,
		}
	}
	Ok(())
}

/// The machine's processor and memory, as Linux names them.
fn machine() -> String {
	let field = |file: &str, name: &str| {
		let text = fs::read_to_string(file).ok()?;
		let line = text.lines().find(|line| line.starts_with(name))?;
		Some(line.split_once(':')?.1.trim().to_owned())
	};
	let cores = std::thread::available_parallelism().map_or(1, usize::from);
	format!(
		"{cores} cores, {}, memory {}",
		field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into()),
		field("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".into()),
	)
}

/// Measured values of one figure.
struct Samples {
	values: Vec<f64>,
}

impl Samples {
	fn new(values: impl IntoIterator<Item = f64>) -> Self {
		let mut values: Vec<f64> = values.into_iter().collect();
		values.sort_by(f64::total_cmp);
		Self { values }
	}

	fn median(&self) -> f64 {
		let middle = self.values.len() / 2;
		match self.values.len() {
			0 => f64::NAN,
			length if length % 2 == 1 => self.values[middle],
			_ => (self.values[middle - 1] + self.values[middle]) / 2.0,
		}
	}

	/// Prints one row: what, median, spread, number of samples, and what to compare it with.
	fn print(&self, what: &str, unit: &str, compared: &str) {
		let (first, last) = (self.values.first(), self.values.last());
		println!(
			"  {what:58} {:>9.2} {unit:5} ({:.2} to {:.2}, {} runs)  {compared}",
			self.median(),
			first.copied().unwrap_or(f64::NAN),
			last.copied().unwrap_or(f64::NAN),
			self.values.len(),
		);
	}
}

fn heading(text: &str) {
	println!("\n{text}");
}

/// Runs a criterion benchmark of a package, its output going to the terminal.
fn cargo_bench(
	workspace: &Workspace,
	package: &str,
	bench: &str,
	filter: Option<&str>,
	bytes: Option<u64>,
) -> Result<()> {
	let mut cargo = workspace.cargo_without_wasm();
	cargo.args(["bench", "--package", package, "--bench", bench]);
	if let Some(filter) = filter {
		cargo.args(["--", filter]);
	}
	if let Some(bytes) = bytes {
		cargo.env(BYTES, bytes.to_string());
	}
	step::run(&mut cargo)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn medians() {
		assert_eq!(Samples::new([3.0, 1.0, 2.0]).median(), 2.0);
		assert_eq!(Samples::new([4.0, 1.0, 2.0, 3.0]).median(), 2.5);
		assert!(Samples::new([]).median().is_nan());
	}
}
