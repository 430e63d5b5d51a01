//! `cairn car`

mod commp;
mod create;
mod extract;
mod index;
mod ls;
mod verify;

use crate::{context::Context, error::CliError};

/// Archives of blocks, offline.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
	Create(create::Args),
	Extract(extract::Args),
	Ls(ls::Args),
	Verify(verify::Args),
	Index(index::Args),
	Commp(commp::Args),
}

/// Runs a command.
pub async fn run(context: &Context, command: Command) -> Result<(), CliError> {
	match command {
		Command::Create(args) => create::run(context, args).await,
		Command::Extract(args) => extract::run(context, args).await,
		Command::Ls(args) => ls::run(context, args).await,
		Command::Verify(args) => verify::run(context, args).await,
		Command::Index(args) => index::run(context, args).await,
		Command::Commp(args) => commp::run(context, args).await,
	}
}
