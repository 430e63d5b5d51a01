//! Piece commitments, sectors, sealing, and the provers of both tiers.
//!
//! This crate turns payload into what the chain verifies: [`commp`] computes piece commitments while
//! data streams by, [`sector`] packs pieces, [`store::SectorStore`] keeps pieces and sectors on disk,
//! [`seal`] makes replicas, and [`SectorProver`] answers challenges. It knows neither the chain nor
//! the network, and it trusts nothing on disk: every opening is checked against its commitment, so
//! damage is found and named before a proof is sent.
//!
//! All calls are synchronous and use rayon's pool. Call them from threads that may block.
//!
//! Start with [`store::SectorStore`].
#![deny(missing_docs, unsafe_code)]

pub mod commp;
mod data;
mod durable;
mod error;
pub mod hot;
mod manifest;
mod opening;
mod prover;
mod rows;
pub mod seal;
pub mod sealed;
pub mod sector;
mod sha256;
pub mod store;

pub use commp::{CommPError, CommPHasher};
pub use error::{DataFault, ProveError, MAX_OPENINGS};
pub use hot::HotSector;
pub use manifest::{SectorManifest, SectorStage};
pub use prover::SectorProver;
pub use seal::{SealError, SealProgress, SealRequest, SealStage};
pub use sealed::SealedSector;
pub use store::{HotRequest, KeyedSector, PieceWriter, SectorStore, StoreError};
