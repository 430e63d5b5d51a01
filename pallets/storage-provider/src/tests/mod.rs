//! Tests by topic. `mock` is the chain, `sealing` makes sectors and their proofs.

mod asks;
mod beacons;
mod expiry;
mod faults;
mod housekeeping;
pub(crate) mod mock;
mod parameters;
mod placement;
mod pre_commit;
mod prove_commit;
mod proven_time;
mod random_operations;
mod registration;
mod replay;
mod sealing;
mod views;
mod windowed;
