//! `cairn settle`

use crate::{
	account::display,
	context::Context,
	deals::follow,
	error::CliError,
	output::{table, write_table},
};
use cairn_chain_client::{calls, ChainClient, ChainEvent, MarketEvent, SkipReason, Submitter};
use cairn_primitives::DealId;
use cairn_units::Amount;
use serde::Serialize;

/// Most deals of one transaction: the chain's limit.
const BATCH: usize = 128;

/// Pay providers for the blocks they have proven
///
/// Anyone may settle any deal, as often as wanted: only proven blocks that are not paid for yet are paid.
/// Deals that run out are settled by the chain itself; what was not proven goes back to the client.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// Numbers of deals
	#[arg(value_name = "DEAL", required_unless_present = "all")]
	deals: Vec<DealId>,
	/// All deals of the account, as client or provider
	#[arg(long, conflicts_with = "deals")]
	all: bool,
}

#[derive(Serialize)]
struct Report {
	paid: Amount,
	deals: Vec<Settled>,
}

#[derive(Serialize)]
struct Settled {
	deal: DealId,
	paid: Amount,
	paid_blocks: Option<u32>,
	to: Option<String>,
	ended: bool,
	refund: Option<Amount>,
	skipped: Option<&'static str>,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let (chain, account, submitter) = context.signer().await?;
	let deals = match args.all {
		true => due(&chain, &account.id()).await?,
		false => args.deals,
	};
	settle(context, &submitter, &deals).await
}

/// Deals of an account that have something to settle.
async fn due(chain: &ChainClient, account: &[u8; 32]) -> Result<Vec<DealId>, CliError> {
	let deals = follow::deals_of(chain, account).await?;
	Ok(deals
		.into_iter()
		.filter(|view| view.deal.is_active() && view.due > 0)
		.map(|view| view.id)
		.collect())
}

/// Settles deals and prints what came of it.
pub async fn settle(context: &Context, submitter: &Submitter, deals: &[DealId]) -> Result<(), CliError> {
	let mut settled = Vec::new();
	for batch in deals.chunks(BATCH) {
		let included = submitter
			.submit(calls::market::settle_deal_payments(batch))
			.await?;
		settled.extend(batch.iter().map(|deal| outcome(*deal, &included.events)));
	}
	let paid = settled
		.iter()
		.fold(0u128, |sum, deal: &Settled| sum.saturating_add(deal.paid.0));
	let report = Report {
		paid: Amount(paid),
		deals: settled,
	};
	context.output.result("cairn.settlement/1", &report, |out| {
		if report.deals.is_empty() {
			return writeln!(out, "nothing is due");
		}
		let rows = report.deals.iter().map(|deal| {
			let note = match (deal.skipped, deal.ended, deal.refund) {
				(Some(reason), ..) => reason.to_owned(),
				(None, true, Some(refund)) if refund.0 > 0 => format!("ended, {refund} returned"),
				(None, true, _) => "ended".to_owned(),
				_ => String::new(),
			};
			[
				deal.deal.to_string(),
				deal.paid.to_string(),
				deal.paid_blocks
					.map_or_else(String::new, |blocks| blocks.to_string()),
				deal.to.clone().unwrap_or_default(),
				note,
			]
		});
		write_table(
			out,
			&table(["deal ", "paid ", "paid blocks ", "to", "note"], rows),
		)?;
		writeln!(out, "{} paid in all", report.paid)
	})
}

/// What a settlement's events say about one deal.
fn outcome(id: DealId, events: &[ChainEvent]) -> Settled {
	let mut settled = Settled {
		deal: id,
		paid: Amount(0),
		paid_blocks: None,
		to: None,
		ended: false,
		refund: None,
		skipped: None,
	};
	for event in events {
		match event {
			ChainEvent::Market(MarketEvent::PaymentSettled {
				deal,
				to,
				amount,
				paid_blocks,
			}) if *deal == id => {
				settled.paid = Amount(settled.paid.0.saturating_add(*amount));
				settled.paid_blocks = Some(*paid_blocks);
				settled.to = Some(display(to));
			}
			ChainEvent::Market(MarketEvent::DealEnded {
				deal,
				paid_blocks,
				refund,
			}) if *deal == id => {
				settled.ended = true;
				settled.paid_blocks = Some(*paid_blocks);
				settled.refund = Some(Amount(*refund));
			}
			ChainEvent::Market(MarketEvent::SettlementSkipped { deal, reason }) if *deal == id => {
				settled.skipped = Some(match reason {
					SkipReason::NotFound => "there is no such deal, or it is over",
					SkipReason::NotActive => "not active yet",
					SkipReason::NothingDue => "nothing was proven since the last settlement",
					SkipReason::Unpayable => "the provider cannot receive the amount yet",
				});
			}
			_ => {}
		}
	}
	settled
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn outcomes_are_per_deal() {
		let events = [
			ChainEvent::Market(MarketEvent::PaymentSettled {
				deal: 1,
				to: [5; 32],
				amount: 70,
				paid_blocks: 10,
			}),
			ChainEvent::Market(MarketEvent::DealEnded {
				deal: 1,
				paid_blocks: 10,
				refund: 30,
			}),
			ChainEvent::Market(MarketEvent::SettlementSkipped {
				deal: 2,
				reason: SkipReason::NothingDue,
			}),
		];
		let first = outcome(1, &events);
		assert_eq!(
			(first.paid.0, first.paid_blocks, first.ended),
			(70, Some(10), true)
		);
		assert_eq!(first.refund, Some(Amount(30)));
		let second = outcome(2, &events);
		assert!(second.skipped.is_some() && second.paid.0 == 0);
	}
}
