//! `cairn car verify`

use crate::{context::Context, error::CliError};
use cairn_car::{verify, IndexCheck, VerifyOptions, Version};
use serde::Serialize;
use std::{fs::File, path::PathBuf};

/// Check everything that can be checked about an archive
///
/// Every block against its CID, the index against the blocks, and that nothing is missing below the roots.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The archive
	archive: PathBuf,
	/// Do not follow links: an archive with parts of a DAG is fine
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
	let verified = tokio::task::spawn_blocking(move || {
		let file = File::open(&args.archive)
			.map_err(|error| CliError::from(error).during(args.archive.display()))?;
		let options = VerifyOptions {
			dag: !args.partial,
			..VerifyOptions::default()
		};
		Ok::<_, CliError>(verify(&file, &options)?)
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
