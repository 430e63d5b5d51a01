//! `cairn car join`

use super::index::Format;
use crate::{
	archives::{read_options, ArchiveOutput},
	context::Context,
	error::{CliError, ErrorKind},
	progress::Progress,
};
use cairn_car::{join, verify, JoinError, JoinOptions, VerifyError, VerifyOptions};
use indicatif::ProgressBar;
use serde::Serialize;
use std::{
	fs::File,
	io::BufWriter,
	path::{Path, PathBuf},
};

/// Put the parts of a split archive together, to a CARv2 with an index
///
/// Checks that no part is missing. Parts of `cairn car split --strategy simple` must be given in their order.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The parts
	#[arg(required = true, value_name = "PART")]
	parts: Vec<PathBuf>,
	/// The CARv2; `-` is standard output
	#[arg(long, short, value_name = "FILE")]
	output: PathBuf,
	/// Replace a file that exists
	#[arg(long, short)]
	force: bool,
	/// Do not follow links: an archive with parts of a DAG is fine
	#[arg(long)]
	partial: bool,
	/// Format of the index
	#[arg(long, value_enum, default_value = "multihash-sorted")]
	format: Format,
}

#[derive(Serialize)]
struct Report {
	output: String,
	roots: Vec<String>,
	parts: u64,
	blocks: u64,
	size: u64,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let bar = Progress::new(&context.output).counted_bytes("joining");
	let Some(report) = tokio::task::spawn_blocking(move || assemble(&args, &bar)).await?? else {
		return Ok(());
	};
	context
		.output
		.result_or_line("cairn.car-joined/1", &report, &report.output.clone(), |out| {
			writeln!(
				out,
				"{}: {} parts, {} blocks, {} bytes",
				report.output, report.parts, report.blocks, report.size
			)
		})
}

/// Returns nothing where the archive took standard output.
fn assemble(args: &Args, bar: &ProgressBar) -> Result<Option<Report>, CliError> {
	let output = ArchiveOutput::begin(&args.output, args.force)?;
	let mut out = BufWriter::with_capacity(1 << 20, output.file());
	let options = JoinOptions {
		read: read_options(),
		index: args.format.into(),
	};
	let parts = args
		.parts
		.iter()
		.map(|path| File::open(path).map(|file| bar.wrap_read(file)));
	let joined = join(parts, &mut out, &options).map_err(|error| named(error, &args.parts))?;
	out.into_inner().map_err(|error| error.into_error())?;
	let checks = VerifyOptions {
		read: read_options(),
		roots: !args.partial,
		dag: !args.partial,
	};
	verify(output.file(), &checks).map_err(|error| {
		let missing = matches!(error, VerifyError::MissingRoot { .. } | VerifyError::Dag(_));
		let error = CliError::from(error);
		match missing {
			true => error.hint("a part is missing; --partial joins what there is"),
			false => error,
		}
	})?;
	bar.finish_and_clear();
	Ok(output.keep()?.map(|output| Report {
		output: output.display().to_string(),
		roots: joined.roots.iter().map(ToString::to_string).collect(),
		parts: joined.parts,
		blocks: joined.written.blocks,
		size: joined.written.size,
	}))
}

/// The error, with the name of the part that it is about.
fn named(error: JoinError, parts: &[PathBuf]) -> CliError {
	let name = |part: u64| {
		let path = usize::try_from(part).ok().and_then(|part| parts.get(part));
		path.map_or(Path::new(""), PathBuf::as_path).display().to_string()
	};
	match error {
		JoinError::Read { part, error } => CliError::from(error).during(name(part)),
		JoinError::OtherRoots { part } => CliError::new(
			ErrorKind::Verification,
			format!("{} is no part of the same archive as {}", name(part), name(0)),
		),
		JoinError::NotTheFirst => CliError::new(
			ErrorKind::Usage,
			format!("{} is not the first part of its archive", name(0)),
		)
		.hint("give the parts in their order"),
		JoinError::Write(error) => error.into(),
		error => CliError::new(ErrorKind::Other, error.to_string()),
	}
}
