//! `cairn car extract`

use crate::{
	commands::get::Symlinks,
	context::Context,
	error::{CliError, ErrorKind},
};
use cairn_car::{CarFile, ReadOptions};
use cairn_dag::unixfs::{
	export::{tree, ExportOptions},
	resolve, ResolveError,
};
use serde::Serialize;
use std::path::PathBuf;

/// Write an archive's file or folder to disk
///
/// Every block is checked against its CID.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The archive
	archive: PathBuf,
	/// Path inside the archive
	#[arg(long, value_name = "PATH", default_value = "")]
	path: String,
	/// Where to write [default: the root's CID]
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
	let report = tokio::task::spawn_blocking(move || extract(args)).await??;
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

fn extract(args: Args) -> Result<Report, CliError> {
	let archive = CarFile::open(&args.archive, ReadOptions::default())
		.map_err(|error| CliError::from(error).during(args.archive.display()))?;
	let [root] = archive.roots() else {
		return Err(CliError::new(
			ErrorKind::Verification,
			format!("the archive has {} roots, not one", archive.roots().len()),
		));
	};
	let root = *root;
	let target = resolve(&archive, &root, &args.path)
		.map_err(|error| {
			let kind = match &error {
				ResolveError::NotFound { .. } => ErrorKind::NotFound,
				_ => ErrorKind::Verification,
			};
			CliError::new(kind, error.to_string())
		})?
		.cid;
	let output = args.output.unwrap_or_else(|| PathBuf::from(target.to_string()));
	let options = ExportOptions {
		symlinks: args.symlinks.into(),
		overwrite: args.force,
		..ExportOptions::default()
	};
	let exported = tree(&archive, &target, &output, &options)?;
	Ok(Report {
		root: root.to_string(),
		output: output.display().to_string(),
		files: exported.files,
		directories: exported.directories,
		symlinks: exported.symlinks,
		bytes: exported.bytes,
	})
}
