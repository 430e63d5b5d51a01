//! `cairn car commp`

use crate::{archives::is_standard, context::Context, deals::packing, error::CliError, progress::Progress};
use cairn_provider_api::{piece_cid, Hash32};
use serde::Serialize;
use std::{io, path::PathBuf};

/// Print a file's piece commitment: the piece CID that deals name
///
/// The file may be any; deals of public objects hold archives.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The file; `-` is standard input
	file: PathBuf,
}

#[derive(Serialize)]
struct Report {
	piece_cid: String,
	piece_cid_v1: String,
	commitment: Hash32,
	padded_size: u64,
	payload_size: u64,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let progress = Progress::new(&context.output);
	let piece = match is_standard(&args.file) {
		true => {
			let bar = progress.counted_bytes("computing CommP");
			tokio::task::spawn_blocking(move || packing::piece_of_reader(io::stdin().lock(), &bar)).await??
		}
		false => packing::piece_of(&args.file, &progress).await?,
	};
	let report = Report {
		piece_cid: piece_cid::of(&piece).to_string(),
		piece_cid_v1: piece_cid::v1(&piece.commitment).to_string(),
		commitment: Hash32(piece.commitment),
		padded_size: piece.padded_size(),
		payload_size: piece.payload_size,
	};
	context
		.output
		.result_or_line("cairn.piece/1", &report, &report.piece_cid.clone(), |out| {
			writeln!(out, "piece CID     {}", report.piece_cid)?;
			writeln!(out, "version 1     {}", report.piece_cid_v1)?;
			writeln!(out, "padded size   {}", report.padded_size)?;
			writeln!(out, "payload size  {}", report.payload_size)
		})
}
