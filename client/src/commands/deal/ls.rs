//! `cairn deal ls`

use super::show::DealReport;
use crate::{
	commands::status::short_row,
	context::Context,
	deals::follow,
	error::CliError,
	output::{table, write_table},
};
use serde::Serialize;

/// List deals of an account
///
/// As client or provider, from publication to the last settlement.
#[derive(Debug, clap::Args)]
pub struct Args {
	/// Name in the keystore, address, or development account [default: the chosen account]
	account: Option<String>,
}

#[derive(Serialize)]
struct Report {
	deals: Vec<DealReport>,
}

/// Runs the command.
pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
	let account = context.account_or_own(args.account.as_deref())?;
	let chain = context.connect().await?;
	let deals = follow::deals_of(&chain, &account).await?;
	let report = Report {
		deals: deals.iter().map(DealReport::from).collect(),
	};
	context.output.result("cairn.deals/1", &report, |out| {
		if deals.is_empty() {
			return writeln!(out, "no deals");
		}
		let rows = deals.iter().map(short_row);
		let header = [
			"deal ",
			"client",
			"provider",
			"state",
			"since ",
			"ends ",
			"proven blocks",
			"due ",
		];
		write_table(out, &table(header, rows))
	})
}
