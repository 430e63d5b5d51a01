//! Logic of the calls, by topic.

mod commitment;
mod faults;
mod housekeeping;
mod parameters;
mod registration;
mod sectors;
// Native builds have it too, for tests on the real runtime.
#[cfg(any(feature = "std", feature = "try-runtime"))]
mod try_state;
mod views;
mod windowed;
