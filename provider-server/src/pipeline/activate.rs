//! Sectors with commitments → active sectors: pre-commit, seed, proof.

use super::{Context, JobError, VALIDITY};
use crate::{
	chain::{Action, ActionError, ChainDealState, MAX_SECTORS_PER_CALL},
	deal::{state::FailReason, DealEvent, ProposalHash},
	fault_injection,
	provider::Provider,
	retrieval::restore_payload,
	sector::{state::Commitments, Sector, SectorEvent, SectorState},
	store::StoreError,
};
use cairn_primitives::{
	sector::{
		ActivationProof, SectorPreCommit, SectorProof, SectorState as ChainSectorState, SectorView,
		MAX_ACTIVATION_PROOF,
	},
	BlockNumber, PieceInfo, SectorNumber, Tier,
};
use cairn_proving::ProveError;

/// Bytes of proofs in one transaction: below a block's share for one extrinsic.
const MAX_PROOFS_PER_CALL: usize = 768 << 10;
/// Blocks of slack in a sector's expiration, for the time until its pre-commit is included.
const EXPIRATION_SLACK: BlockNumber = 64;
/// A ticket must stay usable this long after a pre-commit is sent.
const TICKET_MARGIN: BlockNumber = VALIDITY + 4;

async fn update(
	context: &Context,
	number: SectorNumber,
	change: impl FnOnce(&mut Sector) -> Result<Vec<(ProposalHash, DealEvent)>, StoreError> + Send + 'static,
) -> Result<(), JobError> {
	context
		.store
		.run(move |store| store.update_sector(number, change))
		.await?;
	Ok(())
}

async fn apply(context: &Context, number: SectorNumber, event: SectorEvent) -> Result<(), JobError> {
	update(context, number, move |sector| {
		sector.apply(event)?;
		Ok(Vec::new())
	})
	.await
}

async fn delay(
	context: &Context,
	number: SectorNumber,
	now: BlockNumber,
	cause: String,
) -> Result<(), JobError> {
	update(context, number, move |sector| {
		sector.backoff.delay(now, cause);
		Ok(Vec::new())
	})
	.await
}

/// Gives a sector up; its deals wait for another one.
async fn give_up(
	context: &Context,
	number: SectorNumber,
	now: BlockNumber,
	reason: String,
) -> Result<(), JobError> {
	tracing::error!(sector = number, reason, "sector given up");
	update(context, number, move |sector| {
		sector.apply(SectorEvent::GivenUp(reason))?;
		Ok(sector
			.deals
			.iter()
			.map(|deal| (deal.proposal_hash, DealEvent::SectorLost { at: now }))
			.collect())
	})
	.await
}

/// Moves sectors by what the chain says of them.
pub(super) async fn reconcile(
	context: &Context,
	now: BlockNumber,
	pre_committing: bool,
	proving: bool,
) -> Result<(), JobError> {
	for sector in context.store.run(|store| store.open_sectors()).await? {
		match sector.state {
			SectorState::PreCommitting {
				commitments,
				valid_until,
			} if !pre_committing
				&& !noticed(context, &sector, &commitments, now).await?
				&& now > valid_until =>
			{
				apply(context, sector.number, SectorEvent::PreCommitVoid).await?;
			}
			SectorState::PreCommitted { .. } if !proving => follow(context, &sector, now).await?,
			_ => {}
		}
	}
	Ok(())
}

/// Whether the chain has the sector; notes it if so. A number that the chain knows under other
/// contents is burnt.
async fn noticed(
	context: &Context,
	sector: &Sector,
	commitments: &Commitments,
	now: BlockNumber,
) -> Result<bool, JobError> {
	let number = sector.number;
	match context.chain.sector(&context.owner, number).await? {
		Some(view) if view.comm_d == commitments.comm_d => {
			apply(context, number, SectorEvent::PreCommittedOnChain).await?;
			Ok(true)
		}
		Some(_) => {
			give_up(
				context,
				number,
				now,
				"the chain knows the number under other contents".into(),
			)
			.await?;
			Ok(true)
		}
		None if context.chain.is_sector_allocated(&context.owner, number).await? => {
			give_up(context, number, now, "the pre-commit lapsed".into()).await?;
			Ok(true)
		}
		None => Ok(false),
	}
}

/// Where a pre-committed sector has got to on chain.
async fn follow(context: &Context, sector: &Sector, now: BlockNumber) -> Result<(), JobError> {
	match context.chain.sector(&context.owner, sector.number).await? {
		Some(view) if view.state == ChainSectorState::PreCommitted => Ok(()),
		Some(view) => activated(context, sector, &view, now).await,
		None => {
			give_up(
				context,
				sector.number,
				now,
				"not proven within the prove-commit window".into(),
			)
			.await
		}
	}
}

/// Notes an activation, for the sector and for those of its deals that run.
async fn activated(
	context: &Context,
	sector: &Sector,
	view: &SectorView,
	now: BlockNumber,
) -> Result<(), JobError> {
	let mut events = Vec::new();
	for deal in &sector.deals {
		let event = match context.chain.deal(deal.deal_id).await?.map(|deal| deal.state) {
			Some(ChainDealState::Active {
				sector: holder,
				since,
				ends,
			}) if holder == sector.number => DealEvent::Activated { since, ends },
			// Its `start_by` passed while the sector was being proven; it may still be listed.
			_ => DealEvent::Lapsed(FailReason::StartByPassed),
		};
		events.push((deal.proposal_hash, event));
	}
	let since = view.since;
	let has_layers = sector.spec.tier == Tier::Sealed;
	update(context, sector.number, move |sector| {
		sector.apply(SectorEvent::Activated { since, has_layers })?;
		Ok(events)
	})
	.await?;
	tracing::info!(sector = sector.number, since, now, "sector active");
	Ok(())
}

/// Sectors to pre-commit now.
async fn ready(context: &Context, now: BlockNumber) -> Result<Vec<(Sector, Commitments)>, JobError> {
	let sectors = context.store.run(|store| store.open_sectors()).await?;
	Ok(sectors
		.into_iter()
		.filter(|sector| sector.backoff.is_over(now))
		.filter_map(|sector| match sector.state {
			SectorState::Ready { commitments } => Some((sector, commitments)),
			_ => None,
		})
		.take(MAX_SECTORS_PER_CALL)
		.collect())
}

/// Whether there is something to pre-commit.
pub(super) async fn pre_commit_is_due(context: &Context, now: BlockNumber) -> Result<bool, JobError> {
	Ok(!ready(context, now).await?.is_empty())
}

/// Pre-commits what is ready.
pub(super) async fn pre_commit(context: Context, now: BlockNumber) -> Result<(), JobError> {
	let parameters = context.view().parameters;
	let mut batch = Vec::new();
	for (sector, commitments) in ready(&context, now).await? {
		if noticed(&context, &sector, &commitments, now).await? {
			continue;
		}
		let age = now.saturating_sub(commitments.ticket_at);
		if sector.spec.tier == Tier::Sealed && age.saturating_add(TICKET_MARGIN) >= parameters.ticket_max_age
		{
			reseal(&context, sector.number).await?;
			continue;
		}
		batch.push((sector, commitments));
	}
	if batch.is_empty() {
		return Ok(());
	}
	let refused = send_pre_commits(&context, &batch, now).await?;
	// One bad sector makes the chain refuse the whole batch: send them one by one.
	if refused && batch.len() > 1 {
		for one in batch {
			send_pre_commits(&context, std::slice::from_ref(&one), now).await?;
		}
	}
	Ok(())
}

/// The seal was made under a ticket that is too old: starts over with the same number, which the
/// chain has not seen.
async fn reseal(context: &Context, number: SectorNumber) -> Result<(), JobError> {
	tracing::warn!(sector = number, "the sealing ticket is too old; sealing again");
	apply(context, number, SectorEvent::TicketExpired).await?;
	context
		.blocking(move |provider| provider.sectors.remove_sector(number))
		.await??;
	Ok(())
}

/// Sends one batch. Gives whether the chain refused it and had several sectors in it.
async fn send_pre_commits(
	context: &Context,
	batch: &[(Sector, Commitments)],
	now: BlockNumber,
) -> Result<bool, JobError> {
	let parameters = context.view().parameters;
	let valid_until = now.saturating_add(VALIDITY);
	let mut sectors = Vec::new();
	for (sector, commitments) in batch {
		let expiration = now
			.saturating_add(EXPIRATION_SLACK)
			.saturating_add(parameters.prove_commit_window)
			.saturating_add(sector.longest_duration())
			.min(now.saturating_add(parameters.max_sector_lifetime));
		let deals: Vec<_> = sector.deals.iter().map(|deal| deal.deal_id).collect();
		let Ok(deals) = deals.try_into() else {
			give_up(
				context,
				sector.number,
				now,
				"more deals than a sector holds".into(),
			)
			.await?;
			continue;
		};
		sectors.push(SectorPreCommit {
			sector: sector.number,
			proof_type: sector.proof_type,
			comm_r: commitments.comm_r,
			comm_d: commitments.comm_d,
			ticket_at: commitments.ticket_at,
			expiration,
			deals,
		});
	}
	if sectors.is_empty() {
		return Ok(false);
	}
	let numbers: Vec<SectorNumber> = sectors.iter().map(|sector| sector.sector).collect();
	for number in &numbers {
		apply(context, *number, SectorEvent::PreCommitStarted { valid_until }).await?;
	}
	fault_injection::reached("pre_commit:persisted");
	match context.act(Action::PreCommit(sectors), valid_until).await {
		Ok(_) => {
			fault_injection::reached("pre_commit:included");
			for number in numbers {
				apply(context, number, SectorEvent::PreCommittedOnChain).await?;
			}
			Ok(false)
		}
		// The next step asks the chain.
		Err(error) if error.outcome_is_open() => Ok(false),
		Err(error) => {
			for number in &numbers {
				apply(context, *number, SectorEvent::PreCommitVoid).await?;
			}
			if matches!(error, ActionError::Refused { .. }) && numbers.len() > 1 {
				return Ok(true);
			}
			for number in numbers {
				pre_commit_refused(context, number, &error, now).await?;
			}
			Ok(false)
		}
	}
}

async fn pre_commit_refused(
	context: &Context,
	number: SectorNumber,
	error: &ActionError,
	now: BlockNumber,
) -> Result<(), JobError> {
	match error.refusal() {
		Some("StorageProvider::InvalidTicket") => reseal(context, number).await,
		Some(
			"StorageProvider::SectorNumberUsed"
			| "StorageProvider::WrongDataCommitment"
			| "StorageProvider::WrongReplicaCommitment"
			| "StorageProvider::WrongNumberOfDeals"
			| "StorageProvider::UnknownProofType"
			| "Market::DealNotFound"
			| "Market::DealBound"
			| "Market::DealActive"
			| "Market::WrongTier"
			| "Market::WrongProvider"
			| "Market::StartTooSoon",
		) => give_up(context, number, now, error.to_string()).await,
		_ => delay(context, number, now, error.to_string()).await,
	}
}

/// Pre-committed sectors of which no proof is under way.
async fn provable(context: &Context, now: BlockNumber) -> Result<Vec<Sector>, JobError> {
	let sectors = context.store.run(|store| store.open_sectors()).await?;
	Ok(sectors
		.into_iter()
		.filter(|sector| {
			sector.backoff.is_over(now)
				&& matches!(sector.state, SectorState::PreCommitted { proof_until, .. } if now > proof_until)
		})
		.collect())
}

/// Whether a pre-committed sector's seed may have been drawn.
pub(super) async fn prove_is_due(context: &Context, now: BlockNumber) -> Result<bool, JobError> {
	for sector in provable(context, now).await? {
		if context
			.chain
			.activation_challenge(&context.owner, sector.number)
			.await?
			.is_some()
		{
			return Ok(true);
		}
	}
	Ok(false)
}

/// Ranges of challenges that are not answered yet, each of at most `most`.
fn open_ranges(answered: &[u8; 32], challenges: u16, most: u16) -> Vec<(u16, u16)> {
	let is_open = |index: u16| answered[usize::from(index / 8) % answered.len()] >> (index % 8) & 1 == 0;
	let mut ranges: Vec<(u16, u16)> = Vec::new();
	for index in (0..challenges.min(256)).filter(|index| is_open(*index)) {
		match ranges.last_mut() {
			Some((first, count)) if *first + *count == index && *count < most => *count += 1,
			_ => ranges.push((index, 1)),
		}
	}
	ranges
}

/// Proves what can be proven, several parts to a transaction.
pub(super) async fn prove(context: Context, now: BlockNumber) -> Result<(), JobError> {
	let mut batch: Vec<SectorProof> = Vec::new();
	let mut bytes = 0;
	for sector in provable(&context, now).await? {
		let number = sector.number;
		let Some(challenge) = context.chain.activation_challenge(&context.owner, number).await? else {
			continue;
		};
		if now > challenge.prove_by {
			continue;
		}
		let challenges = sector.spec.activation_challenges;
		let prover = context
			.blocking(move |provider| provider.sectors.prover(number))
			.await?;
		let prover = match prover {
			Ok(prover) => prover,
			Err(error) => {
				delay(&context, number, now, error.to_string()).await?;
				continue;
			}
		};
		let most = prover.max_part_challenges(MAX_ACTIVATION_PROOF as usize).max(1);
		for (first, count) in open_ranges(&challenge.proven, challenges, most) {
			let (prover, seed) = (prover.clone(), challenge.seed);
			let pieces = sector.pieces();
			let proof = context
				.blocking(move |provider| {
					let proof = prover.activation_proof(&seed, first, count);
					let lost_payload = matches!(proof, Err(ProveError::Piece { .. }));
					if lost_payload && restore(provider, number, &pieces) {
						return prover.activation_proof(&seed, first, count);
					}
					proof
				})
				.await;
			// Should a proof break this program, the other sectors are proven all the same.
			let proof = match proof {
				Ok(proof) => proof,
				Err(error) => {
					tracing::error!(sector = number, %error, "making the activation proof broke");
					delay(&context, number, now, error.to_string()).await?;
					break;
				}
			};
			let proof = match proof.map(|proof| proof.try_into().map(ActivationProof::V1)) {
				Ok(Ok(proof)) => proof,
				Ok(Err(_)) => {
					delay(
						&context,
						number,
						now,
						"a part of the proof exceeds its limit".into(),
					)
					.await?;
					break;
				}
				Err(error) => {
					tracing::error!(sector = number, %error, "the activation proof could not be made");
					delay(&context, number, now, error.to_string()).await?;
					break;
				}
			};
			let ActivationProof::V1(part) = &proof;
			let len = part.len();
			if batch.len() == MAX_SECTORS_PER_CALL || (bytes + len > MAX_PROOFS_PER_CALL && bytes > 0) {
				send_proofs(&context, std::mem::take(&mut batch), now).await?;
				bytes = 0;
			}
			bytes += len;
			batch.push(SectorProof {
				sector: number,
				first_challenge: first,
				challenges: count,
				proof,
			});
		}
	}
	if !batch.is_empty() {
		send_proofs(&context, batch, now).await?;
	}
	Ok(())
}

/// Brings back what is lost of the pieces. Whether all of them are there then.
fn restore(provider: &Provider, sector: SectorNumber, pieces: &[PieceInfo]) -> bool {
	pieces.iter().all(|piece| {
		let restored = restore_payload(provider, piece);
		restored
			.inspect_err(|error| tracing::error!(sector, %error, "a lost piece is not restored"))
			.is_ok()
	})
}

/// Sends one batch of parts.
async fn send_proofs(context: &Context, batch: Vec<SectorProof>, now: BlockNumber) -> Result<(), JobError> {
	let refused = send_proof_batch(context, batch.clone(), now).await?;
	if refused && batch.len() > 1 {
		for one in batch {
			send_proof_batch(context, vec![one], now).await?;
		}
	}
	context.wake.notify_one();
	Ok(())
}

async fn send_proof_batch(
	context: &Context,
	batch: Vec<SectorProof>,
	now: BlockNumber,
) -> Result<bool, JobError> {
	let valid_until = now.saturating_add(VALIDITY);
	let mut numbers: Vec<SectorNumber> = batch.iter().map(|proof| proof.sector).collect();
	numbers.dedup();
	let parts = batch.len();
	for number in &numbers {
		apply(context, *number, SectorEvent::ProofStarted { valid_until }).await?;
	}
	fault_injection::reached("prove:persisted");
	let outcome = context.act(Action::ProveCommit(batch), valid_until).await;
	match &outcome {
		Ok(_) => {
			fault_injection::reached("prove:included");
			context.metrics.activation_parts.inc_by(parts as u64);
		}
		// Waits until the transaction can have no effect any more.
		Err(error) if error.outcome_is_open() => return Ok(false),
		Err(_) => {}
	}
	for number in &numbers {
		apply(context, *number, SectorEvent::ProofSettled).await?;
	}
	if let Err(error) = outcome {
		if matches!(error, ActionError::Refused { .. }) && parts > 1 {
			return Ok(true);
		}
		for number in numbers {
			delay(context, number, now, error.to_string()).await?;
		}
	}
	Ok(false)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn open_challenges_are_cut_into_parts() {
		assert_eq!(open_ranges(&[0; 32], 12, 100), [(0, 12)]);
		assert_eq!(open_ranges(&[0; 32], 12, 5), [(0, 5), (5, 5), (10, 2)]);
		let mut answered = [0; 32];
		answered[0] = 0b0001_1111;
		assert_eq!(open_ranges(&answered, 12, 5), [(5, 5), (10, 2)]);
		answered[1] = 0b0000_1111;
		assert_eq!(open_ranges(&answered, 12, 5), [(5, 3)]);
		answered[0] = 0xff;
		assert_eq!(open_ranges(&answered, 12, 5), []);
		assert_eq!(open_ranges(&[0; 32], 256, 200), [(0, 200), (200, 56)]);
	}
}
