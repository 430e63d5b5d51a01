//! The hot tier's prover: openings of the data, straight from the piece files.

use crate::{data::SectorData, error::ProveError};
use cairn_primitives::{
	challenge::{hot_activation_challenge, live_leaf},
	hash::NativeSha256,
	hot, Commitment, ProofSpec, SectorNumber,
};

/// A hot sector that can be proven.
///
/// Proving one leaf reads 32 KiB of payload and a few hundred bytes of the piece's stored rows.
#[derive(Clone, Debug)]
pub struct HotSector {
	pub(crate) sector: SectorNumber,
	pub(crate) prover_id: [u8; 32],
	pub(crate) data: SectorData,
}

impl HotSector {
	/// The sector's number.
	pub fn sector(&self) -> SectorNumber {
		self.sector
	}

	/// The proof type.
	pub fn spec(&self) -> ProofSpec {
		self.data.layout.spec()
	}

	/// Root over the data.
	pub fn comm_d(&self) -> Commitment {
		self.data.layout.comm_d()
	}

	/// Opens `leaves` of CommD, in this order: [`hot::verify`]'s layout.
	///
	/// # Errors
	/// See [`ProveError`]. Names the piece that is missing or corrupt.
	pub fn window_proof(&self, leaves: &[u64]) -> Result<Vec<u8>, ProveError> {
		let spec = self.spec();
		let mut proof = Vec::with_capacity(hot::openings_len(spec.depth(), leaves.len()));
		for opening in self.data.open(leaves)? {
			opening.write_to(&mut proof);
		}
		hot::verify::<NativeSha256>(&spec, &self.comm_d(), leaves, &proof)?;
		Ok(proof)
	}

	/// Leaves that activation challenges `first..first + count` fall on.
	///
	/// # Errors
	/// [`ProveError::ChallengeRange`].
	pub fn activation_leaves(&self, seed: &[u8; 32], first: u16, count: u16) -> Result<Vec<u64>, ProveError> {
		let challenges = self.spec().activation_challenges;
		let range_error = ProveError::ChallengeRange {
			first,
			count,
			challenges,
		};
		let end = match first.checked_add(count) {
			Some(end) if count > 0 && end <= challenges => end,
			_ => return Err(range_error),
		};
		(first..end)
			.map(|j| {
				let challenge = hot_activation_challenge(seed, &self.prover_id, self.sector, j.into());
				live_leaf(self.data.layout.payload(), challenge)
			})
			.collect::<Option<_>>()
			// A hot sector has a piece and a piece has payload.
			.ok_or(range_error)
	}

	/// Answers activation challenges `first..first + count`.
	///
	/// # Errors
	/// See [`ProveError`].
	pub fn activation_proof(&self, seed: &[u8; 32], first: u16, count: u16) -> Result<Vec<u8>, ProveError> {
		self.window_proof(&self.activation_leaves(seed, first, count)?)
	}
}
