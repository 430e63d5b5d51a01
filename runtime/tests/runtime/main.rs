//! Tests on the real runtime, from the genesis presets: pallets that only meet here, transactions, and
//! what must never change by accident.
//!
//! `chain` makes blocks, `transactions` signs, `deals` and `sectors` make what is stored.

mod chain;
mod deals;
mod extremes;
mod faucet;
mod fees;
mod indices;
mod lifecycle;
// Benchmarks add a runtime API.
#[cfg(not(feature = "runtime-benchmarks"))]
mod metadata;
mod random_operations;
mod sectors;
mod storing;
mod transactions;
mod validity;
