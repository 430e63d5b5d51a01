//! A piece's payload: its file, or a replica that it is decoded from.

use super::unsealing::{Purpose, UnsealError, PATIENCE};
use crate::provider::Provider;
use cairn_primitives::PieceInfo;
use cairn_proving::KeyedSector;
use prometheus::IntCounter;
use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

/// Why a payload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
	/// It is not here, sealed or not.
	#[error("the piece is not stored here")]
	Absent,
	/// No replica of it can be read; this is what happened to the last one.
	#[error(transparent)]
	Unseal(#[from] UnsealError),
	/// The sector store cannot be read.
	#[error(transparent)]
	Sectors(#[from] cairn_proving::StoreError),
	/// The file system failed.
	#[error(transparent)]
	Io(#[from] io::Error),
}

/// A payload, open for reading. What becomes of its file, or of the key that it is decoded by, does not matter to it.
pub enum Payload {
	/// As it was uploaded.
	File(File),
	/// Decoded from a replica.
	Sealed {
		/// The sector.
		sector: Arc<KeyedSector>,
		/// The piece's place in it.
		index: usize,
		/// Counts what is read.
		served: IntCounter,
	},
}

impl Payload {
	/// Reads from `offset` on all that `out` has room for.
	///
	/// # Errors
	/// If the disk or the replica fails, or the payload has no such bytes.
	pub fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
		match self {
			Payload::File(file) => file.read_exact_at(out, offset),
			Payload::Sealed {
				sector,
				index,
				served,
			} => {
				sector
					.read_payload_at(*index, out, offset)
					.map_err(io::Error::other)?;
				served.inc_by(out.len() as u64);
				Ok(())
			}
		}
	}
}

/// Opens a piece's payload. Where only replicas are left, blocks while the key of one is computed, for [`PATIENCE`] at
/// most.
///
/// What counts is what is on disk, not how far the sector has come: from the moment at which a replica is complete,
/// the piece can be read with or without its payload file.
///
/// # Errors
/// See [`PayloadError`].
pub fn open_payload(provider: &Provider, piece: &PieceInfo) -> Result<Payload, PayloadError> {
	if let Some(payload) = open_at_hand(provider, piece)? {
		return Ok(payload);
	}
	let (sector, index) = open_replica(provider, piece, Purpose::Reading)?;
	Ok(sealed(provider, sector, index))
}

/// The payload if it can be read at once: its file in its full length, or a replica whose key is there.
pub(super) fn open_at_hand(provider: &Provider, piece: &PieceInfo) -> io::Result<Option<Payload>> {
	if let Some(file) = open_file(provider, piece)? {
		return Ok(Some(Payload::File(file)));
	}
	let sealed_at_hand = provider.unsealer.at_hand(piece);
	Ok(sealed_at_hand.map(|(sector, index)| sealed(provider, sector, index)))
}

/// Makes sure that a piece's payload file is there and is the piece, and brings it back from a replica otherwise. Reads
/// all of it; blocks as [`open_payload`] does.
///
/// # Errors
/// What is wrong with the file, if there is no replica; else see [`PayloadError`].
pub fn restore_payload(provider: &Provider, piece: &PieceInfo) -> Result<(), PayloadError> {
	let Err(damage) = provider.sectors.check_piece(piece) else {
		return Ok(());
	};
	let (sector, index) = match open_replica(provider, piece, Purpose::Recovery) {
		Err(PayloadError::Absent) => return Err(damage.into()),
		found => found?,
	};
	let restored = provider.sectors.restore_piece(&sector, index);
	restored
		.map(drop)
		.map_err(|error| UnsealError::from(error).into())
}

fn open_file(provider: &Provider, piece: &PieceInfo) -> io::Result<Option<File>> {
	match File::open(provider.sectors.piece_path(piece)) {
		Ok(file) => Ok((file.metadata()?.len() == piece.payload_size).then_some(file)),
		Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
		Err(error) => Err(error),
	}
}

fn open_replica(
	provider: &Provider,
	piece: &PieceInfo,
	purpose: Purpose,
) -> Result<(Arc<KeyedSector>, usize), PayloadError> {
	let mut failure = PayloadError::Absent;
	for (sector, index) in provider.sectors.replicas_of(piece)? {
		match provider.unsealer.open(sector, purpose, PATIENCE) {
			Ok(sector) => return Ok((sector, index)),
			// Of another replica it would take as long again.
			Err(error) if error.is_transient() => return Err(error.into()),
			Err(error) => failure = error.into(),
		}
	}
	Err(failure)
}

fn sealed(provider: &Provider, sector: Arc<KeyedSector>, index: usize) -> Payload {
	Payload::Sealed {
		sector,
		index,
		served: provider.metrics.bytes_unsealed.clone(),
	}
}
