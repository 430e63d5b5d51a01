//! `cairn block`

mod get;
mod put;
mod stat;

use super::fetching::{parse_cid, records, Fetched, Fetching, SourceArgs, Watcher};
use crate::{
	context::Context,
	error::{CliError, ErrorKind},
	retrieval::{
		blocks::BlockStore,
		missing::{Part, Wanted},
	},
};
use cairn_dag::{source::load, Block};

/// Single blocks: from peers and providers, and into a node.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
	Get(get::Args),
	Put(put::Args),
	Stat(stat::Args),
}

/// Runs a command.
pub async fn run(context: &Context, command: Command) -> Result<(), CliError> {
	match command {
		Command::Get(args) => get::run(context, args).await,
		Command::Put(args) => put::run(context, args).await,
		Command::Stat(args) => stat::run(context, args).await,
	}
}

/// Fetches a block, verified.
async fn fetch(context: &Context, cid: &str, sources: &SourceArgs) -> Result<(Block, Fetched), CliError> {
	let root = parse_cid(cid)?;
	let blocks = BlockStore::temporary(&root)?;
	let wanted = Wanted {
		root,
		path: String::new(),
		part: Part::Block,
	};
	let watcher = Watcher::new(context);
	let mut fetching = Fetching::new(context, sources, root, &records(context), blocks.clone()).await?;
	let fetched = fetching.fetch(&wanted, &watcher).await;
	watcher.finish();
	let fetched = fetched?;
	fetching.finish().await;
	let block = load(&blocks, &root).map_err(|error| CliError::new(ErrorKind::File, error.to_string()))?;
	let block =
		block.ok_or_else(|| CliError::new(ErrorKind::File, "the block was lost on this machine's disk"))?;
	Ok((block, fetched))
}
