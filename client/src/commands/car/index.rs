//! `cairn car index`

use crate::{
	context::Context,
	error::CliError,
	new_file::{refuse_existing, NewFile},
};
use cairn_car::{CarReader, CarV2Writer, IndexFormat};
use serde::Serialize;
use std::{
	fs::File,
	io::{BufReader, BufWriter},
	path::PathBuf,
};

/// Write a CARv2 with an index from any archive
///
/// The blocks stay the same, in the same order, each once.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The archive, of either version
	archive: PathBuf,
	/// The CARv2
	#[arg(long, short, value_name = "FILE")]
	output: PathBuf,
	/// Replace a file that exists
	#[arg(long, short)]
	force: bool,
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
	let report = tokio::task::spawn_blocking(move || index(&args)).await??;
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

fn index(args: &Args) -> Result<Report, CliError> {
	if !args.force {
		refuse_existing(&args.output)?;
	}
	let file =
		File::open(&args.archive).map_err(|error| CliError::from(error).during(args.archive.display()))?;
	let mut reader = CarReader::new(BufReader::new(file))?;
	let roots = reader.roots().to_vec();
	let output = NewFile::beside(&args.output)?;
	let out = BufWriter::new(output.file());
	// The header is written last; unusual roots need more room than the usual one.
	let mut writer = match roots.as_slice() {
		[root] if root.to_bytes().len() == 36 => CarV2Writer::new(out, IndexFormat::default())?,
		roots => {
			let room = roots
				.iter()
				.map(|root| root.to_bytes().len() as u64 + 8)
				.sum::<u64>()
				+ 64;
			CarV2Writer::with_header_room(out, IndexFormat::default(), room)?
		}
	};
	while let Some(block) = reader.next_block()? {
		writer.put(&block)?;
	}
	let (out, written) = writer.finish(&roots)?;
	out.into_inner().map_err(|error| error.into_error())?;
	output.keep(args.force)?;
	Ok(Report {
		output: args.output.display().to_string(),
		roots: roots.iter().map(ToString::to_string).collect(),
		blocks: written.blocks,
		size: written.size,
	})
}
