//! A piece's payload file, restored from a replica if it is gone.

use crate::provider::Provider;
use cairn_primitives::PieceInfo;
use std::{fs::File, io, ops::ControlFlow, sync::PoisonError};

/// Why a payload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
	/// It is not here, sealed or not.
	#[error("the piece is not stored here")]
	Absent,
	/// It could not be restored from any replica; this is what happened to the last one.
	#[error("the piece could not be unsealed: {0}")]
	Unseal(#[from] cairn_proving::SealError),
	/// The sector store cannot be read.
	#[error(transparent)]
	Sectors(#[from] cairn_proving::StoreError),
	/// The file system failed.
	#[error(transparent)]
	Io(#[from] io::Error),
}

/// Opens a piece's payload. Blocks while it is unsealed, where that is needed.
///
/// What counts is what is on disk, not how far the sector has come: from the moment at which a replica is complete,
/// the piece can be read with or without its payload file. A file that is removed while it is being read can be read
/// to its end.
///
/// # Errors
/// See [`PayloadError`].
pub fn open_payload(provider: &Provider, piece: &PieceInfo) -> Result<File, PayloadError> {
	if let Some(file) = open_at_hand(provider, piece)? {
		return Ok(file);
	}
	// One at a time, and whoever waited finds the file that the one before restored.
	let _one = provider.unsealing.lock().unwrap_or_else(PoisonError::into_inner);
	if let Some(file) = open_at_hand(provider, piece)? {
		return Ok(file);
	}
	let mut failure = PayloadError::Absent;
	for (sector, index) in provider.sectors.replicas_of(piece)? {
		tracing::info!(sector, index, "unsealing a piece for retrieval");
		match provider
			.sectors
			.unseal_piece(sector, index, &mut |_| ControlFlow::Continue(()))
		{
			Ok(file) => return Ok(file),
			Err(error) => {
				tracing::error!(sector, %error, "a replica cannot be unsealed");
				failure = error.into();
			}
		}
	}
	Err(failure)
}

/// The payload file if it is there in its full length.
pub(super) fn open_at_hand(provider: &Provider, piece: &PieceInfo) -> io::Result<Option<File>> {
	match File::open(provider.sectors.piece_path(piece)) {
		Ok(file) => Ok((file.metadata()?.len() == piece.payload_size).then_some(file)),
		Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
		Err(error) => Err(error),
	}
}
