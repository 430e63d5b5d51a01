//! `cairn block get`

use super::{fetch, SourceArgs};
use crate::{
	context::Context,
	error::{CliError, ErrorKind},
	new_file::{refuse_existing, NewFile},
};
use indicatif::HumanBytes;
use serde::Serialize;
use std::{
	io::{self, IsTerminal, Write},
	path::PathBuf,
};
use url::Url;

/// Fetch the bytes of one block, verified, whatever its codec
#[derive(Debug, clap::Args)]
pub struct Args {
	/// CID of the block
	cid: String,
	/// Where to write; `-` is standard output
	#[arg(long, short, value_name = "FILE", default_value = "-")]
	output: PathBuf,
	/// Replace a file that exists
	#[arg(long, short)]
	force: bool,
	#[command(flatten)]
	sources: SourceArgs,
}

#[derive(Serialize)]
struct Report {
	cid: String,
	size: usize,
	output: String,
	/// Gateways that delivered.
	providers: Vec<Url>,
	/// Ids of the peers that delivered over block exchange.
	peers: Vec<String>,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let file =
		match args.output.as_os_str() == "-" {
			true if io::stdout().is_terminal() => return Err(CliError::new(
				ErrorKind::Usage,
				"a block does not belong on a terminal",
			)
			.hint("name a file with --output, send standard output elsewhere, or use `cairn block stat`")),
			true => None,
			false => {
				if !args.force {
					refuse_existing(&args.output)?;
				}
				Some(NewFile::beside(&args.output)?)
			}
		};
	let (block, fetched) = fetch(context, &args.cid, &args.sources).await?;
	let Some(file) = file else {
		// Standard output is taken by the content.
		let mut out = io::stdout().lock();
		out.write_all(block.data())?;
		return Ok(out.flush()?);
	};
	file.file()
		.write_all(block.data())
		.map_err(|error| CliError::from(error).during(args.output.display()))?;
	file.keep(args.force)?;
	let report = Report {
		cid: block.cid().to_string(),
		size: block.data().len(),
		output: args.output.display().to_string(),
		providers: fetched.providers.iter().map(|from| from.url.clone()).collect(),
		peers: fetched.peers.iter().map(ToString::to_string).collect(),
	};
	context
		.output
		.result_or_line("cairn.block-got/1", &report, &report.output, |out| {
			writeln!(
				out,
				"{}: {}, verified{}",
				report.output,
				HumanBytes(report.size as u64),
				fetched.from()
			)
		})
}
