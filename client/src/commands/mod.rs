//! The subcommands, one file each. This file only hands over.

mod car;
mod chain;
mod completions;
mod config;
mod deal;
mod get;
mod ls;
pub mod put;
mod settle;
pub mod status;
mod wallet;

use crate::{context::Context, error::CliError};

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
	/// Store a file or folder with providers
	Put(Box<put::Args>),
	/// Read an object back, verified, from whichever provider answers
	Get(get::Args),
	/// List the objects that were stored from here
	Ls(ls::Args),
	/// Show deals, sectors, proofs and faults of an object, or of all
	Status(status::Args),
	/// Pay providers for the blocks they have proven
	Settle(settle::Args),
	/// Accounts and money
	#[command(subcommand)]
	Wallet(wallet::Command),
	/// Make deals step by step: what `put` does in one go
	#[command(subcommand)]
	Deal(deal::Command),
	/// Archives of blocks, offline
	#[command(subcommand)]
	Car(car::Command),
	/// Read the chain, for scripts
	#[command(subcommand)]
	Chain(chain::Command),
	/// Settings and where they come from
	#[command(subcommand)]
	Config(config::Command),
	/// Print completions for a shell
	Completions(completions::Args),
}

/// Runs a command.
pub async fn run(context: &Context, command: Command) -> Result<(), CliError> {
	match command {
		Command::Put(args) => put::run(context, *args).await,
		Command::Get(args) => get::run(context, args).await,
		Command::Ls(args) => ls::run(context, args),
		Command::Status(args) => status::run(context, args).await,
		Command::Settle(args) => settle::run(context, args).await,
		Command::Wallet(command) => wallet::run(context, command).await,
		Command::Deal(command) => deal::run(context, command).await,
		Command::Car(command) => car::run(context, command).await,
		Command::Chain(command) => chain::run(context, command).await,
		Command::Config(command) => config::run(context, command),
		Command::Completions(args) => completions::run(args),
	}
}
