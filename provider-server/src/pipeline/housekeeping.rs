//! Settling the own deals, and giving disk back.

use super::{Context, JobError, VALIDITY};
use crate::{
	chain::{Action, MAX_SETTLEMENTS_PER_CALL},
	deal::DealState,
	ingest::blocks_of,
	provider::Provider,
	sector::SectorState,
};
use cairn_primitives::{Balance, BlockNumber, DealId, PieceInfo, Tier};
use std::{
	collections::{HashMap, HashSet},
	fs::File,
};

/// A payment was settled; counts it if the deal is this provider's.
pub(super) async fn paid(context: &Context, deal_id: DealId, amount: Balance) {
	let deals = context
		.store
		.run(|store| store.open_deals())
		.await
		.unwrap_or_default();
	if deals.iter().any(|(_, deal)| deal.deal_id() == Some(deal_id)) {
		tracing::info!(deal_id, amount, "paid");
		// A counter of floats is as exact as Prometheus gets.
		context.metrics.earned.inc_by(amount as f64);
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

/// Gives back what nothing needs: unfinished uploads, pieces, sectors.
pub(super) async fn clean(context: Context) -> Result<(), JobError> {
	context.blocking(clean_disk).await??;
	let provider = context.provider.clone();
	context
		.blocking(move |_| provider.metrics.count(&provider.store))
		.await??;
	Ok(())
}

/// Why a piece is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Need {
	/// Something needs it, at least sealed.
	held: bool,
	/// Something needs its payload file.
	payload: bool,
}

fn clean_disk(provider: &Provider) -> Result<(), JobError> {
	// A piece that is just entering the store looks as if nothing needed it.
	let Some(_held) = provider.uploads.hold_adoptions() else {
		return Ok(());
	};
	let deals = provider.store.open_deals()?;
	let awaiting: HashSet<_> = deals
		.iter()
		.filter(|(_, deal)| deal.state == DealState::Accepted)
		.map(|(hash, _)| *hash)
		.collect();
	provider.uploads.sweep(&awaiting)?;

	let keep_unsealed = provider.config.storage.keep_unsealed_copy;
	let mut needs: HashMap<PieceKey, Need> = HashMap::new();
	for (_, deal) in &deals {
		let need = needs.entry(key(&deal.proposal.piece)).or_default();
		need.held = true;
		// An accepted deal's piece may be on its way in. Once a sealed sector is active, the replica
		// holds the data.
		let sealed = deal.proposal.tier == Tier::Sealed && matches!(deal.state, DealState::Active { .. });
		need.payload |= keep_unsealed || !sealed;
	}
	let sectors = provider.store.open_sectors()?;
	for sector in &sectors {
		let sealed = sector.spec.tier == Tier::Sealed && matches!(sector.state, SectorState::Active { .. });
		for deal in &sector.deals {
			let need = needs.entry(key(&deal.piece)).or_default();
			// An active sealed sector proves itself by its replica alone.
			need.held |= !sealed;
			need.payload |= !sealed;
		}
	}
	for record in provider.store.pieces()? {
		let need = needs.get(&key(&record.info)).copied().unwrap_or_default();
		if !need.held {
			tracing::info!(
				piece = %cairn_provider_api::piece_cid::v1(&record.info.commitment),
				"removing a piece that no deal needs"
			);
			remove_piece(provider, &record.info)?;
		} else if !need.payload {
			provider.sectors.remove_piece(&record.info)?;
		}
	}
	// Files without a record: adopted just before a kill, for a deal that lapsed since.
	for piece in provider.sectors.pieces()? {
		if !needs.contains_key(&key(&piece)) && provider.store.piece(&piece)?.is_none() {
			provider.sectors.remove_piece(&piece)?;
		}
	}
	let open: HashSet<_> = sectors.iter().map(|sector| sector.number).collect();
	for number in provider.sectors.sectors()? {
		if !open.contains(&number) {
			// Opened since the list was made, or over.
			let over = provider
				.store
				.sector(number)?
				.is_none_or(|sector| sector.state.is_final());
			if over {
				tracing::info!(sector = number, "removing a sector that is over");
				provider.sectors.remove_sector(number)?;
			}
		}
	}
	Ok(())
}

type PieceKey = ([u8; 32], u8, u64);

fn key(piece: &PieceInfo) -> PieceKey {
	(piece.commitment, piece.size_log2, piece.payload_size)
}

/// Takes a piece out of the index, the database and the disk, in the order in which a kill between
/// them does no harm.
fn remove_piece(provider: &Provider, piece: &PieceInfo) -> Result<(), JobError> {
	let indexed = File::open(provider.sectors.piece_path(piece)).ok();
	match indexed.as_ref().map(blocks_of) {
		Some(Ok(mut blocks)) => provider.store.unindex_blocks(piece, &mut blocks)?,
		// Not a CAR: protected payloads have no blocks in the index.
		Some(Err(_)) => {}
		None => provider.store.unindex_lost_piece(piece)?,
	}
	provider.store.remove_piece(piece)?;
	provider.sectors.remove_piece(piece)?;
	Ok(())
}
