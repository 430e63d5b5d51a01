//! `cairn wallet`

mod accounts;
mod balance;
mod escrow;
mod fund;

use crate::{context::Context, error::CliError};

/// Accounts and money.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
	New(accounts::NewArgs),
	Import(accounts::ImportArgs),
	/// List the accounts in the keystore
	#[command(visible_alias = "ls")]
	List,
	Address(accounts::AddressArgs),
	Balance(balance::Args),
	AddBalance(escrow::AddArgs),
	Withdraw(escrow::WithdrawArgs),
	Fund(fund::Args),
}

/// Runs a command.
pub async fn run(context: &Context, command: Command) -> Result<(), CliError> {
	match command {
		Command::New(args) => accounts::new(context, args).await,
		Command::Import(args) => accounts::import(context, args).await,
		Command::List => accounts::list(context),
		Command::Address(args) => accounts::address(context, args),
		Command::Balance(args) => balance::run(context, args).await,
		Command::AddBalance(args) => escrow::add(context, args).await,
		Command::Withdraw(args) => escrow::withdraw(context, args).await,
		Command::Fund(args) => fund::run(context, args).await,
	}
}
