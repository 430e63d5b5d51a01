//! `cairn wallet`

mod accounts;
mod balance;
mod escrow;
mod fund;

use crate::{context::Context, error::CliError};

/// Accounts and money.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
	/// Make an account and print its recovery phrase
	New(accounts::NewArgs),
	/// Take over an account from its recovery phrase or a polkadot.js file
	Import(accounts::ImportArgs),
	/// List the accounts in the keystore
	#[command(visible_alias = "ls")]
	List,
	/// Print the account's address
	Address(accounts::AddressArgs),
	/// Show what an account has, and what of it is held for what
	Balance(balance::Args),
	/// Move money from the account into its escrow, from which deals are paid
	AddBalance(escrow::AddArgs),
	/// Take money back from the escrow
	Withdraw(escrow::WithdrawArgs),
	/// Ask a test network's faucet for money
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
