//! Settling the own deals, and counting what they bring.

use super::{Context, JobError, VALIDITY};
use crate::{
	chain::{Action, MAX_SETTLEMENTS_PER_CALL},
	deal::DealState,
};
use cairn_primitives::{Balance, BlockNumber, DealId};
use std::collections::HashSet;

/// Payments were settled in a block, of any provider's deals; counts those of this one's.
pub(super) async fn paid(context: &Context, payments: &[(DealId, Balance)]) {
	let deals = context
		.store
		.run(|store| store.open_deals())
		.await
		.unwrap_or_default();
	let own: HashSet<DealId> = deals.iter().filter_map(|(_, deal)| deal.deal_id()).collect();
	for (deal_id, amount) in payments.iter().filter(|(deal_id, _)| own.contains(deal_id)) {
		tracing::info!(deal_id, amount, "paid");
		// A counter of floats is as exact as Prometheus gets.
		context.metrics.earned.inc_by(*amount as f64);
	}
}

/// Settles the deals for which something is due.
pub(super) async fn settle(context: Context, now: BlockNumber) -> Result<(), JobError> {
	let mut due = Vec::new();
	for (_, deal) in context.store.run(|store| store.open_deals()).await? {
		if let DealState::Active { deal_id, .. } = deal.state {
			if context
				.chain
				.deal(deal_id)
				.await?
				.is_some_and(|deal| deal.due > 0)
			{
				due.push(deal_id);
			}
		}
	}
	for batch in due.chunks(MAX_SETTLEMENTS_PER_CALL) {
		// Settling twice pays once. What fails now is tried with the next interval.
		let _ = context
			.act(Action::Settle(batch.to_vec()), now.saturating_add(VALIDITY))
			.await;
	}
	Ok(())
}
