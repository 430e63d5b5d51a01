//! The market's logic, by topic.

mod calendar;
mod deals;
mod funds;
mod proposals;
mod settlement;
// Native builds have it too, for tests on the real runtime.
#[cfg(any(feature = "std", feature = "try-runtime"))]
mod try_state;
mod views;
