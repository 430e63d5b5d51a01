//! `cairn wallet balance`

use crate::{
	account::display,
	context::Context,
	error::CliError,
	output::{table, write_table},
};
use cairn_units::Amount;
use serde::Serialize;

/// Show what an account has, and what of it is held for what
#[derive(Debug, clap::Args)]
pub struct Args {
	/// Name in the keystore, address, or development account [default: the chosen account]
	account: Option<String>,
}

#[derive(Serialize)]
struct Report {
	account: String,
	free: Amount,
	frozen: Amount,
	escrow: Amount,
	held: Vec<Held>,
	nonce: u32,
}

#[derive(Serialize)]
struct Held {
	pallet: String,
	reason: String,
	amount: Amount,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let account = context.account_or_own(args.account.as_deref())?;
	let chain = context.connect().await?;
	let query = chain.query();
	let balance = query.balance(&account).await?;
	let holds = query.holds(&account).await?;
	let report = Report {
		account: display(&account),
		free: Amount(balance.free),
		frozen: Amount(balance.frozen),
		escrow: Amount(query.escrow(&account).await?),
		held: holds
			.into_iter()
			.map(|hold| Held {
				pallet: hold.pallet,
				reason: hold.reason,
				amount: Amount(hold.amount),
			})
			.collect(),
		nonce: balance.nonce,
	};
	let essential = report.free.to_string();
	context
		.output
		.result_or_line("cairn.balance/1", &report, &essential, |out| {
			let mut rows = vec![["free".to_owned(), report.free.to_string(), String::new()]];
			if report.frozen.0 > 0 {
				let note = "part of free that cannot be spent".to_owned();
				rows.push(["frozen".to_owned(), report.frozen.to_string(), note]);
			}
			for hold in &report.held {
				let name = format!("{}.{}", hold.pallet, hold.reason);
				rows.push([
					name.clone(),
					hold.amount.to_string(),
					explain(&hold.pallet, &hold.reason).to_owned(),
				]);
			}
			writeln!(out, "{}", report.account)?;
			write_table(out, &table(["what", "amount ", ""], rows))
		})
}

/// What a hold is for, in the user's words.
fn explain(pallet: &str, reason: &str) -> &'static str {
	match (pallet, reason) {
		("Market", "Escrow") => "set aside for proposals; `cairn wallet withdraw` takes it back",
		("Market", "DealPayment") => "for deals, until it is paid or returned",
		("Market", "DealCollateral") => "collateral of deals as a provider",
		("Market", "ProposalDeposit") => "for proposals on chain, until they are accepted or withdrawn",
		("StorageProvider", _) => "as a provider",
		_ => "",
	}
}
