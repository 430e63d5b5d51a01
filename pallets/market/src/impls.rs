//! The market's logic, by topic.

mod calendar;
mod deals;
mod funds;
mod proposals;
mod settlement;
#[cfg(any(test, feature = "try-runtime"))]
mod try_state;
mod views;
