//! Following deals on the chain, from the proposal to the proven sector.
//!
//! The chain is what counts. The provider is asked only for what the chain does not show: how far
//! sealing is, and why nothing happens.

use crate::{
	error::CliError,
	provider::ProviderClient,
	record::{DealRecord, DealState},
};
use cairn_chain_client::{ChainClient, ChainEvent, DealState as OnChain, DealView, MarketEvent};
use cairn_primitives::BlockNumber;
use cairn_provider_api::{DealProgress, DealStatus};

/// Deals read in one request.
const PAGE: u32 = 128;
/// Most deals of an account that are listed.
const MAX_DEALS: usize = 65_536;

/// A deal's state, as the chain shows it.
fn state_of(view: &DealView) -> DealState {
	match view.deal.state {
		OnChain::Published { .. } => DealState::Published { deal_id: view.id },
		OnChain::Active {
			sector, activated_at, ..
		} => DealState::Active {
			deal_id: view.id,
			sector,
			since: activated_at,
			ends: activated_at.saturating_add(view.deal.duration),
		},
	}
}

/// The deals of an account, as client or provider, by their numbers: the first ones if there are
/// extremely many.
pub async fn deals_of(chain: &ChainClient, account: &[u8; 32]) -> Result<Vec<DealView>, CliError> {
	let mut deals: Vec<DealView> = Vec::new();
	each_page(chain, account, |page| {
		deals.extend(page);
		deals.len() < MAX_DEALS
	})
	.await?;
	Ok(deals)
}

/// Hands an account's deals over, a page at a time, while `more` are wanted.
async fn each_page(
	chain: &ChainClient,
	account: &[u8; 32],
	mut more: impl FnMut(Vec<DealView>) -> bool,
) -> Result<(), CliError> {
	let query = chain.query();
	let mut after = None;
	loop {
		let page = query.deals_of(account, after, PAGE).await?;
		let is_last = (page.len() as u32) < PAGE;
		after = page.last().map(|deal| deal.id);
		if !more(page) || is_last {
			return Ok(());
		}
	}
}

/// Brings recorded deals up to date with the chain, after however long an interruption. A deal that is
/// not on chain though its `start_by` has passed has failed.
///
/// Gives a block from which on events have not been looked at.
///
/// # Errors
/// If the chain cannot be read.
pub async fn refresh(
	chain: &ChainClient,
	client: &[u8; 32],
	deals: &mut [DealRecord],
) -> Result<BlockNumber, CliError> {
	// The head first: a deal published afterwards is not taken for one that never was.
	let now = chain.finalized().await?.number;
	let query = chain.query();
	let mut unknown: Vec<&mut DealRecord> = Vec::new();
	for deal in deals.iter_mut().filter(|deal| may_change(deal, now)) {
		let id = match deal.state.deal_id() {
			Some(id) => Some(id),
			None => query.deal_of_proposal(&deal.proposal_hash.0).await?,
		};
		match id {
			Some(id) => {
				deal.state = match query.deal(id).await? {
					Some(view) => state_of(&view),
					None => DealState::Failed {
						reason: "the deal is over: it ran out, or was not activated in time".to_owned(),
					},
				}
			}
			// The chain forgets which deal a proposal became when the proposal's time is over.
			None if deal.start_by() < now => unknown.push(deal),
			None => {}
		}
	}
	if !unknown.is_empty() {
		each_page(chain, client, |page| {
			for view in page {
				if let Some(index) = unknown
					.iter()
					.position(|deal| deal.proposal_hash.0 == view.deal.proposal_hash)
				{
					unknown.swap_remove(index).state = state_of(&view);
				}
			}
			!unknown.is_empty()
		})
		.await?;
	}
	for deal in unknown {
		fail(deal);
	}
	Ok(now)
}

/// Whether the chain may know something about a deal that the record does not.
fn may_change(deal: &DealRecord, now: BlockNumber) -> bool {
	match deal.state {
		DealState::Active { .. } => false,
		// Whoever refused it holds a valid proposal.
		DealState::Failed { .. } => deal.start_by() >= now && !deal.signature.0.is_empty(),
		_ => true,
	}
}

/// Marks a deal as failed that is not on chain though its time to be published has passed. Why it was given
/// up before, if it was, says more.
fn fail(deal: &mut DealRecord) {
	let reason = match deal.state.failure() {
		Some(reason) => reason.to_owned(),
		None => format!(
			"the provider did not publish the deal by block {}",
			deal.start_by()
		),
	};
	deal.state = DealState::Failed { reason };
}

/// Changes recorded deals by what a block's events say. Gives whether one changed.
pub fn apply(deals: &mut [DealRecord], events: &[ChainEvent]) -> bool {
	let mut changed = false;
	for event in events {
		let ChainEvent::Market(event) = event else {
			continue;
		};
		let (deal, state) = match event {
			MarketEvent::DealPublished {
				deal, proposal_hash, ..
			} => {
				// One that is further already was read from a later block.
				let found = deals
					.iter_mut()
					.find(|known| known.proposal_hash.0 == *proposal_hash && known.state.deal_id().is_none());
				(found, DealState::Published { deal_id: *deal })
			}
			MarketEvent::DealActivated {
				deal,
				sector,
				activated_at,
				end,
				..
			} => (
				by_id(deals, *deal),
				DealState::Active {
					deal_id: *deal,
					sector: *sector,
					since: *activated_at,
					ends: *end,
				},
			),
			MarketEvent::DealNotStarted { deal, .. } => (
				by_id(deals, *deal),
				DealState::Failed {
					reason: "the provider did not activate the deal in time; its price was returned"
						.to_owned(),
				},
			),
			MarketEvent::ProposalCancelled { proposal_hash, .. }
			| MarketEvent::ProposalExpired { proposal_hash, .. } => (
				deals
					.iter_mut()
					.find(|known| known.proposal_hash.0 == *proposal_hash),
				DealState::Failed {
					reason: "the proposal was withdrawn or expired".to_owned(),
				},
			),
			_ => continue,
		};
		if let Some(deal) = deal {
			deal.state = state;
			changed = true;
		}
	}
	changed
}

fn by_id(deals: &mut [DealRecord], id: u64) -> Option<&mut DealRecord> {
	deals.iter_mut().find(|deal| deal.state.deal_id() == Some(id))
}

/// Marks deals whose time to be published has passed as failed. Gives whether one changed.
pub fn expire(deals: &mut [DealRecord], now: BlockNumber) -> bool {
	let mut changed = false;
	for deal in deals {
		let waits = deal.state.draws_on_escrow() || matches!(deal.state, DealState::Abandoned { .. });
		if waits && deal.start_by() < now {
			fail(deal);
			changed = true;
		}
	}
	changed
}

/// What the provider says about a deal that has not come to its end, for people. `None` if it cannot be
/// asked: the chain goes on to tell what counts.
pub async fn provider_says(provider: &ProviderClient, deal: &DealRecord) -> Option<DealStatus> {
	provider.deal_status(&deal.proposal_hash).await.ok()
}

/// A provider's progress in a few words.
pub fn describe(status: &DealStatus) -> String {
	let text = match &status.progress {
		DealProgress::Accepted => "waiting for the data".to_owned(),
		DealProgress::Receiving { bytes, of } => format!("{bytes} of {of} bytes received"),
		DealProgress::Received => "data verified".to_owned(),
		DealProgress::Publishing => "publishing".to_owned(),
		DealProgress::Published { deal_id } => format!("published as deal {deal_id}"),
		DealProgress::Sealing { sector, progress, .. } => {
			format!(
				"sealing sector {sector}: {:.0} %",
				progress.clamp(0.0, 1.0) * 100.0
			)
		}
		DealProgress::PreCommitted { sector, .. } => {
			format!("sector {sector} pre-committed, waiting for its challenge")
		}
		DealProgress::Active { sector, .. } => format!("active in sector {sector}"),
		DealProgress::Ended { .. } => "ended".to_owned(),
		DealProgress::Failed { reason } => format!("failed: {reason}"),
		_ => "in a state that this version does not know".to_owned(),
	};
	match &status.delayed_by {
		Some(problem) => format!("{text} (delayed: {problem})"),
		None => text,
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::example_deal::deal;

	fn published(deal: u64, hash: u8) -> ChainEvent {
		ChainEvent::Market(MarketEvent::DealPublished {
			deal,
			proposal_hash: [hash; 32],
			client: [2; 32],
			provider: [3; 32],
		})
	}

	#[test]
	fn events_move_deals_on() {
		let mut deals = [deal(1), deal(2)];
		let activated = ChainEvent::Market(MarketEvent::DealActivated {
			deal: 7,
			provider: [3; 32],
			sector: 4,
			activated_at: 50,
			end: 80,
		});
		assert!(!apply(
			&mut deals,
			&[published(9, 9), activated.clone(), ChainEvent::ExtrinsicSuccess]
		));
		assert!(apply(&mut deals, &[published(7, 2)]));
		assert_eq!(deals[0].state, DealState::Signed);
		assert_eq!(deals[1].state, DealState::Published { deal_id: 7 });
		assert!(apply(&mut deals, &[activated]));
		assert_eq!(
			deals[1].state,
			DealState::Active {
				deal_id: 7,
				sector: 4,
				since: 50,
				ends: 80
			}
		);
	}

	/// What was given up may still come about, and is then paid for like any other deal.
	#[test]
	fn abandoned_deals_are_followed() {
		let mut deals = [deal(1), deal(2), deal(3)];
		for deal in &mut deals {
			deal.state = DealState::Abandoned {
				reason: "silent".to_owned(),
			};
		}
		deals[2].state = DealState::Failed {
			reason: "refused".to_owned(),
		};
		assert!(deals.iter().all(|deal| may_change(deal, 100)));
		assert!(!may_change(&deals[2], 101));
		assert!(apply(&mut deals, &[published(7, 1), published(8, 3)]));
		assert_eq!(deals[0].state, DealState::Published { deal_id: 7 });
		assert_eq!(deals[2].state, DealState::Published { deal_id: 8 });
		assert!(expire(&mut deals, 101));
		assert_eq!(
			deals[1].state,
			DealState::Failed {
				reason: "silent".to_owned()
			}
		);
	}

	#[test]
	fn deals_that_never_start_fail() {
		let mut deals = [deal(1), deal(2)];
		apply(&mut deals, &[published(7, 2)]);
		assert!(!expire(&mut deals, 100));
		assert!(expire(&mut deals, 101));
		assert!(matches!(deals[0].state, DealState::Failed { .. }));
		assert_eq!(deals[1].state, DealState::Published { deal_id: 7 });
		assert!(!expire(&mut deals, 101));
		let not_started = MarketEvent::DealNotStarted {
			deal: 7,
			refund: 1,
			compensation: 1,
			burnt: 0,
		};
		assert!(apply(&mut deals, &[ChainEvent::Market(not_started)]));
		assert!(matches!(deals[1].state, DealState::Failed { .. }));
	}
}
