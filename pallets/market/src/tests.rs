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
