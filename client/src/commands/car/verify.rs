//! `cairn car verify`

use crate::{
	archives::{read_options, ArchiveInput},
	context::Context,
	error::CliError,
	progress::Progress,
};
use cairn_car::{verify, IndexCheck, VerifyOptions, Version};
use serde::Serialize;
use std::path::PathBuf;

/// Check everything that can be checked about an archive
///
/// Every block against its CID, the index against the blocks, and that nothing is missing below the roots.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The archive; `-` is standard input
	archive: PathBuf,
	/// Do not follow links: an archive with parts of a DAG is fine, even without its roots
	#[arg(long)]
	partial: bool,
}

#[derive(Serialize)]
struct Report {
	version: u8,
	roots: Vec<String>,
	blocks: u64,
	payload_size: u64,
	index: &'static str,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let bar = Progress::new(&context.output).counted_bytes("verifying");
	let verified = tokio::task::spawn_blocking(move || {
		let file = ArchiveInput::open(&args.archive, &bar)?;
		let options = VerifyOptions {
			read: read_options(),
			roots: !args.partial,
			dag: !args.partial,
		};
		let verified = verify(&file, &options)?;
		bar.finish_and_clear();
		Ok::<_, CliError>(verified)
	})
	.await??;
	let report = Report {
		version: match verified.version {
			Version::V1 => 1,
			Version::V2 => 2,
		},
		roots: verified.roots.iter().map(ToString::to_string).collect(),
		blocks: verified.blocks,
		payload_size: verified.payload_size,
		index: match verified.index {
			IndexCheck::Absent => "absent",
			IndexCheck::Matches(_) => "matches",
			IndexCheck::Unsupported(_) => "unsupported",
		},
	};
	context.output.result("cairn.car-verified/1", &report, |out| {
		writeln!(
			out,
			"CARv{} with {} blocks, all valid; index: {}; roots: {}",
			report.version,
			report.blocks,
			report.index,
			report.roots.join(", ")
		)
	})
}
