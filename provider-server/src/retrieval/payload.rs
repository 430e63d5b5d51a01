//! A piece's payload file, restored from a replica if it is gone.

use crate::{provider::Provider, sector::SectorState, store::StoreError};
use cairn_primitives::{PieceInfo, Tier};
use std::{fs::File, io, ops::ControlFlow, sync::PoisonError};

/// Why a payload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
	/// It is not here, sealed or not.
	#[error("the piece is not stored here")]
	Absent,
	/// It could not be restored from the replica.
	#[error("the piece could not be unsealed: {0}")]
	Unseal(#[from] cairn_proving::SealError),
	/// The file system failed.
	#[error(transparent)]
	Io(#[from] io::Error),
	/// The database failed.
	#[error(transparent)]
	Store(#[from] StoreError),
}

/// Opens a piece's payload. Blocks while it is unsealed, where that is needed.
///
/// # Errors
/// See [`PayloadError`].
pub fn open_payload(provider: &Provider, piece: &PieceInfo) -> Result<File, PayloadError> {
	if let Some(file) = open(provider, piece)? {
		return Ok(file);
	}
	// One at a time, and whoever waited finds the file that the one before restored.
	let _one = provider.unsealing.lock().unwrap_or_else(PoisonError::into_inner);
	if let Some(file) = open(provider, piece)? {
		return Ok(file);
	}
	let found = provider.store.open_sectors()?.into_iter().find_map(|sector| {
		let sealed = sector.spec.tier == Tier::Sealed && matches!(sector.state, SectorState::Active { .. });
		let index = sector.deals.iter().position(|deal| deal.piece == *piece)?;
		sealed.then_some((sector.number, index))
	});
	let (number, index) = found.ok_or(PayloadError::Absent)?;
	tracing::info!(sector = number, index, "unsealing a piece for retrieval");
	let path = provider
		.sectors
		.unseal_piece(number, index, &mut |_| ControlFlow::Continue(()))?;
	Ok(File::open(path)?)
}

/// The payload file if it is there in its full length.
fn open(provider: &Provider, piece: &PieceInfo) -> io::Result<Option<File>> {
	match File::open(provider.sectors.piece_path(piece)) {
		Ok(file) => Ok((file.metadata()?.len() == piece.payload_size).then_some(file)),
		Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
		Err(error) => Err(error),
	}
}
