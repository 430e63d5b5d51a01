//! Logic of the calls, by topic.

mod commitment;
mod faults;
mod housekeeping;
mod parameters;
mod registration;
mod sectors;
#[cfg(any(feature = "try-runtime", test))]
mod try_state;
mod views;
mod windowed;
