//! One prover for both tiers.

use crate::{error::ProveError, hot::HotSector, sealed::SealedSector};
use cairn_primitives::{Commitment, ProofSpec, SectorNumber};

/// A sector that can be proven, of either tier.
#[derive(Clone, Debug)]
pub enum SectorProver {
	/// Proven from the data.
	Hot(HotSector),
	/// Proven from the replica.
	Sealed(SealedSector),
}

impl SectorProver {
	/// The sector's number.
	pub fn sector(&self) -> SectorNumber {
		match self {
			SectorProver::Hot(hot) => hot.sector(),
			SectorProver::Sealed(sealed) => sealed.sector(),
		}
	}

	/// The proof type.
	pub fn spec(&self) -> ProofSpec {
		match self {
			SectorProver::Hot(hot) => hot.spec(),
			SectorProver::Sealed(sealed) => sealed.spec(),
		}
	}

	/// Root over the data.
	pub fn comm_d(&self) -> Commitment {
		match self {
			SectorProver::Hot(hot) => hot.comm_d(),
			SectorProver::Sealed(sealed) => sealed.comm_d(),
		}
	}

	/// Commitment to the replica: the data itself in the hot tier.
	pub fn comm_r(&self) -> Commitment {
		match self {
			SectorProver::Hot(hot) => hot.comm_d(),
			SectorProver::Sealed(sealed) => sealed.comm_r(),
		}
	}

	/// Opens `leaves`, as the chain asks for them in a deadline. The bytes are this sector's part of a
	/// windowed proof.
	///
	/// # Errors
	/// See [`ProveError`]; [`ProveError::is_data_fault`] tells whether to declare a fault.
	pub fn window_proof(&self, leaves: &[u64]) -> Result<Vec<u8>, ProveError> {
		match self {
			SectorProver::Hot(hot) => hot.window_proof(leaves),
			SectorProver::Sealed(sealed) => sealed.window_proof(leaves),
		}
	}

	/// Answers activation challenges `first..first + count` drawn from `seed`.
	///
	/// # Errors
	/// As [`Self::window_proof`].
	pub fn activation_proof(&self, seed: &[u8; 32], first: u16, count: u16) -> Result<Vec<u8>, ProveError> {
		match self {
			SectorProver::Hot(hot) => hot.activation_proof(seed, first, count),
			SectorProver::Sealed(sealed) => sealed.activation_proof(seed, first, count),
		}
	}

	/// Most activation challenges that fit one part of `max_bytes`; 0 if not even one does.
	pub fn max_part_challenges(&self, max_bytes: usize) -> u16 {
		let spec = self.spec();
		let fit = match self {
			SectorProver::Hot(_) => {
				let per_challenge = cairn_primitives::hot::opening_len(spec.depth());
				u16::try_from(max_bytes / per_challenge).unwrap_or(u16::MAX)
			}
			SectorProver::Sealed(_) => cairn_primitives::sealed::max_part_challenges(&spec, max_bytes),
		};
		fit.min(spec.activation_challenges)
	}
}
