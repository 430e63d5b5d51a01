//! `cairn car index`

use crate::{
	archives::{read_options, stream, ArchiveOutput},
	context::Context,
	error::CliError,
	progress::Progress,
};
use cairn_car::{CarReader, CarV2Writer, IndexFormat};
use indicatif::ProgressBar;
use serde::Serialize;
use std::{io::BufWriter, path::PathBuf};

/// Write a CARv2 with an index from any archive
///
/// The blocks stay the same, in the same order, each once.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The archive, of either version; `-` is standard input
	archive: PathBuf,
	/// The CARv2; `-` is standard output
	#[arg(long, short, value_name = "FILE")]
	output: PathBuf,
	/// Replace a file that exists
	#[arg(long, short)]
	force: bool,
	/// Format of the index
	#[arg(long, value_enum, default_value = "multihash-sorted")]
	format: Format,
}

/// Format of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
	/// MultihashIndexSorted (0x0401), by hash function and digest
	MultihashSorted,
	/// IndexSorted (0x0400), by digest alone
	Sorted,
}

impl From<Format> for IndexFormat {
	fn from(format: Format) -> Self {
		match format {
			Format::MultihashSorted => Self::MultihashSorted,
			Format::Sorted => Self::Sorted,
		}
	}
}

#[derive(Serialize)]
struct Report {
	output: String,
	roots: Vec<String>,
	blocks: u64,
	size: u64,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let bar = Progress::new(&context.output).counted_bytes("indexing");
	let Some(report) = tokio::task::spawn_blocking(move || index(&args, &bar)).await?? else {
		return Ok(());
	};
	context
		.output
		.result_or_line("cairn.car-indexed/1", &report, &report.output.clone(), |out| {
			writeln!(
				out,
				"{}: {} blocks, {} bytes",
				report.output, report.blocks, report.size
			)
		})
}

/// Returns nothing where the archive took standard output.
fn index(args: &Args, bar: &ProgressBar) -> Result<Option<Report>, CliError> {
	let output = ArchiveOutput::begin(&args.output, args.force)?;
	let mut reader = CarReader::with_options(stream(&args.archive, bar)?, read_options())?;
	let roots = reader.roots().to_vec();
	let out = BufWriter::with_capacity(1 << 20, output.file());
	let mut writer = CarV2Writer::for_roots(out, args.format.into(), &roots)?;
	while let Some(block) = reader.next_block()? {
		writer.put(&block)?;
	}
	let (out, written) = writer.finish(&roots)?;
	out.into_inner().map_err(|error| error.into_error())?;
	bar.finish_and_clear();
	Ok(output.keep()?.map(|output| Report {
		output: output.display().to_string(),
		roots: roots.iter().map(ToString::to_string).collect(),
		blocks: written.blocks,
		size: written.size,
	}))
}
