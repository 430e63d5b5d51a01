//! `cairn car extract`

use crate::{
	archives::{export, find, is_standard, open, Exporting, Object},
	commands::get::Symlinks,
	context::Context,
	error::CliError,
	progress::Progress,
};
use cairn_dag::Cid;
use indicatif::ProgressBar;
use serde::Serialize;
use std::path::PathBuf;

/// Write an archive's file or folder to disk
///
/// Every block is checked against its CID.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The archive; `-` is standard input
	archive: PathBuf,
	/// Which root, if the archive has several, or any other block
	#[arg(long, value_name = "CID")]
	root: Option<Cid>,
	/// Path inside the archive
	#[arg(long, value_name = "PATH", default_value = "")]
	path: String,
	/// Where to write; `-` is standard output, for a file [default: the root's CID]
	#[arg(long, short, value_name = "PATH")]
	output: Option<PathBuf>,
	/// Replace a file that exists; folders are never replaced
	#[arg(long, short)]
	force: bool,
	/// What to do with symbolic links
	#[arg(long, value_enum, default_value = "within")]
	symlinks: Symlinks,
}

#[derive(Serialize)]
struct Report {
	root: String,
	output: String,
	files: u64,
	directories: u64,
	symlinks: u64,
	bytes: u64,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let bar = Progress::new(&context.output).counted_bytes("extracting");
	let Some(report) = tokio::task::spawn_blocking(move || extract(args, &bar)).await?? else {
		return Ok(());
	};
	context
		.output
		.result_or_line("cairn.car-extracted/1", &report, &report.output.clone(), |out| {
			writeln!(
				out,
				"{}: {} files, {} bytes",
				report.output, report.files, report.bytes
			)
		})
}

/// Returns nothing where the content took standard output.
fn extract(args: Args, bar: &ProgressBar) -> Result<Option<Report>, CliError> {
	let archive = open(&args.archive, bar)?;
	let root = match args.root {
		Some(root) => root,
		None => find(&archive, &Object::default())?,
	};
	let object = Object {
		root: Some(root),
		path: args.path,
	};
	let target = find(&archive, &object)?;
	let exporting = Exporting {
		output: args.output.unwrap_or_else(|| PathBuf::from(target.to_string())),
		range: None,
		force: args.force,
		symlinks: args.symlinks.into(),
	};
	let exported = export(&archive, &target, &exporting)?;
	bar.finish_and_clear();
	Ok((!is_standard(&exporting.output)).then(|| Report {
		root: root.to_string(),
		output: exporting.output.display().to_string(),
		files: exported.files,
		directories: exported.directories,
		symlinks: exported.symlinks,
		bytes: exported.bytes,
	}))
}
