//! What a provider asks its chain.

use super::{ticket, Mishap, SimulatedChain, OWNER, WORKER};
use crate::{
	chain::{
		AccountId, Action, ActionError, Ask, Chain, ChainDeal, ChainDealState, ChainError, ChainEvent,
		ChainIdentity, ProviderContact, ProviderView, RegisteredProofType, Ticket,
	},
	deal::{Proposal, ProposalHash},
};
use async_trait::async_trait;
use cairn_primitives::{
	params::ProtocolParameters,
	proof_type::BUILTIN,
	sector::{ActivationChallenge, DeadlineChallenge, DeadlineWindow, SectorView},
	Balance, BlockNumber, DealId, ProofTypeId, SectorNumber,
};
use std::{ops::Bound, sync::atomic::Ordering};

fn provider_view(owner: AccountId, contact: ProviderContact, live_sectors: u32) -> ProviderView {
	ProviderView {
		owner,
		worker: WORKER,
		beneficiary: owner,
		contact,
		period_offset: 0,
		live_sectors,
		registered_at: 1,
	}
}

#[async_trait]
impl Chain for SimulatedChain {
	fn identity(&self) -> &ChainIdentity {
		&self.identity
	}

	async fn finalized(&self) -> Result<BlockNumber, ChainError> {
		let state = self.state();
		if state.unavailable {
			return Err(ChainError::Unavailable("simulated outage".into()));
		}
		Ok(state.now)
	}

	async fn next_block(&self) -> Result<(BlockNumber, Vec<ChainEvent>), ChainError> {
		// Tests advance by hand.
		std::future::pending().await
	}

	async fn parameters(&self) -> Result<ProtocolParameters, ChainError> {
		Ok(self.state().parameters)
	}

	async fn proof_types(&self) -> Result<Vec<RegisteredProofType>, ChainError> {
		Ok(BUILTIN
			.iter()
			.map(|(id, spec)| RegisteredProofType {
				id: *id,
				spec: *spec,
				accepts_new_sectors: true,
			})
			.collect())
	}

	async fn provider(&self, owner: &AccountId) -> Result<Option<ProviderView>, ChainError> {
		let contact = ProviderContact::V1 {
			peer_id: Default::default(),
			addresses: Default::default(),
		};
		let state = self.state();
		let live = state.sectors.values().filter(|sector| !sector.expired).count();
		Ok((*owner == OWNER).then(|| provider_view(OWNER, contact, live as u32)))
	}

	async fn providers(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<ProviderView>, ChainError> {
		let state = self.state();
		if state.unavailable {
			return Err(ChainError::Unavailable("simulated outage".into()));
		}
		let start = after.map_or(Bound::Unbounded, Bound::Excluded);
		let limit = match state.ignores_limits {
			true => usize::MAX,
			false => limit as usize,
		};
		let rest = state.registry.range((start, Bound::Unbounded));
		Ok(rest
			.take(limit)
			.map(|(owner, contact)| provider_view(*owner, contact.clone(), 0))
			.collect())
	}

	async fn asks(&self, _: &AccountId) -> Result<Vec<(ProofTypeId, Ask)>, ChainError> {
		Ok(self.state().asks.clone())
	}

	async fn escrow(&self, who: &AccountId) -> Result<Balance, ChainError> {
		Ok(self.state().escrow.get(who).copied().unwrap_or(0))
	}

	async fn free_balance(&self, _: &AccountId) -> Result<Balance, ChainError> {
		Ok(1 << 60)
	}

	async fn proposal(&self, hash: &ProposalHash) -> Result<Option<Proposal>, ChainError> {
		Ok(self.state().proposals.get(hash).cloned())
	}

	async fn proposals_for(&self, owner: &AccountId) -> Result<Vec<(ProposalHash, Proposal)>, ChainError> {
		let state = self.state();
		Ok(state
			.proposals
			.iter()
			.filter(|(_, proposal)| proposal.provider == *owner)
			.map(|(hash, proposal)| (*hash, proposal.clone()))
			.collect())
	}

	async fn deal_of_proposal(&self, hash: &ProposalHash) -> Result<Option<DealId>, ChainError> {
		let state = self.state();
		Ok(state
			.deals
			.iter()
			.find(|(_, deal)| deal.hash == *hash)
			.map(|(id, _)| *id))
	}

	async fn deal(&self, id: DealId) -> Result<Option<ChainDeal>, ChainError> {
		let state = self.state();
		Ok(state.deals.get(&id).map(|deal| ChainDeal {
			id,
			proposal_hash: deal.hash,
			state: match (deal.active, deal.sector) {
				(Some((since, ends)), Some(sector)) => ChainDealState::Active { sector, since, ends },
				(_, sector) => ChainDealState::Published { sector },
			},
			due: u128::from(deal.active.is_some()),
		}))
	}

	async fn ticket(&self, _: &AccountId) -> Result<Option<Ticket>, ChainError> {
		let at = self.state().now / 2 * 2;
		Ok(Some(Ticket {
			at,
			ticket: ticket(at),
		}))
	}

	async fn is_sector_allocated(&self, _: &AccountId, sector: SectorNumber) -> Result<bool, ChainError> {
		Ok(self.state().allocated.contains(&sector))
	}

	async fn sector(&self, _: &AccountId, sector: SectorNumber) -> Result<Option<SectorView>, ChainError> {
		Ok(self.state().view(sector))
	}

	async fn sectors(
		&self,
		_: &AccountId,
		after: Option<SectorNumber>,
	) -> Result<Vec<SectorView>, ChainError> {
		let state = self.state();
		let first = after.map_or(0, |after| after + 1);
		Ok(state
			.allocated
			.range(first..)
			.filter_map(|number| state.view(*number))
			.take(2)
			.collect())
	}

	async fn activation_challenge(
		&self,
		_: &AccountId,
		sector: SectorNumber,
	) -> Result<Option<ActivationChallenge>, ChainError> {
		Ok(self.state().activation(sector))
	}

	async fn deadline(&self, _: &AccountId) -> Result<Option<DeadlineWindow>, ChainError> {
		let state = self.state();
		Ok(Some(state.window(state.now)))
	}

	async fn deadline_challenge(&self, _: &AccountId) -> Result<Option<DeadlineChallenge>, ChainError> {
		Ok(Some(self.state().challenge()))
	}

	async fn act(&self, action: Action, valid_until: BlockNumber) -> Result<Vec<ChainEvent>, ActionError> {
		let name = action.name();
		let mishap = {
			let mut state = self.state();
			let index = state.mishaps.iter().position(|(wanted, _)| *wanted == name);
			index
				.and_then(|index| state.mishaps.remove(index))
				.map(|(_, mishap)| mishap)
		};
		if self.state().now >= valid_until {
			return Err(ActionError::NotIncluded("too late".into()));
		}
		match mishap {
			None => self.state().transact(action),
			Some(Mishap::HangAfter) => {
				self.hanging.store(true, Ordering::SeqCst);
				let _ = self.state().transact(action);
				std::future::pending().await
			}
			Some(Mishap::HangBefore) => {
				self.hanging.store(true, Ordering::SeqCst);
				std::future::pending().await
			}
			Some(Mishap::UnknownAfter) => {
				let _ = self.state().transact(action);
				Err(ActionError::Unknown("simulated".into()))
			}
			Some(Mishap::UnknownBefore) => Err(ActionError::Unknown("simulated".into())),
			Some(Mishap::NotIncluded) => Err(ActionError::NotIncluded("simulated".into())),
			Some(Mishap::Refuse(error)) => Err(ActionError::Refused {
				error: error.into(),
				message: error.into(),
			}),
		}
	}
}
