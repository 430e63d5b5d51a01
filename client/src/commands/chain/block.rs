//! `cairn chain block`

use crate::{
	block_time::block_time,
	context::Context,
	error::{CliError, ErrorKind},
	event_view::{describe, view, EventView},
	provider::http_client,
};
use cairn_primitives::BlockNumber;
use cairn_provider_api::Hash32;
use serde::Serialize;

/// Show a block: the latest finalized one, or one by number
#[derive(Debug, clap::Args)]
pub struct Args {
	/// Number of a finalized block [default: the latest]
	number: Option<BlockNumber>,
	/// Print its events too
	#[arg(long)]
	events: bool,
}

#[derive(Serialize)]
struct Report {
	number: BlockNumber,
	hash: Hash32,
	chain: String,
	genesis_hash: Hash32,
	spec_version: u32,
	development: bool,
	block_time_ms: u64,
	#[serde(skip_serializing_if = "Option::is_none")]
	events: Option<Vec<EventView>>,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let chain = context.connect().await?;
	let block = match args.number {
		None => chain.finalized().await?,
		Some(number) => chain.block_at(number).await?.ok_or_else(|| {
			CliError::new(
				ErrorKind::NotFound,
				format!("block {number} is not finalized yet"),
			)
			.hint("`cairn chain block` shows the latest finalized block")
		})?,
	};
	let events = match args.events {
		true => Some(
			chain
				.events(block.hash)
				.await?
				.iter()
				.map(|record| view(block, record))
				.collect(),
		),
		false => None,
	};
	let info = chain.info();
	let time = block_time(&http_client()?, &context.settings.node.value).await;
	let report = Report {
		number: block.number,
		hash: Hash32(block.hash),
		chain: info.chain_name.clone(),
		genesis_hash: Hash32(info.genesis_hash),
		spec_version: info.spec_version,
		development: info.development,
		block_time_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
		events,
	};
	context
		.output
		.result_or_line("cairn.block/1", &report, &report.number.to_string(), |out| {
			writeln!(out, "#{} {} on {}", report.number, report.hash, report.chain)?;
			for event in report.events.iter().flatten() {
				writeln!(out, "{}", describe(event))?;
			}
			Ok(())
		})
}
