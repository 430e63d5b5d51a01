//! `cairn dag walk`

use super::target::Target;
use crate::{archives::parse_size, context::Context, error::CliError, output::Output};
use cairn_dag::{
	walk::{walk, Budget, Order, Scope},
	BlockSource, Cid, Codec,
};
use serde::Serialize;

/// List the blocks below an object, each before those it links to
///
/// One line, or with --json one object, per block. Beyond a limit the list ends with an error.
///
/// In an archive, or in the network: then each block that is listed is fetched, verified, several at a time, and
/// hardly more than the limits allow.
#[derive(Debug, clap::Args)]
pub struct Args {
	#[command(flatten)]
	target: Target,
	#[command(flatten)]
	way: Way,
}

/// How a walk goes, and how far.
#[derive(Debug, clap::Args)]
struct Way {
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
	let (output, way) = (context.output, args.way);
	args.target
		.read(context, move |source, cid, bar| {
			list(source, cid, &way, &|row| bar.suspend(|| row.print(output)))
		})
		.await
}

impl Row {
	fn print(&self, output: Output) -> Result<(), CliError> {
		output.result_or_line("cairn.dag-block/1", self, &self.cid, |out| {
			writeln!(out, "{:>9} {:<12} {}", self.size, self.codec, self.cid)
		})
	}
}

fn list(
	source: &dyn BlockSource,
	cid: Cid,
	way: &Way,
	print: &dyn Fn(Row) -> Result<(), CliError>,
) -> Result<(), CliError> {
	let scope = match way.scope {
		WalkScope::All => Scope::All,
		WalkScope::Entity => Scope::Entity,
		WalkScope::Block => Scope::Block,
	};
	let order = match way.order {
		WalkOrder::DepthFirst => Order::DepthFirst,
		WalkOrder::BreadthFirst => Order::BreadthFirst,
	};
	let budget = Budget {
		max_depth: way.max_depth,
		max_blocks: way.max_blocks,
		max_bytes: way.max_bytes.unwrap_or(u64::MAX),
		..Budget::default()
	};
	let blocks = walk(source, cid, scope)
		.order(order)
		.budget(budget)
		.duplicates(way.duplicates);
	for block in blocks {
		let block = block?;
		print(Row {
			cid: block.cid().to_string(),
			codec: Codec::from_code(block.cid().codec()).map_or("unknown", Codec::name),
			size: block.data().len(),
		})?;
	}
	Ok(())
}
