//! Reads the command line and calls the command's module.

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use xtask::{
	demo::{self, DemoArgs},
	metadata::{self, MetadataArgs},
	setup::{self, Needs},
	test::{self, TestArgs},
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
	/// Refresh the client's copy of the runtime's metadata
	Metadata(MetadataArgs),
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
		Command::Metadata(args) => metadata::run(&Workspace::locate()?, &args),
	}
}
