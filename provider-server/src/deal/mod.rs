//! Deals as the provider keeps them: their record, their state machine, and what decides whether one
//! is taken.

pub mod admission;
mod record;
mod signature;
pub mod state;

#[cfg(test)]
pub(crate) use record::tests::proposal;
pub use record::{Deal, Origin, Proposal, ProposalHash};
pub use signature::verify_client_signature;
pub use state::{DealEvent, DealState};
