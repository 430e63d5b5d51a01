//! Deals whose data is here → deals on chain.

use super::{Context, JobError, VALIDITY};
use crate::{
	chain::{AccountId, Action, ActionError, ChainEvent, MAX_PROPOSALS_PER_CALL},
	deal::{state::FailReason, Deal, DealEvent, DealState, Origin, ProposalHash},
	fault_injection,
};
use cairn_primitives::{Balance, BlockNumber, ProofSpec, Tier};
use cairn_provider_api::Hash32;
use std::collections::{hash_map::Entry, HashMap};

type Listed = (ProposalHash, Deal);

/// Parameters of a deal's proof type, as the provider last saw them.
pub(super) fn spec_of(context: &Context, deal: &Deal) -> Option<ProofSpec> {
	let view = context.view();
	view.proof_types
		.iter()
		.find(|known| known.id == deal.proof_type)
		.map(|known| known.spec)
}

/// Blocks that activation takes from here if everything goes well: with less, a deal is hopeless.
pub(super) fn fastest_activation(context: &Context, deal: &Deal) -> Result<BlockNumber, JobError> {
	let view = context.view();
	let schedule = context.schedule()?;
	let sealing = match spec_of(context, deal) {
		Some(spec) if spec.tier == Tier::Sealed => {
			let seconds = schedule.seal_seconds_per_byte * spec.sector_size() as f64;
			(seconds / schedule.block_seconds.max(0.1)).clamp(0.0, 1e9) as BlockNumber
		}
		_ => 0,
	};
	Ok(view
		.parameters
		.pre_commit_delay
		.saturating_add(sealing)
		.saturating_add(2))
}

/// Moves deals by what the clock and the chain say.
pub(super) async fn reconcile(context: &Context, now: BlockNumber, publishing: bool) -> Result<(), JobError> {
	for (hash, deal) in context.store.run(|store| store.open_deals()).await? {
		let start_by = deal.proposal.start_by;
		let event = match &deal.state {
			DealState::Accepted if now >= start_by => Some(DealEvent::Lapsed(FailReason::NoData)),
			DealState::Received if now.saturating_add(fastest_activation(context, &deal)?) > start_by => {
				Some(DealEvent::Lapsed(FailReason::StartByPassed))
			}
			DealState::Publishing { valid_until } if !publishing => {
				match context.chain.deal_of_proposal(&hash).await? {
					Some(deal_id) => Some(DealEvent::PublishedOnChain { deal_id, at: now }),
					None if now > *valid_until => Some(DealEvent::PublishVoid),
					None => None,
				}
			}
			// The chain ends a deal that was not activated; it refunds the client by itself.
			DealState::Published { deal_id, .. } if now > start_by => {
				let gone = context.chain.deal(*deal_id).await?.is_none();
				gone.then_some(DealEvent::Lapsed(FailReason::StartByPassed))
			}
			DealState::Active { deal_id, ends, .. } if now >= *ends => {
				let gone = context.chain.deal(*deal_id).await?.is_none();
				gone.then_some(DealEvent::TermOver)
			}
			_ => None,
		};
		if let Some(event) = event {
			tracing::info!(deal = %Hash32(hash), ?event, "deal moves on");
			context
				.store
				.run(move |store| store.apply_to_deals(&[(hash, event)]))
				.await?;
		}
	}
	Ok(())
}

/// A proposal made on chain is gone.
pub(super) async fn withdrawn(context: &Context, hash: ProposalHash) -> Result<(), JobError> {
	let deal = context.store.run(move |store| store.deal(&hash)).await?;
	let waits = deal.is_some_and(|deal| {
		deal.origin == Origin::OnChain && matches!(deal.state, DealState::Accepted | DealState::Received)
	});
	if waits {
		let event = DealEvent::Lapsed(FailReason::Withdrawn);
		context
			.store
			.run(move |store| store.apply_to_deals(&[(hash, event)]))
			.await?;
	}
	Ok(())
}

/// Deals to publish now: those that clients signed, and those to accept on chain.
async fn due(context: &Context, now: BlockNumber) -> Result<(Vec<Listed>, Vec<Listed>), JobError> {
	let deals = context.store.run(|store| store.open_deals()).await?;
	let ready = deals
		.into_iter()
		.filter(|(_, deal)| deal.state == DealState::Received && deal.backoff.is_over(now));
	let (mut signed, mut proposed): (Vec<_>, Vec<_>) =
		ready.partition(|(_, deal)| matches!(deal.origin, Origin::Signed(_)));
	for list in [&mut signed, &mut proposed] {
		// The most urgent first.
		list.sort_by_key(|(_, deal)| deal.proposal.start_by);
		list.truncate(MAX_PROPOSALS_PER_CALL);
	}
	Ok((signed, proposed))
}

/// Whether there is something to publish.
pub(super) async fn is_due(context: &Context, now: BlockNumber) -> Result<bool, JobError> {
	let (signed, proposed) = due(context, now).await?;
	Ok(!signed.is_empty() || !proposed.is_empty())
}

/// Publishes what is due.
pub(super) async fn run(context: Context, now: BlockNumber) -> Result<(), JobError> {
	let (signed, proposed) = due(&context, now).await?;
	let mut own_escrow = context.chain.escrow(&context.owner).await?;
	for batch in [signed, proposed] {
		let batch = covered(&context, batch, &mut own_escrow, now).await?;
		if batch.is_empty() {
			continue;
		}
		let refused = send(&context, &batch, now).await?;
		// One bad deal makes the chain refuse the whole batch: send them one by one.
		if refused && batch.len() > 1 {
			for one in batch {
				send(&context, std::slice::from_ref(&one), now).await?;
			}
		}
	}
	Ok(())
}

/// Leaves out the deals that the escrows do not cover at the moment: the client's the price, the own one the
/// collateral. The chain would refuse them and their whole batch, for a fee each time, and a client can withdraw at
/// no cost after its deal was accepted.
async fn covered(
	context: &Context,
	deals: Vec<Listed>,
	own_escrow: &mut Balance,
	now: BlockNumber,
) -> Result<Vec<Listed>, JobError> {
	let mut client_escrows: HashMap<AccountId, Balance> = HashMap::new();
	let mut covered = Vec::new();
	for (hash, deal) in deals {
		let proposal = &deal.proposal;
		let collateral = proposal.provider_collateral;
		// The price of a proposal made on chain is on hold.
		let price = match deal.origin {
			Origin::Signed(_) => proposal.total_price().unwrap_or(Balance::MAX),
			Origin::OnChain => 0,
		};
		let client_escrow = match client_escrows.entry(proposal.client) {
			Entry::Occupied(known) => known.into_mut(),
			Entry::Vacant(unknown) if price > 0 => {
				unknown.insert(context.chain.escrow(&proposal.client).await?)
			}
			Entry::Vacant(unknown) => unknown.insert(0),
		};
		let shortage = if *client_escrow < price {
			format!("the client's escrow holds {client_escrow} plancks and the deal costs {price}")
		} else if *own_escrow < collateral {
			format!("the provider's escrow holds {own_escrow} plancks and the collateral is {collateral}")
		} else {
			*client_escrow -= price;
			*own_escrow -= collateral;
			covered.push((hash, deal));
			continue;
		};
		delay(context, hash, shortage, now).await?;
	}
	Ok(covered)
}

/// Notes what keeps a deal from being published now.
async fn delay(
	context: &Context,
	hash: ProposalHash,
	cause: String,
	now: BlockNumber,
) -> Result<(), JobError> {
	context
		.store
		.run(move |store| {
			store.update_deal(&hash, |deal| {
				deal.backoff.delay(now, cause);
				Ok(())
			})
		})
		.await?;
	Ok(())
}

/// Sends one batch of one origin. Gives whether the chain refused it and had several deals in it:
/// a refusal of a single deal is dealt with here.
async fn send(context: &Context, batch: &[Listed], now: BlockNumber) -> Result<bool, JobError> {
	let valid_until = now.saturating_add(VALIDITY);
	let hashes: Vec<ProposalHash> = batch.iter().map(|(hash, _)| *hash).collect();
	let action = match &batch[0].1.origin {
		Origin::OnChain => Action::Accept(hashes.clone()),
		Origin::Signed(_) => Action::Publish(
			batch
				.iter()
				.filter_map(|(_, deal)| match &deal.origin {
					Origin::Signed(signature) => Some((deal.proposal.clone(), signature.clone())),
					Origin::OnChain => None,
				})
				.collect(),
		),
	};
	apply(context, &hashes, |_| DealEvent::PublishStarted { valid_until }).await?;
	fault_injection::reached("publish:persisted");
	let outcome = context.act(action, valid_until).await;
	match outcome {
		Ok(events) => {
			fault_injection::reached("publish:included");
			let mut published = Vec::new();
			for event in events {
				if let ChainEvent::DealPublished {
					deal_id,
					proposal_hash,
				} = event
				{
					if hashes.contains(&proposal_hash) {
						published.push((proposal_hash, DealEvent::PublishedOnChain { deal_id, at: now }));
					}
				}
			}
			context
				.store
				.run(move |store| store.apply_to_deals(&published))
				.await?;
			Ok(false)
		}
		// The next step asks the chain.
		Err(error) if error.outcome_is_open() => Ok(false),
		Err(ActionError::Refused { .. }) if batch.len() > 1 => {
			apply(context, &hashes, |_| DealEvent::PublishVoid).await?;
			Ok(true)
		}
		Err(error) => {
			apply(context, &hashes, |_| DealEvent::PublishVoid).await?;
			for hash in hashes {
				refused(context, hash, &error, now).await?;
			}
			Ok(false)
		}
	}
}

async fn apply(
	context: &Context,
	hashes: &[ProposalHash],
	event: impl Fn(&ProposalHash) -> DealEvent,
) -> Result<(), JobError> {
	let events: Vec<_> = hashes.iter().map(|hash| (*hash, event(hash))).collect();
	Ok(context
		.store
		.run(move |store| store.apply_to_deals(&events))
		.await?)
}

/// What a refusal means for a deal: it is on chain already, it will never be, or it may be later.
async fn refused(
	context: &Context,
	hash: ProposalHash,
	error: &ActionError,
	now: BlockNumber,
) -> Result<(), JobError> {
	const NEVER: [&str; 8] = [
		"Market::WrongSignature",
		"Market::WrongProvider",
		"Market::PieceSizeOutOfRange",
		"Market::PayloadSizeOutOfRange",
		"Market::DurationOutOfRange",
		"Market::PriceOverflow",
		"Market::CollateralTooLow",
		"Market::StartPassed",
	];
	let event = match error.refusal() {
		Some("Market::ProposalUsed" | "Market::ProposalNotFound") => {
			match context.chain.deal_of_proposal(&hash).await? {
				Some(deal_id) => Some(DealEvent::PublishedOnChain { deal_id, at: now }),
				None => Some(DealEvent::Lapsed(FailReason::Withdrawn)),
			}
		}
		Some(name) if NEVER.contains(&name) => {
			Some(DealEvent::Lapsed(FailReason::Refused(error.to_string())))
		}
		_ => None,
	};
	match event {
		Some(event) => Ok(context
			.store
			.run(move |store| store.apply_to_deals(&[(hash, event)]))
			.await?),
		None => delay(context, hash, error.to_string(), now).await,
	}
}
