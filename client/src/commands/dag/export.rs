//! `cairn dag export`

use super::InArchive;
use crate::{
	archives::{export, find, is_standard, open, Exporting},
	commands::get::{parse_range, Symlinks},
	context::Context,
	error::CliError,
	progress::Progress,
};
use cairn_dag::unixfs::ByteRange;
use indicatif::ProgressBar;
use serde::Serialize;
use std::path::PathBuf;

/// Write a file or folder of an archive to disk, or a part of a file
///
/// Every block is checked against its CID.
#[derive(Debug, clap::Args)]
pub struct Args {
	#[command(flatten)]
	target: InArchive,
	/// Where to write; `-` is standard output, for a file [default: the object's name, else its CID]
	#[arg(long, short, value_name = "PATH")]
	output: Option<PathBuf>,
	/// Replace a file that exists; folders are never replaced
	#[arg(long, short)]
	force: bool,
	/// Only these bytes of a file: FROM-TO, both included; FROM- goes to the end
	#[arg(long, value_name = "FROM-TO", value_parser = parse_range)]
	range: Option<ByteRange>,
	/// What to do with symbolic links
	#[arg(long, value_enum, default_value = "within")]
	symlinks: Symlinks,
}

#[derive(Serialize)]
struct Report {
	cid: String,
	output: String,
	files: u64,
	directories: u64,
	symlinks: u64,
	bytes: u64,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let bar = Progress::new(&context.output).counted_bytes("exporting");
	let Some(report) = tokio::task::spawn_blocking(move || write(&args, &bar)).await?? else {
		return Ok(());
	};
	context
		.output
		.result_or_line("cairn.dag-exported/1", &report, &report.output.clone(), |out| {
			writeln!(
				out,
				"{}: {} files, {} bytes",
				report.output, report.files, report.bytes
			)
		})
}

/// Returns nothing where the content took standard output.
fn write(args: &Args, bar: &ProgressBar) -> Result<Option<Report>, CliError> {
	let archive = open(&args.target.archive, bar)?;
	let object = &args.target.object;
	let cid = find(&archive, object)?;
	let exporting = Exporting {
		output: match &args.output {
			Some(output) => output.clone(),
			None => object.default_output(&cid),
		},
		range: args.range,
		force: args.force,
		symlinks: args.symlinks.into(),
	};
	let exported = export(&archive, &cid, &exporting)?;
	bar.finish_and_clear();
	Ok((!is_standard(&exporting.output)).then(|| Report {
		cid: cid.to_string(),
		output: exporting.output.display().to_string(),
		files: exported.files,
		directories: exported.directories,
		symlinks: exported.symlinks,
		bytes: exported.bytes,
	}))
}
