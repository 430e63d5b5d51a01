//! `cairn wallet fund`

use crate::{account::display, context::Context, error::CliError};
use cairn_chain_client::{ChainEvent, FaucetEvent};
use cairn_units::Amount;
use serde::Serialize;

/// Ask a test network's faucet for money
///
/// Needs neither key nor password: anyone may ask for any account, once in a while.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// Name in the keystore, address, or development account [default: the chosen account]
	account: Option<String>,
}

#[derive(Serialize)]
struct Report {
	account: String,
	amount: Amount,
	block: u32,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let account = context.account_or_own(args.account.as_deref())?;
	let chain = context.connect().await?;
	let included = chain.drip(account).await.map_err(|error| {
		CliError::from(error)
			.hint("only test networks have a faucet, and it serves each account once in a while")
	})?;
	let amount = included.events.iter().fold(0u128, |sum, event| match event {
		ChainEvent::Faucet(FaucetEvent::Dripped { who, amount }) if *who == account => {
			sum.saturating_add(*amount)
		}
		_ => sum,
	});
	let report = Report {
		account: display(&account),
		amount: Amount(amount),
		block: included.block.number,
	};
	context.output.result("cairn.faucet/1", &report, |out| {
		writeln!(out, "{} received {}", report.account, report.amount)
	})
}
