//! `cairn wallet add-balance | withdraw`

use crate::{
	context::Context,
	error::{CliError, ErrorKind},
};
use cairn_chain_client::{calls, Call};
use cairn_units::Amount;
use serde::Serialize;

/// Move money from the account into its escrow, from which deals are paid
///
/// Signed proposals can draw no more than what is in the escrow. `put` adds what is missing by itself.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
	/// How much, as `1.5 CAIRN`
	amount: Amount,
}

/// Take money back from the escrow
///
/// What deals have drawn is no longer in the escrow; it returns by itself as far as it is not earned.
#[derive(Debug, clap::Args)]
pub struct WithdrawArgs {
	/// How much, as `1.5 CAIRN`
	#[arg(required_unless_present = "all")]
	amount: Option<Amount>,
	/// Everything that is there
	#[arg(long, conflicts_with = "amount")]
	all: bool,
}

#[derive(Serialize)]
struct Report {
	amount: Amount,
	escrow: Amount,
	fee: Amount,
	block: u32,
}

/// Adds to the escrow.
pub async fn add(context: &Context, args: AddArgs) -> Result<(), CliError> {
	change(context, args.amount, "added to the escrow", |amount| {
		calls::market::add_balance(amount.0)
	})
	.await
}

/// Takes from the escrow.
pub async fn withdraw(context: &Context, args: WithdrawArgs) -> Result<(), CliError> {
	let chain = context.connect().await?;
	let escrow = chain.query().escrow(&context.own_account()?).await?;
	let amount = args.amount.unwrap_or(Amount(escrow));
	if escrow == 0 || amount.0 > escrow {
		// The chain would refuse it too, and take a fee.
		return Err(
			CliError::new(ErrorKind::Funds, format!("the escrow holds {}", Amount(escrow)))
				.hint("what deals have drawn cannot be withdrawn; see `cairn wallet balance`"),
		);
	}
	change(context, amount, "taken from the escrow", |amount| {
		calls::market::withdraw_balance(amount.0)
	})
	.await
}

async fn change(
	context: &Context,
	amount: Amount,
	what: &str,
	call: impl Fn(Amount) -> Call,
) -> Result<(), CliError> {
	let (chain, account, submitter) = context.signer().await?;
	let included = submitter.submit(call(amount)).await?;
	let report = Report {
		amount,
		escrow: Amount(chain.query().escrow(&account.id()).await?),
		fee: Amount(included.fee),
		block: included.block.number,
	};
	context.output.result("cairn.escrow/1", &report, |out| {
		writeln!(out, "{amount} {what}; it holds {} now", report.escrow)
	})
}
