//! Giving disk back: unfinished uploads, pieces and sectors that nothing needs.
//!
//! What is removed here is gone. So only what is known to be over goes: a sector that the chain still lists stays,
//! whatever the database says or does not say of it, and a payload file stays until its replica is there.

use super::{Context, JobError};
use crate::{
	deal::{Deal, DealState, ProposalHash},
	ingest::blocks_of,
	provider::Provider,
	sector::{Sector, SectorState},
};
use cairn_primitives::{sector::SectorState as ChainSectorState, PieceInfo, SectorNumber, Tier};
use cairn_provider_api::piece_cid;
use cairn_proving::{SectorStage, StoreError as SectorStoreError};
use std::{
	collections::{HashMap, HashSet},
	fs::File,
};

/// Removes what nothing needs.
pub(super) async fn clean(context: Context) -> Result<(), JobError> {
	let kept = listed_on_chain(&context).await?;
	context
		.blocking(move |provider| clean_disk(provider, &kept))
		.await??;
	let provider = context.provider.clone();
	context
		.blocking(move |_| provider.metrics.count(&provider.store))
		.await??;
	Ok(())
}

/// Sectors on disk that are over or unknown by the database, but not by the chain: the database was lost or
/// replaced by an older copy. Their data is what keeps them from being faulty.
async fn listed_on_chain(context: &Context) -> Result<HashSet<SectorNumber>, JobError> {
	let doubtful = context
		.blocking(|provider| -> Result<Vec<SectorNumber>, JobError> {
			let mut numbers = provider.sectors.sectors()?;
			let open = numbers_of(&provider.store.open_sectors()?);
			numbers.retain(|number| !open.contains(number));
			Ok(numbers)
		})
		.await??;
	let mut listed = HashSet::new();
	for number in doubtful {
		let view = context.chain.sector(&context.owner, number).await?;
		if view.is_some_and(|view| view.state != ChainSectorState::Expired) {
			tracing::warn!(
				sector = number,
				"the chain has a sector that the database does not have; its data is kept and proven"
			);
			listed.insert(number);
		}
	}
	context.see_finalized(context.chain.finalized().await?)?;
	Ok(listed)
}

fn numbers_of(sectors: &[Sector]) -> HashSet<SectorNumber> {
	sectors.iter().map(|sector| sector.number).collect()
}

/// Why a piece is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Need {
	/// Something needs it, at least sealed.
	held: bool,
	/// Something needs its payload file.
	payload: bool,
}

type PieceKey = ([u8; 32], u8, u64);

fn key(piece: &PieceInfo) -> PieceKey {
	(piece.commitment, piece.size_log2, piece.payload_size)
}

/// What open deals and sectors, and the sectors in `kept`, need.
fn needs(
	provider: &Provider,
	deals: &[(ProposalHash, Deal)],
	sectors: &[Sector],
	kept: &HashSet<SectorNumber>,
) -> HashMap<PieceKey, Need> {
	let keep_unsealed = provider.config.storage.keep_unsealed_copy;
	let mut needs: HashMap<PieceKey, Need> = HashMap::new();
	for (_, deal) in deals {
		let need = needs.entry(key(&deal.proposal.piece)).or_default();
		need.held = true;
		// An accepted deal's piece may be on its way in. Once a sealed sector is active, the replica
		// holds the data.
		let sealed = deal.proposal.tier == Tier::Sealed && matches!(deal.state, DealState::Active { .. });
		need.payload |= keep_unsealed || !sealed;
	}
	for sector in sectors {
		// An active sealed sector proves itself by its replica alone.
		if sector.spec.tier == Tier::Sealed && matches!(sector.state, SectorState::Active { .. }) {
			continue;
		}
		for deal in &sector.deals {
			let need = needs.entry(key(&deal.piece)).or_default();
			(need.held, need.payload) = (true, true);
		}
	}
	for number in kept {
		// The manifest of a damaged sector cannot say what it needs; nothing would prove that sector either.
		let Ok(manifest) = provider.sectors.sector(*number) else {
			continue;
		};
		if !matches!(manifest.stage, SectorStage::Sealed { .. }) {
			for piece in &manifest.pieces {
				let need = needs.entry(key(piece)).or_default();
				(need.held, need.payload) = (true, true);
			}
		}
	}
	needs
}

fn clean_disk(provider: &Provider, kept: &HashSet<SectorNumber>) -> Result<(), JobError> {
	// A piece that is just entering the store looks as if nothing needed it.
	let Some(held) = provider.uploads.hold_adoptions() else {
		return Ok(());
	};
	let deals = provider.store.open_deals()?;
	let awaiting: HashSet<_> = deals
		.iter()
		.filter(|(_, deal)| deal.state == DealState::Accepted)
		.map(|(hash, _)| *hash)
		.collect();
	provider.uploads.sweep(&awaiting)?;

	let sectors = provider.store.open_sectors()?;
	let needs = needs(provider, &deals, &sectors, kept);
	let mut needless = Vec::new();
	for record in provider.store.pieces()? {
		let need = needs.get(&key(&record.info)).copied().unwrap_or_default();
		if !need.held {
			needless.push(record.info);
		} else if !need.payload && has_replica_beside_payload(provider, &record.info)? {
			provider.sectors.remove_piece(&record.info)?;
		}
	}
	// Files without a record: adopted just before a kill, for a deal that lapsed since.
	for piece in provider.sectors.pieces()? {
		if !needs.contains_key(&key(&piece)) && provider.store.piece(&piece)?.is_none() {
			provider.sectors.remove_piece(&piece)?;
		}
	}
	drop(held);
	remove_pieces(provider, needless)?;
	remove_sectors(provider, &numbers_of(&sectors), kept)
}

/// Whether both copies of a piece are there.
fn has_replica_beside_payload(provider: &Provider, piece: &PieceInfo) -> Result<bool, JobError> {
	Ok(provider.sectors.piece_path(piece).exists() && !provider.sectors.replicas_of(piece)?.is_empty())
}

/// Removes pieces, each unless a deal needs it by now. Uploads wait for one piece at a time: taking one out of the
/// index can take long.
fn remove_pieces(provider: &Provider, pieces: Vec<PieceInfo>) -> Result<(), JobError> {
	for piece in pieces {
		let Some(_held) = provider.uploads.hold_adoptions() else {
			return Ok(());
		};
		let is_needed = provider
			.store
			.open_deals()?
			.iter()
			.any(|(_, deal)| deal.proposal.piece == piece);
		if !is_needed {
			tracing::info!(piece = %piece_cid::v1(&piece.commitment), "removing a piece that no deal needs");
			remove_piece(provider, &piece)?;
		}
	}
	Ok(())
}

/// Takes a piece out of the index, the database and the disk, in the order in which a kill between
/// them does no harm.
fn remove_piece(provider: &Provider, piece: &PieceInfo) -> Result<(), JobError> {
	let record = provider.store.piece(piece)?;
	if record.is_some_and(|record| record.has_blocks()) && !unindex_by_archive(provider, piece)? {
		provider.store.unindex_lost_piece(piece)?;
	}
	provider.store.remove_piece(piece)?;
	provider.sectors.remove_piece(piece)?;
	Ok(())
}

/// Takes the blocks of an archive out of the index. Gives whether it could be read to its end.
fn unindex_by_archive(provider: &Provider, piece: &PieceInfo) -> Result<bool, JobError> {
	let Ok(file) = File::open(provider.sectors.piece_path(piece)) else {
		return Ok(false);
	};
	let Ok(blocks) = blocks_of(&file) else {
		return Ok(false);
	};
	let mut is_whole = true;
	let mut blocks = blocks.map_while(|block| block.inspect_err(|_| is_whole = false).ok());
	provider.store.unindex_blocks(piece, &mut blocks)?;
	drop(blocks);
	Ok(is_whole)
}

fn remove_sectors(
	provider: &Provider,
	open: &HashSet<SectorNumber>,
	kept: &HashSet<SectorNumber>,
) -> Result<(), JobError> {
	for number in provider.sectors.sectors()? {
		if open.contains(&number) || kept.contains(&number) {
			continue;
		}
		// It may have been opened since the list was made.
		let over = provider
			.store
			.sector(number)?
			.is_none_or(|sector| sector.state.is_final());
		if over {
			tracing::info!(sector = number, "removing a sector that is over");
			provider.unsealer.forget(number);
			match provider.sectors.remove_sector(number) {
				// A reader has it; another time.
				Err(SectorStoreError::Busy(_)) => {}
				other => other?,
			}
		}
	}
	Ok(())
}
