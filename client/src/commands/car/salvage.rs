//! `cairn car salvage`

use super::index::Format;
use crate::{
	archives::{is_standard, read_options, ArchiveInput, ArchiveOutput},
	context::Context,
	error::{CliError, ErrorKind},
	progress::Progress,
};
use cairn_car::{completeness, salvage, CarFile, Completeness, RootsFrom, SalvageOptions, Salvaged};
use cairn_dag::{walk::Budget, Cid};
use indicatif::{HumanBytes, ProgressBar};
use serde::Serialize;
use std::{
	io::BufWriter,
	path::{Path, PathBuf},
};

/// Save what is sound in a damaged or truncated archive
///
/// Keeps every block that matches its CID, writes a CARv2 with an index, and says what is lost: the places in the
/// archive, and the blocks below the roots that are missing now.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The archive; `-` is standard input
	archive: PathBuf,
	/// The CARv2
	#[arg(long, short, value_name = "FILE")]
	output: PathBuf,
	/// Replace a file that exists
	#[arg(long, short)]
	force: bool,
	/// Root of the new archive, instead of those of the old one; may be given several times
	#[arg(long, value_name = "CID")]
	root: Vec<Cid>,
	/// Format of the index
	#[arg(long, value_enum, default_value = "multihash-sorted")]
	format: Format,
}

#[derive(Serialize)]
struct Report {
	output: String,
	roots: Vec<String>,
	roots_from: &'static str,
	blocks: u64,
	size: u64,
	lost_bytes: u64,
	lost_ranges: u64,
	/// The first of them.
	lost: Vec<Lost>,
	gave_up: bool,
	missing_blocks: u64,
	/// The first of them.
	missing: Vec<String>,
	complete: bool,
}

#[derive(Serialize)]
struct Lost {
	offset: u64,
	len: u64,
	reason: String,
}

/// Ranges and CIDs shown to people.
const SHOWN: usize = 20;

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let bar = Progress::new(&context.output).counted_bytes("salvaging");
	let report = tokio::task::spawn_blocking(move || rescue(&args, &bar)).await??;
	context
		.output
		.result_or_line("cairn.car-salvaged/1", &report, &report.output.clone(), |out| {
			writeln!(
				out,
				"{}: {} blocks, {}",
				report.output,
				report.blocks,
				HumanBytes(report.size)
			)?;
			for lost in report.lost.iter().take(SHOWN) {
				writeln!(
					out,
					"lost: {} bytes at {}: {}",
					lost.len, lost.offset, lost.reason
				)?;
			}
			if report.lost_ranges > SHOWN as u64 {
				writeln!(
					out,
					"lost: {} bytes in {} places in all",
					report.lost_bytes, report.lost_ranges
				)?;
			}
			if report.gave_up {
				writeln!(
					out,
					"The search was given up: too much looks like blocks and is none."
				)?;
			}
			for cid in report.missing.iter().take(SHOWN) {
				writeln!(out, "missing: {cid}")?;
			}
			match (report.complete, report.missing_blocks) {
				(true, _) => writeln!(out, "Everything below the roots is there."),
				(false, 0) => writeln!(out, "The archive has no root; --root names one."),
				(false, missing) => writeln!(out, "{missing} blocks below the roots are missing."),
			}
		})
}

fn rescue(args: &Args, bar: &ProgressBar) -> Result<Report, CliError> {
	if is_standard(&args.output) {
		return Err(CliError::new(
			ErrorKind::Usage,
			"standard output is for what is lost; name a file",
		));
	}
	let output = ArchiveOutput::begin(&args.output, args.force)?;
	let input = ArchiveInput::open(&args.archive, bar)?;
	let options = SalvageOptions {
		read: read_options(),
		index: args.format.into(),
		roots: (!args.root.is_empty()).then(|| args.root.clone()),
	};
	let mut out = BufWriter::with_capacity(1 << 20, output.file());
	let salvaged = salvage(&input, &mut out, &options)?;
	out.into_inner().map_err(|error| error.into_error())?;
	if salvaged.written.blocks == 0 {
		return Err(CliError::new(
			ErrorKind::Verification,
			format!("{} holds no sound block", args.archive.display()),
		));
	}
	let found = {
		let file = CarFile::new(output.file(), read_options())?;
		completeness(&file, &salvaged.roots, &Budget::default())?
	};
	bar.finish_and_clear();
	output.keep()?;
	Ok(report(&args.output, salvaged, found))
}

fn report(output: &Path, salvaged: Salvaged, found: Completeness) -> Report {
	Report {
		output: output.display().to_string(),
		complete: found.missing == 0 && !salvaged.roots.is_empty(),
		roots: salvaged.roots.iter().map(ToString::to_string).collect(),
		roots_from: match salvaged.roots_from {
			RootsFrom::Header => "header",
			RootsFrom::Options => "command line",
			RootsFrom::Guess => "guess",
		},
		blocks: salvaged.written.blocks,
		size: salvaged.written.size,
		lost_bytes: salvaged.lost_bytes,
		lost_ranges: salvaged.lost_ranges,
		lost: salvaged
			.lost
			.into_iter()
			.map(|lost| Lost {
				offset: lost.offset,
				len: lost.len,
				reason: lost.reason.to_string(),
			})
			.collect(),
		gave_up: salvaged.gave_up,
		missing_blocks: found.missing,
		missing: found.missing_cids.iter().map(ToString::to_string).collect(),
	}
}
