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
	/// Pack files and folders into a CARv2 archive, as `put` does
	Create(create::Args),
	/// Write an archive's file or folder to disk
	Extract(extract::Args),
	/// List what is in an archive
	Ls(ls::Args),
	/// Check everything that can be checked about an archive
	Verify(verify::Args),
	/// Write a CARv2 with an index from any archive
	Index(index::Args),
	/// Print a file's piece commitment: the piece CID that deals name
	Commp(commp::Args),
}

/// Runs a command.
pub async fn run(context: &Context, command: Command) -> Result<(), CliError> {
	match command {
		Command::Create(args) => create::run(context, args).await,
		Command::Extract(args) => extract::run(context, args).await,
		Command::Ls(args) => ls::run(context, args),
		Command::Verify(args) => verify::run(context, args).await,
		Command::Index(args) => index::run(context, args).await,
		Command::Commp(args) => commp::run(context, args).await,
	}
}
