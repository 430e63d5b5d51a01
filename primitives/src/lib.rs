//! What the chain and the off-chain provers must agree on to the byte.
//!
//! Types that cross the border (identifiers, proof specifications, deal proposals) and the
//! algorithms behind them: Fr32 padding, piece and sector commitments, Merkle openings, challenge
//! derivation, the stacked-DRG graph, its labels and encoding, and the verification of every proof.
//! Nothing here knows of FRAME, storage, files or networks. Everything that hashes is generic over
//! [`hash::Sha256`], so that the runtime uses the host function and the provers use SHA-NI.
//!
//! Start with [`proof_type::ProofSpec`], then [`commitment`] and [`sdr`].
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs)]

extern crate alloc;

pub mod challenge;
pub mod commitment;
pub mod deal;
pub mod draw;
#[cfg(any(feature = "std", feature = "runtime-benchmarks"))]
pub mod forged;
pub mod fr32;
pub mod hash;
pub mod hot;
pub mod merkle;
pub mod params;
pub mod piece;
pub mod proof_error;
pub mod proof_type;
pub mod proven_time;
pub mod sdr;
pub mod sealed;
pub mod sector;

pub use piece::{Commitment, PieceInfo, PIECE_MIN_SIZE};
pub use proof_error::ProofError;
pub use proof_type::{ProofSpec, ProofTypeId, Tier};

/// Parachain block number.
pub type BlockNumber = u32;
/// Amount in plancks (10⁻¹² CAIRN).
pub type Balance = u128;
/// Number of a sector, unique for ever within its provider.
pub type SectorNumber = u32;
/// Number of a deal, never reused.
pub type DealId = u64;
/// Index of a deadline within a proving period.
pub type DeadlineIndex = u32;
/// Index of a partition within a deadline.
pub type PartitionIndex = u32;
