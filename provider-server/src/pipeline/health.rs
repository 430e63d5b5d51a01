//! Faults, recoveries and the end of active sectors.
//!
//! Once a deadline, every active sector is compared with the chain. Before a sector's own deadline
//! opens, a few of its leaves are read: one that cannot be read is declared faulty, which is
//! cheaper than a missed proof; a faulty one that can be read in full again is declared recovered.

use super::{Context, JobError, VALIDITY};
use crate::{
	chain::{Action, MAX_DECLARATIONS_PER_CALL},
	deal::DealEvent,
	provider::Provider,
	retrieval::restore_payload,
	sector::{Health, Sector, SectorEvent, SectorState},
};
use cairn_primitives::{
	sector::{SectorState as ChainSectorState, SectorView},
	BlockNumber, DeadlineIndex, SectorNumber, Tier,
};
use rand_core::{OsRng, RngCore};
use std::collections::HashMap;

/// Leaves read to see whether a healthy sector is readable.
const PROBE_LEAVES: usize = 4;
/// Leaves read of a replica before its recovery is declared.
const RECOVERY_LEAVES: usize = 256;

/// When the sectors were last compared.
#[derive(Default)]
pub(super) struct Schedule {
	last: Option<(u64, DeadlineIndex)>,
}

impl Schedule {
	/// Whether another deadline has opened since the last time.
	pub async fn is_due(&mut self, context: &Context, _now: BlockNumber) -> Result<bool, JobError> {
		let sectors = context.store.run(|store| store.open_sectors()).await?;
		if !sectors
			.iter()
			.any(|sector| matches!(sector.state, SectorState::Active { .. }))
		{
			return Ok(false);
		}
		let Some(window) = context.chain.deadline(&context.owner).await? else {
			return Ok(false);
		};
		let current = (window.period, window.deadline);
		if self.last == Some(current) {
			return Ok(false);
		}
		self.last = Some(current);
		Ok(true)
	}
}

/// Every sector of the provider on chain.
async fn chain_sectors(context: &Context) -> Result<HashMap<SectorNumber, SectorView>, JobError> {
	let mut sectors = HashMap::new();
	let mut after = None;
	loop {
		let page = context.chain.sectors(&context.owner, after).await?;
		match page.last() {
			Some(last) => after = Some(last.sector),
			None => return Ok(sectors),
		}
		sectors.extend(page.into_iter().map(|view| (view.sector, view)));
	}
}

/// Compares, probes, declares.
pub(super) async fn run(context: Context, now: BlockNumber) -> Result<(), JobError> {
	let views = chain_sectors(&context).await?;
	// A sector that is not listed is over, and its data is removed: not on the word of a node that lags behind.
	context.see_finalized(context.chain.finalized().await?)?;
	let Some(window) = context.chain.deadline(&context.owner).await? else {
		return Ok(());
	};
	let deadlines = context.view().parameters.deadlines.max(1);
	let next = (window.deadline + 1) % deadlines;
	let mut faulty = Vec::new();
	let mut recovered = Vec::new();
	for sector in context.store.run(|store| store.open_sectors()).await? {
		let SectorState::Active { health: known, .. } = sector.state else {
			continue;
		};
		let view = views.get(&sector.number);
		let Some(health) = health(view) else {
			expired(&context, &sector).await?;
			continue;
		};
		if health != known {
			tracing::info!(
				sector = sector.number,
				?health,
				"the chain's view of the sector changed"
			);
			let number = sector.number;
			context
				.store
				.run(move |store| {
					store.update_sector(number, |sector| {
						sector.apply(SectorEvent::HealthSeen(health))?;
						Ok(Vec::new())
					})
				})
				.await?;
		}
		let deadline = view.and_then(|view| view.location).map(|(deadline, _)| deadline);
		// Its challenge is known: neither declaration is accepted.
		if deadline == Some(window.deadline) {
			continue;
		}
		let number = sector.number;
		match health {
			Health::Proving if deadline == Some(next) => {
				// What breaks the probe breaks the proof.
				let probed = context
					.blocking(move |provider| probe(provider, &sector))
					.await
					.unwrap_or_else(|error| Err(error.to_string()));
				if let Err(cause) = probed {
					tracing::error!(
						sector = number,
						cause,
						"the sector cannot be read and is declared faulty"
					);
					faulty.push(number);
				}
			}
			Health::Faulty => match context.blocking(move |provider| check(provider, &sector)).await? {
				Ok(()) => recovered.push(number),
				Err(cause) => {
					tracing::warn!(sector = number, cause, "the faulty sector still cannot be read")
				}
			},
			_ => {}
		}
	}
	declare(&context, faulty, Action::DeclareFaults, now).await?;
	declare(&context, recovered, Action::DeclareRecovered, now).await
}

/// The chain's view of a sector; none if it is over.
fn health(view: Option<&SectorView>) -> Option<Health> {
	match view?.state {
		ChainSectorState::Faulty => Some(Health::Faulty),
		ChainSectorState::Recovering => Some(Health::Recovering),
		ChainSectorState::Expired => None,
		ChainSectorState::Active | ChainSectorState::PreCommitted => Some(Health::Proving),
	}
}

/// Notes that a sector is over. Deals that the chain still lists are settled by it; those it does
/// not are over with their sector.
async fn expired(context: &Context, sector: &Sector) -> Result<(), JobError> {
	let mut events = Vec::new();
	for deal in &sector.deals {
		let hash = deal.proposal_hash;
		let stored = context.store.run(move |store| store.deal(&hash)).await?;
		let open = stored.is_some_and(|deal| !deal.state.is_final());
		if open && context.chain.deal(deal.deal_id).await?.is_none() {
			events.push((hash, DealEvent::TermOver));
		}
	}
	let number = sector.number;
	tracing::info!(sector = number, "sector over");
	context
		.store
		.run(move |store| {
			store.update_sector(number, |sector| {
				sector.apply(SectorEvent::Expired)?;
				Ok(events)
			})
		})
		.await?;
	Ok(())
}

/// Reads a few leaves of a sector.
fn probe(provider: &Provider, sector: &Sector) -> Result<(), String> {
	open_leaves(provider, sector, PROBE_LEAVES)
}

fn open_leaves(provider: &Provider, sector: &Sector, count: usize) -> Result<(), String> {
	let prover = provider
		.sectors
		.prover(sector.number)
		.map_err(|error| error.to_string())?;
	let leaves: Vec<u64> = (0..count).map(|_| random_leaf(sector)).collect();
	prover
		.window_proof(&leaves)
		.map(|_| ())
		.map_err(|error| error.to_string())
}

/// A leaf that a challenge may ask for.
fn random_leaf(sector: &Sector) -> u64 {
	let random = OsRng.next_u64();
	match sector.spec.tier {
		Tier::Sealed => random % sector.spec.leaves(),
		Tier::Hot => {
			let pieces = sector.pieces();
			let offsets = cairn_primitives::piece::layout(&pieces, sector.spec.sector_size_log2);
			let live = offsets
				.unwrap_or_default()
				.into_iter()
				.zip(pieces.iter().map(|piece| piece.payload_leaves()));
			cairn_primitives::challenge::live_leaf(live.collect::<Vec<_>>(), random).unwrap_or(0)
		}
	}
}

/// Whether every challenge of a faulty sector can be answered again. Hot pieces are hashed in full,
/// after they were restored from a sealed copy where there is one.
fn check(provider: &Provider, sector: &Sector) -> Result<(), String> {
	match sector.spec.tier {
		Tier::Sealed => open_leaves(provider, sector, RECOVERY_LEAVES),
		Tier::Hot => {
			for deal in &sector.deals {
				restore_payload(provider, &deal.piece).map_err(|error| error.to_string())?;
			}
			open_leaves(provider, sector, PROBE_LEAVES)
		}
	}
}

/// Sends declarations, a batch at a time; a refused batch one by one.
async fn declare(
	context: &Context,
	sectors: Vec<SectorNumber>,
	action: fn(Vec<SectorNumber>) -> Action,
	now: BlockNumber,
) -> Result<(), JobError> {
	for batch in sectors.chunks(MAX_DECLARATIONS_PER_CALL) {
		let valid_until = now.saturating_add(VALIDITY);
		let outcome = context.act(action(batch.to_vec()), valid_until).await;
		if outcome.is_err_and(|error| error.refusal().is_some()) && batch.len() > 1 {
			for sector in batch {
				// A refusal means that the chain sees the sector otherwise by now: the next
				// comparison tells.
				let _ = context.act(action(vec![*sector]), valid_until).await;
			}
		}
	}
	Ok(())
}
