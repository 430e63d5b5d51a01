//! `cairn block stat`

use super::{fetch, SourceArgs};
use crate::{
	commands::dag::inspect::{print, report},
	context::Context,
	error::CliError,
};

/// Fetch a block and show its codec, size, links, and what it says
///
/// As `cairn dag inspect` shows blocks in archives.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// CID of the block
	cid: String,
	#[command(flatten)]
	sources: SourceArgs,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let (block, _) = fetch(context, &args.cid, &args.sources).await?;
	print(context, "cairn.block-stat/1", &report(&block))
}
