//! Published deals → sectors with their commitments.

use super::{publish::fastest_activation, Context, JobError};
use crate::{
	deal::{state::FailReason, Deal, DealEvent, DealState, ProposalHash},
	fault_injection,
	sector::{
		packing::{next_sector, Candidate, Patience},
		Sector, SectorDeal, SectorEvent, SectorState,
	},
	store::StoreError,
};
use cairn_primitives::{
	challenge::prover_id, BlockNumber, Commitment, ProofSpec, ProofTypeId, SectorNumber, Tier,
};
use cairn_proving::{HotRequest, SealError, SealRequest, StoreError as SectorStoreError};
use std::{collections::BTreeMap, ops::ControlFlow, sync::atomic::Ordering, time::Instant};

/// Failed attempts at a commitment after which a sector is given up.
const MAX_ATTEMPTS: u32 = 5;

/// Makes sure that no number is given out that the chain knows: after the database was lost or
/// restored from a copy.
pub(super) async fn skip_used_numbers(context: &Context) -> Result<(), JobError> {
	let mut after = None;
	loop {
		let page = context.chain.sectors(&context.owner, after).await?;
		match page.last() {
			Some(last) => after = Some(last.sector),
			None => break,
		}
	}
	if let Some(last) = after {
		let next = last.saturating_add(1);
		context
			.store
			.run(move |store| store.skip_sector_numbers(next))
			.await?;
	}
	// Numbers of lapsed pre-commits leave no sector behind.
	skip_allocated(context).await
}

async fn skip_allocated(context: &Context) -> Result<(), JobError> {
	loop {
		let next = context.store.next_sector_number()?;
		if !context.chain.is_sector_allocated(&context.owner, next).await? {
			return Ok(());
		}
		tracing::warn!(
			sector = next,
			"the chain knows a sector number that the database does not"
		);
		context
			.store
			.run(move |store| store.skip_sector_numbers(next.saturating_add(1)))
			.await?;
	}
}

/// Opens sectors for published deals that have waited long enough.
pub(super) async fn pack(context: &Context, now: BlockNumber) -> Result<(), JobError> {
	let mut waiting: BTreeMap<ProofTypeId, Vec<(ProposalHash, Deal)>> = BTreeMap::new();
	for (hash, deal) in context.store.run(|store| store.open_deals()).await? {
		if matches!(deal.state, DealState::Published { .. }) {
			waiting.entry(deal.proof_type).or_default().push((hash, deal));
		}
	}
	for (proof_type, mut deals) in waiting {
		let view = context.view();
		let Some(registered) = view.proof_types.iter().find(|known| known.id == proof_type) else {
			continue;
		};
		// Hopeless deals would take a sector number with them.
		let mut hopeful = Vec::new();
		for (hash, deal) in deals.drain(..) {
			if now.saturating_add(fastest_activation(context, &deal)?) <= deal.proposal.start_by {
				hopeful.push((hash, deal));
			}
		}
		while let Some(contents) = choose(context, &registered.spec, &hopeful, now)? {
			skip_allocated(context).await?;
			hopeful.retain(|(hash, _)| !contents.iter().any(|deal| deal.proposal_hash == *hash));
			let spec = registered.spec;
			let sector = context
				.store
				.run(move |store| store.open_sector(proof_type, spec, contents, now))
				.await?;
			fault_injection::reached("sector:opened");
			tracing::info!(
				sector = sector.number,
				deals = sector.deals.len(),
				proof_type = proof_type.0,
				"sector opened"
			);
		}
	}
	Ok(())
}

/// Contents of the next sector, if one is to be opened.
fn choose(
	context: &Context,
	spec: &ProofSpec,
	waiting: &[(ProposalHash, Deal)],
	now: BlockNumber,
) -> Result<Option<Vec<SectorDeal>>, JobError> {
	let Some((_, any)) = waiting.first() else {
		return Ok(None);
	};
	let patience = Patience {
		wait: context.config.deals.batch_wait_blocks,
		to_activate: fastest_activation(context, any)?
			.saturating_mul(2)
			.saturating_add(4),
	};
	let candidates: Vec<Candidate> = waiting
		.iter()
		.map(|(_, deal)| Candidate {
			piece: deal.proposal.piece,
			since: match deal.state {
				DealState::Published { since, .. } => since,
				_ => now,
			},
			start_by: deal.proposal.start_by,
		})
		.collect();
	let chosen = next_sector(spec, &candidates, now, patience);
	let contents: Vec<SectorDeal> = chosen
		.into_iter()
		.filter_map(|index| {
			let (hash, deal) = &waiting[index];
			Some(SectorDeal {
				proposal_hash: *hash,
				deal_id: deal.deal_id()?,
				piece: deal.proposal.piece,
				duration: deal.proposal.duration,
			})
		})
		.collect();
	Ok((!contents.is_empty()).then_some(contents))
}

/// Sectors that lack their commitments.
pub(super) async fn due(context: &Context, now: BlockNumber) -> Result<Vec<SectorNumber>, JobError> {
	let sectors = context.store.run(|store| store.open_sectors()).await?;
	Ok(sectors
		.into_iter()
		.filter(|sector| {
			matches!(sector.state, SectorState::Packed | SectorState::Sealing { .. })
				&& sector.backoff.is_over(now)
		})
		.map(|sector| sector.number)
		.collect())
}

/// Makes a sector's commitments, and in the sealed tier its replica.
pub(super) async fn run(context: Context, number: SectorNumber, now: BlockNumber) -> Result<(), JobError> {
	let Some(sector) = context.store.run(move |store| store.sector(number)).await? else {
		return Ok(());
	};
	let outcome = match sector.spec.tier {
		Tier::Hot => commit_hot(&context, &sector).await,
		Tier::Sealed => seal(&context, sector.clone()).await,
	};
	let outcome = match outcome {
		// Else it would be begun again with every block.
		Err(JobError::Interrupted(error)) if error.is_panic() => Outcome::Failed(error.to_string()),
		other => other?,
	};
	match outcome {
		Outcome::Committed(comm_d, comm_r) => {
			fault_injection::reached("sector:committed");
			context
				.store
				.run(move |store| {
					store.update_sector(number, |sector| {
						sector.apply(SectorEvent::Committed { comm_d, comm_r })?;
						Ok(Vec::new())
					})
				})
				.await?;
			tracing::info!(sector = number, comm_r = hex::encode(comm_r), "sector committed");
			context.wake.notify_one();
		}
		Outcome::Later => {}
		Outcome::Failed(cause) => {
			tracing::error!(
				sector = number,
				cause,
				"the sector's commitment could not be made"
			);
			failed(&context, sector, cause, now).await?;
		}
	}
	Ok(())
}

enum Outcome {
	Committed(Commitment, Commitment),
	/// Interrupted, or nothing to go on with yet.
	Later,
	Failed(String),
}

async fn commit_hot(context: &Context, sector: &Sector) -> Result<Outcome, JobError> {
	let request = HotRequest {
		sector: sector.number,
		prover_id: prover_id(&context.owner),
		spec: sector.spec,
		pieces: sector.pieces(),
	};
	let committed = context
		.blocking(move |provider| match provider.sectors.commit_hot(&request) {
			// Left by a sector of that number whose record was lost with the database.
			Err(SectorStoreError::OtherSector(number)) => {
				provider.sectors.remove_sector(number)?;
				provider.sectors.commit_hot(&request)
			}
			other => other,
		})
		.await?;
	Ok(match committed {
		Ok(hot) => Outcome::Committed(hot.comm_d(), hot.comm_d()),
		Err(error) => Outcome::Failed(error.to_string()),
	})
}

async fn seal(context: &Context, sector: Sector) -> Result<Outcome, JobError> {
	// Waiting here holds nothing but this job.
	let Ok(_place) = context.seal_places.clone().acquire_owned().await else {
		return Ok(Outcome::Later);
	};
	if context.stopping.load(Ordering::SeqCst) {
		return Ok(Outcome::Later);
	}
	let number = sector.number;
	let ticket = match sector.state {
		SectorState::Sealing { ticket, .. } => ticket,
		_ => {
			// As late as possible: the ticket must still be young when the seal is done.
			let Some(drawn) = context.chain.ticket(&context.owner).await? else {
				return Ok(Outcome::Later);
			};
			context
				.store
				.run(move |store| {
					store.update_sector(number, |sector| {
						sector.apply(SectorEvent::TicketTaken {
							at: drawn.at,
							ticket: drawn.ticket,
						})?;
						Ok(Vec::new())
					})
				})
				.await?;
			fault_injection::reached("sector:ticket");
			drawn.ticket
		}
	};
	let request = SealRequest {
		sector: number,
		prover_id: prover_id(&context.owner),
		spec: sector.spec,
		ticket,
		pieces: sector.pieces(),
	};
	let stopping = context.stopping.clone();
	let started = Instant::now();
	tracing::info!(sector = number, bytes = sector.spec.sector_size(), "sealing");
	let sealed = context
		.blocking(move |provider| {
			let mut fresh = true;
			let mut progress = |progress: cairn_proving::SealProgress| {
				if progress.fraction > 0.5 {
					fault_injection::reached("seal:layer");
				}
				provider.set_seal_progress(number, Some(progress.fraction));
				if stopping.load(Ordering::SeqCst) {
					ControlFlow::Break(())
				} else {
					ControlFlow::Continue(())
				}
			};
			let sealed = match provider.sectors.seal(&request, &mut progress) {
				// Begun under an older ticket.
				Err(SealError::Store(SectorStoreError::OtherSector(number))) => {
					provider.sectors.remove_sector(number)?;
					fresh = false;
					provider.sectors.seal(&request, &mut progress)
				}
				other => other,
			};
			provider.set_seal_progress(number, None);
			sealed.map(|sealed| (sealed, fresh))
		})
		.await?;
	match sealed {
		Ok((sealed, fresh)) => {
			if fresh {
				measure(context, &sector, started).await?;
			}
			Ok(Outcome::Committed(sealed.comm_d(), sealed.comm_r()))
		}
		Err(SealError::Cancelled) => Ok(Outcome::Later),
		Err(error) => Ok(Outcome::Failed(error.to_string())),
	}
}

/// Notes how long sealing takes on this machine. A resumed seal would look faster than it is.
async fn measure(context: &Context, sector: &Sector, started: Instant) -> Result<(), JobError> {
	if !matches!(sector.state, SectorState::Packed) {
		return Ok(());
	}
	let rate = started.elapsed().as_secs_f64() / sector.spec.sector_size() as f64;
	context
		.store
		.run(move |store| {
			let smoothed = match store.seal_seconds_per_byte()? {
				Some(old) => old * 0.5 + rate * 0.5,
				None => rate,
			};
			store.set_seal_seconds_per_byte(smoothed)
		})
		.await?;
	Ok(())
}

/// Tries again later; after several failures gives the sector up. Deals whose data is gone fail,
/// the others go into another sector.
async fn failed(context: &Context, sector: Sector, cause: String, now: BlockNumber) -> Result<(), JobError> {
	let number = sector.number;
	let give_up = sector.backoff.failures + 1 >= MAX_ATTEMPTS;
	let mut events = Vec::new();
	if give_up {
		let pieces = sector.pieces();
		let intact: Vec<bool> = context
			.blocking(move |provider| {
				pieces
					.iter()
					.map(|piece| provider.sectors.check_piece(piece).is_ok())
					.collect()
			})
			.await?;
		for (deal, intact) in sector.deals.iter().zip(intact) {
			let event = if intact {
				DealEvent::SectorLost { at: now }
			} else {
				DealEvent::Lapsed(FailReason::DataLost)
			};
			events.push((deal.proposal_hash, event));
		}
	}
	context
		.store
		.run(move |store| {
			store.update_sector(number, |sector| {
				if give_up {
					sector.apply(SectorEvent::GivenUp(cause))?;
				} else {
					sector.backoff.delay(now, cause);
				}
				Ok::<_, StoreError>(events)
			})
		})
		.await?;
	Ok(())
}
