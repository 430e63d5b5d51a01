//! `cairn car`

mod commp;
pub mod create;
mod extract;
pub mod index;
mod join;
mod ls;
mod salvage;
mod split;
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
	Split(split::Args),
	Join(join::Args),
	Salvage(salvage::Args),
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
		Command::Split(args) => split::run(context, args).await,
		Command::Join(args) => join::run(context, args).await,
		Command::Salvage(args) => salvage::run(context, args).await,
		Command::Commp(args) => commp::run(context, args).await,
	}
}
