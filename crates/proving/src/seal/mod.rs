//! Sealing: from data to a replica that is distinct for its provider and sector.
//!
//! ```text
//! graph ── labels, layer by layer ──┬── columns ── CommC
//!                                   └── last layer + data ── replica ── CommRLast
//! ```
//! Nothing here has a sector size in it. Layers are the slow part: a label needs the one before it,
//! so one core computes them while another one reads the graph ahead and gathers what comes from the
//! layer below. A finished layer is a file with a checksum; sealing resumes behind the last one.

pub(crate) mod checksum;
pub(crate) mod columns;
pub(crate) mod labels;
pub(crate) mod layers;
pub(crate) mod parents;
pub(crate) mod replica;

use crate::{error::ProveError, store::StoreError};
use cairn_primitives::{PieceInfo, ProofSpec, SectorNumber};
use std::{io, ops::ControlFlow, path::PathBuf};

/// What is to be sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealRequest {
	/// Number of the sector, never used before.
	pub sector: SectorNumber,
	/// The provider: [`cairn_primitives::challenge::prover_id`].
	pub prover_id: [u8; 32],
	/// Proof type.
	pub spec: ProofSpec,
	/// Sealing ticket.
	pub ticket: [u8; 32],
	/// Pieces in the order of their offsets. May be empty.
	pub pieces: Vec<PieceInfo>,
}

/// How far sealing is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SealProgress {
	/// What is being done.
	pub stage: SealStage,
	/// Part of the whole work that is done, 0 to 1. An estimate.
	pub fraction: f64,
}

/// Steps of sealing and of computing a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SealStage {
	/// Computing or checking the graph's parents; shared by all sectors of a type.
	Graph,
	/// Computing the labels of a layer.
	Labels {
		/// The layer, from 1.
		layer: u8,
		/// Layers of the type.
		layers: u8,
	},
	/// Hashing the columns (CommC).
	Columns,
	/// Encoding the replica and hashing it (CommRLast).
	Replica,
	/// Finished.
	Done,
}

/// Receives progress; `Break` stops the work at the next opportunity.
pub type ProgressFn<'a> = dyn FnMut(SealProgress) -> ControlFlow<()> + 'a;

/// Why sealing or unsealing failed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
	/// The sector store refused.
	#[error(transparent)]
	Store(#[from] StoreError),
	/// The pieces' data is gone or wrong, or the replica or its key when unsealing.
	#[error(transparent)]
	Data(#[from] ProveError),
	/// The progress callback asked to stop. Finished layers are kept.
	#[error("stopped on request")]
	Cancelled,
	/// The proof type is not of the sealed tier or out of bounds.
	#[error("not a proof type of the sealed tier")]
	WrongTier,
	/// The sector is not sealed yet.
	#[error("sector {0} is not sealed yet")]
	NotSealed(SectorNumber),
	/// The sector has no such piece, or the piece no such bytes.
	#[error("the range is not within a piece of the sector")]
	Range,
	/// A file of the work in progress cannot be read or written.
	#[error("{}: {source}", path.display())]
	Io {
		/// The file.
		path: PathBuf,
		/// Why.
		source: io::Error,
	},
}

/// Maps an I/O error of the work's own files.
pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> SealError {
	let path = path.into();
	move |source| SealError::Io { path, source }
}

/// Bytes on disk that sealing one sector needs at its peak: layers, column rows, replica and its
/// rows. The graph's parents (7/4 of the sector's size) come on top once per proof type.
pub const fn space_needed(spec: &ProofSpec) -> u64 {
	let size = spec.sector_size();
	size * (spec.layers as u64 + 1) + size / 16 + size / 256 + (1 << 16)
}

/// Bytes on disk that computing the key of a sector needs at its peak, when one layer is finished and the one below it
/// is not removed yet. The graph's parents come on top as in [`space_needed`].
pub const fn key_space_needed(spec: &ProofSpec) -> u64 {
	spec.sector_size() * 2 + (1 << 16)
}

/// Maps the progress of a part to that of the whole.
pub(crate) struct Part<'a, 'b> {
	pub progress: &'a mut ProgressFn<'b>,
	pub stage: SealStage,
	pub from: f64,
	pub to: f64,
}

impl Part<'_, '_> {
	/// Reports that `done` of `all` units of this part are done.
	pub fn report(&mut self, done: u64, all: u64) -> Result<(), SealError> {
		let share = if all == 0 { 1.0 } else { done as f64 / all as f64 };
		// Rounding must not lead beyond the next part's beginning.
		let fraction = (self.from + (self.to - self.from) * share).min(self.to);
		match (self.progress)(SealProgress {
			stage: self.stage,
			fraction,
		}) {
			ControlFlow::Continue(()) => Ok(()),
			ControlFlow::Break(()) => Err(SealError::Cancelled),
		}
	}
}
