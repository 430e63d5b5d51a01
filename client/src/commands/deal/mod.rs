//! `cairn deal`

mod cancel;
mod ls;
mod propose;
mod send;
mod show;
mod sign;
mod steps;

use super::settle;
use crate::{context::Context, error::CliError};

/// Make deals step by step: what `put` does in one go.
///
/// With a signature: `car create`, `deal propose`, `deal sign`, `deal send`; the provider publishes the deal.
/// On chain, as from polkadot.js: `car create`, `deal propose --on-chain`, `deal send`; the provider accepts it.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
	Propose(Box<propose::Args>),
	Sign(sign::Args),
	Send(send::Args),
	Cancel(cancel::Args),
	Show(show::Args),
	Ls(ls::Args),
	Settle(settle::Args),
}

/// Runs a command.
pub async fn run(context: &Context, command: Command) -> Result<(), CliError> {
	match command {
		Command::Propose(args) => propose::run(context, *args).await,
		Command::Sign(args) => sign::run(context, args).await,
		Command::Send(args) => send::run(context, args).await,
		Command::Cancel(args) => cancel::run(context, args).await,
		Command::Show(args) => show::run(context, args).await,
		Command::Ls(args) => ls::run(context, args).await,
		Command::Settle(args) => settle::run(context, args).await,
	}
}
