//! `cairn dag walk`

use super::InArchive;
use crate::{
	archives::{find, open, parse_size},
	context::Context,
	error::CliError,
	output::Output,
};
use cairn_dag::{
	walk::{walk, Budget, Order, Scope},
	Codec,
};
use indicatif::ProgressBar;
use serde::Serialize;

/// List the blocks below an object, each before those it links to
///
/// One line, or with --json one object, per block. Beyond a limit the list ends with an error.
#[derive(Debug, clap::Args)]
pub struct Args {
	#[command(flatten)]
	target: InArchive,
	/// In which order
	#[arg(long, value_enum, default_value = "depth-first")]
	order: WalkOrder,
	/// Which blocks
	#[arg(long, value_enum, default_value = "all")]
	scope: WalkScope,
	/// List a block each time that something links to it
	#[arg(long)]
	duplicates: bool,
	/// Deepest block, that of the object being 0
	#[arg(long, value_name = "N", default_value_t = Budget::default().max_depth)]
	max_depth: usize,
	/// Most blocks
	#[arg(long, value_name = "N", default_value_t = Budget::default().max_blocks)]
	max_blocks: u64,
	/// Most bytes of all blocks [default: any number]
	#[arg(long, value_name = "SIZE", value_parser = parse_size)]
	max_bytes: Option<u64>,
}

/// In which order blocks are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum WalkOrder {
	/// What a link leads to, with everything below it, before the next link
	DepthFirst,
	/// All links of a level before those of the next
	BreadthFirst,
}

/// Which blocks are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum WalkScope {
	/// The object and everything below it
	All,
	/// What it takes to read the file, or to list the folder
	Entity,
	/// The object's own block
	Block,
}

#[derive(Serialize)]
struct Row {
	cid: String,
	codec: &'static str,
	size: usize,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let output = context.output;
	tokio::task::spawn_blocking(move || list(output, &args)).await?
}

fn list(output: Output, args: &Args) -> Result<(), CliError> {
	// No bar: the list is progress.
	let archive = open(&args.target.archive, &ProgressBar::hidden())?;
	let cid = find(&archive, &args.target.object)?;
	let scope = match args.scope {
		WalkScope::All => Scope::All,
		WalkScope::Entity => Scope::Entity,
		WalkScope::Block => Scope::Block,
	};
	let order = match args.order {
		WalkOrder::DepthFirst => Order::DepthFirst,
		WalkOrder::BreadthFirst => Order::BreadthFirst,
	};
	let budget = Budget {
		max_depth: args.max_depth,
		max_blocks: args.max_blocks,
		max_bytes: args.max_bytes.unwrap_or(u64::MAX),
		..Budget::default()
	};
	let blocks = walk(&archive, cid, scope)
		.order(order)
		.budget(budget)
		.duplicates(args.duplicates);
	for block in blocks {
		let block = block?;
		let row = Row {
			cid: block.cid().to_string(),
			codec: Codec::from_code(block.cid().codec()).map_or("unknown", Codec::name),
			size: block.data().len(),
		};
		output.result_or_line("cairn.dag-block/1", &row, &row.cid, |out| {
			writeln!(out, "{:>9} {:<12} {}", row.size, row.codec, row.cid)
		})?;
	}
	Ok(())
}
