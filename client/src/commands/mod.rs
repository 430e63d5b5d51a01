//! The subcommands, one file each. This file only hands over.

mod block;
mod car;
mod chain;
mod completions;
mod config;
mod dag;
mod deal;
mod fetching;
pub mod get;
mod ls;
mod peer;
pub mod put;
mod settle;
pub mod status;
mod wallet;

use crate::{context::Context, error::CliError};

/// What to do. The help of each is at its arguments.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
	Put(Box<put::Args>),
	Get(Box<get::Args>),
	Ls(ls::Args),
	Status(status::Args),
	Settle(settle::Args),
	#[command(subcommand)]
	Wallet(wallet::Command),
	#[command(subcommand)]
	Deal(deal::Command),
	#[command(subcommand)]
	Car(car::Command),
	#[command(subcommand)]
	Dag(dag::Command),
	#[command(subcommand)]
	Block(block::Command),
	#[command(subcommand)]
	Peer(peer::Command),
	#[command(subcommand)]
	Chain(chain::Command),
	#[command(subcommand)]
	Config(config::Command),
	Completions(completions::Args),
}

/// Runs a command.
pub async fn run(context: &Context, command: Command) -> Result<(), CliError> {
	match command {
		Command::Put(args) => put::run(context, *args).await,
		Command::Get(args) => get::run(context, *args).await,
		Command::Ls(args) => ls::run(context, args),
		Command::Status(args) => status::run(context, args).await,
		Command::Settle(args) => settle::run(context, args).await,
		Command::Wallet(command) => wallet::run(context, command).await,
		Command::Deal(command) => deal::run(context, command).await,
		Command::Car(command) => car::run(context, command).await,
		Command::Dag(command) => dag::run(context, command).await,
		Command::Block(command) => block::run(context, command).await,
		Command::Peer(command) => peer::run(context, command).await,
		Command::Chain(command) => chain::run(context, command).await,
		Command::Config(command) => config::run(context, command),
		Command::Completions(args) => completions::run(args),
	}
}
