//! Reads the command line and calls the command's module.

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use xtask::{
	bench::{self, BenchArgs},
	demo::{self, DemoArgs},
	devnet::{self, DevnetArgs},
	metadata,
	setup::{self, Needs},
	test::{self, TestArgs},
	weights::{self, WeightsArgs},
	workspace::Workspace,
};

/// Cairn's development commands
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
	#[command(subcommand)]
	command: Command,
}

#[derive(Subcommand)]
enum Command {
	/// Install or name what building and testing needs
	///
	/// Installs system packages on Debian and Ubuntu when run as root, and the Wasm target. Elsewhere it says
	/// what to install. Takes less than a second when nothing is missing.
	Setup,
	/// Run everything that CI runs: setup, formatting, lints, tests
	Test(TestArgs),
	/// Show a real file being stored, proven, retrieved and paid for on a local network
	///
	/// Starts a development chain and three providers, stores the file with them, waits for their proofs, kills
	/// one, waits for its fault, retrieves the file from the others, settles, and prints what the chain says.
	Demo(DemoArgs),
	/// Run a development chain and three providers that keep their data, until Ctrl-C
	Devnet(DevnetArgs),
	/// Refresh what is written from the runtime's metadata: the client's copy, the book's chain reference
	Metadata,
	/// Measure the figures of the book's performance tables
	Bench(BenchArgs),
	/// Measure the calls' weights in the runtime's Wasm and write them into the pallets
	Weights(WeightsArgs),
}

fn main() -> ExitCode {
	match execute(Cli::parse().command) {
		Ok(()) => ExitCode::SUCCESS,
		// Without a backtrace, which says nothing about a missing package.
		Err(error) => {
			eprintln!("Error: {error:#}");
			ExitCode::FAILURE
		}
	}
}

fn execute(command: Command) -> Result<()> {
	match command {
		Command::Setup => {
			let workspace = Workspace::locate()?;
			setup::run(&workspace, Needs::Testing)?;
			setup::report(&workspace)
		}
		Command::Test(args) => test::run(&Workspace::locate()?, &args),
		Command::Demo(args) => demo::run(&Workspace::locate()?, &args),
		Command::Devnet(args) => devnet::run(&Workspace::locate()?, &args),
		Command::Metadata => metadata::run(&Workspace::locate()?),
		Command::Bench(args) => bench::run(&Workspace::locate()?, &args),
		Command::Weights(args) => weights::run(&Workspace::locate()?, &args),
	}
}
