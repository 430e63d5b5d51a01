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
/// Most deals of the account that are searched.
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

/// Every deal of an account, as client or provider.
pub async fn deals_of(chain: &ChainClient, account: &[u8; 32]) -> Result<Vec<DealView>, CliError> {
	let query = chain.query();
	let mut deals: Vec<DealView> = Vec::new();
	loop {
		let page = query
			.deals_of(account, deals.last().map(|deal| deal.id), PAGE)
			.await?;
		let is_last = (page.len() as u32) < PAGE;
		deals.extend(page);
		if is_last || deals.len() >= MAX_DEALS {
			return Ok(deals);
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
	let open = |deal: &DealRecord| !matches!(deal.state, DealState::Failed { .. } | DealState::Active { .. });
	// The head first: a deal published afterwards is not taken for one that never was.
	let now = chain.finalized().await?.number;
	if !deals.iter().any(open) {
		return Ok(now);
	}
	let on_chain = deals_of(chain, client).await?;
	for deal in deals.iter_mut().filter(|deal| open(deal)) {
		match on_chain
			.iter()
			.find(|view| view.deal.proposal_hash == deal.proposal_hash.0)
		{
			Some(view) => deal.state = state_of(view),
			None => {
				if let Some(reason) = over(deal, now) {
					deal.state = DealState::Failed { reason };
				}
			}
		}
	}
	Ok(now)
}

/// Why a deal that is not on chain at block `now` will never be (again); `None` if it may.
fn over(deal: &DealRecord, now: BlockNumber) -> Option<String> {
	if matches!(deal.state, DealState::Published { .. }) {
		return Some("the deal was not activated in time and is over".to_owned());
	}
	let start_by = deal.decode_proposal().map_or(0, |proposal| proposal.start_by);
	(now > start_by).then(|| format!("the provider did not publish the deal by block {start_by}"))
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
	for deal in deals.iter_mut().filter(|deal| deal.state.draws_on_escrow()) {
		if let Some(reason) = over(deal, now) {
			deal.state = DealState::Failed { reason };
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
	use crate::record::Proposal;
	use cairn_primitives::{
		deal::{DealPayload, PayloadKind},
		PieceInfo, Tier,
	};
	use cairn_provider_api::Hash32;

	fn deal(hash: u8) -> DealRecord {
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
		DealRecord::signed(&proposal, Hash32([hash; 32]), vec![1; 65], "http://p".into(), 210)
	}

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

	#[test]
	fn deals_that_never_start_fail() {
		let mut deals = [deal(1), deal(2)];
		apply(&mut deals, &[published(7, 2)]);
		assert!(!expire(&mut deals, 100));
		assert!(expire(&mut deals, 101));
		assert!(matches!(deals[0].state, DealState::Failed { .. }));
		assert_eq!(deals[1].state, DealState::Published { deal_id: 7 });
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
