//! The client's escrow: what its proposals may draw.

use crate::{
	account,
	amount::Amount,
	context::Context,
	error::{CliError, ErrorKind},
	record::{ObjectRecord, Records},
};
use cairn_chain_client::{calls, ChainClient, Submitter};
use cairn_primitives::{deal::DealProposal, BlockNumber};
use codec::DecodeAll;

/// Plancks that signed proposals of this account may still draw, by the local record. Proposals whose
/// `start_by` has passed can draw nothing any more.
pub fn outstanding(
	records: &[ObjectRecord],
	genesis_hash: &[u8; 32],
	client: &[u8; 32],
	now: BlockNumber,
) -> u128 {
	records
		.iter()
		.filter(|record| record.genesis_hash.0 == *genesis_hash && record.client.0 == *client)
		.flat_map(|record| &record.deals)
		.filter(|deal| deal.state.draws_on_escrow() && !deal.signature.0.is_empty())
		.filter(|deal| {
			DealProposal::<[u8; 32]>::decode_all(&mut deal.proposal.0.as_slice())
				.is_ok_and(|proposal| proposal.start_by > now)
		})
		.fold(0, |sum, deal| sum.saturating_add(deal.total_price.0))
}

/// Sees to it that the escrow covers `price` plancks beside what other proposals may draw. `question`
/// is asked before money moves; without one the user has agreed already. Gives the amount added.
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
) -> Result<Amount, CliError> {
	let client = submitter.account();
	let query = chain.query();
	let now = chain.finalized().await?.number;
	let others = outstanding(&records.all()?, &chain.genesis_hash(), &client, now);
	let escrow = query.escrow(&client).await?;
	let missing = price.saturating_add(others).saturating_sub(escrow);
	if let Some(question) = question {
		context.confirm(&match missing {
			0 => format!("{question}\nThe escrow covers it. Go on?"),
			_ => format!(
				"{question}\n{} will move from the account to its escrow. Go on?",
				Amount(missing)
			),
		})?;
	}
	if missing == 0 {
		return Ok(Amount(0));
	}
	let balance = query.balance(&client).await?;
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
	Ok(Amount(missing))
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::{
		record::{DealRecord, DealState, Proposal, Wanted},
		settings::TierName,
	};
	use cairn_primitives::{
		deal::{DealPayload, PayloadKind},
		PieceInfo, Tier,
	};
	use cairn_provider_api::Hash32;

	#[test]
	fn only_live_unpublished_proposals_of_the_account_count() {
		let wanted = Wanted {
			copies: 1,
			tier: TierName::Hot,
			duration: 30,
			providers: vec![],
		};
		let mut record = ObjectRecord::new(
			[1; 8],
			Hash32([1; 32]),
			Hash32([2; 32]),
			vec![],
			Hash32::default(),
			wanted,
		);
		let proposal = Proposal {
			piece: PieceInfo {
				commitment: [1; 32],
				size_log2: 11,
				payload_size: 2000,
			},
			payload: DealPayload::V1 {
				kind: PayloadKind::Public,
				root: vec![1].try_into().unwrap(),
			},
			client: [2; 32],
			provider: [3; 32],
			tier: Tier::Hot,
			start_by: 100,
			duration: 30,
			price_per_block: 7,
			provider_collateral: 9,
			nonce: 1,
			label: Default::default(),
		};
		let deal = DealRecord::signed(&proposal, Hash32([9; 32]), vec![1; 65], "http://p".into(), 210);
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
				signature: Default::default(),
				..deal
			},
		];
		let records = [record];
		assert_eq!(outstanding(&records, &[1; 32], &[2; 32], 99), 420);
		assert_eq!(outstanding(&records, &[1; 32], &[2; 32], 100), 0);
		assert_eq!(outstanding(&records, &[7; 32], &[2; 32], 1), 0);
		assert_eq!(outstanding(&records, &[1; 32], &[7; 32], 1), 0);
	}
}
