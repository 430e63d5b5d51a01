//! What actions do; all of one or nothing.

use super::{spec, Deal, PreCommit, State, GENESIS};
use crate::{
	chain::{AccountId, Action, ActionError, ChainEvent},
	deal::{verify_client_signature, Proposal, ProposalHash},
};
use cairn_primitives::{
	commitment::comm_d, hash::NativeSha256, sector::SectorPreCommit, Balance, DealId, SectorNumber, Tier,
};
use std::collections::{BTreeMap, BTreeSet};

impl State {
	fn publish(&mut self, hash: ProposalHash, proposal: Proposal) -> Result<ChainEvent, String> {
		if self.now >= proposal.start_by {
			return Err("Market::StartPassed".into());
		}
		let total = proposal.total_price().unwrap();
		let escrow = self.escrow.get(&proposal.client).copied().unwrap_or(0);
		if escrow < total {
			return Err("Market::ClientEscrowTooLow".into());
		}
		self.escrow.insert(proposal.client, escrow - total);
		let id = self.next_deal;
		self.next_deal += 1;
		self.deals.insert(
			id,
			Deal {
				proposal,
				hash,
				sector: None,
				active: None,
			},
		);
		Ok(ChainEvent::DealPublished {
			deal_id: id,
			proposal_hash: hash,
		})
	}

	fn pre_commit(&mut self, info: SectorPreCommit) -> Result<(), String> {
		let spec = spec(info.proof_type)?;
		if !self.allocated.insert(info.sector) {
			return Err("StorageProvider::SectorNumberUsed".into());
		}
		let pieces = self.pieces(&info.deals)?;
		if comm_d::<NativeSha256>(&pieces, spec.sector_size_log2) != Ok(info.comm_d) {
			return Err("StorageProvider::WrongDataCommitment".into());
		}
		if spec.tier == Tier::Hot && info.comm_d != info.comm_r {
			return Err("StorageProvider::WrongReplicaCommitment".into());
		}
		if spec.tier == Tier::Sealed {
			let longest = info
				.deals
				.iter()
				.map(|id| self.deals[id].proposal.duration)
				.max()
				.unwrap_or(0);
			if info.expiration < self.now + self.parameters.prove_commit_window + longest {
				return Err("StorageProvider::InvalidExpiration".into());
			}
			if info.ticket_at > self.now || self.now - info.ticket_at >= self.parameters.ticket_max_age {
				return Err("StorageProvider::InvalidTicket".into());
			}
		}
		for id in info.deals.clone() {
			let delay = self.parameters.pre_commit_delay;
			let deal = self.deals.get_mut(&id).ok_or("Market::DealNotFound")?;
			if deal.sector.is_some() {
				return Err("Market::DealBound".into());
			}
			if deal.proposal.tier != spec.tier {
				return Err("Market::WrongTier".into());
			}
			if deal.proposal.start_by <= self.now + delay {
				return Err("Market::StartTooSoon".into());
			}
			deal.sector = Some(info.sector);
		}
		self.pre_commits.insert(
			info.sector,
			PreCommit {
				at: self.now,
				info,
				proven: [0; 32],
			},
		);
		Ok(())
	}

	fn declare(&mut self, sectors: &[SectorNumber], recovered: bool) -> Result<(), String> {
		let open = self.window(self.now).deadline;
		for number in sectors {
			let sector = self
				.sectors
				.get_mut(number)
				.ok_or("StorageProvider::SectorNotLive")?;
			if sector.deadline == open {
				return Err("StorageProvider::ChallengeKnown".into());
			}
			if recovered {
				if !sector.faulty || sector.recovering {
					return Err("StorageProvider::NotFaulty".into());
				}
				sector.recovering = true;
			} else {
				if sector.faulty {
					return Err("StorageProvider::AlreadyFaulty".into());
				}
				sector.faulty = true;
			}
		}
		Ok(())
	}

	/// Executes an action as the pallets would; all or nothing is the caller's.
	fn execute(&mut self, action: Action) -> Result<Vec<ChainEvent>, String> {
		let mut events = Vec::new();
		match action {
			Action::Publish(deals) => {
				for (proposal, signature) in deals {
					verify_client_signature(&proposal, &GENESIS, &signature)
						.map_err(|_| "Market::WrongSignature".to_owned())?;
					let hash = cairn_primitives::deal::proposal_hash(&proposal.signing_bytes(&GENESIS));
					if !self.used.insert(hash) {
						return Err("Market::ProposalUsed".into());
					}
					events.push(self.publish(hash, proposal)?);
				}
			}
			Action::Accept(hashes) => {
				for hash in hashes {
					let proposal = self.proposals.remove(&hash).ok_or("Market::ProposalNotFound")?;
					events.push(self.publish(hash, proposal)?);
				}
			}
			Action::PreCommit(sectors) => {
				for sector in sectors {
					self.pre_commit(sector)?;
				}
			}
			Action::ProveCommit(parts) => {
				for part in parts {
					self.prove(part)?;
				}
			}
			Action::WindowedPost {
				deadline,
				partitions,
				proof,
			} => self.window_post(deadline, &partitions, &proof)?,
			Action::DeclareFaults(sectors) => self.declare(&sectors, false)?,
			Action::DeclareRecovered(sectors) => self.declare(&sectors, true)?,
			Action::Settle(deals) => {
				for id in deals {
					if self.deals.get(&id).is_some_and(|deal| deal.active.is_some()) {
						*self.paid.entry(id).or_default() += 1;
						events.push(ChainEvent::Paid {
							deal_id: id,
							amount: 1,
						});
					}
				}
			}
			Action::SetAsk(..) => {}
		}
		Ok(events)
	}

	/// Executes one transaction.
	pub(super) fn transact(&mut self, action: Action) -> Result<Vec<ChainEvent>, ActionError> {
		let name = action.name();
		// Roll back by keeping what changes.
		let saved = Saved::of(self);
		let outcome = self.execute(action);
		self.log
			.push((self.now, name, outcome.as_ref().map(|_| ()).map_err(Clone::clone)));
		match outcome {
			Ok(events) => {
				self.events.extend(events.iter().cloned());
				Ok(events)
			}
			Err(error) => {
				saved.restore(self);
				Err(ActionError::Refused {
					message: error.clone(),
					error,
				})
			}
		}
	}
}

/// What a failed transaction must not change.
struct Saved {
	escrow: BTreeMap<AccountId, Balance>,
	used: BTreeSet<ProposalHash>,
	deals: Vec<DealId>,
	bound: Vec<(DealId, Option<SectorNumber>)>,
	proposals: BTreeMap<ProposalHash, Proposal>,
	allocated: BTreeSet<SectorNumber>,
	pre_commits: Vec<SectorNumber>,
}

impl Saved {
	fn of(state: &State) -> Self {
		Saved {
			escrow: state.escrow.clone(),
			used: state.used.clone(),
			deals: state.deals.keys().copied().collect(),
			bound: state.deals.iter().map(|(id, deal)| (*id, deal.sector)).collect(),
			proposals: state.proposals.clone(),
			allocated: state.allocated.clone(),
			pre_commits: state.pre_commits.keys().copied().collect(),
		}
	}

	fn restore(self, state: &mut State) {
		state.escrow = self.escrow;
		state.used = self.used;
		state.proposals = self.proposals;
		state.allocated = self.allocated;
		state.deals.retain(|id, _| self.deals.contains(id));
		for (id, sector) in self.bound {
			if let Some(deal) = state.deals.get_mut(&id) {
				deal.sector = sector;
			}
		}
		state
			.pre_commits
			.retain(|number, _| self.pre_commits.contains(number));
	}
}
