//! The client's escrow: what its proposals may draw.

use crate::{
	account,
	context::Context,
	error::{CliError, ErrorKind},
	record::{DealState, Lock, ObjectRecord, Records},
};
use cairn_chain_client::{calls, ChainClient, Submitter};
use cairn_primitives::BlockNumber;
use cairn_provider_api::Hash32;
use cairn_units::Amount;

/// Plancks that signed proposals of an account may still draw, by the local record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outstanding {
	/// By those that wait for their providers.
	pub expected: u128,
	/// By those that were given up, but that their providers may publish all the same.
	pub abandoned: u128,
}

/// What signed proposals of this account may still draw. Proposals whose `start_by` has passed can draw
/// nothing any more.
pub fn outstanding(
	records: &[ObjectRecord],
	genesis_hash: &[u8; 32],
	client: &[u8; 32],
	now: BlockNumber,
) -> Outstanding {
	let mut outstanding = Outstanding::default();
	for deal in records
		.iter()
		.filter(|record| record.genesis_hash.0 == *genesis_hash && record.client.0 == *client)
		.flat_map(|record| &record.deals)
		.filter(|deal| !deal.signature.0.is_empty() && deal.start_by() > now)
	{
		let sum = match deal.state {
			_ if deal.state.draws_on_escrow() => &mut outstanding.expected,
			DealState::Abandoned { .. } => &mut outstanding.abandoned,
			_ => continue,
		};
		*sum = sum.saturating_add(deal.total_price.0);
	}
	outstanding
}

/// Plancks to add to an escrow that holds `escrow`, so that it covers `price` and what is outstanding; if
/// the account's `free` balance does not suffice for that, without what was given up.
fn missing(price: u128, outstanding: Outstanding, escrow: u128, free: u128) -> u128 {
	let needed = price.saturating_add(outstanding.expected);
	let all = needed
		.saturating_add(outstanding.abandoned)
		.saturating_sub(escrow);
	match all < free {
		true => all,
		false => needed.saturating_sub(escrow),
	}
}

/// Sees to it that the escrow covers `price` plancks beside what other proposals may draw. `question`
/// is asked before money moves; without one the user has agreed already.
///
/// Gives a lock that the caller holds until the record shows what was signed: another process of the same
/// account would otherwise count on the same money.
///
/// # Errors
/// If the account has too little, the user says no, or the chain refuses.
pub async fn ensure(
	context: &Context,
	chain: &ChainClient,
	submitter: &Submitter,
	records: &Records,
	price: u128,
	question: Option<&str>,
) -> Result<Lock, CliError> {
	let client = submitter.account();
	let lock = {
		let (records, output) = (records.clone(), context.output);
		let waiting = move || output.note("waiting for another cairn that is about to spend from the escrow");
		tokio::task::spawn_blocking(move || records.lock_escrow(&Hash32(client), waiting)).await??
	};
	let query = chain.query();
	let now = chain.finalized().await?.number;
	let others = outstanding(&records.all()?, &chain.genesis_hash(), &client, now);
	let escrow = query.escrow(&client).await?;
	let balance = query.balance(&client).await?;
	let missing = missing(price, others, escrow, balance.free);
	if let Some(question) = question {
		context
			.confirm(&match missing {
				0 => format!("{question}\nThe escrow covers it. Go on?"),
				_ => format!(
					"{question}\n{} will move from the account to its escrow. Go on?",
					Amount(missing)
				),
			})
			.await?;
	}
	if missing == 0 {
		return Ok(lock);
	}
	if balance.free <= missing {
		return Err(CliError::new(
			ErrorKind::Funds,
			format!(
				"{} has {}, and {} must go into its escrow",
				account::display(&client),
				Amount(balance.free),
				Amount(missing)
			),
		)
		.hint("`cairn wallet fund` asks a test network's faucet"));
	}
	submitter.submit(calls::market::add_balance(missing)).await?;
	context
		.output
		.note(format!("{} moved to the escrow", Amount(missing)));
	Ok(lock)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::{example_deal, record::DealRecord};

	#[test]
	fn only_live_unpublished_proposals_of_the_account_count() {
		let mut record = example_deal::object(1);
		let deal = example_deal::deal(9);
		let failed = DealState::Failed {
			reason: String::new(),
		};
		record.deals = vec![
			deal.clone(),
			DealRecord {
				state: DealState::Uploaded,
				..deal.clone()
			},
			DealRecord {
				state: DealState::Published { deal_id: 1 },
				..deal.clone()
			},
			DealRecord {
				state: failed,
				..deal.clone()
			},
			DealRecord {
				state: DealState::Abandoned {
					reason: String::new(),
				},
				..deal.clone()
			},
			DealRecord {
				signature: Default::default(),
				..deal
			},
		];
		let records = [record];
		let some = Outstanding {
			expected: 420,
			abandoned: 210,
		};
		let none = Outstanding::default();
		assert_eq!(outstanding(&records, &[1; 32], &[2; 32], 99), some);
		assert_eq!(outstanding(&records, &[1; 32], &[2; 32], 100), none);
		assert_eq!(outstanding(&records, &[7; 32], &[2; 32], 1), none);
		assert_eq!(outstanding(&records, &[1; 32], &[7; 32], 1), none);
	}

	#[test]
	fn what_was_given_up_is_covered_if_it_can_be() {
		let outstanding = Outstanding {
			expected: 100,
			abandoned: 30,
		};
		assert_eq!(missing(50, outstanding, 0, 1000), 180);
		assert_eq!(missing(50, outstanding, 170, 1000), 10);
		assert_eq!(missing(50, outstanding, 180, 0), 0);
		assert_eq!(missing(50, outstanding, 0, 181), 180);
		assert_eq!(missing(50, outstanding, 0, 180), 150);
		assert_eq!(missing(50, outstanding, 150, 5), 0);
		assert_eq!(missing(u128::MAX, outstanding, 0, 5), u128::MAX);
	}
}
