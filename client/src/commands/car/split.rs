//! `cairn car split`

use crate::{
	archives::{is_standard, open, parse_size},
	context::Context,
	error::{CliError, ErrorKind},
	new_file::refuse_existing,
	progress::Progress,
};
use cairn_car::{split_to_folder, SplitOptions, SplitStrategy};
use indicatif::{HumanBytes, ProgressBar};
use serde::Serialize;
use std::path::PathBuf;

/// Cut an archive into parts of bounded size, into a new folder
///
/// The parts are CARv1 archives; `cairn car join` puts them together again, and so do the tools of carbites.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The archive; `-` is standard input
	archive: PathBuf,
	/// Most bytes of a part: 100MB, 1GiB
	#[arg(long, short, value_name = "SIZE", value_parser = parse_size)]
	size: u64,
	/// The folder of the parts [default: the archive's name without .car, and -parts]
	#[arg(long, short, value_name = "DIR")]
	output: Option<PathBuf>,
	/// How blocks are distributed
	#[arg(long, value_enum, default_value = "treewalk")]
	strategy: Strategy,
}

/// How blocks are distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Strategy {
	/// Each part has the root and is a DAG of its own; blocks above others are repeated
	Treewalk,
	/// The blocks in their order; only the first part has the root
	Simple,
}

#[derive(Serialize)]
struct Report {
	output: String,
	parts: Vec<Part>,
	repeated: u64,
	unreachable: u64,
}

#[derive(Serialize)]
struct Part {
	file: String,
	size: u64,
	blocks: u64,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let output = match &args.output {
		Some(output) => output.clone(),
		None => PathBuf::from(format!("{}-parts", name(&args)?)),
	};
	refuse_existing(&output).map_err(|_| {
		let message = format!("{} exists already", output.display());
		CliError::new(ErrorKind::File, message).hint("choose another folder with --output")
	})?;
	let bar = Progress::new(&context.output).counted_bytes("splitting");
	let report = tokio::task::spawn_blocking(move || split(&args, output, &bar)).await??;
	context
		.output
		.result_or_line("cairn.car-split/1", &report, &report.output.clone(), |out| {
			for part in &report.parts {
				writeln!(
					out,
					"{}: {}, {} blocks",
					part.file,
					HumanBytes(part.size),
					part.blocks
				)?;
			}
			Ok(())
		})
}

/// The name that the parts share.
fn name(args: &Args) -> Result<String, CliError> {
	let stem = match is_standard(&args.archive) {
		true => args.output.as_deref().and_then(|output| output.file_name()),
		false => args.archive.file_stem(),
	};
	stem.map(|stem| stem.to_string_lossy().into_owned())
		.ok_or_else(|| CliError::new(ErrorKind::Usage, "name the folder with --output"))
}

fn split(args: &Args, output: PathBuf, bar: &ProgressBar) -> Result<Report, CliError> {
	let archive = open(&args.archive, bar)?;
	let options = SplitOptions {
		strategy: match args.strategy {
			Strategy::Treewalk => SplitStrategy::Treewalk,
			Strategy::Simple => SplitStrategy::Simple,
		},
		..SplitOptions::new(args.size)
	};
	let done = split_to_folder(&archive, &options, &output, &name(args)?)?;
	bar.finish_and_clear();
	let parts = done.split.parts.iter().zip(&done.files);
	Ok(Report {
		output: output.display().to_string(),
		parts: parts
			.map(|(part, file)| Part {
				file: file.display().to_string(),
				size: part.size,
				blocks: part.blocks,
			})
			.collect(),
		repeated: done.split.repeated,
		unreachable: done.split.unreachable,
	})
}
