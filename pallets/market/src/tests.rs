//! Tests by topic.

mod mock;

mod binding;
mod calendar;
mod escrow;
mod proposing;
mod publishing;
mod random_operations;
mod settlement;
mod signatures;

#[cfg(feature = "runtime-benchmarks")]
pub(crate) use mock::{benchmark_ext, Test};
