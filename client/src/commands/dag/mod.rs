//! `cairn dag`

mod decode;
mod export;
pub mod import;
pub mod inspect;
mod target;
mod walk;

use crate::{archives::Object, context::Context, error::CliError};
use std::path::PathBuf;

/// Blocks and the graphs they form: in archives, and in the network.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
	Inspect(inspect::Args),
	Walk(walk::Args),
	Import(import::Args),
	Export(export::Args),
}

/// Runs a command.
pub async fn run(context: &Context, command: Command) -> Result<(), CliError> {
	match command {
		Command::Inspect(args) => inspect::run(context, args).await,
		Command::Walk(args) => walk::run(context, args).await,
		Command::Import(args) => import::run(context, args).await,
		Command::Export(args) => export::run(context, args).await,
	}
}

/// An object in an archive.
#[derive(Debug, clap::Args)]
struct InArchive {
	/// The archive; `-` is standard input
	archive: PathBuf,
	/// CID, CID/PATH, or a path below the archive's only root [default: that root]
	///
	/// A path leads through any codec: names of folders' entries, keys and list positions of dag-cbor and
	/// dag-json, `tree` and `parents/0` of a git commit. An entry whose name is a CID is named after a `/`.
	#[arg(default_value = "", hide_default_value = true)]
	object: Object,
}
