//! `cairn deal cancel`

use crate::{context::Context, error::CliError};
use cairn_chain_client::{calls, ChainEvent, MarketEvent};
use cairn_provider_api::Hash32;
use cairn_units::Amount;
use serde::Serialize;

/// Withdraw a proposal that was made on chain and is not accepted yet
///
/// The price returns to the escrow, the deposit to the account. A signed proposal cannot be withdrawn: until its
/// start it may be published, as far as the escrow covers it.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// The proposal's hash
	#[arg(value_name = "HASH")]
	proposal: Hash32,
}

#[derive(Serialize)]
struct Report {
	proposal_hash: Hash32,
	refund: Amount,
	block: u32,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let (_, _, submitter) = context.signer().await?;
	let included = submitter
		.submit(calls::market::cancel_proposal(args.proposal.0))
		.await?;
	let refund = included.events.iter().fold(0u128, |sum, event| match event {
		ChainEvent::Market(MarketEvent::ProposalCancelled { refund, .. }) => sum.saturating_add(*refund),
		_ => sum,
	});
	let report = Report {
		proposal_hash: args.proposal,
		refund: Amount(refund),
		block: included.block.number,
	};
	context
		.output
		.result("cairn.proposal-cancelled/1", &report, |out| {
			writeln!(out, "withdrawn; {} returned to the escrow", report.refund)
		})
}
