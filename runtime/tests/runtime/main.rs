//! Tests on the real runtime, from the `development` preset: pallets that only meet here, and what
//! must never change by accident.

mod chain;
mod indices;
mod sectors;
mod storing;
